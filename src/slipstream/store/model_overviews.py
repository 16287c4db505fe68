"""Registered models and their versions as pages list them, in SQL: any window, with as many queries for a hundred rows as for one."""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING, LiteralString, NamedTuple

from slipstream.db.base import Row, Transaction
from slipstream.entities import ModelVersion
from slipstream.entities.model_overview import (
    LeadingVersion,
    ModelOverview,
    ModelOverviews,
    VersionOverview,
    VersionOverviews,
    VersionRun,
)
from slipstream.errors import InvalidParameterError
from slipstream.search.sql import compile_model_versions, compile_registered_models
from slipstream.store.run_changes import newest_change

MOST_ROWS = 1_000
MOST_METRICS = 20
SHOWN_METRICS = 4
"""Metrics of a run in a list of models, where none were asked for."""
VERSION_METRICS = 8
"""The same in a list of versions."""
LEADING_ALIASES = ("champion", "production", "prod", "live")
"""Aliases whose version stands for its model, the strongest first; before the stage Production."""

_COLUMNS: LiteralString = "m.id, m.name, m.description, m.creation_timestamp, m.last_updated_timestamp"
_WIDTH = 5
SELECT_TAGS: LiteralString = (
    "SELECT model, key, value FROM registered_model_tags WHERE model IN :models__in ORDER BY model, key"
)
SELECT_ALIASES: LiteralString = (
    "SELECT model, alias, version FROM model_aliases WHERE model IN :models__in ORDER BY model, alias"
)
SELECT_COUNTS: LiteralString = """
    SELECT model, COUNT(*), MAX(version), MAX(CASE WHEN current_stage = 'Production' THEN version END)
    FROM model_versions WHERE model IN :models__in AND lifecycle_stage = 'active' GROUP BY model
"""
SELECT_RUNS: LiteralString = """
    SELECT v.model, v.version, v.run_id, r.id FROM model_versions v LEFT JOIN runs r ON r.run_id = v.run_id
    WHERE v.model IN :models__in AND v.version IN :versions__in AND v.lifecycle_stage = 'active'
"""
SELECT_METRICS: LiteralString = """
    SELECT run, key, value, is_nan FROM series WHERE run IN :runs__in AND key IN :keys__in ORDER BY run, key
"""
SELECT_FIRST_METRICS: LiteralString = """
    SELECT run, key, value, is_nan FROM (
        SELECT run, key, value, is_nan, ROW_NUMBER() OVER (PARTITION BY run ORDER BY key) AS place
        FROM series WHERE run IN :runs__in AND key NOT LIKE 'system/%'
    ) numbered
    WHERE place <= :shown ORDER BY run, key
"""


_VERSION_COLUMNS: LiteralString = (
    "v.model, v.version, m.name, v.creation_timestamp, v.last_updated_timestamp, v.current_stage, "
    "v.description, v.source, v.run_id, v.run_link, v.status"
)
_VERSION_WIDTH = 11
_VERSIONS_FROM: LiteralString = "FROM model_versions v JOIN registered_models m ON m.id = v.model"
SELECT_RUN_ROWS: LiteralString = """
    SELECT r.id, r.run_id, r.run_name, r.experiment, r.user_id, r.status, r.lifecycle_stage
    FROM runs r WHERE r.run_id IN :run_ids__in AND r.lifecycle_stage <> 'removing'
"""


class _Counted(NamedTuple):
    """The active versions of one model."""

    number: int
    latest: int
    in_production: int | None


class ModelOverviewsPart:
    tx: Transaction

    if TYPE_CHECKING:  # in store/models.py and store/versions.py

        def require_registered_model(self, name: str) -> int: ...
        def versions_of_rows(
            self, rows: Sequence[Row], *, with_aliases: bool = True
        ) -> list[ModelVersion]: ...

    def search_model_overviews(
        self,
        filter_string: str | None = None,
        order_by: Sequence[str] = (),
        offset: int = 0,
        limit: int = 100,
        metric_keys: Sequence[str] = (),
    ) -> ModelOverviews:
        _check_window(offset, limit, metric_keys)
        query = compile_registered_models(filter_string, order_by, None)
        count: LiteralString = f"SELECT COUNT(*) FROM registered_models m {query.joins} WHERE {query.where}"
        rows: LiteralString = (
            f"SELECT {_COLUMNS}, {query.keys} FROM registered_models m {query.joins} "
            f"WHERE {query.where} ORDER BY {query.order_by} LIMIT :limit_ OFFSET :offset_"
        )
        total = self.tx.fetch_one(count, **query.params)
        found = self.tx.fetch_all(rows, limit_=limit, offset_=offset, **query.params)
        return ModelOverviews(
            total=0 if total is None else total[0],
            offset=offset,
            models=self._overviews(found, metric_keys),
            cursor=newest_change(self.tx),
        )

    def search_version_overviews(
        self,
        name: str,
        filter_string: str | None = None,
        order_by: Sequence[str] = (),
        offset: int = 0,
        limit: int = 100,
        metric_keys: Sequence[str] = (),
    ) -> VersionOverviews:
        _check_window(offset, limit, metric_keys)
        model = self.require_registered_model(name)
        query = compile_model_versions(filter_string, order_by or ["version_number DESC"], None)
        where: LiteralString = f"v.model = :model_ AND v.lifecycle_stage = 'active' AND ({query.where})"
        count: LiteralString = f"SELECT COUNT(*) {_VERSIONS_FROM} {query.joins} WHERE {where}"
        rows: LiteralString = (
            f"SELECT {_VERSION_COLUMNS}, {query.keys} {_VERSIONS_FROM} {query.joins} "
            f"WHERE {where} ORDER BY {query.order_by} LIMIT :limit_ OFFSET :offset_"
        )
        total = self.tx.fetch_one(count, model_=model, **query.params)
        found = self.tx.fetch_all(rows, model_=model, limit_=limit, offset_=offset, **query.params)
        versions = self.versions_of_rows([row[:_VERSION_WIDTH] for row in found])
        runs = self._version_runs({version.run_id for version in versions if version.run_id}, metric_keys)
        return VersionOverviews(
            total=0 if total is None else total[0],
            offset=offset,
            versions=[VersionOverview(version=version, run=runs.get(version.run_id)) for version in versions],
            cursor=newest_change(self.tx),
        )

    def _version_runs(self, run_ids: AbstractSet[str], metric_keys: Sequence[str]) -> dict[str, VersionRun]:
        if not run_ids:
            return {}
        rows = self.tx.fetch_all(SELECT_RUN_ROWS, run_ids__in=sorted(run_ids))
        values = self._metrics_of([row[0] for row in rows], metric_keys, VERSION_METRICS)
        return {
            run_id: VersionRun(
                run_id=run_id,
                run_name=run_name,
                experiment_id=str(experiment),
                user_id=user_id,
                status=status,
                lifecycle_stage=lifecycle_stage,
                metrics=values[run],
            )
            for run, run_id, run_name, experiment, user_id, status, lifecycle_stage in rows
        }

    def _metrics_of(
        self, runs: Sequence[int], metric_keys: Sequence[str], shown: int
    ) -> dict[int, dict[str, float]]:
        """Return the last values of each run: of the keys asked for, or of the first few."""
        values: dict[int, dict[str, float]] = {run: {} for run in runs}
        if not runs:
            return values
        points = (
            self.tx.fetch_all(SELECT_METRICS, runs__in=list(runs), keys__in=list(metric_keys))
            if metric_keys
            else self.tx.fetch_all(SELECT_FIRST_METRICS, runs__in=list(runs), shown=shown)
        )
        for run, key, value, is_nan in points:
            values[run][key] = float("nan") if is_nan else value
        return values

    def _overviews(self, rows: Sequence[Row], metrics: Sequence[str]) -> list[ModelOverview]:
        if not rows:
            return []
        ids: list[int] = [row[0] for row in rows]
        tags: dict[int, dict[str, str]] = {model: {} for model in ids}
        aliases: dict[int, dict[str, int]] = {model: {} for model in ids}
        for model, key, value in self.tx.fetch_all(SELECT_TAGS, models__in=ids):
            tags[model][key] = value
        for model, alias, version in self.tx.fetch_all(SELECT_ALIASES, models__in=ids):
            aliases[model][alias] = version
        counted = {
            model: _Counted(number, latest, in_production)
            for model, number, latest, in_production in self.tx.fetch_all(SELECT_COUNTS, models__in=ids)
        }
        leading = self._leading(
            {model: _leader(aliases[model], versions) for model, versions in counted.items()}, metrics
        )
        return [
            ModelOverview(
                name=name,
                description=description,
                creation_timestamp=created,
                last_updated_timestamp=updated,
                versions=counted[model].number if model in counted else 0,
                latest_version=str(counted[model].latest) if model in counted else None,
                tags=tags[model],
                aliases={alias: str(version) for alias, version in aliases[model].items()},
                leading=leading.get(model),
            )
            for model, name, description, created, updated, *_ in (row[:_WIDTH] for row in rows)
        ]

    def _leading(
        self, leaders: Mapping[int, tuple[int, str]], metrics: Sequence[str]
    ) -> dict[int, LeadingVersion]:
        """Return the version that stands for each model, with its run's metrics."""
        if not leaders:
            return {}
        versions = sorted({version for version, _ in leaders.values()})
        runs: dict[int, tuple[str | None, int | None]] = {}
        for model, version, run_id, run in self.tx.fetch_all(
            SELECT_RUNS, models__in=list(leaders), versions__in=versions
        ):
            if leaders[model][0] == version:
                runs[model] = (run_id or None, run)
        ids = sorted({run for _, run in runs.values() if run is not None})
        values = self._metrics_of(ids, metrics, SHOWN_METRICS)
        return {
            model: LeadingVersion(
                version=str(version),
                why=why,
                run_id=runs.get(model, (None, None))[0],
                metrics=values.get(runs.get(model, (None, None))[1] or 0, {}),
            )
            for model, (version, why) in leaders.items()
        }


def _check_window(offset: int, limit: int, metric_keys: Sequence[str]) -> None:
    if offset < 0:
        raise InvalidParameterError(f"'offset' is {offset}; count from 0.")
    if not 1 <= limit <= MOST_ROWS:
        raise InvalidParameterError(f"'limit' is {limit}; ask for 1 to {MOST_ROWS} rows at a time.")
    if len(metric_keys) > MOST_METRICS:
        raise InvalidParameterError(
            f"'metric_keys' names {len(metric_keys)} metrics; ask for at most {MOST_METRICS}."
        )


def _leader(aliases: Mapping[str, int], versions: _Counted) -> tuple[int, str]:
    for alias in LEADING_ALIASES:
        if alias in aliases:
            return aliases[alias], alias
    if versions.in_production is not None:
        return versions.in_production, "Production"
    return versions.latest, "latest"
