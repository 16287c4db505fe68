r"""One file of records: a line each, `checksum record\n`, only ever added to.

A line is written with one call of the system, so it is whole or, when the process or the machine dies in the middle, the last
one and not whole; then its checksum tells, and readers leave it out. Nothing is kept in this process first: what a call has
written survives the process, however that ends.
"""

import errno
import os
import threading
import zlib
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

_HEAD = 9
"""Characters before a record: eight of its checksum, and a space."""
_READ_BYTES = 1 << 20


class SpoolLine(NamedTuple):
    """A record's text as it stands in a file."""

    text: bytes
    end: int
    """Where the next line begins."""


class SpoolFile:
    """The file that this process writes. Thread-safe, also in signal handlers; not to be used in a process made by fork.

    Args:
        path: where; it must not exist. `None` for memory alone, where no disk can be written.

    Raises:
        OSError: it cannot be made.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_BINARY", 0)
        self._handle = -1 if path is None else os.open(path, flags, 0o600)
        self._closed = False
        # Reentrant: a signal handler may log while it interrupts a call that logs.
        self._lock = threading.RLock()
        self.size = 0
        """Bytes of the file that are whole lines."""
        self.held: deque[bytes] = deque()
        """Lines that the disk did not take, and those after them: in memory until it does."""
        self.held_bytes = 0
        self.trouble: OSError | None = None
        """Why the disk does not take them."""

    def append(self, text: bytes) -> bool:
        """Write one record, which holds no line end; keep it in memory if the disk does not take it.

        Returns False, and has done nothing, if the file is closed.
        """
        line = b"%08x %b\n" % (zlib.crc32(text), text)
        with self._lock:
            if self._closed:
                return False
            if self.held or self._handle < 0:
                self._hold(line)
                return True
            try:
                written = os.write(self._handle, line)
            except OSError as error:
                self._hold(line, error)
                return True
            if written == len(line):
                self.size += written
            else:
                self._repair()
                self._hold(line, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
            return True

    def _hold(self, line: bytes, trouble: OSError | None = None) -> None:
        self.held.append(line)
        self.held_bytes += len(line)
        if trouble is not None:
            self.trouble = trouble

    def _repair(self) -> None:
        """Take back what was written of a line. Where even that fails, a line end keeps the next one apart."""
        try:
            os.ftruncate(self._handle, self.size)
        except OSError:
            try:
                self.size = os.fstat(self._handle).st_size
                self.size += os.write(self._handle, b"\n")
            except OSError as error:  # readers find the broken line by its checksum
                self.trouble = error

    def write_held(self) -> bool:
        """Try to bring to the disk what is in memory; tell whether all of it is there."""
        with self._lock:
            if self._handle < 0:
                return not self.held
            while self.held:
                line = self.held[0]
                try:
                    written = os.write(self._handle, line)
                except OSError as error:
                    self.trouble = error
                    return False
                if written != len(line):
                    self._repair()
                    return False
                self.size += written
                self.held_bytes -= len(line)
                self.held.popleft()
            self.trouble = None
            return True

    def take_held(self, most: int) -> list[bytes]:
        """Return texts of the first records in memory, which stay there; for sending while the disk is full."""
        with self._lock:
            return [line[_HEAD:-1] for _, line in zip(range(most), self.held, strict=False)]

    def drop_held(self, count: int) -> None:
        """Forget the first records in memory, which were sent."""
        with self._lock:
            for _ in range(count):
                self.held_bytes -= len(self.held.popleft())

    def read(self, offset: int, most: int = _READ_BYTES) -> list[SpoolLine]:
        """Return whole lines from a place on: at least one, if there is one, and some `most` bytes."""
        return [] if self._handle < 0 else read_lines(self._handle, offset, most)

    def sync(self) -> None:
        """Bring what was written through the system's cache to the disk: for a power cut, not for a kill."""
        if self._handle < 0:
            return
        try:
            os.fdatasync(self._handle) if hasattr(os, "fdatasync") else os.fsync(self._handle)
        except OSError as error:
            self.trouble = error

    def close_if_delivered(self, offset: int) -> bool:
        """Close the file if nothing stands behind a place of it; tell whether that was so."""
        with self._lock:
            if self.held or self.size > offset:
                return False
            self.close()
            return True

    def close(self) -> None:
        with self._lock:
            if not self._closed:
                self._closed = True
                if self._handle >= 0:
                    os.close(self._handle)

    def abandon(self) -> None:
        """Let go of the parent's file in a process made by fork: who has it open holds the parent's lock, too."""
        if not self._closed and self._handle >= 0:  # without the lock, which a thread of the parent may hold
            os.close(self._handle)
        self._closed = True

    @property
    def handle(self) -> int:
        return self._handle


def read_lines(handle: int, offset: int, most: int = _READ_BYTES) -> list[SpoolLine]:
    """Return whole, undamaged lines of an open file from a place on; damaged ones are left out."""
    while True:
        block = os.pread(handle, most, offset)
        while b"\n" not in block:
            more = os.pread(handle, most, offset + len(block))
            if not more:
                return []
            block += more
        if lines := list(_lines(block, offset)):
            return lines
        offset += block.rindex(b"\n") + 1


def _lines(block: bytes, offset: int) -> Iterator[SpoolLine]:
    begin = 0
    while (end := block.find(b"\n", begin)) >= 0:
        text = block[begin + _HEAD : end]
        if block[begin : begin + _HEAD] == b"%08x " % zlib.crc32(text):
            yield SpoolLine(text, offset + end + 1)
        begin = end + 1
