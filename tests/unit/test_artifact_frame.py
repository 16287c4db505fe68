"""The empty page that logged pages are shown in: with what rules it is sent, and to whom."""

import base64
import hashlib
import re

from starlette.applications import Starlette
from starlette.routing import Route
from starlette.testclient import TestClient

from slipstream.server.artifact_frame import PATH, artifact_frame
from slipstream.server.web_pages import WebPages

CLIENT = TestClient(Starlette(routes=[Route(PATH, artifact_frame)]))


def rules(url: str) -> dict[str, list[str]]:
    parts = CLIENT.get(url).headers["content-security-policy"].split(";")
    return {name: values for name, *values in (part.split() for part in parts)}


def test_it_has_an_origin_of_its_own_and_may_load_nothing() -> None:
    for url in (PATH, PATH + "?scripts=1"):
        found = rules(url)
        assert found["sandbox"] == ["allow-scripts"]
        assert found["default-src"] == ["'none'"]
        assert found["form-action"] == found["base-uri"] == ["'none'"]
        assert found["frame-ancestors"] == ["'self'"]
        assert "connect-src" not in found
        everywhere = [value for values in found.values() for value in values]
        assert not any(value in ("*", "https:", "http:") for value in everywhere)
        assert not any("allow-same-origin" in value or "allow-top" in value for value in everywhere)


def test_without_scripts_only_its_own_one_runs() -> None:
    script = re.search(rb"<script>(.*?)</script>", CLIENT.get(PATH).content, re.DOTALL)
    assert script is not None

    digest = base64.b64encode(hashlib.sha256(script[1]).digest()).decode()

    assert rules(PATH)["script-src"] == [f"'sha256-{digest}'"]


def test_scripts_run_only_if_asked_for() -> None:
    assert "'unsafe-inline'" in rules(PATH + "?scripts=1")["script-src"]
    assert "'unsafe-inline'" not in rules(PATH + "?scripts=2")["script-src"]


def test_it_needs_no_token_and_holds_no_data() -> None:
    assert WebPages("").is_open("GET", PATH)
    assert not WebPages("").is_open("POST", PATH)
    assert not WebPages("").is_open("GET", PATH + "/x")
    assert CLIENT.get(PATH + "?scripts=1").content == CLIENT.get(PATH + "?scripts=1&x=<b>").content
