"""Read what a process has printed: from the files of the program beside it, or from the file that it went to anyway."""

import os
from pathlib import Path
from typing import Protocol

from slipstream.client.console.segments import SegmentReader
from slipstream.client.liveness.folder import LOG, PlainLog
from slipstream.entities.liveness import ConsoleChunk

CHUNK_BYTES = 48 * 1024
"""Of what is sent while a run goes, at a time: below what the server takes, whatever the letters."""
PLAIN_KEPT_BYTES = 6 << 20
"""Of a file of the user's own, so much is stored with the run: half of it from the beginning, half from the end."""
LAST_LINES = 20
_LAST_BYTES = 16 * 1024
_PIECE_BYTES = 1 << 20


class Log(Protocol):
    """Bytes numbered from 0, of which some may be missing."""

    def size(self) -> int: ...
    def read(self, after: int, most: int) -> tuple[int, bytes]: ...


class PlainReader:
    """The file that the process's output goes to anyway."""

    def __init__(self, note: PlainLog) -> None:
        self._note = note

    def size(self) -> int:
        handle = self._open()
        if handle < 0:
            return 0
        try:
            return max(0, os.fstat(handle).st_size - self._note.first)
        finally:
            os.close(handle)

    def read(self, after: int, most: int) -> tuple[int, bytes]:
        handle = self._open()
        if handle < 0:
            return after, b""
        try:
            return after, os.pread(handle, most, self._note.first + after)
        finally:
            os.close(handle)

    def _open(self) -> int:
        """Open the file, unless it has been replaced by another."""
        try:
            handle = os.open(self._note.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return -1
        status = os.fstat(handle)
        if (status.st_dev, status.st_ino) != (self._note.device, self._note.inode):
            os.close(handle)
            return -1
        return handle


def open_log(folder: Path, plain: PlainLog | None) -> Log:
    return SegmentReader(str(folder / LOG)) if plain is None else PlainReader(plain)


def read_chunks(log: Log, after: int, most: int) -> list[ConsoleChunk]:
    """Return what was printed behind a place in chunks that can be sent, no letter cut in two."""
    chunks: list[ConsoleChunk] = []
    while most > 0:
        first, data = _read_span(log, after, min(CHUNK_BYTES, most))
        whole = len(data) - _cut_letter(data)
        if whole <= 0:
            break
        text = data[:whole].decode("utf-8", "replace")
        chunks.append(ConsoleChunk(first=first, next=first + whole, text=text))
        after = first + whole
        most -= whole
    return chunks


def _read_span(log: Log, after: int, most: int) -> tuple[int, bytes]:
    """Return bytes that follow each other, also over the border of two files."""
    first, data = log.read(after, most)
    while data and len(data) < most:
        place, more = log.read(first + len(data), most - len(data))
        if not more or place != first + len(data):
            break
        data += more
    return first, data


def _cut_letter(data: bytes) -> int:
    """Return how many bytes at the end begin a letter of UTF-8 and do not end it."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 == 0xC0:  # begins one of several bytes
            length = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            return back if length > back and len(data) > back else 0
        if byte < 0x80:
            return 0
    return 0


def tail_of(log: Log, first: int) -> str:
    """Return the last lines, of each what a terminal would show at its end."""
    size = log.size()
    _, data = log.read(max(first, size - _LAST_BYTES), _LAST_BYTES)
    lines = data.decode("utf-8", "replace").rstrip("\n").split("\n")
    shown = [line.rstrip("\r").rpartition("\r")[2] for line in lines[-LAST_LINES:]]
    return "\n".join(shown)[-4000:].replace("\0", "\ufffd")


def write_log(log: Log, first: int, last: int | None, target: Path) -> bool:
    """Write a part of a log into a file; tell whether there was anything.

    What is missing is said in its place. Of a line that was drawn anew again and again, as progress bars are, the last state
    stays.
    """
    end = log.size() if last is None else last
    skip: tuple[int, int] | None = None
    if isinstance(log, PlainReader) and end - first > PLAIN_KEPT_BYTES:
        skip = (first + PLAIN_KEPT_BYTES // 2, end - PLAIN_KEPT_BYTES // 2)
    place = first
    with target.open("wb") as file:
        pending = b""
        while place < end:
            if skip is not None and place >= skip[0]:
                start, skip = skip[1], None
                data = b""
            else:
                most = min(_PIECE_BYTES, (end if skip is None else skip[0]) - place)
                start, data = log.read(place, most)
                if not data:
                    break
            if start > place:
                file.write(_redrawn(pending))
                file.write(b"\n[... %d bytes are left out ...]\n" % (start - place))
                pending = b""
            data = data[: max(0, end - start)]
            pending += data
            lines, newline, pending = pending.rpartition(b"\n")
            file.write(_redrawn(lines) + newline)
            place = start + len(data)
            if len(pending) > _PIECE_BYTES:  # one line without end
                pending = pending[-_PIECE_BYTES // 2 :] if b"\r" in pending else (file.write(pending), b"")[1]
        file.write(_redrawn(pending))
        return file.tell() > 0


def _redrawn(text: bytes) -> bytes:
    if b"\r" not in text:
        return text
    return b"\n".join(line.rstrip(b"\r").rpartition(b"\r")[2] for line in text.split(b"\n"))
