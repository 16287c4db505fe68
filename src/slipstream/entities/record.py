"""What a client has logged and not yet delivered: one record a call, written down first and sent later.

Records of one writer are numbered from 1 in the order in which they were written. They are arrays in JSON, so that a spool
can be read with the eyes, and small: one is written for each call in a training loop.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from slipstream.entities.dataset import Dataset, DatasetInput, InputTag, LoggedModelOutput

UNDELIVERED = "mlflow-artifacts:/undelivered"
"""Where the files of a model are said to be whose server has not heard of it yet; it is put right at delivery."""
Value = float | str
"""A metric's value; NaN and infinities are texts in JSON."""
Fields = tuple[str, Value, int, int]
"""Key, value, timestamp, step."""


class PointRecord(msgspec.Struct, frozen=True, array_like=True, tag="point", gc=False):
    """One point of one metric."""

    run_id: str
    key: str
    value: Value
    timestamp: int
    step: int = 0
    model_id: str | None = None
    dataset_name: str | None = None
    dataset_digest: str | None = None


class BatchRecord(msgspec.Struct, frozen=True, array_like=True, tag="batch"):
    """Several values of one run: all of them or none."""

    run_id: str
    points: list[Fields] = []
    params: dict[str, str] = {}
    tags: dict[str, str] = {}


class RunRecord(msgspec.Struct, frozen=True, array_like=True, tag="run"):
    """A run that began while its server was away. Its experiment is known by id, or only by name."""

    run_id: str
    run_name: str
    user_id: str
    start_time: int
    tags: dict[str, str]
    experiment_id: str | None = None
    experiment_name: str | None = None


class UpdateRecord(msgspec.Struct, frozen=True, array_like=True, tag="update"):
    """A new status, end or name of a run."""

    run_id: str
    status: str | None = None
    end_time: int | None = None
    run_name: str | None = None


class UntagRecord(msgspec.Struct, frozen=True, array_like=True, tag="untag"):
    """A tag of a run is gone."""

    run_id: str
    key: str


class ParamsRecord(msgspec.Struct, frozen=True, array_like=True, tag="params"):
    """Params of a run that may replace other values, and when they did."""

    run_id: str
    params: dict[str, str]
    timestamp: int


class InputsRecord(msgspec.Struct, frozen=True, array_like=True, tag="inputs"):
    """What a run read: data sets as (name, digest, source type, source, schema, profile, tags), models by id."""

    run_id: str
    datasets: list[tuple[str, str, str, str, str | None, str | None, dict[str, str]]] = []
    models: list[str] = []

    @staticmethod
    def of(run_id: str, datasets: Sequence[DatasetInput], models: Sequence[str]) -> "InputsRecord":
        fields = [
            (
                each.dataset.name,
                each.dataset.digest,
                each.dataset.source_type,
                each.dataset.source,
                each.dataset.schema,
                each.dataset.profile,
                {tag.key: tag.value for tag in each.tags},
            )
            for each in datasets
        ]
        return InputsRecord(run_id, fields, list(models))

    def to_inputs(self) -> list[DatasetInput]:
        """Return the data sets as stores take them."""
        return [
            DatasetInput(
                dataset=Dataset(
                    name=name,
                    digest=digest,
                    source_type=source_type,
                    source=source,
                    schema=schema,
                    profile=profile,
                ),
                tags=[InputTag(key, value) for key, value in tags.items()],
            )
            for name, digest, source_type, source, schema, profile, tags in self.datasets
        ]


class OutputsRecord(msgspec.Struct, frozen=True, array_like=True, tag="outputs"):
    """Models that a run made, with their steps."""

    run_id: str
    models: list[tuple[str, int]]

    def to_outputs(self) -> list[LoggedModelOutput]:
        """Return the models as stores take them."""
        return [LoggedModelOutput(model, step) for model, step in self.models]


class ModelRecord(msgspec.Struct, frozen=True, array_like=True, tag="model"):
    """A logged model that was begun while its server was away. Its experiment is its run's, else known by id, or only by name."""

    run_id: str
    """Empty for a model of no run."""
    model_id: str
    name: str
    model_type: str | None = None
    tags: dict[str, str] = {}
    params: dict[str, str] = {}
    experiment_id: str | None = None
    experiment_name: str | None = None


class ModelUpdateRecord(msgspec.Struct, frozen=True, array_like=True, tag="model-update"):
    """A new status of a logged model, by its number, and more tags and params."""

    run_id: str
    model_id: str
    status: int | None = None
    tags: dict[str, str] = {}
    params: dict[str, str] = {}


class VersionRecord(msgspec.Struct, frozen=True, array_like=True, tag="version"):
    """A logged model becomes the next version of a registered model, which is made if it is new."""

    run_id: str
    name: str
    model_id: str
    tags: dict[str, str] = {}
    may_be_there: bool = False
    """Whether the version was ordered before and no answer came; then it is not made a second time."""


class FilesRecord(msgspec.Struct, frozen=True, array_like=True, tag="files"):
    """Files of a run that lie in a folder beside the spool. For who sends it: servers get the files, never this."""

    run_id: str
    folder: str
    place: str = ""
    """The storage URI that they go below, where that is known; otherwise the model's, else the run's."""
    model_id: str = ""


class TableRecord(msgspec.Struct, frozen=True, array_like=True, tag="table"):
    """Rows for a table of a run, in a folder beside the spool. For who sends it, as `FilesRecord`."""

    run_id: str
    folder: str
    path: str
    """The table's file below the run's; its ending says how the rows are kept, too."""
    may_be_there: bool = False
    """Whether the rows were sent before and no answer came."""


Record = (
    PointRecord
    | BatchRecord
    | ParamsRecord
    | RunRecord
    | UpdateRecord
    | UntagRecord
    | InputsRecord
    | OutputsRecord
    | ModelRecord
    | ModelUpdateRecord
    | VersionRecord
)
"""What a server takes."""


class RefusedRecord(msgspec.Struct, frozen=True):
    """A record that can never be stored, such as a param with another value."""

    number: int
    error_code: str
    message: str


class DeliveryReceipt(msgspec.Struct, frozen=True):
    """What became of the records of one delivery."""

    stored: int
    """Up to which number the server has the writer's records now."""
    refused: list[RefusedRecord] = []
    repeated: int = 0
    """How many of the delivery it had already."""


def decode_record(text: bytes | msgspec.Raw) -> Record:
    """Return a record from its JSON.

    Raises:
        msgspec.DecodeError: it is none.
    """
    return _DECODER.decode(text)


def decode_files(text: bytes) -> FilesRecord | TableRecord | None:
    """Return a record of files, `None` for one of another kind."""
    return _FILES.decode(text) if text.startswith(_FILES_MARKS) else None


_FILES: "msgspec.json.Decoder[FilesRecord | TableRecord]" = msgspec.json.Decoder(FilesRecord | TableRecord)
_FILES_MARKS = (b'["files",', b'["table",')
_DECODER: "msgspec.json.Decoder[Record]" = msgspec.json.Decoder(Record)
encode_record: Any = msgspec.json.Encoder().encode
