"""Values of inference params: is a value what its `ParamSpec` says, and if not quite, does it convert safely."""

import datetime as dt
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from slipstream.errors import InvalidParameterError
from slipstream.models.exact_numbers import float_holds
from slipstream.models.iso_times import WAY_OUT, parse_iso
from slipstream.models.schema import AnyType, Array, DataType, Map, Object, ValueType

if TYPE_CHECKING:
    from slipstream.models.schema import ParamSpec

_INT32 = 2**31


def check_param(value: Any, spec: "ParamSpec") -> Any:
    """Return `value` as a plain Python value of the spec's type.

    `None` passes: it means "not set". Integers become floats where the spec wants floats; nothing else is
    converted but ISO text to a datetime.

    Raises:
        InvalidParameterError: names the param, the value and the type wanted.
    """
    if spec.shape is None:
        if isinstance(spec.dtype, Object):
            if value is not None:
                _check_value(value, spec.dtype, f"param '{spec.name}'")
            return value
        return _to_scalar(value, spec.dtype, f"param '{spec.name}'")
    if spec.shape != (-1,):
        raise InvalidParameterError(
            f"Param '{spec.name}' has shape {spec.shape}; use None for a scalar or an object, (-1,) for a list"
        )
    if value is None:
        return None
    items = value.tolist() if hasattr(value, "tolist") else value
    if not isinstance(items, (list, tuple)) or any(
        isinstance(item, (list, tuple)) for item in cast("list[Any]", items)
    ):
        raise InvalidParameterError(
            f"Param '{spec.name}' takes a flat list of {spec.dtype!r}, got {value!r}; write [{value!r}]"
        )
    if isinstance(spec.dtype, Object):
        for position, item in enumerate(cast("list[Any]", items)):
            _check_value(item, spec.dtype, f"item {position} of param '{spec.name}'")
        return cast("list[Any]", items)
    return [
        _to_scalar(item, spec.dtype, f"item {position} of param '{spec.name}'")
        for position, item in enumerate(cast("list[Any]", items))
    ]


def _to_scalar(value: Any, dtype: DataType, where: str) -> Any:
    if value is None:
        return None
    if dtype is DataType.datetime:
        return _to_datetime(value, where)
    plain = value.item() if type(value).__module__ == "numpy" and hasattr(value, "item") else value
    if (
        dtype in (DataType.float, DataType.double)
        and type(plain) is int
        and float_holds(plain, *((24, 128) if dtype is DataType.float else (53, 1024)))
    ):
        return float(plain)
    kind = cast("type[Any]", type(plain))
    fits = {
        DataType.boolean: kind is bool,
        DataType.integer: kind is int and -_INT32 <= cast("int", plain) < _INT32,
        DataType.long: kind is int and -(2**63) <= cast("int", plain) < 2**63,
        DataType.float: kind is float,
        DataType.double: kind is float,
        DataType.string: kind is str,
    }[dtype]
    if not fits:
        raise InvalidParameterError(
            f"Can not safely convert the value {value!r} of {where} from {kind.__name__} to {dtype!r}"
        )
    return plain


def _to_datetime(value: Any, where: str) -> dt.date:
    if isinstance(value, dt.date):
        return value
    text = str(value) if type(value).__module__ == "numpy" else value
    if isinstance(text, str):
        try:
            time = parse_iso(text)
        except ValueError as error:
            raise InvalidParameterError(
                f"The value {value!r} of {where} is no ISO 8601 time: {error}. {WAY_OUT}"
            ) from error
        return time.date() if len(text) <= len("2026-01-01") else time  # MLflow makes dates of dates
    raise InvalidParameterError(
        f"Can not safely convert the value {value!r} of {where} to datetime; give ISO text or a datetime"
    )


def _check_value(value: Any, dtype: ValueType, where: str) -> None:
    if isinstance(dtype, AnyType):
        return
    if isinstance(dtype, Object):
        if not isinstance(value, Mapping):
            raise InvalidParameterError(f"Expected an object for {where}, got {type(value).__name__}")
        fields = cast("Mapping[str, Any]", value)
        known = {prop.name: prop for prop in dtype.properties}
        if missing := [name for name, prop in known.items() if prop.required and name not in fields]:
            raise InvalidParameterError(f"Missing required properties {missing} in {where}")
        if unknown := [name for name in fields if name not in known]:
            raise InvalidParameterError(f"Unknown properties {unknown} in {where}; known: {sorted(known)}")
        for name, item in fields.items():
            if item is not None or known[name].required:
                _check_value(item, known[name].dtype, f"'{name}' of {where}")
    elif isinstance(dtype, Array):
        if not isinstance(value, (list, tuple)):
            raise InvalidParameterError(f"Expected a list for {where}, got {type(value).__name__}")
        for position, item in enumerate(cast("list[Any]", value)):
            _check_value(item, dtype.dtype, f"item {position} of {where}")
    elif isinstance(dtype, Map):
        if not isinstance(value, Mapping):
            raise InvalidParameterError(f"Expected an object for {where}, got {type(value).__name__}")
        for name, item in cast("Mapping[str, Any]", value).items():
            _check_value(item, dtype.value_type, f"'{name}' of {where}")
    elif value is None:
        raise InvalidParameterError(f"Expected {dtype!r} for {where}, got None")
    else:
        _to_scalar(value, dtype, where)
