"""What a client notes of uploads in parts that are under way, so that the next one goes on with them.

One small file an upload. An upload is known again by the server, the file's size, and the content of its first part; not
by the local file's name, since a model that is saved again lies in another folder.
"""

import hashlib
import logging
import os
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import msgspec

from slipstream import settings
from slipstream.artifact_store.local import lock_file

_OLD_SECONDS = 7 * 24 * 60 * 60
_SUFFIX = ".upload"

_logger = logging.getLogger(__name__)


class Noted(msgspec.Struct, frozen=True):
    upload_id: str
    at_once: int
    path: str | None = None
    """The only file that it can become; `None` if it can become any."""


class UploadNotes:
    """The note of one upload, which no other process has in hand."""

    def __init__(self, file: BinaryIO | None, path: Path) -> None:
        self._file = file
        self._path = path

    def read(self) -> Noted | None:
        """Return what is noted, or `None`."""
        if self._file is None:
            return None
        self._file.seek(0)
        try:
            return msgspec.json.decode(self._file.read(), type=Noted)
        except msgspec.DecodeError:  # new, or cut off by a crash
            return None

    def write(self, noted: Noted) -> None:
        if self._file is None:
            return
        try:
            self._file.seek(0)
            self._file.truncate()
            self._file.write(msgspec.json.encode(noted))
            self._file.flush()
        except OSError as error:
            _tell(self._path, error)

    def remove(self) -> None:
        if self._file is None:
            return
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            _tell(self._path, error)


@contextmanager
def open_notes(where: str, size: int, part_bytes: int, first_checksum: str) -> Generator[UploadNotes]:
    """Open the note of an upload for a block.

    Where nothing can be noted, or another process is at the same upload, the block gets an empty note and what it writes is
    forgotten: then the upload goes through all the same, and only cannot be resumed.
    """
    text = "\n".join((where, str(size), str(part_bytes), first_checksum))
    path = notes_folder() / (hashlib.sha256(text.encode()).hexdigest()[:32] + _SUFFIX)
    file = _open(path)
    try:
        yield UploadNotes(file, path)
    finally:
        if file is not None:
            file.close()


def notes_folder() -> Path:
    """Return the folder of all notes of this user."""
    folder = settings.UPLOAD_STATE_FOLDER.get()
    if folder:
        return Path(folder).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path("~/.cache").expanduser()) / "slipstream" / "uploads"


def _open(path: Path) -> BinaryIO | None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        _remove_old(path.parent)
        # Its content would let others with access to the server meddle with the upload.
        file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600), "r+b")
    except (OSError, RuntimeError) as error:  # RuntimeError: this user has no home
        _tell(path, error)
        return None
    try:
        # Between the opening and the lock another process may have come to its end and removed it.
        if lock_file(file.fileno()) and os.path.samestat(path.stat(), os.fstat(file.fileno())):
            return file
    except OSError as error:
        _tell(path, error)
    file.close()
    return None


def _remove_old(folder: Path) -> None:
    before = time.time() - _OLD_SECONDS
    for each in folder.glob(f"*{_SUFFIX}"):
        try:
            if each.stat().st_mtime < before:
                each.unlink()
        except FileNotFoundError:  # another process was faster
            continue


def _tell(path: Path, error: Exception) -> None:
    _logger.debug("Uploads under way cannot be noted in %s: %s", path, error)
