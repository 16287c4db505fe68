"""A series as a chart of some width shows it: all of its points, or what each pixel column holds of them."""

from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec

XAxis: TypeAlias = Literal["step", "time", "relative"]


class SeriesName(msgspec.Struct, frozen=True):
    run_id: str
    key: str


class EnvelopeRequest(msgspec.Struct, frozen=True, kw_only=True):
    series: tuple[SeriesName, ...]
    """Those that there are not are left out of the answer."""
    x: XAxis = "step"
    """`time`: Unix milliseconds; `relative`: milliseconds since the start of the run."""
    start: int | None = None
    end: int | None = None
    """The window of x, both ends in it; by default all."""
    width: int = 1000
    """Pixel columns of the chart."""
    smoothing: float | None = None
    """The weight of what was before: 0 smoothes nothing, 0.99 much. Exact over all points, those before the window, too."""
    own_grid: bool = False
    """Whether each series is cut into columns by its own extent, as for charts of their own; else all alike."""


class Envelope(msgspec.Struct, frozen=True, kw_only=True):
    """One series. The lists are equally long; NaN and infinities are in none of them but named apart."""

    run_id: str
    key: str
    total: int
    """Points of the whole series."""
    count: int
    """Points in the window."""
    first_step: int
    last_step: int
    """The smallest and largest step of the whole series."""
    raw: bool
    """Whether each point is there: `x` and `y`; else `low`, `high` and `mean` of the points of each column."""
    x: Sequence[int]
    """In order; of columns, where each begins."""
    column: int
    """How wide columns are."""
    y: Sequence[float | None] | None = None
    low: Sequence[float | None] | None = None
    high: Sequence[float | None] | None = None
    mean: Sequence[float | None] | None = None
    smooth: Sequence[float | None] | None = None
    """The smoothed line at each point, or at the last point of each column."""
    nan: Sequence[int] = ()
    infinite: Sequence[int] = ()
    minus_infinite: Sequence[int] = ()
    """Each x where there is one."""


class EnvelopePage(msgspec.Struct, frozen=True, kw_only=True):
    cursor: int
    """The state of the database that this shows."""
    series: list[Envelope]
    """In the order asked for."""


class EncodedEnvelopes(msgspec.Struct, frozen=True, kw_only=True):
    """As `EnvelopePage`."""

    cursor: int
    series: list[bytes]


class RunSet(msgspec.Struct, frozen=True, kw_only=True):
    """Runs whose lines are one band."""

    name: str
    run_ids: tuple[str, ...]


class BandRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A metric of groups of runs, on common columns."""

    key: str
    groups: tuple[RunSet, ...]
    x: XAxis = "step"
    start: int | None = None
    end: int | None = None
    width: int = 1000


class Band(msgspec.Struct, frozen=True, kw_only=True):
    """A group. The lists have one element a column in which any of its runs has a number."""

    name: str
    runs: int
    """How many of its runs have the metric."""
    column: int
    x: Sequence[int]
    """Where each column begins."""
    counts: Sequence[int]
    """How many runs have numbers in it."""
    mean: Sequence[float]
    """Of the means of these runs."""
    std: Sequence[float | None]
    """Of the means of these runs, as of a sample; of one alone there is none."""
    low: Sequence[float]
    high: Sequence[float]
    """Of all of their points."""


class BandPage(msgspec.Struct, frozen=True, kw_only=True):
    cursor: int
    groups: list[Band]
