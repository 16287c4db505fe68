"""`mlflow.transformers` by another name: save, log and load Hugging Face pipelines, and log trainings by themselves."""

from slipstream.autologging.transformers import autolog
from slipstream.flavors.transformers import load_model, log_model, save_model

__all__ = ["autolog", "load_model", "log_model", "save_model"]
