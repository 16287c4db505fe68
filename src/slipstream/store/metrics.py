"""Metric series and their latest points, in SQL.

A point is a row of `points`, clustered on (series, step); the series row carries the latest point.
Logging is written for many points at once: what waits for the writer is looked up, compared and inserted
together (`log_points`), so that a busy server spends its time in two statements a group.
"""

import base64
import json
import math
import zlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, LiteralString

from slipstream.db.base import Row, Transaction
from slipstream.entities import Metric, Page
from slipstream.errors import InvalidParameterError, SlipstreamError
from slipstream.rules import limits, names

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
INSERT_POINT: LiteralString = """
    INSERT INTO points (series, step, timestamp, value, is_nan)
    VALUES (:series, :step, :timestamp, :value, :is_nan)
    ON CONFLICT DO NOTHING
"""
UPDATE_LATEST: LiteralString = """
    UPDATE series SET step = :step, timestamp = :timestamp, value = :value, is_nan = :is_nan
    WHERE id = :id AND (step, timestamp, value) < (:step, :timestamp, :value)
"""
SELECT_HISTORY: LiteralString = """
    SELECT p.value, p.is_nan, p.timestamp, p.step
    FROM points p JOIN series s ON s.id = p.series JOIN runs r ON r.id = s.run
    WHERE r.run_id = :run_id AND s.key = :key
    ORDER BY p.timestamp, p.step, p.value, p.is_nan LIMIT :limit_
"""
SELECT_HISTORY_AFTER: LiteralString = """
    SELECT p.value, p.is_nan, p.timestamp, p.step
    FROM points p JOIN series s ON s.id = p.series JOIN runs r ON r.id = s.run
    WHERE r.run_id = :run_id AND s.key = :key
      AND (p.timestamp, p.step, p.value, p.is_nan) > (:timestamp, :step, :value, :is_nan)
    ORDER BY p.timestamp, p.step, p.value, p.is_nan LIMIT :limit_
"""
SELECT_HISTORY_BULK: LiteralString = """
    SELECT r.run_id, p.value, p.is_nan, p.timestamp, p.step
    FROM points p JOIN series s ON s.id = p.series JOIN runs r ON r.id = s.run
    WHERE r.run_id IN :run_ids__in AND s.key = :key
    ORDER BY r.run_id, p.timestamp, p.step, p.value LIMIT :limit_
"""
# NTILE gives the buckets of MLflow's sampling: the first (n mod k) of k buckets hold one more.
SELECT_INTERVAL: LiteralString = """
    SELECT value, is_nan, timestamp, step FROM (
        SELECT value, is_nan, timestamp, step, bucket, position, total,
            ROW_NUMBER() OVER (PARTITION BY bucket ORDER BY position) AS place
        FROM (
            SELECT p.value, p.is_nan, p.timestamp, p.step,
                NTILE(:buckets) OVER (ORDER BY p.step, p.timestamp, p.value, p.is_nan) AS bucket,
                ROW_NUMBER() OVER (ORDER BY p.step, p.timestamp, p.value, p.is_nan) AS position,
                COUNT(*) OVER () AS total
            FROM points p JOIN series s ON s.id = p.series JOIN runs r ON r.id = s.run
            WHERE r.run_id = :run_id AND s.key = :key AND p.step >= :first AND p.step <= :last
        ) AS numbered
    ) AS sampled
    WHERE place = 1 OR position = total
    ORDER BY position
"""

_NAN = math.nan


class MetricsPart:
    tx: Transaction

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
        accepted: list[tuple[int, Metric]] = []
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
                accepted.append((run, metric))
        self._insert(accepted)
        return outcomes

    def insert_points(self, run: int, metrics: Sequence[Metric]) -> None:
        """Log a batch of one active run, whose keys have been checked."""
        for index, metric in enumerate(metrics):
            _check_numbers(metric, f"metrics[{index}].")
        self._insert([(run, metric) for metric in metrics])

    def _insert(self, points: Sequence[tuple[int, Metric]]) -> None:
        known: dict[tuple[int, str], list[float]] = {}  # (run, key) -> id, step, timestamp, value as stored
        newest: dict[int, Row] = {}
        rows: list[Row] = []
        if len(points) > 8:
            self._load_series(points, known)
        for run, metric in points:
            value = metric.value
            is_nan = 1 if value != value else 0  # noqa: PLR0124  # only NaN differs from itself
            if is_nan:
                value = 0.0
            step, timestamp = metric.step, metric.timestamp
            series = known.get((run, metric.key))
            if series is None:
                series = known[run, metric.key] = self._series(run, metric, value, is_nan)
            identity = series[0]
            rows.append((identity, step, timestamp, value, is_nan))
            if (step, timestamp, value) > (series[1], series[2], series[3]):
                series[1], series[2], series[3] = step, timestamp, value
                newest[identity] = (step, timestamp, value, is_nan, identity)  # pyright: ignore[reportArgumentType]
        self.tx.execute_many(INSERT_POINT, rows)
        if newest:
            self.tx.execute_many(UPDATE_LATEST, [newest[key] for key in sorted(newest)])
        linked = [(metric.model_id, run, metric) for run, metric in points if metric.model_id]
        if linked:
            self.log_model_points(linked)

    def _load_series(
        self, points: Iterable[tuple[int, Metric]], known: dict[tuple[int, str], list[float]]
    ) -> None:
        keys: dict[int, set[str]] = {}
        for run, metric in points:
            keys.setdefault(run, set()).add(metric.key)
        for run, wanted in keys.items():
            for row in self.tx.fetch_all(SELECT_SERIES_MANY, run=run, keys__in=sorted(wanted)):
                known[run, row[0]] = list(row[1:])

    def _series(self, run: int, metric: Metric, value: float, is_nan: int) -> list[float]:
        row = self.tx.fetch_one(SELECT_SERIES, run=run, key=metric.key)
        if row is None:
            row = self.tx.fetch_one(
                INSERT_SERIES,
                run=run,
                key=metric.key,
                step=metric.step,
                timestamp=metric.timestamp,
                value=value,
                is_nan=is_nan,
            )
        assert row is not None, "INSERT ... RETURNING gives a row"
        return list(row)

    def get_metric_history(
        self, run_id: str, key: str, max_results: int | None = None, page_token: str | None = None
    ) -> Page[Metric]:
        if max_results is not None:
            limits.check_int64(max_results, "max_results")
            if max_results < 1:
                raise InvalidParameterError(
                    f"Invalid value {max_results} for parameter 'max_results': it must be at least 1."
                )
        limit = limits.INT64_MAX if max_results is None else min(max_results, limits.INT64_MAX - 1) + 1
        if page_token:
            rows = self.tx.fetch_all(
                SELECT_HISTORY_AFTER,
                run_id=run_id,
                key=key,
                limit_=limit,
                **_decode_token(page_token, run_id, key),
            )
        else:
            rows = self.tx.fetch_all(SELECT_HISTORY, run_id=run_id, key=key, limit_=limit)
        shown = rows if max_results is None else rows[:max_results]
        token = _encode_token(shown[-1], run_id, key) if len(rows) > len(shown) else None
        return Page([_metric(key, row) for row in shown], token)

    def get_metric_history_bulk(self, run_ids: Sequence[str], key: str, max_results: int) -> list[Metric]:
        limits.check_max_results(max_results, limits.INT64_MAX)
        if not run_ids:
            return []
        rows = self.tx.fetch_all(
            SELECT_HISTORY_BULK,
            run_ids__in=list(run_ids),
            key=key,
            limit_=min(max_results, limits.HISTORY_BULK_POINTS),
        )
        return [_metric(key, row[1:], row[0]) for row in rows]

    def get_metric_history_interval(
        self,
        run_ids: Sequence[str],
        key: str,
        start_step: int | None = None,
        end_step: int | None = None,
        max_results: int = limits.HISTORY_INTERVAL_POINTS,
    ) -> list[Metric]:
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
        found: list[Metric] = []
        for run_id in run_ids:
            rows = self.tx.fetch_all(
                SELECT_INTERVAL,
                run_id=run_id,
                key=key,
                buckets=max_results,
                first=limits.INT64_MIN if start_step is None else start_step,
                last=limits.INT64_MAX if end_step is None else end_step,
            )
            if len(rows) > max_results:  # the last point takes the place of the last sample
                rows = [*rows[: max_results - 1], rows[-1]]
            found += [_metric(key, row, run_id) for row in rows]
        return found


def _series_check(run_id: str, key: str) -> int:
    return zlib.crc32(f"{run_id}/{key}".encode())


def _metric(key: str, row: Row, run_id: str | None = None) -> Metric:
    value, is_nan, timestamp, step = row
    return Metric(key, _NAN if is_nan else value, timestamp, step, run_id=run_id)


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


def _encode_token(row: Row, run_id: str, key: str) -> str:
    value, is_nan, timestamp, step = row
    place = [_series_check(run_id, key), timestamp, step, value, is_nan]
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode()


def _decode_token(token: str, run_id: str, key: str) -> dict[str, object]:
    try:
        check, timestamp, step, value, is_nan = json.loads(base64.urlsafe_b64decode(token.encode()))
        if check != _series_check(run_id, key):
            raise ValueError("it belongs to another metric")  # noqa: TRY301  # told below like other faults of a token
        for number in (timestamp, step, is_nan):
            limits.check_int64(number, "page_token")
        return {"timestamp": timestamp, "step": step, "value": float(value), "is_nan": is_nan}
    except (ValueError, TypeError, RecursionError, OverflowError) as error:
        raise InvalidParameterError(
            f"Invalid page token '{token[:80]}': pass the 'next_page_token' of the page before, unchanged."
        ) from error
