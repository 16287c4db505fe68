"""Write a store into plain files that need no slipstream to be read.

The manifest comes last and at once: a folder without one is no export, whatever else is in it.
"""

import os
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path

import msgspec

from slipstream import __version__
from slipstream.artifact_store.local import LocalArtifactStore
from slipstream.clock import now_ms
from slipstream.errors import InvalidParameterError, SlipstreamError
from slipstream.moving.bars import Bar, bar
from slipstream.moving.files import Files
from slipstream.moving.opening import open_source
from slipstream.moving.plain_files import (
    ARTIFACTS,
    BRANCHES,
    FORMAT,
    MANIFEST,
    METRICS,
    UNFINISHED,
    VERSION,
    VERSION_WITHOUT_PAST,
    BranchLine,
    ExperimentLine,
    ExportedFile,
    LoggedModelLine,
    Manifest,
    ModelPoint,
    PointParts,
    RegisteredModelLine,
    RunLine,
    branch_owner,
    choose_format,
    digest_of,
)
from slipstream.moving.report import Report
from slipstream.moving.source import FileTree, Past, Source
from slipstream.moving.source_options import SourceOptions
from slipstream.moving.sources.folder_reading import files_below


class ExportOptions(msgspec.Struct, frozen=True, kw_only=True):
    source: str
    """All that can be imported from can be exported, too."""
    folder: Path
    experiments: Sequence[str] = ()
    """Names; all when empty, and then the registry, too."""
    artifacts: bool = False
    artifacts_from: Sequence[str] = ()
    """Places besides the source's own that files may be copied from."""
    metrics: str | None = None
    """`parquet`, `csv`, or as installed."""


def run_export(options: ExportOptions, report: Report) -> None:
    """Write everything; the report is filled as it goes.

    Raises:
        InvalidParameterError: the folder holds something else, or the source cannot be read.
    """
    points_format = choose_format(options.metrics)
    folder = options.folder.absolute()
    report.target = str(folder)
    with ExitStack() as stack:
        source = stack.enter_context(
            closing(open_source(options.source, report, SourceOptions(takes_files=options.artifacts)))
        )
        report.source = source.title
        _prepare(folder)
        files = None
        if options.artifacts:
            shown = stack.enter_context(bar("files", None, "B"))
            places = [*source.own_places(), *options.artifacts_from]
            files = Files(source.artifacts, places, LocalArtifactStore(folder / ARTIFACTS), shown)
        _Export(source, folder, points_format, report, files).run(frozenset(options.experiments))


def _prepare(folder: Path) -> None:
    """Make the folder, or take one that an export was begun in."""
    if (folder / MANIFEST).exists():
        raise InvalidParameterError(f"{folder} holds an export already. Name another folder.")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / UNFINISHED).is_file():
        raise InvalidParameterError(f"The folder {folder} is not empty. Name another one.")
    if (folder / UNFINISHED).is_file():
        for entry in folder.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            elif entry.name != UNFINISHED:
                entry.unlink()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / UNFINISHED).write_text("This export has not ended.\n", encoding="utf-8")


class _Export:
    def __init__(
        self, source: Source, folder: Path, points_format: str, report: Report, files: Files | None
    ) -> None:
        self._source = source
        self._folder = folder
        self._format = points_format
        self._report = report
        self._files = files
        self._counts: Counter[str] = Counter()

    def run(self, chosen: frozenset[str]) -> None:
        ids = self._write_experiments(chosen)
        with bar("runs", None if chosen else self._source.totals().runs, "runs") as shown:
            self._write_lines("runs.jsonl", self._runs(ids, shown))
        self._write_lines("logged_models.jsonl", self._logged_models(ids))
        if not chosen:
            self._write_lines("registered_models.jsonl", self._registered_models())
            self._source.note_left_out()
        self._finish()

    def _write_lines(self, name: str, lines: Iterator[msgspec.Struct]) -> None:
        encoder = msgspec.json.Encoder()
        with (self._folder / name).open("wb") as file:
            for line in lines:
                file.write(encoder.encode(line) + b"\n")

    def _write_experiments(self, chosen: frozenset[str]) -> list[str]:
        experiments = [each for each in self._source.experiments() if not chosen or each.name in chosen]
        missing = chosen - {each.name for each in experiments}
        if missing:
            raise InvalidParameterError(
                f"{self._source.title} has no experiment named '{min(missing)}'. Names are matched exactly."
            )
        self._write_lines("experiments.jsonl", iter([ExperimentLine(each) for each in experiments]))
        self._counts["experiments"] = len(experiments)
        return [each.experiment_id for each in experiments]

    def _runs(self, ids: Sequence[str], shown: Bar) -> Iterator[RunLine]:
        with (
            closing(PointParts(self._folder / METRICS, self._format)) as parts,
            closing(PointParts(self._folder / BRANCHES, self._format)) as behind,
        ):
            for record in self._source.runs(ids):
                run_id = record.run.info.run_id
                part, row, count = parts.part, parts.row, 0
                for points in record.points():
                    parts.write(run_id, points)
                    count += len(points)
                found = record.files or record.folder
                self._copy("run", run_id, record.run.info.artifact_uri, found, run_id)
                self._counts["runs"] += 1
                self._counts["metric points"] += count
                shown.add(1, count)
                if record.past.params:
                    self._counts["earlier values of params"] += len(record.past.params)
                branches = self._branches(run_id, record.past, behind)
                yield RunLine(record.run, part, row, count, list(record.past.params), branches)

    def _branches(self, run_id: str, past: Past, parts: PointParts) -> list[BranchLine]:
        lines: list[BranchLine] = []
        for branch, read in past.branches:
            part, row, count = parts.part, parts.row, 0
            for points in read():
                parts.write(branch_owner(run_id, branch.number), points)
                count += len(points)
            lines.append(
                BranchLine(
                    branch.number,
                    branch.from_step,
                    branch.created_time,
                    branch.undone_time,
                    part,
                    row,
                    count,
                )
            )
            self._counts["branches"] += 1
            self._counts["points left behind"] += count
        return lines

    def _logged_models(self, ids: Sequence[str]) -> Iterator[LoggedModelLine]:
        for record in self._source.logged_models(ids):
            model = record.model
            self._copy(
                "logged model",
                model.model_id,
                model.artifact_location,
                record.folder,
                f"models/{model.model_id}",
            )
            self._counts["logged models"] += 1
            points = [
                ModelPoint(
                    each.key,
                    repr(each.value),
                    each.timestamp,
                    each.step,
                    each.run_id,
                    each.dataset_name,
                    each.dataset_digest,
                )
                for each in model.metrics
            ]
            yield LoggedModelLine(msgspec.structs.replace(model, metrics=[]), record.lifecycle_stage, points)

    def _registered_models(self) -> Iterator[RegisteredModelLine]:
        for record in self._source.registered_models():
            self._counts["registered models"] += 1
            self._counts["model versions"] += len(record.versions)
            model = msgspec.structs.replace(record.model, latest_versions=[])
            yield RegisteredModelLine(model, record.versions, record.last_version)

    def _copy(self, kind: str, name: str, uri: str, found: Path | FileTree | None, path: str) -> None:
        if self._files is None:
            return

        def fail(part: str, reason: object) -> None:
            self._report.fail(kind, f"{name}, {part}", reason)

        try:
            copied = self._files.copy(uri, found, path, fail)
        except SlipstreamError as error:
            fail("artifacts", error)
            return
        self._counts["files"] += copied.new

    def _finish(self) -> None:
        """Write the manifest, once all that it tells of is on the disk."""
        files: list[ExportedFile] = []
        with bar("checksums", None, "B") as shown:
            for path, file in files_below(self._folder):
                if path != UNFINISHED:
                    _sync(file)
                    files.append(ExportedFile(path, file.stat().st_size, digest_of(file, shown.add)))
        has_past = "branches" in self._counts or "earlier values of params" in self._counts
        manifest = Manifest(
            format=FORMAT,
            version=VERSION if has_past else VERSION_WITHOUT_PAST,
            made_by=f"slipstream {__version__}",
            made_time=now_ms(),
            source=self._source.title,
            points_format=self._format,
            counts=dict(self._counts),
            files=files,
        )
        partial = self._folder / (MANIFEST + ".partial")
        partial.write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n")
        _sync(partial)
        partial.replace(self._folder / MANIFEST)
        (self._folder / UNFINISHED).unlink()
        self._report.taken.update(self._counts)
        self._report.finished = True


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDWR)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
