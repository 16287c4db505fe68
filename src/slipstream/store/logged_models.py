"""Logged models, in SQL.

As in MLflow, deleting hides a model from `get` and `search`; its tags, status and points can still be
written, so that a run that is under way does not fail because somebody tidied up.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, LiteralString

from slipstream.clock import now_ms
from slipstream.db.base import Row, Transaction
from slipstream.entities import LoggedModel, LoggedModelStatus, Metric, Page
from slipstream.errors import BadRequestError, InvalidParameterError, NotFoundError
from slipstream.ids import new_model_id, new_run_name
from slipstream.rules import limits, names, registry
from slipstream.search.sql import compile_logged_models

_COLUMNS: LiteralString = (
    "l.id, l.model_id, l.experiment, l.name, l.artifact_location, l.creation_timestamp, "
    "l.last_updated_timestamp, l.model_type, l.source_run_id, l.status"
)
_WIDTH = 10
SELECT_MODEL: LiteralString = f"SELECT {_COLUMNS} FROM logged_models l WHERE l.model_id = :model_id AND l.lifecycle_stage IN :stages__in"
SELECT_MODEL_KEY: LiteralString = "SELECT id FROM logged_models WHERE model_id = :model_id"
SELECT_MODEL_KEYS: LiteralString = "SELECT model_id, id FROM logged_models WHERE model_id IN :model_ids__in"
SELECT_LOCATION: LiteralString = "SELECT artifact_location FROM experiments WHERE id = :id"
SELECT_TAGS: LiteralString = (
    "SELECT model, key, value FROM logged_model_tags WHERE model IN :models__in ORDER BY model, key"
)
SELECT_PARAMS: LiteralString = (
    "SELECT model, key, value FROM logged_model_params WHERE model IN :models__in ORDER BY model, key"
)
SELECT_METRICS: LiteralString = """
    SELECT p.model, p.key, p.value, p.is_nan, p.timestamp, p.step, p.dataset_name, p.dataset_digest, r.run_id
    FROM logged_model_metrics p JOIN runs r ON r.id = p.run
    WHERE p.model IN :models__in
    ORDER BY p.model, p.key, p.timestamp, p.step, p.run
"""
INSERT_MODEL: LiteralString = """
    INSERT INTO logged_models
        (model_id, experiment, name, artifact_location, creation_timestamp, last_updated_timestamp,
         model_type, source_run_id, status, lifecycle_stage)
    VALUES (:model_id, :experiment, :name, :artifact_location, :now, :now,
            :model_type, :source_run_id, :status, 'active')
    RETURNING id
"""
UPDATE_STATUS: LiteralString = """
    UPDATE logged_models SET status = :status, last_updated_timestamp = :now WHERE model_id = :model_id
"""
UPDATE_DELETED: LiteralString = """
    UPDATE logged_models SET lifecycle_stage = 'deleted', last_updated_timestamp = :now,
        deleted_time = COALESCE(deleted_time, :now)
    WHERE model_id = :model_id
"""
UPSERT_TAG: LiteralString = """
    INSERT INTO logged_model_tags (model, key, value) VALUES (:model, :key, :value)
    ON CONFLICT (model, key) DO UPDATE SET value = excluded.value
"""
DELETE_TAG: LiteralString = "DELETE FROM logged_model_tags WHERE model = :model AND key = :key"
INSERT_PARAM: LiteralString = """
    INSERT INTO logged_model_params (model, key, value) VALUES (:model, :key, :value) ON CONFLICT DO NOTHING
"""
SELECT_PARAM_VALUES: LiteralString = (
    "SELECT key, value FROM logged_model_params WHERE model = :model AND key IN :keys__in"
)
INSERT_POINT: LiteralString = """
    INSERT INTO logged_model_metrics
        (model, run, key, step, timestamp, value, is_nan, dataset_name, dataset_digest)
    VALUES (:model, :run, :key, :step, :timestamp, :value, :is_nan, :dataset_name, :dataset_digest)
    ON CONFLICT DO NOTHING
"""

SELECT_SOURCE: LiteralString = """
    SELECT r.id FROM logged_models l JOIN runs r ON r.run_id = l.source_run_id WHERE l.model_id = :model_id
"""

_STATUS_BY_NUMBER = {status.number: status for status in LoggedModelStatus}


class LoggedModelsPart:
    tx: Transaction
    changed_runs: set[int]

    if TYPE_CHECKING:  # in store/experiments.py

        def require_active_experiment(self, number: int) -> None: ...

    def create_logged_model(
        self,
        experiment_id: str,
        name: str | None = None,
        source_run_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        params: Mapping[str, str] | None = None,
        model_type: str | None = None,
        model_id: str | None = None,
    ) -> LoggedModel:
        if name is not None:
            registry.check_logged_model_name(name)
        stored_tags, stored_params = _checked(tags or {}, "tags"), _checked(params or {}, "params")
        number = names.experiment_number(experiment_id)
        self.require_active_experiment(number)
        located = self.tx.fetch_one(SELECT_LOCATION, id=number)
        assert located is not None, "the experiment is there"
        model_id = model_id or new_model_id()
        row = self.tx.fetch_one(
            INSERT_MODEL,
            model_id=model_id,
            experiment=number,
            name=name or new_run_name(),
            artifact_location=f"{located[0].rstrip('/')}/models/{model_id}/artifacts",
            now=now_ms(),
            model_type=model_type,
            source_run_id=source_run_id,
            status=LoggedModelStatus.PENDING.number,
        )
        assert row is not None, "INSERT ... RETURNING gives a row"
        if stored_tags:
            self.tx.execute_many(UPSERT_TAG, [(row[0], *pair) for pair in stored_tags.items()])
        if stored_params:
            self.tx.execute_many(INSERT_PARAM, [(row[0], *pair) for pair in stored_params.items()])
        self._note_source(model_id)
        return self.get_logged_model(model_id)

    def get_logged_model(self, model_id: str, *, allow_deleted: bool = False) -> LoggedModel:
        stages = ["active", "deleted"] if allow_deleted else ["active"]
        row = self.tx.fetch_one(SELECT_MODEL, model_id=model_id, stages__in=stages)
        if row is None:
            raise _no_such_model(model_id)
        return self._logged_models([row])[0]

    def finalize_logged_model(self, model_id: str, status: LoggedModelStatus) -> LoggedModel:
        """Set the status; any may follow any."""
        if not self.tx.count_changed(UPDATE_STATUS, model_id=model_id, status=status.number, now=now_ms()):
            raise _no_such_model(model_id)
        self._note_source(model_id)
        return self.get_logged_model(model_id, allow_deleted=True)

    def delete_logged_model(self, model_id: str) -> None:
        """Mark a model deleted. Doing it twice is harmless."""
        if not self.tx.count_changed(UPDATE_DELETED, model_id=model_id, now=now_ms()):
            raise _no_such_model(model_id)
        self._note_source(model_id)

    def set_logged_model_tags(self, model_id: str, tags: Mapping[str, str]) -> None:
        stored = _checked(tags, "tags")
        model = self.require_logged_model(model_id)
        if stored:
            self.tx.execute_many(UPSERT_TAG, [(model, *pair) for pair in stored.items()])
            self._note_source(model_id)

    def _note_source(self, model_id: str) -> None:
        """Note that the run that made a model has changed: its page shows the model."""
        row = self.tx.fetch_one(SELECT_SOURCE, model_id=model_id)
        if row is not None:
            self.changed_runs.add(row[0])

    def delete_logged_model_tag(self, model_id: str, key: str) -> None:
        if not self.tx.count_changed(DELETE_TAG, model=self.require_logged_model(model_id), key=key):
            raise NotFoundError(f"Logged model {model_id} has no tag '{key}'")

    def log_logged_model_params(self, model_id: str, params: Mapping[str, str]) -> None:
        """Log params; the same value again is fine.

        Raises:
            InvalidParameterError: a param exists with another value.
        """
        pairs = _checked(params, "params")
        model = self.require_logged_model(model_id)
        if not pairs:
            return
        self.tx.execute_many(INSERT_PARAM, [(model, *pair) for pair in pairs.items()])
        for key, stored in self.tx.fetch_all(SELECT_PARAM_VALUES, model=model, keys__in=list(pairs)):
            if stored != pairs[key]:
                raise InvalidParameterError(
                    f"The param '{key}' of logged model {model_id} is '{stored}' and cannot become "
                    f"'{pairs[key]}'. Log it under another key."
                )

    def search_logged_models(
        self,
        experiment_ids: Sequence[str],
        filter_string: str | None = None,
        datasets: Sequence[Mapping[str, str]] = (),
        max_results: int = 50,
        order_by: Sequence[Mapping[str, object]] = (),
        page_token: str | None = None,
    ) -> Page[LoggedModel]:
        if max_results < 1:
            raise InvalidParameterError(
                f"Invalid value {max_results} for parameter 'max_results': it must be at least 1."
            )
        query = compile_logged_models(
            filter_string, order_by, page_token, datasets, experiment_ids=experiment_ids
        )
        experiments = [names.experiment_number(each, "experiment_ids") for each in experiment_ids]
        if not experiments:
            return Page([])
        sql: LiteralString = (
            f"SELECT {_COLUMNS}, {query.keys} FROM logged_models l {query.joins} "
            f"WHERE l.experiment IN :experiments__in AND l.lifecycle_stage = 'active' AND ({query.where}) "
            f"ORDER BY {query.order_by} LIMIT :limit_"
        )
        limit = min(max_results, limits.INT64_MAX - 1) + 1
        rows = self.tx.fetch_all(sql, experiments__in=experiments, limit_=limit, **query.params)
        shown = rows[:max_results]
        token = query.next_token(shown[-1][_WIDTH:]) if len(rows) > max_results else None
        return Page(self._logged_models(shown), token)

    def require_logged_model(self, model_id: str) -> int:
        """Return the internal id of a logged model, deleted or not.

        Raises:
            NotFoundError: there is no such model.
        """
        row = self.tx.fetch_one(SELECT_MODEL_KEY, model_id=model_id)
        if row is None:
            raise _no_such_model(model_id)
        return row[0]

    def _find_logged_models(self, model_ids: Iterable[str]) -> dict[str, int]:
        """Return the internal ids of those models that there are, deleted or not."""
        wanted = sorted(set(model_ids))
        return dict(self.tx.fetch_all(SELECT_MODEL_KEYS, model_ids__in=wanted)) if wanted else {}

    def require_model_for_metric(self, model_id: str) -> None:
        """Make sure that a point can be logged for a model.

        Raises:
            BadRequestError: the model does not exist (MLflow's code for it).
        """
        if self.tx.fetch_one(SELECT_MODEL_KEY, model_id=model_id) is None:
            raise _unknown_model(model_id)

    def log_model_points(self, rows: Sequence[tuple[str, int, Metric]]) -> None:
        """Log points for models: (model id, internal id of the run that measured it, point) each.

        An identical point may be logged again.

        Raises:
            BadRequestError: a model does not exist; nothing was logged.
        """
        models = self._find_logged_models(model_id for model_id, _, _ in rows)
        points: list[Row] = []
        for model_id, run, metric in rows:
            model = models.get(model_id)
            if model is None:
                raise _unknown_model(model_id)
            is_nan = math.isnan(metric.value)
            points.append(
                (
                    model,
                    run,
                    metric.key,
                    metric.step,
                    metric.timestamp,
                    0.0 if is_nan else metric.value,
                    1 if is_nan else 0,
                    metric.dataset_name or "",
                    metric.dataset_digest or "",
                )
            )
        self.tx.execute_many(INSERT_POINT, points)

    def _logged_models(self, rows: Sequence[Row]) -> list[LoggedModel]:
        """Return whole models for rows of `logged_models`, with three queries however many there are."""
        if not rows:
            return []
        ids: list[int] = [row[0] for row in rows]
        tags: dict[int, dict[str, str]] = {model: {} for model in ids}
        params: dict[int, dict[str, str]] = {model: {} for model in ids}
        metrics: dict[int, list[Metric]] = {model: [] for model in ids}
        for model, key, value in self.tx.fetch_all(SELECT_TAGS, models__in=ids):
            tags[model][key] = value
        for model, key, value in self.tx.fetch_all(SELECT_PARAMS, models__in=ids):
            params[model][key] = value
        public = {row[0]: row[1] for row in rows}
        for model, key, value, is_nan, timestamp, step, name, digest, run_id in self.tx.fetch_all(
            SELECT_METRICS, models__in=ids
        ):
            number = math.nan if is_nan else value
            metrics[model].append(
                Metric(key, number, timestamp, step, public[model], name or None, digest or None, run_id)
            )
        return [
            LoggedModel(
                model_id=row[1],
                experiment_id=str(row[2]),
                name=row[3],
                artifact_location=row[4],
                creation_timestamp=row[5],
                last_updated_timestamp=row[6],
                model_type=row[7],
                source_run_id=row[8],
                status=_STATUS_BY_NUMBER[row[9]],
                tags=tags[row[0]],
                params=params[row[0]],
                metrics=metrics[row[0]],
            )
            for row in rows
        ]


def _unknown_model(model_id: str) -> BadRequestError:
    return BadRequestError(
        f"There is no logged model '{model_id}' to log a metric for. Create it first, or leave model_id out."
    )


def _checked(pairs: Mapping[str, str], field: str) -> dict[str, str]:
    """Return tags or params as they will be stored."""
    limit = limits.PARAM_VALUE if field == "params" else limits.REGISTRY_TAG_VALUE
    checked: dict[str, str] = {}
    for key, value in pairs.items():
        if not key:
            raise InvalidParameterError(f"Missing value for required parameter '{field}.key'.")
        limits.check_length(key, limits.KEY, f"{field}.key")
        checked[key] = limits.cut(value, limit, f"{field}.value")
    return checked


def _no_such_model(model_id: str) -> NotFoundError:
    return NotFoundError(f"Logged model with ID '{model_id}' not found")
