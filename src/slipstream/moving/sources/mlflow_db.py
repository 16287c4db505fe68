"""A database of MLflow 2 or 3: SQLite or PostgreSQL, of any schema.

Which tables and columns are there decides what is read, not a version number: what a version of MLflow did not know
yet is taken for empty, and what it knows and slipstream does not is counted.
"""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import LiteralString

from slipstream.artifact_store.base import ArtifactStore
from slipstream.artifact_store.uri import open_store
from slipstream.db.base import Row
from slipstream.db.foreign import ForeignDatabase
from slipstream.entities import (
    Dataset,
    DatasetInput,
    Experiment,
    InputTag,
    LoggedModel,
    LoggedModelInput,
    LoggedModelOutput,
    LoggedModelStatus,
    Metric,
    ModelVersion,
    RegisteredModel,
    Run,
    RunData,
    RunInfo,
    RunInputs,
    RunOutputs,
)
from slipstream.errors import InvalidParameterError, SlipstreamError
from slipstream.moving.report import Report
from slipstream.moving.source import LoggedModelRecord, RegisteredModelRecord, RunRecord, Totals
from slipstream.store.import_records import ImportedVersion

DEFAULT_WORKSPACE = "default"
DELETED_VERSION = "Deleted_Internal"
"""The stage of model versions that MLflow has deleted; it keeps their rows for the numbers."""
RUN_NAME_TAG = "mlflow.runName"
_PAGE = 500

SELECT_EXPERIMENT_TAGS: LiteralString = (
    "SELECT experiment_id, key, value FROM experiment_tags ORDER BY experiment_id, key"
)
SELECT_RUN_IDS: LiteralString = """
    SELECT run_uuid FROM runs WHERE experiment_id IN :experiments__in AND run_uuid > :after
    ORDER BY run_uuid LIMIT :limit_
"""
SELECT_RUNS: LiteralString = """
    SELECT run_uuid, experiment_id, name, user_id, status, start_time, end_time, lifecycle_stage, artifact_uri
    FROM runs WHERE run_uuid IN :runs__in ORDER BY run_uuid
"""
SELECT_PARAMS: LiteralString = "SELECT run_uuid, key, value FROM params WHERE run_uuid IN :runs__in"
SELECT_TAGS: LiteralString = "SELECT run_uuid, key, value FROM tags WHERE run_uuid IN :runs__in"
SELECT_POINTS: LiteralString = """
    SELECT key, value, timestamp, step, is_nan FROM metrics WHERE run_uuid = :run ORDER BY key, step, timestamp
"""
SELECT_DATASETS: LiteralString = """
    SELECT i.destination_id, i.input_uuid, d.name, d.digest, d.dataset_source_type, d.dataset_source,
        d.dataset_schema, d.dataset_profile
    FROM inputs i JOIN datasets d ON d.dataset_uuid = i.source_id
    WHERE i.source_type = 'DATASET' AND i.destination_type = 'RUN' AND i.destination_id IN :runs__in
    ORDER BY i.destination_id, d.name, d.digest
"""
SELECT_INPUT_TAGS: LiteralString = """
    SELECT input_uuid, name, value FROM input_tags WHERE input_uuid IN :inputs__in ORDER BY input_uuid, name
"""
SELECT_RUN_MODELS: LiteralString = """
    SELECT source_id, source_type, destination_id, step FROM inputs
    WHERE source_type IN ('RUN_INPUT', 'RUN_OUTPUT') AND source_id IN :runs__in
    ORDER BY source_id, step, destination_id
"""
SELECT_LOGGED_MODELS: LiteralString = """
    SELECT model_id, experiment_id, name, artifact_location, creation_timestamp_ms, last_updated_timestamp_ms,
        status, lifecycle_stage, model_type, source_run_id
    FROM logged_models WHERE experiment_id IN :experiments__in AND model_id > :after
    ORDER BY model_id LIMIT :limit_
"""
SELECT_LOGGED_MODEL_TAGS: LiteralString = (
    "SELECT model_id, tag_key, tag_value FROM logged_model_tags WHERE model_id IN :models__in"
)
SELECT_LOGGED_MODEL_PARAMS: LiteralString = (
    "SELECT model_id, param_key, param_value FROM logged_model_params WHERE model_id IN :models__in"
)
SELECT_LOGGED_MODEL_METRICS: LiteralString = """
    SELECT model_id, metric_name, metric_value, metric_timestamp_ms, metric_step, run_id, dataset_name, dataset_digest
    FROM logged_model_metrics WHERE model_id IN :models__in
    ORDER BY model_id, metric_name, metric_timestamp_ms, metric_step
"""
COUNT_VERSIONS_WITH_USER: LiteralString = (
    "SELECT COUNT(*) FROM model_versions WHERE user_id IS NOT NULL AND user_id <> ''"
)
COUNT_LIVE_WEBHOOKS: LiteralString = "SELECT COUNT(*) FROM webhooks WHERE deleted_timestamp IS NULL"
COUNT_IDLE_DATASETS: LiteralString = """
    SELECT COUNT(*) FROM datasets d WHERE NOT EXISTS (
        SELECT 1 FROM inputs i WHERE i.source_type = 'DATASET' AND i.source_id = d.dataset_uuid
    )
"""

_READ = frozenset(
    "experiments experiment_tags runs params tags metrics latest_metrics datasets inputs input_tags logged_models "
    "logged_model_tags logged_model_params logged_model_metrics registered_models registered_model_tags "
    "registered_model_aliases model_versions model_version_tags".split()
)
_NO_DATA = frozenset(
    "alembic_version alembic_version_basic_auth alembic_version_auth workspaces scheduler_leases job_locks "
    "sql_trace_metric_daily_rollups sql_span_cost_daily_rollups sql_assessment_daily_rollups "
    "sql_trace_rollup_rebuild_queue".split()
)
"""Tables of MLflow's own book-keeping."""
_PARTS = frozenset(
    "trace_tags trace_request_metadata trace_metrics span_metrics webhook_events scorer_versions "
    "evaluation_dataset_records evaluation_dataset_tags endpoint_model_mappings endpoint_bindings endpoint_tags "
    "guardrail_configs review_queue_users review_queue_items review_queue_label_schemas mcp_server_versions "
    "mcp_server_tags mcp_server_version_tags mcp_server_aliases mcp_access_endpoints online_scoring_configs".split()
)
"""Tables whose rows belong to those of a table below."""
_LEFT_OUT = {
    "trace_info": ("traces", "slipstream keeps no traces yet"),
    "spans": ("spans of traces", "slipstream keeps no traces yet"),
    "assessments": ("assessments of traces", "slipstream keeps no traces yet"),
    "entity_associations": ("links between traces, runs and prompts", "slipstream keeps no traces yet"),
    "evaluation_datasets": ("evaluation datasets", "slipstream has none"),
    "scorers": ("scorers", "slipstream has none"),
    "issues": ("issues", "slipstream has none"),
    "label_schemas": ("label schemas", "slipstream has none"),
    "review_queues": ("review queues", "slipstream has none"),
    "endpoints": ("gateway endpoints", "slipstream has no gateway"),
    "model_definitions": ("gateway models", "slipstream has no gateway"),
    "secrets": ("gateway secrets", "they are sealed with a key of that server"),
    "guardrails": ("guardrails", "slipstream has no gateway"),
    "budget_policies": ("budget policies", "slipstream has no gateway"),
    "mcp_servers": ("MCP servers", "slipstream keeps none"),
    "jobs": ("jobs", "they are work of that server"),
    "users": ("users", "passwords and permissions stay with the server that checks them"),
    "experiment_permissions": ("permissions on experiments", "slipstream has no users"),
    "registered_model_permissions": ("permissions on registered models", "slipstream has no users"),
}
"""Tables that slipstream has no place for: what they hold, and why."""


class MlflowDatabase:
    """Reads the tables of MLflow.

    Args:
        database: where they are.
        report: what cannot be read is noted there.
        base: the folder of the file, where MLflow was most likely started.
        workspace: of which workspace; older versions of MLflow had but one.
        served_from: the folder behind `mlflow-artifacts:/`, if it is not the default below `base`.

    Raises:
        InvalidParameterError: the database is none of MLflow's, or has no such workspace.
    """

    def __init__(
        self,
        database: ForeignDatabase,
        report: Report,
        base: Path | None = None,
        workspace: str = DEFAULT_WORKSPACE,
        served_from: Path | None = None,
    ) -> None:
        self._database = database
        self.base = base
        self._served_from = served_from or (base / "mlartifacts" if base is not None else None)
        self._report = report
        self._workspace = workspace
        self._columns = database.columns
        if not {"experiments", "runs", "metrics", "params", "tags"} <= self._columns.keys():
            raise InvalidParameterError(
                f"{database.where} has none of MLflow's tables. Is it the database of a tracking server of MLflow 2 or 3?"
            )
        version = (
            database.fetch_all("SELECT version_num FROM alembic_version")
            if self._has("alembic_version")
            else []
        )
        shown = ", ".join(str(row[0]) for row in version) or "unknown"
        self.title = f"{database.where} (MLflow, schema {shown})"
        if not self._has("experiments", "workspace") and workspace != DEFAULT_WORKSPACE:
            raise InvalidParameterError(
                f"{database.where} has no workspaces, so there is no '{workspace}'. Leave --workspace out."
            )

    def _has(self, table: str, column: str | None = None) -> bool:
        return table in self._columns and (column is None or column in self._columns[table])

    def _fetch(self, table: str, sql: LiteralString, **params: object) -> list[Row]:
        """Return rows of a table that not all versions have."""
        return self._database.fetch_all(sql, **params) if self._has(table) else []

    def _in_workspace(self, table: str) -> LiteralString:
        return "workspace = :workspace" if self._has(table, "workspace") else ":workspace = :workspace"

    def totals(self) -> Totals:
        return Totals(self._database.count("runs"), self._database.count("metrics"))

    # -- experiments --------------------------------------------------------------------------------

    def experiments(self) -> Iterator[Experiment]:
        created: LiteralString = "creation_time" if self._has("experiments", "creation_time") else "NULL"
        updated: LiteralString = (
            "last_update_time" if self._has("experiments", "last_update_time") else "NULL"
        )
        sql: LiteralString = (
            f"SELECT experiment_id, name, artifact_location, lifecycle_stage, {created}, {updated} FROM experiments "
            f"WHERE {self._in_workspace('experiments')} ORDER BY experiment_id"
        )
        tags: dict[int, dict[str, str]] = {}
        for number, key, value in self._fetch("experiment_tags", SELECT_EXPERIMENT_TAGS):
            tags.setdefault(number, {})[key] = "" if value is None else value
        for number, name, location, stage, made, changed in self._database.fetch_all(
            sql, workspace=self._workspace
        ):
            if location is not None and not isinstance(location, str):
                self._report.fail("experiment", f"'{name}'", "its artifact location is no text, and not kept")
                location = None  # noqa: PLW2901  # SQLite keeps bytes in columns of texts
            yield Experiment(
                experiment_id=str(number),
                name=name,
                artifact_location=location or "",
                lifecycle_stage=stage or "active",
                creation_time=made or 0,
                last_update_time=changed or made or 0,
                tags=tags.get(number, {}),
            )

    # -- runs ---------------------------------------------------------------------------------------

    def runs(self, experiment_ids: Sequence[str]) -> Iterator[RunRecord]:
        after = ""
        experiments = [int(each) for each in experiment_ids]
        while experiments:
            found = self._database.fetch_all(
                SELECT_RUN_IDS, experiments__in=experiments, after=after, limit_=_PAGE
            )
            ids: list[str] = [row[0] for row in found]
            if not ids:
                return
            try:
                records = self._runs(ids)
            except SlipstreamError:  # find out which of them cannot be read
                records: list[RunRecord] = []
                for run_id in ids:
                    try:
                        records += self._runs([run_id])
                    except SlipstreamError as error:
                        self._report.fail("run", run_id, error)
            yield from records
            after = ids[-1]

    def _runs(self, ids: list[str]) -> list[RunRecord]:
        params = _by_owner(self._fetch("params", SELECT_PARAMS, runs__in=ids))
        tags = _by_owner(self._fetch("tags", SELECT_TAGS, runs__in=ids))
        inputs, outputs = self._inputs_outputs(ids)
        records: list[RunRecord] = []
        for run_id, experiment, name, user, status, start, end, stage, uri in self._database.fetch_all(
            SELECT_RUNS, runs__in=ids
        ):
            own_tags = tags.get(run_id, {})
            info = RunInfo(
                run_id=run_id,
                experiment_id=str(experiment),
                run_name=name or own_tags.get(RUN_NAME_TAG, ""),
                user_id=user or "",
                status=status or "RUNNING",
                start_time=start or 0,
                end_time=end,
                lifecycle_stage=stage or "active",
                artifact_uri=uri or "",
            )
            run = Run(
                info=info,
                data=RunData(params=params.get(run_id, {}), tags=own_tags),
                inputs=inputs.get(run_id, RunInputs()),
                outputs=outputs.get(run_id, RunOutputs()),
            )
            records.append(RunRecord(run, _Points(self._database, run_id)))
        return records

    def _inputs_outputs(self, ids: list[str]) -> tuple[dict[str, RunInputs], dict[str, RunOutputs]]:
        datasets: dict[str, list[DatasetInput]] = {}
        rows = self._fetch("inputs", SELECT_DATASETS, runs__in=ids)
        tags = (
            _by_owner(self._fetch("input_tags", SELECT_INPUT_TAGS, inputs__in=[row[1] for row in rows]))
            if rows
            else {}
        )
        for run_id, input_id, name, digest, source_type, source, schema, profile in rows:
            dataset = Dataset(
                name=name,
                digest=digest,
                source_type=source_type,
                source=source,
                schema=schema,
                profile=profile,
            )
            own = [InputTag(key, value) for key, value in tags.get(input_id, {}).items()]
            datasets.setdefault(run_id, []).append(DatasetInput(dataset=dataset, tags=own))
        read: dict[str, list[LoggedModelInput]] = {}
        made: dict[str, list[LoggedModelOutput]] = {}
        if self._has("inputs", "step"):
            for run_id, kind, model_id, step in self._database.fetch_all(SELECT_RUN_MODELS, runs__in=ids):
                if kind == "RUN_INPUT":
                    read.setdefault(run_id, []).append(LoggedModelInput(model_id))
                else:
                    made.setdefault(run_id, []).append(LoggedModelOutput(model_id, step))
        inputs = {
            run_id: RunInputs(dataset_inputs=datasets.get(run_id, []), model_inputs=read.get(run_id, []))
            for run_id in datasets.keys() | read.keys()
        }
        return inputs, {run_id: RunOutputs(model_outputs=models) for run_id, models in made.items()}

    # -- logged models ------------------------------------------------------------------------------

    def logged_models(self, experiment_ids: Sequence[str]) -> Iterator[LoggedModelRecord]:
        after = ""
        experiments = [int(each) for each in experiment_ids]
        while self._has("logged_models") and experiments:
            rows = self._database.fetch_all(
                SELECT_LOGGED_MODELS, experiments__in=experiments, after=after, limit_=_PAGE
            )
            if not rows:
                return
            ids = [row[0] for row in rows]
            tags = _by_owner(self._fetch("logged_model_tags", SELECT_LOGGED_MODEL_TAGS, models__in=ids))
            params = _by_owner(self._fetch("logged_model_params", SELECT_LOGGED_MODEL_PARAMS, models__in=ids))
            metrics: dict[str, list[Metric]] = {}
            for model_id, key, value, timestamp, step, run_id, name, digest in self._fetch(
                "logged_model_metrics", SELECT_LOGGED_MODEL_METRICS, models__in=ids
            ):
                number = math.nan if value is None else value
                metrics.setdefault(model_id, []).append(
                    Metric(key, number, timestamp, step, model_id, name, digest, run_id)
                )
            for row in rows:
                record = _logged_model(row, tags, params, metrics)
                if record is None:
                    self._report.fail(
                        "logged model", str(row[0]), f"its status {row[6]!r} is none of MLflow's"
                    )
                else:
                    yield record
            after = ids[-1]

    # -- the registry -------------------------------------------------------------------------------

    def registered_models(self) -> Iterator[RegisteredModelRecord]:
        if not self._has("registered_models"):
            return
        workspace = self._workspace
        model_tags = _by_owner(self._of_models("registered_model_tags", "name, key, value"))
        aliases: dict[str, dict[str, str]] = {}
        for name, alias, version in self._of_models("registered_model_aliases", "name, alias, version"):
            aliases.setdefault(name, {})[alias] = str(version)
        version_tags: dict[tuple[str, int], dict[str, str]] = {}
        for name, version, key, value in self._of_models("model_version_tags", "name, version, key, value"):
            version_tags.setdefault((name, version), {})[key] = "" if value is None else value
        stored: LiteralString = (
            "storage_location" if self._has("model_versions", "storage_location") else "NULL"
        )
        linked: LiteralString = "run_link" if self._has("model_versions", "run_link") else "NULL"
        versions: dict[str, list[ImportedVersion]] = {}
        last: dict[str, int] = {}
        for row in self._of_models(
            "model_versions",
            f"name, version, creation_time, last_updated_time, description, current_stage, source, run_id, status, "
            f"{linked}, {stored}",
        ):
            name, version = row[0], row[1]
            if type(version) is not int:
                self._report.fail("model version", f"'{name}'", f"its number {ascii(version)[:100]} is none")
                continue
            last[name] = max(last.get(name, 0), version)
            if row[5] == DELETED_VERSION:
                self._report.deleted_versions += 1
                continue
            versions.setdefault(name, []).append(_version(row, version_tags.get((name, version), {})))
        described: LiteralString = "description" if self._has("registered_models", "description") else "NULL"
        sql: LiteralString = (
            f"SELECT name, creation_time, last_updated_time, {described} FROM registered_models "
            f"WHERE {self._in_workspace('registered_models')} ORDER BY name"
        )
        for name, created, updated, description in self._database.fetch_all(sql, workspace=workspace):
            model = RegisteredModel(
                name=name,
                creation_timestamp=created or 0,
                last_updated_timestamp=updated or created or 0,
                description=description or None,
                tags=model_tags.get(name, {}),
                aliases=aliases.get(name, {}),
            )
            found = sorted(versions.get(name, []), key=lambda each: int(each.version.version))
            yield RegisteredModelRecord(model, found, last.get(name, 0))

    def _of_models(self, table: LiteralString, columns: LiteralString) -> list[Row]:
        sql: LiteralString = f"SELECT {columns} FROM {table} WHERE {self._in_workspace(table)} ORDER BY name"
        return self._fetch(table, sql, workspace=self._workspace)

    # -- what has no place --------------------------------------------------------------------------

    def note_left_out(self) -> None:
        for table in sorted(self._columns):
            if table in _READ | _NO_DATA | _PARTS:
                continue
            if table == "webhooks":
                count = self._database.fetch_all(COUNT_LIVE_WEBHOOKS)[0][0]
                self._report.leave(
                    "webhooks", count, "their secrets are sealed with a key of that server; create them anew"
                )
                continue
            kind, reason = _LEFT_OUT.get(
                table, (f"rows of the table '{table}'", "slipstream does not know it")
            )
            self._report.leave(kind, self._database.count(table), reason)
        if self._has("model_versions", "user_id"):
            self._report.leave(
                "users of model versions",
                self._database.fetch_all(COUNT_VERSIONS_WITH_USER)[0][0],
                "a version here has no such field",
            )
        if self._has("datasets"):
            self._report.leave(
                "datasets that no run reads",
                self._database.fetch_all(COUNT_IDLE_DATASETS)[0][0],
                "here they belong to runs",
            )
        self._note_workspaces()

    def _note_workspaces(self) -> None:
        for table, kind in (("experiments", "experiments"), ("registered_models", "registered models")):
            if not self._has(table, "workspace"):
                continue
            counted: LiteralString = (
                "SELECT workspace, COUNT(*) FROM experiments WHERE workspace <> :own GROUP BY workspace"
                if table == "experiments"
                else "SELECT workspace, COUNT(*) FROM registered_models WHERE workspace <> :own GROUP BY workspace"
            )
            for name, count in self._database.fetch_all(counted, own=self._workspace):
                self._report.leave(
                    f"{kind} of workspace '{name}'", count, f"take them with --workspace '{name}'"
                )

    # -- files --------------------------------------------------------------------------------------

    def own_places(self) -> list[str]:
        """Return the folders that MLflow makes beside its database when nobody names others."""
        places = [] if self.base is None else [str(self.base / "mlruns"), str(self.base / "mlartifacts")]
        return [*places, "mlflow-artifacts:/"] if self._served_from is not None else places

    def artifacts(self, uri: str) -> ArtifactStore:
        return open_store(uri, root_for_proxy=self._served_from)

    def close(self) -> None:
        self._database.close()


class _Points:
    """Reads the points of one run when it is called."""

    def __init__(self, database: ForeignDatabase, run_id: str) -> None:
        self._database = database
        self._run_id = run_id

    def __call__(self) -> Iterator[Sequence[Metric]]:
        for rows in self._database.stream(SELECT_POINTS, run=self._run_id):
            yield [
                Metric(key, math.nan if is_nan else value, timestamp, step)
                for key, value, timestamp, step, is_nan in rows
            ]


def _by_owner(rows: Sequence[Row]) -> dict[str, dict[str, str]]:
    """Return pairs by what they belong to. MLflow tells an empty value as such, be it stored as NULL."""
    found: dict[str, dict[str, str]] = {}
    for owner, key, value in rows:
        found.setdefault(owner, {})[key] = "" if value is None else value
    return found


_STATUSES = {status.number: status for status in LoggedModelStatus}


def _logged_model(
    row: Row,
    tags: dict[str, dict[str, str]],
    params: dict[str, dict[str, str]],
    metrics: dict[str, list[Metric]],
) -> LoggedModelRecord | None:
    model_id, experiment, name, location, created, updated, status, stage, model_type, run_id = row
    if status not in _STATUSES:
        return None
    model = LoggedModel(
        model_id=model_id,
        experiment_id=str(experiment),
        name=name,
        artifact_location=location,
        creation_timestamp=created,
        last_updated_timestamp=updated,
        model_type=model_type,
        source_run_id=run_id,
        status=_STATUSES[status],
        tags=tags.get(model_id, {}),
        params=params.get(model_id, {}),
        metrics=metrics.get(model_id, []),
    )
    return LoggedModelRecord(model, stage or "active")


def _version(row: Row, tags: dict[str, str]) -> ImportedVersion:
    name, number, created, updated, description, stage, source, run_id, status, run_link, stored = row
    source = source or ""
    version = ModelVersion(
        name=name,
        version=str(number),
        creation_timestamp=created or 0,
        last_updated_timestamp=updated or created or 0,
        current_stage=stage or "None",
        description=description,
        source=source,
        run_id=run_id or "",
        run_link=run_link or "",
        status=status or "READY",
        model_id=model_of(source),
        tags=tags,
    )
    return ImportedVersion(version=version, storage_location=stored or source)


def model_of(source: str) -> str | None:
    """Return the logged model that a version was made from, which MLflow says in its source only."""
    identity = source.removeprefix("models:/").strip("/")
    return identity if source.startswith("models:/m-") and "/" not in identity else None
