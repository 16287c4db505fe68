"""The edge's end of a worker, when it is given up: nothing of it is left on the loop."""

import asyncio
import gc
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import uvloop

from scoring_server import Died, start_thread
from slipstream.errors import ExecutionError, InvalidParameterError
from slipstream.models.schema import Schema, TensorSpec
from slipstream.models.signature import ModelSignature
from slipstream.serving.frames import Start
from slipstream.serving.link import Process
from slipstream.serving.pool import PoolLimits, WorkerPool


class Loop:
    """An event loop that notes what its tasks and callbacks fail with, unseen."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.faults: list[str] = []
        self.loop.set_exception_handler(lambda _, context: self.faults.append(str(context["message"])))

    def run(self, awaitable: Any) -> Any:
        return self.loop.run_until_complete(awaitable)

    def left(self) -> list[str]:
        """Return the tasks that begin or go on after all was done, and what failed unseen."""
        self.run(asyncio.sleep(0))
        tasks = [repr(task.get_coro()) for task in asyncio.all_tasks(self.loop)]
        self.loop.close()
        gc.collect()
        return tasks + self.faults


@pytest.fixture(params=["asyncio", "uvloop"])
def loop(request: pytest.FixtureRequest) -> Iterator[Loop]:
    # Servers run on uvloop, whose transports raise where those of asyncio do nothing.
    loop = Loop(uvloop.new_event_loop() if request.param == "uvloop" else asyncio.new_event_loop())
    yield loop
    loop.loop.close()


class SlowHandle:
    """A process whose end the system tells a moment later, as on a busy machine."""

    pid = 0

    def __init__(self, handle: Any) -> None:
        self._handle = handle
        self._polls = 3

    def poll(self) -> int | None:
        code = self._handle.poll()
        if code is not None:
            self._polls -= 1
        return code if self._polls <= 0 else None

    def kill(self) -> None:
        self._handle.kill()

    terminate = kill


def start_slowly(make: Any) -> Process:
    process = start_thread(make)
    return Process(SlowHandle(process.handle), process.sock)


def pool_of(make: Any, workers: int = 1) -> WorkerPool:
    start = Start(folder="m", name="m")
    return WorkerPool(start, lambda: start_slowly(make), PoolLimits(workers=workers))


def echo(data: Any, _params: Any = None) -> Any:
    return data


def model(_start: Start) -> Any:
    signature = ModelSignature(inputs=Schema([TensorSpec(np.dtype("float64"), (-1, 1))]))
    return SimpleNamespace(metadata=SimpleNamespace(signature=signature), predict=echo)


def refuse(_start: Start) -> Any:
    raise InvalidParameterError("it is not a model")


def test_a_refused_worker_leaves_nothing_behind(loop: Loop) -> None:
    with pytest.raises(ExecutionError, match="not a model"):
        loop.run(pool_of(refuse).open())
    assert loop.left() == []


def die(_start: Start) -> Any:
    raise Died


def test_a_worker_that_dies_while_it_loads_leaves_nothing_behind(loop: Loop) -> None:
    with pytest.raises(ExecutionError, match="ended without a word"):
        loop.run(pool_of(die).open())
    assert loop.left() == []


def test_workers_that_load_while_another_is_refused_leave_nothing_behind(loop: Loop) -> None:
    loading, release, count = threading.Event(), threading.Event(), iter(range(9))

    def make(start: Start) -> Any:
        if next(count) == 0:
            loading.set()
            release.wait(20)
            return model(start)
        loading.wait(20)
        return refuse(start)

    with pytest.raises(ExecutionError, match="not a model"):
        loop.run(pool_of(make, workers=2).open())
    release.set()
    assert loop.left() == []


def test_a_pool_that_is_closed_leaves_nothing_behind(loop: Loop) -> None:
    pool = pool_of(model, workers=2)
    loop.run(pool.open())
    loop.run(pool.close(1.0))
    assert loop.left() == []


async def until(true: Any) -> None:
    async with asyncio.timeout(20):
        while not true():  # noqa: ASYNC110  # what it waits for tells nobody
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("fault", ["dies", "cannot be started"])
def test_a_place_is_filled_though_whoever_takes_it_fails(
    loop: Loop, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr("slipstream.serving.pool._FIRST_PAUSE_SECONDS", 0.01)
    said: list[str] = []
    started: list[Process] = []

    def begin() -> Process:
        if len(started) == 1 and fault == "cannot be started":
            started.append(started[0])
            raise RuntimeError("nobody thought of this")
        started.append(start_thread(die if len(started) == 1 else model))
        return started[-1]

    pool = WorkerPool(Start(folder="m", name="m"), begin, PoolLimits(), said.append)

    async def fail_once() -> None:
        await pool.open()
        started[0].handle.kill()
        await until(lambda: len(started) == 3 and pool.ready)
        await pool.close(1.0)

    loop.run(fail_once())
    assert sum("could not start" in line for line in said) == 1
    assert loop.left() == []


def test_requests_wait_for_the_worker_that_starts_though_another_could_not(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slipstream.serving.pool._FIRST_PAUSE_SECONDS", 20)
    said: list[str] = []
    started: list[Process] = []
    release = threading.Event()

    def slow(start: Start) -> Any:
        release.wait(20)
        return model(start)

    def begin() -> Process:
        makes = [model, model, slow, die]
        started.append(start_thread(makes[len(started)]))
        return started[-1]

    pool = WorkerPool(Start(folder="m", name="m"), begin, PoolLimits(workers=2), said.append)

    async def ask() -> Any:
        await pool.open()
        started[0].handle.kill()
        await until(lambda: len(started) == 3)
        started[1].handle.kill()
        await until(lambda: any("could not start" in line for line in said))
        answer = asyncio.get_running_loop().create_future()
        pool.submit(
            "invocations",
            "",
            "application/json",
            b'{"inputs": [[1.0]]}',
            lambda _, news: answer.set_result(news),
        )
        release.set()
        async with asyncio.timeout(20):
            news = await answer
        await pool.close(1.0)
        return news

    assert loop.run(ask()).body == b'{"predictions": [[1.0]]}'
    assert loop.left() == []


def test_a_worker_that_loads_for_long_is_told_of(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slipstream.serving.pool._LONG_START_SECONDS", 0.05)
    said: list[str] = []
    release = threading.Event()

    def slow(start: Start) -> Any:
        release.wait(20)
        return model(start)

    pool = WorkerPool(Start(folder="m", name="m"), lambda: start_thread(slow), PoolLimits(), said.append)

    async def wait() -> None:
        opening = asyncio.ensure_future(pool.open())
        await until(lambda: said)
        release.set()
        await opening
        await pool.close(1.0)

    loop.run(wait())
    assert len(said) == 1
    assert "has been loading its model" in said[0]
    assert loop.left() == []


def test_first_words_that_come_too_late_harm_nothing(loop: Loop) -> None:
    loading, release = threading.Event(), threading.Event()

    def make(start: Start) -> Any:
        loading.set()
        release.wait(20)
        return model(start)

    async def give_up() -> None:
        opening = asyncio.ensure_future(pool_of(make).open())
        await asyncio.to_thread(loading.wait, 20)
        opening.cancel()
        release.set()
        with pytest.raises(asyncio.CancelledError):
            await opening

    loop.run(give_up())
    assert loop.left() == []
