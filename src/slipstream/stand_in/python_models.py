"""What pickles of Python models refer to in `mlflow.pyfunc.model`."""

from slipstream.flavors.python_model import FunctionModel, PythonModel, PythonModelContext

_FunctionPythonModel = FunctionModel

__all__ = ["PythonModel", "PythonModelContext", "_FunctionPythonModel"]
