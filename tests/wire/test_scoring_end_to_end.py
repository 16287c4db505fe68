"""`slipstream models serve` as users start it: a process, a port, a saved model, signals."""

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

import slipstream.pyfunc
import slipstream.sklearn
from slipstream.models import infer_signature
from slipstream.serving.run import listen

pytestmark = pytest.mark.slow

PROGRAM = Path(sys.executable).with_name("slipstream")
X = pd.DataFrame(np.random.RandomState(0).rand(60, 3).round(6), columns=["a", "b", "c"])
MODEL = LogisticRegression().fit(X, (X["a"] > 0.5).astype(int))
ROWS = {"dataframe_split": {"columns": list(X.columns), "data": X.head(5).to_numpy().tolist()}}
EXPECTED = MODEL.predict(X.head(5)).tolist()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "classifier"
    slipstream.sklearn.save_model(
        MODEL,
        folder,
        signature=infer_signature(X, MODEL.predict(X)),
        input_example=X.head(2),
        serialization_format="cloudpickle",  # so that it matters who saved it
        pip_requirements=["scikit-learn"],
    )
    return folder


class Server:
    def __init__(self, arguments: list[str], cwd: Path) -> None:
        self.process = subprocess.Popen(
            [str(PROGRAM), "models", "serve", *arguments],
            cwd=cwd,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # so that nothing it starts can outlive the test
        )
        self.lines: Queue[str] = Queue()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        self.announcement = self.next_line("Serving ")
        self.url = re.findall(r"http://\S+", self.announcement)[0]

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(line)

    def next_line(self, beginning: str) -> str:
        seen: list[str] = []
        while True:
            try:
                seen.append(self.lines.get(timeout=90))
            except Empty:
                pytest.fail(f"The server did not say '{beginning}...', but: {''.join(seen)}")
            if seen[-1].startswith(beginning):
                return seen[-1]

    def ask(self, path: str, document: object = None) -> tuple[int, Any]:
        request = urllib.request.Request(
            self.url + path,
            None if document is None else json.dumps(document).encode(),
            {"Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def end(self, number: int) -> int:
        self.process.send_signal(number)
        return self.process.wait(60)

    def remove(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(30)
        self._reader.join(30)
        assert self.process.stdout is not None
        self.process.stdout.close()


Start = Callable[..., Server]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    servers: list[Server] = []

    def begin(model: Path, *arguments: str) -> Server:
        servers.append(Server(["-m", str(model), "-p", "0", *arguments], tmp_path))
        return servers[-1]

    yield begin
    for server in servers:
        server.remove()


def test_serves_and_ends(model: Path, start: Start, tmp_path: Path) -> None:
    server = start(model)
    assert server.ask("/ping") == (200, b"\n")
    status, body = server.ask("/invocations", ROWS)
    assert (status, json.loads(body)) == (200, {"predictions": EXPECTED})
    status, body = server.ask("/invocations", {"dataframe_records": [{"a": 1, "b": 2}]})
    assert status == 400
    assert json.loads(body)["error_class"] == "SCHEMA_ENFORCEMENT_FAILED"
    assert "['c']" in json.loads(body)["message"]
    assert server.end(signal.SIGTERM) == 0
    assert list(tmp_path.iterdir()) == []  # serving a folder opens no tracking database


def test_the_announced_example_can_be_copied(model: Path, start: Start) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    server = start(model)
    command = shlex.split(server.announcement.partition("Try: ")[2])
    answer = subprocess.run([*command, "--silent"], capture_output=True, check=True, timeout=60)
    assert json.loads(answer.stdout) == {"predictions": MODEL.predict(X.head(2)).tolist()}
    assert server.end(signal.SIGINT) == 0


def test_several_processes_are_replaced_and_end_together(model: Path, start: Start) -> None:
    server = start(model, "--workers", "2")
    for _ in range(8):
        assert server.ask("/invocations", ROWS)[0] == 200
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    if children.exists():
        serving = [
            int(child)
            for child in children.read_text(encoding="utf-8").split()
            if b"slipstream.serving.worker" in Path(f"/proc/{child}/cmdline").read_bytes()
        ]
        assert len(serving) == 2
        os.kill(serving[0], signal.SIGKILL)
        server.next_line("A worker of")
        assert server.ask("/invocations", ROWS)[0] == 200
    assert server.end(signal.SIGTERM) == 0


@pytest.mark.parametrize("workers", ["1", "2"])
def test_model_that_nobody_vouches_for_is_refused(model: Path, tmp_path: Path, workers: str) -> None:
    stranger = {**os.environ, "SLIPSTREAM_HOME": str(tmp_path / "home")}
    done = subprocess.run(
        [str(PROGRAM), "models", "serve", "-m", str(model), "-p", "0", "-w", workers],
        capture_output=True,
        text=True,
        env=stranger,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert "--trust" in done.stderr


def test_taken_port(model: Path) -> None:
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        done = subprocess.run(
            [str(PROGRAM), "models", "serve", "-m", str(model), "-p", str(port)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr == (
        f"error: Port {port} on 127.0.0.1 is already in use. Choose another with --port, or 0 for any free one.\n"
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ends_cleanly_while_it_loads(tmp_path: Path, number: int) -> None:
    code = tmp_path / "slow.py"
    code.write_text(
        "import pathlib, time\nimport slipstream as mlflow\n\n\n"
        "class Slow(mlflow.pyfunc.PythonModel):\n"
        "    def load_context(self, context):\n"
        "        pathlib.Path('loading').touch()\n"
        "        time.sleep(60 if pathlib.Path('serving').exists() else 0)\n\n"
        "    def predict(self, context, model_input):\n"
        "        return [1]\n\n\n"
        "mlflow.models.set_model(Slow())\n",
        encoding="utf-8",
    )
    slipstream.pyfunc.save_model(tmp_path / "model", python_model=str(code), pip_requirements=["numpy"])
    (tmp_path / "loading").unlink(missing_ok=True)
    (tmp_path / "serving").touch()
    process = subprocess.Popen(
        [str(PROGRAM), "models", "serve", "-m", str(tmp_path / "model"), "-p", "0"], cwd=tmp_path
    )
    try:
        for _ in range(900):
            if (tmp_path / "loading").exists():
                break
            time.sleep(0.1)
        process.send_signal(number)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait(30)
