"""`mlflow.models` by another name: what a model is made of, how it is described, saved and checked."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slipstream.models.enforcement import enforce_schema
    from slipstream.models.example import convert_input_example_to_serving_input
    from slipstream.models.mlmodel import Model, ModelInfo
    from slipstream.models.model_code import ModelConfig, set_model
    from slipstream.models.signature import ModelSignature, infer_signature
    from slipstream.models.updates import get_model_info, set_signature, validate_schema
    from slipstream.serving.trying import predict, validate_serving_input

_HOMES = {
    "Model": "mlmodel",
    "ModelConfig": "model_code",
    "ModelInfo": "mlmodel",
    "ModelSignature": "signature",
    "convert_input_example_to_serving_input": "example",
    "enforce_schema": "enforcement",
    "get_model_info": "updates",
    "infer_signature": "signature",
    "predict": "slipstream.serving.trying",
    "set_model": "model_code",
    "set_signature": "updates",
    "validate_schema": "updates",
    "validate_serving_input": "slipstream.serving.trying",
}

__all__ = [
    "Model",
    "ModelConfig",
    "ModelInfo",
    "ModelSignature",
    "convert_input_example_to_serving_input",
    "enforce_schema",
    "get_model_info",
    "infer_signature",
    "predict",
    "set_model",
    "set_signature",
    "validate_schema",
    "validate_serving_input",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'slipstream.models' has no attribute '{name}'")
    module = home if home.startswith("slipstream.") else f"slipstream.models.{home}"
    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
