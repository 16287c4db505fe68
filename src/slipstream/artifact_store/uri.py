"""From a storage URI to an artifact store."""

import importlib.metadata
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast
from urllib.parse import unquote, urlsplit

from slipstream.artifact_store.base import ArtifactStore
from slipstream.artifact_store.http_sender import HttpSender
from slipstream.artifact_store.local import LocalArtifactStore
from slipstream.artifact_store.object_uris import is_object_store, open_object_store
from slipstream.artifact_store.proxy import ProxyArtifactStore, is_http
from slipstream.errors import InvalidParameterError

PLUGINS = "slipstream.artifact_stores"
"""Entry points by scheme; each is called with the URI and returns an `ArtifactStore`."""


def is_local(uri: str) -> bool:
    """Tell whether a URI is a path of this machine, plain or `file:`."""
    scheme = urlsplit(uri).scheme.lower()
    return scheme in ("", "file") or (len(scheme) == 1 and scheme.isalpha())


def local_folder(uri: str) -> Path:
    """Return the folder that a plain path or `file:` URI names."""
    parts = urlsplit(uri)
    if parts.scheme.lower() == "file":
        if parts.netloc not in ("", "localhost"):
            raise InvalidParameterError(
                f"The URI '{uri}' names a host; a file: URI is for this machine only."
            )
        if not parts.path:
            raise InvalidParameterError(f"The URI '{uri}' names no folder; write file:///folder.")
        return Path(unquote(parts.path))
    return Path(uri)


def open_store(
    uri: str, *, sender: HttpSender | None = None, root_for_proxy: Path | None = None
) -> ArtifactStore:
    """Return the store whose root a storage URI names.

    Args:
        uri: a path, `file:`, `mlflow-artifacts:`, `http(s):`, an object store, or a scheme that a plugin knows.
        sender: how to reach the server that keeps the artifacts, for `mlflow-artifacts:` and `http(s):`.
        root_for_proxy: in the server itself, the folder behind `mlflow-artifacts:/`.

    Raises:
        InvalidParameterError: the scheme is unknown, or needs a server and there is none.
    """
    if is_local(uri):
        return LocalArtifactStore(local_folder(uri))
    scheme = urlsplit(uri).scheme.lower()
    if sender is not None and is_http(uri):
        return ProxyArtifactStore(uri, sender)
    if scheme == "mlflow-artifacts":
        if root_for_proxy is not None:
            from slipstream.artifact_store.paths import clean_path

            folder = root_for_proxy / clean_path(urlsplit(uri).path.lstrip("/"))
            return LocalArtifactStore(folder, within=root_for_proxy)
        if sender is None:
            raise InvalidParameterError(
                f"The artifacts at '{uri}' are behind a tracking server: set the tracking URI to its http:// address."
            )
        return ProxyArtifactStore(uri, sender)
    if is_object_store(uri):
        return open_object_store(uri)
    for entry in importlib.metadata.entry_points(group=PLUGINS, name=scheme):
        make = cast("Callable[[str], Any]", entry.load())
        return make(uri)
    raise InvalidParameterError(
        f"Nothing here can open artifacts at '{uri}' (scheme '{scheme}'). Install a plugin for it (entry point "
        f"'{PLUGINS}'), or keep artifacts behind the tracking server or in a folder."
    )
