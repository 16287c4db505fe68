"""Processes that are forked while a run is under way: each writes, and none waits for another's lock."""

import os
import subprocess
import sys

import pytest

import slipstream

pytestmark = [
    pytest.mark.usefixtures("tracking"),
    pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork"),
]


def test_process_forked_while_a_thread_writes_can_write(tracking: str) -> None:
    script = """
import faulthandler, os, slipstream, threading
run_id = slipstream.start_run().info.run_id
slipstream.log_metric("thread", 0)
slipstream.get_run(run_id)
stop, started = threading.Event(), threading.Event()
def write():
    while not stop.is_set():
        slipstream.log_metric("thread", 1, run_id=run_id)
        started.set()
thread = threading.Thread(target=write)
thread.start()
started.wait()
statuses = []
for number in range(10):
    if (child := os.fork()) == 0:
        faulthandler.dump_traceback_later(8, exit=True)  # SQLite itself would wait for 60 seconds
        slipstream.log_metric(f"child {number}", 1, run_id=run_id)
        os._exit(0)
    statuses.append(os.waitpid(child, 0)[1])
    if statuses[-1]:
        break
stop.set()
thread.join()
assert not any(statuses), statuses
print(run_id)
"""
    environment = {**os.environ, "SLIPSTREAM_TRACKING_URI": tracking}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )

    assert done.returncode == 0, done.stderr
    metrics = slipstream.get_run(done.stdout.strip()).data.metrics
    assert set(metrics) == {"thread", *(f"child {number}" for number in range(10))}


def test_forked_process_goes_on_when_its_parent_has_ended(tracking: str) -> None:
    script = """
import os, slipstream, sys, time
run_id = slipstream.start_run().info.run_id
slipstream.log_metric("parent", 1)
reading, writing = os.pipe()
if os.fork() == 0:
    os.close(writing)
    slipstream.log_metric("child", 1, run_id=run_id)
    os.read(reading, 1)  # until the parent has closed its database and is gone
    slipstream.log_metric("orphan", 1, run_id=run_id)
    print(run_id, sorted(slipstream.get_run(run_id).data.metrics))
    sys.stdout.flush()
    os._exit(0)
while "child" not in slipstream.get_run(run_id).data.metrics:
    time.sleep(0.01)
"""
    environment = {**os.environ, "SLIPSTREAM_TRACKING_URI": tracking}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )

    assert "Error" not in done.stderr, done.stderr
    run_id, _, shown = done.stdout.partition(" ")
    assert shown.strip() == "['child', 'orphan', 'parent']"
    assert set(slipstream.get_run(run_id).data.metrics) == {"parent", "child", "orphan"}


def test_forked_process_has_its_own_connection_and_no_active_run(tracking: str) -> None:
    script = """
import os, slipstream
parent = slipstream.start_run()
slipstream.log_metric("m", 1)
if os.fork() == 0:
    assert slipstream.active_run() is None
    slipstream.log_param("from", "child")
    slipstream.log_metric("m", 2, step=1, run_id=parent.info.run_id)
    slipstream.end_run()
    os._exit(0)
_, status = os.wait()
assert status == 0, status
slipstream.log_metric("m", 3, step=2)
print(parent.info.run_id)
"""
    environment = {**os.environ, "SLIPSTREAM_TRACKING_URI": tracking}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment
    )

    run_id = done.stdout.strip()
    points = slipstream.SlipstreamClient().get_metric_history(run_id, "m")
    assert {point.value for point in points} == {1.0, 2.0, 3.0}
    runs = slipstream.search_runs(output_format="list")
    assert [run.data.params for run in runs if run.info.run_id != run_id] == [{"from": "child"}]
    assert {run.info.status for run in runs} == {"FINISHED"}
