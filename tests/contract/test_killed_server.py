"""What the server has answered is on disk: kill it under load, start it again, and look."""

import http.client
import json
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from server_process import ServerProcess

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
