"""The Python of README.md and of the tutorial does what they say, against a real server."""

import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTED = "http://127.0.0.1:5000"
START_SECONDS = 60

pytestmark = [pytest.mark.wire, pytest.mark.slow]


def python_blocks(page: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", (ROOT / page).read_text("utf-8"), re.MULTILINE | re.DOTALL)


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Address of `slipstream server`, started as the pages say, in an empty folder."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder = tmp_path / "server"
    folder.mkdir()
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(Path(sys.executable).with_name("slipstream")), "server", "--port", str(port)],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                urllib.request.urlopen(f"{url}/health", timeout=5).close()
                break
            except (urllib.error.URLError, ConnectionError):
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=30)


def run(code: str, folder: Path) -> str:
    environment = dict(os.environ)
    environment.pop("SLIPSTREAM_TRACKING_URI", None)
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{code}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_readme(address: str, tmp_path: Path) -> None:
    local, model, _chat, real_client = python_blocks("README.md")  # the chat model comes from a hub
    assert "hello {'loss': 0.33" in run(local, tmp_path)
    assert {"slipstream.db", "slipstream-artifacts"} <= {path.name for path in tmp_path.iterdir()}
    assert "[0 0]" in run(model.replace(DOCUMENTED, address), tmp_path)
    run(real_client.replace(DOCUMENTED, address), tmp_path)
    found = run(
        "import slipstream\n"
        f"slipstream.set_tracking_uri({address!r})\n"
        "print([run.data.metrics for run in slipstream.search_runs(output_format='list')])",
        tmp_path,
    )
    assert "{'accuracy': 0.9}" in found


def test_tutorial(address: str, tmp_path: Path) -> None:
    blocks = python_blocks("docs/tutorials/first-model.md")
    assert len(blocks) == 2
    for block in blocks:
        run(block.replace(DOCUMENTED, address), tmp_path)
    found = run(
        "import slipstream\n"
        f"slipstream.set_tracking_uri({address!r})\n"
        "from sklearn.datasets import load_iris\n"
        "model = slipstream.pyfunc.load_model('models:/iris@champion')\n"
        "print(model.predict(load_iris(as_frame=True).data.head(1)))",
        tmp_path,
    )
    assert found.strip() == "[0]"
