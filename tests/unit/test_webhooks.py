"""Webhooks: secrets at rest, signatures, and the routes where they are not MLflow's plain ones."""

import base64
import hashlib
import hmac
import json
import re
import sqlite3
import sys
from pathlib import Path

import pytest

from slipstream import settings
from slipstream.api import webhooks as api
from slipstream.api.table import ROUTES
from slipstream.client.client import SlipstreamClient
from slipstream.entities import WebhookEvent
from slipstream.errors import InternalError, InvalidParameterError, MissingDependencyError
from slipstream.rules.webhooks import EVENTS, parse_event
from slipstream.server.app import TrackingApp
from slipstream.server.options import ServerOptions
from slipstream.webhooks import payloads, secrets
from slipstream.webhooks.signature import signed_headers
from webhook_receiver import Receiver

pytestmark = pytest.mark.usefixtures("no_settings")

KEY = base64.urlsafe_b64encode(bytes(range(32))).decode()
OTHER_KEY = base64.urlsafe_b64encode(bytes(range(1, 33))).decode()
URL = "https://1.1.1.1/in"


# -- secrets ----------------------------------------------------------------------------------------------


def test_a_secret_is_encrypted_with_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("cryptography")
    monkeypatch.setenv("MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY", KEY)
    sealed = secrets.seal("tell nobody")
    assert sealed is not None
    assert "nobody" not in sealed
    assert secrets.unseal(sealed) == "tell nobody"

    monkeypatch.setenv("MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY", OTHER_KEY)
    with pytest.raises(InternalError, match="another key"):
        secrets.unseal(sealed)
    monkeypatch.delenv("MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY")
    with pytest.raises(InternalError, match="SLIPSTREAM_WEBHOOK_SECRET_ENCRYPTION_KEY"):
        secrets.unseal(sealed)


def test_without_a_key_it_is_kept_and_a_key_set_later_does_not_lose_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sealed = secrets.seal("plain")
    monkeypatch.setenv("MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY", KEY)
    assert secrets.unseal(sealed) == "plain"
    assert secrets.seal(None) is secrets.seal("") is secrets.unseal(None) is None


def test_a_key_that_is_none_is_told_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("cryptography")
    monkeypatch.setenv("SLIPSTREAM_WEBHOOK_SECRET_ENCRYPTION_KEY", "too short")
    with pytest.raises(InvalidParameterError, match="WEBHOOK_SECRET_ENCRYPTION_KEY is no key"):
        secrets.check_key()


def test_a_key_without_the_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPSTREAM_WEBHOOK_SECRET_ENCRYPTION_KEY", KEY)
    monkeypatch.setitem(sys.modules, "cryptography.fernet", None)
    with pytest.raises(MissingDependencyError, match=r"slipstream\[webhooks\]"):
        secrets.check_key()


def test_nothing_that_is_answered_or_stored_holds_the_secret(
    tracking: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    pytest.importorskip("cryptography")
    monkeypatch.setenv("MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY", KEY)
    client = SlipstreamClient()
    made = client.create_webhook("hook", URL, ["model_version.created"], secret="tell nobody")
    assert "nobody" not in repr([made, client.get_webhook(made.webhook_id), client.list_webhooks()])
    fields = {*api.WebhookMessage.__struct_fields__}
    assert "secret" not in fields
    with sqlite3.connect(tmp_path / "tracking.db") as connection:
        (stored,) = connection.execute("SELECT secret FROM webhooks").fetchone()
    connection.close()
    assert stored.startswith("fernet:")
    assert "nobody" not in stored


# -- what is sent -----------------------------------------------------------------------------------------


def test_the_signature_is_the_one_that_mlflow_documents() -> None:
    headers = signed_headers("k", "id", 12, '{"ü": 1}')
    expected = hmac.new(b"k", 'id.12.{"ü": 1}'.encode(), hashlib.sha256).digest()
    assert headers == {
        "Content-Type": "application/json",
        "X-MLflow-Delivery-Id": "id",
        "X-MLflow-Timestamp": "12",
        "X-MLflow-Signature": "v1," + base64.b64encode(expected).decode(),
    }
    assert "X-MLflow-Signature" not in signed_headers(None, "id", 12, "{}")


def test_every_event_has_an_example() -> None:
    every = {(entity, action) for entity, actions in EVENTS.items() for action in actions}
    assert set(payloads.EXAMPLES) == every
    body = json.loads(payloads.body(WebhookEvent("prompt", "created"), {"name": "p"}))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", body.pop("timestamp"))
    assert body == {"entity": "prompt", "action": "created", "data": {"name": "p"}}


def test_the_clients_trial(tracking: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS", "true")
    monkeypatch.setenv("MLFLOW_WEBHOOK_ALLOWED_SCHEMES", "http,https")
    client = SlipstreamClient()
    with Receiver(status=202) as receiver:
        made = client.create_webhook("hook", receiver.url, ["prompt.created"], secret="s")
        result = client.test_webhook(made.webhook_id, "model_version_tag.set")
        assert (result.success, result.response_status, result.response_body) == (True, 202, "thanks")
        assert receiver.received[0].event == "model_version_tag.set"
        assert receiver.received[0].is_signed_with("s")
        with pytest.raises(InvalidParameterError, match="model_version"):
            client.test_webhook(made.webhook_id, "model_version.set")
        # The settings may become stricter after a webhook was made.
        monkeypatch.delenv("MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS")
        refused = client.test_webhook(made.webhook_id)
        assert not refused.success
        assert "public internet" in (refused.error_message or "")
        monkeypatch.delenv("MLFLOW_WEBHOOK_ALLOWED_SCHEMES")
        assert "https://" in (client.test_webhook(made.webhook_id).error_message or "")
        assert len(receiver.received) == 1
    assert not client.test_webhook(made.webhook_id).success


# -- names and numbers ------------------------------------------------------------------------------------


def test_events_and_statuses_by_name_and_number() -> None:
    assert api.event_from_wire(api.EventMessage("MODEL_VERSION_TAG", "SET")) == WebhookEvent(
        "model_version_tag", "set"
    )
    assert api.event_from_wire(api.EventMessage(2, 1)) == WebhookEvent("model_version", "created")
    assert [api.status_from_wire(each) for each in ("ACTIVE", 1, "2")] == ["ACTIVE", "ACTIVE", "DISABLED"]
    for bad in (api.EventMessage("NOPE", "SET"), api.EventMessage(), api.EventMessage("PROMPT", 99)):
        with pytest.raises(InvalidParameterError, match="events"):
            api.event_from_wire(bad)
    with pytest.raises(InvalidParameterError, match="ACTIVE or DISABLED"):
        api.status_from_wire("BOGUS")


@pytest.mark.parametrize("text", ["", "model_version", "model_version.", ".created", "x.y"])
def test_texts_that_are_no_events(text: str) -> None:
    with pytest.raises(InvalidParameterError, match="event|action"):
        parse_event(text)


@pytest.mark.parametrize("text", ["", " , ", "gopher", "https,file"])
def test_schemes_are_http_only(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_WEBHOOK_ALLOWED_SCHEMES", text)
    with pytest.raises(InvalidParameterError, match="WEBHOOK_ALLOWED_SCHEMES"):
        settings.WEBHOOK_ALLOWED_SCHEMES.get()


def test_what_talks_to_other_machines_is_in_no_transaction() -> None:
    aside = {route.handler.__name__ for route in ROUTES.values() if route.aside}
    assert aside >= {"create_webhook", "update_webhook", "test_webhook"}
    assert not any(route.writes for route in ROUTES.values() if route.aside)


def test_a_server_starts_with_a_good_key_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncio

    pytest.importorskip("cryptography")
    monkeypatch.setenv("SLIPSTREAM_WEBHOOK_SECRET_ENCRYPTION_KEY", "bad")
    app = TrackingApp(
        ServerOptions(
            backend_store_uri=f"sqlite:///{tmp_path / 's.db'}", artifacts_destination=str(tmp_path / "a")
        )
    )
    with pytest.raises(InvalidParameterError, match="is no key"):
        asyncio.run(app.open())
