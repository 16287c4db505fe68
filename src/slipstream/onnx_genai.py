"""Save, log and load language models in the format of ONNX Runtime GenAI. MLflow has no such flavor."""

from slipstream.flavors.onnx_genai import (
    load_model,
    log_model,
    save_model,
)
from slipstream.flavors.onnx_genai import (
    load_pyfunc as _load_pyfunc,  # what MLflow calls when it loads such a model
)

__all__ = ["_load_pyfunc", "load_model", "log_model", "save_model"]
