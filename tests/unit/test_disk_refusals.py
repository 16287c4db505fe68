"""What a disk refuses reaches users as an error of slipstream's, in process and over HTTP."""

import errno
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import slipstream
from slipstream import pyfunc
from slipstream.artifact_store.local import LocalArtifactStore
from slipstream.client import artifacts
from slipstream.client.transport import Transport
from slipstream.errors import InvalidParameterError, NotFoundError, StorageError
from slipstream.server.dispatch import error_answer

REFUSALS = [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM]
LONG = "/tmp/" + "n" * 300
LIMIT = 2_000_000


class Echo(pyfunc.PythonModel):
    def predict(self, model_input: Any) -> Any:
        return model_input


@pytest.fixture
def large_file(tmp_path: Path) -> Iterator[Path]:
    """Make a file that is larger than what this process may write from now on, as on a full disk."""
    resource = pytest.importorskip("resource")
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(LIMIT + 1)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(
        resource.RLIMIT_FSIZE, (LIMIT, before[1])
    )  # Python ignores the signal that goes with it
    yield large
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("number", REFUSALS)
def test_every_refusal_of_a_disk_is_one_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(*args: object) -> None:
        raise OSError(number, os.strerror(number))

    store = LocalArtifactStore(tmp_path)
    store.write("there", [b"x"])
    monkeypatch.setattr(os, "fsync", refuse)
    monkeypatch.setattr(os, "open", refuse)
    for call in (lambda: store.write("f", [b"x"]), lambda: store.open("there")):
        with pytest.raises(StorageError, match="'(f|there)'") as caught:
            call()
        assert error_answer(caught.value)[0] == 507


def test_a_full_disk_in_process(tracking: str, tmp_path: Path, large_file: Path) -> None:
    del tracking
    files: dict[str, Any] = {"python_model": Echo(), "artifacts": {"large": str(large_file)}}
    for call in (
        lambda: slipstream.log_artifact(large_file),
        lambda: slipstream.log_text("x" * (LIMIT + 1), "large.txt"),
        lambda: pyfunc.log_model(name="m", **files),
        lambda: pyfunc.save_model(tmp_path / "m", **files),
    ):
        with pytest.raises(StorageError, match="File too large"):
            call()
    assert not (tmp_path / "m").exists()


def test_a_full_disk_over_http(answering: Callable[..., str]) -> None:
    body = b'{"error_code": "INTERNAL_ERROR", "message": "There is no space left for \'x\'"}'
    tried: list[float] = []
    transport = Transport(answering(507, body), sleep=tried.append)
    with pytest.raises(StorageError, match="no space left for 'x'"):
        transport.upload("/x", [b"content"])
    assert tried == []  # trying again would be no use
    transport.close()


@pytest.fixture
def answering() -> Iterator[Callable[..., str]]:
    """Start a server that gives one answer to everything; returns its address."""
    import threading
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    servers: list[ThreadingHTTPServer] = []

    def start(status: int, body: bytes) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_PUT(self) -> None:  # the name that the server calls
                while self.rfile.readline().strip() not in (b"0", b""):
                    pass
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def test_names_that_no_disk_holds(tracking: str) -> None:
    del tracking
    for call in (
        lambda: slipstream.log_artifact(LONG),
        lambda: slipstream.log_artifacts(LONG),
        lambda: slipstream.log_text("x", "n" * 256),
        lambda: artifacts.download_artifacts(LONG),
        lambda: artifacts.load_text(LONG),
        lambda: pyfunc.load_model(LONG),
    ):
        with pytest.raises(InvalidParameterError, match="n" * 200):
            call()
    with pytest.raises(StorageError, match="too long"):
        pyfunc.save_model(LONG, python_model=Echo())


def test_no_temporary_folder(tracking: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    del tracking
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(StorageError, match="missing.*TMPDIR"):
        pyfunc.log_model(name="m", python_model=Echo())


def test_a_folder_that_is_missing_is_still_named(tracking: str) -> None:
    del tracking
    with pytest.raises(NotFoundError, match="does not exist"):
        slipstream.log_artifact("/tmp/no/such/file")
