"""From a process to the program beside it: start it, tell it things, take over what it did if it dies."""

import contextlib
import json
import logging
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from slipstream.client.liveness.launch import python_program, start_aside

_PROGRAM = Path(__file__).with_name("companion.py")
_SEGMENTS = Path(__file__).parent.parent / "console" / "segments.py"
ADDRESS_VARIABLE = "_SLIPSTREAM_REPORT_TO"
"""Where the program that reports an end finds the address with its password, which must not be on a command line."""

_logger = logging.getLogger(__name__)


class Link:
    """A companion that runs. Thread-safe."""

    def __init__(
        self,
        folder: Path,
        address: str,
        sources: Sequence[tuple[int, int]],
        log: Path | None,
        gone: Callable[[], None],
    ) -> None:
        """Start it; returns when it runs, and is no child of this process.

        Args:
            folder: the process's folder.
            address: the tracking address.
            sources: what it passes on and keeps: pairs of open files.
            log: the folder where it keeps that.
            gone: called in a thread when it has ended without being told to, or cannot pass on what is printed.

        Raises:
            OSError: it cannot be started.
        """
        program = python_program()
        orders = {
            "pid": os.getpid(),
            "sources": [list(each) for each in sources],
            "log": None if log is None else str(log),
            "end_file": str(folder / "end.json"),
            "report": _report_argv(program, folder),
            "segments": str(_SEGMENTS),
        }
        numbers = [number for pair in sources for number in pair if number >= 0]
        self._process = start_aside(
            [program, "-I", "-S", str(_PROGRAM), json.dumps(orders)],
            pass_fds=numbers,
            environment=_environment(address),
        )
        self._gone = gone
        self._said_bye = False
        self._lock = threading.Lock()
        self._answers: set[str] = set()
        self._answered = threading.Condition()
        self._count = 0
        self.is_alive = True
        """Cleared once it is dead, and not before it has answered all that it will."""
        self._thread = threading.Thread(target=self._listen, name="slipstream-companion", daemon=True)
        self._thread.start()

    def sync(self, seconds: float) -> bool:
        """Wait until all that was printed before is passed on and kept; tell whether it is."""
        with self._lock:
            self._count += 1
            word = f"sync {self._count}"
        return self._ask(word, seconds)

    def say_bye(self, seconds: float) -> bool:
        """Tell it that the process ends as it should."""
        self._said_bye = True
        answered = self._ask("bye", seconds)
        self.close()
        return answered

    def close(self) -> None:
        """Let go of it without a word, as a process made by fork must."""
        assert self._process.stdin is not None, "it was asked for"
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def _ask(self, word: str, seconds: float) -> bool:
        assert self._process.stdin is not None, "it was asked for"
        try:
            with self._lock:
                self._process.stdin.write(word.encode() + b"\n")
        except (OSError, ValueError):
            self.is_alive = False  # nobody reads that, though `_listen` may not have heard of it
            return False
        with self._answered:
            self._answered.wait_for(lambda: word in self._answers or not self.is_alive, seconds)
            return word in self._answers

    def _listen(self) -> None:
        assert self._process.stdout is not None, "it was asked for"
        waiting = b""
        try:
            while data := self._process.stdout.read(4096):
                *lines, waiting = (waiting + data).split(b"\n")
                if b"broken" in lines:
                    self._gone()
                with self._answered:
                    self._answers.update(line.decode() for line in lines)
                    self._answered.notify_all()
            self._process.stdout.close()
        except OSError as error:  # the program has closed all files that it knew nothing of, as daemons do
            _logger.debug("The program beside this process cannot be heard: %s", error)
        with self._answered:
            self.is_alive = False
            self._answered.notify_all()
        if not self._said_bye:
            _logger.debug("The program beside this process has ended.")
            self._gone()


def _report_argv(program: str, folder: Path) -> list[str]:
    return [program, "-m", "slipstream.client.liveness.report", str(folder)]


def _environment(address: str) -> Mapping[str, str]:
    import slipstream

    assert slipstream.__file__ is not None, "it is a package"
    root = str(Path(slipstream.__file__).parent.parent)
    paths = os.environ.get("PYTHONPATH", "")
    return {
        **os.environ,
        ADDRESS_VARIABLE: address,
        "PYTHONPATH": f"{paths}{os.pathsep}{root}" if paths else root,
    }
