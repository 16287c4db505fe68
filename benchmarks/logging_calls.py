r"""What a metric costs a training script: a tight loop, and a step of five metrics, under slipstream and under other trackers.

    python benchmarks/logging_calls.py --server http://127.0.0.1:5000 --peer trackio=/venv/bin/python \
        --peer wandb=/venv/bin/python --peer mlflow=/venv/bin/python --mlflow-server http://127.0.0.1:5001

Each tracker runs in an interpreter of its own, in turns A B, B A; a figure is the median over the turns. `caller` is the CPU time
of the calling thread of one call, `process` that of all threads, `p50` the wall time; `at the end` is the wait until
everything is stored. Prints a table with each as a multiple of slipstream's. Trackers without a server write to a folder, wandb
in its offline mode. Linux and macOS.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

TRACKERS = {
    "slipstream": """
import slipstream as m
m.set_tracking_uri(ADDRESS); m.set_experiment("logging-calls"); m.start_run()
def log(step, values):
    if len(values) == 1: m.log_metric(*next(iter(values.items())), step=step)
    else: m.log_metrics(values, step=step)
end = m.end_run
""",
    "mlflow": """
import mlflow as m
m.set_tracking_uri(ADDRESS); m.set_experiment("logging-calls"); m.start_run()
def log(step, values):
    if len(values) == 1: m.log_metric(*next(iter(values.items())), step=step)
    else: m.log_metrics(values, step=step)
end = m.end_run
""",
    "mlflow-async": """
import mlflow as m
m.set_tracking_uri(ADDRESS); m.set_experiment("logging-calls"); m.config.enable_async_logging(); m.start_run()
def log(step, values):
    if len(values) == 1: m.log_metric(*next(iter(values.items())), step=step)
    else: m.log_metrics(values, step=step)
def end(): m.flush_async_logging(); m.end_run()
""",
    "trackio": """
import os; os.environ.update(TRACKIO_DIR=FOLDER, HF_HUB_OFFLINE="1")
import trackio, uuid
trackio.init(project="logging-calls", name=uuid.uuid4().hex, embed=False, auto_log_gpu=False, auto_log_cpu=False)
def log(step, values): trackio.log(values, step=step)
end = trackio.finish
""",
    "wandb": """
import os; os.environ.update(WANDB_MODE="offline", WANDB_SILENT="true")
import wandb
run = wandb.init(project="logging-calls", dir=FOLDER, settings=wandb.Settings(console="off", x_disable_stats=True))
def log(step, values): run.log(values, step=step)
end = run.finish
""",
    "tensorboardX": """
from tensorboardX import SummaryWriter
writer = SummaryWriter(FOLDER)
def log(step, values):
    for key, value in values.items(): writer.add_scalar(key, value, step)
end = writer.close
""",
    "aim": """
import aim
run = aim.Run(repo=FOLDER, system_tracking_interval=None, log_system_params=False, capture_terminal_logs=False)
def log(step, values):
    for key, value in values.items(): run.track(value, name=key, step=step)
end = run.close
""",
}
"""Each gives `log(step, values)` and `end()`; ADDRESS and FOLDER are set before."""
LOADS = """
import json, sys, time
def work(n):
    x = 0
    for i in range(n): x += i * i
    return x
log(0, {"warm": 0.0}); log(0, {"warm": 0.0, "warm2": 1.0})
time.sleep(1.5)  # what the start of a run does in the background is another benchmark's subject
walls, began, until = [], time.perf_counter(), time.perf_counter() + LONGEST
thread, process, calls = time.thread_time(), time.process_time(), 0
while calls < COUNT and time.perf_counter() < until:
    t = time.perf_counter(); log(calls, {"loss": 1.0 / (calls + 1)}); walls.append(time.perf_counter() - t); calls += 1
loop = {"caller": (time.thread_time() - thread) / calls, "process": (time.process_time() - process) / calls}
walls.sort(); loop |= {"p50": walls[calls // 2], "p99": walls[int(calls * 0.99)]}
walls, costs, steps, until = [], 0.0, 0, time.perf_counter() + LONGEST
while steps < STEPS and time.perf_counter() < until:
    work(10_000)
    t, c = time.perf_counter(), time.thread_time()
    log(steps, {f"m{j}": 0.5 + steps * j for j in range(5)})
    costs += time.thread_time() - c; walls.append(time.perf_counter() - t); steps += 1
walls.sort()
step = {"caller": costs / steps, "p50": walls[steps // 2], "p99": walls[int(steps * 0.99)]}
t = time.perf_counter(); end(); waited = time.perf_counter() - t
print("FIGURES" + json.dumps({"loop": loop, "step": step, "calls": calls, "steps": steps, "at the end": waited}), file=sys.stderr)
"""


def measure(name: str, python: str, address: str, options: argparse.Namespace) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="bench-logging-") as folder:
        given = f"ADDRESS = {address!r}; FOLDER = {folder!r}; COUNT = {options.calls}; STEPS = {options.steps}; LONGEST = {options.longest}\n"
        done = subprocess.run(
            [python, "-c", given + TRACKERS[name] + LOADS],
            cwd=folder,
            env={**os.environ, "XDG_DATA_HOME": folder, "MLFLOW_DISABLE_TELEMETRY": "true"},
            capture_output=True,
            text=True,
            check=False,
        )
    line = next((each for each in done.stderr.splitlines() if each.startswith("FIGURES")), None)
    if line is None:
        raise SystemExit(f"{name}: {done.stderr[-2000:]}")
    found = json.loads(line.removeprefix("FIGURES"))
    return {
        **{f"loop {key}": 1e6 * value for key, value in found["loop"].items()},
        **{f"step {key}": 1e6 * value for key, value in found["step"].items()},
        "at the end, ms": 1000 * found["at the end"],
        "calls made": found["calls"],
    }


def show(name: str, figures: dict[str, float], base: dict[str, float]) -> None:
    cells = [
        f"{key} {value:.1f} ({value / base[key]:.1f}x)"
        if key.startswith(("loop", "step"))
        else f"{key} {value:.0f}"
        for key, value in figures.items()
    ]
    print(f"{name:14}", "  ".join(cells))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--server", required=True, help="address of a slipstream server")
    parser.add_argument(
        "--mlflow-server", help="address of an MLflow server, for the peers mlflow and mlflow-async"
    )
    parser.add_argument(
        "--peer", action="append", default=[], metavar="NAME=PYTHON", help=", ".join(TRACKERS)
    )
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--longest", type=float, default=30.0, help="seconds of a load at most")
    parser.add_argument("--out", type=Path, help="where to write the figures as JSON")
    options = parser.parse_args()
    trackers = [("slipstream", sys.executable, options.server)]
    for peer in options.peer:
        name, _, python = peer.partition("=")
        if name not in TRACKERS or not python:
            parser.error(f"--peer {peer}: NAME=PYTHON is expected, NAME one of {', '.join(TRACKERS)}")
        trackers.append((name, python, options.mlflow_server if name.startswith("mlflow") else ""))
    found: dict[str, list[dict[str, float]]] = {name: [] for name, *_ in trackers}
    for turn in range(options.turns):
        for name, python, address in trackers if turn % 2 == 0 else trackers[::-1]:
            found[name].append(measure(name, python, address, options))
    medians = {
        name: {key: statistics.median(row[key] for row in rows) for key in rows[0]}
        for name, rows in found.items()
    }
    if options.out is not None:
        options.out.write_text(json.dumps(found, indent=1), encoding="utf-8")
    print(
        f"Microseconds of a call (loop) and of a step of five metrics (step); beside slipstream's. {options.turns} turns."
    )
    for name, figures in medians.items():
        show(name, figures, medians["slipstream"])


if __name__ == "__main__":
    main()
