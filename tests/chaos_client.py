"""One training script of the chaos test: logs from threads and forked processes, and tells on its output what was acknowledged.

A line is written after the call has returned, so what it names must be at the server in the end. Arguments: the server's address,
a seed, the number of this life, and the run of the lives before (or `-`). SIGUSR1 fills the disk for a while; a line on standard
input, or its end, ends the script.
"""

import faulthandler
import os
import random
import resource
import signal
import sys
import threading
import time
import traceback

import slipstream
from slipstream.client.connect import connect
from slipstream.errors import SlipstreamError, StorageError

URL, SEED, LIFE, RUN = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
FULL_SECONDS = 1.5
stop = threading.Event()
warm = threading.Barrier(3)
"""Passed when all threads have imported what they need: Python cannot import what a thread imports while another one forks."""
disk_full = threading.Event()


def tell(*words: object) -> None:
    os.write(1, (" ".join(str(word) for word in words) + "\n").encode())


def work_or_tell(client: slipstream.MlflowClient, run_id: str, thread: int) -> None:
    try:
        work(client, run_id, thread)
    except BaseException as error:
        tell("raised", "log", repr(error).replace("\n", " "))
        traceback.print_exc()
        warm.abort()
        stop.set()
        raise


def work(client: slipstream.MlflowClient, run_id: str, thread: int) -> None:
    generator = random.Random(SEED * 1000 + LIFE * 10 + thread)
    step = 0
    while not stop.is_set():
        client.log_metric(run_id, f"own-{LIFE}-{thread}", float(step), step=step)
        tell("point", run_id, f"own-{LIFE}-{thread}", step)
        if thread == 0:  # the same name in each life
            token = LIFE * 1_000_000 + step
            client.log_metric(run_id, "all", float(token), step=token)
            tell("point", run_id, "all", token)
            if step % 7 == 0:
                client.set_tag(run_id, "last", token)
                tell("tag", run_id, "last", token)
            if step % 23 == 0:
                client.log_param(run_id, f"p-{LIFE}-{step}", token)
                tell("param", run_id, f"p-{LIFE}-{step}", token)
        if thread == 1 and step % 60 == 0:
            keep_file(client, run_id, f"{LIFE}/{step}.txt", LIFE * 1_000_000 + step)
            keep_file(client, run_id, "latest.txt", LIFE * 1_000_000 + step)
        if step == 0:
            warm.wait()
        step += 1
        time.sleep(generator.expovariate(200))


def keep_file(client: slipstream.MlflowClient, run_id: str, name: str, token: int) -> None:
    try:
        client.log_text(run_id, f"{token} {'x' * 2000}", name)
    except StorageError:  # the disk is full, and the server is away: nobody can keep it, and the call says so
        return
    except SlipstreamError as error:
        tell("raised", type(error).__name__, error)
        return
    tell("file", run_id, name, token)


def fork(client: slipstream.MlflowClient, run_id: str, count: int) -> None:
    if os.fork():
        os.wait()
        return
    child = slipstream.MlflowClient(URL)
    for step in range(50):
        child.log_metric(run_id, f"fork-{LIFE}-{count}", float(step), step=step)
        tell("point", run_id, f"fork-{LIFE}-{count}", step)
    os._exit(0)  # without any delivery


def fill_disk(*_: object) -> None:
    disk_full.set()


def main() -> None:
    faulthandler.register(signal.SIGUSR2, all_threads=True)  # to see where one hangs: kill -USR2
    signal.signal(signal.SIGUSR1, fill_disk)
    slipstream.set_tracking_uri(URL)
    client = slipstream.MlflowClient(URL)
    run_id = RUN
    if run_id == "-":
        run_id = client.create_run("0", tags={"chaos": str(SEED)}).info.run_id
        tell("run", run_id)
    tell("ready")
    threading.Thread(target=lambda: (sys.stdin.readline(), stop.set()), daemon=True).start()
    threads = [threading.Thread(target=work_or_tell, args=(client, run_id, thread)) for thread in range(2)]
    for thread in threads:
        thread.start()
    warm.wait()
    forks = 0
    while not stop.is_set():
        if disk_full.is_set():
            disk_full.clear()
            _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
            time.sleep(FULL_SECONDS)
            resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
            while connect(URL).store.shipper.held_bytes:  # type: ignore[attr-defined]
                time.sleep(0.05)
            tell("room")
        elif forks < 20:
            fork(client, run_id, forks)
            forks += 1
        stop.wait(0.7)
    for thread in threads:
        thread.join()
    tell("ended")


main()
