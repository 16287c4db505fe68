"""Measure the scoring server beside MLflow's, in one run on one machine.

    MLFLOW_PYTHON=/path/to/python python benchmarks/serving.py [--repeats 3] [--seconds 3]

MLFLOW_PYTHON is the interpreter of an environment with mlflow and scikit-learn; without it slipstream is measured
alone. One model, the same bytes to both, turns A B, B A. Prints a markdown table of medians; exit code 1 when an
answer was no 200, or the two disagreed. Needs wrk and Linux.
"""

import argparse
import http.client
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from processes import Server, environment
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

import slipstream.sklearn
from slipstream.models import infer_signature

SCRIPT = Path(__file__).parent / "load" / "post.lua"
LOADS = ((1, 1), (1, 8), (1, 32), (1000, 1), (1000, 8))
"""Rows of a request, and connections."""


def save_model(folder: Path) -> dict[int, bytes]:
    """Save a classifier, and return a request for each number of rows."""
    data, target = load_iris(return_X_y=True)
    model = LogisticRegression(max_iter=500).fit(data, target)
    slipstream.sklearn.save_model(
        model,
        folder,
        signature=infer_signature(data, model.predict(data)),
        pip_requirements=["scikit-learn"],
        serialization_format="cloudpickle",  # which needs no library beside
    )
    rows = [data[number % len(data)].round(2).tolist() for number in range(1000)]
    return {count: json.dumps({"inputs": rows[:count]}).encode() for count in (1, 1000)}


def commands(model: Path) -> dict[str, list[str]]:
    """Return the argv of each system; ours comes last."""
    options = ["models", "serve", "-m", str(model), "--env-manager", "local", "-p", "{port}"]
    systems: dict[str, list[str]] = {}
    if python := os.environ.get("MLFLOW_PYTHON"):
        path = f"PATH={Path(python).parent}:{os.environ['PATH']}"  # it starts uvicorn by name
        systems["mlflow"] = ["env", path, python, "-m", "mlflow", *options]
    else:
        print("MLFLOW_PYTHON is not set: slipstream is measured alone, without ratios.\n")
    systems["slipstream"] = [str(Path(sys.executable).with_name("slipstream")), *options]
    return systems


def ask(server: Server, body: bytes) -> Any:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.request("POST", "/invocations", body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    content = response.read()
    connection.close()
    if response.status != 200:
        raise SystemExit(f"{server.name} answered {response.status}: {content[:300]!r}")
    return json.loads(content)


def load(server: Server, file: Path, connections: int, seconds: float) -> dict[str, float]:
    """Put a load on a server; return requests/s, milliseconds and CPU microseconds."""
    before = server.cpu()
    argv = [
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{seconds:g}s",
        "-s",
        str(SCRIPT),
        f"{server.url}/invocations",
    ]
    done = subprocess.run(
        argv, capture_output=True, text=True, check=True, env=environment() | {"BODY": str(file)}
    )
    found = re.search(r"^RESULT (.*)$", done.stdout, re.MULTILINE)
    if found is None:
        raise SystemExit(done.stdout + done.stderr)
    result = json.loads(found[1])
    if result["not_200"] or result["socket_errors"]:
        raise SystemExit(f"{server.name}: {result}")
    return {
        "requests/s": result["answered"] / result["seconds"],
        "p99, ms": result["p99_ms"],
        "server CPU, µs/request": (server.cpu() - before) / result["answered"] * 1e6,
    }


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3)
    options = parser.parse_args()
    samples: dict[str, dict[str, list[float]]] = {}
    with tempfile.TemporaryDirectory(prefix="slipstream-bench-") as folder:
        root = Path(folder)
        bodies = save_model(root / "model")
        files = {count: root / f"{count}.json" for count in bodies}
        for count, file in files.items():
            file.write_bytes(bodies[count])
        systems = commands(root / "model")
        answers: dict[str, Any] = {}
        for repeat in range(options.repeats):
            for name in list(systems) if repeat % 2 == 0 else reversed(systems):
                (root / name).mkdir(exist_ok=True)
                server = Server(name, systems[name], root / name)
                try:
                    start = server.start()
                    figures = {"seconds until ready": start.ready_wall, "idle memory (PSS), MB": start.pss_mb}
                    answers[name] = [ask(server, body) for body in bodies.values()]
                    for rows, connections in LOADS:
                        title = f"{rows:,} row{'s' * (rows > 1)}, {connections} connection{'s' * (connections > 1)}"
                        got = load(server, files[rows], connections, options.seconds)
                        figures |= {f"{title}: {key}": value for key, value in got.items()}
                finally:
                    server.stop()
                for key, value in figures.items():
                    samples.setdefault(key, {}).setdefault(name, []).append(value)
                    print(f"  {name:10} {key}: {value:,.1f}", file=sys.stderr, flush=True)
    if len({json.dumps(answer) for answer in answers.values()}) != 1:
        raise SystemExit(f"The servers disagree: {str(answers)[:500]}")
    report(samples, list(systems))


def report(samples: dict[str, dict[str, list[float]]], names: list[str]) -> None:
    heads = [*names, *(["times better"] if len(names) > 1 else [])]
    print(f"| figure | {' | '.join(heads)} |\n|---|{'---:|' * len(heads)}")
    for key, values in samples.items():
        medians = [statistics.median(values[name]) for name in names]
        cells = [f"{median:,.1f}" for median in medians]
        if len(names) > 1:
            ratio = medians[1] / medians[0] if key.endswith("requests/s") else medians[0] / medians[1]
            cells.append(f"{ratio:.1f}")
        print(f"| {key} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
