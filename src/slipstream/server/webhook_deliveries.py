"""Deliver what waits for webhooks: beside the requests, again and again until it has arrived or time is up.

One thread looks what is due and claims it in the database; each delivery is sent in a thread of its own. Any number
of servers may do so on one database. A server that is killed leaves its claims to run out, so what it was sending is
sent again by whoever is there then, with the same delivery id.
"""

import logging
import random
import threading
from collections import Counter
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from slipstream import settings
from slipstream.clock import now_ms
from slipstream.entities import WebhookDelivery
from slipstream.errors import InvalidParameterError, SlipstreamError
from slipstream.store.engine import Engine
from slipstream.webhooks.guarded_http import Answer
from slipstream.webhooks.sending import send

POLL_SECONDS = 0.5
MARGIN_MS = 15_000
"""How much longer than a request may take a claim holds: for resolving the name, and for writing down the outcome."""
EACH = 2
"""Deliveries under way to one webhook: one that answers slowly keeps its own waiting, and few others."""
LONGEST_WAIT_SECONDS = 600.0
_RETRIED = frozenset({408, 425, 429})

_logger = logging.getLogger(__name__)
_chance = random.SystemRandom()  # the one of the module is the user's, who may have seeded it

Send = Callable[[WebhookDelivery], Answer]


class WebhookDeliveries:
    """Delivers for one server process, from `start` to `stop`.

    Args:
        engine: where deliveries wait.
        send_one: sends; for tests.
        jitter: a number from 0.5 to 1, times which a wait is as long.
    """

    def __init__(
        self,
        engine: Engine,
        send_one: Send | None = None,
        jitter: Callable[[], float] = lambda: _chance.uniform(0.5, 1.0),
    ) -> None:
        self._engine = engine
        self._send = send_one or _send
        self._jitter = jitter
        self._under_way: Counter[int] = Counter()
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = False
        self._failing = False
        self._thread = threading.Thread(target=self._watch, name="slipstream-webhooks", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, patience_seconds: float = 3.0) -> None:
        """Claim no more, and give what is under way a moment; what has not ended then is sent again later."""
        self._stopping = True
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(patience_seconds)

    def _watch(self) -> None:
        while not self._stopping:
            self._wake.wait(POLL_SECONDS)
            self._wake.clear()
            try:
                while not self._stopping and self._deliver_some():
                    pass
            except Exception as error:  # noqa: BLE001  # the database may be away, and comes back
                if not self._failing:  # said once, not twice a second
                    _logger.warning("Cannot look for deliveries to webhooks now: %s", error)
                self._failing = True
            else:
                self._failing = False
        while self._under_way and self._wake.wait(POLL_SECONDS * 5):
            self._wake.clear()

    def _deliver_some(self) -> bool:
        """Begin what is due and has room; tell whether there was anything."""
        with self._lock:
            under_way = dict(self._under_way)
        room = settings.WEBHOOK_DELIVERY_MAX_WORKERS.get() - sum(under_way.values())
        if room <= 0 or not self._engine.read(lambda store: store.find_due_delivery()):
            return False
        hold_ms = int(settings.WEBHOOK_REQUEST_TIMEOUT.get() * 1000) + MARGIN_MS
        claimed = self._engine.write(lambda store: store.claim_deliveries(room, hold_ms, under_way, EACH))
        for delivery in claimed:
            with self._lock:
                self._under_way[delivery.webhook] += 1
            threading.Thread(
                target=self._deliver, args=(delivery,), name="slipstream-webhook", daemon=True
            ).start()
        return bool(claimed)

    def _deliver(self, delivery: WebhookDelivery) -> None:
        try:
            self._attempt(delivery)
        except Exception as error:  # noqa: BLE001  # the outcome could not be written down: the claim runs out
            _logger.warning("Delivery %s will be sent again: %s", delivery.delivery_id, error)
        finally:
            with self._lock:
                self._under_way[delivery.webhook] -= 1
                if self._under_way[delivery.webhook] == 0:
                    del self._under_way[delivery.webhook]
            self._wake.set()

    def _attempt(self, delivery: WebhookDelivery) -> None:
        wait: float | None = None
        try:
            answer = self._send(delivery)
        except InvalidParameterError as error:  # a host that is not to be reached is no better a second time
            problem = str(error)
        except SlipstreamError as error:
            problem, wait = str(error), 0.0
        except Exception as error:  # ours to mend; until then it is given up in the end like others
            _logger.exception("Delivery %s could not be sent", delivery.delivery_id)
            problem, wait = f"the server failed unexpectedly ({type(error).__name__})", 0.0
        else:
            if 200 <= answer.status < 300:
                self._engine.write(lambda store: store.finish_delivery(delivery.delivery_id))
                return
            problem = f"it answered {answer.status}"
            if answer.status >= 500 or answer.status in _RETRIED:
                wait = _asked_for(answer.retry_after)
        webhook = delivery.target.webhook
        # The path of a URL may be its secret.
        shown = f"webhook {webhook.webhook_id} ({webhook.name}, {urlsplit(webhook.url).hostname})"
        if wait is None or delivery.attempts > settings.WEBHOOK_REQUEST_MAX_RETRIES.get():
            _logger.error(
                "Delivery %s to %s is given up after %d attempts: %s",
                *(delivery.delivery_id, shown, delivery.attempts, problem),
            )
            self._engine.write(lambda store: store.finish_delivery(delivery.delivery_id))
            return
        # Below 2**30 a float is exact enough, and attempts may be many.
        growing = min(LONGEST_WAIT_SECONDS, 2.0 ** min(delivery.attempts, 30)) * self._jitter()
        at = now_ms() + int(1000 * max(growing, wait))
        _logger.info("Delivery %s to %s failed and is tried again: %s", delivery.delivery_id, shown, problem)
        self._engine.write(lambda store: store.postpone_delivery(delivery.delivery_id, at))


def _send(delivery: WebhookDelivery) -> Answer:
    return send(delivery.target, delivery.delivery_id, delivery.body)


def _asked_for(retry_after: str | None) -> float:
    """Return how many seconds a receiver asked to be left alone, within reason."""
    if retry_after is None:
        return 0.0
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(retry_after).timestamp() - now_ms() / 1000
        except (ValueError, OverflowError):
            return 0.0
    return min(max(seconds, 0.0), LONGEST_WAIT_SECONDS) if seconds == seconds else 0.0  # noqa: PLR0124  # NaN
