"""`SlipstreamClient`: every operation, named as in MLflow's `MlflowClient`, with the address said once."""

from slipstream.client.artifact_logging import ArtifactCalls
from slipstream.client.experiments import ExperimentCalls
from slipstream.client.living_runs import LivingRunCalls
from slipstream.client.logged_models import LoggedModelCalls
from slipstream.client.registry import RegistryCalls
from slipstream.client.webhooks import WebhookCalls


class SlipstreamClient(
    ExperimentCalls, ArtifactCalls, LivingRunCalls, LoggedModelCalls, RegistryCalls, WebhookCalls
):
    """Explicit access: it has no active run, and two clients can speak to two servers.

    Thread-safe. Making one costs nothing; the connection is shared by all clients of an address.
    """
