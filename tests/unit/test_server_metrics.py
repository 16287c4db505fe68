"""What the tracking server counts, as Prometheus reads it."""

import os
import resource
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from server_process import ServerProcess
from tracking_client import TrackingClient

PROXY = "/api/2.0/mlflow-artifacts/artifacts/"
API = "/api/2.0/mlflow/"


class Numbers:
    """A scrape."""

    def __init__(self, client: TrackingClient, **headers: str) -> None:
        client.connection.request("GET", "/metrics", headers=headers)
        response = client.connection.getresponse()
        text = response.read().decode()
        assert response.status == 200, text
        assert response.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        self.samples: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                where = (sample.name, frozenset(sample.labels.items()))
                assert where not in self.samples, f"{where} is there twice"
                self.samples[where] = sample.value

    def of(self, name: str, **labels: str) -> float:
        """Add up what has this name and at least these labels."""
        return sum(v for (n, found), v in self.samples.items() if n == name and labels.items() <= found)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    process = ServerProcess(tmp_path, "--expose-prometheus", str(tmp_path / "unused"))
    yield process
    assert process.stop() == 0
    assert not (tmp_path / "unused").exists()


@pytest.fixture
def client(server: ServerProcess) -> Iterator[TrackingClient]:
    with TrackingClient(server.url) as connection:
        yield connection


def put(client: TrackingClient, path: str, content: bytes) -> int:
    client.connection.request("PUT", PROXY + path, content)
    response = client.connection.getresponse()
    response.read()
    return response.status


def test_answers_are_counted_by_route_and_status(client: TrackingClient) -> None:
    run: str = client.post("runs/create", {"experiment_id": "0"})["run"]["info"]["run_id"]
    for step in range(7):
        client.post("runs/log-metric", {"run_id": run, "key": "m", "value": 1, "timestamp": 1, "step": step})
    for _ in range(3):
        client.get(f"runs/get?run_id={run}")
    model = client.post("logged-models", {"experiment_id": "0", "name": "l"})["model"]["info"]["model_id"]
    client.get(f"logged-models/{model}")
    for path in ("runs/log-metric", "runs/search"):
        with pytest.raises(AssertionError, match="INVALID_PARAMETER_VALUE"):
            client.post(path, {"max_results": "many"})
    found = Numbers(client)

    def count(method: str, path: str, status: int) -> float:
        return found.of("slipstream_requests_total", method=method, route=API + path, status=str(status))

    assert count("POST", "runs/log-metric", 200) == 7
    assert count("POST", "runs/log-metric", 400) == 1
    assert count("GET", "runs/get", 200) == 3
    assert count("POST", "runs/search", 400) == 1
    assert count("GET", "logged-models/{model_id}", 200) == 1
    seconds = {"method": "POST", "route": API + "runs/log-metric"}
    assert found.of("slipstream_request_seconds_count", **seconds) == 8
    assert 0 < found.of("slipstream_request_seconds_sum", **seconds) < 60
    assert found.of("slipstream_request_seconds_bucket", **seconds, le="60.0") == 8
    assert found.of("slipstream_commit_group_size_sum") >= 9
    assert found.of("slipstream_commit_seconds_count") == found.of("slipstream_commit_group_size_count")
    assert found.of("slipstream_read_seconds_count") >= 4
    assert found.of("slipstream_write_queue_length") == 0
    assert found.of("slipstream_write_queue_bytes") == 0
    assert found.of("slipstream_reads_waiting") == 0
    assert found.of("slipstream_build_info") == 1
    assert found.of("process_resident_memory_bytes") > 2**20
    assert found.of("process_open_fds") > 3
    again = Numbers(client)
    assert again.of("slipstream_requests_total", route="/metrics", status="200") == 1


def test_files_are_counted_in_bytes(client: TrackingClient) -> None:
    assert put(client, "0/a.bin", bytes(3_000_000)) == 200
    for _ in range(2):
        client.connection.request("GET", PROXY + "0/a.bin")
        assert len(client.connection.getresponse().read()) == 3_000_000
    found = Numbers(client)
    assert found.of("slipstream_artifact_bytes_total", direction="in") == 3_000_000
    assert found.of("slipstream_artifact_bytes_total", direction="out") == pytest.approx(6_000_000, abs=100)
    route = PROXY + "{path:path}"
    assert found.of("slipstream_requests_total", method="PUT", route=route, status="200") == 1


def test_what_clients_send_makes_no_new_series(client: TrackingClient) -> None:
    def ask(method: str, path: str) -> None:
        client.connection.request(method, path)
        client.connection.getresponse().read()

    for number in range(50):
        ask("GET", f"/nowhere/{number}")
        ask("GET", f"{API}logged-models/m-{number}")
        ask("GET", f"{PROXY}x/{number}")
        ask("BREW" if number % 2 else "MKCOL", "/health")
    found = Numbers(client)
    routes = {dict(labels).get("route", "") for _, labels in found.samples}
    assert len(routes) < 10
    assert found.of("slipstream_requests_total", route="", status="404") == 50
    assert found.of("slipstream_requests_total", route=API + "logged-models/{model_id}", status="404") == 50
    methods = {dict(labels).get("method", "") for _, labels in found.samples}
    assert methods <= {"", "GET", "POST"}


def test_a_token_is_needed_where_all_else_needs_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPSTREAM_SERVER_TOKEN", "swordfish")
    server = ServerProcess(tmp_path, "--auth", "token")
    with TrackingClient(server.url) as client:
        client.connection.request("GET", "/metrics")
        response = client.connection.getresponse()
        assert (response.status, b"slipstream_" in response.read()) == (401, False)
        found = Numbers(client, Authorization="Bearer swordfish")
        assert found.of("slipstream_requests_total", route="", status="401") == 1
    assert server.stop() == 0


def test_any_worker_tells_the_numbers_of_all(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, "--workers", "3")
    asked = 0
    until = time.monotonic() + 60
    while True:
        with TrackingClient(server.url) as client:
            client.get("experiments/search?max_results=1")
            asked += 1
            found = Numbers(client)
        route = API + "experiments/search"
        assert found.of("slipstream_requests_total", route=route) == asked
        workers: set[Any] = {dict(labels).get("worker") for _, labels in found.samples}
        if len(workers) == 3:
            break
        assert time.monotonic() < until, "not all workers have started"
    assert all(worker.isdigit() for worker in workers)
    assert found.of("slipstream_build_info") == 3
    # One that is killed is left out, and so is what it has left behind.
    os.kill(int(workers.pop()), signal.SIGKILL)
    while True:
        with TrackingClient(server.url) as client:
            found = Numbers(client)
        left = {dict(labels).get("worker") for _, labels in found.samples}
        if workers < left and len(left) == 3:  # uvicorn has started another in its place
            break
        assert time.monotonic() < until
    assert server.stop() == 0


def test_as_many_connections_as_the_system_allows(tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 200), hard))
    try:
        server = ServerProcess(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE)[0] == min(65_536, hard)
    assert server.stop() == 0


def test_an_outage_is_shown(start_postgres: Any, tmp_path: Path) -> None:
    cluster = start_postgres(fsync=False)
    server = ServerProcess(tmp_path, backend=cluster.url())
    with TrackingClient(server.url) as client:
        assert Numbers(client).of("slipstream_database_failing_seconds") == 0
        cluster.stop("immediate")
        assert client.ask("POST", "experiments/create", {"name": "a"}).status == 503
        until = time.monotonic() + 30
        while Numbers(client).of("slipstream_database_failing_seconds") == 0:
            assert time.monotonic() < until
    server.kill()
    said = "".join(server.lines)
    assert said.count("The database does no writes now") == 1
    assert cluster.password not in said
