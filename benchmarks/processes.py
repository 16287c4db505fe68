"""Servers as processes: start one, and read from the kernel what all its processes cost. Linux only."""

import contextlib
import http.client
import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

_TICKS = os.sysconf("SC_CLK_TCK")
_START_SECONDS = 300
_QUIET = 0.08
_STOP_SECONDS = 30


class Start(NamedTuple):
    """What it took a server to come up."""

    ready_cpu: float
    """CPU seconds of all processes until /health answered 200."""
    ready_wall: float
    settled_cpu: float
    """CPU seconds until it had nothing left to do; MLflow's workers go on importing after the first 200."""
    pss_mb: float
    processes: int


class Cost(NamedTuple):
    """What one process of a server has now."""

    pid: int
    pss_mb: float
    rss_mb: float
    own_mb: float
    """Anonymous memory: what grows with a leak. PSS also falls when a neighbour maps the same libraries."""
    files: int
    """Open file descriptors."""


class Server:
    """A tracking server under test, in a process group of its own.

    Args:
        name: how it is called in the results.
        command: argv; `{port}` and `{folder}` in its parts are filled in.
        folder: where it keeps its database, artifacts and log; must exist.
    """

    def __init__(self, name: str, command: list[str], folder: Path) -> None:
        self.name = name
        self.folder = folder
        self.port = _free_port()
        self._command = [
            part.replace("{port}", str(self.port)).replace("{folder}", str(folder)) for part in command
        ]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Start:
        begin = time.perf_counter()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command,
                cwd=self.folder,
                env=environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        while not self._healthy():
            if self._process.poll() is not None or time.perf_counter() - begin > _START_SECONDS:
                self.stop()
                tail = self.log.read_text("utf-8", "replace")[-2000:]
                raise SystemExit(f"{self.name} did not start: {' '.join(self._command)}\n{tail}")
            time.sleep(0.005)
        ready_cpu, ready_wall = self.cpu(), time.perf_counter() - begin
        self._settle()
        return Start(ready_cpu, ready_wall, self.cpu(), self.pss_mb(), len(self._pids()))

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    def _healthy(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def _settle(self, limit: float = 120) -> None:
        """Wait until the server was quiet for two seconds running."""
        end, quiet, before = time.perf_counter() + limit, 0, self.cpu()
        while quiet < 2 and time.perf_counter() < end:
            time.sleep(1)
            now = self.cpu()
            quiet = quiet + 1 if now - before < _QUIET else 0
            before = now

    def stop(self) -> None:
        process = self._process
        if process is None:
            return
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # workers that outlived their parent; the group is ours
        process.wait()
        self._process = None

    def cpu(self) -> float:
        """Return the CPU seconds of all processes so far, those that have ended included."""
        ticks = 0
        for pid in self._pids():
            fields = _stat(pid)
            if fields is not None:
                ticks += sum(
                    int(field) for field in fields[11:15]
                )  # user and system; own, and of ended children
        return ticks / _TICKS

    def pss_mb(self) -> float:
        """Return the memory of all processes, shared pages counted once."""
        return sum(cost.pss_mb for cost in self.costs())

    def costs(self) -> list[Cost]:
        """Return what each process has, first the one that was started, then its children by age."""
        found: list[Cost] = []
        first, *children = self._pids()
        for pid in (first, *sorted(children)):
            try:
                lines = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii").splitlines()
                files = len(list(Path(f"/proc/{pid}/fd").iterdir()))
            except (FileNotFoundError, ProcessLookupError):
                continue  # it has just ended
            kb = {line.split()[0]: int(line.split()[1]) for line in lines[1:]}
            found.append(Cost(pid, kb["Pss:"] / 1024, kb["Rss:"] / 1024, kb["Anonymous:"] / 1024, files))
        return found

    def _pids(self) -> list[int]:
        assert self._process is not None, "the server is not started"
        children: dict[int, list[int]] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and (fields := _stat(int(entry.name))) is not None:
                children.setdefault(int(fields[1]), []).append(int(entry.name))
        found, rest = [], [self._process.pid]
        while rest:
            pid = rest.pop()
            found.append(pid)
            rest += children.get(pid, [])
        return found


def machine_cpu() -> float:
    """Return the core seconds that the whole machine has worked since it started."""
    fields = [int(field) for field in Path("/proc/stat").read_text("ascii").split("\n", 1)[0].split()[1:9]]
    idle, waiting = fields[3], fields[4]
    return (sum(fields) - idle - waiting) / _TICKS


def environment() -> dict[str, str]:
    """Return this process's environment without settings of either system; nothing measured phones home."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("SLIPSTREAM_", "MLFLOW_"))
    }
    return kept | {"MLFLOW_DISABLE_TELEMETRY": "true"}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _stat(pid: int) -> list[str] | None:
    """Return the fields of /proc/PID/stat that follow the command's name, or `None` when the process is gone."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text.rsplit(")", 1)[1].split()
