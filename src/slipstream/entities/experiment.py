"""Experiments, and the two enumerations that every soft-deleted thing shares."""

import enum

from slipstream.entities.listed import Listed


class LifecycleStage(enum.StrEnum):
    ACTIVE = "active"
    DELETED = "deleted"

    # What code for MLflow asks.
    @classmethod
    def is_valid(cls, lifecycle_stage: str) -> bool:
        return lifecycle_stage in {each.value for each in cls}

    @classmethod
    def view_type_to_stages(cls, view_type: "int | ViewType" = 3) -> "list[LifecycleStage]":
        """Return the stages that a view shows."""
        return [each for each in cls if cls.matches_view_type(view_type, each)]

    @classmethod
    def matches_view_type(cls, view_type: "int | ViewType", lifecycle_stage: str) -> bool:
        view, stage = ViewType(view_type), cls(lifecycle_stage)
        return view is ViewType.ALL or (view is ViewType.ACTIVE_ONLY) == (stage is cls.ACTIVE)


class ViewType(enum.IntEnum):
    """Which lifecycle stages a search shows; numbers as on MLflow's wire."""

    ACTIVE_ONLY = 1
    DELETED_ONLY = 2
    ALL = 3

    # The names as MLflow's code converts them.
    @classmethod
    def to_string(cls, view_type: "int | ViewType") -> str:
        return cls(view_type).name.lower()

    @classmethod
    def from_string(cls, view_str: str) -> "ViewType":
        return cls[view_str.upper()]


class Experiment(Listed, frozen=True, kw_only=True):
    """A named group of runs with a place for their artifacts."""

    experiment_id: str
    """Decimal digits; a string because MLflow's is."""
    name: str
    artifact_location: str
    lifecycle_stage: str = "active"
    creation_time: int
    last_update_time: int
    tags: dict[str, str] = {}
