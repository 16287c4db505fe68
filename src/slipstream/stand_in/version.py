"""The version that `mlflow.version` tells: the one whose API and formats slipstream follows."""

from slipstream.wire.compatibility import MLFLOW_VERSION

VERSION = MLFLOW_VERSION
IS_TRACING_SDK_ONLY = False
