"""What a new run is told about where it comes from: user, program, git commit."""

from slipstream.client.context.registry import ContextProvider, register_provider, resolve_tags

__all__ = ["ContextProvider", "register_provider", "resolve_tags"]
