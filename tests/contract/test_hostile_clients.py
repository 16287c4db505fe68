"""Clients that send half of something, nothing, or nonsense: others are answered, and nothing half-written is shown."""

import os
import random
import select
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from server_process import ServerProcess
from tracking_client import TrackingClient

SILENT = 200
IDLE_SECONDS = 2
PROXY = "/api/2.0/mlflow-artifacts/artifacts/"
pytestmark = pytest.mark.slow


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServerProcess]:
    monkeypatch.setenv("SLIPSTREAM_SERVER_IDLE_TIMEOUT", str(IDLE_SECONDS))
    process = ServerProcess(tmp_path)
    yield process
    assert process.process.poll() is None, "".join(process.lines)
    assert process.stop() == 0


def dial(server: ServerProcess) -> socket.socket:
    parts = urlsplit(server.url)
    return socket.create_connection((parts.hostname or "", parts.port or 0), timeout=30)


def rest_of(connection: socket.socket) -> bytes:
    """Return what the server sends until it hangs up, in whatever way."""
    received = b""
    try:
        while chunk := connection.recv(65536):
            received += chunk
    except ConnectionResetError:
        pass
    return received


def post(path: str, body: bytes, announced: int | None = None) -> bytes:
    length = len(body) if announced is None else announced
    head = f"POST /api/2.0/mlflow/{path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return head.encode() + b"Content-Length: %d\r\n\r\n" % length + body


# What each connection says before it falls silent, and what it is told when its time is over.
HALVES = {
    "nothing": (b"", b""),
    "half a head": (b"POST /api/2.0/mlflow/runs/create HTTP/1.1\r\nHost: loc", b"HTTP/1.1 408"),
    "half a body": (post("experiments/create", b'{"name": "half', 100), b"HTTP/1.1 408"),
    "half a long body": (
        post("experiments/search", b'{"max_results": 1', 100),
        b"HTTP/1.1 408",
    ),
    "empty lines": (b"\r\n\r\n\r\n", b""),
    "a request, then empty lines": (
        b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n\r\n\r\n",
        b"HTTP/1.1 200",
    ),
}


@pytest.mark.parametrize("kind", HALVES)
def test_many_that_fall_silent_keep_nobody_else_waiting(server: ServerProcess, kind: str) -> None:
    said, told = HALVES[kind]
    with ExitStack() as stack:
        connections = [stack.enter_context(dial(server)) for _ in range(SILENT)]
        for connection in connections:
            connection.sendall(said)
        client = stack.enter_context(TrackingClient(server.url, timeout_seconds=IDLE_SECONDS))
        for number in range(50):
            client.post("experiments/create", {"name": f"e{number}"})
            assert client.get(f"experiments/get-by-name?experiment_name=e{number}")
        for connection in connections:
            assert rest_of(connection).startswith(told)
    with TrackingClient(server.url) as client:
        found = client.get("experiments/search?max_results=1000")["experiments"]
    assert {each["name"] for each in found} == {"Default", *(f"e{number}" for number in range(50))}


def test_a_head_that_comes_letter_by_letter_has_an_end(server: ServerProcess) -> None:
    with dial(server) as connection:
        began = time.monotonic()
        connection.sendall(b"GET /health HTTP/1.1\r\nX-Slow: ")
        while not select.select([connection], [], [], IDLE_SECONDS / 10)[0]:
            assert time.monotonic() - began < 60, "the head may go on for ever"
            connection.sendall(b"x")
        assert rest_of(connection).startswith(b"HTTP/1.1 408")


def test_a_body_that_comes_slowly_but_comes_is_taken(server: ServerProcess) -> None:
    with dial(server) as connection:
        body = b'{"name": "slow and steady"}'
        sent = post("experiments/create", b"", len(body))
        connection.sendall(sent)
        for index in range(len(body)):
            connection.sendall(body[index : index + 1])
            assert not select.select([connection], [], [], IDLE_SECONDS / 10)[0] or index == len(body) - 1
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")


def test_half_of_a_batch_or_a_file_is_never_seen(server: ServerProcess, tmp_path: Path) -> None:
    with TrackingClient(server.url) as client:
        run = client.post("runs/create", {"experiment_id": "0"})["run"]["info"]["run_id"]
        batch = b'{"run_id": "%b", "params": [%b]}' % (
            run.encode(),
            b", ".join(b'{"key": "p%d", "value": "v"}' % number for number in range(90)),
        )
        for cut in (1, len(batch) // 2, len(batch) - 1):
            with dial(server) as connection:
                connection.sendall(post("runs/log-batch", batch[:cut], len(batch)))
            with dial(server) as connection:
                head = f"PUT {PROXY}0/{run}/artifacts/f{cut}.bin HTTP/1.1\r\nHost: localhost\r\n"
                connection.sendall(head.encode() + b"Content-Length: 5000000\r\n\r\n" + bytes(cut * 500))
            with dial(server) as connection:
                chunk = b"%x\r\n%b\r\n" % (cut, bytes(cut))
                connection.sendall(head.encode() + b"Transfer-Encoding: chunked\r\n\r\n" + chunk)
        assert "params" not in client.get(f"runs/get?run_id={run}")["run"]["data"]
        assert "files" not in client.get(f"artifacts/list?run_id={run}")
        client.connection.request("PUT", f"{PROXY}0/{run}/artifacts/whole.bin", b"whole")
        assert client.connection.getresponse().read() is not None
        assert [file["path"] for file in client.get(f"artifacts/list?run_id={run}")["files"]] == ["whole.bin"]
    until = time.monotonic() + 20
    while [name for _, _, names in os.walk(tmp_path / "artifacts") for name in names] != ["whole.bin"]:
        assert time.monotonic() < until, "what was cut off is still on the disk"
        time.sleep(0.05)


def test_garbage(server: ServerProcess) -> None:
    noise = random.Random(7)
    samples = [noise.randbytes(noise.randrange(1, 3000)) for _ in range(100)]
    samples += [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS on a port without it
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET " + b"/" * 70_000 + b" HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc",
    ]
    with TrackingClient(server.url) as client:
        for sample in samples:
            with dial(server) as connection:
                try:
                    connection.sendall(sample)
                    connection.shutdown(socket.SHUT_WR)
                except (BrokenPipeError, ConnectionResetError, OSError):
                    pass  # it was refused before its end
                answer = rest_of(connection)
                assert answer == b"" or answer.split()[1][:1] == b"4", answer[:200]
        assert client.get("experiments/search?max_results=10")["experiments"][0]["name"] == "Default"
