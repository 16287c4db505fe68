"""The one name of `mlflow.utils` itself that packages of models use: which Python runs."""

import platform

PYTHON_VERSION = platform.python_version()
