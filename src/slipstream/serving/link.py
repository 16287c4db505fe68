"""The edge's end of one worker process: the process itself, its socket, and what it is working on."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, cast

from slipstream.errors import ExecutionError
from slipstream.serving.frames import (
    CannotStart,
    Event,
    FrameReader,
    Ready,
    Start,
    ToWorker,
    decode_events,
    decode_first_answer,
    pack,
)

_HIDDEN_VARIABLES = ("SLIPSTREAM_SERVER_TOKEN",)
"""Secrets of the edge that a model's code has no use for."""
_KILL_SECONDS = 5.0


class Handle(Protocol):
    """What the edge needs of a worker's process; `subprocess.Popen` has it."""

    pid: int

    def poll(self) -> int | None: ...
    def kill(self) -> None: ...
    def terminate(self) -> None: ...


@dataclass(frozen=True)
class Process:
    """A worker process that was started, and our end of its socket."""

    handle: Handle
    sock: socket.socket
    lifeline: int | None = None
    """A pipe's end; when it is closed, the worker ends at once."""


class _WorkerProcess(subprocess.Popen[bytes]):
    """A worker and all that its model has started, which would outlive it."""

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)


def _open_pairs() -> tuple[socket.socket, socket.socket, int, int]:
    try:
        ours, theirs = socket.socketpair()
    except OSError as error:
        raise ExecutionError(f"No worker can be connected: {error.strerror}.") from error
    try:
        reading, writing = os.pipe()
    except OSError as error:
        ours.close()
        theirs.close()
        raise ExecutionError(f"No worker can be connected: {error.strerror}.") from error
    return ours, theirs, reading, writing


def start_process(python: str = sys.executable, variables: Mapping[str, str] | None = None) -> Process:
    """Start a worker.

    Args:
        python: the interpreter, which has slipstream and the model's libraries.
        variables: environment variables beside the inherited ones.

    Raises:
        ExecutionError: the interpreter cannot be started.
    """
    ours, theirs, reading, writing = _open_pairs()
    environment = {name: value for name, value in os.environ.items() if name not in _HIDDEN_VARIABLES}
    environment.update(variables or {})
    # Python finds nothing in the folder that the server happens to be started in.
    command = [python, "-P", "-m", "slipstream.serving.worker", str(theirs.fileno()), str(reading)]
    try:
        handle = _WorkerProcess(
            command,
            pass_fds=(theirs.fileno(), reading),
            env=environment,
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is the edge's to handle, which lets the workers finish
        )
    except OSError as error:
        ours.close()
        os.close(writing)
        raise ExecutionError(f"Cannot start '{python}': {error.strerror}.") from error
    finally:
        theirs.close()
        os.close(reading)
    ours.setblocking(False)
    return Process(handle, ours, writing)


class Link(asyncio.Protocol):
    """One worker, as long as it lives."""

    def __init__(
        self,
        process: Process,
        on_event: Callable[["Link", Event], None],
        on_end: Callable[["Link"], None],
    ) -> None:
        self.asks: set[int] = set()
        """Requests that the worker has."""
        self._process = process
        self._on_event = on_event
        self._on_end = on_end
        self._transport: asyncio.Transport | None = None
        self._reader = FrameReader()
        self._first: asyncio.Future[Ready | CannotStart] = asyncio.get_running_loop().create_future()
        self._serving = False
        self._report: asyncio.Task[None] | None = None
        self._lost = asyncio.Event()

    @property
    def pid(self) -> int:
        return self._process.handle.pid

    async def begin(self, start: Start) -> Ready | CannotStart:
        """Tell the worker what to load, and wait for its first words.

        Raises:
            ExecutionError: it ended without any.
        """
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: self, sock=self._process.sock)
        self.send(start)
        first = await self._first
        self._serving = isinstance(first, Ready)
        return first

    def send(self, message: ToWorker) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.writelines(pack(message))

    def kill(self) -> None:
        """End the process at once."""
        with contextlib.suppress(OSError):  # it has ended by itself
            self._process.handle.kill()
        if self._transport is None:
            self._process.sock.close()
            self._close_lifeline()

    async def end(self, seconds: float) -> None:
        """Let the worker end after what it does now; kill it after so long. Nothing of it goes on after this."""
        self._first.cancel()  # if nobody waits for it any more
        self._serving = False
        # A transport that is closing may be asked nothing: uvloop's raises RuntimeError.
        if self._transport is not None and not self._transport.is_closing():
            with contextlib.suppress(OSError):  # the socket is closed already
                self._transport.write_eof()
        if not await self._has_ended(seconds):
            self.kill()
            await self._has_ended(_KILL_SECONDS)
        if self._transport is None:
            return
        self._transport.close()
        # The loop says only later that the connection is lost, and the report of it begins then: whoever ends the loop
        # right after this would leave it behind.
        await self._lost.wait()
        if self._report is not None:
            await asyncio.wait((self._report,))

    async def _has_ended(self, seconds: float) -> bool:
        deadline = asyncio.get_running_loop().time() + seconds
        while self._process.handle.poll() is None:
            if asyncio.get_running_loop().time() >= deadline:
                return False
            await asyncio.sleep(0.01)
        return True

    def how_it_ended(self) -> str:
        """Return what is known about the end of the process, for messages."""
        code = self._process.handle.poll()
        if code is None:
            return "its connection broke"
        if code < 0:
            with contextlib.suppress(ValueError):
                return f"killed by {signal.Signals(-code).name}"
        return f"exit code {code}"

    # -- asyncio's calls --------------------------------------------------------------------------------
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        for frame in self._reader.feed(data):
            if self._first.cancelled():
                return  # whoever began it has given up: its first words are nobody's
            if not self._first.done():
                self._first.set_result(decode_first_answer(frame))
                continue
            for event in decode_events(frame).events:
                self._on_event(self, event)

    def connection_lost(self, exc: Exception | None) -> None:
        # The worker closes its end only by ending. Its processes end with it, now, while its number is surely its own.
        self.kill()
        # Give the system a moment to say how it ended.
        self._report = asyncio.get_running_loop().create_task(self._report_end())
        self._lost.set()

    async def _report_end(self) -> None:
        if not await self._has_ended(1.0):
            self.kill()
            await self._has_ended(_KILL_SECONDS)
        self._close_lifeline()
        if not self._first.done():
            self._first.set_exception(
                ExecutionError(f"it ended without a word ({self.how_it_ended()}); its messages are above")
            )
        if self._serving:
            self._serving = False
            self._on_end(self)

    def _close_lifeline(self) -> None:
        lifeline: Any = self._process.lifeline
        if lifeline is not None:
            with contextlib.suppress(OSError):  # closed before
                os.close(lifeline)
            self._process = Process(self._process.handle, self._process.sock)
