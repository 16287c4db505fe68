"""Measure files through the artifact proxy: small ones and large ones, both ways, beside MLflow and nginx.

    MLFLOW_PYTHON=/path/to/python python benchmarks/artifacts.py [--repeats 3] [--seconds 3] [--megabytes 256]

MLFLOW_PYTHON is the interpreter of an environment with mlflow, measured with its default of four workers and with one;
without it, and where there is no nginx, these are left out. The same files over loopback, taking turns A B C, C B A. nginx has
one worker process, sends files with sendfile and takes them with its DAV module; it syncs nothing, while slipstream has a file
on the disk when it answers, unless it is started with `--durability normal`, which is measured, too. Prints a markdown table of
medians; exit code 1 when an answer was wrong. Needs wrk and Linux. TMPDIR says on which disk. Where many files have just been
deleted, ext4 without a journal finds room for new ones slowly: measure in another folder then.
"""

import argparse
import hashlib
import http.client
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from processes import Server, environment

SCRIPT = Path(__file__).parent / "load" / "artifacts.lua"
ROUTE = "/api/2.0/mlflow-artifacts/artifacts/"
SMALL = 4096
CONNECTIONS = (1, 8, 32)
PIECE = 1 << 20
NGINX = """
worker_processes 1; daemon off; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
  access_log off; sendfile on; tcp_nopush on; keepalive_requests 100000000;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  server {{
    listen 127.0.0.1:{port}; client_max_body_size 0;
    location /health {{ return 200; }}
    location {route} {{ alias {folder}/files/; dav_methods PUT DELETE; create_full_put_path on; }}
  }}
}}
"""


class Nginx(Server):
    """nginx in the place of a tracking server."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            "nginx", [str(shutil.which("nginx")), "-e", "{folder}/error.log", "-c", "{folder}/conf"], folder
        )
        (folder / "files").mkdir()
        if os.getuid() == 0:  # its worker is another user then
            folder.chmod(0o755)
            user = "user root;"
        else:
            user = ""
        (folder / "conf").write_text(user + NGINX.format(folder=folder, port=self.port, route=ROUTE), "utf-8")


def servers(folder: Path) -> list[Server]:
    """Return what is measured; ours comes first."""
    options = ["--host", "127.0.0.1", "--port", "{port}", "--backend-store-uri", "sqlite:///{folder}/db"]
    options += ["--artifacts-destination", "{folder}/files"]
    ours = [str(Path(sys.executable).with_name("slipstream")), "server", *options]
    found: dict[str, list[str]] = {
        "slipstream": ours,
        "slipstream, normal": [*ours, "--durability", "normal"],
    }
    if python := os.environ.get("MLFLOW_PYTHON"):
        path = f"PATH={Path(python).parent}:{os.environ['PATH']}"  # it starts uvicorn by name
        command = ["env", path, python, "-m", "mlflow", "server", *options]
        found["mlflow"] = command
        found["mlflow, 1 worker"] = [*command, "--workers", "1"]
    else:
        print("MLFLOW_PYTHON is not set: MLflow is left out.")
    made: list[Server] = []
    for name, command in found.items():
        place = folder / re.sub(r"\W+", "-", name)
        place.mkdir()
        made.append(Server(name, command, place))
    if shutil.which("nginx"):
        (folder / "nginx").mkdir()
        made.append(Nginx(folder / "nginx"))
    else:
        print("There is no nginx: it is left out.")
    return made


def small(server: Server, connections: int, seconds: float, file: Path | None) -> dict[str, float]:
    """Put a load of small requests on a server: GETs of one file, or PUTs of new ones."""
    before = server.cpu()
    name = "small" if file is None else f"up/{time.monotonic_ns()}"
    argv = [
        *("wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--latency", "-s", str(SCRIPT)),
        f"{server.url}{ROUTE}{name}",
    ]
    env = environment() | ({} if file is None else {"FILE": str(file)})
    done = subprocess.run(argv, capture_output=True, text=True, check=True, env=env)
    found: dict[str, Any] = json.loads(done.stdout.rpartition("RESULT ")[2])
    if found["not_200"] or found["socket_errors"] or not found["answered"]:
        raise SystemExit(f"{server.name}: {found}")
    return {
        "rate": found["answered"] / found["seconds"],
        "cpu": (server.cpu() - before) / found["answered"] * 1e6,
        "p99": found["p99_ms"],
    }


def download(server: Server, size: int, digest: str | None) -> dict[str, float]:
    """Fetch the large file, and check it where a digest is given."""
    before, begin = server.cpu(), time.perf_counter()
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=600)
    connection.request("GET", f"{ROUTE}large")
    response = connection.getresponse()
    buffer, left, checked = memoryview(bytearray(PIECE)), size, hashlib.sha256()
    while count := response.readinto(buffer):
        left -= count
        if digest is not None:
            checked.update(buffer[:count])
    seconds = time.perf_counter() - begin
    connection.close()
    if response.status != 200 or left or (digest is not None and checked.hexdigest() != digest):
        raise SystemExit(f"{server.name} answered {response.status}, and {size - left} of {size} bytes")
    return {"rate": size / seconds / 1e6, "cpu": (server.cpu() - before) / size * 1e9, "p99": 0.0}


def upload(server: Server, file: Path) -> dict[str, float]:
    size = file.stat().st_size
    before, begin = server.cpu(), time.perf_counter()
    with file.open("rb") as opened, socket.create_connection(("127.0.0.1", server.port)) as connection:
        head = f"PUT {ROUTE}large HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Length: {size}\r\n\r\n"
        connection.sendall(head.encode())
        connection.sendfile(opened)
        answer = connection.recv(4096)
    seconds = time.perf_counter() - begin
    if not re.match(rb"HTTP/1.1 20[014] ", answer):
        raise SystemExit(f"{server.name} answered {answer[:300]!r}")
    return {"rate": size / seconds / 1e6, "cpu": (server.cpu() - before) / size * 1e9, "p99": 0.0}


def put(server: Server, name: str, file: Path) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=600)
    with file.open("rb") as opened:
        connection.request("PUT", ROUTE + name, opened, {"Content-Length": str(file.stat().st_size)})
    response = connection.getresponse()
    response.read()
    connection.close()
    if response.status not in (200, 201, 204):
        raise SystemExit(f"{server.name} answered {response.status} to a PUT")


def measure(
    server: Server, files: tuple[Path, Path], seconds: float, digest: str
) -> dict[str, dict[str, float]]:
    little, large = files
    found: dict[str, dict[str, float]] = {}
    for connections in CONNECTIONS:
        found[f"GET 4 KB, {connections} connections"] = small(server, connections, seconds, None)
    for connections in CONNECTIONS:
        found[f"PUT 4 KB, {connections} connections"] = small(server, connections, seconds, little)
    size = large.stat().st_size
    found[f"PUT {size >> 20} MB"] = upload(server, large)
    download(server, size, digest)
    found[f"GET {size >> 20} MB"] = download(server, size, None)
    return found


def table(results: dict[str, dict[str, list[dict[str, float]]]]) -> None:
    names = list(results)
    print("\n| | " + " | ".join(names) + " |\n|---|" + "---|" * len(names))
    for load in next(iter(results.values())):
        unit, per = ("MB/s", "ms/MB") if load.endswith("MB") else ("/s", "us")
        cells: list[str] = []
        for name in names:
            rate = statistics.median(each["rate"] for each in results[name][load])
            cpu = statistics.median(each["cpu"] for each in results[name][load])
            cells.append(f"{rate:,.0f} {unit}, CPU {cpu:,.2f} {per}")
        print(f"| {load} | " + " | ".join(cells) + " |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--megabytes", type=int, default=256)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="slipstream-bench-") as folder:
        little, large = Path(folder, "little"), Path(folder, "large")
        little.write_bytes(os.urandom(SMALL))
        with large.open("wb") as file:
            for _ in range(options.megabytes):
                file.write(os.urandom(1 << 20))
        with large.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        found = servers(Path(folder))
        results: dict[str, dict[str, list[dict[str, float]]]] = {server.name: {} for server in found}
        try:
            for server in found:
                server.start()
                put(server, "small", little)
                put(server, "large", large)
            for turn in range(options.repeats):
                for server in found if turn % 2 == 0 else reversed(found):
                    measured = measure(server, (little, large), options.seconds, digest)
                    for load, numbers in measured.items():
                        results[server.name].setdefault(load, []).append(numbers)
        finally:
            for server in found:
                server.stop()
        table(results)


if __name__ == "__main__":
    main()
