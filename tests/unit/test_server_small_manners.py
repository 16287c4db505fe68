"""What MLflow's clients and pages meet at the edges: probes of what is absent, prefixes, parameters given twice."""

import http.client
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from server_process import ServerProcess

API = "/api/2.0/mlflow/"
AJAX = "/ajax-api/2.0/mlflow/"


@pytest.fixture(scope="module", params=["", "/base/path"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    options = ("--static-prefix", request.param) if request.param else ()
    process = ServerProcess(tmp_path_factory.mktemp("server"), *options)
    yield process
    assert process.stop() == 0


def ask(server: ServerProcess, method: str, path: str, body: object = None) -> tuple[int, str, Any]:
    """Return status, media type and content; `path` is below the server's prefix."""
    parts = urlsplit(server.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
    try:
        content = None if body is None else json.dumps(body)
        headers = {} if body is None else {"Content-Type": "application/json"}
        connection.request(method, parts.path + path, content, headers)
        answer = connection.getresponse()
        text = answer.read().decode()
    finally:
        connection.close()
    kind = (answer.headers["content-type"] or "").split(";")[0]
    return answer.status, kind, json.loads(text) if kind == "application/json" else text


@pytest.mark.parametrize("base", ["/api/3.0/mlflow/", "/ajax-api/3.0/mlflow/"])
def test_workspaces_are_said_to_be_absent(server: ServerProcess, base: str) -> None:
    for method, path in (("GET", "workspaces"), ("POST", "workspaces"), ("GET", "workspaces/default")):
        status, kind, text = ask(server, method, base + path)
        assert (status, kind) == (503, "text/html")
        assert "no workspaces" in text


def test_pages_are_told_to_report_nothing(server: ServerProcess) -> None:
    path = "/ajax-api/3.0/mlflow/ui-telemetry"
    assert ask(server, "GET", path)[2]["disable_ui_telemetry"] is True
    assert ask(server, "POST", path, {"records": []}) == (200, "application/json", {"status": "disabled"})


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nope", 404),
        ("GET", "/api/2.0/mlflow/nope", 404),
        ("POST", "/version", 405),
        ("PUT", "/graphql", 405),
    ],
)
def test_unknown_pages_answer_html(server: ServerProcess, method: str, path: str, status: int) -> None:
    got, kind, text = ask(server, method, path)
    assert (got, kind) == (status, "text/html")
    assert str(status) in text


def test_a_plain_options_request_is_answered(server: ServerProcess) -> None:
    assert ask(server, "OPTIONS", API + "runs/get")[0] == 204


def test_of_a_parameter_given_twice_the_first_counts(server: ServerProcess) -> None:
    status, _, found = ask(server, "GET", API + "experiments/get?experiment_id=0&experiment_id=99")
    assert (status, found["experiment"]["name"]) == (200, "Default")
    assert ask(server, "GET", API + "experiments/get?experiment_id=99&experiment_id=0")[0] == 404
    assert ask(server, "GET", API + "webhooks/none?webhook_id=other")[2]["message"].endswith("none not found")


def test_bulk_history_takes_no_points_and_no_limit(server: ServerProcess) -> None:
    run = ask(server, "POST", API + "runs/create", {"experiment_id": "0"})[2]["run"]["info"]["run_id"]
    points = [{"key": "m", "value": step, "timestamp": 1, "step": step} for step in range(3)]
    ask(server, "POST", API + "runs/log-batch", {"run_id": run, "metrics": points})
    counts = {
        most: len(
            ask(
                server, "GET", f"{AJAX}metrics/get-history-bulk?run_id={run}&metric_key=m&max_results={most}"
            )[2]["metrics"]
        )
        for most in (-1, 0, 2, 5)
    }
    assert counts == {-1: 3, 0: 0, 2: 2, 5: 3}


def test_graphql_and_webhooks_on_both_prefixes(server: ServerProcess) -> None:
    query = {"query": '{ mlflowGetExperiment(input: {experimentId: "0"}) { experiment { name } } }'}
    expected = {"data": {"mlflowGetExperiment": {"experiment": {"name": "Default"}}}, "errors": None}
    assert ask(server, "POST", "/graphql", query) == (200, "application/json", expected)
    hook = {
        "name": "camel",
        "url": "https://1.1.1.1/x",
        "events": [{"entity": "PROMPT_TAG", "action": "SET"}],
        "status": "DISABLED",
    }
    made = ask(server, "POST", API + "webhooks", hook)[2]["webhook"]
    assert set(made) == {
        *("webhook_id", "name", "url", "events", "status", "creation_timestamp", "last_updated_timestamp"),
    }
    twin = ask(server, "GET", AJAX + f"webhooks/{made['webhook_id']}")[2]["webhook"]
    assert twin == made
    assert ask(server, "GET", API + "webhooks?maxResults=1")[2] == {"webhooks": [made]}
    assert ask(server, "DELETE", API + f"webhooks/{made['webhook_id']}") == (200, "application/json", {})
    assert ask(server, "GET", API + "webhooks")[2] == {}
