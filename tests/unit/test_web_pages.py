"""How the web pages are sent: small, cacheable, without the token, under any prefix, and with nothing that may run but ours."""

import gzip
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from slipstream.server.web_pages import WebPages

SCRIPT = b"export const answer = 42;"


@pytest.fixture
def built(tmp_path: Path) -> Path:
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "shell-abc123.js.gz").write_bytes(gzip.compress(SCRIPT))
    (tmp_path / "index.html").write_text('<!doctype html><head><base href="/" /></head>', "utf-8")
    return tmp_path


def client_of(pages: WebPages) -> TestClient:
    return TestClient(
        Starlette(routes=[Route("/assets/{name}", pages.asset), Route("/{rest:path}", pages.page)]),
        headers={"accept-encoding": ""},
    )


def test_an_asset_goes_compressed_to_those_who_take_it_and_may_be_kept_for_ever(built: Path) -> None:
    client = client_of(WebPages("", built))

    taken = client.get("/assets/shell-abc123.js", headers={"accept-encoding": "br, gzip;q=0.8"})
    plain = client.get("/assets/shell-abc123.js")
    refused = client.get("/assets/shell-abc123.js", headers={"accept-encoding": "gzip;q=0"})

    assert taken.headers["content-encoding"] == "gzip"
    assert "immutable" in taken.headers["cache-control"]
    assert taken.headers["content-type"] == "text/javascript; charset=utf-8"
    assert taken.content == plain.content == refused.content == SCRIPT  # the test's client unpacks
    assert "content-encoding" not in plain.headers
    assert "content-encoding" not in refused.headers
    assert int(taken.headers["content-length"]) != len(SCRIPT)


@pytest.mark.parametrize("name", ["none.js", "shell-abc123.js.gz", "shell-abc123.js/x", "..%5cindex.html"])
def test_nothing_but_the_built_files_is_sent(built: Path, name: str) -> None:
    assert client_of(WebPages("", built)).get(f"/assets/{name}").content != SCRIPT


def test_the_page_is_asked_for_again_and_sent_once(built: Path) -> None:
    client = client_of(WebPages("", built))

    first = client.get("/experiments/1")
    second = client.get("/models", headers={"if-none-match": first.headers["etag"]})

    assert first.headers["cache-control"] == "no-cache"
    assert second.status_code == 304
    assert second.content == b""


def test_the_page_lets_no_code_run_that_is_not_the_servers(built: Path) -> None:
    policy = client_of(WebPages("", built)).get("/").headers["content-security-policy"]

    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert (
        rules["default-src"] == rules["script-src"] == rules["style-src"] == rules["connect-src"] == "'self'"
    )
    assert rules["object-src"] == rules["form-action"] == "'none'"
    assert "unsafe" not in policy


@pytest.mark.parametrize(
    ("prefix", "base"), [("", "/"), ("/team/ml", "/team/ml/"), ('/"><script>', "/&quot;&gt;&lt;script&gt;/")]
)
def test_addresses_begin_where_the_server_is(built: Path, prefix: str, base: str) -> None:
    assert f'<base href="{base}" />' in client_of(WebPages(prefix, built)).get("/").text


def test_without_a_build_the_page_says_what_to_do(tmp_path: Path) -> None:
    pages = WebPages("", tmp_path)

    assert not pages.is_built
    assert "make ui" in client_of(pages).get("/").text


@pytest.mark.parametrize(
    ("method", "path", "is_open"),
    [
        ("GET", "/", True),
        ("HEAD", "/experiments/1/runs/abc", True),
        ("GET", "/assets/shell-abc123.js", True),
        ("POST", "/", False),
        ("DELETE", "/models/x", False),
        ("GET", "/api/2.0/mlflow/experiments/search", False),
        ("GET", "/ajax-api/2.0/mlflow/experiments/search", False),
        ("GET", "/get-artifact", False),
        ("GET", "/experimentsX", False),
        ("GET", "x", False),
        ("GET", "", False),
        ("GET", "//api/2.0/mlflow", False),
        ("GET", "/metrics", False),
        ("GET", "/openapi.json", False),
    ],
)
def test_only_pages_are_sent_without_a_token(built: Path, method: str, path: str, is_open: bool) -> None:
    assert WebPages("", built).is_open(method, path) is is_open
