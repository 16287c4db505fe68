"""Counts what the tracking server answers, shows it to Prometheus, and logs the requests that somebody has to know of."""

import logging
import os
import platform
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from slipstream import settings
from slipstream.httpd.exposition import Exposition, Metric, counter, gauge, histogram, joined, process
from slipstream.server.asked import Asked
from slipstream.tally import LATENCY_BOUNDS, Tally

if TYPE_CHECKING:
    from slipstream.server.dispatch import Dispatcher

_PREFIX = "slipstream_"
_ROUTE = ("method", "route")

_logger = logging.getLogger("slipstream.requests")


class RouteCounts:
    """All that is counted of one route."""

    __slots__ = ("answers", "latency", "method", "path")

    def __init__(self, method: str, path: str) -> None:
        self.method = method
        self.path = path
        """The template, never what a client sent; empty for requests that no route answers."""
        self.answers: dict[int, int] = {}
        """By HTTP status."""
        self.latency = Tally(LATENCY_BOUNDS)
        """Seconds from the end of a short request, or from the head of another, to the end of its answer."""


class Observer:
    """Told of every answer of one server process, on its event loop.

    Args:
        one_of_many: whether other processes answer at the same port; then each number says of which process it is.
    """

    def __init__(self, *, one_of_many: bool = False) -> None:
        self.worker = str(os.getpid()) if one_of_many else ""
        self.bytes_in = 0
        """Of files that were uploaded."""
        self.bytes_out = 0
        self.no_route = RouteCounts("", "")
        self._routes: dict[tuple[str, str], RouteCounts] = {}
        self._slow = settings.SLOW_REQUEST_SECONDS.get()
        self._logs_all = settings.ACCESS_LOG.get()
        self._exposition: _Exposition | None = None
        if self._logs_all:
            _logger.setLevel(logging.INFO)

    def counts_of(self, method: str, path: str) -> RouteCounts:
        """Return where a route's answers are counted; `path` is its template."""
        found = self._routes.get((method, path))
        if found is None:
            found = self._routes[method, path] = RouteCounts(method, path)
        return found

    def answered(self, counts: RouteCounts, status: int, asked: Asked) -> None:
        """Count one answer, and log it if it was slow or if all are logged."""
        seconds = time.perf_counter() - asked.began
        answers = counts.answers
        answers[status] = answers.get(status, 0) + 1
        counts.latency.add(seconds)
        if seconds >= self._slow or self._logs_all:
            self._log(counts, status, asked, seconds)

    def _log(self, counts: RouteCounts, status: int, asked: Asked, seconds: float) -> None:
        slow = seconds >= self._slow
        _logger.log(
            logging.WARNING if slow else logging.INFO,
            "A request took long" if slow else "A request was answered",
            extra={
                "request_id": asked.id,
                "method": counts.method,
                "route": counts.path,
                "status": status,
                "seconds": round(seconds, 6),
                "bytes": asked.size,
            },
        )

    def routes(self) -> Iterator[RouteCounts]:
        """Return the counts of all that was asked for so far."""
        if self.no_route.answers:
            yield self.no_route
        for counts in self._routes.values():
            if counts.answers:
                yield counts

    def watch(self, dispatcher: "Dispatcher") -> None:
        """Show the numbers of a server that has been opened, too."""
        self._exposition = _Exposition(self, dispatcher)

    def metrics(self, others: Sequence[bytes] = ()) -> bytes:
        """Return all numbers in Prometheus' text format, with those that other workers have packed."""
        assert self._exposition is not None
        self._exposition.others = others
        try:
            return self._exposition.text()
        finally:
            self._exposition.others = ()

    def packed(self) -> bytes:
        """Return all numbers for another worker."""
        assert self._exposition is not None
        return self._exposition.packed()


class _Exposition(Exposition):
    """What a scrape of a tracking server answers."""

    def __init__(self, observer: Observer, dispatcher: "Dispatcher") -> None:
        super().__init__()
        self.others: Sequence[bytes] = ()
        self._observer = observer
        self._dispatcher = dispatcher

    def collect(self) -> Iterator[Metric]:
        return joined(self._labelled(), self.others)

    def _labelled(self) -> Iterator[Metric]:
        for metric in self._collect():
            if self._observer.worker:
                name = {"worker": self._observer.worker}
                metric.samples = [each._replace(labels={**each.labels, **name}) for each in metric.samples]
            yield metric

    def _collect(self) -> Iterator[Metric]:
        yield from self._requests()
        yield from self._database()
        yield counter(
            f"{_PREFIX}artifact_bytes",
            "Bytes of files that went through this server.",
            ("direction",),
            [(("in",), self._observer.bytes_in), (("out",), self._observer.bytes_out)],
        )
        import slipstream
        from slipstream.wire.compatibility import MLFLOW_VERSION

        versions = (slipstream.__version__, platform.python_version(), MLFLOW_VERSION)
        yield gauge(
            f"{_PREFIX}build_info",
            "What runs here; always 1.",
            ("version", "python", "mlflow"),
            [(versions, 1)],
        )
        yield from process()

    def _requests(self) -> Iterator[Metric]:
        routes = list(self._observer.routes())
        yield counter(
            f"{_PREFIX}requests",
            "Answers by route and status; those that no route gave have an empty route.",
            (*_ROUTE, "status"),
            [
                ((each.method, each.path, str(status)), count)
                for each in routes
                for status, count in each.answers.items()
            ],
        )
        yield histogram(
            f"{_PREFIX}request_seconds",
            "Time from a request's arrival to the end of its answer.",
            _ROUTE,
            [((each.method, each.path), each.latency) for each in routes],
        )

    def _database(self) -> Iterator[Metric]:
        engine, pulse = self._dispatcher.engine, self._dispatcher.engine.pulse
        gauges = (
            ("write_queue_length", "Writes that wait for the database.", engine.queued),
            ("write_queue_bytes", "Bytes of the requests of these.", engine.queued_bytes),
            ("reads_waiting", "Reads that wait or are under way.", self._dispatcher.waiting_reads),
            (
                "database_failing_seconds",
                "For how long the database has answered nothing; 0 while it answers.",
                pulse.failing_seconds(),
            ),
        )
        for name, text, value in gauges:
            yield gauge(f"{_PREFIX}{name}", text, (), [((), value)])
        tallies = (
            ("commit_group_size", "Writes that were committed together.", pulse.group_size),
            ("commit_seconds", "Time of one commit, with all statements of its writes.", pulse.write_seconds),
            (
                "read_seconds",
                "Time of one read of the database, with the wait for a connection.",
                pulse.read_seconds,
            ),
        )
        for name, text, tally in tallies:
            yield histogram(f"{_PREFIX}{name}", text, (), [((), tally)])
