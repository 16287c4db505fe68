"""HTTP to a server that behaves, misbehaves, and is not there."""

import base64
import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from slipstream.client import transport as transport_module
from slipstream.client.hurry import HURRY
from slipstream.client.spool.store import SpooledStore
from slipstream.client.transport import Transport
from slipstream.errors import (
    AlreadyExistsError,
    ConnectionFailedError,
    EndpointNotFoundError,
    InternalError,
    InvalidParameterError,
    InvalidStateError,
    NotFoundError,
    SlipstreamError,
    UnauthenticatedError,
    UnavailableError,
)

pytestmark = pytest.mark.usefixtures("no_settings")


@dataclass
class Seen:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Server:
    """Answers from a list, then 200; keeps what it was asked."""

    url: str = ""
    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)

    def will_answer(self, status: int, document: object = None, **headers: str) -> None:
        body = b"" if document is None else json.dumps(document).encode()
        self.answers.append(
            (status, {name.replace("_", "-"): value for name, value in headers.items()}, body)
        )


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            if self.headers.get("Transfer-Encoding") == "chunked":
                body = b""
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
            else:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            state.seen.append(Seen(self.command, self.path, dict(self.headers), body))
            status, headers, content = state.answers.pop(0) if state.answers else (200, {}, b"{}")
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PUT = do_PATCH = answer  # noqa: N815  # the names that the server calls

        def log_message(self, format: str, *args: object) -> None:
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, args=(0.01,))
    thread.start()
    state.url = f"http://127.0.0.1:{httpd.server_port}"
    yield state
    httpd.shutdown()
    thread.join()
    httpd.server_close()


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def make(pauses: list[float]) -> Iterator[Callable[[str], Transport]]:
    made: list[Transport] = []

    def build(url: str) -> Transport:
        made.append(Transport(url, sleep=pauses.append))
        return made[-1]

    yield build
    for transport in made:
        transport.close()


Make = Callable[[str], Transport]


def test_call_sends_query_and_body(server: Server, make: Make) -> None:
    server.will_answer(200, {"ok": 1})

    answer = make(server.url + "/").call("POST", "/api/x", query=[("a", "1"), ("a", "ä&b")], body=b'{"k": 2}')

    assert json.loads(answer) == {"ok": 1}
    (seen,) = server.seen
    assert (seen.method, seen.path, seen.body) == ("POST", "/api/x?a=1&a=%C3%A4%26b", b'{"k": 2}')
    assert seen.headers["Content-Type"] == "application/json"
    assert seen.headers["User-Agent"].startswith("slipstream/")
    assert "Authorization" not in seen.headers


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_passing_trouble_is_tried_again(server: Server, make: Make, pauses: list[float], status: int) -> None:
    server.will_answer(status)
    server.will_answer(status)
    server.will_answer(200, {"ok": 1})

    assert json.loads(make(server.url).call("GET", "/x")) == {"ok": 1}
    assert len(server.seen) == 3
    assert pauses[0] == 0
    assert 2 <= pauses[1] <= 3


def test_retry_after_is_obeyed(server: Server, make: Make, pauses: list[float]) -> None:
    server.will_answer(429, Retry_After="7")

    make(server.url).call("GET", "/x")

    assert len(pauses) == 1
    assert 7.0 <= pauses[0] <= 8.75


def test_retries_end(server: Server, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPSTREAM_HTTP_REQUEST_MAX_RETRIES", "2")
    for _ in range(9):
        server.will_answer(503, {"error_code": "TEMPORARILY_UNAVAILABLE", "message": "later"})

    with pytest.raises(UnavailableError, match="later"):
        make(server.url).call("GET", "/x")
    assert len(server.seen) == 3


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (404, "RESOURCE_DOES_NOT_EXIST", NotFoundError),
        (400, "RESOURCE_ALREADY_EXISTS", AlreadyExistsError),
        (500, "INVALID_STATE", InvalidStateError),
    ],
)
def test_refusal_has_the_class_of_its_code_and_is_not_retried(
    server: Server, make: Make, status: int, code: str, kind: type[SlipstreamError]
) -> None:
    server.will_answer(status, {"error_code": code, "message": "no such thing"})

    with pytest.raises(kind, match="no such thing") as caught:
        make(server.url).call("GET", "/x")
    assert caught.value.error_code == code
    assert len(server.seen) == 1


def test_unknown_code_keeps_its_name(server: Server, make: Make) -> None:
    server.will_answer(409, {"error_code": "ODD", "message": "text"})

    with pytest.raises(InternalError, match="ODD: text"):
        make(server.url).call("GET", "/x")


def test_answer_that_is_no_error_document(server: Server, make: Make) -> None:
    server.answers.append((404, {"Content-Type": "text/html"}, b"<h1>nope</h1>"))

    with pytest.raises(
        EndpointNotFoundError, match=r"GET http://127.*/x answered 404.*nope.*tracking server\?"
    ):
        make(server.url).call("GET", "/x", query=[("secret", "1")])


def test_redirect_is_not_followed(server: Server, make: Make) -> None:
    server.will_answer(302, Location="https://elsewhere.example/login")

    with pytest.raises(SlipstreamError, match=r"redirects to https://elsewhere\.example/login"):
        make(server.url).call("GET", "/x")
    assert len(server.seen) == 1


def test_nobody_listens(make: Make, monkeypatch: pytest.MonkeyPatch, pauses: list[float]) -> None:
    monkeypatch.setenv("SLIPSTREAM_HTTP_REQUEST_MAX_RETRIES", "1")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"

        with pytest.raises(ConnectionFailedError, match=rf"No answer from {url}.*SLIPSTREAM_TRACKING_URI"):
            make(url).call("GET", "/x")
    assert len(pauses) == 1


def basic(pair: str) -> str:
    return "Basic " + base64.b64encode(pair.encode()).decode()


def test_basic_authentication_wins_over_token(
    server: Server, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    transport = make(server.url)
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "t0ken")
    transport.call("GET", "/x")
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ann")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "pw")
    transport.call("GET", "/x")

    assert [seen.headers["Authorization"] for seen in server.seen] == ["Bearer t0ken", basic("ann:pw")]


@pytest.mark.parametrize("secret", ["hu\nsh", "hu\tsh", "hush\udc80"])
def test_credential_that_no_header_can_carry_is_refused_unseen(
    server: Server, make: Make, monkeypatch: pytest.MonkeyPatch, secret: str
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", secret)

    with pytest.raises(InvalidParameterError, match="MLFLOW_TRACKING_TOKEN") as caught:
        make(server.url).call("GET", "/x")
    assert "hu" not in str(caught.value)
    assert server.seen == []


def test_token_outside_of_ascii_is_refused_unseen(
    server: Server, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "größe")

    with pytest.raises(InvalidParameterError, match="MLFLOW_TRACKING_TOKEN.*ASCII") as caught:
        make(server.url).call("GET", "/x")
    assert "größe" not in str(caught.value)


def test_line_ends_around_credentials_do_not_count(
    server: Server, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    transport = make(server.url)
    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "t0ken\n")
    transport.call("GET", "/x")
    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ann")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", " pw\n")
    transport.call("GET", "/x")

    assert [seen.headers["Authorization"] for seen in server.seen] == ["Bearer t0ken", basic("ann:pw")]


def test_user_in_the_url_is_sent_but_never_shown(server: Server, make: Make) -> None:
    server.answers.append((401, {}, b""))
    transport = make(server.url.replace("http://", "http://bob:hush@"))

    with pytest.raises(UnauthenticatedError, match="SLIPSTREAM_TRACKING_USERNAME") as caught:
        transport.call("GET", "/x")
    assert server.seen[0].headers["Authorization"] == basic("bob:hush")
    assert "hush" not in str(caught.value)
    assert "hush" not in transport.base_url


def test_percent_signs_of_a_user_in_the_url_are_decoded(server: Server, make: Make) -> None:
    make(server.url.replace("http://", "http://bob:a%40b@")).call("GET", "/x")

    assert server.seen[0].headers["Authorization"] == basic("bob:a@b")


def test_download_streams_and_maps_errors(server: Server, make: Make) -> None:
    server.answers.append((200, {}, b"x" * 100_000))
    server.will_answer(404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "gone"})
    transport = make(server.url)

    with transport.download("/file") as response:
        assert response.read(10) == b"x" * 10
        assert len(response.read()) == 99_990
    with pytest.raises(NotFoundError, match="gone"), transport.download("/file"):
        pass


class Pieces:
    """Can be iterated again, as an upload of a file can."""

    def __iter__(self) -> Iterator[bytes]:
        yield b"one"
        yield b"two"


def test_upload_is_tried_again_from_the_start(server: Server, make: Make) -> None:
    server.will_answer(503)

    make(server.url).upload("/file", Pieces())

    assert [(seen.method, seen.body) for seen in server.seen] == [("PUT", b"onetwo"), ("PUT", b"onetwo")]


def test_upload_of_known_size_says_it(server: Server, make: Make) -> None:
    make(server.url).upload("/file", Pieces(), size=6)

    assert server.seen[0].headers["Content-Length"] == "6"
    assert server.seen[0].body == b"onetwo"


def test_upload_that_cannot_be_repeated_is_not(server: Server, make: Make) -> None:
    server.will_answer(503)

    with pytest.raises(UnavailableError):
        make(server.url).upload("/file", iter([b"once"]))
    assert len(server.seen) == 1


def test_the_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    assert transport_module._proxy_for("http://tracking.example:5000") is None
    monkeypatch.setenv("http_proxy", "proxy.example:3128")
    assert transport_module._proxy_for("http://tracking.example:5000") == "http://proxy.example:3128"
    assert transport_module._proxy_for("https://tracking.example") is None
    monkeypatch.setenv("no_proxy", "tracking.example,127.0.0.1")
    assert transport_module._proxy_for("http://tracking.example:5000") is None
    assert type(Transport("http://other.example")._open_pool()).__name__ == "ProxyManager"


@pytest.mark.parametrize(
    ("name", "text"),
    [("SLIPSTREAM_HTTP_REQUEST_MAX_RETRIES", "-1"), ("SLIPSTREAM_HTTP_REQUEST_TIMEOUT", "0")],
)
def test_settings_out_of_range_are_refused(monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    monkeypatch.setenv(name, text)
    with pytest.raises(InvalidParameterError, match=f"{name} has the value '{text}'.*at least"):
        Transport("http://127.0.0.1:1").call("GET", "/")


def test_an_outage_is_told_once_as_it_begins(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLIPSTREAM_HTTP_REQUEST_MAX_RETRIES", "4")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    transport = Transport(f"http://127.0.0.1:{port}", sleep=lambda _seconds: None)
    for _ in range(2):
        with pytest.raises(ConnectionFailedError):
            transport.call("GET", "/x")
    (line,) = caplog.messages
    assert f"No answer from http://127.0.0.1:{port}" in line
    assert "SLIPSTREAM_HTTP_REQUEST_MAX_RETRIES" in line


def test_who_was_silent_for_the_given_time_is_not_asked_again(pauses: list[float]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        transport = Transport(address, retries=3, timeout_seconds=0.2, sleep=pauses.append)
        with pytest.raises(ConnectionFailedError):
            transport.call("GET", "/x")
        transport.close()
        silent.setblocking(False)  # the standard library's own argument
        silent.accept()[0].close()
        with pytest.raises(BlockingIOError):
            silent.accept()
    assert pauses == []


# -- in a hurry -------------------------------------------------------------------------------------------


def test_in_a_hurry_a_request_is_tried_twice_and_no_long_pause_is_made(server: Server) -> None:
    pauses: list[float] = []
    transport = Transport(server.url, sleep=pauses.append)
    for _ in range(4):
        server.will_answer(503, Retry_After="60")

    with HURRY, HURRY, pytest.raises(UnavailableError):
        transport.call("POST", "/x", body=b"{}")
    assert len(server.seen) == 2
    assert max(pauses) <= 1.0

    assert transport.call("GET", "/x") == b"{}"  # as patient as ever behind the block
    assert len(server.seen) == 5


def test_in_a_hurry_a_server_that_is_away_is_not_asked(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLIPSTREAM_SPOOL_FOLDER", str(tmp_path))
    opened: list[Transport] = []

    def open_transport(retries: int, seconds: float) -> Transport:
        opened.append(Transport("http://127.0.0.1:9", retries=0, timeout_seconds=seconds))
        return opened[-1]

    pauses: list[float] = []
    asked = Transport(server.url, sleep=pauses.append)
    store = SpooledStore(asked, "http://server", open_transport)
    for _ in range(2):
        server.will_answer(503)
    try:
        with HURRY:
            for _ in range(3):
                with pytest.raises(UnavailableError):
                    store.get_logged_model("m-1")
        assert len(server.seen) == 2
    finally:
        store.shipper.close(0.0)
        asked.close()
        for each in opened:
            each.close()
