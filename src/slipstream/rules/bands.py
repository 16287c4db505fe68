"""Put lines of several runs together: in each column of a chart the mean of the runs, how they spread, and all that their points reach.

A run counts from its first to its last column. Runs log at different steps, and never at the same millisecond: a mean over
only those that happen to have a point in a column would jump from run to run.
"""

import math
import operator
from array import array
from collections.abc import Sequence
from itertools import groupby, repeat
from typing import NamedTuple

from slipstream.rules.envelope import Line
from slipstream.rules.groups import spread_of


class BandRow(NamedTuple):
    """One column; see `entities.Band`."""

    x: int
    runs: int
    mean: float
    std: float | None
    median: float
    lower: float
    upper: float
    low: float
    high: float
    smooth: float | None
    smooth_median: float | None


class BandLine(NamedTuple):
    """One run's line in the columns in which it has numbers."""

    total: int
    xs: Sequence[int]
    low: Sequence[float]
    high: Sequence[float]
    mean: Sequence[float]
    smooth: Sequence[float] | None

    @property
    def bytes(self) -> int:
        """About how much memory it takes."""
        return 200 + 8 * len(self.xs) * (3 if self.low is self.mean else 5)


def band_line(line: Line, column: int) -> BandLine:
    """Return what a band needs of a line: of one that is raw, its points put into columns."""
    if line.raw:
        points = _finite_points(line)
        if column > 1:
            points = [(x // column * column, value, smooth) for x, value, smooth in points]
        xs = [x for x, _, _ in points]
        if all(map(operator.lt, xs, xs[1:])):  # a point a column
            values = array("d", [value for _, value, _ in points])
            smooths = None if line.smooth is None else array("d", [smooth for _, _, smooth in points])
            return BandLine(line.total, _places(xs), values, values, values, smooths)
        rows = [_joined(x, list(some)) for x, some in groupby(points, operator.itemgetter(0))]
    else:
        smooths = line.smooth or line.mean or ()
        rows = [
            (x, low, high, mean, mean if smooth is None else smooth)
            for x, low, high, mean, smooth in zip(
                line.x, line.low or (), line.high or (), line.mean or (), smooths, strict=True
            )
            if low is not None and high is not None and mean is not None
        ]
    xs, low, high, mean, smooth = zip(*rows, strict=True) if rows else ((), (), (), (), ())
    return BandLine(
        line.total,
        _places(xs),
        array("d", low),
        array("d", high),
        array("d", mean),
        None if line.smooth is None else array("d", smooth),
    )


def _places(xs: Sequence[int]) -> Sequence[int]:
    """Return where columns begin, in little room; the first may begin before the smallest step that there can be."""
    try:
        return array("q", xs)
    except OverflowError:
        return tuple(xs)


def _finite_points(line: Line) -> list[tuple[int, float, float]]:
    return [
        (x, value, value if smooth is None else smooth)
        for x, value, smooth in zip(line.x, line.y or (), line.smooth or line.y or (), strict=True)
        if value is not None
    ]


def _joined(x: int, points: Sequence[tuple[int, float, float]]) -> tuple[int, float, float, float, float]:
    values = [value for _, value, _ in points]
    low, high = min(values), max(values)
    mean = math.fsum(value / len(values) for value in values)
    return x, low, high, min(max(mean, low), high), points[-1][2]


class BandMaker:
    """Takes lines that were cut into the same columns."""

    def __init__(self) -> None:
        self._lines: list[BandLine] = []
        self.lines = 0
        self.points = 0

    def add(self, line: BandLine) -> None:
        self.lines += 1
        self.points += line.total
        if len(line.xs):
            self._lines.append(line)

    def rows(self) -> list[BandRow]:
        """Return each column in which any line has a number."""
        xs = sorted(set[int]().union(*(line.xs for line in self._lines)))
        is_smooth = any(line.smooth is not None for line in self._lines)
        if all(len(line.xs) == len(xs) for line in self._lines):
            return [
                _row(x, means, smooths, min(lows), max(highs))
                for x, means, smooths, lows, highs in zip(
                    xs,
                    zip(*(line.mean for line in self._lines), strict=True),
                    zip(*(line.smooth or line.mean for line in self._lines), strict=True)
                    if is_smooth
                    else repeat(None),
                    zip(*(line.low for line in self._lines), strict=True),
                    zip(*(line.high for line in self._lines), strict=True),
                    strict=False,
                )
            ]
        return self._joined(xs, is_smooth=is_smooth)

    def _joined(self, xs: Sequence[int], *, is_smooth: bool) -> list[BandRow]:
        places = {x: place for place, x in enumerate(xs)}
        columns = [(array("d"), array("d")) for _ in xs]
        lows, highs = [math.inf] * len(xs), [-math.inf] * len(xs)
        for line in self._lines:
            first = places[line.xs[0]]
            shown = xs[first : places[line.xs[-1]] + 1]
            mean = _filled(line.xs, line.mean, shown)
            low = mean if line.low is line.mean else _filled(line.xs, line.low, shown)
            high = mean if line.high is line.mean else _filled(line.xs, line.high, shown)
            smooth = mean if line.smooth is None else _filled(line.xs, line.smooth, shown)
            for place, (lowest, highest, value, even) in enumerate(
                zip(low, high, mean, smooth, strict=True), first
            ):
                lows[place] = min(lows[place], lowest)
                highs[place] = max(highs[place], highest)
                columns[place][0].append(value)
                columns[place][1].append(even)
        return [
            _row(x, means, smooths if is_smooth else None, low, high)
            for x, (means, smooths), low, high in zip(xs, columns, lows, highs, strict=True)
        ]


def _row(x: int, means: Sequence[float], smooths: Sequence[float] | None, low: float, high: float) -> BandRow:
    in_order = sorted(means)
    spread = spread_of(in_order)
    assert spread.mean is not None, "means are numbers"
    assert spread.median is not None, "and so is what is between them"
    smooth = None if smooths is None else spread_of(smooths)
    return BandRow(
        x,
        len(in_order),
        spread.mean,
        spread.std,
        spread.median,
        _quantile(in_order, 0.25),
        _quantile(in_order, 0.75),
        low,
        high,
        None if smooth is None else smooth.mean,
        None if smooth is None else smooth.median,
    )


def _quantile(in_order: Sequence[float], share: float) -> float:
    place = share * (len(in_order) - 1)
    before = math.floor(place)
    after = min(before + 1, len(in_order) - 1)
    return in_order[before] * (1 - (place - before)) + in_order[after] * (place - before)


def _filled(xs: Sequence[int], values: Sequence[float], wanted: Sequence[int]) -> Sequence[float]:
    """Return what a line has at each wanted place, which lie from its first to its last one and include all of its own."""
    if len(xs) == len(wanted):
        return values
    found = array("d")
    at = 0
    for x in wanted:
        if xs[at] == x:
            found.append(values[at])
            at += 1
        else:  # between two of its own
            share = (x - xs[at - 1]) / (xs[at] - xs[at - 1])
            found.append(values[at - 1] * (1 - share) + values[at] * share)
    return found
