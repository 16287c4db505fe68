"""What MLflow's pages ask about features that are not here: answered as empty, and unknown to clients."""

import http.client
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from server_process import ServerProcess
from slipstream.api.routing import Permission
from slipstream.server.absent_features import absent_feature_routes
from slipstream.server.artifacts import DeclaredRoute

AJAX3 = "/ajax-api/3.0/mlflow/"
EMPTY = [route for route in absent_feature_routes() if isinstance(route, DeclaredRoute)]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    process = ServerProcess(tmp_path_factory.mktemp("server"))
    yield process
    assert process.stop() == 0


def ask(server: ServerProcess, method: str, path: str, body: object = None) -> tuple[int, Any]:
    parts = urlsplit(server.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
    content = body if isinstance(body, bytes) else json.dumps(body)
    try:
        connection.request(
            method, path, None if body is None else content, {"Content-Type": "application/json"}
        )
        answer = connection.getresponse()
        text = answer.read()
    finally:
        connection.close()
    return answer.status, json.loads(text) if "json" in (answer.headers["content-type"] or "") else text


def test_every_route_is_for_readers_and_answers_an_object(server: ServerProcess) -> None:
    assert len(EMPTY) > 20
    for route in EMPTY:
        assert route.permission is Permission.READ
        method = "POST" if "POST" in (route.methods or ()) else "GET"
        status, answer = ask(server, method, route.path, {} if method == "POST" else None)
        assert (status, type(answer)) == (200, dict), route.path


def test_clients_are_told_that_there_is_no_such_thing(server: ServerProcess) -> None:
    assert ask(server, "POST", "/api/3.0/mlflow/traces/search", {})[0] == 404
    assert ask(server, "GET", "/api/3.0/mlflow/scorers/list")[0] == 404


def test_what_would_be_kept_is_refused(server: ServerProcess) -> None:
    for path in ("gateway/secrets/create", "scorers/register", "label-schemas/create", "datasets/create"):
        assert ask(server, "POST", AJAX3 + path, {})[0] in (404, 405), path


def test_traces_are_counted_as_none(server: ServerProcess) -> None:
    path = AJAX3 + "traces/metrics"
    count = {"metric_name": "trace_count", "aggregations": [{"aggregation_type": "COUNT"}]}
    nought = [{"metric_name": "trace_count", "values": {"COUNT": 0.0}}]
    assert ask(server, "POST", path, count) == (200, {"data_points": nought})
    assert ask(server, "POST", path, count | {"time_interval_seconds": 86400}) == (200, {})
    assert ask(server, "POST", path, count | {"dimensions": ["trace_status"]}) == (200, {})
    mean = {"metric_name": "latency", "aggregations": [{"aggregation_type": "AVG"}]}
    assert ask(server, "POST", path, mean) == (200, {})


def test_bodies_that_are_no_questions(server: ServerProcess) -> None:
    path = AJAX3 + "traces/metrics"
    assert ask(server, "POST", path, b"[1")[0] == 400
    assert ask(server, "POST", path, {"aggregations": 3})[0] == 400
    assert ask(server, "POST", path, b'"' + b"x" * 300_000 + b'"')[0] == 400


def test_a_queue_of_reviews_is_its_owners(server: ServerProcess) -> None:
    path = AJAX3 + "review-queues/get-or-create-user"
    status, answer = ask(server, "POST", path, {"experiment_id": "7", "user": "ann", "created_by": "ann"})
    assert status == 200
    queue = answer["review_queue"]
    assert (queue["experiment_id"], queue["users"], queue["queue_type"]) == ("7", ["ann"], "USER")
