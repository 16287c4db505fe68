"""From how a process ended to a status and words."""

import signal
from pathlib import Path

import msgspec

from slipstream.client.liveness.folder import END, ProcessNote, was_restarted
from slipstream.entities import RunStatus
from slipstream.entities.liveness import END_CODE_TAG, END_REASON_TAG, END_SIGNAL_TAG

_ASKED = {"SIGKILL", "SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGXCPU", "SIGALRM"}
"""Sent by somebody, a scheduler for example; the others come from a fault of the process."""
_WORDS = {
    "SIGKILL": "killed",
    "SIGTERM": "told to end",
    "SIGINT": "interrupted",
    "SIGHUP": "ended with its terminal or connection",
    "SIGSEGV": "ended by a crash: a library read memory that is not its own",
    "SIGBUS": "ended by a crash: memory that was not there, such as of a full /dev/shm",
    "SIGABRT": "aborted by a library",
    "SIGXCPU": "out of CPU time",
}


class End(msgspec.Struct, frozen=True, kw_only=True):
    """What the program beside a process saw of its end."""

    time: int
    signal: int | None = None
    code: int | None = None
    oom: bool = False


class Verdict(msgspec.Struct, frozen=True):
    status: str
    tags: dict[str, str]


def read_end(folder: Path) -> End | None:
    try:
        return msgspec.json.decode((folder / END).read_bytes(), type=End)
    except (OSError, msgspec.DecodeError):
        return None


def judge(end: End | None, note: ProcessNote) -> Verdict:
    """Say how a process ended that did not end its runs."""
    if end is None or (end.signal is None and not end.oom):
        reason = "The process is gone, and how it ended is not known."
        if end is None and was_restarted(note):
            reason = "The machine was started anew."
        return Verdict(RunStatus.FAILED, {END_REASON_TAG: reason})
    if end.oom and end.signal in (None, signal.SIGKILL):
        reason = "Out of memory: the kernel killed the process."
        return Verdict(RunStatus.FAILED, {END_REASON_TAG: reason, END_SIGNAL_TAG: "SIGKILL"})
    if end.signal:
        name = _name_of(end.signal)
        words = _WORDS.get(name, "ended by a signal")
        status = RunStatus.KILLED if name in _ASKED else RunStatus.FAILED
        return Verdict(status, {END_REASON_TAG: f"The process was {words} ({name}).", END_SIGNAL_TAG: name})
    reason = f"The process ended with exit code {end.code} and did not end its run."
    return Verdict(RunStatus.FAILED, {END_REASON_TAG: reason, END_CODE_TAG: str(end.code)})


def _name_of(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
