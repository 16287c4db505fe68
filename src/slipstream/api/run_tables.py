"""The routes of runs as tables: any window of rows, column by column, and which columns there are. Our own."""

import hashlib
import math
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from slipstream.api.experiments import ExperimentMessage, view_type
from slipstream.api.experiments import to_wire as experiment_to_wire
from slipstream.api.routing import OWN, OWN_AJAX, Encoded, Permission, Request, Response, encode, route
from slipstream.entities.run_table import (
    CellValue,
    ColumnKind,
    ColumnsRequest,
    GroupsRequest,
    RunColumn,
    RunColumnsPage,
    RunGroup,
    RunGroupsPage,
    RunSelection,
    RunTablePage,
    Statistic,
    TableColumn,
    TableRequest,
    ValueCount,
    ValuesRequest,
)
from slipstream.errors import InvalidParameterError
from slipstream.store.base import Store
from slipstream.wire.numbers import exact_to_wire
from slipstream.wire.parsing import Int64

PREFIXES = (OWN, OWN_AJAX)
_MOST_AUTO = 50
_MOST_EXPERIMENTS = 100


class SelectsRuns(Request, kw_only=True):
    """A request that means the runs that a search finds."""

    experiment_ids: list[str] = []
    filter: str | None = None
    view_type: Annotated[str | int, msgspec.Meta(description="ACTIVE_ONLY, DELETED_ONLY or ALL")] = 1


class RunTable(SelectsRuns, kw_only=True):
    order_by: list[str] = []
    columns: list[str] = []
    offset: Int64 = 0
    limit: Int64 = 100
    parent_run_id: str | None = None
    roots_only: bool = False
    with_ranges: bool = False
    with_child_ranges: Annotated[
        bool,
        msgspec.Meta(
            description="With a tree: between what last values of each metric the children of each row lie"
        ),
    ] = False
    with_experiments: Annotated[
        bool, msgspec.Meta(description="With name, stage and tags of the experiments, 100 at most")
    ] = False
    auto_columns: Annotated[
        Int64,
        msgspec.Meta(
            description="So many columns are chosen that tell the runs apart; for `columns` left out"
        ),
    ] = 0


class ColumnMessage(msgspec.Struct, kw_only=True):
    key: str
    kind: ColumnKind
    values: list[CellValue]
    range: tuple[float, float] | None = None
    child_ranges: list[tuple[float, float] | None] | None = None
    steps: list[int | None] | None = None


class RunTableResponse(Response, kw_only=True, omit_defaults=False):
    cursor: int
    total: int
    offset: int
    run_ids: list[str]
    names: list[str]
    statuses: list[str]
    start_times: list[int]
    end_times: list[int | None]
    quiet_since: list[int | None] = []
    """One a row: when a run that runs and gives no signs of life logged last, or began. Empty where there are none."""
    experiment_ids: list[str] = []
    """One a row, where more than one experiment was asked for; else the one."""
    children: list[int] | None = None
    complete: bool = True
    columns: list[ColumnMessage]
    experiments: list[ExperimentMessage] | None = None
    """Where that was asked for: a page shows rows and what they are of, and asks once."""


@route("POST", "runs/table", permission=Permission.READ, also=("GET",), prefixes=PREFIXES)
def search_run_table(store: Store, req: RunTable) -> RunTableResponse | Encoded:
    """Return any rows of the runs that a search finds, column by column, with the exact number of all."""
    page = store.search_run_table(
        TableRequest(
            selection=selection_of(req),
            order_by=tuple(req.order_by),
            columns=tuple(req.columns) or _telling_columns(store, req),
            offset=req.offset,
            limit=req.limit,
            parent_run_id=req.parent_run_id,
            roots_only=req.roots_only,
            with_ranges=req.with_ranges,
            with_child_ranges=req.with_child_ranges,
        )
    )
    several = len(set(req.experiment_ids)) > 1
    return tagged(
        page.cursor,
        RunTableResponse(
            cursor=0,
            total=page.total,
            offset=page.offset,
            run_ids=page.run_ids,
            names=page.names,
            statuses=page.statuses,
            start_times=page.start_times,
            end_times=page.end_times,
            quiet_since=page.quiet_since,
            experiment_ids=page.experiment_ids if several else page.experiment_ids[:1],
            children=page.children,
            complete=page.complete,
            columns=[
                ColumnMessage(
                    key=each.key,
                    kind=each.kind,
                    values=cells_to_wire(each.values),
                    range=each.range,
                    child_ranges=each.child_ranges,
                    steps=each.steps,
                )
                for each in page.columns
            ],
            experiments=_experiments_of(store, req) if req.with_experiments else None,
        ),
    )


def _experiments_of(store: Store, req: RunTable) -> list[ExperimentMessage]:
    ids = list(dict.fromkeys(req.experiment_ids))
    if len(ids) > _MOST_EXPERIMENTS:
        raise InvalidParameterError(
            f"'with_experiments' tells of up to {_MOST_EXPERIMENTS} experiments, and 'experiment_ids' names {len(ids)}; "
            "leave it out, or ask for experiments in parts."
        )
    return [experiment_to_wire(store.get_experiment(each)) for each in ids]


def _telling_columns(store: Store, req: RunTable) -> tuple[str, ...]:
    """Choose metrics and params that differ, those that most of the newest runs have first, about as many of both."""
    if req.auto_columns <= 0:
        return ()
    asked = min(req.auto_columns, _MOST_AUTO)
    # Counting the keys of all runs would take longer than the table.
    wanted = ColumnsRequest(
        selection=selection_of(req), kinds=("metrics", "params"), limit=4 * asked, sampled_only=True
    )
    found = store.search_run_columns(wanted)
    if found.runs > found.sampled and not any(each.key.startswith("metrics.") for each in found.columns):
        # The newest may all have failed before they logged anything.
        found = store.search_run_columns(msgspec.structs.replace(wanted, sampled_only=False))
    # What the machine did is looked at run by run.
    telling = [
        each.key for each in found.columns if each.varies and not each.key.startswith("metrics.system/")
    ]
    metrics = [key for key in telling if key.startswith("metrics.")]
    params = [key for key in telling if not key.startswith("metrics.")]
    half = asked // 2
    return (
        *metrics[: asked - min(half, len(params))],
        *params[: asked - min(asked - half, len(metrics))],
    )


def table_from_wire(answer: RunTableResponse) -> RunTablePage:
    ids = answer.experiment_ids
    return RunTablePage(
        total=answer.total,
        offset=answer.offset,
        cursor=answer.cursor,
        run_ids=answer.run_ids,
        names=answer.names,
        statuses=answer.statuses,
        start_times=answer.start_times,
        end_times=answer.end_times,
        quiet_since=answer.quiet_since,
        experiment_ids=ids if len(ids) == len(answer.run_ids) else ids * len(answer.run_ids),
        children=answer.children,
        complete=answer.complete,
        columns=[
            TableColumn(
                key=each.key,
                kind=each.kind,
                values=cells_from_wire(each.kind, each.values),
                range=each.range,
                child_ranges=each.child_ranges,
                steps=each.steps,
            )
            for each in answer.columns
        ],
    )


class RunColumns(SelectsRuns, kw_only=True):
    search: str | None = None
    kinds: list[str] = []
    offset: Int64 = 0
    limit: Int64 = 100
    sampled_only: Annotated[
        bool,
        msgspec.Meta(
            description="Keys are counted among the newest found runs only: quick with any number of runs"
        ),
    ] = False


class RunColumnMessage(msgspec.Struct, kw_only=True):
    key: str
    kind: ColumnKind
    runs: int
    distinct: int
    varies: bool
    range: tuple[float, float] | None = None
    examples: list[CellValue] = []


class RunColumnsResponse(Response, kw_only=True, omit_defaults=False):
    cursor: int
    total: int
    offset: int
    runs: int
    sampled: int
    columns: list[RunColumnMessage]


@route("POST", "runs/columns", permission=Permission.READ, heavy=True, also=("GET",), prefixes=PREFIXES)
def search_run_columns(store: Store, req: RunColumns) -> RunColumnsResponse | Encoded:
    """Return which columns the runs that a search finds have; those that differ and that most have first."""
    page = store.search_run_columns(
        ColumnsRequest(
            selection=selection_of(req),
            search=req.search,
            kinds=tuple(req.kinds),
            offset=req.offset,
            limit=req.limit,
            sampled_only=req.sampled_only,
        )
    )
    return tagged(
        page.cursor,
        RunColumnsResponse(
            cursor=0,
            total=page.total,
            offset=page.offset,
            runs=page.runs,
            sampled=page.sampled,
            columns=[
                RunColumnMessage(
                    key=each.key,
                    kind=each.kind,
                    runs=each.runs,
                    distinct=each.distinct,
                    varies=each.varies,
                    range=each.range,
                    examples=cells_to_wire(each.examples),
                )
                for each in page.columns
            ],
        ),
    )


def columns_from_wire(answer: RunColumnsResponse) -> RunColumnsPage:
    return RunColumnsPage(
        total=answer.total,
        offset=answer.offset,
        cursor=answer.cursor,
        runs=answer.runs,
        sampled=answer.sampled,
        columns=[
            RunColumn(
                key=each.key,
                kind=each.kind,
                runs=each.runs,
                distinct=each.distinct,
                varies=each.varies,
                range=each.range,
                examples=cells_from_wire(each.kind, each.examples),
            )
            for each in answer.columns
        ],
    )


class FindRunValues(SelectsRuns, kw_only=True):
    key: str
    prefix: str = ""
    limit: Int64 = 20


class FindRunValuesResponse(Response, kw_only=True, omit_defaults=False):
    values: list[ValueCount]


@route("POST", "runs/values", permission=Permission.READ, heavy=True, also=("GET",), prefixes=PREFIXES)
def find_run_values(store: Store, req: FindRunValues) -> FindRunValuesResponse:
    """Return which values a param, a tag or a textual attribute of the found runs has, those of most runs first."""
    request = ValuesRequest(selection=selection_of(req), key=req.key, prefix=req.prefix, limit=req.limit)
    return FindRunValuesResponse(values=store.find_run_values(request))


class FindRunGroups(SelectsRuns, kw_only=True):
    by: list[str] = []
    metrics: list[str] = []
    order_by: str | None = None
    statistic: Statistic = "mean"
    ascending: bool = False
    offset: Int64 = 0
    limit: Int64 = 100


class FindRunGroupsResponse(Response, kw_only=True, omit_defaults=False):
    cursor: int
    total: int
    offset: int
    runs: int
    groups: list[RunGroup]


@route("POST", "runs/groups", permission=Permission.READ, heavy=True, also=("GET",), prefixes=PREFIXES)
def find_run_groups(store: Store, req: FindRunGroups) -> FindRunGroupsResponse | Encoded:
    """Group the found runs by columns, and return how the last values of metrics spread in each group, exactly."""
    request = GroupsRequest(
        selection=selection_of(req),
        by=tuple(req.by),
        metrics=tuple(req.metrics),
        order_by=req.order_by,
        statistic=req.statistic,
        ascending=req.ascending,
        offset=req.offset,
        limit=req.limit,
    )
    page = store.find_run_groups(request)
    return tagged(
        page.cursor,
        FindRunGroupsResponse(
            cursor=0, total=page.total, offset=page.offset, runs=page.runs, groups=page.groups
        ),
    )


def groups_from_wire(answer: FindRunGroupsResponse) -> RunGroupsPage:
    return RunGroupsPage(
        total=answer.total,
        offset=answer.offset,
        cursor=answer.cursor,
        runs=answer.runs,
        groups=answer.groups,
    )


def selection_of(req: SelectsRuns) -> RunSelection:
    return RunSelection(
        experiment_ids=tuple(req.experiment_ids),
        filter_string=req.filter,
        view_type=view_type(req.view_type, "view_type"),
    )


def tagged(cursor: int, message: Any) -> Encoded:
    """Return a message as JSON, with a tag of all of it but the cursor, which is its first field."""
    rest = encode(message)
    head = b'{"cursor":0'
    assert rest.startswith(head), "the cursor comes first"
    rest = rest[len(head) :]
    digest = hashlib.blake2b(rest, digest_size=12).hexdigest()
    return Encoded(b'{"cursor":%d%b' % (cursor, rest), f'"{digest}"')


def cells_to_wire(cells: Sequence[CellValue]) -> list[CellValue]:
    """Return cells whose NaN and infinities are texts."""
    return [
        exact_to_wire(cell) if type(cell) is float and not math.isfinite(cell) else cell for cell in cells
    ]


def cells_from_wire(kind: ColumnKind, cells: Sequence[CellValue]) -> list[CellValue]:
    if kind == "text":
        return list(cells)
    return [float(cell) if isinstance(cell, str) else cell for cell in cells]
