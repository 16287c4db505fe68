"""Uploads in parts: one suite for a folder and for two S3 servers, directly and behind a tracking server."""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import BinaryIO

import pytest

from object_servers import ObjectServer, server_before
from server_process import ServerProcess
from slipstream.artifact_store import local_uploads
from slipstream.artifact_store.local import LocalArtifactStore
from slipstream.artifact_store.local_uploads import LocalUploads
from slipstream.artifact_store.object_uris import open_object_store
from slipstream.artifact_store.proxy import ProxyArtifactStore
from slipstream.artifact_store.s3_uploads import S3Uploads
from slipstream.artifact_store.uploads import Begun, Uploads, checksum_of
from slipstream.client.transport import Transport
from slipstream.errors import ConflictError, InvalidParameterError, NotFoundError, UnavailableError

MIB = 2**20
PART = 5 * MIB
SIZE = 2 * PART + 3
CONTENTS = [secrets.token_bytes(PART), secrets.token_bytes(PART), b"end"]
GONE = (NotFoundError, UnavailableError)
"""moto answers 500 for an upload that it does not know."""
CHECKSUMS = [checksum_of(each) for each in CONTENTS]


@pytest.fixture(scope="module", params=["folder", "moto", "nanio"])
def place(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SimpleNamespace]:
    """A place for artifacts, and a server before it."""
    folder = tmp_path_factory.mktemp("server")
    if request.param == "folder":
        server = ServerProcess(folder)
        store = LocalArtifactStore(folder / "artifacts")
        yield SimpleNamespace(direct=LocalUploads(store), store=store, url=server.url)
        server.stop()
        return
    s3 = ObjectServer(request.param, tmp_path_factory.mktemp(request.param))
    uri = f"s3://{s3.make_bucket()}/root"
    with s3.using():
        server = server_before(uri, folder)
        bucket = open_object_store(uri)
        yield SimpleNamespace(direct=S3Uploads(bucket), store=bucket, url=server.url)
    server.stop()
    s3.stop()


@pytest.fixture(params=["directly", "behind a server"])
def uploads(request: pytest.FixtureRequest, place: SimpleNamespace) -> Iterator[Uploads]:
    if request.param == "directly":
        yield place.direct
        return
    transport = Transport(place.url, sleep=lambda _: None)
    yield ProxyArtifactStore("mlflow-artifacts:/", transport).uploads()
    transport.close()


@pytest.fixture
def path() -> str:
    return f"{secrets.token_hex(4)}/folder/big.bin"


def read(place: SimpleNamespace, path: str) -> bytes:
    with place.store.open(path) as file:
        return file.read()


def send(uploads: Uploads, path: str, begun: Begun, *numbers: int) -> None:
    for number in numbers:
        uploads.send(path, begun.upload_id, number, CONTENTS[number - 1], CHECKSUMS[number - 1])


def test_parts_make_a_file_that_is_seen_when_it_is_complete(
    uploads: Uploads, place: SimpleNamespace, path: str
) -> None:
    begun = uploads.begin(path, SIZE, PART)
    assert uploads.parts(path, begun.upload_id) == []
    send(uploads, path, begun, 3, 1)  # in any order
    assert [(each.number, each.size, each.checksum) for each in uploads.parts(path, begun.upload_id)] == [
        (1, PART, CHECKSUMS[0]),
        (3, 3, CHECKSUMS[2]),
    ]
    send(uploads, path, begun, 2, 2)
    assert place.store.stat(path) is None
    assert place.store.list(path.split("/", maxsplit=1)[0]) == []
    uploads.complete(path, begun.upload_id, SIZE, CHECKSUMS)
    assert read(place, path) == b"".join(CONTENTS)
    with pytest.raises(GONE):
        uploads.parts(path, begun.upload_id)


def test_a_missing_part_is_told_and_can_be_sent_later(
    uploads: Uploads, place: SimpleNamespace, path: str
) -> None:
    begun = uploads.begin(path, SIZE, PART)
    send(uploads, path, begun, 1, 3)
    with pytest.raises(ConflictError, match="missing"):
        uploads.complete(path, begun.upload_id, SIZE, CHECKSUMS)
    assert place.store.stat(path) is None
    send(uploads, path, begun, 2)
    uploads.complete(path, begun.upload_id, SIZE, CHECKSUMS)
    assert read(place, path) == b"".join(CONTENTS)


def test_a_part_that_is_sent_again_replaces_the_one_before(
    uploads: Uploads, place: SimpleNamespace, path: str
) -> None:
    begun = uploads.begin(path, SIZE, PART)
    other = b"x" * PART
    uploads.send(path, begun.upload_id, 2, other, checksum_of(other))
    send(uploads, path, begun, 1, 2, 3)
    uploads.complete(path, begun.upload_id, SIZE, CHECKSUMS)
    assert read(place, path) == b"".join(CONTENTS)


def test_a_damaged_part_does_not_count(
    place: SimpleNamespace, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLIPSTREAM_HTTP_REQUEST_MAX_RETRIES", "1")
    transport = Transport(place.url, sleep=lambda _: None)
    uploads = ProxyArtifactStore("mlflow-artifacts:/", transport).uploads()
    begun = uploads.begin(path, SIZE, PART)
    with pytest.raises(UnavailableError, match="as it was sent"):
        uploads.send(path, begun.upload_id, 1, b"y" + CONTENTS[0][1:], CHECKSUMS[0])
    assert uploads.parts(path, begun.upload_id) == []
    transport.close()


def test_an_aborted_upload_is_gone(
    uploads: Uploads, place: SimpleNamespace, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLIPSTREAM_HTTP_REQUEST_MAX_RETRIES", "1")
    begun = uploads.begin(path, SIZE, PART)
    send(uploads, path, begun, 1)
    uploads.abort(path, begun.upload_id)
    uploads.abort(path, begun.upload_id)
    with pytest.raises(GONE):
        uploads.parts(path, begun.upload_id)
    with pytest.raises(GONE):
        send(uploads, path, begun, 1)
    with pytest.raises(GONE):
        uploads.complete(path, begun.upload_id, SIZE, CHECKSUMS)
    assert place.store.stat(path) is None


@pytest.mark.parametrize("wrong", ["../up", "a/../b", "/etc/passwd", "c:/x", "a\\b"])
def test_a_path_leads_nowhere_else(uploads: Uploads, wrong: str) -> None:
    with pytest.raises(InvalidParameterError):
        uploads.begin(wrong, SIZE, PART)


@pytest.mark.parametrize("wrong", ["", "../../etc/passwd", "a" * 32 + "\n", "A" * 32, "0" * 32, "%2e%2e"])
def test_an_upload_of_any_other_name_is_none(uploads: Uploads, path: str, wrong: str) -> None:
    with pytest.raises((NotFoundError, InvalidParameterError)):
        uploads.parts(path, wrong)


@pytest.mark.parametrize(("size", "part"), [(0, PART), (-1, PART), (PART, 0), (PART * 20_000, PART)])
def test_impossible_plans_are_refused(uploads: Uploads, path: str, size: int, part: int) -> None:
    with pytest.raises(InvalidParameterError):
        uploads.begin(path, size, part)


def test_nothing_is_written_over_a_folder(uploads: Uploads, place: SimpleNamespace, path: str) -> None:
    place.store.write(path, [b"x"])
    with pytest.raises(InvalidParameterError):
        uploads.begin(path.rpartition("/")[0], SIZE, PART)


def test_a_file_is_replaced_when_the_new_one_is_complete(
    uploads: Uploads, place: SimpleNamespace, path: str
) -> None:
    place.store.write(path, [b"before"])
    begun = uploads.begin(path, SIZE, PART)
    send(uploads, path, begun, 1, 2, 3)
    assert read(place, path) == b"before"
    uploads.complete(path, begun.upload_id, SIZE, CHECKSUMS)
    assert read(place, path) == b"".join(CONTENTS)


# -- a folder ---------------------------------------------------------------------------------------


@pytest.fixture
def local(tmp_path: Path) -> LocalUploads:
    return LocalUploads(LocalArtifactStore(tmp_path / "root"))


def begin_small(local: LocalUploads) -> str:
    return local.begin("f", 5, 2).upload_id


def test_parts_of_other_lengths_are_refused(local: LocalUploads) -> None:
    upload_id = begin_small(local)
    with pytest.raises(InvalidParameterError, match="longer"):
        local.send("f", upload_id, 1, b"abc", checksum_of(b"abc"))
    with pytest.raises(UnavailableError, match="as it was sent"):
        local.send("f", upload_id, 1, b"a", checksum_of(b"a"))
    for number in (0, 4, -1):
        with pytest.raises(InvalidParameterError, match="1 to 3"):
            local.send("f", upload_id, number, b"ab", checksum_of(b"ab"))
    assert local.parts("f", upload_id) == []


def test_a_part_that_is_being_replaced_does_not_count(local: LocalUploads) -> None:
    upload_id = begin_small(local)
    local.send("f", upload_id, 1, b"ab", checksum_of(b"ab"))
    writer = local.receive("f", upload_id, 1, checksum_of(b"cd"))
    writer.write(b"c")
    assert local.parts("f", upload_id) == []
    with pytest.raises(UnavailableError, match="being written"):
        local.receive("f", upload_id, 2, checksum_of(b"cd"))
    writer.close()
    assert local.parts("f", upload_id) == []
    local.send("f", upload_id, 1, b"ab", checksum_of(b"ab"))
    assert [part.number for part in local.parts("f", upload_id)] == [1]


def test_a_part_that_arrived_while_another_waited_for_its_turn_does_not_count_once_it_is_written_over(
    local: LocalUploads, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    upload_id = local.begin("f", 2, 2).upload_id
    lock = local_uploads._lock

    def first_the_other(file: BinaryIO, path: Path) -> None:
        monkeypatch.setattr(local_uploads, "_lock", lock)
        local.send("f", upload_id, 1, b"ab", checksum_of(b"ab"))
        lock(file, path)

    monkeypatch.setattr(local_uploads, "_lock", first_the_other)
    writer = local.receive("f", upload_id, 1, checksum_of(b"cd"))
    writer.write(b"c")
    writer.close()  # its client has gone
    assert local.parts("f", upload_id) == []
    with pytest.raises(ConflictError):
        local.complete("f", upload_id, 2, [checksum_of(b"ab")])


def test_a_part_that_is_replaced_just_before_the_end_is_not_taken_for_the_one_before(
    local: LocalUploads, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    upload_id = local.begin("f", 2, 2).upload_id
    local.send("f", upload_id, 1, b"ab", checksum_of(b"ab"))
    lock = local_uploads._lock

    def first_the_other(file: BinaryIO, path: Path) -> None:
        monkeypatch.setattr(local_uploads, "_lock", lock)
        local.send("f", upload_id, 1, b"cd", checksum_of(b"cd"))
        lock(file, path)

    monkeypatch.setattr(local_uploads, "_lock", first_the_other)
    with pytest.raises(ConflictError, match="other ones than named"):
        local.complete("f", upload_id, 2, [checksum_of(b"ab")])
    assert not (tmp_path / "root" / "f").exists()


def test_what_uploads_have_sent_is_no_artifact_to_delete(local: LocalUploads, tmp_path: Path) -> None:
    upload_id = begin_small(local)
    local.send("f", upload_id, 1, b"ab", checksum_of(b"ab"))
    LocalArtifactStore(tmp_path / "root").delete(local_uploads.FOLDER)
    assert [part.number for part in local.parts("f", upload_id)] == [1]


def test_a_note_that_a_crash_cut_off_counts_for_nothing(local: LocalUploads, tmp_path: Path) -> None:
    upload_id = begin_small(local)
    local.send("f", upload_id, 1, b"ab", checksum_of(b"ab"))
    notes = next((tmp_path / "root").rglob("*.parts"))
    whole = notes.read_bytes()
    with notes.open("ab") as file:
        file.write(f"\n2 {checksum_of(b'cd')}".encode()[:-3])
    assert [part.number for part in local.parts("f", upload_id)] == [1]
    local.send("f", upload_id, 2, b"cd", checksum_of(b"cd"))
    assert [part.number for part in local.parts("f", upload_id)] == [1, 2]
    notes.write_bytes(whole[:3])
    with pytest.raises(NotFoundError):
        local.parts("f", upload_id)


def test_a_completed_file_is_written_to_no_more(local: LocalUploads, tmp_path: Path) -> None:
    upload_id = local.begin("f", 2, 2).upload_id
    local.send("f", upload_id, 1, b"ab", checksum_of(b"ab"))
    late = next(each for each in (tmp_path / "root").rglob("*") if each.name.endswith(upload_id))
    kept = tmp_path / "kept"
    os.link(late, kept)  # what a request that opened it early holds on to
    local.complete("f", upload_id, 2, [checksum_of(b"ab")])
    with pytest.raises(NotFoundError):
        local.send("f", upload_id, 1, b"cd", checksum_of(b"cd"))
    assert kept.read_bytes() == b"ab"
    assert not [each for each in (tmp_path / "root").rglob("*") if upload_id in each.name]


def test_leftovers_of_a_day_ago_go_when_the_next_upload_begins(tmp_path: Path) -> None:
    now = [0.0]
    local = LocalUploads(LocalArtifactStore(tmp_path / "root"), clock=lambda: now[0])
    old, young = begin_small(local), begin_small(local)
    local.send("f", young, 1, b"ab", checksum_of(b"ab"))
    for file in (tmp_path / "root").rglob(f"*{old}*"):
        os.utime(file, (1, 1))
    begin_small(local)
    assert local.parts("f", old) == []  # looked through once an hour only
    now[0] = 3600
    begin_small(local)
    with pytest.raises(NotFoundError):
        local.parts("f", old)
    assert [part.number for part in local.parts("f", young)] == [1]
