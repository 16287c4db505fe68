"""Models and tables that are logged while their server is away, and runs of MLflow's servers, which choose ids themselves."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest

import mlflow_server
import slipstream
from front import Front
from server_process import ServerProcess
from slipstream import pyfunc
from slipstream.cli.main import main as cli
from slipstream.client import connect
from slipstream.client.spool import shipper
from slipstream.client.spool.folder import REFUSED
from slipstream.client.spool.renamed import MODEL_TAG, RUN_TAG

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "spool"
    monkeypatch.setenv("SLIPSTREAM_SPOOL_FOLDER", str(folder))
    monkeypatch.setenv("SLIPSTREAM_DELIVERY_TIMEOUT", "5")
    monkeypatch.setenv("SLIPSTREAM_HTTP_REQUEST_BACKOFF_FACTOR", "0")
    monkeypatch.setattr(shipper, "BARRED_PAUSE_SECONDS", 0.2)
    monkeypatch.setattr(shipper, "LONGEST_PAUSE_SECONDS", 0.5)
    monkeypatch.chdir(tmp_path)
    yield folder
    slipstream.end_run()
    monkeypatch.setenv("SLIPSTREAM_DELIVERY_TIMEOUT", "0")
    connect.close_all()
    slipstream.set_tracking_uri("")
    os.environ.pop("SLIPSTREAM_EXPERIMENT_ID", None)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    folder = tmp_path / "server"
    folder.mkdir()
    server = ServerProcess(folder, "--durability", "normal")
    yield server
    server.stop()


@pytest.fixture(scope="module")
def mlflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    if (reason := mlflow_server.why_not()) is not None:
        pytest.skip(reason)
    with mlflow_server.running(tmp_path_factory.mktemp("mlflow")) as url:
        yield url


class Double(pyfunc.PythonModel):
    def predict(self, context: object, model_input: pd.DataFrame, params: object = None) -> pd.DataFrame:
        return model_input * 2


EXAMPLE = pd.DataFrame({"x": [1.0, 2.0]})


def away(*_: object) -> tuple[int, bytes]:
    return 503, b"<html>unavailable</html>"


def refused(spool: Path) -> list[str]:
    return [line for path in spool.glob(f"*/{REFUSED}") for line in path.read_text().splitlines()]


def log_all(name: str) -> tuple[str, str]:
    """Log a run with a param, a model that is registered, a metric of the model, and a table; return run and model."""
    slipstream.set_experiment("e")
    with slipstream.start_run() as run:
        slipstream.log_param("depth", 3)
        info = pyfunc.log_model(
            name="double",
            python_model=Double(),
            input_example=EXAMPLE,
            registered_model_name=name,
            tags={"a": "b"},
        )
        assert info.model_id is not None
        slipstream.log_metric("score", 0.5, step=1, model_id=info.model_id)
        slipstream.log_table({"n": [1, 2]}, "rows.json")
        slipstream.log_table({"n": [3]}, "rows.json")
        slipstream.set_logged_model_tags(info.model_id, {"later": "yes"})
    return run.info.run_id, info.model_id


def check_all(url: str, name: str, run_id: str, model_id: str) -> None:
    """Check that a server has all of it."""
    connect.close_all()
    slipstream.set_tracking_uri(url)
    client = slipstream.MlflowClient()
    run = client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert [each.model_id for each in run.outputs.model_outputs] == [model_id]
    assert json.loads(run.data.tags["mlflow.loggedArtifacts"]) == [{"path": "rows.json", "type": "table"}]
    model = client.get_logged_model(model_id)
    assert (model.name, model.status, model.source_run_id) == ("double", "READY", run_id)
    assert model.experiment_id == run.info.experiment_id
    assert model.params == {"depth": "3"}
    assert {"a": "b", "later": "yes"}.items() <= model.tags.items()
    assert [(point.key, point.value) for point in model.metrics] == [("score", 0.5)]
    table = slipstream.load_table("rows.json", [run_id])
    assert list(table["n"]) == [1, 2, 3]
    (version,) = client.search_model_versions(f"name='{name}'")
    assert (version.version, version.run_id, version.source) == ("1", run_id, f"models:/{model_id}")
    document = slipstream.models.Model.load(f"models:/{name}/1")
    assert (document.model_id, document.run_id) == (model_id, run_id)
    assert document.artifact_path == model.artifact_location
    loaded = pyfunc.load_model(f"models:/{name}/1", trust=True)
    assert list(loaded.predict(EXAMPLE)["x"]) == [2.0, 4.0]


def test_a_model_is_logged_while_its_server_was_never_there(server: ServerProcess, spool: Path) -> None:
    with Front(server.url) as front:
        front.answer = away
        slipstream.set_tracking_uri(front.url)
        run_id, model_id = log_all("net")
        assert slipstream.get_logged_model(model_id).name == "double", "as it is known here"
        front.answer = lambda *_: None
        assert slipstream.flush(60)
        assert slipstream.get_logged_model(model_id).artifact_location.endswith(f"{model_id}/artifacts")
        assert refused(spool) == []
        check_all(server.url, "net", run_id, model_id)


@pytest.mark.parametrize(
    "asked", ["logged-models", "mlflow-artifacts", "finalize", "registered-models", "records"]
)
def test_a_server_goes_away_in_the_middle(server: ServerProcess, spool: Path, asked: str) -> None:
    """From the first request of a kind on, whatever it is of a model's logging, and nothing is answered any more."""
    with Front(server.url) as front:
        gone: list[str] = []

        def answer(method: str, path: str, body: bytes) -> tuple[int, bytes] | None:
            if asked in path or (asked == "finalize" and method == "PATCH"):
                gone.append(path)
            return (503, b"") if gone else None

        front.answer = answer
        slipstream.set_tracking_uri(front.url)
        run_id, model_id = log_all("net")
        assert gone
        front.answer = lambda *_: None
        assert slipstream.flush(60)
        assert refused(spool) == []
        check_all(server.url, "net", run_id, model_id)


def test_a_table_whose_answer_got_lost_has_its_rows_once(server: ServerProcess) -> None:
    with Front(server.url) as front:
        lost: list[str] = []

        def answer(method: str, path: str, body: bytes) -> tuple[int, bytes] | None:
            if method == "PUT" and path.endswith("rows.json") and len(lost) < 3:
                lost.append(path)
                front.pass_on(method, path, {"Content-Type": "application/octet-stream"}, body)
                return 502, b""
            return None

        slipstream.set_tracking_uri(front.url)
        with slipstream.start_run() as run:
            slipstream.log_table({"n": [1]}, "rows.json")
            front.answer = answer
            slipstream.log_table({"n": [2], "m": ["x"]}, "rows.json")
            slipstream.log_table({"n": [2], "m": ["x"]}, "rows.json")
        assert slipstream.flush(60)
        assert len(lost) == 3
        table = slipstream.load_table("rows.json", [run.info.run_id])
    assert list(table["n"]) == [1, 2, 2]


def test_models_and_tables_without_any_server(
    server: ServerProcess, spool: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    slipstream.set_tracking_uri("offline")
    run_id, model_id = log_all("net")
    connect.close_all()
    with pytest.raises(SystemExit) as ended:
        cli(["sync", "--to", server.url])
    assert ended.value.code == 0
    assert refused(spool) == [], capsys.readouterr().err
    check_all(server.url, "net", run_id, model_id)


def test_a_model_of_no_run(server: ServerProcess, spool: Path) -> None:
    with Front(server.url) as front:
        front.answer = away
        slipstream.set_tracking_uri(front.url)
        slipstream.set_experiment("models only")
        info = pyfunc.log_model(name="double", python_model=Double())
        front.answer = lambda *_: None
        assert slipstream.flush(60)
    client = slipstream.MlflowClient(server.url)
    assert info.model_id is not None
    model = client.get_logged_model(info.model_id)
    experiment = client.get_experiment_by_name("models only")
    assert experiment is not None
    assert (model.experiment_id, model.status) == (experiment.experiment_id, "READY")
    assert refused(spool) == []


# -- servers that choose ids themselves -------------------------------------------------------------


def test_a_run_begins_while_mlflows_server_is_away(
    mlflow: str, spool: Path, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    caplog.set_level(logging.WARNING)
    with Front(mlflow) as front:
        front.answer = away
        slipstream.set_tracking_uri(front.url)
        run_here, model_here = log_all("net")
        front.answer = lambda *_: None
        assert slipstream.flush(60)
        run_there = slipstream.get_run(run_here).info.run_id
        assert run_there != run_here
        model_there = slipstream.get_logged_model(model_here).model_id
        # The program goes on with it under the id that it knows.
        client = slipstream.MlflowClient()
        client.log_metric(run_here, "more", 1.0)
        client.log_text(run_here, "x", "x.txt")
        assert slipstream.flush(60)
        assert [each.path for each in client.list_artifacts(run_here) if each.path == "x.txt"]
        # A program that comes later knows it, too.
        later = (
            "import sys, slipstream\nslipstream.set_tracking_uri(sys.argv[1])\n"
            "with slipstream.start_run(run_id=sys.argv[2]):\n    slipstream.MlflowClient().log_metric(sys.argv[2], 'later', 2.0)\n"
        )
        subprocess.run([sys.executable, "-c", later, front.url, run_here], check=True, timeout=120)
    assert f"it is run {run_there} there" in caplog.text
    assert f"models:/{model_there}" in caplog.text
    assert refused(spool) == []
    found = slipstream.MlflowClient(mlflow).get_run(run_there)
    assert found.data.tags[RUN_TAG] == run_here
    assert slipstream.MlflowClient(mlflow).get_logged_model(model_there).tags[MODEL_TAG] == model_here
    assert (found.data.metrics["more"], found.data.metrics["later"]) == (1.0, 2.0)
    check_all(mlflow, "net", run_there, model_there)


def test_a_run_is_made_once_there_although_its_answer_got_lost(mlflow: str, spool: Path) -> None:
    with Front(mlflow) as front:
        front.answer = away
        slipstream.set_tracking_uri(front.url)
        slipstream.set_experiment("once")
        with slipstream.start_run(run_name="once") as run:
            slipstream.log_metric("m", 1.0)
        lost: list[str] = []

        def answer(method: str, path: str, body: bytes) -> tuple[int, bytes] | None:
            if path.endswith("/runs/create") and not lost:
                lost.append(path)
                front.pass_on(method, path, {"Content-Type": "application/json"}, body)
                return 502, b""
            return None

        front.answer = answer
        assert slipstream.flush(60)
        assert lost
    client = slipstream.MlflowClient(mlflow)
    experiment = client.get_experiment_by_name("once")
    assert experiment is not None
    (found,) = client.search_runs([experiment.experiment_id])
    assert found.data.tags[RUN_TAG] == run.info.run_id
    assert found.data.metrics == {"m": 1.0}
    assert refused(spool) == []
