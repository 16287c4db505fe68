"""`slipstream deployments`: MLflow's options, one line for each error."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from slipstream import deployments
from slipstream.cli.main import main
from slipstream.deployments import PredictionsResponse

PLAIN = ["-C", "image=example.com/scoring:1", "-C", "auth=none", "-C", "tracking_uri=http://tracking:5000"]


def invoke(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["deployments", *arguments])


def test_a_deployments_life() -> None:
    made = invoke("create", "-t", "kubernetes", "--name", "churn", "-m", "models:/churn/1", *PLAIN)
    assert (made.exit_code, made.output) == (
        0,
        "python_function deployment churn is created\nmanifest: deployments/churn.yaml\n",
    )
    changed = invoke("update", "-t", "kubernetes", "--name", "churn", "--model-uri", "models:/churn/2")
    assert changed.output == "Deployment churn is updated (with flavor python_function)\n"
    assert "'model_uri': 'models:/churn/2'" in invoke("list", "--target", "kubernetes").output
    assert "model_uri: models:/churn/2\n" in invoke("get", "-t", "kubernetes", "--name", "churn").output
    assert invoke("delete", "-t", "kubernetes", "--name", "churn").output == "Deployment churn is deleted\n"
    assert invoke("list", "-t", "kubernetes").output == "List of all deployments:\n[]\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["create", "-t", "nowhere", "--name", "a", "-m", "m"], "No plugin for deployments to 'nowhere'"),
        (["create", "-t", "kserve", "--name", "A b", "-m", "/m", *PLAIN], "name must be a DNS label"),
        (["create", "-t", "kserve", "--name", "a", "-m", "/m", "-C", "x"], "--config must be NAME=VALUE"),
        (["create", "-t", "kserve", "--name", "a", "-m", "/m", "-C", "=x"], "--config must be NAME=VALUE"),
        (["create", "-t", "kserve", "--name", "a", "-m", "/m", "-C", "a=1", "-C", "a=2"], "'a' twice"),
        (["create", "-t", "kserve", "--name", "a", "-m", "/m", "-f", "onnx", *PLAIN], "flavor must be"),
        (["create", "-t", "kserve", "--name", "a", "-m", "/m", "--endpoint", "e", *PLAIN], "no endpoints"),
        (["update", "-t", "kserve", "--name", "a"], "There is no manifest"),
        (["get", "-t", "kserve", "--name", "a"], "There is no manifest"),
        (["get-endpoint", "-t", "kserve", "--endpoint", "e"], "cannot describe endpoints"),
        (["list-endpoints", "-t", "kserve"], "cannot list endpoints"),
        (["create-endpoint", "-t", "kserve", "--endpoint", "e"], "cannot create endpoints"),
        (["update-endpoint", "-t", "kserve", "--endpoint", "e"], "cannot update endpoints"),
        (["delete-endpoint", "-t", "kserve", "--endpoint", "e"], "cannot delete endpoints"),
    ],
)
def test_errors_are_one_line(arguments: list[str], message: str) -> None:
    result = invoke(*arguments)
    assert result.exit_code == 1
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert message in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_value_may_hold_an_equals_sign() -> None:
    invoke("create", "-t", "kserve", "--name", "a", "-m", "/m", *PLAIN, "-C", 'env={"A": "b=c"}')
    assert "{'A': 'b=c'}" in invoke("get", "-t", "kserve", "--name", "a").output


@pytest.mark.parametrize("target", ["kserve", "kubernetes", "ray-serve"])
def test_help(target: str) -> None:
    result = invoke("help", "-t", target)
    assert result.exit_code == 0
    assert "Target URIs:" in result.output


class Recorder:
    """A plugin's client of the oldest kind: it knows neither endpoints nor a config to delete with."""

    def __init__(self, asked: list[Any]) -> None:
        self._asked = asked

    def predict(self, deployment_name: str | None = None, df: Any = None) -> PredictionsResponse:
        self._asked.append((deployment_name, df))
        return PredictionsResponse(predictions=[1.5])

    def explain(self, deployment_name: str | None = None, df: Any = None, endpoint: str | None = None) -> Any:
        return {"a": [deployment_name, endpoint, len(df)]}

    def delete_deployment(self, name: str) -> None:
        self._asked.append(name)

    def get_deployment(self, name: str) -> dict[str, Any]:
        raise type("MlflowException", (Exception,), {})("no such\nthing")

    def list_deployments(self) -> list[Any]:
        raise RuntimeError("a bug")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    kept: list[Any] = []
    monkeypatch.setattr(deployments, "get_deploy_client", lambda _: Recorder(kept), raising=False)
    return kept


def test_predict_reads_a_table_as_mlflow_does(asked: list[Any]) -> None:
    Path("in.json").write_text('{"a": [1, 2], "b": [3, 4]}', encoding="utf-8")
    result = invoke("predict", "-t", "old", "--name", "churn", "-I", "in.json")
    assert json.loads(result.stdout) == {"predictions": [1.5]}
    name, frame = asked[0]
    assert (name, frame.to_dict(orient="list")) == ("churn", {"a": [1, 2], "b": [3, 4]})


def test_predict_passes_a_request_on_and_writes_a_file(asked: list[Any]) -> None:
    request = {"dataframe_split": {"columns": ["a"], "data": [[1]]}}
    Path("in.json").write_text(json.dumps(request), encoding="utf-8")
    result = invoke("predict", "-t", "old", "--name", "churn", "-I", "in.json", "-O", "out.json")
    assert (result.exit_code, result.output) == (0, "")
    assert json.loads(Path("out.json").read_text("utf-8")) == {"predictions": [1.5]}
    assert asked == [("churn", request)]


def test_explain(asked: list[Any]) -> None:
    Path("in.json").write_text('[{"a": 1}]', encoding="utf-8")
    result = invoke("explain", "-t", "old", "--endpoint", "e", "-I", "in.json")
    assert json.loads(result.stdout) == {"a": [None, "e", 1]}


def test_older_plugins_get_what_they_take(asked: list[Any]) -> None:
    assert invoke("delete", "-t", "old", "--name", "churn").exit_code == 0
    assert asked == ["churn"]
    refused = invoke("delete", "-t", "old", "--name", "churn", "--endpoint", "e")
    assert refused.stderr == "error: This deployment target takes no --endpoint.\n"


def test_mlflows_exceptions_are_one_line_and_bugs_are_not_hidden(asked: list[Any]) -> None:
    refused = invoke("get", "-t", "old", "--name", "churn")
    assert (refused.exit_code, refused.stderr) == (
        1,
        "error: The deployment target 'old' refuses: no such thing\n",
    )
    assert isinstance(invoke("list", "-t", "old").exception, RuntimeError)


@pytest.mark.parametrize("arguments", [[], ["--name", "a", "--endpoint", "b"]])
def test_predict_wants_a_name_or_an_endpoint(arguments: list[str]) -> None:
    Path("in.json").write_text("[]", encoding="utf-8")
    result = invoke("predict", "-t", "kserve", "-I", "in.json", *arguments)
    assert result.exit_code == 2
    assert "exactly one of --name or --endpoint" in result.stderr


@pytest.mark.parametrize(("text", "message"), [("{", "is not valid JSON"), ("3", "holds no table")])
def test_inputs_that_cannot_be_read(text: str, message: str) -> None:
    Path("in.json").write_text(text, encoding="utf-8")
    result = invoke("predict", "-t", "kserve", "--name", "a", "-I", "in.json")
    assert result.exit_code == 1
    assert message in result.stderr
