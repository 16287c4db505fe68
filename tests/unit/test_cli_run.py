"""`slipstream run`: its options reach the project, and errors are one line."""

import json
from pathlib import Path

import click.testing
import pytest

import slipstream
from slipstream.cli.main import main
from slipstream.client.client import SlipstreamClient

pytestmark = pytest.mark.usefixtures("tracking")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "MLproject").write_text(
        "entry_points:\n"
        "  main: {parameters: {a: float, b: {default: 'x y'}}, command: 'python show.py {a} {b}'}\n"
        "  fail: {command: \"python -c 'raise SystemExit(3)'\"}\n"
    )
    (folder / "show.py").write_text("import json, sys; json.dump(sys.argv[1:], open('seen.json', 'w'))")
    return folder


def call(*arguments: str) -> click.testing.Result:
    return click.testing.CliRunner().invoke(main, ["run", *arguments])


def test_parameters_and_options(project: Path) -> None:
    done = call(
        str(project), "-P", "a=1.5", "-P", "other=p=q; r", "--env-manager", "local", "--run-name", "n",
        "--experiment-name", "e",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert json.loads((project / "seen.json").read_text()) == ["1.5", "x y", "--other", "p=q; r"]
    experiment = slipstream.get_experiment_by_name("e")
    assert experiment is not None
    (run,) = SlipstreamClient().search_runs([experiment.experiment_id])
    assert run.info.run_name == "n"
    assert run.data.params == {"a": "1.5", "b": "x y", "other": "p=q; r"}


def test_the_experiment_may_come_from_the_environment(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "of the shell")
    assert call(str(project), "-P", "a=1", "--env-manager", "local").exit_code == 0
    assert slipstream.get_experiment_by_name("of the shell") is not None


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["-P", "a=1", "-e", "nope"], 1, "'nope'"),
        ([], 1, "missing parameters: 'a'"),
        (["-P", "a=one"], 1, "'a' must be a number (type float), got 'one'"),
        (["-e", "fail"], 1, "failed"),
        (["-P", "a=1", "--version", "main"], 1, "git repositories"),
        (["-P", "a=1", "--backend", "databricks"], 1, "'databricks'"),
        (["-P", "a"], 2, "Use -P name=value"),
        (["-P", "=1"], 2, "Use -P name=value"),
        (["-P", "a=1", "-P", "a=2"], 2, "Repeated parameter: 'a'"),
        (["--backend-config", "{"], 2, "JSON"),
        (["--backend-config", "[]"], 2, "object"),
        (["--experiment-id", "1", "--experiment-name", "x"], 2, "only one"),
        (["--env-manager", "poetry"], 2, "poetry"),
    ],
)
def test_errors_are_told_in_one_line(project: Path, arguments: list[str], code: int, told: str) -> None:
    done = call(str(project), *arguments)
    assert done.exit_code == code
    assert told in done.stderr
    assert "Traceback" not in done.output
    if code == 1:
        assert len([line for line in done.stderr.splitlines() if line.startswith("error: ")]) == 1


def test_a_missing_folder(tmp_path: Path) -> None:
    done = call(str(tmp_path / "nowhere"))
    assert done.exit_code == 1
    assert "nowhere" in done.stderr


def test_help_names_all_options_of_mlflow() -> None:
    text = call("--help").output
    for option in (
        "--entry-point", "--version", "--param-list", "--docker-args", "--experiment-name", "--experiment-id", "--backend",
        "--backend-config", "--env-manager", "--storage-dir", "--run-id", "--run-name", "--build-image", "--trust",
    ):  # fmt: skip
        assert option in text
