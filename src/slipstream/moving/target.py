"""Where an import goes: a store whose database this process opens; in a dry run, one that is only looked at."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from slipstream.entities import Experiment, RegisteredModel
from slipstream.store.config import StoreConfig
from slipstream.store.engine import Engine
from slipstream.store.import_records import ImportedVersion, PlacedExperiment, PlacedModel
from slipstream.store.sql import SqlStore

T = TypeVar("T")

Read = Callable[[Callable[[SqlStore], object]], object]
"""Runs a function of a store that only reads."""


class Target:
    """A store that is written to, or with `is_dry` only looked at.

    Args:
        config: what the store is told.
        engine: what writes; `None` in a dry run.
        look: how a dry run reads; `None` where there is no store yet.
    """

    def __init__(self, config: StoreConfig, engine: Engine | None, look: Read | None = None) -> None:
        self._config = config
        self._engine = engine
        self._look = look
        self._next_id = 10**9
        """For experiments of a dry run, whose ids nobody has given yet."""

    @property
    def is_dry(self) -> bool:
        return self._engine is None

    def location(self, *parts: str) -> str:
        """Return a place below the artifact root."""
        return self._config.location(*parts)

    def read(self, run: Callable[[SqlStore], T], otherwise: T) -> T:
        """Read; `otherwise` is the answer of a store that is not there."""
        if self._engine is not None:
            return self._engine.read(run)
        if self._look is None:
            return otherwise
        answers: list[T] = []
        self._look(lambda store: answers.append(run(store)))
        return answers[0]

    def write(self, run: Callable[[SqlStore], T]) -> T:
        assert self._engine is not None, "a dry run does not write"
        return self._engine.write(run)

    def write_unless_dry(self, run: Callable[[SqlStore], T], otherwise: T) -> T:
        return otherwise if self._engine is None else self._engine.write(run)

    def place_experiment(
        self, experiment: Experiment, *, keep_location: bool, update: bool
    ) -> PlacedExperiment:
        if self._engine is not None:
            return self._engine.write(
                lambda store: store.import_experiment(experiment, keep_location=keep_location, update=update)
            )
        found = self.read(lambda store: store.find_experiment_by_name(experiment.name), None)
        if found is None:
            return PlacedExperiment(
                experiment_id=experiment.experiment_id,
                is_new=True,
                is_deleted=experiment.lifecycle_stage == "deleted",
            )
        return PlacedExperiment(
            experiment_id=found.experiment_id,
            is_new=False,
            is_deleted=found.lifecycle_stage == "deleted",
            is_updated=update and {**found.tags, **experiment.tags} != found.tags,
        )

    def place_model(
        self, model: RegisteredModel, versions: Sequence[ImportedVersion], last_version: int, *, update: bool
    ) -> PlacedModel:
        if self._engine is not None:
            return self._engine.write(
                lambda store: store.import_registered_model(model, versions, last_version, update=update)
            )
        numbers = [each.version.version for each in versions]
        known = self.read(lambda store: store.find_version_numbers(model.name), None)
        if known is None:
            return PlacedModel(is_new=True, new_versions=numbers)
        theirs = [each.version for each in versions]
        changes = self.read(lambda store: store.find_model_changes(model, theirs), None) if update else None
        return PlacedModel(
            is_new=False,
            is_updated=changes is not None and changes.of_model,
            updated_versions=[] if changes is None else list(changes.versions),
            new_versions=[each for each in numbers if each not in known],
            known_versions=[each for each in numbers if each in known],
        )
