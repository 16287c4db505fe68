"""Metric series and their latest points, in SQL.

The points are in blocks (`store/point_blocks.py`); the series row carries the latest one.
Logging is written for many points at once: what waits for the writer is looked up, compared and inserted
together (`log_points`), so that a busy server spends its time in two statements a group.
"""

import base64
import json
import operator
import zlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import repeat
from typing import TYPE_CHECKING, LiteralString

from slipstream.db.base import Row, Transaction
from slipstream.db.point_blocks import Place, Point, Sight, seen
from slipstream.entities import Metric, Page
from slipstream.errors import InvalidParameterError, SlipstreamError
from slipstream.rules import limits, names
from slipstream.store.point_blocks import PointBlocksPart
from slipstream.store.samples import sample

SELECT_SERIES: LiteralString = "SELECT id, step, timestamp, value FROM series WHERE run = :run AND key = :key"
SELECT_SERIES_MANY: LiteralString = (
    "SELECT key, id, step, timestamp, value FROM series WHERE run = :run AND key IN :keys__in"
)
INSERT_SERIES: LiteralString = """
    INSERT INTO series (run, key, step, timestamp, value, is_nan)
    VALUES (:run, :key, :step, :timestamp, :value, :is_nan)
    ON CONFLICT (run, key) DO UPDATE SET key = excluded.key
    RETURNING id, step, timestamp, value
"""
INSERT_SEVERAL: LiteralString = """
    INSERT INTO series (run, key, step, timestamp, value, is_nan)
    VALUES (:run, :key, :step, :timestamp, :value, :is_nan)
    ON CONFLICT DO NOTHING
"""
UPDATE_LATEST: LiteralString = """
    UPDATE series SET step = :step, timestamp = :timestamp, value = :value, is_nan = :is_nan
    WHERE id = :id AND (step, timestamp, value) < (:step, :timestamp, :value)
"""
SELECT_SERIES_OF: LiteralString = """
    SELECT r.run_id, s.run, s.id FROM series s JOIN runs r ON r.id = s.run
    WHERE r.run_id IN :run_ids__in AND s.key = :key
"""

_LIMIT = 1 << 63
_SERIES_COLUMNS = ("run", "key", "step", "timestamp", "value", "is_nan")


class MetricsPart(PointBlocksPart):
    tx: Transaction
    changed_runs: set[int]

    if TYPE_CHECKING:  # in store/runs.py and store/logged_models.py

        def require_run(self, run_id: str, *, active: bool = False) -> tuple[int, int]: ...
        def require_model_for_metric(self, model_id: str) -> None: ...
        def log_model_points(self, rows: Sequence[tuple[str, int, Metric]]) -> None: ...

    def log_metric(self, run_id: str, metric: Metric) -> None:
        outcome = self.log_points([(run_id, metric)])[0]
        if outcome is not None:
            raise outcome

    def log_points(self, requests: Sequence[tuple[str, Metric]]) -> list[SlipstreamError | None]:
        """Log points of any runs together; return for each `None` or why it was refused.

        A refused point leaves nothing behind and does not touch the others.
        """
        outcomes: list[SlipstreamError | None] = [None] * len(requests)
        runs: dict[str, int | SlipstreamError] = {}
        accepted: dict[int, list[Metric]] = {}
        for index, (run_id, metric) in enumerate(requests):
            try:
                _check(metric)
                run = runs.get(run_id)
                if run is None:
                    run = runs[run_id] = self.require_run(run_id, active=True)[0]
                if metric.model_id:  # refused here, where it concerns this point alone
                    self.require_model_for_metric(metric.model_id)
            except SlipstreamError as error:
                outcomes[index] = error
                continue
            if isinstance(run, SlipstreamError):
                outcomes[index] = run
            else:
                accepted.setdefault(run, []).append(metric)
        self._insert(accepted)
        return outcomes

    def insert_points(self, run: int, metrics: Sequence[Metric]) -> None:
        """Log a batch of one run, whose keys have been checked."""
        self.changed_runs.add(run)
        for index, metric in enumerate(metrics):
            step, timestamp = metric.step, metric.timestamp
            if (
                type(step) is not int
                or type(timestamp) is not int
                or not -_LIMIT <= step < _LIMIT
                or not 0 <= timestamp < _LIMIT
                or metric.dataset_name
                or metric.dataset_digest
            ):
                _check_numbers(metric, f"metrics[{index}].")  # which says what is wrong, if anything is
        self._insert({run: metrics})

    def _insert(self, by_run: Mapping[int, Sequence[Metric]]) -> None:
        points: dict[int, dict[int, list[Point]]] = {}
        newest: list[Row] = []
        linked: list[tuple[str, int, Metric]] = []
        for run, metrics in by_run.items():
            known = self._several_series(run, metrics) if len(metrics) > 1 else {}
            for metric in metrics:
                step, timestamp, value = metric.step, metric.timestamp, metric.value
                is_nan = value != value  # noqa: PLR0124  # only NaN differs from itself
                ranked = 0.0 if is_nan else value
                series = known.get(metric.key)
                if series is None:
                    series = known[metric.key] = self._series(run, metric)
                series.points.append((timestamp, step, value))
                if step > series.step or (step, timestamp, ranked) > (
                    series.step,
                    series.timestamp,
                    series.value,
                ):
                    series.step, series.timestamp, series.value = step, timestamp, ranked
                    series.is_nan, series.is_newer = is_nan, True
                if metric.model_id:
                    linked.append((metric.model_id, run, metric))
            points[run] = {series.identity: series.points for series in known.values() if series.points}
            newest += [
                (series.step, series.timestamp, series.value, int(series.is_nan), series.identity)
                for series in known.values()
                if series.is_newer
            ]
        self.insert_blocks(points)
        if newest:
            # In one order for all: PostgreSQL locks the rows one after the other.
            self.tx.execute_many(UPDATE_LATEST, sorted(newest, key=operator.itemgetter(4)))
        if linked:
            self.log_model_points(linked)

    def _several_series(self, run: int, metrics: Sequence[Metric]) -> "dict[str, _Series]":
        """Return the series of some metrics by key, with two questions however many of them are new."""
        first: dict[str, Metric] = {}
        for metric in metrics:
            if metric.key not in first:
                first[metric.key] = metric
        known = self._load_series(run, list(first))
        new = [metric for key, metric in first.items() if key not in known]
        if new:
            self.tx.execute_many(INSERT_SEVERAL, [_first_row(run, metric) for metric in new])
            known |= self._load_series(run, [metric.key for metric in new])
        return known

    def _load_series(self, run: int, keys: Sequence[str]) -> "dict[str, _Series]":
        rows = self.tx.fetch_all(SELECT_SERIES_MANY, run=run, keys__in=sorted(keys))
        return {row[0]: _Series(*row[1:]) for row in rows}

    def _series(self, run: int, metric: Metric) -> "_Series":
        row = self.tx.fetch_one(SELECT_SERIES, run=run, key=metric.key)
        if row is None:
            row = self.tx.fetch_one(
                INSERT_SERIES, **dict(zip(_SERIES_COLUMNS, _first_row(run, metric), strict=True))
            )
        assert row is not None, "INSERT ... RETURNING gives a row"
        return _Series(*row)

    def get_metric_history(
        self, run_id: str, key: str, max_results: int | None = None, page_token: str | None = None
    ) -> Page[Metric]:
        columns, token = self.get_history_columns(run_id, key, max_results, page_token)
        return Page(_metrics(key, columns), token)

    def get_history_columns(
        self, run_id: str, key: str, max_results: int | None = None, page_token: str | None = None
    ) -> tuple[Sight, str | None]:
        """Return what `get_metric_history` does as columns, and the next page's token."""
        parts, token = self.get_history_parts(run_id, key, max_results, page_token)
        return seen(list(parts)), token

    def get_history_parts(
        self, run_id: str, key: str, max_results: int | None = None, page_token: str | None = None
    ) -> tuple[Iterable[Sight], str | None]:
        """Return what `get_metric_history` does as columns of some points each, and the next page's token.

        Without `max_results` a part is read when it is asked for, inside this transaction.
        """
        if max_results is not None:
            limits.check_int64(max_results, "max_results")
            if max_results < 1:
                raise InvalidParameterError(
                    f"Invalid value {max_results} for parameter 'max_results': it must be at least 1."
                )
        after = _decode_token(page_token, run_id, key) if page_token else None
        found = self._find_series([run_id], key)
        if not found:
            return (), None
        _, run, series = found[0]
        if max_results is None:
            return self.see_in_parts(run, series, after), None
        points = self.see_points(run, series, after, min(max_results, limits.INT64_MAX - 1) + 1)
        if len(points.values) <= max_results:
            return (points,), None
        points = points.part(0, max_results)
        return (points,), _encode_token(points.place(-1), run_id, key)

    def get_metric_history_bulk(self, run_ids: Sequence[str], key: str, max_results: int) -> list[Metric]:
        parts = self.get_history_columns_bulk(run_ids, key, max_results)
        return [metric for run_id, columns in parts for metric in _metrics(key, columns, run_id)]

    def get_history_columns_bulk(
        self, run_ids: Sequence[str], key: str, max_results: int
    ) -> list[tuple[str, Sight]]:
        """Return what `get_metric_history_bulk` does as (run id, columns)."""
        limits.check_max_results(max_results, limits.INT64_MAX)
        room = min(max_results, limits.HISTORY_BULK_POINTS)
        parts: list[tuple[str, Sight]] = []
        for run_id, run, series in self._find_series(run_ids, key):
            parts.append((run_id, self.see_points(run, series, most=room)))
            room -= len(parts[-1][1].values)
            if room == 0:
                break
        return parts

    def _find_series(self, run_ids: Sequence[str], key: str) -> list[tuple[str, int, int]]:
        """Return (run id, internal id of the run, of the series) of the runs that have the metric, by run id."""
        if not run_ids:
            return []
        rows = self.tx.fetch_all(SELECT_SERIES_OF, run_ids__in=list(run_ids), key=key)
        return sorted((row[0], row[1], row[2]) for row in rows)

    def get_metric_history_interval(
        self,
        run_ids: Sequence[str],
        key: str,
        start_step: int | None = None,
        end_step: int | None = None,
        max_results: int = limits.HISTORY_INTERVAL_POINTS,
    ) -> list[Metric]:
        parts = self.get_history_columns_interval(run_ids, key, start_step, end_step, max_results)
        return [metric for run_id, columns in parts for metric in _metrics(key, columns, run_id)]

    def get_history_columns_interval(
        self,
        run_ids: Sequence[str],
        key: str,
        start_step: int | None = None,
        end_step: int | None = None,
        max_results: int = limits.HISTORY_INTERVAL_POINTS,
    ) -> list[tuple[str, Sight]]:
        """Return what `get_metric_history_interval` does as (run id, columns)."""
        limits.check_max_results(max_results, limits.HISTORY_INTERVAL_POINTS)
        for field, step in (("start_step", start_step), ("end_step", end_step)):
            if step is not None:
                limits.check_int64(step, field)
        if (start_step is None) != (end_step is None):
            raise InvalidParameterError("Give both 'start_step' and 'end_step', or neither.")
        if start_step is not None and end_step is not None and start_step > end_step:
            raise InvalidParameterError(
                f"'end_step' ({end_step}) must not be less than 'start_step' ({start_step})."
            )
        places = {run_id: (run, series) for run_id, run, series in self._find_series(run_ids, key)}
        return [
            (run_id, sample(self.see_points(*places[run_id]), max_results, start_step, end_step))
            for run_id in run_ids
            if run_id in places
        ]


class _Series:
    """A series while points are added to it."""

    __slots__ = ("identity", "is_nan", "is_newer", "points", "step", "timestamp", "value")

    def __init__(self, identity: int, step: int, timestamp: int, value: float) -> None:
        self.identity = identity
        self.step = step
        self.timestamp = timestamp
        self.value = value
        """0 for NaN, as in the table."""
        self.is_nan = False
        self.is_newer = False
        """Whether the latest point is not the stored one any more."""
        self.points: list[Point] = []


def _first_row(run: int, metric: Metric) -> Row:
    """Return the row of a new series, whose only point is its latest."""
    value = metric.value
    is_nan = value != value  # noqa: PLR0124  # only NaN differs from itself
    return run, metric.key, metric.step, metric.timestamp, 0.0 if is_nan else value, int(is_nan)


def _series_check(run_id: str, key: str) -> int:
    return zlib.crc32(f"{run_id}/{key}".encode())


def _metrics(key: str, points: Sight, run_id: str | None = None) -> list[Metric]:
    nothing = repeat(None)
    return list(
        map(
            Metric,
            repeat(key),
            points.values,
            points.timestamps,
            points.steps,
            nothing,
            nothing,
            nothing,
            repeat(run_id),
        )
    )


def _check(metric: Metric) -> None:
    names.check_key(metric.key, "name")
    _check_numbers(metric, "")


def _check_numbers(metric: Metric, path: str) -> None:
    # Whoever calls: a point that is stored with another type could not be read any more.
    limits.check_int64(metric.step, f"{path}step")
    limits.check_int64(metric.timestamp, f"{path}timestamp")
    if metric.dataset_name:
        limits.check_length(metric.dataset_name, limits.DATASET_NAME, f"{path}dataset_name")
    if metric.dataset_digest:
        limits.check_length(metric.dataset_digest, limits.DATASET_DIGEST, f"{path}dataset_digest")
    if metric.timestamp < 0:
        raise InvalidParameterError(
            f"Invalid value {metric.timestamp} for '{path}timestamp' of metric '{metric.key}': "
            "give non-negative Unix milliseconds."
        )


def _encode_token(place: Place, run_id: str, key: str) -> str:
    text = json.dumps([_series_check(run_id, key), *place])
    return base64.urlsafe_b64encode(text.encode()).decode()


def _decode_token(token: str, run_id: str, key: str) -> Place:
    try:
        check, timestamp, step, value, is_nan = json.loads(base64.urlsafe_b64decode(token.encode()))
        if check != _series_check(run_id, key):
            raise ValueError("it belongs to another metric")  # noqa: TRY301  # told below like other faults of a token
        for number in (timestamp, step):
            limits.check_int64(number, "page_token")
        return timestamp, step, float(value), bool(is_nan)
    except (ValueError, TypeError, RecursionError, OverflowError) as error:
        raise InvalidParameterError(
            f"Invalid page token '{token[:80]}': pass the 'next_page_token' of the page before, unchanged."
        ) from error
