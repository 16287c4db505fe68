"""Storage URIs as seen from a process that tracks to a server, and from one that does not."""

from pathlib import Path

import pytest

import slipstream
from server_process import ServerProcess
from slipstream.artifact_store.local import LocalArtifactStore
from slipstream.artifact_store.proxy import ROUTE, ProxyArtifactStore
from slipstream.client import artifacts
from slipstream.client.storage import open_artifacts
from slipstream.client.transport import Transport
from slipstream.errors import InvalidParameterError

SERVER = "https://ann:pw@tracking.example:8443/base"


def nowhere(server: str) -> Transport:
    raise AssertionError(f"{server} is asked")


@pytest.mark.parametrize(
    "uri",
    [
        "mlflow-artifacts:/1/r/artifacts",
        "mlflow-artifacts://tracking.example:8443/1/r/artifacts",
        f"https://tracking.example:8443/base{ROUTE}/1/r/artifacts",
    ],
)
def test_proxied_artifacts_go_through_the_tracking_server(uri: str) -> None:
    store = open_artifacts(uri, Transport(SERVER), nowhere)

    assert isinstance(store, ProxyArtifactStore)
    assert store._url("a b") == f"{ROUTE}/1/r/artifacts/a%20b"


def test_another_server_gets_no_credentials() -> None:
    with pytest.raises(InvalidParameterError, match=r"behind the server evil\.example"):
        open_artifacts("mlflow-artifacts://evil.example/1/r", Transport(SERVER), nowhere)


def test_proxied_artifacts_need_a_server() -> None:
    with pytest.raises(InvalidParameterError, match="tracking URI"):
        open_artifacts("mlflow-artifacts:/1/r", None, nowhere)


@pytest.mark.parametrize("transport", [None, Transport(SERVER)])
def test_folders_are_opened_here(tmp_path: Path, transport: Transport | None) -> None:
    for uri in (str(tmp_path), tmp_path.as_uri()):
        store = open_artifacts(uri, transport, nowhere)
        assert isinstance(store, LocalArtifactStore)
        assert store.root == tmp_path


# -- artifacts of another server --------------------------------------------------------------------------


@pytest.mark.parametrize("transport", [None, Transport(SERVER)])
def test_the_address_of_another_server_is_asked_there(transport: Transport | None) -> None:
    asked: list[str] = []

    def elsewhere(server: str) -> Transport:
        asked.append(server)
        return Transport(server)

    store = open_artifacts(f"HTTP://bob:pw@other.example/ml{ROUTE}/a%20b/c", transport, elsewhere)

    assert asked == ["http://bob:pw@other.example/ml"]
    assert isinstance(store, ProxyArtifactStore)
    assert store._url("d") == f"{ROUTE}/a%20b/c/d"


@pytest.mark.parametrize(
    "uri",
    [
        "http://host/files/x",
        f"http://host{ROUTE}x",
        f"http://host{ROUTE}?a=b",
        f"http://host{ROUTE}#a",
        f"http://{ROUTE}",
        f"http://host:port{ROUTE}",
        f"http://host{ROUTE}/%2e%2e/x",
    ],
)
def test_other_addresses_keep_no_artifacts(uri: str) -> None:
    with pytest.raises(InvalidParameterError):
        open_artifacts(uri, None, Transport)


def test_an_experiment_is_not_put_where_nothing_can_be_kept(tracking: str) -> None:
    with pytest.raises(InvalidParameterError, match=f"artifact_location.*only below {ROUTE}"):
        slipstream.create_experiment("x", artifact_location="http://host/files")


def test_another_servers_transport_tells_no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPSTREAM_TRACKING_TOKEN", "t0ken")
    assert "Authorization" in Transport("http://h")._identify()
    assert "Authorization" not in Transport("http://h", identify=False)._identify()
    assert "Authorization" in Transport("http://u:p@h", identify=False)._identify()


@pytest.mark.slow
def test_artifacts_on_a_server_of_their_own(
    tracking: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("files", "runs"):
        (tmp_path / name).mkdir()
    files = ServerProcess(tmp_path / "files", "--artifacts-only", "--static-prefix", "/ml")
    root = f"{files.url}{ROUTE}/of%20all"
    runs = ServerProcess(tmp_path / "runs", "--default-artifact-root", root)
    monkeypatch.setenv("SLIPSTREAM_HTTP_REQUEST_MAX_RETRIES", "0")
    try:
        for address in (runs.url, tracking):  # through a server, and in process
            slipstream.set_tracking_uri(address)
            location = None if address == runs.url else f"{root}/local"
            experiment = slipstream.create_experiment("elsewhere", artifact_location=location)
            with slipstream.start_run(experiment_id=experiment) as run:
                slipstream.log_text("content", "d/a b%20c.txt")
            uri = run.info.artifact_uri
            assert uri.startswith(root)
            found = artifacts.list_artifacts(run_id=run.info.run_id, artifact_path="d")
            assert [(info.path, info.file_size) for info in found] == [("d/a b%20c.txt", 7)]
            for named in (f"runs:/{run.info.run_id}/d/a b%20c.txt", f"{uri}/d/a%20b%2520c.txt"):
                assert artifacts.load_text(named) == "content"
            resolved = artifacts.resolve_uri(f"runs:/{run.info.run_id}/d/a b%20c.txt")
            assert artifacts.load_text(resolved) == "content"
            assert Path(artifacts.download_artifacts(f"{uri}/d")).name == "d"
        stored = sorted((tmp_path / "files" / "artifacts" / "of all").rglob("a b%20c.txt"))
        assert len(stored) == 2
    finally:
        slipstream.set_tracking_uri(tracking)
        files.stop()
        runs.stop()
