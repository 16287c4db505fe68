"""Which rows of the views a query needs."""

import msgspec


class ViewFilter(msgspec.Struct, frozen=True, kw_only=True):
    """What a query may see; `None` is all."""

    run_ids: tuple[str, ...] | None = None
    experiment_ids: tuple[str, ...] | None = None
    keys: tuple[str, ...] | None = None
    """Metrics by name or pattern; where there are patterns, rows of others may come with them."""
