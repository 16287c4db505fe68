"""Whole histories of many runs and keys, in pieces: what exports, charts and bulk downloads read.

The only file that reads many points at a time. A piece is one read of bounded size and says where the next one
begins, so that whoever sends a history over a slow line holds no snapshot of the database meanwhile.
"""

from array import array
from collections.abc import Callable, Iterator, Sequence
from typing import LiteralString, NamedTuple

from slipstream.db.base import Row, Transaction
from slipstream.entities import SeriesFilter, SeriesPoints
from slipstream.errors import NotFoundError
from slipstream.rules import limits
from slipstream.rules.series import check_series_request, is_pattern, is_wanted, sample_positions

PIECE = limits.SERIES_POINTS
"""Points of a series that are read at a time."""
_RUNS = 1_000
"""Runs that are looked at in one read at most."""
_KEYS = 1_000
"""Series that are listed at a time."""

SELECT_SERIES_AFTER: LiteralString = """
    SELECT s.id, s.key FROM series s JOIN runs r ON r.id = s.run
    WHERE r.run_id = :run_id AND s.key > :after ORDER BY s.key LIMIT :limit_
"""
SELECT_SERIES_NAMED: LiteralString = """
    SELECT s.id, s.key FROM series s JOIN runs r ON r.id = s.run
    WHERE r.run_id = :run_id AND s.key IN :keys__in AND s.key > :after ORDER BY s.key LIMIT :limit_
"""
SELECT_KNOWN_RUNS: LiteralString = "SELECT run_id FROM runs WHERE run_id IN :run_ids__in"
COUNT_POINTS: LiteralString = """
    SELECT COUNT(*) FROM points WHERE series = :series AND step >= :first AND step <= :last
"""
SELECT_POINTS: LiteralString = """
    SELECT step, timestamp, value, is_nan FROM points
    WHERE series = :series AND step >= :first AND step <= :last
    ORDER BY step, timestamp, value, is_nan LIMIT :limit_
"""
SELECT_POINTS_AFTER: LiteralString = """
    SELECT step, timestamp, value, is_nan FROM points
    WHERE series = :series AND step <= :last
      AND (step, timestamp, value, is_nan) > (:step, :timestamp, :value, :is_nan)
    ORDER BY step, timestamp, value, is_nan LIMIT :limit_
"""


class Place(NamedTuple):
    """Where the next piece begins: after `key` of the run at the index `run`, or inside of the series of `key`."""

    run: int = 0
    key: str = ""
    series: int | None = None
    point: Row | None = None
    """As stored; the last one that was read of the series."""


class Piece(NamedTuple):
    series: list[SeriesPoints]
    next: Place | None
    """`None` at the end."""


class HistoriesPart:
    tx: Transaction

    def read_series(
        self, run_ids: Sequence[str], keys: Sequence[str] | None = None, wanted: SeriesFilter | None = None
    ) -> Iterator[SeriesPoints]:
        """Return series inside this transaction; see `Store.read_series`."""
        return read_in_pieces(run_ids, keys, wanted, self.check_runs, self.get_series_piece)

    def check_runs(self, run_ids: Sequence[str]) -> None:
        """Refuse ids of runs that do not exist; deleted ones do.

        Raises:
            NotFoundError: names the first that does not.
        """
        known = {row[0] for row in self.tx.fetch_all(SELECT_KNOWN_RUNS, run_ids__in=list(run_ids))}
        for run_id in run_ids:
            if run_id not in known:
                raise NotFoundError(f"Run with id={run_id} not found")

    def get_series_piece(
        self, run_ids: Sequence[str], wanted: SeriesFilter, place: Place | None = None
    ) -> Piece:
        """Return the next series, or a part of one: some `PIECE` points, less than twice as many."""
        place = place or Place()
        found: list[SeriesPoints] = []
        points = 0
        for index in range(place.run, min(len(run_ids), place.run + _RUNS)):
            run_id = run_ids[index]
            if index != place.run:
                place = Place(index)
            if place.series is not None:
                rest, last = self._read_points(place.series, wanted, place.point)
                if rest:
                    found.append(_columns(run_id, place.key, rest))
                    points += len(rest)
                if last is not None:
                    return Piece(found, place._replace(point=last))
                place = Place(index, place.key)
            while rows := self._list_series(run_id, wanted.keys, place.key):
                for series, key in rows:
                    if points >= PIECE:
                        return Piece(found, place)
                    place = Place(index, key)
                    if not is_wanted(key, wanted.keys):
                        continue
                    some, last = self._read_points(series, wanted, None)
                    if some:
                        found.append(_columns(run_id, key, some))
                        points += len(some)
                    if last is not None:
                        return Piece(found, Place(index, key, series, last))
        after = place.run + 1
        return Piece(found, Place(after) if after < len(run_ids) else None)

    def _list_series(self, run_id: str, keys: Sequence[str] | None, after: str) -> list[Row]:
        """Return ids and keys of a run's next series, some of which may not be wanted."""
        if keys is None or any(is_pattern(key) for key in keys):
            return self.tx.fetch_all(SELECT_SERIES_AFTER, run_id=run_id, after=after, limit_=_KEYS)
        return self.tx.fetch_all(
            SELECT_SERIES_NAMED, run_id=run_id, keys__in=list(keys), after=after, limit_=_KEYS
        )

    def _read_points(
        self, series: int, wanted: SeriesFilter, after: Row | None
    ) -> tuple[list[Row], Row | None]:
        """Return points of a series, and the last of them if there may be more."""
        first = limits.INT64_MIN if wanted.start_step is None else wanted.start_step
        last = limits.INT64_MAX if wanted.end_step is None else wanted.end_step
        if wanted.max_points is not None:
            return self._read_sample(series, first, last, wanted.max_points), None
        return self._read_next(series, first, last, after)

    def _read_next(
        self, series: int, first: int, last: int, after: Row | None
    ) -> tuple[list[Row], Row | None]:
        if after is None:
            rows = self.tx.fetch_all(SELECT_POINTS, series=series, first=first, last=last, limit_=PIECE)
        else:
            step, timestamp, value, is_nan = after
            rows = self.tx.fetch_all(
                SELECT_POINTS_AFTER,
                series=series,
                last=last,
                step=step,
                timestamp=timestamp,
                value=value,
                is_nan=is_nan,
                limit_=PIECE,
            )
        return rows, rows[-1] if len(rows) == PIECE else None

    def _read_sample(self, series: int, first: int, last: int, most: int) -> list[Row]:
        row = self.tx.fetch_one(COUNT_POINTS, series=series, first=first, last=last)
        assert row is not None, "COUNT gives a row"
        positions = sample_positions(row[0], most)
        sample: list[Row] = []
        seen = 0
        after: Row | None = None
        while len(sample) < len(positions):
            rows, after = self._read_next(series, first, last, after)
            for position in positions[len(sample) :]:
                if position >= seen + len(rows):
                    break
                sample.append(rows[position - seen])
            seen += len(rows)
            if after is None:
                break
        return sample


def read_in_pieces(
    run_ids: Sequence[str],
    keys: Sequence[str] | None,
    wanted: SeriesFilter | None,
    check: Callable[[Sequence[str]], None],
    piece_of: Callable[[Sequence[str], SeriesFilter, Place | None], Piece],
) -> Iterator[SeriesPoints]:
    """Check what is asked for, then return its series as pieces come in."""
    run_ids, wanted = check_series_request(run_ids, keys, wanted)
    for start in range(0, len(run_ids), _RUNS):
        check(run_ids[start : start + _RUNS])

    def read() -> Iterator[SeriesPoints]:
        place: Place | None = Place()
        while place is not None and run_ids:
            series, place = piece_of(run_ids, wanted, place)
            yield from series

    return read()


def _columns(run_id: str, key: str, rows: Sequence[Row]) -> SeriesPoints:
    nan = float("nan")
    steps, timestamps, values, are_nan = zip(*rows, strict=True)
    if any(are_nan):
        values = [nan if is_nan else value for value, is_nan in zip(values, are_nan, strict=True)]
    return SeriesPoints(run_id, key, array("q", steps), array("q", timestamps), array("d", values))
