"""`slipstream experiments`, `runs` and `artifacts`: MLflow's options, and its output to the letter."""

import csv
import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner

import slipstream
from slipstream.cli.main import main

pytestmark = pytest.mark.usefixtures("tracking")


def run(*arguments: str, code: int = 0) -> str:
    """Call the command and return what it prints: results, or errors where `code` is not 0."""
    result = CliRunner().invoke(main, list(arguments))
    assert result.exit_code == code, result.output
    return result.stdout if code == 0 else result.stderr


# -- experiments ------------------------------------------------------------------------------------


def test_experiments_create_and_search(tmp_path: Path) -> None:
    assert run("experiments", "create", "-n", "vision") == "Created experiment 'vision' with id 1\n"
    assert run("experiments", "create", "-n", "vision", code=1).startswith("error: ")

    root = tmp_path / "slipstream-artifacts"
    width = len(str(root)) + 2
    assert run("experiments", "search").splitlines() == [
        "Experiment Id    Name     " + "Artifact Location".ljust(width),
        "---------------  -------  " + "-" * width,
        "0                Default  " + f"{root}/0".ljust(width),
        "1                vision   " + f"{root}/1".ljust(width),
    ]
    assert len(run("experiments", "search", "--max-results", "1").splitlines()) == 3
    assert len(run("experiments", "search", "-v", "deleted_only").splitlines()) == 2


def test_experiments_get() -> None:
    experiment_id = slipstream.create_experiment("e", tags={"a": 1, "b": 2})
    found = slipstream.get_experiment(experiment_id)

    assert run("experiments", "get", "-x", experiment_id).splitlines() == [
        f"Experiment ID      : {experiment_id}",
        "Name               : e",
        f"Artifact Location  : {found.artifact_location}",
        "Lifecycle Stage    : active",
        f"Creation Time      : {found.creation_time}",
        f"Last Update Time   : {found.last_update_time}",
        "Tags               : a=1, b=2",
    ]
    document = json.loads(run("experiments", "get", "-n", "e", "--output", "json"))
    assert (document["experiment_id"], document["tags"]) == (experiment_id, {"a": "1", "b": "2"})
    assert "99" in run("experiments", "get", "-x", "99", code=1)
    assert "'nobody'" in run("experiments", "get", "-n", "nobody", code=1)
    assert "exactly one" in run("experiments", "get", code=2)


def test_experiments_rename_delete_restore() -> None:
    experiment_id = slipstream.create_experiment("old")

    assert run("experiments", "rename", "-x", experiment_id, "--new-name", "new") == (
        f"Experiment with id {experiment_id} has been renamed to 'new'.\n"
    )
    assert slipstream.get_experiment(experiment_id).name == "new"
    assert (
        run("experiments", "delete", "-x", experiment_id)
        == f"Experiment with ID {experiment_id} has been deleted.\n"
    )
    assert slipstream.get_experiment(experiment_id).lifecycle_stage == "deleted"
    assert (
        run("experiments", "restore", "-x", experiment_id)
        == f"Experiment with id {experiment_id} has been restored.\n"
    )
    assert slipstream.get_experiment(experiment_id).lifecycle_stage == "active"


def test_experiments_csv(tmp_path: Path) -> None:
    slipstream.set_experiment("e")
    with slipstream.start_run() as first:
        slipstream.log_metric("m", 0.1)
        slipstream.log_param("p", 'a,"b"')
    with slipstream.start_run() as second:
        slipstream.log_metric("m", float("nan"))

    rows = {row["run_id"]: row for row in csv.DictReader(io.StringIO(run("experiments", "csv", "-x", "1")))}
    assert (rows[first.info.run_id]["metrics.m"], rows[first.info.run_id]["params.p"]) == ("0.1", 'a,"b"')
    assert (rows[second.info.run_id]["metrics.m"], rows[second.info.run_id]["params.p"]) == ("", "")
    assert rows[first.info.run_id]["start_time"].endswith("+00:00")
    assert run("experiments", "csv", "-x", "1", "-o", "runs.csv") == (
        "Experiment with ID 1 has been exported as a CSV to file: runs.csv.\n"
    )
    assert len((tmp_path / "runs.csv").read_text().splitlines()) == 3


def test_experiments_csv_to_no_folder() -> None:
    assert run("experiments", "csv", "-x", "0", "-o", "nowhere/runs.csv", code=1) == (
        "error: '--filename' nowhere/runs.csv cannot be written: No such file or directory. "
        "Name a file in a folder that exists.\n"
    )


# -- runs -------------------------------------------------------------------------------------------


def test_runs_create() -> None:
    document = json.loads(
        run("runs", "create", "--experiment-name", "new", "--run-name", "r", "-t", "a=b=c", "--status", "killed",
            "--description", "text")
    )  # fmt: skip

    stored = slipstream.get_run(document["run_id"])
    assert document == {
        "run_id": stored.info.run_id,
        "experiment_id": "1",
        "status": "KILLED",
        "run_name": "r",
    }
    assert (stored.info.status, stored.data.tags["a"]) == ("KILLED", "b=c")
    assert stored.data.tags["mlflow.note.content"] == "text"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "exactly one"),
        (("--experiment-id", "0", "-t", "novalue"), "'novalue'"),
        (("--experiment-id", "0", "-t", "a=1", "-t", "a=2"), "Duplicate tag key: 'a'"),
    ],
)
def test_runs_create_usage(arguments: tuple[str, ...], message: str) -> None:
    assert message in run("runs", "create", *arguments, code=2)


def test_runs_list(monkeypatch: pytest.MonkeyPatch) -> None:
    client = slipstream.SlipstreamClient()
    older = client.create_run("0", start_time=1_700_000_000_000, run_name="older").info.run_id
    newer = client.create_run("0", start_time=1_700_000_001_500, run_name="newer").info.run_id
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "0")

    assert run("runs", "list").splitlines() == [
        "Date                     Name    ID                              ",
        "-----------------------  ------  --------------------------------",
        f"2023-11-14 22:13:21 UTC  newer   {newer}",
        f"2023-11-14 22:13:20 UTC  older   {older}",
    ]


def test_runs_delete_restore_describe() -> None:
    with slipstream.start_run() as made:
        slipstream.log_param("p", 1)
    run_id = made.info.run_id

    assert run("runs", "delete", "--run-id", run_id) == f"Run with ID {run_id} has been deleted.\n"
    assert json.loads(run("runs", "describe", "--run-id", run_id))["info"]["lifecycle_stage"] == "deleted"
    assert run("runs", "restore", "--run-id", run_id) == f"Run with id {run_id} has been restored.\n"
    document = json.loads(run("runs", "describe", "--run-id", run_id))
    assert document["info"]["lifecycle_stage"] == "active"
    assert document["data"]["params"] == {"p": "1"}
    assert document["inputs"] == {"model_inputs": [], "dataset_inputs": []}
    assert document["outputs"] == {"model_outputs": []}
    assert run("runs", "describe", "--run-id", "0" * 32, code=1).startswith("error: ")


# -- artifacts --------------------------------------------------------------------------------------


def test_artifacts_round_trip(tmp_path: Path) -> None:
    run_id = slipstream.SlipstreamClient().create_run("0").info.run_id
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "a.txt").write_text("A!")
    (tmp_path / "in" / "deep" / "b.txt").write_text("B")

    run("artifacts", "log-artifact", "-l", "in/a.txt", "-r", run_id)
    run("artifacts", "log-artifacts", "-l", "in", "-r", run_id, "-a", "all")

    assert run("artifacts", "list", "-r", run_id) == (
        '[{\n  "path": "a.txt",\n  "is_dir": false,\n  "file_size": 2\n}, {\n  "path": "all",\n  "is_dir": true\n}]\n'
    )
    assert [entry["path"] for entry in json.loads(run("artifacts", "list", "-r", run_id, "-a", "all"))] == [
        "all/a.txt",
        "all/deep",
    ]
    out = tmp_path / "out"
    assert run("artifacts", "download", "-r", run_id, "-a", "all", "-d", str(out)) == f"\n{out}/all\n"
    assert (out / "all" / "deep" / "b.txt").read_text() == "B"
    assert run("artifacts", "download", "-u", f"runs:/{run_id}/a.txt", "-d", str(out)) == f"\n{out}/a.txt\n"
    here = run("artifacts", "download", "-r", run_id, "-a", "a.txt").strip()
    assert Path(here).read_text() == "A!"
    assert "no artifact" in run("artifacts", "download", "-r", run_id, "-a", "none", "-d", str(out), code=1)
    assert "--run-id or --artifact-uri" in run("artifacts", "download", code=2)
    assert "does not exist" in run("artifacts", "log-artifact", "-l", "none", "-r", run_id, code=1)
