"""`mlflow.xgboost` by another name: save, log and load XGBoost models, and log trainings by themselves."""

from slipstream.autologging.xgboost import autolog
from slipstream.flavors.xgboost import load_model, log_model, save_model

__all__ = ["autolog", "load_model", "log_model", "save_model"]
