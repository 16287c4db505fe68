"""The artifact store's contract on a folder, and on a folder behind a server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from server_process import ServerProcess
from slipstream.artifact_store.base import ArtifactStore
from slipstream.artifact_store.local import LocalArtifactStore
from slipstream.artifact_store.proxy import ProxyArtifactStore
from slipstream.client.transport import Transport
from slipstream.testing.artifact_contract import ArtifactStoreContract
from slipstream.testing.store_contract import unique


class TestLocal(ArtifactStoreContract):
    @pytest.fixture
    def artifact_store(self, tmp_path: Path) -> ArtifactStore:
        return LocalArtifactStore(tmp_path / "not" / "there yet")

    def test_no_unfinished_file_is_left(self, tmp_path: Path) -> None:
        store = LocalArtifactStore(tmp_path)
        writer = store.create("a")
        writer.write(b"x")
        assert store.list() == []
        writer.close()
        assert list(tmp_path.iterdir()) == []


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    process = ServerProcess(tmp_path_factory.mktemp("artifact-server"))
    yield process
    process.stop()


class TestProxy(ArtifactStoreContract):
    @pytest.fixture
    def artifact_store(self, server: ServerProcess) -> Iterator[ArtifactStore]:
        transport = Transport(server.url, sleep=lambda _: None)
        yield ProxyArtifactStore(f"mlflow-artifacts:/{unique()}/artifacts", transport)
        transport.close()
