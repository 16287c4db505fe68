"""Registered models, their tags and aliases, in SQL."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, LiteralString

from slipstream.clock import now_ms
from slipstream.db.base import Row, Transaction
from slipstream.entities import ModelVersion, Page, RegisteredModel
from slipstream.errors import AlreadyExistsError, InvalidParameterError, NotFoundError
from slipstream.rules import limits, registry
from slipstream.search.sql import compile_registered_models

_COLUMNS: LiteralString = "m.id, m.name, m.description, m.creation_timestamp, m.last_updated_timestamp"
_WIDTH = 5
SELECT_MODEL: LiteralString = f"SELECT {_COLUMNS} FROM registered_models m WHERE m.name = :name"
SELECT_MODEL_ID: LiteralString = "SELECT id FROM registered_models WHERE name = :name"
SELECT_TAGS: LiteralString = (
    "SELECT model, key, value FROM registered_model_tags WHERE model IN :models__in ORDER BY model, key"
)
SELECT_ALIASES: LiteralString = (
    "SELECT model, alias, version FROM model_aliases WHERE model IN :models__in ORDER BY model, alias"
)
SELECT_ALIAS: LiteralString = "SELECT version FROM model_aliases WHERE model = :id AND alias = :alias"
INSERT_MODEL: LiteralString = """
    INSERT INTO registered_models (name, description, creation_timestamp, last_updated_timestamp, last_version)
    VALUES (:name, :description, :now, :now, 0)
    ON CONFLICT (name) DO NOTHING
    RETURNING id
"""
UPDATE_DESCRIPTION: LiteralString = (
    "UPDATE registered_models SET description = :description, last_updated_timestamp = :now WHERE id = :id"
)
UPDATE_NAME: LiteralString = (
    "UPDATE registered_models SET name = :name, last_updated_timestamp = :now WHERE id = :id"
)
UPDATE_VERSION_TIMES: LiteralString = (
    "UPDATE model_versions SET last_updated_timestamp = :now WHERE model = :id"
)
UPSERT_TAG: LiteralString = """
    INSERT INTO registered_model_tags (model, key, value) VALUES (:id, :key, :value)
    ON CONFLICT (model, key) DO UPDATE SET value = excluded.value
"""
DELETE_TAG: LiteralString = "DELETE FROM registered_model_tags WHERE model = :id AND key = :key"
UPSERT_ALIAS: LiteralString = """
    INSERT INTO model_aliases (model, alias, version) VALUES (:id, :alias, :version)
    ON CONFLICT (model, alias) DO UPDATE SET version = excluded.version
"""
DELETE_ALIAS: LiteralString = "DELETE FROM model_aliases WHERE model = :id AND alias = :alias"
# Children before their parent.
DELETE_MODEL: tuple[LiteralString, ...] = (
    "DELETE FROM model_aliases WHERE model = :id",
    "DELETE FROM model_version_tags WHERE model = :id",
    "DELETE FROM model_versions WHERE model = :id",
    "DELETE FROM registered_model_tags WHERE model = :id",
    "DELETE FROM registered_models WHERE id = :id",
)


class RegisteredModelsPart:
    tx: Transaction
    changed_models: set[str]

    if TYPE_CHECKING:  # in store/versions.py

        def get_model_version(self, name: str, version: str) -> ModelVersion: ...
        def newest_versions(
            self, models: Sequence[int], *, with_aliases: bool
        ) -> dict[int, list[ModelVersion]]: ...

        # in store/registry_events.py
        def announce_model(self, name: str, tags: Mapping[str, str], description: str | None) -> None: ...
        def announce_model_tag(self, action: str, name: str, key: str, value: str | None = None) -> None: ...
        def announce_alias(self, action: str, name: str, alias: str, version: int | None = None) -> None: ...

    def create_registered_model(
        self, name: str, tags: Mapping[str, str] | None = None, description: str | None = None
    ) -> RegisteredModel:
        registry.check_model_name(name)
        for key, value in (tags or {}).items():
            registry.check_tag(key, value)
        row = self.tx.fetch_one(INSERT_MODEL, name=name, description=description or None, now=now_ms())
        if row is None:
            raise _name_taken(name)
        self.changed_models.add(name)
        if tags:
            self.tx.execute_many(UPSERT_TAG, [(row[0], key, value) for key, value in tags.items()])
        self.announce_model(name, tags or {}, description)
        return self.get_registered_model(name)

    def get_registered_model(self, name: str) -> RegisteredModel:
        registry.check_model_name(name)
        row = self.tx.fetch_one(SELECT_MODEL, name=name)
        if row is None:
            raise _no_such_model(name)
        return self._models([row])[0]

    def update_registered_model(self, name: str, description: str | None) -> RegisteredModel:
        identity = self.require_registered_model(name)
        self.tx.execute(UPDATE_DESCRIPTION, id=identity, description=description or None, now=now_ms())
        self.changed_models.add(name)
        return self.get_registered_model(name)

    def rename_registered_model(self, name: str, new_name: str) -> RegisteredModel:
        """Rename a model; versions, tags and aliases go along.

        Raises:
            AlreadyExistsError: the new name is taken.
        """
        registry.check_model_name(new_name, "new_name")
        identity = self.require_registered_model(name)
        taken = self.tx.fetch_one(SELECT_MODEL_ID, name=new_name)
        if taken is not None and taken[0] != identity:
            raise _name_taken(new_name)
        now = now_ms()
        self.tx.execute(UPDATE_NAME, id=identity, name=new_name, now=now)
        self.tx.execute(UPDATE_VERSION_TIMES, id=identity, now=now)
        self.changed_models |= {name, new_name}
        return self.get_registered_model(new_name)

    def delete_registered_model(self, name: str) -> None:
        identity = self.require_registered_model(name)
        for sql in DELETE_MODEL:
            self.tx.execute(sql, id=identity)
        self.changed_models.add(name)

    def search_registered_models(
        self,
        filter_string: str | None = None,
        max_results: int = 100,
        order_by: Sequence[str] = (),
        page_token: str | None = None,
    ) -> Page[RegisteredModel]:
        limits.check_max_results(max_results, limits.SEARCH_REGISTERED_MODELS)
        query = compile_registered_models(filter_string, order_by, page_token)
        sql: LiteralString = (
            f"SELECT {_COLUMNS}, {query.keys} FROM registered_models m {query.joins} "
            f"WHERE {query.where} ORDER BY {query.order_by} LIMIT :limit_"
        )
        rows = self.tx.fetch_all(sql, limit_=max_results + 1, **query.params)
        shown = rows[:max_results]
        token = query.next_token(shown[-1][_WIDTH:]) if len(rows) > max_results else None
        return Page(self._models(shown), token)

    def get_latest_versions(self, name: str, stages: Sequence[str] = ()) -> list[ModelVersion]:
        wanted = {registry.canonical_stage(stage) for stage in stages} or set(registry.STAGES)
        identity = self.require_registered_model(name)
        newest = self.newest_versions([identity], with_aliases=True).get(identity, [])
        return [version for version in newest if version.current_stage in wanted]

    def set_registered_model_tag(self, name: str, key: str, value: str) -> None:
        registry.check_tag(key, value)
        self.tx.execute(UPSERT_TAG, id=self.require_registered_model(name), key=key, value=value)
        self.changed_models.add(name)
        self.announce_model_tag("set", name, key, value)

    def delete_registered_model_tag(self, name: str, key: str) -> None:
        """Delete a tag; that it is not there is no error, as in MLflow."""
        registry.check_tag(key, "")
        self.tx.execute(DELETE_TAG, id=self.require_registered_model(name), key=key)
        self.changed_models.add(name)
        self.announce_model_tag("deleted", name, key)

    def set_registered_model_alias(self, name: str, alias: str, version: str) -> None:
        """Point an alias to a version, away from where it pointed before."""
        registry.check_alias(alias)
        number = registry.version_number(version)
        self.get_model_version(name, version)
        self.tx.execute(UPSERT_ALIAS, id=self.require_registered_model(name), alias=alias, version=number)
        self.changed_models.add(name)
        self.announce_alias("created", name, alias, number)

    def delete_registered_model_alias(self, name: str, alias: str) -> None:
        """Delete an alias; that it is not there is no error, as in MLflow."""
        self.tx.execute(DELETE_ALIAS, id=self.require_registered_model(name), alias=alias)
        self.changed_models.add(name)
        self.announce_alias("deleted", name, alias)

    def get_model_version_by_alias(self, name: str, alias: str) -> ModelVersion:
        row = self.tx.fetch_one(SELECT_ALIAS, id=self.require_registered_model(name), alias=alias)
        if row is None:
            raise InvalidParameterError(
                f"Registered model alias {alias} not found: '{name}' has no such alias."
            )
        return self.get_model_version(name, str(row[0]))

    def require_registered_model(self, name: str) -> int:
        """Return the internal id of a registered model.

        Raises:
            NotFoundError: there is none of this name.
        """
        registry.check_model_name(name)
        row = self.tx.fetch_one(SELECT_MODEL_ID, name=name)
        if row is None:
            raise _no_such_model(name)
        return row[0]

    def _models(self, rows: Sequence[Row]) -> list[RegisteredModel]:
        """Return whole models for rows of `registered_models`, with as many queries for a thousand as for one."""
        if not rows:
            return []
        ids: list[int] = [row[0] for row in rows]
        tags: dict[int, dict[str, str]] = {model: {} for model in ids}
        aliases: dict[int, dict[str, str]] = {model: {} for model in ids}
        for model, key, value in self.tx.fetch_all(SELECT_TAGS, models__in=ids):
            tags[model][key] = value
        for model, alias, version in self.tx.fetch_all(SELECT_ALIASES, models__in=ids):
            aliases[model][alias] = str(version)
        newest = self.newest_versions(ids, with_aliases=False)
        return [
            RegisteredModel(
                name=name,
                description=description,
                creation_timestamp=created,
                last_updated_timestamp=updated,
                latest_versions=newest.get(model, []),
                tags=tags[model],
                aliases=aliases[model],
            )
            for model, name, description, created, updated, *_ in rows
        ]


def _name_taken(name: str) -> AlreadyExistsError:
    return AlreadyExistsError(f"Registered Model (name={name}) already exists. Choose another name.")


def _no_such_model(name: str) -> NotFoundError:
    return NotFoundError(f"Registered Model with name={name} not found")
