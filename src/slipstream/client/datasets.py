"""Datasets to be logged as a run's input: name, digest, schema and profile of data that stays where it is."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, cast
from urllib.parse import urlsplit

from slipstream.client.context import resolve_tags
from slipstream.client.scratch import make_scratch_folder, writing_to
from slipstream.entities import Dataset, DatasetInput, InputTag
from slipstream.errors import ConnectionFailedError, InvalidParameterError, MissingDependencyError

CONTEXT_TAG = "mlflow.data.context"
DEFAULT_NAME = "dataset"
LONGEST_DIGEST = 36
_DIGEST_LENGTH = 16
# Schemes that have a source type of their own in MLflow, and the key of their address.
_SOURCE_TYPES = {
    "": ("local", "uri"),
    "file": ("local", "uri"),
    "http": ("http", "url"),
    "https": ("http", "url"),
    "s3": ("s3", "uri"),
    "gs": ("gs", "uri"),
    "hdfs": ("hdfs", "uri"),
}
_LOADABLE = frozenset(kind for kind, _ in _SOURCE_TYPES.values())
_FETCH_SECONDS = 60
_NUMBERS = {
    "int8": "integer",
    "int16": "integer",
    "int32": "integer",
    "int64": "long",
    "uint8": "integer",
    "uint16": "integer",
    "uint32": "long",
    "float16": "float",
    "float32": "float",
    "float64": "double",
    "bool": "boolean",
    "boolean": "boolean",
    "category": "string",
    "string": "string",
    "str": "string",
}


@dataclass(frozen=True)
class DatasetSource:
    """Where data comes from: a kind, and a JSON object whose form the kind says."""

    type: str
    document: dict[str, Any]

    def to_json(self) -> str:
        return json.dumps(self.document)

    def to_dict(self) -> dict[str, Any]:
        return self.document

    def load(self, dst_path: str | None = None) -> str:
        """Return a local path of the data; what is elsewhere, or with `dst_path` all, is copied into that folder first.

        Raises:
            InvalidParameterError: the source is a program, a table or another thing without an address.
            ConnectionFailedError: a web server does not give it.
        """
        from slipstream.client.artifacts import download_artifacts, download_folder

        address = self.document.get("uri") or self.document.get("url")
        if self.type not in _LOADABLE or not isinstance(address, str):
            raise InvalidParameterError(
                f"A source of type '{self.type}' has no address to load from: {self.to_json()}. Load it with what made it."
            )
        if self.type == "http":
            return _fetch(address, Path(dst_path or make_scratch_folder("", download_folder())))
        return download_artifacts(address, dst_path=dst_path)


def _fetch(url: str, folder: Path) -> str:
    """Load a file from a web server; `url` begins with http: or https:, as the source's type says."""
    import shutil
    import urllib.request

    target = folder / (PurePosixPath(urlsplit(url).path).name or "dataset")
    if urlsplit(url).scheme not in ("http", "https"):
        raise InvalidParameterError(f"Dataset source '{url}' is no web address.")
    try:
        with (
            urllib.request.urlopen(url, timeout=_FETCH_SECONDS) as answer,  # noqa: S310  # the scheme was looked at
            writing_to(folder),
            target.open("wb") as file,
        ):
            shutil.copyfileobj(answer, file)
    except OSError as error:  # of the network and of HTTP, too
        raise ConnectionFailedError(f"The data set at '{url}' cannot be loaded: {error}.") from error
    return str(target)


@dataclass(frozen=True, eq=False)
class TrackedDataset:
    """Data in memory with what identifies and describes it. Made by `from_pandas`, `from_numpy`, `from_polars`."""

    name: str
    digest: str
    """Equal for equal data, whatever made it."""
    source: DatasetSource
    schema: dict[str, Any] | None
    profile: dict[str, Any]
    data: Any
    targets: Any = None
    predictions: str | None = None

    @property
    def df(self) -> Any:
        """The data frame, of a dataset made from one."""
        return self.data

    @property
    def features(self) -> Any:
        """The arrays, of a dataset made from them."""
        return self.data

    def to_dict(self) -> dict[str, str | None]:
        """Return what is logged, as MLflow's JSON object."""
        entity = self._to_entity()
        return {
            "name": entity.name,
            "digest": entity.digest,
            "source": entity.source,
            "source_type": entity.source_type,
            "schema": entity.schema,
            "profile": entity.profile,
        }

    def to_json(self) -> str:
        return json.dumps(self.to_dict())

    def _to_entity(self) -> Dataset:
        return Dataset(
            name=self.name,
            digest=self.digest,
            source_type=self.source.type,
            source=self.source.to_json(),
            schema=None if self.schema is None else json.dumps(self.schema),
            profile=json.dumps(self.profile),
        )

    _to_mlflow_entity = _to_entity
    """Under the name that code for MLflow calls."""


def from_pandas(
    df: Any,
    source: str | DatasetSource | None = None,
    targets: str | None = None,
    name: str | None = None,
    digest: str | None = None,
    predictions: str | None = None,
) -> TrackedDataset:
    """Describe a pandas data frame; nothing is copied.

    Args:
        df: The data frame.
        source: Path or URL that it was read from; without one, the program that makes it is the source.
        targets: Column with the labels.
        name: Name to log it under; `dataset` by default.
        digest: Up to 36 characters that identify the data; made from all of it by default.
        predictions: Column with predictions.

    Raises:
        InvalidParameterError: a column does not exist, the digest is too long, or the source is of no
            known kind.
    """
    for role, column in (("targets", targets), ("predictions", predictions)):
        if column is not None and column not in df.columns:
            raise InvalidParameterError(
                f"The data frame has no column '{column}' for '{role}'. "
                f"It has: {', '.join(map(str, df.columns))}."
            )
    columns = [_describe_column(label, df[label]) for label in df.columns]
    return TrackedDataset(
        name=name or DEFAULT_NAME,
        digest=_checked_digest(digest) if digest is not None else _digest_frame(df),
        source=_to_source(source),
        schema=None if any(each is None for each in columns) else {"mlflow_colspec": columns},
        profile={"num_rows": len(df), "num_elements": int(df.size)},
        data=df,
        targets=targets,
        predictions=predictions,
    )


def from_numpy(
    features: Any,
    source: str | DatasetSource | None = None,
    targets: Any = None,
    name: str | None = None,
    digest: str | None = None,
) -> TrackedDataset:
    """Describe an array, or a dictionary of arrays; nothing is copied. Arguments as in `from_pandas`."""
    parts = [("features", features)] + ([("targets", targets)] if targets is not None else [])
    profile: dict[str, Any] = {}
    for role, part in parts:
        profile[f"{role}_shape"] = _each(part, _shape)
        profile[f"{role}_size"] = _each(part, _size)
        profile[f"{role}_nbytes"] = _each(part, _bytes)
    return TrackedDataset(
        name=name or DEFAULT_NAME,
        digest=_checked_digest(digest) if digest is not None else _digest_arrays(parts),
        source=_to_source(source),
        schema={
            "mlflow_tensorspec": {
                "features": json.dumps(_tensor_specs(features)),
                "targets": None if targets is None else json.dumps(_tensor_specs(targets)),
            }
        },
        profile=profile,
        data=features,
        targets=targets,
    )


def from_polars(
    df: Any,
    source: str | DatasetSource | None = None,
    targets: str | None = None,
    name: str | None = None,
    digest: str | None = None,
    predictions: str | None = None,
) -> TrackedDataset:
    """Describe a polars data frame; arguments as in `from_pandas`, whose digest equal data has.

    Raises:
        MissingDependencyError: pandas or pyarrow is not installed, through which it is read.
    """
    try:
        frame = df.to_pandas()
    except ImportError as error:
        raise MissingDependencyError(
            "A polars frame is described through pandas: pip install pandas pyarrow."
        ) from error
    return replace(from_pandas(frame, source, targets, name, digest, predictions), data=df)


def get_source(dataset: Any) -> DatasetSource:
    """Return where a dataset comes from: one made here, or one that a run has as its input.

    Raises:
        InvalidParameterError: it is neither, or what is stored of its source is no JSON object.
    """
    if isinstance(dataset, TrackedDataset):
        return dataset.source
    entity = dataset.dataset if isinstance(dataset, DatasetInput) else dataset
    if not isinstance(entity, Dataset):
        raise InvalidParameterError(
            "A dataset's source is asked of a dataset, or of an entry of run.inputs.dataset_inputs, "
            f"not of a {type(dataset).__name__}."
        )
    try:
        document: Any = json.loads(entity.source)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise InvalidParameterError(
            f"The source of dataset '{entity.name}' is no JSON object but '{entity.source}'."
        )
    return DatasetSource(entity.source_type, cast("dict[str, Any]", document))


def to_dataset_input(
    dataset: Any, context: str | None = None, tags: dict[str, str] | None = None
) -> DatasetInput:
    """Return a dataset (ours, an entity, or an object with MLflow's conversion method) as a run's input."""
    if isinstance(dataset, Dataset):
        entity = dataset
    elif callable(getattr(dataset, "_to_mlflow_entity", None)):
        made = dataset._to_mlflow_entity()
        entity = Dataset(
            name=made.name,
            digest=made.digest,
            source_type=made.source_type,
            source=made.source,
            schema=made.schema,
            profile=made.profile,
        )
    else:
        raise InvalidParameterError(
            "A dataset must come from slipstream.data (from_pandas, from_numpy), "
            f"not be a {type(dataset).__name__}."
        )
    all_tags = [InputTag(str(key), str(value)) for key, value in (tags or {}).items()]
    if context is not None:
        all_tags.append(InputTag(CONTEXT_TAG, context))
    return DatasetInput(dataset=entity, tags=all_tags)


# -- inside -----------------------------------------------------------------------------------------


def _checked_digest(digest: str) -> str:
    if not 0 < len(digest) <= LONGEST_DIGEST:
        raise InvalidParameterError(
            f"A dataset's digest must have 1 to {LONGEST_DIGEST} characters; '{digest}' has {len(digest)}."
        )
    return digest


def _to_source(source: str | DatasetSource | None) -> DatasetSource:
    if isinstance(source, DatasetSource):
        return source
    if source is None:
        return DatasetSource("code", {"tags": resolve_tags()})
    scheme = urlsplit(str(source)).scheme
    # One letter is a drive of Windows.
    kind = _SOURCE_TYPES.get("" if len(scheme) == 1 else scheme)
    if kind is None:
        raise InvalidParameterError(
            f"Dataset source '{source}' is of no known kind. Pass a path, a URL of "
            f"{', '.join(each for each in _SOURCE_TYPES if each)}, or a DatasetSource."
        )
    return DatasetSource(kind[0], {kind[1]: str(source)})


def _shape(array: Any) -> list[int]:
    return list(array.shape)


def _size(array: Any) -> int:
    return int(array.size)


def _bytes(array: Any) -> int:
    return int(array.nbytes)


def _each(part: Any, function: Callable[[Any], Any]) -> Any:
    if isinstance(part, dict):
        return {str(key): function(array) for key, array in part.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return function(part)


def _tensor_specs(part: Any) -> list[dict[str, Any]]:
    def describe(array: Any) -> dict[str, Any]:
        kind = array.dtype.kind
        dtype = "str" if kind == "U" else "bytes" if kind == "S" else str(array.dtype)
        return {"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": [-1, *array.shape[1:]]}}

    if isinstance(part, dict):
        return [{"name": str(key), **describe(array)} for key, array in part.items()]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return [describe(part)]


def _describe_column(label: Any, column: Any) -> dict[str, Any] | None:
    """Return a column's entry in the schema, `None` if its values have no simple type."""
    kind = _NUMBERS.get(str(column.dtype).lower())
    if kind is None and str(column.dtype).startswith("datetime64"):
        kind = "datetime"
    elif kind is None and str(column.dtype).startswith(("string", "large_string")):
        kind = "string"
    elif kind is None and column.dtype == object:
        present = [value for value in column if value is not None and value == value]  # noqa: PLR0124  # not NaN
        if all(isinstance(value, str) for value in present):
            kind = "string"
        elif all(isinstance(value, (bytes, bytearray)) for value in present):
            kind = "binary"
        elif all(isinstance(value, bool) for value in present):
            kind = "boolean"
    if kind is None:
        return None
    name = label if isinstance(label, (str, int)) else str(label)
    return {"type": kind, "name": name, "required": not bool(column.isna().any())}


def _digest_frame(df: Any) -> str:
    import pandas

    content = hashlib.sha256()
    content.update(f"{len(df)}".encode())
    for label in df.columns:
        column = df[label]
        content.update(f"\0{label}\0{column.dtype}\0".encode())
        try:
            hashes: Any = pandas.util.hash_pandas_object(column, index=False)
        except TypeError:  # lists and dictionaries have no hash
            hashes = pandas.util.hash_pandas_object(column.map(repr), index=False)
        content.update(hashes.to_numpy().tobytes())
    return content.hexdigest()[:_DIGEST_LENGTH]


def _digest_arrays(parts: list[tuple[str, Any]]) -> str:
    import numpy as np

    content = hashlib.sha256()

    def add(name: str, array: Any) -> None:
        content.update(f"\0{name}\0{array.dtype}\0{array.shape}\0".encode())
        if array.dtype == object:
            content.update(repr(array.tolist()).encode())
        else:
            content.update(np.ascontiguousarray(array).tobytes())

    for role, part in parts:
        if isinstance(part, dict):
            arrays = cast("dict[Any, Any]", part)
            for key in sorted(arrays, key=str):
                add(f"{role}.{key}", arrays[key])
        else:
            add(role, part)
    return content.hexdigest()[:_DIGEST_LENGTH]
