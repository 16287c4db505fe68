"""Many small files at a time, in a folder of this machine.

What waits is written as one group: all files, then their contents onto the disk, then all names, then each folder once. So
files share what is dear: the waits for the disk, the looks at folders, and the hops between threads. The promise is that of
`LocalArtifactStore.write`: who is told of a file finds it whole, after a power cut too, and nobody sees half of one. See
docs/decisions/0012.
"""

import os
import secrets
import stat as modes
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import count
from threading import Condition, Lock, Thread
from typing import Any, NamedTuple

from slipstream.artifact_store.local import (
    DEEPEST,
    PARTIAL,
    SMALL_PARTIAL,
    LocalArtifactStore,
    explain,
    explained,
)
from slipstream.artifact_store.many_syncs import ManySyncs
from slipstream.artifact_store.quick_calls import (
    close_file,
    rename_to_free_name,
    start_writing,
    wait_until_written,
)

GROUP = 64
"""Files of a group at most; each holds its content in memory and a file open."""
_THREADS = 4
_SLOW_SECONDS = 0.001
_FOLDER_FLAGS = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0)
_NEW_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)


class SmallWrite(NamedTuple):
    """A file that waits for its group."""

    path: str
    """As `clean_path` returns it."""
    content: bytes
    tag: Any
    """What its sender knows it by."""


class Written(NamedTuple):
    """What became of a file: it is there, or why not."""

    tag: Any
    error: Exception | None


class _Begun:
    """A file that is written under a name nobody looks at."""

    __slots__ = ("error", "folder", "handle", "is_placed", "name", "partial", "write")

    def __init__(self, write: SmallWrite, folder: int, name: str, partial: str, handle: int) -> None:
        self.write = write
        self.folder = folder
        self.name = name
        self.partial = partial
        self.handle = handle
        self.error: Exception | None = None
        self.is_placed = False


class SmallWrites:
    """Writes files below an artifact root, on threads of its own.

    One of them is at work at a time: on one interpreter more would only be in each other's way, and a folder that one file
    found missing is on the disk before the next is put into it. Where the disk is slow, the next group begins while one waits.

    Args:
        store: the root, on a disk of this machine.
        tell: gets what became of the files of a group, in that thread; must not raise.
        keeps_order: the file system never has a new name on the disk without what was given to the disk before.
    """

    def __init__(
        self,
        store: LocalArtifactStore,
        tell: Callable[[list[Written]], None],
        *,
        keeps_order: bool = False,
    ) -> None:
        self._store = store
        self._keeps_order = keeps_order
        self._root = str(store.root)
        self._tell = tell
        self._names = secrets.token_hex(8)
        self._numbers = count()
        self._waiting: deque[SmallWrite] = deque()
        self._lock = Lock()
        self._may_begin = Condition(self._lock)
        self._may_go_on = Condition(self._lock)
        self._going_on = 0
        """Threads that have waited for the disk and want to work again; they come first."""
        self._is_at_work = False
        self._is_closed = False
        self._sync_seconds = 0.0
        self._threads = [
            Thread(target=self._work, name=f"slipstream-small-files-{number}", daemon=True)
            for number in range(_THREADS)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, write: SmallWrite) -> None:
        with self._lock:
            self._waiting.append(write)
            if not self._is_at_work:
                self._may_begin.notify()

    def close(self) -> None:
        """Write what waits, and end."""
        with self._lock:
            self._is_closed = True
            self._may_begin.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        syncs = ManySyncs(2 * GROUP)
        try:
            while group := self._take():
                written = self._write(group, syncs)
                self._rest()
                self._tell(written)
        finally:
            syncs.close()

    # -- taking turns ---------------------------------------------------------------------------------------
    def _take(self) -> list[SmallWrite]:
        """Wait for files and for the turn, and return all that wait; none at the end."""
        with self._lock:
            while self._is_at_work or not self._waiting:
                if self._is_closed and not self._waiting:
                    return []
                self._may_begin.wait()
            self._is_at_work = True
            return [self._waiting.popleft() for _ in range(min(len(self._waiting), GROUP))]

    def _rest(self) -> None:
        with self._lock:
            self._is_at_work = False
            if self._going_on:
                self._may_go_on.notify()
            elif self._waiting:
                self._may_begin.notify()
            elif self._is_closed:
                self._may_begin.notify_all()

    def _go_on(self) -> None:
        with self._lock:
            self._going_on += 1
            while self._is_at_work:
                self._may_go_on.wait()
            self._going_on -= 1
            self._is_at_work = True

    def _wait_for_disk(self, sync: Callable[[], list[OSError | None]]) -> list[OSError | None]:
        """Let others work meanwhile, if it has taken long of late: groups are larger, and cheaper, where they need not."""
        lets_others = self._sync_seconds > _SLOW_SECONDS
        begin = time.monotonic()
        if lets_others:
            self._rest()
        try:
            return sync()
        finally:
            self._sync_seconds = time.monotonic() - begin
            if lets_others:
                self._go_on()

    # -- a group --------------------------------------------------------------------------------------------
    def _write(self, group: list[SmallWrite], syncs: ManySyncs) -> list[Written]:
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
            try:
                self._complete(begun, syncs)
            except Exception as error:  # noqa: BLE001  # no file may be told of that is not sure, and none forgotten
                for one in begun:
                    one.error = error
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
        if not name or PARTIAL in write.path:
            return None
        folder = folders.get(above)
        if folder is None:
            opened = self._open_folder(write.path, above)
            if opened is None:
                return None
            folder = folders[above] = opened
        partial = f"{SMALL_PARTIAL}{self._names}-{next(self._numbers)}"
        with explained(write.path):
            try:
                handle = os.open(partial, _NEW_FLAGS, 0o666, dir_fd=folder)
            except FileNotFoundError:  # the folder has been deleted since
                return None
            try:
                _write_all(handle, write.content)
                if self._store.syncs and start_writing is not None:
                    start_writing(handle)
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
    def _complete(self, begun: Sequence[_Begun], syncs: ManySyncs) -> None:
        """Bring contents onto the disk and names in their places, and close the files."""
        try:
            if not self._store.syncs:
                for one in begun:
                    self._put_in_place(one)
                return
            early = self._take_free_names(begun)
            self._sync(begun, early, syncs)
            rest = [one for one in begun if not one.is_placed and one.error is None]
            if late := [one for one in rest if self._put_in_place(one)]:
                self._sync((), late, syncs)
        finally:
            for one in begun:
                close_file(one.handle)
                if not one.is_placed:
                    with suppress(OSError):  # it has gone with its folder, or `abandoned.py` will find it
                        os.unlink(one.partial, dir_fd=one.folder)

    def _take_free_names(self, begun: Sequence[_Begun]) -> list[_Begun]:
        """Give files names that were free, where names cannot come onto the disk before contents that it has been given.

        So one wait is enough for both. A name that has a file loses it only once the next one is on the disk.
        """
        if not self._keeps_order or wait_until_written is None or rename_to_free_name is None:
            return []
        ready = [one for one in begun if wait_until_written(one.handle)]
        for one in ready:
            one.is_placed = rename_to_free_name(one.folder, one.partial, one.name)
        return [one for one in ready if one.is_placed]

    def _sync(self, contents: Sequence[_Begun], names: Sequence[_Begun], syncs: ManySyncs) -> None:
        folders = list(dict.fromkeys(one.folder for one in names))
        outcomes = self._wait_for_disk(lambda: syncs.run([one.handle for one in contents], folders))
        for one, error in zip(contents, outcomes, strict=False):
            if error is not None:
                one.error = explain(one.write.path, error)
                if one.is_placed:
                    _take_away(one)
        of_folders = dict(zip(folders, outcomes[len(contents) :], strict=True))
        for one in names:
            error = of_folders[one.folder]
            if error is not None and one.error is None:
                one.error = explain(one.write.path, error)

    def _put_in_place(self, one: _Begun) -> bool:
        try:
            if rename_to_free_name is None or not rename_to_free_name(one.folder, one.partial, one.name):
                _replace_file(one)
        except OSError:  # a folder or a link has the name, or the folder went: the long way says so
            one.error = self._write_alone(one.write).error
            return False
        one.is_placed = True
        return True


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


def _replace_file(one: _Begun) -> None:
    with suppress(FileNotFoundError):
        if not modes.S_ISREG(os.stat(one.name, dir_fd=one.folder, follow_symlinks=False).st_mode):
            raise FileExistsError(one.name)
    os.replace(one.partial, one.name, src_dir_fd=one.folder, dst_dir_fd=one.folder)


def _take_away(one: _Begun) -> None:
    """Take a file from its place that could not be brought onto the disk, unless another has the place."""
    with suppress(OSError):  # it has gone; and a disk that fails so may fail again: the client is told
        there = os.stat(one.name, dir_fd=one.folder, follow_symlinks=False)
        if there.st_ino == os.fstat(one.handle).st_ino:
            os.unlink(one.name, dir_fd=one.folder)


def _write_all(handle: int, content: bytes) -> None:
    written = os.write(handle, content)
    while written < len(content):  # the disk is all but full: the next one says so
        written += os.write(handle, content[written:])
