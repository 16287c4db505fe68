"""From a storage URI, as servers and databases keep it, to an artifact store as seen from this process."""

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from slipstream.artifact_store.proxy import is_http, split_http_root
from slipstream.artifact_store.uri import open_store
from slipstream.errors import InvalidParameterError

if TYPE_CHECKING:
    from collections.abc import Callable

    from slipstream.artifact_store.base import ArtifactStore
    from slipstream.client.transport import Transport

PROXY_SCHEME = "mlflow-artifacts:"


def open_artifacts(
    uri: str, transport: "Transport | None", connect_to: "Callable[[str], Transport]"
) -> "ArtifactStore":
    """Open a storage URI; `mlflow-artifacts:` through the tracking server that `transport` reaches.

    Args:
        uri: the storage URI.
        transport: how to reach the tracking server, if one is tracked to.
        connect_to: how to reach another server that an `http(s):` URI names, by its address. It must send none of
            the tracking server's credentials.

    Raises:
        InvalidParameterError: it needs a server and there is none, it names another server than the one
            tracked to, or nothing can open its scheme.
    """
    if is_http(uri):
        server = split_http_root(uri)[0]
        own = transport is not None and server == transport.base_url
        return open_store(uri, sender=transport if own else connect_to(server))
    if transport is not None and uri.startswith(PROXY_SCHEME):
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
