"""`mlflow.pyfunc` by another name: any model as one Python function, and custom Python models."""

from slipstream.flavors.pyfunc import PyFuncModel, get_model_dependencies, load_model, log_model, save_model
from slipstream.flavors.python_model import PythonModel, PythonModelContext

__all__ = [
    "PyFuncModel",
    "PythonModel",
    "PythonModelContext",
    "get_model_dependencies",
    "load_model",
    "log_model",
    "save_model",
]
