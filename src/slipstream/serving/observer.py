"""Counts what the server does, for those who watch it."""

import time
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple, Protocol

from slipstream.httpd.exposition import CONTENT_TYPE
from slipstream.serving import exposition
from slipstream.serving.answer import Answer
from slipstream.serving.catalog import Catalog, Version
from slipstream.serving.counting import Series
from slipstream.serving.pool import Pending

_KEPT_SECONDS = 600.0
"""How long the numbers of a version that was replaced are shown after its last answer."""
_MANY_SERIES = 200


class Answered(NamedTuple):
    """One answer, as it is told to who traces; times are by `time.perf_counter`."""

    protocol: str
    operation: str
    place: tuple[str, str]
    """HTTP's method and path."""
    version: Version | None
    status: int
    began: float
    ended: float
    pending: Pending | None
    headers: Mapping[bytes, bytes]


class Tracer(Protocol):
    """Takes answers to where traces are kept; must neither block nor raise."""

    def record(self, answered: Answered) -> None: ...


class Subject(NamedTuple):
    """What a series is about; each value is one of few: the server's own names and the registry's versions."""

    model: str
    version: str
    protocol: str
    operation: str


class Observer:
    """Told of every answer; shows what it has counted.

    Args:
        catalog: what is served.
        tracer: gets every answer, too.
        with_keys: answers are counted by API key.
    """

    def __init__(self, catalog: Catalog, tracer: Tracer | None = None, *, with_keys: bool = False) -> None:
        self.catalog = catalog
        self.with_keys = with_keys
        self.buffered: Callable[[], int] = int
        """Returns how many bytes of requests the server holds."""
        self._tracer = tracer
        self._series: dict[tuple[str, str, str, str], Series] = {}
        self._exposition = exposition.Exposition(self)

    def answered(
        self,
        protocol: str,
        operation: str,
        version: Version | None,
        status: int,
        began: float,
        pending: Pending | None,
        headers: Mapping[bytes, bytes],
        *,
        place: tuple[str, str] = ("POST", "/"),
        key: str = "",
    ) -> None:
        """Count one answer; `began` is by `time.perf_counter`, `key` the name of the API key."""
        now = time.perf_counter()
        if version is None:
            subject = ("", "", protocol, operation)
        else:
            subject = (version.pool.name, version.source.version or "", protocol, operation)
        series = self._series.get(subject)
        if series is None:
            series = self._begin(subject, now)
        series.last_at = now
        answer = (status, key)
        series.answers[answer] = series.answers.get(answer, 0) + 1
        series.latency.add(now - began)
        if pending is not None:
            sent_at = pending.sent_at
            waited = 0.0
            if sent_at is not None:
                waited = sent_at - pending.arrived
                series.queue.add(waited)
            stats = pending.stats
            if stats is not None:
                if stats.seconds:
                    series.prediction.add(stats.seconds)
                    series.batch.add(stats.joined)
                if stats.completion_tokens or stats.prompt_tokens:
                    series.prompt_tokens += stats.prompt_tokens
                    series.completion_tokens += stats.completion_tokens
                    if stats.completion_tokens and stats.seconds:
                        series.rate.add(stats.completion_tokens / stats.seconds)
            if pending.first_piece_at is not None:
                series.first_token.add(pending.first_piece_at - began)
            elif stats is not None and stats.first_token_seconds is not None:
                series.first_token.add(waited + stats.first_token_seconds)
        if self._tracer is not None:
            self._tracer.record(
                Answered(protocol, operation, place, version, status, began, now, pending, headers)
            )

    def metrics(self) -> Answer:
        """Return what was counted, in Prometheus' text format."""
        text = self._exposition.text()
        self._drop_departed(time.perf_counter())
        return Answer(200, text, CONTENT_TYPE)

    def series(self) -> Iterator[tuple[Subject, Series]]:
        for subject, series in self._series.items():
            yield Subject(*subject), series

    def _begin(self, subject: tuple[str, str, str, str], now: float) -> Series:
        if len(self._series) >= _MANY_SERIES:  # nobody scrapes
            self._drop_departed(now)
        series = self._series[subject] = Series()
        return series

    def _drop_departed(self, now: float) -> None:
        """Forget the versions that have left, or the numbers would grow with every swap."""
        live = {
            (served.name, served.live.source.version or "")
            for served in self.catalog
            if served.live is not None
        }
        for subject, series in list(self._series.items()):
            departed = subject[0] != "" and subject[:2] not in live
            if departed and now - series.last_at > _KEPT_SECONDS:
                del self._series[subject]
