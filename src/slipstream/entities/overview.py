"""What a first look at a server shows: experiments with what goes on in them, and what happens now."""

import msgspec

from slipstream.entities.experiment import LifecycleStage, ViewType


class OverviewRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Some of all experiments, those with the latest activity first."""

    search: str | None = None
    """Only those whose name contains all of these words, in whatever case."""
    view_type: ViewType = ViewType.ACTIVE_ONLY
    offset: int = 0
    limit: int = 100


class ExperimentOverview(msgspec.Struct, frozen=True, kw_only=True):
    experiment_id: str
    name: str
    lifecycle_stage: LifecycleStage
    creation_time: int
    last_activity: int
    """When its latest run began, or it was changed itself."""
    runs: int
    """Of those that are not deleted."""
    running: int
    tags: dict[str, str] = {}
    """With its description (`mlflow.note.content`)."""


class ExperimentOverviews(msgspec.Struct, frozen=True, kw_only=True):
    total: int
    offset: int
    cursor: int
    experiments: list[ExperimentOverview]


class RecentRun(msgspec.Struct, frozen=True, kw_only=True):
    run_id: str
    name: str
    experiment_id: str
    experiment_name: str
    status: str
    user_id: str
    start_time: int
    end_time: int | None = None
    reason: str | None = None
    """Why it ended, if its program did not end it."""
    beat_time: int | None = None
    """When it last gave a sign of life."""
    step: int | None = None
    """The largest step of its metrics."""
    logged_time: int | None = None
    """When the latest point of its metrics was measured."""


class ModelInUse(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    last_updated: int
    aliases: dict[str, str] = {}
    """Versions by alias."""
    stages: dict[str, str] = {}
    """The latest version of each stage, without `None`."""
    latest_version: str | None = None


class Activity(msgspec.Struct, frozen=True, kw_only=True):
    """What happens on a server, and happened lately."""

    cursor: int
    running: list[RecentRun]
    finished: list[RecentRun]
    failed: list[RecentRun]
    """Or killed."""
    experiments: list[ExperimentOverview]
    models: list[ModelInUse]
