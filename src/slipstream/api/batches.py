"""The route of batches of any count. Slipstream's own; MLflow's `runs/log-batch` keeps MLflow's limits."""

from slipstream.api.routing import OWN, OWN_AJAX, Empty, Permission, route
from slipstream.api.runs import LogBatch, store_batch
from slipstream.store.base import Store


@route("POST", "runs/log-batch", permission=Permission.WRITE, prefixes=(OWN, OWN_AJAX))
def log_large_batch(store: Store, req: LogBatch) -> Empty:
    """Log any number of metrics, params and tags that fit into one request: all of them or none."""
    return store_batch(store, req)
