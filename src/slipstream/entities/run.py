"""Runs, and what is logged to them."""

import enum

from slipstream.entities.dataset import RunInputs, RunOutputs
from slipstream.entities.listed import Listed


class RunStatus(enum.StrEnum):
    RUNNING = "RUNNING"
    SCHEDULED = "SCHEDULED"
    FINISHED = "FINISHED"
    FAILED = "FAILED"
    KILLED = "KILLED"

    @property
    def is_terminal(self) -> bool:
        return self in (RunStatus.FINISHED, RunStatus.FAILED, RunStatus.KILLED)

    # MLflow's numbers its statuses; code for it converts them, and asks of either form.
    @staticmethod
    def to_string(status: "str | RunStatus") -> str:
        return RunStatus(status).value

    @staticmethod
    def from_string(status_str: str) -> "RunStatus":
        return RunStatus(status_str)

    @staticmethod
    def is_terminated(status: "str | RunStatus") -> bool:
        return RunStatus(status).is_terminal

    @staticmethod
    def all_status() -> "list[RunStatus]":
        return list(RunStatus)


class Metric(Listed, frozen=True, gc=False):
    """One measured value at one step of a run."""

    key: str
    value: float
    """May be NaN or infinite; kept exactly."""
    timestamp: int
    """Unix milliseconds."""
    step: int = 0
    model_id: str | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None
    run_id: str | None = None
    """Filled only where points of several runs come together."""


class Param(Listed, frozen=True, gc=False):
    key: str
    value: str


class RunTag(Listed, frozen=True, gc=False):
    key: str
    value: str


class RunInfo(Listed, frozen=True, kw_only=True):
    run_id: str
    experiment_id: str
    run_name: str
    user_id: str
    status: str
    start_time: int
    end_time: int | None = None
    lifecycle_stage: str = "active"
    artifact_uri: str

    @property
    def run_uuid(self) -> str:
        """The run id under its oldest name."""
        return self.run_id


class RunData(Listed, frozen=True, kw_only=True):
    """What a run logged: latest value of each metric, params, tags."""

    latest_metrics: list[Metric] = []
    """For each key the point with the largest (step, timestamp, value)."""
    params: dict[str, str] = {}
    tags: dict[str, str] = {}

    @classmethod
    def _listed(cls) -> tuple[str, ...]:
        return ("metrics", "params", "tags")

    @property
    def metrics(self) -> dict[str, float]:
        """Latest value by key."""
        return {point.key: point.value for point in self.latest_metrics}


class Run(Listed, frozen=True, kw_only=True):
    info: RunInfo
    data: RunData
    inputs: RunInputs = RunInputs()
    outputs: RunOutputs = RunOutputs()
