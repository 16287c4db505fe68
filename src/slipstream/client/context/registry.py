"""All that say something about where a run comes from, in order; later ones win."""

import json
import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from slipstream import settings
from slipstream.client.context.git import git_tags
from slipstream.client.context.plugins import may_have_plugins
from slipstream.client.context.source import source_tags
from slipstream.client.context.user import user_tags
from slipstream.errors import InvalidParameterError

ContextProvider: TypeAlias = Callable[[], Mapping[str, str]]

ENTRY_POINT_GROUP = "slipstream.run_context"
_log = logging.getLogger(__name__)
_providers: list[ContextProvider] = [user_tags, source_tags, git_tags]
_plugins_loaded = False


def register_provider(provider: ContextProvider) -> None:
    """Add a function that returns tags for every new run; it wins over those before it.

    Packages do the same with an entry point in the group `slipstream.run_context`.
    """
    _providers.append(provider)


def resolve_tags(own: Mapping[str, Any] | None = None) -> dict[str, str]:
    """Return a new run's tags: of all providers, of SLIPSTREAM_RUN_CONTEXT, and the user's own, which win.

    A provider that fails is logged and left out: where a run comes from is no reason not to have it.
    """
    _load_plugins()
    tags: dict[str, str] = {}
    for provider in _providers:
        try:
            tags.update(provider())
        except Exception:  # noqa: BLE001  # foreign code
            _log.warning("Run context provider %r failed; its tags are left out.", provider, exc_info=True)
    tags.update(_from_environment())
    tags.update({str(key): str(value) for key, value in (own or {}).items()})
    return tags


def _from_environment() -> dict[str, str]:
    text = settings.RUN_CONTEXT.get()
    if not text:
        return {}
    try:
        document: Any = json.loads(text)
    except ValueError as error:
        raise InvalidParameterError(f"{settings.RUN_CONTEXT.name} is not JSON ({error}): {text}") from error
    if not isinstance(document, dict):
        raise InvalidParameterError(f"{settings.RUN_CONTEXT.name} must be a JSON object of tags, not: {text}")
    return {str(key): str(value) for key, value in document.items()}  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]


def _load_plugins() -> None:
    global _plugins_loaded
    if _plugins_loaded:
        return
    _plugins_loaded = True
    if not may_have_plugins(ENTRY_POINT_GROUP):
        return
    from importlib.metadata import entry_points

    for point in entry_points(group=ENTRY_POINT_GROUP):
        try:
            _providers.append(point.load())
        except (ImportError, AttributeError):
            _log.warning("Run context plugin %s cannot be loaded.", point, exc_info=True)
