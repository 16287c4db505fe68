"""The artifact store's contract: files below one root, by relative path.

All implementations pass `slipstream.testing.artifact_contract`. Paths go through `clean_path`; `""` is the root.
Methods may be called from several threads.
"""

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from slipstream.entities import FileInfo


class Reader(Protocol):
    """An open file. Close it, or use it in a `with` block."""

    def read(self, size: int = -1, /) -> bytes: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...


class Writer(Protocol):
    """A file that is being written. Nothing is seen of it before `commit`."""

    def write(self, data: bytes, /) -> object: ...

    def commit(self) -> int:
        """Put the file in its place, whole, and return its size. Nothing may be written afterwards."""
        ...

    def close(self) -> None:
        """Let go of it; what was not committed is thrown away. May be called more than once."""
        ...


class ArtifactStore(Protocol):
    def list(self, path: str = "") -> list[FileInfo]:
        """Return what is directly in a folder, sorted by path; nothing for a file or a missing folder.

        Paths are relative to the store's root.
        """
        ...

    def stat(self, path: str) -> FileInfo | None:
        """Return what is at a path, or `None`."""
        ...

    def open(self, path: str) -> Reader:
        """Open a file for reading.

        Raises:
            NotFoundError: there is no such file.
            InvalidParameterError: it is a folder.
        """
        ...

    def write(self, path: str, chunks: Iterable[bytes]) -> int:
        """Store a file under a path, replacing what was there, and return its size.

        The file appears whole or not at all: when `chunks` raises, nothing has changed. Retry-safe.
        """
        ...

    def create(self, path: str) -> Writer:
        """Begin a file for which the content comes piece by piece, when the caller cannot offer it as an iterable.

        A server uses it, so that a slow upload occupies no thread while it waits.
        """
        ...

    def delete(self, path: str) -> None:
        """Delete a file, or a folder with all that is in it; a missing one is fine. The root is refused."""
        ...

    def local_path(self, path: str = "") -> Path | None:
        """Return where the file or folder is on this machine, or `None` when it is elsewhere."""
        ...


class Signer(Protocol):
    """Signs addresses of files below artifact URIs that are straight in an object store, for a server."""

    @property
    def signs_uploads(self) -> bool:
        """Some artifacts may be where uploads can be signed for."""
        ...

    def upload(self, root_uri: str, path: str, seconds: int) -> tuple[str, dict[str, str]]:
        """Return an address to put a file to, and the headers to send."""
        ...

    def download(self, root_uri: str, path: str, seconds: int) -> tuple[str, int | None]:
        """Return an address to get a file from, and its size."""
        ...
