"""Files on their way into a folder or an object store while something breaks: a server is killed, a disk is full."""

import http.client
import os
import resource
import secrets
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from object_servers import ObjectServer, server_before
from server_process import ServerProcess
from slipstream.artifact_store.object_uris import open_object_store
from slipstream.artifact_store.proxy import ProxyArtifactStore
from slipstream.artifact_store.uploads import checksum_of
from slipstream.client.transport import Transport
from slipstream.errors import SlipstreamError

FILES = "/api/2.0/mlflow-artifacts/artifacts/"
MIB = 2**20
PART = 5 * MIB
MOST_MEMORY_MIB = 200


@pytest.fixture(params=["moto", "nanio"])
def s3(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ObjectServer]:
    (tmp_path / "s3").mkdir()
    server = ObjectServer(request.param, tmp_path / "s3")
    yield server
    server.stop()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "server"
    made.mkdir()
    return made


def put(url: str, path: str, pieces: Iterator[bytes] | bytes, size: int) -> int:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=300)
    connection.request("PUT", FILES + path, pieces, {"Content-Length": str(size)})
    response = connection.getresponse()
    response.read()
    connection.close()
    return response.status


def test_a_server_killed_in_an_upload_to_s3_shows_nothing_of_it(s3: ObjectServer, folder: Path) -> None:
    uri = f"s3://{s3.make_bucket()}/root"
    with s3.using():
        store = open_object_store(uri)
        server = server_before(uri, folder)
        assert put(server.url, "f", b"before", 6) == 200
        sent, killed = threading.Event(), threading.Event()

        def half() -> Iterator[bytes]:
            for _ in range(16):  # three parts and more have gone to the object store
                yield b"x" * MIB
            sent.set()
            killed.wait(60)

        connection = http.client.HTTPConnection(*server.url.removeprefix("http://").split(":"), timeout=300)
        client = threading.Thread(target=_until_it_breaks, args=(connection, half()), daemon=True)
        client.start()
        assert sent.wait(30)
        server.kill()
        killed.set()
        client.join(30)
        assert not client.is_alive()
        connection.close()
        with store.open("f") as file:
            assert file.read() == b"before"
        server = server_before(uri, folder)
        try:
            assert [each.path for each in store.list()] == ["f"]
            size = 11 * MIB
            assert put(server.url, "f", b"y" * size, size) == 200
            with store.open("f") as file:
                assert file.read() == b"y" * size
        finally:
            server.stop()


def _until_it_breaks(connection: http.client.HTTPConnection, pieces: Iterator[bytes]) -> None:
    try:
        connection.request("PUT", FILES + "f", pieces, {"Content-Length": str(100 * MIB)})
    except OSError:
        return


@contextmanager
def no_file_over(pid: int, size: int) -> Iterator[None]:
    """As good as a full disk: the system refuses what is written."""
    old = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, old[1]))
    yield
    resource.prlimit(pid, resource.RLIMIT_FSIZE, old)


def test_an_object_store_whose_disk_is_full(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "s3").mkdir()
    s3 = ObjectServer("nanio", tmp_path / "s3")  # moto keeps files in memory
    uri = f"s3://{s3.make_bucket()}/root"
    with s3.using():
        store = open_object_store(uri)
        server = server_before(uri, folder)
    assert put(server.url, "f", b"before", 6) == 200
    with no_file_over(s3.process.pid, MIB):
        assert put(server.url, "f", b"x" * 11 * MIB, 11 * MIB) in (500, 503, 507)
        with s3.using(), store.open("f") as file:
            assert file.read() == b"before"
        assert put(server.url, "small", b"x", 1) == 200
    assert put(server.url, "f", b"y" * 11 * MIB, 11 * MIB) == 200
    with s3.using(), store.open("f") as file:
        assert file.read() == b"y" * 11 * MIB
    server.stop()
    s3.stop()


@pytest.mark.parametrize("kind", ["folder", "moto"])
def test_a_full_disk_of_the_server_in_an_upload_in_parts(
    kind: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the folder of artifacts, or in TMPDIR on the way to S3. What has arrived stays, and it goes on."""
    monkeypatch.setenv("SLIPSTREAM_HTTP_REQUEST_MAX_RETRIES", "1")
    s3 = None
    if kind == "moto":
        (tmp_path / "s3").mkdir()
        s3 = ObjectServer("moto", tmp_path / "s3")
        with s3.using():
            server = server_before(f"s3://{s3.make_bucket()}/root", folder)
    else:
        server = ServerProcess(folder)
    transport = Transport(server.url, sleep=lambda _: None)
    store = ProxyArtifactStore("mlflow-artifacts:/", transport)
    uploads = store.uploads()
    contents = [secrets.token_bytes(PART), secrets.token_bytes(PART), b"end"]
    checksums = [checksum_of(each) for each in contents]
    begun = uploads.begin("f", 2 * PART + 3, PART)
    uploads.send("f", begun.upload_id, 1, contents[0], checksums[0])
    with no_file_over(server.process.pid, PART + 1000 if kind == "folder" else 1000):
        with pytest.raises(SlipstreamError) as caught:
            uploads.send("f", begun.upload_id, 2, contents[1], checksums[1])
        assert caught.value.status in (500, 507)
        assert [part.number for part in uploads.parts("f", begun.upload_id)] == [1]
    uploads.send("f", begun.upload_id, 2, contents[1], checksums[1])
    uploads.send("f", begun.upload_id, 3, contents[2], checksums[2])
    uploads.complete("f", begun.upload_id, 2 * PART + 3, checksums)
    with store.open("f") as file:
        assert file.read() == b"".join(contents)
    transport.close()
    server.stop()
    if s3 is not None:
        s3.stop()


# -- memory -----------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["folder", "nanio"])
def test_memory_does_not_depend_on_the_size_of_files(kind: str, folder: Path, tmp_path: Path) -> None:
    """Eight clients at once, with more in all than the server may have in memory; `MIB_OF_FILES=1000` for a longer one."""
    size = int(os.environ.get("MIB_OF_FILES", "80"))
    s3 = None
    if kind == "nanio":
        (tmp_path / "s3").mkdir()
        s3 = ObjectServer("nanio", tmp_path / "s3")
        with s3.using():
            server = server_before(f"s3://{s3.make_bucket()}/root", folder)
    else:
        server = ServerProcess(folder)
    piece = secrets.token_bytes(MIB)
    parts = urlsplit(server.url)

    def up(number: int) -> None:
        assert put(server.url, f"f{number}", (piece for _ in range(size)), size * MIB) == 200

    def down(number: int) -> None:
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=300)
        connection.request("GET", f"{FILES}f{number}")
        response = connection.getresponse()
        received = 0
        while chunk := response.read(MIB):
            received += len(chunk)
        connection.close()
        assert received == size * MIB

    def in_parts(number: int) -> None:
        transport = Transport(server.url)
        uploads = ProxyArtifactStore("mlflow-artifacts:/", transport).uploads()
        begun = uploads.begin(f"p{number}", size // 5 * PART, PART)
        checksum = checksum_of(piece * 5)
        for each in range(1, size // 5 + 1):
            uploads.send(f"p{number}", begun.upload_id, each, piece * 5, checksum)
        uploads.complete(f"p{number}", begun.upload_id, size // 5 * PART, [checksum] * (size // 5))
        transport.close()

    with ThreadPoolExecutor(8) as pool:
        for way in (up, down, in_parts):
            list(pool.map(way, range(8)))
    status = Path(f"/proc/{server.process.pid}/status").read_text("ascii").splitlines()
    peak = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
    assert peak / 1024 < MOST_MEMORY_MIB
    server.stop()
    if s3 is not None:
        s3.stop()
