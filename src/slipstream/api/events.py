"""The route of what changes: a stream of server-sent events. Slipstream's own, not MLflow's."""

from slipstream.api.routing import OWN, OWN_AJAX, Permission, Request, Subscription, route
from slipstream.errors import InvalidParameterError
from slipstream.rules import names
from slipstream.store.base import Store
from slipstream.wire.parsing import Int64

MOST_NAMED = 10_000


class WatchEvents(Request, kw_only=True):
    experiment_ids: list[str] = []
    run_ids: list[str] = []
    cursor: Int64 | None = None
    """Where an earlier stream or a page ended; from now on by default."""


@route(
    "GET",
    "events",
    permission=Permission.READ,
    prefixes=(OWN, OWN_AJAX),
    streams=("text/event-stream",),
    listens=True,
)
def watch_events(store: Store, req: WatchEvents) -> Subscription:
    """Tell which runs and experiments change, as they do, until the client leaves."""
    if len(req.run_ids) > MOST_NAMED:
        raise InvalidParameterError(
            f"'run_ids' has {len(req.run_ids)} runs; name up to {MOST_NAMED}, or their experiments."
        )
    for run_id in req.run_ids:
        names.check_run_id(run_id)
    return Subscription(
        frozenset(names.experiment_number(each, "experiment_ids") for each in req.experiment_ids),
        frozenset(req.run_ids),
        req.cursor,
    )
