"""What neptune-exporter wrote: Parquet files with a row for each value of each attribute of a run.

    <data>/<project>/<run>_part_<n>.parquet   project_id, run_id, attribute_path, attribute_type, step, timestamp, a column
                                              for each type of value
    <files>/...                               files, where `file_value.path` says

Settings become params, what Neptune itself says of a run (`sys/...`) becomes tags. Steps are decimals there: those with a
fraction are taken only with a multiplier that makes them whole.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

from slipstream.artifact_store.paths import clean_path
from slipstream.clock import now_ms
from slipstream.entities import Experiment, Metric, Run, RunData, RunInfo
from slipstream.errors import InvalidParameterError, SlipstreamError
from slipstream.moving.foreign_values import derived_id, fit_text, text_of, time_of
from slipstream.moving.keys import Keys, fit_key
from slipstream.moving.packed_files import PackedFiles
from slipstream.moving.report import Report
from slipstream.moving.source import RunRecord, Totals
from slipstream.moving.source_options import SourceOptions
from slipstream.moving.sources.folder_reading import files_below
from slipstream.moving.sources.runs_only import (
    NOTE_TAG,
    RUN_NAME_TAG,
    SOURCE_TAG,
    USER_TAG,
    RunsOnly,
    experiment,
)
from slipstream.moving.sources.table_files import parquet_file

_PIECE = 10_000
_PART = re.compile(r"_part_(\d+)\.parquet$")
_NEEDED = {"project_id", "run_id", "attribute_path", "attribute_type", "float_value"}
_SETTINGS = {
    "float": "float_value",
    "int": "int_value",
    "string": "string_value",
    "bool": "bool_value",
    "datetime": "datetime_value",
    "string_set": "string_set_value",
}
_FILES = ("file", "file_series", "file_set", "artifact")
_SYSTEM = "sys/"


class _Name(NamedTuple):
    project: str
    run: str


def is_neptune_export(folder: Path) -> bool:
    return any(_is_part(path) for _, path in files_below(_data_folder(folder)))


def _data_folder(folder: Path) -> Path:
    below = folder / "data"
    return below if below.is_dir() and not below.is_symlink() else folder


def _is_part(path: Path) -> bool:
    if _PART.search(path.name) is None:
        return False
    try:
        with parquet_file(path) as file:
            return set(file.schema_arrow.names) >= _NEEDED
    except InvalidParameterError:
        return False


class Neptune(RunsOnly):
    """Reads a folder of neptune-exporter: its data folder, or the one above, with `data` and `files`."""

    def __init__(self, root: Path, report: Report, options: SourceOptions) -> None:
        root = root.absolute()
        super().__init__(f"neptune-exporter's folder {root}", report, options)
        self._data = _data_folder(root)
        self._files = self._data.parent / "files"
        self._runs: dict[_Name, list[Path]] | None = None

    def _found(self) -> dict[_Name, list[Path]]:
        if self._runs is None:
            self._runs = {}
            parts = [path for _, path in files_below(self._data) if _PART.search(path.name)]
            for path in sorted(parts, key=_place):
                try:
                    name = _name_in(path)
                except SlipstreamError as error:
                    self._report.fail("file", str(path), error)
                    continue
                if name is not None:
                    self._runs.setdefault(name, []).append(path)
        return self._runs

    def totals(self) -> Totals:
        return Totals(runs=len(self._found()))

    def experiments(self) -> Iterator[Experiment]:
        for project in sorted({each.project for each in self._found()}):
            yield experiment(project, now_ms())

    def runs(self, experiment_ids: Sequence[str]) -> Iterator[RunRecord]:
        for name, paths in self._found().items():
            if name.project in experiment_ids:
                try:
                    yield self._run(name, paths)
                except SlipstreamError as error:
                    self._report.fail("run", f"{name.run} of {name.project}", error)

    def _rows(self, paths: Sequence[Path], name: _Name, columns: Sequence[str]) -> Iterator[dict[str, Any]]:
        for path in paths:
            with parquet_file(path) as file:
                there = set(file.schema_arrow.names)
                chosen = [each for each in ("run_id", *columns) if each in there]
                for batch in file.iter_batches(_PIECE, columns=chosen):
                    for row in batch.to_pylist():
                        if row["run_id"] == name.run:
                            yield row

    def _run(self, name: _Name, paths: Sequence[Path]) -> RunRecord:
        params: dict[str, str] = {}
        system: dict[str, Any] = {}
        keys = Keys()
        packed = PackedFiles()
        texts: dict[str, None] = {}
        columns = ("attribute_path", "attribute_type", "step", "file_value", *_SETTINGS.values())
        last = 0
        for row in self._rows(paths, name, (*columns, "timestamp")):
            path, kind = str(row["attribute_path"]), str(row["attribute_type"])
            last = max(last, time_of(row.get("timestamp")) or 0)
            if kind in _SETTINGS:
                value: Any = row.get(_SETTINGS[kind])
                if value is None:
                    continue  # another run of the same export has it
                if path.startswith(_SYSTEM):
                    system[path.removeprefix(_SYSTEM)] = value
                else:
                    params[keys.fit(path)] = _param(value)
            elif kind in _FILES:
                self._leave_files("files of Neptune", 1)
                if self._options.takes_files:
                    self._add_file(packed, name, path, kind, row)
            elif kind == "string_series":
                texts[path] = None
            elif kind != "float_series":
                self._left[f"{kind} of Neptune", "slipstream keeps none of them"] += 1
        self._leave_files("series of texts of Neptune", len(texts))
        if self._options.takes_files:
            for path in texts:
                packed.add_lines(f"{fit_key(path)}.txt", partial(self._lines, tuple(paths), name, path))
        self._note_keys(keys)
        run = Run(info=_info(name, system, last), data=RunData(params=params, tags=_tags(name, system)))
        files = packed if self._options.takes_files else None
        return RunRecord(run, partial(self._points, tuple(paths), name), files=files)

    def _add_file(self, packed: PackedFiles, name: _Name, path: str, kind: str, row: dict[str, Any]) -> None:
        value: Any = row.get("file_value")
        place = cast("dict[str, Any]", value).get("path") if isinstance(value, dict) else None
        if not isinstance(place, str) or not place:
            return
        try:
            file = self._files / clean_path(place)
            target = fit_key(path)
            if kind == "file_series":
                target = f"{target}/step_{_plain(row.get('step'))}{file.suffix}"
            elif not Path(target).suffix:
                target += file.suffix
            if file.is_dir():
                for below, each in files_below(file):
                    packed.add_file(f"{target}/{below}", each)
            else:
                packed.add_file(target, file)
        except InvalidParameterError as error:
            self._report.fail("file", f"{path} of {name.run}", error)

    def _lines(self, paths: Sequence[Path], name: _Name, path: str) -> Iterator[bytes]:
        for row in self._rows(paths, name, ("attribute_path", "attribute_type", "step", "string_value")):
            if row["attribute_path"] == path and row["attribute_type"] == "string_series":
                yield f"{_plain(row.get('step'))}\t{fit_text(str(row.get('string_value')))}\n".encode()

    def _points(self, paths: Sequence[Path], name: _Name) -> Iterator[Sequence[Metric]]:
        keys = Keys()
        points: list[Metric] = []
        fractions = 0
        for row in self._rows(
            paths, name, ("attribute_path", "attribute_type", "step", "timestamp", "float_value")
        ):
            if row["attribute_type"] != "float_series" or row["float_value"] is None:
                continue
            step = (row["step"] or Decimal(0)) * self._options.step_multiplier
            if step != int(step):
                fractions += 1
                continue
            moment = time_of(row.get("timestamp")) or 0
            points.append(
                Metric(keys.fit(str(row["attribute_path"])), float(row["float_value"]), moment, int(step))
            )
            if len(points) >= _PIECE:
                yield points
                points = []
        if points:
            yield points
        if fractions:
            self._report.fail(
                "run",
                f"{name.run} of {name.project}",
                f"the steps of {fractions:,} points times {self._options.step_multiplier} are no whole numbers. Import into a "
                "new store with --step-multiplier 1000, which takes steps of three decimals.",
            )
        self._note_keys(keys)


def _place(path: Path) -> tuple[str, int]:
    found = _PART.search(path.name)
    assert found is not None, "only parts are asked for"
    return str(path)[: -len(found.group())], int(found.group(1))


def _name_in(path: Path) -> _Name | None:
    """Return whose rows a file has; one file is one run's."""
    with parquet_file(path) as file:
        for batch in file.iter_batches(1, columns=["project_id", "run_id"]):
            for row in batch.to_pylist():
                return _Name(fit_text(str(row["project_id"])), str(row["run_id"]))
    return None


def _plain(step: object) -> str:
    return f"{step.normalize():f}" if isinstance(step, Decimal) else str(step)


def _param(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, list):
        return fit_text(", ".join(sorted(str(each) for each in cast("list[object]", value))))
    return text_of(value)


def _info(name: _Name, system: dict[str, Any], last: int) -> RunInfo:
    begin = time_of(system.get("creation_time")) or 0
    end = time_of(system.get("ping_time")) or 0
    state = str(system.get("state", "inactive")).lower()
    status = (
        "FAILED"
        if system.get("failed") is True
        else "RUNNING"
        if state in ("active", "running")
        else "FINISHED"
    )
    return RunInfo(
        run_id=derived_id("neptune", name.project, name.run),
        experiment_id=name.project,
        run_name=_run_name(name, system),
        user_id=text_of(system.get("owner", "")),
        status=status,
        start_time=begin,
        end_time=None if status == "RUNNING" else max(end, last, begin) or None,
        lifecycle_stage="deleted" if system.get("trashed") is True else "active",
        artifact_uri="",
    )


def _run_name(name: _Name, system: dict[str, Any]) -> str:
    return fit_text(str(system.get("name") or system.get("custom_run_id") or name.run))


def _tags(name: _Name, system: dict[str, Any]) -> dict[str, str]:
    tags = {fit_key(f"neptune.{key}"): _param(value) for key, value in system.items()}
    tags |= {
        "neptune.run_id": fit_text(name.run),
        RUN_NAME_TAG: _run_name(name, system),
        SOURCE_TAG: "neptune",
    }
    if system.get("owner"):
        tags[USER_TAG] = text_of(system["owner"])
    if system.get("description"):
        tags[NOTE_TAG] = text_of(system["description"])
    return tags
