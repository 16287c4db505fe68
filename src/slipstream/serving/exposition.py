"""The server's numbers in Prometheus' text format; the only file that knows Prometheus' library."""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

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


class Exposition(Collector):
    """What a scrape answers, in a registry of its own: the process may have other numbers for other people."""

    def __init__(self, observer: "Observer") -> None:
        self._observer = observer
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def text(self) -> bytes:
        return generate_latest(self._registry)

    def describe(self) -> Iterable[Metric]:
        return ()  # unasked, the registry would collect once for the names alone

    def collect(self) -> Iterator[Metric]:
        yield self._requests()
        yield from self._histograms()
        yield from self._tokens()
        yield from self._pools()
        yield from self._swaps()
        buffered = GaugeMetricFamily(
            f"{_PREFIX}buffered_bytes", "Bytes of requests that the server holds, in all."
        )
        buffered.add_metric((), self._observer.buffered())
        yield buffered

    def _requests(self) -> Metric:
        with_keys = self._observer.with_keys
        family = CounterMetricFamily(
            f"{_PREFIX}requests",
            "Answers by status; 499 are those whose client had left.",
            labels=(*_OPERATION, "status", *(("key",) if with_keys else ())),
        )
        for subject, series in self._observer.series():
            for (status, key), count in series.answers.items():
                family.add_metric((*subject, str(status), *((key,) if with_keys else ())), count)
        return family

    def _histograms(self) -> Iterator[Metric]:
        for name, text, tally_of in _HISTOGRAMS:
            family = HistogramMetricFamily(f"{_PREFIX}{name}", text, labels=_OPERATION)
            for subject, series in self._observer.series():
                tally = tally_of(series)
                if any(tally.counts) or name in _EVERY_REQUEST:
                    family.add_metric(subject, _buckets(tally), tally.total)
            yield family

    def _tokens(self) -> Iterator[Metric]:
        prompt = CounterMetricFamily(f"{_PREFIX}prompt_tokens", "Tokens of prompts.", labels=_OPERATION)
        made = CounterMetricFamily(
            f"{_PREFIX}completion_tokens", "Tokens that were generated.", labels=_OPERATION
        )
        for subject, series in self._observer.series():
            if series.prompt_tokens or series.completion_tokens:
                prompt.add_metric(subject, series.prompt_tokens)
                made.add_metric(subject, series.completion_tokens)
        yield prompt
        yield made

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
        for family, table in ((GaugeMetricFamily, gauges), (CounterMetricFamily, counters)):
            for name, text, value in table:
                metric = family(f"{_PREFIX}{name}", text, labels=labels)
                for subject, pool in live:
                    metric.add_metric(subject, value(pool))
                yield metric

    def _swaps(self) -> Iterator[Metric]:
        swaps = CounterMetricFamily(f"{_PREFIX}swaps", "Versions that took over.", labels=("model",))
        failed = CounterMetricFamily(
            f"{_PREFIX}failed_swaps", "Versions that could not take over.", labels=("model",)
        )
        for served in self._observer.catalog:
            swaps.add_metric((served.name,), served.swaps)
            failed.add_metric((served.name,), served.failed_swaps)
        yield swaps
        yield failed


def _buckets(tally: Tally) -> list[tuple[str, float]]:
    """Return the buckets as Prometheus has them: each holds all that are below."""
    found: list[tuple[str, float]] = []
    below = 0
    for bound, count in zip((*tally.bounds, float("inf")), tally.counts, strict=True):
        below += count
        found.append(("+Inf" if bound == float("inf") else repr(bound), below))
    return found
