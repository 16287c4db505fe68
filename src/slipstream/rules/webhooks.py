"""What a webhook may be called, where it may send, and which events there are."""

import ipaddress
import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from slipstream import settings
from slipstream.entities import WebhookEvent
from slipstream.errors import InvalidParameterError
from slipstream.rules import limits, names

EVENTS: dict[str, tuple[str, ...]] = {
    "registered_model": ("created",),
    "model_version": ("created",),
    "model_version_tag": ("set", "deleted"),
    "model_version_alias": ("created", "deleted"),
    "prompt": ("created",),
    "prompt_version": ("created",),
    "prompt_tag": ("set", "deleted"),
    "prompt_version_tag": ("set", "deleted"),
    "prompt_alias": ("created", "deleted"),
    "budget_policy": ("exceeded",),
}
"""Actions by entity, as MLflow has them. Nothing here fires `budget_policy`: there is no gateway."""

URL = 2_000
DESCRIPTION = 5_000
SECRET = 1_000
PAGE = 1_000
DEFAULT_PAGE = 100

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_NUMERIC_HOST = re.compile(r"[0-9.]+|0x[0-9a-f.x]*", re.IGNORECASE)


def check_name(name: str) -> None:
    names.check_text(name, "name")
    if not _NAME.fullmatch(name):
        raise InvalidParameterError(
            f"Webhook name {name[:100]!r} is not valid: 1 to 63 letters, digits, '.', '_' and '-', with a letter or "
            "digit first and last."
        )


def check_texts(description: str | None, secret: str | None) -> None:
    limits.check_length(description or "", DESCRIPTION, "description")
    limits.check_length(secret or "", SECRET, "secret")


def check_url(url: str) -> None:
    """Accept an address by its text; whether the host is one that may be reached is asked where it is resolved."""
    names.check_text(url, "url")
    limits.check_length(url, URL, "url")
    allowed = settings.WEBHOOK_ALLOWED_SCHEMES.get()
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise InvalidParameterError(f"Webhook URL {url[:200]!r} is not valid: {error}.") from error
    if parts.scheme not in allowed:
        raise InvalidParameterError(
            f"Webhook URL {url[:200]!r} does not begin with one of: {', '.join(f'{each}://' for each in allowed)}. "
            f"{settings.WEBHOOK_ALLOWED_SCHEMES.name} at the server adds schemes."
        )
    if not host or port == 0 or not url.isascii() or any(c.isspace() or not c.isprintable() for c in url):
        raise InvalidParameterError(
            f"Webhook URL {url[:200]!r} is not valid: write https://host/path, other characters percent-encoded."
        )
    if _NUMERIC_HOST.fullmatch(host):
        # What `127.1` and `0177.0.0.1` mean depends on who reads them.
        try:
            ipaddress.ip_address(host)
        except ValueError as error:
            raise InvalidParameterError(
                f"Webhook URL {url[:200]!r}: '{host}' is not how an IP address is written. Write all four numbers."
            ) from error


def check_events(events: Sequence[WebhookEvent]) -> list[WebhookEvent]:
    """Return the events without repetitions, or raise what is wrong with one."""
    if not events:
        raise InvalidParameterError("Missing value for required parameter 'events': name at least one event.")
    for event in events:
        actions = EVENTS.get(event.entity)
        if actions is None:
            raise InvalidParameterError(
                f"'{event.entity[:100]}' is no entity of webhook events; there are {', '.join(EVENTS)}."
            )
        if event.action not in actions:
            raise InvalidParameterError(
                f"Webhook events of '{event.entity}' have no action '{event.action[:100]}'; "
                f"there is {' and '.join(actions)}."
            )
    return list(dict.fromkeys(events))


def parse_event(text: str) -> WebhookEvent:
    """Return the event of `entity.action`."""
    entity, dot, action = text.partition(".")
    if not dot:
        raise InvalidParameterError(
            f"'{text[:100]}' is no event: write entity.action, such as 'model_version.created'."
        )
    return check_events([WebhookEvent(entity, action)])[0]
