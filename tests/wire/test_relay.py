"""The relay: stock `mlflow` clients and raw HTTP through it, while the server and the relay itself are killed and restarted."""

import hashlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest

import slipstream
from free_port import free_port
from server_process import RelayProcess, ServerProcess
from slipstream.client import connect

pytestmark = pytest.mark.slow

API = "/api/2.0/mlflow/"
FILES = "/api/2.0/mlflow-artifacts/artifacts"


@pytest.fixture(autouse=True)
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "spool"
    monkeypatch.setenv("SLIPSTREAM_SPOOL_FOLDER", str(folder))
    monkeypatch.setenv("SLIPSTREAM_DELIVERY_TIMEOUT", "20")
    monkeypatch.setenv("SLIPSTREAM_PATIENCE", "2")
    monkeypatch.chdir(tmp_path)
    yield folder
    monkeypatch.setenv("SLIPSTREAM_DELIVERY_TIMEOUT", "0")
    connect.close_all()


class Upstream:
    """A server at a port that stays the same, whether it runs or not."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process: ServerProcess | None = None

    def start(self) -> None:
        self.process = ServerProcess(self.folder, "--durability", "normal", "--port", str(self.port))

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process = None


@pytest.fixture
def upstream(tmp_path: Path) -> Iterator[Upstream]:
    found = Upstream(tmp_path / "server")
    yield found
    found.kill()


@pytest.fixture
def relays(tmp_path: Path) -> Iterator[list[RelayProcess]]:
    started: list[RelayProcess] = []
    yield started
    for relay in started:
        if relay.process.poll() is None:
            relay.kill()


def relay_to(relays: list[RelayProcess], folder: Path, to: str, *options: str) -> RelayProcess:
    relays.append(RelayProcess(folder, to, *options))
    return relays[-1]


def ask(
    url: str, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
) -> tuple[int, dict[str, str], bytes]:
    """Send one request, as any language does, and return status, headers and body."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    sent = {} if content is None else {"Content-Type": "application/json"}
    try:
        connection.request(method, path, content, {**sent, **(headers or {})})
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def done(url: str, method: str, path: str, body: Any = None) -> Any:
    status, _, content = ask(url, method, path, body)
    assert status == 200, content
    return json.loads(content)


def new_run(url: str, experiment_id: str = "0") -> dict[str, Any]:
    return done(url, "POST", f"{API}runs/create", {"experiment_id": experiment_id, "start_time": 1})["run"][
        "info"
    ]


def log(url: str, run_id: str, step: int) -> None:
    body = {"run_id": run_id, "key": "loss", "value": float(step), "timestamp": 1_000 + step, "step": step}
    done(url, "POST", f"{API}runs/log-metric", body)


def delivered(relay: RelayProcess, seconds: float = 40) -> None:
    """Wait until the relay has delivered everything, its predecessors' too."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        status = done(relay.url, "GET", "/api/slipstream/v1/relay")
        if status["is_delivered"] and not status["is_away"]:
            return
        time.sleep(0.1)
    raise AssertionError(status)


def points(url: str, run_id: str, key: str = "loss") -> list[tuple[int, float]]:
    history = slipstream.MlflowClient(url).get_metric_history(run_id, key)
    return [(point.step, point.value) for point in history]


def steps(count: int) -> list[tuple[int, float]]:
    return [(step, float(step)) for step in range(count)]


def mlflow_script(script: str, url: str, *arguments: str) -> "subprocess.Popen[str]":
    """Start a script that uses the real mlflow, which knows of the relay by one variable."""
    environment = {**os.environ, "MLFLOW_TRACKING_URI": url, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3"}
    return subprocess.Popen(
        [sys.executable, "-c", script, *arguments],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


QUICKSTART = """
import sys, mlflow
mlflow.set_experiment("through the relay")
with mlflow.start_run(run_name="r") as run:
    mlflow.log_params({"lr": 0.1, "depth": 3})
    for step in range(100):
        mlflow.log_metric("loss", float(step), step=step)
    mlflow.log_metrics({"a": 1.0, "b": 2.0}, step=7)
    mlflow.set_tag("k", "v")
    mlflow.log_text("hello", "notes/a b%.txt")
    mlflow.log_dict({"x": 1}, "d.json")
    if sys.argv[1] == "there":
        mlflow.set_tag("gone", "v")
        mlflow.delete_tag("gone")
        assert mlflow.get_run(run.info.run_id).data.params == {"lr": "0.1", "depth": "3"}
        assert mlflow.artifacts.load_text(run.info.artifact_uri + "/notes/a b%.txt") == "hello"
        assert [each.path for each in mlflow.MlflowClient().list_artifacts(run.info.run_id)] == ["d.json", "notes"]
print(run.info.run_id)
"""


def check_quickstart(url: str, run_id: str) -> None:
    client = slipstream.MlflowClient(url)
    run = client.get_run(run_id)
    assert run.data.params == {"lr": "0.1", "depth": "3"}
    assert run.data.metrics == {"loss": 99.0, "a": 1.0, "b": 2.0}
    assert run.data.tags["k"] == "v"
    assert "gone" not in run.data.tags
    assert run.info.status == "FINISHED"
    assert run.info.run_name == "r"
    assert client.get_experiment(run.info.experiment_id).name == "through the relay"
    assert points(url, run_id) == steps(100)
    status, _, text = ask(url, "GET", f"/get-artifact?run_uuid={run_id}&path={quote('notes/a b%.txt')}")
    assert (status, text) == (200, b"hello")


def finished(script: "subprocess.Popen[str]") -> list[str]:
    out, errors = script.communicate(timeout=120)
    assert script.returncode == 0, errors
    return out.split()


def test_a_stock_client_with_a_server_that_is_there(
    upstream: Upstream, relays: list[RelayProcess], tmp_path: Path
) -> None:
    upstream.start()
    relay = relay_to(relays, tmp_path, upstream.url)
    run_id = finished(mlflow_script(QUICKSTART, relay.url, "there"))[-1]
    delivered(relay)
    check_quickstart(upstream.url, run_id)
    assert relay.stop() == 0


def test_a_stock_client_with_a_server_that_was_never_there(
    upstream: Upstream, relays: list[RelayProcess], tmp_path: Path
) -> None:
    relay = relay_to(relays, tmp_path, upstream.url)
    run_id = finished(mlflow_script(QUICKSTART, relay.url, "away"))[-1]
    status, headers, body = ask(relay.url, "POST", f"{API}runs/search", {"experiment_ids": ["0"]})
    assert status == 503
    assert headers["retry-after"] == "1"
    assert json.loads(body)["error_code"] == "TEMPORARILY_UNAVAILABLE"
    relay.kill()
    relay = relay_to(relays, tmp_path, upstream.url)
    upstream.start()
    delivered(relay)
    check_quickstart(upstream.url, run_id)


LONG = """
import os, sys, mlflow
run_id = sys.argv[1]
client = mlflow.MlflowClient()
for step in range(400):
    client.log_metric(run_id, "loss", float(step), timestamp=1000 + step, step=step)
    if step % 20 == 0:
        client.set_tag(run_id, "step", str(step))
        client.log_param(run_id, f"p{step}", step)
    if step % 50 == 0:
        client.log_text(run_id, str(step), f"{step}.txt")
    os.write(1, b".")
"""


def test_a_stock_client_while_the_server_is_killed(
    upstream: Upstream, relays: list[RelayProcess], tmp_path: Path
) -> None:
    upstream.start()
    relay = relay_to(relays, tmp_path, upstream.url)
    run_id = new_run(relay.url)["run_id"]
    script = mlflow_script(LONG, relay.url, run_id)
    assert script.stdout is not None
    for moment in (40, 80, 120):
        script.stdout.read(moment)
        upstream.kill()
        script.stdout.read(moment // 2)
        upstream.start()
    finished(script)
    delivered(relay)
    assert points(upstream.url, run_id) == steps(400)
    data = slipstream.MlflowClient(upstream.url).get_run(run_id).data
    assert data.tags["step"] == "380"
    assert data.params == {f"p{step}": str(step) for step in range(0, 400, 20)}
    for step in range(0, 400, 50):
        _, _, text = ask(upstream.url, "GET", f"/get-artifact?run_uuid={run_id}&path={step}.txt")
        assert text == str(step).encode()


def test_a_killed_relay_loses_and_repeats_nothing(
    upstream: Upstream, relays: list[RelayProcess], tmp_path: Path
) -> None:
    """In its order, too: what the relay before kept goes first, or a run would not be there for what is logged to it."""
    port = str(free_port())
    relay = relay_to(relays, tmp_path, upstream.url, "--port", port)
    run = new_run(relay.url)
    step = 0
    for phase in range(5):
        for _ in range(60):
            log(relay.url, run["run_id"], step)
            step += 1
        done(
            relay.url,
            "POST",
            f"{API}runs/set-tag",
            {"run_id": run["run_id"], "key": "step", "value": str(step)},
        )
        if phase == 2:
            upstream.start()
        relay.process.send_signal(signal.SIGKILL)
        relay.kill()
        relay = relay_to(relays, tmp_path, upstream.url, "--port", port)
    log(relay.url, run["run_id"], step)
    delivered(relay)
    assert points(upstream.url, run["run_id"]) == steps(step + 1)
    assert slipstream.MlflowClient(upstream.url).get_run(run["run_id"]).data.tags["step"] == str(step)


def test_files_of_any_size_go_through_and_are_kept(
    upstream: Upstream, relays: list[RelayProcess], tmp_path: Path
) -> None:
    upstream.start()
    relay = relay_to(relays, tmp_path, upstream.url)
    info = new_run(relay.url)
    path = f"{FILES}/{info['artifact_uri'].partition(':/')[2]}"
    large = os.urandom(1 << 20) * 40
    assert ask(relay.url, "PUT", f"{path}/large", large)[0] == 200
    assert (
        hashlib.sha256(ask(relay.url, "GET", f"{path}/large")[2]).digest() == hashlib.sha256(large).digest()
    )
    status, headers, body = ask(relay.url, "GET", f"{path}/large", headers={"Range": "bytes=10-19"})
    assert (status, body) == (206, large[10:20])
    assert headers["content-range"] == f"bytes 10-19/{len(large)}"
    upstream.kill()
    away = new_run(relay.url)
    for target in (path, f"{FILES}/{away['artifact_uri'].partition(':/')[2]}"):
        assert ask(relay.url, "PUT", f"{target}/d/kept", large[:3_000_000])[0] == 200
        assert ask(relay.url, "PUT", f"{target}/twice", b"first")[0] == 200
        assert ask(relay.url, "PUT", f"{target}/../no", b"x")[0] == 400
        assert ask(relay.url, "GET", f"{target}/d/kept")[0] == 503
    status, _, body = ask(
        relay.url, "POST", f"/api/2.0/mlflow-artifacts/mpu/create/{away['run_id']}", {"path": "x"}
    )
    assert status == 501, "clients go on with a plain PUT"
    upstream.start()
    for run_id, target in (
        (info["run_id"], path),
        (away["run_id"], f"{FILES}/{away['artifact_uri'].partition(':/')[2]}"),
    ):
        # Written over at once: what was kept must not come after it.
        assert ask(relay.url, "PUT", f"{target}/twice", b"second")[0] == 200
        delivered(relay)
        assert ask(relay.url, "GET", f"{target}/d/kept")[2] == large[:3_000_000]
        listed = done(relay.url, "GET", f"{FILES}?path={quote(target.removeprefix(FILES + '/'), safe='')}")
        assert {each["path"] for each in listed["files"]} >= {"d", "twice"}
        for name, content in (("d/kept", large[:3_000_000]), ("twice", b"second")):
            found = ask(upstream.url, "GET", f"/get-artifact?run_uuid={run_id}&path={quote(name)}")[2]
            assert found == content


def test_who_may_talk_to_it(
    upstream: Upstream, relays: list[RelayProcess], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages of other sites may not; the relay's token is its own; the credentials for the server are nowhere shown."""
    monkeypatch.setenv("SLIPSTREAM_SERVER_TOKEN", "token-of-the-server")
    upstream.process = ServerProcess(upstream.folder, "--port", str(upstream.port), "--auth", "token")
    monkeypatch.setenv("SLIPSTREAM_SERVER_TOKEN", "token-of-the-relay")
    monkeypatch.setenv("SLIPSTREAM_TRACKING_TOKEN", "token-of-the-server")
    locked = relay_to(relays, tmp_path, upstream.url, "--auth", "token")
    search = f"{API}experiments/search?max_results=5"
    assert ask(locked.url, "GET", search)[0] == 401
    assert ask(locked.url, "GET", search, headers={"Authorization": "Bearer token-of-the-server"})[0] == 401
    assert ask(locked.url, "GET", search, headers={"Authorization": "Bearer token-of-the-relay"})[0] == 200
    body = {"experiment_id": "0"}
    assert ask(locked.url, "POST", f"{API}runs/create", body)[0] == 401
    monkeypatch.delenv("SLIPSTREAM_TRACKING_TOKEN")
    open_one = relay_to(relays, tmp_path, upstream.url)
    assert ask(open_one.url, "GET", search)[0] == 401, "the server's answer"
    assert ask(open_one.url, "GET", search, headers={"Authorization": "Bearer token-of-the-server"})[0] == 200
    status, _, content = ask(open_one.url, "POST", f"{API}runs/create", body)
    assert status == 401, "the relay has no credentials of its own to log with, and says so at once"
    assert ask(open_one.url, "POST", f"{API}runs/create", body, {"Host": "evil.example"})[0] == 403
    assert ask(open_one.url, "POST", f"{API}runs/create", body, {"Origin": "https://evil.example"})[0] == 403
    assert ask(open_one.url, "GET", "/health", headers={"Host": "evil.example"})[0] == 200
    assert b"token-of" not in content
    assert not any("token-of" in line for relay in (locked, open_one) for line in relay.lines)


def test_what_is_wrong_is_told_as_the_server_tells_it(
    upstream: Upstream, relays: list[RelayProcess], tmp_path: Path
) -> None:
    upstream.start()
    relay = relay_to(relays, tmp_path, upstream.url)
    run_id = new_run(relay.url)["run_id"]
    for path, body in (
        ("runs/log-metric", {"run_id": "0" * 32, "key": "k", "value": 1, "timestamp": 1}),
        ("runs/log-metric", {"run_id": run_id, "key": "/no", "value": 1, "timestamp": 1}),
        ("runs/log-metric", {"run_id": run_id, "value": 1}),
        ("runs/log-batch", {"run_id": run_id, "metrics": [{"key": "k", "value": "x", "timestamp": 1}]}),
        ("runs/delete-tag", {"run_id": run_id, "key": "never"}),
        ("runs/create", {"experiment_id": "999999"}),
        ("experiments/create", {"name": "Default"}),
        ("no/such", {}),
    ):
        expected = ask(upstream.url, "POST", API + path, body)
        found = ask(relay.url, "POST", API + path, body)
        assert found[0] == expected[0], (path, found)
        if expected[0] != 404 or path != "no/such":
            assert json.loads(found[2])["error_code"] == json.loads(expected[2])["error_code"]
    assert ask(relay.url, "GET", f"{API}experiments/get-by-name?experiment_name=none")[0] == 404
