"""The short way for small files says what the long way says, and takes nothing that it should not."""

import asyncio
import http.client
import os
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

from server_process import ServerProcess
from slipstream.artifact_store.local import LocalArtifactStore
from slipstream.server.fast_files import SMALL_FILE, FastFiles
from slipstream.server.observer import Observer

FILES = "/api/2.0/mlflow-artifacts/artifacts/"
TOKEN = "a-token-of-tests"


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    process = ServerProcess(tmp_path_factory.mktemp("server"))
    yield process
    process.stop()


def ask(server: ServerProcess, method: str, path: str, body: bytes | None = None, **headers: str) -> Answer:
    parts = urlsplit(server.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
    connection.request(method, path, body, {k.replace("_", "-"): v for k, v in headers.items()})
    response = connection.getresponse()
    found = {name.lower(): value for name, value in response.getheaders()}
    answer = Answer(response.status, found, response.read())
    connection.close()
    return answer


def without_moment(answer: Answer) -> Answer:
    left = {k: v for k, v in answer.headers.items() if k not in ("date", "x-request-id")}
    assert answer.headers["x-request-id"]
    return answer._replace(headers=left)


@pytest.mark.parametrize(
    "name",
    [
        "f",
        "page.html",
        "a%20b.txt",
        "a%2520b",
        "%C3%A4%E2%98%83.csv",
        "MLmodel",
        "x.svg",
        "a%23b",
        "folder/f.json",
    ],
)
@pytest.mark.parametrize("size", [0, 1, 4096, SMALL_FILE, SMALL_FILE + 1])
def test_both_ways_answer_alike(server: ServerProcess, name: str, size: int) -> None:
    content = os.urandom(size)
    # What a query says counts for nothing here, and leads to the long way.
    short = ask(server, "PUT", f"{FILES}{size}/{name}", content)
    assert without_moment(short) == without_moment(ask(server, "PUT", f"{FILES}{size}/{name}?long", content))
    assert (short.status, short.body) == (200, b"")
    got = ask(server, "GET", f"{FILES}{size}/{name}")
    assert without_moment(got) == without_moment(ask(server, "GET", f"{FILES}{size}/{name}?long"))
    assert (got.status, got.body) == (200, content)


@pytest.mark.parametrize(
    "name", ["missing", "folder", "", "..%2fx", "%2e%2e/x", "folder/", ".slipstream-partial-1"]
)
@pytest.mark.parametrize("method", ["GET", "PUT", "HEAD", "DELETE"])
def test_both_ways_refuse_alike(server: ServerProcess, method: str, name: str) -> None:
    ask(server, "PUT", FILES + "folder/f", b"x")
    if method in ("PUT", "DELETE") and name in ("missing", "folder") and method == "DELETE":
        return  # the first of the two would change what the second finds
    if (method, name) == ("PUT", "missing"):
        return
    body = b"x" if method == "PUT" else None
    short, long = ask(server, method, FILES + name, body), ask(server, method, f"{FILES}{name}?long", body)
    assert without_moment(short) == without_moment(long)
    assert short.status >= 400 or method == "DELETE"


def test_a_part_is_sent_as_ever(server: ServerProcess) -> None:
    ask(server, "PUT", FILES + "part", b"0123456789")
    whole = ask(server, "GET", FILES + "part")
    part = ask(server, "GET", FILES + "part", Range="bytes=2-4")
    assert (part.status, part.body, part.headers["content-range"]) == (206, b"234", "bytes 2-4/10")
    same = ask(server, "GET", FILES + "part", Range="bytes=2-4", If_Range=whole.headers["etag"])
    assert same.status == 206
    ask(server, "PUT", FILES + "part", b"other content")
    assert ask(server, "GET", FILES + "part").headers["etag"] != whole.headers["etag"]
    assert ask(server, "GET", FILES + "part", Range="bytes=2-4", If_Range=whole.headers["etag"]).status == 200


def test_links_are_not_followed(server: ServerProcess, tmp_path: Path) -> None:
    root = server.folder / "artifacts"
    ask(server, "PUT", FILES + "links/inside/f", b"inside")
    (tmp_path / "secret").write_text("secret")
    (root / "links" / "file").symlink_to(tmp_path / "secret")
    (root / "links" / "folder").symlink_to(tmp_path)
    (root / "links" / "near").symlink_to(root / "links" / "inside")
    os.mkfifo(root / "links" / "pipe")
    for path in ("links/file", "links/folder/secret", "links/pipe"):
        answer = ask(server, "GET", FILES + path)
        assert 400 <= answer.status < 500
        assert b"secret" not in answer.body.replace(path.encode(), b"")
    assert ask(server, "GET", FILES + "links/near/f").body == b"inside"  # as on the long way
    assert ask(server, "PUT", FILES + "links/folder/new", b"x").status == 400
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("headers", "put", "get"),
    [
        ({"Host": "evil.example"}, 403, 403),
        ({"Origin": "http://evil.example"}, 403, 200),
        ({"X_Request_Id": "mine"}, 200, 200),
    ],
)
def test_who_asks_is_looked_at(server: ServerProcess, headers: dict[str, str], put: int, get: int) -> None:
    assert ask(server, "PUT", FILES + "who", b"x").status == 200
    assert ask(server, "PUT", FILES + "who", b"y", **headers).status == put
    got = ask(server, "GET", FILES + "who", **headers)
    assert got.status == get
    assert "access-control-allow-origin" not in got.headers
    if "X_Request_Id" in headers:
        assert got.headers["x-request-id"] == "mine"
    assert ask(server, "GET", FILES + "who").body == (b"y" if put == 200 else b"x")


def test_token_prefix_and_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPSTREAM_SERVER_TOKEN", TOKEN)
    options = ("--auth", "token", "--static-prefix", "/ml", "--x-frame-options", "DENY")
    server = ServerProcess(tmp_path, *options)
    path = f"/ml{FILES}f"
    good = {"Authorization": f"Bearer {TOKEN}"}
    try:
        assert ask(server, "PUT", path, b"xyz").status == 401
        assert ask(server, "PUT", path, b"xyz", **good).status == 200
        assert ask(server, "GET", path).status == 401
        assert ask(server, "GET", FILES + "f", **good).status == 404
        got = ask(server, "GET", path, **good)
        assert (got.body, got.headers["x-frame-options"]) == (b"xyz", "DENY")
        numbers = ask(server, "GET", "/ml/metrics", **good).body.decode().splitlines()
        route = 'route="/api/2.0/mlflow-artifacts/artifacts/{path:path}",status="200"'
        for method in ("GET", "PUT"):
            assert f'slipstream_requests_total{{method="{method}",{route}}} 1.0' in numbers
        for direction in ("in", "out"):
            assert f'slipstream_artifact_bytes_total{{direction="{direction}"}} 3.0' in numbers
    finally:
        server.stop()


def test_a_full_disk_is_told(tmp_path: Path) -> None:
    """A file in the place of the root, as good as a disk that takes nothing."""
    (tmp_path / "root").write_text("")
    answers: list[object] = []

    async def write() -> None:
        files = FastFiles(LocalArtifactStore(tmp_path / "root"), "", Observer())
        files.write("f", b"x", answers.append)
        files.close()
        await asyncio.sleep(0)

    asyncio.run(write())
    assert len(answers) == 1
    assert answers[0] is not None
