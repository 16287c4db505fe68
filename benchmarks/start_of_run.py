"""What the start and the end of a run cost their caller with and without what goes on beside it.

    python benchmarks/start_of_run.py http://127.0.0.1:5000 [times]

Each figure is the median of processes of their own, in milliseconds of wall time and of CPU time of the process.
"""

import json
import os
import statistics
import subprocess
import sys

PROGRAM = """
import json, os, resource, sys, time
import slipstream
slipstream.set_tracking_uri(sys.argv[1])
slipstream.set_experiment("start-of-run")
slipstream.get_experiment("0")
figures = {}
for name in ("first", "second"):
    t, c = time.perf_counter(), time.thread_time()
    slipstream.start_run()
    figures[name + " start"] = 1000 * (time.perf_counter() - t)
    figures[name + " start, CPU of the caller"] = 1000 * (time.thread_time() - c)
    time.sleep(1.5)  # so that what the start does in the background is not counted with the end
    t = time.perf_counter()
    slipstream.end_run()
    figures[name + " end"] = 1000 * (time.perf_counter() - t)
figures["CPU of the process"] = 1000 * time.process_time()
print(json.dumps(figures), file=sys.stderr)
"""
OFF = {
    "SLIPSTREAM_CAPTURE": "none",
    "SLIPSTREAM_CONSOLE": "false",
    "SLIPSTREAM_WATCHER": "false",
    "SLIPSTREAM_HEARTBEAT_SECONDS": "0",
}
WAYS = {
    "nothing": OFF,
    "signs of life": {**OFF, "SLIPSTREAM_HEARTBEAT_SECONDS": "10"},
    "watcher": {**OFF, "SLIPSTREAM_WATCHER": "true"},
    "console": {**OFF, "SLIPSTREAM_CONSOLE": "true"},
    "files of the context": {**OFF, "SLIPSTREAM_CAPTURE": "all"},
    "all": {},
}


def measure(address: str, extra: dict[str, str]) -> dict[str, float]:
    environment = {**os.environ, "SLIPSTREAM_SUPPRESS_PRINTING_URL_TO_STDOUT": "true", **extra}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, address], env=environment, capture_output=True, text=True, check=True
    )
    return json.loads(done.stderr.splitlines()[-1])


def main() -> None:
    address = sys.argv[1]
    times = int(sys.argv[2]) if len(sys.argv) > 2 else 7
    found: dict[str, list[dict[str, float]]] = {name: [] for name in WAYS}
    for _ in range(times):  # in turns, so that what else the machine does falls on all alike
        for name, extra in WAYS.items():
            found[name].append(measure(address, extra))
    for name, rows in found.items():
        figures = {key: statistics.median(row[key] for row in rows) for key in rows[0]}
        print(f"{name:22}", "  ".join(f"{key} {value:.1f}" for key, value in figures.items()))


if __name__ == "__main__":
    main()
