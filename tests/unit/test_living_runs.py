"""`resume`, `move_runs`, `copy_runs` and what goes with them, in process, and their commands."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import slipstream
from slipstream import MlflowClient
from slipstream.cli.main import main
from slipstream.client.rest import RestStore
from slipstream.entities import Metric, Param, RunTag
from slipstream.errors import EndpointNotFoundError, InvalidParameterError, InvalidStateError, NotFoundError

pytestmark = pytest.mark.usefixtures("tracking")


def run(*arguments: str, code: int = 0) -> str:
    """Call the command and return what it prints: results, or errors where `code` is not 0."""
    result = CliRunner().invoke(main, list(arguments))
    assert result.exit_code == code, result.output
    return result.stdout if code == 0 else result.stderr


def finished(**tags: str) -> str:
    with slipstream.start_run(tags=tags, nested=True) as made:
        for step in range(10):
            slipstream.log_metric("loss", float(step), step)
        slipstream.log_param("lr", 1)
        slipstream.log_text("text of " + made.info.run_id, "deep/er/note.txt")
    return made.info.run_id


def steps(run_id: str, branch: int | None = None) -> list[int]:
    return [point.step for point in MlflowClient().get_metric_history(run_id, "loss", branch=branch)]


def test_resume_from_a_step() -> None:
    run_id = finished()
    with slipstream.resume(run_id, from_step=4) as run:
        assert run.info.status == "RUNNING"
        assert run.data.metrics == {"loss": 3.0}
        assert slipstream.active_run() is run
        slipstream.log_metric("loss", -1.0, 4)
        assert slipstream.log_param("lr", 2) == 2
        slipstream.log_params({"lr": 3, "depth": 4})
        with pytest.raises(InvalidParameterError, match="already logged"):
            slipstream.log_param("lr", 5, overwrite=False)
    assert slipstream.get_run(run_id).info.status == "FINISHED"
    assert steps(run_id) == [0, 1, 2, 3, 4]
    assert steps(run_id, 1) == [4, 5, 6, 7, 8, 9]
    (branch,) = slipstream.run_branches(run_id)
    assert (branch.number, branch.from_step, branch.latest_metrics[0].value) == (1, 4, 9.0)
    assert [(each.key, each.value) for each in slipstream.param_history(run_id)] == [
        ("depth", "4"),
        ("lr", "1"),
        ("lr", "2"),
        ("lr", "3"),
    ]
    slipstream.undo_branch(run_id, 1)
    assert slipstream.get_run(run_id).data.metrics == {"loss": 9.0}


def test_resume_without_a_step_goes_on_at_the_end() -> None:
    run_id = finished()
    with slipstream.resume(run_id):
        slipstream.log_metric("loss", 10.0, 10)
    assert steps(run_id) == list(range(11))
    assert slipstream.run_branches(run_id) == []


def test_what_cannot_be_resumed_is_not_branched() -> None:
    run_id = finished()
    with slipstream.start_run():
        with pytest.raises(InvalidStateError, match="already active"):
            slipstream.resume(run_id, from_step=0)
        with slipstream.resume(run_id, from_step=9, nested=True):
            pass
    slipstream.set_experiment("another")
    with pytest.raises(InvalidParameterError, match="set_experiment chose"):
        slipstream.resume(run_id, from_step=0)
    assert steps(run_id) == list(range(9))
    slipstream.set_experiment(experiment_id="0")
    with pytest.raises(NotFoundError, match="'acc'"):
        slipstream.resume(run_id, from_step=0, keys=["acc"])
    with pytest.raises(InvalidParameterError, match="list"):
        slipstream.resume(run_id, from_step=0, keys="loss")
    assert slipstream.active_run() is None
    slipstream.delete_run(run_id)
    with pytest.raises(InvalidParameterError, match="deleted"):
        slipstream.resume(run_id, from_step=0)


def test_params_keep_mlflows_manner_unless_told() -> None:
    run_id = finished()
    client = MlflowClient()
    with pytest.raises(InvalidParameterError, match="Changing param values"):
        client.log_param(run_id, "lr", 2)
    assert client.log_param(run_id, "lr", 2, overwrite=True) == 2
    client.overwrite_params(run_id, {"lr": 2.5, "new": None})
    with pytest.raises(InvalidParameterError, match="give a dictionary"):
        client.overwrite_params(run_id, ["lr"])  # pyright: ignore[reportArgumentType]
    assert client.get_run(run_id).data.params == {"lr": "2.5", "new": "None"}
    assert [each.value for each in client.get_param_history(run_id, "lr")] == ["1", "2", "2.5"]


def test_in_a_resumed_run_all_ways_change_params() -> None:
    run_id, other = finished(), finished()
    client = MlflowClient()
    in_batch = lambda value, **options: client.log_batch(  # noqa: E731
        run_id, [Metric("m", 1.0, 1, 1)], [Param("lr", value)], [RunTag("t", value)], **options
    )
    with pytest.raises(InvalidParameterError, match="Changing param values"):
        in_batch("2")
    slipstream.resume(run_id)
    in_batch("2")
    thread = threading.Thread(target=lambda: client.log_param(run_id, "lr", 3))
    thread.start()
    thread.join()
    slipstream.log_param("lr", 4)
    slipstream.log_params({"lr": 5})
    with pytest.raises(InvalidParameterError, match="Changing param values"):
        in_batch("6", overwrite=False)
    with pytest.raises(InvalidParameterError, match="Duplicate"):
        client.log_batch(run_id, [Metric("bad", 1.0, 1, 1)], [Param("lr", "7"), Param("lr", "8")])
    assert "bad" not in client.get_run(run_id).data.metrics, "none of it is stored"
    with pytest.raises(InvalidParameterError, match="Changing param values"):
        client.log_batch(other, params=[Param("lr", "2")])
    slipstream.end_run()
    with pytest.raises(InvalidParameterError, match="Changing param values"):
        client.log_param(run_id, "lr", 6)
    in_batch("6", overwrite=True)
    assert [each.value for each in client.get_param_history(run_id, "lr")] == ["1", "2", "3", "4", "5", "6"]
    assert client.get_run(run_id).data.tags["t"] == "6"


def test_copies_have_files_of_their_own() -> None:
    parent = finished()
    child = finished(**{"mlflow.parentRunId": parent})
    grandchild = finished(**{"mlflow.parentRunId": child})
    target = slipstream.create_experiment("target")
    assert set(slipstream.copy_runs([parent], target)) == {parent}
    copies = slipstream.copy_runs([parent], experiment_name="target", nested=True)
    assert set(copies) == {parent, child, grandchild}
    for source, copy in copies.items():
        uri = slipstream.get_run(copy).info.artifact_uri
        assert uri != slipstream.get_run(source).info.artifact_uri
        path = slipstream.artifacts.download_artifacts(run_id=copy, artifact_path="deep/er/note.txt")
        assert Path(path).read_text() == "text of " + source
        assert MlflowClient().get_run(copy).data.tags["slipstream.copied_from"] == source
    of_grandchild = slipstream.get_run(copies[grandchild])
    assert of_grandchild.data.tags["mlflow.parentRunId"] == copies[child]
    shared = slipstream.copy_runs([parent], target, share_files=True)[parent]
    assert slipstream.get_run(shared).info.artifact_uri == slipstream.get_run(parent).info.artifact_uri


def test_runs_below_move_when_that_is_said() -> None:
    parent = finished()
    child = finished(**{"mlflow.parentRunId": parent})
    target = slipstream.create_experiment("target")
    assert slipstream.move_runs([parent], target) == [parent]
    assert slipstream.get_run(child).info.experiment_id == "0"
    assert slipstream.move_runs([parent], "0") == [parent]
    assert slipstream.move_runs([parent], experiment_name="target", nested=True) == [parent, child]
    assert slipstream.move_runs([parent, child], target) == []


def test_many_runs_below_are_not_looked_for_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    client = MlflowClient()
    store: Any = client.connection.store
    below = lambda parent: client.create_run("0", tags={"mlflow.parentRunId": parent}).info.run_id  # noqa: E731
    top = client.create_run("0").info.run_id
    children = [below(top) for _ in range(12)]
    grandchildren = [below(child) for child in children]
    wanted = {top, *children, *grandchildren, below(grandchildren[0])}
    client.set_tag(top, "mlflow.parentRunId", children[0])  # whoever made a circle
    client.create_run("0", tags={"mlflow.parentRunId": "of another"})
    asked: list[str] = []
    real = store.search_runs

    def search(ids: Any, text: str, *rest: Any) -> Any:
        asked.append(text)
        return real(ids, text, *rest)

    monkeypatch.setattr(store, "search_runs", search, raising=False)
    moved = client.move_runs([top], slipstream.create_experiment("target"), nested=True)
    assert set(moved) == wanted
    assert len(asked) == 2


def test_a_model_of_a_moved_run_is_found_by_its_run() -> None:
    run_id = finished()
    client = MlflowClient()
    model = client.create_logged_model("0", "net", source_run_id=run_id)
    folder = Path(model.artifact_location)
    folder.mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {}")
    target = slipstream.create_experiment("target")
    slipstream.move_runs([run_id], target)
    path = slipstream.artifacts.download_artifacts(artifact_uri=f"runs:/{run_id}/net")
    assert Path(path, "MLmodel").read_text() == "flavors: {}"


def test_a_model_is_found_by_a_copy_of_its_run() -> None:
    run_id = finished()
    client = MlflowClient()
    model = client.create_logged_model("0", "net", source_run_id=run_id)
    folder = Path(model.artifact_location)
    folder.mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {}")
    archive = slipstream.create_experiment("archive")
    (copy,) = slipstream.copy_runs([run_id], archive).values()
    assert [each.model_id for each in slipstream.get_run(copy).outputs.model_outputs] == [model.model_id]
    for uri in (f"runs:/{copy}/net", f"models:/{model.model_id}"):
        assert Path(slipstream.artifacts.download_artifacts(artifact_uri=uri), "MLmodel").is_file()
    # The original, its model and all go to the trash, which is emptied: the copy keeps the model.
    client.delete_logged_model(model.model_id)
    client.delete_run(run_id)
    told = run("gc", "--older-than", "0s", "--yes")
    assert copy in told
    assert Path(folder, "MLmodel").is_file()
    slipstream.trash.restore_logged_model(model.model_id)
    assert slipstream.artifacts.download_artifacts(artifact_uri=f"runs:/{copy}/net")


def test_where_to_has_to_be_said_once_and_to_exist() -> None:
    run_id = finished()
    for function in (slipstream.move_runs, slipstream.copy_runs):
        with pytest.raises(InvalidParameterError, match="either"):
            function([run_id])
        with pytest.raises(InvalidParameterError, match="either"):
            function([run_id], "0", experiment_name="Default")
        with pytest.raises(NotFoundError, match="nowhere"):
            function([run_id], experiment_name="nowhere")
        with pytest.raises(InvalidParameterError, match="list"):
            function(run_id, "0")
    gone = slipstream.create_experiment("gone")
    slipstream.delete_experiment(gone)
    with pytest.raises(InvalidParameterError, match="active"):
        slipstream.copy_runs([run_id], gone)
    assert len(slipstream.search_runs(["0"], output_format="list")) == 1


def test_commands() -> None:
    parent = finished()
    child = finished(**{"mlflow.parentRunId": parent})
    target = slipstream.create_experiment("target")
    source, copy = run("runs", "copy", "--run-id", parent, "--experiment-id", target).split()
    assert source == parent
    assert slipstream.get_run(copy).info.experiment_id == target
    shared = run("runs", "copy", "--run-id", parent, "--experiment-name", "target", "--share-files").split()
    assert slipstream.get_run(shared[1]).info.artifact_uri == slipstream.get_run(parent).info.artifact_uri
    moved = run("runs", "move", "--run-id", parent, "--experiment-name", "target", "--nested")
    assert moved.split() == [parent, child]
    assert "either" in run("runs", "move", "--run-id", parent, code=1)
    slipstream.resume(parent, from_step=3)
    slipstream.end_run()
    listed = run("runs", "branches", "--run-id", parent)
    assert "From step" in listed
    assert "loss" in listed
    run("runs", "undo-branch", "--run-id", parent, "--branch", "1")
    assert steps(parent) == list(range(10))


def test_mlflows_servers_get_params_of_resumed_runs_as_they_know_them() -> None:
    asked: list[tuple[str, Any]] = []

    class MlflowsServer:
        def call(self, method: str, path: str, *, query: Any = (), body: bytes | None = None) -> bytes:
            if "slipstream" in path:
                raise EndpointNotFoundError(f"no {method} {path} {query}")
            asked.append((path, json.loads(body or b"{}")))
            return b"{}"

    store: Any = RestStore(MlflowsServer())  # pyright: ignore[reportArgumentType]
    store.overwrite_params("0" * 32, [Param("lr", "1")])
    (body,) = [body for path, body in asked if path.endswith("runs/log-batch")]
    assert body["params"] == [{"key": "lr", "value": "1"}]
