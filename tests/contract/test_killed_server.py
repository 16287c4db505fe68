"""What the server has answered is on disk: kill it under load, start it again, and look."""

import http.client
import itertools
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from server_process import ServerProcess
from tracking_client import TrackingClient

API = "/api/2.0/mlflow/"
_WRITERS = 6


class Client:
    """One keep-alive connection."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)

    def post(self, path: str, body: object) -> dict[str, object]:
        self.connection.request("POST", API + path, json.dumps(body), {"Content-Type": "application/json"})
        return self._answer()

    def get(self, path: str) -> dict[str, object]:
        self.connection.request("GET", API + path)
        return self._answer()

    def _answer(self) -> dict[str, object]:
        response = self.connection.getresponse()
        content = response.read()
        assert response.status == 200, content
        return json.loads(content)

    def close(self) -> None:
        self.connection.close()


def write_until_the_end(url: str, run: str, number: int, answered: list[tuple[str, int]]) -> None:
    """Log points, params and tags in turn, noting each only once it has been answered."""
    client = Client(url)
    step = 0
    try:
        while True:
            step += 1
            key = f"m{number}"
            if step % 5 == 0:
                body = {
                    "run_id": run,
                    "metrics": [{"key": key, "value": 0.5, "timestamp": 1, "step": step}],
                    "params": [{"key": f"p{number}-{step}", "value": str(step)}],
                    "tags": [{"key": f"t{number}", "value": str(step)}],
                }
                client.post("runs/log-batch", body)
                answered.append((f"p{number}-{step}", step))
            else:
                client.post(
                    "runs/log-metric", {"run_id": run, "key": key, "value": 0.5, "timestamp": 1, "step": step}
                )
            answered.append((key, step))
    except (OSError, http.client.HTTPException):  # the server is gone: that is the test
        return
    finally:
        client.close()


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_every_answered_write_survives_a_kill(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    backend = request.getfixturevalue("postgres_database") if kind == "postgres" else None
    server = ServerProcess(tmp_path, backend=backend)
    client = Client(server.url)
    answer = client.post("runs/create", {"experiment_id": "0", "start_time": 1})
    run: str = answer["run"]["info"]["run_id"]
    client.close()
    answered: list[list[tuple[str, int]]] = [[] for _ in range(_WRITERS)]
    threads = [
        threading.Thread(target=write_until_the_end, args=(server.url, run, number, answered[number]))
        for number in range(_WRITERS)
    ]
    for thread in threads:
        thread.start()
    while min(len(each) for each in answered) < 40:  # under way everywhere
        assert server.process.poll() is None
        time.sleep(0.01)
    server.kill()
    for thread in threads:
        thread.join()

    again = ServerProcess(tmp_path, backend=backend)
    client = Client(again.url)
    data = client.get(f"runs/get?run_id={run}")["run"]["data"]
    params = {param["key"]: param["value"] for param in data["params"]}
    for number, notes in enumerate(answered):
        history = client.get(f"metrics/get-history?run_id={run}&metric_key=m{number}")["metrics"]
        steps = {point["step"] for point in history}
        lost = [note for note in notes if note[0] == f"m{number}" and note[1] not in steps]
        assert lost == []
        assert {key: str(step) for key, step in notes if key.startswith("p")}.items() <= params.items()
    client.close()
    assert again.stop() == 0


# -- all other kinds of writes ------------------------------------------------------------------------------


def until_the_end(work: Callable[[TrackingClient, int], None], url: str) -> None:
    """Do a thing again and again, each time with another number, until the server is gone."""
    with TrackingClient(url, timeout_seconds=10) as client:
        try:
            for number in itertools.count():
                work(client, number)
        except (OSError, http.client.HTTPException):
            return


class Everything:
    """Writes of every kind; each is noted once it has been answered."""

    def __init__(self, run: str) -> None:
        self.run = run
        self.noted: dict[str, list[str]] = {
            "params": [], "experiments": [], "runs": [], "models": [], "logged models": [], "files": [], "deleted": [],
        }  # fmt: skip

    def batches(self, client: TrackingClient, number: int) -> None:
        params = [{"key": f"{number}-{each}", "value": "v"} for each in range(20)]
        metrics = [{"key": f"b{number}", "value": 1, "timestamp": 1, "step": step} for step in range(20)]
        client.post("runs/log-batch", {"run_id": self.run, "params": params, "metrics": metrics})
        self.noted["params"].append(str(number))

    def experiments(self, client: TrackingClient, number: int) -> None:
        tags = [{"key": "n", "value": str(number)}]
        client.post("experiments/create", {"name": f"e{number}", "tags": tags})
        self.noted["experiments"].append(f"e{number}")

    def runs(self, client: TrackingClient, number: int) -> None:
        made = client.post("runs/create", {"experiment_id": "0", "run_name": f"r{number}"})
        run: str = made["run"]["info"]["run_id"]
        client.post("runs/set-tag", {"run_id": run, "key": "k", "value": str(number)})
        client.post("runs/update", {"run_id": run, "status": "FINISHED", "end_time": number})
        self.noted["runs"].append(run)
        if number % 3 == 0:
            client.post("runs/delete", {"run_id": run})
            self.noted["deleted"].append(run)

    def models(self, client: TrackingClient, number: int) -> None:
        name = f"m{number}"
        client.post("registered-models/create", {"name": name})
        client.post("model-versions/create", {"name": name, "source": "s3://bucket/m"})
        client.post("registered-models/alias", {"name": name, "alias": "best", "version": "1"})
        self.noted["models"].append(name)

    def logged_models(self, client: TrackingClient, number: int) -> None:
        made = client.post("logged-models", {"experiment_id": "0", "name": f"l{number}"})
        self.noted["logged models"].append(made["model"]["info"]["model_id"])

    def files(self, client: TrackingClient, number: int) -> None:
        content = bytes([number % 256]) * (100 if number % 2 else 3_000_000)
        client.connection.request(
            "PUT", f"/api/2.0/mlflow-artifacts/artifacts/0/{self.run}/artifacts/{number}.bin", content
        )
        response = client.connection.getresponse()
        response.read()
        assert response.status == 200
        self.noted["files"].append(f"{number}.bin")

    def verify(self, client: TrackingClient) -> None:
        data = client.get(f"runs/get?run_id={self.run}")["run"]["data"]
        counts = Counter(param["key"].partition("-")[0] for param in data["params"])
        assert set(self.noted["params"]) <= set(counts)
        assert set(counts.values()) == {20}, "half of a batch is there"
        assert {f"b{number}" for number in counts} == {metric["key"] for metric in data["metrics"]}
        for number in list(counts)[-3:]:
            history = client.get(f"metrics/get-history?run_id={self.run}&metric_key=b{number}")["metrics"]
            assert len(history) == 20
        for name in self.noted["experiments"]:
            assert client.get(f"experiments/get-by-name?experiment_name={name}")["experiment"]["tags"]
        for run in self.noted["runs"]:
            found = client.get(f"runs/get?run_id={run}")["run"]
            assert found["info"]["status"] == "FINISHED"
            assert found["data"]["tags"]
            if run in self.noted["deleted"]:
                assert found["info"]["lifecycle_stage"] == "deleted"
        for name in self.noted["models"]:
            assert client.get(f"registered-models/alias?name={name}&alias=best")["model_version"]["version"]
        for model_id in self.noted["logged models"]:
            assert client.get(f"logged-models/{model_id}")["model"]
        files = client.get(f"artifacts/list?run_id={self.run}")["files"]
        sizes = {file["path"]: int(file["file_size"]) for file in files}
        assert set(self.noted["files"]) <= set(sizes)
        for name, size in sizes.items():  # those that were not answered, too: whole or not at all
            assert size == (100 if int(name.split(".")[0]) % 2 else 3_000_000)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_every_kind_of_write_survives_kill_after_kill(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    backend = request.getfixturevalue("postgres_database") if kind == "postgres" else None
    server = ServerProcess(tmp_path, backend=backend)
    with TrackingClient(server.url) as client:
        run = client.post("runs/create", {"experiment_id": "0"})["run"]["info"]["run_id"]
    everything = Everything(run)
    kinds = [
        getattr(everything, name.replace(" ", "_"))
        for name in everything.noted
        if name not in ("params", "deleted")
    ]
    for round_number in (1, 2):
        offset = 1_000_000 * round_number
        before = Counter({name: len(noted) for name, noted in everything.noted.items()})
        works = [
            lambda c, n, work=work, offset=offset: work(c, n + offset)
            for work in (everything.batches, *kinds)
        ]
        with ThreadPoolExecutor(len(works)) as pool:
            outcomes = [pool.submit(until_the_end, work, server.url) for work in works]
            while min(len(noted) - before[name] for name, noted in everything.noted.items()) < 5:
                assert server.process.poll() is None
                assert not any(outcome.done() for outcome in outcomes), [o for o in outcomes if o.done()]
                time.sleep(0.01)
            server.kill()
            for outcome in outcomes:
                outcome.result()
        server = ServerProcess(tmp_path, backend=backend)
        with TrackingClient(server.url) as client:
            everything.verify(client)
    assert server.stop() == 0
    uri = backend or f"sqlite:///{tmp_path}/server.db"
    done = subprocess.run(
        [sys.executable, "-m", "slipstream", "db", "check", uri], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
