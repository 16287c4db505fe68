"""The functions of `slipstream.deployments`: from a target's name to its plugin."""

from typing import Any

from slipstream.deployments.base import BaseDeploymentClient, Config
from slipstream.deployments.chosen_target import find_deployments_target
from slipstream.deployments.registry import client_class, find_plugin


def get_deploy_client(target_uri: str | None = None) -> BaseDeploymentClient | None:
    """Return the client of a deployment target, such as `ray-serve` or `kubernetes:manifests`.

    Args:
        target_uri: the target; by default the one that `set_deployments_target` or the environment chose. If
            nothing chose one there is no client, as in MLflow: the result is None.

    Raises:
        NotFoundError: no plugin for this target is installed.
    """
    target = target_uri or find_deployments_target()
    if target is None:
        return None
    return client_class(find_plugin(target), target)(target)


def run_local(
    target: str, name: str, model_uri: str, flavor: str | None = None, config: Config | None = None
) -> Any:
    """Deploy a model on this machine, to try what the target would do. Ours serve until Ctrl-C."""
    return find_plugin(target).run_local(name, model_uri, flavor, config)


def target_help(target: str) -> str:
    """Return what a target's plugin says about its URIs and settings; empty if it says nothing."""
    return find_plugin(target).target_help() or ""
