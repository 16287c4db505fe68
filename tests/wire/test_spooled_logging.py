"""Logging to a server that is away, slow, killed or restarted: nothing waits for it, and it has everything in the end."""

import json
import logging
import math
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import slipstream
from server_process import ServerProcess
from slipstream.cli.main import main as cli
from slipstream.client import connect
from slipstream.entities import Metric
from slipstream.errors import InvalidParameterError, InvalidStateError, NotFoundError

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "spool"
    monkeypatch.setenv("SLIPSTREAM_SPOOL_FOLDER", str(folder))
    monkeypatch.setenv("SLIPSTREAM_DELIVERY_TIMEOUT", "20")
    monkeypatch.setenv("SLIPSTREAM_PATIENCE", "2")
    monkeypatch.setenv("SLIPSTREAM_HTTP_REQUEST_MAX_RETRIES", "1")
    monkeypatch.chdir(tmp_path)
    yield folder
    slipstream.end_run()
    monkeypatch.setenv("SLIPSTREAM_DELIVERY_TIMEOUT", "0")
    connect.close_all()
    slipstream.set_tracking_uri("")
    os.environ.pop("SLIPSTREAM_EXPERIMENT_ID", None)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    folder = tmp_path / "server"
    folder.mkdir()
    server = ServerProcess(folder, "--durability", "normal")
    yield server
    server.stop()


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def start(folder: Path, port: int) -> ServerProcess:
    """Start a server at a port that clients know already; the last `--port` counts."""
    folder.mkdir(exist_ok=True)
    return ServerProcess(folder, "--durability", "normal", "--port", str(port))


def undelivered(spool: Path) -> list[Path]:
    return sorted(spool.glob("*/*.spool"))


def run_script(script: str, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def points(url: str, run_id: str, key: str) -> list[tuple[int, float]]:
    history = slipstream.MlflowClient(url).get_metric_history(run_id, key)
    return [(point.step, point.value) for point in history]


# -- with a server that is there --------------------------------------------------------------------


def test_a_program_reads_what_it_wrote(server: ServerProcess, spool: Path) -> None:
    slipstream.set_tracking_uri(server.url)
    slipstream.set_experiment("e")
    with slipstream.start_run() as run:
        for step in range(1000):
            slipstream.log_metric("loss", 1 / (step + 1), step)
        slipstream.log_metric("odd", math.nan)
        slipstream.log_metrics({"a": 1, "b": math.inf}, step=3)
        slipstream.log_params({"lr": 0.1})
        slipstream.set_tag("k", "v")
        slipstream.set_tag("gone", "v")
        slipstream.delete_tag("gone")
        data = slipstream.get_run(run.info.run_id).data
    assert data.params == {"lr": "0.1"}
    assert data.tags["k"] == "v"
    assert "gone" not in data.tags
    assert data.metrics["b"] == math.inf
    assert math.isnan(data.metrics["odd"])
    assert points(server.url, run.info.run_id, "loss") == [(step, 1 / (step + 1)) for step in range(1000)]
    assert slipstream.get_run(run.info.run_id).info.status == "FINISHED"
    connect.close_all()
    assert undelivered(spool) == []


def test_mistakes_are_told_at_once(server: ServerProcess) -> None:
    slipstream.set_tracking_uri(server.url)
    client = slipstream.MlflowClient()
    with pytest.raises(NotFoundError):
        client.log_metric("0" * 32, "m", 1.0)
    with pytest.raises(NotFoundError):
        client.create_run("999999")
    with slipstream.start_run() as run:
        with pytest.raises(InvalidParameterError, match="name"):
            slipstream.log_metric("/no", 1.0)
        with pytest.raises(InvalidParameterError, match="timestamp|step"):
            client.log_metric(run.info.run_id, "m", 1.0, step=2**70)
        slipstream.log_param("p", 1)
        slipstream.log_param("p", 1)
        with pytest.raises(InvalidParameterError, match="already logged"):
            slipstream.log_param("p", 2)
    client.delete_run(run.info.run_id)
    connect.close_all()
    with pytest.raises(InvalidParameterError, match="active"):
        client.set_tag(run.info.run_id, "k", "v")


def test_what_the_server_refuses_later_is_told_and_kept(
    server: ServerProcess, spool: Path, caplog: pytest.LogCaptureFixture
) -> None:
    slipstream.set_tracking_uri(server.url)
    with slipstream.start_run() as run:
        slipstream.log_metric("m", 1.0)
        slipstream.flush()
        run_script(
            "import slipstream, sys; slipstream.set_tracking_uri(sys.argv[1])\n"
            "slipstream.MlflowClient().log_param(sys.argv[2], 'p', 'of another')",
            server.url,
            run.info.run_id,
        )
        slipstream.log_param("p", "mine")
        slipstream.log_metric("m", 2.0, 1)
        assert slipstream.flush()
    assert "refused what was logged" in caplog.text
    assert "of another" in caplog.text
    (kept,) = spool.glob("*/refused.jsonl")
    assert json.loads(kept.read_text())["record"][:2] == ["batch", run.info.run_id]
    assert points(server.url, run.info.run_id, "m") == [(0, 1.0), (1, 2.0)]


def test_a_hundred_thousand_points_are_there_soon(server: ServerProcess) -> None:
    slipstream.set_tracking_uri(server.url)
    with slipstream.start_run() as run:
        for step in range(100_000):
            slipstream.log_metric("loss", float(step), step)
        assert slipstream.flush(60)
    found = points(server.url, run.info.run_id, "loss")
    assert found == [(step, float(step)) for step in range(100_000)]


def test_threads_and_forked_processes(server: ServerProcess) -> None:
    slipstream.set_tracking_uri(server.url)
    client = slipstream.MlflowClient()
    run_id = client.create_run("0").info.run_id

    def log(name: str) -> None:
        for step in range(300):
            client.log_metric(run_id, name, float(step), timestamp=step + 1, step=step)

    threads = [threading.Thread(target=log, args=(f"thread{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    children: list[int] = []
    for number in range(3):
        child = os.fork()
        if child == 0:
            try:
                log(f"child{number}")
                connect.close_all()
                os._exit(0)
            except BaseException:  # noqa: BLE001  # whatever it is, the parent sees the exit code
                os._exit(1)
        children.append(child)
    for thread in threads:
        thread.join()
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children] == [0, 0, 0]
    assert slipstream.flush()
    for name in [*(f"thread{n}" for n in range(4)), *(f"child{n}" for n in range(3))]:
        assert points(server.url, run_id, name) == [(step, float(step)) for step in range(300)]


RESUMES = """
import sys, slipstream
slipstream.set_tracking_uri(sys.argv[1])
client = slipstream.MlflowClient()
run_id = sys.argv[2] if len(sys.argv) > 3 else client.create_run("0").info.run_id
first = int(sys.argv[-1])
for step in range(first, first + 50):
    client.log_metric(run_id, "loss", float(step), step=step)
    client.set_tag(run_id, "step", step)
print(run_id)
"""


def test_scripts_that_log_to_one_run_one_after_the_other_while_the_server_is_away(
    tmp_path: Path, spool: Path
) -> None:
    """What the first one left goes first: without its run, all that the others logged would be refused for ever."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    run_id = run_script(RESUMES, url, "0", SLIPSTREAM_DELIVERY_TIMEOUT="0").stdout.strip()
    run_script(RESUMES, url, run_id, "50", SLIPSTREAM_DELIVERY_TIMEOUT="0")
    assert len(undelivered(spool)) == 2
    server = start(tmp_path / "server", port)
    assert run_script(RESUMES, url, run_id, "100").stdout.strip() == run_id
    assert undelivered(spool) == []
    assert points(url, run_id, "loss") == [(step, float(step)) for step in range(150)]
    assert slipstream.MlflowClient(url).get_run(run_id).data.tags["step"] == "149"
    server.stop()


def test_a_run_of_a_parent_that_lives_is_waited_for(tmp_path: Path, spool: Path) -> None:
    """A worker that reaches the server first does not have its values refused for want of the parent's run."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    slipstream.set_tracking_uri(url)
    client = slipstream.MlflowClient()
    run_id = client.create_run("0").info.run_id
    connect.connect().store.shipper._stopping = True  # type: ignore[attr-defined]  # the parent is slow
    server = start(tmp_path / "server", port)
    worker = subprocess.Popen(
        [sys.executable, "-c", RESUMES, url, run_id, "0"],
        stdout=subprocess.DEVNULL,
        env={**os.environ, "SLIPSTREAM_DELIVERY_TIMEOUT": "3"},
    )
    assert worker.wait(timeout=60) == 0
    assert len(undelivered(spool)) == 2, "it was not refused, and not lost"
    os.environ["SLIPSTREAM_DELIVERY_TIMEOUT"] = "0"
    connect.close_all()
    for _ in range(2):
        cli(["sync"], standalone_mode=False)
    assert points(url, run_id, "loss") == [(step, float(step)) for step in range(50)]
    server.stop()


def test_the_settings_bring_back_waiting(
    server: ServerProcess, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLIPSTREAM_SPOOL", "false")
    slipstream.set_tracking_uri(server.url)
    with slipstream.start_run() as run:
        slipstream.log_metric("m", 1.0)
        assert run_script(
            "import slipstream, sys; slipstream.set_tracking_uri(sys.argv[1])\n"
            "print(slipstream.get_run(sys.argv[2]).data.metrics)",
            server.url,
            run.info.run_id,
        ).stdout.startswith("{'m': 1.0}")
    assert not spool.exists()


def test_one_call_may_wait(server: ServerProcess) -> None:
    slipstream.set_tracking_uri(server.url)
    with slipstream.start_run() as run:
        store: Any = connect.connect(server.url).store
        slipstream.log_metric("m", 1.0, synchronous=True)
        assert store.shipper.is_delivered
        slipstream.log_metrics({"n": 1.0}, synchronous=True)
        slipstream.log_param("p", 1, synchronous=True)
        slipstream.set_tags({"t": 1}, synchronous=True)
        assert store.shipper.is_delivered
    assert slipstream.get_run(run.info.run_id).data.params == {"p": "1"}


# -- with one that is not ---------------------------------------------------------------------------


def test_a_run_without_its_server_from_beginning_to_end(
    tmp_path: Path, spool: Path, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    slipstream.set_tracking_uri(f"http://127.0.0.1:{port}")
    began = time.monotonic()
    slipstream.set_experiment("away")
    (tmp_path / "model.bin").write_bytes(b"weights")
    with slipstream.start_run(run_name="alone") as run:
        slipstream.log_params({"lr": 0.1})
        for step in range(500):
            slipstream.log_metric("loss", float(step), step)
        slipstream.log_artifact(tmp_path / "model.bin", "models")
        slipstream.log_text("hello", "notes/hello.txt")
        slipstream.log_dict({"a": 1}, "a.json")
    assert time.monotonic() - began < 15
    assert "takes nothing now" in caplog.text
    (path,) = undelivered(spool)
    assert str(path) in caplog.text
    assert "slipstream sync" in caplog.text
    server = start(tmp_path / "server", port)
    try:
        assert slipstream.flush(60)
        (found,) = slipstream.search_runs(experiment_names=["away"], output_format="list")
        assert (found.info.run_id, found.info.run_name, found.info.status) == (
            run.info.run_id,
            "alone",
            "FINISHED",
        )
        assert found.data.params == {"lr": "0.1"}
        assert points(server.url, run.info.run_id, "loss") == [(step, float(step)) for step in range(500)]
        assert slipstream.artifacts.load_text(f"runs:/{run.info.run_id}/notes/hello.txt") == "hello"
        assert slipstream.artifacts.load_text(f"runs:/{run.info.run_id}/models/model.bin") == "weights"
        assert {file.path for file in slipstream.artifacts.list_artifacts(run_id=run.info.run_id)} == {
            "a.json",
            "models",
            "notes",
        }
        with slipstream.start_run() as later:
            pass
        assert later.info.experiment_id == found.info.experiment_id
        connect.close_all()
        assert list(spool.glob("*/*")) == []
    finally:
        server.stop()


def test_a_server_that_is_killed_and_comes_back(tmp_path: Path) -> None:
    port = free_port()
    server = start(tmp_path / "server", port)
    slipstream.set_tracking_uri(server.url)
    stop = threading.Event()
    with slipstream.start_run() as run:
        longest = 0.0
        logged = 0

        def disturb() -> None:
            nonlocal server
            for _ in range(3):
                if stop.wait(0.4):
                    return
                server.kill()
                stop.wait(0.6)
                server = start(tmp_path / "server", port)

        thread = threading.Thread(target=disturb)
        thread.start()
        while thread.is_alive():
            before = time.perf_counter()
            slipstream.log_metric("loss", float(logged), logged)
            longest = max(longest, time.perf_counter() - before)
            logged += 1
            time.sleep(0.0005)
        stop.set()
        thread.join()
        (tmp_path / "late.txt").write_text("x")
        slipstream.log_artifact(tmp_path / "late.txt")
        assert slipstream.flush(60)
    assert longest < 2, "no call waited for the server"
    assert points(server.url, run.info.run_id, "loss") == [(step, float(step)) for step in range(logged)]
    assert slipstream.artifacts.load_text(f"runs:/{run.info.run_id}/late.txt") == "x"
    server.stop()


def test_a_run_is_gone_on_with_while_its_server_is_away(tmp_path: Path) -> None:
    port = free_port()
    server = start(tmp_path / "server", port)
    slipstream.set_tracking_uri(server.url)
    with slipstream.start_run(run_name="first") as run:
        slipstream.log_metric("m", 0.0, 0)
    server.stop()
    with slipstream.start_run(run_id=run.info.run_id, tags={"again": "yes"}) as again:
        slipstream.log_metric("m", 1.0, 1)
        slipstream.log_text("x", "x.txt")
    assert again.info.run_id == run.info.run_id
    server = start(tmp_path / "server", port)
    assert slipstream.flush(60)
    found = slipstream.get_run(run.info.run_id)
    assert (found.info.status, found.info.run_name, found.data.tags["again"]) == ("FINISHED", "first", "yes")
    assert points(server.url, run.info.run_id, "m") == [(0, 0.0), (1, 1.0)]
    assert slipstream.artifacts.load_text(f"runs:/{run.info.run_id}/x.txt") == "x"
    server.stop()


def test_a_fork_does_not_hold_what_its_parent_leaves(server: ServerProcess, spool: Path) -> None:
    script = """
import os, sys, time, slipstream
slipstream.set_tracking_uri(sys.argv[1])
client = slipstream.MlflowClient()
run_id = client.create_run("0").info.run_id
client.log_metric(run_id, "m", 1.0)
child = os.fork()
if child == 0:
    for stream in (1, 2):  # or this test would wait for the child, too
        os.close(stream)
    time.sleep(600)
    os._exit(0)
print(run_id, child, flush=True)
os._exit(0)
"""
    run_id, child = run_script(script, server.url).stdout.split()
    (left,) = undelivered(spool) or (None,)
    slipstream.set_tracking_uri(server.url)
    with slipstream.start_run():
        slipstream.log_metric("m", 1.0)
    until = time.monotonic() + 15
    while left is not None and left.exists() and time.monotonic() < until:
        time.sleep(0.1)
    assert points(server.url, run_id, "m") == [(0, 1.0)]
    assert left is None or not left.exists()
    os.kill(int(child), signal.SIGKILL)  # which fails if it was gone, and nothing was tried


def test_a_server_that_says_nothing_is_not_waited_for(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        slipstream.set_tracking_uri(f"http://127.0.0.1:{silent.getsockname()[1]}")
        began = time.monotonic()
        with slipstream.start_run():
            started = time.monotonic() - began
            for step in range(100):
                slipstream.log_metric("m", 1.0, step)
            slipstream.log_text("x", "x.txt")
            logged = time.monotonic() - began - started
        os.environ["SLIPSTREAM_DELIVERY_TIMEOUT"] = "0"
        connect.close_all()
    assert started < 10, "one attempt of SLIPSTREAM_PATIENCE seconds"
    assert logged < 1


KILLED = """
import os, random, signal, sys, threading, time
import slipstream
slipstream.set_tracking_uri(sys.argv[1])
generator = random.Random(int(sys.argv[2]))
client = slipstream.MlflowClient()
run_id = client.create_run("0").info.run_id
print(run_id, flush=True)
threading.Timer(generator.uniform(0.01, 0.8), lambda: os.kill(os.getpid(), signal.SIGKILL)).start()
step = 0
while True:
    client.log_metric(run_id, "loss", float(step), step=step)
    client.set_tag(run_id, "step", step)
    step += 1
    os.write(1, b"%d\\n" % step)
    if generator.random() < 0.1:
        time.sleep(0.002)
"""


def test_a_killed_client_loses_nothing(
    server: ServerProcess, spool: Path, caplog: pytest.LogCaptureFixture
) -> None:
    told: dict[str, int] = {}
    for seed in range(6):
        done = run_script(KILLED, server.url, str(seed))
        assert done.returncode == -signal.SIGKILL, done.stderr
        run_id, *steps = done.stdout.split()
        told[run_id] = int(steps[-1]) if steps else 0
    # The next program that logs there sends what was left.
    slipstream.set_tracking_uri(server.url)
    with slipstream.start_run():
        slipstream.log_metric("m", 1.0)
    until = time.monotonic() + 30
    while len(undelivered(spool)) > 1 and time.monotonic() < until:
        time.sleep(0.1)
    for run_id, count in told.items():
        found = points(server.url, run_id, "loss")
        assert len(found) >= count
        assert found == [(step, float(step)) for step in range(len(found))]
        last = int(slipstream.get_run(run_id).data.tags.get("step", -1))
        assert last in (len(found) - 1, len(found) - 2), "tags and points come in their order"
    assert "had logged and not delivered" in caplog.text


def test_sync_sends_what_was_left(
    server: ServerProcess, spool: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script = """
import sys, slipstream
slipstream.set_tracking_uri(sys.argv[1])
slipstream.set_experiment("synced")
with slipstream.start_run(run_name="r") as run:
    for step in range(200):
        slipstream.log_metric("loss", float(step), step)
    slipstream.log_text("text", "a.txt")
print(run.info.run_id)
"""
    away = f"http://127.0.0.1:{free_port()}"
    ids = [
        run_script(script, address, SLIPSTREAM_DELIVERY_TIMEOUT="0").stdout.split()[-1]
        for address in (away, "offline")
    ]
    assert len(undelivered(spool)) == 2
    assert cli(["sync", "--list"], standalone_mode=False) is None
    listed = capsys.readouterr().out
    assert away in listed
    assert "offline" in listed
    with pytest.raises(SystemExit) as ended:
        cli(["sync"], standalone_mode=False)
    assert ended.value.code == 1
    told = capsys.readouterr()
    assert "--to" in told.err
    assert len(undelivered(spool)) == 2
    for attempt in range(2):
        cli(["sync", "--to", server.url], standalone_mode=False)
        sent = re.search(r"Sent (\d+) bytes of (\d) programs", capsys.readouterr().out)
        assert sent is not None
        assert int(sent[2]) == (2 if attempt == 0 else 0)
    slipstream.set_tracking_uri(server.url)
    for run_id in ids:
        assert points(server.url, run_id, "loss") == [(step, float(step)) for step in range(200)]
        assert slipstream.artifacts.load_text(f"runs:/{run_id}/a.txt") == "text"
    assert len(slipstream.search_runs(experiment_names=["synced"], output_format="list")) == 2


def test_offline_says_what_it_cannot(spool: Path) -> None:
    slipstream.set_tracking_uri("offline")
    with slipstream.start_run() as run:
        slipstream.log_metric("m", 1.0)
        with pytest.raises(InvalidStateError, match=r"slipstream sync --to"):
            slipstream.get_run(run.info.run_id)


def test_an_old_server_gets_everything_by_mlflows_routes(
    server: ServerProcess, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from slipstream.client.rest_records import RestRecords
    from slipstream.errors import EndpointNotFoundError

    def absent(*_: Any) -> None:
        raise EndpointNotFoundError("no such route")

    monkeypatch.setattr(RestRecords, "deliver", absent)
    monkeypatch.setattr(RestRecords, "own_features", frozenset())
    slipstream.set_tracking_uri(server.url)
    client = slipstream.MlflowClient()
    with slipstream.start_run() as run:
        run_id = run.info.run_id
        for step in range(2500):
            slipstream.log_metric("loss", float(step), step)
        slipstream.log_metric("odd", math.nan)
        client.log_batch(run_id, metrics=[Metric(f"k{n}", 1.0, 5, 0) for n in range(1500)])
        slipstream.log_params({f"p{n}": n for n in range(150)})
        slipstream.set_tag("gone", 1)
        slipstream.delete_tag("gone")
        slipstream.log_text("x", "x.txt")
        assert slipstream.flush()
    caplog.set_level(logging.WARNING)
    found = slipstream.get_run(run_id)
    assert len(found.data.params) == 150
    assert len(found.data.metrics) == 1502
    assert found.info.status == "FINISHED"
    assert points(server.url, run_id, "loss") == [(step, float(step)) for step in range(2500)]
    assert "refused" not in caplog.text


def test_a_network_that_drops_and_doubles_and_cuts(server: ServerProcess, tmp_path: Path) -> None:
    """Through a proxy that loses answers: what is sent again is stored once."""
    from flaky_proxy import FlakyProxy

    with FlakyProxy(server.url, random.Random(7)) as proxy:
        slipstream.set_tracking_uri(proxy.url)
        client = slipstream.MlflowClient()
        proxy.calm()
        run_id = client.create_run("0").info.run_id
        proxy.storm()
        for step in range(3000):
            client.log_metric(run_id, "loss", float(step), step=step)
            if step % 10 == 0:
                client.set_tag(run_id, "step", step)
            if step % 100 == 0:
                slipstream.flush(0.3)
        proxy.calm()
        assert slipstream.flush(60)
        assert proxy.faults > 3
        connect.close_all()
    assert points(server.url, run_id, "loss") == [(step, float(step)) for step in range(3000)]
    assert slipstream.MlflowClient(server.url).get_run(run_id).data.tags["step"] == "2990"
