"""What pickles of Python models with type hints refer to: MLflow's wrapper that checks input. Ours checks it before."""

from collections.abc import Callable
from typing import Any

from slipstream.flavors.pickling import _convert_arguments as _validate_model_input  # pyright: ignore[reportPrivateUsage]
from slipstream.flavors.pickling import _FunctionInfo as FuncInfo  # pyright: ignore[reportPrivateUsage]


def pyfunc(function: Callable[..., Any]) -> Callable[..., Any]:
    return function


__all__ = ["FuncInfo", "_validate_model_input", "pyfunc"]
