"""What code for MLflow asks of entities, data sets, pictures and settings beside calling functions."""

import functools
import http.server
import json
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import slipstream
from slipstream import config, data, models, settings
from slipstream.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    LifecycleStage,
    Metric,
    Param,
    Run,
    RunStatus,
    ViewType,
)
from slipstream.errors import (
    ConnectionFailedError,
    ExecutionError,
    InvalidParameterError,
    NotFoundError,
    SchemaEnforcementError,
    SlipstreamError,
)


class QuietFiles(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SLIPSTREAM_TRACKING_URI", f"sqlite:///{tmp_path / 'runs.db'}")
    frame = pd.DataFrame({"a": [1.0, 2.0]})
    with slipstream.start_run(run_name="first", tags={"team": "a"}) as started:
        slipstream.log_param("p", 1)
        slipstream.log_metric("m", 2.5, step=3)
        slipstream.log_input(data.from_pandas(frame, source="a.csv", name="tiny"), context="training")
    return slipstream.get_run(started.info.run_id)


# -- entities ---------------------------------------------------------------------------------------------


def test_entities_are_read_as_dictionaries(run: Run) -> None:
    assert dict(run.info)["run_id"] == run.info.run_id
    assert [name for name, _ in run.data] == ["metrics", "params", "tags"]
    assert dict(Metric("m", 2.5, 7, 3))["step"] == 3
    assert dict(Param("p", "1")) == {"key": "p", "value": "1"}
    whole = run.to_dictionary()
    assert whole["info"]["status"] == "FINISHED"
    assert whole["data"]["metrics"] == {"m": 2.5}
    (entry,) = whole["inputs"]["dataset_inputs"]
    assert entry["dataset"]["name"] == "tiny"
    assert entry["tags"] == [{"key": "mlflow.data.context", "value": "training"}]
    assert json.loads(json.dumps(whole)) == whole
    experiment = slipstream.get_experiment(run.info.experiment_id)
    assert dict(experiment)["name"] == "Default"


def test_data_sets_are_made_in_mlflows_order() -> None:
    dataset = Dataset("tiny", "d1", "local", '{"uri": "a.csv"}', None, "{}")
    entry = DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])

    assert entry.dataset.profile == "{}"
    assert entry.tags[0].value == "training"


def test_statuses_views_and_stages_convert() -> None:
    assert RunStatus.to_string(RunStatus.FINISHED) == "FINISHED"
    assert RunStatus.from_string("KILLED") is RunStatus.KILLED
    assert [each for each in RunStatus.all_status() if RunStatus.is_terminated(each)] == [
        RunStatus.FINISHED,
        RunStatus.FAILED,
        RunStatus.KILLED,
    ]
    assert not RunStatus.is_terminated("RUNNING")
    assert ViewType.to_string(ViewType.ACTIVE_ONLY) == "active_only"
    assert ViewType.from_string("all") == ViewType.ALL
    assert LifecycleStage.is_valid("deleted")
    assert not LifecycleStage.is_valid("gone")
    assert LifecycleStage.view_type_to_stages(ViewType.DELETED_ONLY) == ["deleted"]
    assert LifecycleStage.view_type_to_stages() == ["active", "deleted"]


# -- errors -----------------------------------------------------------------------------------------------


def test_errors_of_ours_keep_their_codes() -> None:
    error = NotFoundError("Run '1' does not exist.")

    assert (error.error_code, error.get_http_status_code()) == ("RESOURCE_DOES_NOT_EXIST", 404)
    assert json.loads(error.serialize_as_json()) == {
        "error_code": "RESOURCE_DOES_NOT_EXIST",
        "message": "Run '1' does not exist.",
    }


def test_errors_of_users_take_a_code() -> None:
    error = SlipstreamError("no", error_code="PERMISSION_DENIED")

    assert (error.error_code, error.get_http_status_code(), str(error)) == ("PERMISSION_DENIED", 403, "no")
    assert SlipstreamError("no", error_code="NOBODY_KNOWS").get_http_status_code() == 500
    assert isinstance(SlipstreamError.invalid_parameter_value("bad"), InvalidParameterError)


# -- data sets and pictures -------------------------------------------------------------------------------


def test_the_source_of_a_data_set(run: Run) -> None:
    made = data.from_pandas(pd.DataFrame({"a": [1.0]}), source="https://example.com/a.csv")
    (entry,) = run.inputs.dataset_inputs

    assert (data.get_source(made).type, data.get_source(made).document) == (
        "http",
        {"url": "https://example.com/a.csv"},
    )
    for stored in (entry, entry.dataset):
        assert (data.get_source(stored).type, data.get_source(stored).document) == ("local", {"uri": "a.csv"})
    with pytest.raises(InvalidParameterError, match="not of a str"):
        data.get_source("tiny")
    with pytest.raises(InvalidParameterError, match="no JSON object but 'a.csv'"):
        data.get_source(Dataset("tiny", "d1", "local", "a.csv"))


def test_a_source_is_loaded_from_its_address(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a\n1\n")
    (tmp_path / "copies").mkdir()
    local = data.DatasetSource("local", {"uri": str(tmp_path / "a.csv")})

    assert local.load() == str(tmp_path / "a.csv")
    assert Path(local.load(str(tmp_path / "copies"))).read_text() == "a\n1\n"
    with pytest.raises(InvalidParameterError, match="type 'code' has no address"):
        data.get_source(data.from_pandas(pd.DataFrame({"a": [1.0]}))).load()
    with pytest.raises(InvalidParameterError, match="no web address"):
        data.DatasetSource("http", {"url": f"file://{tmp_path}/a.csv"}).load()


def test_a_source_is_loaded_from_a_web_server(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("a\n1\n")
    handler = functools.partial(QuietFiles, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_port}"
            source = data.from_pandas(pd.DataFrame({"a": [1]}), source=f"{url}/a.csv").source
            assert Path(source.load()).read_text() == "a\n1\n"
            with pytest.raises(ConnectionFailedError, match="absent.csv' cannot be loaded: HTTP Error 404"):
                data.DatasetSource("http", {"url": f"{url}/absent.csv"}).load()
        finally:
            server.shutdown()
            thread.join()


def test_polars_frames_are_described_as_those_of_pandas() -> None:
    polars = pytest.importorskip("polars")
    columns: dict[str, Any] = {"a": [1.0, 2.0], "y": [0, 1]}
    made = data.from_polars(polars.DataFrame(columns), targets="y", name="tiny")
    same = data.from_pandas(pd.DataFrame(columns), targets="y", name="tiny")

    assert (made.name, made.digest, made.schema, made.profile) == (
        same.name,
        same.digest,
        same.schema,
        same.profile,
    )
    assert isinstance(made.data, polars.DataFrame)
    with pytest.raises(InvalidParameterError, match="no column 'z'"):
        data.from_polars(polars.DataFrame(columns), targets="z")


def test_images_are_made_of_what_pictures_are_made_of(tmp_path: Path) -> None:
    black = np.zeros((4, 6, 3), dtype=np.uint8)
    image = slipstream.Image(black)
    image.save(tmp_path / "black.png")

    assert image.to_pil().size == (6, 4)
    assert slipstream.Image(str(tmp_path / "black.png")).to_array().tolist() == black.tolist()
    assert slipstream.Image(image.to_list()).to_list() == black.tolist()
    assert slipstream.Image(image.to_pil()).resize((3, 2)).to_pil().size == (3, 2)
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(InvalidParameterError, match="cannot be read as a picture"):
        slipstream.Image(tmp_path / "text.png")


# -- settings ---------------------------------------------------------------------------------------------


def test_system_metrics_are_switched_by_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "environ", dict(os.environ))
    monkeypatch.setenv("MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING", "true")
    assert settings.ENABLE_SYSTEM_METRICS_LOGGING.get()

    config.disable_system_metrics_logging()
    assert not settings.ENABLE_SYSTEM_METRICS_LOGGING.get()
    slipstream.enable_system_metrics_logging()
    assert settings.ENABLE_SYSTEM_METRICS_LOGGING.get()
    slipstream.set_system_metrics_sampling_interval(0.5)
    slipstream.set_system_metrics_samples_before_logging(3)
    slipstream.set_system_metrics_node_id("node-1")
    assert settings.SYSTEM_METRICS_SAMPLING_INTERVAL.get() == 0.5
    assert settings.SYSTEM_METRICS_SAMPLES_BEFORE_LOGGING.get() == 3
    assert settings.SYSTEM_METRICS_NODE_ID.get() == "node-1"
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "7")
    slipstream.set_system_metrics_sampling_interval(None)
    assert settings.SYSTEM_METRICS_SAMPLING_INTERVAL.get() == 10.0


@pytest.mark.parametrize("interval", [0, -1, "often"])
def test_a_wrong_interval_is_refused_where_it_is_said(interval: Any) -> None:
    with pytest.raises(InvalidParameterError, match="SYSTEM_METRICS_SAMPLING_INTERVAL"):
        slipstream.set_system_metrics_sampling_interval(interval)


def test_what_is_not_there_is_refused_by_name(run: Run) -> None:
    with pytest.raises(InvalidParameterError, match="workspace_store_uri"):
        slipstream.SlipstreamClient(workspace_store_uri="sqlite:///other.db")
    with pytest.raises(InvalidParameterError, match="trace_location"):
        slipstream.set_experiment("e", trace_location="x")  # pyright: ignore[reportArgumentType]
    with pytest.raises(InvalidParameterError, match="trace_location"):
        slipstream.create_experiment("e", trace_location="x")  # pyright: ignore[reportArgumentType]
    assert slipstream.get_experiment_by_name("e") is None
    assert slipstream.MlflowException is slipstream.exceptions.MlflowException


def test_enable_async_logging_is_taken() -> None:
    config.enable_async_logging()
    config.enable_async_logging(enable=False)


# -- models that are tried --------------------------------------------------------------------------------


@pytest.fixture
def model_uri(run: Run) -> str:
    from sklearn.linear_model import LinearRegression

    inputs = pd.DataFrame({"a": [0.0, 1.0], "b": [1.0, 0.0]})
    model = LinearRegression().fit(inputs, [1.0, 2.0])
    info = slipstream.sklearn.log_model(model, name="line", input_example=inputs)
    assert slipstream.last_logged_model().model_id == info.model_id  # pyright: ignore[reportOptionalMemberAccess]
    return info.model_uri


def test_a_serving_input_is_validated_as_the_server_reads_it(model_uri: str) -> None:
    frame = pd.DataFrame({"a": [0.0, 1.0], "b": [1.0, 0.0]})
    text = models.convert_input_example_to_serving_input(frame)
    assert text is not None

    for given in (text, json.loads(text)):
        assert np.allclose(models.validate_serving_input(model_uri, given), [1.0, 2.0])
    with pytest.raises(SchemaEnforcementError):
        models.validate_serving_input(model_uri, {"dataframe_records": [{"a": 1.0}]})


@pytest.mark.slow
def test_predict_asks_another_process(
    model_uri: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    frame = pd.DataFrame({"a": [0.0, 1.0], "b": [1.0, 0.0]})

    models.predict(model_uri, frame, env_manager="local", output_path=tmp_path / "answer.json")
    answer = json.loads((tmp_path / "answer.json").read_text())["predictions"]
    assert np.allclose(answer, [1.0, 2.0])
    capfd.readouterr()
    models.predict(model_uri, frame, content_type="csv", env_manager="local")
    assert np.allclose(json.loads(capfd.readouterr().out)["predictions"], [1.0, 2.0])
    with pytest.raises(ExecutionError, match="exit code"):
        models.predict(model_uri, '{"dataframe_records": [{"a": 1.0}]}', env_manager="local")


def test_predict_refuses_what_it_cannot_do(run: Run) -> None:
    with pytest.raises(InvalidParameterError, match="not both"):
        models.predict("models:/m/1", [1.0], input_path="a.json")
    with pytest.raises(InvalidParameterError, match="'json' or 'csv'"):
        models.predict("models:/m/1", [1.0], content_type="xml")
    with pytest.raises(InvalidParameterError, match="data frame, not list"):
        models.predict("models:/m/1", [1.0], content_type="csv")
    with pytest.raises(InvalidParameterError, match="pip_requirements_override"):
        models.predict("models:/m/1", [1.0], pip_requirements_override=["numpy"])
