"""How an engine is doing: what it has written and read so far, and whether its database answers."""

import logging
import threading
import time

from slipstream.tally import LATENCY_BOUNDS, Tally

_logger = logging.getLogger(__name__)

GROUP_BOUNDS = (1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1000.0)


class Pulse:
    """Numbers of one engine since it was opened, for those who watch it.

    Writes are told by whoever has the writer's connection, so by one thread at a time; reads by any.
    """

    def __init__(self) -> None:
        self.group_size = Tally(GROUP_BOUNDS)
        """Writes that were committed together."""
        self.write_seconds = Tally(LATENCY_BOUNDS)
        """From the first statement of a group to the end of its commit."""
        self.read_seconds = Tally(LATENCY_BOUNDS)
        self.reading = 0
        """Reads under way, and those that wait for a connection."""
        self._reads = threading.Lock()
        self._writes_fail_since: float | None = None
        self._reads_fail_since: float | None = None

    def wrote(self, count: int, seconds: float, failure: BaseException | None = None) -> None:
        """Count a group of writes; `failure` says why the database could not do it, whatever was asked."""
        self.group_size.add(count)
        self.write_seconds.add(seconds)
        self._writes_fail_since = _since(self._writes_fail_since, failure, "writes")

    def reads(self) -> None:
        """Count a read that begins."""
        with self._reads:
            self.reading += 1

    def read(self, seconds: float, failure: BaseException | None = None) -> None:
        """Count a read that has ended; `failure` as for `wrote`."""
        with self._reads:
            self.reading -= 1
            self.read_seconds.add(seconds)
            self._reads_fail_since = _since(self._reads_fail_since, failure, "reads")

    def failing_seconds(self) -> float:
        """Return for how long the database has answered nothing, be it writes or reads; 0 while it answers."""
        since = [each for each in (self._writes_fail_since, self._reads_fail_since) if each is not None]
        return time.monotonic() - min(since) if since else 0.0


def _since(before: float | None, failure: BaseException | None, what: str) -> float | None:
    """Return since when it fails now, and log when that begins and ends: not once for each request."""
    if failure is None:
        if before is not None:
            _logger.warning("The database does %s again, after %.1f s", what, time.monotonic() - before)
        return None
    if before is not None:
        return before
    _logger.warning("The database does no %s now, and clients are asked to come again: %s", what, failure)
    return time.monotonic()
