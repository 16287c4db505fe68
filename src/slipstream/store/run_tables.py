"""Tables of runs: any window of all that a search finds, and which columns there are.

Servers answer from memory where they can (`store/run_index/`), and every other process with the SQL of this file, which
means the same.
"""

import logging
import math
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, LiteralString, cast

import msgspec

from slipstream.db.base import Row, Transaction
from slipstream.entities.run_table import (
    CellValue,
    ColumnKind,
    ColumnsRequest,
    GroupsRequest,
    RunColumn,
    RunColumnsPage,
    RunGroupsPage,
    RunSelection,
    RunTablePage,
    Span,
    TableColumn,
    TableRequest,
    ValueCount,
    ValuesRequest,
)
from slipstream.errors import InvalidParameterError
from slipstream.rules import names
from slipstream.rules.child_ranges import child_ranges
from slipstream.rules.groups import find_groups
from slipstream.rules.windows import check_window
from slipstream.search.columns import (
    GROUPS,
    TIMES,
    Column,
    name_column,
    parse_column,
    parse_columns,
    parse_points_order,
)
from slipstream.search.lexer import shown
from slipstream.search.sql import Query, compile_runs
from slipstream.store.config import StoreConfig
from slipstream.store.experiments import STAGES
from slipstream.store.run_changes import newest_change
from slipstream.store.run_index.columns import NAN, PRESENT
from slipstream.store.run_index.conditions import ColumnName
from slipstream.store.run_index.reading import RUN_ID, is_number, read_columns
from slipstream.store.run_index.rows import Cells, KeyCounts, Window, WindowRequest, join_ranges
from slipstream.store.run_index.windows import PARENT, range_of_texts
from slipstream.store.series_summaries import SeriesSummariesPart

_logger = logging.getLogger(__name__)

MOST_ROWS = 1_000
MOST_ORDERED_BY_POINTS = 2_000
MOST_COLUMNS_LISTED = 1_000
MOST_VALUES = 1_000
MOST_GROUPS_LISTED = 1_000
MOST_GROUPED_BY = 10
_CHUNK = 5_000
SAMPLED_RUNS = 2_000
SAMPLED_VALUES = 100_000
"""About so many values of the newest runs are looked at to tell which columns vary."""
_SOME = 50
"""Runs whose values are counted to tell how many the others have, where nobody has counted all."""
_EXAMPLES = 3
_EXAMPLE_LENGTH = 100
_DISTINCT = 1_000

FOUND: LiteralString = (
    "SELECT r.id FROM runs r WHERE r.experiment IN :experiments__in AND r.lifecycle_stage IN :stages__in AND "
)
_KEYED: dict[str, LiteralString] = {"metric": "series", "parameter": "params", "tag": "run_tags"}
_GROUP_OF: dict[str, str] = dict(zip(("attribute", "metric", "parameter", "tag"), GROUPS, strict=True))
_LISTED_ATTRIBUTES = ("run_name", "status", "user_id", "start_time", "end_time")
_COMMON_ATTRIBUTES: dict[str, LiteralString] = {
    "run_id": "SELECT DISTINCT run_id FROM runs WHERE id IN ",
    "run_name": "SELECT DISTINCT run_name FROM runs WHERE id IN ",
    "status": "SELECT DISTINCT status FROM runs WHERE id IN ",
    "user_id": "SELECT DISTINCT user_id FROM runs WHERE id IN ",
    "artifact_uri": "SELECT DISTINCT artifact_uri FROM runs WHERE id IN ",
    "start_time": "SELECT MIN(start_time), MAX(start_time) FROM runs WHERE id IN ",
    "end_time": "SELECT MIN(end_time), MAX(end_time) FROM runs WHERE id IN ",
}


class _Selected(msgspec.Struct, frozen=True):
    """Runs that a valid search means."""

    experiments: list[int]
    query: Query
    stages: list[str]

    @staticmethod
    def of(selection: RunSelection, order_by: Sequence[str] = ()) -> "_Selected":
        return _Selected(
            [names.experiment_number(each, "experiment_ids") for each in selection.experiment_ids],
            compile_runs(selection.filter_string, order_by, None),
            STAGES[selection.view_type],
        )

    @property
    def params(self) -> dict[str, Any]:
        return {"experiments__in": self.experiments, "stages__in": self.stages, **self.query.params}

    @property
    def found(self) -> LiteralString:
        """The SELECT of the internal ids of all of them."""
        return f"{FOUND}({self.query.where})"


class RunTablesPart(SeriesSummariesPart):
    tx: Transaction
    config: StoreConfig
    changed_runs: set[int]
    changed_experiments: set[int]

    if TYPE_CHECKING:  # in store/runs.py

        def find_rows(self, runs: Sequence[int]) -> list[Row]: ...

        # in store/quiet_runs.py
        def find_quiet(self, rows: Sequence[Row]) -> list[int | None]: ...

    # -- rows ---------------------------------------------------------------------------------------
    def search_run_table(self, request: TableRequest) -> RunTablePage:
        check_window(request.offset, request.limit, MOST_ROWS)
        columns = parse_columns(request.columns)
        by_points = parse_points_order(request.order_by)
        selected = _Selected.of(request.selection, () if by_points else request.order_by)
        wanted = WindowRequest(
            request.offset,
            request.limit,
            request.parent_run_id or None,
            request.roots_only,
            tuple(dict.fromkeys((c.group, c.key) for c in columns if c.aggregate == "last")),
            request.with_ranges,
            request.with_child_ranges,
        )
        window = (
            self._window_by_points(selected, wanted, *by_points)
            if by_points
            else self._window_in_memory(selected, wanted)
        )
        rows = self.find_rows(window.runs) if window is not None else []
        if window is None or len(rows) < len(window.runs):
            if window is not None:
                self._distrust(selected.experiments)
            window = self._window_in_database(selected, wanted)
            rows = self.find_rows(window.runs)
        below = self._ranges_below(selected, request, window, [row[1] for row in rows], wanted.columns)
        return self._show(request.offset, columns, window, rows, below)

    def read_run_table(self, request: TableRequest, at_once: int) -> Iterator[RunTablePage]:
        """Yield all runs that a search finds, some at a time, as of the state that this transaction sees.

        Memory is not asked: it may know a later state when a page comes to be read.

        Args:
            request: which runs, in what order, with which columns; the rest of it does not matter.
            at_once: how many runs a page has; one page at least is yielded.
        """
        columns = parse_columns(request.columns)
        by_points = parse_points_order(request.order_by)
        selected = _Selected.of(request.selection, () if by_points else request.order_by)
        upto = newest_change(self.tx)
        runs: array[int] = array("q")
        if by_points:
            runs.extend(self._ordered_by_points(selected, *by_points, upto))
        elif selected.experiments:
            query = selected.query
            found: LiteralString = (
                f"SELECT r.id, r.run_id, {query.keys} FROM runs r {query.joins} WHERE"
                " r.experiment IN :experiments__in AND r.lifecycle_stage IN :stages__in"
                f" AND ({query.where}) ORDER BY {query.order_by}"
            )
            runs.extend([row[0] for row in self.tx.fetch_all(found, **selected.params)])
        for start in range(0, max(1, len(runs)), at_once):
            some = list(runs[start : start + at_once])
            window = Window(len(runs), some, None, {}, {}, upto)
            yield self._show(start, columns, window, self.find_rows(some), {})

    def check_run_table(self, request: TableRequest) -> None:
        """Refuse what a search of runs or a name of a column cannot mean, without reading anything."""
        parse_columns(request.columns)
        by_points = parse_points_order(request.order_by)
        _Selected.of(request.selection, () if by_points else request.order_by)

    def _show(
        self,
        offset: int,
        columns: Sequence[Column],
        window: Window,
        rows: Sequence[Row],
        below: dict[ColumnName, list[Span | None]],
    ) -> RunTablePage:
        wanted = dict.fromkeys((c.group, c.key) for c in columns if c.aggregate == "last")
        values = self._values(window, wanted)
        summaries = self.summarize_series(
            window.runs,
            {(c.key, c.aggregate) for c in columns if c.aggregate not in ("last", "step")},
            window.upto,
        )
        at_steps = self.find_at_steps(
            window.runs, {(c.key, c.step) for c in columns if c.aggregate == "step"}
        )
        told: list[TableColumn] = []
        for column in columns:
            cells: list[CellValue]
            steps: list[int | None] | None = None
            if column.aggregate == "step":
                points = [at_steps.get((run, column.key, column.step)) for run in window.runs]
                cells = [None if point is None else point[0] for point in points]
                steps = [None if point is None else point[1] for point in points]
                span = spans = None
            elif column.aggregate == "last":
                name = (column.group, column.key)
                cells = values[name]
                span = window.ranges.get(name)
                spans = below.get(name)
            else:
                cells = [summaries.get((run, column.key, column.aggregate)) for run in window.runs]
                span = spans = None
            told.append(
                TableColumn(
                    key=column.text,
                    kind=_kind(column),
                    values=cells,
                    range=span,
                    child_ranges=spans,
                    steps=steps,
                )
            )
        return RunTablePage(
            total=window.total,
            offset=offset,
            cursor=window.upto,
            run_ids=[row[1] for row in rows],
            names=[row[3] for row in rows],
            statuses=[row[5] for row in rows],
            start_times=[row[6] for row in rows],
            end_times=[row[7] for row in rows],
            quiet_since=self.find_quiet(rows),
            experiment_ids=[str(row[2]) for row in rows],
            children=window.children,
            complete=window.complete,
            columns=told,
        )

    def _ranges_below(
        self,
        selected: _Selected,
        request: TableRequest,
        window: Window,
        run_ids: Sequence[str],
        wanted: Sequence[ColumnName],
    ) -> dict[ColumnName, list[Span | None]]:
        """Return between what numbers the children of each row lie, for each metric; nothing where no row has children."""
        metrics = [
            name for name in wanted if name[0] == "metric" and (window.complete or name in window.ranges)
        ]
        if not request.with_child_ranges or not any(window.children or ()) or not metrics:
            return {}
        cells = self._cells(selected, [RUN_ID, PARENT, *metrics])
        found = child_ranges(
            run_ids, cells.values[RUN_ID], cells.values[PARENT], [cells.values[name] for name in metrics]
        )
        return dict(zip(metrics, found, strict=True))

    def _window_in_memory(self, selected: _Selected, wanted: WindowRequest) -> Window | None:
        index = self.config.run_index
        if index is None or not selected.experiments or self.changed_runs or self.changed_experiments:
            return None
        return index.find_window(self.tx, selected.experiments, selected.query, selected.stages, wanted)

    def _distrust(self, experiments: Sequence[int]) -> None:
        _logger.warning(
            "Runs were deleted by another program than slipstream; reading experiments %s anew.", experiments
        )
        if self.config.run_index is not None:
            self.config.run_index.drop(experiments)

    def _values(self, window: Window, wanted: Iterable[ColumnName]) -> dict[ColumnName, list[CellValue]]:
        """Return the cells of columns: those that memory had, and the others from the database."""
        found: dict[ColumnName, list[Any]] = dict(window.values)
        missing = [name for name in wanted if name not in found]
        if missing:
            read = read_columns(self.tx, window.runs, missing) if window.runs else {}
            for name in missing:
                of_runs = read.get(name, {})
                found[name] = [of_runs.get(run) for run in window.runs]
        return {
            name: [_cell(each) for each in cells] if is_number(name) else cells
            for name, cells in found.items()
        }

    def _window_in_database(self, selected: _Selected, wanted: WindowRequest) -> Window:
        upto = newest_change(self.tx)
        if not selected.experiments:
            return Window(0, [], [] if wanted.roots or wanted.parent is not None else None, {}, {}, upto)
        found, query = selected.found, selected.query
        params = {**selected.params, "parent_key": "mlflow.parentRunId", "parent": wanted.parent}
        rows: LiteralString = ""
        if wanted.parent is not None:
            rows = (
                f"{rows} AND EXISTS (SELECT 1 FROM run_tags x WHERE x.run = r.id AND x.key = :parent_key"
                " AND x.value = :parent)"
            )
        if wanted.roots:
            rows = (
                f"{rows} AND NOT EXISTS (SELECT 1 FROM run_tags x JOIN runs p ON p.run_id = x.value"
                " WHERE x.run = r.id AND x.key = :parent_key AND p.id <> r.id"
                f" AND p.id IN ({found}))"
            )
        where: LiteralString = (
            f"r.experiment IN :experiments__in AND r.lifecycle_stage IN :stages__in AND ({query.where}){rows}"
        )
        count: LiteralString = f"SELECT COUNT(*) FROM runs r WHERE {where}"
        page: LiteralString = (
            f"SELECT r.id, r.run_id, {query.keys} FROM runs r {query.joins} WHERE {where}"
            f" ORDER BY {query.order_by} LIMIT :limit_ OFFSET :offset_"
        )
        counted = self.tx.fetch_one(count, **params)
        runs = self.tx.fetch_all(page, limit_=wanted.limit, offset_=wanted.offset, **params)
        children = None
        if wanted.roots or wanted.parent is not None:
            children = self._children([row[1] for row in runs], found, params)
        ranges: dict[ColumnName, Span | None] = {}
        if wanted.ranges:
            ranges = self._ranges(wanted.columns, found, selected.params)
        return Window(
            0 if counted is None else counted[0], [row[0] for row in runs], children, {}, ranges, upto
        )

    def _window_by_points(
        self, selected: _Selected, wanted: WindowRequest, column: Column, descending: bool
    ) -> Window:
        if wanted.roots or wanted.parent is not None:
            raise InvalidParameterError(
                f"Runs of a tree are not ordered by {shown(column.text)}; leave out 'roots_only' and 'parent_run_id'."
            )
        upto = newest_change(self.tx)
        runs = self._ordered_by_points(selected, column, descending, upto)
        ranges = (
            self._ranges(wanted.columns, selected.found, selected.params) if wanted.ranges and runs else {}
        )
        return Window(len(runs), runs[wanted.offset : wanted.offset + wanted.limit], None, {}, ranges, upto)

    def _ordered_by_points(
        self, selected: _Selected, column: Column, descending: bool, upto: int
    ) -> list[int]:
        """Order found runs by what their points say: those of every one are read, so there may not be too many."""
        query = selected.query
        sql: LiteralString = (
            f"SELECT r.id, {query.keys} FROM runs r {query.joins} WHERE r.id IN ({selected.found})"
            f" ORDER BY {query.order_by}"
        )
        runs = [row[0] for row in self.tx.fetch_all(sql, **selected.params)] if selected.experiments else []
        if len(runs) > MOST_ORDERED_BY_POINTS:
            raise InvalidParameterError(
                f"Runs are ordered by {shown(column.text)} only where up to {MOST_ORDERED_BY_POINTS} are found, since the points "
                f"of each are read, and {len(runs)} are. Narrow the filter, or order by the last value."
            )
        values: dict[int, float]
        if column.aggregate == "step":
            points = self.find_at_steps(runs, [(column.key, column.step)])
            values = {run: value for (run, _, _), (value, _) in points.items()}
        else:
            found = self.summarize_series(runs, [(column.key, column.aggregate)], upto)
            values = {run: value for (run, _, _), value in found.items() if value is not None}
        # what has no number comes last, whichever way it goes
        known = [run for run in runs if run in values and not math.isnan(values[run])]
        known.sort(key=lambda run: -values[run] if descending else values[run])
        numbered = set(known)
        return [*known, *(run for run in runs if run not in numbered)]

    def _children(self, run_ids: Sequence[str], found: LiteralString, params: dict[str, Any]) -> list[int]:
        if not run_ids:
            return []
        sql: LiteralString = (
            "SELECT t.value, COUNT(*) FROM run_tags t JOIN runs c ON c.id = t.run WHERE t.key = :parent_key"
            f" AND t.value IN :run_ids__in AND c.run_id <> t.value AND t.run IN ({found}) GROUP BY t.value"
        )
        counts = dict(self.tx.fetch_all(sql, run_ids__in=list(run_ids), **params))  # pyright: ignore[reportArgumentType]
        return [counts.get(run_id, 0) for run_id in run_ids]

    def _ranges(
        self, wanted: Sequence[ColumnName], found: LiteralString, params: dict[str, Any]
    ) -> dict[ColumnName, Span | None]:
        ranges: dict[ColumnName, Span | None] = {}
        for group, key in wanted:
            if group == "attribute":
                rows = self.tx.fetch_all(f"{_COMMON_ATTRIBUTES[key]}({found})", **params)
            elif group == "metric":
                sql: LiteralString = (
                    "SELECT MIN(value), MAX(value) FROM series WHERE key = :key_ AND is_nan = 0"
                    f" AND value BETWEEN :least AND :most AND run IN ({found})"
                )
                largest = 1.7976931348623157e308
                rows = self.tx.fetch_all(sql, key_=key, least=-largest, most=largest, **params)
            else:
                sql = f"SELECT DISTINCT value FROM {_KEYED[group]} WHERE key = :key_ AND run IN ({found})"
                rows = self.tx.fetch_all(sql, key_=key, **params)
            if is_number((group, key)):
                low, high = rows[0]
                ranges[group, key] = None if low is None else (low, high)
            else:
                ranges[group, key] = join_ranges([range_of_texts(row[0] for row in rows)])
        return ranges

    # -- columns ------------------------------------------------------------------------------------
    def search_run_columns(self, request: ColumnsRequest) -> RunColumnsPage:
        check_window(request.offset, request.limit, MOST_COLUMNS_LISTED)
        for kind in request.kinds:
            if kind not in GROUPS:
                raise InvalidParameterError(
                    f"Invalid value {kind[:100]!r} for 'kinds': use some of {', '.join(GROUPS)}."
                )
        selected = _Selected.of(request.selection)
        groups = () if request.sampled_only else tuple(_KEYED)
        counts = self._keys_in_memory(selected, groups) or self._keys_in_database(selected, groups)
        sampled, columns = self._columns_of(counts)
        words = (request.search or "").lower().split()
        wanted = request.kinds or GROUPS
        shown = [
            column
            for column in columns
            if column.key.partition(".")[0] in wanted and _has_words(column.key, words)
        ]
        return RunColumnsPage(
            total=len(shown),
            offset=request.offset,
            cursor=counts.upto,
            runs=counts.runs,
            sampled=sampled,
            columns=shown[request.offset : request.offset + request.limit],
        )

    # -- values and groups --------------------------------------------------------------------------
    def find_run_values(self, request: ValuesRequest) -> list[ValueCount]:
        check_window(0, request.limit, MOST_VALUES)
        column = parse_column(request.key)
        require_text(column, "key")
        name = (column.group, column.key)
        cells = self._cells(_Selected.of(request.selection), [name])
        prefix = request.prefix.lower()
        counts = Counter(cells.values[name])
        counts.pop(None, None)
        found = [(value, runs) for value, runs in counts.items() if value.lower().startswith(prefix)]
        found.sort(key=lambda each: (-each[1], each[0]))
        return [ValueCount(value, runs) for value, runs in found[: request.limit]]

    def find_run_groups(self, request: GroupsRequest) -> RunGroupsPage:
        check_window(request.offset, request.limit, MOST_GROUPS_LISTED)
        by, metrics = parse_columns(request.by), parse_columns(request.metrics)
        if not 1 <= len(by) <= MOST_GROUPED_BY:
            raise InvalidParameterError(
                f"'by' names {len(by)} columns; group by at least 1 and at most {MOST_GROUPED_BY}."
            )
        for column in by:
            require_text(column, "by")
        for column in metrics:
            if column.group != "metric" or column.aggregate != "last":
                raise InvalidParameterError(
                    f"Invalid column {column.text[:200]!r} in 'metrics': name metrics, without ':min', ':step=1' and the like."
                )
        names_by = [(column.group, column.key) for column in by]
        names_of = [(column.group, column.key) for column in metrics]
        cells = self._cells(_Selected.of(request.selection), [*names_by, *names_of])
        total, groups = find_groups(
            [cells.values[name] for name in names_by],
            [cells.values[name] for name in names_of],
            cells.runs,
            request,
        )
        return RunGroupsPage(
            total=total,
            offset=request.offset,
            cursor=cells.upto,
            runs=cells.runs,
            groups=groups,
        )

    def find_cells(self, selection: RunSelection, wanted: Sequence[ColumnName]) -> Cells:
        """Return columns of all runs that a search finds."""
        return self._cells(_Selected.of(selection), wanted)

    def _cells(self, selected: _Selected, wanted: Sequence[ColumnName]) -> Cells:
        """Return columns of all runs that were found."""
        names_ = list(dict.fromkeys(wanted))
        index = self.config.run_index
        if index is not None and not self.changed_runs and not self.changed_experiments:
            cells = index.find_cells(self.tx, selected.experiments, selected.query, selected.stages, names_)
            if cells is not None:
                return cells
        upto = newest_change(self.tx)
        found: dict[ColumnName, list[Any]] = {name: [] for name in names_}
        runs = (
            [row[0] for row in self.tx.fetch_all(selected.found, **selected.params)]
            if selected.experiments
            else []
        )
        for start in range(0, len(runs), _CHUNK):
            some = runs[start : start + _CHUNK]
            for name, values in read_columns(self.tx, some, names_).items():
                if is_number(name):
                    found[name] += [_number(values.get(run)) for run in some]
                else:
                    found[name] += map(values.get, some)
        return Cells(len(runs), found, upto)

    # -- columns, read once -------------------------------------------------------------------------
    def _columns_of(self, counts: KeyCounts) -> tuple[int, list[RunColumn]]:
        """Return how many runs were looked at, and all columns of some runs in order."""
        index = self.config.run_index
        if index is not None and counts.identity is not None:
            known = index.columns(counts.identity)
            if known is not None:
                return cast("tuple[int, list[RunColumn]]", known)
        sample = self._sample(counts)
        found = counts.runs
        listed: list[tuple[str, str, int]] = []
        if counts.keys:
            if found:
                listed += [
                    ("attribute", key, counts.ended if key == "end_time" else found)
                    for key in _LISTED_ATTRIBUTES
                ]
            for group, keys in counts.keys.items():
                listed += [(group, key, runs) for key, runs in keys.items()]
        else:
            found = len(sample.runs)
            listed += [(group, key, runs) for (group, key), runs in sample.counts.items()]
        columns = [self._describe(group, key, runs, found, sample) for group, key, runs in listed]
        columns.sort(key=_rank)
        if index is not None and counts.identity is not None:
            index.keep_columns(counts.identity, (len(sample.runs), columns))
        return len(sample.runs), columns

    def _keys_in_memory(self, selected: _Selected, groups: Sequence[str]) -> KeyCounts | None:
        index = self.config.run_index
        if index is None or not selected.experiments or self.changed_runs or self.changed_experiments:
            return None
        return index.count_keys(
            self.tx, selected.experiments, selected.query, selected.stages, groups, SAMPLED_RUNS
        )

    def _keys_in_database(self, selected: _Selected, groups: Sequence[str]) -> KeyCounts:
        upto = newest_change(self.tx)
        keys: dict[str, Counter[str]] = {group: Counter() for group in groups}
        if not selected.experiments:
            return KeyCounts(0, keys, 0, [], upto)
        found, query, params = selected.found, selected.query, selected.params
        counted = self.tx.fetch_one(
            f"SELECT COUNT(*), COUNT(end_time) FROM runs WHERE id IN ({found})", **params
        )
        assert counted is not None, "an aggregate has a row"
        for group in groups:
            table = _KEYED[group]
            rows = self.tx.fetch_all(
                f"SELECT key, COUNT(*) FROM {table} WHERE run IN ({found}) GROUP BY key", **params
            )
            keys[group].update(dict(rows))  # pyright: ignore[reportArgumentType]
        newest = self.tx.fetch_all(
            f"SELECT r.id, {query.keys} FROM runs r {query.joins} WHERE r.id IN ({found})"
            f" ORDER BY {query.order_by} LIMIT :limit_",
            limit_=SAMPLED_RUNS,
            **params,
        )
        return KeyCounts(counted[0], keys, counted[1], [row[0] for row in newest], upto)

    def _sample(self, counts: KeyCounts) -> "_Sample":
        """Look at the values of the newest runs, of as many as keep it quick."""
        held = sum(sum(keys.values()) for keys in counts.keys.values())
        among = counts.runs
        if not counts.keys:
            some = counts.newest[:_SOME]
            held = sum(self._count_values(some)) if some else 0
            among = len(some)
        each = max(1.0, held / max(1, among))
        runs = counts.newest[: max(2, int(SAMPLED_VALUES / each))]
        sample = _Sample(runs)
        if not runs:
            return sample
        names_ = [("attribute", key) for key in _LISTED_ATTRIBUTES]
        for name, values in read_columns(self.tx, runs, names_).items():
            for value in values.values():
                sample.add(name, value)
        for key, value, is_nan in self.tx.fetch_all(SELECT_METRICS, runs__in=runs):
            sample.add(("metric", key), (value, NAN if is_nan else PRESENT))
        for group, sql in _TEXTS.items():
            for key, value in self.tx.fetch_all(sql, runs__in=runs):
                sample.add((group, key), value)
        return sample

    def _count_values(self, runs: list[int]) -> list[int]:
        counted = [self.tx.fetch_one(sql, runs__in=runs) for sql in _COUNT_VALUES]
        return [row[0] for row in counted if row is not None]

    def _describe(self, group: str, key: str, runs: int, found: int, sample: "_Sample") -> RunColumn:
        name = (group, key)
        held = sample.values.get(name, {})
        distinct = min(_DISTINCT, len(held))
        span: Span | None
        cells: list[CellValue]
        if is_number(name):
            numbers = [value for value, rank in held if rank == PRESENT and math.isfinite(value)]
            span = (min(numbers), max(numbers)) if numbers else None
            cells = [_cell(each) for each in list(held)[:_EXAMPLES]]
        else:
            span = join_ranges([range_of_texts(held)])
            cells = [each[:_EXAMPLE_LENGTH] for each in list(held)[:_EXAMPLES]]
        return RunColumn(
            key=name_column(_GROUP_OF[group], key),
            kind=_kind_of(name),
            runs=runs,
            distinct=distinct,
            varies=distinct > 1 or runs < found,
            range=span,
            examples=cells,
        )


SELECT_METRICS: LiteralString = "SELECT key, value, is_nan FROM series WHERE run IN :runs__in"
SELECT_PARAMS: LiteralString = "SELECT key, value FROM params WHERE run IN :runs__in"
SELECT_TAGS: LiteralString = "SELECT key, value FROM run_tags WHERE run IN :runs__in"
_COUNT_VALUES: tuple[LiteralString, ...] = (
    "SELECT COUNT(*) FROM series WHERE run IN :runs__in",
    "SELECT COUNT(*) FROM params WHERE run IN :runs__in",
    "SELECT COUNT(*) FROM run_tags WHERE run IN :runs__in",
)
_TEXTS: dict[str, LiteralString] = {"parameter": SELECT_PARAMS, "tag": SELECT_TAGS}


class _Sample:
    """Different values of columns, among some runs."""

    def __init__(self, runs: list[int]) -> None:
        self.runs = runs
        self.values: dict[ColumnName, dict[Any, None]] = {}
        self.counts: Counter[ColumnName] = Counter()

    def add(self, name: ColumnName, value: Any) -> None:
        self.values.setdefault(name, {})[value] = None
        self.counts[name] += 1


def _number(value: "tuple[float, int] | None") -> float:
    """Return a number, or NaN where there is none."""
    return value[0] if value is not None and value[1] == PRESENT else math.nan


def require_text(column: Column, field: str) -> None:
    """Refuse columns whose values are numbers."""
    if column.group == "metric" or (column.key in TIMES and column.group == "attribute"):
        raise InvalidParameterError(
            f"Invalid column {column.text[:200]!r} in '{field}': use params, tags, or attributes that are texts."
        )


def _cell(value: "tuple[float, int] | None") -> float | None:
    """Return a number of a column."""
    if value is None:
        return None
    number, rank = value
    if rank == PRESENT:
        return number
    return math.nan if rank == NAN else None


def _kind(column: Column) -> ColumnKind:
    return _kind_of((column.group, column.key))


def _kind_of(name: ColumnName) -> ColumnKind:
    group, key = name
    if group == "metric":
        return "number"
    return "time" if group == "attribute" and key in TIMES else "text"


def _has_words(text: str, words: Sequence[str]) -> bool:
    lowered = text.lower()
    return all(word in lowered for word in words)


_ORDER_OF_GROUPS = {"metrics": 0, "params": 1, "attributes": 2, "tags": 3}


def _rank(column: RunColumn) -> tuple[bool, bool, int, int, str]:
    """Order columns: those that vary first, then by how many runs have them; what the tools themselves write last."""
    group, _, key = column.key.partition(".")
    return (
        key.startswith(("mlflow.", "slipstream.", "system/")),
        not column.varies,
        -column.runs,
        _ORDER_OF_GROUPS[group],
        column.key,
    )
