"""Runs that live on, through a server: what mlflow's own client sees, and what comes through the spool in which order."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import slipstream
from server_process import ServerProcess
from slipstream.client import connect
from slipstream.errors import InvalidParameterError, InvalidStateError, UnavailableError

mlflow: Any = pytest.importorskip("mlflow", reason="the wire tests need mlflow-skinny")

pytestmark = [pytest.mark.slow, pytest.mark.wire]


@pytest.fixture(autouse=True)
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("SLIPSTREAM_SPOOL_FOLDER", str(tmp_path / "spool"))
    monkeypatch.setenv("SLIPSTREAM_DELIVERY_TIMEOUT", "20")
    monkeypatch.setenv("SLIPSTREAM_PATIENCE", "2")
    monkeypatch.setenv("SLIPSTREAM_HTTP_REQUEST_MAX_RETRIES", "1")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.chdir(tmp_path)
    yield tmp_path / "spool"
    slipstream.end_run()
    monkeypatch.setenv("SLIPSTREAM_DELIVERY_TIMEOUT", "0")
    connect.close_all()
    slipstream.set_tracking_uri("")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    folder = tmp_path / "server"
    folder.mkdir()
    server = ServerProcess(folder, "--durability", "normal")
    slipstream.set_tracking_uri(server.url)
    yield server
    server.stop()


@pytest.fixture
def client(server: ServerProcess) -> Any:
    return mlflow.MlflowClient(server.url)


def steps(client: Any, run_id: str, key: str) -> list[int]:
    return [point.step for point in client.get_metric_history(run_id, key)]


def test_mlflows_client_sees_what_counts(client: Any) -> None:
    with slipstream.start_run() as run:
        for step in range(100):
            slipstream.log_metric("loss", float(step), step)
        slipstream.log_metric("late", 1.0, 90)
        slipstream.log_param("lr", 0.1)
    run_id = run.info.run_id
    with slipstream.resume(run_id, from_step=60) as resumed:
        assert resumed.data.metrics == {"loss": 59.0}
        for step in range(60, 70):
            slipstream.log_metric("loss", -float(step), step)
        slipstream.log_param("lr", 0.2)
    found = client.get_run(run_id)
    assert found.data.metrics == {"loss": -69.0}
    assert found.data.params == {"lr": "0.2"}
    assert found.info.status == "FINISHED"
    assert steps(client, run_id, "loss") == [*range(60), *range(60, 70)]
    assert steps(client, run_id, "late") == []
    assert client.search_runs(["0"], "metrics.loss = -69 and params.lr = '0.2'")
    assert not client.search_runs(["0"], "metrics.loss = 99")
    assert not client.search_runs(["0"], "params.lr = '0.1'")
    with pytest.raises(mlflow.exceptions.MlflowException, match="Changing param values is not allowed"):
        client.log_param(run_id, "lr", "0.1")
    assert [each.value for each in slipstream.param_history(run_id)] == ["0.1", "0.2"]
    (branch,) = slipstream.run_branches(run_id)
    old = slipstream.MlflowClient().get_metric_history(run_id, "loss", branch=branch.number)
    assert [point.step for point in old] == list(range(60, 100))
    slipstream.undo_branch(run_id, branch.number)
    assert client.get_run(run_id).data.metrics == {"loss": 99.0, "late": 1.0}
    assert len(steps(client, run_id, "loss")) == 110


def test_a_run_that_is_not_resumed_keeps_mlflows_manner(server: ServerProcess) -> None:
    with slipstream.start_run() as run:
        slipstream.log_param("lr", 0.1)
    with slipstream.start_run(run_id=run.info.run_id):
        with pytest.raises(InvalidParameterError, match="already logged"):
            slipstream.log_param("lr", 0.2)
        slipstream.log_param("lr", 0.2, overwrite=True)
        slipstream.log_params({"lr": 0.3, "new": 1}, overwrite=True)
        with pytest.raises(InvalidStateError, match="already active"):
            slipstream.resume(run.info.run_id, from_step=0)
    assert slipstream.get_run(run.info.run_id).data.params == {"lr": "0.3", "new": "1"}
    assert [each.value for each in slipstream.param_history(run.info.run_id, "lr")] == ["0.1", "0.2", "0.3"]


LOG_AND_DIE = """
import os, signal, sys, slipstream
slipstream.set_tracking_uri(sys.argv[1])
client = slipstream.MlflowClient()
client.log_metric(sys.argv[2], "loss", 0.0, timestamp=1, step=0)
slipstream.flush()
from slipstream.client import connect
store = connect.connect(sys.argv[1]).store
store.shipper._stopping = True  # so that nothing is sent any more, as if the server were away
for step in range(1, 50):
    client.log_metric(sys.argv[2], "loss", float(step), timestamp=step + 1, step=step)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_program_left_comes_before_the_branch(server: ServerProcess, client: Any) -> None:
    run_id = client.create_run("0").info.run_id
    done = subprocess.run(
        [sys.executable, "-c", LOG_AND_DIE, server.url, run_id],
        env=dict(os.environ),
        timeout=60,
        check=False,
    )
    assert done.returncode == -9
    assert len(steps(client, run_id, "loss")) < 50
    with slipstream.resume(run_id, from_step=20):
        slipstream.log_metric("loss", 0.5, 20)
    assert steps(client, run_id, "loss") == list(range(21))
    old = slipstream.MlflowClient().get_metric_history(run_id, "loss", branch=1)
    assert [point.step for point in old] == list(range(20, 50))


def test_nothing_is_branched_while_the_server_is_away(
    server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with slipstream.start_run() as run:
        slipstream.log_metric("loss", 1.0, 1)
        slipstream.flush()
        server.kill()
        monkeypatch.setenv("SLIPSTREAM_DELIVERY_TIMEOUT", "1")
        slipstream.log_metric("loss", 2.0, 2)
        with pytest.raises(UnavailableError, match="cannot be resumed from a step now"):
            slipstream.MlflowClient().branch_run(run.info.run_id, 1)
    server.__init__(tmp_path / "server", "--durability", "normal")  # for the fixture's end


def test_mlflows_client_sees_moved_and_copied_runs(client: Any, tmp_path: Path) -> None:
    source, target = client.create_experiment("source"), client.create_experiment("target")
    slipstream.set_experiment("source")
    with slipstream.start_run(run_name="parent") as parent:
        slipstream.log_metric("m", 1.0, 1)
        slipstream.log_text("hello", "notes/hello.txt")
        with slipstream.start_run(nested=True) as child:
            slipstream.log_text("child", "child.txt")
    slipstream.flush()
    model = client.create_logged_model(source, "net", source_run_id=parent.info.run_id)
    client.create_registered_model("net")
    client.create_model_version("net", parent.info.artifact_uri + "/notes", parent.info.run_id)
    copies = slipstream.copy_runs([parent.info.run_id], experiment_name="target", nested=True)
    assert set(copies) == {parent.info.run_id, child.info.run_id}
    copy = client.get_run(copies[parent.info.run_id])
    assert (copy.info.experiment_id, copy.data.metrics) == (target, {"m": 1.0})
    assert copy.data.tags["slipstream.copied_from"] == parent.info.run_id
    copied_child = client.get_run(copies[child.info.run_id])
    assert copied_child.data.tags["mlflow.parentRunId"] == copy.info.run_id
    path = client.download_artifacts(copy.info.run_id, "notes/hello.txt", str(tmp_path))
    assert Path(path).read_text() == "hello"
    assert [each.path for each in client.list_artifacts(copied_child.info.run_id)] == ["child.txt"]
    assert copy.info.artifact_uri != parent.info.artifact_uri

    assert set(slipstream.move_runs([parent.info.run_id], target, nested=True)) == set(copies)
    assert client.search_runs([source]) == []
    assert len(client.search_runs([target])) == 4
    moved = client.get_run(parent.info.run_id)
    assert moved.info.experiment_id == target
    path = client.download_artifacts(parent.info.run_id, "notes/hello.txt", str(tmp_path))
    assert Path(path).read_text() == "hello"
    assert [each.model_id for each in client.search_logged_models([target])] == [model.model_id]
    version = client.get_model_version("net", "1")
    assert (version.run_id, version.source) == (parent.info.run_id, parent.info.artifact_uri + "/notes")
    client.log_metric(parent.info.run_id, "m", 2.0, step=2)
    assert client.get_run(parent.info.run_id).data.metrics == {"m": 2.0}

    shared = slipstream.copy_runs([parent.info.run_id], source, share_files=True)[parent.info.run_id]
    assert client.get_run(shared).info.artifact_uri == parent.info.artifact_uri
    assert [each.path for each in client.list_artifacts(shared)] == ["notes"]
