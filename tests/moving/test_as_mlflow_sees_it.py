"""What a real MLflow wrote, and what its own client reads from our server after the import: compared one by one.

IMPORT_RUNS=1000 makes it as large as one likes.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import mlflow_server
from mlflow_museum import ROOT, unexpected
from server_process import ServerProcess
from slipstream.moving.importing import ImportOptions, run_import
from slipstream.moving.report import Report

pytestmark = [pytest.mark.slow, pytest.mark.wire]
RUNS = int(os.environ.get("IMPORT_RUNS", "40"))


def run_tool(python: str, folder: Path, name: str, *arguments: str) -> str:
    command = [python, str(ROOT / "tools" / name), *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("kind", ["mlruns", "mlflow.db"])
def test_the_client_finds_everything_where_it_was(kind: str, tmp_path: Path) -> None:
    pytest.importorskip("mlflow", exc_type=ImportError)
    python, uri = sys.executable, str(tmp_path / "mlruns")
    if kind == "mlflow.db":  # the client alone has no databases
        if (reason := mlflow_server.why_not()) is not None:
            pytest.skip(reason)
        python, uri = str(mlflow_server.PYTHON), f"sqlite:///{tmp_path}/mlflow.db"
    run_tool(python, tmp_path, "make_mlflow_source.py", uri, str(RUNS), f"file://{tmp_path}/files")
    there: dict[str, Any] = json.loads(run_tool(python, tmp_path, "mlflow_content.py", uri))
    report = Report()
    into = f"sqlite:///{tmp_path}/server.db"
    run_import(ImportOptions(source=str(tmp_path / kind), into=into), report)
    assert not report.problems
    server = ServerProcess(tmp_path)
    try:
        here: dict[str, Any] = json.loads(run_tool(sys.executable, tmp_path, "mlflow_content.py", server.url))
    finally:
        server.stop()
    assert len(here["runs"]) == RUNS + 1
    assert unexpected(there, here) == []
