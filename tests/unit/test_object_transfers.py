"""Uploads in parts and signed addresses over HTTP, on two S3 servers; and what happens when one of them dies."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest
import urllib3

from object_servers import ObjectServer, environment, server_before
from slipstream.artifact_store import s3_uploads
from slipstream.artifact_store.object_uris import open_object_store, parse_place, s3_configuration
from slipstream.artifact_store.objects import ObjectArtifactStore
from slipstream.artifact_store.s3_requests import S3Requests
from slipstream.errors import InvalidParameterError, UnavailableError
from slipstream.server.options import ServerOptions
from slipstream.server.places import check_places

PROXY = "/api/2.0/mlflow-artifacts/"
MIB = 2**20


@pytest.fixture(scope="module", params=["moto", "nanio"])
def s3(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectServer]:
    server = ObjectServer(request.param, tmp_path_factory.mktemp(request.param))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def place(s3: ObjectServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimpleNamespace]:
    """A server on a bucket, and the bucket itself."""
    uri = f"s3://{s3.make_bucket()}/root"
    with s3.using():
        server = server_before(uri, tmp_path_factory.mktemp("server"))
        yield SimpleNamespace(url=server.url + PROXY, uri=uri, store=open_object_store(uri))
    server.stop()


def post(url: str, message: object) -> tuple[int, dict[str, object]]:
    answer = urllib3.request("POST", url, body=json.dumps(message).encode())
    return answer.status, json.loads(answer.data)


def test_an_upload_in_parts_is_seen_when_it_is_complete(place: SimpleNamespace) -> None:
    contents = [b"a" * 5 * MIB, b"b" * 5 * MIB, b"c"]
    status, begun = post(f"{place.url}mpu/create/7/run", {"path": "/any/where/big.bin", "num_parts": 3})
    assert status == 200, begun
    parts = []
    for credential, content in [*zip(begun["credentials"], contents, strict=True)] * 2:  # each one again
        answer = urllib3.request("PUT", credential["url"], body=content, headers=credential["headers"])
        assert answer.status == 200, answer.data
        parts.append({"part_number": credential["part_number"], "etag": answer.headers["ETag"]})
    assert place.store.stat("7/run/big.bin") is None
    message = {"path": "big.bin", "upload_id": begun["upload_id"], "parts": parts[3:]}
    assert post(f"{place.url}mpu/complete/7/run", message) == (200, {})
    with place.store.open("7/run/big.bin") as file:
        assert file.read() == b"".join(contents)


def test_an_aborted_upload_leaves_nothing(place: SimpleNamespace) -> None:
    status, begun = post(f"{place.url}mpu/create/7", {"path": "aborted", "num_parts": 1})
    assert status == 200, begun
    requests = S3Requests.from_environment(parse_place(place.uri).bucket)
    assert [each.key for each in requests.uploads("root/7/aborted")] == ["root/7/aborted"]
    for _ in range(2):
        assert post(f"{place.url}mpu/abort/7", {"path": "aborted", "upload_id": begun["upload_id"]}) == (
            200,
            {},
        )
    assert requests.uploads("root/7/aborted") == []
    assert place.store.stat("7/aborted") is None


@pytest.mark.parametrize(
    ("action", "folder", "message"),
    [
        ("create", "7", {"num_parts": 1}),
        ("create", "7", {"path": "x", "num_parts": 0}),
        ("create", "7", {"path": "x", "num_parts": 10_001}),
        ("create", "7", {"path": "../x", "num_parts": 1}),
        ("create", "..%2f7", {"path": "x", "num_parts": 1}),
        ("complete", "7", {"path": "x", "upload_id": "u"}),
        ("complete", "7", {"path": "x", "upload_id": "u", "parts": [{}]}),
        ("abort", "7", {"path": "x"}),
    ],
)
def test_what_is_wrong_with_a_message_is_told(
    place: SimpleNamespace, action: str, folder: str, message: object
) -> None:
    status, answer = post(f"{place.url}mpu/{action}/{folder}", message)
    assert (status, answer["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


def test_a_signed_download_passes_the_server_by(place: SimpleNamespace) -> None:
    place.store.write("d/f.txt", [b"content"])
    signed = json.loads(urllib3.request("GET", f"{place.url}presigned/d/f.txt").data)
    assert signed["file_size"] == 7
    assert urllib3.request("GET", signed["url"], headers={"Range": "bytes=1-3"}).data == b"ont"
    assert urllib3.request("GET", f"{place.url}presigned/d/missing").status == 404


def test_ranges_of_the_same_content_only(place: SimpleNamespace) -> None:
    place.store.write("r/f", [b"0123456789"])
    url = f"{place.url}artifacts/r/f"
    whole = urllib3.request("GET", url)
    for etag, status, data in ((whole.headers["ETag"], 206, b"234"), ('"other"', 200, b"0123456789")):
        part = urllib3.request("GET", url, headers={"Range": "bytes=2-4", "If-Range": etag})
        assert (part.status, part.data) == (status, data)
    assert urllib3.request("GET", url, headers={"Range": "bytes=10-"}).status == 416


def test_abandoned_uploads_go_after_a_while(place: SimpleNamespace, s3: ObjectServer) -> None:
    s3_uploads.begin_upload(place.store, "abandoned", 1)
    requests = S3Requests.from_environment(parse_place(place.uri).bucket)
    if s3.kind == "nanio":  # moto says of all uploads that they began in 2010
        assert s3_uploads.remove_abandoned_uploads(place.store, 3600) == 0
    assert [each.key for each in requests.uploads("root/abandoned")] == ["root/abandoned"]
    assert requests.uploads("root/abandoned")[0].begun <= datetime.now(UTC)
    s3_uploads.remove_abandoned_uploads(place.store, -60)
    assert requests.uploads("root/abandoned") == []


def test_a_store_that_dies_in_an_upload_shows_nothing_of_it(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    server = ObjectServer("nanio", tmp_path_factory.mktemp("dies"))
    bucket = server.make_bucket()
    with server.using(), environment({"MLFLOW_ARTIFACT_UPLOAD_DOWNLOAD_TIMEOUT": "5"}):
        store = open_object_store(f"s3://{bucket}/x")

        def chunks() -> Iterator[bytes]:
            yield b"x" * 11 * MIB
            server.stop()
            for _ in range(40):
                yield b"x" * MIB

        with pytest.raises(UnavailableError, match="try again"):
            store.write("f", chunks())
        server.start()
        assert store.stat("f") is None
        store.write("f", [b"again"])
        file = store.open("f")
        server.stop()
        with pytest.raises(UnavailableError):
            file.read()
        server.start()
        with store.open("f") as again:
            assert again.read() == b"again"
        server.stop()


def test_a_missing_bucket_stops_the_server_at_its_start(s3: ObjectServer) -> None:
    with s3.using():
        options = ServerOptions(artifacts_destination="s3://no-such-bucket-here/x")
        with pytest.raises(InvalidParameterError, match="--artifacts-destination .* does not exist"):
            check_places(options)


# -- addresses and settings: no network --------------------------------------------------------------


@pytest.mark.parametrize(
    ("uri", "bucket", "account", "prefix"),
    [
        ("s3://b", "b", None, ""),
        ("s3://b/x/y/", "b", None, "x/y"),
        ("gs://b/x", "b", None, "x"),
        ("wasbs://c@acc.blob.core.windows.net/x", "c", "acc", "x"),
        ("abfss://c@acc.dfs.core.windows.net/x", "c", "acc", "x"),
    ],
)
def test_addresses(uri: str, bucket: str, account: str | None, prefix: str) -> None:
    place = parse_place(uri)
    assert (place.bucket, place.account, place.prefix) == (bucket, account, prefix)
    credentials = {"AZURE_STORAGE_ACCESS_KEY": "a2V5", "GOOGLE_SKIP_SIGNATURE": "true"}
    with environment(credentials):
        assert isinstance(open_object_store(uri), ObjectArtifactStore)


@pytest.mark.parametrize(
    "uri",
    ["s3:///x", "s3://user@b/x", "s3://b/../x", "s3://b/%2e%2e/x", "s3://b/x?y", "wasbs://c/x", "gs://"],
)
def test_addresses_that_are_none(uri: str) -> None:
    with pytest.raises(InvalidParameterError):
        parse_place(uri)


def test_a_store_knows_what_is_below_it() -> None:
    with environment({"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s"}):
        store = open_object_store("s3://b/root")
    assert store.path_of("s3://b/root/x/y") == "x/y"
    assert store.path_of("s3://b/root") == ""
    for elsewhere in ("s3://b/rooted/x", "s3://c/root/x", "gs://b/root/x", "/top/x"):
        assert store.path_of(elsewhere) is None


def test_variables_that_mlflow_reads() -> None:
    values = {
        "MLFLOW_S3_ENDPOINT_URL": "http://127.0.0.1:9/",
        "MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE": "virtual",
        "MLFLOW_S3_UPLOAD_EXTRA_ARGS": '{"ServerSideEncryption": "aws:kms", "BucketKeyEnabled": true}',
    }
    with environment(values):
        config = s3_configuration()
    assert config["endpoint"] == "http://127.0.0.1:9"
    assert config["virtual_hosted_style_request"] == "true"
    assert (config["server_side_encryption"], config["sse_bucket_key_enabled"]) == ("aws:kms", "true")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MLFLOW_S3_ENDPOINT_URL", "127.0.0.1:9"),
        ("MLFLOW_BOTO_CLIENT_ADDRESSING_STYLE", "sideways"),
        ("MLFLOW_S3_UPLOAD_EXTRA_ARGS", '{"ACL": "public-read"}'),
        ("MLFLOW_S3_UPLOAD_EXTRA_ARGS", "[]"),
        ("MLFLOW_S3_EXPECTED_BUCKET_OWNER", "123"),
    ],
)
def test_variables_that_cannot_be_obeyed_are_refused(name: str, value: str) -> None:
    with environment({name: value}), pytest.raises(InvalidParameterError, match=name.removeprefix("MLFLOW_")):
        s3_configuration()


def test_an_upload_may_be_given_up_twice(place: SimpleNamespace) -> None:
    requests = S3Requests.from_environment(parse_place(place.uri).bucket)
    upload = requests.begin("root/given-up")
    assert [each.upload_id for each in requests.uploads("root/given-up")] == [upload]
    requests.abort("root/given-up", upload)
    requests.abort("root/given-up", upload)  # the store answers 404 now
    assert requests.uploads("root/given-up") == []
