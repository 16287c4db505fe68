"""`slipstream trash` and `slipstream gc`, on a database, through a server, and `runs delete` and others in our manner."""

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

import slipstream
from server_process import ServerProcess
from slipstream import trash
from slipstream.cli.main import main
from slipstream.cli.sizes import show_bytes
from slipstream.clock import parse_duration
from slipstream.errors import AlreadyExistsError, ConflictError, InvalidParameterError

pytestmark = pytest.mark.usefixtures("tracking")


def run(*arguments: str, code: int = 0, answer: str | None = None) -> str:
    """Call the command and return what it prints: results, or errors where `code` is not 0."""
    result = CliRunner().invoke(main, list(arguments), input=answer)
    assert result.exit_code == code, result.output
    return result.output


def new_run(experiment_id: str = "0") -> tuple[str, Path]:
    with slipstream.start_run(experiment_id=experiment_id) as active:
        slipstream.log_metrics({"loss": 0.5, "acc": 1.0})
        slipstream.log_text("x" * 1000, "deep/notes.txt")
    uri = active.info.artifact_uri
    return active.info.run_id, Path(uri)


def register(run_id: str) -> None:
    client = slipstream.SlipstreamClient()
    client.create_registered_model("churn")
    client.create_model_version("churn", f"runs:/{run_id}/model", run_id)


# -- our manner -------------------------------------------------------------------------------------------


def test_the_command_line_frees_names_and_the_functions_of_mlflow_do_not() -> None:
    run("experiments", "create", "-n", "vision")
    run("experiments", "delete", "-x", "1")
    with pytest.raises(AlreadyExistsError):
        slipstream.create_experiment("vision")
    assert "with id 2" in run("experiments", "create", "-n", "vision")
    listed = run("trash", "list")
    assert re.search(r"experiment\s+1\s+vision\s+20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC\s+0 bytes", listed)
    assert "--new-name" in run("trash", "restore", "-x", "1", code=1)
    run("trash", "restore", "-x", "1", "--new-name", "vision 1")
    assert slipstream.get_experiment("1").name == "vision 1"


def test_deleting_what_a_registered_model_needs() -> None:
    run_id, _ = new_run()
    register(run_id)
    assert "version 1 of the registered model 'churn'" in run("runs", "delete", "--run-id", run_id, code=1)
    assert "'churn'" in run("experiments", "delete", "-x", "0", code=1)
    with pytest.raises(ConflictError, match="churn"):
        slipstream.trash.delete_run(run_id)
    run("runs", "delete", "--run-id", run_id, "--force")
    assert "'churn'" in run("trash", "list")
    run("trash", "restore", "--run-id", run_id)
    slipstream.delete_run(run_id)  # MLflow's manner
    assert slipstream.get_run(run_id).info.lifecycle_stage == "deleted"
    assert "Stays: the run" in run("gc", "--yes")
    assert slipstream.get_run(run_id).info.lifecycle_stage == "deleted"
    assert "1 runs" in run("gc", "--yes", "--force")


def test_restore_takes_one_thing() -> None:
    assert "exactly one" in run("trash", "restore", code=2)
    assert "exactly one" in run("trash", "restore", "--run-id", "a", "--model-id", "b", code=2)
    assert "--new-name" in run("trash", "restore", "--run-id", "a", "--new-name", "b", code=2)
    model = slipstream.initialize_logged_model(name="m")
    slipstream.trash.delete_logged_model(model.model_id)
    assert "has been restored" in run("trash", "restore", "--model-id", model.model_id)


# -- gc ---------------------------------------------------------------------------------------------------


def test_gc_says_and_asks_and_removes() -> None:
    run_id, folder = new_run()
    assert "nothing to remove" in run("gc")
    slipstream.trash.delete_run(run_id)
    said = run("gc", "--dry-run")
    assert run_id in said
    assert re.search(
        r"0 experiments, 1 runs, 0 logged models; \d+ bytes of metrics, 1 files with 1.0 kB", said
    )
    assert "nothing to remove" in run("gc", "--older-than", "1d2h")
    run("gc", answer="n\n")
    assert folder.exists()
    assert "Removed 0 experiments, 1 runs" in run("gc", answer="y\n")
    assert not folder.exists()
    assert "no duration" in run("gc", "--older-than", "soon", code=1)


def test_gc_of_named_things() -> None:
    slipstream.set_experiment("going")
    experiment_id = slipstream.get_experiment_by_name("going").experiment_id
    in_experiment, _ = new_run(experiment_id)
    first, second = new_run()[0], new_run()[0]
    model = slipstream.initialize_logged_model(name="m")
    for each in (first, second):
        slipstream.trash.delete_run(each)
    slipstream.trash.delete_logged_model(model.model_id)
    slipstream.trash.delete_experiment(experiment_id)
    said = run("gc", "--yes", "--run-ids", f"{first}, {'0' * 32}")
    assert "Removed 0 experiments, 1 runs, 0 logged models" in said
    assert "there is none of this id" in said
    assert slipstream.get_run(second).info.lifecycle_stage == "deleted"
    assert slipstream.get_run(in_experiment).info.lifecycle_stage == "deleted"
    said = run("gc", "--yes", "--experiment-ids", experiment_id, "--logged-model-ids", model.model_id)
    assert "Removed 1 experiments, 1 runs, 1 logged models" in said
    assert [item.id for item in slipstream.trash.search()] == [second]


@pytest.mark.parametrize("option", ["--run-ids", "--experiment-ids", "--logged-model-ids"])
@pytest.mark.parametrize("ids", ["", ",", " , "])
def test_an_empty_list_of_ids_is_not_everything(option: str, ids: str) -> None:
    with slipstream.start_run() as run_:
        pass
    slipstream.delete_run(run_.info.run_id)
    assert "is empty" in run("gc", "--yes", option, ids, code=1)
    assert [item.id for item in trash.search()] == [run_.info.run_id]


@pytest.mark.parametrize("field", ["run_ids", "experiment_ids", "model_ids"])
def test_an_empty_list_of_a_program_is_not_everything(field: str) -> None:
    with slipstream.start_run() as run_:
        pass
    slipstream.delete_run(run_.info.run_id)
    for ids in ([], ()):
        with pytest.raises(InvalidParameterError, match=f"'{field}' is empty"):
            trash.remove(**{field: ids})
    with pytest.raises(InvalidParameterError, match="must be a list"):
        trash.remove(**{field: run_.info.run_id})
    assert [item.id for item in trash.search()] == [run_.info.run_id]


def test_what_is_deleted_while_somebody_reads_the_plan_does_not_join(monkeypatch: pytest.MonkeyPatch) -> None:
    import slipstream.cli.gc as command

    first, later = new_run()[0], new_run()[0]
    slipstream.trash.delete_run(first)

    def agree_late(*, yes: bool) -> bool:
        item = slipstream.trash.search()[0]
        while True:
            slipstream.delete_run(later)
            if max(each.deleted_time for each in slipstream.trash.search()) > item.deleted_time + 5:
                return True
            slipstream.restore_run(later)

    monkeypatch.setattr(command, "_agreed", agree_late)
    assert "Removed 0 experiments, 1 runs" in run("gc")
    assert slipstream.get_run(later).info.lifecycle_stage == "deleted"


def test_a_place_that_was_named(tmp_path: Path) -> None:
    place = tmp_path / "elsewhere"
    experiment_id = slipstream.create_experiment("e", str(place))
    run_id, folder = new_run(experiment_id)
    slipstream.trash.delete_run(run_id)
    assert "outside of its artifact roots" in run("gc", "--yes")
    assert folder.exists()
    assert "1 runs" in run("gc", "--yes", "--artifact-root", str(place))
    assert not folder.exists()


def test_orphans() -> None:
    assert "nothing to remove" in run("gc", "--orphans", "--yes")


@pytest.mark.slow
def test_through_a_server_and_on_its_database(tmp_path: Path) -> None:
    folder = tmp_path / "server"
    folder.mkdir()
    server = ServerProcess(folder)
    database = f"sqlite:///{folder / 'server.db'}"
    slipstream.set_tracking_uri(server.url)
    runs = [new_run()[0] for _ in range(3)]
    files = [folder / "artifacts" / "0" / each / "artifacts" for each in runs]
    assert all((each / "deep" / "notes.txt").exists() for each in files)
    for each in runs:
        slipstream.trash.delete_run(each)
    # Where its files are is not known without being told.
    assert "outside" in run("gc", "--yes", "--backend-store-uri", database, "--run-ids", runs[0])
    assert "Leave" in run("gc", "--artifacts-destination", str(tmp_path), code=1)
    assert "1 runs" in run("gc", "--yes", "--run-ids", runs[0])
    assert "1 runs" in run(
        *("gc", "--yes", "--run-ids", runs[1], "--backend-store-uri", database),
        *("--artifacts-destination", str(folder / "artifacts")),
    )
    assert "1 runs" in run(
        *("gc", "--yes", "--run-ids", runs[2], "--backend-store-uri", database, "--tracking-uri", server.url)
    )
    assert not any(each.exists() for each in files)
    assert slipstream.trash.search() == []
    assert "nothing to remove" in run("gc", "--orphans")
    slipstream.set_tracking_uri(None)
    assert server.stop() == 0


def test_names_of_clients_are_not_obeyed_by_terminals() -> None:
    name = "a\x1b[2J\nrun   deadbeef\u202e"
    run_id = slipstream.SlipstreamClient().create_run("0", run_name=name).info.run_id
    slipstream.trash.delete_run(run_id)
    for arguments in (["gc", "--dry-run"], ["trash", "list"]):
        said = CliRunner().invoke(main, arguments, color=True).output  # without colour click takes them out
        (row,) = (each for each in said.splitlines() if "deadbeef" in each)
        assert run_id in row
        assert r"a\x1b[2J\x0arun   deadbeef\u202e" in row
        assert "\x1b" not in said


# -- words ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [("30d", 2_592_000_000), ("1d2h", 93_600_000), ("1.5h", 5_400_000), ("2m3s", 123_000), ("0s", 0)],
)
def test_durations(text: str, milliseconds: int) -> None:
    assert parse_duration(text) == milliseconds


@pytest.mark.parametrize("text", ["", " ", "d", "5", "2h1d", "-1d", "1d 2h", "٣d", "1w"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="30d"):
        parse_duration(text)
    with pytest.raises(InvalidParameterError, match="older_than"):
        slipstream.trash.plan_removal(text)


def test_ages_are_told_by_the_name_of_the_option() -> None:
    for text in ("soon", "9" * 30 + "d"):
        assert "--older-than" in run("gc", "--older-than", text, code=1)


def test_orphans_are_not_chosen_by_what_would_be_ignored() -> None:
    for option, value in (("--older-than", "30d"), ("--run-ids", "f" * 32), ("--experiment-ids", "")):
        assert "--orphans" in run("gc", "--orphans", option, value, "--yes", code=2)


@pytest.mark.parametrize("text", ["365001d", "9" * 30 + "d", "9" * 400 + "d"])
def test_durations_without_an_end(text: str) -> None:
    with pytest.raises(InvalidParameterError, match="older_than.*365000d"):
        slipstream.trash.plan_removal(text)


def test_sizes() -> None:
    assert [show_bytes(each) for each in (0, 999, 1000, 1_500_000, 10**15)] == [
        *("0 bytes", "999 bytes", "1.0 kB", "1.5 MB", "1.0 PB")
    ]
