"""Limits and checks under the names of `mlflow.utils.validation`; integrations cut and choose by them what they log."""

from slipstream.errors import InvalidParameterError
from slipstream.rules import limits, names

MAX_PARAMS_TAGS_PER_BATCH = limits.BATCH_PARAMS
MAX_METRICS_PER_BATCH = limits.BATCH_METRICS
MAX_ENTITIES_PER_BATCH = limits.BATCH_TOTAL
MAX_PARAM_VAL_LENGTH = limits.PARAM_VALUE
MAX_TAG_VAL_LENGTH = limits.RUN_TAG_VALUE
MAX_EXPERIMENT_NAME_LENGTH = limits.EXPERIMENT_NAME
MAX_EXPERIMENT_TAG_KEY_LENGTH = limits.KEY
MAX_EXPERIMENT_TAG_VAL_LENGTH = limits.EXPERIMENT_TAG_VALUE
MAX_ENTITY_KEY_LENGTH = limits.KEY
MAX_MODEL_REGISTRY_TAG_KEY_LENGTH = limits.KEY
MAX_MODEL_REGISTRY_TAG_VALUE_LENGTH = limits.REGISTRY_TAG_VALUE
MAX_DATASET_NAME_SIZE = limits.DATASET_NAME
MAX_DATASET_DIGEST_SIZE = limits.DATASET_DIGEST
MAX_DATASET_SCHEMA_SIZE = limits.DATASET_SCHEMA
MAX_DATASET_SOURCE_SIZE = limits.DATASET_SOURCE
MAX_DATASET_PROFILE_SIZE = limits.DATASET_PROFILE
MAX_INPUT_TAG_KEY_SIZE = limits.INPUT_TAG_KEY
MAX_INPUT_TAG_VALUE_SIZE = limits.INPUT_TAG_VALUE


def validate_param_and_metric_name(name: str) -> bool:
    """Tell whether a param, metric or tag may have the name."""
    try:
        names.check_key(name, "name")
    except InvalidParameterError:
        return False
    return True


def _validate_param_name(name: str, path: str = "key") -> None:
    names.check_key(name, path)


def _validate_metric_name(name: str, path: str = "name") -> None:
    names.check_key(name, path)


def _validate_tag_name(name: str, path: str = "key") -> None:
    names.check_key(name, path)


def _validate_run_id(run_id: str, path: str = "run_id") -> None:
    names.check_run_id(run_id)


def _validate_experiment_name(experiment_name: str) -> None:
    names.check_experiment_name(experiment_name)


__all__ = [
    "MAX_DATASET_DIGEST_SIZE",
    "MAX_DATASET_NAME_SIZE",
    "MAX_DATASET_PROFILE_SIZE",
    "MAX_DATASET_SCHEMA_SIZE",
    "MAX_DATASET_SOURCE_SIZE",
    "MAX_ENTITIES_PER_BATCH",
    "MAX_ENTITY_KEY_LENGTH",
    "MAX_EXPERIMENT_NAME_LENGTH",
    "MAX_EXPERIMENT_TAG_KEY_LENGTH",
    "MAX_EXPERIMENT_TAG_VAL_LENGTH",
    "MAX_INPUT_TAG_KEY_SIZE",
    "MAX_INPUT_TAG_VALUE_SIZE",
    "MAX_METRICS_PER_BATCH",
    "MAX_MODEL_REGISTRY_TAG_KEY_LENGTH",
    "MAX_MODEL_REGISTRY_TAG_VALUE_LENGTH",
    "MAX_PARAMS_TAGS_PER_BATCH",
    "MAX_PARAM_VAL_LENGTH",
    "MAX_TAG_VAL_LENGTH",
    "_validate_experiment_name",
    "_validate_metric_name",
    "_validate_param_name",
    "_validate_run_id",
    "_validate_tag_name",
    "validate_param_and_metric_name",
]
