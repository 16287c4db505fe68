"""Anything at all, sent to every route: the server never fails, explains each refusal, and goes on answering.

The requests are made from the route table itself: mostly of the right shape with odd values in it, so that they get
past the decoder, and some of no shape at all. The same ones each time.
"""

import http.client
import json
import types
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode, urlsplit

import hypothesis
import msgspec
import pytest
from hypothesis import strategies as st

from server_process import ServerProcess
from slipstream.api.routing import Route
from slipstream.api.table import ROUTES
from slipstream.server.artifacts import artifact_routes
from slipstream.server.context import ServerContext
from slipstream.server.options import ServerOptions

pytestmark = pytest.mark.slow

EXAMPLES = 15
API = "/api/2.0/mlflow/"
JSON = "application/json"
INVALID_STATE = "INVALID_STATE"
"""MLflow answers 500 with this code to what a run or model is in the wrong state for."""

# What has a meaning somewhere, or had one where it should not.
ODD_TEXTS = [
    "", " ", "0", "1", "-1", "1.5", "1e400", "NaN", "null", "true", "9" * 30, "x" * 9_000, "ü", "日本", "a/b", "..", "%2e%2e",
    "a\\b", "\x00", "\ud800", "\x7f", "'", '"', "`", ";", "READY", "FINISHED", "ALL", "Production", "latest", "a", "reg",
    "metrics.a > 1", "metrics.`a b` != 'NaN'", "params.a LIKE '%'", "attributes.start_time > 99999999999999999999",
    "tags.a IN ('x', 'y')", "name ILIKE '%%'", "run_id IN ()", "start_time DESC", "metrics.a ASC", "tag.`mlflow.x` DESC",
    "name = 'reg' AND version_number > 1e30", "models:/reg/1", "models:/reg@a", "runs:/x/y", "file:///etc/passwd", "http://h/x",
    "mlflow-artifacts:/x", "W10=", "eyJhIjogMX0=", "WzEsMiwzLDQsNV0=", "bnVsbA==", "{}", "[]", '{"flavors": {}}',
]  # fmt: skip
NUMBERS = [0, 1, -1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, -(2**63) - 1, 10**30]

any_text = st.text(st.characters(codec=None), max_size=20)
any_number = st.one_of(st.sampled_from(NUMBERS), st.integers(-5, 5), st.floats())
anything = st.recursive(
    st.one_of(st.none(), st.booleans(), any_number, any_text, st.sampled_from(ODD_TEXTS)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(any_text, inner, max_size=3)),
    max_leaves=6,
)


class Sent(NamedTuple):
    method: str
    path: str
    body: bytes | None
    content_type: str | None


class Target:
    """A server with one thing of each kind, asked over one connection."""

    def __init__(self, process: ServerProcess) -> None:
        parts = urlsplit(process.url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        run = self.make("runs/create", {"experiment_id": "0"})["run"]["info"]["run_id"]
        model = self.make("logged-models", {"experiment_id": "0", "name": "net"})["model"]["info"]["model_id"]
        self.make("registered-models/create", {"name": "reg"})
        self.make("model-versions/create", {"name": "reg", "source": f"models:/{model}", "model_id": model})
        self.make("registered-models/alias", {"name": "reg", "alias": "a", "version": "1"})
        self.make("runs/log-metric", {"run_id": run, "key": "a", "value": 1.0, "timestamp": 1})
        self.known = [run, model, "reg", "0", "1", "a"]

    def make(self, path: str, message: object) -> Any:
        status, body = self.send(Sent("POST", API + path, json.dumps(message).encode(), JSON))
        assert status == 200, body
        return json.loads(body)

    def send(self, sent: Sent) -> tuple[int, bytes]:
        headers = {"Content-Type": sent.content_type} if sent.content_type is not None else {}
        try:
            self._connection.request(sent.method, sent.path, sent.body, headers)
            answer = self._connection.getresponse()
            return answer.status, answer.read()
        except http.client.HTTPException:
            self._connection.close()
            raise

    def check_alive(self) -> None:
        assert self.send(Sent("GET", "/health", None, None)) == (200, b"OK")
        assert self.send(Sent("GET", API + "experiments/search?max_results=5", None, None))[0] == 200

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Target]:
    process = ServerProcess(tmp_path, "--durability", "normal")
    target = Target(process)
    yield target
    target.check_alive()
    target.close()
    assert process.stop() == 0
    assert [line for line in process.lines if "Unexpected error" in line or "Traceback" in line] == []


def check_each(
    requests: st.SearchStrategy[Sent], check: Callable[[Sent], None], examples: int = EXAMPLES
) -> None:
    """Run a check on the same requests each time."""

    @hypothesis.settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(requests)
    def checked(sent: Sent) -> None:
        check(sent)

    checked()


# -- requests ---------------------------------------------------------------------------------------------


def texts(known: list[str]) -> st.SearchStrategy[str]:
    return st.one_of(st.sampled_from(known), st.sampled_from(known), st.sampled_from(ODD_TEXTS), any_text)


def likely(kind: Any, known: list[str]) -> st.SearchStrategy[Any]:
    """Return values for a field, nearly all of the type that it is declared with."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        fields = msgspec.structs.fields(kind)
        return st.fixed_dictionaries(
            {field.name: likely(field.type, known) for field in fields if field.required},
            optional={field.name: likely(field.type, known) for field in fields if not field.required},
        )
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return likely(arguments[0], known)
    if origin in (typing.Union, types.UnionType):
        return st.one_of(*(likely(each, known) for each in arguments))
    if origin is list:
        return st.one_of(st.lists(likely(arguments[0], known), max_size=3), anything)
    by_type = {
        str: texts(known),
        int: any_number,
        float: any_number,
        bool: st.booleans(),
        type(None): st.none(),
    }
    return st.one_of(by_type.get(kind, anything), by_type.get(kind, anything), anything)


def segments(known: list[str]) -> st.SearchStrategy[str]:
    """Return parts of a path as they are sent; none is empty."""
    return texts(known).filter(bool).map(lambda text: quote(text.encode("utf-8", "surrogatepass"), safe=""))


def requests_of(route: Route, known: list[str]) -> st.SearchStrategy[Sent]:
    """Return requests to a route, under either prefix."""
    parts = [segments(known) if part.startswith("{") else st.just(part) for part in route.path.split("/")]
    paths = st.one_of(
        st.tuples(*parts).map("/".join),
        st.tuples(*parts).map(lambda parts: "/".join(parts).replace("/api/", "/ajax-api/", 1)),
    )
    messages = likely(route.request_type, known)
    if route.method == "GET":
        odd = st.text("abc%=&+;fF0[]", max_size=20)
        queries = st.one_of(messages.map(as_query), messages.map(as_query), messages.map(as_query), odd)
        return st.builds(lambda path, query: Sent("GET", f"{path}?{query}", None, None), paths, queries)
    shaped = messages.map(lambda value: json.dumps(value).encode())
    shapeless = st.one_of(st.binary(max_size=50), anything.map(lambda value: json.dumps(value).encode()))
    bodies = st.one_of(shaped, shaped, shaped, shapeless)
    kinds = st.sampled_from([JSON] * 8 + ["text/plain", None])
    return st.builds(Sent, st.just(route.method), paths, bodies, kinds)


def as_query(message: dict[str, Any]) -> str:
    pairs = [
        (name, str(each))
        for name, value in message.items()
        for each in (value if isinstance(value, list) else [value])
    ]
    return urlencode(pairs, errors="surrogatepass")


# -- tests ------------------------------------------------------------------------------------------------


def test_every_route_of_the_api_answers_anything(target: Target) -> None:
    def check(sent: Sent) -> None:
        status, body = target.send(sent)
        answer = json.loads(body)
        assert isinstance(answer, dict)
        if status != 200:
            assert isinstance(answer["error_code"], str), answer
            assert answer["message"], answer
        assert status < 500 or (status, answer["error_code"]) == (500, INVALID_STATE), answer

    def check_stream(sent: Sent) -> None:
        status, body = target.send(sent)
        if status == 200:
            return  # a file, of whatever format was asked for
        answer = json.loads(body)
        assert isinstance(answer["error_code"], str), answer
        assert answer["message"], answer
        assert status < 500, answer

    for route in ROUTES.values():
        if route.listens:  # its answer goes on; tests/contract/test_events.py asks it
            continue
        if not route.path.startswith("/ajax-api/") or route.path.replace("/ajax-api/", "/api/", 1) not in {
            path for _, path in ROUTES
        }:
            check_each(requests_of(route, target.known), check_stream if route.streams else check)


def test_every_route_of_files_answers_anything(target: Target, tmp_path: Path) -> None:
    context = ServerContext(ServerOptions(artifacts_destination=str(tmp_path / "a")))
    names = ["run_id", "run_uuid", "path", "name", "version", "artifact_file_path"]
    queries = st.dictionaries(st.sampled_from(names), texts(target.known), max_size=4)

    def check(sent: Sent) -> None:
        status, body = target.send(sent)
        assert status not in (500, 502, 503), body
        if status != 200 and body.startswith(b"{"):
            assert {"error_code", "detail"} & set(json.loads(body)), body

    for route in artifact_routes(context):
        before, _, after = route.path.partition("{")
        rest = after.partition("}")[2]

        middles = st.lists(segments(target.known), max_size=3).map("/".join) if after else st.just("")
        urls = st.builds(
            lambda middle, query, before=before, rest=rest: (
                f"{before}{middle}{rest}?{urlencode(query, errors='surrogatepass')}"
            ),
            middles,
            queries,
        )
        methods = st.sampled_from(sorted(route.methods or ()))
        check_each(st.builds(Sent, methods, urls, st.binary(max_size=30), st.just(JSON)), check)


def test_any_path_is_answered(target: Target) -> None:
    paths = [route.path for route in ROUTES.values() if not route.listens]
    pieces = st.one_of(
        st.sampled_from(paths), st.text("/.%abcfF0123456789{}~", max_size=12), segments(target.known)
    )
    requests = st.builds(
        Sent,
        st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"]),
        st.lists(pieces, min_size=1, max_size=3).map(lambda parts: "/" + "".join(parts)),
        st.one_of(st.none(), st.just(b"{}")),
        st.just(JSON),
    )

    def check(sent: Sent) -> None:
        status, body = target.send(sent)
        assert status < 500 or status == 501 or INVALID_STATE.encode() in body, body

    check_each(requests, check, 200)
