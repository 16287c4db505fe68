"""A proxy in front of a server that behaves as bad networks do, by a seed: drops, delays, cuts, and says things twice."""

import random
import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

_PIECE = 65536


class FlakyProxy:
    """Listens on a port of 127.0.0.1; `storm` and `calm` say whether it misbehaves. Each request has a connection of its own."""

    def __init__(self, target: str, generator: random.Random) -> None:
        parts = urlsplit(target)
        self._target = (parts.hostname or "", parts.port or 80)
        self._random = generator
        self._lock = threading.Lock()
        self._stormy = False
        self.faults = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def storm(self) -> None:
        self._stormy = True

    def calm(self) -> None:
        self._stormy = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            while request := _read_message(client):
                fault = self._choose()
                if fault == "drop":  # it never arrives
                    return
                if fault == "cut":  # half of it arrives
                    with socket.create_connection(self._target) as server:
                        server.sendall(request[: len(request) // 2])
                    return
                if fault == "delay":
                    threading.Event().wait(0.05)
                answer = self._ask(request)
                if fault == "double":  # the network repeats it later
                    answer = self._ask(request)
                if not answer:  # the server was killed meanwhile
                    return
                if fault == "lose":  # the server has done it, and nobody hears of it
                    return
                if fault == "truncate":
                    client.sendall(answer[: max(1, len(answer) - 5)])
                    return
                client.sendall(answer)

    def _ask(self, request: bytes) -> bytes:
        with socket.create_connection(self._target) as server:
            server.sendall(request)
            return _read_message(server)

    def _choose(self) -> str | None:
        with self._lock:
            if not self._stormy or self._random.random() < 0.3:
                return None
            self.faults += 1
            return self._random.choice(("drop", "cut", "delay", "double", "lose", "lose", "truncate"))


def _read_message(connection: socket.socket) -> bytes:
    """Return one whole HTTP message; empty when there is none."""
    content = b""
    while b"\r\n\r\n" not in content:
        piece = connection.recv(_PIECE)
        if not piece:
            return b""
        content += piece
    head, _, body = content.partition(b"\r\n\r\n")
    length = 0
    chunked = False
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.strip().lower() == b"content-length":
            length = int(value)
        chunked = chunked or (name.strip().lower() == b"transfer-encoding" and b"chunked" in value)
    while len(body) < length or (chunked and not body.endswith(b"0\r\n\r\n")):
        piece = connection.recv(_PIECE)
        if not piece:
            return b""
        body += piece
    return head + b"\r\n\r\n" + body
