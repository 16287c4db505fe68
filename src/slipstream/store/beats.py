"""Signs of life of runs, gathered in a server's memory until somebody writes them down for all runs together."""

import threading
from collections.abc import Sequence

from slipstream.clock import now_ms


class Beats:
    """Thread-safe."""

    def __init__(self) -> None:
        self._beats: dict[str, int] = {}
        self._lock = threading.Lock()

    def note(self, run_ids: Sequence[str]) -> None:
        now = now_ms()
        with self._lock:
            for run_id in run_ids:
                self._beats[run_id] = now

    def find(self, run_id: str) -> int | None:
        """Return when a run gave a sign of life that is not written down yet."""
        with self._lock:
            return self._beats.get(run_id)

    def take(self) -> dict[str, int]:
        """Return when each run gave its last sign of life, of those that gave one since the last time."""
        with self._lock:
            taken, self._beats = self._beats, {}
        return taken

    def put_back(self, beats: dict[str, int]) -> None:
        """Keep what could not be written down, unless there is something newer."""
        with self._lock:
            self._beats = {**beats, **self._beats}
