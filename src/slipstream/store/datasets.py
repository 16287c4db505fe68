"""What runs read and made: datasets and logged models, in SQL."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, LiteralString, cast

from slipstream.db.base import Transaction
from slipstream.entities import (
    Dataset,
    DatasetInput,
    DatasetSummary,
    InputTag,
    LoggedModelInput,
    LoggedModelOutput,
    RunInputs,
    RunOutputs,
)
from slipstream.errors import InvalidParameterError
from slipstream.rules import limits, names

HISTORY_TAG = "mlflow.log-model.history"
CONTEXT_TAG = "mlflow.data.context"
SUMMARIES = 1000
SEARCHED_EXPERIMENTS = 20

SELECT_DATASET: LiteralString = (
    "SELECT id FROM datasets WHERE experiment = :experiment AND name = :name AND digest = :digest"
)
INSERT_DATASET: LiteralString = """
    INSERT INTO datasets (experiment, name, digest, source_type, source, schema, profile)
    VALUES (:experiment, :name, :digest, :source_type, :source, :schema, :profile)
    ON CONFLICT (experiment, name, digest) DO NOTHING
"""
INSERT_RUN_DATASET: LiteralString = """
    INSERT INTO run_datasets (run, dataset) VALUES (:run, :dataset) ON CONFLICT DO NOTHING RETURNING dataset
"""
INSERT_INPUT_TAG: LiteralString = """
    INSERT INTO run_dataset_tags (run, dataset, key, value) VALUES (:run, :dataset, :key, :value)
    ON CONFLICT (run, dataset, key) DO UPDATE SET value = excluded.value
"""
INSERT_RUN_MODEL: LiteralString = """
    INSERT INTO run_models (run, direction, model_id, step) VALUES (:run, :direction, :model_id, :step)
    ON CONFLICT DO NOTHING
"""
SELECT_RUN_DATASETS: LiteralString = """
    SELECT y.run, d.id, d.name, d.digest, d.source_type, d.source, d.schema, d.profile
    FROM run_datasets y JOIN datasets d ON d.id = y.dataset
    WHERE y.run IN :runs__in ORDER BY y.run, d.id
"""
SELECT_INPUT_TAGS: LiteralString = """
    SELECT run, dataset, key, value FROM run_dataset_tags WHERE run IN :runs__in ORDER BY run, dataset, key
"""
SELECT_RUN_MODELS: LiteralString = """
    SELECT run, direction, model_id, step FROM run_models
    WHERE run IN :runs__in ORDER BY run, step, model_id
"""
SELECT_SUMMARIES: LiteralString = """
    SELECT DISTINCT d.experiment, d.name, d.digest, x.value
    FROM datasets d JOIN run_datasets y ON y.dataset = d.id
    LEFT JOIN run_dataset_tags x ON x.run = y.run AND x.dataset = y.dataset AND x.key = :context
    WHERE d.experiment IN :experiments__in
    ORDER BY d.experiment, d.name, d.digest, x.value LIMIT :limit_
"""
SELECT_HISTORY: LiteralString = "SELECT value FROM run_tags WHERE run = :run AND key = :key"
UPSERT_HISTORY: LiteralString = """
    INSERT INTO run_tags (run, key, value) VALUES (:run, :key, :value)
    ON CONFLICT (run, key) DO UPDATE SET value = excluded.value
"""


class DatasetsPart:
    tx: Transaction

    if TYPE_CHECKING:  # in store/runs.py

        def require_run(self, run_id: str, *, active: bool = False) -> tuple[int, int]: ...

    def log_inputs(
        self, run_id: str, datasets: Sequence[DatasetInput] = (), models: Sequence[str] = ()
    ) -> None:
        """Record what a run read. Retry-safe: the first tags of a dataset stay, as in MLflow."""
        names.check_run_id(run_id)
        for each in datasets:
            _check_dataset(each)
        for model in models:
            limits.check_length(model, limits.MODEL_ID, "model_id")
        run, experiment = self.require_run(run_id, active=True)
        for each in datasets:
            self._log_dataset(run, experiment, each)
        if models:
            self.tx.execute_many(INSERT_RUN_MODEL, [(run, "input", model, 0) for model in models])

    def log_outputs(self, run_id: str, models: Sequence[LoggedModelOutput]) -> None:
        """Record which models a run made. Retry-safe: the first step of a model stays."""
        for model in models:
            limits.check_length(model.model_id, limits.MODEL_ID, "model_id")
        run, _ = self.require_run(run_id, active=True)
        if models:
            self.tx.execute_many(
                INSERT_RUN_MODEL, [(run, "output", model.model_id, model.step) for model in models]
            )

    def record_model(self, run_id: str, model_json: str) -> None:
        entry = _history_entry(model_json)
        run, _ = self.require_run(run_id, active=True)
        row = self.tx.fetch_one(SELECT_HISTORY, run=run, key=HISTORY_TAG)
        history = json.dumps([*_history(row[0] if row else "[]"), entry])
        limits.check_length(history, limits.RUN_TAG_VALUE, HISTORY_TAG)
        self.tx.execute(UPSERT_HISTORY, run=run, key=HISTORY_TAG, value=history)

    def search_datasets(self, experiment_ids: Sequence[str]) -> list[DatasetSummary]:
        """Return each dataset of some experiments once for every context it was used in."""
        if not 1 <= len(experiment_ids) <= SEARCHED_EXPERIMENTS:
            raise InvalidParameterError(
                f"'experiment_ids' holds {len(experiment_ids)} ids; give 1 to {SEARCHED_EXPERIMENTS}."
            )
        rows = self.tx.fetch_all(
            SELECT_SUMMARIES,
            context=CONTEXT_TAG,
            experiments__in=[names.experiment_number(each, "experiment_ids") for each in experiment_ids],
            limit_=SUMMARIES,
        )
        return [
            DatasetSummary(experiment_id=str(experiment), name=name, digest=digest, context=context)
            for experiment, name, digest, context in rows
        ]

    def run_inputs_outputs(
        self, run_ids: Sequence[int]
    ) -> tuple[dict[int, RunInputs], dict[int, RunOutputs]]:
        """Return what runs (by internal id) read and made; runs without any are left out."""
        if not run_ids:
            return {}, {}
        runs = list(run_ids)
        datasets: dict[int, list[DatasetInput]] = {}
        read: dict[int, list[LoggedModelInput]] = {}
        made: dict[int, list[LoggedModelOutput]] = {}
        rows = self.tx.fetch_all(SELECT_RUN_DATASETS, runs__in=runs)
        tags: dict[tuple[int, int], list[InputTag]] = {}
        if rows:
            for run, dataset, key, value in self.tx.fetch_all(SELECT_INPUT_TAGS, runs__in=runs):
                tags.setdefault((run, dataset), []).append(InputTag(key, value))
        for run, dataset, name, digest, source_type, source, schema, profile in rows:
            datasets.setdefault(run, []).append(
                DatasetInput(
                    dataset=Dataset(
                        name=name,
                        digest=digest,
                        source_type=source_type,
                        source=source,
                        schema=schema,
                        profile=profile,
                    ),
                    tags=tags.get((run, dataset), []),
                )
            )
        for run, direction, model_id, step in self.tx.fetch_all(SELECT_RUN_MODELS, runs__in=runs):
            if direction == "input":
                read.setdefault(run, []).append(LoggedModelInput(model_id))
            else:
                made.setdefault(run, []).append(LoggedModelOutput(model_id, step))
        inputs = {
            run: RunInputs(dataset_inputs=datasets.get(run, []), model_inputs=read.get(run, []))
            for run in datasets.keys() | read.keys()
        }
        return inputs, {run: RunOutputs(model_outputs=models) for run, models in made.items()}

    def _log_dataset(self, run: int, experiment: int, each: DatasetInput) -> None:
        dataset = each.dataset
        self.tx.execute(
            INSERT_DATASET,
            experiment=experiment,
            name=dataset.name,
            digest=dataset.digest,
            source_type=dataset.source_type,
            source=dataset.source,
            schema=dataset.schema,
            profile=dataset.profile,
        )
        row = self.tx.fetch_one(
            SELECT_DATASET, experiment=experiment, name=dataset.name, digest=dataset.digest
        )
        assert row is not None, "the dataset was there or has just been inserted"
        if self.tx.fetch_one(INSERT_RUN_DATASET, run=run, dataset=row[0]) is None:
            return  # the run has it already
        if each.tags:
            self.tx.execute_many(INSERT_INPUT_TAG, [(run, row[0], tag.key, tag.value) for tag in each.tags])


def _check_dataset(each: DatasetInput) -> None:
    dataset = each.dataset
    limits.check_length(dataset.name, limits.DATASET_NAME, "name")
    limits.check_length(dataset.digest, limits.DATASET_DIGEST, "digest")
    limits.check_length(dataset.source, limits.DATASET_SOURCE, "source")
    limits.check_length(dataset.schema or "", limits.DATASET_SCHEMA, "schema")
    limits.check_length(dataset.profile or "", limits.DATASET_PROFILE, "profile")
    for tag in each.tags:
        limits.check_length(tag.key, limits.INPUT_TAG_KEY, "key")
        limits.check_length(tag.value, limits.INPUT_TAG_VALUE, "value")


_REQUIRED = ("artifact_path", "flavors", "utc_time_created", "run_id")


def _history_entry(model_json: str) -> dict[str, object]:
    """Return the part of an MLmodel that the history keeps, in MLflow's order."""
    try:
        model: Any = json.loads(model_json)
    except (ValueError, RecursionError) as error:
        raise InvalidParameterError(f"'model_json' is not valid JSON: {error}") from error
    if not isinstance(model, dict):
        raise InvalidParameterError("'model_json' must be a JSON object: an MLmodel.")
    fields = cast("dict[str, object]", model)
    missing = [name for name in _REQUIRED if name not in fields]
    if missing:
        raise InvalidParameterError(f"'model_json' lacks the mandatory fields {', '.join(missing)}.")
    flavors = fields["flavors"]
    if not isinstance(flavors, dict):
        raise InvalidParameterError("'flavors' in 'model_json' must be an object: settings by flavor.")
    return {
        "run_id": fields["run_id"],
        "artifact_path": fields["artifact_path"],
        "utc_time_created": fields["utc_time_created"],
        "model_uuid": fields.get("model_uuid"),
        "flavors": {
            name: _without_config(settings) for name, settings in cast("dict[str, object]", flavors).items()
        },
    }


def _without_config(settings: object) -> object:
    if not isinstance(settings, Mapping):
        return settings
    return {key: value for key, value in cast("Mapping[str, object]", settings).items() if key != "config"}


def _history(text: str) -> list[object]:
    try:
        history: Any = json.loads(text)
    except ValueError:
        history = None
    if not isinstance(history, list):
        raise InvalidParameterError(
            f"The tag {HISTORY_TAG} of the run holds no JSON list, so no model can be added. Delete the tag first."
        )
    return cast("list[object]", history)
