"""The artifact store's contract on Azurite, Microsoft's emulator of Azure's store, where it is installed."""

import base64
import hashlib
import hmac
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from socket import create_connection

import pytest
import urllib3

from object_servers import environment, free_port
from slipstream.artifact_store.base import ArtifactStore
from slipstream.artifact_store.objects import ObjectArtifactStore
from slipstream.artifact_store.uri import open_store
from slipstream.testing.artifact_contract import ArtifactStoreContract
from slipstream.testing.store_contract import unique

ABSENT = "Azurite is not installed: npm install --global azurite, or put the folder of azurite-blob on PATH"
ACCOUNT = "devstoreaccount1"
# The one that Azurite's documentation gives to everybody.
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
CONTAINER = "artifacts"


def make_container(url: str) -> None:
    """Send the one request that our own code never sends, signed as Azure wants it."""
    date = datetime.now(UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")
    lines = [
        *("PUT", *[""] * 11, f"x-ms-date:{date}", "x-ms-version:2021-08-06"),
        *(f"/{ACCOUNT}/{ACCOUNT}/{CONTAINER}", "restype:container"),
    ]
    digest = hmac.new(base64.b64decode(KEY), "\n".join(lines).encode(), hashlib.sha256).digest()
    headers = {
        "x-ms-date": date,
        "x-ms-version": "2021-08-06",
        "Authorization": f"SharedKey {ACCOUNT}:{base64.b64encode(digest).decode()}",
    }
    answer = urllib3.request("PUT", f"{url}/{CONTAINER}?restype=container", headers=headers)
    assert answer.status == 201, answer.data


@pytest.fixture(scope="module")
def azurite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A running Azurite: its connection string."""
    program = shutil.which("azurite-blob")
    if program is None:
        pytest.skip(ABSENT)
    folder: Path = tmp_path_factory.mktemp("azurite")
    port = free_port()
    process = subprocess.Popen(
        [
            *(program, "--blobHost", "127.0.0.1", "--blobPort", str(port), "--location", str(folder)),
            *("--silent", "--skipApiVersionCheck"),
        ],
        stdout=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while True:
            assert process.poll() is None, "Azurite did not start"
            assert time.monotonic() < deadline, "Azurite did not start"
            with suppress(OSError), create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.05)
        url = f"http://127.0.0.1:{port}/{ACCOUNT}"
        make_container(url)
        yield f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={url};"
    finally:
        process.kill()
        process.wait(20)


class TestAzure(ArtifactStoreContract):
    @pytest.fixture
    def artifact_store(self, azurite: str) -> Iterator[ArtifactStore]:
        with environment({"AZURE_STORAGE_CONNECTION_STRING": azurite}):
            yield open_store(f"wasbs://{CONTAINER}@{ACCOUNT}.blob.core.windows.net/{unique()}/artifacts")

    def test_a_signed_address_gives_the_file(self, artifact_store: ArtifactStore) -> None:
        assert isinstance(artifact_store, ObjectArtifactStore)
        artifact_store.write("f.txt", [b"hello"])
        url, size = artifact_store.sign_download("f.txt", 60)
        assert (size, urllib3.request("GET", url).data) == (5, b"hello")

    def test_many_parts(self, artifact_store: ArtifactStore) -> None:
        piece = bytes(range(256)) * 4_096
        assert artifact_store.write("large", (piece for _ in range(40))) == 40 * len(piece)
        with artifact_store.open("large") as file:
            for _ in range(40):
                assert file.read(len(piece)) == piece
