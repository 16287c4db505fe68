"""The short way for writes decides as the long way does, and neither lets one connection fill the memory."""

import asyncio
import itertools
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import uvicorn

from server_process import ServerProcess
from slipstream.server.app import TrackingApp
from slipstream.server.fast import FastProtocol
from slipstream.server.options import ServerOptions

SHORT = "runs/log-metric"
LONG = "runs/search"
HEADERS = {
    "Host": ("localhost", "evil.example"),
    "Origin": ("http://localhost", "https://evil.example"),
    "Authorization": ("Bearer a", "Bearer b"),
    "Content-Type": ("application/json", "text/plain"),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    process = ServerProcess(tmp_path_factory.mktemp("fast"))
    yield process
    process.stop()


def exchange(server: ServerProcess, path: str, *headers: tuple[str, str]) -> tuple[int, str]:
    """Post `{}` with headers as they are and return status and body."""
    lines = [f"POST /api/2.0/mlflow/{path} HTTP/1.1", "Content-Length: 2", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers]
    parts = urlsplit(server.url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=20) as connection:
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n{}").encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b"")).decode()
    return int(answer.split()[1]), answer.partition("\r\n\r\n")[2]


@pytest.mark.parametrize("path", [SHORT, LONG])
@pytest.mark.parametrize("name", HEADERS)
def test_a_header_that_decides_comes_once(server: ServerProcess, path: str, name: str) -> None:
    plain = {"Host": "localhost", "Content-Type": "application/json"}
    for first, second in itertools.product(HEADERS[name], repeat=2):
        others = [(key, value) for key, value in plain.items() if key != name]
        status, body = exchange(server, path, *others, (name, first), (name, second))
        assert (status, body) == (400, f"The header {name} was sent 2 times. Send it once.")


def test_once_is_fine_on_both_ways(server: ServerProcess) -> None:
    for path, status in ((SHORT, 400), (LONG, 200)):
        answer = exchange(server, path, ("Host", "localhost"), ("Content-Type", "application/json"))
        assert answer[0] == status
        assert "header" not in answer[1].lower()


# -- pipelining -----------------------------------------------------------------------------------------


class Watched(FastProtocol):
    """Remembers how many requests of a connection waited at most."""

    most = 0

    def on_message_complete(self) -> None:
        super().on_message_complete()
        Watched.most = max(Watched.most, len(self.pipeline))


REQUESTS = 10_000
ONE = b"GET /nowhere HTTP/1.1\r\nHost: localhost\r\nX-Padding: " + b"x" * 1_000 + b"\r\n\r\n"
ANSWER = b"HTTP/1.1 404 Not Found"


async def pipelined(folder: Path) -> int:
    """Send all requests at once, and return how many answers came."""
    app = TrackingApp(
        ServerOptions(backend_store_uri=f"sqlite:///{folder}/s.db", artifacts_destination=str(folder / "a"))
    )
    await app.open()
    config = uvicorn.Config(app, log_level="warning", access_log=False, lifespan="off", proxy_headers=False)
    config.load()
    state: Any = uvicorn.server.ServerState()
    listening = await asyncio.get_running_loop().create_server(
        lambda: Watched(config=config, server_state=state, app_state={}), "127.0.0.1", 0
    )
    port = listening.sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def send() -> None:
        for _ in range(REQUESTS // 100):
            writer.write(ONE * 100)
            await writer.drain()

    sending = asyncio.create_task(send())
    answers = 0
    rest = b""
    while answers < REQUESTS:
        data = rest + await reader.read(1 << 20)
        answers += data.count(ANSWER)
        rest = data[data.rfind(ANSWER) + len(ANSWER) :][-len(ANSWER) + 1 :]
    await sending
    writer.close()
    await writer.wait_closed()
    listening.close()
    await listening.wait_closed()
    app.close()
    return answers


@pytest.mark.slow
def test_ten_thousand_requests_at_once_wait_in_the_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Watched, "most", 0)
    assert asyncio.run(pipelined(tmp_path)) == REQUESTS
    # As many as one reading from the socket brings, and not all that was sent.
    assert 0 < Watched.most < REQUESTS // 10
