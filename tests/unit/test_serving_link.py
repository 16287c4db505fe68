"""The edge's end of a worker, when it is given up: nothing of it is left on the loop."""

import asyncio
import gc
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from scoring_server import start_thread
from slipstream.errors import ExecutionError, InvalidParameterError
from slipstream.models.schema import Schema, TensorSpec
from slipstream.models.signature import ModelSignature
from slipstream.serving.frames import Start
from slipstream.serving.link import Process
from slipstream.serving.pool import PoolLimits, WorkerPool


class Loop:
    """An event loop that notes what its tasks and callbacks fail with, unseen."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
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


@pytest.fixture
def loop() -> Iterator[Loop]:
    loop = Loop()
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


def echo(data: Any) -> Any:
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
