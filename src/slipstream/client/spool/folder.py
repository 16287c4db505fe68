"""Where files of records are: one folder a server, and in it a file each process that logged to it.

Beside a file lies a small one that says how far it has been sent. A file belongs to who holds its lock; of one that nobody holds
the process is gone, and whoever finds it sends what is left.
"""

import contextlib
import hashlib
import json
import logging
import os
import socket
import sys
import tempfile
import time
import uuid
import zlib
from collections.abc import Iterator
from pathlib import Path

import msgspec

from slipstream import settings
from slipstream.artifact_store.local import lock_file
from slipstream.client.spool.file import SpoolFile, SpoolLine, read_lines

SUFFIX = ".spool"
SENT = ".sent"
STAGES = ".files"
REFUSED = "refused.jsonl"
_FORMAT = 1
_QUIET_SECONDS = 600.0
"""For how long nothing was written to another machine's file that is taken."""

_logger = logging.getLogger(__name__)


class SpoolHead(msgspec.Struct, frozen=True):
    """The first line of a file."""

    spool: int
    """The format's number."""
    writer: str
    server: str
    """The tracking address, without user and password."""
    host: str
    pid: int
    program: str
    time: int


class Sent(msgspec.Struct, frozen=True):
    """How far a file has been sent."""

    number: int
    """Of the last record that the server has."""
    offset: int
    """Where the next line begins."""


def spool_folder() -> Path:
    """Return the folder of all files of this user, whatever the server."""
    chosen = settings.SPOOL_FOLDER.get()
    if chosen:
        return Path(chosen).expanduser()
    data = os.environ.get("XDG_DATA_HOME")
    return (Path(data) if data else Path("~/.local/share").expanduser()) / "slipstream" / "spool"


def folder_of(server: str, root: Path | None = None) -> Path:
    """Return the folder of a server's files; `server` is an address without user and password."""
    return (root or spool_folder()) / hashlib.sha256(server.encode()).hexdigest()[:16]


class OwnSpool:
    """What this process logs to one server. Thread-safe; a process made by fork needs one of its own."""

    def __init__(self, server: str) -> None:
        self.server = server
        self.writer, self.file = self._create()
        self.sent = Sent(0, self.file.size)
        self._mark = _Mark(self.file.path)

    def new_stage(self) -> Path:
        """Make a folder for files that are to be sent later.

        Raises:
            OSError: there is no room for it, or no folder at all.
        """
        if self.file.path is None:
            raise OSError("no folder can be written")
        stage = self.file.path.with_suffix(STAGES) / uuid.uuid4().hex
        stage.mkdir(parents=True, mode=0o700)
        return stage

    def keeps_files(self) -> bool:
        """Tell whether files wait to be sent."""
        if self.file.path is None:
            return False
        try:
            with os.scandir(self.file.path.with_suffix(STAGES)) as found:
                return next(found, None) is not None
        except OSError:  # there is no such folder
            return False

    def abandon(self) -> None:
        """Let go of everything in a process made by fork."""
        self.file.abandon()
        self._mark.close()

    @property
    def path(self) -> Path | None:
        return self.file.path

    def append(self, text: bytes) -> None:
        while not self.file.append(text):  # it has been replaced meanwhile
            pass

    def is_delivered(self) -> bool:
        return self.sent.offset >= self.file.size and not self.file.held

    def note_sent(self, sent: Sent) -> None:
        self.sent = sent
        self._mark.write(sent)

    def renew(self) -> bool:
        """Go on in a new file, if all of this one is delivered, and remove it; tell whether that was so."""
        old, old_mark = self.file, self._mark
        writer, fresh = self._create()
        if not old.close_if_delivered(self.sent.offset):
            fresh.close()
            _remove(fresh.path)
            return False
        # From here on those who found the old one closed find this.
        self.writer, self.sent, self._mark = writer, Sent(0, fresh.size), _Mark(fresh.path)
        self.file = fresh
        old_mark.close()
        _remove(old.path)
        return True

    def close(self) -> None:
        """Let go of the file; remove it if all of it is delivered."""
        delivered = self.is_delivered()
        self.file.close()
        self._mark.close()
        if delivered:
            _remove(self.file.path)

    def _create(self) -> tuple[str, SpoolFile]:
        writer = uuid.uuid4().hex
        head = SpoolHead(
            _FORMAT,
            writer,
            self.server,
            socket.gethostname(),
            os.getpid(),
            " ".join(sys.argv)[:200],
            time.time_ns() // 1_000_000,
        )
        temporary = (
            Path(tempfile.gettempdir()) / f"slipstream-spool-{os.getuid() if hasattr(os, 'getuid') else 0}"
        )
        for root in (spool_folder(), temporary):
            folder = folder_of(self.server, root)
            try:
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                if root == temporary and hasattr(os, "getuid") and root.stat().st_uid != os.getuid():
                    raise PermissionError(f"{root} belongs to another user")  # told below like others
                file = SpoolFile(folder / f"{writer}{SUFFIX}")
            except OSError as error:
                _logger.warning("What is logged cannot be written to %s (%s)", root, error)
                continue
            lock_file(file.handle)
            break
        else:
            _logger.warning(
                "What is logged is kept in memory until it is delivered; it does not survive this process."
            )
            file = SpoolFile(None)
        if file.path is not None:
            file.append(msgspec.json.encode(head))
        return writer, file


class LeftSpool:
    """A file whose process is gone, in the hands of this one. Closing it removes it if all of it is delivered."""

    def __init__(self, path: Path, handle: int, head: SpoolHead, head_end: int) -> None:
        self.path = path
        self.head = head
        self._handle = handle
        self._mark = _Mark(path)
        noted = self._mark.read()
        self.sent = noted if noted is not None and noted.offset >= head_end else Sent(0, head_end)

    def read(self) -> list[SpoolLine]:
        return read_lines(self._handle, self.sent.offset)

    @property
    def left_bytes(self) -> int:
        return max(0, os.fstat(self._handle).st_size - self.sent.offset)

    def note_sent(self, sent: Sent) -> None:
        self.sent = sent
        self._mark.write(sent)

    def close(self, *, delivered: bool) -> None:
        if delivered:
            _remove(self.path)  # while the lock is held, so that nobody else takes it for one to send
        self._mark.close()
        os.close(self._handle)


def keep_refused(server: str, text: bytes, message: str) -> str:
    """Keep a record that the server will never take, beside the files of the others; return where."""
    path = folder_of(server) / REFUSED
    line = msgspec.json.encode({"message": message, "record": msgspec.Raw(text)}) + b"\n"
    try:
        with path.open("ab") as file:
            file.write(line)
    except OSError as error:
        return f"nothing but this message: {error}"
    return str(path)


def left_spools(folder: Path, before: int | None = None) -> Iterator[LeftSpool]:
    """Take the files of a folder whose processes are gone, one after the other.

    The one that was begun first comes first, since later programs build on what earlier ones did: they log to their runs. So
    those that were begun after one that somebody else is sending now are not taken.

    Args:
        folder: that of one server.
        before: only those that were begun by then, in milliseconds.
    """
    found: list[tuple[int, Path]] = []
    for path in folder.glob(f"*{SUFFIX}"):
        head = _head_of(path)
        began = 0 if head is None else head.time
        if before is None or began <= before:
            found.append((began, path))
    for _, path in sorted(found):
        taken = _take(path)
        if taken is not None:
            yield taken
        elif _is_of_dead(path) and _is_locked(path):
            return  # somebody sends it, and what later programs logged to the same runs must not overtake it


def sent_by_others(folder: Path) -> bool:
    """Tell whether a file whose process is gone is in the hands of another one now."""
    return any(map(_is_locked, _of_dead(folder)))


def is_let_go(folder: Path, before: int | None = None) -> bool:
    """Tell whether a file whose process is gone waits to be sent, in nobody's hands; `before` as for `left_spools`."""
    for path in _of_dead(folder, before):
        taken = _take(path)
        if taken is not None:
            taken.close(delivered=False)
            return True
    return False


def _of_dead(folder: Path, before: int | None = None) -> Iterator[Path]:
    for path in folder.glob(f"*{SUFFIX}"):
        if _is_of_dead(path, before):
            yield path


def _is_of_dead(path: Path, before: int | None = None) -> bool:
    """Tell whether a file is of a process of this machine that is gone."""
    if sys.platform == "win32":  # it does not tell who is gone without harming who is not
        return False
    head = _head_of(path)
    if head is None or head.host != socket.gethostname() or (before is not None and head.time > before):
        return False
    return not _is_alive(head.pid)


def _is_locked(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return not lock_file(file.fileno())
    except OSError:  # removed meanwhile
        return False


def began_elsewhere(folder: Path, run_id: str, own: Path | None) -> bool:
    """Tell whether a run begins in the records of another file of a folder that its server does not have yet."""
    begin = b'["run","%b",' % run_id.encode()
    for path in folder.glob(f"*{SUFFIX}"):
        if path == own:
            continue
        mark = _Mark(path).read()
        try:
            with path.open("rb") as file:
                file.seek(0 if mark is None else mark.offset)
                last = b""
                while block := file.read(1 << 20):
                    if begin in last + block:
                        return True
                    last = block[-len(begin) :]
        except OSError:  # removed meanwhile: the server has all of it
            continue
    return False


def _head_of(path: Path) -> SpoolHead | None:
    """Return how a file begins; `None` where that cannot be read, or not yet."""
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.readline(1 << 16)[9:], type=SpoolHead)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def _is_alive(pid: int) -> bool:
    """Tell whether a process of this machine runs; one that has ended and that nobody asks about does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # another user's
        return True
    try:
        state = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2][:1]
    except OSError:  # no such folder on this system
        return True
    return state not in (b"Z", b"X")


def _take(path: Path) -> LeftSpool | None:
    try:
        handle = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))
    except OSError:  # removed by who sent it, or not ours
        return None
    try:
        if lock_file(handle) and os.path.samestat(path.stat(), os.fstat(handle)):
            lines = read_lines(handle, 0)
            if not lines:  # made a moment ago, and not yet begun; or cut off right there
                if time.time() - os.fstat(handle).st_mtime > 60:
                    _remove(path)
            else:
                head, head_end = _head_or_substitute(path, lines[0])
                # On a network disk without locks, another machine's process may be at work on it.
                quiet = time.time() - os.fstat(handle).st_mtime
                if head.spool == _FORMAT and (head.host == socket.gethostname() or quiet > _QUIET_SECONDS):
                    return LeftSpool(path, handle, head, head_end)
    except (OSError, msgspec.DecodeError) as error:
        _logger.warning("%s cannot be read and is left as it is: %s", path, error)
    os.close(handle)
    return None


def _head_or_substitute(path: Path, line: SpoolLine) -> tuple[SpoolHead, int]:
    """Return a file's head and where it ends; where it is damaged, what is known without: records can be sent all the same.

    Raises:
        msgspec.DecodeError: it is of a format that is not known here.
    """
    if not line.text.startswith(b"["):  # as records do
        return msgspec.json.decode(line.text, type=SpoolHead), line.end
    return SpoolHead(_FORMAT, path.stem, "", "", 0, "its first line is damaged", 0), 0


class _Mark:
    """The small file that says how far one has been sent."""

    def __init__(self, path: Path | None) -> None:
        self._path = None if path is None else path.with_suffix(SENT)
        self._handle = -1

    def read(self) -> Sent | None:
        try:
            text = b"" if self._path is None else self._path.read_bytes()
        except OSError:
            return None
        check, _, rest = text.rstrip(b"\n").partition(b" ")
        if check != b"%08x" % zlib.crc32(rest):
            return None  # cut off by a crash; the server knows what it has
        number, offset = json.loads(rest)
        return Sent(number, offset)

    def write(self, sent: Sent) -> None:
        if self._path is None:
            return
        # Of one length, so that each overwrites the one before.
        rest = b"[%20d, %20d]" % (sent.number, sent.offset)
        try:
            if self._handle < 0:
                self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
            os.pwrite(self._handle, b"%08x %b\n" % (zlib.crc32(rest), rest), 0)
        except OSError as error:  # it is sent again then, and the server leaves it out
            _logger.debug("%s cannot be written: %s", self._path, error)

    def close(self) -> None:
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


def _remove(path: Path | None) -> None:
    if path is None:
        return
    with contextlib.suppress(OSError):  # there is none, or files that were not sent are in it
        path.with_suffix(STAGES).rmdir()
    for each in (path.with_suffix(SENT), path):
        with contextlib.suppress(OSError):  # what is left is sent again, and stored once
            each.unlink()
