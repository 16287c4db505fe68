"""Numbers in Prometheus' text format, as both servers show them; the only file that knows how the text is made."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeAlias

import msgspec
from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from slipstream.tally import Tally

__all__ = ["CONTENT_TYPE", "Exposition", "Metric", "counter", "gauge", "histogram", "joined", "process"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
Labels: TypeAlias = Sequence[str]


class Exposition(Collector):
    """What a scrape answers, in a registry of its own: the process may have other numbers for other people."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry(auto_describe=False)
        self._registry.register(self)

    def text(self) -> bytes:
        return generate_latest(self._registry)

    def packed(self) -> bytes:
        """Return all numbers for `unpacked` in another process."""
        return msgspec.msgpack.encode(
            [
                _Packed(
                    metric.name,
                    metric.documentation,
                    metric.type,
                    [_PackedSample(*each[:3]) for each in metric.samples],
                )
                for metric in self.collect()
            ]
        )

    def describe(self) -> Iterable[Metric]:
        return ()  # unasked, the registry would collect once for the names alone

    def collect(self) -> Iterator[Metric]:
        raise NotImplementedError


class _PackedSample(msgspec.Struct, array_like=True):
    name: str
    labels: dict[str, str]
    value: float


class _Packed(msgspec.Struct, array_like=True):
    name: str
    text: str
    kind: str
    samples: list[_PackedSample]


def joined(own: Iterable[Metric], others: Sequence[bytes]) -> Iterator[Metric]:
    """Return the numbers of this process and those that other processes packed; their labels must tell them apart."""
    found = {metric.name: metric for metric in own}
    for packed in others:
        for each in msgspec.msgpack.decode(packed, type=list[_Packed]):
            metric = found.setdefault(each.name, Metric(each.name, each.text, each.kind))
            for sample in each.samples:
                metric.add_sample(sample.name, sample.labels, sample.value)
    yield from found.values()


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
