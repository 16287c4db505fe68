"""SIGTERM until a command runs: the run and the files in the making are put in order first."""

import signal
import threading
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

from slipstream.errors import ExecutionError


class TerminatedError(BaseException):
    """SIGTERM came. Like KeyboardInterrupt, nothing but cleaning up should catch it."""


class Termination:
    """Remembers SIGTERM, and interrupts what runs where that does no harm."""

    def __init__(self) -> None:
        self._received = False
        self._interrupts = False

    def handle(self, number: int, frame: FrameType | None) -> None:
        again = self._received
        self._received = True
        if self._interrupts and not again:  # a second one must not disturb cleaning up
            raise TerminatedError

    @contextmanager
    def interrupting(self) -> Generator[None]:
        """Raise TerminatedError inside when SIGTERM comes, or if it has come already."""
        self._interrupts = True
        try:
            if self._received:
                raise TerminatedError
            yield
        finally:
            self._interrupts = False

    @property
    def received(self) -> bool:
        return self._received


@contextmanager
def delayed_sigterm() -> Generator[Termination]:
    """Let SIGTERM take its usual course only after the inside has ended.

    Only a process's main thread can; elsewhere signals do not arrive anyway.

    Raises:
        ExecutionError: SIGTERM came, and its usual course was not to end the process.
    """
    termination = Termination()
    if threading.current_thread() is not threading.main_thread():
        yield termination
        return
    previous = signal.signal(signal.SIGTERM, termination.handle)
    try:
        yield termination
    except TerminatedError:
        pass  # told below
    finally:
        # None is a handler that was not set from Python and cannot be put back.
        signal.signal(signal.SIGTERM, signal.SIG_DFL if previous is None else previous)
        if termination.received:
            signal.raise_signal(signal.SIGTERM)
    if termination.received:
        raise ExecutionError("SIGTERM came. The run is recorded as KILLED, unless it had ended before.")
