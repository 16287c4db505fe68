"""Measure what a server answers first after its start, and again, where there is much of it.

    python benchmarks/first_answers.py [--database sqlite:///FILE or postgresql://...] [--only table,bands] [--keep FOLDER]

100,000 runs of 27 values, 3,000 runs with 100 points, 10,000 experiments, 10,000 models of three versions, and a run of 12,000
metrics, written through the store's transactions, so on either database. Each question goes to a server that was just
started. CPU is that of the server's processes. Linux only.
"""

import argparse
import gzip
import http.client
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ui_seed
from processes import Server

OWN = "/api/slipstream/v1/"
RUNS, CURVES, POINTS, MANY, KEYS = 100_000, 3_000, 100, 10_000, 12_000
COLUMNS = [f"metrics.{key}" for key in ui_seed.METRICS] + [
    f"params.{key}" for key in next(ui_seed.made_up(1)).params
]
_TOGETHER = 2_000
Body = dict[str, Any]


def seed(uri: str, folder: Path) -> dict[str, str]:
    """Write everything; return the ids."""
    from slipstream.store.engine import open_engine

    engine = open_engine(uri, str(folder / "artifacts"), durability="normal")
    write = engine.write
    ids = {
        "runs": write(lambda s: s.create_experiment("100,000 runs")),
        "curves": write(lambda s: s.create_experiment("curves")),
    }
    for some in _parts(ui_seed.made_up(RUNS)):
        write(lambda s, some=some: _write_runs(s, int(ids["runs"]), some))
    for some in _parts(ui_seed.made_up(CURVES)):
        write(lambda s, some=some: _write_curves(s, ids["curves"], some))
    for some in _parts(iter(range(MANY))):
        write(lambda s, some=some: [s.create_experiment(f"experiment {number}") for number in some])
        write(lambda s, some=some: [_write_model(s, number) for number in some])
    ids["wide"] = write(lambda s: _write_wide(s, ids["curves"]))
    engine.close()
    return ids


def _parts(of: Iterator[Any]) -> Iterator[list[Any]]:
    part: list[Any] = []
    for each in of:
        part.append(each)
        if len(part) == _TOGETHER:
            yield part
            part = []
    if part:
        yield part


def _write_runs(store: Any, experiment: int, some: list[ui_seed.Made]) -> None:
    tx = store.tx
    tx.execute_many(
        "INSERT INTO runs (run_id, experiment, run_name, user_id, status, start_time, end_time, lifecycle_stage, artifact_uri)"
        " VALUES (:run_id, :experiment, :name, :user, :status, :began, :ended, 'active', '')",
        [(r.run_id, experiment, r.name, r.user, r.status, r.began, r.ended) for r in some],
    )
    rows = tx.fetch_all(
        "SELECT run_id, id FROM runs WHERE run_id IN :runs__in", runs__in=[r.run_id for r in some]
    )
    numbers = dict(rows)
    tx.execute_many(
        "INSERT INTO series (run, key, step, timestamp, value, is_nan) VALUES (:run, :key, :step, :when, :value, 0)",
        [(numbers[r.run_id], key, step, when, value) for r in some for key, value, when, step in r.last],
    )
    tx.execute_many(
        "INSERT INTO params (run, key, value) VALUES (:run, :key, :value)",
        [(numbers[r.run_id], *pair) for r in some for pair in r.params.items()],
    )
    tx.execute_many(
        "INSERT INTO run_tags (run, key, value) VALUES (:run, :key, :value)",
        [(numbers[r.run_id], *pair) for r in some for pair in r.tags.items()],
    )


def _write_curves(store: Any, experiment: str, some: list[ui_seed.Made]) -> None:
    from slipstream.entities import Metric, Param

    for number, made in enumerate(some):
        run = store.create_run(experiment, start_time=made.began).info.run_id
        params = [Param(*pair) for pair in made.params.items()]
        points = [
            Metric("loss", 1 / (step + 1) + number / 1e4, made.began + step, step) for step in range(POINTS)
        ]
        store.log_batch(run, metrics=points, params=params)


def _write_model(store: Any, number: int) -> None:
    name = f"model-{number:05d}"
    store.create_registered_model(name, {"team": str(number % 7)})
    for version in range(3):
        store.create_model_version(name, f"s3://bucket/{number}/{version}")
    store.set_registered_model_alias(name, "champion", "2")


def _write_wide(store: Any, experiment: str) -> str:
    from slipstream.entities import Metric

    run = store.create_run(experiment, start_time=ui_seed.BEGAN).info.run_id
    store.log_batch(
        run, metrics=[Metric(f"layer.{n % 200}/norm.{n}", n * 0.5, ui_seed.BEGAN, 1) for n in range(KEYS)]
    )
    return str(run)


def questions(ids: dict[str, str]) -> dict[str, tuple[str, str, Body | None]]:
    """Return (method, path, body) by name: what pages ask for."""
    runs: Body = {"experiment_ids": [ids["runs"]]}
    table = {**runs, "limit": 150, "with_ranges": True}
    tree = {"roots_only": True, "with_child_ranges": True}
    by_score = ["metrics.`val/acc` DESC"]
    group = {
        **runs,
        "by": ["params.model", "params.optimizer"],
        "metrics": ["metrics.val/acc", "metrics.val/loss"],
    }
    bands = {"experiment_ids": [ids["curves"]], "key": "loss", "by": ["params.model"], "width": 800}
    return {
        "table: 27 columns": ("POST", "runs/table", {**table, **tree, "columns": COLUMNS}),
        "table: columns chosen by the server": ("POST", "runs/table", {**table, **tree, "auto_columns": 12}),
        "table: filtered": ("POST", "runs/table", {**table, "columns": COLUMNS, "filter": ui_seed.FILTER}),
        "table: ordered by a metric": ("POST", "runs/table", {**table, "columns": COLUMNS, "order_by": by_score}),
        "columns": ("POST", "runs/columns", runs),
        "groups: 2 params, 2 metrics": ("POST", "runs/groups", group),
        "values of a param": ("POST", "runs/values", {**runs, "key": "params.model"}),
        "bands: 3,000 runs": ("POST", "metrics/bands", bands),
        "home": ("GET", "activity?limit=8", None),
        "experiments: 10,000": ("GET", "experiments/overview?limit=100", None),
        "models: 10,000 x 3": ("POST", "models/overview", {"limit": 100}),
        "run of 12,000 metrics": ("GET", f"runs/overview?run_id={ids['wide']}&extremes=200", None),
    }  # fmt: skip


def ask(server: Server, method: str, path: str, body: Body | None) -> tuple[float, int]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=300)
    headers = {"Content-Type": "application/json", "Accept-Encoding": "gzip"}
    begin = time.perf_counter()
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    answer = connection.getresponse()
    content = answer.read()
    took = (time.perf_counter() - begin) * 1000
    connection.close()
    if answer.status != 200:
        raise SystemExit(f"{path}: {answer.status} {content[:500]!r}")
    if answer.headers["Content-Encoding"] == "gzip":
        gzip.decompress(content)
    return took, len(content)


def measure(start: Callable[[], Server], ids: dict[str, str], only: list[str]) -> None:
    print(
        "| | first ms | its CPU | second | warm | kB | MB RSS |\n|---|---:|---:|---:|---:|---:|---:|",
        flush=True,
    )
    asked = questions(ids)
    after = {"table: filtered": "table: 27 columns", "table: ordered by a metric": "table: 27 columns"}
    for name, (method, path, body) in asked.items():
        if only and not any(word in name for word in only):
            continue
        server = start()
        try:
            if name in after:  # what a person does on the page of the table
                ask(server, asked[after[name]][0], OWN + asked[after[name]][1], asked[after[name]][2])
            before = server.cpu()
            first, size = ask(server, method, OWN + path, body)
            cpu = (server.cpu() - before) * 1000
            second, _ = ask(server, method, OWN + path, body)
            for _ in range(15):
                ask(server, method, OWN + path, body)
            warm = statistics.median(ask(server, method, OWN + path, body)[0] for _ in range(9))
            rss = sum(each.rss_mb for each in server.costs())
            print(
                f"| {name} | {first:.0f} | {cpu:.0f} | {second:.0f} | {warm:.1f} | {size / 1000:.1f} | {rss:.0f} |",
                flush=True,
            )
        finally:
            server.stop()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--database", help="where to write; by default a file of SQLite in the folder")
    parser.add_argument("--only", default="", help="words of the questions to ask")
    parser.add_argument("--keep", type=Path, help="a folder for the data, used again when it is there")
    parser.add_argument("--workers", default="1")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        uri = options.database or f"sqlite:///{folder}/tracking.db"
        kept = folder / "ids.json"
        if not kept.exists():
            print("seeding", file=sys.stderr, flush=True)
            kept.write_text(json.dumps(seed(uri, folder)))
        command = [
            str(Path(sys.executable).with_name("slipstream")), "server", "--backend-store-uri", uri, "--artifacts-destination",
            "{folder}/artifacts", "--host", "127.0.0.1", "--port", "{port}", "--workers", options.workers,
        ]  # fmt: skip

        def start() -> Server:
            server = Server("slipstream", command, folder)
            server.start()
            return server

        measure(start, json.loads(kept.read_text()), [word for word in options.only.split(",") if word])


if __name__ == "__main__":
    main()
