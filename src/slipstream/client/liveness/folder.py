"""What a process notes on disk about its runs, so that others can tell that it is gone and finish for it.

One folder a server, as for what is logged; in it one a process: `note.json`, `log/` (what it prints), `files/` (what is to be
stored with its runs), `context.json` (where they come from), `end.json` (how it ended, by the program beside it).
"""

import contextlib
import hashlib
import os
import shutil
import socket
import sys
import uuid
from collections.abc import Generator, Iterator
from pathlib import Path

import msgspec

from slipstream import settings
from slipstream.artifact_store.local import lock_file
from slipstream.clock import now_ms

NOTE = "note.json"
END = "end.json"
LOG = "log"
FILES = "files"
CONTEXT = "context.json"
_CLAIM = "claim"
_ALIVE = "alive"
_FORMAT = 1


class RunNote(msgspec.Struct, kw_only=True):
    """A run of the process."""

    run_id: str
    console: bool
    """Whether what is printed belongs to it."""
    first: int = 0
    """Where in the log its own begins."""
    last: int | None = None
    """Where it ends; `None` while the run goes."""
    context: bool = False
    """Whether it is told where it comes from."""
    console_path: str = ""
    """Where among the artifacts what it printed goes, once that has been chosen: it must be the same when it is tried again."""


class ContextNote(msgspec.Struct, frozen=True, kw_only=True):
    """Where the runs of a process come from, as a process beside it has found out."""

    tags: dict[str, str]
    files: list[str]
    """Paths among the artifacts; each is in the folder `files`."""
    missing: list[str] = []
    """What could not be found out, and why."""
    is_last: bool = False
    """Whether nothing more will be found out."""

    def notes(self, run_id: str) -> "list[FileNote]":
        return [FileNote(run_id=run_id, name=each.replace("/", "-"), path=each) for each in self.files]


class FileNote(msgspec.Struct, frozen=True, kw_only=True):
    """A file that is to be stored with a run."""

    run_id: str
    name: str
    """In the folder `files`."""
    path: str
    """Among the run's artifacts."""


class PlainLog(msgspec.Struct, frozen=True, kw_only=True):
    """The file that the process's output goes to anyway, and where in it the process began."""

    path: str
    device: int
    inode: int
    first: int


class ProcessNote(msgspec.Struct, kw_only=True):
    format: int = _FORMAT
    server: str
    """The tracking address, without user and password."""
    host: str
    pid: int
    start: str
    """When the process began, as the kernel counts; tells it from a later one of the same number."""
    boot: str
    """Which start of which machine, and which container."""
    program: str
    time: int
    log: PlainLog | None = None
    runs: list[RunNote] = []
    files: list[FileNote] = []


def processes_folder() -> Path:
    """Return the folder of all processes of this user, whatever the server."""
    chosen = settings.SPOOL_FOLDER.get()
    if chosen:
        return Path(chosen).expanduser() / "processes"
    data = os.environ.get("XDG_DATA_HOME")
    return (Path(data) if data else Path("~/.local/share").expanduser()) / "slipstream" / "processes"


def folder_of(server: str) -> Path:
    """Return the folder of a server's processes; `server` is an address without user and password."""
    return processes_folder() / hashlib.sha256(server.encode()).hexdigest()[:16]


class OwnFolder:
    """This process's folder."""

    def __init__(self, server: str) -> None:
        """Make it.

        Raises:
            OSError: the disk does not take it.
        """
        pid = os.getpid()
        self.path = folder_of(server) / f"{pid}-{uuid.uuid4().hex[:12]}"
        self.path.mkdir(parents=True, mode=0o700)
        (self.path / FILES).mkdir()
        self._alive = os.open(self.path / _ALIVE, os.O_RDWR | os.O_CREAT, 0o600)
        lock_file(self._alive)
        self.note = ProcessNote(
            server=server,
            host=socket.gethostname(),
            pid=pid,
            start=_start_of(pid),
            boot=_boot(),
            program=" ".join(sys.argv[:1])[:200],
            time=now_ms(),
        )

    def save(self) -> None:
        """Write the note, whole or not at all."""
        save_note(self.path, self.note)

    def forget(self) -> None:
        """Close what belongs to the process that this one was forked from."""
        os.close(self._alive)

    def remove(self) -> None:
        os.close(self._alive)
        shutil.rmtree(self.path, ignore_errors=True)


def save_note(folder: Path, note: ProcessNote) -> None:
    temporary = folder / f"{NOTE}.new"
    temporary.write_bytes(msgspec.json.encode(note))
    temporary.replace(folder / NOTE)


def read_note(folder: Path) -> ProcessNote | None:
    """Return a folder's note, `None` if there is none that this version reads."""
    try:
        note = msgspec.json.decode((folder / NOTE).read_bytes(), type=ProcessNote)
    except (OSError, msgspec.DecodeError):
        return None
    return note if note.format == _FORMAT else None


def read_context(folder: Path) -> ContextNote | None:
    """Return what was found out about a process, `None` if that was not."""
    try:
        return msgspec.json.decode((folder / CONTEXT).read_bytes(), type=ContextNote)
    except (OSError, msgspec.DecodeError):
        return None


def left_folders(server: str) -> Iterator[Path]:
    """Return the folders of a server whose processes are gone, the oldest first."""
    try:
        found = sorted(folder_of(server).iterdir(), key=lambda each: each.stat().st_mtime)
    except OSError:
        return
    for path in found:
        if path.is_dir() and is_gone(path):
            yield path


def is_gone(folder: Path) -> bool:
    """Tell whether the process of a folder has ended. In doubt it has not."""
    note = read_note(folder)
    if note is None:
        return False
    if note.boot and note.boot == _boot() and note.start:
        return _start_of(note.pid) != note.start
    # Another machine or container, or a system that does not tell: whoever lives holds the lock.
    with contextlib.suppress(OSError):
        handle = os.open(folder / _ALIVE, os.O_RDWR)
        try:
            return lock_file(handle)
        finally:
            os.close(handle)
    return False


def was_restarted(note: ProcessNote) -> bool:
    """Tell whether the machine of a process, if it is this one, has been started anew since."""
    mine = _boot()
    return note.host == socket.gethostname() and bool(mine) and note.boot.split()[0:1] != mine.split()[0:1]


@contextlib.contextmanager
def claim(folder: Path) -> Generator[bool]:
    """Hold the right to finish for a process that is gone; tells whether one has got it."""
    try:
        handle = os.open(folder / _CLAIM, os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:  # removed by who had it
        yield False
        return
    try:
        yield lock_file(handle) and (folder / NOTE).exists()
    finally:
        os.close(handle)


def _start_of(pid: int) -> str:
    """Return when a process began; empty where there is none, it has ended, or the system does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in (b"Z", b"X") else fields[19].decode()


def _boot() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"  # noqa: PTH115  # not a path
    except OSError:
        return ""
