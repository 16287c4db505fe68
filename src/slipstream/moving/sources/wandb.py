"""Folders of W&B: `run-*.wandb` files of runs that were made offline or online.

A run that was resumed has one file for each attempt, all with the same run id in it. They are told as one run, in the
order of their folders, whose names begin with the time. Each file is read twice: for what belongs to the run, and again,
no further, for the points.
"""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, cast

from slipstream.clock import now_ms
from slipstream.entities import Experiment, Metric, Run, RunData, RunInfo
from slipstream.errors import InvalidParameterError
from slipstream.moving import protobuf
from slipstream.moving.foreign_values import (
    derived_id,
    fit_text,
    leaves,
    number_of,
    seconds_to_ms,
    text_of,
)
from slipstream.moving.keys import Keys, fit_key
from slipstream.moving.packed_files import PackedFiles
from slipstream.moving.report import Report
from slipstream.moving.source import RunRecord, Totals
from slipstream.moving.source_options import SourceOptions
from slipstream.moving.sources import wandb_records as records
from slipstream.moving.sources.folder_reading import files_below, links_below
from slipstream.moving.sources.runs_only import (
    NOTE_TAG,
    RUN_NAME_TAG,
    SOURCE_TAG,
    STILL_WRITTEN_MS,
    USER_TAG,
    RunsOnly,
    experiment,
)

ENDING = ".wandb"
_PIECE = 10_000
_NO_PROJECT = "uncategorized"
"""What W&B calls it."""
_CONSOLE = "output.log"
_NO_NUMBER = "slipstream keeps numbers; the last text of each is a tag"


def has_wandb_files(folder: Path) -> bool:
    return any(path.endswith(ENDING) for path, _ in files_below(folder))


class _Attempt(NamedTuple):
    path: Path
    end: int


class _Found(NamedTuple):
    """What the first record about a run tells."""

    project: str
    run_id: str


class Wandb(RunsOnly):
    """Reads a folder of W&B's runs, one run's folder, or one file."""

    def __init__(self, root: Path, report: Report, options: SourceOptions) -> None:
        root = root.absolute()
        super().__init__(f"W&B's {'folder' if root.is_dir() else 'file'} {root}", report, options)
        self._root = root
        self._runs: dict[_Found, list[Path]] | None = None

    def totals(self) -> Totals:
        return Totals(runs=len(self._found()))

    def _found(self) -> dict[_Found, list[Path]]:
        """Return the files of each run."""
        if self._runs is None:
            self._runs = {}
            files = files_below(self._root) if self._root.is_dir() else [(self._root.name, self._root)]
            for _, path in sorted((_order(file), file) for name, file in files if name.endswith(ENDING)):
                try:
                    found = _first_run(path)
                except InvalidParameterError as error:
                    self._report.fail("file", str(path), error)
                    continue
                if found is None:
                    self._left["files of W&B that tell of no run yet", "import again later"] += 1
                    continue
                self._runs.setdefault(found, []).append(path)
        return self._runs

    def experiments(self) -> Iterator[Experiment]:
        if self._root.is_dir():
            for link in links_below(self._root):
                if not link.name.startswith(("latest-run", "debug")):  # which W&B makes
                    self._report.fail(
                        "link", str(link.relative_to(self._root)), "symbolic links are not followed"
                    )
        for project in sorted({each.project for each in self._found()}):
            yield experiment(project, now_ms())

    def runs(self, experiment_ids: Sequence[str]) -> Iterator[RunRecord]:
        for found, paths in self._found().items():
            if found.project in experiment_ids:
                yield self._run(found, paths)

    def _run(self, found: _Found, paths: Sequence[Path]) -> RunRecord:
        scan = _Scan(self._report)
        for path in paths:
            try:
                scan.read(path)
            except InvalidParameterError as error:
                self._report.fail("file", str(path), error)
        for (kind, reason), count in scan.left.items():
            self._left[kind, reason] += count
        files = self._files(paths, scan) if self._options.takes_files else None
        if files is None:
            self._leave_files("runs of W&B with files or console output", 1)
        name = fit_text(scan.name or found.run_id)
        status, end_time = scan.ending()
        tags = {
            **scan.tags,
            **scan.summary_tags(),
            "wandb.run_id": fit_text(found.run_id),
            RUN_NAME_TAG: name,
            SOURCE_TAG: "wandb",
        }
        info = RunInfo(
            run_id=derived_id("wandb", found.project, found.run_id),
            experiment_id=found.project,
            run_name=name,
            user_id=scan.tags.get(USER_TAG, ""),
            status=status,
            start_time=scan.start_time(),
            end_time=end_time,
            artifact_uri="",
        )
        points = partial(self._points, tuple(scan.attempts), scan.last_points())
        return RunRecord(Run(info=info, data=RunData(params=scan.params(), tags=tags)), points, files=files)

    def _files(self, paths: Sequence[Path], scan: "_Scan") -> PackedFiles:
        files = PackedFiles()
        for path in paths:
            try:
                files.add_folder(path.parent / "files")
            except InvalidParameterError as error:
                self._report.fail("folder", str(path.parent / "files"), error)
        if _CONSOLE not in files and scan.has_console:
            files.add_lines(_CONSOLE, partial(_console, tuple(scan.attempts)))
        return files

    def _points(self, attempts: Sequence[_Attempt], rest: Sequence[Metric]) -> Iterator[Sequence[Metric]]:
        points: list[Metric] = []
        keys = Keys()
        samples = 0
        fallback = 0
        for path, end in attempts:
            for _, record in records.read_records(path, None, end):
                try:
                    kind, message = records.kind_of(record)
                    if kind == records.HISTORY:
                        fallback = _add_history(message, points, keys, fallback)
                    elif kind == records.STATS:
                        _add_statistics(message, points, keys, samples)
                        samples += 1
                except InvalidParameterError:
                    continue  # told when the file was looked through
                if len(points) >= _PIECE:
                    yield points
                    points = []
        points += rest
        if points:
            yield points
        self._note_keys(keys)


def _order(path: Path) -> tuple[str, str]:
    """Return what sorts attempts by time: folders are called `offline-run-<time>-<id>` and `run-<time>-<id>`."""
    return path.parent.name.removeprefix("offline-"), str(path)


def _first_run(path: Path) -> _Found | None:
    for _, record in records.read_records(path, None):
        try:
            kind, message = records.kind_of(record)
            if kind != records.RUN:
                continue
            run_id = project = ""
            for number, value in protobuf.fields(message):
                if number == 1:
                    run_id = protobuf.text(value)
                elif number == 3:
                    project = protobuf.text(value)
        except InvalidParameterError:
            continue
        if run_id:
            return _Found(fit_text(project) or _NO_PROJECT, run_id)
    return None


class _History(NamedTuple):
    step: int | None
    timestamp: int | None
    values: list[tuple[str, Any]]


def _read_history(message: bytes) -> _History:
    step: int | None = None
    timestamp: int | None = None
    values: list[tuple[str, Any]] = []
    nested: dict[str, Any] = {}
    for number, each in protobuf.fields(message):
        if number == 2:
            step = next(
                (protobuf.signed(value) for name, value in protobuf.fields(protobuf.raw(each)) if name == 1),
                0,
            )
        elif number == 1:
            path, value = records.read_item(protobuf.raw(each))
            key = path[0]
            if len(path) > 1 or isinstance(value, dict):
                _put(nested, path, value)
            elif key == "_step":
                step = value if isinstance(value, int) else step
            elif key == "_timestamp":
                seconds = number_of(value)
                timestamp = seconds_to_ms(seconds) if seconds is not None else None
            elif key != "_runtime":
                values.append((key, value))
    if nested:
        nested.pop("_wandb", None)
        values += _whole("", nested)
    return _History(step, timestamp, values)


def _whole(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield nested values with their paths; a picture, a table or the like, which has a type, is one value."""
    if isinstance(value, dict) and value and "_type" not in value:
        for name, below in cast("dict[str, Any]", value).items():
            yield from _whole(f"{key}.{name}" if key else name, below)
    else:
        yield key, value


def _put(tree: dict[str, Any], path: Sequence[str], value: Any) -> None:
    place = tree
    for part in path[:-1]:
        below = place.get(part)
        if not isinstance(below, dict):
            below = place[part] = {}
        place = cast("dict[str, Any]", below)
    place[path[-1]] = value


def _add_history(message: bytes, points: list[Metric], keys: Keys, fallback: int) -> int:
    """Append what a step logged; return its time, for steps that tell none."""
    step, timestamp, values = _read_history(message)
    moment = fallback if timestamp is None else timestamp
    for key, value in values:
        number = number_of(value)
        if number is not None:
            points.append(Metric(keys.fit(key), number, moment, step or 0))
    return moment


def _add_statistics(message: bytes, points: list[Metric], keys: Keys, sample: int) -> None:
    moment = 0
    for each in records.items(message, 2):
        moment = seconds_to_ms(records.read_time(each)) or 0
    for each in records.items(message, 3):
        path, value = records.read_item(each)
        number = number_of(value)
        if number is not None:
            points.append(Metric(keys.fit(f"system/{'.'.join(path)}"), number, moment, sample))


def _console(attempts: Sequence[_Attempt]) -> Iterator[bytes]:
    for path, end in attempts:
        for _, record in records.read_records(path, None, end):
            try:
                kind, message = records.kind_of(record)
                if kind == records.OUTPUT:
                    yield from records.items(message, 3)
            except InvalidParameterError:
                continue


class _Scan:
    """All of a run but its points."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self.attempts: list[_Attempt] = []
        self.name = ""
        self.tags: dict[str, str] = {}
        self.left: dict[tuple[str, str], int] = {}
        self.has_console = False
        self._config: dict[str, Any] = {}
        self._summary: dict[str, Any] = {}
        self._latest: dict[str, Any] = {}
        """What the history ends with."""
        self._texts: dict[str, str] = {}
        self._start: float | None = None
        self._first: int | None = None
        self._last = 0
        self._last_step = 0
        self._exit: int | None = None
        self._changed_ms = 0

    def read(self, path: Path) -> None:
        self._exit = None
        self._changed_ms = path.lstat().st_mtime_ns // 1_000_000
        unreadable = end = 0
        for place, record in records.read_records(path, self._report):
            end = place
            try:
                self._take(*records.kind_of(record))
            except InvalidParameterError:
                unreadable += 1
        if unreadable:
            self._report.fail("file", str(path), f"{unreadable:,} records cannot be read; they are left out.")
        self.attempts.append(_Attempt(path, end))

    def _take(self, kind: int, message: bytes) -> None:
        if kind == records.HISTORY:
            self._take_history(message)
        elif kind == records.SUMMARY:
            _change(self._summary, message)
        elif kind == records.CONFIG:
            _change(self._config, message)
        elif kind == records.RUN:
            self._take_run(message)
        elif kind == records.ENVIRONMENT:
            self._take_environment(message)
        elif kind == records.EXIT:
            self._exit = next(
                (protobuf.signed(value) for number, value in protobuf.fields(message) if number == 1), 0
            )
        elif kind == records.OUTPUT:
            self.has_console = True
            self._see(next((records.read_time(each) for each in records.items(message, 2)), 0.0))
        elif kind == records.STATS:
            self._see(next((records.read_time(each) for each in records.items(message, 2)), 0.0))
        elif kind == records.ARTIFACT:
            self._leave("artifacts of W&B", "their files are not in the folder of the run")
        elif kind == records.ALERT:
            self._leave("alerts of W&B", "slipstream keeps none of them")

    def _leave(self, kind: str, reason: str) -> None:
        self.left[kind, reason] = self.left.get((kind, reason), 0) + 1

    def _see(self, seconds: float) -> None:
        moment = seconds_to_ms(seconds)
        if moment:
            self._last = max(self._last, moment)
            self._first = moment if self._first is None else min(self._first, moment)

    def _take_history(self, message: bytes) -> None:
        step, timestamp, values = _read_history(message)
        if timestamp is not None:
            self._see(timestamp / 1000)
        self._last_step = step or 0
        for key, value in values:
            self._latest[key] = value
            if number_of(value) is not None:
                continue
            if isinstance(value, dict):
                kind = cast("dict[str, Any]", value).get("_type")
                self._leave(
                    f"values of W&B's type {ascii(kind)[:50]}",
                    "their files come along; slipstream has no such metric",
                )
            elif isinstance(value, str):
                self._texts[key] = value
                self._leave("texts in histories of W&B", _NO_NUMBER)
            elif value is not None:
                self._leave("lists in histories of W&B", "slipstream keeps numbers")

    def _take_run(self, message: bytes) -> None:
        labels: list[str] = []
        for number, value in protobuf.fields(message):
            if number == 4:
                _change(self._config, protobuf.raw(value))
            elif number == 5:
                _change(self._summary, protobuf.raw(value))
            elif number == 8:
                self.name = protobuf.text(value) or self.name
            elif number == 10:
                labels.append(protobuf.text(value))
            elif number == 17:
                start = records.read_time(protobuf.raw(value))
                self._start = start if self._start is None else min(start, self._start)
            elif number == 21:
                self._take_git(protobuf.raw(value))
            elif number in _RUN_TAGS:
                text = fit_text(protobuf.text(value))
                if text:
                    self.tags[_RUN_TAGS[number]] = text
        if labels:
            self.tags["wandb.tags"] = fit_text(", ".join(labels))

    def _take_git(self, message: bytes) -> None:
        for number, value in protobuf.fields(message):
            if number == 1:
                self.tags["mlflow.source.git.repoURL"] = fit_text(protobuf.text(value))
            elif number == 2:
                self.tags["mlflow.source.git.commit"] = fit_text(protobuf.text(value))

    def _take_environment(self, message: bytes) -> None:
        for number, value in protobuf.fields(message):
            if number == 9:
                self._take_git(protobuf.raw(value))
            elif number in _ENVIRONMENT_TAGS:
                self.tags[_ENVIRONMENT_TAGS[number]] = fit_text(protobuf.text(value))

    def params(self) -> dict[str, str]:
        keys = Keys()
        config = {key: value for key, value in self._config.items() if key != "_wandb"}
        return {keys.fit(key): text_of(value) for key, value in leaves("", config) if key}

    def _final(self) -> Iterator[tuple[str, Any]]:
        """Yield what the summary says otherwise than the end of the history."""
        told = {
            key: value for key, value in self._summary.items() if key not in ("_wandb", "_step", "_runtime")
        }
        told.pop("_timestamp", None)
        for key, value in _whole("", told):
            if key and not isinstance(value, dict) and repr(self._latest.get(key)) != repr(value):
                yield key, value

    def summary_tags(self) -> dict[str, str]:
        """Return the last texts of the history, and of the summary what has no place among the metrics."""
        tags = {fit_key(f"wandb.summary.{key}"): fit_text(value) for key, value in self._texts.items()}
        for key, value in self._final():
            number = number_of(value)
            if number is None or (key in self._latest and number_of(self._latest[key]) != number):
                tags[fit_key(f"wandb.summary.{key}")] = text_of(value)
        return tags

    def last_points(self) -> list[Metric]:
        """Return the numbers that are in the summary alone."""
        keys = Keys()
        return [
            Metric(keys.fit(key), number, self._last, self._last_step)
            for key, value in self._final()
            if key not in self._latest and (number := number_of(value)) is not None
        ]

    def start_time(self) -> int:
        return (seconds_to_ms(self._start) if self._start is not None else self._first) or 0

    def ending(self) -> tuple[str, int | None]:
        """Return status and end time; without an end the run goes on, or was killed."""
        if self._exit is None and now_ms() - self._changed_ms < STILL_WRITTEN_MS:
            return "RUNNING", None
        status = "KILLED" if self._exit is None else "FAILED" if self._exit else "FINISHED"
        return status, self._last or self.start_time()


_RUN_TAGS = {
    2: "wandb.entity",
    6: "wandb.group",
    7: "wandb.job_type",
    9: NOTE_TAG,
    12: "wandb.sweep_id",
    13: "wandb.host",
}
_ENVIRONMENT_TAGS = {
    2: "wandb.python",
    6: "mlflow.source.name",
    10: "wandb.email",
    12: "wandb.host",
    13: USER_TAG,
}


def _change(tree: dict[str, Any], message: bytes) -> None:
    """Put updates of a config or a summary where they belong, and take away what was removed."""
    for each in records.items(message, 1):
        path, value = records.read_item(each)
        _put(tree, path, value)
    for each in records.items(message, 2):
        path, _ = records.read_item(each)
        place = tree
        for part in path[:-1]:
            below = place.get(part)
            if not isinstance(below, dict):
                break
            place = cast("dict[str, Any]", below)
        else:
            place.pop(path[-1], None)
