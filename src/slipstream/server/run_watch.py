"""Write down the signs of life that runs gave, and end the runs from which nothing more is heard.

Nothing is ended in the first time after the server came up, its database came back or its machine slept: the silence was its
own then.
"""

import logging
import threading
import time

from slipstream.clock import now_ms
from slipstream.errors import UnavailableError
from slipstream.store.beats import Beats
from slipstream.store.engine import Engine

POLL_SECONDS = 5.0

_logger = logging.getLogger(__name__)


class RunWatch:
    """Watches for one server process, from `start` to `stop`.

    Args:
        engine: the database.
        beats: where requests leave signs of life.
        lost_after_seconds: how long a run may be silent; 0 for ever.
        poll_seconds: how often to look.
    """

    def __init__(
        self, engine: Engine, beats: Beats, lost_after_seconds: float, poll_seconds: float = POLL_SECONDS
    ) -> None:
        self._engine = engine
        self._beats = beats
        self._lost_after = lost_after_seconds
        self._poll_seconds = min(poll_seconds, lost_after_seconds / 4) if lost_after_seconds else poll_seconds
        self._stopping = threading.Event()
        self._listening_since = time.time()
        """Since when nothing but the runs themselves can be the reason of silence."""
        self._looked = time.time()
        self._failing = False
        self._thread = threading.Thread(target=self._watch, name="slipstream-runs", daemon=True)

    def start(self) -> None:
        self._listening_since = self._looked = time.time()
        self._thread.start()

    def stop(self, patience_seconds: float = 3.0) -> None:
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(patience_seconds)
        if self._thread.ident is None or not self._thread.is_alive():
            self._keep()

    def _watch(self) -> None:
        while not self._stopping.wait(self._poll_seconds):
            self.look()

    def look(self) -> None:
        """Write down what was gathered, and end what is silent."""
        now = time.time()
        if abs(now - self._looked) > 3 * self._poll_seconds + 1:  # the machine slept, or its clock was set
            self._listening_since = now
        self._looked = now
        if self._keep():
            self._end_silent(now)

    def _keep(self) -> bool:
        """Write down what was gathered; tell whether the database took it."""
        beats = self._beats.take()
        try:
            if beats:
                revived = self._engine.write(lambda store: store.keep_beats(beats))
                for run_id in revived:
                    _logger.warning("Run %s gave a sign of life again and goes on.", run_id)
        except Exception as error:  # noqa: BLE001  # whatever it is, the thread goes on
            self._beats.put_back(beats)
            self._trouble(error)
            return False
        return True

    def _end_silent(self, now: float) -> None:
        if not self._lost_after or now - self._listening_since < self._lost_after:
            return
        before = now_ms() - int(self._lost_after * 1000)
        try:
            if self._engine.read(lambda store: store.find_silent_runs(before)):
                for run_id in self._engine.write(lambda store: store.end_silent_runs(before)):
                    _logger.warning(
                        "Run %s gave no sign of life for %g s; it is FAILED.", run_id, self._lost_after
                    )
            if self._engine.read(lambda store: store.find_whether_beats_are_old(before)):
                self._engine.write(lambda store: store.delete_old_beats(before))
        except Exception as error:  # noqa: BLE001  # as above
            self._trouble(error)
        else:
            self._failing = False

    def _trouble(self, error: Exception) -> None:
        self._listening_since = time.time()
        if not self._failing:  # said once, not every few seconds
            known = isinstance(error, UnavailableError)
            _logger.warning(
                "Signs of life of runs cannot be written down now: %s",
                error,
                exc_info=None if known else error,
            )
        self._failing = True
