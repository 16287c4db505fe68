"""A folder that `slipstream export` wrote."""

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec

from slipstream.artifact_store.base import ArtifactStore
from slipstream.artifact_store.paths import clean_path
from slipstream.artifact_store.uri import open_store
from slipstream.entities import Experiment, Metric, RunBranch
from slipstream.errors import InvalidParameterError
from slipstream.moving.bars import bar
from slipstream.moving.plain_files import (
    ARTIFACTS,
    BRANCHES,
    FORMAT,
    MANIFEST,
    METRICS,
    VERSION,
    ExperimentLine,
    LoggedModelLine,
    Manifest,
    PointReader,
    RegisteredModelLine,
    RunLine,
    branch_owner,
    digest_of,
)
from slipstream.moving.report import Report
from slipstream.moving.source import (
    BranchRecord,
    LoggedModelRecord,
    Past,
    RegisteredModelRecord,
    RunRecord,
    Totals,
)
from slipstream.moving.sources.folder_reading import read_lines, read_text
from slipstream.rules import names

LineT = TypeVar("LineT", bound=msgspec.Struct)
_LINES = 1_000


class Exported:
    """Reads an export, once every file has proved to be what was written.

    Raises:
        InvalidParameterError: a file is missing or another one, or the export is of a newer format.
    """

    def __init__(self, folder: Path, report: Report) -> None:
        self._folder = folder.absolute()
        self._report = report
        self.base: Path | None = None
        self._experiments: set[str] = set()
        """Ids of those that the export has."""
        self._told: set[str] = set()
        """Things of which it was said that they cannot be taken."""
        self.title = f"the export {self._folder}"
        self._manifest = _read_manifest(self._folder / MANIFEST)
        self._check_files()
        self._points = PointReader(self._folder / METRICS, self._manifest.points_format)
        self._left_behind = PointReader(self._folder / BRANCHES, self._manifest.points_format)

    def _check_files(self) -> None:
        total = sum(each.size for each in self._manifest.files)
        with bar("checking", total, "B") as shown:
            for each in self._manifest.files:
                path = self._folder / clean_path(each.path, MANIFEST)
                try:
                    if path.is_symlink() or path.stat().st_size != each.size:
                        raise _changed(path)
                    if digest_of(path, shown.add) != each.sha256:
                        raise _changed(path)
                except OSError as error:
                    raise InvalidParameterError(
                        f"The file {path} of the export cannot be read: {error.strerror}."
                    ) from error

    def _lines(self, name: str, kind: type[LineT]) -> Iterator[LineT]:
        path = self._folder / name
        if not any(each.path == name for each in self._manifest.files):
            return  # only some experiments were exported
        decoder = msgspec.json.Decoder(kind)
        number = 0
        for lines in read_lines(path, _LINES):
            for line in lines:
                number += 1
                try:
                    yield decoder.decode(line)
                except msgspec.DecodeError as error:
                    self._report.fail("line", f"{name}:{number}", error)

    def totals(self) -> Totals:
        counts = self._manifest.counts
        return Totals(counts.get("runs"), counts.get("metric points"))

    def experiments(self) -> Iterator[Experiment]:
        for line in self._lines("experiments.jsonl", ExperimentLine):
            self._experiments.add(line.experiment.experiment_id)
            yield line.experiment

    def _can_be_taken(self, kind: str, name: str, experiment_id: str) -> bool:
        """Tell whether a line can be taken at all, and say once why not."""
        why: str | None = None
        try:
            names.check_run_id(name)
        except InvalidParameterError as error:
            why = str(error)
        if why is None and experiment_id not in self._experiments:
            why = f"The export has no experiment {experiment_id}, which it belongs to."
        if why is None:
            return True
        if name not in self._told:
            self._told.add(name)
            self._report.fail(kind, name, why)
        return False

    def runs(self, experiment_ids: Sequence[str]) -> Iterator[RunRecord]:
        chosen = frozenset(experiment_ids)
        for line in self._lines("runs.jsonl", RunLine):
            info = line.run.info
            if self._can_be_taken("run", info.run_id, info.experiment_id) and info.experiment_id in chosen:
                run_id = info.run_id
                points = partial(self._points.read, run_id, line.part, line.row, line.points)
                yield RunRecord(line.run, points, self._files(run_id), past=self._past(line))

    def _past(self, line: RunLine) -> Past:
        branches: list[BranchRecord] = []
        for each in line.branches:
            branch = RunBranch(
                number=each.number,
                from_step=each.from_step,
                created_time=each.created_time,
                undone_time=each.undone_time,
            )
            owner = branch_owner(line.run.info.run_id, each.number)
            points = partial(self._left_behind.read, owner, each.part, each.row, each.points)
            branches.append(BranchRecord(branch, points))
        return Past(line.earlier_params, branches)

    def logged_models(self, experiment_ids: Sequence[str]) -> Iterator[LoggedModelRecord]:
        chosen = frozenset(experiment_ids)
        for line in self._lines("logged_models.jsonl", LoggedModelLine):
            model = line.model
            usable = self._can_be_taken("logged model", model.model_id, model.experiment_id)
            if not usable or model.experiment_id not in chosen:
                continue
            points = [
                Metric(
                    each.key,
                    float(each.value),
                    each.timestamp,
                    each.step,
                    model.model_id,
                    each.dataset_name,
                    each.dataset_digest,
                    each.run_id,
                )
                for each in line.points
            ]
            yield LoggedModelRecord(
                msgspec.structs.replace(model, metrics=points),
                line.lifecycle_stage,
                self._files(f"models/{model.model_id}"),
            )

    def _files(self, path: str) -> Path | None:
        folder = self._folder / ARTIFACTS / clean_path(path)
        return folder if folder.is_dir() and not folder.is_symlink() else None

    def registered_models(self) -> Iterator[RegisteredModelRecord]:
        for line in self._lines("registered_models.jsonl", RegisteredModelLine):
            yield RegisteredModelRecord(line.model, line.versions, line.last_version)

    def note_left_out(self) -> None:
        """Nothing: an export holds only what has a place here."""

    def own_places(self) -> list[str]:
        return [str(self._folder / ARTIFACTS)]

    def artifacts(self, uri: str) -> ArtifactStore:
        return open_store(uri)

    def close(self) -> None:
        """Nothing: files are open only while they are read."""


def _read_manifest(path: Path) -> Manifest:
    try:
        manifest = msgspec.json.decode(read_text(path), type=Manifest)
    except msgspec.DecodeError as error:
        raise InvalidParameterError(f"{path} is no manifest of an export: {error}") from error
    if manifest.format != FORMAT:
        raise InvalidParameterError(f"{path} is of the format '{manifest.format[:100]}', not '{FORMAT}'.")
    if manifest.version > VERSION:
        raise InvalidParameterError(
            f"{path} has version {manifest.version}; this slipstream reads {VERSION}. Upgrade slipstream: "
            "pip install --upgrade slipstream"
        )
    return manifest


def _changed(path: Path) -> InvalidParameterError:
    return InvalidParameterError(
        f"The file {path} is not what was exported: its size or SHA-256 is another. Copy the export again."
    )
