"""Log lines of a server: ids of requests, slow requests, JSON, and no secrets."""

import http.client
import json
import logging
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from server_process import ServerProcess
from slipstream.httpd.logs import LogFormatter, hide_secrets
from slipstream.server.asked import Asked, given_id

API = "/api/2.0/mlflow/"
TRACE = "0af7651916cd43dd8448eb211c80319c"
MADE = re.compile(r"[0-9a-f]{12}-[0-9a-f]+")
Start = Callable[..., ServerProcess]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    servers: list[ServerProcess] = []

    def begin(*options: str) -> ServerProcess:
        servers.append(ServerProcess(tmp_path, *options))
        return servers[-1]

    yield begin
    for server in servers:
        server.kill()


def ask(
    server: ServerProcess, method: str, path: str, body: object = None, **headers: str
) -> tuple[int, str | None, bytes]:
    """Return status, id and body of the answer."""
    parts = urlsplit(server.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    if body is not None:
        sent["Content-Type"] = "application/json"
    connection.request(method, path, None if body is None else json.dumps(body), sent)
    response = connection.getresponse()
    content = response.read()
    connection.close()
    return response.status, response.headers["X-Request-Id"], content


def records(server: ServerProcess) -> list[dict[str, Any]]:
    """Return the log of a server that has ended; each of its lines is JSON."""
    return [json.loads(line) for line in server.lines]


# -- ids --------------------------------------------------------------------------------------------


def test_errors_and_the_long_way_carry_an_id(start: Start) -> None:
    server = start()
    ids: list[str] = []
    for method, path, body, status in (
        ("POST", API + "runs/log-metric", {}, 400),
        ("POST", API + "runs/search", {"experiment_ids": []}, 200),
        ("GET", API + "experiments/get?experiment_id=77", None, 404),
        ("GET", "/nowhere", None, 404),
        ("GET", "/health", None, 200),
        ("GET", "/api/2.0/mlflow-artifacts/artifacts/none.txt", None, 404),
    ):
        found, request_id, _ = ask(server, method, path, body)
        assert found == status, path
        assert request_id is not None
        assert MADE.fullmatch(request_id), path
        ids.append(request_id)
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("path", ["experiments/create", "experiments/search"])
def test_an_id_that_came_with_a_request_goes_back(start: Start, path: str) -> None:
    server = start()

    def id_for(**headers: str) -> str | None:
        body = {"name": f"e{time.monotonic_ns()}", "max_results": 5}
        status, request_id, _ = ask(server, "POST", API + path, body, **headers)
        assert status == 200
        return request_id

    assert id_for(X_Request_Id="build-17/step:4") == "build-17/step:4"
    assert id_for(traceparent=f"00-{TRACE}-b7ad6b7169203331-01") == TRACE
    assert id_for(X_Request_Id="mine", traceparent=f"00-{TRACE}-b7ad6b7169203331-01") == "mine"
    for bad in ("x" * 129, "two words", "<script>", ""):
        assert id_for(X_Request_Id=bad) not in (bad, "")


def test_what_is_taken_as_an_id() -> None:
    assert given_id(b"a" * 128, None) == "a" * 128
    assert given_id(b'quo"te', None) is None
    assert given_id(None, b"00-" + b"0" * 31 + b"-" + b"1" * 16 + b"-01") is None
    assert given_id(None, None) is None
    first, second = Asked(), Asked()
    assert first.id == first.id != second.id


# -- lines ------------------------------------------------------------------------------------------


def test_slow_requests_are_logged_as_json(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPSTREAM_SLOW_REQUEST_SECONDS", "0")
    server = start("--log-format", "json")
    body = {"name": "e"}
    assert ask(server, "POST", API + "experiments/create", body, X_Request_Id="one")[0] == 200
    assert (
        ask(server, "GET", API + "experiments/get?experiment_id=0&token=swordfish", X_Request_Id="two")[0]
        == 200
    )
    assert server.stop() == 0
    first, *lines = records(server)
    assert first["message"].startswith("slipstream server on http://127.0.0.1:")
    found = {line["request_id"]: line for line in lines}
    assert found["one"]["message"] == "A request took long"
    assert found["one"]["level"] == "warning"
    assert (found["one"]["method"], found["one"]["route"]) == ("POST", API + "experiments/create")
    assert found["one"]["bytes"] == len(json.dumps(body))
    assert (found["two"]["status"], found["two"]["route"]) == (200, API + "experiments/get")
    assert 0 < found["two"]["seconds"] < 20
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", found["two"]["time"])
    assert "swordfish" not in "".join(server.lines)


def test_nothing_is_logged_of_ordinary_requests(start: Start) -> None:
    server = start("--log-format", "json")
    assert ask(server, "POST", API + "experiments/create", {"name": "e"})[0] == 200
    assert ask(server, "GET", "/nowhere")[0] == 404
    assert server.stop() == 0
    assert len(records(server)) == 1


def test_every_request_is_logged_if_asked_for(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPSTREAM_ACCESS_LOG", "true")
    server = start()
    assert ask(server, "POST", API + "experiments/create", {"name": "e"}, X_Request_Id="one")[0] == 200
    assert ask(server, "GET", "/nowhere", X_Request_Id="two")[0] == 404
    assert server.stop() == 0
    lines = [line for line in server.lines if "A request was answered" in line]
    found = [
        match.groups() for line in lines if (match := re.search(r"request_id=(\w+) .*status=(\d+)", line))
    ]
    assert found == [("one", "200"), ("two", "404")]


def test_an_unexpected_failure_names_the_request_in_answer_and_log(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tables that somebody has taken away stand for a bug."""
    import sqlite3

    server = start("--log-format", "json")
    with sqlite3.connect(tmp_path / "server.db") as connection:
        connection.execute("DROP TABLE experiment_tags")
    connection.close()
    for method, path, body in (
        ("POST", API + "experiments/set-experiment-tag", {"experiment_id": "0", "key": "k", "value": "v"}),
        ("GET", API + "experiments/get?experiment_id=0", None),
    ):
        status, request_id, content = ask(server, method, path, body)
        assert status == 500
        document = json.loads(content)
        assert document["error_code"] == "INTERNAL_ERROR"
        assert f"request id {request_id}" in document["message"]
        assert "no such table" not in document["message"]
    assert server.stop() == 0
    lines = [line for line in records(server) if "Unexpected error" in line["message"]]
    assert len(lines) == 2
    assert all("no such table" in line["exception"] and MADE.fullmatch(line["request_id"]) for line in lines)


# -- secrets ----------------------------------------------------------------------------------------

SECRET = "sw0rdfish-Zm9v"
WITH_SECRETS = [
    f"Authorization: Bearer {SECRET}",
    f"authorization: Basic {SECRET}",
    f"cannot reach postgresql://tracker:{SECRET}@db.example.com/team",
    f"GET https://bucket.s3.amazonaws.com/a?X-Amz-Credential={SECRET}&X-Amz-Signature={SECRET}&x=1",
    f"GET https://storage.googleapis.com/a?X-Goog-Signature={SECRET}",
    f"GET https://account.blob.core.windows.net/a?sv=2024&sig={SECRET}",
    f"password={SECRET} host=db",
    f'{{"secret": "{SECRET}", "name": "hook"}}',
    f"headers {{'Authorization': '{SECRET}'}}",
]


@pytest.mark.parametrize("text", WITH_SECRETS)
def test_what_looks_like_a_secret_is_hidden(text: str) -> None:
    hidden = hide_secrets(text)
    assert SECRET not in hidden
    assert "***" in hidden
    assert hidden[:4] == text[:4]


def test_a_webhooks_signature_is_hidden() -> None:
    assert hide_secrets("X-MLflow-Signature: v1,Zm9vYmFyMTIzNDU2Nzg5MDEy==") == "X-MLflow-Signature: v1,***"


def test_ordinary_texts_stay_as_they_are() -> None:
    for text in (
        "The database does no writes now, and clients are asked to come again: disk is full",
        "Delivery 7 to webhook w1 (hook, example.com) failed and is tried again: it answered 500",
        "http://127.0.0.1:5000/api/2.0/mlflow/runs/get?run_id=abc",
        "Experiment 'basic tests' was created",
    ):
        assert hide_secrets(text) == text


@pytest.mark.parametrize("form", ["text", "json"])
def test_known_secrets_are_hidden_wherever_they_are(form: Any) -> None:
    formatter = LogFormatter(form, ("swordfish",))
    with pytest.raises(ValueError) as caught:
        int("failed with swordfish")
    trace = (caught.type, caught.value, caught.tb)
    record = logging.getLogger("x").makeRecord(
        "x", logging.ERROR, "", 0, "a\nb swordfish", (), trace, extra={"key": "swordfish", "count": 3}
    )
    line = formatter.format(record)
    assert "swordfish" not in line
    assert "ValueError" in line
    if form == "json":
        assert "\n" not in line
        assert json.loads(line)["count"] == 3
    else:
        assert "a\\nb ***" in line


def test_a_server_with_every_secret_logs_none(
    start: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("SLIPSTREAM_SERVER_TOKEN", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, f"{SECRET}-{name}")
    monkeypatch.setenv("SLIPSTREAM_ACCESS_LOG", "true")
    monkeypatch.setenv("SLIPSTREAM_LOGGING_LEVEL", "debug")
    monkeypatch.setenv("MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS", "true")
    monkeypatch.setenv("MLFLOW_WEBHOOK_ALLOWED_SCHEMES", "http")
    server = start("--auth", "token")
    token = {"Authorization": f"Bearer {SECRET}-SLIPSTREAM_SERVER_TOKEN"}
    hook = {
        "name": "h",
        "url": f"http://127.0.0.1:9/{SECRET}",
        "secret": SECRET,
        "events": [{"entity": "REGISTERED_MODEL", "action": "CREATED"}],
    }
    status, _, content = ask(server, "POST", "/api/2.0/mlflow/webhooks", hook, **token)
    assert status == 200, content
    assert ask(server, "POST", API + "registered-models/create", {"name": "m"}, **token)[0] == 200
    assert ask(server, "GET", f"/get-artifact?path={SECRET}&X-Amz-Signature={SECRET}", **token)[0] == 400
    assert ask(server, "GET", "/health", Authorization=f"Bearer wrong-{SECRET}")[0] == 200
    assert ask(server, "GET", "/nowhere", Authorization=f"Bearer wrong-{SECRET}")[0] == 401
    until = time.monotonic() + 20
    while not any("tried again" in line for line in list(server.lines)):
        assert time.monotonic() < until, "the webhook's delivery has not failed yet"
        time.sleep(0.05)
    assert server.stop() == 0
    assert SECRET not in "".join(server.lines)
