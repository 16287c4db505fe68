"""How pages reach scoring servers through the tracking server: to whom, with what, and how answers come back."""

import contextlib
import http.client
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest

from fake_scoring_server import METRICS, FakeScoringServer
from server_process import ServerProcess
from slipstream.api.routing import Permission
from slipstream.errors import InvalidParameterError
from slipstream.server.artifacts import DeclaredRoute
from slipstream.server.options import ServerOptions
from slipstream.server.scoring_servers import read_scoring_servers
from slipstream.server.scoring_status import ModelStatus, add_metrics, models_of, quantile
from slipstream.server.serving_routes import serving_routes

OWN = "/api/slipstream/v1/"
TOKEN = "a-token-for-models"


class Client:
    def __init__(self, url: str) -> None:
        self._address = (urlsplit(url).hostname or "", urlsplit(url).port or 0)

    @contextlib.contextmanager
    def open(self, body: object, **headers: str) -> Iterator[http.client.HTTPResponse]:
        with contextlib.closing(http.client.HTTPConnection(*self._address, timeout=30)) as connection:
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            every = {"Content-Type": "application/json", **headers}
            connection.request("POST", f"{OWN}serving/try", content, every)
            with connection.getresponse() as answer:
                yield answer

    def ask(self, body: object, **headers: str) -> SimpleNamespace:
        with self.open(body, **headers) as answer:
            return SimpleNamespace(
                status=answer.status, body=json.loads(answer.read()), headers=answer.headers
            )

    def servers(self) -> Any:
        with contextlib.closing(http.client.HTTPConnection(*self._address, timeout=30)) as connection:
            connection.request("GET", f"{OWN}serving/servers")
            answer = connection.getresponse()
            assert answer.status == 200
            return json.loads(answer.read())["servers"]


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeScoringServer]:
    fake = FakeScoringServer()
    yield fake
    fake.close()


@pytest.fixture(scope="module")
def client(fake: FakeScoringServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, "SLIPSTREAM_SERVING_TOKEN", TOKEN)
        server = ServerProcess(
            tmp_path_factory.mktemp("server"),
            *("--durability", "normal", "--serving-url", f"fake={fake.url}/"),
            *("--serving-url", "gone=http://127.0.0.1:1"),
        )
    yield Client(server.url)
    server.stop()


def test_a_request_goes_to_the_named_server_and_its_answer_comes_back(
    client: Client, fake: FakeScoringServer
) -> None:
    answer = client.ask({"server": "fake", "request": {"inputs": [[1]]}})
    assert (answer.status, answer.body) == (200, {"predictions": {"inputs": [[1]]}})
    assert fake.asked[-1].path == "/invocations"
    client.ask({"server": "fake", "model": "a b/c", "request": {}})
    assert fake.asked[-1].path == "/models/a%20b%2Fc/invocations"
    client.ask({"server": "fake", "model": "m", "kind": "chat", "request": {"messages": [], "model": "x"}})
    assert (fake.asked[-1].path, fake.asked[-1].body) == (
        "/v1/chat/completions",
        {"messages": [], "model": "m"},
    )


def test_nothing_of_the_page_but_its_question_is_passed_on(client: Client, fake: FakeScoringServer) -> None:
    client.ask(
        {"server": "fake", "request": {}},
        **{"Cookie": "secret=1", "Authorization": "Bearer mine", "X-Forwarded-For": "10.0.0.1"},
    )
    headers = fake.asked[-1].headers
    assert headers["authorization"] == f"Bearer {TOKEN}"
    assert headers["host"] == urlsplit(fake.url).netloc
    assert not {"cookie", "x-forwarded-for", "origin"} & set(headers)


@pytest.mark.parametrize(
    "name", ["http://127.0.0.1:1", "FAKE", "fake/", "fake@169.254.169.254", "", "../fake", "fake\r\nx: y"]
)
def test_no_other_server_is_asked(client: Client, fake: FakeScoringServer, name: str) -> None:
    before = len(fake.asked)
    answer = client.ask({"server": name, "request": {}})
    assert answer.status == 404
    assert "--serving-url" in answer.body["message"]
    assert len(fake.asked) == before


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"not json", "request body"),
        ({"server": "fake"}, "request"),
        ({"server": "fake", "request": []}, "request"),
        ({"server": 1, "request": {}}, "server"),
        ({"server": "fake", "request": {}, "kind": "/metrics"}, "'kind'"),
        ({"server": "fake", "request": {}, "model": ".."}, "'model'"),
        ({"server": "fake", "request": {}, "model": ""}, "'model'"),
        (b'{"server":"fake","request":' + b'{"a":' * 5_000 + b"1" + b"}" * 5_001, "request body"),
    ],
)
def test_bad_questions_are_refused(
    client: Client, fake: FakeScoringServer, body: object, message: str
) -> None:
    before = len(fake.asked)
    answer = client.ask(body)
    assert answer.status == 400
    assert message in answer.body["message"]
    assert len(fake.asked) == before


def test_pages_of_others_cannot_ask(client: Client, fake: FakeScoringServer) -> None:
    before = len(fake.asked)
    question = {"server": "fake", "request": {}}
    with client.open(question, Origin="https://evil.example") as answer:
        assert answer.status == 403
    with client.open(question, **{"Content-Type": "text/plain"}) as answer:
        assert answer.status == 400
    assert len(fake.asked) == before


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ("redirect", "sends requests elsewhere"),
        ("refuse", "SLIPSTREAM_SERVING_TOKEN"),
        ("half", "within its answer"),
        ("no http", "no HTTP"),
    ],
)
def test_answers_that_are_none(client: Client, wanted: str, message: str) -> None:
    answer = client.ask({"server": "fake", "request": {"answer": wanted}})
    assert answer.status == 503
    assert message in answer.body["message"]


def test_a_server_that_is_gone(client: Client) -> None:
    answer = client.ask({"server": "gone", "request": {}})
    assert answer.status == 503
    assert "'gone' cannot be reached" in answer.body["message"]


def test_a_models_own_error_comes_back_as_it_is(client: Client) -> None:
    answer = client.ask({"server": "fake", "request": {"answer": "fault"}})
    assert (answer.status, answer.body["message"]) == (500, "the model failed")


def test_a_page_of_the_scoring_server_is_none_of_ours(client: Client) -> None:
    answer = client.ask({"server": "fake", "request": {"answer": "page"}})
    assert answer.headers.get_content_type() == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.body == {"text": "<script>alert(1)</script>"}


def chat(text: str) -> dict[str, Any]:
    messages = [{"role": "user", "content": text}]
    return {"server": "fake", "model": "m", "kind": "chat", "request": {"messages": messages, "stream": True}}


def test_a_stream_comes_piece_by_piece(client: Client, fake: FakeScoringServer) -> None:
    fake.go_on.clear()
    with client.open(chat("one wait two")) as answer:
        assert (answer.status, answer.headers.get_content_type()) == (200, "text/event-stream")
        first = answer.readline()  # while the rest is held back
        assert json.loads(first.removeprefix(b"data: "))["choices"][0]["delta"] == {"content": "one"}
        fake.go_on.set()
        rest = answer.read()
    assert b" two" in rest
    assert rest.endswith(b"data: [DONE]\n\n")


def test_a_page_that_goes_ends_the_stream_at_the_model(client: Client, fake: FakeScoringServer) -> None:
    fake.go_on.clear()
    fake.was_left.clear()
    with client.open(chat("one for-ever")) as answer:
        answer.readline()
    assert fake.was_left.wait(20)
    fake.go_on.set()


def test_how_scoring_servers_are(client: Client, fake: FakeScoringServer) -> None:
    there, gone = client.servers()
    assert (there["name"], there["url"], there["healthy"], there["has_metrics"]) == (
        "fake",
        fake.url,
        True,
        True,
    )
    (model,) = there["models"]
    assert (model["name"], model["version"], model["task"]) == ("m", "3", "llm/v1/chat")
    assert (model["requests"], model["refused"], model["failed"]) == (100, 6, 4)
    assert (gone["name"], gone["healthy"], gone["models"]) == ("gone", False, [])
    assert "cannot be reached" in gone["error"]


def test_many_pages_ask_once(client: Client, fake: FakeScoringServer) -> None:
    client.servers()
    before = sum(asked.path == "/metrics" for asked in fake.asked)
    for _ in range(5):
        client.servers()
    assert sum(asked.path == "/metrics" for asked in fake.asked) <= before + 1


def test_numbers_of_the_live_version_only() -> None:
    (model,) = models_of(json.dumps({"data": [{"id": "m", "version": "3"}]}).encode())
    assert add_metrics([model], METRICS)
    assert model == ModelStatus(
        name="m",
        version="3",
        ready=True,
        requests=100,
        refused=6,
        failed=4,
        p50_seconds=0.1,
        p95_seconds=0.2,
        waiting=7,
        workers=2,
        restarts=1,
        completion_tokens=33,
    )
    assert not add_metrics([model], "# TYPE other counter\nother_total 1\n")
    for other in (b"[]", b"{}", b"not json", b'{"data":[1]}', b'{"data":null}'):
        assert models_of(other) == []


def test_quantiles() -> None:
    assert quantile({}, 0.5) is None
    assert quantile({1.0: 0, float("inf"): 0}, 0.5) is None
    assert quantile({1.0: 10, 2.0: 20, float("inf"): 20}, 0.75) == 1.5
    assert quantile({1.0: 0, float("inf"): 4}, 0.5) == 1.0


@pytest.mark.parametrize(
    "text",
    [
        "http://127.0.0.1:5001",
        "a b=http://x",
        "=http://x",
        "x=ftp://host",
        "x=http://",
        "x=http://user:pass@host",
        "x=http://host/?a=1",
        "x=http://host/#a",
        "x=http://host:99999",
        "x=http://host/a b",
        "x=http://höst",
    ],
)
def test_addresses_that_are_none(text: str) -> None:
    with pytest.raises(InvalidParameterError, match="--serving-url"):
        read_scoring_servers([text])


def test_addresses() -> None:
    plain, encrypted = read_scoring_servers(["a=http://host:5001/x/", "b=https://[::1]"])
    assert (plain.host, plain.port, plain.prefix, plain.authority) == ("host", 5001, "/x", "host:5001")
    assert (encrypted.encrypted, encrypted.port, encrypted.authority) == (True, 443, "[::1]")
    with pytest.raises(InvalidParameterError, match="twice"):
        read_scoring_servers(["a=http://x", "a=http://y"])


def test_a_server_with_a_wrong_address_does_not_start() -> None:
    command = [sys.executable, "-m", "slipstream", "server", "--port", "0", "--serving-url", "nonsense"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode != 0
    assert "must be NAME=URL" in ended.stderr


def test_every_route_says_what_its_caller_must_be_allowed() -> None:
    permissions = {"GET": Permission.READ, "POST": Permission.WRITE}
    routes = serving_routes(ServerOptions())
    assert len(routes) == 4
    for route in routes:
        assert isinstance(route, DeclaredRoute)
        assert [permissions[method] for method in (route.methods or set()) - {"HEAD"}] == [route.permission]
