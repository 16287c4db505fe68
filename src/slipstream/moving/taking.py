"""Take everything from a source into a store.

Runs go in groups of one transaction each, so that others who write to the same store wait for no more than some twenty
thousand points. What has been committed is found by its id when the import is started again; a run that is larger than
a group is marked until its last point is there (`store/imports.py`), and completed then.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar
from urllib.parse import urlsplit

import msgspec

from slipstream.artifact_store.paths import check_no_escape
from slipstream.artifact_store.uri import is_local, local_folder
from slipstream.entities import Metric, Run, RunStatus
from slipstream.errors import AlreadyExistsError, InvalidParameterError, SlipstreamError
from slipstream.moving.bars import Bar, bar
from slipstream.moving.files import Files
from slipstream.moving.pasts import Changes, take_left_behind, take_past
from slipstream.moving.report import Mapping, Report
from slipstream.moving.sifting import Fail, count_points, sift_logged_model, sift_points, sift_run, sift_tags
from slipstream.moving.source import (
    FileTree,
    LoggedModelRecord,
    Past,
    RegisteredModelRecord,
    RunRecord,
    Source,
)
from slipstream.moving.target import Target
from slipstream.store.import_records import ImportedVersion, PlacedExperiment
from slipstream.store.imports import UNFINISHED_TAG
from slipstream.store.sql import SqlStore

GROUP_POINTS = 20_000
GROUP_RUNS = 200

T = TypeVar("T")


class _Ready(NamedTuple):
    """A run that waits for its group."""

    run: Run
    points: list[Metric]


class Taking:
    """One import.

    Args:
        source: where from.
        target: where to; `None` is a store that does not exist yet, for a dry run.
        report: filled as it goes.
        files: copies artifacts; without it their URIs are kept as they are.
        experiments: names of those to take; all when empty. The registry is taken only with all.
        updates: bring what is there already up to date.
    """

    def __init__(
        self,
        source: Source,
        target: Target,
        report: Report,
        *,
        files: Files | None = None,
        experiments: Sequence[str] = (),
        updates: bool = False,
    ) -> None:
        self._source = source
        self._target = target
        self._report = report
        self._files = files
        self._chosen = frozenset(experiments)
        self._updates = updates
        self._unended = 0
        self._elsewhere = 0
        """Runs that are there already and have their files elsewhere."""
        self._placed: dict[str, PlacedExperiment] = {}
        self._group: list[_Ready] = []
        self._group_points = 0
        self._moved: dict[str, str] = {}
        """Storage URIs there and here, of runs and logged models whose files were copied."""

    def run(self) -> None:
        """Take everything that is not there yet."""
        self._take_experiments()
        ids = list(self._placed)
        totals = self._source.totals()
        with bar("runs", totals.runs if not self._chosen else None, "runs") as shown:
            for records in _pieces(self._source.runs(ids), GROUP_RUNS):
                self._take_runs(records, shown)
            self._commit(shown)
        with bar("logged models", None, "models") as shown:
            for models in _pieces(self._source.logged_models(ids), GROUP_RUNS):
                self._take_logged_models(models)
                shown.add(len(models))
        if not self._chosen:
            for record in self._source.registered_models():
                self._take_registered_model(record)
            self._source.note_left_out()
        if self._report.deleted_versions:
            self._report.notes.append(
                f"Of {self._report.deleted_versions:,} deleted model versions the numbers are kept, so that no new "
                "version gets them."
            )
        if self._unended:
            self._report.notes.append(
                f"{self._unended:,} runs that were there already have not ended here. --update adds what they have logged "
                "since."
            )
        if self._elsewhere:
            self._report.notes.append(
                f"Of {self._elsewhere:,} runs that were there already no files were copied: they stay where the first import "
                "found them."
            )
        self._report.finished = True

    # -- experiments --------------------------------------------------------------------------------

    def _take_experiments(self) -> None:
        found = [each for each in self._source.experiments() if not self._chosen or each.name in self._chosen]
        missing = self._chosen - {each.name for each in found}
        if missing:
            raise InvalidParameterError(
                f"{self._source.title} has no experiment named '{min(missing)}'. Names are matched exactly."
            )
        # Those whose ids are taken come last, so that their new ids are none that another one could have kept.
        ids = [each.experiment_id for each in found]
        used = self._target.read(lambda store: store.find_used_ids(ids), set[str]())
        for each in sorted(found, key=lambda each: each.experiment_id in used):
            name, there = each.name, each.experiment_id
            experiment = msgspec.structs.replace(
                each,
                tags=sift_tags(each.tags, self._failing("experiment", f"'{name}'")),
                artifact_location=self._kept_uri("experiment", f"'{name}'", each.artifact_location),
            )
            try:
                placed = self._target.place_experiment(
                    experiment, keep_location=self._files is None, update=self._updates
                )
            except SlipstreamError as error:
                self._report.fail("experiment", f"'{name}'", f"{error} Its runs are not taken either.")
                continue
            self._placed[there] = placed
            (self._report.taken if placed.is_new else self._report.there_already)["experiments"] += 1
            if placed.is_updated:
                self._report.taken["updated experiments"] += 1
            for difference in placed.differences:
                self._report.differ("experiment", f"'{name}'", difference)
            if placed.experiment_id != there and there.isdigit():
                self._report.experiment_ids.append(Mapping(name, there, placed.experiment_id))

    # -- runs ---------------------------------------------------------------------------------------

    def _take_runs(self, records: Sequence[RunRecord], shown: Bar) -> None:
        here = self._target.read(
            lambda store: store.find_run_states([record.run.info.run_id for record in records]), {}
        )
        lively = self._target.read(lambda store: store.find_runs_with_past(list(here)), set[str]())
        for record in records:
            run_id = record.run.info.run_id
            state = here.get(run_id)
            if state is True:
                self._report.there_already["runs"] += 1
                try:
                    self._meet(record, has_past=run_id in lively)
                except SlipstreamError as error:
                    self._report.fail("run", run_id, error)
                shown.add(1)
                continue
            try:
                self._take_run(record, shown, begun=state is False)
            except SlipstreamError as error:
                self._report.fail("run", run_id, error)

    def _take_run(self, record: RunRecord, shown: Bar, *, begun: bool) -> None:
        info = record.run.info
        placed = self._placed[info.experiment_id]
        fail = self._failing("run", info.run_id)
        run = sift_run(record.run, fail)
        uri = self._kept_uri("run", info.run_id, info.artifact_uri)
        if self._files is not None:
            found = record.files or record.folder
            uri = self._copy(
                uri, info.artifact_uri, found, fail, placed.experiment_id, info.run_id, "artifacts"
            )
        elif not uri:
            uri = self._target.location(placed.experiment_id, info.run_id, "artifacts")
        run = msgspec.structs.replace(
            run, info=msgspec.structs.replace(info, experiment_id=placed.experiment_id, artifact_uri=uri)
        )
        if placed.is_deleted and info.lifecycle_stage == "active":
            self._report.differ("run", info.run_id, "it is active in an experiment that is deleted here")
        points: list[Metric] = []
        pieces = (sift_points(piece, fail) for piece in record.points())
        for piece in pieces:
            points += piece
            if len(points) > GROUP_POINTS or begun:
                self._commit(shown)
                self._take_large_run(run, itertools.chain([points], pieces), record.past, shown, begun=begun)
                return
        if begun or not record.past.is_empty:  # or it has fewer points than when it was begun
            self._take_large_run(run, iter([points]), record.past, shown, begun=begun)
            return
        if self._group_points + len(points) > GROUP_POINTS or len(self._group) >= GROUP_RUNS:
            self._commit(shown)
        self._group.append(_Ready(run, points))
        self._group_points += len(points)

    def _take_large_run(
        self, run: Run, pieces: Iterator[Sequence[Metric]], past: Past, shown: Bar, *, begun: bool
    ) -> None:
        """Store a run in several transactions, hidden until the last one."""
        run_id = run.info.run_id
        fail = self._failing("run", run_id)
        if self._target.is_dry:
            self._count(run, count_points(pieces))
            take_past(self._target, run_id, past, fail, self._report, GROUP_POINTS, shown.add)
            shown.add(1)
            return
        if not begun:
            self._target.write(lambda store: store.import_run(run, unfinished=True))
        take_past(self._target, run_id, past, fail, self._report, GROUP_POINTS, shown.add)
        stored = 0
        for piece in pieces:
            for begin in range(0, len(piece), GROUP_POINTS):
                part = piece[begin : begin + GROUP_POINTS]
                self._target.write(lambda store, part=part: store.import_points(run_id, part))
                stored += len(part)
                shown.add(0, len(part))
        self._target.write(lambda store: store.finish_run(run_id, run.info.lifecycle_stage))
        self._count(run, stored)
        shown.add(1)

    def _commit(self, shown: Bar) -> None:
        """Store the group, each run for itself: what refuses one does not concern the others."""
        group, self._group, self._group_points = self._group, [], 0
        if not group:
            return
        outcomes = (
            [None] * len(group)
            if self._target.is_dry
            else self._target.write(lambda store: _import(store, group))
        )
        for ready, outcome in zip(group, outcomes, strict=True):
            if outcome is None:
                self._count(ready.run, len(ready.points))
            elif isinstance(outcome, AlreadyExistsError):  # somebody else takes the same
                self._report.there_already["runs"] += 1
            else:
                self._report.fail("run", ready.run.info.run_id, outcome)
        shown.add(len(group), sum(len(ready.points) for ready in group))

    def _count(self, run: Run, points: int) -> None:
        taken = self._report.taken
        taken["runs"] += 1
        taken["params"] += len(run.data.params)
        taken["tags"] += len(run.data.tags)
        taken["metric points"] += points
        taken["dataset inputs"] += len(run.inputs.dataset_inputs)

    def _meet(self, record: RunRecord, *, has_past: bool) -> None:
        """Look at a run that is there already: bring it up to date if that was asked for, or tell what differs."""
        there = record.run
        run_id = there.info.run_id
        here = self._target.read(lambda store: store.get_run(run_id), there)
        if here is there:
            return
        if record.only_points:
            there = msgspec.structs.replace(there, info=here.info)
        else:
            self._complete_files(
                "run",
                run_id,
                here.info.artifact_uri,
                there.info.artifact_uri,
                record.files or record.folder,
                there.info.experiment_id,
            )
        kept = sift_run(there, _tell_nobody)
        became = Changes(self._target, here, kept, record.past, has_past=has_past)
        changed = [*_changes(here, kept), *became.words]
        has_ended = here.info.status in RunStatus.__members__ and RunStatus(here.info.status).is_terminal
        is_begun = UNFINISHED_TAG in here.data.tags  # and was killed
        updates = (self._updates and not became.is_other) or is_begun
        if updates and (changed or not has_ended or record.only_points or is_begun):
            self._update(record, kept, here, became)
        elif changed:
            self._report.differ("run", run_id, "; ".join(changed))
        elif not has_ended:
            self._unended += 1

    def _update(self, record: RunRecord, kept: Run, here: Run, became: Changes) -> None:
        """Add what a run has logged since, and give it the state that it has there."""
        info = kept.info
        changed = [*_changes(here, kept), *became.words]
        self._copy_new_files(record, here)
        fail = self._failing("run", info.run_id)
        is_marked = bool(became.words) or UNFINISHED_TAG in here.data.tags
        if is_marked:
            became.apply(self._target, info.run_id)
            take_left_behind(self._target, info.run_id, record.past, fail, GROUP_POINTS)
        latest: dict[str, tuple[int, int, float]] = {}
        for piece in record.points():
            points = sift_points(piece, fail)
            for begin in range(0, len(points), GROUP_POINTS):
                part = points[begin : begin + GROUP_POINTS]
                self._target.write_unless_dry(
                    lambda store, part=part: store.import_points(info.run_id, part), None
                )
            for each in points:
                value = 0.0 if math.isnan(each.value) else each.value
                place = (each.step, each.timestamp, value)
                latest[each.key] = max(latest.get(each.key, place), place)
        before = {
            each.key: (each.step, each.timestamp, 0.0 if math.isnan(each.value) else each.value)
            for each in here.data.latest_metrics
        }
        params = {**here.data.params, **became.params}
        mine = {key: value for key, value in params.items() if key in kept.data.params}
        if mine != {key: kept.data.params[key] for key in mine}:  # params never change; all else follows
            self._report.differ("run", info.run_id, "; ".join(changed))
            params = {**kept.data.params, **mine}
            kept = msgspec.structs.replace(kept, data=msgspec.structs.replace(kept.data, params=params))
            changed = _changes(here, kept)
        if changed:
            self._target.write_unless_dry(lambda store: store.update_imported_run(kept), None)
        if is_marked:
            self._target.write_unless_dry(
                lambda store: store.finish_run(info.run_id, info.lifecycle_stage), None
            )
        if changed or is_marked or latest != before:
            self._report.taken["updated runs"] += 1

    def _copy_new_files(self, record: RunRecord, here: Run) -> None:
        """Copy files that grew, such as what a run printed, if they are where an import puts them."""
        parts = here.info.experiment_id, here.info.run_id, "artifacts"
        if (
            self._files is not None
            and record.files is not None
            and here.info.artifact_uri == self._target.location(*parts)
        ):
            self._copy("", "", record.files, self._failing("run", here.info.run_id), *parts)

    # -- logged models ------------------------------------------------------------------------------

    def _take_logged_models(self, records: Sequence[LoggedModelRecord]) -> None:
        ids = [record.model.model_id for record in records]
        here = self._target.read(lambda store: store.find_logged_model_ids(ids), set[str]())
        self._meet_logged_models([record for record in records if record.model.model_id in here])
        for record in records:
            model_id = record.model.model_id
            if model_id in here:
                self._report.there_already["logged models"] += 1
                there = record.model
                stays = self._target.read(
                    lambda store, model_id=model_id: (
                        store.get_logged_model(model_id, allow_deleted=True).artifact_location
                    ),
                    "",
                )
                self._complete_files(
                    "logged model",
                    model_id,
                    stays,
                    there.artifact_location,
                    record.folder,
                    there.experiment_id,
                )
                continue
            fail = self._failing("logged model", model_id)
            try:
                model = sift_logged_model(record.model, fail)
                placed = self._placed[model.experiment_id]
                uri = self._kept_uri("logged model", model_id, model.artifact_location)
                if self._files is not None:
                    uri = self._copy(
                        uri,
                        model.artifact_location,
                        record.folder,
                        fail,
                        placed.experiment_id,
                        "models",
                        model_id,
                        "artifacts",
                    )
                elif not uri:
                    uri = self._target.location(placed.experiment_id, "models", model_id, "artifacts")
                model = msgspec.structs.replace(
                    model, experiment_id=placed.experiment_id, artifact_location=uri
                )
                lost = self._target.write_unless_dry(
                    lambda store, model=model, record=record: store.import_logged_model(
                        model, record.lifecycle_stage
                    ),
                    [],
                )
            except SlipstreamError as error:
                self._report.fail("logged model", model_id, error)
                continue
            for run_id in lost:
                fail(f"points of run {run_id}", "the run is not here")
            self._report.taken["logged models"] += 1

    def _meet_logged_models(self, records: Sequence[LoggedModelRecord]) -> None:
        """Bring logged models that are there already up to date if that was asked for, or tell what differs."""
        theirs = [sift_logged_model(record.model, _tell_nobody) for record in records]
        changes = self._target.read(
            lambda store: store.find_logged_model_changes(theirs), dict[str, list[str]]()
        )
        for model in theirs:
            if model.model_id not in changes:
                continue
            if not self._updates:
                self._report.differ("logged model", model.model_id, "; ".join(changes[model.model_id]))
                continue
            self._target.write_unless_dry(
                lambda store, model=model: store.update_imported_logged_model(model), None
            )
            self._report.taken["updated logged models"] += 1

    # -- the registry -------------------------------------------------------------------------------

    def _take_registered_model(self, record: RegisteredModelRecord) -> None:
        name = record.model.name
        fail = self._failing("registered model", f"'{name}'")
        model = msgspec.structs.replace(record.model, tags=sift_tags(record.model.tags, fail))
        versions = [
            ImportedVersion(
                version=msgspec.structs.replace(
                    each.version,
                    tags=sift_tags(each.version.tags, fail),
                    source=self._moved_uri(each.version.source),
                ),
                storage_location=self._moved_uri(each.storage_location),
            )
            for each in record.versions
        ]
        try:
            placed = self._target.place_model(model, versions, record.last_version, update=self._updates)
        except SlipstreamError as error:
            self._report.fail("registered model", f"'{name}'", error)
            return
        (self._report.taken if placed.is_new else self._report.there_already)["registered models"] += 1
        self._report.taken["model versions"] += len(placed.new_versions)
        self._report.there_already["model versions"] += len(placed.known_versions)
        if placed.is_updated:
            self._report.taken["updated registered models"] += 1
        if placed.updated_versions:
            self._report.taken["updated model versions"] += len(placed.updated_versions)
        for version, words in placed.version_differences.items():
            self._report.differ("model version", f"'{name}' {version}", "; ".join(words))
        for version, reason in placed.refused:
            self._report.fail("model version", f"'{name}' {version}", reason)
        for difference in placed.differences:
            self._report.differ("registered model", f"'{name}'", difference)

    # -- files --------------------------------------------------------------------------------------

    def _kept_uri(self, kind: str, name: str, uri: str) -> str:
        """Return a storage URI as it can be kept; nothing where it cannot."""
        if not uri:
            return ""
        try:
            check_no_escape(uri, "artifact_uri")
            urlsplit(uri)
        except (InvalidParameterError, ValueError) as error:
            self._report.fail(kind, name, f"its artifact URI is not kept: {error}")
            return ""
        base = self._source.base
        if base is not None and is_local(uri) and not local_folder(uri).is_absolute():
            return str(base / local_folder(uri))
        return uri

    def _copy(
        self,
        uri: str,
        original: str,
        found: Path | FileTree | None,
        fail: Fail,
        *parts: str,
        only_missing: bool = False,
    ) -> str:
        """Copy the files of a run or a model; return where they are from now on.

        `original` is the URI as the source spells it, which versions of models may name.
        """
        assert self._files is not None, "asked for only where files are copied"
        try:
            copied = self._files.copy(uri, found, "/".join(parts), fail, only_missing=only_missing)
        except SlipstreamError as error:
            fail("artifacts", f"{error} They stay where they are.")
            return uri or self._target.location(*parts)
        self._report.taken["files"] += copied.new
        self._report.taken["bytes of files"] += copied.new_bytes
        self._report.there_already["files"] += copied.known
        here = self._target.location(*parts)
        if uri:
            self._moved[uri] = here
            self._moved[original] = here
        return here

    def _complete_files(
        self,
        kind: str,
        item_id: str,
        here: str,
        there: str,
        found: Path | FileTree | None,
        experiment_id: str,
    ) -> None:
        """Copy what an import before this one could not, and note where the files are, which versions of models may name."""
        if self._files is None:
            return
        parts = (item_id, "artifacts") if kind == "run" else ("models", item_id, "artifacts")
        placed = self._placed[experiment_id]
        if here != self._target.location(placed.experiment_id, *parts):
            self._elsewhere += kind == "run"
            return
        uri = self._kept_uri(kind, item_id, there)
        fail = self._failing(kind, item_id)
        self._copy(uri, there, found, fail, placed.experiment_id, *parts, only_missing=True)

    def _moved_uri(self, uri: str) -> str:
        """Return where files are now, if they were copied along with a run or a logged model."""
        for there, here in self._moved.items():
            if uri == there or uri.startswith(there.rstrip("/") + "/"):
                return here + uri[len(there.rstrip("/")) :]
        return uri

    def _failing(self, kind: str, name: str) -> Fail:
        return lambda part, reason: self._report.fail(kind, f"{name}, {part}", reason)


def _changes(here: Run, there: Run) -> list[str]:
    """Return in words what a run has otherwise there, but for its points; what it has only here is no change."""
    changed = [
        f"{field} is '{getattr(here.info, field)}' here and '{getattr(there.info, field)}' there"
        for field in ("status", "end_time", "run_name", "lifecycle_stage")
        if getattr(here.info, field) != getattr(there.info, field)
    ]
    for field, ours, theirs in (
        ("param", here.data.params, there.data.params),
        ("tag", here.data.tags, there.data.tags),
    ):
        keys = sorted(key for key, value in theirs.items() if ours.get(key) != value)
        if keys:
            changed.append(f"{field} '{keys[0]}'" + (f" and {len(keys) - 1} more" if len(keys) > 1 else ""))
    return changed


def _tell_nobody(part: str, reason: object) -> None:
    """Take a complaint that was told when the run was taken."""


def _import(store: SqlStore, group: Sequence[_Ready]) -> list[SlipstreamError | None]:
    outcomes: list[SlipstreamError | None] = []
    for ready in group:
        try:
            with store.tx.savepoint():
                store.import_run(ready.run, ready.points)
        except SlipstreamError as error:
            outcomes.append(error)
        else:
            outcomes.append(None)
    return outcomes


def _pieces(items: Iterator[T], size: int) -> Iterator[list[T]]:
    while piece := list(itertools.islice(items, size)):
        yield piece
