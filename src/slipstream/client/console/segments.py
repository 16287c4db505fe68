"""A log of bounded size in files: its beginning and its end stay, the middle goes.

Each file is named after the place of its first byte. The program beside a training process loads this file alone, without
slipstream and without site-packages: it imports nothing but what Python starts with anyway.
"""

import os

SEGMENT_BYTES = 2 << 20
"""Of one file; so much is kept of the beginning, and at least so much of the end."""


class SegmentWriter:
    """Appends to a log. For one process; the caller sees to it that only one thread is in it."""

    def __init__(self, folder: str, segment_bytes: int = SEGMENT_BYTES, last_segments: int = 2) -> None:
        self.folder = folder
        self.size = 0
        self.trouble = ""
        """Why the last piece was not kept, such as a full disk."""
        self._segment_bytes = segment_bytes
        self._last_segments = last_segments
        self._handle = -1
        self._left = 0
        self._segments: list[int] = []

    def append(self, data: bytes) -> None:
        """Write all of it, or leave it out where the disk refuses; never raises for that."""
        view = memoryview(data)
        while view:
            try:
                if self._left <= 0 or self._handle < 0:
                    self._begin()
                written = os.write(self._handle, view[: self._left])
            except OSError as error:
                # What follows must not stand where this would have been.
                self.trouble = str(error)
                self._close()
                self.size += len(view)
                return
            self.trouble = ""
            self.size += written
            self._left -= written
            view = view[written:]

    def _begin(self) -> None:
        self._close()
        path = os.path.join(self.folder, f"{self.size:020d}")
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self._left = self._segment_bytes
        self._segments.append(self.size)
        while len(self._segments) > 1 + self._last_segments:
            os.unlink(os.path.join(self.folder, f"{self._segments.pop(1):020d}"))

    def _close(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


class SegmentReader:
    """Reads a log while another process writes it, or after."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def size(self) -> int:
        """Return how much has been printed, whether or not it is still there."""
        ends = [first + size for first, size in self._segments()]
        return max(ends, default=0)

    def read(self, after: int, most: int) -> "tuple[int, bytes]":
        """Return the next bytes that are there at or behind a place, and where they begin; nothing at the end."""
        for first, size in self._segments():
            if first + size <= after or not size:
                continue
            start = max(first, after)
            try:
                handle = os.open(os.path.join(self.folder, f"{first:020d}"), os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:  # of the middle, removed meanwhile
                continue
            try:
                data = os.pread(handle, most, start - first)
            finally:
                os.close(handle)
            if data:
                return start, data
        return after, b""

    def _segments(self) -> "list[tuple[int, int]]":
        found: list[tuple[int, int]] = []
        try:
            with os.scandir(self.folder) as entries:
                found += [(int(each.name), each.stat().st_size) for each in entries if each.name.isdigit()]
        except FileNotFoundError:
            return []
        return sorted(found)
