"""Names of files of a saved model, as `mlflow.models.model` has them."""

from slipstream.models.mlmodel import MLMODEL_FILE

MLMODEL_FILE_NAME = MLMODEL_FILE
