"""`mlflow.pytorch` by another name: save, log and load PyTorch models, and log trainings with Lightning by themselves."""

from slipstream.autologging.pytorch import autolog
from slipstream.flavors.pytorch import load_model, log_model, save_model

__all__ = ["autolog", "load_model", "log_model", "save_model"]
