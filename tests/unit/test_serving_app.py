"""The scoring application behind a real server and socket: routes, checks, limits."""

import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from scoring_server import Client, Registry, Reply, serving
from slipstream.errors import InvalidParameterError
from slipstream.models.schema import Schema, TensorSpec
from slipstream.models.signature import ModelSignature
from slipstream.serving.app import AppLimits, ScoringApp
from slipstream.serving.gate import Gate, choose_token
from slipstream.serving.pool import PoolLimits
from slipstream.serving.run import listen
from slipstream.wire.compatibility import MLFLOW_VERSION

JSON = {"Content-Type": "application/json"}
ROW = json.dumps({"inputs": [[1.0, 2.0]]})


class Model:
    """A model of two numbers whose prediction is whatever a test wants."""

    def __init__(self, predict: Callable[[Any], Any], *, joins: bool = False) -> None:
        schema = Schema([TensorSpec(np.dtype("float64"), (-1, 2))])
        self.metadata = SimpleNamespace(signature=ModelSignature(inputs=schema))
        self.joins_rows = joins
        self._predict = predict

    def predict(self, data: Any, params: Any = None) -> Any:
        return self._predict(data)


class Scorer(Client):
    def score(self, body: str | bytes = ROW, **headers: str) -> Reply:
        return self.ask("POST", "/invocations", body, {**JSON, **headers})


Serve = Callable[..., Scorer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    with ExitStack() as stack:

        def start(
            predict: Callable[[Any], Any] = lambda data: data.sum(axis=1),
            *,
            gate: Gate | None = None,
            joins: bool = False,
            limits: AppLimits | None = None,
            **pool: Any,
        ) -> Scorer:
            pool = {"threads": 2, "queue_size": 8, **pool}
            registry = Registry({"model": lambda _start: Model(predict, joins=joins)}, PoolLimits(**pool))
            client = stack.enter_context(
                serving(registry, {"model": "model"}, lambda catalog: ScoringApp(catalog, gate, limits))
            )
            return Scorer(client.port, client.registry, client.app)

        yield start


def until(true: Callable[[], bool]) -> None:
    for _ in range(3000):
        if true():
            return
        threading.Event().wait(0.01)
    pytest.fail("It did not come true within 30 s")


# -- routes -----------------------------------------------------------------------------------------
def test_scores(serve: Serve) -> None:
    reply = serve().score()
    assert reply.status == 200
    assert reply.headers["content-type"] == "application/json"
    assert reply.body == b'{"predictions": [3.0]}'


@pytest.mark.parametrize("offered", ["h2c", "websocket"])
def test_an_offer_of_another_protocol_is_passed_over_and_the_body_is_read(serve: Serve, offered: str) -> None:
    client = serve()
    plain = client.post("/invocations", {"inputs": [[1, 2]]})
    offers = client.post("/invocations", {"inputs": [[1, 2]]}, Connection="Upgrade", Upgrade=offered)
    assert (offers.status, offers.body) == (plain.status, plain.body) == (200, plain.body)


def test_fixed_answers(serve: Serve) -> None:
    client = serve()
    for path in ("/ping", "/health"):
        reply = client.ask("GET", path)
        assert (reply.status, reply.headers["content-type"], reply.body) == (200, "application/json", b"\n")
    reply = client.ask("GET", "/version")
    assert (reply.status, reply.body) == (200, MLFLOW_VERSION.encode())


@pytest.mark.parametrize(
    ("method", "path", "status", "header", "body"),
    [
        ("POST", "/ping", 405, ("allow", "GET"), b'{"detail":"Method Not Allowed"}'),
        ("GET", "/invocations", 405, ("allow", "POST"), b'{"detail":"Method Not Allowed"}'),
        ("PUT", "/invocations", 405, ("allow", "POST"), b'{"detail":"Method Not Allowed"}'),
        ("HEAD", "/ping", 405, ("allow", "GET"), b""),
        ("GET", "/nope", 404, ("content-type", "application/json"), b'{"detail":"Not Found"}'),
        ("POST", "/invocations/", 307, ("location", "/invocations"), b""),
    ],
)
def test_other_routes(
    serve: Serve, method: str, path: str, status: int, header: tuple[str, str], body: bytes
) -> None:
    reply = serve().ask(method, path)
    assert (reply.status, reply.body) == (status, body)
    assert reply.headers[header[0]] == header[1]


def test_content_type_is_checked(serve: Serve) -> None:
    client = serve()
    assert client.ask("POST", "/invocations", "<a/>", {"Content-Type": "application/xml"}).status == 415
    assert client.ask("POST", "/invocations", ROW).status == 415


def test_body_in_pieces(serve: Serve) -> None:
    body = json.dumps({"inputs": [[1, 2]] * 20_000}).encode()
    reply = serve().ask("POST", "/invocations", iter([body[:7], body[7:90_000], body[90_000:]]), JSON)  # pyright: ignore[reportArgumentType]
    assert len(json.loads(reply.body)["predictions"]) == 20_000


def test_body_that_is_too_large(serve: Serve) -> None:
    client = serve(limits=AppLimits(body_bytes=100))
    assert client.score().status == 200
    assert client.score(b" " * 101).status == 413
    with socket.create_connection(("127.0.0.1", client.port), 10) as connection:  # its size announced nowhere
        connection.sendall(
            b"POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n" + (b"3c\r\n" + b" " * 60 + b"\r\n") * 2
        )
        assert connection.recv(1000).startswith(b"HTTP/1.1 413 ")


def test_client_that_leaves_in_the_middle_disturbs_nobody(serve: Serve) -> None:
    client = serve()
    with socket.create_connection(("127.0.0.1", client.port), 10) as connection:
        connection.sendall(
            b"POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 100\r\n\r\n{"
        )
    assert client.score().status == 200


HEAD = b"POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    ("begin", "more"),
    [
        (HEAD, b"x-more: " + b"y" * 50_000 + b"\r\n"),
        (HEAD + b"x-more: ", b"y" * 50_000),
        (b"GET /", b"y" * 50_000),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n", b"x-more: " + b"y" * 50_000 + b"\r\n"),
    ],
)
def test_a_head_without_end_is_refused(serve: Serve, begin: bytes, more: bytes) -> None:
    client = serve()
    with socket.create_connection(("127.0.0.1", client.port), 10) as connection:
        connection.sendall(begin)
        with pytest.raises(OSError):  # noqa: PT012  # whatever the system calls it: it hangs up
            for _ in range(1000):
                connection.sendall(more)
    assert client.score().status == 200


@pytest.mark.parametrize("joins", [True, False])
@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (b"", b""),
        (b"POST /invoc", b"HTTP/1.1 408 "),
        (HEAD + b"Content-Length: 10\r\n\r\n{", b"HTTP/1.1 408 "),
        (b"GET /ping HTTP/1.1\r\nHost: localhost\r\n\r\nGET", b"HTTP/1.1 200 "),
    ],
)
def test_a_client_that_falls_silent_loses_its_connection(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, sent: bytes, answer: bytes, joins: bool
) -> None:
    monkeypatch.setattr("slipstream.serving.fast.ScoringProtocol.IDLE_SECONDS", 0.3)
    client = serve(joins=joins)
    with socket.create_connection(("127.0.0.1", client.port), 10) as connection:
        connection.sendall(sent)
        received = b""
        while more := connection.recv(4096):
            received += more
    assert received.startswith(answer)
    assert client.score().status == 200


def test_a_client_that_waits_for_its_answer_is_not_silent(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slipstream.serving.fast.ScoringProtocol.IDLE_SECONDS", 0.2)
    release = threading.Event()
    client = serve(lambda data: (release.wait(20), data.sum(axis=1))[1], joins=True)
    with socket.create_connection(("127.0.0.1", client.port), 10) as connection:
        request = HEAD + b"Content-Length: %d\r\n\r\n%b" % (len(ROW), ROW.encode())
        connection.sendall(request + request[:100])
        threading.Event().wait(1.5)
        release.set()
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")
        connection.sendall(request[100:])
        assert connection.recv(4096).startswith(b"HTTP/1.1 200 ")


# -- failures ---------------------------------------------------------------------------------------
def test_failing_model(serve: Serve) -> None:
    def fail(_data: object) -> None:
        raise ValueError("boom")

    reply = serve(fail).score()
    assert reply.status == 400
    assert "ValueError: boom" in json.loads(reply.body)["stack_trace"]


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt(), StopIteration()])
def test_model_that_tries_to_end_the_server(serve: Serve, error: BaseException) -> None:
    endings = iter([error])

    def predict(data: Any) -> Any:
        for ending in endings:
            raise ending
        return data

    client = serve(predict, threads=1)
    assert client.score().status in (400, 500)
    assert client.score().status == 200


def test_prediction_that_takes_too_long(serve: Serve) -> None:
    release = threading.Event()
    client = serve(lambda _data: release.wait(30), timeout_seconds=0.05)
    try:
        reply = client.score()
    finally:
        release.set()
    assert reply.status == 504
    assert json.loads(reply.body)["error_code"] == "DEADLINE_EXCEEDED"


def test_full_queue_is_refused_and_health_still_answers(serve: Serve) -> None:
    release, running = threading.Event(), threading.Event()

    def predict(data: Any) -> Any:
        running.set()
        release.wait(30)
        return data

    client = serve(predict, threads=1, queue_size=1)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(client.score)
        try:
            assert running.wait(30)
            waits = pool.submit(client.score)
            until(lambda: client.registry.pools[0].waiting == 1)
            refused = client.score()
            healthy = client.ask("GET", "/health")
        finally:
            release.set()
        assert (first.result().status, waits.result().status) == (200, 200)
    assert refused.status == 503
    assert refused.headers["retry-after"] == "1"
    assert json.loads(refused.body)["error_code"] == "TEMPORARILY_UNAVAILABLE"
    assert healthy.status == 200
    assert client.score().status == 200  # the place is free again


def test_predictions_run_side_by_side(serve: Serve) -> None:
    both = threading.Barrier(2)

    def predict(data: Any) -> Any:
        both.wait(30)  # passes only when two predictions run at once
        return data

    client = serve(predict, threads=2)
    with ThreadPoolExecutor(2) as pool:
        assert [future.result().status for future in [pool.submit(client.score) for _ in range(2)]] == [
            200,
            200,
        ]


# -- who may ask ------------------------------------------------------------------------------------
def test_foreign_host_and_origin_are_refused(serve: Serve) -> None:
    client = serve()
    assert client.score(Host="evil.example").status == 403
    assert client.ask("GET", "/version", headers={"Host": "evil.example"}).status == 403
    assert client.ask("GET", "/health", headers={"Host": "evil.example"}).status == 200  # probes know no name
    assert client.score(Origin="https://evil.example").status == 403
    assert client.score(Origin="http://localhost:3000").status == 200
    assert client.ask("GET", "/version", headers={"Origin": "https://evil.example"}).status == 200


def test_hosts_and_origins_that_the_user_allows(serve: Serve) -> None:
    client = serve(gate=Gate(("ml.example",), ("https://ui.example",)))
    assert client.score(Host="ml.example", Origin="https://ui.example").status == 200
    assert client.score().status == 403  # the list replaces the default


def test_token(serve: Serve) -> None:
    client = serve(gate=Gate(token="s3cret"))
    refused = client.score()
    assert refused.status == 401
    assert refused.headers["www-authenticate"] == "Bearer"
    assert json.loads(refused.body)["error_code"] == "UNAUTHENTICATED"
    assert client.score(Authorization="Bearer wrong").status == 401
    assert client.score(Authorization="Basic s3cret").status == 401
    assert client.score(Authorization="Bearer s3cret").status == 200
    assert client.ask("GET", "/ping").status == 200
    assert "s3cret" not in repr(Gate(token="s3cret"))


@pytest.mark.parametrize(
    ("host", "auth", "token", "expected"),
    [
        ("127.0.0.1", None, None, None),
        ("localhost", None, "t", None),
        ("127.0.0.1", "token", "t", "t"),
        ("0.0.0.0", "token", "t", "t"),
        ("0.0.0.0", "none", "t", None),
    ],
)
def test_choose_token(host: str, auth: str | None, token: str | None, expected: str | None) -> None:
    assert choose_token(host, auth, token) == expected


@pytest.mark.parametrize(
    ("host", "auth", "message"),
    [
        ("0.0.0.0", None, "lets other machines in"),
        ("::", None, "lets other machines in"),
        ("192.168.1.5", None, "lets other machines in"),
        ("127.0.0.1", "token", "SLIPSTREAM_SERVER_TOKEN"),
    ],
)
def test_no_listening_without_a_word_on_clients(host: str, auth: str | None, message: str) -> None:
    with pytest.raises(InvalidParameterError, match=message):
        choose_token(host, auth, None)


# -- listening --------------------------------------------------------------------------------------
def test_taken_port_has_a_clear_message() -> None:
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        with pytest.raises(InvalidParameterError, match=f"Port {port} on 127.0.0.1 is already in use"):
            listen("127.0.0.1", port)


def test_address_of_another_machine_has_a_clear_message() -> None:
    with pytest.raises(InvalidParameterError, match=r"Cannot listen on 192\.0\.2\.1"):
        listen("192.0.2.1", 0)


# -- limits of bodies -------------------------------------------------------------------------------------------
def test_bodies_that_are_only_announced_take_no_room(serve: Serve) -> None:
    client = serve(limits=AppLimits(buffered_bytes=1000))
    with ExitStack() as stack:
        for _ in range(3):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", client.port), 10))
            connection.sendall(
                b"POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                b"Content-Length: 900\r\n\r\n{"
            )
        time.sleep(0.1)
        assert client.score().status == 200


def test_a_body_that_is_alone_has_room(serve: Serve) -> None:
    client = serve(limits=AppLimits(buffered_bytes=10))
    assert client.score().status == 200


def test_bodies_of_all_requests_together_are_bounded(serve: Serve) -> None:
    running, release = threading.Event(), threading.Event()

    def predict(data: Any) -> Any:
        running.set()
        release.wait(20)
        return data.sum(axis=1)

    client = serve(predict, limits=AppLimits(buffered_bytes=1000))
    padded = {"Content-Type": "application/json"}
    body = b'{"inputs": [[1, 2]]}' + b" " * 600
    with ThreadPoolExecutor(1) as threads:
        first = threads.submit(client.ask, "POST", "/invocations", body, padded)
        assert running.wait(20)
        refused = client.ask("POST", "/invocations", body, padded)
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        release.set()
        assert first.result().status == 200
    assert client.ask("POST", "/invocations", body, padded).status == 200


def test_announcing_a_body_costs_others_nothing(serve: Serve) -> None:
    client = serve(limits=AppLimits(buffered_bytes=2000))
    with ExitStack() as idle:
        for _ in range(4):
            connection = idle.enter_context(socket.create_connection(("127.0.0.1", client.port), 10))
            connection.sendall(
                b"POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                b"Content-Length: 1900\r\n\r\n{"
            )
        assert client.score().status == 200


def test_a_body_that_stops_coming_is_given_up(serve: Serve) -> None:
    client = serve(limits=AppLimits(body_seconds=0.2))
    with socket.create_connection(("127.0.0.1", client.port), 10) as connection:
        connection.sendall(
            b"POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            b"Content-Length: 1000000\r\n\r\n{"
        )
        assert connection.recv(1000).startswith(b"HTTP/1.1 408 ")
    assert client.score().status == 200
