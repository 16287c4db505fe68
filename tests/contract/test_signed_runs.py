"""Signed addresses of files of runs and models straight in S3: what MLflow's two routes for them answer."""

import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import urllib3

from object_servers import ObjectServer, environment
from server_process import ServerProcess
from slipstream.artifact_store.object_uris import open_object_store
from slipstream.client.rest import RestStore
from slipstream.client.transport import Transport

API = "/api/2.0/mlflow/artifacts/"
PAGE = b"<html>hello</html>"


@pytest.fixture(scope="module", params=["moto", "nanio"])
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SimpleNamespace]:
    s3 = ObjectServer(request.param, tmp_path_factory.mktemp(request.param))
    root = f"s3://{s3.make_bucket()}/direct"
    with s3.using():
        server = ServerProcess(tmp_path_factory.mktemp("server"), "--default-artifact-root", root)
    transport = Transport(server.url)
    yield SimpleNamespace(
        url=server.url, s3=s3, store=RestStore(transport), server=server, kind=request.param
    )
    transport.close()
    server.stop()
    s3.stop()


@pytest.fixture
def run(place: SimpleNamespace) -> Any:
    return place.store.create_run("0").info


def ask(place: SimpleNamespace, name: str, **message: object) -> tuple[int, Any]:
    answer = urllib3.request(
        "POST",
        f"{place.url}{API}{name}",
        body=json.dumps(message).encode(),
        headers={"Content-Type": "application/json"},
    )
    return answer.status, answer.json()


def up(place: SimpleNamespace, content: bytes, **message: object) -> None:
    status, signed = ask(place, "presigned-upload-url", **message)
    assert status == 200, signed
    assert signed["headers"]["Content-Type"]
    put = urllib3.request("PUT", signed["presigned_url"], body=content, headers=signed["headers"])
    assert put.status == 200, put.data


def stored(place: SimpleNamespace, uri: str, path: str) -> bytes:
    with place.s3.using(), open_object_store(uri).open(path) as file:
        return file.read()


def test_a_file_goes_up_and_comes_down(place: SimpleNamespace, run: Any) -> None:
    content = secrets.token_bytes(100_000)
    # nanio takes the signature of a search, which is obstore's, for wrong where the name has blanks or accents.
    path = "models/größe 1+2.bin" if place.kind == "moto" else "models/size-1.bin"
    up(place, content, run_id=run.run_id, path=path)
    assert stored(place, run.artifact_uri, path) == content
    status, signed = ask(place, "presigned-download-url", run_id=run.run_id, path=path)
    assert status == 200, signed
    assert signed["file_size"] == 100_000
    got = urllib3.request("GET", signed["presigned_url"], headers={"Range": "bytes=5-9"})
    assert (got.status, got.data) == (206, content[5:10])


def test_a_browser_saves_what_it_gets(place: SimpleNamespace, run: Any) -> None:
    up(place, PAGE, run_id=run.run_id, path="page.html")
    _, signed = ask(place, "presigned-download-url", run_id=run.run_id, path="page.html", expiration=60)
    assert "X-Amz-Expires=60&" in signed["presigned_url"]
    assert "response-content-disposition=attachment%3B%20filename%3Dpage.html" in signed["presigned_url"]
    got = urllib3.request("GET", signed["presigned_url"])
    assert got.data == PAGE
    if place.kind == "moto":  # nanio does not know this parameter
        assert got.headers["Content-Disposition"] == "attachment; filename=page.html"


def test_a_logged_model_has_addresses_to_put_files_to(place: SimpleNamespace, run: Any) -> None:
    model = place.store.create_logged_model("0", "net", run.run_id)
    up(place, b"flavors: {}", model_id=model.model_id, path="MLmodel")
    assert stored(place, model.artifact_location, "MLmodel") == b"flavors: {}"


def test_an_address_is_for_what_it_was_signed_for(place: SimpleNamespace, run: Any) -> None:
    if place.kind == "moto":
        pytest.skip("moto does not check signatures")
    _, signed = ask(place, "presigned-upload-url", run_id=run.run_id, path="one.txt")
    url, headers = signed["presigned_url"], signed["headers"]
    assert "X-Amz-SignedHeaders=content-type%3Bhost" in url
    other = {"Content-Type": "text/html"}
    assert urllib3.request("PUT", url, body=b"x", headers=other).status == 403
    assert urllib3.request("PUT", url.replace("one.txt", "two.txt"), body=b"x", headers=headers).status == 403
    assert urllib3.request("GET", url).status == 403


def test_extra_arguments_of_uploads_are_signed_headers(tmp_path: Path) -> None:
    from slipstream.artifact_store.s3_addresses import sign_upload

    values = {
        "AWS_ACCESS_KEY_ID": "k",
        "AWS_SECRET_ACCESS_KEY": "s",
        "MLFLOW_S3_ENDPOINT_URL": "http://127.0.0.1:9",
        "MLFLOW_S3_UPLOAD_EXTRA_ARGS": '{"ServerSideEncryption": "aws:kms", "BucketKeyEnabled": true}',
    }

    class Anywhere:
        where = "s3://bucket/root"

        def require_writable(self, path: str) -> str:
            return f"root/{path}"

    store: Any = Anywhere()
    with environment(values):
        url, headers = sign_upload(store, "f.txt", 10, "text/plain")
    assert headers == {
        "Content-Type": "text/plain",
        "x-amz-server-side-encryption": "aws:kms",
        "x-amz-server-side-encryption-bucket-key-enabled": "true",
    }
    names = (
        "content-type%3Bhost%3Bx-amz-server-side-encryption%3Bx-amz-server-side-encryption-bucket-key-enabled"
    )
    assert f"X-Amz-SignedHeaders={names}&" in url


@pytest.mark.parametrize(
    ("name", "message", "status", "code"),
    [
        ("upload", {"path": "x"}, 400, "INVALID_PARAMETER_VALUE"),
        ("upload", {"path": "x", "model_id": "m"}, 400, "INVALID_PARAMETER_VALUE"),
        ("upload", {"path": "../x"}, 400, "INVALID_PARAMETER_VALUE"),
        ("upload", {"path": "x", "expiration": 0}, 400, "INVALID_PARAMETER_VALUE"),
        ("upload", {"path": "folder"}, 400, "INVALID_PARAMETER_VALUE"),
        ("download", {"path": "/etc/passwd"}, 400, "INVALID_PARAMETER_VALUE"),
        ("download", {"path": "x", "expiration": 604_801}, 400, "INVALID_PARAMETER_VALUE"),
        ("download", {"path": "missing"}, 404, "RESOURCE_DOES_NOT_EXIST"),
        ("download", {"path": "folder"}, 404, "RESOURCE_DOES_NOT_EXIST"),
    ],
)
def test_what_is_refused(
    place: SimpleNamespace, run: Any, name: str, message: dict[str, object], status: int, code: str
) -> None:
    up(place, b"1", run_id=run.run_id, path="folder/f")
    given = message if message == {"path": "x"} else {"run_id": run.run_id, **message}
    found, answer = ask(place, f"presigned-{name}-url", **given)
    assert (found, answer["error_code"]) == (status, code), answer


def test_unknown_owners_are_not_found(place: SimpleNamespace) -> None:
    for message in ({"run_id": "0" * 32}, {"model_id": "m-" + "0" * 32}):
        assert ask(place, "presigned-upload-url", path="x", **message)[0] == 404


def test_folders_and_proxied_artifacts_have_no_addresses(tmp_path: Path) -> None:
    for name, options, status in (
        ("proxied", (), 400),
        ("folder", ("--default-artifact-root", str(tmp_path / "files")), 501),
    ):
        (tmp_path / name).mkdir()
        server = ServerProcess(tmp_path / name, *options)
        try:
            place = SimpleNamespace(url=server.url)
            transport = Transport(server.url)
            run_id = RestStore(transport).create_run("0").info.run_id
            transport.close()
            info = urllib3.request("GET", f"{server.url}/api/3.0/mlflow/server-info").json()
            assert info["presigned_upload_run_id_supported"] is False
            for what in ("upload", "download"):
                found, answer = ask(place, f"presigned-{what}-url", run_id=run_id, path="x")
                assert found == status, answer
        finally:
            server.stop()


def test_server_info_tells_of_it(place: SimpleNamespace) -> None:
    info = urllib3.request("GET", f"{place.url}/api/3.0/mlflow/server-info").json()
    assert info["presigned_upload_run_id_supported"] is True
    assert info["presigned_upload_model_id_supported"] is True


def test_addresses_are_in_no_log(place: SimpleNamespace, run: Any) -> None:
    up(place, PAGE, run_id=run.run_id, path="page.html")
    assert "X-Amz" not in "".join(place.server.lines)
