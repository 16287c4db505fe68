"""The fluent API: active runs, what is logged to them, experiments, inputs and outputs."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import slipstream
from slipstream.entities import LoggedModelInput, LoggedModelOutput
from slipstream.errors import InvalidParameterError, InvalidStateError, NotFoundError

pytestmark = pytest.mark.usefixtures("tracking")


# -- runs -------------------------------------------------------------------------------------------


def test_run_ends_finished_with_its_block() -> None:
    with slipstream.start_run(run_name="first", tags={"k": 1}, description="text") as run:
        assert slipstream.active_run() is run
        assert slipstream.get_run(run.info.run_id).info.status == "RUNNING"

    assert slipstream.active_run() is None
    stored = slipstream.get_run(run.info.run_id)
    assert stored.info.status == "FINISHED"
    assert stored.info.run_name == "first"
    assert stored.info.end_time is not None
    assert stored.info.end_time >= stored.info.start_time
    assert stored.data.tags["k"] == "1"
    assert stored.data.tags["mlflow.note.content"] == "text"
    assert stored.data.tags["mlflow.source.type"] == "LOCAL"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_run_whose_block_raises_is_failed(error: type[BaseException]) -> None:
    with pytest.raises(error), slipstream.start_run() as run:
        raise error

    assert slipstream.get_run(run.info.run_id).info.status == "FAILED"


def test_end_run_takes_a_status_and_is_harmless_without_a_run() -> None:
    run = slipstream.start_run()
    slipstream.end_run("KILLED")
    slipstream.end_run()

    assert slipstream.get_run(run.info.run_id).info.status == "KILLED"


def test_unknown_status_names_the_known_ones() -> None:
    slipstream.start_run()

    with pytest.raises(InvalidParameterError, match="DONE.*FINISHED"):
        slipstream.end_run("DONE")


def test_run_stays_active_when_its_status_is_unknown() -> None:
    run = slipstream.start_run()
    with pytest.raises(InvalidParameterError, match="BOGUS"):
        slipstream.end_run("BOGUS")
    active = slipstream.active_run()
    assert active is not None
    assert active.info.run_id == run.info.run_id
    slipstream.end_run("KILLED")
    assert slipstream.get_run(run.info.run_id).info.status == "KILLED"


@pytest.mark.parametrize(
    ("field", "call"),
    [
        ("params", lambda: slipstream.log_params([("a", 1)])),  # pyright: ignore[reportArgumentType]
        ("metrics", lambda: slipstream.log_metrics(["a"])),  # pyright: ignore[reportArgumentType]
        ("tags", lambda: slipstream.set_tags(None)),  # pyright: ignore[reportArgumentType]
        ("tags", lambda: slipstream.start_run(tags=[1], nested=True)),  # pyright: ignore[reportArgumentType]
        ("artifact_file", lambda: slipstream.log_text("a", None)),  # pyright: ignore[reportArgumentType]
        ("artifact_file", lambda: slipstream.log_dict({}, 5)),  # pyright: ignore[reportArgumentType]
        ("text", lambda: slipstream.log_text(5, "a.txt")),  # pyright: ignore[reportArgumentType]
        ("text", lambda: slipstream.log_text("\ud800", "a.txt")),
        ("a.yaml", lambda: slipstream.log_dict({"a": object()}, "a.yaml")),
        ("max_results", lambda: slipstream.search_runs(max_results="5")),  # pyright: ignore[reportArgumentType]
        ("is 20000 characters long", lambda: slipstream.start_run(run_name="x" * 20_000, nested=True)),
    ],
)
def test_wrong_argument_is_named(field: str, call: Callable[[], object]) -> None:
    with slipstream.start_run(), pytest.raises(InvalidParameterError, match=field):
        call()


def test_runs_are_searched_by_a_number() -> None:
    number = slipstream.create_experiment("other")
    with slipstream.start_run(experiment_id=number) as run:
        found = slipstream.search_runs(experiment_ids=int(number), output_format="list")  # pyright: ignore[reportArgumentType]
    assert [each.info.run_id for each in found] == [run.info.run_id]


def test_second_run_must_be_nested() -> None:
    with slipstream.start_run() as outer:
        with pytest.raises(InvalidStateError, match=rf"{outer.info.run_id} is already active.*nested=True"):
            slipstream.start_run()
        with slipstream.start_run(nested=True) as inner:
            slipstream.log_param("depth", 1)
        slipstream.log_param("depth", 0)

    assert slipstream.get_run(inner.info.run_id).data.params == {"depth": "1"}
    assert slipstream.get_run(outer.info.run_id).data.params == {"depth": "0"}
    parent = slipstream.get_parent_run(inner.info.run_id)
    assert parent is not None
    assert parent.info.run_id == outer.info.run_id
    assert slipstream.get_parent_run(outer.info.run_id) is None


def test_parent_may_be_any_run_when_none_is_active() -> None:
    with slipstream.start_run() as parent:
        pass
    with (
        slipstream.start_run(parent_run_id=parent.info.run_id) as child,
        pytest.raises(InvalidParameterError, match="does not match the specified parent_run_id"),
    ):
        slipstream.start_run(nested=True, parent_run_id=parent.info.run_id)

    assert child.data.tags["mlflow.parentRunId"] == parent.info.run_id


def test_run_is_resumed_by_id() -> None:
    with slipstream.start_run() as run:
        slipstream.log_param("a", 1)
    with slipstream.start_run(run_id=run.info.run_id, tags={"again": "yes"}) as resumed:
        assert slipstream.get_run(run.info.run_id).info.status == "RUNNING"
        slipstream.log_param("b", 2)

    assert resumed.info.run_id == run.info.run_id
    stored = slipstream.get_run(run.info.run_id)
    assert stored.info.status == "FINISHED"
    assert stored.data.params == {"a": "1", "b": "2"}
    assert stored.data.tags["again"] == "yes"


@pytest.mark.parametrize("name", ["SLIPSTREAM_RUN_ID", "MLFLOW_RUN_ID"])
def test_run_is_resumed_by_environment_once(name: str) -> None:
    with slipstream.start_run() as run:
        pass
    os.environ[name] = run.info.run_id
    with slipstream.start_run() as resumed:
        pass
    with slipstream.start_run() as fresh:
        pass

    assert resumed.info.run_id == run.info.run_id
    assert fresh.info.run_id != run.info.run_id


def test_deleted_run_is_not_resumed() -> None:
    with slipstream.start_run() as run:
        pass
    slipstream.delete_run(run.info.run_id)

    with pytest.raises(InvalidParameterError, match="deleted state"):
        slipstream.start_run(run_id=run.info.run_id)
    slipstream.restore_run(run.info.run_id)
    with slipstream.start_run(run_id=run.info.run_id):
        pass


def test_run_of_another_experiment_is_not_resumed() -> None:
    with slipstream.start_run() as run:
        pass
    slipstream.set_experiment("other")

    with pytest.raises(InvalidParameterError, match="set_experiment chose"):
        slipstream.start_run(run_id=run.info.run_id)


def test_each_thread_has_its_own_active_run() -> None:
    seen: list[object] = []

    def work() -> None:
        seen.append(slipstream.active_run())
        with slipstream.start_run() as run:
            slipstream.log_param("thread", "second")
            seen.append(run.info.run_id)

    with slipstream.start_run() as main:
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert slipstream.active_run() is main

    assert seen[0] is None
    assert seen[1] != main.info.run_id
    assert "thread" not in slipstream.get_run(main.info.run_id).data.params


def test_last_active_run_has_what_was_logged() -> None:
    assert slipstream.last_active_run() is None
    with slipstream.start_run() as run:
        slipstream.log_metric("m", 1)

    last = slipstream.last_active_run()
    assert last is not None
    assert last.info.run_id == run.info.run_id
    assert last.data.metrics == {"m": 1.0}


def test_run_left_open_is_ended_at_exit(tracking: str) -> None:
    script = "import slipstream; print(slipstream.start_run().info.run_id); slipstream.start_run(nested=True)"
    environment = {**os.environ, "SLIPSTREAM_TRACKING_URI": tracking}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment
    )

    assert done.stderr == ""
    runs = slipstream.search_runs(output_format="list")
    assert [run.info.status for run in runs] == ["FINISHED", "FINISHED"]
    assert done.stdout.strip() in {run.info.run_id for run in runs}


# -- params, metrics, tags --------------------------------------------------------------------------


def test_logging_starts_a_run() -> None:
    assert slipstream.log_param("lr", 0.1) == 0.1

    run = slipstream.active_run()
    assert run is not None
    slipstream.end_run()
    assert slipstream.get_run(run.info.run_id).data.params == {"lr": "0.1"}


def test_values_are_converted() -> None:
    with slipstream.start_run() as run:
        slipstream.log_params({"b": True, "n": None, "l": [1, 2]})
        slipstream.log_metrics(
            {"int": 4, "f32": np.float32(0.1), "array": np.array([3]), "text": "1.5"}, step=2
        )
        slipstream.set_tags({"t": 1})
        slipstream.set_tag("u", True)

    data = slipstream.get_run(run.info.run_id).data
    assert data.params == {"b": "True", "n": "None", "l": "[1, 2]"}
    assert data.metrics == {"int": 4.0, "f32": float(np.float32(0.1)), "array": 3.0, "text": 1.5}
    assert {point.step for point in data.latest_metrics} == {2}
    assert (data.tags["t"], data.tags["u"]) == ("1", "True")


@pytest.mark.parametrize("value", ["abc", np.array([1, 2]), None, object(), 10**400])
def test_what_is_no_number_is_no_metric(value: object) -> None:
    slipstream.start_run()

    with pytest.raises(InvalidParameterError, match="metric 'loss'"):
        slipstream.log_metric("loss", value)


def test_metric_has_step_and_time() -> None:
    with slipstream.start_run() as run:
        slipstream.log_metric("m", 1.0)
        slipstream.log_metric("m", 2.0, step=5, timestamp=1234)

    points = slipstream.SlipstreamClient().get_metric_history(run.info.run_id, "m")
    assert [(p.value, p.step) for p in points] == [(2.0, 5), (1.0, 0)]
    assert points[0].timestamp == 1234
    assert points[1].timestamp >= run.info.start_time


def test_logging_by_run_id_starts_nothing() -> None:
    with slipstream.start_run() as run:
        pass
    slipstream.log_metric("m", 1, run_id=run.info.run_id)
    slipstream.log_params({"p": 1}, run_id=run.info.run_id)
    slipstream.log_text("x", "x.txt", run_id=run.info.run_id)

    assert slipstream.active_run() is None
    assert slipstream.get_run(run.info.run_id).data.metrics == {"m": 1.0}


def test_param_cannot_change() -> None:
    with slipstream.start_run():
        slipstream.log_param("a", 1)
        with pytest.raises(InvalidParameterError, match="'a'"):
            slipstream.log_param("a", 2)


def test_tag_can_be_deleted() -> None:
    with slipstream.start_run() as run:
        slipstream.set_tag("k", "v")
        slipstream.delete_tag("k")
        with pytest.raises(NotFoundError):
            slipstream.delete_tag("k")

    assert "k" not in slipstream.get_run(run.info.run_id).data.tags


# -- experiments ------------------------------------------------------------------------------------


def test_set_experiment_creates_once_and_receives_runs() -> None:
    experiment = slipstream.set_experiment("vision")

    assert slipstream.set_experiment("vision").experiment_id == experiment.experiment_id
    assert slipstream.set_experiment(experiment_id=experiment.experiment_id).name == "vision"
    with slipstream.start_run() as run:
        pass
    assert run.info.experiment_id == experiment.experiment_id
    assert run.info.artifact_uri.startswith(experiment.artifact_location)


def test_default_experiment_is_zero() -> None:
    with slipstream.start_run() as run:
        pass

    assert run.info.experiment_id == "0"


@pytest.mark.parametrize("arguments", [{}, {"experiment_name": "a", "experiment_id": "0"}])
def test_set_experiment_wants_one_of_name_and_id(arguments: dict[str, str]) -> None:
    with pytest.raises(InvalidParameterError, match="exactly one"):
        slipstream.set_experiment(**arguments)


def test_deleted_experiment_cannot_be_set() -> None:
    experiment_id = slipstream.create_experiment("old")
    slipstream.delete_experiment(experiment_id)

    with pytest.raises(InvalidParameterError, match="deleted experiment 'old'"):
        slipstream.set_experiment("old")
    slipstream.restore_experiment(experiment_id)
    assert slipstream.set_experiment("old").experiment_id == experiment_id


def test_environment_names_the_experiment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "from-env")
    with slipstream.start_run() as run:
        pass
    found = slipstream.get_experiment_by_name("from-env")
    assert found is not None
    assert run.info.experiment_id == found.experiment_id

    monkeypatch.setenv("SLIPSTREAM_EXPERIMENT_ID", "0")
    with pytest.raises(InvalidParameterError, match="is not the experiment of"):
        slipstream.start_run()


def test_environment_with_unknown_id_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "4711")

    with pytest.raises(InvalidParameterError, match="4711 does not exist on sqlite"):
        slipstream.start_run()


def test_experiment_does_not_follow_to_another_address(tmp_path: Path) -> None:
    slipstream.set_experiment("here")
    slipstream.set_tracking_uri(f"sqlite:///{tmp_path}/other.db")
    with slipstream.start_run() as run:
        pass

    assert run.info.experiment_id == "0"


def test_experiment_tags() -> None:
    experiment = slipstream.set_experiment("tagged")
    slipstream.set_experiment_tags({"a": 1, "b": 2})
    slipstream.delete_experiment_tag("a")

    assert slipstream.get_experiment(experiment.experiment_id).tags == {"b": "2"}


def test_search_experiments_stops_at_the_limit() -> None:
    for name in "abc":
        slipstream.create_experiment(name)

    assert {e.name for e in slipstream.search_experiments()} == {"Default", "a", "b", "c"}
    assert len(slipstream.search_experiments(max_results=2)) == 2


# -- inputs, outputs, models ------------------------------------------------------------------------


def test_dataset_is_an_input_with_context() -> None:
    dataset = slipstream.data.from_numpy(np.arange(6).reshape(3, 2), targets=np.ones(3), name="six")
    with slipstream.start_run() as run:
        slipstream.log_input(dataset, context="training", tags={"k": "v"})

    (entry,) = slipstream.get_run(run.info.run_id).inputs.dataset_inputs
    assert (entry.dataset.name, entry.dataset.digest) == ("six", dataset.digest)
    assert {tag.key: tag.value for tag in entry.tags} == {"k": "v", "mlflow.data.context": "training"}
    assert json.loads(str(entry.dataset.profile))["features_shape"] == [3, 2]


def test_lists_of_inputs_must_be_equally_long() -> None:
    slipstream.start_run()

    with pytest.raises(InvalidParameterError, match="same length"):
        slipstream.log_inputs(datasets=[slipstream.data.from_numpy(np.ones(1))], contexts=[], tags_list=[])


def test_metric_links_dataset_and_model_once() -> None:
    dataset = slipstream.data.from_numpy(np.arange(3))
    with slipstream.start_run() as run:
        model = slipstream.initialize_logged_model("net")
        slipstream.log_metric("loss", 0.5, model_id=model.model_id, dataset=dataset)
        slipstream.log_metric("loss", 0.4, step=1, model_id=model.model_id, dataset=dataset)

    inputs = slipstream.get_run(run.info.run_id).inputs
    assert [each.dataset.digest for each in inputs.dataset_inputs] == [dataset.digest]
    assert inputs.model_inputs == [LoggedModelInput(model.model_id)]
    points = slipstream.get_logged_model(model.model_id).metrics
    assert {(p.value, p.dataset_digest) for p in points} >= {(0.4, dataset.digest)}


def test_metric_of_a_models_step_goes_to_the_model() -> None:
    with slipstream.start_run():
        model = slipstream.initialize_logged_model("checkpoint")
        slipstream.log_outputs([LoggedModelOutput(model.model_id, step=3)])
        slipstream.log_metric("acc", 0.9, step=3)
        slipstream.log_metric("acc", 0.8, step=2)

    assert [p.value for p in slipstream.get_logged_model(model.model_id).metrics] == [0.9]


def test_active_model_receives_metrics() -> None:
    with slipstream.set_active_model(name="external") as model:
        assert slipstream.get_active_model_id() == model.model_id
        with slipstream.start_run():
            slipstream.log_metric("m", 1)
    assert slipstream.get_active_model_id() is None

    assert model.status == "READY"
    assert [p.value for p in slipstream.get_logged_model(model.model_id).metrics] == [1.0]
    assert slipstream.set_active_model(name="external").model_id == model.model_id
    slipstream.clear_active_model()


def test_logged_model_belongs_to_run_and_experiment() -> None:
    experiment = slipstream.set_experiment("models")
    with slipstream.start_run() as run:
        model = slipstream.initialize_logged_model("m", params={"depth": 2}, tags={"t": 1}, model_type="tree")
    slipstream.log_model_params({"more": 1}, model.model_id)
    slipstream.set_logged_model_tags(model.model_id, {"u": 2})
    ready = slipstream.finalize_logged_model(model.model_id, "READY")

    assert (ready.source_run_id, ready.experiment_id) == (run.info.run_id, experiment.experiment_id)
    assert (ready.params, ready.model_type) == ({"depth": "2", "more": "1"}, "tree")
    assert (ready.tags["t"], ready.tags["u"], ready.status) == ("1", "2", "READY")
    last = slipstream.last_logged_model()
    assert last is not None
    assert last.model_id == model.model_id
    frame = slipstream.search_logged_models()
    assert list(frame["model_id"]) == [model.model_id]
    assert list(frame["status"]) == ["READY"]


def test_register_model_of_a_run(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "MLmodel").write_text("flavors: {}\n")
    with slipstream.start_run() as run:
        slipstream.log_artifacts(tmp_path / "model", "old-style")
        logged = slipstream.initialize_logged_model("new-style")
        slipstream.SlipstreamClient().log_model_artifacts(logged.model_id, tmp_path / "model")
        slipstream.finalize_logged_model(logged.model_id, "READY")

    first = slipstream.register_model(f"runs:/{run.info.run_id}/old-style", "reg", tags={"a": 1})
    second = slipstream.register_model(f"runs:/{run.info.run_id}/new-style", "reg")
    third = slipstream.register_model(f"models:/{logged.model_id}", "reg")
    with pytest.raises(NotFoundError, match="no model at 'nothing'"):
        slipstream.register_model(f"runs:/{run.info.run_id}/nothing", "reg")

    assert [each.version for each in (first, second, third)] == ["1", "2", "3"]
    assert first.source == f"{run.info.artifact_uri}/old-style"
    assert first.tags == {"a": "1"}
    assert second.source == third.source == f"models:/{logged.model_id}"
    assert len(slipstream.search_model_versions()) == 3
    assert [model.name for model in slipstream.search_registered_models()] == ["reg"]


def test_register_model_of_a_folder_copies_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "saved"
    folder.mkdir()
    (folder / "MLmodel").write_text("flavors: {}\n")
    monkeypatch.chdir(tmp_path)

    with slipstream.start_run() as run:
        first = slipstream.register_model("saved", "reg")
    second = slipstream.register_model(folder.as_uri(), "reg")
    (folder / "MLmodel").write_text("changed afterwards")

    model = slipstream.get_logged_model(first.source.removeprefix("models:/"))
    assert (first.version, first.run_id, model.name) == ("1", run.info.run_id, "reg")
    assert (second.version, second.run_id) == ("2", "")
    for version in ("1", "2"):
        text = slipstream.artifacts.load_text(f"models:/reg/{version}/MLmodel")
        assert text == "flavors: {}\n"


def test_register_model_of_a_folder_without_a_model_creates_nothing(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameterError, match="no MLmodel file"):
        slipstream.register_model(str(tmp_path), "reg")
    assert slipstream.search_registered_models() == []
    assert slipstream.search_logged_models(output_format="list") == []
