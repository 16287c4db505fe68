"""A server that is told to stop under load: what it has answered is stored, and no answer is cut."""

import http.client
import re
import signal
import socket
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from server_process import ServerProcess
from tracking_client import TrackingClient

WRITERS = 8
PROXY = "/api/2.0/mlflow-artifacts/artifacts/"


class StoppedError(Exception):
    """The server takes no more connections, which is the one thing that a client may see."""


class Steady:
    """A client that keeps its connection as long as the server does, and dials again when it was told `close`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client: TrackingClient | None = None

    def ask(self, method: str, path: str, body: object = None) -> None:
        fresh = self.client is None
        try:
            if self.client is None:
                self.client = TrackingClient(self.url)
                self.client.connection.connect()
        except ConnectionError as error:
            raise StoppedError from error
        try:
            answer = self.client.ask(method, path, body)
        except (ConnectionError, http.client.RemoteDisconnected) as error:
            if fresh:  # it waited to be taken, and was not
                raise StoppedError from error
            raise
        assert answer.status == 200
        if answer.headers["Connection"] == "close":
            self.client.close()
            self.client = None

    def close(self) -> None:
        if self.client is not None:
            self.client.close()


class Load:
    """Writers and readers that go on until the server takes no more connections."""

    def __init__(self, server: ServerProcess, run: str) -> None:
        self.acknowledged: list[list[int]] = [[] for _ in range(WRITERS)]
        self.reads = 0
        self.failures: list[BaseException] = []
        self._url = server.url
        self._run = run
        self._threads = [threading.Thread(target=self._write, args=(number,)) for number in range(WRITERS)]
        self._threads += [threading.Thread(target=self._read) for _ in range(2)]
        for thread in self._threads:
            thread.start()

    def _write(self, number: int) -> None:
        def log(steady: Steady, step: int) -> None:
            steady.ask(
                "POST",
                "runs/log-metric",
                {"run_id": self._run, "key": f"m{number}", "value": 1, "timestamp": 1, "step": step},
            )
            self.acknowledged[number].append(step)

        self._until_stopped(log)

    def _read(self) -> None:
        def read(steady: Steady, step: int) -> None:
            steady.ask("GET", f"runs/get?run_id={self._run}")
            self.reads += 1

        self._until_stopped(read)

    def _until_stopped(self, work: Callable[[Steady, int], None]) -> None:
        steady = Steady(self._url)
        step = 0
        try:
            while True:
                step += 1
                work(steady, step)
        except StoppedError:
            pass
        except BaseException as error:  # noqa: BLE001  # shown by the assertion
            self.failures.append(error)
        finally:
            steady.close()

    def wait(self, until: int) -> None:
        limit = time.monotonic() + 60
        while min(len(each) for each in self.acknowledged) < until or self.reads < 10:
            assert time.monotonic() < limit
            assert not self.failures
            time.sleep(0.01)

    def join(self) -> None:
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive()


@pytest.mark.slow
@pytest.mark.parametrize("options", [(), ("--workers", "2")], ids=["one", "workers"])
@pytest.mark.parametrize("asked", [signal.SIGTERM, signal.SIGINT])
def test_what_was_answered_is_stored_and_no_answer_is_cut(
    tmp_path: Path, options: tuple[str, ...], asked: signal.Signals
) -> None:
    server = ServerProcess(tmp_path, *options)
    with TrackingClient(server.url) as client:
        run: str = client.post("runs/create", {"experiment_id": "0"})["run"]["info"]["run_id"]
    load = Load(server, run)
    load.wait(40)
    server.process.send_signal(asked)
    assert server.process.wait(timeout=30) == 0
    load.join()
    server.kill()
    assert load.failures == []

    again = ServerProcess(tmp_path)
    with TrackingClient(again.url) as client:
        for number, steps in enumerate(load.acknowledged):
            path = f"metrics/get-history?run_id={run}&metric_key=m{number}&max_results=25000"
            assert {point["step"] for point in client.get(path)["metrics"]} == set(steps)
    assert again.stop() == 0


def dial(server: ServerProcess) -> socket.socket:
    parts = urlsplit(server.url)
    return socket.create_connection((parts.hostname or "", parts.port or 0), timeout=30)


def wait_until_stopping(server: ServerProcess) -> None:
    """Wait until no connection is taken any more."""
    until = time.monotonic() + 20
    while True:
        try:
            dial(server).close()
        except ConnectionError:
            return
        assert time.monotonic() < until
        time.sleep(0.02)


def test_a_file_under_way_comes_to_its_end(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path)
    content = bytes(range(256)) * 20_000
    head = f"PUT {PROXY}0/a.bin HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(content)}\r\n\r\n"
    with dial(server) as connection:
        # The server knows the connection, then: one that it has not taken yet may be reset.
        connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        healthy = b""
        while not healthy.endswith(b"OK"):
            healthy += connection.recv(65536)
        connection.sendall(head.encode() + content[:1_000_000])
        server.process.send_signal(signal.SIGTERM)
        wait_until_stopping(server)
        connection.sendall(content[1_000_000:])
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"connection: close" in answer.lower()
    assert server.process.wait(timeout=30) == 0
    server.kill()
    assert (tmp_path / "artifacts" / "0" / "a.bin").read_bytes() == content


def test_who_takes_too_long_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPSTREAM_SERVER_SHUTDOWN_TIMEOUT", "0.5")
    server = ServerProcess(tmp_path)
    with dial(server) as connection:
        head = f"PUT {PROXY}0/a.bin HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000000\r\n\r\n"
        connection.sendall(head.encode() + bytes(3_000_000))
        assert server.stop() == 0
    assert [path for path in (tmp_path / "artifacts").rglob("*") if path.is_file()] == []


def wait_until_all_have_started(server: ServerProcess, count: int) -> None:
    seen: set[bytes] = set()
    until = time.monotonic() + 60
    while len(seen) < count:
        assert time.monotonic() < until
        with TrackingClient(server.url) as client:
            client.connection.request("GET", "/metrics")
            text = client.connection.getresponse().read()
        seen.update(re.findall(rb'worker="(\d+)"', text))


@pytest.mark.parametrize("options", [(), ("--workers", "2")], ids=["one", "workers"])
def test_a_second_signal_is_quicker(tmp_path: Path, options: tuple[str, ...]) -> None:
    server = ServerProcess(tmp_path, *options)
    with TrackingClient(server.url) as client:
        client.post("experiments/create", {"name": "kept"})
    wait_until_all_have_started(server, 2 if options else 0)
    # Another program holds the database, so the write that was asked for cannot end within the time.
    with closing(sqlite3.connect(tmp_path / "server.db", isolation_level=None)) as holder:
        holder.execute("BEGIN IMMEDIATE")
        with dial(server) as connection:
            body = b'{"name": "never"}'
            head = "POST /api/2.0/mlflow/experiments/create HTTP/1.1\r\nHost: localhost\r\n"
            head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.sendall(head.encode() + body)
            server.process.send_signal(signal.SIGTERM)
            wait_until_stopping(server)
            assert server.process.poll() is None
            server.process.send_signal(signal.SIGTERM)
            assert server.process.wait(timeout=5) == 1
        server.kill()
    again = ServerProcess(tmp_path)
    with TrackingClient(again.url) as client:
        found = client.get("experiments/search?max_results=10")["experiments"]
    assert {each["name"] for each in found} == {"Default", "kept"}
    assert again.stop() == 0
