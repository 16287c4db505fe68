"""The trash, in SQL: our manner of deleting and taking back, beside MLflow's in `experiments.py`, `runs.py`, `logged_models.py`.

Both manners write the same columns. Ours frees the name of a deleted experiment when somebody wants it, and refuses to
delete what a registered model was made from.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, LiteralString

from slipstream.clock import now_ms
from slipstream.db.base import Row, Transaction
from slipstream.entities import Experiment, LifecycleStage, Page, TrashItem, TrashKind
from slipstream.errors import AlreadyExistsError, ConflictError, InvalidParameterError, NotFoundError
from slipstream.rules import limits, names
from slipstream.store.config import StoreConfig

MOST_ITEMS = 1_000
NAME_LENGTH = 500
"""Of a name in the trash; MLflow's clients take 500 characters."""

SELECT_VERSIONS: LiteralString = """
    SELECT m.name, v.version, v.run_id, v.model_id, v.source, v.storage_location
    FROM model_versions v JOIN registered_models m ON m.id = v.model
    WHERE v.lifecycle_stage = 'active' ORDER BY m.name, v.version
"""
# As `client/artifacts.py` finds the model that runs:/<run>/<name> means: made by the run in its experiment, or its output.
SELECT_MODELS_OF_RUNS: LiteralString = """
    SELECT r.run_id, l.name, l.model_id FROM runs r
    JOIN logged_models l ON l.experiment = r.experiment AND l.source_run_id = r.run_id
    WHERE r.run_id IN :runs__in
    UNION
    SELECT r.run_id, l.name, l.model_id FROM runs r
    JOIN run_models m ON m.run = r.id AND m.direction = 'output' JOIN logged_models l ON l.model_id = m.model_id
    WHERE r.run_id IN :runs__in
"""
SELECT_NEEDED_RUN: LiteralString = (
    "SELECT run_id FROM runs WHERE experiment = :experiment AND run_id IN :ids__in ORDER BY id LIMIT 1"
)
SELECT_NEEDED_MODEL: LiteralString = (
    "SELECT model_id FROM logged_models WHERE experiment = :experiment AND model_id IN :ids__in"
    " ORDER BY id LIMIT 1"
)
SELECT_DELETED_NAME: LiteralString = "SELECT deleted_name, deleted_time FROM experiments WHERE id = :id"
UPDATE_NAME_IN_TRASH: LiteralString = """
    UPDATE experiments SET name = :name, deleted_name = COALESCE(deleted_name, name) WHERE id = :id
"""
UPDATE_TAKEN_BACK: LiteralString = """
    UPDATE experiments SET lifecycle_stage = 'active', name = :name, deleted_name = NULL, deleted_time = NULL,
        last_update_time = :now
    WHERE id = :id
"""
UPDATE_RUNS_TAKEN_BACK: LiteralString = """
    UPDATE runs SET lifecycle_stage = 'active', deleted_time = NULL
    WHERE experiment = :id AND lifecycle_stage = 'deleted' AND deleted_time = :deleted_time
"""
UPDATE_MODEL_TAKEN_BACK: LiteralString = """
    UPDATE logged_models SET lifecycle_stage = 'active', deleted_time = NULL, last_updated_timestamp = :now
    WHERE model_id = :model_id AND lifecycle_stage = 'deleted'
"""
SELECT_MODEL: LiteralString = "SELECT experiment FROM logged_models WHERE model_id = :model_id"
# Runs that were deleted with their experiment come and go with it, so they are not shown beside it.
SELECT_TRASH: LiteralString = """
    SELECT kind, number, id, name, experiment, deleted_time FROM (
        SELECT 'experiment' AS kind, e.id AS number, '' AS id, COALESCE(e.deleted_name, e.name) AS name,
            e.id AS experiment, e.deleted_time AS deleted_time
        FROM experiments e WHERE e.lifecycle_stage = 'deleted' AND e.deleted_time IS NOT NULL
        UNION ALL
        SELECT 'run', r.id, r.run_id, r.run_name, r.experiment, r.deleted_time
        FROM runs r JOIN experiments e ON e.id = r.experiment
        WHERE r.deleted_time IS NOT NULL AND r.lifecycle_stage = 'deleted'
            AND NOT (e.lifecycle_stage = 'deleted' AND e.deleted_time = r.deleted_time)
        UNION ALL
        SELECT 'model', l.id, l.model_id, l.name, l.experiment, l.deleted_time
        FROM logged_models l WHERE l.deleted_time IS NOT NULL AND l.lifecycle_stage = 'deleted'
    ) found
    WHERE deleted_time < :time OR (deleted_time = :time AND (kind, number) > (:kind, :number))
    ORDER BY deleted_time DESC, kind, number LIMIT :limit_
"""
SELECT_RUN_BYTES: LiteralString = """
    SELECT r.id, SUM(LENGTH(b.content)) FROM runs r
    JOIN point_blocks b ON b.id >= r.id * 4294967296 AND b.id < (r.id + 1) * 4294967296
    WHERE r.id IN :runs__in GROUP BY r.id
"""
SELECT_EXPERIMENT_BYTES: LiteralString = """
    SELECT r.experiment, SUM(LENGTH(b.content)) FROM runs r
    JOIN point_blocks b ON b.id >= r.id * 4294967296 AND b.id < (r.id + 1) * 4294967296
    WHERE r.experiment IN :experiments__in GROUP BY r.experiment
"""


class TrashPart:
    tx: Transaction
    config: StoreConfig
    changed_experiments: set[int]
    changed_alone: set[int]

    if TYPE_CHECKING:  # in store/experiments.py, store/runs.py, store/logged_models.py

        def create_experiment(
            self, name: str, artifact_location: str | None = None, tags: Mapping[str, str] | None = None
        ) -> str: ...
        def get_experiment(self, experiment_id: str) -> Experiment: ...
        def find_experiment_by_name(self, name: str) -> Experiment | None: ...
        def delete_experiment(self, experiment_id: str) -> None: ...
        def delete_run(self, run_id: str) -> None: ...
        def restore_run(self, run_id: str) -> None: ...
        def delete_logged_model(self, model_id: str) -> None: ...
        def require_active_experiment(self, number: int) -> None: ...
        def require_run(self, run_id: str, *, active: bool = False) -> tuple[int, int]: ...

    def create_experiment_anew(
        self, name: str, artifact_location: str | None = None, tags: Mapping[str, str] | None = None
    ) -> str:
        names.check_experiment_name(name)
        taken = self.find_experiment_by_name(name)
        if taken is not None and taken.lifecycle_stage == LifecycleStage.ACTIVE:
            raise AlreadyExistsError(
                f"Experiment '{name}' exists already, with the id {taken.experiment_id}. Choose another name, or use it."
            )
        if taken is not None:
            self._free_name(taken)
        return self.create_experiment(name, artifact_location, tags)

    def _free_name(self, experiment: Experiment) -> None:
        number = int(experiment.experiment_id)
        row = self.tx.fetch_one(SELECT_DELETED_NAME, id=number)
        assert row is not None, "the experiment is there"
        when = datetime.fromtimestamp((row[1] or experiment.last_update_time) / 1000, UTC)
        addition = f" (deleted {when:%Y-%m-%d %H:%M:%S})"
        name = experiment.name[: NAME_LENGTH - len(addition)] + addition
        if self.find_experiment_by_name(name) is not None:
            addition = f" (deleted {when:%Y-%m-%d %H:%M:%S}, id {number})"
            name = experiment.name[: NAME_LENGTH - len(addition)] + addition
        self.tx.execute(UPDATE_NAME_IN_TRASH, name=name, id=number)
        self.changed_alone.add(number)

    def move_to_trash(self, kind: TrashKind, item_id: str, *, force: bool = False) -> None:
        if not force:
            self._require_unneeded(kind, item_id)
        if kind is TrashKind.EXPERIMENT:
            self.delete_experiment(item_id)
        elif kind is TrashKind.RUN:
            self.delete_run(item_id)
        else:
            self.delete_logged_model(item_id)

    def _require_unneeded(self, kind: TrashKind, item_id: str) -> None:
        needed = self.needed_ids()
        if kind is TrashKind.EXPERIMENT:
            found = self.find_needed(names.experiment_number(item_id), needed)
            if found is not None:
                raise ConflictError(
                    f"Experiment {item_id} is not deleted: {needed[found]} was made from its {_said(found)}. Delete that "
                    "version first, or say force."
                )
        elif item_id in needed:
            raise ConflictError(
                f"The {_said(item_id)} is not deleted: {needed[item_id]} was made from it. Delete that version first, or say force."
            )

    def needed_ids(self) -> dict[str, str]:
        """Return what versions of registered models were made from: ids of runs and models, each with a version's name.

        A version names its run and its model, and its files are in the folder of one, whose path holds the id; or it names a
        logged model by its run and name, `runs:/<run>/<name>`.
        """
        needed: dict[str, str] = {}
        by_name: dict[tuple[str, str], str] = {}
        for name, version, run_id, model_id, source, location in self.tx.fetch_all(SELECT_VERSIONS):
            said = f"version {version} of the registered model '{name}'"
            for each in (run_id, model_id, *source.split("/"), *location.split("/")):
                if each:
                    needed.setdefault(each, said)
            for uri in (source, location):
                scheme, *parts = [part for part in uri.split("/") if part] or [""]
                if scheme == "runs:" and len(parts) > 1:
                    by_name.setdefault((parts[0], parts[1]), said)
        if by_name:
            runs = list({run for run, _ in by_name})
            for run, name, model_id in self.tx.fetch_all(SELECT_MODELS_OF_RUNS, runs__in=runs):
                if (run, name) in by_name:
                    needed.setdefault(model_id, by_name[run, name])
        return needed

    def find_needed(self, experiment: int, needed: Mapping[str, str]) -> str | None:
        """Return the id of a run or model of an experiment that a version was made from."""
        if not needed:
            return None
        row = self.tx.fetch_one(SELECT_NEEDED_RUN, experiment=experiment, ids__in=list(needed))
        row = row or self.tx.fetch_one(SELECT_NEEDED_MODEL, experiment=experiment, ids__in=list(needed))
        return None if row is None else row[0]

    def take_from_trash(self, kind: TrashKind, item_id: str, new_name: str | None = None) -> None:
        if new_name is not None and kind is not TrashKind.EXPERIMENT:
            raise InvalidParameterError(
                f"'new_name' is given for the {_said(item_id)}, but only names of experiments are unique. Leave it out."
            )
        if kind is TrashKind.EXPERIMENT:
            self._take_experiment_back(item_id, new_name)
        elif kind is TrashKind.RUN:
            _, experiment = self.require_run(item_id)
            self.require_active_experiment(experiment)
            self.restore_run(item_id)
        else:
            row = self.tx.fetch_one(SELECT_MODEL, model_id=item_id)
            if row is None:
                raise NotFoundError(f"Logged model with ID '{item_id}' not found")
            self.require_active_experiment(row[0])
            self.tx.execute(UPDATE_MODEL_TAKEN_BACK, model_id=item_id, now=now_ms())

    def _take_experiment_back(self, experiment_id: str, new_name: str | None) -> None:
        experiment = self.get_experiment(experiment_id)
        if experiment.lifecycle_stage == LifecycleStage.ACTIVE:
            raise InvalidParameterError(f"Experiment {experiment_id} is not in the trash.")
        number = int(experiment_id)
        row = self.tx.fetch_one(SELECT_DELETED_NAME, id=number)
        assert row is not None, "the experiment is there"
        name = new_name or row[0] or experiment.name
        names.check_experiment_name(name)
        other = self.find_experiment_by_name(name)
        if other is not None and other.experiment_id == experiment.experiment_id:
            other = None
        if other is not None and other.lifecycle_stage != LifecycleStage.ACTIVE:
            self._free_name(other)
        elif other is not None:
            raise AlreadyExistsError(
                f"Experiment {experiment_id} cannot have the name '{name}': experiment {other.experiment_id} has it now. "
                "Give another one: new_name, or slipstream trash restore --new-name."
            )
        self.tx.execute(UPDATE_TAKEN_BACK, id=number, name=name, now=now_ms())
        self.tx.execute(UPDATE_RUNS_TAKEN_BACK, id=number, deleted_time=row[1])
        self.changed_experiments.add(number)

    def search_trash(self, max_results: int = 100, page_token: str | None = None) -> Page[TrashItem]:
        limits.check_max_results(max_results, MOST_ITEMS)
        time, kind, number = _parse_token(page_token)
        rows = self.tx.fetch_all(SELECT_TRASH, time=time, kind=kind, number=number, limit_=max_results + 1)
        shown = rows[:max_results]
        token = None
        if len(rows) > max_results:
            token = f"{shown[-1][5]}.{shown[-1][0]}.{shown[-1][1]}"
        return Page(self.trash_items(shown), token)

    def trash_items(self, rows: list[Row]) -> list[TrashItem]:
        """Return items for rows of (kind, internal id, id, name, experiment, deleted_time)."""
        needed = self.needed_ids() if rows else {}
        sizes = self.metric_bytes(rows)
        keep = self.config.trash_retention_ms
        items: list[TrashItem] = []
        for kind, number, public, name, experiment, deleted_time in rows:
            needing = public if kind != "experiment" else self.find_needed(number, needed)
            items.append(
                TrashItem(
                    kind=TrashKind(kind),
                    id=public or str(number),
                    name=name,
                    experiment_id=str(experiment),
                    deleted_time=deleted_time or 0,
                    metric_bytes=sizes.get((kind, number), 0),
                    removal_time=None if keep is None or deleted_time is None else deleted_time + keep,
                    needed_by=needed.get(needing) if needing else None,
                )
            )
        return items

    def metric_bytes(self, rows: list[Row]) -> dict[tuple[str, int], int]:
        """Return what points of metrics take, for rows of (kind, internal id, ...); those without any are left out."""
        sizes: dict[tuple[str, int], int] = {}
        runs = [row[1] for row in rows if row[0] == "run"]
        if runs:
            found = self.tx.fetch_all(SELECT_RUN_BYTES, runs__in=runs)
            sizes |= {("run", run): int(size) for run, size in found}
        experiments = [row[1] for row in rows if row[0] == "experiment"]
        if experiments:
            found = self.tx.fetch_all(SELECT_EXPERIMENT_BYTES, experiments__in=experiments)
            sizes |= {("experiment", number): int(size) for number, size in found}
        return sizes


def _said(item_id: str) -> str:
    return f"logged model {item_id}" if item_id.startswith("m-") else f"run {item_id}"


def _parse_token(token: str | None) -> tuple[int, str, int]:
    if not token:
        return (1 << 63) - 1, "", 0
    try:
        time, kind, number = token.split(".")
        return int(time), TrashKind(kind).value, int(number)
    except ValueError as error:
        raise InvalidParameterError(
            f"Invalid 'page_token' {token[:100]!r}: give the one of the page before, or none."
        ) from error
