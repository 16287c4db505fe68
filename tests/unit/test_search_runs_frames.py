"""Runs as data frames: columns, order and types as in MLflow."""

import math
from datetime import UTC, datetime

import pytest

import slipstream
from slipstream.client import frames
from slipstream.entities import Metric, Run, RunData, RunInfo
from slipstream.errors import InvalidParameterError

pandas = pytest.importorskip("pandas")

INFO = ["run_id", "experiment_id", "status", "artifact_uri", "start_time", "end_time"]


def make_run(
    number: int, *, end: int | None, metrics: dict[str, float], params: dict[str, str], tags: dict[str, str]
) -> Run:
    return Run(
        info=RunInfo(
            run_id=f"run{number}",
            experiment_id="7",
            run_name="n",
            user_id="u",
            status="FINISHED" if end is not None else "RUNNING",
            start_time=1_700_000_000_123 + number,
            end_time=end,
            artifact_uri=f"/a/{number}",
        ),
        data=RunData(
            latest_metrics=[Metric(key, value, 1) for key, value in metrics.items()], params=params, tags=tags
        ),
    )


RUNS = [
    make_run(1, end=1_700_000_001_000, metrics={"loss": 0.5}, params={"lr": "0.1"}, tags={"t": "x"}),
    make_run(2, end=None, metrics={"acc": math.nan, "loss": 1.0}, params={}, tags={"t": "y", "u": "z"}),
]


def test_pandas_columns_types_and_gaps() -> None:
    frame = frames.runs_to_pandas(RUNS)

    assert list(frame.columns) == [*INFO, "metrics.loss", "metrics.acc", "params.lr", "tags.t", "tags.u"]
    unit = pandas.Series([datetime(2020, 1, 1, tzinfo=UTC)]).dtype
    assert frame["start_time"].dtype == frame["end_time"].dtype == unit
    assert frame["start_time"][0] == pandas.Timestamp(1_700_000_000_124, unit="ms", tz="UTC")
    assert frame["end_time"].isna().tolist() == [False, True]
    assert frame["metrics.loss"].dtype == frame["metrics.acc"].dtype == "float64"
    assert frame["metrics.acc"].isna().all()
    assert frame["params.lr"].isna().tolist() == [False, True]
    assert frame["tags.u"].isna().tolist() == [True, False]


def test_pandas_frame_of_runs_that_all_run_has_times() -> None:
    frame = frames.runs_to_pandas(RUNS[1:])

    assert frame["end_time"].dtype == frame["start_time"].dtype


def test_pandas_frame_without_runs_has_the_info_columns() -> None:
    frame = frames.runs_to_pandas([])

    assert list(frame.columns) == INFO
    assert len(frame) == 0
    assert str(frame["start_time"].dtype).startswith("datetime64[")


def test_polars_keeps_nan_and_null_apart() -> None:
    polars = pytest.importorskip("polars")
    frame = frames.runs_to_polars(RUNS)

    assert frame.columns == list(frames.runs_to_pandas(RUNS).columns)
    assert frame.schema["start_time"] == polars.Datetime("ms", "UTC")
    acc = frame["metrics.acc"].to_list()
    assert acc[0] is None
    assert math.isnan(acc[1])
    assert frame["params.lr"].to_list() == ["0.1", None]
    assert frames.runs_to_polars([]).schema["run_id"] == polars.String


@pytest.mark.usefixtures("tracking")
def test_search_runs_formats() -> None:
    experiment = slipstream.set_experiment("frames")
    for number in range(3):
        with slipstream.start_run(run_name=f"r{number}"):
            slipstream.log_metric("m", number)
    with slipstream.start_run(experiment_id="0"):
        pass

    frame = slipstream.search_runs()
    assert set(frame["metrics.m"]) == {0.0, 1.0, 2.0}
    assert len(slipstream.search_runs(output_format="list")) == 3
    assert len(slipstream.search_runs(max_results=2)) == 2
    assert len(slipstream.search_runs([experiment.experiment_id, "0"])) == 4
    assert len(slipstream.search_runs(experiment_names=["frames", "unknown"])) == 3
    assert len(slipstream.search_runs(search_all_experiments=True)) == 4
    assert len(slipstream.search_runs(experiment_names=["unknown"])) == 0


@pytest.mark.usefixtures("tracking")
def test_search_runs_refuses_contradictions() -> None:
    with pytest.raises(InvalidParameterError, match="not both"):
        slipstream.search_runs(["0"], experiment_names=["Default"])
    with pytest.raises(InvalidParameterError, match="'arrow'"):
        slipstream.search_runs(output_format="arrow")
