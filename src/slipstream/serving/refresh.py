"""Follows aliases, stages and `latest`: looks up regularly what they mean now, and swaps."""

import asyncio
import logging

from slipstream.serving.catalog import Catalog, ServedName

_logger = logging.getLogger("slipstream.serving")


async def keep_fresh(catalog: Catalog, seconds: float) -> None:
    """Refresh every model that can move, every so many seconds, until cancelled."""
    # Each by itself: one that takes long to load must not keep the others from moving.
    await asyncio.gather(*(_follow(served, seconds) for served in catalog))


async def _follow(served: ServedName, seconds: float) -> None:
    while True:
        await asyncio.sleep(seconds)
        try:
            await served.refresh()
        except Exception:  # the next look may go well; the live version stays
            _logger.exception("Looking after '%s' failed", served.uri)
