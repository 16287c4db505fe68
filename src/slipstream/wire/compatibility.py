"""Which MLflow we speak."""

MLFLOW_VERSION = "3.17.2"
"""The version whose wire and formats slipstream follows; `/version` answers it, since clients compare."""
