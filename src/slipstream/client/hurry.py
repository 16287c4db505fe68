"""Do what has to ask a server in a hurry: for what is done beside the user's own work, which must not wait for it."""

import threading
from types import TracebackType


class _Thread(threading.local):
    depth = 0


_thread = _Thread()


class Hurry:
    """A block of this thread whose requests are tried twice at most, and not at all at a server that is known to be away.

    An answer is waited for as long as SLIPSTREAM_PATIENCE says. Sending files takes the time that it takes. Blocks nest.
    """

    __slots__ = ()

    def __enter__(self) -> None:
        _thread.depth += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _thread.depth -= 1


HURRY = Hurry()


def is_hurried() -> bool:
    return _thread.depth > 0
