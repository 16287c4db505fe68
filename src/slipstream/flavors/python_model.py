"""Custom Python models: the class to derive from, and how a loaded one is called."""

import inspect
import typing
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from slipstream.errors import InvalidParameterError
from slipstream.flavors import type_hints


class PythonModelContext(msgspec.Struct):
    """What a `PythonModel` finds in `load_context` and `predict`.

    Not frozen: it is the user's to hand around, and MLflow's is not either.
    """

    artifacts: dict[str, str]
    """Local path by the name given in `log_model(artifacts=...)`."""
    model_config: Mapping[str, Any] | None = None


class TypeHints(msgspec.Struct, frozen=True):
    """The type hints of a predict function; MLflow reads these two attributes."""

    input: Any = None
    output: Any = None


class PythonModel:
    """A model made of any Python code: derive from it and write `predict`.

    `predict(self, context, model_input, params=None)`; `context` and `params` may be left out. A type hint
    `model_input: list[T]` gives the model its signature and has the input checked and converted.
    """

    def load_context(self, context: PythonModelContext) -> None:
        """Load what `predict` needs from `context.artifacts`; called once, when the model is loaded."""

    def predict(self, context: Any, model_input: Any, params: dict[str, Any] | None = None) -> Any:
        """Return predictions for `model_input`."""
        raise NotImplementedError(f"{type(self).__name__} has no predict method")

    def predict_stream(
        self, context: Any, model_input: Any, params: dict[str, Any] | None = None
    ) -> Iterator[Any]:
        """Yield parts of the prediction for one input."""
        raise NotImplementedError(f"{type(self).__name__} has no predict_stream method")

    @property
    def predict_type_hints(self) -> TypeHints:
        return hints_of(self.predict)


class FunctionModel(PythonModel):
    """A plain function `f(model_input)` or `f(model_input, params)` as a model."""

    def __init__(self, func: Callable[..., Any]) -> None:
        self.func = func

    def predict(  # pyright: ignore[reportIncompatibleMethodOverride]  # the short form is part of the contract
        self, model_input: Any, params: dict[str, Any] | None = None
    ) -> Any:
        if "params" in inspect.signature(self.func).parameters:
            return self.func(model_input, params=params)
        return self.func(model_input)

    @property
    def predict_type_hints(self) -> TypeHints:
        return hints_of(self.func)


def hints_of(function: Callable[..., Any]) -> TypeHints:
    """Return the hints of a predict function's input and result; none if they cannot be read."""
    name = _input_name(function)
    try:
        hints = typing.get_type_hints(function)
    except (NameError, TypeError, AttributeError) as error:
        warnings.warn(
            f"The type hints of {getattr(function, '__qualname__', function)} cannot be read ({error}); the input will "
            "not be checked against them.",
            UserWarning,
            stacklevel=3,
        )
        return TypeHints()
    return TypeHints(hints.get(name), hints.get("return"))


def _positional(function: Callable[..., Any]) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name not in ("self", "params")]


def takes_context(function: Callable[..., Any]) -> bool:
    names = _positional(function)
    return "context" in names or len(names) == 2


def _input_name(function: Callable[..., Any]) -> str:
    names = _positional(function)
    position = 1 if takes_context(function) else 0
    if position >= len(names):
        raise InvalidParameterError(
            f"{getattr(function, '__qualname__', function)} must take the model's input, as in "
            "predict(self, context, model_input, params=None) or predict(self, model_input)"
        )
    return names[position]


class PythonModelRunner:
    """A loaded Python model with its context: what the pyfunc model calls.

    The model may also be one of MLflow's own class: nothing but its methods is used.
    """

    def __init__(self, python_model: Any, context: Any, *, convert: bool) -> None:
        self.python_model = python_model
        self.context = context
        # MLflow's classes wrap `predict` to convert the input; ours leave `predict` as the user wrote it.
        hints = (
            python_model.predict_type_hints if hasattr(python_model, "predict_type_hints") else TypeHints()
        )
        self._hint = hints.input if type_hints.is_supported(hints.input) else None
        self._convert = convert and isinstance(python_model, PythonModel)

    def predict(self, model_input: Any, params: dict[str, Any] | None = None) -> Any:
        # Around a function there is nothing to go through: what it takes is seen on itself.
        model = self.python_model
        function = model.func if isinstance(model, FunctionModel) else model.predict
        return self._call(function, model_input, params)

    def predict_stream(self, model_input: Any, params: dict[str, Any] | None = None) -> Iterator[Any]:
        return self._call(self.python_model.predict_stream, model_input, params)

    def _call(self, function: Callable[..., Any], data: Any, params: dict[str, Any] | None) -> Any:
        if self._hint is not None:
            data = type_hints.unframe(data, self._hint)
            if self._convert:
                data = type_hints.convert(data, self._hint)
        extra = {"params": params} if "params" in inspect.signature(function).parameters else {}
        if params and not extra:
            warnings.warn(
                f"The model's predict function takes no params; {sorted(params)} are ignored.",
                UserWarning,
                stacklevel=4,
            )
        return function(self.context, data, **extra) if takes_context(function) else function(data, **extra)
