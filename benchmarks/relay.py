"""What a `log_metric` of the stock mlflow client costs through the relay, beside the server itself.

    python benchmarks/relay.py [COUNT]

Starts a server and a relay of its own in a temporary folder. The client's process measures its own time and CPU; the bare
request is one on a connection that is kept, without a client.
"""

import http.client
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from server_process import RelayProcess, ServerProcess

CLIENT = """
import json, sys, time, mlflow
client = mlflow.MlflowClient(sys.argv[1])
run_id = client.create_run("0").info.run_id
client.log_metric(run_id, "warm", 1.0)
times, cpu = [], time.process_time()
for step in range(int(sys.argv[2])):
    began = time.perf_counter()
    client.log_metric(run_id, "loss", float(step), step=step)
    times.append(time.perf_counter() - began)
print(json.dumps([times, time.process_time() - cpu]))
"""


def stock_client(url: str, count: int) -> tuple[list[float], float]:
    done = subprocess.run(
        [sys.executable, "-c", CLIENT, url, str(count)], stdout=subprocess.PIPE, text=True, check=True
    )
    times, cpu = json.loads(done.stdout)
    return times, cpu / count


def bare_requests(url: str, count: int) -> list[float]:
    host, _, port = url.removeprefix("http://").partition(":")
    connection = http.client.HTTPConnection(host, int(port))

    def post(path: str, body: dict[str, object]) -> dict[str, dict[str, dict[str, str]]]:
        connection.request(
            "POST", f"/api/2.0/mlflow/{path}", json.dumps(body), {"Content-Type": "application/json"}
        )
        return json.loads(connection.getresponse().read())

    run_id = post("runs/create", {"experiment_id": "0"})["run"]["info"]["run_id"]
    times: list[float] = []
    for step in range(count):
        began = time.perf_counter()
        post("runs/log-metric", {"run_id": run_id, "key": "m", "value": step, "timestamp": 1, "step": step})
        times.append(time.perf_counter() - began)
    return times


def report(name: str, times: list[float], cpu: float | None = None) -> None:
    ordered = sorted(times)
    text = f"{name:<42} median {statistics.median(ordered) * 1e3:6.2f} ms, 99% {ordered[int(len(ordered) * 0.99)] * 1e3:7.2f} ms"
    sys.stdout.write(text + ("" if cpu is None else f", client's CPU {cpu * 1e3:.2f} ms") + "\n")


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 500
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["SLIPSTREAM_SPOOL_FOLDER"] = str(folder / "spool")
        os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
        server = ServerProcess(folder)
        relay = RelayProcess(folder, server.url)
        for place, url in (("server", server.url), ("relay", relay.url)):
            report(f"mlflow's log_metric to the {place}", *stock_client(url, count))
            report(f"bare request to the {place}", bare_requests(url, count))
        server.kill()
        report("mlflow's log_metric to the relay, no server", *stock_client(relay.url, count))
        relay.kill()


main()
