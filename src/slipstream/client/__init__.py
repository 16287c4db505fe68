"""The SDK. `SlipstreamClient` is loaded when first named, so that importing a part of it stays cheap."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from slipstream.client.client import SlipstreamClient
    from slipstream.client.client import SlipstreamClient as MlflowClient

__all__ = ["MlflowClient", "SlipstreamClient"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from slipstream.client.client import SlipstreamClient

        return SlipstreamClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
