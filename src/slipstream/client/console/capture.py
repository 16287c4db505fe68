"""Keep what this process prints, without changing what its user sees.

What is done depends on where a stream goes:

- both streams to one file (`> out.log 2>&1`, Slurm): nothing; the file itself is read.
- a pipe, a file of its own, /dev/null: file descriptors 1 and 2 become pipes to the program beside the process, which passes
  everything on. So the output of C libraries and of children is kept, too, and output flows while this process holds
  Python's lock.
- a terminal: the descriptors stay, so that debuggers, progress bars and colours work as ever; what Python writes is copied.

If the program beside the process dies, the process takes its streams back.
"""

import contextlib
import io
import logging
import os
import select
import stat
import struct
import sys
import threading
from collections.abc import Callable
from typing import Any

from slipstream.client.liveness.folder import PlainLog

_PIPE_BYTES = 256 << 10
_PAUSE_SECONDS = 0.2
_CALM_SECONDS = 5.0
_SURE_BYTES = 512
"""POSIX's least PIPE_BUF: a pipe with room takes so much at once."""
_logger = logging.getLogger(__name__)


class Plan:
    """Where the streams go, and what is done about it."""

    def __init__(self) -> None:
        self.plain: PlainLog | None = None
        """The file that both go to."""
        self.piped: list[tuple[int, ...]] = []
        """Descriptors that become one pipe together."""
        self.copied: list[Any] = []
        """Python's streams whose terminal stays."""


def make_plan() -> Plan:
    """Look where the streams of this process go."""
    plan = Plan()
    kinds: dict[int, os.stat_result] = {}
    for number in (1, 2):
        with contextlib.suppress(OSError):  # closed, as in some services
            kinds[number] = os.fstat(number)
    same = len(kinds) == 2 and os.path.samestat(kinds[1], kinds[2])
    if same and stat.S_ISREG(kinds[1].st_mode):
        plan.plain = _plain_log(kinds[1])
        if plan.plain is not None:
            return plan
    piped: list[int] = []
    for number, status in kinds.items():
        if stat.S_ISCHR(status.st_mode) and os.isatty(number):
            stream = sys.stdout if number == 1 else sys.stderr
            if isinstance(stream, io.TextIOWrapper):
                plan.copied.append(stream)
        else:
            piped.append(number)
    plan.piped = [tuple(piped)] if same and len(piped) == 2 else [(number,) for number in piped]
    return plan


def _plain_log(status: os.stat_result) -> PlainLog | None:
    """Return the file of descriptor 1, if it can be read by its name."""
    try:
        path = os.readlink("/proc/self/fd/1")  # noqa: PTH115  # not a path of the user's
        found = os.stat(path)  # noqa: PTH116
        if not os.access(path, os.R_OK) or not os.path.samestat(found, status):
            return None
    except OSError:
        return None
    return PlainLog(path=path, device=status.st_dev, inode=status.st_ino, first=status.st_size)


class Capture:
    """The streams of this process while they are kept. Made in two steps, since the program beside it starts between them.

    `sources` are pairs of open files for that program: where it reads, and where it passes on (-1: nowhere).
    """

    def __init__(self, plan: Plan) -> None:
        """Make the pipes.

        Raises:
            OSError: there are no more open files.
        """
        self.plan = plan
        self.sources: list[tuple[int, int]] = []
        self._pipes: list[_Pipe] = []
        self._copy = -1
        self._pid = os.getpid()
        self._ended = False
        self._abandoned = False
        self._lock = threading.Lock()
        self._unpatch: list[Callable[[], None]] = []
        try:
            for numbers in plan.piped:
                pipe = _Pipe(numbers)
                self._pipes.append(pipe)
                self.sources.append((pipe.read, pipe.original))
            if plan.copied:
                read, self._copy = _make_pipe()
                os.set_blocking(self._copy, False)
                self._copy_read = read
                self.sources.append((read, -1))
        except OSError:
            self.discard()
            raise

    @property
    def needs_companion(self) -> bool:
        return bool(self.sources)

    def waiting_bytes(self) -> int:
        """Return how much has been written that the program beside has not taken yet."""
        numbers = [pipe.read for pipe in self._pipes]
        return sum(map(_bytes_in, [*numbers, self._copy] if self._copy >= 0 else numbers))

    def discard(self) -> None:
        """Let go of the pipes instead of `begin`: nobody will read them."""
        for pipe in self._pipes:
            pipe.discard()
        if self._copy >= 0:
            os.close(self._copy_read)
            os.close(self._copy)

    def begin(self) -> None:
        """Send the streams through the pipes."""
        flush_streams()
        for pipe in self._pipes:
            pipe.begin()
        for stream in self.plan.copied:
            self._unpatch.append(_copy_writes(stream, self._copy))
        if self._copy >= 0:
            os.close(self._copy_read)

    def end(self) -> None:
        """Give the streams back what they had; what is in the pipes is for whoever reads them, until `close`."""
        with self._lock:
            if self._ended or self._pid != os.getpid():
                return
            self._ended = True
        flush_streams()
        self._undo_copies()
        for pipe in self._pipes:
            pipe.restore()

    def close(self, *, is_read: bool) -> None:
        """Let go of the pipes after `end`.

        Args:
            is_read: whether the program that reads them lives; otherwise what is in them is passed on now.
        """
        if not self._ended or self._pid != os.getpid():
            return
        for pipe in self._pipes:
            if self._abandoned:
                pipe.calm.wait(_CALM_SECONDS)
            else:
                if not is_read:
                    pipe.pass_on_rest()
                os.close(pipe.read)

    def abandon(self) -> None:
        """Do what the program that read the pipes did, since it has ended, until nothing is in them; then be without them."""
        with self._lock:
            if self._ended or self._abandoned or self._pid != os.getpid():
                return
            self._abandoned = True
        self._undo_copies()
        for pipe in self._pipes:
            threading.Thread(target=pipe.pass_on, name="slipstream-console", daemon=True).start()

    def _undo_copies(self) -> None:
        while self._unpatch:
            self._unpatch.pop()()


class _Pipe:
    def __init__(self, numbers: tuple[int, ...]) -> None:
        self.numbers = numbers
        self.original = _above_streams(os.dup(numbers[0]))
        try:
            self.read, self._write = _make_pipe()
        except OSError:
            os.close(self.original)
            raise
        self.calm = threading.Event()
        """Set when all that was written has been passed on by this process."""
        self._restored = False

    def begin(self) -> None:
        for number in self.numbers:
            os.dup2(self._write, number)
        os.close(self._write)

    def discard(self) -> None:
        """Let go of it before `begin`."""
        for number in (self.original, self.read, self._write):
            os.close(number)

    def restore(self) -> None:
        if not self._restored:
            self._restored = True
            for number in self._own_numbers():
                os.dup2(self.original, number)

    def _own_numbers(self) -> list[int]:
        """Return which of the descriptors still are this pipe: the program may have closed them, or sent them elsewhere."""
        own: list[int] = []
        try:
            pipe = os.fstat(self.read)
            for number in self.numbers:
                with contextlib.suppress(OSError):  # closed
                    if os.path.samestat(os.fstat(number), pipe):
                        own.append(number)
        except OSError:  # the program has closed all files that it knew nothing of
            return []
        return own

    def pass_on(self) -> None:
        """Pass on what is written, in its order, and let writers do without once they pause."""
        try:
            while True:
                ready = select.select([self.read], [], [], _PAUSE_SECONDS)[0]
                if not ready:
                    if self._restore_in_order():
                        self.calm.set()  # children may hold it still
                    continue
                self.calm.clear()
                data = os.read(self.read, 1 << 16)
                if not data:
                    break
                self._pass(data)
        except OSError as error:  # nobody reads any more; who writes finds that out by itself
            _logger.debug("Output is not passed on: %s", error)
        finally:
            self.restore()
            os.close(self.read)
            self.calm.set()

    def pass_on_rest(self) -> None:
        """Pass on what has been written, and do not wait for more."""
        with contextlib.suppress(OSError):  # nobody reads any more
            while select.select([self.read], [], [], 0)[0] and (data := os.read(self.read, 1 << 16)):
                self._pass(data)

    def _pass(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self.original, view) :]

    def _restore_in_order(self) -> bool:
        """Let writers do without, unless something is in the pipe; tell whether they do.

        Between the look and the change no other thread of Python may write, or what it writes next would overtake that. So
        both are done by calls that keep Python's lock. What a thread was writing at that moment is passed on by such calls,
        too, as far as it can be without waiting: whoever reads may be a thread of this process.
        """
        if self._restored:
            return True
        import ctypes
        import termios

        library = ctypes.PyDLL(None)
        waiting = ctypes.c_int()
        library.ioctl(self.read, termios.FIONREAD, ctypes.byref(waiting))
        if waiting.value:
            return False
        for number in self._own_numbers():
            library.dup2(self.original, number)
        self._restored = True
        room = ctypes.create_string_buffer(struct.pack("ihh", self.original, select.POLLOUT, 0))
        piece = ctypes.create_string_buffer(_SURE_BYTES)
        while library.ioctl(self.read, termios.FIONREAD, ctypes.byref(waiting)) == 0 and waiting.value:
            if library.poll(room, 1, 0) != 1:
                break
            size = library.read(self.read, piece, _SURE_BYTES)
            written = library.write(self.original, piece, size)
            self._pass(piece.raw[max(written, 0) : size])
        return True


def _bytes_in(pipe: int) -> int:
    import fcntl
    import termios

    try:
        return int.from_bytes(fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)), sys.byteorder)
    except OSError:  # the program has closed it
        return 0


def _above_streams(number: int) -> int:
    """Return an open file under a number that no stream has: in a program without input, say, the next free one is 0."""
    if number > 2:
        return number
    import fcntl

    try:
        return fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, 3)
    finally:
        os.close(number)


def _make_pipe() -> tuple[int, int]:
    read, write = map(_above_streams, os.pipe())
    with contextlib.suppress(ImportError, OSError, AttributeError):
        import fcntl

        fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
    return read, write


def _copy_writes(stream: Any, copy: int) -> Callable[[], None]:
    """Have everything that Python writes to a stream written to another file, too; the stream stays the object that it is."""
    original = stream.write

    def write(text: str) -> int:
        written: int = original(text)
        with contextlib.suppress(
            OSError, ValueError, UnicodeError
        ):  # full or closed: the terminal has it all the same
            os.write(copy, text.encode("utf-8", "replace"))
        return written

    stream.write = write

    def undo() -> None:
        if stream.__dict__.get("write") is write:
            del stream.write

    return undo


def flush_streams() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):  # closed, or none
            stream.flush()
