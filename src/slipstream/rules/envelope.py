"""Cut a line into pixel columns without losing what stands out: the lowest, the highest and the mean of each column.

Points come in parts, in the order of x, and are gone through once: a million of them take no more memory than the columns
do. Nearly all is done by functions of the standard library that go through slices of arrays, not point by point.
"""

import math
import operator
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate, repeat

import msgspec

RAW_PER_PIXEL = 2
"""Points a pixel up to which all of them are shown."""
_NEGLIGIBLE = 1e-30
"""Weights below it do not show in a double beside newer points, unless those are smaller by as much."""
_CHUNK = 8_192


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """What is shown of a series; see `entities.Envelope`."""

    total: int
    count: int
    raw: bool
    x: Sequence[int]
    y: list[float | None] | None = None
    low: list[float | None] | None = None
    high: list[float | None] | None = None
    mean: list[float | None] | None = None
    smooth: list[float | None] | None = None
    nan: list[int] = []
    infinite: list[int] = []
    minus_infinite: list[int] = []


class OutOfOrderError(Exception):
    """A part begins before the one before ended, or is not in order; never leaves the store."""


def column_width(first: int, last: int, width: int) -> int:
    """Return how wide columns are, so that no more than about `width` cover first to last.

    One of few numbers: a chart that grows keeps its columns for a while, and so do charts of similar extent.
    """
    needed = max(1, -(-(last - first + 1) // width))  # 1 where first is behind last
    shift = max(0, needed.bit_length() - 3)
    return -(-needed >> shift) << shift  # three leading bits, rounded up


class Smoother:
    """An exponential moving average that is not drawn to 0 at its beginning, over numbers in order."""

    def __init__(self, weight: float) -> None:
        self._weight = weight
        terms = 1 if weight == 0 else min(_CHUNK, math.ceil(math.log(_NEGLIGIBLE) / math.log(weight)))
        powers = list(accumulate(repeat(weight, terms - 1), operator.mul, initial=1.0))
        self._shares = [(1 - weight) * power for power in reversed(powers)]
        self._sum = 0.0
        self._bias = 1.0

    def add(self, values: Sequence[float]) -> None:
        """Take some finite numbers, at most `_CHUNK`."""
        count = len(values)
        shares = self._shares
        if count > len(shares):
            values = values[count - len(shares) :]
        elif count < len(shares):
            shares = shares[len(shares) - count :]
        decay = self._weight**count
        self._sum = self._sum * decay + sum(map(operator.mul, values, shares))
        self._bias *= decay

    @property
    def value(self) -> float | None:
        """The average now; nothing before the first number, or where it leaves the doubles."""
        if self._bias == 1.0:
            return None
        found = self._sum / (1 - self._bias)
        return found if math.isfinite(found) else None


class _Column:
    __slots__ = ("count", "high", "low", "smooth", "total")

    def __init__(self) -> None:
        self.count = 0
        self.total = 0.0
        self.low = math.inf
        self.high = -math.inf
        self.smooth: float | None = None

    @property
    def mean(self) -> float | None:
        if not self.count:
            return None
        if math.isfinite(self.total):
            return min(max(self.total / self.count, self.low), self.high)
        return self.low / 2 + self.high / 2  # a sum beyond the doubles


class LineCutter:
    """Takes one series, part by part, and gives what a chart shows of it.

    Args:
        start: of the window.
        end: of the window, in it.
        column: how wide columns are.
        width: of the chart in pixels; up to twice as many points are given as they are. 0: none.
        smoothing: weight of the moving average.
    """

    def __init__(self, start: int, end: int, column: int, width: int, smoothing: float | None) -> None:
        self._start = start
        self._end = end
        self.column = column
        self._most_raw = RAW_PER_PIXEL * width
        self._smoother = None if smoothing is None else Smoother(smoothing)
        self._last: int | None = None
        self._total = 0
        self._count = 0
        self._raw_x: list[int] | None = []
        self._raw_y: list[float] = []
        self._columns: dict[int, _Column] = {}
        self._odd: tuple[dict[int, None], dict[int, None], dict[int, None]] = ({}, {}, {})

    def add(self, xs: Sequence[int], values: Sequence[float]) -> None:
        """Take points that come after those before.

        Raises:
            OutOfOrderError: they do not.
        """
        if not len(values):
            return
        if not _is_ordered(xs) or (self._last is not None and xs[0] < self._last):
            raise OutOfOrderError
        self._last = xs[-1]
        self._total += len(values)
        first = 0 if xs[0] >= self._start else bisect_left(xs, self._start)
        end = len(values) if xs[-1] <= self._end else bisect_right(xs, self._end)
        if self._smoother is not None:
            for at in range(0, first, _CHUNK):
                self._smoother.add(_finite(values[at : min(at + _CHUNK, first)]))
        if first >= end:
            return
        if (first, end) != (0, len(values)):
            xs, values = xs[first:end], values[first:end]
        self._count += len(values)
        if self._raw_x is not None:
            if self._count <= self._most_raw:
                self._raw_x += xs
                self._raw_y += values
                return
            raw_x, self._raw_x = self._raw_x, None
            if raw_x:
                self._cut(raw_x, self._raw_y)
            self._raw_y = []
        self._cut(xs, values)

    def _cut(self, xs: Sequence[int], values: Sequence[float]) -> None:
        column, columns, smoother = self.column, self._columns, self._smoother
        at, count = 0, len(values)
        steps = xs if isinstance(xs, range) and xs.step > 0 else None
        while at < count:
            number = xs[at] // column
            border = (number + 1) * column
            if steps is not None:
                end = min(count, -(-(border - steps.start) // steps.step))
            else:
                end = bisect_left(xs, border, at, count)
            some = values[at:end]
            place = columns.get(number)
            if place is None:
                place = columns[number] = _Column()
            total = sum(some)
            if not math.isfinite(total):
                self._note_odd(number * column, some)
                some = _finite(some)
                total = sum(some)
            if len(some):
                place.count += len(some)
                place.total += total
                low, high = min(some), max(some)
                place.low = min(place.low, low)
                place.high = max(place.high, high)
                if smoother is not None:
                    for begin in range(0, len(some), _CHUNK):
                        smoother.add(some[begin : begin + _CHUNK])
                    place.smooth = smoother.value
            at = end

    def _note_odd(self, x: int, values: Sequence[float]) -> None:
        for value in values:
            if math.isnan(value):
                self._odd[0][x] = None
            elif math.isinf(value):
                self._odd[1 if value > 0 else 2][x] = None

    def line(self) -> Line:
        """Return what is shown."""
        nan, infinite, minus_infinite = self._odd
        if self._raw_x is None:
            numbers = sorted(self._columns)
            columns = [self._columns[number] for number in numbers]
            return Line(
                total=self._total,
                count=self._count,
                raw=False,
                x=[number * self.column for number in numbers],
                low=[each.low if each.count else None for each in columns],
                high=[each.high if each.count else None for each in columns],
                mean=[each.mean for each in columns],
                smooth=None if self._smoother is None else [each.smooth for each in columns],
                nan=list(nan),
                infinite=list(infinite),
                minus_infinite=list(minus_infinite),
            )
        smooth: list[float | None] | None = None
        if self._smoother is not None:
            smooth = []
            for value in self._raw_y:
                if math.isfinite(value):
                    self._smoother.add((value,))
                    smooth.append(self._smoother.value)
                else:
                    smooth.append(None)
        shown: list[float | None] = []
        for x, value in zip(self._raw_x, self._raw_y, strict=True):
            if math.isfinite(value):
                shown.append(value)
            else:
                shown.append(None)
                self._note_odd(x, (value,))
        return Line(
            total=self._total,
            count=self._count,
            raw=True,
            x=self._raw_x,
            y=shown,
            smooth=smooth,
            nan=list(nan),
            infinite=list(infinite),
            minus_infinite=list(minus_infinite),
        )


def _finite(values: Sequence[float]) -> Sequence[float]:
    """Return those that are numbers."""
    if math.isfinite(sum(values)):
        return values
    return list(filter(math.isfinite, values))


def _is_ordered(xs: Sequence[int]) -> bool:
    if isinstance(xs, range):
        return xs.step > 0 or len(xs) == 1
    return len(xs) < 2 or all(map(operator.le, xs, xs[1:]))
