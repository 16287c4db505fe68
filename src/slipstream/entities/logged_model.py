"""Logged models: a model that a run made, before and beside any registration."""

import enum

from slipstream.entities.listed import Listed
from slipstream.entities.run import Metric


class LoggedModelStatus(enum.StrEnum):
    UNSPECIFIED = "UNSPECIFIED"
    PENDING = "PENDING"
    READY = "READY"
    FAILED = "FAILED"

    @property
    def number(self) -> int:
        """The number in MLflow's enumeration, which its filters compare with."""
        return {"UNSPECIFIED": 0, "PENDING": 1, "READY": 2, "FAILED": 3}[self.value]


class LoggedModel(Listed, frozen=True, kw_only=True):
    model_id: str
    experiment_id: str
    name: str
    artifact_location: str
    creation_timestamp: int
    last_updated_timestamp: int
    model_type: str | None = None
    source_run_id: str | None = None
    status: LoggedModelStatus = LoggedModelStatus.PENDING
    tags: dict[str, str] = {}
    params: dict[str, str] = {}
    metrics: list[Metric] = []

    @property
    def model_uri(self) -> str:
        return f"models:/{self.model_id}"
