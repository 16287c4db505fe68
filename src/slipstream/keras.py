"""`mlflow.keras` by another name: save, log and load Keras models, and log trainings by themselves."""

from slipstream.autologging.keras import autolog
from slipstream.flavors.keras import load_model, log_model, save_model

__all__ = ["autolog", "load_model", "log_model", "save_model"]
