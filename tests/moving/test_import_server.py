"""Imports over HTTP, from slipstream's server and from a real MLflow server."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import mlflow_server
from mlflow_museum import ROOT, VERSIONS, differences, read, unpack
from server_process import ServerProcess
from slipstream.entities import Metric
from slipstream.errors import ConnectionFailedError
from slipstream.moving.importing import ImportOptions, run_import
from slipstream.moving.report import Report
from slipstream.moving.sources import tracking_server
from slipstream.store.engine import open_store

pytestmark = pytest.mark.slow


def take(source: Path | str, into: Path, **options: Any) -> Report:
    report = Report()
    run_import(ImportOptions(source=str(source), into=f"sqlite:///{into}", **options), report)
    return report


def content(path: Path) -> dict[str, Any]:
    store: Any = open_store(f"sqlite:///{path}", "mlflow-artifacts:/")
    try:
        found = read(store)
    finally:
        store.close()
    for field in ("created", "updated", "location"):
        del found["experiments"]["Default"][field]
    return found


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    folder = tmp_path / "server"
    folder.mkdir()
    assert not take(unpack(VERSIONS[-1], "mlflow.db", tmp_path), folder / "server.db").problems
    process = ServerProcess(folder)
    yield process
    process.stop()


def test_all_that_a_server_tells_is_taken(
    server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tracking_server, "_POINTS", 100)
    report = take(server.url, tmp_path / "here.db")
    assert report.finished
    assert not report.problems
    assert report.taken["runs"] == 13
    assert report.taken["logged models"] == 2, "the deleted one is not told"
    assert "logged models that were deleted" in "\n".join(report.notes)
    assert list(differences(content(server.folder / "server.db"), content(tmp_path / "here.db"))) == []
    assert not take(server.url, tmp_path / "here.db").changed


def test_files_come_through_the_server(server: ServerProcess, tmp_path: Path) -> None:
    import slipstream

    client = slipstream.SlipstreamClient(server.url)
    run = client.create_run(client.create_experiment("files"))
    (tmp_path / "notes ü.txt").write_text("read me")
    client.log_artifact(run.info.run_id, str(tmp_path / "notes ü.txt"), "docs")
    report = take(server.url, tmp_path / "here.db", copy_artifacts=True, experiments=["files"])
    assert report.taken["files"] == 1
    assert not report.problems
    copied = next((tmp_path / "slipstream-artifacts").rglob("notes*"))
    assert copied.read_text() == "read me"
    assert copied.parent.name == "docs"


def test_copied_files_are_handed_out_by_the_server_of_the_store(tmp_path: Path) -> None:
    import slipstream

    source = unpack(VERSIONS[-1], "mlruns", tmp_path)
    run = next(path.parent for path in sorted(source.glob("[0-9]*/*/params/rate"))).parent
    (run / "artifacts" / "model").mkdir(parents=True)
    (run / "artifacts" / "model" / "weights.bin").write_bytes(b"w" * 3_000_000)
    folder = tmp_path / "server"
    folder.mkdir()
    report = take(
        source,
        folder / "server.db",
        copy_artifacts=True,
        artifact_root="mlflow-artifacts:/",
        artifacts_destination=str(folder / "artifacts"),
    )
    assert report.taken["files"] == 1
    server = ServerProcess(folder)
    try:
        client = slipstream.SlipstreamClient(server.url)
        assert client.get_run(run.name).info.artifact_uri.startswith("mlflow-artifacts:/")
        assert [each.path for each in client.list_artifacts(run.name, "model")] == ["model/weights.bin"]
        found = client.download_artifacts(run.name, "model/weights.bin", str(tmp_path))
        assert Path(found).read_bytes() == b"w" * 3_000_000
    finally:
        server.stop()


def test_a_server_that_is_away_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPSTREAM_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(ConnectionFailedError, match="127.0.0.1:1"):
        take("http://127.0.0.1:1", tmp_path / "here.db")
    assert not (tmp_path / "here.db").exists()


def test_what_arrives_while_it_is_read_comes_with_the_next_import(
    server: ServerProcess, tmp_path: Path
) -> None:
    import slipstream

    take(server.url, tmp_path / "here.db")
    client = slipstream.SlipstreamClient(server.url)
    run = client.create_run("0")
    client.log_batch(run.info.run_id, [Metric("loss", 0.5, 1, step) for step in range(3)])
    assert slipstream.flush()
    report = take(server.url, tmp_path / "here.db")
    assert report.taken["runs"] == 1
    assert report.taken["metric points"] == 3


@pytest.mark.wire
def test_all_that_a_real_mlflow_server_tells_is_taken(tmp_path: Path) -> None:
    if (reason := mlflow_server.why_not()) is not None:
        pytest.skip(reason)
    folder = tmp_path / "there"
    folder.mkdir()
    made = [
        str(mlflow_server.PYTHON),
        str(ROOT / "tools" / "make_mlflow_source.py"),
        f"sqlite:///{folder}/mlflow.db",
        "12",
    ]
    subprocess.run(made, cwd=folder, capture_output=True, check=True)
    shutil.copy(folder / "mlflow.db", tmp_path / "still.db")
    with mlflow_server.running(folder) as url:
        report = take(url, tmp_path / "here.db")
        assert not report.problems
        assert not take(url, tmp_path / "here.db").changed
    take(tmp_path / "still.db", tmp_path / "straight.db")
    assert list(differences(content(tmp_path / "straight.db"), content(tmp_path / "here.db"))) == []
