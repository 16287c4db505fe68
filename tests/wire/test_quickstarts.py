"""Programs with the calls of MLflow's published quickstarts and tutorials, on slipstream: unchanged, and renamed.

Unchanged they run by `slipstream exec`, against a server; with `import slipstream as mlflow` they run in process.
That they are programs for MLflow is tried with MLflow itself where MLFLOW_PYTHON names its python.
"""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from server_process import ServerProcess

FOLDER = Path(__file__).parent / "quickstarts"
PROGRAM = Path(sys.executable).with_name("slipstream")
MLFLOW_PYTHON = os.environ.get("MLFLOW_PYTHON")

pytestmark = pytest.mark.slow
each_quickstart = pytest.mark.parametrize("name", sorted(path.stem for path in FOLDER.glob("*.py")))


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    process = ServerProcess(tmp_path_factory.mktemp("server"))
    yield process.url
    process.stop()


def run(command: list[str], folder: Path, **variables: str) -> None:
    done = subprocess.run(
        command, capture_output=True, text=True, cwd=folder, env={**os.environ, **variables}, check=False
    )
    assert done.returncode == 0, done.stderr[-6000:]


@each_quickstart
def test_unchanged_against_a_server(name: str, server: str, tmp_path: Path) -> None:
    script = str(FOLDER / f"{name}.py")

    run([str(PROGRAM), "exec", script], tmp_path, MLFLOW_TRACKING_URI=server)


@each_quickstart
def test_renamed_in_process(name: str, tmp_path: Path) -> None:
    text = (FOLDER / f"{name}.py").read_text("utf-8")
    text = re.sub(r"^import mlflow$", "import slipstream as mlflow", text, flags=re.MULTILINE)
    text = re.sub(r"^from mlflow\b", "from slipstream", text, flags=re.MULTILINE)
    assert "import mlflow" not in text
    script = tmp_path / "script.py"
    script.write_text(text, encoding="utf-8")

    run([sys.executable, str(script)], tmp_path)

    assert (tmp_path / "slipstream.db").is_file()


@pytest.mark.skipif(MLFLOW_PYTHON is None, reason="MLFLOW_PYTHON names no python with a real MLflow")
@each_quickstart
def test_mlflow_runs_them_too(name: str, tmp_path: Path) -> None:
    assert MLFLOW_PYTHON is not None

    run([MLFLOW_PYTHON, str(FOLDER / f"{name}.py")], tmp_path, MLFLOW_TRACKING_URI="sqlite:///mlflow.db")
