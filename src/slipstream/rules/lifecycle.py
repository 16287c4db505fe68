"""What may be done to a thing that is marked deleted."""

from slipstream.errors import InvalidParameterError


def require_active_run(run_id: str, stage: str) -> None:
    if stage != "active":
        raise InvalidParameterError(
            f"The run {run_id} must be in the 'active' state, but is '{stage}'. Restore it first (runs/restore)."
        )


def require_active_experiment(experiment_id: int, stage: str) -> None:
    if stage != "active":
        raise InvalidParameterError(
            f"The experiment {experiment_id} must be in the 'active' state, but is '{stage}'. "
            "Restore it first (experiments/restore)."
        )
