"""`mlflow.transformers` by another name: save, log and load Hugging Face pipelines."""

from slipstream.flavors.transformers import load_model, log_model, save_model

__all__ = ["load_model", "log_model", "save_model"]
