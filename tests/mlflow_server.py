"""A real MLflow server, which MLFLOW_PYTHON has to name the interpreter of."""

import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

PYTHON = os.environ.get("MLFLOW_PYTHON")
START_SECONDS = 400  # it imports for a minute where processors are busy


def why_not() -> str | None:
    """Return why there can be no such server; nothing if there can."""
    if not PYTHON:
        return "no real MLflow server: set MLFLOW_PYTHON to an interpreter that has mlflow (not only mlflow-skinny)"
    done = subprocess.run(
        [
            PYTHON,
            "-c",
            "from importlib.util import find_spec; assert find_spec('mlflow') and find_spec('flask')",
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"MLFLOW_PYTHON={PYTHON} has no full mlflow:\n{done.stderr}"
    return None


@contextmanager
def running(folder: Path) -> Iterator[str]:
    """Run one on `mlflow.db` of a folder, that hands artifacts through; yield its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                *(str(PYTHON), "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)),
                *("--backend-store-uri", f"sqlite:///{folder}/mlflow.db", "--workers", "1"),
                *("--artifacts-destination", str(folder / "files")),
            ],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                urllib.request.urlopen(f"{url}/health", timeout=5).close()
                break
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.2)
        yield url
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
