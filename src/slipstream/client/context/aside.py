"""Have a process beside this one look at the context: start it, ask it, and what it does then."""

import contextlib
import logging
import os
import select
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from slipstream.client.context.program import Program, this_program
from slipstream.client.liveness.folder import CONTEXT, FILES, ContextNote
from slipstream.client.liveness.launch import python_program, start_aside

_PROGRAM = Path(__file__).with_name("beside.py")
_SECONDS = 40.0
"""Longer than it goes on in any case."""
_FITTING_BYTES = 4096
"""An empty pipe takes so much at once."""

_logger = logging.getLogger(__name__)


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    program: Program
    captures: frozenset[str]
    folder: str | None
    """The process's, for files; without it there are tags only."""
    root: str
    """Where slipstream is."""


class ContextAside:
    """The context of this process, looked at by another.

    Args:
        folder: the process's folder, `None` if it has none.
        captures: what is wanted.
        found: gets it, in a thread; called for one part after the other.
    """

    def __init__(
        self, folder: Path | None, captures: frozenset[str], found: Callable[[ContextNote], None]
    ) -> None:
        """Start to look.

        Raises:
            OSError: no process can be started.
        """
        import slipstream

        assert slipstream.__file__ is not None, "it is a package"
        orders = Orders(
            program=this_program(),
            captures=captures,
            folder=None if folder is None else str(folder),
            root=str(Path(slipstream.__file__).parent.parent),
        )
        process = start_aside([python_program(), "-I", "-S", str(_PROGRAM)])
        assert process.stdin is not None and process.stdout is not None, "they were asked for"  # noqa: PT018
        self._stdin, self._stdout = process.stdin, process.stdout
        self._found = found
        self._said = memoryview(msgspec.json.encode(_as_text(orders)) + b"\n")
        if (
            len(self._said) <= _FITTING_BYTES
        ):  # said at once, should this process be killed or hold Python's lock from now on
            self._say()
        self._thread = threading.Thread(target=self._ask, name="slipstream-context", daemon=True)
        self._thread.start()

    def wait(self, seconds: float) -> None:
        """Wait until it is done."""
        self._thread.join(max(0.0, seconds))

    def forget(self) -> None:
        """Let go of what belongs to the process that this one was forked from."""
        for file in (self._stdin, self._stdout):
            with contextlib.suppress(OSError):  # the program has closed all that it knew nothing of
                file.close()

    def _say(self) -> None:
        while self._said:
            self._said = self._said[self._stdin.write(self._said) or 0 :]

    def _ask(self) -> None:
        try:
            self._say()
            self._listen()
        except (OSError, msgspec.MsgspecError) as error:
            _logger.debug("The context is not known, or not all of it: %s", error)
        finally:
            self.forget()

    def _listen(self) -> None:
        until = time.monotonic() + _SECONDS
        number, waiting = 0, b""
        while select.select([self._stdout], [], [], max(0.0, until - time.monotonic()))[0]:
            piece = os.read(self._stdout.fileno(), 1 << 16)
            if not piece:
                break
            *lines, waiting = (waiting + piece).split(b"\n")
            for line in lines:
                if line.isdigit():
                    number = int(line)
                    continue
                note = msgspec.json.decode(line, type=ContextNote)
                for each in note.missing:
                    _logger.debug("The context lacks: %s", each)
                self._found(note)
        if number:
            with contextlib.suppress(ChildProcessError):  # where all orphans are ours, as in containers
                os.waitpid(number, 0)


def _as_text(orders: Orders) -> Orders:
    """Return orders that can be JSON: names of files may be no UTF-8."""
    program = orders.program
    return msgspec.structs.replace(
        orders,
        program=Program(
            pid=program.pid,
            arguments=tuple(map(_clean, program.arguments)),
            folder=_clean(program.folder),
            has_commit=program.has_commit,
            notebook=program.notebook,
            executable=_clean(program.executable),
            path=tuple(each for each in program.path if _clean(each) == each),
        ),
    )


def _clean(text: str) -> str:
    return text.encode("utf-8", "backslashreplace").decode()


def find_out(orders: Orders) -> Iterator[bytes]:
    """Look, and give the answers; files and a copy of the answers are in the folder then, should who asked be gone."""
    from slipstream.client.context.captured import capture

    whole = ContextNote(tags={}, files=[])
    folder = None if orders.folder is None else Path(orders.folder)
    for captured in capture(orders.captures, orders.program):
        note = ContextNote(
            tags=captured.tags,
            files=[] if folder is None else list(captured.files),
            missing=captured.missing,
        )
        if folder is not None:
            for path, content in captured.files.items():
                (folder / FILES / path.replace("/", "-")).write_bytes(content)
            whole = ContextNote(tags=whole.tags | note.tags, files=whole.files + note.files)
            _keep(folder, whole)
        yield msgspec.json.encode(note)
    if folder is not None:
        _keep(folder, msgspec.structs.replace(whole, is_last=True))


def _keep(folder: Path, note: ContextNote) -> None:
    temporary = folder / f"{CONTEXT}.new"
    temporary.write_bytes(msgspec.json.encode(note))
    temporary.replace(folder / CONTEXT)
