"""Tables of runs: any window of all that a search finds, and its groups.

Servers answer from memory where they can (`store/run_index/`), and every other process with the SQL of this file, which
means the same.
"""

import logging
import math
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, LiteralString

from slipstream.db.base import Row, Transaction
from slipstream.entities.run_table import (
    CellValue,
    ColumnKind,
    GroupsRequest,
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
from slipstream.rules.child_ranges import child_ranges
from slipstream.rules.groups import find_groups
from slipstream.rules.windows import check_window
from slipstream.search.columns import (
    TIMES,
    Column,
    parse_column,
    parse_columns,
    parse_points_order,
)
from slipstream.search.lexer import shown
from slipstream.store.config import StoreConfig
from slipstream.store.run_changes import newest_change
from slipstream.store.run_columns import KEYED, RunColumnsPart, cell_of, kind_of
from slipstream.store.run_index.columns import PRESENT
from slipstream.store.run_index.conditions import ColumnName
from slipstream.store.run_index.reading import RUN_ID, is_number, read_columns
from slipstream.store.run_index.rows import Cells, Window, WindowRequest, join_ranges
from slipstream.store.run_index.windows import PARENT, range_of_texts
from slipstream.store.selected_runs import Selected
from slipstream.store.series_summaries import SeriesSummariesPart

_logger = logging.getLogger(__name__)

MOST_ROWS = 1_000
MOST_ORDERED_BY_POINTS = 2_000
MOST_VALUES = 1_000
MOST_GROUPS_LISTED = 1_000
MOST_GROUPED_BY = 10
_CHUNK = 5_000

_COMMON_ATTRIBUTES: dict[str, LiteralString] = {
    "run_id": "SELECT DISTINCT run_id FROM runs WHERE id IN ",
    "run_name": "SELECT DISTINCT run_name FROM runs WHERE id IN ",
    "status": "SELECT DISTINCT status FROM runs WHERE id IN ",
    "user_id": "SELECT DISTINCT user_id FROM runs WHERE id IN ",
    "artifact_uri": "SELECT DISTINCT artifact_uri FROM runs WHERE id IN ",
    "start_time": "SELECT MIN(start_time), MAX(start_time) FROM runs WHERE id IN ",
    "end_time": "SELECT MIN(end_time), MAX(end_time) FROM runs WHERE id IN ",
}


class RunTablesPart(RunColumnsPart, SeriesSummariesPart):
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
        selected = Selected.of(request.selection, () if by_points else request.order_by)
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
        selected = Selected.of(request.selection, () if by_points else request.order_by)
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
        Selected.of(request.selection, () if by_points else request.order_by)

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
        selected: Selected,
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

    def _window_in_memory(self, selected: Selected, wanted: WindowRequest) -> Window | None:
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
            name: [cell_of(each) for each in cells] if is_number(name) else cells
            for name, cells in found.items()
        }

    def _window_in_database(self, selected: Selected, wanted: WindowRequest) -> Window:
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
        self, selected: Selected, wanted: WindowRequest, column: Column, descending: bool
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
        self, selected: Selected, column: Column, descending: bool, upto: int
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
                sql = f"SELECT DISTINCT value FROM {KEYED[group]} WHERE key = :key_ AND run IN ({found})"
                rows = self.tx.fetch_all(sql, key_=key, **params)
            if is_number((group, key)):
                low, high = rows[0]
                ranges[group, key] = None if low is None else (low, high)
            else:
                ranges[group, key] = join_ranges([range_of_texts(row[0] for row in rows)])
        return ranges

    # -- values and groups --------------------------------------------------------------------------
    def find_run_values(self, request: ValuesRequest) -> list[ValueCount]:
        check_window(0, request.limit, MOST_VALUES)
        column = parse_column(request.key)
        require_text(column, "key")
        name = (column.group, column.key)
        cells = self._cells(Selected.of(request.selection), [name])
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
        cells = self._cells(Selected.of(request.selection), [*names_by, *names_of])
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
        return self._cells(Selected.of(selection), wanted)

    def _cells(self, selected: Selected, wanted: Sequence[ColumnName]) -> Cells:
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


def _number(value: "tuple[float, int] | None") -> float:
    """Return a number, or NaN where there is none."""
    return value[0] if value is not None and value[1] == PRESENT else math.nan


def require_text(column: Column, field: str) -> None:
    """Refuse columns whose values are numbers."""
    if column.group == "metric" or (column.key in TIMES and column.group == "attribute"):
        raise InvalidParameterError(
            f"Invalid column {column.text[:200]!r} in '{field}': use params, tags, or attributes that are texts."
        )


def _kind(column: Column) -> ColumnKind:
    return kind_of((column.group, column.key))
