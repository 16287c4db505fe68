"""Host and Origin checks, spelling by spelling."""

import pytest

from slipstream.wire.origins import host_allowed, is_loopback, origin_allowed


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:5000",
        "LOCALHOST:1",
        "localhost.",
        b"127.0.0.1:8080",
        "127.8.9.1",
        "[::1]",
        "[::1]:5000",
        "[::ffff:127.0.0.1]:5000",
        "0.0.0.0:5000",
        "10.1.2.3",
        "172.16.0.1:80",
        "172.31.255.255",
        "192.168.1.7:5000",
        "[fd00::1]:5000",
    ],
)
def test_hosts_allowed_by_default(host: bytes | str) -> None:
    assert host_allowed(host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        b"",
        "evil.example",
        "evil.example:5000",
        "localhost.evil.example",
        "localhost@evil.example",
        "127.0.0.1.evil.example",
        "10.evil.example",
        "192.168.evil.example",
        "172.32.0.1",
        "8.8.8.8",
        "localhost:port",
        "localhost:1:2",
        "[::1",
        "[::1]x",
        "[localhost]",
        "127.1",
        "2130706433",
        "localhost, evil.example",
    ],
)
def test_hosts_refused_by_default(host: bytes | str) -> None:
    assert not host_allowed(host)


@pytest.mark.parametrize(
    ("host", "allowed", "verdict"),
    [
        ("ml.example.com", ["ml.example.com"], True),
        ("ml.example.com:5000", ["ml.example.com"], True),
        ("ML.example.com", ["ml.EXAMPLE.com"], True),
        ("ml.example.com:5000", ["ml.example.com:5000"], True),
        ("ml.example.com:5001", ["ml.example.com:5000"], False),
        ("ml.example.com", ["ml.example.com:5000"], False),
        ("a.example.com", ["*.example.com"], True),
        ("example.com.evil.org", ["*.example.com"], False),
        ("localhost:5000", ["ml.example.com"], False),
        ("localhost:5000", ["localhost:*"], True),
        ("[::1]:5000", ["[::1]:5000"], True),
        ("[::1]:5000", ["::1"], True),
        ("anything at all", ["*"], True),
        ("", ["ml.example.com"], False),
    ],
)
def test_allow_list_replaces_the_default(host: str, allowed: list[str], *, verdict: bool) -> None:
    assert host_allowed(host, allowed) is verdict


@pytest.mark.parametrize(
    ("origin", "host", "allowed", "verdict"),
    [
        (None, "ml.example.com", [], True),
        ("", "ml.example.com", [], True),
        ("http://localhost:3000", "ml.example.com", [], True),
        ("https://127.0.0.1", "ml.example.com", [], True),
        (b"http://[::1]:5000", b"ml.example.com", [], True),
        ("https://ml.example.com", "ml.example.com", [], True),
        ("https://ml.example.com", "ml.example.com:443", [], True),
        ("http://10.0.0.5:5000", "10.0.0.5:5000", [], True),
        ("http://10.0.0.5:5001", "10.0.0.5:5000", [], False),
        ("http://ml.example.com", "ml.example.com:5000", [], False),
        ("https://evil.example", "localhost:5000", [], False),
        ("http://localhost.evil.example", "localhost:5000", [], False),
        ("null", "localhost:5000", [], False),
        ("file://localhost", "localhost:5000", [], False),
        ("https://ui.example.com", "localhost:5000", ["https://ui.example.com"], True),
        ("https://ui.example.com/", "localhost:5000", ["https://UI.example.com"], True),
        ("http://ui.example.com", "localhost:5000", ["https://ui.example.com"], False),
        ("https://a.example.com", None, ["https://*.example.com"], True),
        ("https://evil.example", None, ["*"], True),
        ("https://evil.example", None, [], False),
    ],
)
def test_origin(
    origin: bytes | str | None, host: bytes | str | None, allowed: list[str], *, verdict: bool
) -> None:
    assert origin_allowed(origin, host, allowed) is verdict


@pytest.mark.parametrize(
    ("host", "verdict"),
    [
        ("localhost", True),
        ("127.0.0.1", True),
        ("::1", True),
        ("[::1]", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.0.1", False),
        ("example.com", False),
        ("", False),
    ],
)
def test_is_loopback(host: str, *, verdict: bool) -> None:
    assert is_loopback(host) is verdict
