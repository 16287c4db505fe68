"""`slipstream.history`, `history_arrow` and the command that writes them to files."""

import io
import math
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import numpy
import pandas
import pyarrow.ipc
import pyarrow.parquet
import pytest
from click.testing import CliRunner

import slipstream
from server_process import ServerProcess
from slipstream.cli import out
from slipstream.cli.main import main
from slipstream.client.rest import RestStore
from slipstream.entities import Metric
from slipstream.errors import InvalidParameterError, MissingDependencyError, NotFoundError

COLUMNS = ["run_id", "key", "step", "timestamp", "value"]


@pytest.fixture(params=["in process", "server"])
def runs(request: pytest.FixtureRequest, tracking: str, tmp_path: Path) -> Iterator[list[str]]:
    """Three runs of an experiment, tracked to a database of this process or to a server."""
    server = None
    if request.param == "server":
        folder = tmp_path / "server"
        folder.mkdir()
        server = ServerProcess(folder, "--durability", "normal")
        slipstream.set_tracking_uri(server.url)
    slipstream.set_experiment("e")
    made: list[str] = []
    client = slipstream.SlipstreamClient()
    for number in range(3):
        with slipstream.start_run() as run:
            slipstream.log_param("number", number)
            points = [Metric("loss", number + i / 3, 100 + i, i) for i in range(10)]
            client.log_batch(run.info.run_id, [*points, Metric("val/acc", math.inf, 5, -1)])
            made.append(run.info.run_id)
    yield made
    if server is not None:
        server.stop()


def test_a_frame_of_all_points(runs: list[str]) -> None:
    frame = slipstream.history([runs[1], runs[0]])
    assert list(frame.columns) == COLUMNS
    assert [str(frame[name].dtype) for name in COLUMNS] == [
        "category",
        "category",
        "int64",
        "int64",
        "float64",
    ]
    assert frame["run_id"].tolist() == [runs[1]] * 11 + [runs[0]] * 11
    assert frame["key"].tolist() == (["loss"] * 10 + ["val/acc"]) * 2
    assert frame["step"].tolist() == [*range(10), -1] * 2
    assert frame["value"].tolist()[:11] == [1 + i / 3 for i in range(10)] + [math.inf]
    wide = frame.pivot_table(index="step", columns="key", values="value", observed=True)
    assert list(wide.columns) == ["loss", "val/acc"]


def test_what_runs_may_be(runs: list[str]) -> None:
    found = slipstream.search_runs(order_by=["params.number"])
    one = slipstream.get_run(runs[0])
    everything = slipstream.history(runs)
    pandas.testing.assert_frame_equal(slipstream.history(found), everything)
    assert slipstream.history(one)["run_id"].unique().tolist() == [runs[0]]
    assert slipstream.history(runs[2], "loss")["value"].tolist() == [2 + i / 3 for i in range(10)]
    assert len(slipstream.history([one, runs[1]])) == 22
    assert len(slipstream.history([])) == 0
    assert list(slipstream.history([]).columns) == COLUMNS


def test_runs_of_a_search_keys_steps_and_samples(runs: list[str]) -> None:
    frame = slipstream.history(filter_string="params.number != '1'", keys=["l*"], max_points=3)
    assert set(frame["run_id"]) == {runs[0], runs[2]}
    assert frame["step"].tolist() == [0, 4, 9] * 2
    assert len(slipstream.history(experiment_names=["e"], start_step=8, end_step=8)) == 3
    assert len(slipstream.history(experiment_ids=["0"])) == 0


def test_arrow(runs: list[str]) -> None:
    table = slipstream.history_arrow(runs)
    pandas.testing.assert_frame_equal(table.to_pandas(), slipstream.history(runs))
    assert len(table["run_id"].chunk(0).dictionary) == 3


def test_what_is_refused(runs: list[str]) -> None:
    with pytest.raises(NotFoundError, match="f" * 32):
        slipstream.history(["f" * 32])
    with pytest.raises(InvalidParameterError, match="max_points"):
        slipstream.history(max_points=0)
    with pytest.raises(InvalidParameterError, match="'runs'"):
        slipstream.history(runs, filter_string="params.a = '1'")
    with pytest.raises(InvalidParameterError, match="'runs'"):
        slipstream.history(5)
    with pytest.raises(InvalidParameterError, match="'runs'"):
        slipstream.history([5])


def test_without_pyarrow_csv_does(runs: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    whole = slipstream.history(runs)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    pandas.testing.assert_frame_equal(slipstream.history(runs), whole)
    with pytest.raises(MissingDependencyError, match=r"slipstream\[data\]"):
        slipstream.history_arrow(runs)


def test_a_server_that_is_not_ours_is_asked_metric_by_metric(
    runs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = slipstream.history(runs)
    monkeypatch.setattr(RestStore, "own_features", frozenset())
    pandas.testing.assert_frame_equal(slipstream.history(runs), whole)
    sample = slipstream.history(runs, "loss", start_step=1, max_points=4)
    assert sample["step"].tolist() == [1, 4, 6, 9] * 3
    with pytest.raises(NotFoundError):
        slipstream.history(["f" * 32])


# -- the command ------------------------------------------------------------------------------------
def call(*arguments: str, code: int = 0) -> bytes:
    result = CliRunner().invoke(main, ["runs", "history", *arguments])
    assert result.exit_code == code, result.output
    return result.stdout_bytes if code == 0 else result.stderr.encode()


def test_command_writes_files(runs: list[str], tmp_path: Path) -> None:
    whole = slipstream.history(runs)
    named = [word for run in runs for word in ("--run-id", run)]
    file = tmp_path / "h"
    assert call(*named, "--format", "parquet", "-o", str(file)) == b""
    pandas.testing.assert_frame_equal(pyarrow.parquet.read_table(file).to_pandas(), whole)
    call(*named, "--format", "arrow", "-o", str(file))
    pandas.testing.assert_frame_equal(pyarrow.ipc.open_stream(file.read_bytes()).read_pandas(), whole)
    frame = pandas.read_csv(io.BytesIO(call(*named)))
    assert frame["value"].tolist() == whole["value"].tolist()
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".part")] == []


def test_command_searches(runs: list[str]) -> None:
    experiment = slipstream.get_experiment_by_name("e").experiment_id
    body = call(
        "--experiment-id", experiment, "--filter", "params.number = '2'", "--key", "loss", "--end-step", "1"
    )
    assert body.decode().splitlines() == [
        "run_id,key,step,timestamp,value",
        f"{runs[2]},loss,0,100,2.0",
        f"{runs[2]},loss,1,101,{numpy.float64(2 + 1 / 3)!s}",
    ]


def test_command_names_what_is_not_there(runs: list[str], tmp_path: Path) -> None:
    assert b"4711" in call("--experiment-id", "4711", code=1)
    error = call("--run-id", runs[0], "-o", str(tmp_path / "no" / "h.csv"), code=2)
    assert b"there is no folder" in error
    assert b".part" not in error
    with pytest.raises(click.BadParameter, match="cannot write") as told:
        out.save([b"x"], tmp_path / ("x" * 300), binary=True)
    assert ".part" not in told.value.message


def test_command_that_fails_leaves_no_file(runs: list[str], tmp_path: Path) -> None:
    file = tmp_path / "h.csv"
    file.write_text("old")
    assert b"not found" in call("--run-id", "f" * 32, "-o", str(file), code=1)
    assert b"either" in call(code=2)
    assert file.read_text() == "old"
