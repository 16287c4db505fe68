"""Storage URIs as seen from a process that tracks to a server, and from one that does not."""

from pathlib import Path

import pytest

from slipstream.artifact_store.local import LocalArtifactStore
from slipstream.artifact_store.proxy import ROUTE, ProxyArtifactStore
from slipstream.client.storage import open_artifacts
from slipstream.client.transport import Transport
from slipstream.errors import InvalidParameterError

SERVER = "https://ann:pw@tracking.example:8443/base"


@pytest.mark.parametrize(
    "uri",
    [
        "mlflow-artifacts:/1/r/artifacts",
        "mlflow-artifacts://tracking.example:8443/1/r/artifacts",
        f"https://tracking.example:8443/base{ROUTE}/1/r/artifacts",
    ],
)
def test_proxied_artifacts_go_through_the_tracking_server(uri: str) -> None:
    store = open_artifacts(uri, Transport(SERVER))

    assert isinstance(store, ProxyArtifactStore)
    assert store._url("a b") == f"{ROUTE}/1/r/artifacts/a%20b"


def test_another_server_gets_no_credentials() -> None:
    with pytest.raises(InvalidParameterError, match=r"behind the server evil\.example"):
        open_artifacts("mlflow-artifacts://evil.example/1/r", Transport(SERVER))


def test_proxied_artifacts_need_a_server() -> None:
    with pytest.raises(InvalidParameterError, match="tracking URI"):
        open_artifacts("mlflow-artifacts:/1/r", None)


@pytest.mark.parametrize("transport", [None, Transport(SERVER)])
def test_folders_are_opened_here(tmp_path: Path, transport: Transport | None) -> None:
    for uri in (str(tmp_path), tmp_path.as_uri()):
        store = open_artifacts(uri, transport)
        assert isinstance(store, LocalArtifactStore)
        assert store.root == tmp_path
