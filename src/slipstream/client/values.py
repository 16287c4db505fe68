"""What users pass, as what is stored: floats, texts, times."""

import sys
from collections.abc import Mapping
from typing import Any

from slipstream.errors import InvalidParameterError

_SHOWN = 100


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
        shown = repr(value)
        shown = shown if len(shown) <= _SHOWN else shown[:_SHOWN] + "..."
        raise InvalidParameterError(
            f"Failed to convert metric value to float: metric '{key}' got {shown} of type "
            f"{type(value).__name__} ({error}). Log a number, or an array or tensor of one element."
        ) from error


def to_text_map(values: Mapping[str, Any] | None) -> dict[str, str]:
    return {str(key): str(value) for key, value in (values or {}).items()}
