"""What users pass, as what is stored: floats, whole numbers, texts.

Checked here, before a value takes either way, so that a script is answered the same in process and over HTTP.
"""

import operator
import sys
from collections.abc import Mapping
from typing import Any

from slipstream.errors import InvalidParameterError
from slipstream.rules.limits import INT64_MAX, INT64_MIN

_SHOWN = 100
MILLISECONDS = "whole milliseconds since 1970, such as int(time.time() * 1000)"
"""What a time has to be, for `to_int64`."""


def to_float(key: str, value: Any) -> float:
    """Return a metric's value as a float.

    Taken are numbers, texts that spell one (MLflow takes them), and arrays or tensors of one element from
    numpy, torch, tensorflow or jax, wherever they live; their libraries are not imported for it.

    Raises:
        InvalidParameterError: anything else; names key and value.
    """
    if type(value) is float:
        return value
    if value is None:
        raise InvalidParameterError(f"Missing value for required parameter 'value' of metric '{key}'.")
    try:
        if "torch" in sys.modules and hasattr(value, "detach"):
            return float(value.detach().cpu().item())
        if hasattr(value, "item") and not isinstance(value, (int, float)):
            return float(value.item())
        return float(value)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise InvalidParameterError(
            f"Failed to convert metric value to float: metric '{key}' got {_shown(value)} of type "
            f"{type(value).__name__} ({error}). Log a number, or an array or tensor of one element."
        ) from error


def to_int64(value: Any, field: str, needed: str = "a whole number") -> int:
    """Return a step, a time or a count as an integer that both databases can keep.

    Taken are integers of any library (numpy, torch), and floats without a fraction, which MLflow's stores turn
    into integers. Booleans are refused, as MLflow's client refuses them over HTTP.

    Raises:
        InvalidParameterError: anything else; names `field`, the value, and what is `needed`.
    """
    if type(value) is not int:
        value = _whole(value, field, needed)
    if not INT64_MIN <= value <= INT64_MAX:
        raise InvalidParameterError(
            f"Invalid value {_shown(value)} for '{field}': it needs more than 64 bits. Give {needed}."
        )
    return value


def _whole(value: Any, field: str, needed: str) -> int:
    try:
        if not isinstance(value, bool):
            # A float of numpy's is no `float` in the width of 32 bits, but knows whether it is whole.
            is_integer: Any = getattr(value, "is_integer", None)
            return int(value) if callable(is_integer) and is_integer() else operator.index(value)
    except (TypeError, ValueError, OverflowError):
        pass  # answered below
    raise InvalidParameterError(
        f"Invalid value {_shown(value)} of type {type(value).__name__} for '{field}': give {needed}."
    )


def require_text(value: Any, field: str) -> str:
    """Return a key, a name or an id, which must be a text that can be stored.

    Raises:
        InvalidParameterError: it is not a text (MLflow's client raises `TypeError`), or not valid Unicode.
    """
    if type(value) is not str:
        if value is None:
            raise InvalidParameterError(f"Missing value for required parameter '{field}'.")
        if not isinstance(value, str):
            raise InvalidParameterError(
                f"Invalid value {_shown(value)} of type {type(value).__name__} for '{field}': it must be a text. "
                "Write str(...) around it."
            )
        value = str.__str__(value)  # numpy's texts and members of enumerations; JSON knows neither
    if not value.isascii():
        _check_unicode(value, field)
    return value


def require_pairs(values: Any, field: str) -> Mapping[str, Any]:
    """Return keys with their values, which must be a dictionary or like one (a series, a configuration).

    Raises:
        InvalidParameterError: it is not.
    """
    if callable(getattr(values, "items", None)):
        return values
    raise InvalidParameterError(
        f"Invalid value {_shown(values)} of type {type(values).__name__} for '{field}': give a dictionary, such as "
        "{'key': value}."
    )


def to_text(value: Any, field: str) -> str:
    """Return anything as the text that is stored of it.

    Raises:
        InvalidParameterError: that text is not valid Unicode.
    """
    text = str(value)
    if not text.isascii():
        _check_unicode(text, field)
    return text


def to_text_map(values: Mapping[str, Any] | None, field: str = "tags") -> dict[str, str]:
    return {
        to_text(key, f"{field}.key"): to_text(value, f"{field}.value")
        for key, value in (values or {}).items()
    }


def _check_unicode(text: str, field: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidParameterError(
            f"Invalid value {_shown(text)} for '{field}': it is not valid Unicode, as the name of a file that is not "
            "UTF-8. Pass it through value.encode('utf-8', 'backslashreplace').decode()."
        ) from error


def _shown(value: Any) -> str:
    try:
        shown = ascii(value)  # which a terminal and a log can always show
    except ValueError:  # an integer of more than 4,300 digits
        return "a number of thousands of digits"
    return shown if len(shown) <= _SHOWN else shown[:_SHOWN] + "..."
