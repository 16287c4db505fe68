"""Write what another store kept, with its ids and times, in SQL.

What clients may not choose (ids, times, numbers of versions) is given here, so none of it is a route of the API: it is
for `slipstream import`, which runs beside the database. No event is queued for webhooks, since nothing happens anew.

All of it may be done again: what is there stays as it is. A run that is too large for one transaction carries the tag
`UNFINISHED_TAG` and is hidden among the deleted ones until its last point is stored.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, LiteralString

from slipstream.clock import now_ms
from slipstream.db.base import Row, Transaction
from slipstream.entities import (
    DatasetInput,
    Experiment,
    LoggedModel,
    Metric,
    RegisteredModel,
    Run,
)
from slipstream.errors import AlreadyExistsError
from slipstream.rules import limits, names
from slipstream.store import logged_models, models, versions
from slipstream.store.config import StoreConfig
from slipstream.store.datasets import INSERT_RUN_MODEL
from slipstream.store.experiments import SELECT_EXPERIMENT_BY_NAME
from slipstream.store.experiments import UPSERT_TAG as UPSERT_EXPERIMENT_TAG
from slipstream.store.import_checks import (
    check_logged_model,
    check_registered_model,
    check_run,
    check_texts,
    check_version,
    checked_stage,
)
from slipstream.store.import_records import ImportedVersion, PlacedExperiment, PlacedModel
from slipstream.store.import_updates import (
    OTHER_DESCRIPTION,
    SELECT_MODEL_ALIASES,
    SELECT_MODEL_TAGS,
    ImportUpdatesPart,
    otherwise,
)
from slipstream.store.params_tags import DELETE_TAG, INSERT_PARAM, UPSERT_TAG

UNFINISHED_TAG = "slipstream.import.unfinished"
UPDATING = "updating"
"""Its value in a run that was complete before and is being brought up to date; others are the run's lifecycle stage."""

MOST_KEPT_ID = 10**18 - 10**6
"""Experiments with larger ids get new ones: the ids after them would have more digits than the API takes."""

SELECT_EXPERIMENT_ID: LiteralString = "SELECT id FROM experiments WHERE id = :id"
SELECT_EXPERIMENT_IDS: LiteralString = "SELECT id FROM experiments WHERE id IN :ids__in"
INSERT_EXPERIMENT: LiteralString = """
    INSERT INTO experiments
        (id, name, artifact_location, lifecycle_stage, creation_time, last_update_time, deleted_time)
    VALUES (:id, :name, :artifact_location, :lifecycle_stage, :creation_time, :last_update_time, :deleted_time)
"""
INSERT_EXPERIMENT_ANEW: LiteralString = """
    INSERT INTO experiments
        (name, artifact_location, lifecycle_stage, creation_time, last_update_time, deleted_time)
    VALUES (:name, :artifact_location, :lifecycle_stage, :creation_time, :last_update_time, :deleted_time)
    RETURNING id
"""
UPDATE_LOCATION: LiteralString = "UPDATE experiments SET artifact_location = :location WHERE id = :id"
# PostgreSQL counts by itself and does not look at ids that were given. FileStore's ids of 18 digits are not counted on from.
ADVANCE_IDS_POSTGRES: LiteralString = """
    SELECT setval(pg_get_serial_sequence('experiments', 'id'), GREATEST(
        (SELECT MAX(id) FROM experiments WHERE id < 1000000000000),
        nextval(pg_get_serial_sequence('experiments', 'id'))
    ))
"""
SELECT_EXPERIMENT_TAGS: LiteralString = "SELECT key, value FROM experiment_tags WHERE experiment = :id"
SELECT_RUN_STATES: LiteralString = """
    SELECT r.run_id, t.value FROM runs r LEFT JOIN run_tags t ON t.run = r.id AND t.key = :tag
    WHERE r.run_id IN :run_ids__in
"""
INSERT_RUN: LiteralString = """
    INSERT INTO runs
        (run_id, experiment, run_name, user_id, status, start_time, end_time, lifecycle_stage, artifact_uri, deleted_time)
    VALUES (:run_id, :experiment, :run_name, :user_id, :status, :start_time, :end_time, :lifecycle_stage, :artifact_uri,
            :deleted_time)
    ON CONFLICT (run_id) DO NOTHING
    RETURNING id
"""
UPDATE_RUN_STAGE: LiteralString = (
    "UPDATE runs SET lifecycle_stage = :stage, deleted_time = :deleted_time WHERE id = :id"
)
UPDATE_RUN: LiteralString = """
    UPDATE runs SET status = :status, end_time = :end_time, run_name = :run_name, lifecycle_stage = :lifecycle_stage,
        deleted_time = :deleted_time
    WHERE id = :id
"""
SELECT_RUN_KEYS: LiteralString = "SELECT run_id, id FROM runs WHERE run_id IN :run_ids__in"
SELECT_LOGGED_MODEL_IDS: LiteralString = "SELECT model_id FROM logged_models WHERE model_id IN :model_ids__in"
INSERT_LOGGED_MODEL: LiteralString = """
    INSERT INTO logged_models
        (model_id, experiment, name, artifact_location, creation_timestamp, last_updated_timestamp,
         model_type, source_run_id, status, lifecycle_stage, deleted_time)
    VALUES (:model_id, :experiment, :name, :artifact_location, :creation_timestamp, :last_updated_timestamp,
            :model_type, :source_run_id, :status, :lifecycle_stage, :deleted_time)
    ON CONFLICT (model_id) DO NOTHING
    RETURNING id
"""
INSERT_REGISTERED_MODEL: LiteralString = """
    INSERT INTO registered_models (name, description, creation_timestamp, last_updated_timestamp, last_version)
    VALUES (:name, :description, :creation_timestamp, :last_updated_timestamp, 0)
    ON CONFLICT (name) DO NOTHING
    RETURNING id
"""
RAISE_LAST_VERSION: LiteralString = (
    "UPDATE registered_models SET last_version = :version WHERE id = :id AND last_version < :version"
)
SELECT_VERSIONS: LiteralString = """
    SELECT version, source, creation_timestamp FROM model_versions WHERE model = :model
"""
INSERT_VERSION: LiteralString = """
    INSERT INTO model_versions
        (model, version, creation_timestamp, last_updated_timestamp, current_stage, description, source,
         storage_location, run_id, run_link, model_id, status, lifecycle_stage)
    VALUES (:model, :version, :creation_timestamp, :last_updated_timestamp, :current_stage, :description, :source,
            :storage_location, :run_id, :run_link, :model_id, :status, 'active')
"""
UPDATE_EXPERIMENT_TIME: LiteralString = (
    "UPDATE experiments SET last_update_time = :updated WHERE id = :id AND last_update_time < :updated"
)


class ImportsPart(ImportUpdatesPart):
    tx: Transaction
    config: StoreConfig
    changed_runs: set[int]
    changed_models: set[str]
    changed_alone: set[int]

    if TYPE_CHECKING:  # in the other parts

        def end_blocks(self, run: int) -> None: ...
        def require_run(self, run_id: str, *, active: bool = False) -> tuple[int, int]: ...
        def insert_points(self, run: int, metrics: Sequence[Metric]) -> None: ...
        def log_model_points(self, rows: Sequence[tuple[str, int, Metric]]) -> None: ...
        def _log_dataset(self, run: int, experiment: int, each: DatasetInput) -> None: ...

    # -- experiments --------------------------------------------------------------------------------

    def find_used_ids(self, experiment_ids: Sequence[str]) -> set[str]:
        """Return those of some ids that experiments have here."""
        numbers = [number for each in experiment_ids if (number := _kept_id(each)) is not None]
        if not numbers:
            return set()
        return {str(row[0]) for row in self.tx.fetch_all(SELECT_EXPERIMENT_IDS, ids__in=numbers)}

    def import_experiment(
        self, experiment: Experiment, *, keep_location: bool = True, update: bool = False
    ) -> PlacedExperiment:
        """Find an experiment by its name, or create it, under its own id if that is free.

        Tags that the one here lacks are added. `keep_location=False` gives a new one a place below our artifact root;
        `update` overwrites the tags of one that is here.
        """
        names.check_experiment_name(experiment.name)
        stage = checked_stage(experiment.lifecycle_stage)
        for number, field in (
            (experiment.creation_time, "creation_time"),
            (experiment.last_update_time, "last_update_time"),
        ):
            limits.check_int64(number, field)
        check_texts(experiment.tags, "tags")
        row = self.tx.fetch_one(SELECT_EXPERIMENT_BY_NAME, name=experiment.name)
        if row is not None:
            return self._merge_experiment(experiment, row, update=update)
        values = {
            "name": experiment.name,
            "artifact_location": experiment.artifact_location,
            "lifecycle_stage": stage,
            "creation_time": experiment.creation_time,
            "last_update_time": experiment.last_update_time,
            "deleted_time": _deleted_time(stage),
        }
        number = _kept_id(experiment.experiment_id)
        if number is None or self.tx.fetch_one(SELECT_EXPERIMENT_ID, id=number) is not None:
            inserted = self.tx.fetch_one(INSERT_EXPERIMENT_ANEW, **values)
            assert inserted is not None, "INSERT ... RETURNING gives a row"
            number = int(inserted[0])
        else:
            self.tx.execute(INSERT_EXPERIMENT, id=number, **values)
            if self.tx.dialect == "postgres":
                self.tx.fetch_one(ADVANCE_IDS_POSTGRES)
        self.changed_alone.add(number)
        if not keep_location or not experiment.artifact_location:
            self.tx.execute(UPDATE_LOCATION, id=number, location=self.config.location(str(number)))
        if experiment.tags:
            self.tx.execute_many(UPSERT_EXPERIMENT_TAG, [(number, *pair) for pair in experiment.tags.items()])
        return PlacedExperiment(experiment_id=str(number), is_new=True, is_deleted=stage == "deleted")

    def _merge_experiment(self, experiment: Experiment, row: Row, *, update: bool) -> PlacedExperiment:
        number, stage = row[0], row[3]
        here: dict[str, str] = dict(self.tx.fetch_all(SELECT_EXPERIMENT_TAGS, id=number))
        written, differences = _compare(here, experiment.tags, "tag")
        is_updated = update and bool(written or differences)
        if is_updated:
            written, differences = experiment.tags, []
            self.tx.execute(UPDATE_EXPERIMENT_TIME, id=number, updated=experiment.last_update_time)
        if written:
            self.changed_alone.add(number)
            self.tx.execute_many(UPSERT_EXPERIMENT_TAG, [(number, *pair) for pair in written.items()])
        if stage != experiment.lifecycle_stage:
            differences.append(f"it is {stage} here and {experiment.lifecycle_stage} there")
        return PlacedExperiment(
            experiment_id=str(number),
            is_new=False,
            is_deleted=stage == "deleted",
            is_updated=is_updated,
            differences=differences,
        )

    # -- runs ---------------------------------------------------------------------------------------

    def find_run_states(self, run_ids: Sequence[str]) -> dict[str, bool]:
        """Return for those runs that are here whether all that an import began with is there."""
        if not run_ids:
            return {}
        rows = self.tx.fetch_all(SELECT_RUN_STATES, tag=UNFINISHED_TAG, run_ids__in=list(run_ids))
        return {run_id: mark in (None, UPDATING) for run_id, mark in rows}

    def import_run(self, run: Run, points: Sequence[Metric] = (), *, unfinished: bool = False) -> None:
        """Create a run as it was, in the experiment that `run.info` names here.

        Args:
            run: its latest metrics are not looked at; they follow from the points.
            points: what it logged.
            unfinished: that more points follow, by `import_points`; `finish_run` makes it complete.

        Raises:
            AlreadyExistsError: it is here.
        """
        info = run.info
        check_run(run)
        experiment = names.experiment_number(info.experiment_id)
        row = self.tx.fetch_one(
            INSERT_RUN,
            run_id=info.run_id,
            experiment=experiment,
            run_name=info.run_name,
            user_id=info.user_id,
            status=info.status,
            start_time=info.start_time,
            end_time=info.end_time,
            lifecycle_stage="deleted" if unfinished else info.lifecycle_stage,
            artifact_uri=info.artifact_uri,
            # A run under way is hidden, not deleted: nobody removes it for its age.
            deleted_time=None if unfinished else _deleted_time(info.lifecycle_stage),
        )
        if row is None:
            raise AlreadyExistsError(f"Run with id={info.run_id} is there already")
        number: int = row[0]
        self._add_to_run(number, experiment, run)
        if unfinished:
            self.tx.execute_many(UPSERT_TAG, [(number, UNFINISHED_TAG, info.lifecycle_stage)])
        if points:
            self.insert_points(number, points)

    def import_points(self, run_id: str, points: Sequence[Metric]) -> None:
        """Add points to a run that is being imported."""
        if points:
            self.insert_points(self.require_run(run_id)[0], points)

    def mark_unfinished(self, run_id: str) -> None:
        """Mark a run that is here as one of which an import brings more; it stays visible until `finish_run`."""
        number = self.require_run(run_id)[0]
        self.changed_runs.add(number)
        self.tx.execute_many(UPSERT_TAG, [(number, UNFINISHED_TAG, UPDATING)])

    def finish_run(self, run_id: str, lifecycle_stage: str) -> None:
        """Show a run of which all points are stored now."""
        number = self.require_run(run_id)[0]
        self.changed_runs.add(number)
        self.end_blocks(number)
        stage = checked_stage(lifecycle_stage)
        self.tx.execute(UPDATE_RUN_STAGE, id=number, stage=stage, deleted_time=_deleted_time(stage))
        self.tx.execute(DELETE_TAG, run=number, key=UNFINISHED_TAG)

    def update_imported_run(self, run: Run) -> None:
        """Give a run the state that it has elsewhere by now, and add params, tags and links; points are added apart.

        Tags are overwritten and never taken away, params stay as they are.
        """
        check_run(run)
        info = run.info
        number, experiment = self.require_run(info.run_id)
        self.tx.execute(
            UPDATE_RUN,
            id=number,
            status=info.status,
            end_time=info.end_time,
            run_name=info.run_name,
            lifecycle_stage=info.lifecycle_stage,
            deleted_time=_deleted_time(info.lifecycle_stage),
        )
        self._add_to_run(number, experiment, run)

    def _add_to_run(self, number: int, experiment: int, run: Run) -> None:
        self.changed_runs.add(number)
        if run.data.params:
            self.tx.execute_many(INSERT_PARAM, [(number, *pair) for pair in run.data.params.items()])
        if run.data.tags:
            self.tx.execute_many(UPSERT_TAG, [(number, *pair) for pair in run.data.tags.items()])
        for each in run.inputs.dataset_inputs:
            self._log_dataset(number, experiment, each)
        linked = [(number, "input", each.model_id, 0) for each in run.inputs.model_inputs]
        linked += [(number, "output", each.model_id, each.step) for each in run.outputs.model_outputs]
        if linked:
            self.tx.execute_many(INSERT_RUN_MODEL, linked)

    # -- logged models ------------------------------------------------------------------------------

    def find_logged_model_ids(self, model_ids: Sequence[str]) -> set[str]:
        """Return those of some logged models that are here, deleted or not."""
        if not model_ids:
            return set()
        return {row[0] for row in self.tx.fetch_all(SELECT_LOGGED_MODEL_IDS, model_ids__in=list(model_ids))}

    def import_logged_model(self, model: LoggedModel, lifecycle_stage: str) -> list[str]:
        """Create a logged model as it was, in the experiment that it names here.

        Returns:
            The runs that measured it and are not here; their points of the model are left out.

        Raises:
            AlreadyExistsError: it is here.
        """
        check_logged_model(model)
        row = self.tx.fetch_one(
            INSERT_LOGGED_MODEL,
            model_id=model.model_id,
            experiment=names.experiment_number(model.experiment_id),
            name=model.name,
            artifact_location=model.artifact_location,
            creation_timestamp=model.creation_timestamp,
            last_updated_timestamp=model.last_updated_timestamp,
            model_type=model.model_type,
            source_run_id=model.source_run_id,
            status=model.status.number,
            lifecycle_stage=checked_stage(lifecycle_stage),
            deleted_time=_deleted_time(lifecycle_stage),
        )
        if row is None:
            raise AlreadyExistsError(f"Logged model with ID '{model.model_id}' is there already")
        number: int = row[0]
        if model.tags:
            self.tx.execute_many(logged_models.UPSERT_TAG, [(number, *pair) for pair in model.tags.items()])
        if model.params:
            self.tx.execute_many(
                logged_models.INSERT_PARAM, [(number, *pair) for pair in model.params.items()]
            )
        measured = sorted({point.run_id for point in model.metrics if point.run_id is not None})
        runs: dict[str, int] = (
            dict(self.tx.fetch_all(SELECT_RUN_KEYS, run_ids__in=measured)) if measured else {}
        )
        points = [
            (model.model_id, runs[point.run_id], point)
            for point in model.metrics
            if point.run_id is not None and point.run_id in runs
        ]
        if points:
            self.log_model_points(points)
        return [run_id for run_id in measured if run_id not in runs]

    # -- the registry -------------------------------------------------------------------------------

    def import_registered_model(
        self,
        model: RegisteredModel,
        imported: Sequence[ImportedVersion],
        last_version: int,
        *,
        update: bool = False,
    ) -> PlacedModel:
        """Find a registered model by its name or create it, and add the versions, tags and aliases that it lacks.

        Args:
            model: its `latest_versions` are not looked at.
            imported: its versions; each keeps its number, or is refused where another one has it.
            last_version: the largest number that was ever given, so that it is not given again.
            update: overwrite what one that is here has otherwise.
        """
        check_registered_model(model, last_version)
        for each in imported:
            check_version(each)
        theirs = [each.version for each in imported]
        changes = self.find_model_changes(model, theirs)
        row = self.tx.fetch_one(
            INSERT_REGISTERED_MODEL,
            name=model.name,
            description=model.description,
            creation_timestamp=model.creation_timestamp,
            last_updated_timestamp=model.last_updated_timestamp,
        )
        is_new = row is not None
        row = row or self.tx.fetch_one(models.SELECT_MODEL_ID, name=model.name)
        assert row is not None, "the model was there or has just been inserted"
        number: int = row[0]
        here = {version: (source, created) for version, source, created in self._version_rows(number)}
        new: list[str] = []
        known: list[str] = []
        refused: list[tuple[str, str]] = []
        for each in imported:
            version = int(each.version.version)
            if version not in here:
                self._insert_version(number, each)
                new.append(each.version.version)
            elif here[version][1] == each.version.creation_timestamp:
                known.append(each.version.version)
            else:
                refused.append(
                    (each.version.version, f"here it is another one, with the source '{here[version][0]}'")
                )
        is_updated = update and changes is not None and changes.of_model
        if update and changes is not None:
            self.update_imported_model(model, theirs, changes)
        self.tx.execute(RAISE_LAST_VERSION, id=number, version=last_version)
        described = [OTHER_DESCRIPTION] if changes is not None and changes.is_described_otherwise else []
        tags, differences = _compare(
            dict(self.tx.fetch_all(SELECT_MODEL_TAGS, model=number)), model.tags, "tag"
        )
        if tags:
            self.tx.execute_many(models.UPSERT_TAG, [(number, *pair) for pair in tags.items()])
        aliases, differing = _compare(
            {alias: str(version) for alias, version in self.tx.fetch_all(SELECT_MODEL_ALIASES, model=number)},
            model.aliases,
            "alias",
        )
        is_other = update and changes is not None and (changes.of_model or changes.versions)
        if is_new or new or tags or aliases or is_other:
            self.changed_models.add(model.name)
        usable = {*here, *(int(version) for version in new)}
        for alias, version in aliases.items():
            if int(version) not in usable or version in dict(refused):
                differing.append(f"alias '{alias}' is left out: version {version} is not here")
                continue
            self.tx.execute(models.UPSERT_ALIAS, id=number, alias=alias, version=int(version))
        return PlacedModel(
            is_new=is_new,
            new_versions=new,
            known_versions=known,
            refused=refused,
            is_updated=is_updated,
            updated_versions=list(changes.versions) if update and changes is not None else [],
            version_differences=changes.versions if not update and changes is not None else {},
            differences=([] if update else described) + differences + differing,
        )

    def find_version_numbers(self, name: str) -> set[str] | None:
        """Return the versions of a registered model that are here; `None` where there is no such model."""
        row = self.tx.fetch_one(models.SELECT_MODEL_ID, name=name)
        return None if row is None else {str(version[0]) for version in self._version_rows(row[0])}

    def _version_rows(self, model: int) -> list[Row]:
        return self.tx.fetch_all(SELECT_VERSIONS, model=model)

    def _insert_version(self, model: int, each: ImportedVersion) -> None:
        version = each.version
        number = int(version.version)
        self.tx.execute(
            INSERT_VERSION,
            model=model,
            version=number,
            creation_timestamp=version.creation_timestamp,
            last_updated_timestamp=version.last_updated_timestamp,
            current_stage=version.current_stage,
            description=version.description,
            source=version.source,
            storage_location=each.storage_location,
            run_id=version.run_id,
            run_link=version.run_link,
            model_id=version.model_id,
            status=version.status,
        )
        if version.tags:
            self.tx.execute_many(
                versions.UPSERT_TAG, [(model, number, *pair) for pair in version.tags.items()]
            )


def _kept_id(experiment_id: str) -> int | None:
    """Return the number that an experiment can keep as its id, if it can."""
    if not (experiment_id.isascii() and experiment_id.isdigit()) or len(experiment_id) > 18:
        return None
    number = int(experiment_id)
    return number if number < MOST_KEPT_ID else None


def _compare(
    here: Mapping[str, str], there: Mapping[str, str], what: str
) -> tuple[dict[str, str], list[str]]:
    """Return what is only there, and in words what is otherwise here."""
    missing = {key: value for key, value in there.items() if key not in here}
    return missing, otherwise(here, there, what)


def _deleted_time(stage: str) -> int | None:
    """Return when something counts as deleted: its time in the trash begins with the import."""
    return now_ms() if stage == "deleted" else None
