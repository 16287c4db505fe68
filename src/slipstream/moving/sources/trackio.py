"""Trackio's folder: a database `<project>.db` for each project, or the Parquet files made of it, and `media/`.

    metrics, system_metrics   run_id, run_name, step, timestamp (ISO 8601), metrics (JSON; NaN and infinities as texts)
    configs                   run_id, run_name, config (JSON), created_at

Older databases have no `run_id`; their runs are known by their names.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, LiteralString, NamedTuple, Protocol, cast

from slipstream.artifact_store.paths import clean_path
from slipstream.clock import now_ms
from slipstream.db.foreign import ForeignDatabase, open_foreign
from slipstream.entities import Experiment, Metric, Run, RunData, RunInfo
from slipstream.errors import InvalidParameterError, SlipstreamError
from slipstream.moving.foreign_values import (
    derived_id,
    fit_text,
    leaves,
    number_of,
    read_json,
    text_of,
    time_of,
)
from slipstream.moving.keys import Keys, fit_key
from slipstream.moving.packed_files import PackedFiles
from slipstream.moving.report import Report
from slipstream.moving.source import RunRecord, Totals
from slipstream.moving.source_options import SourceOptions
from slipstream.moving.sources.folder_reading import files_in
from slipstream.moving.sources.runs_only import (
    RUN_NAME_TAG,
    SOURCE_TAG,
    STILL_WRITTEN_MS,
    USER_TAG,
    RunsOnly,
    experiment,
)
from slipstream.moving.sources.table_files import parquet_file
from slipstream.rules import limits, names

SELECT_RUNS: LiteralString = """
    SELECT run_id, run_name, MIN(timestamp), MAX(timestamp), MAX(step) FROM metrics GROUP BY run_id, run_name
"""
SELECT_RUNS_BY_NAME: LiteralString = """
    SELECT NULL, run_name, MIN(timestamp), MAX(timestamp), MAX(step) FROM metrics GROUP BY run_name
"""
SELECT_METRICS: LiteralString = """
    SELECT timestamp, step, metrics FROM metrics WHERE run_id = :run ORDER BY id
"""
SELECT_METRICS_BY_NAME: LiteralString = """
    SELECT timestamp, step, metrics FROM metrics WHERE run_name = :run ORDER BY id
"""
SELECT_SYSTEM: LiteralString = """
    SELECT timestamp, NULL, metrics FROM system_metrics WHERE run_id = :run ORDER BY id
"""
SELECT_SYSTEM_BY_NAME: LiteralString = """
    SELECT timestamp, NULL, metrics FROM system_metrics WHERE run_name = :run ORDER BY id
"""
SELECT_CONFIGS: LiteralString = "SELECT run_id, run_name, config FROM configs"
SELECT_CONFIGS_BY_NAME: LiteralString = "SELECT NULL, run_name, config FROM configs"

_PIECE = 10_000
_LEFT_TABLES = {
    "alerts": "slipstream keeps none of them",
    "traces": "slipstream keeps no traces yet",
    "artifacts": "their files are kept elsewhere",
}
_SIDE_FILES = (
    "_system",
    "_configs",
    "_traces",
    "_artifacts",
    "_artifact_versions",
    "_artifact_aliases",
    "_run_artifact_links",
)
_OWN_COLUMNS = frozenset(
    {"id", "run_id", "run_name", "timestamp", "step", "log_id", "space_id", "created_at"}
)


class Found(NamedTuple):
    run_id: str | None
    name: str
    begin: int
    end: int


class Logged(NamedTuple):
    """One call of `log`, or one sample of the machine, which has no step."""

    timestamp: int
    step: int | None
    values: dict[str, Any]


class Project(Protocol):
    """One project, whatever it is kept in."""

    name: str
    changed_ms: int

    def runs(self) -> list[Found]: ...
    def config(self, run: Found) -> dict[str, Any]: ...
    def logged(self, run: Found, *, system: bool) -> Iterator[Logged]: ...
    def left(self) -> dict[str, int]: ...
    def close(self) -> None: ...


def is_trackio(folder: Path) -> bool:
    """Tell whether a folder is Trackio's."""
    return any(True for _ in _project_files(folder))


def is_trackio_database(database: ForeignDatabase) -> bool:
    return {"run_name", "metrics", "timestamp", "step"} <= database.columns.get("metrics", frozenset())


def _project_files(folder: Path) -> Iterator[Path]:
    """Yield what holds a project; a database is truer than the Parquet that was made of it."""
    files = {path.name: path for path in files_in(folder)}
    for name, path in files.items():
        if (name.endswith(".db") and _is_database(path)) or (
            name.endswith(".parquet")
            and name.removesuffix(".parquet") + ".db" not in files
            and not name.removesuffix(".parquet").endswith(_SIDE_FILES)
            and _is_metrics_file(path)
        ):
            yield path


def _is_database(path: Path) -> bool:
    try:
        database = open_foreign(sqlite_uri(path))
    except SlipstreamError:
        return False
    try:
        return is_trackio_database(database)
    except SlipstreamError:
        return False
    finally:
        database.close()


def sqlite_uri(path: Path) -> str:
    """Return the URI of a database file."""
    text = str(path.absolute())
    return "sqlite:///" + text.replace("%", "%25").replace("?", "%3F").replace("#", "%23")


def _is_metrics_file(path: Path) -> bool:
    try:
        with parquet_file(path) as file:
            return {"run_name", "timestamp", "step"} <= set(file.schema_arrow.names)
    except InvalidParameterError:
        return False


class Trackio(RunsOnly):
    """Reads Trackio's folder, or one project's file in it."""

    def __init__(self, root: Path, report: Report, options: SourceOptions) -> None:
        root = root.absolute()
        super().__init__(f"Trackio's {'folder' if root.is_dir() else 'file'} {root}", report, options)
        self._folder = root if root.is_dir() else root.parent
        self._projects: list[Project] = []
        for path in _project_files(root) if root.is_dir() else [root]:
            try:
                self._projects.append(
                    _Database(path, report) if path.suffix == ".db" else _ParquetProject(path)
                )
            except SlipstreamError as error:
                report.fail("project", path.stem, error)
        self._ids: set[str] = set()

    def close(self) -> None:
        for each in self._projects:
            each.close()

    def totals(self) -> Totals:
        return Totals(runs=sum(len(each.runs()) for each in self._projects))

    def experiments(self) -> Iterator[Experiment]:
        for each in self._projects:
            yield experiment(each.name, now_ms())

    def runs(self, experiment_ids: Sequence[str]) -> Iterator[RunRecord]:
        for project in self._projects:
            if project.name not in experiment_ids:
                continue
            for found in project.runs():
                try:
                    yield self._run(project, found)
                except SlipstreamError as error:
                    self._report.fail("run", f"'{found.name}' of {project.name}", error)
            for table, count in project.left().items():
                self._left[f"{table} of Trackio", _LEFT_TABLES[table]] += count

    def _run(self, project: Project, found: Found) -> RunRecord:
        config = project.config(found)
        user = config.pop("_Username", None)
        group = config.pop("_Group", None)
        created = time_of(config.pop("_Created", None))
        keys = Keys()
        name = fit_text(found.name)
        tags = {RUN_NAME_TAG: name, SOURCE_TAG: "trackio"}
        if user:
            tags[USER_TAG] = text_of(user)
        if group:
            tags["trackio.group"] = text_of(group)
        goes_on = now_ms() - max(found.end, project.changed_ms) < STILL_WRITTEN_MS
        info = RunInfo(
            run_id=_run_id(project.name, found),
            experiment_id=project.name,
            run_name=name,
            user_id=text_of(user) if user else "",
            status="RUNNING" if goes_on else "FINISHED",
            start_time=min(created or found.begin, found.begin or created or 0),
            end_time=None if goes_on else found.end,
            artifact_uri="",
        )
        params = {keys.fit(key): text_of(value) for key, value in leaves("", config) if key}
        files: PackedFiles | None = None
        others = self._look_through(project, found)
        tags.update(others.tags)
        for kind, count in others.left.items():
            self._left[f"{kind} in histories of Trackio", "slipstream keeps numbers"] += count
        self._leave_files("files of Trackio", len(others.files))
        if self._options.takes_files:
            files = PackedFiles()
            for path in others.files:
                try:
                    files.add_file(path, self._folder / "media" / clean_path(path))
                except InvalidParameterError as error:
                    self._report.fail("file", path[:200], error)
        run = Run(info=info, data=RunData(params=params, tags=tags))
        return RunRecord(run, partial(self._points, project, found), files=files)

    def _look_through(self, project: Project, found: Found) -> "_Others":
        others = _Others({}, {}, {})
        for logged in project.logged(found, system=False):
            for key, value in logged.values.items():
                for path, leaf in _whole(key, value):
                    if number_of(leaf, spelled=True) is not None or leaf is None:
                        continue
                    if isinstance(leaf, str):
                        if len(leaf) <= limits.RUN_TAG_VALUE:
                            others.tags[fit_key(f"trackio.{path}")] = fit_text(leaf)
                        others.left["texts"] = others.left.get("texts", 0) + 1
                    elif isinstance(leaf, dict):
                        typed = cast("dict[str, Any]", leaf)
                        kind = f"values of the type {ascii(typed.get('_type'))[:50]}"
                        others.left[kind] = others.left.get(kind, 0) + 1
                        place = typed.get("file_path")
                        if isinstance(place, str) and place:
                            others.files[place] = None
                    else:
                        others.left["lists"] = others.left.get("lists", 0) + 1
        return others

    def _points(self, project: Project, found: Found) -> Iterator[Sequence[Metric]]:
        keys = Keys()
        points: list[Metric] = []
        for system in (False, True):
            for sample, logged in enumerate(project.logged(found, system=system)):
                step = sample if logged.step is None else logged.step
                for key, value in logged.values.items():
                    for path, leaf in _whole(f"system/{key}" if system else key, value):
                        number = number_of(leaf, spelled=True)
                        if number is not None:
                            points.append(Metric(keys.fit(path), number, logged.timestamp, step))
                if len(points) >= _PIECE:
                    yield points
                    points = []
        if points:
            yield points
        self._note_keys(keys)


class _Others(NamedTuple):
    """What a run logged besides numbers."""

    tags: dict[str, str]
    left: dict[str, int]
    files: dict[str, None]


def _whole(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield nested values; a picture or a table, which has a type, is one value."""
    if isinstance(value, dict) and value and "_type" not in value:
        for name, below in cast("dict[str, Any]", value).items():
            yield from _whole(f"{key}.{name}", below)
    else:
        yield key, value


def _run_id(project: str, found: Found) -> str:
    """Return Trackio's own id where it has one, which is unique."""
    if found.run_id is None:
        return derived_id("trackio", project, found.name)
    try:
        names.check_run_id(found.run_id)
    except InvalidParameterError:
        return derived_id("trackio", project, found.run_id)
    return found.run_id if len(found.run_id) == 32 else derived_id("trackio", project, found.run_id)


class _Database:
    def __init__(self, path: Path, report: Report) -> None:
        self.name = fit_text(path.stem)
        self.changed_ms = path.stat().st_mtime_ns // 1_000_000
        self._report = report
        self._faulty: set[tuple[str, str]] = set()
        """Rows that hold no JSON, by table, of which the report has been told."""
        self._database = open_foreign(sqlite_uri(path))
        if not is_trackio_database(self._database):
            self._database.close()
            raise InvalidParameterError(f"{path} has not the tables of Trackio.")
        self._has_ids = "run_id" in self._database.columns["metrics"]

    def runs(self) -> list[Found]:
        rows = self._database.fetch_all(SELECT_RUNS if self._has_ids else SELECT_RUNS_BY_NAME)
        found = [
            Found(None if run_id is None else str(run_id), str(name), time_of(begin) or 0, time_of(end) or 0)
            for run_id, name, begin, end, _ in rows
        ]
        return sorted(found, key=lambda each: (each.begin, each.name))

    def config(self, run: Found) -> dict[str, Any]:
        columns = self._database.columns.get("configs", frozenset())
        if "config" not in columns:
            return {}
        has_ids = "run_id" in columns
        for run_id, name, config in self._database.fetch_all(
            SELECT_CONFIGS if has_ids else SELECT_CONFIGS_BY_NAME
        ):
            if (run_id == run.run_id) if has_ids and run.run_id is not None else (name == run.name):
                return _mapping(config)
        return {}

    def logged(self, run: Found, *, system: bool) -> Iterator[Logged]:
        table = "system_metrics" if system else "metrics"
        columns = self._database.columns.get(table, frozenset())
        if "metrics" not in columns:
            return
        has_ids = "run_id" in columns and run.run_id is not None
        if system:
            sql = SELECT_SYSTEM if has_ids else SELECT_SYSTEM_BY_NAME
        else:
            sql = SELECT_METRICS if has_ids else SELECT_METRICS_BY_NAME
        faulty = 0
        for rows in self._database.stream(sql, run=run.run_id if has_ids else run.name):
            for timestamp, step, metrics in rows:
                try:
                    values = _mapping(metrics)
                except InvalidParameterError:
                    faulty += 1
                    continue
                yield Logged(time_of(timestamp) or 0, _step(step), values)
        if faulty and (table, run.name) not in self._faulty:
            self._faulty.add((table, run.name))
            self._report.fail(
                "run", f"'{run.name}' of {self.name}", f"{faulty:,} rows of {table} hold no mapping in JSON."
            )

    def left(self) -> dict[str, int]:
        return {
            table: self._database.count(table) for table in _LEFT_TABLES if table in self._database.columns
        }

    def close(self) -> None:
        self._database.close()


def _step(step: object) -> int | None:
    return step if isinstance(step, int) else None


def _mapping(content: object) -> dict[str, Any]:
    """Return a column of JSON.

    Raises:
        InvalidParameterError: it is none.
    """
    if not isinstance(content, str | bytes):
        return {}
    document = read_json(content)
    if not isinstance(document, dict):
        raise InvalidParameterError("it holds JSON that is no mapping.")
    return cast("dict[str, Any]", document)


class _ParquetProject:
    """The Parquet files that Trackio makes of a database: each key of a row's JSON is a column."""

    def __init__(self, path: Path) -> None:
        self.name = fit_text(path.stem)
        self.changed_ms = path.stat().st_mtime_ns // 1_000_000
        self._path = path
        self._found: list[Found] | None = None

    def runs(self) -> list[Found]:
        if self._found is None:
            seen: dict[tuple[str | None, str], tuple[int, int]] = {}
            for row in self._rows(self._path, ("run_id", "run_name", "timestamp")):
                key = _text(row.get("run_id")), str(row.get("run_name"))
                moment = time_of(row.get("timestamp")) or 0
                begin, end = seen.get(key, (moment, moment))
                seen[key] = min(begin, moment), max(end, moment)
            found = [Found(*key, *times) for key, times in seen.items()]
            self._found = sorted(found, key=lambda each: (each.begin, each.name))
        return self._found

    def config(self, run: Found) -> dict[str, Any]:
        path = self._path.with_name(f"{self.name}_configs.parquet")
        for row in self._rows(path, run=run) if path.is_file() else ():
            return {key: value for key, value in row.items() if key not in _OWN_COLUMNS}
        return {}

    def logged(self, run: Found, *, system: bool) -> Iterator[Logged]:
        path = self._path.with_name(f"{self.name}_system.parquet") if system else self._path
        for row in self._rows(path, run=run) if path.is_file() else ():
            values = {
                key: value for key, value in row.items() if key not in _OWN_COLUMNS and value is not None
            }
            yield Logged(time_of(row.get("timestamp")) or 0, _step(row.get("step")), values)

    def _rows(
        self, path: Path, columns: Sequence[str] | None = None, run: Found | None = None
    ) -> Iterator[dict[str, Any]]:
        """Yield rows, all or those of one run; others are left out before they become Python's."""
        with parquet_file(path) as file:
            from pyarrow import compute

            pick: Any = compute  # it has no annotations
            there: list[str] = file.schema_arrow.names
            chosen = None if columns is None else [each for each in columns if each in there]
            for batch in file.iter_batches(_PIECE, columns=chosen):
                if run is None:
                    yield from batch.to_pylist()
                    continue
                named, name = ("run_name", run.name) if run.run_id is None else ("run_id", run.run_id)
                yield from batch.filter(pick.equal(batch.column(named), name)).to_pylist()

    def left(self) -> dict[str, int]:
        return {}

    def close(self) -> None:
        """Nothing: files are open only while they are read."""


def _text(value: object) -> str | None:
    return None if value is None else str(value)
