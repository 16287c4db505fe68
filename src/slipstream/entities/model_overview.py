"""Registered models and their versions as pages list them: with the numbers of the runs that made them."""

import msgspec

from slipstream.entities.registered_model import ModelVersion


class LeadingVersion(msgspec.Struct, frozen=True, kw_only=True):
    """The version that stands for a model: the one in production, if that can be told."""

    version: str
    why: str
    """The alias or stage that makes it so; `latest` where none does."""
    run_id: str | None = None
    metrics: dict[str, float] = {}
    """The last values of its run: those asked for, or the first few that are not the system's."""


class ModelOverview(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    creation_timestamp: int
    last_updated_timestamp: int
    description: str | None = None
    versions: int = 0
    latest_version: str | None = None
    tags: dict[str, str] = {}
    aliases: dict[str, str] = {}
    """Version by alias."""
    leading: LeadingVersion | None = None


class ModelOverviews(msgspec.Struct, frozen=True, kw_only=True):
    """Some of all models that a search finds, by their place, with the exact number of all."""

    total: int
    offset: int
    models: list[ModelOverview] = []
    cursor: int = 0
    """The state of the database that this shows: `events` tells what has changed since."""


class VersionRun(msgspec.Struct, frozen=True, kw_only=True):
    """The run that a version was made by, as far as a list of versions shows it."""

    run_id: str
    run_name: str
    experiment_id: str
    user_id: str
    status: str
    lifecycle_stage: str
    metrics: dict[str, float] = {}
    """The last values: those asked for, or the first few that are not the system's."""


class VersionOverview(msgspec.Struct, frozen=True, kw_only=True):
    version: ModelVersion
    run: VersionRun | None = None
    """None also where the run is on another server, or was removed."""


class VersionOverviews(msgspec.Struct, frozen=True, kw_only=True):
    """Some of all versions of a model, by their place, with the exact number of all."""

    total: int
    offset: int
    versions: list[VersionOverview] = []
    cursor: int = 0
    """As of `ModelOverviews`."""
