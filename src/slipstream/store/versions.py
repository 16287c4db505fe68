"""Versions of registered models, in SQL."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, LiteralString, NamedTuple, cast

from slipstream.clock import now_ms
from slipstream.db.base import Row, Transaction
from slipstream.entities import LoggedModel, ModelVersion, Page, RegisteredModel
from slipstream.errors import InvalidParameterError, NotFoundError
from slipstream.rules import limits, registry, sources
from slipstream.search.sql import compile_model_versions

MODEL_VERSIONS_TAG = "mlflow.modelVersions"

_COLUMNS: LiteralString = (
    "v.model, v.version, m.name, v.creation_timestamp, v.last_updated_timestamp, v.current_stage, "
    "v.description, v.source, v.run_id, v.run_link, v.status"
)
_WIDTH = 11
_FROM: LiteralString = "FROM model_versions v JOIN registered_models m ON m.id = v.model"
SELECT_VERSION: LiteralString = f"SELECT {_COLUMNS} {_FROM} WHERE m.name = :name AND v.version = :version AND v.lifecycle_stage = 'active'"
SELECT_ORIGIN: LiteralString = (
    f"SELECT v.model, v.version, v.storage_location, v.run_id, v.model_id {_FROM} "
    "WHERE m.name = :name AND v.version = :version AND v.lifecycle_stage = 'active'"
)
# The newest version of each stage that has one.
SELECT_NEWEST: LiteralString = f"""
    SELECT {_COLUMNS} {_FROM}
    JOIN (
        SELECT model, MAX(version) AS version FROM model_versions
        WHERE model IN :models__in AND lifecycle_stage = 'active' GROUP BY model, current_stage
    ) newest ON newest.model = v.model AND newest.version = v.version
    ORDER BY v.model, v.version
"""
SELECT_TAGS: LiteralString = """
    SELECT model, version, key, value FROM model_version_tags
    WHERE model IN :models__in AND version IN :versions__in ORDER BY model, version, key
"""
SELECT_ALIASES: LiteralString = """
    SELECT model, version, alias FROM model_aliases
    WHERE model IN :models__in AND version IN :versions__in ORDER BY model, version, alias
"""
SELECT_RUN: LiteralString = "SELECT id FROM runs WHERE run_id = :run_id"
SELECT_RUN_LOCATION: LiteralString = "SELECT artifact_uri FROM runs WHERE run_id = :run_id"
# Counting and locking in one: a second writer waits here for the number after ours.
UPDATE_LAST_VERSION: LiteralString = """
    UPDATE registered_models SET last_version = last_version + 1, last_updated_timestamp = :now
    WHERE name = :name RETURNING id, last_version
"""
INSERT_VERSION: LiteralString = """
    INSERT INTO model_versions
        (model, version, creation_timestamp, last_updated_timestamp, current_stage, description, source,
         storage_location, run_id, run_link, model_id, status, lifecycle_stage)
    VALUES (:model, :version, :now, :now, 'None', :description, :source,
            :storage_location, :run_id, :run_link, :model_id, 'READY', 'active')
"""
UPDATE_DESCRIPTION: LiteralString = """
    UPDATE model_versions SET description = :description, last_updated_timestamp = :now
    WHERE model = :model AND version = :version
"""
UPDATE_STAGE: LiteralString = """
    UPDATE model_versions SET current_stage = :stage, last_updated_timestamp = :now
    WHERE model = :model AND version = :version
"""
ARCHIVE_OTHERS: LiteralString = """
    UPDATE model_versions SET current_stage = 'Archived', last_updated_timestamp = :now
    WHERE model = :model AND version <> :version AND current_stage = :stage AND lifecycle_stage = 'active'
"""
UPDATE_DELETED: LiteralString = """
    UPDATE model_versions SET lifecycle_stage = 'deleted', last_updated_timestamp = :now
    WHERE model = :model AND version = :version
"""
UPDATE_MODEL_TIME: LiteralString = (
    "UPDATE registered_models SET last_updated_timestamp = :now WHERE id = :model"
)
DELETE_ALIASES: LiteralString = "DELETE FROM model_aliases WHERE model = :model AND version = :version"
UPSERT_TAG: LiteralString = """
    INSERT INTO model_version_tags (model, version, key, value) VALUES (:model, :version, :key, :value)
    ON CONFLICT (model, version, key) DO UPDATE SET value = excluded.value
"""
DELETE_TAG: LiteralString = (
    "DELETE FROM model_version_tags WHERE model = :model AND version = :version AND key = :key"
)


class _Origin(NamedTuple):
    """Where a new version comes from, after all checks."""

    source: str
    storage_location: str
    run_id: str
    model_id: str | None


class VersionsPart:
    tx: Transaction
    changed_models: set[str]
    changed_runs: set[int]

    if TYPE_CHECKING:  # in store/models.py and store/logged_models.py

        def get_registered_model(self, name: str) -> RegisteredModel: ...
        def get_model_version_by_alias(self, name: str, alias: str) -> ModelVersion: ...
        def get_latest_versions(self, name: str, stages: Sequence[str] = ()) -> list[ModelVersion]: ...
        def get_logged_model(self, model_id: str, *, allow_deleted: bool = False) -> LoggedModel: ...
        def set_logged_model_tags(self, model_id: str, tags: Mapping[str, str]) -> None: ...

        # in store/registry_events.py
        def announce_version(
            self, version: ModelVersion, tags: Mapping[str, str], description: str | None
        ) -> None: ...
        def announce_version_tag(
            self, action: str, name: str, version: int, key: str, value: str | None = None
        ) -> None: ...

    def create_model_version(
        self,
        name: str,
        source: str,
        run_id: str | None = None,
        tags: Mapping[str, str] | None = None,
        run_link: str | None = None,
        description: str | None = None,
        model_id: str | None = None,
    ) -> ModelVersion:
        """Create the next version of a registered model from files that are stored already.

        Raises:
            InvalidParameterError: the source is not a place that the request may name (see `rules/sources.py`).
        """
        registry.check_model_name(name)
        tags = tags or {}
        for key, value in tags.items():
            registry.check_tag(key, value)
        sources.check_text(source)
        sources.check_configured_pattern(source)
        if tags.get(registry.PROMPT_TAG, "").lower() == "true":
            sources.check_prompt(source)
            origin = _Origin(source, source, run_id or "", None)
        else:
            origin = self._resolve_source(source, run_id, model_id)
        now = now_ms()  # one time for both, so that the model is never older than its newest version
        row = self.tx.fetch_one(UPDATE_LAST_VERSION, name=name, now=now)
        if row is None:
            raise NotFoundError(f"Registered Model with name={name} not found")
        model, version = row
        self.changed_models.add(name)
        self._note_run(origin.run_id)
        self.tx.execute(
            INSERT_VERSION,
            model=model,
            version=version,
            now=now,
            description=description or "",
            source=origin.source,
            storage_location=origin.storage_location,
            run_id=origin.run_id,
            run_link=run_link or "",
            model_id=origin.model_id,
        )
        if tags:
            self.tx.execute_many(UPSERT_TAG, [(model, version, key, value) for key, value in tags.items()])
        if model_id and origin.model_id:
            self._note_version(origin.model_id, name, version)
        made = self.get_model_version(name, str(version))
        self.announce_version(made, tags, description)
        return made

    def _note_run(self, run_id: str | None) -> None:
        """Note that a run has changed: its page shows the versions that were made of it."""
        row = self.tx.fetch_one(SELECT_RUN, run_id=run_id) if run_id else None
        if row is not None:
            self.changed_runs.add(row[0])

    def get_model_version(self, name: str, version: str) -> ModelVersion:
        return self.versions_of_rows([self._require_version(name, version)])[0]

    def update_model_version(self, name: str, version: str, description: str | None) -> ModelVersion:
        model, number, *_ = self._require_version(name, version)
        self.tx.execute(
            UPDATE_DESCRIPTION, model=model, version=number, description=description, now=now_ms()
        )
        self.changed_models.add(name)
        return self.get_model_version(name, version)

    def delete_model_version(self, name: str, version: str) -> None:
        """Hide a version for ever and drop its aliases; its number is not used again."""
        model, number, *_, run_id, _, _ = self._require_version(name, version)
        self._note_run(run_id)
        now = now_ms()
        self.tx.execute(UPDATE_DELETED, model=model, version=number, now=now)
        self.tx.execute(DELETE_ALIASES, model=model, version=number)
        self.changed_models.add(name)
        self.tx.execute(UPDATE_MODEL_TIME, model=model, now=now)

    def transition_model_version_stage(
        self, name: str, version: str, stage: str, *, archive_existing_versions: bool = False
    ) -> ModelVersion:
        """Move a version to a stage, first all others of that stage to Archived if asked to.

        Raises:
            InvalidParameterError: archiving was asked for with a stage that is not active. (MLflow answers 500
                here, which makes clients try again for minutes.)
        """
        canonical = registry.canonical_stage(stage)
        if archive_existing_versions and canonical not in registry.ACTIVE_STAGES:
            raise InvalidParameterError(
                f"Cannot archive the other versions of stage '{stage}': that goes with "
                f"{' and '.join(registry.ACTIVE_STAGES)} only. Leave archive_existing_versions out."
            )
        model, number, *_ = self._require_version(name, version)
        now = now_ms()
        if archive_existing_versions:
            self.tx.execute(ARCHIVE_OTHERS, model=model, version=number, stage=canonical, now=now)
        self.tx.execute(UPDATE_STAGE, model=model, version=number, stage=canonical, now=now)
        self.changed_models.add(name)
        self.tx.execute(UPDATE_MODEL_TIME, model=model, now=now)
        return self.get_model_version(name, version)

    def get_model_version_download_uri(self, name: str, version: str) -> str:
        """Return where the files are; a `runs:/` URI if the version was made from one."""
        return self._require_version_origin(name, version).storage_location

    def search_model_versions(
        self,
        filter_string: str | None = None,
        max_results: int = limits.SEARCH_MODEL_VERSIONS,
        order_by: Sequence[str] = (),
        page_token: str | None = None,
    ) -> Page[ModelVersion]:
        limits.check_max_results(max_results, limits.SEARCH_MODEL_VERSIONS)
        query = compile_model_versions(filter_string, order_by, page_token)
        sql: LiteralString = (
            f"SELECT {_COLUMNS}, {query.keys} {_FROM} {query.joins} "
            f"WHERE v.lifecycle_stage = 'active' AND ({query.where}) ORDER BY {query.order_by} LIMIT :limit_"
        )
        rows = self.tx.fetch_all(sql, limit_=max_results + 1, **query.params)
        shown = rows[:max_results]
        token = query.next_token(shown[-1][_WIDTH:]) if len(rows) > max_results else None
        return Page(self.versions_of_rows(shown), token)

    def set_model_version_tag(self, name: str, version: str, key: str, value: str) -> None:
        registry.check_tag(key, value)
        model, number, *_ = self._require_version(name, version)
        self.tx.execute(UPSERT_TAG, model=model, version=number, key=key, value=value)
        self.changed_models.add(name)
        self.announce_version_tag("set", name, number, key, value)

    def delete_model_version_tag(self, name: str, version: str, key: str) -> None:
        """Delete a tag; that it is not there is no error, as in MLflow."""
        registry.check_tag(key, "")
        model, number, *_ = self._require_version(name, version)
        self.tx.execute(DELETE_TAG, model=model, version=number, key=key)
        self.changed_models.add(name)
        self.announce_version_tag("deleted", name, number, key)

    def newest_versions(self, models: Sequence[int], *, with_aliases: bool) -> dict[int, list[ModelVersion]]:
        """Return for each model (by internal id) the newest version of each stage that has one."""
        rows = self.tx.fetch_all(SELECT_NEWEST, models__in=list(models))
        newest: dict[int, list[ModelVersion]] = {}
        for row, version in zip(rows, self.versions_of_rows(rows, with_aliases=with_aliases), strict=True):
            newest.setdefault(row[0], []).append(version)
        return newest

    # -- where a version may come from --------------------------------------------------------------

    def _resolve_source(self, source: str, run_id: str | None, model_id: str | None) -> _Origin:
        scheme = sources.scheme_of(source)
        if scheme == "models":
            parsed = sources.parse_models_uri(source)
            if parsed.model_id is None:
                return self._copy(source, parsed, run_id, model_id)
            if model_id is None or parsed.model_id != model_id:
                sources.refuse(source, "model_id")
            model = self.get_logged_model(model_id)
            return _Origin(source, model.artifact_location, run_id or model.source_run_id or "", model_id)
        if not sources.is_local(source):
            sources.check_remote_path(source)
        if scheme == "runs" and (model_id or sources.run_of(source) != run_id):
            sources.refuse(source, "run_id")
        if model_id:
            model = self._source_model(source, model_id)
            self._require_inside(source, model.artifact_location, "model_id")
            return _Origin(source, source, run_id or model.source_run_id or "", model_id)
        if sources.is_local(source) or sources.is_reached_by_host(source):
            root = self.tx.fetch_one(SELECT_RUN_LOCATION, run_id=run_id) if run_id else None
            if root is None:
                sources.refuse(source, "run_id")
            self._require_inside(source, root[0], "run_id")
        return _Origin(source, source, run_id or "", None)

    def _require_inside(self, source: str, root: str, field: str) -> None:
        if sources.is_local(source):
            inside = sources.is_local(root) and _is_below(
                sources.local_path(source), sources.local_path(root)
            )
        elif sources.is_reached_by_host(source):
            inside = sources.is_within(source, root)
        else:
            return  # elsewhere: what may be read there is decided by that place
        if not inside:
            sources.refuse(source, field)

    def _source_model(self, source: str, model_id: str) -> LoggedModel:
        try:
            return self.get_logged_model(model_id)
        except NotFoundError:
            if sources.is_local(source) or sources.is_reached_by_host(source):
                sources.refuse(source, "model_id")
            raise

    def _copy(
        self, source: str, parsed: sources.ModelSource, run_id: str | None, model_id: str | None
    ) -> _Origin:
        if self.get_registered_model(parsed.name).tags.get(registry.PROMPT_TAG, "").lower() == "true":
            sources.refuse_prompt_version(source)
        version = parsed.version or self._find_version(source, parsed)
        original = self._require_version_origin(parsed.name, version)
        if run_id is not None and run_id != original.run_id:
            sources.refuse(source, "run_id")
        if model_id is not None and model_id != (original.model_id or ""):
            sources.refuse(source, "model_id")
        return _Origin(
            f"models:/{parsed.name}/{int(version)}",
            original.storage_location,
            original.run_id,
            original.model_id,
        )

    def _find_version(self, source: str, parsed: sources.ModelSource) -> str:
        if parsed.alias is not None:
            return self.get_model_version_by_alias(parsed.name, parsed.alias).version
        found = self.get_latest_versions(parsed.name, [parsed.stage] if parsed.stage else ())
        if not found:
            raise NotFoundError(
                f"No version of the registered model '{parsed.name}' fits the source '{source}'."
            )
        return max(found, key=lambda version: int(version.version)).version

    def _note_version(self, model_id: str, name: str, version: int) -> None:
        """Add a version to the list that its logged model keeps in a tag."""
        known = versions_in(self.get_logged_model(model_id).tags.get(MODEL_VERSIONS_TAG) or "[]")
        entry = {"name": name, "version": version}
        if entry in known:
            return
        known.append(entry)
        while len(text := json.dumps(known)) > limits.REGISTRY_TAG_VALUE:
            del known[0]  # the newest are asked for; cut in the middle, the tag would say nothing at all
        self.set_logged_model_tags(model_id, {MODEL_VERSIONS_TAG: text})

    # -- rows ---------------------------------------------------------------------------------------

    def _require_version(self, name: str, version: str) -> Row:
        registry.check_model_name(name)
        row = self.tx.fetch_one(SELECT_VERSION, name=name, version=registry.version_number(version))
        if row is None:
            raise _no_such_version(name, version)
        return row

    def _require_version_origin(self, name: str, version: str) -> _Origin:
        registry.check_model_name(name)
        row = self.tx.fetch_one(SELECT_ORIGIN, name=name, version=registry.version_number(version))
        if row is None:
            raise _no_such_version(name, version)
        return _Origin("", row[2], row[3] or "", row[4])

    def versions_of_rows(self, rows: Sequence[Row], *, with_aliases: bool = True) -> list[ModelVersion]:
        """Return whole versions for rows of `_COLUMNS`."""
        if not rows:
            return []
        keys = {
            "models__in": sorted({row[0] for row in rows}),
            "versions__in": sorted({row[1] for row in rows}),
        }
        tags: dict[tuple[int, int], dict[str, str]] = {}
        aliases: dict[tuple[int, int], list[str]] = {}
        for model, version, key, value in self.tx.fetch_all(SELECT_TAGS, **keys):
            tags.setdefault((model, version), {})[key] = value
        if with_aliases:
            for model, version, alias in self.tx.fetch_all(SELECT_ALIASES, **keys):
                aliases.setdefault((model, version), []).append(alias)
        return [
            ModelVersion(
                name=row[2],
                version=str(row[1]),
                creation_timestamp=row[3],
                last_updated_timestamp=row[4],
                current_stage=row[5],
                description=row[6],
                source=row[7],
                run_id=row[8] or "",
                run_link=row[9] or "",
                status=row[10],
                tags=tags.get((row[0], row[1]), {}),
                aliases=aliases.get((row[0], row[1]), []),
            )
            for row in rows
        ]


def versions_in(text: str) -> list[Any]:
    """Return what the tag lists; nothing if a client has written something else there."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return []
    return cast("list[Any]", found) if isinstance(found, list) else []


def _is_below(path: str, root: str) -> bool:
    """Tell whether a path lies below, or is, a folder; with all links followed."""
    return Path(path).resolve().is_relative_to(Path(root).resolve())


def _no_such_version(name: str, version: str) -> NotFoundError:
    return NotFoundError(f"Model Version (name={name}, version={version}) not found")
