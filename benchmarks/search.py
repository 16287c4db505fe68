"""Measure `runs/search` at growing numbers of runs, beside a real MLflow at one of them.

    MLFLOW_PYTHON=/path/to/python python benchmarks/search.py [--runs 1000,10000,50000,100000] [--mlflow-runs 50000]

Each run has 10 metrics, 10 params and 5 tags; they are written straight into the SQLite file, since logging them is not
what is measured. One client, one request after the other: a page of 100 runs, filtered by a metric and a param, ordered
by a metric. MLFLOW_PYTHON is the interpreter of an environment with mlflow; without it slipstream is measured alone.
Linux only. Exit code 1 when an answer is wrong.
"""

import argparse
import json
import os
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from processes import Server
from workloads import Client, WrongAnswerError

METRICS = PARAMS = 10
TAGS = 5
PAGE = 100
BASE = 1_700_000_000_000
OPTIONS = [
    "server", "--backend-store-uri", "sqlite:///{folder}/tracking.db",
    "--artifacts-destination", "{folder}/artifacts", "--host", "127.0.0.1", "--port", "{port}",
]  # fmt: skip


def made_up(count: int) -> Iterator[tuple[int, list[float], list[str], list[str]]]:
    """Return (number, metrics, params, tags) of each run; the same ones for every system."""
    dice = random.Random(4)
    for number in range(count):
        metrics = [dice.random() for _ in range(METRICS)]
        # Half of the params are settings that many runs share, half are different almost everywhere.
        params = [
            str(dice.randrange(10)) if index < PARAMS // 2 else repr(dice.random()) for index in range(PARAMS)
        ]
        tags = [f"value {dice.randrange(100)}" for _ in range(TAGS)]
        yield number, metrics, params, tags


def run_id(number: int) -> str:
    return f"{number * 2654435761 % 2**32:08x}{number:024x}"


def fill_ours(path: Path, count: int) -> str:
    with sqlite3.connect(path) as db:
        for number, metrics, params, tags in made_up(count):
            run = db.execute(
                "INSERT INTO runs (run_id, experiment, run_name, user_id, status, start_time, end_time, lifecycle_stage,"
                " artifact_uri) VALUES (?, 0, ?, 'someone', 'FINISHED', ?, ?, 'active', ?) RETURNING id",
                (run_id(number), f"run-{number}", BASE + number, BASE + number + 1, f"mlflow-artifacts:/0/{run_id(number)}"),
            ).fetchone()[0]  # fmt: skip
            db.executemany(
                "INSERT INTO series (run, key, step, timestamp, value, is_nan) VALUES (?, ?, 9, ?, ?, 0)",
                [(run, f"m{index}", BASE, value) for index, value in enumerate(metrics)],
            )
            db.executemany(
                "INSERT INTO params (run, key, value) VALUES (?, ?, ?)",
                [(run, f"p{index}", value) for index, value in enumerate(params)],
            )
            db.executemany(
                "INSERT INTO run_tags (run, key, value) VALUES (?, ?, ?)",
                [(run, f"t{index}", value) for index, value in enumerate(tags)] + [(run, "mlflow.runName", f"run-{number}")],
            )  # fmt: skip
    db.close()
    return "0"


def fill_mlflow(path: Path, count: int) -> str:
    with sqlite3.connect(path) as db:
        for number, metrics, params, tags in made_up(count):
            run = run_id(number)
            db.execute(
                "INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name, user_id, status,"
                " start_time, end_time, source_version, lifecycle_stage, artifact_uri, experiment_id)"
                " VALUES (?, ?, 'UNKNOWN', '', '', 'someone', 'FINISHED', ?, ?, '', 'active', ?, 0)",
                (run, f"run-{number}", BASE + number, BASE + number + 1, f"mlflow-artifacts:/0/{run}"),
            )
            for table in ("latest_metrics", "metrics"):
                db.executemany(
                    f"INSERT INTO {table} (key, value, timestamp, step, is_nan, run_uuid) VALUES (?, ?, ?, 9, 0, ?)",
                    [(f"m{index}", value, BASE, run) for index, value in enumerate(metrics)],
                )
            db.executemany(
                "INSERT INTO params (key, value, run_uuid) VALUES (?, ?, ?)",
                [(f"p{index}", value, run) for index, value in enumerate(params)],
            )
            db.executemany(
                "INSERT INTO tags (key, value, run_uuid) VALUES (?, ?, ?)",
                [(f"t{index}", value, run) for index, value in enumerate(tags)] + [("mlflow.runName", f"run-{number}", run)],
            )  # fmt: skip
    db.close()
    return "0"


def the_same(dice: random.Random) -> tuple[str, str]:
    return "metrics.m0 > 0.5 AND params.p0 = '3'", "metrics.m1 DESC"


def another_each_time(dice: random.Random) -> tuple[str, str]:
    first, second = dice.sample(range(METRICS), 2)
    text = f"metrics.m{first} > {dice.uniform(0.2, 0.8)} AND params.p{dice.randrange(5)} = '{dice.randrange(10)}'"
    return text, f"metrics.m{second} DESC"


def few_found(dice: random.Random) -> tuple[str, str]:
    return f"metrics.m0 > {dice.uniform(0.9989, 0.999)} AND params.p0 != '3'", "metrics.m1 DESC"


LOADS: dict[str, Callable[[random.Random], tuple[str, str]]] = {
    "the same search": the_same,
    "another each time": another_each_time,
    "few runs found": few_found,
}


def expected(count: int) -> list[str]:
    rows = [
        (-metrics[1], run_id(number))
        for number, metrics, params, _ in made_up(count)
        if metrics[0] > 0.5 and params[0] == "3"
    ]
    return [run for _, run in sorted(rows)[:PAGE]]


def ask(client: Client, load: Callable[[random.Random], tuple[str, str]], dice: random.Random) -> Any:
    text, order = load(dice)
    body = {"experiment_ids": ["0"], "filter": text, "order_by": [order], "max_results": PAGE}
    return client.post("runs/search", json.dumps(body).encode())


def measure(server: Server, count: int, repeats: int, *, writing: bool) -> None:
    """Print one line a load."""
    client = Client(server)
    dice = random.Random(7)
    begin, cpu = time.perf_counter(), server.cpu()
    answer = json.loads(ask(client, the_same, dice))
    first, first_cpu = time.perf_counter() - begin, server.cpu() - cpu
    found = [run["info"]["run_id"] for run in answer["runs"]]
    if found != expected(count):
        raise WrongAnswerError(f"{server.name} found {found[:3]}..., not {expected(count)[:3]}...")
    print(
        f"{server.name}, {count} runs: first search {first * 1000:.0f} ms, CPU {first_cpu * 1000:.0f} ms",
        flush=True,
    )
    loads = dict(LOADS)
    run = found[0]
    for name, load in loads.items():
        report(server, client, count, name, load, repeats, None)
    if writing:
        report(server, client, count, "the same, a run changed before each", the_same, repeats, run)
    client.close()
    print(f"{server.name}, {count} runs: memory {server.pss_mb():.0f} MB PSS, " + ", ".join(f"{cost.rss_mb:.0f} MB RSS" for cost in server.costs()), flush=True)  # fmt: skip


def report(
    server: Server, client: Client, count: int, name: str, load: Callable[[random.Random], tuple[str, str]],
    repeats: int, changed: str | None,
) -> None:  # fmt: skip
    dice = random.Random(8)
    if repeats > 20:
        for _ in range(repeats // 4):
            ask(client, load, dice)
    times: list[float] = []
    before = server.cpu()
    for step in range(repeats):
        if changed is not None:
            client.call(
                "runs/log-metric", {"run_id": changed, "key": "m5", "value": 0.5, "timestamp": BASE + 9, "step": 10 + step}
            )  # fmt: skip
        begin = time.perf_counter()
        ask(client, load, dice)
        times.append((time.perf_counter() - begin) * 1000)
    cpu = (server.cpu() - before) / repeats * 1000
    times.sort()
    p99 = times[min(len(times) - 1, int(len(times) * 0.99))]
    print(
        f"| {server.name} | {count:,} | {name} | {cpu:.2f} | {statistics.median(times):.2f} | {p99:.2f} |",
        flush=True,
    )


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", default="1000,10000,50000,100000")
    parser.add_argument("--mlflow-runs", type=int, default=50_000)
    parser.add_argument("--mlflow-repeats", type=int, default=5)
    parser.add_argument("--repeats", type=int, default=400)
    options = parser.parse_args()
    print(
        "| system | runs | load | server CPU ms a search | median ms | p99 ms |\n|---|---:|---|---:|---:|---:|"
    )
    ours = [str(Path(sys.executable).with_name("slipstream")), *OPTIONS]
    python = os.environ.get("MLFLOW_PYTHON")
    sizes = [("slipstream", ours, fill_ours, int(size), options.repeats) for size in options.runs.split(",")]
    if python:
        theirs = [python, "-m", "mlflow", *OPTIONS, "--workers", "1"]
        sizes.append(("mlflow", theirs, fill_mlflow, options.mlflow_runs, options.mlflow_repeats))
    for name, command, fill, count, repeats in sizes:
        with tempfile.TemporaryDirectory() as folder:
            server = Server(name, command, Path(folder))
            try:
                server.start()  # makes the tables
                server.stop()
                fill(Path(folder) / "tracking.db", count)
                server.start()
                measure(server, count, repeats, writing=name == "slipstream")
            except WrongAnswerError as error:
                print(error, file=sys.stderr)
                return 1
            finally:
                server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
