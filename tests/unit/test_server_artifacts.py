"""Artifact bytes over real sockets: paths that lead elsewhere, headers, ranges, memory, and clients that leave."""

import hashlib
import http.client
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import pytest

from artifact_corpus import HOSTILE_PATHS
from server_process import ServerProcess
from slipstream.api.routing import Permission
from slipstream.server.artifacts import DeclaredRoute, artifact_routes

API = "/api/2.0/mlflow/"
AJAX = "/ajax-api/2.0/mlflow/"
PROXY = "/api/2.0/mlflow-artifacts/"
FILES = PROXY + "artifacts/"
MIB = 1024 * 1024


class Client:
    """One server's URL and the ids of what the tests use."""

    def __init__(self, process: ServerProcess) -> None:
        self.process = process
        self.artifacts = process.folder / "artifacts"
        self.address = (urlsplit(process.url).hostname or "", urlsplit(process.url).port or 0)

    def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> SimpleNamespace:
        connection = http.client.HTTPConnection(*self.address, timeout=60)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return SimpleNamespace(status=answer.status, body=answer.read(), headers=answer.headers)
        finally:
            connection.close()

    def call(self, route: str, **message: object) -> Any:
        answer = self.ask("POST", API + route, json.dumps(message), {"Content-Type": "application/json"})
        assert answer.status == 200, answer.body
        return json.loads(answer.body)

    def put(self, path: str, content: bytes) -> None:
        assert self.ask("PUT", FILES + path, content).status == 200

    def begin_upload(self, path: str, sent: bytes, *, announced: int | None) -> socket.socket:
        """Send part of a body; chunked when no size is announced."""
        connection = socket.create_connection(self.address, timeout=60)
        framing = "Transfer-Encoding: chunked" if announced is None else f"Content-Length: {announced}"
        connection.sendall(f"PUT {FILES}{path} HTTP/1.1\r\nHost: localhost\r\n{framing}\r\n\r\n".encode())
        connection.sendall(sent if announced is not None else f"{len(sent):x}\r\n".encode() + sent + b"\r\n")
        return connection


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    folder = tmp_path_factory.mktemp("around") / "server"
    folder.mkdir()
    (folder.parent / "x").write_text("outside")
    process = ServerProcess(folder)
    yield Client(process)
    process.stop()


@pytest.fixture(scope="module")
def ids(client: Client) -> dict[str, str]:
    """A run, a logged model and a version, each with the file `data/w.txt`."""
    experiment = client.call("experiments/create", name="artifacts")["experiment_id"]
    run = client.call("runs/create", experiment_id=experiment)["run"]["info"]["run_id"]
    model = client.call("logged-models", experiment_id=experiment, name="net")["model"]["info"]["model_id"]
    client.call("registered-models/create", name="reg")
    client.call("model-versions/create", name="reg", source=f"models:/{model}", model_id=model)
    run_root, model_root = f"{experiment}/{run}/artifacts", f"{experiment}/models/{model}/artifacts"
    client.put(f"{run_root}/data/w.txt", b"of the run")
    client.put(f"{model_root}/data/w.txt", b"of the model")
    return {"run": run, "model": model, "run_root": run_root, "model_root": model_root}


# -- paths ----------------------------------------------------------------------------------------------


def snapshot(folder: Path) -> dict[str, str]:
    """Return every name below a folder with its content's digest; the database is left out."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        if path.is_file()
        else "folder"
        for path in sorted(folder.rglob("*"))
        if not path.name.startswith("server.db")
    }


def requests_with(path: str, ids: dict[str, str]) -> Iterator[tuple[str, str, bytes | None]]:
    """Yield every request that takes an artifact path, with this one."""
    once = quote(path.encode("utf-8", "surrogatepass"), safe="")
    # As it stands, too: what a client has encoded already is decoded once, not again.
    for spelled in dict.fromkeys((once, quote(path.encode("utf-8", "surrogatepass"), safe="/%:;"))):
        for proxy in (PROXY, PROXY.replace("/api", "/ajax-api")):
            yield "GET", f"{proxy}artifacts/{spelled}", None
            yield "PUT", f"{proxy}artifacts/{spelled}", b"evil"
            yield "DELETE", f"{proxy}artifacts/{spelled}", None
            yield "GET", f"{proxy}presigned/{spelled}", None
            for action in ("create", "complete", "abort"):
                yield "POST", f"{proxy}mpu/{action}/{spelled}", b"{}"
        own = "/api/slipstream/v1/uploads/"
        yield "POST", f"{own}begin/{spelled}", b'{"size": 5, "part_bytes": 5}'
        yield "GET", f"{own}parts/{spelled}?upload_id={'0' * 32}", None
        yield "PUT", f"{own}part/{spelled}?upload_id={'0' * 32}&number=1&checksum={'0' * 32}", b"evil!"
        for action in ("sign", "complete", "abort"):
            message = {"upload_id": "0" * 32, "number": 1, "size": 5, "checksums": ["0" * 32]}
            yield "POST", f"{own}{action}/{spelled}", json.dumps(message).encode()
    if not path.startswith("/"):  # MLflow's client sends its local path whole; only its last part is used
        yield "POST", f"{PROXY}mpu/create/x", json.dumps({"path": path}).encode()
    yield "GET", f"{PROXY}artifacts?path={once}", None
    yield "GET", f"/get-artifact?run_id={ids['run']}&path={once}", None
    yield "GET", f"/model-versions/get-artifact?name=reg&version=1&path={once}", None
    yield "POST", f"{AJAX}upload-artifact?run_uuid={ids['run']}&path={once}", b"evil"
    yield "GET", f"{AJAX}logged-models/{ids['model']}/artifacts/files?artifact_file_path={once}", None
    yield "GET", f"{API}artifacts/list?run_id={ids['run']}&path={once}", None
    yield (
        "GET",
        f"{API}logged-models/{ids['model']}/artifacts/directories?artifact_directory_path={once}",
        None,
    )


def test_no_spelling_on_no_route_leads_anywhere(client: Client, ids: dict[str, str]) -> None:
    around = client.process.folder.parent
    before = snapshot(around)
    accepted = [
        (method, path[:200], answer.status)
        for hostile in HOSTILE_PATHS
        # No URL can carry half a character; what a query parser puts in its place is harmless.
        if hostile.encode(errors="ignore").decode() == hostile
        for method, path, body in requests_with(hostile, ids)
        if not 400 <= (answer := client.ask(method, path, body)).status < 500
    ]
    assert accepted == []
    assert snapshot(around) == before


def test_the_refusal_is_mlflows(client: Client) -> None:
    answer = client.ask("PUT", FILES + "..%2f..%2fx", b"x")
    assert answer.status == 400
    assert json.loads(answer.body)["error_code"] == "INVALID_PARAMETER_VALUE"
    assert "../../x" in json.loads(answer.body)["message"]


@pytest.mark.parametrize("path", ["", "%2e", "/", "%2f"])
def test_the_root_is_not_deleted(client: Client, ids: dict[str, str], path: str) -> None:
    assert client.ask("DELETE", FILES + path).status == 400
    assert client.ask("GET", FILES + ids["run_root"] + "/data/w.txt").body == b"of the run"


def test_a_link_leads_nowhere(client: Client, ids: dict[str, str]) -> None:
    link = client.artifacts / "link"
    link.symlink_to(client.process.folder.parent)
    try:
        for method in ("GET", "PUT", "DELETE"):
            assert client.ask(method, FILES + "link/x", b"evil" if method == "PUT" else None).status == 400
        assert (client.process.folder.parent / "x").read_text() == "outside"
    finally:
        link.unlink()


def test_a_path_is_decoded_exactly_once(client: Client) -> None:
    client.put("odd/a%2520b%23c%3Fd%3Be%25.txt", b"x")
    assert [path.name for path in (client.artifacts / "odd").iterdir()] == ["a%20b#c?d;e%.txt"]
    listing = json.loads(client.ask("GET", PROXY + "artifacts?path=odd").body)
    assert listing == {"files": [{"path": "a%20b#c?d;e%.txt", "is_dir": False, "file_size": 1}]}


# -- what is sent ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content_type", "disposition"),
    [
        ("a.json", "text/plain", "a.json"),
        ("conf.hocon", "text/plain", "conf.hocon"),
        ("MLmodel", "text/plain", "MLmodel"),
        ("train.py", "text/plain", "train.py"),
        ("p.png", "image/png", "p.png"),
        ("report.PDF", "application/pdf", "report.PDF"),
        ("model.pkl", "application/octet-stream", "model.pkl"),
        ("noend", "application/octet-stream", "noend"),
        ("two words.txt", "text/plain", '"two words.txt"'),
        ('q"uote.txt', "text/plain", '"q\\"uote.txt"'),
        ("né.txt", "text/plain", "ne.txt; filename*=UTF-8''n%C3%A9.txt"),
        ("日本.txt", "text/plain", ".txt; filename*=UTF-8''%E6%97%A5%E6%9C%AC.txt"),
    ],
)
def test_headers_of_a_download(client: Client, name: str, content_type: str, disposition: str) -> None:
    client.put(f"types/{quote(name)}", b"x")
    answer = client.ask("GET", f"{FILES}types/{quote(name)}")
    assert answer.body == b"x"
    assert answer.headers["content-type"] == content_type
    assert answer.headers["content-disposition"] == f"attachment; filename={disposition}"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "content-security-policy" not in answer.headers


@pytest.mark.parametrize("name", ["page.html", "page.HTM", "image.svg", "page.xhtml"])
def test_a_logged_page_is_no_page_of_the_server(client: Client, name: str) -> None:
    client.put(f"types/{name}", b"<script>alert(1)</script>")
    answer = client.ask("GET", f"{FILES}types/{name}")
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["content-security-policy"].startswith("sandbox; default-src 'none'")


@pytest.mark.parametrize("size", [10, 3 * MIB])
@pytest.mark.parametrize(
    ("wanted", "status", "start", "stop"),
    [
        ("bytes=2-4", 206, 2, 5),
        ("bytes=3-", 206, 3, None),
        ("bytes=-4", 206, -4, None),
        ("bytes=0-999999999", 206, 0, None),
        ("bytes=5-2", 200, 0, None),
        ("bytes=1-2,4-5", 200, 0, None),
        ("bytes=a-b", 200, 0, None),
        ("bytes=\xb2-", 200, 0, None),
        ("bytes=" + "9" * 5000 + "-", 200, 0, None),
        ("lines=1-2", 200, 0, None),
    ],
)
def test_ranges(client: Client, size: int, wanted: str, status: int, start: int, stop: int | None) -> None:
    content = bytes(number % 251 for number in range(10)) + b"x" * (size - 10)
    if not (client.artifacts / f"range-{size}").exists():
        client.put(f"range-{size}", content)
    answer = client.ask("GET", f"{FILES}range-{size}", headers={"Range": wanted})
    assert (answer.status, answer.body) == (status, content[start:stop])
    if status == 206:
        first = start % size
        assert answer.headers["content-range"] == f"bytes {first}-{first + len(answer.body) - 1}/{size}"


@pytest.mark.parametrize("wanted", ["bytes=10-", "bytes=-0"])
def test_a_range_behind_the_end(client: Client, wanted: str) -> None:
    client.put("behind-10", b"0123456789")
    answer = client.ask("GET", FILES + "behind-10", headers={"Range": wanted})
    assert (answer.status, answer.body) == (416, b"")
    assert answer.headers["content-range"] == "bytes */10"


def test_head_sends_no_body(client: Client) -> None:
    client.put("head", b"12345")
    answer = client.ask("HEAD", FILES + "head")
    assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"", "5")


# -- routes ---------------------------------------------------------------------------------------------


def test_files_by_their_owner(client: Client, ids: dict[str, str]) -> None:
    path = urlencode({"path": "data/w.txt"})
    for query in (f"run_id={ids['run']}&{path}", f"run_uuid={ids['run']}&{path}"):
        assert client.ask("GET", f"/get-artifact?{query}").body == b"of the run"
    assert (
        client.ask("GET", f"/model-versions/get-artifact?name=reg&version=1&{path}").body == b"of the model"
    )
    files = f"{AJAX}logged-models/{ids['model']}/artifacts/files"
    assert client.ask("GET", f"{files}?artifact_file_path=data/w.txt").body == b"of the model"


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/get-artifact?run_id={run}&path=none", 404, "RESOURCE_DOES_NOT_EXIST"),
        ("/get-artifact?run_id=none&path=x", 404, "RESOURCE_DOES_NOT_EXIST"),
        ("/get-artifact?run_id={run}&path=data", 400, "INVALID_PARAMETER_VALUE"),
        ("/model-versions/get-artifact?name=reg&version=9&path=x", 404, "RESOURCE_DOES_NOT_EXIST"),
        ("/model-versions/get-artifact?name=reg&version=1", 400, "INVALID_PARAMETER_VALUE"),
        (AJAX + "logged-models/{model}/artifacts/files", 400, "BAD_REQUEST"),
        (AJAX + "logged-models/none/artifacts/files?artifact_file_path=x", 404, "RESOURCE_DOES_NOT_EXIST"),
        (FILES + "none/at/all", 404, "RESOURCE_DOES_NOT_EXIST"),
        (PROXY + "presigned/x", 501, "NOT_IMPLEMENTED"),
    ],
)
def test_errors_of_downloads(client: Client, ids: dict[str, str], path: str, status: int, code: str) -> None:
    answer = client.ask("GET", path.format(**ids))
    assert (answer.status, json.loads(answer.body)["error_code"]) == (status, code)


def test_answers_without_an_error_code(client: Client, ids: dict[str, str]) -> None:
    for method, path in (("GET", FILES + ids["run_root"]), ("PUT", FILES + "folder/")):
        answer = client.ask(method, path)
        assert (answer.status, list(json.loads(answer.body))) == (400, ["detail"])
    answer = client.ask("GET", f"/get-artifact?run_id={ids['run']}")
    assert (answer.status, answer.headers.get_content_type()) == (400, "text/html")


@pytest.mark.parametrize("action", ["create", "complete", "abort"])
def test_multipart_is_refused_in_words_that_mlflows_client_knows(client: Client, action: str) -> None:
    answer = client.ask("POST", f"{PROXY}mpu/{action}/x", json.dumps({"path": "x", "num_parts": 2}))
    message = json.loads(answer.body)["message"]
    assert answer.status == 501
    assert message.startswith("Multipart upload is not supported for the current artifact repository")


def test_upload_from_the_page(client: Client, ids: dict[str, str]) -> None:
    upload = f"{AJAX}upload-artifact?run_uuid={ids['run']}&path=note/readme.md"
    answer = client.ask("POST", upload, b"# hi", {"Content-Type": "text/markdown"})
    assert (answer.status, answer.body, answer.headers["content-type"]) == (200, b"", "application/json")
    assert (client.artifacts / ids["run_root"] / "note" / "readme.md").read_bytes() == b"# hi"
    for body in (b"", b"x" * (10 * MIB + 1), iter([b"x" * MIB] * 11)):
        answer = client.ask("POST", upload, body)
        assert (answer.status, json.loads(answer.body)["error_code"]) == (400, "INVALID_PARAMETER_VALUE")
    assert (client.artifacts / ids["run_root"] / "note" / "readme.md").read_bytes() == b"# hi"


def test_a_server_that_serves_no_artifacts(tmp_path: Path) -> None:
    process = ServerProcess(tmp_path, "--no-serve-artifacts")
    client = Client(process)
    try:
        for method in ("GET", "PUT"):
            answer = client.ask(method, FILES + "x")
            assert (answer.status, list(json.loads(answer.body))) == (503, ["detail"])
        for method, path in (
            ("DELETE", FILES + "x"),
            ("GET", PROXY + "artifacts"),
            ("POST", PROXY + "mpu/create/x"),
        ):
            answer = client.ask(method, path)
            assert (answer.status, answer.headers.get_content_type()) == (503, "text/plain")
    finally:
        process.stop()


def test_every_route_says_what_its_caller_must_be_allowed() -> None:
    context: Any = SimpleNamespace(destination=None)
    routes = artifact_routes(context)
    expected = {
        "GET": Permission.READ,
        "PUT": Permission.WRITE,
        "POST": Permission.WRITE,
        "DELETE": Permission.DELETE,
    }
    for route in routes:
        assert isinstance(route, DeclaredRoute)
        methods = (route.methods or set()) - {"HEAD"}
        assert [expected[method] for method in methods] == [route.permission]


# -- streams --------------------------------------------------------------------------------------------


def wait_until_settled(folder: Path) -> list[str]:
    """Return the names of all files once no unfinished one is left (or patience is)."""
    for _ in range(400):
        names = [path.name for path in folder.rglob("*") if path.is_file()]
        if not any("partial" in name for name in names):
            break
        time.sleep(0.05)
    return names


@pytest.mark.parametrize("announced", [50 * MIB, None])
@pytest.mark.parametrize("sent", [10, 5 * MIB])
def test_a_client_that_leaves_leaves_nothing(client: Client, announced: int | None, sent: int) -> None:
    client.put("cut/old", b"old")
    for name in ("old", "new"):
        client.begin_upload(f"cut/{name}", b"x" * sent, announced=announced).close()
    assert client.ask("GET", FILES + "cut/old").body == b"old"
    assert wait_until_settled(client.artifacts / "cut") == ["old"]
    assert (client.artifacts / "cut" / "old").read_bytes() == b"old"


def test_slow_uploads_stop_nobody(client: Client) -> None:
    client.put("quick", b"here")
    slow = [client.begin_upload(f"slow/{number}", b"x" * 3 * MIB, announced=9 * MIB) for number in range(40)]
    try:
        assert client.ask("GET", FILES + "quick").body == b"here"
        client.put("quick", b"still here")
        assert client.ask("GET", FILES + "quick").body == b"still here"
    finally:
        for connection in slow:
            connection.close()
    assert wait_until_settled(client.artifacts / "slow") == []


def test_a_download_that_is_broken_off_ends(client: Client) -> None:
    client.put("big", b"x" * 20 * MIB)
    for _ in range(5):
        with socket.create_connection(client.address, timeout=60) as connection:
            connection.sendall(f"GET {FILES}big HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            assert connection.recv(1000).startswith(b"HTTP/1.1 200")
    descriptors = Path(f"/proc/{client.process.process.pid}/fd")
    for _ in range(400):
        open_files = [str(link.resolve()) for link in descriptors.iterdir()]
        if not any(name.endswith("/big") for name in open_files):
            break
        time.sleep(0.05)
    assert not any(name.endswith("/big") for name in open_files)


def peak_memory(process: ServerProcess) -> int:
    status = Path(f"/proc/{process.process.pid}/status").read_text(encoding="ascii")
    return int(status.split("VmHWM:")[1].split()[0]) * 1024


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    process = ServerProcess(tmp_path)
    client = Client(process)
    try:
        client.put("small", b"x")
        assert client.ask("GET", FILES + "small").body == b"x"
        before = peak_memory(process)
        piece = hashlib.sha256(b"seed").digest() * (MIB // 32)
        digest = hashlib.sha256()

        def pieces() -> Iterator[bytes]:
            for number in range(300):
                one = number.to_bytes(4, "big") + piece[4:]
                digest.update(one)
                yield one

        assert client.ask("PUT", FILES + "large", pieces(), {"Content-Length": str(300 * MIB)}).status == 200
        received = hashlib.sha256()
        connection = http.client.HTTPConnection(*client.address, timeout=60)
        connection.request("GET", FILES + "large")
        answer = connection.getresponse()
        while data := answer.read(MIB):
            received.update(data)
        connection.close()
        assert received.digest() == digest.digest()
        assert peak_memory(process) - before < 64 * MIB
    finally:
        process.stop()
