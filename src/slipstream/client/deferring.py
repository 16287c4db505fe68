"""What those who log models ask and order while their server may be away: answered from here then, done at delivery."""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from slipstream.client import addresses
from slipstream.client.connect import connect, shown_uri
from slipstream.client.values import to_text_map
from slipstream.entities import ModelVersion, Run

if TYPE_CHECKING:
    from slipstream.client.client import SlipstreamClient

_logger = logging.getLogger(__name__)


def look_at_run(client: "SlipstreamClient", run_id: str) -> Run | None:
    """Return a run, `None` where its server is away; it is taken to be there.

    Raises:
        NotFoundError: there is none.
    """
    spooled: Any = client.connection.store
    return spooled.look_at_run(run_id) if hasattr(spooled, "look_at_run") else client.get_run(run_id)


def known_params(client: "SlipstreamClient", run_id: str) -> dict[str, str]:
    """Return a run's params; where its server is away, those that this process logged."""
    spooled: Any = client.connection.store
    run = look_at_run(client, run_id)
    return spooled.params_logged_here(run_id) if run is None else run.data.params


def register(
    client: "SlipstreamClient", name: str, model_id: str, run_id: str | None, tags: Mapping[str, Any] | None
) -> tuple[bool, ModelVersion | None]:
    """Make a model that this process logged the next version of a registered one, now or when it is delivered.

    Return whether that is done or noted, and the version if it is known. Where the registry is at another address than a
    model that is not delivered, nothing can be noted: the user is told to do it.
    """
    spooled: Any = client.connection.store
    if not hasattr(spooled, "began_model") or not spooled.began_model(model_id):
        return False, None
    if connect(addresses.get_registry_uri()).store is not spooled:
        if not spooled.shipper.is_away:
            return False, None
        _logger.warning(
            "Model %s is not registered as '%s': its server is away, and the registry is another one (%s). Register it "
            "when it is delivered: register_model('models:/%s', '%s').",
            model_id,
            name,
            shown_uri(addresses.get_registry_uri()),
            model_id,
            name,
        )
        return True, None
    version = spooled.register(name, model_id, run_id, to_text_map(tags))
    if version is None:
        _logger.warning(
            "Model %s becomes the next version of '%s' when it is delivered; its number is not known before.",
            model_id,
            name,
        )
    return True, version
