"""Fit the input of a prediction to the model's signature, or say in plain words why it does not fit.

Two rules. A conversion happens only if no value changes: `integer` becomes `long`, whole numbers become
floats if a float holds them exactly, and whole floats become integers, because an integer column with a
missing value arrives as floats. And an error names the column, the row and a way out.
"""

import base64
import binascii
import datetime as dt
import functools
import importlib
import warnings
from collections.abc import Mapping
from typing import Any, cast

from slipstream.errors import InvalidParameterError, SchemaEnforcementError
from slipstream.models.column_values import FLOATS, INTEGERS, convert_column, convert_values, show_value
from slipstream.models.exact_numbers import build_table, float_holds, plain_number, to_array, to_integer
from slipstream.models.iso_times import WAY_OUT, parse_iso
from slipstream.models.param_values import check_param
from slipstream.models.schema import (
    AnyType,
    Array,
    ColSpec,
    DataType,
    Map,
    Object,
    ParamSchema,
    Schema,
    TensorSpec,
    ValueType,
)
from slipstream.models.signature import is_missing, tensor_dtype


def enforce_schema(data: Any, schema: Schema) -> Any:
    """Return `data` as the model expects it: a DataFrame for columns, arrays for tensors.

    Columns that the schema does not have are dropped, with a warning that names them.

    Raises:
        SchemaEnforcementError: something required is missing, or a value would change by conversion.
    """
    return _enforce_tensors(data, schema) if schema.is_tensor_spec() else _enforce_columns(data, schema)


def enforce_params(params: Mapping[str, Any] | None, schema: ParamSchema | None) -> dict[str, Any]:
    """Return all params of the schema, given or default; unknown ones are dropped with a warning.

    Raises:
        InvalidParameterError: names every param whose value does not fit.
    """
    given: Mapping[Any, Any] = {} if params is None else params
    if not isinstance(given, Mapping):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise InvalidParameterError(f"params must be a dict, got {type(given).__name__}")
    known = {} if schema is None else {param.name: param for param in schema}
    if unknown := [name for name in given if str(name) not in known]:
        way_out = f"it knows {sorted(known)}" if known else "its signature has no params"
        warnings.warn(
            f"Params {unknown} are ignored: the model does not take them ({way_out}).",
            UserWarning,
            stacklevel=4,
        )
    values = {str(name): value for name, value in given.items()}
    result: dict[str, Any] = {}
    problems: list[str] = []
    for name, spec in known.items():
        try:
            result[name] = check_param(values[name], spec) if name in values else spec.default
        except InvalidParameterError as error:
            problems.append(str(error))
    if problems:
        raise InvalidParameterError("Invalid parameters found: " + "; ".join(problems))
    return result


def _pandas() -> Any:
    return importlib.import_module("pandas")


def _fail(message: str) -> SchemaEnforcementError:
    return SchemaEnforcementError(message)


# -- columns ----------------------------------------------------------------------------------------
def _enforce_columns(data: Any, schema: Schema) -> Any:
    frame = _to_frame(data, schema)
    if schema.has_input_names():
        _check_names(list(frame.columns), schema)
        pairs = [(spec, spec.name) for spec in schema if spec.name in frame.columns]
    else:
        if len(frame.columns) < len(schema):
            raise _fail(
                f"The input has {len(frame.columns)} columns, the model needs {len(schema)}. The signature has no "
                "column names, so only their number can be checked."
            )
        pairs = list(zip(schema, frame.columns, strict=False))
    columns: dict[Any, Any] = {}
    for spec, name in pairs:
        column = frame[name]
        if getattr(column, "ndim", 1) > 1:
            raise _fail(f"The input has several columns named '{name}'; keep one.")
        columns[name] = _enforce_column(column, cast("ColSpec", spec), name)
    return _pandas().DataFrame(columns, index=frame.index)


def _check_names(actual: list[Any], schema: Schema) -> None:
    known = set(schema.input_names())
    missing = [name for name in schema.required_input_names() if name not in actual]
    extra = [name for name in actual if name not in known]
    if missing:
        message = f"Model is missing inputs {missing}."
        if extra:
            message += f" Note that there were extra inputs: {extra}."
        raise _fail(message)
    if extra:
        warnings.warn(
            f"Inputs {extra} are not in the model's signature and are ignored.", UserWarning, stacklevel=6
        )


def _to_frame(data: Any, schema: Schema) -> Any:
    pd = _pandas()
    if isinstance(data, pd.DataFrame):
        return data
    try:
        if isinstance(data, pd.Series):
            return pd.DataFrame(data)
        if isinstance(data, Mapping):
            return _frame_of_dict(cast("Mapping[str, Any]", data), schema)
        if isinstance(data, (list, tuple)) or type(data).__name__ == "ndarray":
            return _frame_of_rows(cast("Any", data), schema)
    except (ValueError, TypeError) as error:
        raise _fail(f"The model's signature has columns, but the input makes no table: {error}") from error
    if data is None or isinstance(data, (str, bytes, bool, int, float, dt.date)) or hasattr(data, "dtype"):
        return pd.DataFrame({_only_name(schema): [data]})
    kind = cast("type[Any]", type(data)).__name__
    raise _fail(
        f"The model's signature has columns; an input of type {kind} cannot become a table. Give a "
        "pandas.DataFrame, a dict, or a list of dicts."
    )


def _only_name(schema: Schema) -> Any:
    name = schema.inputs[0].name if len(schema) == 1 else None
    return 0 if name is None else name


def _frame_of_rows(data: Any, schema: Schema) -> Any:
    pd = _pandas()
    first: Any = data[0] if len(data) else None
    nested = isinstance(first, Mapping) and schema.has_input_names()
    if nested or getattr(data, "ndim", 1) > 1 or (isinstance(first, (list, tuple)) and len(schema) > 1):
        return build_table(functools.partial(pd.DataFrame, data))
    # One value a row: pandas would spread lists and dicts over columns.
    if not _is_scalar_column(schema):
        return pd.DataFrame({0: pd.Series(list(data), dtype=object)})
    return build_table(functools.partial(pd.DataFrame, {0: list(data)}))


def _is_scalar_column(schema: Schema) -> bool:
    return isinstance(schema.inputs[0].type, DataType)


def _frame_of_dict(data: Mapping[str, Any], schema: Schema) -> Any:
    pd = _pandas()
    if not schema.has_input_names():
        return pd.DataFrame({0: pd.Series([data], dtype=object)})
    one_row = (
        any(isinstance(spec.type, (Array, Object, Map)) for spec in schema)
        or any(isinstance(value, Mapping) for value in data.values())
        or all(_is_row_value(value) for value in data.values())
    )
    return build_table(functools.partial(pd.DataFrame, [data] if one_row else dict(data)))


def _is_row_value(value: Any) -> bool:
    if isinstance(value, list):
        return all(isinstance(item, str) for item in cast("list[Any]", value))
    return getattr(value, "ndim", 0) == 0


def _enforce_column(column: Any, spec: ColSpec, name: Any) -> Any:
    if isinstance(spec.type, DataType):
        return convert_column(column, spec.type, name, required=spec.required)
    pd = _pandas()
    values = [
        enforce_value(value, spec.type, f"column '{name}', row {row}", required=spec.required)
        for row, value in enumerate(column)
    ]
    return pd.Series(values, index=column.index, name=column.name, dtype=object)


# -- nested values ----------------------------------------------------------------------------------
def enforce_value(value: Any, wanted: ValueType, where: str, *, required: bool = True) -> Any:
    """Return a JSON-like value as its type says, going into lists and objects.

    Raises:
        SchemaEnforcementError: `where` and the path inside the value stand in the message.
    """
    if isinstance(wanted, AnyType) or (not required and is_missing(value)):
        return value
    if value is None and isinstance(wanted, (Array, Map)) and isinstance(_items_of(wanted), AnyType):
        return value  # so MLflow has it
    if isinstance(wanted, Array):
        return _enforce_array(value, wanted, where, required=required)
    if isinstance(wanted, Object):
        return _enforce_object(value, wanted, where, required=required)
    if isinstance(wanted, Map):
        if not isinstance(value, Mapping):
            raise _fail(f"Expected an object at {where}, got {type(value).__name__}")
        items = cast("Mapping[Any, Any]", value)
        if bad := [key for key in items if not isinstance(key, str)]:
            raise _fail(f"Keys of a map must be strings; got {bad} at {where}")
        return {
            key: enforce_value(item, wanted.value_type, f"{where}, key '{key}'", required=required)
            for key, item in items.items()
        }
    return _enforce_scalar(value, wanted, where)


def _items_of(wanted: Array | Map) -> ValueType:
    return wanted.dtype if isinstance(wanted, Array) else wanted.value_type


def _enforce_array(value: Any, wanted: Array, where: str, *, required: bool) -> Any:
    """Return a list as a list and an array as an array of the signature's type, as MLflow does."""
    array: Any = value if type(value).__name__ == "ndarray" else None
    if not isinstance(value, (list, tuple)) and (array is None or not array.ndim):
        raise _fail(f"Expected a list at {where}, got {type(value).__name__}")
    plain = array is not None and array.ndim == 1 and array.dtype.kind in "iufbM"
    if plain and isinstance(wanted.dtype, DataType):
        series = _pandas().Series(array)
        return convert_values(series, wanted.dtype, where, required=required).to_numpy()
    if array is not None and isinstance(wanted.dtype, AnyType):
        return array
    items = [
        enforce_value(item, wanted.dtype, f"{where}, item {position}", required=required)
        for position, item in enumerate(cast("list[Any]", value))
    ]
    return items if array is None else _stack(items, array)


def _stack(items: list[Any], source: Any) -> Any:
    """Make an array of checked items in the shape that they came in."""
    import numpy as np

    if source.dtype.kind in "iufbMUS" and len(items):
        return np.array(items)
    result = np.empty(source.shape[:1], dtype=object)
    result[:] = items
    return result if len(items) or source.dtype.kind == "O" else source


def _enforce_object(value: Any, wanted: Object, where: str, *, required: bool) -> Any:
    if not required and value == {}:
        return value
    if not isinstance(value, Mapping):
        raise _fail(f"Expected an object at {where}, got {type(value).__name__}")
    fields = cast("Mapping[str, Any]", value)
    known = {prop.name: prop for prop in wanted.properties}
    if missing := [name for name, prop in known.items() if prop.required and name not in fields]:
        raise _fail(f"Missing required properties: {missing} at {where}")
    if unknown := [name for name in fields if name not in known]:
        raise _fail(f"Invalid properties not defined in the schema found: {unknown} at {where}")
    return {
        name: enforce_value(item, known[name].dtype, f"{where}, key '{name}'", required=known[name].required)
        for name, item in fields.items()
    }


def _enforce_scalar(value: Any, wanted: DataType, where: str) -> Any:
    # numpy's datetimes of nanoseconds would become integers.
    plain = _pandas().Timestamp(value) if type(value).__name__ == "datetime64" else plain_number(value)
    number = isinstance(plain, (int, float)) and not isinstance(plain, bool)
    if wanted in INTEGERS:
        integer = to_integer(plain, *INTEGERS[wanted]) if number else None
        if integer is not None:
            return integer
        fits = False
    elif wanted in FLOATS:
        fits = number and float_holds(plain, *FLOATS[wanted])
        if fits:
            return float(plain)
    elif wanted is DataType.datetime:
        if isinstance(plain, str):
            try:
                return parse_iso(plain)
            except ValueError as error:
                raise _fail(f"Expected an ISO 8601 time at {where}: {error}. {WAY_OUT}") from error
        fits = isinstance(plain, dt.date)
    elif wanted is DataType.boolean:
        fits = isinstance(plain, bool)
    else:  # MLflow takes text and bytes for both
        fits = isinstance(plain, (bytes, bytearray, str))
    if not fits:
        raise _fail(f"Expected {wanted.name} at {where}, got {type(plain).__name__} {show_value(plain)}")
    return plain


def decode_base64(text: str, where: str) -> bytes:
    """Decode the text that stands for bytes in JSON.

    Raises:
        SchemaEnforcementError: it is no base64.
    """
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise _fail(f"Expected base64 text at {where}, got {text[:40]!r}") from error


# -- tensors ----------------------------------------------------------------------------------------
def _enforce_tensors(data: Any, schema: Schema) -> Any:
    pd = _pandas()
    specs = cast("list[TensorSpec]", schema.inputs)
    if isinstance(data, pd.Series):
        data = pd.DataFrame(data)
    is_frame = isinstance(data, pd.DataFrame)
    if not schema.has_input_names():
        if is_frame:
            return _frame_to_tensor(data, specs[0])
        return _check_tensor(data, specs[0], "the input")
    if _is_tensor(data) and len(specs) == 1:
        data = {specs[0].name: data}
    if not is_frame and not isinstance(data, Mapping):
        raise _fail(
            f"The model takes the tensors {schema.input_names()}: give a dict of arrays or a DataFrame, not "
            f"{type(data).__name__}"
        )
    _check_names(list(cast("Mapping[Any, Any]", data)), schema)
    return {
        spec.name: _column_to_tensor(data[spec.name], spec, f"column '{spec.name}'")
        if is_frame
        else _check_tensor(data[spec.name], spec, f"input '{spec.name}'")
        for spec in specs
    }


def _is_tensor(data: Any) -> bool:
    return type(data).__name__ == "ndarray" or hasattr(data, "tocsr")


def _check_tensor(data: Any, spec: TensorSpec, where: str) -> Any:
    if not _is_tensor(data):
        raise _fail(
            f"The model takes a tensor for {where}: give a numpy array of {spec.type} with shape {spec.shape}, not "
            f"{type(data).__name__}"
        )
    ragged = data.dtype.kind == "O" and (
        (spec.shape == (-1,) and spec.type.kind == "O") or (data.ndim == 1 and -1 in spec.shape[1:])
    )
    if ragged:
        return data
    fits = len(spec.shape) == len(data.shape) and all(
        wanted in (-1, actual) for wanted, actual in zip(spec.shape, data.shape, strict=True)
    )
    if not fits:
        raise _fail(f"Shape of {where} {data.shape} does not match expected shape {spec.shape}.")
    if tensor_dtype(data.dtype) != spec.type:
        raise _fail(
            f"dtype of {where} {data.dtype} does not match expected dtype {spec.type}; convert it with "
            f".astype('{spec.type.name}') if that is fine."
        )
    return data


def _frame_to_tensor(frame: Any, spec: TensorSpec) -> Any:
    columns = len(frame.columns)
    if frame.empty:
        raise _fail("Input DataFrame is empty.")
    if columns == 1:
        return _column_to_tensor(frame.iloc[:, 0], spec, "the only column")
    if spec.shape != (-1, columns):
        raise _fail(
            f"The model takes a tensor of shape {spec.shape}; a DataFrame of {columns} columns has (-1, {columns})."
        )
    return _check_tensor(frame.to_numpy(), spec, "the input")


def _column_to_tensor(column: Any, spec: TensorSpec, where: str) -> Any:
    import numpy as np

    if spec.shape[0] != -1 or -1 in spec.shape[1:]:
        raise _fail(
            f"A DataFrame can feed a tensor only if its first dimension alone is free; {where} has {spec.shape}. "
            "Give a numpy array."
        )
    values: list[Any] = column.tolist()
    try:
        rows: Any = np.asarray(values)
        if isinstance(values[0] if values else None, np.ndarray) and rows.dtype != spec.type:
            raise _fail(f"dtype of {where} {rows.dtype} does not match expected dtype {spec.type}")
        # Lists and scalars carry no dtype of their own, so they take the tensor's, if no value changes.
        exact = spec.type.kind in "iufb" and rows.dtype.kind != "b"
        typed = to_array(values, spec.type) if exact else rows.astype(spec.type)
        return typed.reshape((len(values), *spec.shape[1:]))
    except (ValueError, TypeError, OverflowError) as error:
        raise _fail(
            f"The values of {where} cannot take the shape {spec.shape} and type {spec.type}: {error}"
        ) from error
