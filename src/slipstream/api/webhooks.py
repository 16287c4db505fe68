"""The routes of webhooks.

Those that talk to other machines run aside: outside of any transaction, in threads of their own.
"""

import msgspec
from msgspec import UNSET, UnsetType

from slipstream.api.routing import Empty, Permission, Request, Response, route
from slipstream.entities import Webhook, WebhookEvent, WebhookStatus, WebhookTestResult
from slipstream.errors import InvalidParameterError
from slipstream.rules.webhooks import DEFAULT_PAGE, EVENTS
from slipstream.store.base import Store
from slipstream.wire.parsing import Int64

_ENTITIES = tuple(EVENTS)
_ACTIONS = ("created", "updated", "deleted", "set", "exceeded")
_STATUSES = tuple(WebhookStatus)


class EventMessage(msgspec.Struct, frozen=True):
    """Names in upper case, or the numbers of MLflow's enumerations."""

    entity: str | int = ""
    action: str | int = ""


class WebhookMessage(Response, kw_only=True):
    webhook_id: str
    name: str
    description: str | UnsetType = UNSET
    url: str
    events: list[EventMessage]
    status: str
    creation_timestamp: int
    last_updated_timestamp: int


class TestResultMessage(Response, kw_only=True):
    success: bool
    response_status: int | UnsetType = UNSET
    response_body: str | UnsetType = UNSET
    error_message: str | UnsetType = UNSET


def to_wire(webhook: Webhook) -> WebhookMessage:
    return WebhookMessage(
        webhook_id=webhook.webhook_id,
        name=webhook.name,
        description=webhook.description or UNSET,
        url=webhook.url,
        events=[event_to_wire(event) for event in webhook.events],
        status=webhook.status,
        creation_timestamp=webhook.creation_timestamp,
        last_updated_timestamp=webhook.last_updated_timestamp,
    )


def from_wire(message: WebhookMessage) -> Webhook:
    return Webhook(
        webhook_id=message.webhook_id,
        name=message.name,
        description=message.description or None,
        url=message.url,
        events=[event_from_wire(event) for event in message.events],
        status=status_from_wire(message.status),
        creation_timestamp=message.creation_timestamp,
        last_updated_timestamp=message.last_updated_timestamp,
    )


def result_from_wire(message: TestResultMessage) -> WebhookTestResult:
    return WebhookTestResult(
        success=message.success,
        response_status=message.response_status or None,
        response_body=None if message.response_body is UNSET else message.response_body,
        error_message=message.error_message or None,
    )


def event_to_wire(event: WebhookEvent) -> EventMessage:
    return EventMessage(event.entity.upper(), event.action.upper())


def event_from_wire(message: EventMessage) -> WebhookEvent:
    return WebhookEvent(
        _named(message.entity, _ENTITIES, "entity"), _named(message.action, _ACTIONS, "action")
    )


def status_from_wire(value: str | int) -> WebhookStatus:
    for number, status in enumerate(_STATUSES, 1):
        if str(value) in (status.value, str(number)):
            return status
    raise InvalidParameterError(f"Invalid value '{str(value)[:100]}' for 'status': use ACTIVE or DISABLED.")


def _named(value: str | int, names: tuple[str, ...], field: str) -> str:
    for number, name in enumerate(names, 1):
        if str(value) in (name.upper(), str(number)):
            return name
    known = ", ".join(name.upper() for name in names)
    raise InvalidParameterError(
        f"Invalid value '{str(value)[:100]}' for 'events.{field}': use one of {known}."
    )


class WebhookResponse(Response, kw_only=True):
    webhook: WebhookMessage


class CreateWebhook(Request, kw_only=True):
    name: str
    url: str
    events: list[EventMessage]
    description: str | None = None
    secret: str | None = None
    status: str | int | None = None


@route("POST", "webhooks", permission=Permission.WRITE, aside=True)
def create_webhook(store: Store, req: CreateWebhook) -> WebhookResponse:
    """Register a URL that is told of events of the model registry."""
    webhook = store.create_webhook(
        req.name,
        req.url,
        [event_from_wire(event) for event in req.events],
        req.description,
        req.secret,
        status_from_wire(req.status) if req.status else WebhookStatus.ACTIVE,
    )
    return WebhookResponse(webhook=to_wire(webhook))


class SearchWebhooks(Request, kw_only=True):
    max_results: Int64 = DEFAULT_PAGE
    page_token: str | None = None


class SearchWebhooksResponse(Response, kw_only=True):
    webhooks: list[WebhookMessage] = []
    next_page_token: str | None = None


@route("GET", "webhooks", permission=Permission.READ)
def search_webhooks(store: Store, req: SearchWebhooks) -> SearchWebhooksResponse:
    """Return all webhooks, newest first; never their secrets."""
    page = store.search_webhooks(req.max_results or DEFAULT_PAGE, req.page_token)
    return SearchWebhooksResponse(
        webhooks=[to_wire(webhook) for webhook in page.items], next_page_token=page.token
    )


class GetWebhook(Request, kw_only=True):
    webhook_id: str


@route("GET", "webhooks/{webhook_id}", permission=Permission.READ)
def get_webhook(store: Store, req: GetWebhook) -> WebhookResponse:
    """Return a webhook; never its secret."""
    return WebhookResponse(webhook=to_wire(store.get_webhook(req.webhook_id)))


class UpdateWebhook(Request, kw_only=True):
    webhook_id: str
    name: str | None = None
    description: str | None = None
    url: str | None = None
    events: list[EventMessage] = []
    secret: str | None = None
    status: str | int | None = None


@route("PATCH", "webhooks/{webhook_id}", permission=Permission.WRITE, aside=True)
def update_webhook(store: Store, req: UpdateWebhook) -> WebhookResponse:
    """Change what is given of a webhook; an empty name, URL or list of events changes nothing."""
    webhook = store.update_webhook(
        req.webhook_id,
        req.name or None,
        req.description,
        req.url or None,
        [event_from_wire(event) for event in req.events] or None,
        req.secret,
        status_from_wire(req.status) if req.status else None,
    )
    return WebhookResponse(webhook=to_wire(webhook))


class DeleteWebhook(Request, kw_only=True):
    webhook_id: str


@route("DELETE", "webhooks/{webhook_id}", permission=Permission.DELETE)
def delete_webhook(store: Store, req: DeleteWebhook) -> Empty:
    """Delete a webhook, and what waits to be delivered to it."""
    store.delete_webhook(req.webhook_id)
    return Empty()


class TestWebhook(Request, kw_only=True):
    webhook_id: str
    event: EventMessage | None = None


class TestWebhookResponse(Response, kw_only=True):
    result: TestResultMessage


@route("POST", "webhooks/{webhook_id}/test", permission=Permission.WRITE, aside=True)
def test_webhook(store: Store, req: TestWebhook) -> TestWebhookResponse:
    """Send an example of an event to a webhook, once, and tell how it went."""
    result = store.test_webhook(req.webhook_id, None if req.event is None else event_from_wire(req.event))
    return TestWebhookResponse(
        result=TestResultMessage(
            success=result.success,
            response_status=UNSET if result.response_status is None else result.response_status,
            response_body=UNSET if result.response_body is None else result.response_body,
            error_message=result.error_message or UNSET,
        )
    )
