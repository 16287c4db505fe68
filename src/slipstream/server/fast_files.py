"""The short way for small files: GET and PUT of `mlflow-artifacts/artifacts/<path>` in a folder of this machine.

Only what is as usual goes this way: a whole small file, a plain request. Everything else, and everything that is wrong, takes
the long way, which says what it says. A GET is answered on the event loop, so only from a disk of this machine: a read of a
network disk may take for ever.
"""

import os
import stat as modes
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from slipstream.api.routing import AJAX, API
from slipstream.artifact_store.local import PARTIAL, LocalArtifactStore
from slipstream.server.artifacts import PathInUrl, clean_url_path
from slipstream.server.dispatch import Answer, error_answer
from slipstream.server.file_headers import file_etag, headers_of_file
from slipstream.server.observer import Observer, RouteCounts

SMALL_FILE = 64 * 1024
"""Bytes up to which a file is small."""
_THREADS = 16
_LONGEST_URL = 1024
_KNOWN_PATHS = 4096
_LOCAL_DISKS = frozenset({"ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "zfs", "overlay", "tmpfs"})
_MOUNTS = Path("/proc/self/mountinfo")
_FOLDER_FLAGS = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
_FILE_FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)

Headers = tuple[tuple[bytes, bytes], ...]


class SmallFile(NamedTuple):
    """A file that was read, to be sent."""

    content: bytes
    headers: Headers


class Upload(NamedTuple):
    """A small file that is to be written."""

    path: str


class FastFiles:
    """The files below one artifact root.

    Args:
        store: the root.
        prefix: what precedes every path of the server (`--static-prefix`).
        observer: where answers are counted.
    """

    def __init__(self, store: LocalArtifactStore, prefix: str, observer: Observer) -> None:
        self._store = store
        self._root = str(store.root)
        self._observer = observer
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="slipstream-files")
        self._prefixes: list[tuple[bytes, RouteCounts, RouteCounts]] = []
        for base in (API, AJAX):
            start = f"{base.removesuffix('mlflow/')}mlflow-artifacts/artifacts/"
            template = start + "{path:path}"
            counts = (observer.counts_of("GET", template), observer.counts_of("PUT", template))
            self._prefixes.append(((prefix + start).encode(), *counts))
        self._reads = os.open in os.supports_dir_fd and is_on_local_disk(store.root)
        self._parse = lru_cache(maxsize=_KNOWN_PATHS)(_parse)

    def find(self, url: bytes) -> tuple[PathInUrl, RouteCounts, RouteCounts] | None:
        """Return the path in a URL as it was sent, and where GETs and PUTs of it are counted; `None` for anything odd."""
        for prefix, gets, puts in self._prefixes:
            if url.startswith(prefix):
                if len(url) > _LONGEST_URL:
                    return None
                path = self._parse(url[len(prefix) :])
                return None if path is None else (path, gets, puts)
        return None

    def read(self, path: PathInUrl) -> SmallFile | None:
        """Read a small file; `None` where the long way has to look: a large one, none, a link, a folder, an error."""
        if not self._reads:
            return None
        *folders, name = path.clean.split("/")
        handle = -1
        try:
            # No link is followed below the root, so it cannot be left; the root itself may be one.
            handle = os.open(self._root, _FOLDER_FLAGS & ~getattr(os, "O_NOFOLLOW", 0))
            for folder in folders:
                above, handle = handle, os.open(folder, _FOLDER_FLAGS, dir_fd=handle)
                os.close(above)
            above, handle = handle, os.open(name, _FILE_FLAGS, dir_fd=handle)
            os.close(above)
            status = os.fstat(handle)
            if not modes.S_ISREG(status.st_mode) or status.st_size > SMALL_FILE:
                return None
            content = os.read(handle, status.st_size + 1)
            if len(content) != status.st_size:
                return None
        except OSError:
            return None
        finally:
            if handle >= 0:
                os.close(handle)
        return SmallFile(content, (*path.headers, (b"etag", file_etag(status).encode())))

    def write(self, path: str, content: bytes, done: Callable[[Answer | None], None]) -> None:
        """Write a file in a thread; `done` gets nothing when it is on the disk, else the error's answer, in that thread."""
        self._threads.submit(self._write, path, content, done)

    def _write(self, path: str, content: bytes, done: Callable[[Answer | None], None]) -> None:
        try:
            self._store.write(path, [content])
        except Exception as error:  # noqa: BLE001  # whatever it is, the client is told
            done(error_answer(error))
        else:
            done(None)

    def count(self, *, received: int = 0, sent: int = 0) -> None:
        self._observer.bytes_in += received
        self._observer.bytes_out += sent

    def close(self) -> None:
        self._threads.shutdown()


def _parse(encoded: bytes) -> PathInUrl | None:
    if b"?" in encoded or b"#" in encoded or encoded.endswith(b"/"):
        return None
    path = clean_url_path(encoded)
    if path is None or any(part.startswith(PARTIAL) for part in path.split("/")):
        return None
    return PathInUrl(path, headers_of_file(path))


def is_on_local_disk(folder: Path) -> bool:
    """Tell whether a folder is surely on a disk of this machine; only Linux tells."""
    try:
        lines = _MOUNTS.read_text("utf-8", "replace").splitlines()
    except OSError:
        return False
    real = os.path.realpath(folder)
    kind, longest = "", -1
    for line in lines:
        before, _, after = line.partition(" - ")
        point = before.split(" ")[4].encode().decode("unicode_escape")
        inside = real == point or real.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= longest:  # of two on one point the later hides the earlier
            kind, longest = after.split(" ", 1)[0], len(point)
    return kind in _LOCAL_DISKS
