"""`mlflow.lightgbm` by another name: save, log and load LightGBM models, and log trainings by themselves."""

from slipstream.autologging.lightgbm import autolog
from slipstream.flavors.lightgbm import load_model, log_model, save_model

__all__ = ["autolog", "load_model", "log_model", "save_model"]
