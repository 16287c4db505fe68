"""Whole histories of many runs and keys, in pieces: what exports, charts and bulk downloads read.

A piece is one read of bounded size and says where the next one begins, so that whoever sends a history over a slow
line holds no snapshot of the database meanwhile. Small series of a run are read together, since they share blocks.
"""

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import compress
from typing import TYPE_CHECKING, LiteralString, NamedTuple

from slipstream.db.base import Row, Transaction
from slipstream.db.point_blocks import Place as PointPlace
from slipstream.db.point_blocks import Points, Sight
from slipstream.entities import SeriesFilter, SeriesPoints
from slipstream.errors import NotFoundError
from slipstream.rules import limits
from slipstream.rules.series import check_series_request, is_pattern, is_wanted
from slipstream.store.samples import in_step_order, sample

PIECE = limits.SERIES_POINTS
"""Points of a series that are read at a time."""
_RUNS = 1_000
"""Runs that are looked at in one read at most."""
_KEYS = 1_000
"""Series that are listed at a time."""

SELECT_RUN: LiteralString = "SELECT id FROM runs WHERE run_id = :run_id"
SELECT_SERIES_AFTER: LiteralString = """
    SELECT id, key FROM series WHERE run = :run AND key > :after ORDER BY key LIMIT :limit_
"""
SELECT_SERIES_NAMED: LiteralString = """
    SELECT id, key FROM series WHERE run = :run AND key IN :keys__in AND key > :after ORDER BY key LIMIT :limit_
"""
SELECT_KNOWN_RUNS: LiteralString = "SELECT run_id FROM runs WHERE run_id IN :run_ids__in"


class Place(NamedTuple):
    """Where the next piece begins: after `key` of the run at the index `run`, or inside of the series of `key`."""

    run: int = 0
    key: str = ""
    series: int | None = None
    point: PointPlace | None = None
    """That of the last point that was read of the series."""


class Piece(NamedTuple):
    series: list[SeriesPoints]
    next: Place | None
    """`None` at the end."""


class HistoriesPart:
    tx: Transaction

    if TYPE_CHECKING:  # in store/point_blocks.py

        def count_points(self, run: int, series: Sequence[int]) -> dict[int, int]: ...
        def read_several(self, run: int, series: Sequence[int]) -> dict[int, Points]: ...
        def read_points(
            self, run: int, series: int, after: PointPlace | None = None, most: int | None = None
        ) -> Points: ...

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
            if index != place.run:
                place = Place(index)
            row = self.tx.fetch_one(SELECT_RUN, run_id=run_ids[index])
            while row is not None:  # else it was removed since the first piece
                if points >= PIECE:
                    return Piece(found, place)
                more, next_place = self._read_some(row[0], wanted, place)
                for key, part in more:
                    if part.values:
                        steps, times = part.steps, part.timestamps
                        found.append(SeriesPoints(run_ids[index], key, steps, times, part.values))
                        points += len(part.values)
                if next_place is None:
                    break
                place = next_place
        after = place.run + 1
        return Piece(found, Place(after) if after < len(run_ids) else None)

    def _read_some(
        self, run: int, wanted: SeriesFilter, place: Place
    ) -> tuple[list[tuple[str, Points]], Place | None]:
        """Return the next series of a run that are wanted, or a part of one, and where to go on in it."""
        if place.series is not None:
            return self._read_part(run, place.key, place.series, wanted, place)
        listed = self._list_series(run, wanted.keys, place.key)
        if not listed:
            return [], None
        sizes = self.count_points(run, [row[0] for row in listed])
        chosen: dict[int, str] = {}
        room = PIECE
        for series, key in listed:
            if is_wanted(key, wanted.keys):
                room -= sizes[series]
                if room < 0 and chosen:
                    break
                if room < 0:
                    return self._read_part(run, key, series, wanted, place)
                chosen[series] = key
            place = place._replace(key=key)
        read = self.read_several(run, list(chosen)) if chosen else {}
        return [(key, _wanted(read[series], wanted)) for series, key in chosen.items()], place

    def _read_part(
        self, run: int, key: str, series: int, wanted: SeriesFilter, place: Place
    ) -> tuple[list[tuple[str, Points]], Place]:
        after = place._replace(key=key, series=None, point=None)
        if wanted.max_points is not None:
            return [(key, _wanted(self.read_points(run, series), wanted))], after
        points = self.read_points(run, series, place.point, PIECE)
        if len(points.values) == PIECE:
            after = place._replace(key=key, series=series, point=points.place(-1))
        return [(key, _wanted(points, wanted))], after

    def _list_series(self, run: int, keys: Sequence[str] | None, after: str) -> list[Row]:
        """Return ids and keys of a run's next series, some of which may not be wanted."""
        if keys is None or any(is_pattern(key) for key in keys):
            return self.tx.fetch_all(SELECT_SERIES_AFTER, run=run, after=after, limit_=_KEYS)
        return self.tx.fetch_all(SELECT_SERIES_NAMED, run=run, keys__in=list(keys), after=after, limit_=_KEYS)


def _wanted(points: Points, wanted: SeriesFilter) -> Points:
    found = Sight(*points)
    if wanted.max_points is not None:
        sampled = sample(found, wanted.max_points, wanted.start_step, wanted.end_step)
        return Points(array("q", sampled.timestamps), array("q", sampled.steps), sampled.values)
    first = limits.INT64_MIN if wanted.start_step is None else wanted.start_step
    last = limits.INT64_MAX if wanted.end_step is None else wanted.end_step
    if (first, last) == (limits.INT64_MIN, limits.INT64_MAX):
        return points
    steps = points.steps
    if in_step_order(found):
        return points.part(bisect_left(steps, first), bisect_right(steps, last))
    inside = [first <= step <= last for step in steps]
    return Points(
        array("q", compress(points.timestamps, inside)),
        array("q", compress(steps, inside)),
        array("d", compress(points.values, inside)),
    )


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
