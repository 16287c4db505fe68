"""Fit the input of a prediction to the model's signature, or say in plain words why it does not fit.

Two rules. A conversion happens only if no value changes: `integer` becomes `long`, whole numbers become
floats while a float can hold them exactly, and whole floats become integers, because an integer column with
a missing value arrives as floats. And an error names the column, the row and a way out.
"""

import base64
import binascii
import datetime as dt
import decimal
import importlib
import warnings
from collections.abc import Mapping
from typing import Any, cast

from slipstream.errors import InvalidParameterError, SchemaEnforcementError
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

_EXACT_IN_DOUBLE = 2**53
_EXACT_IN_FLOAT = 2**24
_ROWS_NAMED = 5


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
        return pd.DataFrame(data)
    # One value a row: pandas would spread lists and dicts over columns.
    values = pd.Series(list(data), dtype=None if _is_scalar_column(schema) else object)
    return pd.DataFrame({0: values})


def _is_scalar_column(schema: Schema) -> bool:
    return isinstance(schema.inputs[0].type, DataType)


def _frame_of_dict(data: Mapping[str, Any], schema: Schema) -> Any:
    pd = _pandas()
    if not schema.has_input_names():
        return pd.DataFrame({0: pd.Series([data], dtype=object)})
    one_row = any(isinstance(spec.type, (Array, Object, Map, AnyType)) for spec in schema) or all(
        _is_row_value(value) for value in data.values()
    )
    return pd.DataFrame([data]) if one_row else pd.DataFrame(dict(data))


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


# -- one column of scalars --------------------------------------------------------------------------
def convert_column(column: Any, wanted: DataType, name: Any, *, required: bool = True) -> Any:
    """Return a pandas column with the signature's type, every value exactly as it was.

    Raises:
        SchemaEnforcementError: a value would change, or is missing where an integer is required.
    """
    if type(column.dtype).__name__ == "CategoricalDtype":
        column = column.astype(column.cat.categories.dtype)
    if column.dtype.kind == "O" and wanted not in (DataType.string, DataType.binary):
        column = _from_objects(column, wanted, name)
    return {
        DataType.string: _to_string,
        DataType.binary: _to_binary,
        DataType.datetime: _to_datetime,
        DataType.boolean: _to_boolean,
        DataType.integer: _to_integer,
        DataType.long: _to_integer,
        DataType.float: _to_floating,
        DataType.double: _to_floating,
    }[wanted](column, wanted, name, required)


def _from_objects(column: Any, wanted: DataType, name: Any) -> Any:
    inferred = column.infer_objects()
    if inferred.dtype.kind != "O":
        return inferred
    present = column[~column.isna()]
    if wanted is DataType.datetime:
        return column
    kinds: set[type[Any]] = {type(value) for value in present}
    if kinds and all(issubclass(kind, bool) for kind in kinds):
        return column if wanted is DataType.boolean else column.astype("boolean")
    if kinds and all(issubclass(kind, decimal.Decimal) for kind in kinds):
        return column.astype("float64")
    if kinds and all(issubclass(kind, int) and kind is not bool for kind in kinds):
        return column.astype("Int64")
    if not len(present):
        return column.astype("Float64").astype("float64") if wanted is not DataType.boolean else column
    rows = [
        row
        for row, value in enumerate(column)
        if not is_missing(value) and (isinstance(value, bool) or not isinstance(value, (int, float)))
    ]
    raise _mismatch(column, wanted, name, rows, "it holds values of several types")


def _mismatch(
    column: Any, wanted: DataType, name: Any, rows: list[int], why: str, fix: str = ""
) -> Exception:
    where = ""
    if rows:
        shown = ", ".join(str(row) for row in rows[:_ROWS_NAMED]) + (
            ", ..." if len(rows) > _ROWS_NAMED else ""
        )
        where = f", row{'s' if len(rows) > 1 else ''} {shown} (value {column.iloc[rows[0]]!r})"
    return _fail(
        f"Incompatible input types for column '{name}'{where}: can not safely convert {column.dtype} to "
        f"{wanted.name}, because {why}.{' ' + fix if fix else ''}"
    )


def _rows(mask: Any) -> list[int]:
    return [row for row, flag in enumerate(mask) if flag]


def _to_string(column: Any, wanted: DataType, name: Any, _required: bool) -> Any:
    if type(column.dtype).__name__ == "StringDtype" or column.dtype.kind == "U":
        return column
    rows = _rows_without_text(column) if column.dtype.kind == "O" else []
    if column.dtype.kind == "O" and not rows:
        return column
    fix = "Send text." if rows else "Convert it with .astype(str)."
    raise _mismatch(column, wanted, name, rows, "its values are no text", fix)


def _to_binary(column: Any, wanted: DataType, name: Any, _required: bool) -> Any:
    if type(column.dtype).__name__ == "StringDtype" or column.dtype.kind == "S":
        return column
    rows = _rows_without_text(column) if column.dtype.kind == "O" else []
    if column.dtype.kind == "O" and not rows:
        return column
    raise _mismatch(column, wanted, name, rows, "its values are no bytes")


def _rows_without_text(column: Any) -> list[int]:
    """Return the rows of a column of objects that hold neither text nor bytes; MLflow takes either for both."""
    # pandas looks at the values much faster than a loop, and nearly always that is enough.
    if _pandas().api.types.infer_dtype(column, skipna=True) in ("string", "bytes", "empty"):
        return []
    return [
        row
        for row, value in enumerate(column)
        if not isinstance(value, (str, bytes, bytearray)) and not is_missing(value)
    ]


def _to_datetime(column: Any, wanted: DataType, name: Any, _required: bool) -> Any:
    pd = _pandas()
    if getattr(column.dtype, "tz", None) is not None:
        raise _mismatch(
            column,
            wanted,
            name,
            [],
            "a datetime in a signature has no time zone",
            "Convert it with .dt.tz_convert('UTC').dt.tz_localize(None).",
        )
    if column.dtype.kind in "MO" or type(column.dtype).__name__ == "StringDtype":
        try:
            return pd.to_datetime(column).astype("datetime64[ns]")
        except (ValueError, TypeError, OverflowError) as error:
            raise _mismatch(column, wanted, name, [], f"a value is no date ({error})") from error
    raise _mismatch(column, wanted, name, [], "its values are no dates")


def _to_boolean(column: Any, wanted: DataType, name: Any, required: bool) -> Any:
    if column.dtype.kind in "Ob":  # objects here are booleans beside None, which no dtype of numpy holds
        missing = column.isna()
        if not missing.any():
            return column.astype("bool")
        if not required:
            return column
        raise _mismatch(column, wanted, name, _rows(missing), "values are missing and the column is required")
    raise _mismatch(column, wanted, name, [], "its values are no booleans")


def _to_integer(column: Any, wanted: DataType, name: Any, required: bool) -> Any:
    kind = column.dtype.kind
    if kind not in "iuf":
        raise _mismatch(column, wanted, name, [], "its values are no integers")
    missing = column.isna()
    limit = 2 ** (31 if wanted is DataType.integer else 63)
    if kind == "f":
        # Beyond 2**53 a float has already lost digits, so it cannot be known which integer was meant.
        bound = min(limit, _EXACT_IN_DOUBLE)
        filled = column.where(~missing, 0)
        odd = ~missing & ~((filled % 1 == 0) & (filled >= -bound) & (filled <= bound - (limit == bound)))
        if odd.any():
            raise _mismatch(column, wanted, name, _rows(odd), "a fraction or a large value would change")
    else:
        filled = column[~missing]
        if len(filled) and (int(filled.max()) >= limit or int(filled.min()) < -limit):
            odd = [
                not gone and not -limit <= int(value) < limit
                for value, gone in zip(column, missing, strict=True)
            ]
            raise _mismatch(column, wanted, name, _rows(odd), "it is out of range")
    if not missing.any():
        return column.astype("int32" if wanted is DataType.integer else "int64")
    if required:
        raise _mismatch(
            column,
            wanted,
            name,
            _rows(missing),
            "a value is missing and the column is required",
            "Fill it, or log the model with a signature in which the column is optional (infer it from data "
            f"with a missing value, or ColSpec('{wanted.name}', '{name}', required=False)) or of type double.",
        )
    # pandas' nullable integers: missing stays missing and no value passes through a float.
    return column.astype("Int32" if wanted is DataType.integer else "Int64")


def _to_floating(column: Any, wanted: DataType, name: Any, _required: bool) -> Any:
    kind, dtype = column.dtype.kind, "float32" if wanted is DataType.float else "float64"
    if kind == "f":
        if wanted is DataType.float and column.dtype.itemsize > 4:
            raise _mismatch(
                column,
                wanted,
                name,
                [],
                "digits would be lost",
                "Convert it with .astype('float32') if that is fine.",
            )
        return column.astype(dtype)
    if kind not in "iu":
        raise _mismatch(column, wanted, name, [], "its values are no numbers")
    bound = _EXACT_IN_FLOAT if wanted is DataType.float else _EXACT_IN_DOUBLE
    missing = column.isna()
    if column.dtype.itemsize > (2 if wanted is DataType.float else 4):
        odd = (
            [
                not gone and not -bound <= int(value) <= bound
                for value, gone in zip(column, missing, strict=True)
            ]
            if _exceeds(column[~missing], bound)
            else []
        )
        if any(odd):
            raise _mismatch(column, wanted, name, _rows(odd), "an integer this large has no exact float")
    return column.astype(dtype)


def _exceeds(column: Any, bound: int) -> bool:
    return bool(len(column)) and (int(column.max()) > bound or int(column.min()) < -bound)


# -- nested values ----------------------------------------------------------------------------------
def enforce_value(value: Any, wanted: ValueType, where: str, *, required: bool = True) -> Any:
    """Return a JSON-like value as its type says, going into lists and objects.

    Raises:
        SchemaEnforcementError: `where` and the path inside the value stand in the message.
    """
    if isinstance(wanted, AnyType) or (not required and is_missing(value)):
        return value
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


def _enforce_array(value: Any, wanted: Array, where: str, *, required: bool) -> Any:
    if type(value).__name__ == "ndarray":
        value = value.tolist()
    if not isinstance(value, (list, tuple)):
        raise _fail(f"Expected a list at {where}, got {type(value).__name__}")
    return [
        enforce_value(item, wanted.dtype, f"{where}, item {position}", required=required)
        for position, item in enumerate(cast("list[Any]", value))
    ]


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
    plain = value.item() if type(value).__module__ == "numpy" and hasattr(value, "item") else value
    whole = isinstance(plain, int) and not isinstance(plain, bool)
    if wanted in (DataType.integer, DataType.long):
        limit = 2 ** (31 if wanted is DataType.integer else 63)
        if isinstance(plain, float) and plain.is_integer() and abs(plain) <= min(limit, _EXACT_IN_DOUBLE):
            return int(plain)
        fits = whole and -limit <= cast("int", plain) < limit
    elif wanted in (DataType.float, DataType.double):
        if whole and abs(cast("int", plain)) <= _EXACT_IN_DOUBLE:
            return float(cast("int", plain))
        fits = isinstance(plain, float)
    elif wanted is DataType.datetime:
        if isinstance(plain, str):
            try:
                return dt.datetime.fromisoformat(plain)
            except ValueError as error:
                raise _fail(f"Expected an ISO time at {where}, got {plain!r}") from error
        fits = isinstance(plain, dt.date)
    elif wanted is DataType.binary:
        fits = isinstance(plain, (bytes, bytearray, str))
    else:
        fits = isinstance(plain, str if wanted is DataType.string else bool)
    if not fits:
        raise _fail(f"Expected {wanted.name} at {where}, got {type(plain).__name__} {plain!r}")
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
        # Lists and scalars carry no dtype of their own, so they take the tensor's.
        return rows.astype(spec.type).reshape((len(values), *spec.shape[1:]))
    except (ValueError, TypeError) as error:
        raise _fail(
            f"The values of {where} cannot take the shape {spec.shape} and type {spec.type}: {error}"
        ) from error
