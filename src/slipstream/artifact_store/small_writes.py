"""Many small files at a time, in a folder of this machine.

What waits is written as one group: all files, then their contents onto the disk, then all names, then each folder once. So
files share what is dear: the waits for the disk, the looks at folders, and the hops between threads. The promise is that of
`LocalArtifactStore.write`: who is told of a file finds it whole, after a power cut too, and nobody sees half of one.
"""

import ctypes
import os
import secrets
import stat as modes
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import Any, NamedTuple

from slipstream.artifact_store.local import DEEPEST, SMALL_PARTIAL, LocalArtifactStore, explained, lock_file

GROUP = 64
"""Files of a group at most; each holds its content in memory and a file open."""
_SYNCERS = 4
_ALONE = 3
"""Up to so many files are synced one after the other: handing them to threads costs more."""
_FOLDER_FLAGS = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
_NEW_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
_START_WRITING = 2
"""`SYNC_FILE_RANGE_WRITE`."""


class SmallWrite(NamedTuple):
    """A file that waits for its group."""

    path: str
    content: bytes
    tag: Any
    """What its sender knows it by."""


class Written(NamedTuple):
    """What became of a file: it is there, or why not."""

    tag: Any
    error: Exception | None


class _Begun:
    """A file that is written under a name nobody looks at."""

    __slots__ = ("error", "folder", "handle", "name", "partial", "write")

    def __init__(self, write: SmallWrite, folder: int, name: str, partial: str, handle: int) -> None:
        self.write = write
        self.folder = folder
        self.name = name
        self.partial = partial
        self.handle = handle
        self.error: Exception | None = None


class SmallWrites:
    """Writes files below an artifact root, on a thread of its own.

    Args:
        store: the root, on a disk of this machine.
        tell: gets what became of the files of a group, in that thread; must not raise.
    """

    def __init__(self, store: LocalArtifactStore, tell: Callable[[list[Written]], None]) -> None:
        self._store = store
        self._root = str(store.root)
        self._tell = tell
        self._waiting: SimpleQueue[SmallWrite | None] = SimpleQueue()
        self._names = secrets.token_hex(8)
        self._number = 0
        self._syncers = ThreadPoolExecutor(_SYNCERS, thread_name_prefix="slipstream-sync")
        self._thread = Thread(target=self._work, name="slipstream-small-files", daemon=True)
        self._thread.start()

    def submit(self, write: SmallWrite) -> None:
        self._waiting.put(write)

    def close(self) -> None:
        """Write what waits, and end."""
        self._waiting.put(None)
        self._thread.join()
        self._syncers.shutdown()

    def _work(self) -> None:
        while True:
            first = self._waiting.get()
            if first is None:
                return
            group = [first]
            for _ in range(min(self._waiting.qsize(), GROUP - 1)):
                another = self._waiting.get()
                if another is None:  # that was the last of all
                    self._waiting.put(None)
                    break
                group.append(another)
            self._tell(self._write(group))

    def _write(self, group: list[SmallWrite]) -> list[Written]:
        begun: list[_Begun] = []
        told: list[Written] = []
        folders: dict[str, int] = {}
        try:
            for write in group:
                try:
                    one = self._begin(write, folders)
                except Exception as error:  # noqa: BLE001  # whatever it is, the client is told
                    told.append(Written(write.tag, error))
                else:
                    if one is None:
                        told.append(self._write_alone(write))
                    else:
                        begun.append(one)
            if self._store.syncs:
                self._sync(begun)
            self._finish(begun)
            told.extend(Written(one.write.tag, one.error) for one in begun)
        finally:
            for handle in folders.values():
                os.close(handle)
        return told

    def _write_alone(self, write: SmallWrite) -> Written:
        try:
            self._store.write(write.path, [write.content])
        except Exception as error:  # noqa: BLE001  # whatever it is, the client is told
            return Written(write.tag, error)
        return Written(write.tag, None)

    # -- one file -------------------------------------------------------------------------------------------
    def _begin(self, write: SmallWrite, folders: dict[str, int]) -> _Begun | None:
        """Write a file under a name of its own; `None` where it has to be looked at more closely."""
        above, _, name = write.path.rpartition("/")
        folder = folders.get(above)
        if folder is None:
            opened = self._open_folder(write.path, above)
            if opened is None:
                return None
            folder = folders[above] = opened
        if not _is_free_or_a_file(name, folder):
            return None
        self._number += 1
        partial = f"{SMALL_PARTIAL}{self._names}-{self._number}"
        with explained(write.path):
            try:
                handle = os.open(partial, _NEW_FLAGS, 0o666, dir_fd=folder)
            except FileNotFoundError:  # the folder has been deleted since
                return None
            try:
                lock_file(handle)
                _write_all(handle, write.content)
                if self._store.syncs and _start_writing is not None:
                    _start_writing(handle)
            except BaseException:
                os.close(handle)
                os.unlink(partial, dir_fd=folder)
                raise
        return _Begun(write, folder, name, partial, handle)

    def _open_folder(self, path: str, above: str) -> int | None:
        parts = above.split("/") if above else []
        if len(parts) > DEEPEST:
            return None
        try:
            return open_folder(self._root, parts)
        except OSError:
            self._store.prepare(path)  # says what is wrong, or makes what is missing
        try:
            return open_folder(self._root, parts)
        except OSError:  # a link that leads to somewhere inside
            return None

    # -- all of a group -------------------------------------------------------------------------------------
    def _sync(self, begun: Sequence[_Begun]) -> None:
        if len(begun) <= _ALONE:
            _sync_each(begun)
            return
        slices = [begun[k::_SYNCERS] for k in range(1, _SYNCERS)]
        others: list[Future[None]] = [self._syncers.submit(_sync_each, part) for part in slices if part]
        _sync_each(begun[0::_SYNCERS])
        for other in others:
            other.result()

    def _finish(self, begun: Sequence[_Begun]) -> None:
        """Put each whole file in its place, and make that last; those that failed go."""
        changed: dict[int, list[_Begun]] = {}
        for one in begun:
            os.close(one.handle)
            if one.error is None:
                try:
                    os.replace(one.partial, one.name, src_dir_fd=one.folder, dst_dir_fd=one.folder)
                except OSError:  # a folder came to have the name, or its own folder went: the long way says so
                    one.error = self._write_alone(one.write).error
                else:
                    changed.setdefault(one.folder, []).append(one)
                    continue
            with suppress(OSError):  # it has gone with its folder, or `abandoned.py` will find it
                os.unlink(one.partial, dir_fd=one.folder)
        if self._store.syncs:
            for folder, those in changed.items():
                _sync_folder(folder, those)


def open_folder(root: str, parts: Sequence[str]) -> int:
    """Open a folder below a root without following links, so that the root cannot be left; the root itself may be one.

    Raises:
        OSError: there is no such folder, or a link is on the way.
    """
    handle = os.open(root, _FOLDER_FLAGS & ~getattr(os, "O_NOFOLLOW", 0))
    for part in parts:
        above = handle
        try:
            handle = os.open(part, _FOLDER_FLAGS, dir_fd=above)
        finally:
            os.close(above)
    return handle


def _is_free_or_a_file(name: str, folder: int) -> bool:
    try:
        return modes.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return True
    except OSError:  # too long a name, and what else there is
        return False


def _write_all(handle: int, content: bytes) -> None:
    written = os.write(handle, content)
    while written < len(content):  # the disk is all but full: the next one says so
        written += os.write(handle, content[written:])


def _sync_each(begun: Sequence[_Begun]) -> None:
    for one in begun:
        try:
            with explained(one.write.path):
                _sync_data(one.handle)
        except Exception as error:  # noqa: BLE001  # whatever it is, the client is told
            one.error = error


def _sync_folder(folder: int, those: Sequence[_Begun]) -> None:
    try:
        with explained(those[0].write.path):
            os.fsync(folder)
    except Exception as error:  # noqa: BLE001  # whatever it is, the clients are told
        for one in those:
            one.error = error


_sync_data = getattr(os, "fdatasync", os.fsync)
"""Content, and what finds it again, such as the size; not the times."""


def _starter() -> Callable[[int], object] | None:
    """Return what has the system begin to write a file's content, without waiting for it; only Linux can."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        function = ctypes.CDLL(None, use_errno=True).sync_file_range
    except (OSError, AttributeError):  # no such call in this C library
        return None
    function.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)
    return lambda handle: function(handle, 0, 0, _START_WRITING)


_start_writing = _starter()
"""Only a hint: what it does and what fails is found by the sync that follows."""
