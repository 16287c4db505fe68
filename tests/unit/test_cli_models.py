"""`slipstream models`: options, input, output and messages; the server itself has its own tests."""

import json
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner, Result
from sklearn.linear_model import LinearRegression

import slipstream.sklearn
from slipstream.cli import model_environment
from slipstream.cli.main import main
from slipstream.models import infer_signature
from slipstream.projects.environment_spec import EnvironmentSpec
from slipstream.serving import run as serving_run

X = pd.DataFrame({"a": [0.0, 1.0, 2.0], "b": [1.0, 0.0, 1.0]})
REQUEST = json.dumps({"dataframe_split": {"columns": ["a", "b"], "data": [[3, 4]]}})


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that adds up its two columns."""
    folder = tmp_path_factory.mktemp("models") / "adder"
    adder = LinearRegression().fit(X, X["a"] + X["b"])
    slipstream.sklearn.save_model(
        adder,
        folder,
        signature=infer_signature(X, adder.predict(X)),
        input_example=X.head(1),
        pip_requirements=["scikit-learn"],
    )
    return folder


def invoke(*arguments: object, stdin: str | bytes | None = None) -> Result:
    return CliRunner().invoke(main, ["models", *map(str, arguments)], input=stdin)


def predictions(text: str) -> list[float]:
    return np.round(json.loads(text)["predictions"], 6).tolist()


def test_predict_reads_standard_input(model: Path) -> None:
    result = invoke("predict", "-m", model, stdin=REQUEST)
    assert result.exit_code == 0, result.output
    assert predictions(result.stdout) == [7.0]


def test_predict_reads_and_writes_files(model: Path, tmp_path: Path) -> None:
    (tmp_path / "in.csv").write_text("a,b\n1,2\n3,4\n", encoding="utf-8")
    output = tmp_path / "out.json"
    result = invoke("predict", "-m", model, "-t", "csv", "-i", tmp_path / "in.csv", "-o", output)
    assert (result.exit_code, result.output) == (0, "")
    assert predictions(output.read_text(encoding="utf-8")) == [3.0, 7.0]


@pytest.mark.parametrize(
    ("stdin", "message"),
    [
        ("[]", "error: The body must be a JSON object"),
        ('{"dataframe_records": [{"a": 1}]}', "error: Model is missing inputs ['b']."),
        (
            '{"dataframe_records": [{"a": 1, "b": "x"}]}',
            "error: The value of column 'b', row 0 is not convertible",
        ),
    ],
)
def test_predict_says_in_one_line_what_is_wrong(model: Path, stdin: str, message: str) -> None:
    result = invoke("predict", "-m", model, stdin=stdin)
    assert result.exit_code == 1
    assert result.stderr.startswith(message)
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["predict", "serve"])
def test_a_model_that_is_not_there(tmp_path: Path, command: str) -> None:
    port = ("-p", "0") if command == "serve" else ()
    result = invoke(command, "-m", tmp_path / "none", *port, stdin=REQUEST)
    assert result.exit_code == 1
    assert "Could not find an 'MLmodel' file" in result.stderr


def test_model_uris_reach_no_shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for uri in ("$(touch pwned)", "`touch pwned`", "x; touch pwned", "-m; touch pwned"):
        assert invoke("predict", f"--model-uri={uri}", stdin=REQUEST).exit_code == 1
        assert invoke("prepare-env", f"--model-uri={uri}").exit_code == 1
    assert list(tmp_path.iterdir()) == []


# -- serve: what the options become ---------------------------------------------------------------------
@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[serving_run.ServeOptions]:
    seen: list[serving_run.ServeOptions] = []
    monkeypatch.setattr(serving_run, "serve", lambda options, _say: seen.append(options))
    return seen


def test_serve_defaults(served: list[serving_run.ServeOptions]) -> None:
    assert invoke("serve", "-m", "models:/m@champion").exit_code == 0
    (options,) = served
    assert (options.model_uris, options.host, options.port) == (("models:/m@champion",), "127.0.0.1", 5000)
    assert (options.pool.workers, options.pool.timeout_seconds, options.trust) == (1, 60.0, None)
    assert (options.pool.batch_size, options.joined, options.app.refresh_seconds) == (64, None, 5.0)
    assert options.gate.token is None


def test_serve_options(served: list[serving_run.ServeOptions], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPSTREAM_SERVER_TOKEN", "s3cret")
    result = invoke(
        *(
            "serve",
            "-m",
            "m",
            "-h",
            "0.0.0.0",
            "-p",
            "0",
            "-t",
            "5",
            "-w",
            "3",
            "--threads",
            "2",
            "--queue-size",
            "7",
            "--batch-size=9",
            "--max-body-mb=2",
            "--max-tokens=50",
            "--max-prompt-tokens=60",
        ),
        *(
            "--auth",
            "token",
            "--allowed-hosts",
            "ml.example, b",
            "--allowed-origins",
            "https://ui",
            "--trust",
        ),
    )
    assert result.exit_code == 0, result.output
    (options,) = served
    assert (options.host, options.port, options.pool.timeout_seconds) == ("0.0.0.0", 0, 5.0)
    assert (options.pool.workers, options.pool.threads, options.pool.queue_size) == (3, 2, 7)
    assert (options.trust, options.joined, options.pool.batch_size) == (True, True, 9)
    assert (options.app.body_bytes, options.max_new_tokens, options.max_prompt_tokens) == (2 << 20, 50, 60)
    assert options.gate.allowed_hosts == ("ml.example", "b")
    assert options.gate.allowed_origins == ("https://ui",)
    assert options.gate.token == "s3cret"


@pytest.mark.parametrize("prefix", ["SLIPSTREAM", "MLFLOW"])
def test_serve_reads_the_environment(
    served: list[serving_run.ServeOptions], monkeypatch: pytest.MonkeyPatch, prefix: str
) -> None:
    settings = {
        "PORT": "6001",
        "HOST": "localhost",
        "MODELS_WORKERS": "2",
        "SCORING_SERVER_REQUEST_TIMEOUT": "9",
    }
    for name, value in settings.items():
        monkeypatch.setenv(f"{prefix}_{name}", value)
    assert invoke("serve", "-m", "m").exit_code == 0
    (options,) = served
    assert (options.port, options.host, options.pool.workers, options.pool.timeout_seconds) == (
        6001,
        "localhost",
        2,
        9.0,
    )


def test_serve_beyond_this_machine_needs_a_word_on_clients(served: list[serving_run.ServeOptions]) -> None:
    result = invoke("serve", "-m", "m", "-h", "0.0.0.0")
    assert result.exit_code == 1
    assert "--auth" in result.stderr
    assert invoke("serve", "-m", "m", "-h", "0.0.0.0", "--auth", "none").exit_code == 0
    assert len(served) == 1


# -- the model's own environment ------------------------------------------------------------------------
class ProgramStartedError(Exception):
    """Stands for the program that the process would have become."""


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Build no environment and become no program; record what would have been done."""
    seen = SimpleNamespace(spec=None, argv=None)

    def prepare(spec: EnvironmentSpec) -> Any:
        seen.spec = spec
        return SimpleNamespace(folder=Path("/envs/one"), programs=Path("/envs/one/bin"))

    def execv(program: Path, argv: list[str]) -> None:
        seen.argv = argv
        raise ProgramStartedError(program)

    monkeypatch.setattr(model_environment.environment, "prepare", prepare)
    monkeypatch.setattr(model_environment.os, "execv", execv)
    return seen


@pytest.mark.parametrize("manager", ["uv", "virtualenv", "conda"])
def test_serve_runs_each_model_in_its_environment(
    model: Path, environment: SimpleNamespace, served: list[serving_run.ServeOptions], manager: str
) -> None:
    assert invoke("serve", "-m", model, "--trust", "--env-manager", manager).exit_code == 0
    (options,) = served
    assert options.interpreter is not None
    assert options.interpreter(str(model)) == "/envs/one/bin/python"
    assert "scikit-learn" in environment.spec.requirements


def test_mlflows_flags_of_serve_are_taken(served: list[serving_run.ServeOptions]) -> None:
    assert (
        invoke("serve", "-m", "m", "--no-conda", "--env-manager", "conda", "--install-mlflow").exit_code == 0
    )
    (options,) = served
    assert options.interpreter is None


def test_predict_goes_on_in_the_models_environment(model: Path, environment: SimpleNamespace) -> None:
    result = invoke("predict", "-m", model, "-t", "csv", "--env-manager", "uv")
    assert isinstance(result.exception, ProgramStartedError)
    assert environment.argv[1:] == [
        *("models", "predict", f"--model-uri={model}", "--content-type=csv", "--env-manager", "local")
    ]


def test_prepare_env_has_the_models_requirements_and_slipstream(
    model: Path, environment: SimpleNamespace
) -> None:
    result = invoke("prepare-env", "-m", model)
    assert (result.exit_code, result.stdout) == (0, "/envs/one\n")
    assert environment.spec.python == ".".join(map(str, sys.version_info[:3]))
    *requirements, own = environment.spec.requirements
    assert "scikit-learn" in requirements
    assert not [line for line in requirements if "mlflow" in line], "slipstream takes MLflow's place"
    assert own.startswith("slipstream[pyfunc,sklearn]")


@pytest.mark.parametrize(
    ("origin", "own"),
    [
        (None, "slipstream[pyfunc]==1.2"),
        (
            {"url": "file:///checkout", "dir_info": {"editable": True}},
            "slipstream[pyfunc] @ file:///checkout",
        ),
        ({"url": "https://host/s.whl", "archive_info": {}}, "slipstream[pyfunc] @ https://host/s.whl"),
        (
            {
                "url": "https://host/s.git",
                "vcs_info": {"vcs": "git", "requested_revision": "v1", "commit_id": "abc"},
            },
            "slipstream[pyfunc] @ git+https://host/s.git@abc",
        ),
        (
            {
                "url": "ssh://git@host/s",
                "vcs_info": {"vcs": "git", "commit_id": "abc"},
                "subdirectory": "py/s",
            },
            "slipstream[pyfunc] @ git+ssh://git@host/s@abc#subdirectory=py/s",
        ),
    ],
)
def test_this_very_slipstream_is_installed(
    monkeypatch: pytest.MonkeyPatch, origin: dict[str, Any] | None, own: str
) -> None:
    text = None if origin is None else json.dumps(origin)
    installed = SimpleNamespace(version="1.2", read_text=lambda _name: text)
    monkeypatch.setattr(model_environment.metadata, "distribution", lambda _name: installed)
    assert model_environment._own_requirement(["numpy"]) == own


@pytest.mark.parametrize("file", ["requirements.txt", "python_env.yaml", "conda.yaml"])
@pytest.mark.parametrize("command", [["prepare-env"], ["predict", "--env-manager", "uv"]])
def test_packages_that_a_stranger_names_are_not_installed(
    model: Path, environment: SimpleNamespace, tmp_path: Path, file: str, command: list[str]
) -> None:
    model = shutil.copytree(model, tmp_path / "model")
    with (model / file).open("a", encoding="utf-8") as stream:
        stream.write("\n# changed by somebody else\n")

    refused = invoke(*command, "-m", model)
    assert refused.exit_code == 1
    assert f"'{file}'" in refused.stderr
    assert "belong to a model's environment" in refused.stderr
    assert environment.spec is None
    invoke(*command, "-m", model, "--trust")
    assert environment.spec is not None


def test_model_without_environment_files(tmp_path: Path, environment: SimpleNamespace) -> None:
    (tmp_path / "MLmodel").write_text("flavors: {}\n", encoding="utf-8")
    result = invoke("prepare-env", "-m", tmp_path)
    assert result.exit_code == 1
    assert "says nothing about its environment" in result.stderr


def test_nothing_to_prepare_locally(model: Path, environment: SimpleNamespace) -> None:
    assert "Nothing to prepare" in invoke("prepare-env", "-m", model, "--env-manager", "local").stderr
    assert environment.spec is None


def test_a_place_that_cannot_be_written_is_refused_before_the_model_is_asked(
    model: Path, tmp_path: Path
) -> None:
    (tmp_path / "in.json").write_text('{"dataframe_records": [{"a": 1.0}]}')
    result = invoke(
        "predict", "-m", model, "-i", tmp_path / "in.json", "-o", tmp_path / "nowhere" / "out.json"
    )
    assert result.exit_code != 0
    assert "nowhere" in result.stderr
    assert "Traceback" not in result.stderr
