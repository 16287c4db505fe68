"""What metric points cost: CPU to store and to read, bytes on disk, and how that changes as the database grows.

    .venv/bin/python benchmarks/metric_blocks.py                       # 10 million points
    .venv/bin/python benchmarks/metric_blocks.py --points 50000000
    .venv/bin/python benchmarks/metric_blocks.py --uri postgresql://user@127.0.0.1:5433/bench

Each shape is a way that programs log. The values are noise around a curve, the worst that real metrics are; timestamps
move by 80 to 130 ms. CPU is that of this process, and on SQLite everything happens in it. The last table repeats
one load while the database grows.
"""

import argparse
import math
import random
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from slipstream.entities import Metric, Param
from slipstream.store.engine import Engine, open_engine

_START = 1_760_000_000_000


class Shape:
    """Batches of one way to log."""

    def __init__(self, title: str, keys: int, steps: int) -> None:
        self.title = title
        self.keys = [f"metric_{number}" for number in range(keys)]
        self.steps = steps
        """Steps in a batch."""

    def batches(self, points: int) -> Iterator[list[Metric]]:
        draw = random.Random(1)
        when, step = _START, 0
        while points > 0:
            batch: list[Metric] = []
            for _ in range(self.steps):
                when += draw.randint(80, 130)
                batch += [
                    Metric(key, math.exp(-step / 3000) + draw.gauss(0, 0.01), when, step) for key in self.keys
                ]
                step += 1
            points -= len(batch)
            yield batch


SHAPES = [
    Shape("1 key, 1,000 steps a batch", 1, 1_000),
    Shape("10 keys, 100 steps a batch", 10, 100),
    Shape("1,000 keys, 1 step a batch", 1_000, 1),
    Shape("1 key, 1 point a call", 1, 1),
]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--points", type=int, default=10_000_000, help="of the growth table (default 10 million)"
    )
    parser.add_argument(
        "--shape-points", type=int, default=1_000_000, help="of each shape (default 1 million)"
    )
    parser.add_argument("--uri", help="a database instead of a new SQLite file; must be empty")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(f"{'shape':32} {'store µs':>9} {'read µs':>9} {'bytes a point':>14} {'longest ms':>11}")
        for number, shape in enumerate(SHAPES):
            uri = options.uri or f"sqlite:///{folder}/shape{number}.db"
            points = options.shape_points if shape.steps * len(shape.keys) > 1 else options.shape_points // 10
            _measure_shape(shape, uri, points)
        if options.points:
            _measure_growth(options.uri or f"sqlite:///{folder}/growth.db", options.points)


def _measure_shape(shape: Shape, uri: str, points: int) -> None:
    engine = open_engine(uri, "artifacts", "normal")
    before = _size(engine)
    run = engine.write(lambda store: store.create_run("0")).info.run_id
    cpu = longest = 0.0
    for batch in shape.batches(points):
        begin, began = time.process_time(), time.perf_counter()
        engine.write(lambda store, batch=batch: store.log_batch(run, batch))
        cpu += time.process_time() - begin
        longest = max(longest, time.perf_counter() - began)
    begin = time.process_time()
    engine.write(lambda store: store.update_run(run, "FINISHED"))
    engine.compact_all()
    cpu += time.process_time() - begin
    size = _size(engine) - before
    begin = time.process_time()
    keys = shape.keys[:: max(1, len(shape.keys) // 10)]
    found = sum(
        len(engine.read(lambda store, key=key: store.get_metric_history(run, key)).items) for key in keys
    )
    read = time.process_time() - begin
    expected = points // len(shape.keys) * len(keys)
    if found != expected:
        sys.exit(f"{found} points were read back, {expected} were stored")
    print(
        f"{shape.title:32} {cpu / points * 1e6:9.2f} {read / found * 1e6:9.2f} {size / points:14.1f} {longest * 1e3:11.1f}"
    )
    engine.close()


def _measure_growth(uri: str, points: int) -> None:
    """Fill runs of a million points, 10 keys each; print what a batch costs on the way."""
    engine = open_engine(uri, "artifacts", "normal")
    shape = SHAPES[1]
    print(
        f"\n{'points stored':>14} {'store µs':>9} {'history ms':>11} {'bytes a point':>14} {'memory MB':>10}"
    )
    stored = 0
    before = _size(engine)
    report = max(1, points // 5 // 1_000_000) * 1_000_000
    run = ""
    cpu, since = 0.0, 0
    while stored < points:
        run = engine.write(lambda store: store.create_run("0")).info.run_id
        engine.write(lambda store, run=run: store.log_batch(run, params=[Param("a", "b")]))
        for batch in shape.batches(1_000_000):
            begin = time.process_time()
            engine.write(lambda store, run=run, batch=batch: store.log_batch(run, batch))
            cpu += time.process_time() - begin
            stored += len(batch)
            since += len(batch)
        begin = time.process_time()
        engine.write(lambda store, run=run: store.update_run(run, "FINISHED"))
        engine.compact_all()
        cpu += time.process_time() - begin
        if stored % report == 0 or stored == 1_000_000:
            begin = time.process_time()
            page = engine.read(lambda store, run=run: store.get_metric_history(run, "metric_3"))
            history = time.process_time() - begin
            memory = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6
            print(
                f"{stored:14,} {cpu / since * 1e6:9.2f} {history * 1e3:11.1f} {(_size(engine) - before) / stored:14.1f} "
                f"{memory:10.0f}"
            )
            if len(page.items) != 100_000:
                sys.exit(f"{len(page.items)} points were read back, 100,000 were stored")
            cpu, since = 0.0, 0
    engine.close()


def _size(engine: Engine) -> int:
    if engine.database.dialect == "postgres":
        row = engine.read(lambda store: store.tx.fetch_one("SELECT pg_database_size(current_database())"))
        assert row is not None
        return row[0]
    pages = engine.read(
        lambda store: store.tx.fetch_one("SELECT * FROM pragma_page_count(), pragma_page_size()")
    )
    assert pages is not None
    return pages[0] * pages[1]


if __name__ == "__main__":
    main()
