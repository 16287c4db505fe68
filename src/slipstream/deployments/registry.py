"""Find the plugin of a deployment target: ours, or an installed package's, also one written for MLflow."""

import importlib
import inspect
from importlib import metadata
from typing import Any
from urllib.parse import urlsplit

from slipstream.deployments.base import BaseDeploymentClient
from slipstream.errors import InvalidParameterError, InvalidStateError, MissingDependencyError, NotFoundError

BUILT_IN = {
    "kserve": "slipstream.deployments.targets.kserve",
    "kubernetes": "slipstream.deployments.targets.kubernetes",
    "ray-serve": "slipstream.deployments.targets.ray_serve",
}
ENTRY_POINTS = ("slipstream.deployments", "mlflow.deployments")
"""Where packages declare plugins; the first that has a name wins."""


def target_name(target_uri: str) -> str:
    """Return the name in `name`, `name:/suffix` or `name:suffix`.

    Raises:
        InvalidParameterError: there is none.
    """
    parts = urlsplit(target_uri)
    name = parts.scheme or parts.path
    if not name:
        raise InvalidParameterError(
            f"'{target_uri}' is no deployment target. Write 'target' or 'target:/suffix', such as 'ray-serve'."
        )
    return name


def target_suffix(target_uri: str) -> str:
    """Return what follows the name and its colon, unchanged; empty if there is nothing."""
    return target_uri.partition(":")[2]


def target_names() -> list[str]:
    """Return the names of all targets that are installed."""
    names = set(BUILT_IN)
    for group in ENTRY_POINTS:
        names |= {entry.name for entry in metadata.entry_points(group=group)}
    return sorted(names)


def find_plugin(target_uri: str) -> Any:
    """Return the plugin of a target: a module, or an object like one.

    Raises:
        NotFoundError: no package brings this target.
        MissingDependencyError: its plugin cannot be imported.
        InvalidStateError: the plugin lacks a part.
    """
    name = target_name(target_uri)
    if name in BUILT_IN:
        return importlib.import_module(BUILT_IN[name])
    for group in ENTRY_POINTS:
        for entry in metadata.entry_points(group=group, name=name):
            return _require_whole(name, _load(entry))
    raise NotFoundError(
        f"No plugin for deployments to '{name}' is installed. There are: {', '.join(target_names())}. Install a package "
        f"with an entry point '{name}' in the group '{ENTRY_POINTS[0]}' or '{ENTRY_POINTS[1]}'."
    )


def client_class(plugin: Any, target_uri: str) -> type[BaseDeploymentClient]:
    """Return a plugin's one client class.

    Raises:
        InvalidStateError: it has none, or several.
    """
    found: set[Any] = {obj for _, obj in inspect.getmembers(plugin, inspect.isclass) if _is_client(obj)}
    if len(found) != 1:
        names = ", ".join(sorted(cls.__name__ for cls in found)) or "none"
        raise InvalidStateError(
            f"The plugin of the deployment target '{target_name(target_uri)}' must have exactly one class derived from "
            f"BaseDeploymentClient, and has: {names}. Tell its authors."
        )
    return found.pop()


def _load(entry: metadata.EntryPoint) -> Any:
    try:
        return entry.load()
    except (AttributeError, ImportError) as error:
        needs = " It needs mlflow itself beside slipstream." if "mlflow" in str(error) else ""
        raise MissingDependencyError(
            f"The plugin of the deployment target '{entry.name}' ({entry.value}) cannot be loaded: {error}.{needs}"
        ) from error


def _require_whole(name: str, plugin: Any) -> Any:
    missing = [part for part in ("run_local", "target_help") if not callable(getattr(plugin, part, None))]
    if missing:
        raise InvalidStateError(
            f"The plugin of the deployment target '{name}' lacks {' and '.join(missing)}. Tell its authors."
        )
    return plugin


def _is_client(cls: type) -> bool:
    """Tell whether a class is a client of ours or of MLflow's making, and can be made."""
    return not inspect.isabstract(cls) and any(_is_base(base) for base in cls.__mro__[1:])


def _is_base(cls: type) -> bool:
    # MLflow's own base is known by its name: it need not be installed here.
    return cls is BaseDeploymentClient or (
        cls.__name__ == "BaseDeploymentClient" and cls.__module__.startswith("mlflow.deployments")
    )
