"""What a run read and what it made: datasets and models."""

import msgspec

from slipstream.entities.listed import Listed


class Dataset(Listed, frozen=True):
    """A dataset as it was when a run read it; (experiment, name, digest) identifies it."""

    name: str
    digest: str
    source_type: str
    source: str
    """Where it came from, a JSON text whose form depends on `source_type`."""
    schema: str | None = None
    profile: str | None = None


class InputTag(Listed, frozen=True):
    key: str
    value: str


class DatasetInput(Listed, frozen=True):
    dataset: Dataset
    tags: list[InputTag] = []


class LoggedModelInput(Listed, frozen=True):
    model_id: str


class LoggedModelOutput(Listed, frozen=True):
    model_id: str
    step: int = 0


class RunInputs(Listed, frozen=True, kw_only=True):
    dataset_inputs: list[DatasetInput] = []
    model_inputs: list[LoggedModelInput] = []


class RunOutputs(Listed, frozen=True, kw_only=True):
    model_outputs: list[LoggedModelOutput] = []


class DatasetSummary(msgspec.Struct, frozen=True, kw_only=True):
    experiment_id: str
    name: str
    digest: str
    context: str | None = None
