"""What a scoring server tells of itself: its health, its models, and the numbers of its /metrics."""

import json
import math
from collections.abc import Mapping
from typing import Any, cast

import msgspec

_PREFIX = "slipstream_serving_"
_SERVER_FAULT = 500
_CLIENT_FAULT = 400
_LEFT = 499


class ModelStatus(msgspec.Struct, kw_only=True):
    """One model of a scoring server; numbers that it does not tell are absent."""

    name: str
    version: str | None = None
    task: str | None = None
    ready: bool | None = None
    requests: int = 0
    refused: int = 0
    """Answers of 4xx."""
    failed: int = 0
    """Answers of 5xx."""
    p50_seconds: float | None = None
    p95_seconds: float | None = None
    waiting: int | None = None
    at_work: int | None = None
    workers: int | None = None
    restarts: int | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0


class ServerStatus(msgspec.Struct, kw_only=True):
    name: str
    url: str
    healthy: bool = False
    error: str | None = None
    answer_seconds: float | None = None
    """How long its health took to ask."""
    has_metrics: bool = False
    models: list[ModelStatus] = []


def models_of(listed: bytes) -> list[ModelStatus]:
    """Read the answer of GET /v1/models; nothing where it is another."""
    try:
        data: Any = json.loads(listed)["data"]
        return [
            ModelStatus(
                name=str(each["id"]),
                version=None if each.get("version") is None else str(each["version"]),
                task=each.get("task") if isinstance(each.get("task"), str) else None,
            )
            for each in data
        ]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return []


def add_metrics(models: list[ModelStatus], text: str) -> bool:
    """Add what /metrics says of each model; tells whether there was anything of a scoring server of ours.

    Numbers of versions that have left are not added up with those of the live one.
    """
    from prometheus_client.parser import text_string_to_metric_families

    by_subject = {(model.name, model.version or ""): model for model in models}
    buckets: dict[tuple[str, str], dict[float, float]] = {}
    is_ours = False
    for family in text_string_to_metric_families(text):
        if not family.name.startswith(_PREFIX):
            continue
        is_ours = True
        name = family.name.removeprefix(_PREFIX)
        for sample in family.samples:
            labels = cast("Mapping[str, str]", sample.labels)
            subject = (labels.get("model", ""), labels.get("version", ""))
            model = by_subject.get(subject)
            if model is None:
                continue
            if name == "request_seconds" and sample.name.endswith("_bucket"):
                counts = buckets.setdefault(subject, {})
                bound = float(labels["le"])
                counts[bound] = counts.get(bound, 0) + sample.value
            else:
                _add(model, name, sample.name, labels, sample.value)
    for subject, counts in buckets.items():
        by_subject[subject].p50_seconds = quantile(counts, 0.5)
        by_subject[subject].p95_seconds = quantile(counts, 0.95)
    return is_ours


def _add(model: ModelStatus, family: str, sample: str, labels: Mapping[str, str], value: float) -> None:
    count = int(value) if math.isfinite(value) else 0
    if family == "requests" and sample.endswith("_total"):
        status = int(labels.get("status", "0") or 0)
        model.requests += count
        if status >= _SERVER_FAULT:
            model.failed += count
        elif status >= _CLIENT_FAULT and status != _LEFT:
            model.refused += count
    elif family == "queue_length":
        model.waiting = count
    elif family == "at_work":
        model.at_work = count
    elif family == "workers_ready":
        model.workers = count
        model.ready = count > 0
    elif family == "worker_restarts" and sample.endswith("_total"):
        model.restarts = count
    elif family == "prompt_tokens" and sample.endswith("_total"):
        model.prompt_tokens += count
    elif family == "completion_tokens" and sample.endswith("_total"):
        model.completion_tokens += count


def quantile(buckets: Mapping[float, float], share: float) -> float | None:
    """Return the value below which a share of a histogram is, evenly within its bucket, as Prometheus reckons it.

    `buckets` are cumulative counts by upper bound, the last one infinity.
    """
    bounds = sorted(buckets)
    if not bounds or not buckets[bounds[-1]]:
        return None
    rank = share * buckets[bounds[-1]]
    below, lower = 0.0, 0.0
    for bound in bounds:
        count = buckets[bound]
        if count >= rank:
            if math.isinf(bound):
                return lower
            return lower + (bound - lower) * (rank - below) / (count - below) if count > below else bound
        below, lower = count, bound
    return lower
