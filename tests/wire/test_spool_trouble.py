"""Logging while something before, behind or beside the server is wrong: nothing is lost, and no program is stopped by it."""

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import slipstream
from front import Front
from server_process import ServerProcess
from slipstream.artifact_store.local import lock_file
from slipstream.client import connect
from slipstream.client.spool import shipper
from slipstream.client.spool.folder import REFUSED
from slipstream.client.spool.sync import sync

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def spool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "spool"
    monkeypatch.setenv("SLIPSTREAM_SPOOL_FOLDER", str(folder))
    monkeypatch.setenv("SLIPSTREAM_DELIVERY_TIMEOUT", "60")
    monkeypatch.setenv("SLIPSTREAM_PATIENCE", "10")
    monkeypatch.setenv("SLIPSTREAM_HTTP_REQUEST_BACKOFF_FACTOR", "0")
    monkeypatch.setenv("SLIPSTREAM_HTTP_REQUEST_MAX_RETRIES", "1")
    monkeypatch.setattr(shipper, "BARRED_PAUSE_SECONDS", 0.2)
    monkeypatch.setattr(shipper, "LONGEST_PAUSE_SECONDS", 0.5)
    monkeypatch.chdir(tmp_path)
    yield folder
    slipstream.end_run()
    monkeypatch.setenv("SLIPSTREAM_DELIVERY_TIMEOUT", "0")
    connect.close_all()
    slipstream.set_tracking_uri("")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    folder = tmp_path / "server"
    folder.mkdir()
    server = ServerProcess(folder, "--durability", "normal")
    yield server
    server.stop()


@pytest.fixture
def front(server: ServerProcess) -> Iterator[Front]:
    with Front(server.url) as front:
        yield front


def wait_until(holds: Callable[[], bool], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it did not come to that"
        time.sleep(0.02)


def steps(url: str, run_id: str, key: str) -> list[int]:
    return [point.step for point in slipstream.MlflowClient(url).get_metric_history(run_id, key)]


def refused(spool: Path) -> list[str]:
    return [line for path in spool.glob(f"*/{REFUSED}") for line in path.read_text().splitlines()]


def run_script(script: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script, *arguments],
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


LEAVE_A_RUN = """
import os, sys
import slipstream
slipstream.set_tracking_uri(sys.argv[1])
run = slipstream.start_run(run_name="left")
for step in range(int(sys.argv[2])):
    slipstream.log_metric("m", step, step)
print(run.info.run_id, flush=True)
os._exit(0)
"""


def leave_a_run(url: str, count: int, monkeypatch: pytest.MonkeyPatch) -> str:
    """Have a program log to a server that does not answer, and die; return the run that it began."""
    monkeypatch.setenv("SLIPSTREAM_PATIENCE", "0.5")
    run_id = run_script(LEAVE_A_RUN, url, str(count)).split()[-1]
    monkeypatch.setenv("SLIPSTREAM_PATIENCE", "10")
    return run_id


def unavailable(*_: object) -> tuple[int, bytes]:
    return 503, b"<html>unavailable</html>"


SET_A_TAG = """
import os, sys
import slipstream
from slipstream.client import connect
slipstream.set_tracking_uri(sys.argv[1])
connect.connect().store.shipper._stopping = True
slipstream.MlflowClient().set_tag(sys.argv[2], "last", sys.argv[3])
os._exit(0)
"""


def test_sync_sends_nothing_before_what_a_server_did_not_take_now(
    front: Front, server: ServerProcess, spool: Path
) -> None:
    run_id = slipstream.MlflowClient(server.url).create_run("0").info.run_id
    connect.close_all()
    for life in ("first", "second", "third"):
        run_script(SET_A_TAG, front.url, run_id, life)
    asked: list[str] = []

    def away_at_first(method: str, path: str, body: bytes) -> tuple[int, bytes] | None:
        if not path.endswith("/records"):
            return None
        asked.append(path)
        return unavailable() if b"first" in body else None

    front.answer = away_at_first
    once = sync()
    assert (len(once.sent), len(once.failed)) == (0, 3)
    assert "goes first" in once.failed[2][1]
    front.answer = lambda *_: None
    assert len(sync().sent) == 3
    assert slipstream.MlflowClient(server.url).get_run(run_id).data.tags["last"] == "third"


def test_what_another_program_lets_go_of_unfinished_goes_before_what_builds_on_it(
    server: ServerProcess, spool: Path
) -> None:
    run_id = slipstream.MlflowClient(server.url).create_run("0").info.run_id
    connect.close_all()
    run_script(SET_A_TAG, server.url, run_id, "of the first life")
    (left,) = spool.glob("*/*.spool")
    slipstream.set_tracking_uri(server.url)
    with left.open("rb") as file:
        assert lock_file(file.fileno())  # as a third program does that is sending it
        slipstream.MlflowClient().set_tag(run_id, "last", "of the second life")
        sender: Any = connect.connect().store.shipper  # type: ignore[attr-defined]
        wait_until(lambda: bool(sender._others_until))  # it waits for the third program
    wait_until(lambda: not left.exists())

    assert slipstream.flush()
    assert slipstream.get_run(run_id).data.tags["last"] == "of the second life"


def test_a_proxy_that_knows_no_route_for_a_while_is_not_taken_for_mlflows_server(
    front: Front, server: ServerProcess, spool: Path
) -> None:
    front.answer = unavailable
    slipstream.set_tracking_uri(front.url)
    run = slipstream.start_run()
    slipstream.log_metric("m", 1.0, 0)
    front.answer = lambda *_: (404, b"<html>default backend</html>")
    asked = len(front.seen)
    wait_until(lambda: len([each for each in front.seen[asked:] if each[1].endswith("/records")]) > 1)
    slipstream.log_metric("m", 2.0, 1)
    front.answer = lambda *_: None
    slipstream.end_run()
    assert slipstream.flush()
    assert steps(server.url, run.info.run_id, "m") == [0, 1]
    assert refused(spool) == []


def test_a_proxy_that_takes_little_at_once_gets_little_at_once(
    front: Front, server: ServerProcess, spool: Path
) -> None:
    front.answer = lambda method, path, body: (413, b"<html>too large</html>") if len(body) > 20_000 else None
    slipstream.set_tracking_uri(front.url)
    with slipstream.start_run() as run:
        for step in range(3000):
            slipstream.log_metric("m", step, step)
        for number in range(4):  # none of these can ever pass
            slipstream.set_tag(f"large{number}", "x" * 8000)
            slipstream.log_params({f"p{number}-{each}": "y" * 5000 for each in range(5)})
    assert slipstream.flush()
    assert steps(server.url, run.info.run_id, "m") == list(range(3000))
    found = slipstream.MlflowClient(server.url).get_run(run.info.run_id)
    assert {f"large{number}" for number in range(4)} <= found.data.tags.keys()
    assert found.info.status == "FINISHED"
    assert len(refused(spool)) == 4, "what is too large alone is kept here"


@pytest.mark.parametrize("status", [500, 502, 504, 301])
def test_a_run_begins_while_a_proxy_answers_with_pages(
    front: Front, server: ServerProcess, status: int
) -> None:
    front.answer = lambda *_: (status, b"<html>oops</html>")
    slipstream.set_tracking_uri(front.url)
    slipstream.set_experiment("e")
    with slipstream.start_run() as run:
        slipstream.log_metric("m", 1.0, 0)
        slipstream.log_text("x", "x.txt")
        with slipstream.start_run(nested=True, parent_run_id=run.info.run_id) as child:
            slipstream.log_metric("m", 2.0, 0)
    with slipstream.start_run(parent_run_id=run.info.run_id) as later:
        slipstream.log_metric("m", 3.0, 0)
    front.answer = lambda *_: None
    assert slipstream.flush()
    assert steps(server.url, run.info.run_id, "m") == [0]
    for each in (child, later):
        found = slipstream.MlflowClient(server.url).get_run(each.info.run_id)
        assert found.data.tags["mlflow.parentRunId"] == run.info.run_id
    assert slipstream.MlflowClient(server.url).list_artifacts(run.info.run_id)[0].path == "x.txt"


def test_files_are_kept_while_the_token_does_not_count(front: Front, server: ServerProcess) -> None:
    slipstream.set_tracking_uri(front.url)
    with slipstream.start_run() as run:
        slipstream.log_metric("m", 1.0, 0)
        assert slipstream.flush()
        front.answer = lambda *_: (401, b"<html>who are you?</html>")
        slipstream.log_text("x", "x.txt")
        slipstream.log_metric("m", 1.0, 1)
        front.answer = lambda *_: None
    assert slipstream.flush()
    assert steps(server.url, run.info.run_id, "m") == [0, 1]
    assert slipstream.MlflowClient(server.url).list_artifacts(run.info.run_id)[0].path == "x.txt"


def test_what_a_program_logs_goes_before_what_others_left(
    front: Front, server: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    front.answer = unavailable
    left = leave_a_run(front.url, 20_000, monkeypatch)
    may_go = threading.Event()
    held = threading.Event()

    def hold(method: str, path: str, body: bytes) -> None:
        if left.encode() in body and path.endswith("/records"):
            held.set()
            may_go.wait(60)

    front.answer = hold
    slipstream.set_tracking_uri(front.url)
    with slipstream.start_run() as run:
        slipstream.log_metric("m", 1.0, 0)
    assert steps(server.url, run.info.run_id, "m") == [0]
    assert slipstream.MlflowClient(server.url).get_run(run.info.run_id).info.status == "FINISHED"
    assert held.wait(60)
    may_go.set()
    connect.close_all()  # goes on with it for some seconds
    wait_until(lambda: steps(server.url, left, "m") == list(range(20_000)))


def test_a_run_goes_on_after_the_clock_was_set_back(
    front: Front, server: ServerProcess, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    front.answer = unavailable
    left = leave_a_run(front.url, 10, monkeypatch)
    hour = 3_600_000_000_000
    now = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: now() - hour)
    slipstream.set_tracking_uri(front.url)
    with slipstream.start_run(run_id=left):
        slipstream.log_metric("m", 10.0, 10)
        front.answer = lambda *_: None
    assert slipstream.flush()
    assert sorted(steps(server.url, left, "m")) == list(range(11))  # histories are in the order of the clock
    assert refused(spool) == []


def test_a_run_that_waits_on_this_disk_goes_on_when_its_server_is_back(
    front: Front, server: ServerProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    front.answer = unavailable
    left = leave_a_run(front.url, 10, monkeypatch)
    front.answer = lambda *_: None
    slipstream.set_tracking_uri(front.url)
    with slipstream.start_run(run_id=left) as run:
        assert run.info.run_name == "left"
        slipstream.log_metric("m", 10.0, 10)
    assert steps(server.url, left, "m") == list(range(11))


def test_a_file_whose_first_line_is_damaged_is_sent(
    front: Front, server: ServerProcess, spool: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    front.answer = unavailable
    left = leave_a_run(front.url, 10, monkeypatch)
    (path,) = spool.glob("*/*.spool")
    content = bytearray(path.read_bytes())
    content[20:60] = bytes(40)
    path.write_bytes(content)
    os.utime(path, (time.time() - 1000,) * 2)  # whose machine it is of is not known
    front.answer = lambda *_: None
    slipstream.set_tracking_uri(front.url)
    with slipstream.start_run():
        pass
    connect.close_all()
    wait_until(lambda: steps(server.url, left, "m") == list(range(10)))


def test_a_server_is_set_back_to_a_backup_while_a_program_logs(tmp_path: Path, spool: Path) -> None:
    """What it had stored, and lost, is sent again; in a file of that time still here."""
    folder = tmp_path / "server"
    folder.mkdir()
    server = ServerProcess(folder, "--durability", "normal")
    with Front(server.url) as front:
        slipstream.set_tracking_uri(front.url)
        with slipstream.start_run() as run:
            slipstream.log_metric("m", 0.0, 0)
            slipstream.log_text("x", "x.txt")
            assert slipstream.flush()
            server.stop()
            backup = tmp_path / "backup"
            shutil.copytree(folder, backup)
            server = ServerProcess(folder, "--durability", "normal")
            front.target = server.url
            for step in range(1, 1000):
                slipstream.log_metric("m", float(step), step)
            slipstream.log_param("p", 1)
            assert slipstream.flush()
            server.stop()
            server = ServerProcess(backup, "--durability", "normal")
            front.target = server.url
            assert steps(server.url, run.info.run_id, "m") == [0], "the rest is lost there"
            slipstream.log_metric("m", 1000.0, 1000)
        assert slipstream.flush()
        assert steps(server.url, run.info.run_id, "m") == list(range(1001))
        assert slipstream.get_run(run.info.run_id).data.params == {"p": "1"}
        assert refused(spool) == []
        connect.close_all()
    server.stop()
