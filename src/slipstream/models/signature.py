"""Signatures: what goes into a model, what comes out, which params it takes; and how to infer them."""

import datetime as dt
import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, cast

from slipstream.errors import InvalidParameterError
from slipstream.models.schema import (
    AnyType,
    Array,
    ColSpec,
    DataType,
    IncompatibleTypesError,
    Object,
    ParamSchema,
    ParamSpec,
    Property,
    Schema,
    TensorSpec,
    ValueType,
    merge_types,
)


class ModelSignature:
    """Input schema, output schema and params schema of a model; each may be absent, not all."""

    def __init__(
        self,
        inputs: Schema | None = None,
        outputs: Schema | None = None,
        params: ParamSchema | None = None,
    ) -> None:
        for name, value, wanted in (
            ("inputs", inputs, Schema),
            ("outputs", outputs, Schema),
            ("params", params, ParamSchema),
        ):
            if value is not None and not isinstance(value, wanted):  # pyright: ignore[reportUnnecessaryIsInstance]
                raise InvalidParameterError(
                    f"{name} of a ModelSignature must be a {wanted.__name__}, got {type(value).__name__}"
                )
        if inputs is None and outputs is None and params is None:
            raise InvalidParameterError("At least one of inputs, outputs or params must be provided")
        self.inputs = inputs
        self.outputs = outputs
        self.params = params
        self.from_type_hint = False
        """The model's own type hints describe and check its input."""
        self.type_hint_from_example = False

    def to_dict(self) -> dict[str, str | None]:
        """Return the form that stands in an MLmodel file: each part a JSON text or `None`."""
        return {
            "inputs": self.inputs.to_json() if self.inputs else None,
            "outputs": self.outputs.to_json() if self.outputs else None,
            "params": self.params.to_json() if self.params else None,
        }

    @classmethod
    def from_dict(cls, signature_dict: Mapping[str, Any]) -> "ModelSignature":
        """Read the form that stands in an MLmodel file.

        Raises:
            InvalidParameterError: a part is damaged; names it.
        """
        parts: dict[str, Any] = {}
        for key, kind in (("inputs", Schema), ("outputs", Schema), ("params", ParamSchema)):
            if text := signature_dict.get(key):
                try:
                    parts[key] = kind.from_json(text)
                except (InvalidParameterError, OverflowError, RecursionError) as error:
                    raise InvalidParameterError(f"'{key}' of the signature: {error}") from error
        return cls(**parts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ModelSignature) and self.to_dict() == other.to_dict()

    def __hash__(self) -> int:
        return hash(tuple(self.to_dict().values()))

    def __repr__(self) -> str:
        return f"inputs: \n  {self.inputs!r}\noutputs: \n  {self.outputs!r}\nparams: \n  {self.params!r}\n"


def infer_signature(
    model_input: Any = None, model_output: Any = None, params: dict[str, Any] | None = None
) -> ModelSignature:
    """Infer a signature from example data.

    Columns whose example holds a missing value become optional. Data that no schema describes gives a
    single column of any type, with a warning that says why: a signature is never dropped silently.

    Args:
        model_input: a DataFrame, Series, array, sparse matrix, dict of arrays, or JSON-like values.
        model_output: the same kinds.
        params: default value by name.

    Raises:
        InvalidParameterError: nothing was given, or a param has no type.
    """
    return ModelSignature(
        inputs=None if model_input is None else _infer_or_any(model_input, "inputs"),
        outputs=None if model_output is None else _infer_or_any(model_output, "outputs"),
        params=infer_param_schema(params) if params else None,
    )


def _infer_or_any(data: Any, what: str) -> Schema:
    if hasattr(data, "model_dump") and hasattr(cast("Any", type(data)), "model_fields"):
        raise InvalidParameterError(
            "A signature cannot be inferred from a pydantic object; give the model's predict method a type "
            "hint such as `model_input: list[YourModel]`, or pass data.model_dump()"
        )
    try:
        return infer_schema(data)
    except InvalidParameterError as error:
        warnings.warn(
            f"Could not infer a schema for {what}: {error} They are described as 'any' and will not be "
            "checked; pass a signature to have them checked.",
            UserWarning,
            stacklevel=3,
        )
        return Schema([ColSpec(AnyType())])


def infer_schema(data: Any) -> Schema:
    """Infer the schema of one dataset.

    Raises:
        InvalidParameterError: the data is of no supported kind, or mixes types in one column.
    """
    kind = _kind(data)
    if kind == "dataframe":
        return Schema([_infer_column(data.iloc[:, i], name) for i, name in enumerate(data.columns)])
    if kind == "series":
        return Schema([_infer_column(data, data.name)])
    if kind in ("array", "sparse"):
        return Schema([_infer_tensor(data)])
    if kind == "dict":
        return _infer_dict(data)
    if kind == "list":
        items = cast("list[Any]", data)
        if items and all(isinstance(item, dict) for item in items):
            return _infer_records(items)
        return Schema([ColSpec(_item_type(items))])
    return Schema([ColSpec(infer_type(data))])


def _kind(data: Any) -> str:
    """Name the kind of container, by looking at its type: no library gets imported for the question."""
    if isinstance(data, dict):
        return "dict"
    if isinstance(data, (list, tuple)):
        return "list"
    module, name = type(data).__module__.partition(".")[0], type(data).__name__
    if module == "pandas" and hasattr(data, "columns"):
        return "dataframe"
    if module == "pandas" and name == "Series":
        return "series"
    if module == "numpy" and name == "ndarray":
        return "array"
    if module == "scipy" and hasattr(data, "tocsr"):
        return "sparse"
    return "scalar"


def _infer_dict(data: dict[Any, Any]) -> Schema:
    if not data:
        raise InvalidParameterError("An empty dict has no columns.")
    if all(_kind(value) == "array" for value in data.values()):
        return Schema([_infer_tensor(value, name) for name, value in data.items()])
    if bad := [key for key in data if not isinstance(key, str)]:
        raise InvalidParameterError(f"The dictionary keys are not all strings: {bad}.")
    return Schema(
        [ColSpec(infer_type(value), name, required=not _has_missing(value)) for name, value in data.items()]
    )


def _infer_records(records: Sequence[dict[str, Any]]) -> Schema:
    names: dict[str, None] = {}
    for record in records:
        names.update(dict.fromkeys(record))
    if not names:
        raise InvalidParameterError("The records have no keys.")
    columns: list[ColSpec] = []
    for name in names:
        values = [record[name] for record in records if name in record]
        required = all(record.get(name) is not None for record in records)
        columns.append(ColSpec(_item_type(values), name, required=required))
    return Schema(columns)


def _item_type(values: Sequence[Any]) -> ValueType:
    if not len(values):
        return DataType.string  # MLflow's answer before it knew better, kept
    return cast("Array", infer_type(values)).dtype


def _has_missing(value: Any) -> bool:
    if isinstance(value, list):
        return any(is_missing(item) for item in cast("list[Any]", value))
    return is_missing(value)


def is_missing(value: Any) -> bool:
    """Tell whether a scalar stands for "no value": None, NaN, pandas' NA and NaT."""
    if value is None:
        return True
    if isinstance(value, float):
        return math.isnan(value)
    return type(value).__name__ in ("NAType", "NaTType")


def _infer_tensor(data: Any, name: Any = None) -> TensorSpec:
    if data.ndim == 0:
        raise InvalidParameterError(
            f"A zero-dimensional array{f' for {name!r}' if name else ''} has no rows."
        )
    return TensorSpec(tensor_dtype(data.dtype), (-1, *data.shape[1:]), name)


def tensor_dtype(dtype: Any) -> Any:
    """Return the dtype without a text length."""
    import numpy as np

    return np.dtype({"U": "str", "S": "bytes"}[dtype.kind]) if dtype.kind in "US" else dtype


def _infer_column(column: Any, name: Any) -> ColSpec:
    try:
        if column.dtype.kind == "O":
            column = column.infer_objects()
        # An unnamed column cannot be optional, so a missing value in it says nothing.
        required = name is None or not bool(column.isna().any())
        if column.dtype.kind == "O" and not _is_text(column):
            return ColSpec(_item_type(column.tolist()), name, required=required)
        return ColSpec(DataType.string if _is_text(column) else from_dtype(column.dtype), name, required)
    except InvalidParameterError as error:
        raise InvalidParameterError(f"Column {name!r}: {error}") from error


def _is_text(column: Any) -> bool:
    if type(column.dtype).__name__ == "StringDtype":
        return True
    if type(column.dtype).__name__ == "CategoricalDtype":
        return _is_text(column.cat.categories.to_series())
    return (
        column.dtype.kind == "O"
        and len(column) > 0
        and all(isinstance(value, str) or is_missing(value) for value in column)
        and not bool(column.isna().all())
    )


def from_dtype(dtype: Any) -> DataType:
    """Return the smallest scalar type that holds every value of a numpy or pandas dtype.

    Raises:
        InvalidParameterError: there is none, such as for complex numbers.
    """
    if type(dtype).__name__ == "CategoricalDtype":
        dtype = dtype.categories.dtype
    kind, size = dtype.kind, getattr(dtype, "itemsize", 0)
    if kind == "b":
        return DataType.boolean
    if kind in "iu":
        bits = size * 8 + (kind == "u")
        if bits <= 32:
            return DataType.integer
        if bits <= 64:
            return DataType.long
    if kind == "f" and size <= 8:
        return DataType.float if size <= 4 else DataType.double
    simple = {"U": DataType.string, "S": DataType.binary, "M": DataType.datetime}
    if kind in simple:
        return simple[kind]
    raise InvalidParameterError(f"The dtype '{dtype}' has no type in a signature.")


def infer_type(value: Any) -> ValueType:
    """Infer the type of a JSON-like value; null and empty containers are `AnyType`.

    Raises:
        InvalidParameterError: a list mixes types, or a value is of no supported type.
    """
    if is_missing(value):
        return AnyType()
    if isinstance(value, dict):
        if not value:
            return AnyType()
        fields = cast("dict[str, Any]", value)
        properties: list[Property] = []
        for name, item in fields.items():
            dtype = infer_type(item)
            properties.append(Property(name, dtype, required=not isinstance(dtype, AnyType)))
        return Object(properties)
    if isinstance(value, (list, tuple)) or _kind(value) == "array":
        return _infer_array(value)
    return _infer_scalar(value)


def _infer_array(items: Any) -> ValueType:
    merged: ValueType | None = None
    for item in items:
        dtype = infer_type(item)
        try:
            merged = dtype if merged is None else merge_types(merged, dtype)
        except IncompatibleTypesError as error:
            raise InvalidParameterError(
                f"A list holds items of different types: {error}. Use Array(AnyType()) in a signature "
                "written by hand if that is meant."
            ) from error
    return AnyType() if merged is None else Array(merged)


def _infer_scalar(value: Any) -> DataType:
    if isinstance(value, bool):
        return DataType.boolean
    if isinstance(value, (bytes, bytearray)):
        return DataType.binary
    for kind, dtype in ((str, DataType.string), (dt.date, DataType.datetime)):
        if isinstance(value, kind):
            return dtype
    if type(value).__module__ == "numpy":
        return from_dtype(value.dtype)
    if isinstance(value, int):
        return DataType.long
    if isinstance(value, float):
        return DataType.double
    raise InvalidParameterError(
        f"A value of type {type(value).__module__}.{type(value).__qualname__} has no type in a signature."
    )


def infer_param_schema(params: Mapping[str, Any]) -> ParamSchema:
    """Infer types from default values: scalars, flat lists of scalars, objects.

    Raises:
        InvalidParameterError: names the param whose default has no type.
    """
    if not isinstance(params, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidParameterError(f"Expected params to be a dict, got {type(params).__name__}")
    return ParamSchema([_infer_param(name, value) for name, value in params.items()])


def _infer_param(name: str, value: Any) -> ParamSpec:
    plain = value.tolist() if _kind(value) == "array" else value
    dtype = infer_type(plain)
    if isinstance(dtype, Array) and isinstance(dtype.dtype, (DataType, Object)):
        return ParamSpec(name, dtype.dtype, plain, (-1,))
    if isinstance(dtype, (DataType, Object)):
        return ParamSpec(name, dtype, plain)
    raise InvalidParameterError(
        f"No type can be inferred for param '{name}' from {value!r}; its default must be a scalar, a flat "
        "list of scalars or an object"
    )
