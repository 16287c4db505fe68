"""Put the points of metrics into compressed blocks; see docs/decisions/0010-metric-blocks.md."""

import operator
import struct
from array import array
from typing import LiteralString

from slipstream.db.base import Row, Transaction

CREATE = """
CREATE TABLE point_blocks (
    id BIGINT PRIMARY KEY,
    series BIGINT NOT NULL,
    first_series BIGINT NOT NULL,
    last_series BIGINT NOT NULL,
    first_time BIGINT NOT NULL,
    last_time BIGINT NOT NULL,
    points BIGINT NOT NULL,
    content BYTES NOT NULL
);
"""
SELECT_SERIES: LiteralString = "SELECT id, run FROM series WHERE id > :after ORDER BY id LIMIT 1000"
SELECT_FIRST: LiteralString = """
    SELECT step, timestamp, value, is_nan FROM points WHERE series = :series
    ORDER BY step, timestamp, value, is_nan LIMIT 65536
"""
SELECT_NEXT: LiteralString = """
    SELECT step, timestamp, value, is_nan FROM points
    WHERE series = :series AND (step, timestamp, value, is_nan) > (:step, :timestamp, :value, :is_nan)
    ORDER BY step, timestamp, value, is_nan LIMIT 65536
"""
INSERT: LiteralString = """
    INSERT INTO point_blocks (id, series, first_series, last_series, first_time, last_time, points, content)
    VALUES (:id, :series, :first_series, :last_series, :first_time, :last_time, :points, :content)
"""
_PIECE = 8_192


def migrate(tx: Transaction, dialect: LiteralString) -> None:
    """Write every series to blocks of its own, then drop the table of points."""
    tx.script(CREATE)
    after = 0
    counts: dict[int, int] = {}
    while series := tx.fetch_all(SELECT_SERIES, after=after):
        for identity, run in series:
            counts[run] = _move(tx, run, identity, counts.get(run, 0))
            after = identity
    tx.script("DROP TABLE points;")


def _move(tx: Transaction, run: int, series: int, count: int) -> int:
    """Write the blocks of a series; return how many the run has then, if it had `count`."""
    rows = tx.fetch_all(SELECT_FIRST, series=series)
    while rows:
        last = rows[-1]
        rows.sort(key=lambda row: (row[1], row[0], row[2], row[3]))
        blocks: list[Row] = []
        for first in range(0, len(rows), _PIECE):
            count += 1
            blocks.append(_block((run << 32) + (1 << 31) + count, series, rows[first : first + _PIECE]))
        tx.execute_many(INSERT, blocks)
        rows = tx.fetch_all(
            SELECT_NEXT, series=series, step=last[0], timestamp=last[1], value=last[2], is_nan=last[3]
        )
    return count


def _block(identity: int, series: int, rows: list[Row]) -> Row:
    """Return a block as version 1 of db/point_blocks.py reads it."""
    times = [row[1] for row in rows]
    values = array("d", [float("nan") if row[3] else row[2] for row in rows])
    header = struct.pack("<BBxxII", 1, 1, 1, len(rows))
    body = b"".join(
        (
            struct.pack("<BqBq", 0, series, 0, len(rows)),
            _integers(times),
            _integers([row[0] for row in rows]),
            b"\3",
            _shuffled(struct.pack(f"<{len(values)}d", *values)),
        )
    )
    from zstandard import ZstdCompressor

    content = header + ZstdCompressor(level=3, write_checksum=True).compress(body)
    return identity, series, series, series, times[0], times[-1], len(rows), content


def _integers(numbers: list[int]) -> bytes:
    differences = [numbers[0], *map(operator.sub, numbers[1:], numbers)]
    if all(-(1 << 63) <= number < 1 << 63 for number in differences):
        return b"\2" + _shuffled(struct.pack(f"<{len(differences)}q", *differences))
    return b"\3" + _shuffled(struct.pack(f"<{len(numbers)}q", *numbers))


def _shuffled(data: bytes) -> bytes:
    return b"".join([data[place::8] for place in range(8)])
