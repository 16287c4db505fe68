"""The tracking client and its address, under the name of MLflow's module."""

from slipstream.client.addresses import (
    get_registry_uri,
    get_tracking_uri,
    is_tracking_uri_set,
    set_registry_uri,
    set_tracking_uri,
)
from slipstream.client.client import SlipstreamClient

MlflowClient = SlipstreamClient

__all__ = [
    "MlflowClient",
    "SlipstreamClient",
    "get_registry_uri",
    "get_tracking_uri",
    "is_tracking_uri_set",
    "set_registry_uri",
    "set_tracking_uri",
]
