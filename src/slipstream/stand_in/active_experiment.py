"""The one private name of `mlflow.tracking.fluent` that libraries call: where a new run would go."""

from slipstream.client.active_experiment import current_experiment_id as _get_experiment_id

__all__ = ["_get_experiment_id"]
