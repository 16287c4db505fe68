"""What a server's memory is while it works on a large store: 100,000 runs, and 50 million points.

    python benchmarks/large_store.py [--runs 100000] [--points 50000000] [--seconds 30]

The runs are written straight into the SQLite file (as in `search.py`), the points by slipstream's own code in this process, a
million a run. Then sixteen clients search, log points one by one and in batches, and read histories, all at once; the highest
memory that the kernel saw is printed, with what was answered. Linux only. Exit code 1 when an answer is wrong.
"""

import argparse
import json
import random
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from metric_blocks import SHAPES
from processes import Server
from search import OPTIONS, another_each_time, ask, few_found, fill_ours, run_id, the_same
from workloads import Client, WrongAnswerError

from slipstream.store.engine import open_engine

_BATCH = 1_000
_SECONDS_APART = 0.2


def fill_points(path: Path, points: int) -> list[str]:
    """Write runs of a million points with 10 keys; return their ids."""
    engine = open_engine(f"sqlite:///{path}", str(path.parent / "artifacts"), "normal")
    runs: list[str] = []
    for done in range(0, points, 1_000_000):
        run = engine.write(lambda store: store.create_run("0")).info.run_id
        runs.append(run)
        for batch in SHAPES[1].batches(min(1_000_000, points - done)):
            engine.write(lambda store, run=run, batch=batch: store.log_batch(run, batch))
        engine.write(lambda store, run=run: store.update_run(run, "FINISHED"))
        engine.compact_all()
        print(f"\r{done + 1_000_000:,} points", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    engine.close()
    return runs


class Load:
    """One client in a thread, doing one thing again and again."""

    def __init__(self, server: Server, do: Callable[[Client, random.Random, int], None], seed: int) -> None:
        self.count = 0
        self.error: Exception | None = None
        self._client = Client(server)
        self._do = do
        self._dice = random.Random(seed)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            while not self._ended.is_set():
                self._do(self._client, self._dice, self.count)
                self.count += 1
        except Exception as error:  # noqa: BLE001  # told at the end
            self.error = error
        finally:
            self._client.close()

    def end(self) -> None:
        self._ended.set()
        self._thread.join()


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--points", type=int, default=50_000_000)
    parser.add_argument("--seconds", type=float, default=30)
    options = parser.parse_args()
    command = [str(Path(sys.executable).with_name("slipstream")), *OPTIONS]
    with tempfile.TemporaryDirectory() as folder:
        server = Server("slipstream", command, Path(folder))
        try:
            server.start()  # makes the tables
            server.stop()
            fill_ours(Path(folder) / "tracking.db", options.runs)
            long_runs = fill_points(Path(folder) / "tracking.db", options.points)
            server.start()
            return _work(server, options, long_runs)
        finally:
            server.stop()


def _work(server: Server, options: argparse.Namespace, long_runs: list[str]) -> int:
    def search(client: Client, dice: random.Random, count: int) -> None:
        found = json.loads(ask(client, dice.choice((the_same, another_each_time, few_found)), dice))
        if not found.get("runs"):
            raise WrongAnswerError("a search found nothing")

    def log_one(client: Client, dice: random.Random, count: int) -> None:
        run = run_id(dice.randrange(options.runs))
        point = {
            "run_id": run,
            "key": "loss",
            "value": dice.random(),
            "timestamp": 1_800_000_000_000 + count,
            "step": count,
        }
        client.call("runs/log-metric", point)

    def log_many(client: Client, dice: random.Random, count: int) -> None:
        run = run_id(dice.randrange(options.runs))
        metrics = [
            {
                "key": f"k{step % 10}",
                "value": dice.random(),
                "timestamp": 1_800_000_000_000 + count,
                "step": step,
            }
            for step in range(_BATCH)
        ]
        client.call("runs/log-batch", {"run_id": run, "metrics": metrics})

    def read(client: Client, dice: random.Random, count: int) -> None:
        path = f"metrics/get-history?run_id={dice.choice(long_runs)}&metric_key=metric_{dice.randrange(10)}&max_results=25000"
        if len(client.get(path)["metrics"]) != 25_000:
            raise WrongAnswerError("a page of a history is not full")

    idle = server.costs()[0].rss_mb
    kinds = {"searches": (search, 4), "single points": (log_one, 6), f"batches of {_BATCH}": (log_many, 3)}
    if long_runs:
        kinds["pages of 25,000 points"] = (read, 3)
    loads = [(name, Load(server, do, seed)) for name, (do, times) in kinds.items() for seed in range(times)]
    highest, until = idle, time.perf_counter() + options.seconds
    while time.perf_counter() < until:
        highest = max(highest, sum(cost.rss_mb for cost in server.costs()))
        time.sleep(_SECONDS_APART)
    for _, load in loads:
        load.end()
    size = sum(file.stat().st_size for file in server.folder.iterdir() if file.name.startswith("tracking.db"))
    print(f"{options.runs:,} runs, {options.points:,} points, database {size / 1e6:,.0f} MB")
    print(f"resident memory: {idle:.0f} MB after the start, at most {highest:.0f} MB under load")
    for name in kinds:
        print(
            f"  {sum(load.count for kind, load in loads if kind == name):,} {name} in {options.seconds:.0f} s"
        )
    errors = [load.error for _, load in loads if load.error is not None]
    for error in errors:
        print(f"wrong: {error}", file=sys.stderr)
    return 1 if errors else 0


if __name__ == "__main__":
    sys.exit(main())
