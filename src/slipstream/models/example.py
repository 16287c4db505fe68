"""Input examples: what users give, and the two JSON files that keep it in the model folder."""

import base64
import datetime as dt
import importlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from slipstream.errors import InvalidParameterError
from slipstream.models.signature import is_missing

EXAMPLE_FILE = "input_example.json"
SERVING_EXAMPLE_FILE = "serving_input_example.json"
EXAMPLE_FILES = frozenset({EXAMPLE_FILE, SERVING_EXAMPLE_FILE})

_LLM_KEYS = ("messages", "prompt", "input")


class InputExample:
    """An input example with its params, and its two JSON forms.

    Args:
        example: data, or a tuple of data and a dict of params.

    Raises:
        InvalidParameterError: data of a kind that JSON cannot hold.
    """

    def __init__(self, example: Any) -> None:
        self.data, self.params = split_params(example)
        self.info: dict[str, Any] = {
            "artifact_path": EXAMPLE_FILE,
            "serving_input_path": SERVING_EXAMPLE_FILE,
        }
        stored, serving = self._forms(self.data)
        if self.params is not None:
            self.info["params"] = "true"
            stored = {"inputs": stored, "params": self.params}
            serving = (
                {**serving, **self.params} if serving is self.data else {**serving, "params": self.params}
            )
        self.json_input_example = json.dumps(stored, default=_encode)
        self.json_serving_input = json.dumps(serving, default=_encode, indent=2)

    def _forms(self, data: Any) -> tuple[Any, dict[str, Any]]:
        """Return what is stored and what a client would send to the scoring server."""
        if _is_pydantic(data):
            data = data.model_dump()
        if isinstance(data, dict):
            fields = cast("dict[str, Any]", data)
            if any(_is_array(value) for value in fields.values()):
                if not all(_is_array(value) for value in fields.values()):
                    raise InvalidParameterError(
                        "An input example cannot mix arrays and other values in one dict"
                    )
                self.info["type"] = "ndarray"
                plain = {name: _without_nan(value.tolist()) for name, value in fields.items()}
                return plain, {"inputs": plain}
            self.info["type"] = "json_object"
            return fields, fields if any(key in fields for key in _LLM_KEYS) else {"inputs": fields}
        if _is_array(data):
            self.info["type"] = "ndarray"
            plain = _without_nan(data.tolist())
            return plain, {"inputs": plain}
        if hasattr(data, "tocsr"):
            layout = data.format if data.format in ("csc", "csr") else "csr"
            matrix = data if data.format == layout else data.tocsr()
            self.info["type"] = f"sparse_matrix_{layout}"
            return {
                "data": _without_nan(matrix.data.tolist()),
                "indices": matrix.indices.tolist(),
                "indptr": matrix.indptr.tolist(),
                "shape": list(matrix.shape),
            }, {"inputs": matrix.toarray().tolist()}
        if hasattr(data, "iloc"):
            return self._frame_forms(data)
        if isinstance(data, (list, str, bytes, bool, int, float, dt.date)) or _is_numpy_scalar(data):
            if _contains_array(data):
                raise InvalidParameterError(
                    "An input example cannot be a list of arrays; stack them into one numpy array"
                )
            self.info["type"] = "json_object"
            return cast("Any", data), {"inputs": data}
        raise InvalidParameterError(
            "An input example must be a pandas DataFrame, a numpy array, a dict of arrays, a sparse matrix, or "
            f"JSON-like data; got {type(data).__name__}"
        )

    def _frame_forms(self, data: Any) -> tuple[Any, dict[str, Any]]:
        frame = data.to_frame() if not hasattr(data, "columns") else data
        rows = [
            [None if is_missing(value) else value for value in row]
            for row in frame.astype(object).itertuples(index=False, name=None)
        ]
        split: dict[str, Any] = {"columns": list(frame.columns), "data": rows}
        self.info["type"] = "dataframe"
        self.info["pandas_orient"] = "split"
        if list(frame.columns) == list(range(len(frame.columns))):
            split = {"data": rows}
            self.info["pandas_orient"] = "values"
        return split, {"dataframe_split": split}

    def save(self, folder: Path) -> None:
        """Write both files into a model folder."""
        (folder / EXAMPLE_FILE).write_text(self.json_input_example, encoding="utf-8")
        (folder / SERVING_EXAMPLE_FILE).write_text(self.json_serving_input, encoding="utf-8")


def split_params(example: Any) -> tuple[Any, dict[str, Any] | None]:
    """Take `(data, params)` apart; anything else is data alone."""
    if isinstance(example, tuple):
        pair = cast("tuple[Any, ...]", example)
        if len(pair) == 2 and isinstance(pair[1], dict):
            return pair[0], cast("dict[str, Any]", pair[1])
    return cast("Any", example), None


def convert_input_example_to_serving_input(input_example: Any) -> str | None:
    """Return the JSON body that a client would send for this example."""
    return None if input_example is None else InputExample(input_example).json_serving_input


def load_example(folder: Path, info: Mapping[str, Any] | None) -> Any:
    """Return the saved example as data, without its params; `None` if the model has none."""
    if not info:
        return None
    from slipstream.models.locations import inside

    file = inside(folder, info.get("artifact_path"), key="saved_input_example_info.artifact_path")
    value = json.loads(file.read_text(encoding="utf-8"))
    if info.get("params"):
        value = value["inputs"]
    kind = info.get("type")
    if kind == "dataframe":
        pd: Any = importlib.import_module("pandas")
        if info.get("pandas_orient") == "split":
            return pd.DataFrame(value["data"], columns=value["columns"])
        return pd.DataFrame(value["data"] if isinstance(value, dict) else value)
    if kind == "ndarray":
        np: Any = importlib.import_module("numpy")
        if isinstance(value, dict):
            return {name: np.array(item) for name, item in cast("dict[str, Any]", value).items()}
        return np.array(value)
    if kind in ("sparse_matrix_csr", "sparse_matrix_csc"):
        sparse: Any = importlib.import_module("scipy.sparse")
        build = sparse.csr_matrix if kind.endswith("csr") else sparse.csc_matrix
        return build((value["data"], value["indices"], value["indptr"]), shape=value["shape"])
    return value


def _is_pydantic(value: Any) -> bool:
    return hasattr(value, "model_dump") and hasattr(cast("Any", type(value)), "model_fields")


def _is_array(value: Any) -> bool:
    return type(value).__module__ == "numpy" and type(value).__name__ == "ndarray"


def _is_numpy_scalar(value: Any) -> bool:
    return type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0


def _contains_array(value: Any) -> bool:
    if isinstance(value, list):
        return any(_contains_array(item) for item in cast("list[Any]", value))
    if isinstance(value, dict):
        return any(_contains_array(item) for item in cast("dict[Any, Any]", value).values())
    return _is_array(value)


def _without_nan(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_nan(item) for item in cast("list[Any]", value)]
    return None if isinstance(value, float) and math.isnan(value) else value


def _encode(value: Any) -> Any:
    """Give JSON's encoder a plain form of what it does not know."""
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode()
    if isinstance(value, dt.date) or type(value).__name__ == "Timestamp":
        return value.isoformat()
    if hasattr(value, "model_dump"):
        return value.model_dump()
    if type(value).__module__ == "numpy":
        return value.tolist() if value.dtype.kind != "M" else str(value)
    if is_missing(value):
        return None
    raise InvalidParameterError(f"An input example holds a {type(value).__name__}, which JSON cannot")
