"""Events of the registry on their way to webhooks: queued with what they tell of, sent until they arrive."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from slipstream.entities import WebhookDelivery, WebhookEvent, WebhookStatus
from slipstream.errors import AlreadyExistsError, ConnectionFailedError
from slipstream.rules.webhooks import EVENTS
from slipstream.server import webhook_deliveries
from slipstream.server.webhook_deliveries import WebhookDeliveries
from slipstream.store.engine import Engine, QueuedStore, open_engine
from slipstream.testing.store_contract import unique
from slipstream.webhooks.guarded_http import Answer

URL = "https://1.1.1.1/path-of-a-secret"
EVERY = [WebhookEvent(entity, action) for entity, actions in EVENTS.items() for action in actions]
CREATED = WebhookEvent("registered_model", "created")
REMOTE = "s3://bucket/model"


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    uri = f"sqlite:///{tmp_path / 's.db'}"
    if request.param == "postgres":
        uri = request.getfixturevalue("postgres_database")
    opened = open_engine(uri, str(tmp_path / "artifacts"))
    yield opened
    opened.close()


@pytest.fixture
def store(engine: Engine) -> QueuedStore:
    return QueuedStore(engine)


def waiting(engine: Engine, most: int = 100) -> list[WebhookDelivery]:
    """Claim everything that is due, for no time at all."""
    return engine.write(lambda store: store.claim_deliveries(most, -1, {}, most))


def events(deliveries: list[WebhookDelivery]) -> list[tuple[str, Any]]:
    import json

    bodies = [json.loads(each.body) for each in deliveries]
    return [(f"{body['entity']}.{body['action']}", body["data"]) for body in bodies]


def until(condition: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


# -- what is queued ---------------------------------------------------------------------------------------


def test_events_of_models_and_versions(engine: Engine, store: QueuedStore) -> None:
    store.create_webhook("hook", URL, EVERY)
    name = unique()
    store.create_registered_model(name, {"a": "b"}, "text")
    store.set_registered_model_tag(name, "k", "v")  # no event, as in MLflow
    run = store.create_run("0").info.run_id
    store.create_model_version(name, REMOTE, run, {"t": "1"}, description="first")
    store.create_model_version(name, REMOTE)
    store.set_model_version_tag(name, "1", "k", "v")
    store.delete_model_version_tag(name, "1", "k")
    store.set_registered_model_alias(name, "best", "2")
    store.delete_registered_model_alias(name, "best")
    store.transition_model_version_stage(name, "1", "Production")
    store.delete_model_version(name, "1")
    store.delete_registered_model(name)
    assert events(waiting(engine)) == [
        ("registered_model.created", {"name": name, "tags": {"a": "b"}, "description": "text"}),
        (
            "model_version.created",
            {
                "name": name,
                "version": "1",
                "source": REMOTE,
                "run_id": run,
                "tags": {"t": "1"},
                "description": "first",
            },
        ),
        (
            "model_version.created",
            {"name": name, "version": "2", "source": REMOTE, "run_id": None, "tags": {}, "description": None},
        ),
        ("model_version_tag.set", {"name": name, "version": "1", "key": "k", "value": "v"}),
        ("model_version_tag.deleted", {"name": name, "version": "1", "key": "k"}),
        ("model_version_alias.created", {"name": name, "alias": "best", "version": "2"}),
        ("model_version_alias.deleted", {"name": name, "alias": "best"}),
    ]


def test_prompts_have_events_of_their_own(engine: Engine, store: QueuedStore) -> None:
    store.create_webhook("hook", URL, EVERY)
    name, mark = unique(), {"mlflow.prompt.is_prompt": "true", "_mlflow_prompt_type": "text"}
    store.create_registered_model(name, {**mark, "a": "b"})
    store.create_model_version(
        name, "dummy-source", None, {**mark, "mlflow.prompt.text": "Hi {{x}}", "t": "1"}
    )
    store.set_registered_model_tag(name, "k", "v")
    store.delete_registered_model_tag(name, "k")
    store.set_model_version_tag(name, "1", "k", "v")
    store.delete_model_version_tag(name, "1", "k")
    store.set_registered_model_alias(name, "best", "1")
    store.delete_registered_model_alias(name, "best")
    assert events(waiting(engine)) == [
        ("prompt.created", {"name": name, "tags": {"a": "b"}, "description": ""}),
        (
            "prompt_version.created",
            {"name": name, "version": "1", "template": "Hi {{x}}", "tags": {"t": "1"}, "description": None},
        ),
        ("prompt_tag.set", {"name": name, "key": "k", "value": "v"}),
        ("prompt_tag.deleted", {"name": name, "key": "k"}),
        ("prompt_version_tag.set", {"name": name, "version": "1", "key": "k", "value": "v"}),
        ("prompt_version_tag.deleted", {"name": name, "version": "1", "key": "k"}),
        ("prompt_alias.created", {"name": name, "alias": "best", "version": "1"}),
        ("prompt_alias.deleted", {"name": name, "alias": "best"}),
    ]


def test_only_active_webhooks_get_only_what_they_asked_for(engine: Engine, store: QueuedStore) -> None:
    store.create_webhook("off", URL, EVERY, status=WebhookStatus.DISABLED)
    store.create_webhook(
        "other", URL, [WebhookEvent("prompt", "created"), WebhookEvent("prompt_alias", "created")]
    )
    store.create_webhook("one", URL, [WebhookEvent("model_version_alias", "created")])
    name = store.create_registered_model(unique()).name
    store.create_model_version(name, REMOTE)
    store.set_registered_model_alias(name, "best", "1")
    (delivery,) = waiting(engine)
    assert delivery.target.webhook.name == "one"


def test_what_fails_is_no_event(engine: Engine, store: QueuedStore) -> None:
    name = store.create_registered_model(unique()).name
    store.create_webhook("hook", URL, EVERY)
    with pytest.raises(AlreadyExistsError):
        store.create_registered_model(name)

    def fail_later(sql: Any) -> None:
        sql.create_registered_model(unique())
        raise AlreadyExistsError("after all")

    with pytest.raises(AlreadyExistsError):
        engine.write(fail_later)
    assert waiting(engine) == []


def test_disabling_and_deleting_drop_what_waits(engine: Engine, store: QueuedStore) -> None:
    first, second = (store.create_webhook(name, URL, [CREATED]).webhook_id for name in ("a", "b"))
    store.create_registered_model(unique())
    store.update_webhook(first, status=WebhookStatus.DISABLED)
    store.update_webhook(first, status=WebhookStatus.ACTIVE)
    store.delete_webhook(second)
    assert waiting(engine) == []


def test_a_queue_has_an_end(
    engine: Engine, store: QueuedStore, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("SLIPSTREAM_WEBHOOK_QUEUE_LIMIT", "3")
    full = store.create_webhook("full", URL, [CREATED, WebhookEvent("prompt", "created")]).webhook_id
    for _ in range(3):
        store.create_registered_model(unique())
    store.create_webhook("empty", URL, [CREATED])
    with caplog.at_level(logging.ERROR):
        name = store.create_registered_model(unique()).name
    assert store.get_registered_model(name).name == name
    assert full in caplog.text
    assert sorted(each.target.webhook.name for each in waiting(engine)) == ["empty", "full", "full", "full"]


# -- claims -----------------------------------------------------------------------------------------------


def test_what_is_claimed_is_nobody_elses_until_the_claim_runs_out(engine: Engine, store: QueuedStore) -> None:
    store.create_webhook("hook", URL, [CREATED])
    store.create_registered_model(unique())
    (claimed,) = engine.write(lambda s: s.claim_deliveries(5, 60_000, {}, 5))
    assert claimed.attempts == 1
    assert waiting(engine) == []
    engine.write(lambda s: s.postpone_delivery(claimed.delivery_id, 0))
    (again,) = engine.write(lambda s: s.claim_deliveries(5, -1, {}, 5))  # a claim that has run out
    assert (again.delivery_id, again.body, again.attempts) == (claimed.delivery_id, claimed.body, 2)
    (third,) = waiting(engine)
    assert third.attempts == 3
    engine.write(lambda s: s.finish_delivery(claimed.delivery_id))
    assert waiting(engine) == []


def test_a_webhook_with_much_to_get_leaves_room_for_others(engine: Engine, store: QueuedStore) -> None:
    store.create_webhook("much", URL, [CREATED])
    for _ in range(60):
        store.create_registered_model(unique())
    store.create_webhook("little", URL, [CREATED])
    store.create_registered_model(unique())
    first = engine.write(lambda s: s.claim_deliveries(4, 60_000, {}, 2))
    under_way = {first[0].webhook: 2}
    second = engine.write(lambda s: s.claim_deliveries(2, 60_000, under_way, 2))
    assert [each.target.webhook.name for each in first + second] == ["much", "much", "little"]


def test_two_servers_on_one_database_send_each_delivery_once(engine: Engine, store: QueuedStore) -> None:
    for number in range(4):
        store.create_webhook(f"hook{number}", URL, [CREATED])
    for _ in range(25):
        store.create_registered_model(unique())
    sent: list[str] = []

    def send(delivery: WebhookDelivery) -> Answer:
        sent.append(delivery.delivery_id)
        return Answer(200, "", None)

    servers = [WebhookDeliveries(engine, send) for _ in range(2)]
    for server in servers:
        server.start()
    until(lambda: len(sent) >= 100)
    for server in servers:
        server.stop(20)
    assert len(set(sent)) == len(sent) == 100
    assert waiting(engine) == []


# -- sending ----------------------------------------------------------------------------------------------


class Sender:
    """Answers deliveries with what is in `answers`, the last for all further ones."""

    def __init__(self, *answers: Answer | Exception) -> None:
        self.answers = answers
        self.sent: list[WebhookDelivery] = []

    def __call__(self, delivery: WebhookDelivery) -> Answer:
        self.sent.append(delivery)
        answer = self.answers[min(len(self.sent), len(self.answers)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def deliver(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Sender], None]]:
    """Begin to deliver, without waits to speak of."""
    monkeypatch.setattr(webhook_deliveries, "POLL_SECONDS", 0.01)
    begun: list[WebhookDeliveries] = []

    def begin(sender: Sender) -> None:
        begun.append(WebhookDeliveries(engine, sender, jitter=lambda: 0.0))
        begun[-1].start()

    yield begin
    for each in begun:
        each.stop(20)


FAILURES = [
    *(Answer(500, "", None), Answer(503, "", "0"), Answer(429, "", "soon"), Answer(408, "", "nan")),
    ConnectionFailedError("away"),
    RuntimeError("a bug"),
]


def test_failures_are_sent_again_until_it_arrives(
    engine: Engine, store: QueuedStore, deliver: Callable[[Sender], None]
) -> None:
    store.create_webhook("hook", URL, [CREATED])
    store.create_registered_model(unique())
    sender = Sender(*FAILURES, Answer(204, "", None))
    deliver(sender)
    until(lambda: len(sender.sent) == 7)
    until(lambda: not waiting(engine))
    assert len({each.delivery_id for each in sender.sent}) == 1
    assert len({each.body for each in sender.sent}) == 1
    assert [each.attempts for each in sender.sent] == list(range(1, 8))


@pytest.mark.parametrize("answer", [Answer(301, "", None), Answer(400, "", None), Answer(410, "", None)])
def test_what_will_never_be_taken_is_given_up_at_once(
    answer: Answer,
    engine: Engine,
    store: QueuedStore,
    deliver: Callable[[Sender], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    store.create_webhook("hook", URL, [CREATED])
    store.create_registered_model(unique())
    sender = Sender(answer)
    deliver(sender)
    until(lambda: "given up after 1 attempts" in caplog.text)
    until(lambda: not waiting(engine))
    assert len(sender.sent) == 1
    assert str(answer.status) in caplog.text
    assert "1.1.1.1" in caplog.text
    assert "path-of-a-secret" not in caplog.text


def test_it_is_given_up_after_so_many_attempts(
    engine: Engine,
    store: QueuedStore,
    deliver: Callable[[Sender], None],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setenv("MLFLOW_WEBHOOK_REQUEST_MAX_RETRIES", "2")
    store.create_webhook("hook", URL, [CREATED])
    store.create_registered_model(unique())
    sender = Sender(Answer(502, "", None))
    deliver(sender)
    until(lambda: "given up after 3 attempts" in caplog.text)
    until(lambda: not waiting(engine))
    assert len(sender.sent) == 3


def test_a_receiver_that_hangs_does_not_hold_up_the_others(
    engine: Engine, store: QueuedStore, deliver: Callable[[Sender], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = store.create_webhook("slow", URL, [CREATED]).webhook_id
    store.create_webhook("quick", URL, [CREATED])
    release = threading.Event()
    begun: list[str] = []

    class Hanging(Sender):
        def __call__(self, delivery: WebhookDelivery) -> Answer:
            begun.append(delivery.target.webhook.name)
            if delivery.target.webhook.webhook_id == slow:
                release.wait(30)
            return Answer(200, "", None)

    for _ in range(12):
        store.create_registered_model(unique())
    deliver(Hanging())
    until(lambda: begun.count("quick") == 12)
    assert begun.count("slow") == webhook_deliveries.EACH
    release.set()
    until(lambda: begun.count("slow") == 12)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [(None, 0.0), ("7", 7.0), ("-3", 0.0), ("1e9", 600.0), ("nan", 0.0), ("inf", 600.0), ("soon", 0.0),
     ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0), ("Fri, 31 Dec 9999 23:59:59 GMT", 600.0)],
)  # fmt: skip
def test_what_receivers_ask_for_is_within_reason(text: str | None, seconds: float) -> None:
    assert webhook_deliveries._asked_for(text) == seconds
