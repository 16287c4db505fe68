"""Experiments, and the two enumerations that every soft-deleted thing shares."""

import enum

import msgspec


class LifecycleStage(enum.StrEnum):
    ACTIVE = "active"
    DELETED = "deleted"


class ViewType(enum.IntEnum):
    """Which lifecycle stages a search shows; numbers as on MLflow's wire."""

    ACTIVE_ONLY = 1
    DELETED_ONLY = 2
    ALL = 3


class Experiment(msgspec.Struct, frozen=True, kw_only=True):
    """A named group of runs with a place for their artifacts."""

    experiment_id: str
    """Decimal digits; a string because MLflow's is."""
    name: str
    artifact_location: str
    lifecycle_stage: str = "active"
    creation_time: int
    last_update_time: int
    tags: dict[str, str] = {}
