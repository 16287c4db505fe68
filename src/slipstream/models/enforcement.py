"""Fit the input of a prediction to the model's signature, or say in plain words why it does not fit.

Two rules. A conversion happens only if no value changes: `integer` becomes `long`, whole numbers become
floats if a float holds them exactly, and whole floats become integers, because an integer column with a
missing value arrives as floats. And an error names the column, the row and a way out.
"""

import base64
import binascii
import datetime as dt
import decimal
import functools
import importlib
import warnings
from collections.abc import Mapping
from typing import Any, cast

from slipstream.errors import InvalidParameterError, SchemaEnforcementError
from slipstream.models.exact_numbers import (
    EXACT_IN_DOUBLE,
    build_table,
    float_holds,
    has_large_floats,
    plain_number,
    to_array,
    to_integer,
)
from slipstream.models.iso_times import WAY_OUT, parse_iso, require_iso
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

_FLOATS = {DataType.float: (24, 128), DataType.double: (53, 1024)}
"""Binary digits and exponent of the floats."""
_INTEGERS = {DataType.integer: (-(2**31), 2**31 - 1), DataType.long: (-(2**63), 2**63 - 1)}
_ROWS_NAMED = 5
_SHOWN = 100


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


# -- one column of scalars --------------------------------------------------------------------------
def convert_column(column: Any, wanted: DataType, name: Any, *, required: bool = True) -> Any:
    """Return a pandas column with the signature's type, every value exactly as it was.

    Raises:
        SchemaEnforcementError: a value would change, or is missing where an integer is required.
    """
    return convert_values(column, wanted, f"column '{name}'", required=required)


def convert_values(column: Any, wanted: DataType, where: str, *, required: bool = True) -> Any:
    """Do what `convert_column` does for values at any place, which `where` names in errors.

    Raises:
        SchemaEnforcementError: a value would change, or is missing where an integer is required.
    """
    if type(column.dtype).__name__ == "CategoricalDtype":
        column = column.astype(column.cat.categories.dtype)
    if column.dtype.kind == "O" and wanted not in (DataType.string, DataType.binary):
        column = _from_objects(column, wanted, where)
    return {
        DataType.string: _to_string,
        DataType.binary: _to_binary,
        DataType.datetime: _to_datetime,
        DataType.boolean: _to_boolean,
        DataType.integer: _to_integer,
        DataType.long: _to_integer,
        DataType.float: _to_floating,
        DataType.double: _to_floating,
    }[wanted](column, wanted, where, required)


def _from_objects(column: Any, wanted: DataType, where: str) -> Any:
    inferred = column.infer_objects()
    if inferred.dtype.kind != "O" and not has_large_floats(inferred):
        return inferred
    if wanted is DataType.datetime:
        return column
    present = column[~column.isna()]
    if not len(present):
        return column.astype("Float64").astype("float64") if wanted is not DataType.boolean else column
    values = [None if is_missing(value) else plain_number(value) for value in column]
    if all(isinstance(value, bool) for value in values if value is not None):
        return column if wanted is DataType.boolean else column.astype("boolean")
    fits = (bool,) if wanted is DataType.boolean else (int, float, decimal.Decimal)
    rows = [
        row
        for row, value in enumerate(values)
        if value is not None
        and (not isinstance(value, fits) or isinstance(value, bool) != (wanted is DataType.boolean))
    ]
    if rows:
        raise _mismatch(column, wanted, where, rows, "it holds values of several types")
    return _from_numbers(column, values, wanted, where)


def _from_numbers(column: Any, numbers: list[Any], wanted: DataType, where: str) -> Any:
    pd = _pandas()
    if wanted in _FLOATS:
        odd = [value is not None and not float_holds(value, *_FLOATS[DataType.double]) for value in numbers]
        if any(odd):
            raise _mismatch(column, wanted, where, _rows(odd), _NO_FLOAT)
        if wanted is DataType.float and all(value is None or isinstance(value, int) for value in numbers):
            return pd.Series(pd.array(numbers, dtype="Int64"), index=column.index, name=column.name)
        floats = [float("nan") if value is None else float(value) for value in numbers]
        return pd.Series(floats, index=column.index, name=column.name, dtype="float64")
    integers = [None if value is None else to_integer(value, *_INTEGERS[wanted]) for value in numbers]
    odd = [value is not None and number is None for value, number in zip(numbers, integers, strict=True)]
    if any(odd):
        raise _mismatch(column, wanted, where, _rows(odd), _NO_INTEGER, _INTEGER_WAY_OUT)
    return pd.Series(pd.array(integers, dtype="Int64"), index=column.index, name=column.name)


_NO_FLOAT = "an integer this large has no exact float"
_NO_INTEGER = "a fraction or a large value would change"
_INTEGER_WAY_OUT = "Give whole numbers without a fraction or an exponent, within the type's range."


def _mismatch(
    column: Any, wanted: DataType, where: str, rows: list[int], why: str, fix: str = ""
) -> Exception:
    place = ""
    if rows:
        shown = ", ".join(str(row) for row in rows[:_ROWS_NAMED]) + (
            ", ..." if len(rows) > _ROWS_NAMED else ""
        )
        place = f", row{'s' if len(rows) > 1 else ''} {shown} (value {_shown(column.iloc[rows[0]])})"
    return _fail(
        f"Incompatible input types for {where}{place}: can not safely convert {column.dtype} to "
        f"{wanted.name}, because {why}.{' ' + fix if fix else ''}"
    )


def _shown(value: Any) -> str:
    text = repr(plain_number(value))
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "..."


def _rows(mask: Any) -> list[int]:
    return [row for row, flag in enumerate(mask) if flag]


def _to_string(column: Any, wanted: DataType, where: str, _required: bool) -> Any:
    if type(column.dtype).__name__ == "StringDtype" or column.dtype.kind == "U":
        return column
    rows = _rows_without_text(column) if column.dtype.kind == "O" else []
    if column.dtype.kind == "O" and not rows:
        return column
    fix = "Send text." if rows else "Convert it with .astype(str)."
    raise _mismatch(column, wanted, where, rows, "its values are no text", fix)


def _to_binary(column: Any, wanted: DataType, where: str, _required: bool) -> Any:
    if type(column.dtype).__name__ == "StringDtype" or column.dtype.kind == "S":
        return column
    rows = _rows_without_text(column) if column.dtype.kind == "O" else []
    if column.dtype.kind == "O" and not rows:
        return column
    raise _mismatch(column, wanted, where, rows, "its values are no bytes")


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


def _to_datetime(column: Any, wanted: DataType, where: str, _required: bool) -> Any:
    pd = _pandas()
    zoned = (
        [] if column.dtype.kind != "O" else [getattr(value, "tzinfo", None) is not None for value in column]
    )
    if getattr(column.dtype, "tz", None) is not None or any(zoned):
        raise _mismatch(
            column,
            wanted,
            where,
            _rows(zoned),
            "a datetime in a signature has no time zone",
            "Convert it with .dt.tz_convert('UTC').dt.tz_localize(None).",
        )
    if column.dtype.kind != "M" and bool(column.isna().all()):
        column = column.astype(object)
    text = type(column.dtype).__name__ == "StringDtype"
    if not text and column.dtype.kind not in "MO":
        raise _mismatch(column, wanted, where, _rows(~column.isna()), "it is no ISO 8601 time", WAY_OUT)
    if text or column.dtype.kind == "O":
        odd = [not is_missing(value) and not _is_time(value) for value in column]
        if any(odd):
            raise _mismatch(column, wanted, where, _rows(odd), "it is no ISO 8601 time", WAY_OUT)
    try:
        if column.dtype.kind == "M":
            return column.astype("datetime64[ns]")
        # Several forms may stand in one column. What has no zone is UTC, as is everything in a signature.
        times = pd.to_datetime(column, format="ISO8601", utc=True)
        return times.dt.tz_localize(None).astype("datetime64[ns]")
    except (ValueError, TypeError, OverflowError) as error:
        reason = str(error).partition(". You might want")[0]
        raise _mismatch(column, wanted, where, [], f"a value is no time ({reason})", WAY_OUT) from error


def _is_time(value: Any) -> bool:
    if not isinstance(value, str):
        return isinstance(value, dt.date) or type(value).__name__ == "datetime64"
    if value in ("", "NaT"):
        return True
    try:
        require_iso(value)
    except ValueError:
        return False
    return True


def _to_boolean(column: Any, wanted: DataType, where: str, required: bool) -> Any:
    if column.dtype.kind in "Ob":  # objects here are booleans beside None, which no dtype of numpy holds
        missing = column.isna()
        if not missing.any():
            return column.astype("bool")
        if not required:
            return column
        raise _mismatch(
            column, wanted, where, _rows(missing), "values are missing and the column is required"
        )
    raise _mismatch(column, wanted, where, [], "its values are no booleans")


def _to_integer(column: Any, wanted: DataType, where: str, required: bool) -> Any:
    kind = column.dtype.kind
    if kind not in "iuf":
        raise _mismatch(column, wanted, where, [], "its values are no integers")
    missing = column.isna()
    limit = 2 ** (31 if wanted is DataType.integer else 63)
    if kind == "f":
        # A float64 of 2**53 or more may have lost digits, and so it cannot be known which integer was meant.
        exact = {2: 2**11, 4: 2**24}.get(column.dtype.itemsize, EXACT_IN_DOUBLE)
        low, high = (-limit, limit) if limit < exact else (1 - exact, exact)
        filled = column.where(~missing, 0)
        odd = ~missing & ~((filled % 1 == 0) & (filled >= low) & (filled < high))
        if odd.any():
            raise _mismatch(column, wanted, where, _rows(odd), _NO_INTEGER, _INTEGER_WAY_OUT)
    else:
        filled = column[~missing]
        if len(filled) and (int(filled.max()) >= limit or int(filled.min()) < -limit):
            odd = [
                not gone and not -limit <= int(value) < limit
                for value, gone in zip(column, missing, strict=True)
            ]
            raise _mismatch(column, wanted, where, _rows(odd), "it is out of range")
    if not missing.any():
        return column.astype("int32" if wanted is DataType.integer else "int64")
    if required:
        raise _mismatch(
            column,
            wanted,
            where,
            _rows(missing),
            "a value is missing and the column is required",
            "Fill it, or log the model with a signature in which the column is optional (infer it from data "
            f"with a missing value, or ColSpec('{wanted.name}', '{column.name}', required=False)) or of type double.",
        )
    # pandas' nullable integers: missing stays missing and no value passes through a float.
    return column.astype("Int32" if wanted is DataType.integer else "Int64")


def _to_floating(column: Any, wanted: DataType, where: str, _required: bool) -> Any:
    kind, dtype = column.dtype.kind, "float32" if wanted is DataType.float else "float64"
    if kind == "f":
        if wanted is DataType.float and column.dtype.itemsize > 4:
            raise _mismatch(
                column,
                wanted,
                where,
                [],
                "digits would be lost",
                "Convert it with .astype('float32') if that is fine.",
            )
        return column.astype(dtype)
    if kind not in "iu":
        raise _mismatch(column, wanted, where, [], "its values are no numbers")
    digits, exponent = _FLOATS[wanted]
    missing = column.isna()
    if _exceeds(column[~missing], 2**digits):
        odd = [
            not gone and not float_holds(int(value), digits, exponent)
            for value, gone in zip(column, missing, strict=True)
        ]
        if any(odd):
            raise _mismatch(column, wanted, where, _rows(odd), _NO_FLOAT)
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
    if wanted in _INTEGERS:
        integer = to_integer(plain, *_INTEGERS[wanted]) if number else None
        if integer is not None:
            return integer
        fits = False
    elif wanted in _FLOATS:
        fits = number and float_holds(plain, *_FLOATS[wanted])
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
        raise _fail(f"Expected {wanted.name} at {where}, got {type(plain).__name__} {_shown(plain)}")
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
