"""What those who log models ask and order while their server may be away: answered from here then, done at delivery."""

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from slipstream.client import addresses
from slipstream.client.connect import connect
from slipstream.client.values import to_text_map
from slipstream.entities import Run

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


def register_later(
    client: "SlipstreamClient", name: str, model_id: str, run_id: str | None, tags: Mapping[str, Any] | None
) -> bool:
    """Note that a model shall be registered when it is delivered, if it is not yet; tell whether that was so.

    Where the registry is at another address nothing can be noted: the user is told to do it.
    """
    spooled: Any = client.connection.store
    if not hasattr(spooled, "register_later") or not spooled.may_register_later(model_id):
        return False
    if connect(addresses.get_registry_uri()).store is spooled:
        spooled.register_later(name, model_id, run_id, to_text_map(tags))
        _logger.warning(
            "Model %s becomes the next version of '%s' when it is delivered; its number is not known before.",
            model_id,
            name,
        )
    else:
        _logger.warning(
            "Model %s is not registered as '%s': its server is away, and the registry is another one (%s). Register it "
            "when it is delivered: register_model('models:/%s', '%s').",
            model_id,
            name,
            addresses.get_registry_uri(),
            model_id,
            name,
        )
    return True
