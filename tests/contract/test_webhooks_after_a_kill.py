"""An event that was answered reaches its webhook, though the server is killed before it could be sent."""

import socket
from pathlib import Path

import pytest

from server_process import ServerProcess
from slipstream.client.rest import RestStore
from slipstream.client.transport import Transport
from slipstream.entities import WebhookEvent
from webhook_receiver import Receiver

EVENTS = [WebhookEvent("registered_model", "created"), WebhookEvent("model_version_alias", "created")]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(autouse=True)
def _reach_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS", "true")
    monkeypatch.setenv("MLFLOW_WEBHOOK_ALLOWED_SCHEMES", "http,https")
    monkeypatch.setenv("MLFLOW_WEBHOOK_REQUEST_TIMEOUT", "2")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_events_survive_a_kill(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    backend = request.getfixturevalue("postgres_database") if kind == "postgres" else None
    port = free_port()  # where nobody listens yet
    server = ServerProcess(tmp_path, backend=backend)
    transport = Transport(server.url)
    store = RestStore(transport)
    store.create_webhook("hook", f"http://127.0.0.1:{port}/in", EVENTS, secret="shared")
    for number in range(20):
        store.create_registered_model(f"m{number}")
    store.create_model_version("m0", "s3://bucket/model")
    store.set_registered_model_alias("m0", "best", "1")
    server.kill()
    transport.close()

    with Receiver(port) as receiver:
        again = ServerProcess(tmp_path, backend=backend)
        received = receiver.wait_for(21, seconds=60)
        assert again.stop() == 0
    # At least once: what was under way when the server died may come twice, under the same id.
    by_id = {each.delivery_id: each for each in received}
    assert len(by_id) == 21
    names = sorted(
        each.body["data"]["name"] for each in by_id.values() if each.event == "registered_model.created"
    )
    assert names == sorted(f"m{number}" for number in range(20))
    assert all(each.is_signed_with("shared") for each in received)


@pytest.mark.slow
def test_several_workers_of_a_server_deliver_each_event_once(tmp_path: Path) -> None:
    with Receiver() as receiver:
        server = ServerProcess(tmp_path, "--workers", "3")
        transport = Transport(server.url)
        store = RestStore(transport)
        store.create_webhook("hook", receiver.url, EVENTS)
        for number in range(30):
            store.create_registered_model(f"m{number}")
        receiver.wait_for(30)
        assert server.stop() == 0
        transport.close()
        assert len({each.delivery_id for each in receiver.received}) == len(receiver.received) == 30
