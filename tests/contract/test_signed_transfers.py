"""Large files go between slipstream's client and the object store directly where the server signs addresses."""

import logging
import secrets
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
import urllib3

import slipstream
from object_servers import ObjectServer, server_before
from server_process import ServerProcess
from slipstream.client import connect
from slipstream.client.transport import Transport
from slipstream.errors import NotFoundError

MIB = 2**20
CONTENT = secrets.token_bytes(11 * MIB)
COUNTS = "slipstream_artifact_bytes_total"


@pytest.fixture(scope="module", params=["moto", "nanio"])
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SimpleNamespace]:
    s3 = ObjectServer(request.param, tmp_path_factory.mktemp(request.param))
    patches = pytest.MonkeyPatch()
    patches.setenv("SLIPSTREAM_SIGNED_TRANSFERS", "true")
    with s3.using():
        server = server_before(f"s3://{s3.make_bucket()}/root", tmp_path_factory.mktemp("server"))
    patches.undo()
    yield SimpleNamespace(url=server.url, s3=s3, server=server)
    server.stop()
    s3.stop()


@pytest.fixture(autouse=True)
def _client(place: SimpleNamespace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("SLIPSTREAM_MULTIPART_UPLOAD_CHUNK_SIZE", str(5 * MIB))
    monkeypatch.setenv("SLIPSTREAM_RESUMABLE_UPLOAD_MINIMUM_FILE_SIZE", str(5 * MIB))
    monkeypatch.setenv("SLIPSTREAM_UPLOAD_STATE_FOLDER", str(tmp_path / "notes"))
    connect.close_all()
    slipstream.set_tracking_uri(place.url)
    yield
    slipstream.set_tracking_uri("")


def through_the_server(place: SimpleNamespace) -> tuple[int, int]:
    """Return the bytes that have come in and gone out."""
    lines = urllib3.request("GET", f"{place.url}/metrics").data.decode().splitlines()
    return tuple(  # type: ignore[return-value]
        int(float(line.rpartition(" ")[2]))
        for direction in ("in", "out")
        for line in lines
        if line.startswith(f'{COUNTS}{{direction="{direction}"}}')
    )


def both_ways(tmp_path: Path) -> None:
    client = slipstream.MlflowClient()
    run_id = client.create_run("0").info.run_id
    (tmp_path / "big.bin").write_bytes(CONTENT)
    client.log_artifact(run_id, str(tmp_path / "big.bin"), "folder")
    (tmp_path / "down").mkdir()
    path = client.download_artifacts(run_id, "folder/big.bin", str(tmp_path / "down"))
    assert Path(path).read_bytes() == CONTENT


def test_large_files_pass_the_server_by(place: SimpleNamespace, tmp_path: Path) -> None:
    before = through_the_server(place)
    both_ways(tmp_path)
    after = through_the_server(place)
    assert after[0] - before[0] < 10_000  # the messages about the parts
    assert after[1] - before[1] < 10_000


def test_addresses_that_do_not_answer_are_done_without(
    place: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    opened: list[str] = []

    class NoWay:
        def request(self, method: str, url: str, **_: object) -> object:
            opened.append(url)
            raise urllib3.exceptions.ProtocolError(f"no route to {url}")

    monkeypatch.setattr("slipstream.artifact_store.s3_requests.open_pool", NoWay)
    before = through_the_server(place)
    with caplog.at_level(logging.DEBUG, logger="slipstream"):
        both_ways(tmp_path)
    after = through_the_server(place)
    assert after[0] - before[0] >= len(CONTENT)
    assert after[1] - before[1] >= len(CONTENT)
    assert len(opened) >= 2
    assert "going through the server" in caplog.text
    for url in opened:
        assert "X-Amz-Signature=" in url
        assert url.partition("?")[2] not in caplog.text
    assert "Signature" not in caplog.text


def test_the_servers_log_shows_no_address(place: SimpleNamespace, tmp_path: Path) -> None:
    both_ways(tmp_path)
    assert "X-Amz" not in "".join(place.server.lines)


def test_others_get_the_file_itself(place: SimpleNamespace) -> None:
    """Browsers, MLflow's client, and requests for a part."""
    url = f"{place.url}/api/2.0/mlflow-artifacts/artifacts/big"
    assert urllib3.request("PUT", url, body=CONTENT).status == 200
    plain = urllib3.request("GET", url, redirect=False)
    assert (plain.status, plain.data) == (200, CONTENT)
    part = urllib3.request(
        "GET", url, headers={"Slipstream-Signed": "accept", "Range": "bytes=0-2"}, redirect=False
    )
    assert (part.status, part.data) == (206, CONTENT[:3])
    signed = urllib3.request("GET", url, headers={"Slipstream-Signed": "accept"}, redirect=False)
    assert (signed.status, signed.headers["Slipstream-Signed"]) == (307, "yes")
    assert signed.headers["Cache-Control"] == "no-store"
    transport = Transport(place.url)
    with pytest.raises(NotFoundError):
        transport.download_file("/api/2.0/mlflow-artifacts/artifacts/missing")
    transport.close()


def test_mlflows_clients_are_told(place: SimpleNamespace, tmp_path: Path) -> None:
    """So that its large files go past the server, too, without a setting of theirs."""
    found = urllib3.request("GET", f"{place.url}/api/3.0/mlflow/server-info").json()
    assert found["multipart_uploads_enabled"] is found["multipart_downloads_enabled"] is True
    plain = ServerProcess(tmp_path)
    found = urllib3.request("GET", f"{plain.url}/api/3.0/mlflow/server-info").json()
    plain.stop()
    assert found["multipart_uploads_enabled"] is found["multipart_downloads_enabled"] is False


def test_credentials_of_the_server_stay_with_it(
    place: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S3 answers 400 to two kinds of credentials, so an answer proves that only the address was one; and look at it."""
    sent: list[dict[str, str]] = []
    request = urllib3.PoolManager.request

    def noting(self: urllib3.PoolManager, method: str, url: str, **options: object) -> object:
        if "X-Amz-Signature" in url:
            sent.append(dict(options.get("headers") or {}))  # type: ignore[call-overload]
        return request(self, method, url, **options)  # type: ignore[arg-type]

    monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", "a-token-of-tests")
    monkeypatch.setattr(urllib3.PoolManager, "request", noting)
    both_ways(tmp_path)
    assert len(sent) == 4
    assert not any("Authorization" in headers for headers in sent)
