"""The server over real sockets: its manners, its two ways for a request, and how it starts and stops."""

import http.client
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from server_process import ServerProcess

API = "/api/2.0/mlflow/"
JSON = {"Content-Type": "application/json"}


class Answer:
    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.body = response.read()
        self.headers = response.headers

    @property
    def json(self) -> dict[str, object]:
        return json.loads(self.body)


def ask(
    url: str, method: str, path: str, body: bytes | str | None = None, headers: dict[str, str] | None = None
) -> Answer:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
    try:
        connection.request(method, path, body, headers or {})
        return Answer(connection.getresponse())
    finally:
        connection.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    server = ServerProcess(tmp_path_factory.mktemp("server"))
    yield server
    assert server.stop() == 0


def raw(server: ServerProcess, data: bytes, expected: int) -> list[bytes]:
    """Send bytes as they are and return the bodies of this many answers."""
    parts = urlsplit(server.url)
    bodies: list[bytes] = []
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=20) as connection:
        connection.sendall(data)
        stream = connection.makefile("rb")
        for _ in range(expected):
            assert stream.readline().startswith(b"HTTP/1.1 ")
            length = 0
            while (line := stream.readline().strip()) != b"":
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
            bodies.append(stream.read(length))
        stream.close()
    return bodies


def post(path: str, body: str) -> bytes:
    return (
        f"POST {API}{path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    ).encode()


def test_probes_and_pages(server: ServerProcess) -> None:
    assert ask(server.url, "GET", "/health").body == b"OK"
    assert ask(server.url, "GET", "/version").body == b"3.17.2"
    page = ask(server.url, "GET", "/")
    assert page.headers["content-type"].startswith("text/html")
    assert b"<title>slipstream</title>" in page.body
    assert str(server.folder).encode() not in page.body  # it is sent to everybody
    assert page.headers["x-frame-options"] == "SAMEORIGIN"
    assert page.headers["x-content-type-options"] == "nosniff"


def test_openapi_lists_the_routes(server: ServerProcess) -> None:
    document = ask(server.url, "GET", "/openapi.json").json
    operation = document["paths"][API + "runs/log-metric"]["post"]
    assert operation["x-permission"] == "write"
    assert "LogMetric" in document["components"]["schemas"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nope", 404),
        ("GET", API + "nope", 404),
        ("GET", API + "experiments/create", 405),
        ("GET", API + "experiments/get/", 404),
        ("POST", "/api/3.0/mlflow/experiments/create", 404),
    ],
)
def test_unknown_routes_and_verbs(server: ServerProcess, method: str, path: str, status: int) -> None:
    answer = ask(
        server.url, method, path, b"{}" if method == "POST" else None, JSON if method == "POST" else {}
    )
    assert answer.status == status
    assert b"error_code" not in answer.body


@pytest.mark.parametrize("path", ["runs/log-metric", "experiments/search", "experiments/create"])
def test_foreign_hosts_and_origins_reach_nothing(server: ServerProcess, path: str) -> None:
    for headers in ({"Host": "evil.example"}, {"Origin": "https://evil.example"}):
        answer = ask(server.url, "POST", API + path, "{}", {**JSON, **headers})
        assert answer.status == 403, headers
        assert answer.headers["content-type"].startswith("text/plain")
    assert ask(server.url, "GET", "/", headers={"Host": "evil.example"}).status == 403
    assert (
        ask(server.url, "PUT", "/api/2.0/mlflow-artifacts/artifacts/x", "x", {"Origin": "null"}).status == 403
    )
    assert ask(server.url, "GET", "/health", headers={"Host": "evil.example"}).status == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", None])
def test_only_json_is_taken_for_json(server: ServerProcess, kind: str | None) -> None:
    answer = ask(
        server.url, "POST", API + "experiments/create", '{"name":"x"}', {"Content-Type": kind} if kind else {}
    )
    assert (answer.status, answer.json["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert "Content-Type" in str(answer.json["message"])


def test_requests_that_come_all_at_once_are_answered_in_order(server: ServerProcess) -> None:
    run = json.loads(raw(server, post("runs/create", '{"experiment_id":"0"}'), 1)[0])["run"]["info"]["run_id"]
    get = f"GET {API}runs/get?run_id={run} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
    tags = [post("runs/set-tag", json.dumps({"run_id": run, "key": "k", "value": str(n)})) for n in range(3)]
    bodies = raw(server, b"".join([tags[0], get, tags[1], get, tags[2], get]), 6)
    assert [bodies[n] for n in (0, 2, 4)] == [b"{}"] * 3
    values = [
        next(tag["value"] for tag in json.loads(bodies[n])["run"]["data"]["tags"] if tag["key"] == "k")
        for n in (1, 3, 5)
    ]
    assert values == ["0", "1", "2"]


def test_chunked_and_slow_bodies(server: ServerProcess) -> None:
    head = f"POST {API}experiments/create HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    body = b'{"name":"chunked"}'
    chunked = head.encode() + b"Transfer-Encoding: chunked\r\n\r\n"
    chunked += b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    assert "experiment_id" in json.loads(raw(server, chunked, 1)[0])


def test_head_of_an_answer_and_closing(server: ServerProcess) -> None:
    parts = urlsplit(server.url)
    request = post("experiments/create", '{"name":"closing"}').replace(
        b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1
    )
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=20) as connection:
        connection.sendall(request)
        answer = b""
        while chunk := connection.recv(4096):  # ends only because the server closes
            answer += chunk
    head = answer.split(b"\r\n\r\n")[0].lower()
    assert head.startswith(b"http/1.1 200")
    assert b"connection: close" in head
    assert b"date:" in head
    assert b"content-type: application/json" in head


def test_errors_have_code_and_message_on_both_ways(server: ServerProcess) -> None:
    for path, body in (("runs/log-metric", '{"run_id":"x"}'), ("runs/search", '{"max_results":0}')):
        answer = ask(server.url, "POST", API + path, body, JSON)
        assert (answer.status, answer.json["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
        assert answer.json["message"]


def test_a_link_below_the_artifact_root_is_no_way_out(server: ServerProcess, tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("geheim")
    root = server.folder / "artifacts"
    root.mkdir(exist_ok=True)
    (root / "link").symlink_to(tmp_path)
    body = json.dumps({"name": "linked", "artifact_location": "mlflow-artifacts:/link"})
    experiment = ask(server.url, "POST", API + "experiments/create", body, JSON).json["experiment_id"]
    made = ask(server.url, "POST", API + "runs/create", json.dumps({"experiment_id": experiment}), JSON)
    run = json.loads(made.body)["run"]["info"]["run_id"]
    folder = tmp_path / run / "artifacts"
    folder.mkdir(parents=True)
    (folder / "secret.txt").write_text("geheim")
    for path in (
        f"{API}artifacts/list?run_id={run}",
        f"/get-artifact?run_id={run}&path=secret.txt",
        "/api/2.0/mlflow-artifacts/artifacts/link/secret.txt",
        f"/api/2.0/mlflow-artifacts/artifacts?path=link/{run}/artifacts",
    ):
        answer = ask(server.url, "GET", path)
        assert b"geheim" not in answer.body, path
        assert b'"files"' not in answer.body, path
        assert answer.status == 400, path


def test_a_static_prefix_moves_everything(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, "--static-prefix", "/ml")
    base = server.url.removesuffix("/ml")
    try:
        assert ask(base, "POST", "/ml" + API + "experiments/create", '{"name":"a"}', JSON).status == 200
        assert ask(base, "GET", "/ml" + API + "experiments/get?experiment_id=0").status == 200
        assert ask(base, "PUT", "/ml/api/2.0/mlflow-artifacts/artifacts/a/b.txt", b"x").status == 200
        assert ask(base, "GET", "/ml/api/2.0/mlflow-artifacts/artifacts/a/b.txt").body == b"x"
        assert ask(base, "GET", "/ml/").status == 200
        assert ask(base, "GET", API + "experiments/get?experiment_id=0").status == 404
        assert ask(base, "GET", "/mlx").status == 404
    finally:
        assert server.stop() == 0


def test_a_token_is_needed_when_the_server_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPSTREAM_SERVER_TOKEN", "geheim\n")
    server = ServerProcess(tmp_path, "--auth", "token")
    try:
        for path in ("/openapi.json", API + "experiments/get?experiment_id=0", "/get-artifact"):
            assert ask(server.url, "GET", path).status == 401, path
        assert ask(server.url, "GET", "/").status == 200  # the page holds no data, and asks for the token
        body = '{"name":"a"}'
        assert ask(server.url, "POST", API + "experiments/create", body, JSON).status == 401
        authorised = {**JSON, "Authorization": "Bearer geheim"}
        assert ask(server.url, "POST", API + "experiments/create", body, authorised).status == 200
        assert "geheim" not in "".join(server.lines)
    finally:
        assert server.stop() == 0


def test_pages_need_no_token_under_a_prefix_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPSTREAM_SERVER_TOKEN", "geheim")
    server = ServerProcess(tmp_path, "--auth", "token", "--static-prefix", "/ml")
    base = server.url.removesuffix("/ml")
    try:
        for path in ("/ml", "/ml/", "/ml/experiments/0"):
            assert ask(base, "GET", path).status == 200, path
        for path in ("/", "/experiments/0", "/ml/openapi.json", "/mlexperiments/0"):
            assert ask(base, "GET", path).status == 401, path
    finally:
        assert server.stop() == 0


def run_server(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "slipstream", "server", *options],
        cwd=folder,
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_what_stops_it_from_starting_is_one_line(server: ServerProcess, tmp_path: Path) -> None:
    port = str(urlsplit(server.url).port)
    cases = [
        (("--port", port), "--port"),
        (("--host", "0.0.0.0", "--port", "0"), "--auth"),
        (("--auth", "token"), "SLIPSTREAM_SERVER_TOKEN"),
        (("--port", "0", "--backend-store-uri", "mysql://x/y"), "mysql://x/y"),
        (("--port", "0", "--backend-store-uri", "sqlite:////no/such/folder/x.db"), "does not exist"),
        (("--port", "0", "--artifacts-destination", "hdfs://h/x"), "hdfs://h/x"),
        (("--port", "0", "--artifacts-destination", "/proc/x"), "--artifacts-destination '/proc/x'"),
        (("--port", "0", "--backend-store-uri", "sqlite:///x.db?mode=ro"), "--backend-store-uri"),
    ]
    for options, named in cases:
        result = run_server(tmp_path, *options)
        assert result.returncode == 1, options
        lines = [line for line in result.stderr.splitlines() if line.strip()]
        assert len(lines) == 1, result.stderr
        assert named in lines[0]


def test_two_workers_share_the_data(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, "--workers", "2")
    try:
        numbers = {
            ask(server.url, "POST", API + "experiments/create", json.dumps({"name": f"e{n}"}), JSON).json[
                "experiment_id"
            ]
            for n in range(12)
        }
        assert len(numbers) == 12
        found = ask(server.url, "GET", API + "experiments/search?max_results=50").json["experiments"]
        assert len(found) == 13
    finally:
        server.stop()


# -- pages of other origins ---------------------------------------------------------------------------
UI = "https://ui.example.com"
PREFLIGHT = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}


def test_a_page_of_an_allowed_origin_may_write_and_read(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, "--cors-allowed-origins", UI, "--x-frame-options", "none")
    path, body = API + "experiments/create", json.dumps({"name": "from a page"})
    asked = ask(server.url, "OPTIONS", path, headers={**PREFLIGHT, "Origin": UI})
    assert (asked.status, asked.headers["access-control-allow-origin"]) == (204, UI)
    assert "POST" in asked.headers["access-control-allow-methods"]
    assert asked.headers["access-control-allow-headers"] == "content-type"
    made = ask(server.url, "POST", path, body, {**JSON, "Origin": UI})
    assert (made.status, made.headers["access-control-allow-origin"]) == (200, UI)
    found = ask(
        server.url, "GET", API + "experiments/get-by-name?experiment_name=Default", headers={"Origin": UI}
    )
    assert (found.status, found.headers["access-control-allow-origin"]) == (200, UI)
    assert (found.headers["vary"], found.headers["x-frame-options"]) == ("origin", None)

    foreign = "https://evil.example"
    assert ask(server.url, "OPTIONS", path, headers={**PREFLIGHT, "Origin": foreign}).status == 405
    refused = ask(server.url, "POST", path, json.dumps({"name": "evil"}), {**JSON, "Origin": foreign})
    read = ask(
        server.url,
        "GET",
        API + "experiments/get-by-name?experiment_name=Default",
        headers={"Origin": foreign},
    )
    assert refused.status == 403
    for answer in (refused, read):
        assert answer.headers["access-control-allow-origin"] is None
    short = ask(server.url, "POST", path, json.dumps({"name": "no page"}), JSON)
    assert (short.status, short.headers["x-frame-options"]) == (200, None)
    assert server.stop() == 0


def test_a_preflight_needs_no_token_and_the_request_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLIPSTREAM_SERVER_TOKEN", "secret")
    server = ServerProcess(tmp_path, "--cors-allowed-origins", UI, "--auth", "token")
    path = API + "experiments/create"
    assert ask(server.url, "OPTIONS", path, headers={**PREFLIGHT, "Origin": UI}).status == 204
    assert ask(server.url, "POST", path, '{"name": "x"}', {**JSON, "Origin": UI}).status == 401
    assert server.stop() == 0


def test_half_a_surrogate_pair_is_answered_and_harms_nobody(server: ServerProcess) -> None:
    run = ask(server.url, "POST", API + "runs/create", '{"experiment_id": "0"}', JSON).json["run"]
    run_id = run["info"]["run_id"]  # type: ignore[index]
    for path, fields in (
        ("runs/set-tag", '"key": "\\ud800", "value": "v"'),
        ("runs/log-metric", '"key": "k", "value": 1, "timestamp": 1, "model_id": "\\ud800"'),
        ("runs/log-parameter", '"key": "k", "value": "\\udc80"'),
    ):
        answer = ask(server.url, "POST", API + path, f'{{"run_id": "{run_id}", {fields}}}', JSON)
        assert (answer.status, answer.json["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


def test_somebody_elses_sqlite_file_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    import sqlite3

    file = tmp_path / "other.db"
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE t (a)")
    connection.close()
    before = file.read_bytes()
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "slipstream",
            "server",
            "--port",
            "0",
            "--backend-store-uri",
            f"sqlite:///{file}",
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert file.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["other.db"]
