"""Entities of MLflow's that slipstream itself has no use for: it keeps these pairs in dictionaries."""

import enum

import msgspec


class ExperimentTag(msgspec.Struct, frozen=True):
    key: str
    value: str


class LoggedModelTag(msgspec.Struct, frozen=True):
    key: str
    value: str


class LoggedModelParameter(msgspec.Struct, frozen=True):
    key: str
    value: str


class ModelVersionTag(msgspec.Struct, frozen=True):
    key: str
    value: str


class RegisteredModelTag(msgspec.Struct, frozen=True):
    key: str
    value: str


class RegisteredModelAlias(msgspec.Struct, frozen=True):
    alias: str
    version: str


class SourceType(enum.IntEnum):
    """What started a run."""

    NOTEBOOK = 1
    JOB = 2
    PROJECT = 3
    LOCAL = 4
    UNKNOWN = 5

    @staticmethod
    def to_string(status: int) -> str:
        return SourceType(status).name

    @staticmethod
    def from_string(status_str: str) -> "SourceType":
        return SourceType[status_str]
