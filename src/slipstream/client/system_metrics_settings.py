"""MLflow's functions that switch system metrics on and off. They write settings, which who measures them reads.

The settings are environment variables, so the choice also holds in processes that this one starts.
"""

import os
from typing import Any

from slipstream import settings
from slipstream.errors import InvalidParameterError


def enable_system_metrics_logging() -> None:
    """Measure the machine during every run that starts from now on, unless `start_run(log_system_metrics=False)`."""
    _set(settings.ENABLE_SYSTEM_METRICS_LOGGING, "true")


def disable_system_metrics_logging() -> None:
    _set(settings.ENABLE_SYSTEM_METRICS_LOGGING, "false")


def set_system_metrics_sampling_interval(interval: float | None) -> None:
    """Measure every `interval` seconds; `None` goes back to the default."""
    _set(settings.SYSTEM_METRICS_SAMPLING_INTERVAL, interval)


def set_system_metrics_samples_before_logging(samples: int | None) -> None:
    """Log the mean of so many samples each; `None` goes back to the default."""
    _set(settings.SYSTEM_METRICS_SAMPLES_BEFORE_LOGGING, samples)


def set_system_metrics_node_id(node_id: str | None) -> None:
    """Put a machine's name into the names of its metrics, where several machines write to one run."""
    _set(settings.SYSTEM_METRICS_NODE_ID, node_id)


def _set(setting: "settings.Setting[Any]", value: object) -> None:
    if value is None:
        for name in (setting.name, setting.mlflow_name):
            if name is not None:
                os.environ.pop(name, None)
        return
    try:
        setting.parse(str(value))
    except ValueError as error:
        raise InvalidParameterError(
            f"{setting.name} cannot be '{value}': {error}. By default it is {setting.default}."
        ) from error
    os.environ[setting.name] = str(value)
