"""The tensors of a request as the input of one model: what its signature has, each value as it was sent."""

import importlib
from typing import TYPE_CHECKING, Any, cast

from slipstream.errors import BadRequestError
from slipstream.models.schema import AnyType, Array, ColSpec, DataType, TensorSpec
from slipstream.serving.casting import import_pandas
from slipstream.serving.tensors import as_dtype, datatype_of

if TYPE_CHECKING:
    from slipstream.serving.served import ServedModel

_MOST_JOINED_ROWS = 64
"""Above, a table is made of whole columns: that costs less than taking them apart to join them."""
_TEXT_LIKE = frozenset({DataType.string, DataType.binary, DataType.datetime})


def to_input(model: "ServedModel", tensors: dict[str, Any], *, table: bool) -> Any:
    """Return what the model is asked: an array, a dict of arrays, a table, or rows that can be joined (`Rows`).

    Args:
        model: who is asked.
        tensors: the inputs of the request by name, as `tensors.to_array` returns them.
        table: the request wants a table, if the signature leaves it open.

    Raises:
        BadRequestError: the model takes other inputs, or a value would change; names the input.
    """
    schema = model.schema
    if model.from_type_hint:
        return _only(tensors, "The model's input is described by type hints").tolist()
    if schema is None:
        if table:
            columns: dict[Any, Any] = {name: _column(array, name) for name, array in tensors.items()}
            _require_equal_lengths(columns)
            return _table(columns)
        return next(iter(tensors.values())) if len(tensors) == 1 else tensors
    if schema.is_tensor_spec():
        specs = cast("list[TensorSpec]", schema.inputs)
        if not schema.has_input_names():
            array = _only(tensors, "The model takes one tensor without a name")
            return _as_tensor(array, specs[0], f"input '{next(iter(tensors))}'")
        _require_known(tensors, [str(spec.name) for spec in specs])
        named = {str(spec.name): spec for spec in specs}
        return {
            named[name].name: _as_tensor(array, named[name], f"input '{name}'")
            for name, array in tensors.items()
        }
    return _as_columns(model, cast("list[ColSpec]", schema.inputs), tensors)


def _only(tensors: dict[str, Any], reason: str) -> Any:
    if len(tensors) != 1:
        raise BadRequestError(f"{reason}: send exactly one input, not {len(tensors)} ({_listed(tensors)}).")
    return next(iter(tensors.values()))


def _listed(names: Any) -> str:
    shown = [repr(str(name)[:80]) for name in names]
    return ", ".join(shown[:10]) + (", ..." if len(shown) > 10 else "")


def _require_known(tensors: dict[str, Any], names: list[str]) -> None:
    unknown = [name for name in tensors if name not in names]
    if unknown:
        raise BadRequestError(
            f"The model has no input {_listed(unknown)}. Send one input for each of: {_listed(names)}."
        )


def _as_tensor(array: Any, spec: TensorSpec, where: str) -> Any:
    dtype = spec.type
    if array.dtype.kind == "O" and dtype.kind in "OUS":
        if dtype.kind != "O":
            try:
                array = array.astype(dtype)
            except (UnicodeError, ValueError) as error:
                raise BadRequestError(f"A value of {where} cannot be {dtype.name}: {error}.") from error
    else:
        array = as_dtype(array, dtype, where)
    if spec.shape == (-1,) and array.ndim == 2 and array.shape[1] == 1:
        return array[:, 0]
    return array  # the signature's check knows the shape


# -- columns --------------------------------------------------------------------------------------------
def _as_columns(model: "ServedModel", specs: list[ColSpec], tensors: dict[str, Any]) -> Any:
    if model.field_names:
        names = [str(spec.name) for spec in specs]
        _require_known(tensors, names)
        missing = [str(spec.name) for spec in specs if spec.required and str(spec.name) not in tensors]
        if missing:
            raise BadRequestError(
                f"The inputs {_listed(missing)} are missing: send one input of shape [rows] for each column."
            )
        pairs = [(spec, str(spec.name)) for spec in specs if str(spec.name) in tensors]
    else:
        if len(tensors) == 1 and len(specs) > 1:
            tensors = _split(tensors, len(specs))
        if len(tensors) != len(specs):
            raise BadRequestError(
                f"The model takes {len(specs)} columns without names: send as many inputs, in order, or one of shape "
                f"[rows, {len(specs)}]; got {len(tensors)} ({_listed(tensors)})."
            )
        pairs = list(zip(specs, tensors, strict=True))
    columns: dict[Any, Any] = {}
    for position, (spec, name) in enumerate(pairs):
        columns[position if spec.name is None else spec.name] = _as_column(tensors[name], spec, name)
    count = _require_equal_lengths(columns)
    if count <= _MOST_JOINED_ROWS:
        rows = model.rows.of_columns(columns)
        if rows is not None:
            return rows
    return _table(columns)


def _split(tensors: dict[str, Any], width: int) -> dict[str, Any]:
    ((name, array),) = tensors.items()
    if array.ndim != 2 or array.shape[1] != width:
        return tensors
    return {f"{name}[{number}]": array[:, number] for number in range(width)}


def _require_equal_lengths(columns: dict[Any, Any]) -> int:
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise BadRequestError(
            f"All inputs need the same number of rows; got {dict(list(lengths.items())[:10])}."
        )
    return next(iter(lengths.values()), 0)


def _column(array: Any, name: str) -> Any:
    if array.ndim == 2 and array.shape[1] == 1:
        return array[:, 0]
    if array.ndim != 1:
        raise BadRequestError(
            f"The input '{name}' is a column of a table: its shape is [rows] or [rows, 1], not {list(array.shape)}."
        )
    return array


def _as_column(array: Any, spec: ColSpec, name: str) -> Any:
    where, wanted = f"input '{name}'", spec.type
    if isinstance(wanted, Array) and isinstance(wanted.dtype, DataType) and array.ndim == 2:
        if wanted.dtype not in _TEXT_LIKE:
            array = as_dtype(array, wanted.dtype.to_numpy(), where, wanted.dtype.name)
        elif array.dtype.kind != "O":
            raise BadRequestError(f"The {where} has numbers, but the model takes {wanted!r}: send BYTES.")
        return _lists(array)
    if isinstance(wanted, AnyType):
        return _column(array, name)
    if not isinstance(wanted, DataType):
        raise BadRequestError(
            f"The model takes {wanted!r} for {where}, which this protocol has no tensors for. Use POST /invocations."
        )
    column = _column(array, name)
    if wanted not in _TEXT_LIKE:
        return as_dtype(column, wanted.to_numpy(), where, wanted.name)
    if column.dtype.kind != "O":
        raise BadRequestError(
            f"The {where} has the datatype {datatype_of(column.dtype)}, but the model takes {wanted.name}: send BYTES."
        )
    if wanted is DataType.datetime:
        return _times(column, where)
    if wanted is DataType.binary:
        return _bytes(column)
    for value in column:
        if not isinstance(value, str):
            raise BadRequestError(
                f"A value of {where} is base64, but the model takes text: send it as it is, without content_type."
            )
    return column


def _lists(array: Any) -> Any:
    numpy: Any = importlib.import_module("numpy")
    rows = numpy.empty(len(array), dtype=object)
    rows[:] = array.tolist()
    return rows


def _bytes(column: Any) -> Any:
    numpy: Any = importlib.import_module("numpy")
    octets = numpy.empty(len(column), dtype=object)
    octets[:] = [value if isinstance(value, bytes) else value.encode() for value in column.tolist()]
    return octets


def _times(column: Any, where: str) -> Any:
    pandas = import_pandas()
    try:
        # Times with and without zone are both meant as UTC: a signature's datetime has none.
        times = pandas.to_datetime(column.tolist(), utc=True, format="ISO8601")
        return times.tz_localize(None).to_numpy().astype("datetime64[ns]")
    except (ValueError, TypeError, OverflowError) as error:
        raise BadRequestError(
            f"A value of {where} is no time: {error}. Send ISO 8601 text such as 2026-01-31T12:00:00."
        ) from error


def _table(columns: dict[Any, Any]) -> Any:
    return import_pandas().DataFrame(columns)
