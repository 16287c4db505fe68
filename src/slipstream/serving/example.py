"""A request that a model can answer, for the user to copy."""

import json
import shlex
from pathlib import Path
from typing import Any

from slipstream.models.mlmodel import Model
from slipstream.models.schema import Array, ColSpec, DataType, Map, Object, Schema, TensorSpec

_LONGEST_INLINE = 400
_VALUES: dict[DataType, Any] = {
    DataType.boolean: True,
    DataType.integer: 0,
    DataType.long: 0,
    DataType.float: 0.5,
    DataType.double: 0.5,
    DataType.string: "text",
    DataType.binary: "Ynl0ZXM=",
    DataType.datetime: "2026-01-31T12:00:00",
}


def curl_command(
    url: str, folder: Path, *, variable: str | None = None, path: str = "/invocations"
) -> str | None:
    """Return a command that asks the model, with its own input example where it has one.

    Args:
        url: where the server listens, without a path.
        folder: the model's folder.
        variable: the shell variable with the token or key that clients must send; None if they need none.
        path: where the model is asked.

    Returns:
        One line for a shell; None if the model has neither an example nor an input schema.
    """
    model = Model.load(folder)
    data = _stored_example(model, folder)
    if data is None:
        schema = model.get_input_schema()
        if schema is None:
            return None
        data = json.dumps(_made_example(schema))
    token = "" if variable is None else f' -H "Authorization: Bearer ${variable}"'
    return f"curl {url}{path} -H 'Content-Type: application/json'{token} -d {shlex.quote(data)}"


def _stored_example(model: Model, folder: Path) -> str | None:
    name = (model.saved_input_example_info or {}).get("serving_input_path")
    path = folder / str(name)
    # Only a file of the model: an MLmodel file from elsewhere may name any path.
    if not name or not path.resolve().is_relative_to(folder.resolve()) or not path.is_file():
        return None
    text = json.dumps(json.loads(path.read_text(encoding="utf-8")))
    return text if len(text) <= _LONGEST_INLINE else f"@{path}"


def _made_example(schema: Schema) -> dict[str, Any]:
    if schema.is_tensor_spec():
        tensors = {spec.name: _tensor(spec) for spec in schema if isinstance(spec, TensorSpec)}
        return {"inputs": tensors if schema.has_input_names() else next(iter(tensors.values()))}
    row = [_value(spec.type) for spec in schema if isinstance(spec, ColSpec)]
    if not schema.has_input_names():
        return {"dataframe_split": {"data": [row]}}
    return {"dataframe_split": {"columns": schema.input_names(), "data": [row]}}


def _tensor(spec: TensorSpec) -> Any:
    value: Any = {"b": True, "U": "text", "S": "text", "O": "text", "f": 0.5}.get(spec.type.kind, 0)
    for length in reversed(spec.shape):
        value = [value] * (1 if length < 0 else length)
    return value


def _value(wanted: Any) -> Any:
    if isinstance(wanted, DataType):
        return _VALUES[wanted]
    if isinstance(wanted, Array):
        return [_value(wanted.dtype)]
    if isinstance(wanted, Object):
        return {item.name: _value(item.dtype) for item in wanted.properties}
    if isinstance(wanted, Map):
        return {"key": _value(wanted.value_type)}
    return "anything"
