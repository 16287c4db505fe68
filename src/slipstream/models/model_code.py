"""Models from code: a Python file that builds its model and hands it over with `set_model`."""

import builtins
import contextvars
import importlib
import importlib.util
import sys
import types
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from slipstream.errors import InvalidParameterError

_THEIR_CONFIG = "mlflow.models.model_config"
_handed_over: contextvars.ContextVar[list[Any] | None] = contextvars.ContextVar("handed_over", default=None)
_config: contextvars.ContextVar[Mapping[str, Any] | str | None] = contextvars.ContextVar(
    "config", default=None
)


def set_model(model: Any) -> None:
    """Hand over the model of a models-from-code file.

    Outside of such a load this does nothing, so the file can also be run by itself.

    Raises:
        InvalidParameterError: the object cannot predict.
    """
    if not callable(model) and not callable(getattr(model, "predict", None)):
        raise InvalidParameterError(
            f"set_model takes a PythonModel or a function, got {type(model).__name__} without a predict method"
        )
    box = _handed_over.get()
    if box is not None:
        box.append(model)
    else:
        # Perhaps MLflow itself executes the file; this is where it looks for the model.
        _swap_their_model(model)


class ModelConfig:
    """The settings of a models-from-code file.

    While a saved model is being loaded these are the settings it was saved with; otherwise those given here.

    Args:
        development_config: a mapping, or the path of a YAML file.

    Raises:
        InvalidParameterError: there are no settings, or the file does not exist.
    """

    def __init__(self, *, development_config: Mapping[str, Any] | str | Path | None = None) -> None:
        saved = _config.get()
        if saved is None and (theirs := sys.modules.get("mlflow.models.model_config")) is not None:
            saved = theirs.__dict__.get("__mlflow_model_config__")  # MLflow is executing the file
        config = development_config if saved is None else saved
        if config is None or config == "":
            raise InvalidParameterError(
                "No model config: the model was saved without model_config, or ModelConfig got no development_config"
            )
        self._values = read_config(config)

    def get(self, key: str) -> Any:
        """Return one setting; `KeyError` if there is none of that name, as for a dict."""
        if key not in self._values:
            raise KeyError(f"Key '{key}' not found in configuration: {sorted(self._values)}")
        return self._values[key]

    def to_dict(self) -> dict[str, Any]:
        return dict(self._values)


def read_config(config: Mapping[str, Any] | str | Path) -> dict[str, Any]:
    """Return settings from a mapping or a YAML (or JSON) file.

    Raises:
        InvalidParameterError: the file does not exist or holds no mapping.
    """
    if isinstance(config, Mapping):
        return dict(config)
    import yaml

    path = Path(config)
    if not path.is_file():
        raise InvalidParameterError(f"The model config file '{config}' does not exist")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise InvalidParameterError(f"The model config file '{config}' is no valid YAML: {error}") from error
    if not isinstance(content, dict):
        raise InvalidParameterError(f"The model config file '{config}' must be a mapping of settings")
    return cast("dict[str, Any]", content)


def run_model_code(path: Path, config: Mapping[str, Any] | None, source: bytes | None = None) -> Any:
    """Execute a models-from-code file and return the model that it sets.

    The caller has made sure that the file may run. A file that imports `mlflow` gets slipstream under that
    name if MLflow is not installed.

    Args:
        path: the file.
        config: the settings that the model was saved with.
        source: the file's content, where the caller has read it to look at it; what it saw is what runs.

    Raises:
        InvalidParameterError: the file fails, or sets no model.
    """
    module = types.ModuleType(f"slipstream_model_code_{uuid.uuid4().hex}")
    module.__file__ = str(path)
    installed = importlib.util.find_spec("mlflow") is not None
    if not installed:
        module.__dict__["__builtins__"] = _builtins_with_slipstream_as_mlflow()
    else:
        module.__dict__["__builtins__"] = _builtins_that_configure_mlflow("" if config is None else config)
    box: list[Any] = []
    box_token = _handed_over.set(box)
    config_token = _config.set("" if config is None else config)
    # Pickling by reference and dataclasses look classes up by their module's name.
    sys.modules[module.__name__] = module
    _swap_their_model(None)  # one that is left over from an earlier file is not this file's
    try:
        code = compile(path.read_bytes() if source is None else source, str(path), "exec")
        exec(code, module.__dict__)  # noqa: S102  # this is what the feature is
    except Exception as error:
        sys.modules.pop(module.__name__, None)
        raise InvalidParameterError(f"The model's code file '{path.name}' failed: {error!r}") from error
    finally:
        _config.reset(config_token)
        _handed_over.reset(box_token)
        if installed:
            _set_their_config(None)
    if not box:
        model = _swap_their_model(None)
        if model is None:
            raise InvalidParameterError(
                f"The model's code file '{path.name}' sets no model; end it with slipstream.models.set_model(model)"
            )
        return model
    return box[-1]


def _swap_their_model(model: Any) -> Any:
    """Exchange the model that was handed to MLflow's `set_model`, if MLflow is imported here at all."""
    theirs = sys.modules.get("mlflow.models.model")
    if theirs is None:
        return None
    previous = theirs.__dict__.get("__mlflow_model__")
    theirs.__dict__["__mlflow_model__"] = model
    return previous


def _set_their_config(config: Mapping[str, Any] | str | None) -> None:
    """Put the settings where MLflow's `ModelConfig` looks for them, if MLflow is imported here at all."""
    theirs = sys.modules.get(_THEIR_CONFIG)
    if theirs is not None:
        theirs.__dict__["__mlflow_model_config__"] = config


def _builtins_that_configure_mlflow(config: Mapping[str, Any] | str) -> dict[str, Any]:
    """Return builtins whose import gives MLflow the model's settings as soon as the file has imported it."""

    def import_and_configure(name: str, *arguments: Any, **keywords: Any) -> types.ModuleType:
        found = builtins.__import__(name, *arguments, **keywords)
        if name.partition(".")[0] == "mlflow":
            _set_their_config(config)
        return found

    _set_their_config(config)
    return {**vars(builtins), "__import__": import_and_configure}


def _builtins_with_slipstream_as_mlflow() -> dict[str, Any]:
    def import_with_alias(
        name: str,
        namespace: Mapping[str, Any] | None = None,
        local_names: Mapping[str, Any] | None = None,
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> types.ModuleType:
        if level == 0 and name.partition(".")[0] == "mlflow":
            ours = importlib.import_module("slipstream" + name[len("mlflow") :])
            return ours if fromlist else importlib.import_module("slipstream")
        return builtins.__import__(name, namespace, local_names, fromlist or (), level)

    return {**vars(builtins), "__import__": import_with_alias}
