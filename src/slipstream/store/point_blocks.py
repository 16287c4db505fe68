"""Metric points in blocks: rows of `point_blocks`, each the points of one series or of several.

A write leaves one small block a run. From time to time a run's blocks are merged (`compact_run`): several small mixed
blocks become one larger, and a series that has enough points gets blocks of its own. So a point is rewritten a few times,
however many there are, and costs some eight bytes in the end (docs/decisions/0010-metric-blocks.md).

Points logged twice may be in two blocks until they are merged; readers drop the second.
"""

import bisect
import zlib
from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import LiteralString

from slipstream.db.base import Row, Transaction
from slipstream.db.point_blocks import (
    PLAIN_BELOW,
    Block,
    Columns,
    Place,
    Point,
    Points,
    Sight,
    collect,
    each_series,
    encode,
    encode_small,
    in_order,
    join,
    merged,
    seen,
)

# `first` and `last` are ends of the run's ids: see `_growing` and `_settled`.
INSERT_BLOCK: LiteralString = """
    INSERT INTO point_blocks (id, series, first_series, last_series, first_time, last_time, points, content)
    VALUES (
        COALESCE((SELECT MAX(id) FROM point_blocks WHERE id BETWEEN :first AND :last), :first) + 1,
        :series, :first_series, :last_series, :first_time, :last_time, :points, :content
    )
"""
SELECT_BLOCKS: LiteralString = """
    SELECT id, first_time, last_time, points FROM point_blocks
    WHERE id BETWEEN :first AND :last AND series IN (-1, 0, :series)
        AND first_series <= :series AND last_series >= :series AND last_time >= :after
    ORDER BY first_time, id
"""
SELECT_BLOCKS_OF: LiteralString = """
    SELECT id, series, first_series, last_series, points FROM point_blocks
    WHERE id BETWEEN :first AND :last AND first_series <= :last_series AND last_series >= :first_series
    ORDER BY first_time, id
"""
SELECT_CONTENTS: LiteralString = "SELECT id, content FROM point_blocks WHERE id IN :ids__in"
SELECT_MIXED: LiteralString = """
    SELECT id, points, CASE WHEN points < 64 THEN content END FROM point_blocks
    WHERE id BETWEEN :first AND :last ORDER BY first_time, id
"""
SELECT_SMALL: LiteralString = """
    SELECT id, points, NULL, series FROM point_blocks
    WHERE id BETWEEN :first AND :last AND series > 0 AND points < :points ORDER BY series, first_time, id
"""
SELECT_SOME: LiteralString = "SELECT 1 FROM point_blocks WHERE id BETWEEN :first AND :last LIMIT :limit_"
DELETE_BLOCKS: LiteralString = "DELETE FROM point_blocks WHERE id IN :ids__in"

MIXED = 0
"""The `series` of a block with several, which is merged with others of its size once there are enough."""
SORTED = -1
"""The `series` of one that is not merged any more: the points of a large merge, cut by series."""
OWN = 1
"""Stands for any `series` above 0: a block of that series alone."""
SERIES_POINTS = 8_192
"""Points in a full block: enough to compress well, and few enough to read one page of one series quickly."""
OWN_BLOCK = 512
"""Points of one series that are worth a block of their own."""
_FULL = SERIES_POINTS // 2
_ROUND = 65_536
"""Points that one compaction reads at most: some fifty milliseconds in which no other write begins."""
ALIKE = 8
"""Blocks of a size that are merged together; each merge makes blocks about that many times as large."""
PART = _FULL
"""Points that are worth handing to who reads a history part after part."""
_READ = 65_536
"""Points whose blocks are read together."""


class PointBlocksPart:
    tx: Transaction
    runs_to_compact: dict[int, bool]
    """Runs that have many blocks, with whether they have ended; the engine calls `compact_run` after the commit."""

    def insert_blocks(self, points: Mapping[int, Mapping[int, list[Point]]]) -> None:
        """Store new points, by run and by series."""
        rows: list[Row] = []
        for run, by_series in points.items():
            if len(by_series) == 1:
                ((series, own),) = by_series.items()
                if len(own) < PLAIN_BELOW:
                    own = in_order(own)
                    content = encode_small(series, own)
                    rows.append(
                        (*_growing(run), MIXED, series, series, own[0][0], own[-1][0], len(own), content)
                    )
                    continue
            columns = collect(by_series)
            rows += _rows(run, columns, SORTED if len(columns.points.values) > _ROUND // 2 else MIXED)
        for row in rows:
            self._count(row[0] >> 32, row[7], row[8])
        self.tx.execute_many(INSERT_BLOCK, rows)

    def _count(self, run: int, points: int, content: bytes) -> None:
        # A die instead of a count, which would cost a query: after some of these a run has about that many blocks.
        # Its eyes come from the content, so that the same writes always make the same blocks.
        if zlib.crc32(content) % (64 if points < 64 else ALIKE) == 0:
            self.runs_to_compact.setdefault(run, False)

    def see_points(self, run: int, series: int, after: Place | None = None, most: int | None = None) -> Sight:
        """Return points of a series in order.

        Args:
            run: the internal id of its run.
            series: its internal id.
            after: only points behind this place.
            most: how many are enough; reads the blocks of these only.
        """
        first, last = _growing(run)[0], _settled(run)[1]
        earliest = -(1 << 63) if after is None else after[0]
        blocks = self.tx.fetch_all(SELECT_BLOCKS, first=first, last=last, series=series, after=earliest)
        wanted = most
        while True:
            parts, all_were_read = self._parts(series, blocks, after, wanted)
            points = seen(parts)
            if most is None or wanted is None:
                return points
            if all_were_read or len(points.values) >= most:
                return points.part(0, most)
            wanted *= 2  # some points were there twice

    def _parts(
        self, series: int, blocks: Sequence[Row], after: Place | None, wanted: int | None
    ) -> tuple[list[Sight], bool]:
        """Return the series' part of each block as far as its first `wanted` points can be in them; tell if that is all."""
        parts: list[Sight] = []
        count = 0
        latest = -(1 << 63)
        for group in _groups(blocks):
            contents = dict(self.tx.fetch_all(SELECT_CONTENTS, ids__in=[row[0] for row in group]))
            for identity, first_time, last_time, _ in group:
                if wanted is not None and count >= wanted and first_time > latest:
                    return parts, False
                points = _look(contents[identity], series, after)
                if points is not None:
                    parts.append(points)
                    count += len(points.values)
                    latest = max(latest, last_time)
        return parts, True

    def see_in_parts(self, run: int, series: int, after: Place | None = None) -> Iterator[Sight]:
        """Return all that `see_points` does, part after part: what is in one block, or in some small ones.

        A block is read and decoded when its part is asked for, inside this transaction, so that a million points take no
        more memory than a few thousand.
        """
        first, last = _growing(run)[0], _settled(run)[1]
        earliest = -(1 << 63) if after is None else after[0]
        blocks = self.tx.fetch_all(SELECT_BLOCKS, first=first, last=last, series=series, after=earliest)
        together: list[Sight] = []
        count, latest = 0, -(1 << 63)
        for group in _groups(blocks):
            contents = dict(self.tx.fetch_all(SELECT_CONTENTS, ids__in=[row[0] for row in group]))
            for identity, first_time, _, _ in group:
                # Blocks come by their first time: none after this one has a point that belongs before it.
                if count >= PART and first_time > latest:
                    yield together[0] if len(together) == 1 else seen(together)
                    together, count = [], 0
                points = _look(contents.pop(identity), series, after)
                if points is not None:
                    together.append(points)
                    count += len(points.values)
                    latest = max(latest, points.timestamps[-1])
        if together:
            yield seen(together)

    def read_points(
        self, run: int, series: int, after: Place | None = None, most: int | None = None
    ) -> Points:
        """Return what `see_points` does as arrays, for those who keep or send columns."""
        found = self.see_points(run, series, after, most)
        return Points(array("q", found.timestamps), array("q", found.steps), found.values)

    def count_points(self, run: int, series: Sequence[int]) -> dict[int, int]:
        """Return about how many points each of some series of a run has."""
        counts = dict.fromkeys(series, 0)
        shared = 0
        for _, kind, _, _, points in self._blocks_of(run, series):
            if kind > 0:
                if kind in counts:
                    counts[kind] += points
            else:
                shared += points
        # Series that share blocks have fewer than OWN_BLOCK points in each.
        each = -(-shared // max(1, len(counts)))
        return {identity: count + each for identity, count in counts.items()}

    def read_several(self, run: int, series: Sequence[int]) -> dict[int, Points]:
        """Return all points of some series of a run; blocks that they share are read once."""
        parts: dict[int, list[Points]] = {identity: [] for identity in series}
        wanted = [row for row in self._blocks_of(run, series) if row[1] <= 0 or row[1] in parts]
        for group in _groups([(row[0], None, None, row[4]) for row in wanted]):
            for _, content in self.tx.fetch_all(SELECT_CONTENTS, ids__in=[row[0] for row in group]):
                block = Block(content)
                inside = [identity for identity in block.series if identity in parts]
                if len(inside) > len(block.series) // 8:
                    for identity, points in each_series(block.columns()):
                        if identity in parts:
                            parts[identity].append(points)
                else:
                    for identity in inside:
                        points = block.find(identity)
                        assert points is not None
                        parts[identity].append(points)
        return {identity: merged(own) for identity, own in parts.items()}

    def _blocks_of(self, run: int, series: Sequence[int]) -> list[Row]:
        """Return (id, kind, first series, last series, points) of the blocks that may hold points of some series."""
        first, last = _growing(run)[0], _settled(run)[1]
        return self.tx.fetch_all(
            SELECT_BLOCKS_OF, first=first, last=last, first_series=min(series), last_series=max(series)
        )

    def end_blocks(self, run: int) -> None:
        """Have the blocks of a run that has ended merged, if there are enough of them."""
        first, last = _growing(run)
        if len(self.tx.fetch_all(SELECT_SOME, first=first, last=last, limit_=ALIKE)) == ALIKE:
            self.runs_to_compact[run] = True

    # -- merging --------------------------------------------------------------------------------------------
    def compact_run(self, run: int, *, ended: bool = False) -> bool:
        """Merge blocks of a run where that pays; return whether to call it again, since all of it was too much at once.

        Args:
            run: the internal id of the run.
            ended: whether no more points are expected, so that all small blocks may be merged.
        """
        first, last = _growing(run)
        mixed = _alike(self.tx.fetch_all(SELECT_MIXED, first=first, last=last), ended=ended)
        if mixed:
            final = ended or sum(row[1] for row in mixed) > _ROUND // 2
            new = self._merge(run, mixed, SORTED if final else MIXED)
            if not ended and all(row[2] <= 0 for row in new):  # nothing new for what is below
                return False
        by_series: dict[int, list[Row]] = {}
        first, last = _settled(run)
        for row in self.tx.fetch_all(SELECT_SMALL, first=first, last=last, points=_FULL):
            by_series.setdefault(row[3], []).append(row)
        room = _ROUND
        for rows in by_series.values():
            chosen = _alike(rows, ended=ended)
            if not chosen:
                continue
            if room <= 0:
                return True
            room -= sum(row[1] for row in chosen)
            self._merge(run, chosen, OWN)
        return ended and bool(mixed)

    def _merge(self, run: int, blocks: Sequence[Row], kind: int) -> list[Row]:
        """Replace blocks of one kind by larger ones with the same points; return the new rows."""
        ids = [row[0] for row in blocks]
        contents = [row[2] for row in blocks if row[2] is not None]
        others = [row[0] for row in blocks if row[2] is None]
        if others:
            contents += (row[1] for row in self.tx.fetch_all(SELECT_CONTENTS, ids__in=others))
        new = list(_rows(run, join(contents), kind))
        self.tx.execute(DELETE_BLOCKS, ids__in=ids)
        self.tx.execute_many(INSERT_BLOCK, new)
        return new


def _rows(run: int, columns: Columns, kind: int) -> Iterator[Row]:
    """Cut points of a run into blocks and return their rows.

    Args:
        run: its internal id.
        columns: the points.
        kind: whether small series are put into one block (`MIXED`), into blocks of some series each (`SORTED`), or into
            blocks of one series (`OWN`), as large ones always are.
    """
    if kind == MIXED and max(columns.counts) < OWN_BLOCK:
        yield _row(run, MIXED, columns)
        return
    mixed = _Mixed()
    for series, points in each_series(columns):
        size = len(points.values)
        if kind == OWN or size >= OWN_BLOCK:
            # Pieces of about one size: a last one of a few points would be merged again.
            pieces = -(-size // SERIES_POINTS)
            for piece in range(pieces):
                part = points.part(size * piece // pieces, size * (piece + 1) // pieces)
                yield _row(run, series, Columns(array("q", (series,)), array("q", (len(part.values),)), part))
            continue
        if kind == SORTED and mixed.size + size > SERIES_POINTS:
            yield _row(run, SORTED, mixed.columns)
            mixed = _Mixed()
        mixed.add(series, points)
    if mixed.size:
        yield _row(run, kind, mixed.columns)


class _Mixed:
    """A mixed block in the making."""

    def __init__(self) -> None:
        self.columns = Columns(array("q"), array("q"), Points.none())
        self.size = 0

    def add(self, series: int, points: Points) -> None:
        self.columns.series.append(series)
        self.columns.counts.append(len(points.values))
        self.columns.points.extend(points)
        self.size += len(points.values)


def _row(run: int, series: int, columns: Columns) -> Row:
    ids, _, points = columns
    times = points.timestamps
    place = _growing(run) if series == MIXED else _settled(run)
    return *place, series, ids[0], ids[-1], min(times), max(times), len(times), encode(columns)


def _alike(rows: Sequence[Row], *, ended: bool) -> list[Row]:
    """Choose blocks to merge; none if too little would be gained.

    Args:
        rows: (id, points, ...) each, the oldest first: neighbours in time are merged without sorting.
        ended: whether blocks of any size count; otherwise it needs enough of one size, and takes smaller ones along.
    """
    sizes: dict[int, list[int]] = {}
    for row in rows:
        sizes.setdefault(_size(row[1]), []).append(row[1])
    if ended:
        limit = max(sizes, default=0)
    else:
        limit = min((size for size, points in sizes.items() if _enough(points)), default=-1)
    chosen: list[Row] = []
    total = 0
    for row in rows:
        if _size(row[1]) <= limit:
            total += row[1]
            if total > _ROUND and chosen:
                break
            chosen.append(row)
    return chosen if _enough([row[1] for row in chosen]) else []


def _enough(points: Sequence[int]) -> bool:
    return len(points) >= ALIKE or sum(points) > _ROUND // 2


def _growing(run: int) -> tuple[int, int]:
    """Return the range in which the ids of a run's blocks are that will be merged with others."""
    return run << 32, (run << 32) + (1 << 31) - 1


def _settled(run: int) -> tuple[int, int]:
    """Return the range of the others: those of one series, and sorted ones."""
    return (run << 32) + (1 << 31), (run + 1 << 32) - 1


def _size(points: int) -> int:
    """Return the class of a size; each is eight times as large as the one before."""
    return points.bit_length() // 3


def _look(content: bytes, series: int, after: Place | None) -> Sight | None:
    """Return a block's points of a series that are behind a place, if there are any."""
    points = Block(content).look(series)
    if points is not None and after is not None:
        begin = bisect.bisect_right(range(len(points.values)), after, key=points.place)
        points = points.part(begin, len(points.values))
    return points if points is not None and points.values else None


def _groups(blocks: Sequence[Row]) -> Iterator[list[Row]]:
    group: list[Row] = []
    points = 0
    for row in blocks:
        if group and points + row[3] > _READ:
            yield group
            group, points = [], 0
        group.append(row)
        points += row[3]
    if group:
        yield group
