"""What the server is."""

from typing import Protocol

from slipstream.api.routing import OWN, OWN_AJAX, Permission, Request, Response, route
from slipstream.artifact_store.base import Signer
from slipstream.store.base import Store

API3 = "/api/3.0/mlflow/"
AJAX3 = "/ajax-api/3.0/mlflow/"


class ServerInfo(Request, kw_only=True):
    pass


class Transfers(Protocol):
    """What a server has told its store of transfers of files."""

    signed_uploads: bool
    signed_downloads: bool
    signer: Signer | None


class ConfiguredStore(Store, Protocol):
    @property
    def config(self) -> Transfers: ...


class ServerInfoResponse(Response, kw_only=True):
    store_type: str
    workspaces_enabled: bool
    trace_archival_enabled: bool
    multipart_uploads_enabled: bool
    multipart_downloads_enabled: bool
    presigned_upload_run_id_supported: bool
    presigned_upload_model_id_supported: bool
    features_enabled: dict[str, bool]


@route("GET", "server-info", permission=Permission.READ, prefixes=(API3, AJAX3))
def server_info(store: ConfiguredStore, req: ServerInfo) -> ServerInfoResponse:
    """Tell clients what this server can do."""
    signer = store.config.signer
    presigns = signer is not None and signer.signs_uploads
    return ServerInfoResponse(
        store_type="SqlStore",
        workspaces_enabled=False,
        trace_archival_enabled=False,
        multipart_uploads_enabled=store.config.signed_uploads,
        multipart_downloads_enabled=store.config.signed_downloads,
        presigned_upload_run_id_supported=presigns,
        presigned_upload_model_id_supported=presigns,
        features_enabled={},
    )


OWN_FEATURES = (
    "branches",
    "events",
    "heartbeats",
    "histories",
    "log-batch",
    "model-records",
    "records",
    "sql",
    "tables",
)
"""What this server has beyond MLflow's routes, for clients that must choose."""


class OwnServerInfoResponse(Response, kw_only=True):
    features: tuple[str, ...]


@route("GET", "server-info", permission=Permission.READ, prefixes=(OWN, OWN_AJAX))
def own_server_info(store: Store, req: ServerInfo) -> OwnServerInfoResponse:
    """Tell clients that this is slipstream's server, and what it has beyond MLflow's routes."""
    return OwnServerInfoResponse(features=OWN_FEATURES)
