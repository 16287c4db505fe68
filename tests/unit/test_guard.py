"""Who is let in."""

import base64

import pytest

from slipstream.errors import InvalidParameterError
from slipstream.server.guard import Guard
from slipstream.server.options import ServerOptions
from slipstream.server.run import check

HOST = b"127.0.0.1:5000"


@pytest.mark.parametrize("host", [b"evil.example", b"127.0.0.1.evil.example", b"", b"10.evil.example:5000"])
def test_unknown_hosts_are_refused_for_reading_too(host: bytes) -> None:
    for changes in (False, True):
        refusal = Guard().check(changes, "", host, None, None)
        assert refusal is not None
        assert refusal.status == 403


def test_health_answers_any_host() -> None:
    assert Guard(token="t").check(False, "/health", b"probe.internal", None, None) is None


@pytest.mark.parametrize("origin", [b"https://evil.example", b"null", b"http://localhost.evil.example"])
def test_foreign_origins_change_nothing(origin: bytes) -> None:
    guard = Guard()
    assert guard.check(False, "", HOST, origin, None) is None
    refusal = guard.check(True, "", HOST, origin, None)
    assert refusal is not None
    assert refusal.status == 403


def test_allowed_names_and_origins() -> None:
    guard = Guard(("ml.example",), ("https://ui.example",))
    assert guard.check(True, "", b"ml.example:80", b"https://ui.example", None) is None
    assert guard.check(False, "", HOST, None, None) is not None


def test_the_token_as_bearer_and_as_password() -> None:
    guard = Guard(token="geheim")
    basic = b"Basic " + base64.b64encode(b"anyone:geheim")
    for good in (b"Bearer geheim", b"bearer geheim", basic):
        assert guard.check(True, "", HOST, None, good) is None
    for bad in (
        None,
        b"",
        b"Bearer",
        b"Bearer x",
        b"Basic !!!",
        b"Digest geheim",
        "Bearer gehei\xdf".encode("latin-1"),
    ):
        refusal = guard.check(True, "", HOST, None, bad)
        assert refusal is not None
        assert refusal.status == 401


def test_the_token_is_asked_for_even_without_the_other_checks() -> None:
    guard = Guard(token="t", enabled=False)
    assert guard.check(False, "", b"evil.example", None, None) is not None
    assert guard.check(False, "", b"evil.example", None, b"Bearer t") is None


@pytest.mark.parametrize("token", ["größe", "日本", "two\nlines", "hush\udc80"])
def test_a_token_that_no_header_can_carry_is_refused_unseen(token: str) -> None:
    with pytest.raises(InvalidParameterError, match="SLIPSTREAM_SERVER_TOKEN.*printable ASCII") as caught:
        check(ServerOptions(token=token))
    assert token not in str(caught.value)


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.5", "::", "ml.example"])
def test_listening_beyond_this_machine_needs_a_decision(host: str) -> None:
    with pytest.raises(InvalidParameterError, match="--auth"):
        check(ServerOptions(host=host))
    check(ServerOptions(host=host, token="t"))
    check(ServerOptions(host=host), open_to_all=True)
    check(ServerOptions(host="127.0.0.1"))
