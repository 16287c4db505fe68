"""The short way for small files: GET and PUT of `mlflow-artifacts/artifacts/<path>` in a folder of this machine.

Only what is as usual goes this way: a whole small file, a plain request. Everything else, and everything that is wrong, takes
the long way, which says what it says. A GET is answered on the event loop, so only from a disk of this machine: a read of a
network disk may take for ever.
"""

import asyncio
import os
import stat as modes
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import lru_cache
from typing import NamedTuple

from slipstream.api.routing import AJAX, API
from slipstream.artifact_store.disks import is_on_local_disk, keeps_order
from slipstream.artifact_store.local import PARTIAL, LocalArtifactStore
from slipstream.artifact_store.small_writes import SmallWrite, SmallWrites, Written, open_folder
from slipstream.server.artifacts import PathInUrl, clean_url_path
from slipstream.server.dispatch import Answer, error_answer
from slipstream.server.file_headers import file_etag, headers_of_file
from slipstream.server.observer import Observer, RouteCounts

SMALL_FILE = 64 * 1024
"""Bytes up to which a file is small."""
_THREADS = 16
_LONGEST_URL = 1024
_KNOWN_PATHS = 4096
_FILE_FLAGS = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)

Headers = tuple[tuple[bytes, bytes], ...]


class SmallFile(NamedTuple):
    """A file that was read, to be sent."""

    content: bytes
    headers: Headers


class Upload(NamedTuple):
    """A small file that is to be written."""

    path: str


class _Sender(NamedTuple):
    loop: asyncio.AbstractEventLoop
    done: Callable[[Answer | None], None]


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
        self._prefixes: list[tuple[bytes, RouteCounts, RouteCounts]] = []
        for base in (API, AJAX):
            start = f"{base.removesuffix('mlflow/')}mlflow-artifacts/artifacts/"
            template = start + "{path:path}"
            counts = (observer.counts_of("GET", template), observer.counts_of("PUT", template))
            self._prefixes.append(((prefix + start).encode(), *counts))
        self._reads = os.open in os.supports_dir_fd and is_on_local_disk(store.root)
        self._together = (
            SmallWrites(store, _tell, keeps_order=keeps_order(store.root)) if self._reads else None
        )
        # A disk behind a network may keep one file waiting; the others go on.
        self._threads = (
            None if self._reads else ThreadPoolExecutor(_THREADS, thread_name_prefix="slipstream-files")
        )
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
            handle = open_folder(self._root, folders)
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
        """Write a file; on this thread's event loop `done` gets nothing when it is on the disk, else the error's answer."""
        tag = _Sender(asyncio.get_running_loop(), done)
        if self._together is not None:
            self._together.submit(SmallWrite(path, content, tag))
        elif self._threads is not None:
            self._threads.submit(self._write, path, content, tag)

    def _write(self, path: str, content: bytes, tag: "_Sender") -> None:
        try:
            self._store.write(path, [content])
        except Exception as error:  # noqa: BLE001  # whatever it is, the client is told
            _tell([Written(tag, error)])
        else:
            _tell([Written(tag, None)])

    def count(self, *, received: int = 0, sent: int = 0) -> None:
        self._observer.bytes_in += received
        self._observer.bytes_out += sent

    def close(self) -> None:
        if self._together is not None:
            self._together.close()
        if self._threads is not None:
            self._threads.shutdown()


def _tell(written: Sequence[Written]) -> None:
    """Tell those who sent files what became of them: one call for all of one loop."""
    loops = {one.tag.loop for one in written}
    for loop in loops:
        answers = [
            (one.tag.done, None if one.error is None else error_answer(one.error))
            for one in written
            if one.tag.loop is loop
        ]
        with suppress(RuntimeError):  # the loop is closed, and with it the connections
            loop.call_soon_threadsafe(_answer, answers)


def _answer(answers: Sequence[tuple[Callable[[Answer | None], None], Answer | None]]) -> None:
    for done, answer in answers:
        done(answer)


def _parse(encoded: bytes) -> PathInUrl | None:
    if b"?" in encoded or b"#" in encoded or encoded.endswith(b"/"):
        return None
    path = clean_url_path(encoded)
    if path is None or any(part.startswith(PARTIAL) for part in path.split("/")):
        return None
    return PathInUrl(path, headers_of_file(path))
