"""The bytes of a block of metric points: columns of one or more series, and how they are joined.

A block holds for each of its series the points in the order (timestamp, step, value), each once. Small blocks are plain
columns, quick to write; large ones are coded by column and compressed with zstd:

    header    version, flags, number of series, number of points
    columns   ids of the series, ascending; counts of their points; timestamps, steps, values of all points,
              series after series. Each is a byte that says how it is coded, then the data.

Ways to code a column: plain; each series an arithmetic progression (steps mostly are: 16 bytes a series); differences
with their bytes shuffled; bytes shuffled. Shuffled means all first bytes, then all second bytes, ...: of doubles
and differences the high bytes repeat, and compress, while the low ones do not. The idea is that of Blosc and HDF5.

All numbers are little-endian. This module reads every version that was ever written.
"""

import functools
import math
import operator
import struct
import sys
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, chain, groupby, repeat
from typing import Any, NamedTuple, TypeAlias, TypeVar

from slipstream.errors import DamagedDatabaseError

MOST_POINTS = 1 << 22
"""More than any block holds: a damaged header must not make a reader take all memory."""

_HEADER = struct.Struct("<BBxxII")
_VERSION = 1
_COMPRESSED = 1
_PLAIN_HEAD = bytes((_VERSION, 0))
PLAIN_BELOW = 64
"""Points from which on a block is coded and compressed; with fewer, that would cost what it saves."""
_LEVEL = 3
_PLAIN, _PROGRESSION, _DIFFERENCES, _SHUFFLED = range(4)
_INT64 = 8
_VALUE = operator.itemgetter(2)
_MANY_PARTS = 32
"""Points a part, on average, below which parts are joined as rows."""


Place: TypeAlias = tuple[int, int, float, bool]
"""What a point is ordered by: timestamp, step, value with 0 for NaN, whether it is NaN."""

Point: TypeAlias = tuple[int, int, float]
"""Timestamp, step, value."""


class Points(NamedTuple):
    """Points of one series as columns of the same length, ordered by place, none twice."""

    timestamps: "array[int]"
    steps: "array[int]"
    values: "array[float]"
    """May hold NaN and infinities. NaN is ordered as 0, after a real 0."""

    def place(self, index: int) -> Place:
        return place_of((self.timestamps[index], self.steps[index], self.values[index]))

    @classmethod
    def none(cls) -> "Points":
        return cls(array("q"), array("q"), array("d"))

    def extend(self, more: "Points") -> None:
        """Append points that come after these, or are another series'."""
        self.timestamps.extend(more.timestamps)
        self.steps.extend(more.steps)
        self.values.extend(more.values)

    def part(self, first: int, end: int) -> "Points":
        return Points(self.timestamps[first:end], self.steps[first:end], self.values[first:end])


class Sight(NamedTuple):
    """Points of one series for a reader: as `Points`, in whatever sequences cost least to make."""

    timestamps: Sequence[int]
    steps: Sequence[int]
    """A `range` where they are one."""
    values: "array[float]"

    def place(self, index: int) -> Place:
        return place_of((self.timestamps[index], self.steps[index], self.values[index]))

    def part(self, first: int, end: int) -> "Sight":
        return Sight(self.timestamps[first:end], self.steps[first:end], self.values[first:end])


class Columns(NamedTuple):
    """Points of several series, series after series: what a block holds."""

    series: "array[int]"
    """Ids of the series, ascending."""
    counts: "array[int]"
    """How many points each has; none is 0."""
    points: Points
    """Each series' points ordered by place, none twice."""


def place_of(point: Point) -> Place:
    timestamp, step, value = point
    if value != value:  # noqa: PLR0124  # only NaN differs from itself
        return timestamp, step, 0.0, True
    return timestamp, step, value, False


# -- joining ------------------------------------------------------------------------------------------------
def collect(by_series: Mapping[int, list[Point]]) -> Columns:
    """Return points in any order, perhaps some twice, as columns. May sort the lists."""
    series = sorted(by_series)
    counts: list[int] = []
    flat: list[Point] = []
    for identity in series:
        points = by_series[identity]
        if len(points) > 1:
            points = in_order(points)
        counts.append(len(points))
        flat += points
    return Columns(array("q", series), array("q", counts), _points(flat))


def _points(flat: Sequence[Point]) -> Points:
    return Points(
        array("q", [point[0] for point in flat]),
        array("q", [point[1] for point in flat]),
        array("d", [point[2] for point in flat]),
    )


def in_order(points: list[Point]) -> list[Point]:
    """Return points of one series by place, each once; the list itself if it is so already."""
    if all(map(operator.lt, points, points[1:])):
        return points  # a pair with NaN can only pass where time or step decides
    unique = {place_of(point): point for point in reversed(points)}
    return [unique[place] for place in sorted(unique)]


def seen(parts: Sequence[Sight]) -> Sight:
    """Return all points of several parts of one series, each point once."""
    timestamps: list[int] = []
    steps: list[Sequence[int]] = []
    values = array("d")
    for cluster in _clusters(parts):
        part = cluster[0] if len(cluster) == 1 else Sight(*_sorted_together(cluster))
        timestamps += part.timestamps
        steps.append(part.steps)
        values.extend(part.values)
    return Sight(timestamps, _chained(steps), values)


def _chained(steps: Sequence[Sequence[int]]) -> Sequence[int]:
    """Put sequences one after the other; ranges that continue each other stay a range."""
    first = steps[0] if steps else range(0)
    if isinstance(first, range):
        end = first.start
        for part in steps:
            if not isinstance(part, range) or (part.start, part.step) != (end, first.step):
                break
            end = part.start + part.step * len(part)
        else:
            return range(first.start, end, first.step)
    return list(chain.from_iterable(steps))


Part = TypeVar("Part", Points, Sight)


def _clusters(parts: Sequence[Part]) -> Iterator[list[Part]]:
    """Group parts that overlap, in order; as a rule each begins where the one before ends."""
    parts = sorted((part for part in parts if part.values), key=lambda part: part.place(0))
    first = 0
    while first < len(parts):
        end, last = first + 1, parts[first].place(-1)
        while end < len(parts) and parts[end].place(0) <= last:
            last = max(last, parts[end].place(-1))
            end += 1
        yield parts[first:end]
        first = end


def merged(parts: Sequence[Points]) -> Points:
    """Return all points of several parts of one series, each point once."""
    if len(parts) == 1:
        return parts[0]
    columns = Points.none()
    for cluster in _clusters(parts):
        columns.extend(cluster[0] if len(cluster) == 1 else _sorted_together(cluster))
    return columns


def _sorted_together(parts: Sequence[Points] | Sequence[Sight]) -> Points:
    points: list[Point] = []
    for part in parts:
        points += zip(*part, strict=True)
    points.sort(key=place_of if any(map(math.isnan, map(_VALUE, points))) else None)
    return _points(in_order(points))


def join(contents: Iterable[bytes]) -> Columns:
    """Return all points of several blocks, each point once."""
    blocks: list[Columns] = []
    small: dict[int, list[Point]] = {}
    for content in contents:
        if len(content) == _ONE.size and content[:2] == _PLAIN_HEAD:
            _, _, _, _, _, identity, _, _, _, timestamp, _, step, _, value = _ONE.unpack(content)
            small.setdefault(identity, []).append((timestamp, step, value))
            continue
        if content[:2] != _PLAIN_HEAD:
            blocks.append(Block(content).columns())
            continue
        for identity, points in _small_parts(content):
            known = small.get(identity)
            if known is None:
                small[identity] = points
            else:
                known += points
    if small:
        blocks.append(collect(small))
    return blocks[0] if len(blocks) == 1 else _join_columns(blocks)


def _small_parts(content: bytes) -> Iterator[tuple[int, list[Point]]]:
    """Read a plain block several times as fast as `Block` does: of these many are joined at a time."""
    try:
        _, _, count, total = _HEADER.unpack_from(content)
        numbers = _plain(count, total).unpack(content)
    except struct.error as error:
        raise _damaged(str(error)) from error
    counts = numbers[6 + count : 6 + 2 * count]
    times, steps, values = (6 + 2 * count + 1 + column * (total + 1) for column in range(3))
    for identity, own in zip(numbers[5 : 5 + count], counts, strict=True):
        yield (
            identity,
            list(
                zip(
                    numbers[times : times + own],
                    numbers[steps : steps + own],
                    numbers[values : values + own],
                    strict=True,
                )
            ),
        )
        times, steps, values = times + own, steps + own, values + own


def _join_columns(blocks: Sequence[Columns]) -> Columns:
    parts = sum(len(block.series) for block in blocks)
    if sum(len(block.points.values) for block in blocks) < _MANY_PARTS * parts:
        return _join_rows(blocks)
    by_series: dict[int, list[Points]] = {}
    for block in blocks:
        for identity, points in each_series(block):
            by_series.setdefault(identity, []).append(points)
    series = sorted(by_series)
    joined = [merged(by_series[identity]) for identity in series]
    together = Points.none()
    for part in joined:
        together.extend(part)
    return Columns(array("q", series), array("q", [len(part.values) for part in joined]), together)


def _join_rows(blocks: Sequence[Columns]) -> Columns:
    """Do what `join` does, for blocks of so many series that columns of each would cost more than rows of all."""
    rows: list[tuple[int, Point]] = []
    for series, counts, points in blocks:
        rows += zip(chain.from_iterable(map(repeat, series, counts)), zip(*points, strict=True), strict=True)
    if any(math.isnan(row[1][2]) for row in rows):
        rows.sort(key=lambda row: (row[0], place_of(row[1])))
    else:
        rows.sort()
    by_series = {
        identity: [row[1] for row in group] for identity, group in groupby(rows, key=operator.itemgetter(0))
    }
    return collect(by_series)


def each_series(columns: Columns) -> Iterator[tuple[int, Points]]:
    first = 0
    for identity, count in zip(columns.series, columns.counts, strict=True):
        yield identity, columns.points.part(first, first + count)
        first += count


# -- writing ------------------------------------------------------------------------------------------------
def encode(columns: Columns) -> bytes:
    """Return the bytes of a block; it must not be empty."""
    series, counts, points = columns
    total = len(points.values)
    if total < PLAIN_BELOW:
        return _HEADER.pack(_VERSION, 0, len(series), total) + b"".join(
            [b"\0" + _bytes(column) for column in (series, counts, *points)]
        )
    body = b"".join(
        (
            _encode_integers(series, None),
            _encode_integers(counts, None),
            _encode_integers(points.timestamps, counts),
            _encode_integers(points.steps, counts),
            bytes((_SHUFFLED,)),
            _shuffle(_bytes(points.values)),
        )
    )
    return _HEADER.pack(_VERSION, _COMPRESSED, len(series), total) + _compressor().compress(body)


def encode_small(series: int, points: Sequence[Point]) -> bytes:
    """Return what `encode` returns for a few points of one series, in order: the usual block of a `log_metric`."""
    total = len(points)
    if total == 1:
        timestamp, step, value = points[0]
        return _ONE.pack(_VERSION, 0, 1, 1, 0, series, 0, 1, 0, timestamp, 0, step, 0, value)
    times, steps, values = zip(*points, strict=True)
    return _plain(1, total).pack(_VERSION, 0, 1, total, 0, series, 0, total, 0, *times, 0, *steps, 0, *values)


def rename_series(content: bytes, renamed: Mapping[int, int]) -> "tuple[bytes, array[int]]":
    """Return a block with other ids of its series, and these; those that `renamed` leaves out keep theirs.

    Points are not decoded, which takes a tenth of the time, unless the new ids have another order.
    """
    block = Block(content)
    series = array("q", [renamed.get(each, each) for each in block.series])
    if all(map(operator.lt, series, series[1:])):
        return block.with_series(series), series
    _, counts, points = block.columns()
    parts = sorted(zip(series, counts, accumulate(counts, initial=0), strict=False))
    ordered = Points.none()
    for _, count, first in parts:
        ordered.extend(points.part(first, first + count))
    ids = array("q", [part[0] for part in parts])
    return encode(Columns(ids, array("q", [part[1] for part in parts]), ordered)), ids


@functools.lru_cache(maxsize=1024)
def _plain(count: int, total: int) -> struct.Struct:
    """Return how the numbers of a block that is not compressed lie."""
    if not 0 < count <= total < PLAIN_BELOW:
        raise _damaged(f"it claims to hold {total} points of {count} series")
    return struct.Struct(f"<BBxxIIB{count}qB{count}qB{total}qB{total}qB{total}d")


def _encode_integers(column: "array[int]", counts: "array[int] | None") -> bytes:
    """Code a column; `counts` are those of its parts, if it has more than one."""
    progressions = _progressions(column, counts or array("q", (len(column),)))
    if progressions is not None:
        return bytes((_PROGRESSION,)) + progressions
    try:
        differences = array("q", (column[0],))
        differences.extend(array("q", list(map(operator.sub, column[1:], column))))
    except OverflowError:  # further apart than 2**63
        return bytes((_SHUFFLED,)) + _shuffle(_bytes(column))
    return bytes((_DIFFERENCES,)) + _shuffle(_bytes(differences))


def _progressions(column: "array[int]", counts: "array[int]") -> bytes | None:
    if len(column) < 2 * len(counts):
        return None  # two numbers a part would be longer
    found: list[int] = []
    first = 0
    for count in counts:
        begin = column[first]
        difference = column[first + 1] - begin if count > 1 else 0
        if not -(1 << 63) <= difference < 1 << 63:
            return None
        # The last point first: few columns that are no progressions get further.
        if column[first + count - 1] != begin + difference * (count - 1):
            return None
        if count > 2 and column[first : first + count] != array("q", _progression(begin, difference, count)):
            return None
        found += (begin, difference)
        first += count
    return _bytes(array("q", found))


def _progression(first: int, difference: int, count: int) -> Iterable[int]:
    if difference == 0:
        return repeat(first, count)
    return range(first, first + difference * count, difference)


# -- reading ------------------------------------------------------------------------------------------------
class Block:
    """The content of a block; the columns of points are decoded when asked for.

    Raises:
        DamagedDatabaseError: the bytes are damaged, or a newer slipstream wrote them.
    """

    __slots__ = ("_body", "_counts", "_is_compressed", "_offsets", "_starts", "points", "series")

    def __init__(self, content: bytes) -> None:
        try:
            self._open(content)
        except (struct.error, ValueError, IndexError) as error:
            raise _damaged(str(error)) from error

    def _open(self, content: bytes) -> None:
        version, flags, count, total = _HEADER.unpack_from(content)
        if version != _VERSION:
            raise DamagedDatabaseError(
                f"A block of metric points has version {version}, which this slipstream cannot read. Upgrade slipstream."
            )
        if total > MOST_POINTS or not 0 < count <= total:
            raise _damaged(f"it claims to hold {total} points of {count} series")
        body = content[_HEADER.size :]
        self._is_compressed = bool(flags & _COMPRESSED)
        if self._is_compressed:
            body = _decompress(body, total)
        self._body = body
        self.points = int(total)
        """How many points it holds."""
        starts: list[int] = []
        place = 0
        for elements, parts in ((count, 1), (count, 1), (total, count), (total, count), (total, count)):
            starts.append(place)
            place += 1 + _INT64 * (2 * parts if body[place] == _PROGRESSION else elements)
        if place != len(body):
            raise _damaged(f"{len(body)} bytes are not the {place} that its points need")
        self._starts = starts
        self.series = self._integers(0, 0, 0, count, count)
        """The ids of its series, ascending."""
        self._counts = self._integers(1, 0, 0, count, count)
        self._offsets = [0, *accumulate(self._counts)]
        if self._offsets[-1] != total or min(self._counts) < 1:
            raise _damaged("its counts do not fit")

    def find(self, series: int) -> Points | None:
        """Return the points of one series, if it has any here."""
        index = bisect_left(self.series, series)
        if index == len(self.series) or self.series[index] != series:
            return None
        first, end = self._offsets[index], self._offsets[index + 1]
        return Points(
            self._integers(2, index, first, end, self.points),
            self._integers(3, index, first, end, self.points),
            _array("d", self._column(4, first, end, self.points)),
        )

    def look(self, series: int) -> Sight | None:
        """Return what `find` does for a reader, in half the time."""
        index = bisect_left(self.series, series)
        if index == len(self.series) or self.series[index] != series:
            return None
        first, end = self._offsets[index], self._offsets[index + 1]
        return Sight(
            self._sequence(2, index, first, end),
            self._sequence(3, index, first, end),
            _array("d", self._column(4, first, end, self.points)),
        )

    def with_series(self, series: "array[int]") -> bytes:
        """Return the bytes of the block under other ids of its series, which are ascending, too."""
        rest = self._body[self._starts[1] :]
        if self._is_compressed:
            body = _compressor().compress(_encode_integers(series, None) + rest)
        else:
            body = bytes((_PLAIN,)) + _bytes(series) + rest
        flags = _COMPRESSED if self._is_compressed else 0
        return _HEADER.pack(_VERSION, flags, len(series), self.points) + body

    def _sequence(self, column: int, part: int, first: int, end: int) -> Sequence[int]:
        start = self._starts[column]
        way = self._body[start]
        if way == _PROGRESSION:
            at = start + 1 + 2 * _INT64 * part
            begin, difference = _array("q", self._body[at : at + 2 * _INT64])
            if difference == 0:
                return [begin] * (end - first)
            if not -(1 << 63) <= begin + difference * (end - first - 1) < 1 << 63:
                raise _damaged("a column leaves the 64-bit integers")
            return range(begin, begin + difference * (end - first), difference)
        found = _array("q", self._column(column, first, end, self.points))
        if way != _DIFFERENCES:
            return found
        before = sum(_array("q", self._column(column, 0, first, self.points))) if first else 0
        sums = list(accumulate(found, initial=before))
        del sums[0]
        if max(sums) >= 1 << 63 or min(sums) < -(1 << 63):
            raise _damaged("a column leaves the 64-bit integers")
        return sums

    def columns(self) -> Columns:
        """Return all points."""
        points = Points(
            self._all_integers(2),
            self._all_integers(3),
            _array("d", self._column(4, 0, self.points, self.points)),
        )
        return Columns(self.series, self._counts, points)

    def _integers(self, column: int, part: int, first: int, end: int, width: int) -> "array[int]":
        """Return elements `first` to `end` of a column, which are its part number `part`."""
        start = self._starts[column]
        way = self._body[start]
        if way == _PROGRESSION:
            at = start + 1 + 2 * _INT64 * part
            begin, difference = _array("q", self._body[at : at + 2 * _INT64])
            return _whole(_progression(begin, difference, end - first))
        found = _array("q", self._column(column, first, end, width))
        if way != _DIFFERENCES:
            return found
        before = sum(_array("q", self._column(column, 0, first, width))) if first else 0
        sums = accumulate(found, initial=before)
        next(sums)
        return _whole(sums)

    def _all_integers(self, column: int) -> "array[int]":
        start = self._starts[column]
        if self._body[start] != _PROGRESSION:
            return self._integers(column, 0, 0, self.points, self.points)
        numbers = iter(_array("q", self._body[start + 1 : start + 1 + 2 * _INT64 * len(self.series)]))
        return _whole(chain.from_iterable(map(_progression, numbers, numbers, self._counts)))

    def _column(self, column: int, first: int, end: int, width: int) -> bytes:
        way = self._body[self._starts[column]]
        begin = self._starts[column] + 1
        if way == _PLAIN:
            return self._body[begin + _INT64 * first : begin + _INT64 * end]
        if way in (_DIFFERENCES, _SHUFFLED):
            return _unshuffle(self._body, begin, width, first, end)
        raise _damaged(f"a column is coded in the unknown way {way}")


def _whole(numbers: Iterable[int]) -> "array[int]":
    try:
        return array("q", list(numbers))
    except OverflowError as error:
        raise _damaged("a column leaves the 64-bit integers") from error


def _damaged(why: str) -> DamagedDatabaseError:
    return DamagedDatabaseError(
        f"A block of metric points in the database is damaged ({why}). Run 'slipstream db check', and restore a backup."
    )


# -- bytes ----------------------------------------------------------------------------------------------------
def _bytes(column: "array[Any]") -> bytes:
    if sys.byteorder == "big":
        column = column[:]
        column.byteswap()
    return column.tobytes()


def _array(code: str, data: bytes) -> "array[Any]":
    column: array[Any] = array(code)
    column.frombytes(data)
    if sys.byteorder == "big":
        column.byteswap()
    return column


def _shuffle(data: bytes) -> bytes:
    return b"".join([data[place::_INT64] for place in range(_INT64)])


def _unshuffle(data: bytes, start: int, width: int, first: int, end: int) -> bytes:
    """Return elements `first` to `end` of a shuffled column of `width` elements."""
    out = bytearray(_INT64 * (end - first))
    for place in range(_INT64):
        plane = start + place * width
        out[place::_INT64] = data[plane + first : plane + end]
    return bytes(out)


def _compressor() -> Any:
    from zstandard import ZstdCompressor  # 5 ms that an import of slipstream need not pay

    return ZstdCompressor(level=_LEVEL, write_checksum=True)


def _decompress(body: bytes, points: int) -> bytes:
    from zstandard import ZstdDecompressor, ZstdError, frame_content_size

    most = 5 + _INT64 * (5 * points + 2)  # plain columns of one point a series are the longest
    try:
        if not 0 <= frame_content_size(body) <= most:
            raise _damaged("it is larger than its points")
        return ZstdDecompressor().decompress(body)
    except ZstdError as error:
        raise _damaged(str(error)) from error


_ONE = _plain(1, 1)
