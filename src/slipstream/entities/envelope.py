"""A series as a chart of some width shows it: all of its points, or what each pixel column holds of them."""

from collections.abc import Sequence
from typing import Literal, TypeAlias

import msgspec

from slipstream.entities.run_table import RunSelection

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
    groups: tuple[RunSet, ...] = ()
    selection: RunSelection | None = None
    """Instead of `groups`: all runs that a search finds, grouped `by` columns."""
    by: tuple[str, ...] = ()
    """Params, tags, or textual attributes. None: all runs are one group."""
    limit: int = 20
    """How many groups, those of most runs first."""
    x: XAxis = "step"
    start: int | None = None
    end: int | None = None
    width: int = 1000
    smoothing: float | None = None


class Band(msgspec.Struct, frozen=True, kw_only=True):
    """A group. The lists have one element a column in which any of its runs has a number.

    A run counts in each column from its first to its last one: where it has no number in between, what its line has there.
    """

    name: str
    keys: Sequence[str | None] | None = None
    """What its runs have in the columns that they are grouped by; `None` where they have none."""
    found: int
    """How many runs there are in it."""
    runs: int
    """How many of those that were looked at have the metric."""
    points: int
    """How many points they have."""
    column: int
    x: Sequence[int]
    """Where each column begins."""
    counts: Sequence[int]
    """How many runs count in it."""
    mean: Sequence[float]
    """Of the means of these runs; so are the next four."""
    std: Sequence[float | None]
    """Of a sample; of one alone there is none."""
    median: Sequence[float]
    lower: Sequence[float]
    upper: Sequence[float]
    """The quartiles."""
    low: Sequence[float]
    high: Sequence[float]
    """Of all of their points."""
    smooth: Sequence[float] | None = None
    """The mean of their smoothed lines."""
    smooth_median: Sequence[float] | None = None


class BandPage(msgspec.Struct, frozen=True, kw_only=True):
    cursor: int
    runs: int
    """How many runs are in all groups, also in those beyond the limit."""
    total: int
    """How many groups there are."""
    complete: bool = True
    """Whether all runs of the groups shown were looked at; else the newest ones."""
    groups: list[Band]
