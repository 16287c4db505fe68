"""Send one delivery, or a trial of a webhook."""

import time
import uuid

from slipstream import settings
from slipstream.entities import WebhookEvent, WebhookTarget, WebhookTestResult
from slipstream.errors import SlipstreamError
from slipstream.rules.webhooks import check_url
from slipstream.webhooks import payloads
from slipstream.webhooks.guarded_http import Answer, post
from slipstream.webhooks.secrets import unseal
from slipstream.webhooks.signature import signed_headers


def send(target: WebhookTarget, delivery_id: str, body: str) -> Answer:
    """Sign and send what a delivery says.

    Raises:
        InvalidParameterError: the webhook's URL is none that may be sent to.
        ConnectionFailedError: there was no answer in time.
        InternalError: the secret cannot be read.
    """
    url = target.webhook.url
    check_url(url)  # the settings may have become stricter since it was stored
    headers = signed_headers(unseal(target.sealed_secret), delivery_id, int(time.time()), body)
    return post(url, body.encode(), headers, settings.WEBHOOK_REQUEST_TIMEOUT.get())


def send_trial(target: WebhookTarget, event: WebhookEvent | None) -> WebhookTestResult:
    """Send an example of an event, of the webhook's first one if none is named, once; tell how it went."""
    event = event or target.webhook.events[0]
    body = payloads.body(event, payloads.EXAMPLES[event.entity, event.action])
    try:
        answer = send(target, str(uuid.uuid4()), body)
    except SlipstreamError as error:
        return WebhookTestResult(success=False, error_message=str(error))
    return WebhookTestResult(
        success=answer.status < 300, response_status=answer.status, response_body=answer.body
    )
