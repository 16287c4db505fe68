"""Several processes that serve the same socket: started together, replaced when they die, ended together."""

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
import time
from collections.abc import Callable, Generator
from multiprocessing.connection import Connection
from types import FrameType
from typing import Any

from slipstream.errors import ExecutionError, SlipstreamError

SIGNALS = (signal.SIGINT, signal.SIGTERM)
_SECONDS_TO_END = 40
_SECONDS_TO_FAIL = 5
"""How long a process that said why it cannot start may take to end."""
_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 60.0

_Handler = Callable[[int, FrameType | None], Any]


class _Process:
    """One serving process, and the pipe by which it says that it is ready or why it never will be."""

    def __init__(self, target: Callable[..., None], args: tuple[object, ...]) -> None:
        # Never fork: models bring threads, locks and GPU handles that do not survive it.
        context = multiprocessing.get_context("spawn")
        self.pipe, other_end = context.Pipe()
        self.process = context.Process(target=_run_child, args=(other_end, target, args))
        self.process.start()
        other_end.close()
        self.ready = False

    def receive(self) -> str | None:
        """Take the process's one message; return why it failed, or None."""
        try:
            problem = self.pipe.recv()
        except (EOFError, OSError):
            return "it ended without a word; its messages are above"
        self.ready = problem is None
        return problem


class Supervisor:
    """Keeps `count` processes serving until SIGINT or SIGTERM."""

    def __init__(self, count: int, target: Callable[..., None], args: tuple[object, ...]) -> None:
        """Prepare; `run` starts the processes.

        Args:
            count: how many.
            target: a module's function; gets a function to call when it is ready, then `args`. Is to return
                when its process gets SIGTERM.
            args: sent to each process, so they must be picklable.
        """
        self._count = count
        self._target = target
        self._args = args
        self._processes: list[_Process] = []
        self._stopping = False
        self._due: list[float] = []
        """When the places whose process could not start are tried again, as monotonic times."""
        self._failures = 0
        """Processes in a row that could not start."""

    def run(self, report_ready: Callable[[], None], say: Callable[[str], None]) -> None:
        """Serve until a signal comes.

        Args:
            report_ready: called once, when every process has said that it is ready.
            say: gets a line for each process that had to be replaced, and for each that could not start.

        Raises:
            ExecutionError: a process ended before all were ready once, or later and none is left; the others are
                ended too.
        """
        with _handle_signals(self._stop):
            try:
                while len(self._processes) < self._count and not self._stopping:
                    self._processes.append(_Process(self._target, self._args))
                self._watch(report_ready, say)
            finally:
                self._end()

    def _watch(self, report_ready: Callable[[], None], say: Callable[[str], None]) -> None:
        told = False
        while not self._stopping:
            waiting = [one.pipe for one in self._processes if not one.ready]
            sentinels = [one.process.sentinel for one in self._processes]
            # While there are due places there is a process too, so a signal always wakes this.
            pause = max(0.0, min(self._due) - time.monotonic()) if self._due else None
            happened = multiprocessing.connection.wait([*waiting, *sentinels], pause)
            if self._stopping:
                return
            self._start_due()
            for one in list(self._processes):
                if not one.ready and one.pipe in happened:
                    problem = one.receive()
                    if problem is None:
                        self._failures = 0
                    elif told:
                        self._postpone(one, problem, say)
                    else:
                        raise ExecutionError(f"A serving process could not start: {problem}")
                elif one.ready and one.process.sentinel in happened:
                    one.process.join()
                    one.pipe.close()
                    say(
                        f"A serving process ended (exit code {one.process.exitcode}); another takes its place."
                    )
                    self._processes.remove(one)
                    self._processes.append(_Process(self._target, self._args))
            if not told and all(one.ready for one in self._processes):
                told = True
                report_ready()

    def _postpone(self, failed: _Process, problem: str, say: Callable[[str], None]) -> None:
        """Let the others serve on and try again later: what is missing may come back, as disks and networks do."""
        failed.process.join(_SECONDS_TO_FAIL)
        failed.process.kill()
        failed.process.join()
        failed.pipe.close()
        self._processes.remove(failed)
        if not self._processes:
            raise ExecutionError(f"A serving process could not start, and none is left: {problem}")
        pause = min(_FIRST_PAUSE_SECONDS * 2**self._failures, _LONGEST_PAUSE_SECONDS)
        self._failures += 1
        self._due.append(time.monotonic() + pause)
        say(
            f"A serving process could not start: {problem} {len(self._processes)} of {self._count} go on; the next "
            f"attempt is in {pause:g} s."
        )

    def _start_due(self) -> None:
        now = time.monotonic()
        for due in [due for due in self._due if due <= now]:
            self._due.remove(due)
            self._processes.append(_Process(self._target, self._args))

    def _stop(self, _signal: int, _frame: FrameType | None) -> None:
        self._stopping = True
        for one in self._processes:  # their end wakes the loop
            one.process.terminate()

    def _end(self) -> None:
        for one in self._processes:
            one.process.terminate()
        for one in self._processes:
            one.process.join(_SECONDS_TO_END)
            if one.process.is_alive():  # a prediction that never returns
                one.process.kill()
                one.process.join()
            one.pipe.close()


def _run_child(pipe: Connection, target: Callable[..., None], args: tuple[object, ...]) -> None:
    with exit_on_signals():
        threading.Thread(target=_end_with_parent, args=(pipe,), daemon=True).start()
        try:
            target(lambda: pipe.send(None), *args)
        except SlipstreamError as error:
            with contextlib.suppress(OSError):  # the parent is gone: nobody to tell
                pipe.send(str(error))
            raise SystemExit(1) from None


def _end_with_parent(pipe: Connection) -> None:
    """Wait for the parent's end of the pipe to close; a killed parent must leave no servers behind."""
    with contextlib.suppress(EOFError, OSError):
        pipe.recv()
    os.kill(os.getpid(), signal.SIGTERM)


@contextlib.contextmanager
def exit_on_signals() -> Generator[None]:
    """Let SIGINT and SIGTERM end the process at once with exit code 0: nothing is served yet."""

    def leave(_signal: int, _frame: FrameType | None) -> None:
        raise SystemExit(0)

    with _handle_signals(leave):
        yield


@contextlib.contextmanager
def ignore_signals() -> Generator[None]:
    """Let SIGINT and SIGTERM do nothing, beyond what whoever runs inside makes of them."""
    with _handle_signals(lambda _signal, _frame: None):
        yield


@contextlib.contextmanager
def _handle_signals(handler: _Handler) -> Generator[None]:
    if threading.current_thread() is not threading.main_thread():  # Python lets no other thread do this
        yield
        return
    before = {number: signal.signal(number, handler) for number in SIGNALS}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
