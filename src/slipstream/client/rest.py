"""The store behind a tracking server: slipstream's or MLflow's."""

from slipstream.client.rest_branches import RestBranches
from slipstream.client.rest_experiments import RestExperiments
from slipstream.client.rest_heartbeats import RestHeartbeats
from slipstream.client.rest_histories import RestHistories
from slipstream.client.rest_inputs import RestInputs
from slipstream.client.rest_logged_models import RestLoggedModels
from slipstream.client.rest_records import RestRecords
from slipstream.client.rest_registry import RestRegistry
from slipstream.client.rest_run_tables import RestRunTables
from slipstream.client.rest_trash import RestTrash
from slipstream.client.rest_webhooks import RestWebhooks


class RestStore(
    RestBranches,
    RestExperiments,
    RestHeartbeats,
    RestHistories,
    RestInputs,
    RestLoggedModels,
    RestRecords,
    RestRegistry,
    RestRunTables,
    RestWebhooks,
    RestTrash,
):
    """Implements `Store` over HTTP; made from a `Transport`, which retries and authenticates."""
