"""The route of what changes: a stream of server-sent events. Slipstream's own, not MLflow's."""

from slipstream.api.routing import OWN, OWN_AJAX, Permission, Request, Subscription, route
from slipstream.errors import InvalidParameterError
from slipstream.rules import names
from slipstream.store.base import Store
from slipstream.wire.parsing import Int64

MOST_NAMED = 10_000
MOST_CLOSELY = 100


class WatchEvents(Request, kw_only=True):
    experiment_ids: list[str] = []
    run_ids: list[str] = []
    closely: list[str] = []
    """Runs whose signs of life are told, too, and that they print."""
    models: bool = False
    """Tell of registered models, too; that is so in any case where nothing else is named."""
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
    """Tell which runs, experiments and registered models change, as they do, until the client leaves."""
    if len(req.run_ids) > MOST_NAMED:
        raise InvalidParameterError(
            f"'run_ids' has {len(req.run_ids)} runs; name up to {MOST_NAMED}, or their experiments."
        )
    if len(req.closely) > MOST_CLOSELY:
        raise InvalidParameterError(
            f"'closely' has {len(req.closely)} runs; name up to {MOST_CLOSELY}, others by 'run_ids'."
        )
    for run_id in (*req.run_ids, *req.closely):
        names.check_run_id(run_id)
    return Subscription(
        frozenset(names.experiment_number(each, "experiment_ids") for each in req.experiment_ids),
        frozenset({*req.run_ids, *req.closely}),
        req.cursor,
        models=req.models,
        closely=frozenset(req.closely),
    )
