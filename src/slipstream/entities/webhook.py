"""Webhooks: who is told by HTTP what happens in the model registry."""

import enum

import msgspec


class WebhookStatus(enum.StrEnum):
    ACTIVE = "ACTIVE"
    DISABLED = "DISABLED"


class WebhookEvent(msgspec.Struct, frozen=True):
    """What happened to which kind of thing, both in lower case: `WebhookEvent("model_version", "created")`."""

    entity: str
    action: str

    def __str__(self) -> str:
        return f"{self.entity}.{self.action}"


class Webhook(msgspec.Struct, frozen=True, kw_only=True):
    """A registration. Its secret is not part of it: no way leads back out of the store but into a signature."""

    webhook_id: str
    name: str
    url: str
    events: list[WebhookEvent]
    creation_timestamp: int
    last_updated_timestamp: int
    description: str | None = None
    status: WebhookStatus = WebhookStatus.ACTIVE


class WebhookTestResult(msgspec.Struct, frozen=True, kw_only=True):
    success: bool
    response_status: int | None = None
    response_body: str | None = None
    error_message: str | None = None


class WebhookTarget(msgspec.Struct, frozen=True, kw_only=True):
    """Where a delivery goes, for the one who sends it."""

    webhook: Webhook
    sealed_secret: str | None
    """As stored; `webhooks/secrets.py` opens it."""


class WebhookDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """One event on its way to one webhook, claimed by who holds this."""

    delivery_id: str
    """Stays the same however often it is sent, so that receivers can drop what they have seen."""
    body: str
    attempts: int
    """How often it has been sent, this time included."""
    webhook: int
    """The internal id of the webhook, by which deliveries are told apart."""
    target: WebhookTarget
