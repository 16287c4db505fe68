"""Signatures and input checks from the type hint of a `predict` function.

Supported are `list[T]` with T a scalar, a pydantic model, `dict[str, T]`, `list[T]`, `T | None`, unions and
`Any`. pydantic is never imported: its models are known by their methods.
"""

import datetime as dt
import types
import typing
from typing import Any, cast

from slipstream.errors import InvalidParameterError, SchemaEnforcementError
from slipstream.models.schema import (
    AnyType,
    Array,
    ColSpec,
    DataType,
    Map,
    Object,
    Property,
    Schema,
    ValueType,
)

_SCALARS: dict[Any, DataType] = {
    int: DataType.long,
    str: DataType.string,
    bool: DataType.boolean,
    float: DataType.double,
    bytes: DataType.binary,
    dt.datetime: DataType.datetime,
}


def is_supported(hint: Any) -> bool:
    """Tell whether a hint describes the input well enough for a signature."""
    if typing.get_origin(hint) is not list:
        return False
    try:
        infer_schema(hint)
    except InvalidParameterError:
        return False
    return True


def infer_schema(hint: Any) -> Schema:
    """Return the input schema for `list[T]`: one unnamed column of type T.

    Raises:
        InvalidParameterError: the hint is no list, or its items are of an unsupported type.
    """
    if typing.get_origin(hint) is not list or len(typing.get_args(hint)) != 1:
        raise InvalidParameterError(
            f"The type hint {hint!r} of the model's input must be list[...], because predict gets several inputs"
        )
    dtype, required = _type_of(typing.get_args(hint)[0])
    if not required:
        raise InvalidParameterError(
            f"The items of {hint!r} cannot be optional; use a pydantic model with defaults"
        )
    return Schema([ColSpec(dtype)])


def _is_union(hint: Any) -> bool:
    return typing.get_origin(hint) in (typing.Union, types.UnionType)


def _is_pydantic(hint: Any) -> bool:
    return isinstance(hint, type) and hasattr(hint, "model_fields") and hasattr(hint, "model_validate")


def _type_of(hint: Any) -> tuple[ValueType, bool]:
    """Return the type that a hint stands for, and whether a value is required."""
    if hint is Any:
        return AnyType(), True
    if hint in _SCALARS:
        return _SCALARS[hint], True
    if _is_pydantic(hint):
        properties: list[Property] = []
        for name, field in hint.model_fields.items():
            dtype, required = _type_of(field.annotation)
            properties.append(Property(name, dtype, required=required))
        return Object(properties), True
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is list and len(arguments) == 1:
        return Array(_type_of(arguments[0])[0]), True
    if origin is dict and len(arguments) == 2 and arguments[0] is str:
        return Map(_type_of(arguments[1])[0]), True
    if _is_union(hint):
        present = [argument for argument in arguments if argument is not type(None)]
        dtype = _type_of(present[0])[0] if len(present) == 1 else AnyType()
        return dtype, len(present) == len(arguments)
    raise InvalidParameterError(
        f"Unsupported type hint {hint!r}; use int, str, bool, float, bytes, datetime, a pydantic model, dict[str, T], "
        "list[T], T | None or Any"
    )


def unframe(data: Any, hint: Any) -> Any:
    """Turn the DataFrame that schema enforcement makes back into the list that the hint asks for."""
    if not (hasattr(data, "iloc") and hasattr(data, "columns")):
        return data
    item = typing.get_args(hint)[0]
    single = len(data.columns) == 1
    wants_dict = typing.get_origin(item) is dict or _is_pydantic(item)
    if wants_dict and not (single and isinstance(data.iloc[0, 0] if len(data) else None, dict)):
        return data.to_dict(orient="records")
    if single:
        return data.iloc[:, 0].tolist()
    raise SchemaEnforcementError(
        f"The model takes {hint!r}, one value a row; got {len(data.columns)} columns"
    )


def convert(data: Any, hint: Any) -> list[Any]:
    """Check data against `list[T]`; dicts become pydantic objects where the hint has a model.

    Raises:
        SchemaEnforcementError: names the item that does not fit.
    """
    if type(data).__name__ in ("ndarray", "Series"):
        data = data.tolist()
    if not isinstance(data, list):
        raise SchemaEnforcementError(
            f"The model takes {hint!r}; got {type(data).__name__}: wrap it in a list"
        )
    item = typing.get_args(hint)[0]
    return [
        _convert(value, item, f"item {position}") for position, value in enumerate(cast("list[Any]", data))
    ]


def _convert(value: Any, hint: Any, where: str) -> Any:
    if hint is Any:
        return value
    if _is_pydantic(hint):
        if isinstance(value, hint):
            return value
        try:
            return hint.model_validate(value, strict=True)
        except ValueError as error:  # pydantic's ValidationError is one
            raise SchemaEnforcementError(f"{where} does not fit {hint.__name__}: {error}") from error
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if _is_union(hint):
        if value is None and type(None) in arguments:
            return None
        for argument in (argument for argument in arguments if argument is not type(None)):
            try:
                return _convert(value, argument, where)
            except SchemaEnforcementError:
                continue  # another member of the union may fit
        raise SchemaEnforcementError(f"{where} fits no member of {hint!r}: {value!r}")
    if origin is list:
        if not isinstance(value, list):
            raise SchemaEnforcementError(f"{where} must be a list, got {type(value).__name__}")
        return [
            _convert(child, arguments[0], f"{where}, item {position}")
            for position, child in enumerate(cast("list[Any]", value))
        ]
    if origin is dict:
        if not isinstance(value, dict):
            raise SchemaEnforcementError(f"{where} must be an object, got {type(value).__name__}")
        return {
            key: _convert(child, arguments[1], f"{where}, key {key!r}")
            for key, child in cast("dict[str, Any]", value).items()
        }
    plain = value.item() if type(value).__module__ == "numpy" and hasattr(value, "item") else value
    if hint is float and type(plain) is int:
        return float(plain)
    if hint is dt.datetime and isinstance(plain, str):
        try:
            return dt.datetime.fromisoformat(plain)
        except ValueError as error:
            raise SchemaEnforcementError(f"{where} is no ISO time: {plain!r}") from error
    if type(plain) is not hint and not (hint is dt.datetime and isinstance(plain, dt.datetime)):
        raise SchemaEnforcementError(f"{where} must be {hint.__name__}, got {type(plain).__name__} {plain!r}")
    return plain
