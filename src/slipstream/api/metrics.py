"""The routes of metrics."""

from collections.abc import Iterable, Sequence
from itertools import repeat
from math import isfinite
from typing import Any, Protocol

import msgspec

from slipstream.api.many_points import PointsText
from slipstream.api.routing import AJAX, Empty, Encoded, Permission, Request, Response, route
from slipstream.api.runs import MetricMessage, RunIdentified, measured
from slipstream.entities import Metric
from slipstream.errors import InvalidParameterError, SlipstreamError
from slipstream.rules import limits
from slipstream.store.base import Store
from slipstream.wire.numbers import to_wire as double_to_wire
from slipstream.wire.parsing import Int64


class LogMetric(RunIdentified, kw_only=True):
    key: str
    value: float
    timestamp: Int64
    step: Int64 = 0
    model_id: str | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None


@route("POST", "runs/log-metric", permission=Permission.WRITE)
def log_metric(store: Store, req: LogMetric) -> Empty:
    """Log one value of one metric."""
    store.log_metric(req.run, measured(req))
    return Empty()


class TakesPoints(Protocol):
    """A store that logs points of many requests at once."""

    def log_points(self, requests: Sequence[tuple[str, Metric]]) -> list[SlipstreamError | None]: ...


def log_metrics_together(
    store: TakesPoints, requests: Sequence[LogMetric]
) -> Sequence[Empty | SlipstreamError]:
    """Do what `log_metric` does for many requests at once: the server's path for concurrent callers."""
    outcomes: list[Empty | SlipstreamError] = [_EMPTY] * len(requests)
    points: list[tuple[str, Metric]] = []
    places: list[int] = []
    for index, req in enumerate(requests):
        try:
            points.append((req.run_id or req.run, measured(req)))
            places.append(index)
        except SlipstreamError as error:
            outcomes[index] = error
    for place, error in zip(places, store.log_points(points), strict=True):
        if error is not None:
            outcomes[place] = error
    return outcomes


_EMPTY = Empty()


class GetMetricHistory(RunIdentified, kw_only=True):
    metric_key: str
    max_results: Int64 | None = None
    page_token: str | None = None


class HistoryPoint(msgspec.Struct, frozen=True, gc=False):
    """A `MetricMessage` that is made by the hundred thousand."""

    key: str
    value: float | str
    timestamp: int
    step: int = 0


class GetMetricHistoryResponse(Response, kw_only=True):
    metrics: list[HistoryPoint] = []
    next_page_token: str | None = None


class PointColumns(Protocol):
    """Points of one series: columns of one length."""

    @property
    def timestamps(self) -> Sequence[int]: ...
    @property
    def steps(self) -> Sequence[int]: ...
    @property
    def values(self) -> Sequence[float]: ...


class ReadsColumns(Protocol):
    """A store that returns histories as columns (timestamps, steps, values): the server's.

    Parts of a history may be read as they are asked for.
    """

    def get_history_parts(
        self, run_id: str, key: str, max_results: int | None = None, page_token: str | None = None
    ) -> tuple[Iterable[PointColumns], str | None]: ...

    def get_history_columns_bulk(
        self, run_ids: Sequence[str], key: str, max_results: int
    ) -> Sequence[tuple[str, PointColumns]]: ...

    def get_history_columns_interval(
        self,
        run_ids: Sequence[str],
        key: str,
        start_step: int | None = None,
        end_step: int | None = None,
        max_results: int = limits.HISTORY_INTERVAL_POINTS,
    ) -> Sequence[tuple[str, PointColumns]]: ...


@route("GET", "metrics/get-history", permission=Permission.READ)
def get_metric_history(store: ReadsColumns, req: GetMetricHistory) -> GetMetricHistoryResponse | Encoded:
    """Return every point of one metric of a run, by (timestamp, step, value)."""
    parts, token = store.get_history_parts(req.run, req.metric_key, req.max_results, req.page_token)
    text = PointsText("metrics")
    for part in parts:
        values = _wire_values(part.values)
        text.add(map(HistoryPoint, repeat(req.metric_key), values, part.timestamps, part.steps))
    return GetMetricHistoryResponse() if text.is_empty else text.end(next_page_token=token)


def _wire_values(values: Sequence[float]) -> Sequence[float | str]:
    return values if all(map(isfinite, values)) else list(map(double_to_wire, values))


class BulkPoint(msgspec.Struct, frozen=True, gc=False):
    key: str
    run_id: str
    step: int
    timestamp: int
    value: float | str | msgspec.Raw


class GetMetricHistoryBulk(Request, kw_only=True):
    run_id: list[str] = []
    metric_key: str
    max_results: Int64 = limits.HISTORY_BULK_POINTS


class GetMetricHistoryBulkResponse(msgspec.Struct, frozen=True):
    metrics: list[BulkPoint]


_BARE_NAN = msgspec.Raw(b"NaN")


@route("GET", "metrics/get-history-bulk", permission=Permission.READ, prefixes=(AJAX,))
def get_metric_history_bulk(
    store: ReadsColumns, req: GetMetricHistoryBulk
) -> GetMetricHistoryBulkResponse | Encoded:
    """Return points of one metric of up to 100 runs, for charts. NaN is the bare token, as in MLflow."""
    run_ids = _few_runs(req.run_id, "run_id")
    if req.max_results == 0:
        return GetMetricHistoryBulkResponse([])
    # MLflow takes a negative number for no limit of one's own.
    most = req.max_results if req.max_results > 0 else limits.HISTORY_BULK_POINTS
    text = PointsText("metrics")
    for run_id, columns in store.get_history_columns_bulk(run_ids, req.metric_key, most):
        values: Sequence[Any] = columns.values
        if not all(map(isfinite, values)):
            values = list(map(_chart_value, values))
        text.add(
            map(BulkPoint, repeat(req.metric_key), repeat(run_id), columns.steps, columns.timestamps, values)
        )
    return text.end()


class IntervalPoint(MetricMessage, kw_only=True):
    run_id: str


class GetMetricHistoryInterval(Request, kw_only=True):
    run_ids: list[str] = []
    metric_key: str
    start_step: Int64 | None = None
    end_step: Int64 | None = None
    max_results: Int64 = limits.HISTORY_INTERVAL_POINTS


class GetMetricHistoryIntervalResponse(Response, kw_only=True):
    metrics: list[IntervalPoint] = []


@route("GET", "metrics/get-history-bulk-interval", permission=Permission.READ)
def get_metric_history_interval(
    store: ReadsColumns, req: GetMetricHistoryInterval
) -> GetMetricHistoryIntervalResponse:
    """Return an even sample of one metric's points of up to 100 runs."""
    run_ids = _few_runs(req.run_ids, "run_ids")
    parts = store.get_history_columns_interval(
        run_ids, req.metric_key, req.start_step, req.end_step, req.max_results
    )
    return GetMetricHistoryIntervalResponse(
        metrics=[
            IntervalPoint(key=req.metric_key, value=value, timestamp=timestamp, step=step, run_id=run_id)
            for run_id, columns in parts
            for value, timestamp, step in zip(
                _wire_values(columns.values), columns.timestamps, columns.steps, strict=True
            )
        ]
    )


def _few_runs(run_ids: list[str], field: str) -> list[str]:
    if not run_ids:
        raise InvalidParameterError(f"Missing value for required parameter '{field}'.")
    if len(run_ids) > limits.HISTORY_BULK_RUNS:
        raise InvalidParameterError(
            f"'{field}' names {len(run_ids)} runs; the limit is {limits.HISTORY_BULK_RUNS}."
        )
    return run_ids


def _chart_value(value: float) -> float | str | msgspec.Raw:
    wire = double_to_wire(value)
    return _BARE_NAN if wire == "NaN" else wire
