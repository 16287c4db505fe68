"""`SlipstreamClient`: webhooks of the model registry."""

from collections.abc import Sequence

from slipstream.client.calls import Calls
from slipstream.client.paging import PagedList, paged
from slipstream.entities import Webhook, WebhookEvent, WebhookStatus, WebhookTestResult
from slipstream.errors import InvalidParameterError
from slipstream.rules.webhooks import parse_event


class WebhookCalls(Calls):
    def create_webhook(
        self,
        name: str,
        url: str,
        events: Sequence[WebhookEvent | str],
        description: str | None = None,
        secret: str | None = None,
        status: str | None = None,
    ) -> Webhook:
        """Register a URL that a server tells of events of the registry.

        Args:
            name: 1 to 63 letters, digits, `.`, `_`, `-`; need not be unique.
            url: `https://...`, on a host of the public internet.
            events: such as `"model_version.created"`.
            description: for people.
            secret: what deliveries are signed with; it cannot be read back.
            status: ACTIVE, or DISABLED to begin later.
        """
        return self._registry.create_webhook(
            name, url, _events(events), description, secret, _status(status) or WebhookStatus.ACTIVE
        )

    def get_webhook(self, webhook_id: str) -> Webhook:
        return self._registry.get_webhook(webhook_id)

    def list_webhooks(
        self, max_results: int | None = None, page_token: str | None = None
    ) -> PagedList[Webhook]:
        """Return webhooks, newest first, 100 a page unless told otherwise."""
        return paged(self._registry.search_webhooks(max_results or 100, page_token))

    def update_webhook(
        self,
        webhook_id: str,
        name: str | None = None,
        description: str | None = None,
        url: str | None = None,
        events: Sequence[WebhookEvent | str] | None = None,
        secret: str | None = None,
        status: str | None = None,
    ) -> Webhook:
        """Change what is given; what waits for a webhook that is disabled is dropped."""
        return self._registry.update_webhook(
            webhook_id, name, description, url, _events(events or ()) or None, secret, _status(status)
        )

    def delete_webhook(self, webhook_id: str) -> None:
        self._registry.delete_webhook(webhook_id)

    def test_webhook(self, webhook_id: str, event: WebhookEvent | str | None = None) -> WebhookTestResult:
        """Have an example of an event sent, of the webhook's first one if none is named, and tell how it went."""
        return self._registry.test_webhook(webhook_id, None if event is None else _events([event])[0])


def _events(events: Sequence[WebhookEvent | str]) -> list[WebhookEvent]:
    # Through its text, so that events of MLflow's own class are taken as well.
    return [parse_event(str(event)) for event in events]


def _status(status: str | None) -> WebhookStatus | None:
    if status is None:
        return None
    try:
        return WebhookStatus(str(status))
    except ValueError as error:
        raise InvalidParameterError(
            f"Invalid value '{str(status)[:100]}' for 'status': use ACTIVE or DISABLED."
        ) from error
