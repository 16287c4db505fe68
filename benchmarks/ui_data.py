"""Measure what pages ask a server for: windows of tables, columns, lines of charts, and events to many listeners.

    python benchmarks/ui_data.py [--runs 10000,100000] [--only table,envelope,events] [--listeners 200]

Runs are those of search.py, written straight into the SQLite file; points are logged through the store. One client, one
request after the other, with gzip; times are those that the client sees, CPU that of the server. Linux only.
"""

import argparse
import gzip
import http.client
import json
import math
import random
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from processes import Server
from search import BASE, OPTIONS, fill_ours

OWN = "/api/slipstream/v1/"


class Client:
    """One keep-alive connection that takes gzip."""

    def __init__(self, server: Server) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=300)

    def ask(self, path: str, body: dict[str, Any], known: str | None = None) -> tuple[int, bytes, str | None]:
        headers = {"Content-Type": "application/json", "Accept-Encoding": "gzip"}
        if known is not None:
            headers["If-None-Match"] = known
        self._connection.request("POST", path, json.dumps(body), headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read(), answer.headers["ETag"]

    def close(self) -> None:
        self._connection.close()


def report(server: Server, what: str, ask: Callable[[int], bytes], repeats: int) -> None:
    """Print one line: CPU, times and bytes of an answer."""
    begin = time.perf_counter()
    ask(0)
    first = (time.perf_counter() - begin) * 1000
    times: list[float] = []
    size = 0
    before = server.cpu()
    for number in range(repeats):
        begin = time.perf_counter()
        size = len(ask(number))
        times.append((time.perf_counter() - begin) * 1000)
    cpu = (server.cpu() - before) / repeats * 1000
    times.sort()
    p99 = times[min(len(times) - 1, int(len(times) * 0.99))]
    print(
        f"| {what} | {first:.0f} | {cpu:.2f} | {statistics.median(times):.2f} | {p99:.2f} | {size / 1000:.1f} |",
        flush=True,
    )


def measure_table(folder: Path, count: int, repeats: int) -> None:
    server = started(folder)
    server.stop()
    fill_ours(folder / "tracking.db", count)
    server = started(folder)
    client = Client(server)
    dice = random.Random(5)
    columns = (
        [f"metrics.m{number}" for number in range(8)]
        + [f"params.p{number}" for number in range(8)]
        + ["tags.t0"]
    )
    table: dict[str, Any] = {"experiment_ids": ["0"], "columns": columns, "limit": 100}

    def window(**more: Any) -> bytes:
        return client.ask(OWN + "runs/table", {**table, "offset": dice.randrange(count), **more})[1]

    try:
        size = f"{count:,} runs"
        report(server, f"table, {size}: any window of 100 x 17", lambda _: window(), repeats)
        report(server, f"table, {size}: the same, with ranges", lambda _: window(with_ranges=True), repeats)
        report(
            server,
            f"table, {size}: ordered by a metric",
            lambda _: window(order_by=["metrics.m1 DESC"]),
            repeats,
        )
        filtered = "metrics.m0 > 0.5 AND params.p0 = '3'"
        report(server, f"table, {size}: filtered and ordered", lambda _: window(filter=filtered, order_by=["metrics.m1 DESC"]), repeats)  # fmt: skip
        report(server, f"table, {size}: another filter each time", lambda _: window(filter=f"metrics.m0 > {dice.random()}"), repeats)  # fmt: skip
        report(server, f"table, {size}: a window of 500", lambda _: window(limit=500), repeats)
        tag = client.ask(OWN + "runs/table", table)[2]
        report(
            server,
            f"table, {size}: nothing new",
            lambda _: client.ask(OWN + "runs/table", table, tag)[1],
            repeats,
        )
        run = json.loads(gzip.decompress(client.ask(OWN + "runs/table", table)[1]))["run_ids"][0]

        def after_a_change(number: int) -> bytes:
            point = {
                "run_id": run,
                "key": "m5",
                "value": dice.random(),
                "timestamp": BASE,
                "step": 10 + number,
            }
            client.ask("/api/2.0/mlflow/runs/log-metric", point)
            return window(with_ranges=True)

        report(server, f"table, {size}: with ranges, a run logs before each", after_a_change, repeats)
        body = {"experiment_ids": ["0"]}
        report(
            server,
            f"columns, {size}",
            lambda _: client.ask(OWN + "runs/columns", body)[1],
            max(20, repeats // 10),
        )
        print(f"memory: {server.pss_mb():.0f} MB PSS", flush=True)
    finally:
        client.close()
        server.stop()


def started(folder: Path) -> Server:
    server = Server("slipstream", [str(Path(sys.executable).with_name("slipstream")), *OPTIONS], folder)
    server.start()
    return server


def log_series(folder: Path, runs: int, points: int) -> list[str]:
    from slipstream.entities import Metric
    from slipstream.store.engine import open_engine
    from slipstream.store.sql import SqlStore

    engine = open_engine(f"sqlite:///{folder}/tracking.db", str(folder / "artifacts"), durability="normal")
    dice = random.Random(1)
    names: list[str] = []
    for _ in range(runs):
        run = engine.write(lambda store: store.create_run("0", start_time=BASE)).info.run_id
        names.append(run)
        now = BASE
        for first in range(0, points, 1_000):
            some: list[Metric] = []
            for step in range(first, min(points, first + 1_000)):
                now += dice.randint(80, 130)
                some.append(
                    Metric("loss", 2.5 * math.exp(-4 * step / points) + 0.3 + dice.gauss(0, 0.05), now, step)
                )

            def log(store: SqlStore, run: str = run, some: list[Metric] = some) -> None:
                store.log_batch(run, some)

            engine.write(log)
    engine.compact_all()
    engine.close()
    return names


def measure_envelope(folder: Path, runs: int, points: int, repeats: int) -> None:
    server = started(folder)
    server.stop()
    names = log_series(folder, runs, points)
    server = started(folder)
    client = Client(server)
    body: dict[str, Any] = {"run_ids": names, "keys": ["loss"], "width": 1000}
    what = f"envelope, {runs} x {points:,} points"
    try:
        for more in (
            {},
            {"smoothing": 0.9},
            {"x": "time"},
            {"start": points // 2, "end": points // 2 + 1_500},
        ):
            shown = ", ".join(f"{name} {value}" for name, value in more.items()) or "width 1000"
            asked = {**body, **more}
            report(server, f"{what}: {shown}", lambda _, asked=asked: client.ask(OWN + "metrics/envelope", asked)[1], repeats)  # fmt: skip
        tag = client.ask(OWN + "metrics/envelope", body)[2]
        report(
            server,
            f"{what}: nothing new",
            lambda _: client.ask(OWN + "metrics/envelope", body, tag)[1],
            repeats,
        )
        print(f"memory: {server.pss_mb():.0f} MB PSS", flush=True)
    finally:
        client.close()
        server.stop()


def measure_events(folder: Path, count: int, repeats: int) -> None:
    """Print how long after a change each listener was told, and what listening costs."""
    server = started(folder)
    client = Client(server)
    asked = {"experiment_id": "0", "start_time": BASE}
    run = json.loads(client.ask("/api/2.0/mlflow/runs/create", asked)[1])["run"]["info"]["run_id"]
    told: list[list[float]] = [[] for _ in range(count)]
    ready = threading.Barrier(count + 1)

    def listen(number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=300)
        connection.request("GET", OWN + "events")
        answer = connection.getresponse()
        is_first = True
        while len(told[number]) < repeats:
            line = answer.readline()
            if line.startswith(b"data:"):
                if is_first:
                    ready.wait()
                    is_first = False
                else:
                    told[number].append(time.perf_counter())
        connection.close()

    threads = [threading.Thread(target=listen, args=(number,), daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    ready.wait()
    before, begin = server.cpu(), time.perf_counter()
    time.sleep(5)  # the time over which idling is measured
    idle = (server.cpu() - before) / (time.perf_counter() - begin) * 100
    client = Client(server)  # the server has closed the one that idled
    changed: list[float] = []
    before = server.cpu()
    for number in range(repeats):
        body = {"run_id": run, "key": "m", "value": 1.0, "timestamp": BASE, "step": number}
        client.ask("/api/2.0/mlflow/runs/log-metric", body)
        changed.append(time.perf_counter())
        time.sleep(0.5)  # longer than a change takes to be told
    cpu = (server.cpu() - before) / repeats * 1000
    for thread in threads:
        thread.join()
    delays = sorted((then - when) * 1000 for each in told for when, then in zip(changed, each, strict=True))
    print(
        f"events, {count} listeners: told after {statistics.median(delays):.0f} ms (median), "
        f"{delays[int(len(delays) * 0.99)]:.0f} ms (p99), {delays[-1]:.0f} ms (last); "
        f"server CPU {idle:.1f} % while nothing happens, {cpu:.1f} ms a change; {server.pss_mb():.0f} MB PSS",
        flush=True,
    )
    client.close()
    server.stop()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", default="10000,100000")
    parser.add_argument("--only", default="table,envelope,events")
    parser.add_argument("--repeats", type=int, default=300)
    parser.add_argument("--listeners", type=int, default=200)
    options = parser.parse_args()
    parts = options.only.split(",")
    print("| load | first, ms | server CPU, ms | median, ms | p99, ms | kB |\n|---|---:|---:|---:|---:|---:|")
    if "table" in parts:
        for size in options.runs.split(","):
            with tempfile.TemporaryDirectory() as folder:
                measure_table(Path(folder), int(size), options.repeats)
    if "envelope" in parts:
        for runs, points in ((20, 20_000), (1, 1_000_000)):
            with tempfile.TemporaryDirectory() as folder:
                measure_envelope(Path(folder), runs, points, max(10, options.repeats // 20))
    if "events" in parts:
        with tempfile.TemporaryDirectory() as folder:
            measure_events(Path(folder), options.listeners, 20)
    return 0


if __name__ == "__main__":
    sys.exit(main())
