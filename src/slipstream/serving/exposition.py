"""The scoring server's numbers, named and labelled for Prometheus."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from slipstream.httpd.exposition import Exposition as Shown
from slipstream.httpd.exposition import Metric, counter, gauge, histogram
from slipstream.serving.counting import Series
from slipstream.tally import Tally

if TYPE_CHECKING:
    from slipstream.serving.observer import Observer
    from slipstream.serving.pool import WorkerPool

_PREFIX = "slipstream_serving_"
_OPERATION = ("model", "version", "protocol", "operation")

_HISTOGRAMS: tuple[tuple[str, str, Callable[[Series], Tally]], ...] = (
    ("request_seconds", "Time from a request's arrival to the end of its answer.", lambda one: one.latency),
    ("queue_seconds", "Time that a request waited for a worker.", lambda one: one.queue),
    ("prediction_seconds", "Time that the model took, for all requests of a batch.", lambda one: one.prediction),
    ("batch_size", "Requests that were predicted together, counted once for each of them.", lambda one: one.batch),
    (
        "first_token_seconds",
        "Time from a request's arrival to the first token, or the first piece of a stream.",
        lambda one: one.first_token,
    ),
    ("tokens_per_second", "Tokens that one answer gained in a second.", lambda one: one.rate),
)  # fmt: skip
_EVERY_REQUEST = {"request_seconds"}


class Exposition(Shown):
    """What a scrape of a scoring server answers."""

    def __init__(self, observer: "Observer") -> None:
        super().__init__()
        self._observer = observer

    def collect(self) -> Iterator[Metric]:
        yield self._requests()
        for name, text, tally_of in _HISTOGRAMS:
            yield histogram(
                f"{_PREFIX}{name}",
                text,
                _OPERATION,
                [
                    (subject, tally)
                    for subject, series in self._observer.series()
                    if any((tally := tally_of(series)).counts) or name in _EVERY_REQUEST
                ],
            )
        yield from self._tokens()
        yield from self._pools()
        yield from self._swaps()
        yield gauge(
            f"{_PREFIX}buffered_bytes",
            "Bytes of requests that the server holds, in all.",
            (),
            [((), self._observer.buffered())],
        )

    def _requests(self) -> Metric:
        with_keys = self._observer.with_keys
        return counter(
            f"{_PREFIX}requests",
            "Answers by status; 499 are those whose client had left.",
            (*_OPERATION, "status", *(("key",) if with_keys else ())),
            [
                ((*subject, str(status), *((key,) if with_keys else ())), count)
                for subject, series in self._observer.series()
                for (status, key), count in series.answers.items()
            ],
        )

    def _tokens(self) -> Iterator[Metric]:
        counted = [
            (subject, series)
            for subject, series in self._observer.series()
            if series.prompt_tokens or series.completion_tokens
        ]
        yield counter(
            f"{_PREFIX}prompt_tokens",
            "Tokens of prompts.",
            _OPERATION,
            [(subject, series.prompt_tokens) for subject, series in counted],
        )
        yield counter(
            f"{_PREFIX}completion_tokens",
            "Tokens that were generated.",
            _OPERATION,
            [(subject, series.completion_tokens) for subject, series in counted],
        )

    def _pools(self) -> Iterator[Metric]:
        labels = ("model", "version")
        gauges: tuple[tuple[str, str, Callable[[WorkerPool], int]], ...] = (
            ("queue_length", "Requests that wait for a worker.", lambda pool: pool.waiting),
            ("at_work", "Requests that workers have.", lambda pool: pool.at_work),
            ("workers_ready", "Worker processes that answer.", lambda pool: len(pool.worker_pids)),
        )
        counters: tuple[tuple[str, str, Callable[[WorkerPool], int]], ...] = (
            ("batches", "Batches that were sent to workers.", lambda pool: pool.batches),
            ("worker_restarts", "Attempts to replace a worker that ended.", lambda pool: pool.restarts),
        )
        live = [
            ((served.name, served.live.source.version or ""), served.live.pool)
            for served in self._observer.catalog
            if served.live is not None
        ]
        for family, table in ((gauge, gauges), (counter, counters)):
            for name, text, value in table:
                yield family(
                    f"{_PREFIX}{name}", text, labels, [(subject, value(pool)) for subject, pool in live]
                )

    def _swaps(self) -> Iterator[Metric]:
        catalog = list(self._observer.catalog)
        yield counter(
            f"{_PREFIX}swaps",
            "Versions that took over.",
            ("model",),
            [((served.name,), served.swaps) for served in catalog],
        )
        yield counter(
            f"{_PREFIX}failed_swaps",
            "Versions that could not take over.",
            ("model",),
            [((served.name,), served.failed_swaps) for served in catalog],
        )
