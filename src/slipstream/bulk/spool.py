"""What a thread makes ahead of the one who takes it, through a file in between.

So a reader who takes his time holds no transaction open, and keeps nothing in memory.
"""

import tempfile
import threading
from collections.abc import Callable, Iterator
from typing import IO, cast

from slipstream.bulk.departure import departure

_PIECE = 256 * 1024
_IN_MEMORY = 4 * 2**20
_LOOK_SECONDS = 0.25
"""After so long without anything an empty piece is given, so that who waits can see whether its client is still there."""
_AT_ONCE = 1
"""Made at one time; the others wait. Each keeps a processor busy, which it shares with everything else of the server."""

_turns = threading.BoundedSemaphore(_AT_ONCE)

Make = Callable[[Callable[[bytes], None]], None]
"""Makes everything, and hands each part to a function."""


class _GoneError(Exception):
    """Nobody takes it any more; never leaves this file."""


class _Spool:
    """Written by one thread, read by another."""

    def __init__(self) -> None:
        self._file = cast("IO[bytes]", tempfile.SpooledTemporaryFile(_IN_MEMORY))  # noqa: SIM115
        self._changed = threading.Condition()
        self._written = self._taken = 0
        self._ended = self._closed = False
        self._error: BaseException | None = None

    def run(self, make: Make) -> None:
        try:
            while not _turns.acquire(timeout=_LOOK_SECONDS):
                if self._closed:
                    return
            try:
                make(self._put)
            finally:
                _turns.release()
        except _GoneError:
            pass
        except BaseException as error:  # noqa: BLE001  # whatever it is, who takes it is told
            self._error = error
        with self._changed:
            self._ended = True
            self._changed.notify()

    def _put(self, part: bytes) -> None:
        with self._changed:
            if self._closed:
                raise _GoneError
            self._file.seek(self._written)
            self._file.write(part)
            self._written += len(part)
            self._changed.notify()

    def take(self) -> bytes | None:
        """Return the next piece, an empty one if it takes a while, or nothing after the end."""
        with self._changed:
            if self._taken == self._written and not self._ended:
                self._changed.wait(_LOOK_SECONDS)
            if self._taken < self._written:
                self._file.seek(self._taken)
                piece = self._file.read(_PIECE)
                self._taken += len(piece)
                return piece
            if self._error is not None:
                raise self._error
            return None if self._ended else b""

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._file.close()


def made_ahead(make: Make) -> Iterator[bytes]:
    """Yield what a function makes in a thread of its own, with empty pieces where it takes a while.

    The thread ends when the iterator is closed, or the client of this request has gone.
    """
    spool = _Spool()
    client = departure.get()

    def pieces() -> Iterator[bytes]:
        thread = threading.Thread(target=spool.run, args=(make,), name="slipstream-spool", daemon=True)
        thread.start()
        try:
            while (piece := spool.take()) is not None:
                yield piece
                if client.is_gone:
                    return
        finally:
            spool.close()

    return pieces()
