"""Registered models and their versions."""

import enum

from slipstream.entities.listed import Listed


class ModelVersionStatus(enum.StrEnum):
    PENDING_REGISTRATION = "PENDING_REGISTRATION"
    FAILED_REGISTRATION = "FAILED_REGISTRATION"
    READY = "READY"


class ModelVersion(Listed, frozen=True, kw_only=True):
    name: str
    version: str
    """Decimal digits, counting from 1 within a model; a string because MLflow's is on the wire."""
    creation_timestamp: int
    last_updated_timestamp: int
    current_stage: str = "None"
    description: str | None = None
    source: str = ""
    run_id: str = ""
    run_link: str = ""
    status: str = "READY"
    model_id: str | None = None
    tags: dict[str, str] = {}
    aliases: list[str] = []


class RegisteredModel(Listed, frozen=True, kw_only=True):
    name: str
    creation_timestamp: int
    last_updated_timestamp: int
    description: str | None = None
    latest_versions: list[ModelVersion] = []
    """The newest version of each stage that has one."""
    tags: dict[str, str] = {}
    aliases: dict[str, str] = {}
    """Version by alias."""
