"""Language models over HTTP: OpenAI's routes and MLflow's, whole and streamed, with a model that spells the alphabet."""

import itertools
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any

import pytest

from alphabet_model import Alphabet, TextPyfunc
from scoring_server import Client, Registry, serving
from slipstream.llm.signatures import CHAT, COMPLETIONS
from slipstream.serving.app import ScoringApp
from slipstream.serving.pool import PoolLimits

Serve = Callable[..., Client]


@pytest.fixture
def backend() -> Alphabet:
    return Alphabet()


@pytest.fixture
def serve(backend: Alphabet) -> Iterator[Serve]:
    with ExitStack() as stack:
        stack.callback(backend.gate.set)

        def start(task: str = CHAT, start: Mapping[str, Any] | None = None, **pool: Any) -> Client:
            backends = itertools.chain([backend], iter(Alphabet, None))
            registry = Registry(
                {"phi": lambda _start: TextPyfunc(next(backends), task)}, PoolLimits(**pool), **(start or {})
            )
            return stack.enter_context(serving(registry, {"phi": "phi"}, ScoringApp))

        yield start


def chat(content: str = "abc", **fields: Any) -> dict[str, Any]:
    return {"model": "phi", "messages": [{"role": "user", "content": content}], **fields}


def events_of(body: bytes) -> list[Any]:
    lines = body.decode().split("\n\n")
    assert lines[-1] == ""
    assert all(line.startswith("data: ") for line in lines[:-1])
    return [line.removeprefix("data: ") for line in lines[:-1]]


def test_chat(serve: Serve) -> None:
    reply = serve().post("/v1/chat/completions", chat())
    answer = reply.json()
    assert reply.status == 200
    assert (answer["object"], answer["model"]) == ("chat.completion", "phi")
    assert answer["choices"] == [
        {"index": 0, "message": {"role": "assistant", "content": "abc"}, "finish_reason": "stop"}
    ]
    assert answer["usage"] == {"prompt_tokens": 3, "completion_tokens": 4, "total_tokens": 7}
    assert reply.headers["x-slipstream-model"] == "phi"


def test_streamed_chat(serve: Serve) -> None:
    reply = serve().post("/v1/chat/completions", chat(stream=True, stream_options={"include_usage": True}))
    assert reply.headers["content-type"] == "text/event-stream; charset=utf-8"
    *chunks, last = events_of(reply.body)
    assert last == "[DONE]"
    decoded = [json.loads(chunk) for chunk in chunks]
    assert {chunk["object"] for chunk in decoded} == {"chat.completion.chunk"}
    assert decoded[0]["choices"][0]["delta"] == {"role": "assistant", "content": ""}
    text = [choice["delta"].get("content", "") for chunk in decoded for choice in chunk["choices"]]
    assert "".join(text) == "abc"
    assert decoded[-2]["choices"][0]["finish_reason"] == "stop"
    assert decoded[-1]["usage"]["total_tokens"] == 7
    assert decoded[-1]["choices"] == []


def test_several_answers_and_stop_strings(serve: Serve) -> None:
    answer = serve().post("/v1/chat/completions", chat("abcdef", n=3, stop=["de"])).json()
    assert [choice["message"]["content"] for choice in answer["choices"]] == ["abc"] * 3
    assert {choice["finish_reason"] for choice in answer["choices"]} == {"stop"}


def test_completions_take_several_prompts(serve: Serve) -> None:
    client = serve(COMPLETIONS)
    answer = client.post(
        "/v1/completions", {"prompt": ["ab", "xyz"], "n": 2, "max_tokens": 2, "echo": True}
    ).json()
    assert [choice["text"] for choice in answer["choices"]] == ["abab", "abab", "xyzab", "xyzab"]
    assert [choice["finish_reason"] for choice in answer["choices"]] == ["length"] * 4
    assert answer["usage"] == {"prompt_tokens": 5, "completion_tokens": 8, "total_tokens": 13}
    streamed = client.post("/v1/completions", {"prompt": "ab", "stream": True})
    *chunks, last = events_of(streamed.body)
    assert last == "[DONE]"
    assert "".join(choice["text"] for chunk in chunks for choice in json.loads(chunk)["choices"]) == "ab"
    refused = client.post("/v1/completions", {"prompt": ["a", "b"], "stream": True})
    assert refused.status == 400
    assert "'prompt'" in refused.json()["error"]["message"]


def test_mlflows_route_answers_a_list_and_streams_too(serve: Serve) -> None:
    client = serve()
    request = chat()
    del request["model"]
    (answer,) = client.post("/invocations", request).json()
    assert answer["choices"][0]["message"]["content"] == "abc"
    streamed = client.post("/invocations", {**request, "stream": True})
    *chunks, last = events_of(streamed.body)
    assert last == "[DONE]"
    assert "".join(json.loads(chunk)["choices"][0]["delta"].get("content", "") for chunk in chunks) == "abc"
    table = {"dataframe_records": [{"messages": request["messages"]}, {"messages": request["messages"]}]}
    assert len(client.post("/invocations", table).json()["predictions"]) == 2


def test_models_are_listed(serve: Serve) -> None:
    client = serve()
    (model,) = client.ask("GET", "/v1/models").json()["data"]
    assert (model["id"], model["object"], model["task"]) == ("phi", "model", CHAT)
    assert client.ask("GET", "/v1/models/phi").json() == model


@pytest.mark.parametrize(
    ("document", "status", "said"),
    [
        ({**chat(), "model": "other"}, 404, "'other'"),
        ({**chat(), "model": 7}, 400, "'model'"),
        ({**chat(), "temperature": "hot"}, 400, "'temperature'"),
        ({**chat(), "tools": [{}]}, 400, "'tools'"),
        ({**chat(), "max_tokns": 3}, 400, "Did you mean 'max_tokens'"),
        ({"model": "phi", "messages": []}, 400, "'messages'"),
        ({"model": "phi"}, 400, "messages"),
        ([], 400, "JSON"),
        (chat("a" * 200), 400, "200 tokens"),
    ],
)
def test_bad_requests_are_refused_in_openais_shape(
    serve: Serve, document: object, status: int, said: str
) -> None:
    reply = serve().post("/v1/chat/completions", document)
    error = reply.json()["error"]
    assert reply.status == status
    assert said in error["message"]
    assert set(error) == {"message", "type", "param", "code"}


@pytest.mark.parametrize(
    "body", [b"", b"nonsense", b"\xff\xfe", b"[" * 100_000, b'{"model": ' + b"[" * 100_000]
)
def test_garbage_is_refused(serve: Serve, body: bytes) -> None:
    client = serve()
    for path in ("/v1/chat/completions", "/invocations"):
        reply = client.ask("POST", path, body, {"Content-Type": "application/json"})
        assert reply.status == 400
    assert client.post("/v1/chat/completions", chat()).status == 200


def test_a_task_that_the_model_does_not_do(serve: Serve) -> None:
    reply = serve().post("/v1/completions", {"prompt": "abc"})
    assert reply.status == 400
    assert "'llm/v1/chat'" in reply.json()["error"]["message"]


def test_limits_on_tokens(serve: Serve) -> None:
    client = serve(start={"max_new_tokens": 2, "max_prompt_tokens": 5})
    answer = client.post("/v1/chat/completions", chat("abcd")).json()
    assert answer["choices"][0] | {"index": 0} == {
        "index": 0,
        "message": {"role": "assistant", "content": "ab"},
        "finish_reason": "length",
    }
    too_many = client.post("/v1/chat/completions", chat(max_tokens=3))
    assert (too_many.status, "'max_tokens'" in too_many.json()["error"]["message"]) == (400, True)
    too_long = client.post("/v1/chat/completions", chat("abcdef"))
    assert (too_long.status, "6 tokens" in too_long.json()["error"]["message"]) == (400, True)


def test_requests_share_the_models_steps(serve: Serve, backend: Alphabet) -> None:
    client = serve()
    backend.pause = 0.01
    with ThreadPoolExecutor(8) as threads:
        replies = list(
            threads.map(lambda n: client.post("/v1/chat/completions", chat("x" * (10 + n))), range(8))
        )
    assert [len(reply.json()["choices"][0]["message"]["content"]) for reply in replies] == list(range(10, 18))
    assert backend.widest > 1


def open_stream(client: Client, document: Mapping[str, Any]) -> socket.socket:
    body = json.dumps(document).encode()
    connection = socket.create_connection(("127.0.0.1", client.port), 20)
    connection.sendall(
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n" % len(body) + body
    )
    return connection


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_leaves_stops_the_model(serve: Serve, backend: Alphabet, stream: bool) -> None:
    client = serve()
    backend.pause = 0.05
    with open_stream(client, chat("x" * 90, stream=stream)) as connection:
        if stream:
            assert connection.recv(100).startswith(b"HTTP/1.1 200")
        else:
            until(lambda: bool(backend.running))
    until(lambda: backend.released == 1)
    backend.pause = 0.0
    assert not backend.running
    assert client.post("/v1/chat/completions", chat()).status == 200
    until(lambda: client.registry.pools[0].at_work == 0)


def test_a_worker_that_hears_nothing_any_more_is_replaced(
    serve: Serve, backend: Alphabet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slipstream.serving.pool._LEAST_HANG_SECONDS", 0.1)
    release = threading.Event()

    def hang(_messages: object) -> list[int]:
        release.wait(30)
        return [1]

    monkeypatch.setattr(backend, "encode_chat", hang)
    client = serve(timeout_seconds=0.3)
    try:
        assert client.post("/v1/chat/completions", chat()).status == 504
        until(lambda: any("is replaced" in line for line in client.registry.said))
        until(lambda: client.post("/v1/chat/completions", chat()).status == 200)
    finally:
        release.set()


def test_a_stream_begins_before_the_answer_is_complete(serve: Serve, backend: Alphabet) -> None:
    client = serve()
    backend.gate.clear()
    with open_stream(client, chat("xyz", stream=True)) as connection:
        backend.pause = 0.2
        backend.gate.set()
        seen = connection.recv(10_000)
        while b'"content":"a"' not in seen:
            seen += connection.recv(10_000)
        assert b"[DONE]" not in seen
        while b"[DONE]" not in seen:
            seen += connection.recv(10_000)


@pytest.mark.parametrize("stream", [True, False])
def test_a_model_that_fails_says_so_and_goes_on(serve: Serve, backend: Alphabet, stream: bool) -> None:
    client = serve()
    backend.fail = True
    reply = client.post("/v1/chat/completions", chat(stream=stream))
    assert reply.status == 500
    assert "out of memory" in reply.json()["error"]["message"]
    backend.fail = False
    assert client.post("/v1/chat/completions", chat()).status == 200


def test_a_model_that_fails_in_the_midst_of_a_stream(serve: Serve, backend: Alphabet) -> None:
    client = serve()
    backend.pause = 0.1
    with open_stream(client, chat("xyzxyzxyz", stream=True)) as connection:
        seen = connection.recv(10_000)
        backend.fail = True
        while b'"error"' not in seen:
            more = connection.recv(10_000)
            assert more, seen
            seen += more
        assert b"out of memory" in seen
    backend.fail = False
    assert client.post("/v1/chat/completions", chat()).status == 200


@pytest.mark.parametrize("stream", [True, False])
def test_a_worker_that_dies_in_the_midst(serve: Serve, backend: Alphabet, stream: bool) -> None:
    client = serve()
    backend.pause = 0.1
    with open_stream(client, chat("x" * 60, stream=stream)) as connection:
        until(lambda: bool(backend.running))
        if stream:
            connection.recv(10_000)
        client.registry.handles[0].handle.kill()
        seen = b""
        while b"worker process" not in seen:
            more = connection.recv(10_000)
            assert more, seen
            seen += more
    assert (b"HTTP/1.1 500" in seen) is not stream
    until(lambda: client.ask("GET", "/health").status == 200)
    backend.pause = 0.0
    assert client.post("/v1/chat/completions", chat()).status == 200


def until(true: Callable[[], bool]) -> None:
    for _ in range(2000):
        if true():
            return
        time.sleep(0.01)
    pytest.fail("It did not come true within 20 s")


# -- requests that no model should get -----------------------------------------------------------------
HALF = json.dumps({"messages": [{"role": "user", "content": "a\ud83d"}]}).encode()
DEEP = b'{"messages": [{"role": "user", "content": ' + b"[" * 600 + b"]" * 600 + b"}]}"


@pytest.mark.parametrize(("body", "said"), [(HALF, "'messages[0].content'"), (DEEP, "nested too deeply")])
@pytest.mark.parametrize("path", ["/invocations", "/v1/chat/completions"])
def test_a_strange_request_is_refused_and_the_model_lives_on(
    serve: Serve, body: bytes, said: str, path: str
) -> None:
    client = serve()
    reply = client.ask("POST", path, body, {"Content-Type": "application/json"})
    assert reply.status == 400
    if path == "/invocations":
        assert said in reply.json()["message"]
    assert client.post("/v1/chat/completions", chat()).status == 200
    assert len(client.registry.handles) == 1


def test_a_tokenizer_that_fails_ends_one_request_only(serve: Serve, backend: Alphabet) -> None:
    client = serve()
    backend.encode = lambda text: [1 // len(text)]  # type: ignore[method-assign]
    assert client.post("/v1/chat/completions", chat("")).status == 500
    assert client.post("/v1/chat/completions", chat("a")).status == 200
    assert len(client.registry.handles) == 1


def test_more_answers_than_can_ever_wait_are_no_matter_of_time(serve: Serve) -> None:
    reply = serve(COMPLETIONS).post("/v1/completions", {"prompt": ["a", "b", "c"], "n": 128})
    assert (reply.status, "384 answers" in reply.json()["error"]["message"]) == (400, True)


@pytest.mark.parametrize("name", ["[" * 600 + "]" * 600, "[" + "1," * 100_000 + "1]"])
def test_a_model_is_named_by_a_text(serve: Serve, name: str) -> None:
    body = f'{{"model": {name}, "messages": []}}'.encode()
    reply = serve().ask("POST", "/v1/chat/completions", body, {"Content-Type": "application/json"})
    assert (reply.status, "'model'" in reply.json()["error"]["message"]) == (400, True)
    assert len(reply.body) < 1000
