"""A loaded model as one Python function: checks input against the signature, then predicts."""

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from slipstream.errors import InvalidParameterError
from slipstream.flavors.python_model import FunctionModel, PythonModelRunner
from slipstream.models.enforcement import enforce_params, enforce_schema
from slipstream.models.example import load_example
from slipstream.models.flavor import Predictor
from slipstream.models.mlmodel import PYFUNC, Model


class FlavorModel:
    """A model of a native flavor, seen as a Python function."""

    def __init__(self, model: Any, predict: Predictor) -> None:
        self._model = model
        self._predict = predict

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:
        return self._predict(data, params or {})

    def predict_stream(self, data: Any, params: dict[str, Any] | None = None) -> Iterator[Any]:
        stream = getattr(self._predict, "stream", None)
        if stream is None:
            raise InvalidParameterError("This model does not support predict_stream; use predict")
        return stream(data, params or {})

    @property
    def predictor(self) -> Predictor:
        """What the flavor made to be called."""
        return self._predict

    @property
    def checks_input(self) -> bool:
        """The flavor checks its input itself, so that the signature need not be enforced."""
        return getattr(self._predict, "checks_input", False)

    def get_raw_model(self) -> Any:
        return self._model


class PyFuncModel:
    """A loaded model: checks input against the signature, then predicts."""

    def __init__(self, metadata: Model, implementation: Any, folder: Path | None = None) -> None:
        self.metadata = metadata
        self._implementation = implementation
        self._folder = folder
        self._config = metadata.flavors[PYFUNC]
        self._takes_params: dict[Any, bool] = {}
        name = self._config.get("predict_fn", "predict")
        # A native flavor has chosen its method already; a foreign loader's object offers it by name.
        if not isinstance(implementation, (FlavorModel, PythonModelRunner)) and not hasattr(
            implementation, name
        ):
            raise InvalidParameterError(
                f"The loaded model has no method '{name}', which its MLmodel file names"
            )
        self._predict = (
            implementation.predict
            if isinstance(implementation, (FlavorModel, PythonModelRunner))
            else getattr(implementation, name)
        )

    @property
    def model_id(self) -> str | None:
        return self.metadata.model_id

    @property
    def loader_module(self) -> str:
        return self._config["loader_module"]

    @property
    def model_config(self) -> dict[str, Any]:
        return self._config.get("config") or {}

    @property
    def flavor_predictor(self) -> Predictor | None:
        """What a native flavor made to be called; `None` for other models."""
        return self._implementation.predictor if isinstance(self._implementation, FlavorModel) else None

    @property
    def joins_rows(self) -> bool:
        """Each row's prediction depends on that row alone, so that rows of several callers may be predicted together."""
        return getattr(self.flavor_predictor, "joins_rows", False)

    @property
    def streams(self) -> bool:
        """`predict_stream` works."""
        if isinstance(self._implementation, FlavorModel):
            return hasattr(self._implementation.predictor, "stream")
        name = self._config.get("predict_stream_fn", "predict_stream")
        return bool(self._config.get("streamable")) and hasattr(self._implementation, name)

    @property
    def input_example(self) -> Any:
        """The example that the model was saved with, read from its folder; `None` if it has none."""
        return (
            None
            if self._folder is None
            else load_example(self._folder, self.metadata.saved_input_example_info)
        )

    def predict(self, data: Any, params: dict[str, Any] | None = None) -> Any:
        """Return predictions.

        Raises:
            SchemaEnforcementError: the input does not fit the signature; names the column.
            InvalidParameterError: a param does not fit.
        """
        checked, values = self._check(data, params)
        return self._call(self._predict, checked, values)

    def predict_stream(self, data: Any, params: dict[str, Any] | None = None) -> Iterator[Any]:
        """Yield the parts of one prediction.

        Raises:
            InvalidParameterError: the model cannot stream, or the input is not a single one.
        """
        if isinstance(self._implementation, FlavorModel):
            checked, values = self._check(data, params)
            return self._implementation.predict_stream(checked, values)
        stream = getattr(self._implementation, self._config.get("predict_stream_fn", "predict_stream"), None)
        if not self._config.get("streamable") or stream is None:
            raise InvalidParameterError("This model does not support predict_stream; use predict")
        checked, values = self._check(data, params)
        return self._call(stream, _single(checked), values)

    def unwrap_python_model(self) -> Any:
        """Return the user's own object behind this model.

        Raises:
            InvalidParameterError: the model is not made of a custom Python model.
        """
        python_model = getattr(self._implementation, "python_model", None)
        if python_model is None:
            raise InvalidParameterError(
                "Unable to retrieve base model object from pyfunc: it is no PythonModel"
            )
        return python_model.func if isinstance(python_model, FunctionModel) else python_model

    def get_raw_model(self) -> Any:
        """Return the model as its own library knows it.

        Raises:
            InvalidParameterError: the loader's object does not give it out.
        """
        get = getattr(self._implementation, "get_raw_model", None)
        if get is None:
            raise InvalidParameterError("The loaded model does not give out its raw model")
        return get()

    def _check(self, data: Any, params: dict[str, Any] | None) -> tuple[Any, dict[str, Any] | None]:
        signature = self.metadata.signature
        schema = self.metadata.get_params_schema()
        # Models have `params=None` in their predict and fill in defaults of their own then.
        values = None if params is None and schema is None else enforce_params(params, schema)
        if signature is None or signature.inputs is None or signature.from_type_hint:
            return data, values
        if isinstance(self._implementation, FlavorModel) and self._implementation.checks_input:
            return data, values
        checked = enforce_schema(data, signature.inputs)
        return (self._like_example(checked) if signature.type_hint_from_example else checked), values

    def _like_example(self, frame: Any) -> Any:
        """Give a model whose hint says "like the example" the example's kind of container."""
        example = self.input_example
        if isinstance(example, list):
            single = len(frame.columns) == 1 and not isinstance(cast("list[Any]", example)[0], dict)
            return frame.iloc[:, 0].tolist() if single else frame.to_dict(orient="records")
        return frame.iloc[:, 0] if type(example).__name__ == "Series" else frame

    def _call(self, function: Any, data: Any, params: dict[str, Any] | None) -> Any:
        # Looking at a signature costs as much as predicting with a small model.
        takes = self._takes_params.get(function)
        if takes is None:
            taken = inspect.signature(function).parameters.get("params")
            takes = taken is not None and taken.kind is not inspect.Parameter.VAR_KEYWORD
            self._takes_params[function] = takes
        return function(data, params=params) if takes else function(data)

    def __repr__(self) -> str:
        import yaml

        info: dict[str, Any] = {"flavor": self.loader_module}
        if self.metadata.run_id is not None:
            info["run_id"] = self.metadata.run_id
        if self.metadata.artifact_path is not None:
            info["artifact_path"] = self.metadata.artifact_path
        return yaml.safe_dump({"slipstream.pyfunc.loaded_model": info}, default_flow_style=False)


def _single(data: Any) -> Any:
    """Return the only input of a DataFrame or list, as plain Python."""
    if hasattr(data, "iloc") and hasattr(data, "columns"):
        data = data.iloc[:, 0].tolist() if list(data.columns) == [0] else data.to_dict(orient="records")
    if isinstance(data, list):
        items = cast("list[Any]", data)
        if len(items) != 1:
            raise InvalidParameterError(f"predict_stream takes one input at a time, got {len(items)}")
        return items[0]
    return data
