"""Which changes of the registry are events for webhooks, and what they say; the list is MLflow's.

A prompt is a registered model with a tag, and has events of its own instead of a model's.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, LiteralString

from slipstream.db.base import Transaction
from slipstream.entities import ModelVersion
from slipstream.rules import registry

SELECT_PROMPT_TAG: LiteralString = """
    SELECT t.value FROM registered_model_tags t JOIN registered_models m ON m.id = t.model
    WHERE m.name = :name AND t.key = :key
"""
_TEXT_TAG = "mlflow.prompt.text"
_INNER_TAGS = frozenset({registry.PROMPT_TAG, "_mlflow_prompt_type"})
"""Tags by which MLflow's clients tell prompts from models, and kinds of prompts; events leave them out."""


class RegistryEventsPart:
    tx: Transaction

    if TYPE_CHECKING:  # in store/webhooks.py

        def queue_event(
            self,
            entities: Sequence[str],
            action: str,
            choose: Callable[[], tuple[str, Mapping[str, object]]],
        ) -> None: ...

    def announce_model(self, name: str, tags: Mapping[str, str], description: str | None) -> None:
        """A registered model, or a prompt, was created."""
        entity, told = "registered_model", dict(tags)
        if _says_prompt(tags):
            entity = "prompt"
            told = {key: value for key, value in tags.items() if key not in _INNER_TAGS}
        data = {"name": name, "tags": told, "description": description or ""}
        self.queue_event([entity], "created", lambda: (entity, data))

    def announce_version(
        self, version: ModelVersion, tags: Mapping[str, str], description: str | None
    ) -> None:
        """A version of a model or of a prompt was created."""
        entity = "prompt_version" if _says_prompt(tags) else "model_version"

        def tell() -> tuple[str, Mapping[str, object]]:
            named: dict[str, object] = {"name": version.name, "version": version.version}
            if entity == "prompt_version":
                named["template"] = tags.get(_TEXT_TAG)
                told = {key: value for key, value in tags.items() if key not in _INNER_TAGS | {_TEXT_TAG}}
            else:
                named |= {"source": version.source, "run_id": version.run_id or None}
                told = dict(tags)
            return entity, {**named, "tags": told, "description": description or None}

        self.queue_event([entity], "created", tell)

    def announce_model_tag(self, action: str, name: str, key: str, value: str | None = None) -> None:
        """A tag of a registered model was set or deleted; only that of a prompt is an event."""
        data = _without_none({"name": name, "key": key, "value": value})
        self.queue_event(
            ["prompt_tag"], action, lambda: ("prompt_tag" if self._is_prompt(name) else "", data)
        )

    def announce_version_tag(
        self, action: str, name: str, version: int, key: str, value: str | None = None
    ) -> None:
        """A tag of a version was set or deleted."""
        data = _without_none({"name": name, "version": str(version), "key": key, "value": value})
        self._announce("model_version_tag", "prompt_version_tag", action, data)

    def announce_alias(self, action: str, name: str, alias: str, version: int | None = None) -> None:
        """An alias was pointed to a version, or deleted."""
        shown = None if version is None else str(version)
        data = _without_none({"name": name, "alias": alias, "version": shown})
        self._announce("model_version_alias", "prompt_alias", action, data)

    def _announce(self, of_model: str, of_prompt: str, action: str, data: Mapping[str, str]) -> None:
        def tell() -> tuple[str, Mapping[str, object]]:
            return of_prompt if self._is_prompt(data["name"]) else of_model, data

        self.queue_event([of_model, of_prompt], action, tell)

    def _is_prompt(self, name: str) -> bool:
        row = self.tx.fetch_one(SELECT_PROMPT_TAG, name=name, key=registry.PROMPT_TAG)
        return row is not None and row[0].lower() == "true"


def _says_prompt(tags: Mapping[str, str]) -> bool:
    return tags.get(registry.PROMPT_TAG, "").lower() == "true"


def _without_none(data: Mapping[str, str | None]) -> dict[str, str]:
    return {key: value for key, value in data.items() if value is not None}
