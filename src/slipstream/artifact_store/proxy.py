"""Artifacts behind a tracking server: `mlflow-artifacts:/path`, or the address in full, over HTTP."""

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from slipstream.artifact_store.base import Reader
from slipstream.artifact_store.http_sender import Body, HttpSender
from slipstream.artifact_store.paths import PROXY_ROUTE, clean_path
from slipstream.artifact_store.proxy_uploads import ProxyUploads
from slipstream.entities import FileInfo
from slipstream.errors import InvalidParameterError

ROUTE = PROXY_ROUTE
_PIECE_BYTES = 1 << 20


def is_http(uri: str) -> bool:
    """Tell whether a URI is the address of an artifact on a server, in full."""
    return uri.lower().startswith(("http://", "https://"))


def split_http_root(uri: str, field: str = "artifact_uri") -> tuple[str, str]:
    """Split `http(s)://server/api/2.0/mlflow-artifacts/artifacts/path` into the server's address and the path.

    Raises:
        InvalidParameterError: it is the address of something else.
    """
    try:
        parts = urlsplit(uri)
        host, _ = parts.hostname, parts.port  # the port is read only to have it checked
    except ValueError as error:
        raise InvalidParameterError(
            f"'{field}' is no address: {error}. Write http://host:port{ROUTE}"
        ) from error
    prefix, route, path = parts.path.partition(ROUTE)
    if not host or not route or path[:1] not in ("", "/") or parts.query or parts.fragment:
        shown = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
        raise InvalidParameterError(
            f"'{field}' {shown!r} is not the artifact API of a tracking server, and nothing else over HTTP keeps "
            f"artifacts. Write http://host:port{ROUTE}, followed by a folder if need be."
        )
    return urlunsplit((parts.scheme.lower(), parts.netloc, prefix, "", "")), unquote(path.lstrip("/"))


class ProxyArtifactStore:
    """Files below a path of the server's artifact root."""

    def __init__(self, uri: str, sender: HttpSender) -> None:
        path = split_http_root(uri)[1] if is_http(uri) else urlsplit(uri).path.lstrip("/")
        self._root = clean_path(path)
        self._sender = sender

    def uploads(self) -> ProxyUploads:
        """Return what uploads in parts, if the server takes them."""
        return ProxyUploads(self._root, self._sender)

    def _full(self, path: str) -> str:
        return "/".join(part for part in (self._root, clean_path(path)) if part)

    def _url(self, path: str) -> str:
        return f"{ROUTE}/{quote(self._full(path))}"

    def list(self, path: str = "") -> list[FileInfo]:
        clean = clean_path(path)
        answer: Mapping[str, Any] = json.loads(
            self._sender.call("GET", ROUTE, query=[("path", self._full(clean))]) or b"{}"
        )
        found = [
            FileInfo(
                f"{clean}/{each['path']}" if clean else each["path"], each["is_dir"], each.get("file_size")
            )
            for each in answer.get("files", ())
        ]
        return sorted(found, key=lambda info: info.path)

    def stat(self, path: str) -> FileInfo | None:
        clean = clean_path(path)
        if not clean:
            return FileInfo("", is_dir=True)
        parent = clean.rpartition("/")[0]
        return next((info for info in self.list(parent) if info.path == clean), None)

    def open(self, path: str) -> Reader:
        if not clean_path(path):
            raise InvalidParameterError("The artifact root is a folder; list it, or name a file in it")
        return _Download(self._sender.download_file(self._url(path)))

    def write(self, path: str, chunks: Iterable[bytes]) -> int:
        if not clean_path(path):
            raise InvalidParameterError("Cannot write to the artifact root itself; name a file")
        counted = _Counted(chunks)
        # An iterator can be sent once; only what can be iterated again may be tried again.
        self._sender.upload(self._url(path), iter(counted) if iter(chunks) is chunks else counted)
        return counted.size

    def create(self, path: str) -> "_SpooledWriter":
        if not clean_path(path):
            raise InvalidParameterError("Cannot write to the artifact root itself; name a file")
        return _SpooledWriter(self, path)

    def delete(self, path: str) -> None:
        if not clean_path(path):
            raise InvalidParameterError(
                "Refusing to delete the artifact root itself; name a file or folder in it"
            )
        self._sender.call("DELETE", self._url(path))

    def local_path(self, path: str = "") -> Path | None:
        clean_path(path)
        return None


class _Counted:
    """Chunks, and how many bytes the last pass over them had."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = chunks
        self.size = 0

    def __iter__(self) -> Iterator[bytes]:
        self.size = 0
        for chunk in self._chunks:
            self.size += len(chunk)
            yield chunk


class _FilePieces:
    """The content of an open file, from its start at each pass."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def __iter__(self) -> Iterator[bytes]:
        self._file.seek(0)
        while piece := self._file.read(_PIECE_BYTES):
            yield piece


class _SpooledWriter:
    """Collects a file in a temporary one, since a request body cannot be pushed piece by piece."""

    def __init__(self, store: ProxyArtifactStore, path: str) -> None:
        self._store = store
        self._path = path
        self._file = tempfile.TemporaryFile()  # noqa: SIM115  # closed by `close`

    def write(self, data: bytes, /) -> None:
        self._file.write(data)

    def commit(self) -> int:
        return self._store.write(self._path, _FilePieces(self._file))

    def close(self) -> None:
        self._file.close()


class _Download:
    """An open download, as a `Reader`."""

    def __init__(self, exchange: AbstractContextManager[Body]) -> None:
        self._exchange = exchange
        self._body = exchange.__enter__()

    def read(self, size: int = -1, /) -> bytes:
        return self._body.read(None if size < 0 else size)

    def close(self) -> None:
        self._exchange.__exit__(None, None, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._exchange.__exit__(kind, error, trace)
