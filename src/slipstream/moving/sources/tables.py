"""Tables of histories, as CSV or Parquet, long or wide.

    long    run, key, step, timestamp, value: one point a row; what `slipstream runs history` writes
    wide    run, step, timestamp, and a column for each metric

Columns are found by their names, or named by the user. A run column of ids (32 hexadecimal digits, or what our own header
calls run ids) names runs that may be here already; other texts are names, and ids are made of them and of the run's first row. A table knows only
points, so it never changes what else is known of a run.

A file is looked through once, to find which rows are whose, and the rows of each run are read when it is taken: memory
does not grow with the points of a run, only by 24 bytes for each stretch of rows of one run.
"""

import re
from array import array
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol

from slipstream.clock import now_ms
from slipstream.entities import Experiment, Metric, Run, RunData, RunInfo
from slipstream.errors import InvalidParameterError
from slipstream.moving.foreign_values import derived_id, fit_text, time_of
from slipstream.moving.keys import Keys
from slipstream.moving.report import Report
from slipstream.moving.source import RunRecord, Totals
from slipstream.moving.source_options import SourceOptions
from slipstream.moving.sources.runs_only import RUN_NAME_TAG, SOURCE_TAG, RunsOnly, experiment
from slipstream.rules import names

_PIECE = 10_000
_OWN_COLUMNS = ["run_id", "key", "step", "timestamp", "value"]
_GUESSES = {
    "run": ("run_id", "run", "run_name", "run_uuid", "run name", "run id"),
    "key": ("key", "metric", "metric_name", "tag", "name"),
    "step": ("step", "_step", "global_step", "iteration", "iter", "epoch"),
    "time": ("timestamp", "_timestamp", "wall_time", "wall time", "time", "datetime", "date", "timestamp_ms"),
    "value": ("value", "metric_value", "val"),
}
_RUN_ID = re.compile(r"[0-9a-f]{32}")
_NUMBER = re.compile(
    r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?|[+-]?(nan|inf(inity)?)", re.IGNORECASE | re.ASCII
)
_MOST_TOLD = 100
"""Faulty values of one file, one by one."""


class Row(NamedTuple):
    place: str
    """For messages, such as `line 7`."""
    cells: Sequence[object]
    """Texts, or what Parquet has there; `None` or an empty text where there is nothing."""


class Stretch(NamedTuple):
    """Rows of one run that follow each other."""

    begin: int
    length: int
    mark: int
    """Of the file's own, to find them again."""


class TableFile(Protocol):
    path: Path
    columns: list[str]
    odd_line: int | None
    """The first line that is not UTF-8, known once `stretches` is done."""

    def stretches(self, run: int | None, time: int | None) -> Iterator[tuple[str, object, Stretch]]:
        """Yield which run's rows follow each other, by the text in a column; all are one run's without one.

        Between the two is the time of the last row, as it stands in its column.
        """
        ...

    def rows(self, stretches: Sequence[Stretch]) -> Iterator[Row]: ...


class Layout(NamedTuple):
    """Which column is what."""

    run: int | None
    key: int | None
    step: int | None
    time: int | None
    value: int | None
    metrics: dict[int, str]
    """Of a wide table."""


class Table(RunsOnly):
    """Reads one file.

    Raises:
        InvalidParameterError: it is no table, or has not the columns that are needed.
    """

    def __init__(self, path: Path, file: TableFile, report: Report, options: SourceOptions) -> None:
        super().__init__(f"the table {path.absolute()}", report, options)
        self._file = file
        stem = fit_text(path.name.partition(".")[0] or "table")
        self._name = fit_text(options.experiment_name or stem)
        self._metric = stem
        """Of a table with one column of values and no names."""
        self._run_name = fit_text(f"{path.absolute().parent.name}/{stem}")
        """Where no column names one: half the world's files are called `metrics.csv`."""
        self._layout = _choose_layout(file, options)
        self._keeps_ids = file.columns == _OWN_COLUMNS
        self._stretches: dict[str, array[int]] | None = None
        self._last_times: dict[str, object] = {}
        self._told = 0

    def _found(self) -> dict[str, "array[int]"]:
        """Return the stretches of each run, as numbers one after the other."""
        if self._stretches is None:
            self._stretches = {}
            for run, last, stretch in self._file.stretches(self._layout.run, self._layout.time):
                self._stretches.setdefault(run, array("q")).extend(stretch)
                self._last_times[run] = last
            if self._file.odd_line is not None:
                self._report.fail(
                    "table",
                    f"{self._file.path}, line {self._file.odd_line:,}",
                    "it is not UTF-8, so letters are lost here, and maybe below. Save the table as UTF-8 and import that.",
                )
        return self._stretches

    def totals(self) -> Totals:
        return Totals(runs=len(self._found()))

    def experiments(self) -> Iterator[Experiment]:
        yield experiment(self._name, now_ms())

    def runs(self, experiment_ids: Sequence[str]) -> Iterator[RunRecord]:
        if self._name not in experiment_ids:
            return
        for run, numbers in self._found().items():
            stretches = [Stretch(*numbers[at : at + 3]) for at in range(0, len(numbers), 3)]
            yield self._run(run, stretches)
        if self._layout.time is None:
            self._report.notes.append(
                f"{fit_text(str(self._file.path))} has no column of times: its points have the time 0 (1970). --time-column names one."
            )

    def _run(self, run: str, stretches: Sequence[Stretch]) -> RunRecord:
        first = next(self._file.rows(stretches[:1]), None)
        run_id = self._run_id(run, first)
        name = fit_text(run or self._run_name)
        column = self._layout.time
        begin = (
            0
            if first is None or column is None or column >= len(first.cells)
            else time_of(first.cells[column]) or 0
        )
        end = time_of(self._last_times[run]) or 0
        info = RunInfo(
            run_id=run_id,
            experiment_id=self._name,
            run_name=name,
            user_id="",
            status="FINISHED",
            start_time=begin,
            end_time=max(begin, end),
            artifact_uri="",
        )
        tags = {RUN_NAME_TAG: name, SOURCE_TAG: "table"} if run_id != run else {}
        return RunRecord(
            Run(info=info, data=RunData(tags=tags)), partial(self._points, tuple(stretches)), only_points=True
        )

    def _run_id(self, run: str, first: Row | None) -> str:
        """Return an id that stays when the file grows, gets more columns or is moved, and that no other run has.

        Besides the names it is made of what the run's first row holds.
        """
        if _RUN_ID.fullmatch(run):
            return run
        if self._keeps_ids:
            with suppress(InvalidParameterError):  # then it is a name like others
                names.check_run_id(run)
                return run
        cells = () if first is None else zip(self._file.columns, first.cells, strict=False)
        begin = sorted(f"{column}={cell}" for column, cell in cells if cell not in (None, ""))
        return derived_id("table", self._name, run, *begin)

    def _points(self, stretches: Sequence[Stretch]) -> Iterator[Sequence[Metric]]:
        points: list[Metric] = []
        keys = Keys()
        for number, row in enumerate(self._file.rows(stretches)):
            if len(row.cells) != len(self._file.columns):
                self._fail(row, None, f"it has {len(row.cells)} fields, not {len(self._file.columns)}")
                continue
            self._add(row, number, keys, points)
            if len(points) >= _PIECE:
                yield points
                points = []
        if points:
            yield points
        self._note_keys(keys)

    def _add(self, row: Row, number: int, keys: Keys, points: list[Metric]) -> None:
        layout = self._layout
        try:
            step = number if layout.step is None else _whole(self._cell(row, layout.step))
            timestamp = 0 if layout.time is None else self._timestamp(self._cell(row, layout.time))
            if layout.value is not None:
                key = self._metric if layout.key is None else str(self._cell(row, layout.key).value)
                points.append(Metric(keys.fit(key), _double(self._cell(row, layout.value)), timestamp, step))
                return
        except _FaultyError as fault:
            self._fail(row, fault.column, fault.reason)
            return
        for column, key in layout.metrics.items():
            value = row.cells[column]
            if value is None or value == "":
                continue
            try:
                points.append(Metric(keys.fit(key), _double(self._cell(row, column)), timestamp, step))
            except _FaultyError as fault:
                self._fail(row, fault.column, fault.reason)

    def _cell(self, row: Row, column: int) -> "_Cell":
        return _Cell(self._file.columns[column], row.cells[column])

    def _timestamp(self, cell: "_Cell") -> int:
        if self._keeps_ids:
            return _whole(cell)
        timestamp = None if cell.value is None or cell.value == "" else time_of(cell.value)
        if timestamp is None:
            raise _FaultyError(cell, "no time: seconds, milliseconds, or like 2026-01-31T12:00:00")
        return timestamp

    def _fail(self, row: Row, column: str | None, reason: str) -> None:
        self._told += 1
        if self._told <= _MOST_TOLD:
            where = row.place if column is None else f"{row.place}, column '{column}'"
            self._report.fail("table", f"{self._file.path}, {where}", reason)
        elif self._told == _MOST_TOLD + 1:
            self._report.fail(
                "table", str(self._file.path), f"more than {_MOST_TOLD} values are faulty; see the first."
            )


class _Cell(NamedTuple):
    column: str
    value: object


class _FaultyError(Exception):
    """A value that is none; told in the report, and never leaves this file."""

    def __init__(self, cell: _Cell, what: str) -> None:
        super().__init__(what)
        self.column = cell.column
        self.reason = f"{ascii(cell.value)[:100]} is {what}."


def _whole(cell: _Cell) -> int:
    value = cell.value
    if isinstance(value, int):
        return int(value)
    try:
        return int(str(value)) if not isinstance(value, float) else _integral(value)
    except ValueError:
        pass
    try:
        return _integral(float(str(value)))
    except (ValueError, OverflowError) as error:
        raise _FaultyError(cell, "no whole number") from error


def _integral(value: float) -> int:
    if not value.is_integer():
        raise ValueError
    return int(value)


def _double(cell: _Cell) -> float:
    value = cell.value
    if isinstance(value, float):
        return value
    if isinstance(value, int):
        return float(value) if abs(value) < 2**1023 else float("inf")
    if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
        return float(value)
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return float(value.strip().lower() == "true")
    raise _FaultyError(cell, "no number")


def _choose_layout(file: TableFile, options: SourceOptions) -> Layout:
    """Find the columns.

    Raises:
        InvalidParameterError: a column that was named, or one that is needed, is missing; or a name is there twice.
    """
    columns = file.columns
    twice = next((each for each in columns if each and columns.count(each) > 1), None)
    if twice is not None:
        raise InvalidParameterError(f"{file.path} has two columns '{twice[:100]}'. Rename one.")
    run = _column(file, "run", options.run_column)
    step = _column(file, "step", options.step_column)
    time = _column(file, "time", options.time_column)
    value = _column(file, "value", options.value_column)
    key = _column(file, "key", options.key_column) if value is not None else None
    used = {each for each in (run, step, time, value, key) if each is not None}
    rest = {at: name for at, name in enumerate(columns) if at not in used and name}
    if value is not None and key is None and rest and options.value_column is None:
        value = None  # a metric that is called so, among others
        rest = {at: name for at, name in enumerate(columns) if at not in {run, step, time} and name}
    if value is None and not rest:
        raise InvalidParameterError(
            f"{file.path} has no column of values among {', '.join(columns)[:300]}. A long table has a key and a value, a "
            "wide one a column for each metric; name them with --key-column and --value-column."
        )
    return Layout(run, key, step, time, value, {} if value is not None else rest)


def _column(file: TableFile, what: str, named: str | None) -> int | None:
    if named is not None:
        if named not in file.columns:
            raise InvalidParameterError(
                f"{file.path} has no column '{named}', as --{what}-column says. It has {', '.join(file.columns)[:300]}."
            )
        return file.columns.index(named)
    lowered = [each.strip().lower() for each in file.columns]
    return next((lowered.index(each) for each in _GUESSES[what] if each in lowered), None)
