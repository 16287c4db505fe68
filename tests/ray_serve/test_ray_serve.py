"""The target `ray-serve` on a real Ray Serve: a deployment's life, under load."""

import json
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pandas as pd
import pytest
import urllib3

from slipstream.deployments import get_deploy_client
from slipstream.errors import (
    AlreadyExistsError,
    BadRequestError,
    ExecutionError,
    InvalidParameterError,
    NotFoundError,
)

REQUEST = {"dataframe_split": {"columns": ["a", "b"], "data": [[3, 4]]}}
SUM, DIFFERENCE = 7.0, -1.0


@pytest.fixture(scope="module")
def client(deployed: dict[str, Any]) -> Any:
    return get_deploy_client("ray-serve")


def post(pool: urllib3.PoolManager, url: str) -> tuple[int, float | str, str | None]:
    """Ask once; returns status, prediction (or the body), and the version that says it answered."""
    answer = pool.request("POST", f"{url}/invocations", json=REQUEST, retries=False, timeout=120)
    value = (
        round(json.loads(answer.data)["predictions"][0], 6) if answer.status == 200 else answer.data.decode()
    )
    return answer.status, value, answer.headers.get("slipstream-model-uri")


@contextmanager
def load(url: str, clients: int = 4) -> Generator[list[tuple[int, float | str, str | None]]]:
    """Ask all the time from several threads; yields the growing list of answers."""
    answers: list[tuple[int, float | str, str | None]] = []
    ending = threading.Event()

    def ask() -> None:
        with urllib3.PoolManager() as pool:
            while not ending.is_set():
                answers.append(post(pool, url))

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        ending.set()
        for thread in threads:
            thread.join()


def test_a_deployments_life(client: Any, deployed: dict[str, Any]) -> None:
    """One test, since each step needs the one before, and each costs seconds."""
    assert deployed["model_uri"] == "models:/adder/1"  # the alias, resolved
    assert deployed["status"] == "RUNNING"
    url = deployed["url"]
    with urllib3.PoolManager() as pool:
        assert post(pool, url) == (200, SUM, "models:/adder/1")
        assert [
            pool.request("GET", f"{url}{path}").status for path in ("/ping", "/health", "/version", "/x")
        ] == [
            200,
            200,
            200,
            404,
        ]
        bad = pool.request("POST", f"{url}/invocations", json={"rows": 1})
        assert (bad.status, bad.json()["error_code"]) == (400, "BAD_REQUEST")

    frame = pd.DataFrame(REQUEST["dataframe_split"]["data"], columns=["a", "b"])
    assert client.predict("adder", frame).get_predictions("ndarray").round(6).tolist() == [SUM]
    assert client.predict("adder", REQUEST)["predictions"] == pytest.approx([SUM])
    assert client.predict(inputs=frame, endpoint=url)["predictions"] == pytest.approx([SUM])
    with pytest.raises(BadRequestError, match="The deployment 'adder' answered 400"):
        client.predict("adder", {"dataframe_split": {"columns": ["a"], "data": [["x"]]}})
    assert [entry["name"] for entry in client.list_deployments()] == ["adder"]
    with pytest.raises(AlreadyExistsError, match="'adder' already"):
        client.create_deployment("adder", "models:/adder/1")

    # One replica: requests wait for the new one, and none fails.
    with load(url) as answers:
        client.update_deployment("adder", "models:/adder/2")
        seen = len(answers)
        until = time.monotonic() + 60
        while len(answers) < seen + 20 and time.monotonic() < until:
            time.sleep(0.1)
    _require_honest(answers)
    assert answers[-1][1:] == (DIFFERENCE, "models:/adder/2")

    # A version that cannot be loaded changes nothing.
    with load(url, 2) as answers, pytest.raises(NotFoundError):
        client.update_deployment("adder", "models:/adder/9")
    _require_honest(answers)
    with (
        load(url, 2) as answers,
        pytest.raises(ExecutionError, match="'adder' was not deployed: .* cannot be loaded"),
    ):
        client.update_deployment("adder", "file:///no/such/model")
    _require_honest(answers)
    found = client.get_deployment("adder")
    assert (found["model_uri"], found["status"], found["url"]) == ("models:/adder/2", "RUNNING", url)

    # Two replicas, settings kept; then a swap under load.
    client.update_deployment("adder", config={"num_replicas": 2})
    assert client.get_deployment("adder")["config"]["ray_actor_options"] == {"num_cpus": 0.1}
    with load(url) as answers:
        client.update_deployment("adder", "models:/adder@champion")
        seen = len(answers)
        until = time.monotonic() + 60
        while len(answers) < seen + 20 and time.monotonic() < until:
            time.sleep(0.1)
    _require_honest(answers)
    assert answers[-1][1:] == (SUM, "models:/adder/1")

    client.delete_deployment("adder")
    client.delete_deployment("adder")
    assert client.list_deployments() == []
    with pytest.raises(NotFoundError, match="no application 'adder'"):
        client.get_deployment("adder")


def _require_honest(answers: list[tuple[int, float | str, str | None]]) -> None:
    """Each request was answered, and by the version that its header names."""
    expected = {(200, SUM, "models:/adder/1"), (200, DIFFERENCE, "models:/adder/2")}
    assert answers
    assert set(answers) <= expected


@pytest.mark.parametrize(
    ("name", "model_uri", "config", "kind", "message"),
    [
        ("A b", "models:/adder/1", {}, InvalidParameterError, "name must be a DNS label"),
        ("x", "models:/adder/1", {"route_prefix": "x"}, InvalidParameterError, "must begin with '/'"),
        ("x", "models:/adder/1", {"num_replicas": "0"}, InvalidParameterError, "at least 1, got '0'"),
        ("x", "models:/adder/1", {"ray_actor_options": {"cpus": 1}}, InvalidParameterError, "Ray refuses"),
        ("x", "models:/adder/1", {"colour": "red"}, InvalidParameterError, "no setting 'colour'"),
        (
            "x",
            "models:/adder/1",
            {"ray_actor_options": {"num_cpus": 999}, "timeout": 2},
            ExecutionError,
            "did not end in time",
        ),
        ("x", "models:/nothing/1", {}, NotFoundError, "nothing"),
    ],
)
def test_refusals(
    client: Any, name: str, model_uri: str, config: dict[str, Any], kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind, match=message):
        client.create_deployment(name, model_uri, config=config)
    assert name not in [entry["name"] for entry in client.list_deployments()]
