"""Experiments, in SQL."""

from collections.abc import Mapping, Sequence
from typing import LiteralString

from slipstream.artifact_store.paths import clean_uri
from slipstream.clock import now_ms
from slipstream.db.base import Row, Transaction
from slipstream.entities import Experiment, LifecycleStage, Page, ViewType
from slipstream.errors import AlreadyExistsError, BadRequestError, InvalidStateError, NotFoundError
from slipstream.rules import limits, names
from slipstream.rules.lifecycle import require_active_experiment
from slipstream.search.sql import compile_experiments
from slipstream.store.config import StoreConfig

_COLUMNS: LiteralString = (
    "e.id, e.name, e.artifact_location, e.lifecycle_stage, e.creation_time, e.last_update_time"
)
SELECT_EXPERIMENT: LiteralString = (
    f"SELECT {_COLUMNS} FROM experiments e WHERE e.id = :id AND e.lifecycle_stage <> 'removing'"
)
SELECT_EXPERIMENT_BY_NAME: LiteralString = f"SELECT {_COLUMNS} FROM experiments e WHERE e.name = :name"
SELECT_STAGE: LiteralString = (
    "SELECT lifecycle_stage FROM experiments WHERE id = :id AND lifecycle_stage <> 'removing'"
)
SELECT_TAGS: LiteralString = """
    SELECT experiment, key, value FROM experiment_tags
    WHERE experiment IN :experiments__in ORDER BY experiment, key
"""
INSERT_EXPERIMENT: LiteralString = """
    INSERT INTO experiments (name, artifact_location, lifecycle_stage, creation_time, last_update_time)
    VALUES (:name, :artifact_location, 'active', :now, :now)
    ON CONFLICT (name) DO NOTHING
    RETURNING id
"""
INSERT_DEFAULT_EXPERIMENT: LiteralString = """
    INSERT INTO experiments (id, name, artifact_location, lifecycle_stage, creation_time, last_update_time)
    VALUES (0, 'Default', :artifact_location, 'active', :now, :now)
    ON CONFLICT DO NOTHING
"""
UPDATE_LOCATION: LiteralString = "UPDATE experiments SET artifact_location = :location WHERE id = :id"
UPDATE_NAME: LiteralString = "UPDATE experiments SET name = :name, last_update_time = :now WHERE id = :id"
UPDATE_DELETED: LiteralString = """
    UPDATE experiments SET lifecycle_stage = 'deleted', last_update_time = :now, deleted_time = :now
    WHERE id = :id AND lifecycle_stage = 'active'
"""
# The name that it had before it was freed (store/trash.py) comes back, unless somebody has it.
UPDATE_RESTORED: LiteralString = """
    UPDATE experiments SET lifecycle_stage = 'active', last_update_time = :now, deleted_time = NULL,
        deleted_name = NULL,
        name = CASE WHEN deleted_name IS NULL
            OR EXISTS (SELECT 1 FROM experiments other WHERE other.name = experiments.deleted_name)
            THEN name ELSE deleted_name END
    WHERE id = :id AND lifecycle_stage = 'deleted'
"""
UPDATE_RUNS_DELETED: LiteralString = """
    UPDATE runs SET lifecycle_stage = 'deleted', deleted_time = :now
    WHERE experiment = :id AND lifecycle_stage = 'active'
"""
UPDATE_RUNS_RESTORED: LiteralString = """
    UPDATE runs SET lifecycle_stage = 'active', deleted_time = NULL
    WHERE experiment = :id AND lifecycle_stage = 'deleted'
"""
UPSERT_TAG: LiteralString = """
    INSERT INTO experiment_tags (experiment, key, value) VALUES (:id, :key, :value)
    ON CONFLICT (experiment, key) DO UPDATE SET value = excluded.value
"""
DELETE_TAG: LiteralString = "DELETE FROM experiment_tags WHERE experiment = :id AND key = :key"

# "What is shown" as SQL, for experiments, runs and logged models alike.
STAGES: dict[ViewType, list[str]] = {
    ViewType.ACTIVE_ONLY: ["active"],
    ViewType.DELETED_ONLY: ["deleted"],
    ViewType.ALL: ["active", "deleted"],
}


class ExperimentsPart:
    tx: Transaction
    config: StoreConfig
    changed_experiments: set[int]
    changed_alone: set[int]

    def create_default_experiment(self) -> None:
        """Make experiment 0 unless it is there; every MLflow client expects it."""
        self.tx.execute(INSERT_DEFAULT_EXPERIMENT, artifact_location=self.config.location("0"), now=now_ms())

    def create_experiment(
        self, name: str, artifact_location: str | None = None, tags: Mapping[str, str] | None = None
    ) -> str:
        names.check_experiment_name(name)
        location = clean_uri(artifact_location, "artifact_location") if artifact_location else ""
        for key, value in (tags or {}).items():
            _check_tag(key, value)
        row = self.tx.fetch_one(INSERT_EXPERIMENT, name=name, artifact_location=location, now=now_ms())
        if row is None:
            raise AlreadyExistsError(
                f"Experiment '{name}' already exists (it may be deleted). Choose another name, or restore it."
            )
        number: int = row[0]
        self.changed_alone.add(number)
        if not location:
            self.tx.execute(UPDATE_LOCATION, location=self.config.location(str(number)), id=number)
        for key, value in (tags or {}).items():
            self.tx.execute(UPSERT_TAG, id=number, key=key, value=value)
        return str(number)

    def get_experiment(self, experiment_id: str) -> Experiment:
        row = self.tx.fetch_one(SELECT_EXPERIMENT, id=names.experiment_number(experiment_id))
        if row is None:
            raise NotFoundError(f"No Experiment with id={experiment_id} exists")
        return self._experiments([row])[0]

    def find_experiment_by_name(self, name: str) -> Experiment | None:
        row = self.tx.fetch_one(SELECT_EXPERIMENT_BY_NAME, name=name)
        return None if row is None else self._experiments([row])[0]

    def rename_experiment(self, experiment_id: str, new_name: str) -> None:
        names.check_experiment_name(new_name)
        experiment = self.get_experiment(experiment_id)
        if experiment.lifecycle_stage != LifecycleStage.ACTIVE:
            raise InvalidStateError(
                f"Cannot rename experiment {experiment_id}: it is deleted. Restore it first."
            )
        other = self.find_experiment_by_name(new_name)
        if other is not None and other.experiment_id != experiment.experiment_id:
            raise BadRequestError(
                f"Cannot rename experiment {experiment_id} to '{new_name}': "
                f"experiment {other.experiment_id} has this name."
            )
        self.tx.execute(UPDATE_NAME, name=new_name, now=now_ms(), id=int(experiment_id))
        self.changed_alone.add(int(experiment_id))

    def delete_experiment(self, experiment_id: str) -> None:
        number, now = names.experiment_number(experiment_id), now_ms()
        if not self.tx.count_changed(UPDATE_DELETED, now=now, id=number):
            raise NotFoundError(f"No active Experiment with id={experiment_id} exists")
        self.tx.execute(UPDATE_RUNS_DELETED, now=now, id=number)
        self.changed_experiments.add(number)

    def restore_experiment(self, experiment_id: str) -> None:
        number = names.experiment_number(experiment_id)
        if not self.tx.count_changed(UPDATE_RESTORED, now=now_ms(), id=number):
            raise NotFoundError(f"No deleted Experiment with id={experiment_id} exists")
        self.tx.execute(UPDATE_RUNS_RESTORED, id=number)
        self.changed_experiments.add(number)

    def search_experiments(
        self,
        view_type: ViewType = ViewType.ACTIVE_ONLY,
        max_results: int = 1000,
        filter_string: str | None = None,
        order_by: Sequence[str] = (),
        page_token: str | None = None,
    ) -> Page[Experiment]:
        limits.check_max_results(max_results, limits.SEARCH_EXPERIMENTS)
        query = compile_experiments(filter_string, order_by, page_token)
        sql: LiteralString = (
            f"SELECT {_COLUMNS}, {query.keys} FROM experiments e {query.joins} "
            f"WHERE e.lifecycle_stage IN :stages__in AND ({query.where}) ORDER BY {query.order_by} LIMIT :limit_"
        )
        rows = self.tx.fetch_all(sql, stages__in=STAGES[view_type], limit_=max_results + 1, **query.params)
        shown = rows[:max_results]
        token = query.next_token(shown[-1][6:]) if len(rows) > max_results else None
        return Page(self._experiments(shown), token)

    def set_experiment_tag(self, experiment_id: str, key: str, value: str) -> None:
        _check_tag(key, value)
        number = names.experiment_number(experiment_id)
        self.require_active_experiment(number)
        self.tx.execute(UPSERT_TAG, id=number, key=key, value=value)
        self.changed_alone.add(number)

    def delete_experiment_tag(self, experiment_id: str, key: str) -> None:
        number = names.experiment_number(experiment_id)
        self.require_active_experiment(number)
        if not self.tx.count_changed(DELETE_TAG, id=number, key=key):
            raise NotFoundError(f"Experiment {experiment_id} has no tag '{key}'")
        self.changed_alone.add(number)

    def require_active_experiment(self, number: int) -> None:
        row = self.tx.fetch_one(SELECT_STAGE, id=number)
        if row is None:
            raise NotFoundError(f"No Experiment with id={number} exists")
        require_active_experiment(number, row[0])

    def _experiments(self, rows: Sequence[Row]) -> list[Experiment]:
        if not rows:
            return []
        tags: dict[int, dict[str, str]] = {}
        for number, key, value in self.tx.fetch_all(SELECT_TAGS, experiments__in=[row[0] for row in rows]):
            tags.setdefault(number, {})[key] = value
        return [
            Experiment(
                experiment_id=str(row[0]),
                name=row[1],
                artifact_location=row[2],
                lifecycle_stage=row[3],
                creation_time=row[4],
                last_update_time=row[5],
                tags=tags.get(row[0], {}),
            )
            for row in rows
        ]


def _check_tag(key: str, value: str) -> None:
    names.check_key(key, "key")
    limits.check_length(value, limits.EXPERIMENT_TAG_VALUE, "value")
