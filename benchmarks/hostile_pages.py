"""What logging costs others while somebody asks for what is dearest: groups, bands, filters, event streams, exports, slow readers.

    python benchmarks/hostile_pages.py --data FOLDER [--seconds 12] [--only groups,exports]

FOLDER is what first_answers.py kept (`--keep`). One client logs batches at a steady rate; each attack runs between two
measurements without any. Linux only.
"""

import argparse
import http.client
import json
import random
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ui_seed
from processes import Server

OWN = "/api/slipstream/v1/"
API = "/api/2.0/mlflow/"
RATE = 40
Attack = Callable[[Server, dict[str, str], random.Random, threading.Event], None]
statuses: dict[int, int] = {}


def post(connection: http.client.HTTPConnection, path: str, body: dict[str, Any]) -> bytes:
    connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    answer = connection.getresponse()
    statuses[answer.status] = statuses.get(answer.status, 0) + 1
    return answer.read()


def connect(server: Server) -> http.client.HTTPConnection:
    return http.client.HTTPConnection("127.0.0.1", server.port, timeout=120)


def again(server: Server, stop: threading.Event, ask: Callable[[http.client.HTTPConnection], object]) -> None:
    connection = connect(server)
    while not stop.is_set():
        try:
            ask(connection)
        except OSError:
            connection.close()
            connection = connect(server)
    connection.close()


def groups(server: Server, ids: dict[str, str], dice: random.Random, stop: threading.Event) -> None:
    params = list(next(ui_seed.made_up(1)).params)
    metrics = [f"metrics.{key}" for key in ui_seed.METRICS]

    def ask(connection: http.client.HTTPConnection) -> None:
        by = ["attributes.run_id", *[f"params.{key}" for key in dice.sample(params, 5)]]
        body = {
            "experiment_ids": [ids["runs"]],
            "by": by,
            "metrics": metrics,
            "order_by": metrics[0],
            "statistic": "median",
        }
        post(connection, OWN + "runs/groups", body)

    again(server, stop, ask)


def bands(server: Server, ids: dict[str, str], dice: random.Random, stop: threading.Event) -> None:
    def ask(connection: http.client.HTTPConnection) -> None:
        width, experiment = dice.randrange(100, 1000), dice.choice([ids["curves"], ids["runs"]])
        key = "loss" if experiment == ids["curves"] else "val/acc"
        body = {
            "experiment_ids": [experiment],
            "key": key,
            "by": ["params.model"],
            "width": width,
            "smoothing": dice.random(),
        }
        post(connection, OWN + "metrics/bands", body)

    again(server, stop, ask)


def filters(server: Server, ids: dict[str, str], dice: random.Random, stop: threading.Event) -> None:
    def ask(connection: http.client.HTTPConnection) -> None:
        like = "%".join(dice.choice("abcdef0123456789_") for _ in range(20))
        words = " AND ".join(
            f"{field} ILIKE '%{like}%'"
            for field in ("params.lr", "params.seed", "attributes.run_id", "attributes.run_name")
        )
        post(
            connection,
            OWN + "runs/table",
            {
                "experiment_ids": [ids["runs"]],
                "filter": words,
                "with_ranges": True,
                "columns": ["metrics.lr"],
            },
        )

    again(server, stop, ask)


def events(server: Server, ids: dict[str, str], dice: random.Random, stop: threading.Event) -> None:
    streams: list[http.client.HTTPConnection] = []
    for _ in range(25):
        connection = connect(server)
        connection.request("GET", f"{OWN}events?experiment_ids={ids['curves']}")
        streams.append(connection)
    stop.wait()
    for connection in streams:
        connection.close()


def exports(server: Server, ids: dict[str, str], dice: random.Random, stop: threading.Event) -> None:
    columns = [f"metrics.{key}" for key in ui_seed.METRICS] + [
        f"params.{key}" for key in next(ui_seed.made_up(1)).params
    ]

    def ask(connection: http.client.HTTPConnection) -> None:
        form = dice.choice(["csv", "parquet", "arrow"])
        body = {
            "experiment_ids": [ids["runs"]],
            "columns": columns,
            "format": form,
            "order_by": ["metrics.`val/acc` DESC"],
        }
        post(connection, OWN + "runs/export", body)
        stop.wait(0.05)

    again(server, stop, ask)


def slow(server: Server, ids: dict[str, str], dice: random.Random, stop: threading.Event) -> None:
    """Ask for much, and take nothing."""
    held: list[http.client.HTTPConnection] = []
    while not stop.is_set() and len(held) < 40:
        connection = connect(server)
        body = {
            "experiment_ids": [ids["runs"]],
            "limit": 1000,
            "columns": [f"metrics.{key}" for key in ui_seed.METRICS],
        }
        path = OWN + dice.choice(["runs/table", "runs/export"])
        connection.request(
            "POST",
            path,
            json.dumps({**body, "format": "csv"} if path.endswith("export") else body),
            {"Content-Type": "application/json"},
        )
        held.append(connection)
    stop.wait()
    for connection in held:
        connection.close()


ATTACKS: dict[str, Attack] = {
    "groups": groups, "bands": bands, "filters": filters, "events": events, "exports": exports, "slow": slow,
}  # fmt: skip


def log(server: Server, run: str, seconds: float) -> list[float]:
    """Log batches at a steady rate; return how long each took from when it was due, in ms."""
    connection = connect(server)
    took: list[float] = []
    begin = time.perf_counter()
    for number in range(int(seconds * RATE)):
        due = begin + number / RATE
        time.sleep(max(0.0, due - time.perf_counter()))
        started = time.perf_counter()
        now = int(time.time() * 1000)
        points = [
            {"key": f"m{each}", "value": number * 0.5, "timestamp": now, "step": number} for each in range(20)
        ]
        connection.request(
            "POST",
            API + "runs/log-batch",
            json.dumps({"run_id": run, "metrics": points}),
            {"Content-Type": "application/json"},
        )
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise SystemExit(f"log-batch: {answer.status}")
        took.append((time.perf_counter() - started) * 1000)
    connection.close()
    return sorted(took)


def described(took: list[float]) -> str:
    return f"{took[len(took) // 2]:6.1f} {took[int(len(took) * 0.95)]:6.1f} {took[int(len(took) * 0.99)]:7.1f} {took[-1]:7.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=12)
    parser.add_argument("--attackers", type=int, default=8)
    parser.add_argument("--only", default="")
    parser.add_argument("--program", default=str(Path(sys.executable).with_name("slipstream")))
    options = parser.parse_args()
    folder: Path = options.data
    ids = json.loads((folder / "ids.json").read_text())
    command = [
        options.program, "server", "--backend-store-uri", f"sqlite:///{folder}/tracking.db",
        "--artifacts-destination", "{folder}/artifacts", "--host", "127.0.0.1", "--port", "{port}",
    ]  # fmt: skip
    server = Server("slipstream", command, folder)
    server.start()
    try:
        made = json.loads(post(connect(server), API + "runs/create", {"experiment_id": "0", "start_time": 1}))
        run = made["run"]["info"]["run_id"]
        print("log-batch of 20 points, ms: median, p95, p99, longest", flush=True)
        log(server, run, 2)
        for name in options.only.split(",") if options.only else ATTACKS:
            print(f"{'alone':10} {described(log(server, run, options.seconds))}", flush=True)
            statuses.clear()
            stop = threading.Event()
            attackers = [
                threading.Thread(
                    target=ATTACKS[name], args=(server, ids, random.Random(number), stop), daemon=True
                )
                for number in range(options.attackers)
            ]
            for thread in attackers:
                thread.start()
            time.sleep(2)  # by then all of them are at it
            before = server.cpu()
            took = log(server, run, options.seconds)
            used = (server.cpu() - before) / options.seconds
            stop.set()
            print(f"{name:10} {described(took)}  answers {statuses}, {used:.2f} cores", flush=True)
            for thread in attackers:
                thread.join(60)
    finally:
        server.stop()


if __name__ == "__main__":
    main()
