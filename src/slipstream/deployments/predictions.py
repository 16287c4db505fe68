"""What a deployed model answers."""

import json
from pathlib import Path
from typing import Any, cast

from slipstream.errors import InvalidParameterError, MissingDependencyError


class PredictionsResponse(dict[str, Any]):
    """The JSON object that a scoring server answered; the result is under `predictions`.

    A language model's answer has that model's own keys instead.
    """

    def get_predictions(self, predictions_format: str = "dataframe", dtype: Any = None) -> Any:
        """Return the predictions as a pandas frame, or as a numpy array of `dtype`.

        Raises:
            InvalidParameterError: the format is neither `dataframe` nor `ndarray`, or there are no predictions.
        """
        if "predictions" not in self:
            raise InvalidParameterError(
                f"The answer has no 'predictions' but the keys {sorted(self)}; read them from it as from a dict."
            )
        predictions = self["predictions"]
        if predictions_format == "ndarray":
            return _import("numpy").array(predictions, dtype)
        if predictions_format != "dataframe":
            raise InvalidParameterError(
                f"predictions_format must be 'dataframe' or 'ndarray', got {predictions_format!r}"
            )
        # One value, or an object without columns, is one row.
        if isinstance(predictions, dict):
            row = cast("dict[str, Any]", predictions)
            if not any(isinstance(value, (list, tuple)) for value in row.values()):
                predictions = [row]
        elif not isinstance(predictions, list):
            predictions = [predictions]
        return _import("pandas").DataFrame(data=predictions)

    def to_json(self, path: str | Path | None = None) -> str | None:
        """Return the answer's JSON, or write it to a file."""
        text = json.dumps(dict(self))
        if path is None:
            return text
        Path(path).write_text(text, encoding="utf-8")
        return None

    @classmethod
    def from_json(cls, json_str: str | bytes) -> "PredictionsResponse":
        """Read an answer.

        Raises:
            InvalidParameterError: the text is no JSON object with the key `predictions`.
        """
        value = _parse(json_str)
        if "predictions" not in value:
            raise InvalidParameterError(
                f"The answer must be a JSON object with the key 'predictions', got: {_shown(json_str)}"
            )
        return cls(value)

    @classmethod
    def of_any_model(cls, body: bytes) -> "PredictionsResponse":
        """Read the answer of a model that may be a language model, whose object has keys of its own."""
        return cls(_parse(body))


def _parse(text: str | bytes) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        raise InvalidParameterError(
            f"The answer is not valid JSON: {error}. It begins: {_shown(text)}"
        ) from error
    if not isinstance(value, dict):
        raise InvalidParameterError(f"The answer must be a JSON object, got: {_shown(text)}")
    return cast("dict[str, Any]", value)


def _shown(text: str | bytes) -> str:
    return repr(text[:200])


def _import(name: str) -> Any:
    import importlib

    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise MissingDependencyError(
            f"get_predictions needs {name}: pip install {name}. The plain values are in the answer's 'predictions'."
        ) from error
