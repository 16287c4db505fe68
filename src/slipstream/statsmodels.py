"""`mlflow.statsmodels` by another name: save, log and load statsmodels models, and log trainings by themselves."""

from slipstream.autologging.statsmodels import autolog
from slipstream.flavors.statsmodels import load_model, log_model, save_model

__all__ = ["autolog", "load_model", "log_model", "save_model"]
