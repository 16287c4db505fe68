"""The process that looks at a training process's context: Git, packages, machine, GPUs. None of that costs the training anything.

It is started by its path with `python -I -S`, reads one line of JSON from its input (`Orders`), and answers with its number
and lines of what it has found (`ContextNote`). Files go into the folder of the process. It is no child of the training process: `setsid` has started it, or
it forks and the first of the two ends.
"""

import json
import os
import signal
import sys

_SECONDS = 30
_NICE = 5
"""It gives way to the training, and comes to an end on a busy machine all the same."""


def main() -> None:
    if os.getsid(0) != os.getpid():  # it has not been started by `setsid`
        if os.fork():
            os._exit(0)
        os.setsid()
    for each in (signal.SIGALRM, signal.SIGCHLD):  # what the training process ignores or blocks comes along
        signal.signal(each, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    signal.alarm(_SECONDS)  # a file system that does not answer
    os.nice(_NICE)
    answer = os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)  # what libraries print is no answer
    _tell(answer, b"%d\n" % os.getpid())
    orders = json.loads(sys.stdin.buffer.readline())
    # Modules of the user's may have the names of Python's own.
    sys.path += [orders["root"], *(each for each in orders["program"]["path"] if each not in sys.path)]
    import msgspec

    from slipstream.client.context.aside import Orders, find_out

    for part in find_out(msgspec.convert(orders, Orders)):
        _tell(answer, part + b"\n")


def _tell(answer: int, data: bytes) -> None:
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(answer, view) :]
    except BrokenPipeError:
        pass  # who asked is gone; who finishes for it finds the answers in the folder


if __name__ == "__main__":
    main()
