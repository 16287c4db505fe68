"""The calls of a store that talk to other machines: never inside a transaction, which would hold up all others."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from slipstream.entities import Webhook, WebhookEvent, WebhookStatus, WebhookTarget, WebhookTestResult
from slipstream.rules import webhooks as rules

if TYPE_CHECKING:
    from slipstream.store.engine import Engine


class QueuedWebhooks:
    """The part of `QueuedStore` that asks the network first."""

    engine: "Engine"

    def create_webhook(
        self,
        name: str,
        url: str,
        events: Sequence[WebhookEvent],
        description: str | None = None,
        secret: str | None = None,
        status: WebhookStatus = WebhookStatus.ACTIVE,
    ) -> Webhook:
        _require_reachable(url)
        return self.engine.write(
            lambda store: store.create_webhook(name, url, events, description, secret, status)
        )

    def update_webhook(
        self,
        webhook_id: str,
        name: str | None = None,
        description: str | None = None,
        url: str | None = None,
        events: Sequence[WebhookEvent] | None = None,
        secret: str | None = None,
        status: WebhookStatus | None = None,
    ) -> Webhook:
        if url is not None:
            _require_reachable(url)
        return self.engine.write(
            lambda store: store.update_webhook(webhook_id, name, description, url, events, secret, status)
        )

    def test_webhook(self, webhook_id: str, event: WebhookEvent | None = None) -> WebhookTestResult:
        from slipstream.webhooks.sending import send_trial

        if event is not None:
            rules.check_events([event])
        target: WebhookTarget = self.engine.read(lambda store: store.get_webhook_target(webhook_id))
        return send_trial(target, event)


def _require_reachable(url: str) -> None:
    from slipstream.webhooks.guarded_http import check_destination

    rules.check_url(url)
    check_destination(url)
