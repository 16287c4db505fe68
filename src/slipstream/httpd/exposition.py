"""Numbers in Prometheus' text format, as both servers show them; the only file that knows how the text is made."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from slipstream.tally import Tally

__all__ = ["CONTENT_TYPE", "Exposition", "Metric", "counter", "gauge", "histogram", "process"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Labels: TypeAlias = Sequence[str]


class Exposition(Collector):
    """What a scrape answers, in a registry of its own: the process may have other numbers for other people."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def text(self) -> bytes:
        return generate_latest(self._registry)

    def describe(self) -> Iterable[Metric]:
        return ()  # unasked, the registry would collect once for the names alone

    def collect(self) -> Iterator[Metric]:
        raise NotImplementedError


def counter(name: str, text: str, labels: Labels, values: Iterable[tuple[Labels, float]]) -> Metric:
    """Return a counter; its name is shown with `_total` behind it."""
    return _filled(CounterMetricFamily(name, text, labels=labels), values)


def gauge(name: str, text: str, labels: Labels, values: Iterable[tuple[Labels, float]]) -> Metric:
    return _filled(GaugeMetricFamily(name, text, labels=labels), values)


def histogram(name: str, text: str, labels: Labels, values: Iterable[tuple[Labels, Tally]]) -> Metric:
    family = HistogramMetricFamily(name, text, labels=labels)
    for subject, tally in values:
        family.add_metric(subject, _buckets(tally), tally.total)
    return family


def process() -> Iterable[Metric]:
    """Return memory, file descriptors and time of this process, under the names that all programs use (Linux only)."""
    return ProcessCollector(registry=None).collect()


def _filled(family: Any, values: Iterable[tuple[Labels, float]]) -> Metric:
    for subject, value in values:
        family.add_metric(subject, value)
    return family


def _buckets(tally: Tally) -> list[tuple[str, float]]:
    """Return the buckets as Prometheus has them: each holds all that are below."""
    found: list[tuple[str, float]] = []
    below = 0
    for bound, count in zip((*tally.bounds, float("inf")), tally.counts, strict=True):
        below += count
        found.append(("+Inf" if bound == float("inf") else repr(bound), below))
    return found
