"""The tags that have a meaning, under the names of `mlflow.utils.mlflow_tags`."""

from slipstream.client.active_run import NOTE_TAG
from slipstream.client.artifact_logging import LOGGED_IMAGES_TAG
from slipstream.client.datasets import CONTEXT_TAG
from slipstream.client.runs import PARENT_RUN_TAG, RUN_NAME_TAG, USER_TAG
from slipstream.client.tables import LOGGED_ARTIFACTS_TAG

MLFLOW_ARTIFACT_LOCATION = "mlflow.artifactLocation"
MLFLOW_DATASET_CONTEXT = CONTEXT_TAG
MLFLOW_DOCKER_IMAGE_URI = "mlflow.docker.image.uri"
MLFLOW_EXPERIMENT_PRIMARY_METRIC_GREATER_IS_BETTER = "mlflow.experiment.primaryMetric.greaterIsBetter"
MLFLOW_EXPERIMENT_PRIMARY_METRIC_NAME = "mlflow.experiment.primaryMetric.name"
MLFLOW_GIT_BRANCH = "mlflow.source.git.branch"
MLFLOW_GIT_COMMIT = "mlflow.source.git.commit"
MLFLOW_GIT_REPO_URL = "mlflow.source.git.repoURL"
MLFLOW_LOGGED_ARTIFACTS = LOGGED_ARTIFACTS_TAG
MLFLOW_LOGGED_IMAGES = LOGGED_IMAGES_TAG
MLFLOW_PARENT_RUN_ID = PARENT_RUN_TAG
MLFLOW_PROJECT_BACKEND = "mlflow.project.backend"
MLFLOW_PROJECT_ENTRY_POINT = "mlflow.project.entryPoint"
MLFLOW_PROJECT_ENV = "mlflow.project.env"
MLFLOW_RUN_NAME = RUN_NAME_TAG
MLFLOW_RUN_NOTE = NOTE_TAG
MLFLOW_SOURCE_NAME = "mlflow.source.name"
MLFLOW_SOURCE_TYPE = "mlflow.source.type"
MLFLOW_USER = USER_TAG
