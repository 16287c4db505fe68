"""The real mlflow client's webhook calls on a slipstream server, and what arrives, as MLflow's documents have it."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from server_process import ServerProcess
from webhook_receiver import Receiver

mlflow: Any = pytest.importorskip("mlflow", reason="the wire tests need mlflow-skinny")

pytestmark = [pytest.mark.slow, pytest.mark.wire]


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServerProcess]:
    monkeypatch.setenv("MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS", "true")
    monkeypatch.setenv("MLFLOW_WEBHOOK_ALLOWED_SCHEMES", "http,https")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    process = ServerProcess(tmp_path)
    yield process
    assert process.stop() == 0


def test_the_life_of_a_webhook(server: ServerProcess) -> None:
    client = mlflow.MlflowClient(server.url)
    with Receiver() as receiver:
        made = client.create_webhook(
            "ci", receiver.url, ["model_version.created", "model_version_alias.created"], "runs CI", "shared"
        )
        assert client.get_webhook(made.webhook_id).url == receiver.url
        assert [str(event) for event in made.events] == [
            "model_version.created",
            "model_version_alias.created",
        ]
        assert [each.webhook_id for each in client.list_webhooks()] == [made.webhook_id]

        result = client.test_webhook(made.webhook_id, "model_version_alias.created")
        assert (result.success, result.response_status, result.response_body) == (True, 200, "thanks")
        assert receiver.received[0].event == "model_version_alias.created"
        assert client.test_webhook(made.webhook_id).success
        receiver.status = 500
        result = client.test_webhook(made.webhook_id)
        assert (result.success, result.response_status) == (False, 500)
        receiver.status = 200
        receiver.received.clear()

        client.create_registered_model("m")
        client.create_model_version("m", "s3://bucket/model", description="first", tags={"a": "b"})
        client.set_registered_model_alias("m", "best", 1)
        first, second = sorted(receiver.wait_for(2), key=lambda each: each.event)
        assert all(each.is_signed_with("shared") for each in (first, second))
        assert abs(int(first.headers["X-MLflow-Timestamp"]) - time.time()) < 60
        assert first.headers["Content-Type"] == "application/json"
        assert first.body.pop("timestamp").endswith("+00:00")
        assert {**first.body, "timestamp": ""} == {
            "entity": "model_version",
            "action": "created",
            "timestamp": "",
            "data": {
                "name": "m",
                "version": "1",
                "source": "s3://bucket/model",
                "run_id": None,
                "tags": {"a": "b"},
                "description": "first",
            },
        }
        assert second.body["data"] == {"name": "m", "alias": "best", "version": "1"}

        client.update_webhook(made.webhook_id, status="DISABLED")
        client.create_model_version("m", "s3://bucket/model")
        client.update_webhook(made.webhook_id, status="ACTIVE", name="renamed")
        assert client.get_webhook(made.webhook_id).name == "renamed"
        client.set_registered_model_alias("m", "best", 2)
        assert receiver.wait_for(3)[2].body["data"]["version"] == "2"
        client.delete_webhook(made.webhook_id)
        with pytest.raises(mlflow.exceptions.MlflowException, match=made.webhook_id):
            client.get_webhook(made.webhook_id)


def test_prompts_of_the_real_client_are_prompts(server: ServerProcess) -> None:
    client = mlflow.MlflowClient(server.url)
    with Receiver() as receiver:
        events = ["prompt.created", "prompt_version.created", "prompt_alias.created", "model_version.created"]
        client.create_webhook("prompts", receiver.url, events)
        client.register_prompt("greet", "Hello {{name}}", commit_message="first")
        client.set_prompt_alias("greet", "best", 1)
        received = receiver.wait_for(3)
    assert sorted(each.event for each in received) == [
        "prompt.created",
        "prompt_alias.created",
        "prompt_version.created",
    ]
    version = next(each for each in received if each.event == "prompt_version.created")
    assert version.body["data"]["template"] == json.dumps("Hello {{name}}") or (
        version.body["data"]["template"] == "Hello {{name}}"
    )
    assert not any(key.startswith("mlflow.prompt") for key in version.body["data"]["tags"])
    assert "X-MLflow-Signature" not in version.headers
