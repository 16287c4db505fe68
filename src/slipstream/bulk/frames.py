"""Messages between a server and its process that runs SQL: a kind, a length, and so many bytes."""

import struct
from typing import IO

_HEAD = struct.Struct(">cI")

QUERY = b"Q"
"""To the process: the query and its limits, as JSON."""
WANTED = b"W"
"""From it: the tables that the query names, as JSON."""
TABLE = b"T"
"""To it: a table's name; its Arrow stream follows as DATA, up to an END."""
RUN = b"R"
"""To it: all tables are there."""
DATA = b"D"
"""Either way: bytes of a stream."""
END = b"E"
"""Either way: it was the last of them. From the process: with facts about the answer, as JSON."""
REFUSED = b"X"
"""From it: why there is no answer, as text."""


def write_frame(stream: IO[bytes], kind: bytes, data: bytes = b"") -> None:
    stream.write(_HEAD.pack(kind, len(data)))
    stream.write(data)


def read_frame(stream: IO[bytes]) -> tuple[bytes, bytes]:
    """Return kind and bytes.

    Raises:
        EOFError: the other side has gone.
    """
    head = stream.read(_HEAD.size)
    if len(head) < _HEAD.size:
        raise EOFError
    kind, length = _HEAD.unpack(head)
    data = stream.read(length)
    if len(data) < length:
        raise EOFError
    return kind, data


class FrameReader:
    """The DATA frames up to an END as a file to read from."""

    closed = False

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._rest = b""
        self._ended = False

    def read(self, size: int = -1) -> bytes:
        parts: list[bytes] = []
        needed = size
        while size < 0 or needed > 0:
            if not self._rest and not self._next():
                break
            part = self._rest if size < 0 else self._rest[:needed]
            self._rest = self._rest[len(part) :]
            needed -= len(part)
            parts.append(part)
        return b"".join(parts)

    def drain(self) -> None:
        """Read to the end."""
        while self._next():
            pass

    def _next(self) -> bool:
        if not self._ended:
            kind, self._rest = read_frame(self._stream)
            self._ended = kind == END
        return not self._ended

    def readable(self) -> bool:
        return True

    def close(self) -> None:
        self.closed = True
