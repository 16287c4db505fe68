"""Start programs beside this one which are no children of it: its code may wait for its children, and for any of them."""

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence

_SETSID = "setsid"


def python_program() -> str:
    """Return the program of this Python.

    Raises:
        FileNotFoundError: it is not known. In a frozen program and in one that has Python inside it would be that program, which
            would start itself again and again.
    """
    program = sys.executable
    name = os.path.basename(program or "").lower()  # noqa: PTH119  # a text
    if getattr(sys, "frozen", False) or not name.startswith(("python", "pypy")):
        raise FileNotFoundError(f"{program or 'nothing'} is not known to be a program of Python's")
    return program


def start_aside(
    argv: Sequence[str], *, pass_fds: Sequence[int] = (), environment: Mapping[str, str] | None = None
) -> subprocess.Popen[bytes]:
    """Start a program of ours, with pipes to its input and from its output; returns when it is no child of this process.

    `setsid` makes it so in a millisecond. Where there is none such, the program does it by itself: it forks first of all, and the
    first of the two ends.

    Raises:
        OSError: it cannot be started.
    """
    setsid = shutil.which(_SETSID) if sys.platform == "linux" else None
    if setsid is not None:
        process = _start([setsid, "--fork", *argv], pass_fds, environment)
        if process is not None:
            return process
    process = _start(argv, pass_fds, environment)
    if process is None:
        raise ChildProcessError(f"{argv[0]} could not go on beside this process")
    return process


def _start(
    argv: Sequence[str], pass_fds: Sequence[int], environment: Mapping[str, str] | None
) -> subprocess.Popen[bytes] | None:
    process = subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        pass_fds=pass_fds,
        env=environment,
        bufsize=0,
    )
    if process.wait() == 0:
        return process
    for file in (process.stdin, process.stdout):
        if file is not None:
            file.close()
    return None
