"""`RestStore`: webhooks."""

from collections.abc import Sequence

from slipstream.api import webhooks as api
from slipstream.client.rest_calls import RestCalls
from slipstream.entities import Page, Webhook, WebhookEvent, WebhookStatus, WebhookTestResult


class RestWebhooks(RestCalls):
    def create_webhook(
        self,
        name: str,
        url: str,
        events: Sequence[WebhookEvent],
        description: str | None = None,
        secret: str | None = None,
        status: WebhookStatus = WebhookStatus.ACTIVE,
    ) -> Webhook:
        request = api.CreateWebhook(
            name=name,
            url=url,
            events=[api.event_to_wire(event) for event in events],
            description=description,
            secret=secret,
            status=status.value,
        )
        return api.from_wire(self._ask(api.create_webhook, request).webhook)

    def get_webhook(self, webhook_id: str) -> Webhook:
        return api.from_wire(self._ask(api.get_webhook, api.GetWebhook(webhook_id=webhook_id)).webhook)

    def search_webhooks(self, max_results: int = 100, page_token: str | None = None) -> Page[Webhook]:
        request = api.SearchWebhooks(max_results=max_results, page_token=page_token)
        answer = self._ask(api.search_webhooks, request)
        return Page([api.from_wire(each) for each in answer.webhooks], answer.next_page_token)

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
        request = api.UpdateWebhook(
            webhook_id=webhook_id,
            name=name,
            description=description,
            url=url,
            events=[api.event_to_wire(event) for event in events or ()],
            secret=secret,
            status=None if status is None else status.value,
        )
        return api.from_wire(self._ask(api.update_webhook, request).webhook)

    def delete_webhook(self, webhook_id: str) -> None:
        self._ask(api.delete_webhook, api.DeleteWebhook(webhook_id=webhook_id))

    def test_webhook(self, webhook_id: str, event: WebhookEvent | None = None) -> WebhookTestResult:
        asked = None if event is None else api.event_to_wire(event)
        request = api.TestWebhook(webhook_id=webhook_id, event=asked)
        return api.result_from_wire(self._ask(api.test_webhook, request).result)
