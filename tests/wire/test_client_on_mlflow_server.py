"""slipstream's client and fluent functions on a real MLflow server, which MLFLOW_PYTHON has to name."""

import json
import math
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import mlflow_server
import slipstream
from slipstream.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    LoggedModelOutput,
    Metric,
    Param,
    RunTag,
    ViewType,
)
from slipstream.errors import AlreadyExistsError, InvalidParameterError, NotFoundError

pytestmark = [pytest.mark.slow, pytest.mark.wire]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of a fresh MLflow server that hands artifacts through."""
    if (reason := mlflow_server.why_not()) is not None:
        pytest.skip(reason)
    with mlflow_server.running(tmp_path_factory.mktemp("mlflow")) as url:
        yield url


@pytest.fixture
def client(address: str) -> slipstream.SlipstreamClient:
    return slipstream.SlipstreamClient(address)


@pytest.fixture
def fluent(address: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """The server is the current one, and an experiment of the test's name is active."""
    slipstream.set_tracking_uri(address)
    experiment = slipstream.set_experiment(request.node.name)
    yield experiment.experiment_id
    slipstream.set_tracking_uri("")


@pytest.fixture
def experiment(client: slipstream.SlipstreamClient, request: pytest.FixtureRequest) -> str:
    return client.create_experiment(request.node.name, tags={"team": "vision"})


def test_experiments(client: slipstream.SlipstreamClient, experiment: str) -> None:
    assert client.get_experiment(experiment).tags["team"] == "vision"
    client.set_experiment_tag(experiment, "a", "ä ☃")
    client.rename_experiment(experiment, "renamed")
    found = client.get_experiment_by_name("renamed")
    assert found is not None
    assert (found.experiment_id, found.tags["a"]) == (experiment, "ä ☃")
    assert [each.name for each in client.search_experiments(filter_string="name = 'renamed'")] == ["renamed"]
    assert client.get_experiment_by_name("no such") is None
    with pytest.raises(AlreadyExistsError):
        client.create_experiment("renamed")
    client.delete_experiment(experiment)
    assert client.get_experiment(experiment).lifecycle_stage == "deleted"
    client.restore_experiment(experiment)
    assert client.get_experiment(experiment).lifecycle_stage == "active"
    with pytest.raises(NotFoundError):
        client.get_experiment("987654")


def test_history(fluent: str) -> None:
    with slipstream.start_run() as run:
        points = [Metric("batch", float(step), 1_000 + step, step) for step in range(2500)]
        slipstream.SlipstreamClient().log_batch(run.info.run_id, points)
        slipstream.log_metric("odd", math.nan)
    frame = slipstream.history(run, ["batch", "odd"], max_points=5)
    assert frame["step"].tolist() == [0, 500, 1000, 1500, 2499, 0]
    assert math.isnan(frame["value"].tolist()[-1])
    assert slipstream.history(experiment_ids=[fluent])["key"].tolist() == ["batch"] * 2500 + ["odd"]


def test_runs_metrics_params_tags(client: slipstream.SlipstreamClient, experiment: str) -> None:
    run_id = client.create_run(experiment, tags={"mlflow.user": "me"}, run_name="first").info.run_id
    client.log_metric(run_id, "loss", 0.5, step=1, timestamp=1_000)
    client.log_metric(run_id, "loss", 0.25, step=2, timestamp=2_000)
    client.log_metric(run_id, "odd", math.nan)
    client.log_metric(run_id, "huge", math.inf)
    client.log_param(run_id, "rate", 0.1)
    client.set_tag(run_id, "note", "läuft")
    client.set_tag(run_id, "gone", "x")
    client.delete_tag(run_id, "gone")
    client.log_batch(
        run_id,
        [Metric("batch", float(step), 1_000 + step, step) for step in range(2500)],
        [Param(f"p{number}", "v") for number in range(150)],
        [RunTag(f"t{number}", "v") for number in range(150)],
    )
    client.set_terminated(run_id, "FINISHED")
    run = client.get_run(run_id)
    assert (run.info.run_name, run.info.status, run.info.user_id) == ("first", "FINISHED", "me")
    assert run.data.metrics["loss"] == 0.25
    assert math.isnan(run.data.metrics["odd"])
    assert run.data.metrics["huge"] > 1e308
    assert run.data.params["rate"] == "0.1"
    assert len(run.data.params) == 151
    assert run.data.tags["note"] == "läuft"
    assert "gone" not in run.data.tags
    history = client.get_metric_history(run_id, "loss")
    assert [(point.value, point.step, point.timestamp) for point in history] == [
        (0.5, 1, 1_000),
        (0.25, 2, 2_000),
    ]
    assert len(client.get_metric_history(run_id, "batch")) == 2500
    with pytest.raises(InvalidParameterError, match="rate"):
        client.log_param(run_id, "rate", 0.2)
    client.update_run(run_id, name="renamed")
    assert client.get_run(run_id).info.run_name == "renamed"
    client.delete_run(run_id)
    assert client.search_runs([experiment]) == []
    assert len(client.search_runs([experiment], run_view_type=ViewType.DELETED_ONLY)) == 1
    client.restore_run(run_id)
    assert client.get_run(run_id).info.lifecycle_stage == "active"
    with pytest.raises(NotFoundError):
        client.get_run("0" * 32)


def test_search_and_paging(client: slipstream.SlipstreamClient, experiment: str) -> None:
    for number in range(7):
        run_id = client.create_run(experiment, run_name=f"r{number}").info.run_id
        client.log_metric(run_id, "m", number)
        client.log_param(run_id, "parity", "odd" if number % 2 else "even")
    found = client.search_runs(
        [experiment], "metrics.m > 2 and params.parity = 'odd'", order_by=["metrics.m DESC"]
    )
    assert [run.info.run_name for run in found] == ["r5", "r3"]
    first = client.search_runs([experiment], max_results=5, order_by=["metrics.m ASC"])
    assert first.token
    rest = client.search_runs([experiment], max_results=5, order_by=["metrics.m ASC"], page_token=first.token)
    assert [run.info.run_name for run in [*first, *rest]] == [f"r{number}" for number in range(7)]
    assert not rest.token
    with pytest.raises(InvalidParameterError):
        client.search_runs([experiment], "nonsense !!")


def test_inputs(client: slipstream.SlipstreamClient, experiment: str) -> None:
    run_id = client.create_run(experiment).info.run_id
    dataset = Dataset(name="d", digest="1", source_type="local", source="{}", schema="{}", profile="p")
    client.log_inputs(
        run_id, [DatasetInput(dataset=dataset, tags=[InputTag("mlflow.data.context", "training")])]
    )
    found = client.get_run(run_id).inputs.dataset_inputs
    assert [(each.dataset, each.tags) for each in found] == [
        (dataset, [InputTag("mlflow.data.context", "training")])
    ]


def test_logged_models(client: slipstream.SlipstreamClient, experiment: str) -> None:
    run_id = client.create_run(experiment).info.run_id
    model = client.create_logged_model(
        experiment, name="m", source_run_id=run_id, tags={"a": "b"}, params={"depth": "3"}
    )
    client.log_metric(run_id, "accuracy", 0.9, step=1, model_id=model.model_id)
    client.log_outputs(run_id, [LoggedModelOutput(model.model_id, 1)])
    client.finalize_logged_model(model.model_id, "READY")
    client.set_logged_model_tags(model.model_id, {"c": "d"})
    client.delete_logged_model_tag(model.model_id, "a")
    found = client.get_logged_model(model.model_id)
    assert (found.status, found.params["depth"], found.tags["c"]) == ("READY", "3", "d")
    assert "a" not in found.tags
    assert [(metric.key, metric.value) for metric in found.metrics] == [("accuracy", 0.9)]
    assert [each.model_id for each in client.get_run(run_id).outputs.model_outputs] == [model.model_id]
    assert [each.model_id for each in client.search_logged_models([experiment])] == [model.model_id]
    client.delete_logged_model(model.model_id)
    assert client.search_logged_models([experiment]) == []


def test_files_go_through_the_server(fluent: str, tmp_path: Path) -> None:
    (tmp_path / "plots").mkdir()
    (tmp_path / "plots" / "ä b.txt").write_text("one")
    (tmp_path / "big.bin").write_bytes(os.urandom(3_000_000))
    with slipstream.start_run() as run:
        slipstream.log_artifact(str(tmp_path / "big.bin"))
        slipstream.log_artifacts(str(tmp_path / "plots"), "plots")
        slipstream.log_text("hello", "notes/first.txt")
        slipstream.log_dict({"a": [1]}, "a.json")
        slipstream.log_table({"x": [1]}, "t.json")
        slipstream.log_table({"x": [2]}, "t.json")
        assert slipstream.get_artifact_uri().startswith("mlflow-artifacts:")
    client = slipstream.SlipstreamClient()
    paths = {each.path: (each.is_dir, each.file_size) for each in client.list_artifacts(run.info.run_id)}
    assert paths["big.bin"] == (False, 3_000_000)
    assert paths["plots"][0]
    assert [each.path for each in client.list_artifacts(run.info.run_id, "plots")] == ["plots/ä b.txt"]
    got = slipstream.artifacts.download_artifacts(f"runs:/{run.info.run_id}/", dst_path=str(tmp_path / "got"))
    assert Path(got, "big.bin").read_bytes() == (tmp_path / "big.bin").read_bytes()
    assert Path(got, "plots", "ä b.txt").read_text() == "one"
    assert slipstream.artifacts.load_text(f"runs:/{run.info.run_id}/notes/first.txt") == "hello"
    assert slipstream.artifacts.load_dict(f"runs:/{run.info.run_id}/a.json") == {"a": [1]}
    assert list(slipstream.load_table("t.json", run_ids=[run.info.run_id])["x"]) == [1, 2]
    with pytest.raises(NotFoundError):
        slipstream.artifacts.load_text(f"runs:/{run.info.run_id}/no-such.txt")


def test_registry(client: slipstream.SlipstreamClient, experiment: str) -> None:
    run = client.create_run(experiment)
    run_id, source = run.info.run_id, f"{run.info.artifact_uri}/model"
    assert client.create_registered_model("m", {"a": "b"}, "text").tags == {"a": "b"}
    with pytest.raises(AlreadyExistsError):
        client.create_registered_model("m")
    for number in ("1", "2"):
        version = client.create_model_version("m", source, run_id, {"n": number}, description="d")
        assert (version.version, version.status, version.run_id) == (number, "READY", run_id)
    client.set_registered_model_alias("m", "champion", "2")
    assert client.get_model_version_by_alias("m", "champion").version == "2"
    assert client.get_registered_model("m").aliases == {"champion": "2"}
    client.delete_registered_model_alias("m", "champion")
    with pytest.raises((NotFoundError, InvalidParameterError)):
        client.get_model_version_by_alias("m", "champion")
    client.set_model_version_tag("m", "1", "k", "v")
    client.delete_model_version_tag("m", "1", "n")
    assert client.get_model_version("m", "1").tags == {"k": "v"}
    client.update_model_version("m", "1", "new")
    assert client.get_model_version("m", 1).description == "new"
    client.transition_model_version_stage("m", "1", "Production")
    assert [each.version for each in client.get_latest_versions("m", ["Production"])] == ["1"]
    assert client.get_model_version_download_uri("m", "1") == source
    assert {each.version for each in client.search_model_versions("name = 'm'")} == {"1", "2"}
    client.set_registered_model_tag("m", "c", "d")
    client.delete_registered_model_tag("m", "a")
    client.update_registered_model("m", "other")
    client.rename_registered_model("m", "n")
    found = client.get_registered_model("n")
    assert (found.tags, found.description) == ({"c": "d"}, "other")
    assert [each.name for each in client.search_registered_models("name = 'n'")] == ["n"]
    client.delete_model_version("n", "2")
    with pytest.raises(NotFoundError):
        client.get_model_version("n", "2")
    client.delete_registered_model("n")
    with pytest.raises(NotFoundError):
        client.get_registered_model("n")


def test_fluent_runs(fluent: str) -> None:
    with slipstream.start_run(run_name="parent", tags={"k": "v"}) as parent:
        slipstream.log_params({"a": 1, "b": "x"})
        slipstream.log_metrics({"m": 1.0, "n": 2.0}, step=3)
        with slipstream.start_run(run_name="child", nested=True):
            slipstream.log_metric("m", 5)
    with slipstream.start_run(run_id=parent.info.run_id):
        slipstream.log_metric("late", 1)
    with pytest.raises(ZeroDivisionError), slipstream.start_run(run_name="broken"):
        raise ZeroDivisionError
    runs = slipstream.search_runs(output_format="list", order_by=["attributes.start_time ASC"])
    assert [(run.info.run_name, run.info.status) for run in runs] == [
        ("parent", "FINISHED"),
        ("child", "FINISHED"),
        ("broken", "FAILED"),
    ]
    assert runs[0].data.metrics == {"m": 1.0, "n": 2.0, "late": 1.0}
    assert runs[1].data.tags["mlflow.parentRunId"] == parent.info.run_id
    frame = slipstream.search_runs(filter_string="metrics.m > 2")
    assert list(frame["tags.mlflow.runName"]) == ["child"]


def test_a_model_is_logged_registered_and_loaded_here_and_there(fluent: str, address: str) -> None:
    linear_model = pytest.importorskip("sklearn.linear_model", exc_type=ImportError)
    import numpy as np

    x = np.arange(12.0).reshape(6, 2)
    model = linear_model.LinearRegression().fit(x, x.sum(axis=1))
    with slipstream.start_run() as run:
        info = slipstream.sklearn.log_model(
            model, name="sums", input_example=x[:2], registered_model_name="sums"
        )
    assert str(info.registered_model_version) == "1"
    slipstream.SlipstreamClient().set_registered_model_alias("sums", "champion", "1")
    version = slipstream.register_model(f"runs:/{run.info.run_id}/sums", "sums")
    assert version.version == "2"
    for uri in (info.model_uri, f"runs:/{run.info.run_id}/sums", "models:/sums/1", "models:/sums@champion"):
        assert np.allclose(slipstream.pyfunc.load_model(uri).predict(x[:2]), [1, 5]), uri
        assert np.allclose(slipstream.sklearn.load_model(uri).coef_, [1, 1]), uri
    logged = slipstream.get_logged_model(info.model_id)
    assert (logged.status, logged.source_run_id, logged.name) == ("READY", run.info.run_id, "sums")
    assert [each.model_id for each in slipstream.search_logged_models(output_format="list")] == [
        info.model_id
    ]
    # The real MLflow, from the same server, where it has what the model needs.
    script = (
        "import sys, mlflow, numpy as np\n"
        "mlflow.set_tracking_uri(sys.argv[1])\n"
        "model = mlflow.pyfunc.load_model('models:/sums@champion')\n"
        "print(float(model.predict(np.array([[2.0, 3.0]]))[0]))\n"
    )
    done = subprocess.run(
        [str(mlflow_server.PYTHON), "-W", "ignore", "-c", script, address],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert math.isclose(float(done.stdout.split()[-1]), 5.0)


def test_large_files_go_up_whole_as_ever(
    client: slipstream.SlipstreamClient, experiment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To slipstream's own server they would go in parts."""
    monkeypatch.setenv("SLIPSTREAM_RESUMABLE_UPLOAD_MINIMUM_FILE_SIZE", "1000")
    monkeypatch.setenv("SLIPSTREAM_UPLOAD_STATE_FOLDER", str(tmp_path / "notes"))
    content = os.urandom(6 * 2**20)
    (tmp_path / "big.bin").write_bytes(content)
    run_id = client.create_run(experiment).info.run_id
    client.log_artifact(run_id, str(tmp_path / "big.bin"), "folder")
    (tmp_path / "down").mkdir()
    path = client.download_artifacts(run_id, "folder/big.bin", str(tmp_path / "down"))
    assert Path(path).read_bytes() == content
    assert list((tmp_path / "notes").iterdir()) == []


def test_the_command_line_deletes_in_mlflows_manner_there(address: str) -> None:
    from click.testing import CliRunner

    from slipstream.cli.main import main

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(main, list(arguments), env={"SLIPSTREAM_TRACKING_URI": address})
        assert result.exit_code == 0, result.output
        return result.stdout

    number = run("experiments", "create", "-n", "by hand").split()[-1]
    created = run("runs", "create", "--experiment-id", number)
    run_id = json.loads(created[created.index("{") :])["run_id"]
    assert "deleted" in run("runs", "delete", "--run-id", run_id)
    assert "deleted" in run("experiments", "delete", "-x", number)
    assert "restored" in run("experiments", "restore", "-x", number)
