"""What a run was before: tails of metrics that were left behind, and earlier values of params."""

import msgspec

from slipstream.entities.run import Metric


class RunBranch(msgspec.Struct, frozen=True, kw_only=True):
    """A tail that a run left behind when it was resumed from an earlier step. Its points stay readable."""

    number: int
    """Counts from 1 within the run."""
    from_step: int
    """The step that the run was resumed from: points of this step and later ones were left behind."""
    created_time: int
    undone_time: int | None = None
    """When the points went back into the run's metrics; `None` if they did not."""
    latest_metrics: list[Metric] = []
    """The latest point of each metric that was left behind; none once it is undone."""


class ParamVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A value that a param of a run has or had."""

    key: str
    value: str
    since_time: int | None = None
    """When it replaced the value before; `None` for the first value."""
    replaced_time: int | None = None
    """When another value replaced it; `None` for the one that counts now."""


class RunCopy(msgspec.Struct, frozen=True, kw_only=True):
    """Which run is copied, and what id the copy gets. The same request again makes no second copy."""

    run_id: str
    new_run_id: str
