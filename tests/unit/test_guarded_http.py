"""Requests to webhooks: only to where they may go, and never longer or larger than they may be."""

import http.server
import os
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from slipstream.errors import ConnectionFailedError, InvalidParameterError
from slipstream.webhooks import guarded_http
from slipstream.webhooks.guarded_http import check_destination, post
from webhook_receiver import Receiver

pytestmark = pytest.mark.usefixtures("no_settings")


@pytest.fixture
def open_to_all(no_settings: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS", "true")


def resolving(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Let names resolve to these addresses, one list a question, the last for all further ones; return the names."""
    asked: list[str] = []

    def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        found = answers[min(len(asked), len(answers)) - 1]
        return [
            (socket.AF_INET6 if ":" in each else socket.AF_INET, socket.SOCK_STREAM, 6, "", (each, port))
            for each in found
        ]

    monkeypatch.setattr(guarded_http.socket, "getaddrinfo", getaddrinfo)
    return asked


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "169.254.169.254", "10.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"],
)
def test_inner_hosts_are_refused_before_anything_is_sent(host: str) -> None:
    with Receiver() as receiver:
        url = f"http://{host}:{receiver.port}/x"
        with pytest.raises(InvalidParameterError, match="public internet"):
            check_destination(url)
        with pytest.raises(InvalidParameterError, match="ALLOW_PRIVATE_IPS"):
            post(url, b"{}", {}, 5)
        assert receiver.received == []


def test_one_inner_address_among_public_ones_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, ["1.1.1.1", "10.0.0.1"])
    with pytest.raises(InvalidParameterError, match="10.0.0.1"):
        check_destination("https://mixed.example/")


def test_a_name_that_changes_after_the_check_gains_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = resolving(monkeypatch, ["1.1.1.1"], ["127.0.0.1"])
    with Receiver() as receiver:
        url = f"http://rebinding.example:{receiver.port}/x"
        check_destination(url)
        with pytest.raises(InvalidParameterError, match="127.0.0.1"):
            post(url, b"{}", {}, 5)
        assert receiver.received == []
    assert asked == ["rebinding.example"] * 2


def test_the_connection_goes_to_the_very_address_that_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    resolving(monkeypatch, ["1.1.1.1"])
    connected: list[object] = []

    def connect(self: socket.socket, address: object) -> None:
        connected.append(address)
        raise ConnectionRefusedError("no")

    monkeypatch.setattr(socket.socket, "connect", connect)
    with pytest.raises(ConnectionFailedError, match="pinned.example"):
        post("http://pinned.example:8080/x", b"{}", {}, 5)
    assert connected == [("1.1.1.1", 8080)]


def test_a_name_without_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def getaddrinfo(*_: object, **__: object) -> Any:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(guarded_http.socket, "getaddrinfo", getaddrinfo)
    with pytest.raises(InvalidParameterError, match=r"'no\.example' of the webhook's URL has no address"):
        check_destination("https://no.example/")
    with pytest.raises(ConnectionFailedError, match=r"no\.example"):
        post("https://no.example/", b"{}", {}, 5)


@pytest.mark.usefixtures("open_to_all")
def test_an_answer_is_returned_whatever_it_is() -> None:
    with Receiver(status=503, headers={"Retry-After": "7"}) as receiver:
        answer = post(f"http://user:p%40ss@127.0.0.1:{receiver.port}/a?b=c", b'{"x": 1}', {"X-A": "b"}, 5)
        assert (answer.status, answer.body, answer.retry_after) == (503, "thanks", "7")
        (got,) = receiver.received
    assert (got.path, got.text, got.headers["X-A"]) == ("/a?b=c", '{"x": 1}', "b")
    assert got.headers["Authorization"] == "Basic dXNlcjpwQHNz"


@pytest.mark.usefixtures("open_to_all")
def test_redirects_and_proxies_are_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    with Receiver() as other, Receiver(status=307, headers={"Location": other.url}) as receiver:
        monkeypatch.setenv("http_proxy", other.url)
        monkeypatch.setenv("HTTP_PROXY", other.url)
        assert post(receiver.url, b"{}", {}, 5).status == 307
        assert len(receiver.received) == 1
        assert other.received == []


@contextmanager
def speaking(talk: Callable[[socket.socket], None]) -> Iterator[str]:
    """A host that answers a connection by a function."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            peer, _ = listener.accept()
            with peer:
                try:
                    peer.recv(65536)
                    talk(peer)
                except OSError:
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        thread.join(10)


@pytest.mark.usefixtures("open_to_all")
def test_an_endless_answer_is_cut() -> None:
    def talk(peer: socket.socket) -> None:
        peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 9999999999\r\n\r\n")
        while True:
            peer.sendall(b"x" * 65536)

    with speaking(talk) as url:
        assert len(post(url, b"{}", {}, 20).body) == guarded_http.ANSWER_BYTES


def drip(peer: socket.socket, beginning: bytes) -> None:
    peer.sendall(beginning)
    while True:
        peer.sendall(b"x")
        time.sleep(0.05)


@pytest.mark.usefixtures("open_to_all")
def test_a_status_byte_by_byte_is_no_answer_in_time() -> None:
    with speaking(lambda peer: drip(peer, b"")) as url:
        started = time.monotonic()
        with pytest.raises(ConnectionFailedError):
            post(url, b"{}", {}, 0.5)
        assert time.monotonic() - started < 10


@pytest.mark.usefixtures("open_to_all")
def test_a_body_byte_by_byte_is_cut_in_time() -> None:
    with speaking(lambda peer: drip(peer, b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n")) as url:
        started = time.monotonic()
        assert post(url, b"{}", {}, 0.5).status == 200
        assert time.monotonic() - started < 10


@pytest.mark.usefixtures("open_to_all")
@pytest.mark.parametrize("said", [b"", b"garbage\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n"])
def test_what_is_no_answer_is_an_error(said: bytes) -> None:
    with speaking(lambda peer: peer.sendall(said)) as url, pytest.raises(ConnectionFailedError):
        post(url, b"{}", {}, 5)


@pytest.mark.usefixtures("open_to_all")
def test_certificates_are_checked_against_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        [
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                "2",
                "-subj",
                "/CN=localhost",
            ),
            *("-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
        env={**os.environ, "RANDFILE": str(tmp_path / "rnd")},
    )

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    httpd.socket = context.wrap_socket(httpd.socket, server_side=True, do_handshake_on_connect=False)
    httpd.handle_error = lambda *_: None  # pyright: ignore[reportAttributeAccessIssue]  # clients that refuse it are what is tested
    thread = threading.Thread(target=httpd.serve_forever, args=(0.01,))
    thread.start()
    try:
        guarded_http._tls.cache_clear()
        with pytest.raises(ConnectionFailedError, match="CERTIFICATE_VERIFY_FAILED"):
            post(f"https://localhost:{httpd.server_port}/", b"{}", {}, 10)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        guarded_http._tls.cache_clear()
        assert post(f"https://localhost:{httpd.server_port}/", b"{}", {}, 10).status == 200
        with pytest.raises(ConnectionFailedError, match="CERTIFICATE_VERIFY_FAILED"):
            post(f"https://127.0.0.1:{httpd.server_port}/", b"{}", {}, 10)
    finally:
        guarded_http._tls.cache_clear()
        httpd.shutdown()
        thread.join()
        httpd.server_close()
