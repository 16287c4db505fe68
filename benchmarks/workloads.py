"""The loads. Each puts one on a running server, checks every answer, and returns figures by name."""

import http.client
import json
import os
import random
import re
import statistics
import subprocess
import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

from processes import Server, environment

_API = "/api/2.0/mlflow/"
_SCRIPT = Path(__file__).parent / "load" / "log_metric.lua"
_BASE = 1_700_000_000_000
_PAGE = 20_000
_KEYS = 10
_BATCH = 1_000
_SEEDERS = 4

Figures = dict[str, float]


class WrongAnswerError(Exception):
    """A server gave an answer that must not count as a success."""


class Client:
    """One keep-alive connection."""

    def __init__(self, server: Server) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=300)

    def post(self, path: str, body: bytes) -> bytes:
        return self._ask("POST", path, body)

    def call(self, path: str, body: dict[str, Any]) -> Any:
        return json.loads(self._ask("POST", path, json.dumps(body).encode()))

    def get(self, path: str) -> Any:
        return json.loads(self._ask("GET", path))

    def _ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        self._connection.request(method, _API + path, body, {"Content-Type": "application/json"})
        response = self._connection.getresponse()
        content = response.read()
        if response.status != 200:
            raise WrongAnswerError(f"{method} {path}: {response.status} {content[:300]!r}")
        return content

    def create_experiment(self) -> str:
        return self.call("experiments/create", {"name": f"bench-{uuid.uuid4().hex}"})["experiment_id"]

    def create_run(self, experiment: str, **fields: object) -> str:
        answer = self.call("runs/create", {"experiment_id": experiment, "start_time": _BASE, **fields})
        return answer["run"]["info"]["run_id"]

    def count_points(self, run: str, key: str) -> int:
        """Read a whole series back, page by page."""
        count, token = 0, ""
        while True:
            page = self.get(
                f"metrics/get-history?run_id={run}&metric_key={key}&max_results={_PAGE}"
                + (f"&page_token={token}" if token else "")
            )
            count += len(page.get("metrics", []))
            token = page.get("next_page_token")
            if not token:
                return count

    def close(self) -> None:
        self._connection.close()


def log_metric(server: Server, connections: int, seconds: int) -> Figures:
    """One point a request, as fast as `connections` clients can; the series must hold what was answered."""
    client = Client(server)
    run = client.create_run(client.create_experiment())
    before = server.cpu()
    finished = subprocess.run(
        [
            "wrk",
            "-t",
            "2",
            "-c",
            str(connections),
            "-d",
            f"{seconds}s",
            "--timeout",
            "30s",
            "-s",
            str(_SCRIPT),
            server.url,
        ],
        env=environment() | {"RUN": run, "BASE": str(_BASE)},
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds + 120,
    )
    cpu = server.cpu() - before
    match = re.search(r"RESULT (.*)", finished.stdout)
    if match is None:
        raise WrongAnswerError(f"wrk gave no result: {finished.stdout[-500:]} {finished.stderr[-500:]}")
    result = json.loads(match[1])
    if result["not_200"] or result["socket_errors"] or result["timeouts"]:
        raise WrongAnswerError(f"log-metric on {server.name}: {result}")
    answered = result["answered"]
    stored = client.count_points(run, "loss")
    client.close()
    # wrk hangs up at the end of its time: each connection may have one request under way that it did not count.
    if not answered <= stored <= answered + connections:
        raise WrongAnswerError(
            f"log-metric on {server.name}: {answered} requests were answered, {stored} points are stored"
        )
    return {
        f"log-metric, {connections} connections: requests/s": answered / result["seconds"],
        f"log-metric, {connections} connections: server CPU µs/request": cpu / answered * 1e6,
    }


def log_batch(server: Server, connections: int, seconds: int) -> Figures:
    """1,000 points of 10 series a request; every series must hold what was sent."""
    client = Client(server)
    experiment = client.create_experiment()
    runs = [client.create_run(experiment) for _ in range(connections)]
    sent = [0] * connections
    end = time.perf_counter() + seconds

    def load(number: int) -> None:
        mine = Client(server)
        while time.perf_counter() < end:
            mine.post("runs/log-batch", _batch(runs[number], sent[number]))
            sent[number] += 1
        mine.close()

    before, begin = server.cpu(), time.perf_counter()
    together(connections, load)
    elapsed, cpu = time.perf_counter() - begin, server.cpu() - before
    points = sum(sent) * _BATCH
    for run, batches in zip(runs, sent, strict=True):
        for key in range(_KEYS):
            stored = client.count_points(run, f"k{key}")
            if stored != batches * _BATCH // _KEYS:
                raise WrongAnswerError(
                    f"log-batch on {server.name}: {batches} batches sent, {stored} points in series k{key}"
                )
    client.close()
    name = f"log-batch, {connections} connection{'s' * (connections > 1)}"
    return {f"{name}: points/s": points / elapsed, f"{name}: server CPU µs/point": cpu / points * 1e6}


def _batch(run: str, number: int) -> bytes:
    steps = _BATCH // _KEYS
    # Text by hand: the client shares the machine with the server, and `json.dumps` would cost it ten times this.
    points = ",".join(
        f'{{"key":"k{key}","value":{step * 0.001 + key},"timestamp":{_BASE + step},"step":{step}}}'
        for key in range(_KEYS)
        for step in range(number * steps, (number + 1) * steps)
    )
    return f'{{"run_id":"{run}","metrics":[{points}]}}'.encode()


def seed_runs(server: Server, count: int) -> str:
    """Make an experiment with `count` runs of 5 params, 5 metrics and 2 tags; return its id."""
    client = Client(server)
    experiment = client.create_experiment()
    client.close()

    def seed(number: int) -> None:
        mine, chance = Client(server), random.Random(number)
        for index in range(number, count, _SEEDERS):
            tags = [{"key": "stage", "value": "dev"}, {"key": "fold", "value": str(index % 5)}]
            run = mine.create_run(experiment, run_name=f"run-{index}", tags=tags)
            params = [{"key": f"p{n}", "value": str(chance.randrange(100))} for n in range(5)]
            metrics = [
                {"key": f"m{n}", "value": chance.random(), "timestamp": _BASE + index, "step": 0}
                for n in range(5)
            ]
            mine.call("runs/log-batch", {"run_id": run, "params": params, "metrics": metrics})
        mine.close()

    together(_SEEDERS, seed)
    return experiment


def search(server: Server, experiment: str, runs: int, seconds: int) -> Figures:
    """Fetch all runs of an experiment as one page, and those of a filter, newest first."""
    client = Client(server)
    figures: Figures = {}
    plain = {"experiment_ids": [experiment], "max_results": runs}
    filtered = {**plain, "filter": "metrics.m0 > 0.5 AND tags.stage = 'dev'", "order_by": ["metrics.m1 DESC"]}
    for name, body in (("", plain), (" with filter and order", filtered)):
        encoded, times = json.dumps(body).encode(), []
        before, end = server.cpu(), time.perf_counter() + seconds
        while len(times) < 3 or time.perf_counter() < end:
            begin = time.perf_counter()
            content = client.post("runs/search", encoded)
            times.append(time.perf_counter() - begin)
            found = json.loads(content).get("runs", [])
            _check_page(server, found, runs if body is plain else None)
        cpu = server.cpu() - before
        figures[f"runs/search, {runs:,} runs{name}: ms"] = statistics.median(times) * 1e3
        figures[f"runs/search, {runs:,} runs{name}: server CPU ms"] = cpu / len(times) * 1e3
    client.close()
    return figures


def _check_page(server: Server, found: list[Any], expected: int | None) -> None:
    if expected is not None and len(found) != expected:
        raise WrongAnswerError(f"runs/search on {server.name}: {len(found)} runs instead of {expected}")
    for run in found:
        if len(run["data"]["metrics"]) != 5 or len(run["data"]["params"]) != 5:
            raise WrongAnswerError(f"runs/search on {server.name}: run {run['info']['run_id']} is not whole")
        if expected is None and not any(
            m["key"] == "m0" and m["value"] > 0.5 for m in run["data"]["metrics"]
        ):
            raise WrongAnswerError(
                f"runs/search on {server.name}: run {run['info']['run_id']} does not fit the filter"
            )


_IMPORT = """
import json, resource, sys
def cpu():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return (usage.ru_utime + usage.ru_stime) * 1e3
def peak():
    with open("/proc/self/status", encoding="utf-8") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM")) / 1024
before = cpu()
module = __import__(sys.argv[1])
figures = {"import: CPU ms": cpu() - before, "import: peak memory of the process, MB": peak()}
for name in sys.argv[2:]:
    getattr(module, name)
figures |= {"import and look up: CPU ms": cpu() - before, "import and look up: peak memory of the process, MB": peak()}
print("RESULT", json.dumps(figures))
"""
# What a training script uses. slipstream imports lazily, so the bare import would flatter it.
_USED = ("set_tracking_uri", "set_experiment", "start_run", "log_params", "log_metrics", "log_metric", "set_tag",
         "log_artifact", "log_dict", "end_run", "search_runs", "MlflowClient")  # fmt: skip


def import_cost(python: str, module: str, folder: Path) -> Figures:
    """Import a module in a fresh interpreter, then look up the functions that a training script calls.

    The peak is VmHWM, not `ru_maxrss`: the latter begins with the size of the process that started the child.
    """
    argv = [python, "-c", _IMPORT, module, *_USED]
    answer = subprocess.run(argv, cwd=folder, env=environment(), capture_output=True, text=True, check=False)
    match = re.search(r"RESULT (.*)", answer.stdout)
    if match is None:
        raise WrongAnswerError(f"import {module}: {answer.stderr[-500:]}")
    return json.loads(match[1])


def together(count: int, work: Callable[[int], None]) -> None:
    """Run `work(0)` ... `work(count - 1)` in threads; the first failure is raised."""
    failures: list[BaseException] = []

    def guarded(number: int) -> None:
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001  # raised below, on the thread that waits
            failures.append(error)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def load_average() -> float:
    return os.getloadavg()[0]
