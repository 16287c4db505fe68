"""All routes: importing this module fills the table."""

from slipstream.api import (
    artifacts,
    datasets,
    experiments,
    logged_models,
    metrics,
    model_versions,
    registered_models,
    runs,
    server_info,
)
from slipstream.api.routing import ROUTES

__all__ = ["ROUTES"]

RESOURCES = (
    experiments,
    runs,
    metrics,
    datasets,
    logged_models,
    registered_models,
    model_versions,
    artifacts,
    server_info,
)
