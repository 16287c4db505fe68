"""The trash: delete without losing what is needed, take back, remove for ever.

MLflow has no such module. Its own functions (`slipstream.delete_run`, `SlipstreamClient().delete_experiment`, ...) put
things into the same trash, in MLflow's manner.
"""

from slipstream.client.trash import (
    RemovalReport,
    create_experiment,
    delete_experiment,
    delete_logged_model,
    delete_run,
    plan_orphans,
    plan_removal,
    remove,
    remove_orphans,
    restore_experiment,
    restore_logged_model,
    restore_run,
    search,
)

__all__ = [
    "RemovalReport",
    "create_experiment",
    "delete_experiment",
    "delete_logged_model",
    "delete_run",
    "plan_orphans",
    "plan_removal",
    "remove",
    "remove_orphans",
    "restore_experiment",
    "restore_logged_model",
    "restore_run",
    "search",
]
