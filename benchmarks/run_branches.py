"""What it costs to resume a long run from a step, to undo that, and to copy the run.

    .venv/bin/python benchmarks/run_branches.py [--points 1000000] [--keys 10] [--uri postgresql://...]

In process; CPU and wall seconds of this process. Values are noise around a curve, timestamps move by 80 to 130 ms, steps
count up, or with `--jumping` are in no order.
"""

import argparse
import random
import tempfile
import time
from pathlib import Path
from typing import Any

from slipstream.entities import Metric, RunCopy
from slipstream.ids import new_run_id
from slipstream.store.engine import open_store


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--points", type=int, default=1_000_000)
    parser.add_argument("--keys", type=int, default=10)
    parser.add_argument("--uri")
    parser.add_argument("--jumping", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store: Any = open_store(options.uri or f"sqlite:///{Path(folder, 'b.db')}", folder)
        run_id: str = store.create_run("0").info.run_id
        fill(store, run_id, options.points, options.keys, jumping=options.jumping)
        steps = options.points // options.keys
        for share in (0.99, 0.5, 0.0):
            timed(
                f"branch from {share:.0%} of the steps",
                lambda share=share: store.branch_run(run_id, int(steps * share)),
            )
            number = store.get_run_branches(run_id)[-1].number
            timed("history of one metric", lambda: store.get_metric_history(run_id, "m0", 10_000_000))
            timed(
                "what it left of it",
                lambda number=number: store.get_superseded_history(run_id, number, "m0", 10_000_000),
            )
            timed("undo", lambda number=number: store.undo_branch(run_id, number))
        copy = RunCopy(run_id=run_id, new_run_id=new_run_id())
        timed("copy", lambda: store.copy_runs([copy], "0"))
        store.close()


def fill(store: Any, run_id: str, points: int, keys: int, *, jumping: bool) -> None:
    """Log so many points in batches of 1,000 steps a metric."""
    dice = random.Random(1)
    at = 1_760_000_000_000
    steps = points // keys
    for first in range(0, steps, 1000):
        batch: list[Metric] = []
        for step in range(first, min(steps, first + 1000)):
            at += dice.randrange(80, 130)
            batch += [
                Metric(
                    f"m{key}",
                    dice.gauss(1 / (1 + step), 0.01),
                    at,
                    dice.randrange(steps) if jumping else step,
                )
                for key in range(keys)
            ]
        store.log_batch(run_id, batch)
    store.update_run(run_id, "FINISHED", at)


def timed(what: str, call: Any) -> None:
    """Run something and print what it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    call()
    print(f"{what:32} {time.process_time() - cpu:6.3f} s CPU {time.perf_counter() - wall:6.3f} s")


if __name__ == "__main__":
    main()
