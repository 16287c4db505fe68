"""Whether the blocks of metric points can be read, and fit what else is stored; `slipstream db check` asks."""

import operator
from collections.abc import Iterator
from itertools import groupby
from typing import LiteralString

from slipstream.db.base import Row, Transaction
from slipstream.db.point_blocks import Block, Columns, Points, each_series, place_of
from slipstream.errors import DamagedDatabaseError
from slipstream.store.branches import OFFSET

SELECT_NEXT: LiteralString = """
    SELECT id, series, first_series, last_series, first_time, last_time, points, content FROM point_blocks
    WHERE id > :after ORDER BY id LIMIT 100
"""
SELECT_SERIES: LiteralString = "SELECT id, key, step, timestamp, value FROM series WHERE run = :run"
SELECT_SUPERSEDED: LiteralString = """
    SELECT s.id, 'branch ' || b.number || ' ' || s.key, s.step, s.timestamp, s.value
    FROM superseded_series s JOIN run_branches b ON b.id = s.branch WHERE b.run = :run
"""
SELECT_RUN_ID: LiteralString = "SELECT run_id FROM runs WHERE id = :run"
SELECT_WITHOUT_BLOCKS: LiteralString = """
    SELECT r.run_id, s.key FROM series s JOIN runs r ON r.id = s.run
    WHERE NOT EXISTS (
        SELECT 1 FROM point_blocks b WHERE b.id BETWEEN s.run * 4294967296 AND s.run * 4294967296 + 4294967295
    ) ORDER BY s.id
"""

Latest = tuple[int, int, float]
"""Step, timestamp and value (0 for NaN): what the latest point is chosen by."""


class BlockFaults:
    """What is wrong, each as words that name the place."""

    def __init__(self) -> None:
        self.damaged: list[str] = []
        self.astray: list[str] = []
        """Blocks of runs or series that there are not."""
        self.without_latest: list[str] = []
        """Metrics whose latest point is not in their history."""
        self.behind: list[str] = []
        """Metrics that have a later point than the one shown as latest."""


def check_blocks(tx: Transaction) -> BlockFaults:
    """Read every block; some ten million points a second of work."""
    faults = BlockFaults()
    for run, blocks in groupby(_blocks(tx), key=lambda row: row[0] >> 32):
        _check_run(tx, run, blocks, faults)
    faults.without_latest += (f"{row[0]} {row[1]}" for row in tx.fetch_all(SELECT_WITHOUT_BLOCKS))
    return faults


def _blocks(tx: Transaction) -> Iterator[Row]:
    after = -(1 << 63)
    while rows := tx.fetch_all(SELECT_NEXT, after=after):
        yield from rows
        after = rows[-1][0]


def _check_run(tx: Transaction, run: int, blocks: Iterator[Row], faults: BlockFaults) -> None:
    latest: dict[int, Latest] = {}
    damaged = False
    for row in blocks:
        try:
            columns = Block(row[7]).columns()
        except DamagedDatabaseError:
            columns = None
        if columns is None or not _fits(row, columns):
            damaged = True
            faults.damaged.append(f"block {row[0]}")
            continue
        for series, points in each_series(columns):
            latest[series] = max(latest.get(series, (-(1 << 63), 0, 0.0)), _latest(points))
    found = tx.fetch_one(SELECT_RUN_ID, run=run)
    if found is None:
        faults.astray.append(f"run number {run}")
        return
    known: set[int] = set()
    rows = tx.fetch_all(SELECT_SERIES, run=run)
    rows += [(row[0] + OFFSET, *row[1:]) for row in tx.fetch_all(SELECT_SUPERSEDED, run=run)]
    for series, key, step, timestamp, value in rows:
        known.add(series)
        stored = (step, timestamp, value)
        read = latest.get(series)
        if read is not None and read[:2] > stored[:2]:
            faults.behind.append(f"{found[0]} {key}")
        elif read != stored and not damaged:  # else its points may be in what cannot be read
            faults.without_latest.append(f"{found[0]} {key}")
    faults.astray += (f"{found[0]} series number {series}" for series in latest if series not in known)


def _fits(row: Row, columns: Columns) -> bool:
    """Tell whether what a block's row says of it is so: readers choose blocks by that."""
    _, series, first_series, last_series, first_time, last_time, points, _ = row
    times = columns.points.timestamps
    ids = columns.series
    return (
        len(times) == points
        and (first_series, last_series) == (ids[0], ids[-1])
        and (series <= 0 or (series == ids[0] and len(ids) == 1))
        and (first_time, last_time) == (min(times), max(times))
    )


def _latest(points: Points) -> Latest:
    steps = points.steps
    if all(map(operator.le, steps, steps[1:])):
        timestamp, step, value, _ = points.place(-1)
        return step, timestamp, value
    places = map(place_of, zip(*points, strict=True))
    return max((step, timestamp, value) for timestamp, step, value, _ in places)
