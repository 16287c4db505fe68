"""The target that is meant when none is named."""

from slipstream import settings
from slipstream.errors import InvalidParameterError

_chosen: list[str] = []


def set_deployments_target(target: str) -> None:
    """Choose the target of `get_deploy_client()`, such as `ray-serve` or `kubernetes:manifests`."""
    if not target:
        raise InvalidParameterError(
            "target must be the name of a deployment target, such as 'ray-serve', got ''"
        )
    _chosen[:] = [target]


def get_deployments_target() -> str:
    """Return the target chosen by code, else by SLIPSTREAM_DEPLOYMENTS_TARGET (or MLFLOW_DEPLOYMENTS_TARGET).

    Raises:
        InvalidParameterError: nothing chose one.
    """
    target = find_deployments_target()
    if target is None:
        raise InvalidParameterError(
            "No deployments target is set. Call set_deployments_target(), or set SLIPSTREAM_DEPLOYMENTS_TARGET."
        )
    return target


def find_deployments_target() -> str | None:
    """Return the chosen target, or None."""
    return _chosen[0] if _chosen else settings.DEPLOYMENTS_TARGET.get()
