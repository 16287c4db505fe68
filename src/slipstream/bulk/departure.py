"""Whether the one who asked has gone, so that nobody works on for nobody."""

import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar


class Departure:
    """Told by whoever sees the client, and asked by whoever works for it, in any threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._gone = False
        self._ends: list[Callable[[], object]] = []

    @property
    def is_gone(self) -> bool:
        return self._gone

    def tell(self) -> None:
        """Say that the client has gone."""
        with self._lock:
            self._gone = True
            ends = list(self._ends)
        for end in ends:
            end()

    @contextmanager
    def ending(self, end: Callable[[], object]) -> Generator[None]:
        """Have `end` called if the client goes inside of the block, or has gone before. It must not wait."""
        with self._lock:
            self._ends.append(end)
            gone = self._gone
        if gone:
            end()
        try:
            yield
        finally:
            with self._lock:
                self._ends.remove(end)


STAYS = Departure()
"""Of who asks within this process, and waits for the answer."""

departure: ContextVar[Departure] = ContextVar("departure", default=STAYS)
