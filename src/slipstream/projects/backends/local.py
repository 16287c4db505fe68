"""Run jobs on this machine: in this process's care, or in that of a supervisor that outlives it."""

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import msgspec

from slipstream.client.client import SlipstreamClient
from slipstream.entities import RunStatus
from slipstream.errors import ExecutionError
from slipstream.projects.backends.base import Job
from slipstream.projects.environment_cache import held_files
from slipstream.projects.progress import say

GRACE_SECONDS = 10.0
"""How long a command may take to end after a signal, before it and its children are killed."""

ENDED = (RunStatus.FINISHED, RunStatus.FAILED, RunStatus.KILLED)
_KILL = getattr(signal, "SIGKILL", signal.SIGTERM)


class LocalBackend:
    def submit(self, job: Job, config: dict[str, Any], *, synchronous: bool) -> "EndedRun | SupervisedRun":
        """Run a job here. Synchronously, Ctrl-C and SIGTERM are passed on to it and then take their usual course."""
        if not synchronous:
            return SupervisedRun(job)
        status = execute(job)
        if status != RunStatus.FINISHED:
            raise ExecutionError(f"Run (ID '{job.run_id}') failed. Its output above says why.")
        return EndedRun(job.run_id, status)


class EndedRun:
    """A run that was waited for."""

    def __init__(self, run_id: str, status: str) -> None:
        self.run_id = run_id
        self._status = str(status)

    def wait(self) -> bool:
        return self._status == RunStatus.FINISHED

    def get_status(self) -> str:
        return self._status

    def cancel(self) -> None:
        """Do nothing: it has ended."""


class SupervisedRun:
    """A run whose command has a supervisor process, so that it is recorded to its end even if this process goes."""

    def __init__(self, job: Job) -> None:
        self.run_id = job.run_id
        self._job = job
        self._process = subprocess.Popen(  # our own module
            [sys.executable, "-m", "slipstream.projects.supervisor"],
            stdin=subprocess.PIPE,
            start_new_session=True,
            pass_fds=held_files(),
        )
        with self._process.stdin or os.fdopen(os.open(os.devnull, os.O_WRONLY), "wb") as pipe:
            pipe.write(msgspec.json.encode(job))

    def wait(self) -> bool:
        return self._process.wait() == 0

    def get_status(self) -> str:
        code = self._process.poll()
        if code is None:
            return RunStatus.RUNNING.value
        return (RunStatus.FINISHED if code == 0 else RunStatus.FAILED).value

    def cancel(self) -> None:
        """Stop the command and wait for its end; the run is then KILLED."""
        if self._process.poll() is not None:
            return
        self._process.terminate()
        if self._process.wait() < 0:
            # It may have ended before it could take the signal; then there was no command either.
            _record_end(self._job, RunStatus.KILLED)
            _remove_temporary(self._job)


class _Signals:
    """Passes signals on to a process group, and kills it if that does not help."""

    def __init__(self) -> None:
        self.received: int | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._timer: threading.Timer | None = None

    def attach(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        if self.received is not None:  # it came before there was a process
            self._pass_on(self.received)

    def handle(self, number: int, frame: FrameType | None) -> None:
        again = self.received is not None
        self.received = number
        if self._process is None:
            return
        self._pass_on(_KILL if again else number)

    def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self.received is not None:
            self._send(_KILL)  # what the command may have left behind

    def _pass_on(self, number: int) -> None:
        self._send(number)
        if self._timer is None:
            self._timer = threading.Timer(GRACE_SECONDS, self._send, [_KILL])
            self._timer.daemon = True
            self._timer.start()

    def _send(self, number: int) -> None:
        if self._process is None:
            return
        try:
            if hasattr(os, "killpg"):
                os.killpg(self._process.pid, number)
            else:
                self._process.terminate()
        except ProcessLookupError:  # the whole group has ended
            return


@contextmanager
def _signals() -> Generator[_Signals]:
    """Catch SIGINT and SIGTERM, and let the last one take its usual course at the end.

    Only a process's main thread can; elsewhere signals do not arrive anyway.
    """
    signals = _Signals()
    if threading.current_thread() is not threading.main_thread():
        yield signals
        return
    previous: dict[int, Any] = {}
    try:
        # What is in force until now may raise at any moment, so each is noted before it is replaced.
        for number in (signal.SIGINT, signal.SIGTERM):
            previous[number] = signal.getsignal(number)
            signal.signal(number, signals.handle)
        yield signals
    finally:
        signals.close()
        for number, handler in previous.items():
            # None is a handler that was not set from Python and cannot be put back.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
    if signals.received is not None:
        signal.raise_signal(signals.received)


def execute(job: Job) -> RunStatus:
    """Run a job's command to its end, record the end, and remove the job's temporary folders.

    The run ends FINISHED after exit code 0, KILLED after SIGTERM, else FAILED; an end that the command
    recorded itself stays.

    Raises:
        ExecutionError: the command could not be started.
    """
    try:
        with _signals() as signals:
            status = RunStatus.FAILED
            try:
                status = _run(job, signals)
            finally:
                _record_end(job, status)
    finally:
        _remove_temporary(job)
    return status


def _remove_temporary(job: Job) -> None:
    for folder in job.temporary:
        shutil.rmtree(folder, ignore_errors=True)


def find_program(name: str, search: str, folder: str) -> str:
    """Return what to start for the first word of a command: the word itself if it is a path.

    Args:
        name: the word.
        search: the command's PATH.
        folder: the project's; paths that are not absolute are meant from there, also those in PATH.

    Raises:
        ExecutionError: there is no such program, or it may not be executed.
    """
    if os.path.dirname(name):  # noqa: PTH120  # of "x" Path.parent is "."
        file = Path(folder, name)
        if shutil.which(str(file)) is not None:
            return name
        if not file.is_file():
            raise ExecutionError(f"The project's command starts '{name}', but there is no file '{file}'.")
        raise ExecutionError(
            f"The project's command starts '{name}', which may not be executed. Allow it (chmod +x '{file}'), or "
            "write the interpreter into the command, such as 'python' or 'bash'."
        )
    absolute = os.pathsep.join(os.path.join(folder, entry) for entry in search.split(os.pathsep))  # noqa: PTH118  # keeps "" and "."
    program = shutil.which(name, path=absolute)
    if program is None:
        hint = f" Write './{name}' for the project's file." if Path(folder, name).is_file() else ""
        raise ExecutionError(
            f"The project's command starts '{name}', which is not installed or not in PATH.{hint}"
        )
    return program


def _run(job: Job, signals: _Signals) -> RunStatus:
    environment = {name: value for name, value in os.environ.items() if name not in job.removed_variables}
    environment.update(job.variables)
    program = find_program(job.argv[0], environment.get("PATH", ""), job.folder)
    if signals.received is not None:  # before there was anything to pass it on to
        return _stopped_by(signals.received)
    # A command in a group of its own cannot read from the terminal; it would be stopped for ever.
    interactive = sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()  # pyright: ignore[reportUnnecessaryComparison]
    try:
        process = subprocess.Popen(  # to run the project's command is what was asked for
            [program, *job.argv[1:]],
            cwd=job.folder,
            env=environment,
            stdin=subprocess.DEVNULL if interactive else None,
            process_group=0 if os.name == "posix" else None,
            pass_fds=held_files(),  # it may outlive this process, if that is killed
        )
    except OSError as error:
        raise ExecutionError(f"The project's command '{job.argv[0]}' cannot be started: {error}") from error
    signals.attach(process)
    code = process.wait()
    if signals.received is not None:
        return _stopped_by(signals.received)
    if code != 0:
        how = f"exit code {code}" if code > 0 else f"signal {signal.Signals(-code).name}"
        say(f"The command of run {job.run_id} ended with {how}.")
    return RunStatus.FINISHED if code == 0 else RunStatus.FAILED


def _stopped_by(number: int) -> RunStatus:
    # As MLflow has it, an interrupted run FAILED; KILLED is one that somebody ended.
    return RunStatus.KILLED if number == signal.SIGTERM else RunStatus.FAILED


def _record_end(job: Job, status: RunStatus) -> None:
    client = SlipstreamClient(job.tracking_uri)
    if client.get_run(job.run_id).info.status not in ENDED:
        client.set_terminated(job.run_id, status)
