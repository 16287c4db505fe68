"""Put lines of several runs together: in each column of a chart the mean of the runs, how they spread, and all that their points reach.

A run counts from its first to its last column. Runs log at different steps, and never at the same millisecond: a mean over
only those that happen to have a point in a column would jump from run to run.
"""

import math
from array import array
from collections.abc import Sequence
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


class _Run(NamedTuple):
    """A line where it has numbers."""

    xs: Sequence[int]
    low: Sequence[float]
    high: Sequence[float]
    mean: Sequence[float]
    smooth: Sequence[float] | None


class BandMaker:
    """Takes lines that were cut into the same columns."""

    def __init__(self) -> None:
        self._runs: list[_Run] = []
        self.lines = 0

    def add(self, line: Line) -> None:
        """Take one line, which is not raw."""
        self.lines += 1
        smooths = line.smooth or line.mean or ()
        found = [
            (x, low, high, mean, mean if smooth is None else smooth)
            for x, low, high, mean, smooth in zip(
                line.x, line.low or (), line.high or (), line.mean or (), smooths, strict=True
            )
            if low is not None and high is not None and mean is not None
        ]
        if not found:
            return
        xs, low, high, mean, smooth = zip(*found, strict=True)
        self._runs.append(
            _Run(
                array("q", xs),
                array("d", low),
                array("d", high),
                array("d", mean),
                None if line.smooth is None else array("d", smooth),
            )
        )

    def rows(self) -> list[BandRow]:
        """Return each column in which any line has a number."""
        xs = sorted(set[int]().union(*(run.xs for run in self._runs)))
        places = {x: place for place, x in enumerate(xs)}
        columns = [(array("d"), array("d")) for _ in xs]
        lows, highs = [math.inf] * len(xs), [-math.inf] * len(xs)
        for run in self._runs:
            first = places[run.xs[0]]
            shown = xs[first : places[run.xs[-1]] + 1]
            lines = [_filled(run.xs, values, shown) for values in (run.low, run.high, run.mean)]
            smooth = lines[2] if run.smooth is None else _filled(run.xs, run.smooth, shown)
            for place, (low, high, mean, even) in enumerate(zip(*lines, smooth, strict=True), first):
                lows[place] = min(lows[place], low)
                highs[place] = max(highs[place], high)
                columns[place][0].append(mean)
                columns[place][1].append(even)
        is_smooth = any(run.smooth is not None for run in self._runs)
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
