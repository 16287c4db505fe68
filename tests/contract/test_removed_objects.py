"""Removing for ever where artifacts are in an object store, on two S3 servers."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from object_servers import ObjectServer
from slipstream.artifact_store.objects import ObjectArtifactStore
from slipstream.artifact_store.s3_uploads import begin_upload
from slipstream.artifact_store.uri import open_store as open_artifacts
from slipstream.entities import TrashSelection
from slipstream.store import queued_trash
from slipstream.store.engine import open_store
from slipstream.testing.store_contract import unique


@pytest.fixture(scope="module", params=["moto", "nanio"])
def s3(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectServer]:
    server = ObjectServer(request.param, tmp_path_factory.mktemp(request.param))
    with server.using():
        yield server
    server.stop()


@pytest.fixture(scope="module")
def bucket(s3: ObjectServer) -> str:
    return s3.make_bucket()


@pytest.fixture
def root(bucket: str) -> str:
    return f"s3://{bucket}/{unique()}"


@pytest.fixture
def store(root: str, tmp_path: Path) -> Iterator[Any]:
    opened: Any = open_store(f"sqlite:///{tmp_path / 's.db'}", root, durability="normal")
    yield opened
    opened.close()


def new_run(store: Any, files: int = 3) -> tuple[str, Any]:
    info = store.create_run("0").info
    folder = open_artifacts(info.artifact_uri)
    for number in range(files):
        folder.write(f"deep/{number}.bin", [b"x" * 100])
    return info.run_id, folder


def all_paths(root: str) -> list[str]:
    found = open_artifacts(root)
    assert isinstance(found, ObjectArtifactStore)
    return sorted(each.path for each in found.walk(""))


def test_objects_go_with_their_run_and_no_others(store: Any, root: str) -> None:
    gone, _ = new_run(store, 1100)  # more than one request lists or deletes
    stays, _ = new_run(store)
    beside = open_artifacts(root)
    beside.write(f"0/{gone}x/artifacts/f", [b"mine"])  # a name that begins alike
    beside.write(f"0/{gone}/notes.txt", [b"mine"])
    store.delete_run(gone)
    plan = store.remove_trash(TrashSelection(), dry_run=True)
    assert (plan.counts.files, plan.counts.artifact_bytes) == (1100, 110_000)
    token = None
    removed = 0
    while True:
        part = store.remove_trash(TrashSelection(), token)
        removed += part.counts.files
        token = part.token
        if token is None:
            break
    assert removed == 1100
    assert all_paths(root) == sorted(
        [
            f"0/{gone}/notes.txt",
            f"0/{gone}x/artifacts/f",
            *(f"0/{stays}/artifacts/deep/{number}.bin" for number in range(3)),
        ]
    )


def test_another_bucket_is_not_touched(store: Any, s3: ObjectServer) -> None:
    other = f"s3://{s3.make_bucket()}/place"
    experiment = store.create_experiment("elsewhere", other)
    info = store.create_run(experiment).info
    open_artifacts(info.artifact_uri).write("f", [b"mine"])
    store.delete_run(info.run_id)
    part = store.remove_trash(TrashSelection())
    assert part.counts.runs == 0
    assert other in part.kept[0].reason
    assert all_paths(other) == [f"{info.run_id}/artifacts/f"]


def test_orphans_and_uploads_that_were_given_up(
    store: Any, root: str, s3: ObjectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    known, _ = new_run(store)
    place = open_artifacts(root)
    assert isinstance(place, ObjectArtifactStore)
    place.write(f"7/{'a' * 32}/artifacts/f", [b"x" * 10])
    begin_upload(place, f"7/{'b' * 32}/artifacts/big", 2)
    report = store.remove_orphans(dry_run=True)
    # Every upload of moto's began in 2010.
    young = 1 if s3.kind == "moto" else 0
    assert (report.folders, report.known, report.unfinished) == ([], 1, young), "all of it is young"
    monkeypatch.setattr(queued_trash, "ORPHAN_AGE_MS", -60_000)
    report = store.remove_orphans(dry_run=True)
    assert [(each.path, each.files, each.artifact_bytes) for each in report.folders] == [
        (f"7/{'a' * 32}", 1, 10)
    ]
    assert (report.known, report.unfinished) == (1, 1)
    assert store.remove_orphans() == report
    assert all_paths(root) == [f"0/{known}/artifacts/deep/{number}.bin" for number in range(3)]
    report = store.remove_orphans(dry_run=True)
    assert (report.folders, report.unfinished) == ([], 0)
