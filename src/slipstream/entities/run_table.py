"""Runs as a table: what is asked of it, and one window of its rows, column by column."""

from typing import Literal, TypeAlias

import msgspec

from slipstream.entities.experiment import ViewType

ColumnKind: TypeAlias = Literal["number", "text", "time"]
Statistic: TypeAlias = Literal["mean", "median", "std", "min", "max"]
CellValue: TypeAlias = float | int | str | None
Span: TypeAlias = tuple[float, float]
"""The smallest and the largest number."""


class RunSelection(msgspec.Struct, frozen=True, kw_only=True):
    """Which runs are meant: those that a search finds."""

    experiment_ids: tuple[str, ...] = ()
    filter_string: str | None = None
    view_type: ViewType = ViewType.ACTIVE_ONLY


class TableRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Some rows of a table of runs."""

    selection: RunSelection
    order_by: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    """`attributes.status`, `params.lr`, `tags.team`, `metrics.loss`, `metrics.loss:min` (or `max`, `first`, `last`, `count`)."""
    offset: int = 0
    limit: int = 100
    parent_run_id: str | None = None
    """Only the found runs that have this parent."""
    roots_only: bool = False
    """Only the found runs whose parent was not found, so that each found run has its place below one of them."""
    with_ranges: bool = False
    with_child_ranges: bool = False
    """Where a tree is asked for: between what numbers each row's children lie."""


class TableColumn(msgspec.Struct, frozen=True, kw_only=True):
    key: str
    """As it was asked for."""
    kind: ColumnKind
    values: list[CellValue]
    """One a row; `None` where a run has none."""
    range: Span | None = None
    """Over the finite numbers of all found runs; of texts, if each is a number."""
    child_ranges: list[Span | None] | None = None
    """Of last values of metrics, over the found runs that have each row as their parent; where that was asked for."""


class RunTablePage(msgspec.Struct, frozen=True, kw_only=True):
    """One window. All lists have one element a row."""

    total: int
    """How many rows there are in all, exactly."""
    offset: int
    cursor: int
    """The state of the database that this shows: `events` tells what has changed since."""
    run_ids: list[str]
    names: list[str]
    statuses: list[str]
    start_times: list[int]
    end_times: list[int | None]
    quiet_since: list[int | None] = []
    """When those that run and give no signs of life logged last, or began; empty where there are none."""
    experiment_ids: list[str]
    children: list[int] | None = None
    """How many of the found runs have the row as their parent; where a tree was asked for."""
    complete: bool = True
    """Whether all ranges that were asked for are there. If not, ask again: each time more are known."""
    columns: list[TableColumn]


class ColumnsRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Which columns a table of some runs can have."""

    selection: RunSelection
    search: str | None = None
    """Only names that contain all of these words, in whatever case."""
    kinds: tuple[str, ...] = ()
    """Of `attributes`, `metrics`, `params`, `tags`; by default all."""
    offset: int = 0
    limit: int = 100
    sampled_only: bool = False
    """Look only at the newest found runs for which keys there are, too: quick with any number of runs."""


class RunColumn(msgspec.Struct, frozen=True, kw_only=True):
    """A column that a table can have."""

    key: str
    """As a `TableRequest` names it."""
    kind: ColumnKind
    runs: int
    """How many of the found runs have a value."""
    distinct: int
    """How many different values there are in the sample."""
    varies: bool
    """Whether some of the found runs have no value, or values in the sample differ."""
    range: Span | None = None
    """Over the finite numbers of the sample; of texts, if each is a number."""
    examples: list[CellValue] = []
    """Up to three different values."""


class RunColumnsPage(msgspec.Struct, frozen=True, kw_only=True):
    total: int
    """How many columns were found."""
    offset: int
    cursor: int
    runs: int
    """How many runs were found."""
    sampled: int
    """The newest so many of them are the sample."""
    columns: list[RunColumn]


class ValuesRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Which values a param, a tag or a textual attribute has."""

    selection: RunSelection
    key: str
    """As a column of a table: `params.optimizer`."""
    prefix: str = ""
    """Only values that begin so, in whatever case."""
    limit: int = 20


class ValueCount(msgspec.Struct, frozen=True):
    value: str
    runs: int


class GroupsRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Runs grouped by some columns."""

    selection: RunSelection
    by: tuple[str, ...]
    """Params, tags, or textual attributes."""
    metrics: tuple[str, ...] = ()
    """Names of columns, without `:min` and the like."""
    order_by: str | None = None
    """One of `metrics` or of `by`; else those of most runs come first. Groups without a value come last."""
    statistic: Statistic = "mean"
    """Which of a metric's numbers the groups are ordered by."""
    ascending: bool = False
    offset: int = 0
    limit: int = 100


class Spread(msgspec.Struct, frozen=True, kw_only=True):
    """What the last values of a metric are in a group; of its finite numbers only."""

    count: int
    """How many runs have one."""
    mean: float | None = None
    median: float | None = None
    std: float | None = None
    """Of a sample: divided by one less than their number. Of one alone there is none."""
    min: float | None = None
    max: float | None = None


class RunGroup(msgspec.Struct, frozen=True, kw_only=True):
    keys: list[str | None]
    """What its runs have in the columns that they are grouped by; `None` where they have none."""
    runs: int
    metrics: list[Spread]
    """One a metric that was asked for."""


class RunGroupsPage(msgspec.Struct, frozen=True, kw_only=True):
    total: int
    """How many groups there are."""
    offset: int
    cursor: int
    runs: int
    groups: list[RunGroup]
