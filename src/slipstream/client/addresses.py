"""Which tracking server and which registry this process speaks to."""

import os
from pathlib import Path

from slipstream import settings

DEFAULT_TRACKING_URI = "sqlite:///slipstream.db"

_chosen: dict[str, str] = {}


def set_tracking_uri(uri: str | Path | None) -> None:
    """Choose the server (http, https) or database (sqlite, postgresql, a path ending in `.db`) to track to.

    `None` or an empty text takes the choice back. Processes started from here inherit it.
    """
    _choose("tracking", settings.TRACKING_URI, str(uri or ""))


def get_tracking_uri() -> str:
    """Return the address chosen by code, else by the environment, else the default SQLite file."""
    return _chosen.get("tracking") or settings.TRACKING_URI.get() or DEFAULT_TRACKING_URI


def is_tracking_uri_set() -> bool:
    """Tell whether code or environment chose an address."""
    return bool(_chosen.get("tracking") or settings.TRACKING_URI.get())


def set_registry_uri(uri: str | Path | None) -> None:
    """Keep registered models at an address of their own; `None` or an empty text goes back to the tracking address."""
    _choose("registry", settings.REGISTRY_URI, str(uri or ""))


def get_registry_uri() -> str:
    return _chosen.get("registry") or settings.REGISTRY_URI.get() or get_tracking_uri()


def _choose(kind: str, setting: "settings.Setting[str | None]", uri: str) -> None:
    if uri:
        _chosen[kind] = uri
        os.environ[setting.name] = uri  # for child processes
    else:
        _chosen.pop(kind, None)
        os.environ.pop(setting.name, None)
