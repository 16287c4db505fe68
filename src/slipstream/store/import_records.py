"""What an import gives to the store, and what it is told."""

import msgspec

from slipstream.entities import ModelVersion


class PlacedExperiment(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an experiment."""

    experiment_id: str
    """Its id here."""
    is_new: bool
    is_deleted: bool = False
    is_updated: bool = False
    differences: list[str] = []
    """What is otherwise here, and stayed."""


class ImportedVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A version of a registered model, and the place of its files, which `ModelVersion` does not tell."""

    version: ModelVersion
    storage_location: str


class PlacedModel(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a registered model and its versions."""

    is_new: bool
    new_versions: list[str] = []
    known_versions: list[str] = []
    refused: list[tuple[str, str]] = []
    """Version and reason: its number is another version's here."""
    is_updated: bool = False
    updated_versions: list[str] = []
    version_differences: dict[str, list[str]] = {}
    differences: list[str] = []
    """What is otherwise here, and stayed."""
