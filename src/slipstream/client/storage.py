"""From a storage URI, as servers and databases keep it, to an artifact store as seen from this process."""

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from slipstream.artifact_store.proxy import ROUTE
from slipstream.artifact_store.uri import open_store
from slipstream.errors import InvalidParameterError

if TYPE_CHECKING:
    from slipstream.artifact_store.base import ArtifactStore
    from slipstream.client.transport import Transport

PROXY_SCHEME = "mlflow-artifacts:"


def open_artifacts(uri: str, transport: "Transport | None") -> "ArtifactStore":
    """Open a storage URI; `mlflow-artifacts:` through the tracking server that `transport` reaches.

    Raises:
        InvalidParameterError: it needs a server and there is none, it names another server than the one
            tracked to, or nothing can open its scheme.
    """
    if transport is not None:
        # The address in full means the same; some MLflow servers are configured to hand it out.
        here = transport.base_url + ROUTE
        if uri == here or uri.startswith(here + "/"):
            uri = f"{PROXY_SCHEME}/{uri.removeprefix(here).lstrip('/')}"
        elif uri.startswith(PROXY_SCHEME):
            _check_same_server(uri, transport)
    return open_store(uri, sender=transport)


def _check_same_server(uri: str, transport: "Transport") -> None:
    """Refuse to send this server's credentials to another one."""
    host = urlsplit(uri).netloc
    if host and host != urlsplit(transport.base_url).netloc:
        raise InvalidParameterError(
            f"The artifacts at '{uri}' are behind the server {host}, but the tracking URI is "
            f"{transport.base_url}. Set the tracking URI to that server to reach them."
        )
