"""A server that is killed while small files are uploaded: what it answered is there and whole, and nobody sees a half."""

import hashlib
import http.client
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from server_process import ServerProcess
from slipstream.artifact_store.local import PARTIAL, SMALL_PARTIAL, LocalArtifactStore

FILES = "/api/2.0/mlflow-artifacts/artifacts/"
CLIENTS = 16
NAMES = 8
"""That each client writes again and again; every other file has a name of its own."""


def content_of(number: int) -> bytes:
    """Return a file that says which it is and whether it is whole."""
    text = (f"{number} " * 500).encode()
    return hashlib.sha256(text).hexdigest().encode() + b" " + text


def number_in(content: bytes) -> int:
    digest, _, text = content.partition(b" ")
    assert hashlib.sha256(text).hexdigest().encode() == digest, "half a file"
    return int(text.split(b" ", 1)[0])


class Client:
    """Uploads until the server is gone."""

    def __init__(self, url: str, name: str, enough: threading.Event) -> None:
        self.answered: dict[str, int] = {}
        self.sent: dict[str, int] = {}
        self.odd: list[int] = []
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
        self._name = name
        self._enough = enough
        self.thread = threading.Thread(target=self._upload)
        self.thread.start()

    def _upload(self) -> None:
        number = 0
        try:
            while True:
                number += 1
                own = f"again{number % NAMES}" if number % 2 else f"new{number}"
                path = f"{self._name}/{number % 3}/{own}"
                self.sent[path] = number
                self._connection.request("PUT", FILES + path, content_of(number))
                response = self._connection.getresponse()
                response.read()
                if response.status != 200:
                    self.odd.append(response.status)
                self.answered[path] = number
                if number == 40:
                    self._enough.set()
        except (OSError, http.client.HTTPException):  # it was killed
            return
        finally:
            self._connection.close()


@pytest.mark.parametrize("durability", ["full", "normal"])
def test_what_was_answered_is_there(durability: str, tmp_path: Path) -> None:
    root = tmp_path / "artifacts"
    for _ in range(3):
        server = ServerProcess(tmp_path, "--durability", durability)
        enough = threading.Event()
        clients = [Client(server.url, f"client{number}", enough) for number in range(CLIENTS)]
        assert enough.wait(60)
        server.kill()
        for client in clients:
            client.thread.join(30)
            assert not client.thread.is_alive()
            assert client.odd == []
        assert sum(len(client.answered) for client in clients) > CLIENTS
        store = LocalArtifactStore(root)
        for client in clients:
            for path, number in client.answered.items():
                # The last request may have been carried out, but not answered.
                assert number_in((root / path).read_bytes()) in (number, client.sent[path])
        for folder in root.glob("*/*"):
            for info in store.list(folder.relative_to(root).as_posix()):
                assert PARTIAL not in info.path
                number_in((root / info.path).read_bytes())

    left = root / "client0" / f"{SMALL_PARTIAL}left"  # be it that none was under way
    left.write_bytes(b"half")
    server = ServerProcess(tmp_path)
    try:
        deadline = time.monotonic() + 20
        while (there := list(root.rglob(f"{PARTIAL}*"))) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert there == []
    finally:
        assert server.stop() == 0
