"""Everything goes wrong at random, for a while: afterwards all that was acknowledged is at the server, once and in order.

The server is killed and restarted, the network drops, delays, cuts and doubles, training scripts and the relay are killed with
SIGKILL, disks are full. How long, and with which seed: `make chaos SECONDS=600 SEED=7`.
"""

import http.client
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import slipstream
from flaky_proxy import FlakyProxy
from free_port import free_port
from server_process import RelayProcess, ServerProcess
from slipstream.client import connect
from slipstream.client.spool.folder import REFUSED
from slipstream.client.spool.sync import find_undelivered, sync

pytestmark = pytest.mark.slow

CLIENTS = 3
CLIENT = Path(__file__).parent.parent / "chaos_client.py"
SETTLE_SECONDS = 120


class Told:
    """What was acknowledged, by run."""

    def __init__(self) -> None:
        self.points: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
        self.latest: dict[tuple[str, str, str], int] = {}
        """Of what is written over: tags, params, files."""
        self.raised: list[str] = []

    def take(self, line: str) -> None:
        kind, *rest = line.split(maxsplit=3)
        if kind == "point":
            self.points[rest[0], rest[1]].append(int(rest[2]))
        elif kind in ("tag", "param", "file"):
            self.latest[kind, rest[0], rest[1]] = int(rest[2])
        elif kind == "raised":
            self.raised.append(line)


class Script:
    """A training script that is killed and started again, and goes on with its run."""

    def __init__(self, number: int, seed: int, url: str, told: Told) -> None:
        self._arguments = (url, str(seed * 100 + number))
        self._told = told
        self.run_id = "-"
        self.life = 0
        self.is_full = False
        """Its disk: what it logs now is in its memory, and a kill costs that."""
        self.errors: list[str] = []
        self.start()

    def start(self) -> None:
        self.life += 1
        self.is_ready = False
        self.process = subprocess.Popen(
            [sys.executable, str(CLIENT), *self._arguments, str(self.life), self.run_id],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._readers = [
            threading.Thread(target=self._read, args=(self.process,), daemon=True),
            threading.Thread(target=self._read_errors, args=(self.process,), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("run "):
                self.run_id = line.split()[1]
            elif line == "ready\n":
                self.is_ready = True
            elif line == "room\n":
                self.is_full = False
            elif line.endswith("\n"):
                self._told.take(line)

    def _read_errors(self, process: "subprocess.Popen[str]") -> None:
        assert process.stderr is not None
        for line in process.stderr:
            self.errors.append(line)
            del self.errors[:-200]

    def fill_disk(self) -> None:
        if not self.is_full and self.is_ready:
            self.is_full = True
            self.process.send_signal(signal.SIGUSR1)

    def kill(self) -> None:
        if self.is_full or self.run_id == "-":
            return
        self.process.kill()
        self._end()
        self.start()

    def ask_to_stop(self) -> None:
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):
            self.process.stdin.write("stop\n")
            self.process.stdin.flush()

    def stop(self) -> None:
        try:
            code = self.process.wait(timeout=SETTLE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGUSR2)  # to see what it does
            time.sleep(1)
            code = "it does not end"
        assert code == 0, f"{code}: {''.join(self.errors)}"
        self._end()

    def abandon(self) -> None:
        self.process.kill()
        self._end()

    def _end(self) -> None:
        self.process.wait()
        for reader in self._readers:
            reader.join()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                with suppress(BrokenPipeError):
                    stream.close()


class RelayedScript:
    """A program in any language that logs through the relay: each answered value counts."""

    def __init__(self, url: str, told: Told) -> None:
        self._url = url
        self._told = told
        self._stop = threading.Event()
        self.run_id = ""
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _post(self, path: str, body: dict[str, object]) -> dict[str, object] | None:
        parts = urlsplit(self._url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
        try:
            connection.request(
                "POST", f"/api/2.0/mlflow/{path}", json.dumps(body), {"Content-Type": "application/json"}
            )
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException):  # it was killed: nothing is acknowledged
            return None
        finally:
            connection.close()
        if answer.status == 200:
            return json.loads(content)
        if answer.status != 503:
            self._told.raised.append(content.decode())
        return None

    def _work(self) -> None:
        step = 0
        while not self._stop.is_set():
            if not self.run_id:
                created = self._post("runs/create", {"experiment_id": "0", "start_time": 1})
                if created is not None:
                    self.run_id = created["run"]["info"]["run_id"]  # type: ignore[index]
            else:
                point = {
                    "run_id": self.run_id,
                    "key": "relayed",
                    "value": step,
                    "timestamp": step,
                    "step": step,
                }
                if self._post("runs/log-metric", point) is not None:
                    self._told.take(f"point {self.run_id} relayed {step}")
                if (
                    self._post("runs/set-tag", {"run_id": self.run_id, "key": "last", "value": str(step)})
                    is not None
                ):
                    self._told.take(f"tag {self.run_id} last {step}")
                step += 1
            self._stop.wait(0.01)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


class Stage:
    """The server, the network, the relay and the scripts, and what may happen to them."""

    def __init__(self, folder: Path, generator: random.Random, seed: int) -> None:
        self.folder = folder
        self.generator = generator
        self.told = Told()
        self.port, self.relay_port = free_port(), free_port()
        self.server: ServerProcess | None = None
        self.start_server()
        self.proxy = FlakyProxy(f"http://127.0.0.1:{self.port}", random.Random(seed))
        self.start_relay()
        self.scripts = [Script(number, seed, self.proxy.url, self.told) for number in range(CLIENTS)]
        self.relayed = RelayedScript(self.relay.url, self.told)
        self.counts: defaultdict[str, int] = defaultdict(int)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start_server(self) -> None:
        self.server = ServerProcess(self.folder, "--durability", "normal", "--port", str(self.port))

    def start_relay(self) -> None:
        self.relay = RelayProcess(self.folder, self.proxy.url, "--port", str(self.relay_port))

    # -- what may happen --------------------------------------------------------------------------------
    def kill_server(self) -> None:
        assert self.server is not None
        self.server.kill()
        time.sleep(self.generator.uniform(0, 3))
        self.start_server()

    def storm(self) -> None:
        self.proxy.storm()
        time.sleep(self.generator.uniform(0.5, 4))
        self.proxy.calm()

    def kill_script(self) -> None:
        self.generator.choice(self.scripts).kill()

    def fill_disk(self) -> None:
        self.generator.choice(self.scripts).fill_disk()

    def kill_relay(self) -> None:
        self.relay.kill()
        self.start_relay()

    def run(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        events: list[tuple[Callable[[], None], int]] = [
            (self.kill_server, 3),
            (self.storm, 4),
            (self.kill_script, 5),
            (self.fill_disk, 2),
            (self.kill_relay, 1),
        ]
        while time.monotonic() < until:
            (event,) = self.generator.choices([each for each, _ in events], [weight for _, weight in events])
            event()
            self.counts[event.__name__] += 1
            time.sleep(self.generator.uniform(0.1, 1))

    def settle(self, spool: Path) -> None:
        self.relayed.stop()
        for script in self.scripts:
            script.ask_to_stop()
        for script in self.scripts:
            script.stop()
        assert self.relay.stop() == 0
        until = time.monotonic() + SETTLE_SECONDS
        while find_undelivered() and time.monotonic() < until:
            sync()

    def close(self) -> None:
        self.relayed.stop()
        for process in (self.relay, self.server):
            if process is not None and process.process.poll() is None:
                process.kill()
        for script in self.scripts:
            if script.process.poll() is None:
                script.abandon()


def missing(told: Told, url: str) -> list[str]:
    """Return what is not as it was acknowledged."""
    client = slipstream.MlflowClient(url)
    found: list[str] = list(told.raised)
    for (run_id, key), steps in told.points.items():
        history = client.get_metric_history(run_id, key)
        stored = [point.step for point in history]
        lost = sorted(set(steps) - set(stored))
        if lost:
            found.append(f"{run_id} {key}: {len(lost)} of {len(steps)} points are lost: {lost[:20]}")
        if len(set(stored)) != len(stored):
            found.append(f"{run_id} {key}: {len(stored) - len(set(stored))} points are there twice")
        if stored != sorted(stored):
            wrong = next(index for index in range(1, len(stored)) if stored[index] < stored[index - 1])
            found.append(f"{run_id} {key}: not in order at {stored[wrong - 2 : wrong + 2]}")
        found += [
            f"{run_id} {key}: {each.step} has {each.value}" for each in history if each.step != each.value
        ]
    runs = {run_id: client.get_run(run_id).data for _, run_id, _ in told.latest}
    for (kind, run_id, name), token in told.latest.items():
        if kind == "file":
            text = slipstream.artifacts.load_text(f"runs:/{run_id}/{name}").split()[0]
        else:
            values = runs[run_id].tags if kind == "tag" else runs[run_id].params
            text = values.get(name, "-1")
        # What was written last and not acknowledged, since the script was killed right then, may be there.
        if int(text) < token or (int(text) > token and name not in ("last", "latest.txt")):
            found.append(f"{run_id} {kind} {name}: {text} instead of {token}")
    return found


def test_everything_goes_wrong_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pytestconfig: pytest.Config
) -> None:
    seconds = float(pytestconfig.getoption("chaos_seconds"))
    seed = int(pytestconfig.getoption("chaos_seed"))
    spool = tmp_path / "spool"
    for name, value in (
        ("SPOOL_FOLDER", str(spool)),
        ("DELIVERY_TIMEOUT", "5"),
        ("PATIENCE", "1"),
        ("HTTP_REQUEST_MAX_RETRIES", "2"),
    ):
        monkeypatch.setenv(f"SLIPSTREAM_{name}", value)
    stage = Stage(tmp_path, random.Random(seed), seed)
    try:
        stage.run(seconds)
        stage.settle(spool)
        slipstream.set_tracking_uri(stage.url)
        wrong = missing(stage.told, stage.url)
        refused = [line for path in spool.glob(f"*/{REFUSED}") for line in path.read_text().splitlines()]
        left = [f"{each.path}: {each.left_bytes} bytes" for each in find_undelivered()]
        told = sum(map(len, stage.told.points.values()))
        sys.stdout.write(
            f"chaos: seed {seed}, {seconds:g} s, {dict(stage.counts)}, {stage.proxy.faults} faults of the network, "
            f"lives {[script.life for script in stage.scripts]}; acknowledged: {told} points of "
            f"{len(stage.told.points)} metrics, {len(stage.told.latest)} tags, params and files\n"
        )
        found = "\n".join([*wrong, *refused[:20], *left])
        assert not found, f"seed {seed}, {seconds:g} s:\n{found}"
        assert told > 100
        assert all(script.life > 1 for script in stage.scripts) or seconds < 60
    finally:
        stage.close()
        monkeypatch.setenv("SLIPSTREAM_DELIVERY_TIMEOUT", "0")
        connect.close_all()
        slipstream.set_tracking_uri("")
        os.environ.pop("SLIPSTREAM_EXPERIMENT_ID", None)
