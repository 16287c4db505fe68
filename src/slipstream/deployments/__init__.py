"""Deploy models to engines that run elsewhere, under the names of MLflow's `mlflow.deployments`.

Nothing below is imported until it is first used.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slipstream.deployments.base import BaseDeploymentClient
    from slipstream.deployments.chosen_target import get_deployments_target, set_deployments_target
    from slipstream.deployments.interface import get_deploy_client, run_local, target_help
    from slipstream.deployments.predictions import PredictionsResponse

__all__ = [
    "BaseDeploymentClient",
    "PredictionsResponse",
    "get_deploy_client",
    "get_deployments_target",
    "run_local",
    "set_deployments_target",
    "target_help",
]

_NAMES = {
    "BaseDeploymentClient": "slipstream.deployments.base",
    "PredictionsResponse": "slipstream.deployments.predictions",
    "get_deploy_client": "slipstream.deployments.interface",
    "get_deployments_target": "slipstream.deployments.chosen_target",
    "run_local": "slipstream.deployments.interface",
    "set_deployments_target": "slipstream.deployments.chosen_target",
    "target_help": "slipstream.deployments.interface",
}


def __getattr__(name: str) -> Any:
    if name not in _NAMES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    value = getattr(importlib.import_module(_NAMES[name]), name)
    globals()[name] = value  # The next use does not come here.
    return value
