"""Uploads that are interrupted and go on: killed clients, killed servers, files that changed meanwhile."""

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

import slipstream
from object_servers import ObjectServer, server_before
from server_process import ServerProcess
from slipstream.artifact_store.proxy_uploads import ProxyUploads
from slipstream.client.progress import Progress
from slipstream.client.upload_notes import notes_folder
from slipstream.errors import ConflictError, ConnectionFailedError

MIB = 2**20
PART = 5 * MIB
PARTS = 5
CONTENT = secrets.token_bytes((PARTS - 1) * PART + 17)
DIES_AT_PART_3 = """
import os, signal, sys, threading
from slipstream.artifact_store.proxy_uploads import ProxyUploads
send, arrived = ProxyUploads.send, threading.Semaphore(0)
def send_or_die(self, path, upload_id, number, *rest):
    if number == 3:
        arrived.acquire(); arrived.acquire()
        os.kill(os.getpid(), signal.SIGKILL)
    if number > 3:
        threading.Event().wait()
    send(self, path, upload_id, number, *rest)
    arrived.release()
ProxyUploads.send = send_or_die
"""
LOG = "import slipstream; slipstream.MlflowClient().log_artifact(sys.argv[1], sys.argv[2], 'folder')"
COMMAND = """
sys.argv = ['slipstream', 'artifacts', 'log-artifact', '--run-id', sys.argv[1], '--local-file', sys.argv[2],
            '--artifact-path', 'folder']
from slipstream.cli.main import main
main()
"""


@pytest.fixture(scope="module", params=["folder", "moto", "nanio"])
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SimpleNamespace]:
    folder = tmp_path_factory.mktemp("server")
    if request.param == "folder":
        server = ServerProcess(folder)
        yield SimpleNamespace(url=server.url, bound=False)
        server.stop()
        return
    s3 = ObjectServer(request.param, tmp_path_factory.mktemp(request.param))
    with s3.using():
        server = server_before(f"s3://{s3.make_bucket()}/root", folder)
    yield SimpleNamespace(url=server.url, bound=True)
    server.stop()
    s3.stop()


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("SLIPSTREAM_MULTIPART_UPLOAD_CHUNK_SIZE", str(PART))
    monkeypatch.setenv("SLIPSTREAM_RESUMABLE_UPLOAD_MINIMUM_FILE_SIZE", str(2 * MIB))
    monkeypatch.setenv("SLIPSTREAM_UPLOAD_STATE_FOLDER", str(tmp_path / "notes"))
    yield
    slipstream.set_tracking_uri("")


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of the parts that this process sends."""
    numbers: list[int] = []
    send = ProxyUploads.send

    def noting(self: ProxyUploads, path: str, upload_id: str, number: int, *rest: object) -> None:
        send(self, path, upload_id, number, *rest)  # type: ignore[arg-type]
        numbers.append(number)

    monkeypatch.setattr(ProxyUploads, "send", noting)
    return numbers


@pytest.fixture
def big(tmp_path: Path) -> Path:
    file = tmp_path / "big.bin"
    # The first part is what an upload is known by; so that no test goes on with another's.
    file.write_bytes(secrets.token_bytes(16) + CONTENT[16:])
    return file


def new_run(url: str) -> str:
    slipstream.set_tracking_uri(url)
    return slipstream.MlflowClient().create_run("0").info.run_id


def log_and_die(url: str, run_id: str, file: Path, how: str = LOG) -> None:
    done = subprocess.run(
        [sys.executable, "-c", DIES_AT_PART_3 + how, run_id, str(file)],
        env={**os.environ, "MLFLOW_TRACKING_URI": url},
        capture_output=True,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr


def stored(run_id: str, tmp_path: Path) -> bytes:
    path = slipstream.MlflowClient().download_artifacts(run_id, "folder/big.bin", str(tmp_path))
    return Path(path).read_bytes()


@pytest.mark.parametrize("how", [LOG, COMMAND], ids=["log_artifact", "command"])
def test_what_a_killed_client_has_sent_is_not_sent_again(
    place: SimpleNamespace, big: Path, tmp_path: Path, sent: list[int], how: str
) -> None:
    run_id = new_run(place.url)
    log_and_die(place.url, run_id, big, how)
    client = slipstream.MlflowClient()
    assert client.list_artifacts(run_id) == []
    client.log_artifact(run_id, str(big), "folder")
    assert sorted(sent) == [3, 4, 5]
    (tmp_path / "down").mkdir()
    assert stored(run_id, tmp_path / "down") == big.read_bytes()
    assert list(notes_folder().iterdir()) == []


def test_another_run_goes_on_where_the_store_allows_it(
    place: SimpleNamespace, big: Path, tmp_path: Path, sent: list[int]
) -> None:
    """As a script does that is started again, and logs a model that it has saved again in a new folder."""
    log_and_die(place.url, new_run(place.url), big)
    folder = tmp_path / "saved again"
    folder.mkdir()
    again = big.rename(folder / "big.bin")
    os.utime(again)
    run_id = new_run(place.url)
    slipstream.MlflowClient().log_artifacts(run_id, str(folder), "folder")
    assert sorted(sent) == ([1, 2, 3, 4, 5] if place.bound else [3, 4, 5])
    (tmp_path / "down").mkdir()
    assert stored(run_id, tmp_path / "down") == again.read_bytes()


def test_a_file_that_changed_meanwhile_is_stored_as_it_is_now(
    place: SimpleNamespace, big: Path, tmp_path: Path, sent: list[int]
) -> None:
    run_id = new_run(place.url)
    log_and_die(place.url, run_id, big)
    before = big.stat()
    with big.open("r+b") as file:
        file.seek(PART)
        file.write(b"changed")
    os.utime(big, ns=(before.st_atime_ns, before.st_mtime_ns))  # so that nothing but the content tells
    slipstream.MlflowClient().log_artifact(run_id, str(big), "folder")
    assert sorted(sent) == [2, 3, 4, 5]
    (tmp_path / "down").mkdir()
    assert stored(run_id, tmp_path / "down") == big.read_bytes()


def test_a_bar_counts_what_is_there_already(
    place: SimpleNamespace, big: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = new_run(place.url)
    log_and_die(place.url, run_id, big)
    counted: list[int] = []
    monkeypatch.setattr(Progress, "add", lambda _, count: counted.append(count))
    slipstream.MlflowClient().log_artifact(run_id, str(big), "folder")
    assert sum(counted) == big.stat().st_size


def test_a_file_that_changes_while_it_is_sent_is_not_stored(
    place: SimpleNamespace, big: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = new_run(place.url)
    send = ProxyUploads.send

    def changing(self: ProxyUploads, path: str, upload_id: str, number: int, *rest: object) -> None:
        send(self, path, upload_id, number, *rest)  # type: ignore[arg-type]
        if number == 2:
            with big.open("r+b") as file:
                file.write(b"changed")

    monkeypatch.setattr(ProxyUploads, "send", changing)
    with pytest.raises(ConflictError, match="changed while it was uploaded"):
        slipstream.MlflowClient().log_artifact(run_id, str(big), "folder")
    assert slipstream.MlflowClient().list_artifacts(run_id) == []
    assert list(notes_folder().iterdir()) == []


def test_where_nothing_can_be_noted_files_arrive_all_the_same(
    place: SimpleNamespace, big: Path, tmp_path: Path, sent: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a file").write_text("")
    monkeypatch.setenv("SLIPSTREAM_UPLOAD_STATE_FOLDER", str(tmp_path / "a file" / "below"))
    run_id = new_run(place.url)
    slipstream.MlflowClient().log_artifact(run_id, str(big), "folder")
    assert sorted(sent) == [1, 2, 3, 4, 5]
    (tmp_path / "down").mkdir()
    assert stored(run_id, tmp_path / "down") == big.read_bytes()


def test_two_clients_with_the_same_file_do_not_meddle(
    place: SimpleNamespace, big: Path, tmp_path: Path
) -> None:
    runs = [new_run(place.url) for _ in range(3)]
    script = "import sys\n" + LOG
    clients = [
        subprocess.Popen(
            [sys.executable, "-c", script, run_id, str(big)],
            env={**os.environ, "MLFLOW_TRACKING_URI": place.url},
        )
        for run_id in runs
    ]
    assert [client.wait(60) for client in clients] == [0, 0, 0]
    for run_id in runs:
        (tmp_path / run_id).mkdir()
        assert stored(run_id, tmp_path / run_id) == big.read_bytes()


# -- servers that end -------------------------------------------------------------------------------


def test_a_killed_server_has_kept_what_it_answered(
    big: Path, tmp_path: Path, sent: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLIPSTREAM_HTTP_REQUEST_MAX_RETRIES", "1")
    monkeypatch.setenv("SLIPSTREAM_SPOOL", "false")  # which would keep the file and send it by itself
    (tmp_path / "server").mkdir()
    server = ServerProcess(tmp_path / "server")
    run_id = new_run(server.url)
    with monkeypatch.context() as patches:
        send = ProxyUploads.send

        def killing(self: ProxyUploads, path: str, upload_id: str, number: int, *rest: object) -> None:
            if number == 4:
                server.kill()
            send(self, path, upload_id, number, *rest)  # type: ignore[arg-type]

        patches.setattr(ProxyUploads, "send", killing)
        with pytest.raises(ConnectionFailedError):
            slipstream.MlflowClient().log_artifact(run_id, str(big), "folder")
    assert sent == [1, 2, 3]
    sent.clear()
    again = ServerProcess(tmp_path / "server", "--port", server.url.rpartition(":")[2])
    try:
        assert slipstream.MlflowClient().list_artifacts(run_id) == []
        slipstream.MlflowClient().log_artifact(run_id, str(big), "folder")
        assert sent == [4, 5]
        (tmp_path / "down").mkdir()
        assert stored(run_id, tmp_path / "down") == big.read_bytes()
    finally:
        again.stop()


def test_a_server_without_these_routes_gets_the_file_whole(
    place: SimpleNamespace, big: Path, tmp_path: Path, sent: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As MLflow's, which answers 404."""
    monkeypatch.setattr("slipstream.artifact_store.proxy_uploads.ROUTE", "/api/slipstream/v0/uploads")
    run_id = new_run(place.url)
    slipstream.MlflowClient().log_artifact(run_id, str(big), "folder")
    assert sent == []
    (tmp_path / "down").mkdir()
    assert stored(run_id, tmp_path / "down") == big.read_bytes()


def test_small_files_go_up_whole(place: SimpleNamespace, tmp_path: Path, sent: list[int]) -> None:
    small = tmp_path / "small"
    small.write_bytes(b"x" * MIB)
    run_id = new_run(place.url)
    slipstream.MlflowClient().log_artifact(run_id, str(small))
    assert sent == []
