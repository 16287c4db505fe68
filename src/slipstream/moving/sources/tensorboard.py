"""Folders of TensorBoard: each folder with event files is a run, under its path.

A run's id is made of its first event file's name and time, so it is the same wherever the folder is moved to, and
whichever folder above it is imported. Files are read twice: once for all that belongs to the run itself, checking every
sum, and once more for the points, no further than the first time, since the file may grow meanwhile.
"""

import io
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, cast

from slipstream.artifact_store.base import Reader
from slipstream.clock import now_ms
from slipstream.entities import Experiment, Metric, Run, RunData, RunInfo
from slipstream.errors import InvalidParameterError
from slipstream.moving.foreign_values import derived_id, fit_text, seconds_to_ms
from slipstream.moving.keys import Keys, fit_key
from slipstream.moving.packed_files import PackedFiles
from slipstream.moving.report import Report
from slipstream.moving.source import RunRecord, Totals
from slipstream.moving.source_options import SourceOptions
from slipstream.moving.sources.folder_reading import files_below, links_below
from slipstream.moving.sources.runs_only import (
    RUN_NAME_TAG,
    SOURCE_TAG,
    STILL_WRITTEN_MS,
    RunsOnly,
    experiment,
)
from slipstream.moving.sources.tensorboard_events import (
    Event,
    Session,
    Summary,
    audio_content,
    ending_of,
    image_content,
    read_event,
    read_record_at,
    read_records,
    read_session,
    read_simple_event,
    read_summary,
    tensor_numbers,
    tensor_texts,
)
from slipstream.rules import limits

_MARK = "tfevents"
_PIECE = 10_000
_NO_PLACE = "slipstream keeps none of them"
_STATUSES = {1: "FINISHED", 2: "FAILED", 3: "RUNNING"}


def is_event_file(name: str) -> bool:
    """Tell by its name whether a file is one of events; profilers leave empty ones beside them."""
    return _MARK in name and not name.endswith(".profile-empty")


def has_event_files(folder: Path) -> bool:
    return any(is_event_file(path.rpartition("/")[2]) for path, _ in files_below(folder))


class _Checked(NamedTuple):
    path: Path
    end: int
    """Up to where it was read."""
    broken: set[int]
    """Where records begin that are left out."""


class Tensorboard(RunsOnly):
    """Reads a folder of runs, or one event file."""

    def __init__(self, root: Path, report: Report, options: SourceOptions) -> None:
        root = root.absolute()
        super().__init__(f"TensorBoard's {'folder' if root.is_dir() else 'file'} {root}", report, options)
        self._root = root if root.is_dir() else root.parent
        self._name = fit_text(options.experiment_name or self._root.name or "tensorboard")
        self._folders: dict[str, list[Path]] = {}
        for path, file in files_below(root) if root.is_dir() else [(root.name, root)]:
            folder, _, name = path.rpartition("/")
            if is_event_file(name):
                self._folders.setdefault(folder, []).append(file)
        self._ids: set[str] = set()

    def totals(self) -> Totals:
        return Totals(runs=len(self._folders))

    def experiments(self) -> Iterator[Experiment]:
        for link in links_below(self._root):
            self._report.fail("link", str(link.relative_to(self._root)), "symbolic links are not followed")
        yield experiment(self._name, now_ms())

    def runs(self, experiment_ids: Sequence[str]) -> Iterator[RunRecord]:
        self._ids.clear()
        if self._name in experiment_ids:
            for folder, files in sorted(self._folders.items()):
                record = self._run(folder, files)
                if record is not None:
                    yield record

    def _run(self, folder: str, files: Sequence[Path]) -> RunRecord | None:
        scan = _Scan(self._report, takes_files=self._options.takes_files)
        for path in files:
            try:
                scan.read(path)
            except InvalidParameterError as error:
                self._report.fail("event file", str(path), error)
        if scan.first is None:
            self._left["folders whose event files hold no event yet", "import again later"] += 1
            return None
        run_id = derived_id("tensorboard", scan.first[0], repr(scan.first[1]))
        if run_id in self._ids:  # a copy of a folder
            run_id = derived_id("tensorboard", scan.first[0], repr(scan.first[1]), folder)
        self._ids.add(run_id)
        for (kind, reason), count in scan.left.items():
            self._left[kind, reason] += count
        self._leave_files("pictures, sounds and texts of TensorBoard", scan.files_seen)
        name = folder or self._root.name
        status, end_time = scan.ending()
        info = RunInfo(
            run_id=run_id,
            experiment_id=self._name,
            run_name=fit_text(name),
            user_id="",
            status=status,
            start_time=scan.start_time(),
            end_time=end_time,
            artifact_uri="",
        )
        tags = {**scan.tags, RUN_NAME_TAG: fit_text(name), SOURCE_TAG: "tensorboard"}
        points = partial(self._points, tuple(scan.checked), scan.plugins)
        packed = scan.files if self._options.takes_files else None
        return RunRecord(Run(info=info, data=RunData(params=scan.params, tags=tags)), points, files=packed)

    def _points(self, files: Sequence[_Checked], plugins: dict[str, str]) -> Iterator[Sequence[Metric]]:
        points: list[Metric] = []
        keys = Keys()
        fitted: dict[bytes, str] = {}
        for path, end, broken in files:
            refused = 0
            for record in read_records(path, self._report, broken, end):
                simple = read_simple_event(record.data)
                if simple is not None:
                    wall_time, step, tag, number = simple
                    timestamp = seconds_to_ms(wall_time)
                    if timestamp is not None:
                        key = fitted.get(tag)
                        if key is None:
                            key = fitted[tag] = keys.fit(tag.decode("utf-8", "replace"))
                        points.append(Metric(key, number, timestamp, step))
                        if len(points) >= _PIECE:
                            yield points
                            points = []
                    continue
                try:
                    event = read_event(record.data)
                    others = [read_summary(value) for value in event.values]
                except InvalidParameterError:
                    continue  # told when the file was checked
                timestamp = seconds_to_ms(event.wall_time)
                if timestamp is None:
                    continue
                for summary in others:
                    try:
                        found = _scalar(summary, plugins)
                    except InvalidParameterError:
                        refused += 1
                        continue
                    if found is not None:
                        points.append(Metric(keys.fit(summary.tag), found, timestamp, event.step))
                if len(points) >= _PIECE:
                    yield points
                    points = []
            if refused:
                self._report.fail("event file", str(path), f"{refused:,} values of scalars are no numbers.")
        if points:
            yield points
        self._note_keys(keys)


class _Scan:
    """All of a run but its points."""

    def __init__(self, report: Report, *, takes_files: bool) -> None:
        self._report = report
        self._takes_files = takes_files
        self.first: tuple[str, float] | None = None
        """Name of the first file that holds an event, and the event's time."""
        self.checked: list[_Checked] = []
        self.params: dict[str, str] = {}
        self.tags: dict[str, str] = {}
        self.plugins: dict[str, str] = {}
        """What each tag belongs to; only the first value of a tag tells."""
        self.left: dict[tuple[str, str], int] = {}
        self.files = PackedFiles()
        self.files_seen = 0
        self._begin = 0.0
        self._last = 0.0
        self._sessions: list[Session] = []
        self._param_keys = Keys()
        self._changed_ms = 0

    def read(self, path: Path) -> None:
        end = 0
        unreadable = 0
        self._changed_ms = max(self._changed_ms, path.lstat().st_mtime_ns // 1_000_000)
        broken: set[int] = set()
        for record in read_records(path, self._report, broken):
            end = record.end
            simple = read_simple_event(record.data)
            try:
                event = Event(simple[0], simple[1], []) if simple is not None else read_event(record.data)
                if seconds_to_ms(event.wall_time) is None:
                    unreadable += 1
                    continue
                if self.first is None:
                    self.first = path.name, event.wall_time
                if simple is not None or event.values:
                    self._begin = min(self._begin or event.wall_time, event.wall_time)
                    self._last = max(self._last, event.wall_time)
                for index, value in enumerate(event.values):
                    self._take(path, end - len(record.data) - 16, index, event, read_summary(value))
            except InvalidParameterError:
                unreadable += 1
        if unreadable:
            self._report.fail(
                "event file", str(path), f"{unreadable:,} records hold no event that can be read."
            )
        self.checked.append(_Checked(path, end, broken))

    def _take(self, path: Path, at: int, index: int, event: Event, summary: Summary) -> None:
        plugin = self.plugins.setdefault(summary.tag, summary.plugin) or summary.plugin
        if summary.content and plugin == "hparams":
            self._take_session(read_session(summary.content))
        elif summary.simple is not None or plugin == "scalars":
            pass
        elif summary.image is not None or (plugin == "images" and summary.tensor is not None):
            self._add_file("images", path, at, index, event, summary)
        elif summary.audio is not None or (plugin == "audio" and summary.tensor is not None):
            self._add_file("audio", path, at, index, event, summary)
        elif plugin == "text" and summary.tensor is not None:
            texts = [each.decode("utf-8", "replace") for each in tensor_texts(summary.tensor)]
            text = fit_text("\n".join(texts))
            if len(text) <= limits.RUN_TAG_VALUE:
                self.tags[fit_key(f"text/{summary.tag.removesuffix('/text_summary')}")] = text
            self._add_file("text", path, at, index, event, summary)
        else:
            kind = (
                "histograms"
                if summary.histogram or plugin in ("histograms", "distributions")
                else plugin or "tensors"
            )
            self._leave(f"{kind} of TensorBoard", _NO_PLACE)

    def _leave(self, kind: str, reason: str) -> None:
        self.left[kind, reason] = self.left.get((kind, reason), 0) + 1

    def _take_session(self, session: Session) -> None:
        self._sessions.append(session)
        for key, value in session.params.items():
            self.params[self._param_keys.fit(key)] = value
        if session.group:
            self.tags["tensorboard.hparams_group"] = fit_text(session.group)

    def _add_file(self, kind: str, path: Path, at: int, index: int, event: Event, summary: Summary) -> None:
        contents = _contents(kind, summary)
        self.files_seen += len(contents)
        if not self._takes_files:
            return
        for number, content in enumerate(contents):
            ending = "txt" if kind == "text" else ending_of(content)
            several = f"-{number + 1}" if len(contents) > 1 else ""
            self.files.add(
                f"{kind}/{fit_key(summary.tag)}/{event.step}{several}.{ending}",
                len(content),
                partial(_open_content, kind, path, at, index, number),
            )

    def start_time(self) -> int:
        told = [each.start_time for each in self._sessions if each.start_time]
        assert self.first is not None, "asked only of runs that have begun"
        return seconds_to_ms(min(told) if told else self._begin or self.first[1]) or 0

    def ending(self) -> tuple[str, int | None]:
        """Return status and end time."""
        told = next((each for each in reversed(self._sessions) if each.status), None)
        end = told.end_time if told is not None and told.end_time else self._last
        status = _STATUSES.get(told.status or 0, "FINISHED") if told is not None else "FINISHED"
        if told is None and now_ms() - self._changed_ms < STILL_WRITTEN_MS:
            status = "RUNNING"
        return status, None if status == "RUNNING" else seconds_to_ms(end) or self.start_time()


def _contents(kind: str, summary: Summary) -> list[bytes]:
    """Return the files that a value holds."""
    if summary.image is not None:
        return [image_content(summary.image)]
    if summary.audio is not None:
        return [audio_content(summary.audio)]
    texts = tensor_texts(summary.tensor or b"")
    if kind == "images":
        return texts[2:]  # after width and height
    if kind == "audio":
        return texts[::2]  # each is followed by its label
    return [b"\n".join(texts)]


def _open_content(kind: str, path: Path, at: int, index: int, number: int) -> Reader:
    value = read_event(read_record_at(path, at)).values[index]
    return cast("Reader", io.BytesIO(_contents(kind, read_summary(value))[number]))


def _scalar(summary: Summary, plugins: dict[str, str]) -> float | None:
    if summary.simple is not None:
        return summary.simple
    if plugins.get(summary.tag) == "scalars" and summary.tensor is not None:
        return tensor_numbers(summary.tensor)[0]
    return None
