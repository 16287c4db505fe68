"""A lock whose holder can see that others wait for it, and do the rest of its work later."""

import threading
from types import TracebackType


class WatchedLock:
    """As `threading.Lock` in a `with` block."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: set[int] = set()

    def __enter__(self) -> None:
        if self._lock.acquire(blocking=False):
            return
        me = threading.get_ident()
        self._waiting.add(me)
        try:
            self._lock.acquire()
        finally:
            self._waiting.discard(me)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._lock.release()

    def others_wait(self) -> bool:
        return bool(self._waiting)
