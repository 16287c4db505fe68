"""What a scoring server meets in the open, with real processes: moving aliases, killed workers, rude clients."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import urllib3
from sklearn.dummy import DummyRegressor

import slipstream as mlflow
from slipstream.models import infer_signature

pytestmark = pytest.mark.slow

PROGRAM = Path(sys.executable).with_name("slipstream")
REQUESTS = 10_000
ROW = json.dumps({"inputs": [[1.0, 2.0]]}).encode()
HEADERS = {"Content-Type": "application/json"}
STREAMER = """
import itertools
import time

import slipstream as mlflow


class Streamer(mlflow.pyfunc.PythonModel):
    def predict(self, context, model_input, params=None):
        return ["whole"]

    def predict_stream(self, context, model_input, params=None):
        for number in itertools.count():
            yield {"number": number}
            time.sleep(0.01)


mlflow.models.set_model(Streamer())
"""


class Server:
    """`slipstream models serve` as a process of its own."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.lines: list[str] = []
        self.process = subprocess.Popen(
            [str(PROGRAM), "models", "serve", "-p", "0", *arguments],
            cwd=folder,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        until(
            lambda: (
                any(line.startswith("Serving ") for line in self.lines) or self.process.poll() is not None
            ),
            90,
        )
        self.url = re.findall(r"http://\S+", "".join(self.lines))[0]
        self.port = int(self.url.rpartition(":")[2])

    def _read(self) -> None:
        assert self.process.stdout is not None
        self.lines.extend(self.process.stdout)

    def workers(self) -> list[int]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text(
            encoding="utf-8"
        )
        return [int(pid) for pid in children.split()]

    def memory_mb(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text(encoding="utf-8")
        return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) / 1024

    def end(self) -> None:
        self.process.terminate()
        assert self.process.wait(60) == 0
        self._reader.join(10)
        assert self.process.stdout is not None
        self.process.stdout.close()


def until(true: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            pytest.fail(f"It did not come true within {seconds:g} s")
        time.sleep(0.02)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLIPSTREAM_TRACKING_URI", f"sqlite:///{tmp_path}/slipstream.db")
    return tmp_path


@pytest.fixture
def serve(folder: Path) -> Iterator[Callable[..., Server]]:
    servers: list[Server] = []

    def start(*arguments: str) -> Server:
        servers.append(Server(folder, *arguments))
        return servers[-1]

    yield start
    for server in servers:
        server.end()


def register_constants(count: int) -> None:
    """Register versions 1 to `count` of a model that always answers its own version."""
    rows = np.zeros((2, 2))
    for number in range(1, count + 1):
        model = DummyRegressor(strategy="constant", constant=float(number)).fit(rows, [0.0, 0.0])
        mlflow.sklearn.log_model(
            model,
            name="constant",
            signature=infer_signature(rows, model.predict(rows)),
            input_example=rows,
            registered_model_name="constant",
            pip_requirements=["scikit-learn"],
        )


def test_the_alias_moves_five_times_during_10000_requests(folder: Path, serve: Callable[..., Server]) -> None:
    register_constants(6)
    client = mlflow.SlipstreamClient()
    client.set_registered_model_alias("constant", "champion", 1)
    server = serve("-m", "models:/constant@champion", "--refresh-seconds", "0.2")
    seen: Counter[str] = Counter()
    wrong: list[object] = []
    lock = threading.Lock()
    left = iter(range(REQUESTS))

    def load() -> None:
        pool = urllib3.HTTPConnectionPool("127.0.0.1", server.port, maxsize=1, retries=False)
        while True:
            with lock:
                # Requests go on until every version has answered, but never stop before their number is reached.
                if next(left, None) is None and len(seen) == 6:
                    return
            reply = pool.request("POST", "/invocations", ROW, headers=HEADERS)
            version = reply.headers.get("x-slipstream-model-version", "?")
            if reply.status != 200 or reply.json() != {"predictions": [float(version)]}:
                wrong.append((reply.status, reply.headers, reply.data))
                return
            seen[version] += 1

    with ThreadPoolExecutor(4) as threads:
        running = [threads.submit(load) for _ in range(4)]
        for number in range(2, 7):
            until(lambda: seen[str(number - 1)] > 50 or bool(wrong), 60)  # noqa: B023  # called at once
            client.set_registered_model_alias("constant", "champion", number)
        for each in running:
            each.result()
    assert not wrong
    assert sum(seen.values()) >= REQUESTS
    assert set(seen) == {"1", "2", "3", "4", "5", "6"}
    until(lambda: len(server.workers()) == 1)  # those of older versions have ended


def test_a_worker_is_killed_under_load(folder: Path, serve: Callable[..., Server]) -> None:
    register_constants(1)
    server = serve("-m", "models:/constant/1", "-w", "2")
    statuses: Counter[int] = Counter()
    messages: set[str] = set()
    stop = threading.Event()

    def load() -> None:
        pool = urllib3.HTTPConnectionPool("127.0.0.1", server.port, maxsize=1, retries=False)
        while not stop.is_set():
            reply = pool.request("POST", "/invocations", ROW, headers=HEADERS)  # never a broken connection
            statuses[reply.status] += 1
            if reply.status != 200:
                messages.add(reply.json()["message"])

    with ThreadPoolExecutor(8) as threads:
        running = [threads.submit(load) for _ in range(8)]
        try:
            for kills in range(1, 4):
                until(lambda: statuses[200] > 300 * kills)  # noqa: B023  # called at once
                before = server.workers()
                os.kill(before[0], signal.SIGKILL)
                until(lambda: len(set(server.workers()) - {before[0]}) == 2)  # noqa: B023
            # One that is killed before it is ready leaves its place no more empty than another.
            os.kill(server.workers()[-1], signal.SIGKILL)
            until(lambda: any("could not start" in line for line in server.lines))
            until(lambda: len(server.workers()) == 2)
        except BaseException as error:
            error.add_note("".join(server.lines))
            raise
        finally:
            stop.set()
        for each in running:
            each.result()
    assert set(statuses) <= {200, 500}
    assert statuses[500] <= 4 * 8  # what the killed workers had
    assert all("killed by SIGKILL" in message for message in messages)


def test_100_clients_leave_in_the_midst_of_a_stream(folder: Path, serve: Callable[..., Server]) -> None:
    (folder / "streamer.py").write_text(STREAMER, encoding="utf-8")
    mlflow.pyfunc.save_model(
        folder / "model", python_model=str(folder / "streamer.py"), pip_requirements=["numpy"]
    )
    server = serve("-m", str(folder / "model"), "--threads", "110")
    body = json.dumps({"inputs": ["x"], "stream": True}).encode()

    def leave(_number: int) -> bytes:
        with socket.create_connection(("127.0.0.1", server.port), 60) as connection:
            connection.sendall(
                b"POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n" % len(body) + body
            )
            seen = b""
            while b'"number": 1}' not in seen:
                more = connection.recv(4096)
                assert more, seen
                seen += more
            return seen

    with ThreadPoolExecutor(100) as threads:
        for seen in threads.map(leave, range(100)):
            assert seen.startswith(b"HTTP/1.1 200 OK")
    pool = urllib3.HTTPConnectionPool("127.0.0.1", server.port, retries=False)
    reply = pool.request("POST", "/invocations", json.dumps({"inputs": ["x"]}), headers=HEADERS)
    assert (reply.status, reply.json()) == (200, {"predictions": ["whole"]})
    # Nobody's stream goes on: the worker's processor time stands still.
    (worker,) = server.workers()
    until(lambda: cpu_ticks(worker, 0.5) <= 5)


def cpu_ticks(pid: int, seconds: float) -> int:
    """Return the processor time, in hundredths of a second, that a process takes in so long."""

    def now() -> int:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])

    before = now()
    time.sleep(seconds)
    return now() - before


def test_huge_and_senseless_bodies_cost_no_memory_and_nobody_else(
    folder: Path, serve: Callable[..., Server]
) -> None:
    register_constants(1)
    server = serve("-m", "models:/constant/1", "--max-body-mb", "20")
    pool = urllib3.HTTPConnectionPool("127.0.0.1", server.port, maxsize=4, retries=False)
    assert pool.request("POST", "/invocations", ROW, headers=HEADERS).status == 200
    before = server.memory_mb()
    refused = 0
    # A gigabyte, with its size announced and without.
    for chunked in (False, True):
        with socket.create_connection(("127.0.0.1", server.port), 60) as connection:
            size = b"Transfer-Encoding: chunked" if chunked else b"Content-Length: 1073741824"
            connection.sendall(
                b"POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                + size
                + b"\r\n\r\n"
            )
            block = b" " * (1 << 20)
            try:
                for _ in range(1024):
                    connection.sendall(b"100000\r\n" + block + b"\r\n" if chunked else block)
            except OSError:  # the server has had enough
                refused += 1
    assert refused == 2
    for body in (
        b"\0\xff" * 1_000_000,
        b"[" * 1_000_000,
        b'{"inputs": ' + b"[" * 1_000_000,
        b'{"a":' * 500_000,
        b"",
    ):
        reply = pool.request("POST", "/invocations", body, headers=HEADERS)
        assert reply.status == 400, reply.data[:200]
        assert len(reply.data) < 2000
    assert pool.request("POST", "/invocations", ROW, headers=HEADERS).status == 200
    assert server.memory_mb() - before < 100
    assert len(server.workers()) == 1
    assert not any("ended" in line for line in server.lines)


FORKER = """
import os
import time

import slipstream as mlflow


class Forker(mlflow.pyfunc.PythonModel):
    def load_context(self, context):
        self.child = os.fork()
        if not self.child:
            while True:
                time.sleep(1)

    def predict(self, context, model_input, params=None):
        return [self.child]


mlflow.models.set_model(Forker())
"""


def test_processes_of_a_model_neither_hide_its_end_nor_outlive_it(
    folder: Path, serve: Callable[..., Server]
) -> None:
    (folder / "forker.py").write_text(FORKER, encoding="utf-8")
    mlflow.pyfunc.save_model(
        folder / "model", python_model=str(folder / "forker.py"), pip_requirements=["numpy"]
    )
    server = serve("-m", str(folder / "model"))
    pool = urllib3.HTTPConnectionPool("127.0.0.1", server.port, retries=False)

    def child() -> int:
        reply = pool.request("POST", "/invocations", json.dumps({"inputs": ["x"]}), headers=HEADERS)
        return reply.json()["predictions"][0] if reply.status == 200 else 0

    first = child()
    (worker,) = server.workers()
    os.kill(worker, signal.SIGKILL)
    until(lambda: child() not in (0, first))
    until(lambda: not is_running(first))
    second = child()
    server.end()
    until(lambda: not is_running(second))


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
