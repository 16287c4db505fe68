"""All routes: importing this module fills the table."""

from types import ModuleType

from slipstream.api import (
    artifacts,
    batches,
    branches,
    datasets,
    envelopes,
    events,
    experiments,
    heartbeats,
    histories,
    logged_models,
    metrics,
    model_overviews,
    model_versions,
    overviews,
    records,
    registered_models,
    run_bulk,
    run_comparisons,
    run_exports,
    run_overviews,
    run_tables,
    runs,
    server_info,
    sql,
    trash,
    webhooks,
)
from slipstream.api.graphql import endpoint as graphql
from slipstream.api.routing import ROUTES

__all__ = ["ROUTES"]

RESOURCES: tuple[ModuleType, ...] = (
    experiments,
    runs,
    run_exports,
    run_tables,
    run_bulk,
    batches,
    branches,
    records,
    metrics,
    histories,
    envelopes,
    sql,
    datasets,
    logged_models,
    registered_models,
    model_versions,
    model_overviews,
    artifacts,
    webhooks,
    trash,
    server_info,
    heartbeats,
    events,
    overviews,
    run_comparisons,
    run_overviews,
    graphql,
)
