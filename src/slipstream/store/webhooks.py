"""Webhooks and what waits to be delivered to them, in SQL.

An event is queued in the transaction of what it tells of, so that it is as durable as that, and sent later by whoever
claims it (`server/webhook_deliveries.py`). A claim runs out: what its holder neither finished nor postponed is sent
again, so a delivery arrives at least once.
"""

import logging
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import LiteralString

from slipstream import settings
from slipstream.clock import now_ms
from slipstream.db.base import Row, Transaction
from slipstream.entities import Page, Webhook, WebhookDelivery, WebhookEvent, WebhookStatus, WebhookTarget
from slipstream.errors import InvalidParameterError, NotFoundError
from slipstream.rules import webhooks as rules
from slipstream.search import tokens
from slipstream.webhooks import payloads, secrets

_COLUMNS: LiteralString = (
    "w.id, w.webhook_id, w.name, w.description, w.url, w.secret, w.status, w.creation_timestamp, "
    "w.last_updated_timestamp"
)
SELECT_WEBHOOK: LiteralString = f"SELECT {_COLUMNS} FROM webhooks w WHERE w.webhook_id = :webhook_id"
SELECT_PAGE: LiteralString = f"""
    SELECT {_COLUMNS} FROM webhooks w
    WHERE w.creation_timestamp < :time OR (w.creation_timestamp = :time AND w.id < :id)
    ORDER BY w.creation_timestamp DESC, w.id DESC LIMIT :limit_
"""
SELECT_EVENTS: LiteralString = "SELECT webhook, entity, action FROM webhook_events WHERE webhook IN :webhooks__in ORDER BY webhook, entity, action"
INSERT_WEBHOOK: LiteralString = """
    INSERT INTO webhooks
        (webhook_id, name, description, url, secret, status, creation_timestamp, last_updated_timestamp)
    VALUES (:webhook_id, :name, :description, :url, :secret, :status, :now, :now)
    RETURNING id
"""
UPDATE_WEBHOOK: LiteralString = """
    UPDATE webhooks SET name = :name, description = :description, url = :url, secret = :secret, status = :status,
        last_updated_timestamp = :now WHERE id = :id
"""
INSERT_EVENT: LiteralString = (
    "INSERT INTO webhook_events (webhook, entity, action) VALUES (:webhook, :entity, :action)"
)
DELETE_EVENTS: LiteralString = "DELETE FROM webhook_events WHERE webhook = :id"
DELETE_WAITING: LiteralString = "DELETE FROM webhook_deliveries WHERE webhook = :id"
DELETE_WEBHOOK: LiteralString = "DELETE FROM webhooks WHERE id = :id"

SELECT_SUBSCRIBED: LiteralString = """
    SELECT w.id, w.webhook_id, e.entity FROM webhook_events e JOIN webhooks w ON w.id = e.webhook
    WHERE e.entity IN :entities__in AND e.action = :action AND w.status = 'ACTIVE' ORDER BY w.id
"""
# Whether a queue is full is known from one row of its index.
SELECT_LAST_PLACE: LiteralString = (
    "SELECT 1 FROM webhook_deliveries WHERE webhook = :webhook ORDER BY webhook LIMIT 1 OFFSET :offset_"
)
INSERT_DELIVERY: LiteralString = """
    INSERT INTO webhook_deliveries (delivery_id, webhook, body, attempts, next_attempt_time)
    VALUES (:delivery_id, :webhook, :body, 0, :now)
"""
SELECT_IS_DUE: LiteralString = "SELECT 1 FROM webhook_deliveries WHERE next_attempt_time <= :now LIMIT 1"
SELECT_DUE: LiteralString = f"""
    SELECT {_COLUMNS}, d.delivery_id, d.body, d.attempts
    FROM webhook_deliveries d JOIN webhooks w ON w.id = d.webhook
    WHERE d.next_attempt_time <= :now AND d.webhook NOT IN :busy__in
    ORDER BY d.next_attempt_time, d.id LIMIT :limit_
"""
_WIDTH = 9
UPDATE_CLAIMED: LiteralString = """
    UPDATE webhook_deliveries SET attempts = attempts + 1, next_attempt_time = :until
    WHERE delivery_id IN :deliveries__in
"""
UPDATE_POSTPONED: LiteralString = (
    "UPDATE webhook_deliveries SET next_attempt_time = :at WHERE delivery_id = :delivery_id"
)
DELETE_DELIVERY: LiteralString = "DELETE FROM webhook_deliveries WHERE delivery_id = :delivery_id"

_logger = logging.getLogger(__name__)

_NOBODY = 0
"""No webhook has this internal id: an empty list is no SQL."""


class WebhooksPart:
    tx: Transaction

    # -- registrations ------------------------------------------------------------------------------

    def create_webhook(
        self,
        name: str,
        url: str,
        events: Sequence[WebhookEvent],
        description: str | None = None,
        secret: str | None = None,
        status: WebhookStatus = WebhookStatus.ACTIVE,
    ) -> Webhook:
        rules.check_name(name)
        rules.check_url(url)
        rules.check_texts(description, secret)
        events = rules.check_events(events)
        webhook_id = str(uuid.uuid4())
        row = self.tx.fetch_one(
            INSERT_WEBHOOK,
            webhook_id=webhook_id,
            name=name,
            description=description or None,
            url=url,
            secret=secrets.seal(secret),
            status=status.value,
            now=now_ms(),
        )
        assert row is not None
        self._insert_events(row[0], events)
        return self.get_webhook(webhook_id)

    def get_webhook(self, webhook_id: str) -> Webhook:
        return self._webhooks([self._require_webhook(webhook_id)])[0]

    def search_webhooks(
        self, max_results: int = rules.DEFAULT_PAGE, page_token: str | None = None
    ) -> Page[Webhook]:
        """Return all webhooks, newest first."""
        if not 1 <= max_results <= rules.PAGE:
            raise InvalidParameterError(
                f"Invalid value {max_results} for parameter 'max_results': it must be at least 1 and at most {rules.PAGE}."
            )
        time, identity = 2**62, 0
        if page_token:
            time, identity = tokens.decode(page_token, "webhooks", "", ("integer", "integer"))
        rows = self.tx.fetch_all(SELECT_PAGE, time=time, id=identity, limit_=max_results + 1)
        shown = rows[:max_results]
        token = None
        if len(rows) > max_results:
            token = tokens.encode("webhooks", "", ("integer", "integer"), (shown[-1][7], shown[-1][0]))
        return Page(self._webhooks(shown), token)

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
        """Change what is given. What waits for a webhook that is disabled is dropped."""
        identity, _, old_name, old_description, old_url, old_secret, old_status, *_ = self._require_webhook(
            webhook_id
        )
        if name is not None:
            rules.check_name(name)
        if url is not None:
            rules.check_url(url)
        rules.check_texts(description, secret)
        if events is not None:
            events = rules.check_events(events)
            self.tx.execute(DELETE_EVENTS, id=identity)
            self._insert_events(identity, events)
        self.tx.execute(
            UPDATE_WEBHOOK,
            id=identity,
            name=old_name if name is None else name,
            description=old_description if description is None else description or None,
            url=old_url if url is None else url,
            secret=old_secret if secret is None else secrets.seal(secret),
            status=old_status if status is None else status.value,
            now=now_ms(),
        )
        if status is WebhookStatus.DISABLED:
            self.tx.execute(DELETE_WAITING, id=identity)
        return self.get_webhook(webhook_id)

    def delete_webhook(self, webhook_id: str) -> None:
        """Delete a webhook, and what waits for it."""
        identity = self._require_webhook(webhook_id)[0]
        for sql in (DELETE_WAITING, DELETE_EVENTS, DELETE_WEBHOOK):
            self.tx.execute(sql, id=identity)

    def get_webhook_target(self, webhook_id: str) -> WebhookTarget:
        """Return what is needed to send to a webhook."""
        row = self._require_webhook(webhook_id)
        return WebhookTarget(webhook=self._webhooks([row])[0], sealed_secret=row[5])

    # -- deliveries ---------------------------------------------------------------------------------

    def queue_event(
        self,
        entities: Sequence[str],
        action: str,
        choose: Callable[[], tuple[str, Mapping[str, object]]],
    ) -> None:
        """Queue an event for all webhooks that asked for it.

        Args:
            entities: which the event may be of; what it costs to find out is only spent if somebody asked for one.
            action: what happened.
            choose: tells of which it is, and its data.
        """
        subscribed = self.tx.fetch_all(SELECT_SUBSCRIBED, entities__in=list(entities), action=action)
        if not subscribed:
            return
        entity, data = choose()
        receivers = [(identity, webhook_id) for identity, webhook_id, asked in subscribed if asked == entity]
        if not receivers:
            return
        now = now_ms()
        body = payloads.body(WebhookEvent(entity, action), data)
        for identity, webhook_id in receivers:
            limit = settings.WEBHOOK_QUEUE_LIMIT.get()
            if self.tx.fetch_one(SELECT_LAST_PLACE, webhook=identity, offset_=limit - 1) is not None:
                _logger.error(
                    "%d deliveries wait for webhook %s, so the event %s.%s is not delivered to it",
                    *(limit, webhook_id, entity, action),
                )
                continue
            self.tx.execute(
                INSERT_DELIVERY, delivery_id=str(uuid.uuid4()), webhook=identity, body=body, now=now
            )

    def find_due_delivery(self) -> bool:
        """Tell whether a delivery waits whose time has come."""
        return self.tx.fetch_one(SELECT_IS_DUE, now=now_ms()) is not None

    def claim_deliveries(
        self, most: int, hold_ms: int, under_way: Mapping[int, int], each: int
    ) -> list[WebhookDelivery]:
        """Return deliveries to send now, and keep them from others for `hold_ms`.

        Args:
            most: how many at most.
            hold_ms: when they may be claimed again, if they were neither finished nor postponed until then.
            under_way: how many deliveries of each webhook the caller is sending, by the webhook's internal id.
            each: how many that may be, so that one receiver that answers slowly does not hold up the others.
        """
        now = now_ms()
        busy = [webhook for webhook, count in under_way.items() if count >= each]
        rows = self.tx.fetch_all(SELECT_DUE, now=now, busy__in=busy or [_NOBODY], limit_=most * 8)
        counts = dict(under_way)
        chosen: list[Row] = []
        for row in rows:
            count = counts.get(row[0], 0)
            if count < each and len(chosen) < most:
                counts[row[0]] = count + 1
                chosen.append(row)
        if not chosen:
            return []
        self.tx.execute(UPDATE_CLAIMED, deliveries__in=[row[_WIDTH] for row in chosen], until=now + hold_ms)
        webhooks = self._webhooks([row[:_WIDTH] for row in chosen])
        return [
            WebhookDelivery(
                delivery_id=row[_WIDTH],
                body=row[_WIDTH + 1],
                attempts=row[_WIDTH + 2] + 1,
                webhook=row[0],
                target=WebhookTarget(webhook=webhook, sealed_secret=row[5]),
            )
            for row, webhook in zip(chosen, webhooks, strict=True)
        ]

    def finish_delivery(self, delivery_id: str) -> None:
        """Forget a delivery: it has arrived, or never will."""
        self.tx.execute(DELETE_DELIVERY, delivery_id=delivery_id)

    def postpone_delivery(self, delivery_id: str, at: int) -> None:
        """Give a delivery back, to be sent again from a time on."""
        self.tx.execute(UPDATE_POSTPONED, delivery_id=delivery_id, at=at)

    # -- rows ---------------------------------------------------------------------------------------

    def _insert_events(self, identity: int, events: Sequence[WebhookEvent]) -> None:
        self.tx.execute_many(
            INSERT_EVENT,
            [(identity, event.entity, event.action) for event in events],
        )

    def _require_webhook(self, webhook_id: str) -> Row:
        row = self.tx.fetch_one(SELECT_WEBHOOK, webhook_id=webhook_id)
        if row is None:
            raise NotFoundError(f"Webhook with ID {webhook_id[:100]} not found")
        return row

    def _webhooks(self, rows: Sequence[Row]) -> list[Webhook]:
        if not rows:
            return []
        events: dict[int, list[WebhookEvent]] = {}
        ids = sorted({row[0] for row in rows})
        for webhook, entity, action in self.tx.fetch_all(SELECT_EVENTS, webhooks__in=ids):
            events.setdefault(webhook, []).append(WebhookEvent(entity, action))
        return [
            Webhook(
                webhook_id=webhook_id,
                name=name,
                description=description,
                url=url,
                events=events.get(identity, []),
                status=WebhookStatus(status),
                creation_timestamp=created,
                last_updated_timestamp=updated,
            )
            for identity, webhook_id, name, description, url, _, status, created, updated in rows
        ]
