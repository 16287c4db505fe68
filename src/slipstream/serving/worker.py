"""Runs predictions in a bounded set of threads, so that the event loop never waits for a model.

What does not fit is refused at once: a queue that only grows answers nobody in time.
"""

import asyncio
import logging
import os
import queue
import threading
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from slipstream.errors import DeadlineExceededError, InternalError, UnavailableError

T = TypeVar("T")

_logger = logging.getLogger("slipstream.serving")


def default_threads() -> int:
    """Return the number of threads that MLflow's server uses: many models wait for others, not for the CPU."""
    return min(32, (os.cpu_count() or 1) + 4)


class _Job(NamedTuple):
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any]
    work: Callable[..., Any]
    args: tuple[Any, ...]


class Worker:
    """Threads behind a bounded queue. `run` is called from one event loop; all counting happens there."""

    def __init__(self, *, threads: int, queue_size: int, timeout_seconds: float) -> None:
        """Prepare the threads; `start` starts them.

        Args:
            threads: how many predictions run at once.
            queue_size: how many more may wait.
            timeout_seconds: how long one may take, waiting included; 0 means for ever.
        """
        self._limit = threads + queue_size
        self._threads = threads
        self._timeout = timeout_seconds
        self._pending = 0
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._started = False

    def start(self) -> None:
        """Start the threads; they end with the process even if a prediction hangs."""
        if self._started:
            return
        self._started = True
        for number in range(self._threads):
            threading.Thread(target=self._loop, name=f"predict-{number}", daemon=True).start()

    def close(self) -> None:
        """Let the threads end after what they do now."""
        if self._started:
            self._started = False
            for _ in range(self._threads):
                self._jobs.put(None)

    async def run(self, work: Callable[..., T], *args: object) -> T:
        """Call `work` in a thread and return its result, or raise what it raises.

        Raises:
            UnavailableError: too many requests wait already.
            DeadlineExceededError: it took too long. Python cannot stop a thread, so the place stays taken
                until `work` returns.
        """
        if self._pending >= self._limit:
            raise UnavailableError(
                f"The server is busy: {self._pending} predictions run or wait. Try again in a second, or serve the "
                "model with more --workers."
            )
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._pending += 1
        self._jobs.put(_Job(loop, future, work, args))
        if not self._timeout:
            return await future
        timer = loop.call_later(self._timeout, self._expire, future)
        try:
            return await future
        finally:
            timer.cancel()

    def _expire(self, future: asyncio.Future[Any]) -> None:
        if not future.done():
            future.set_exception(
                DeadlineExceededError(
                    f"The prediction took longer than {self._timeout:g} seconds. Send fewer rows, or serve the model "
                    "with a larger --timeout."
                )
            )

    def _loop(self) -> None:
        while (job := self._jobs.get()) is not None:
            result, error = None, None
            if not job.future.done():  # nobody waits any more for one that expired in the queue
                result, error = _call(job)
            try:
                job.loop.call_soon_threadsafe(self._finish, job.future, result, error)
            except RuntimeError:  # the loop is closed: the server has ended meanwhile
                return
            del job, result, error  # or a large answer would live until the next request

    def _finish(self, future: asyncio.Future[Any], result: Any, error: Exception | None) -> None:
        self._pending -= 1
        if future.done():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)


def _call(job: _Job) -> tuple[Any, Exception | None]:
    try:
        return job.work(*job.args), None
    except StopIteration as error:  # the one exception that a future refuses
        return None, InternalError(f"The model raised {error!r}.")
    except Exception as error:  # noqa: BLE001  # it is the caller's, who waits for it
        return None, error
    except BaseException as error:  # sys.exit() in a model must end neither thread nor server
        _logger.exception("The model tried to end the server")
        return None, InternalError(f"The model raised {type(error).__name__}.")
