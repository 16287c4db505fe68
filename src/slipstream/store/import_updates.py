"""What an import finds otherwise in the registry and in logged models that are here already, and bringing it up to date.

The source's side is taken where that was asked for: values are overwritten, and what is only here is never taken away.
"""

from collections.abc import Mapping, Sequence
from typing import LiteralString

import msgspec

from slipstream.db.base import Transaction
from slipstream.entities import LoggedModel, LoggedModelStatus, ModelVersion, RegisteredModel
from slipstream.store import logged_models, models, versions

SELECT_MODEL: LiteralString = "SELECT id, description FROM registered_models WHERE name = :name"
SELECT_MODEL_TAGS: LiteralString = "SELECT key, value FROM registered_model_tags WHERE model = :model"
SELECT_MODEL_ALIASES: LiteralString = "SELECT alias, version FROM model_aliases WHERE model = :model"
SELECT_VERSIONS: LiteralString = """
    SELECT version, description, current_stage, creation_timestamp FROM model_versions
    WHERE model = :model AND lifecycle_stage = 'active'
"""
SELECT_NUMBERS: LiteralString = "SELECT version, creation_timestamp FROM model_versions WHERE model = :model"
SELECT_VERSION_TAGS: LiteralString = "SELECT version, key, value FROM model_version_tags WHERE model = :model"
UPDATE_MODEL: LiteralString = """
    UPDATE registered_models SET description = :description,
        last_updated_timestamp = CASE WHEN last_updated_timestamp < :updated THEN :updated ELSE last_updated_timestamp END
    WHERE id = :id
"""
UPDATE_VERSION: LiteralString = """
    UPDATE model_versions SET description = :description, current_stage = :stage,
        last_updated_timestamp = CASE WHEN last_updated_timestamp < :updated THEN :updated ELSE last_updated_timestamp END
    WHERE model = :model AND version = :version
"""
SELECT_LOGGED_MODELS: LiteralString = """
    SELECT id, model_id, status FROM logged_models
    WHERE model_id IN :model_ids__in AND lifecycle_stage <> 'removing'
"""
SELECT_LOGGED_MODEL_TAGS: LiteralString = """
    SELECT model, key, value FROM logged_model_tags WHERE model IN :models__in
"""
UPDATE_LOGGED_MODEL: LiteralString = """
    UPDATE logged_models SET status = :status,
        last_updated_timestamp = CASE WHEN last_updated_timestamp < :updated THEN :updated ELSE last_updated_timestamp END
    WHERE model_id = :model_id RETURNING id
"""


OTHER_DESCRIPTION = "its description is another one"


class ModelChanges(msgspec.Struct, frozen=True):
    """How a registered model is elsewhere by now."""

    is_described_otherwise: bool
    tags: dict[str, str]
    """Those that are missing or otherwise here."""
    aliases: dict[str, str]
    """Those that are missing or otherwise here, and whose version is here."""
    versions: dict[str, list[str]]
    """What versions have otherwise or not at all here, in words."""

    @property
    def of_model(self) -> bool:
        """The model itself is otherwise, not its versions alone."""
        return self.is_described_otherwise or bool(self.tags or self.aliases)


class ImportUpdatesPart:
    tx: Transaction

    # -- the registry -------------------------------------------------------------------------------

    def find_model_changes(
        self, model: RegisteredModel, imported: Sequence[ModelVersion]
    ) -> ModelChanges | None:
        """Return how a registered model and its versions are there by now; `None` if it is not here."""
        row = self.tx.fetch_one(SELECT_MODEL, name=model.name)
        if row is None:
            return None
        number, description = row
        tags = dict(self.tx.fetch_all(SELECT_MODEL_TAGS, model=number))
        aliases = {
            alias: str(version) for alias, version in self.tx.fetch_all(SELECT_MODEL_ALIASES, model=number)
        }
        numbers = {
            str(version): created for version, created in self.tx.fetch_all(SELECT_NUMBERS, model=number)
        }
        other = {
            each.version
            for each in imported
            if numbers.setdefault(each.version, each.creation_timestamp) != each.creation_timestamp
        }
        usable = {
            alias: version
            for alias, version in model.aliases.items()
            if version in numbers and version not in other
        }
        return ModelChanges(
            (description or "") != (model.description or ""),
            _changed(tags, model.tags),
            _changed(aliases, usable),
            self._find_version_changes(number, imported),
        )

    def _find_version_changes(self, model: int, imported: Sequence[ModelVersion]) -> dict[str, list[str]]:
        tags: dict[int, dict[str, str]] = {}
        for version, key, value in self.tx.fetch_all(SELECT_VERSION_TAGS, model=model):
            tags.setdefault(version, {})[key] = value
        here = {
            str(row[0]): (tags.get(row[0], {}), row[1], row[2], row[3])
            for row in self.tx.fetch_all(SELECT_VERSIONS, model=model)
        }
        found: dict[str, list[str]] = {}
        for each in imported:
            own_tags, description, stage, created = here.get(each.version, ({}, None, None, None))
            if created != each.creation_timestamp:
                continue  # it is not here, or another one
            words: list[str] = []
            if (description or "") != (each.description or ""):
                words.append(OTHER_DESCRIPTION)
            if stage != each.current_stage:
                words.append(f"its stage is {stage} here and {each.current_stage} there")
            words += [f"tag '{key}'" for key in sorted(_changed(own_tags, each.tags))]
            if words:
                found[each.version] = words
        return found

    def update_imported_model(
        self, model: RegisteredModel, imported: Sequence[ModelVersion], changes: ModelChanges
    ) -> None:
        """Give a registered model and its versions what they have there by now."""
        row = self.tx.fetch_one(SELECT_MODEL, name=model.name)
        assert row is not None, "it has changes only if it is here"
        number: int = row[0]
        if changes.of_model:
            updated = model.last_updated_timestamp
            self.tx.execute(UPDATE_MODEL, id=number, description=model.description, updated=updated)
        for key, value in changes.tags.items():
            self.tx.execute(models.UPSERT_TAG, id=number, key=key, value=value)
        for alias, version in changes.aliases.items():
            self.tx.execute(models.UPSERT_ALIAS, id=number, alias=alias, version=int(version))
        for each in imported:
            if each.version not in changes.versions:
                continue
            version = int(each.version)
            self.tx.execute(
                UPDATE_VERSION,
                model=number,
                version=version,
                description=each.description,
                stage=each.current_stage,
                updated=each.last_updated_timestamp,
            )
            for key, value in each.tags.items():
                self.tx.execute(versions.UPSERT_TAG, model=number, version=version, key=key, value=value)

    # -- logged models ------------------------------------------------------------------------------

    def find_logged_model_changes(self, there: Sequence[LoggedModel]) -> dict[str, list[str]]:
        """Return in words what logged models that are here have otherwise there, by id; params never change."""
        if not there:
            return {}
        rows = self.tx.fetch_all(SELECT_LOGGED_MODELS, model_ids__in=[each.model_id for each in there])
        tags: dict[int, dict[str, str]] = {row[0]: {} for row in rows}
        if rows:
            for model, key, value in self.tx.fetch_all(SELECT_LOGGED_MODEL_TAGS, models__in=list(tags)):
                tags[model][key] = value
        here = {row[1]: (tags[row[0]], row[2]) for row in rows}
        found: dict[str, list[str]] = {}
        for each in there:
            if each.model_id not in here:
                continue
            own_tags, status = here[each.model_id]
            words = [f"tag '{key}'" for key in sorted(_changed(own_tags, each.tags))]
            if status != each.status.number:
                words.insert(0, f"its status is {_status(status)} here and {each.status} there")
            if words:
                found[each.model_id] = words
        return found

    def update_imported_logged_model(self, model: LoggedModel) -> None:
        """Give a logged model the status and tags that it has there by now."""
        row = self.tx.fetch_one(
            UPDATE_LOGGED_MODEL,
            model_id=model.model_id,
            status=model.status.number,
            updated=model.last_updated_timestamp,
        )
        assert row is not None, "it has changes only if it is here"
        if model.tags:
            self.tx.execute_many(logged_models.UPSERT_TAG, [(row[0], *pair) for pair in model.tags.items()])


def otherwise(here: Mapping[str, str], there: Mapping[str, str], what: str) -> list[str]:
    """Return in words what has another value here; what is only on one side is left out."""
    return [
        f"{what} '{key}' is '{_short(here[key])}' here and '{_short(value)}' there"
        for key, value in there.items()
        if key in here and here[key] != value
    ]


def _changed(here: Mapping[str, str], there: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in there.items() if here.get(key) != value}


def _short(text: str) -> str:
    return text if len(text) <= 80 else text[:80] + "..."


def _status(number: int) -> str:
    return next((each.value for each in LoggedModelStatus if each.number == number), str(number))
