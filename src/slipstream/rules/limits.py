"""How long and how many; MLflow's figures."""

from slipstream import settings
from slipstream.errors import InvalidParameterError

KEY = 250
EXPERIMENT_NAME = 500
EXPERIMENT_TAG_VALUE = 20_000
PARAM_VALUE = 6_000
RUN_TAG_VALUE = 8_000
RUN_NAME = 8_000
REGISTRY_TAG_VALUE = 100_000

BATCH_METRICS = 1_000
BATCH_PARAMS = 100
BATCH_TAGS = 100
BATCH_TOTAL = 1_000

SEARCH_RUNS = 50_000
SEARCH_EXPERIMENTS = 50_000
SEARCH_REGISTERED_MODELS = 1_000
SEARCH_MODEL_VERSIONS = 200_000
HISTORY_BULK_RUNS = 100
HISTORY_BULK_POINTS = 25_000
HISTORY_INTERVAL_POINTS = 2_500
SERIES_POINTS = 65_536

MODEL_ID = 255
DATASET_NAME = 500
DATASET_DIGEST = 36
DATASET_SOURCE = 65_535
DATASET_SCHEMA = 1_048_575
DATASET_PROFILE = 16_777_215
INPUT_TAG_KEY = 255
INPUT_TAG_VALUE = 500

INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1


def cut(value: str, limit: int, field: str) -> str:
    """Return `value`, cut to `limit` characters; refuse instead when truncation is switched off.

    Cutting silently is MLflow's default and its clients rely on it; `SLIPSTREAM_TRUNCATE_LONG_VALUES=false`
    (or MLflow's own variable) makes it an error.
    """
    if len(value) <= limit:
        return value
    if settings.TRUNCATE_LONG_VALUES.get():
        return value[:limit]
    raise InvalidParameterError(
        f"'{field}' is {len(value)} characters long; the limit is {limit}. Shorten it, or log it as an artifact."
    )


def check_length(value: str, limit: int, field: str) -> None:
    if len(value) > limit:
        raise InvalidParameterError(f"'{field}' is {len(value)} characters long; the limit is {limit}.")


def check_int64(value: object, field: str) -> None:
    """Refuse what a column of integers cannot hold; SQLite would store texts and fractions there as they are."""
    if type(value) is not int or not INT64_MIN <= value <= INT64_MAX:
        # Python refuses to write integers of thousands of digits.
        shown = "beyond 64 bits" if type(value) is int else ascii(value)[:100]
        raise InvalidParameterError(
            f"Invalid value {shown} of type {type(value).__name__} for '{field}': give a whole number of 64 bits."
        )


def check_max_results(value: int, ceiling: int) -> None:
    check_int64(value, "max_results")
    if not 1 <= value <= ceiling:
        raise InvalidParameterError(
            f"Invalid value {value} for parameter 'max_results': it must be at least 1 and at most {ceiling}."
        )
