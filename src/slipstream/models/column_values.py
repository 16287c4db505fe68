"""One column of scalars as the signature's type: every value exactly as it was, or an error that names it."""

import datetime as dt
import decimal
import importlib
from typing import Any

from slipstream.errors import SchemaEnforcementError
from slipstream.models.exact_numbers import (
    EXACT_IN_DOUBLE,
    float_holds,
    has_large_floats,
    plain_number,
    to_integer,
)
from slipstream.models.iso_times import WAY_OUT, require_iso
from slipstream.models.schema import DataType
from slipstream.models.signature import is_missing

FLOATS = {DataType.float: (24, 128), DataType.double: (53, 1024)}
"""Binary digits and exponent of the floats."""
INTEGERS = {DataType.integer: (-(2**31), 2**31 - 1), DataType.long: (-(2**63), 2**63 - 1)}
_ROWS_NAMED = 5
_SHOWN = 100


def _pandas() -> Any:
    return importlib.import_module("pandas")


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
    if wanted in FLOATS:
        odd = [value is not None and not float_holds(value, *FLOATS[DataType.double]) for value in numbers]
        if any(odd):
            raise _mismatch(column, wanted, where, _rows(odd), _NO_FLOAT)
        if wanted is DataType.float and all(value is None or isinstance(value, int) for value in numbers):
            return pd.Series(pd.array(numbers, dtype="Int64"), index=column.index, name=column.name)
        floats = [float("nan") if value is None else float(value) for value in numbers]
        return pd.Series(floats, index=column.index, name=column.name, dtype="float64")
    integers = [None if value is None else to_integer(value, *INTEGERS[wanted]) for value in numbers]
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
        place = f", row{'s' if len(rows) > 1 else ''} {shown} (value {show_value(column.iloc[rows[0]])})"
    return SchemaEnforcementError(
        f"Incompatible input types for {where}{place}: can not safely convert {column.dtype} to "
        f"{wanted.name}, because {why}.{' ' + fix if fix else ''}"
    )


def show_value(value: Any) -> str:
    """Return a value as an error shows it, cut where it is long."""
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
    digits, exponent = FLOATS[wanted]
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
