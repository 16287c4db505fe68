"""Measure slipstream beside a real MLflow, in one run on one machine.

    MLFLOW_PYTHON=/path/to/python python benchmarks/compare.py [--repeats 3] [--only log-batch,import]

MLFLOW_PYTHON is the interpreter of an environment with mlflow; without it slipstream is measured alone. Both servers
run with their defaults over SQLite, and take turns: A B, B A, A B. Prints a markdown table; all single
figures go to benchmarks/results/ as JSON. Exit code 1 when an answer was wrong or a point was lost.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import workloads
from processes import Server, environment, machine_cpu
from workloads import Figures, WrongAnswerError

RESULTS = Path(__file__).parent / "results"
PARTS = ("startup", "log-metric", "log-batch", "search", "import")
OURS, THEIRS = "slipstream", "mlflow"
OTHERS = "cores taken by other work"
"""How far a figure can be trusted: what ran beside the server and its load."""

Samples = dict[str, dict[str, list[float]]]
"""figure -> system -> one value a repetition"""


def commands() -> dict[str, tuple[str, list[str]]]:
    """Return the python and the server's argv of each system, ours last."""
    options = [
        "server", "--backend-store-uri", "sqlite:///{folder}/tracking.db",
        "--artifacts-destination", "{folder}/artifacts", "--host", "127.0.0.1", "--port", "{port}",
    ]  # fmt: skip
    ours = (sys.executable, [str(Path(sys.executable).with_name("slipstream")), *options])
    python = os.environ.get("MLFLOW_PYTHON")
    if not python:
        print("MLFLOW_PYTHON is not set: slipstream is measured alone, without ratios.\n")
        return {OURS: ours}
    if shutil.which(python) is None:
        raise SystemExit(
            f"MLFLOW_PYTHON={python} is not a program. Name the python of an environment with mlflow."
        )
    return {THEIRS: (python, [python, "-m", "mlflow", *options]), OURS: ours}


def turns(names: list[str], repeats: int) -> Iterator[str]:
    """A B, B A, A B, ...: what drifts during the run touches both alike."""
    for repeat in range(repeats):
        yield from names if repeat % 2 == 0 else reversed(names)


def measure(options: argparse.Namespace, samples: Samples) -> None:
    systems = commands()
    names = list(systems)
    chosen = set(options.only)

    def add(system: str, figures: Figures) -> None:
        for name, value in figures.items():
            samples.setdefault(name, {}).setdefault(system, []).append(value)
            print(f"  {system:10} {name}: {value:,.1f}", file=sys.stderr, flush=True)

    with ExitStack() as stack:
        root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="slipstream-bench-")))
        if "import" in chosen:
            for name in turns(names, max(5, options.repeats)):
                add(name, workloads.import_cost(systems[name][0], name, root))
        if chosen == {"import"}:
            return
        if "startup" in chosen:
            for number, name in enumerate(turns(names, options.repeats)):
                server = new_server(name, systems[name][1], root / f"start-{number}-{name}")
                try:
                    add(name, startup(server))
                finally:
                    server.stop()
        servers = {name: new_server(name, systems[name][1], root / name) for name in names}
        for server in servers.values():
            stack.callback(server.stop)
            server.start()

        def alternate(run: Callable[[Server], Figures]) -> None:
            for name in turns(names, options.repeats):
                before, begin = other_work(servers[name]), time.perf_counter()
                figures = run(servers[name])
                others = (other_work(servers[name]) - before) / (time.perf_counter() - begin)
                title = next(iter(figures)).split(":", 1)[0]
                add(name, figures | {f"{title}: {OTHERS}": max(0.0, others)})

        if "log-metric" in chosen and shutil.which("wrk") is None:
            print("wrk is not installed (Debian: apt install wrk): log-metric is left out.\n")
        elif "log-metric" in chosen:
            for connections in (8, 32):
                alternate(lambda server, n=connections: workloads.log_metric(server, n, options.seconds))
        if "log-batch" in chosen:
            for connections in (1, 4):
                alternate(lambda server, n=connections: workloads.log_batch(server, n, options.seconds))
        if "search" in chosen:
            seeded = {name: workloads.seed_runs(server, options.runs) for name, server in servers.items()}
            alternate(
                lambda server: workloads.search(server, seeded[server.name], options.runs, options.seconds)
            )


def new_server(name: str, command: list[str], folder: Path) -> Server:
    folder.mkdir()
    return Server(name, command, folder)


def startup(server: Server) -> Figures:
    start = server.start()
    return {
        "startup: CPU s until /health answers": start.ready_cpu,
        "startup: CPU s until idle": start.settled_cpu,
        "startup: wall s until /health answers": start.ready_wall,
        "idle server: PSS of all processes, MB": start.pss_mb,
        "idle server: processes": start.processes,
    }


def other_work(server: Server) -> float:
    """Return the core seconds that neither this server nor this program, with its finished children, has used."""
    own = os.times()
    return machine_cpu() - server.cpu() - own.user - own.system - own.children_user - own.children_system


def ratio(figure: str, values: dict[str, list[float]]) -> float | None:
    """Return how many times better slipstream is; below 1 it is worse."""
    if figure.endswith(OTHERS) or OURS not in values or THEIRS not in values:
        return None
    ours, theirs = statistics.median(values[OURS]), statistics.median(values[THEIRS])
    better, worse = (ours, theirs) if figure.endswith("/s") else (theirs, ours)
    return better / worse if worse else None


def table(samples: Samples) -> str:
    systems = [name for name in (THEIRS, OURS) if any(name in values for values in samples.values())]
    lines = [
        "| figure | " + " | ".join(systems) + " | times better |",
        "|---|" + "---:|" * (len(systems) + 1),
    ]
    for figure, values in samples.items():
        cells = [_cell(values.get(name, [])) for name in systems]
        times = ratio(figure, values)
        lines.append(f"| {figure} | " + " | ".join(cells) + (f" | {times:.1f} |" if times else " | |"))
    return "\n".join(lines)


def _cell(values: list[float]) -> str:
    if not values:
        return ""
    text = _number(statistics.median(values))
    return f"{text} [{_number(min(values))} to {_number(max(values))}]" if len(values) > 1 else text


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def machine() -> dict[str, object]:
    versions = {OURS: _version(sys.executable, OURS)}
    if python := os.environ.get("MLFLOW_PYTHON"):
        versions[THEIRS] = _version(python, THEIRS)
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "versions": versions,
        "load_before": round(workloads.load_average(), 2),
    }


def _version(python: str, package: str) -> str:
    code = "import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))"
    argv = [python, "-c", code, package]
    return subprocess.run(argv, env=environment(), capture_output=True, text=True, check=True).stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--repeats", type=int, default=3, help="turns of each system (default 3)")
    parser.add_argument("--seconds", type=int, default=4, help="length of one load (default 4)")
    parser.add_argument("--runs", type=int, default=1000, help="runs to search (default 1000)")
    parser.add_argument("--only", default=",".join(PARTS), help=f"some of {','.join(PARTS)}")
    options = parser.parse_args()
    options.only = [part for part in options.only.split(",") if part]
    if unknown := set(options.only) - set(PARTS):
        parser.error(f"unknown parts: {', '.join(sorted(unknown))}. There are {', '.join(PARTS)}.")
    about, samples, failure = machine(), Samples(), None
    begin = time.perf_counter()
    try:
        measure(options, samples)
    except WrongAnswerError as error:
        failure = str(error)
    about |= {
        "load_after": round(workloads.load_average(), 2),
        "seconds": round(time.perf_counter() - begin),
        "failure": failure,
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"compare-{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    ratios = {figure: times for figure, values in samples.items() if (times := ratio(figure, values))}
    path.write_text(json.dumps({"about": about, "samples": samples, "ratios": ratios}, indent=1), "utf-8")
    print(table(samples))
    print(
        f"\nMedian [least to most]. {about['cores']} cores, load average {about['load_before']} before and "
        f"{about['load_after']} after; {', '.join(f'{name} {v}' for name, v in about['versions'].items())}. "
        "Only the last column means something on another machine."
    )
    print(f"All single figures: {path}")
    if failure:
        raise SystemExit(f"error: {failure}")


if __name__ == "__main__":
    main()
