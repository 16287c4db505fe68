"""Uploads in parts into a folder of this machine.

Parts are written where they belong into one file that nobody looks at; beside it a file of lines says which of them are
there. A part is noted when it is on the disk, so what is noted survives a power cut, and completing copies nothing.
One part of an upload is written at a time: the file is locked meanwhile, also between server processes.
"""

import errno
import hashlib
import os
import re
import secrets
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec

from slipstream.artifact_store.abandoned import remove_abandoned
from slipstream.artifact_store.local import PARTIAL, LocalArtifactStore, explained, lock_file
from slipstream.artifact_store.uploads import Begun, Part, require_checksum, require_plan
from slipstream.errors import ConflictError, InvalidParameterError, NotFoundError, UnavailableError

FOLDER = f"{PARTIAL}uploads"
"""In the root; hidden like everything unfinished."""
_ID = re.compile(r"[0-9a-f]{32}")
_PIECE_BYTES = 1 << 20
_SWEEPING_SECONDS = 3600.0


class _Plan(msgspec.Struct, frozen=True):
    size: int
    part_bytes: int


class _Notes(NamedTuple):
    plan: _Plan
    checksums: dict[int, str]


class LocalUploads:
    """Uploads of one root."""

    def __init__(self, store: LocalArtifactStore, clock: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._clock = clock
        self._swept: float | None = None

    def begin(self, path: str, size: int, part_bytes: int) -> Begun:
        require_plan(size, part_bytes)
        self._store.require_writable(path)
        folder = self._store.local_path(FOLDER)
        now = self._clock()
        with explained(path):
            folder.mkdir(parents=True, exist_ok=True)
            if self._swept is None or now - self._swept >= _SWEEPING_SECONDS:
                self._swept = now
                remove_abandoned(folder)
            upload_id = secrets.token_hex(16)
            data, notes = self._files(upload_id)
            data.open("xb").close()
            notes.write_bytes(msgspec.json.encode(_Plan(size, part_bytes)) + b"\n")
        return Begun(upload_id, bound=False, at_once=1)

    def parts(self, path: str, upload_id: str) -> list[Part]:
        data, notes = self._files(upload_id)
        with explained(path):
            plan, checksums = _read(notes)
            if not data.is_file():
                raise _unknown()
        return [
            Part(number, _length(plan, number), checksum) for number, checksum in sorted(checksums.items())
        ]

    def send(self, path: str, upload_id: str, number: int, content: bytes, checksum: str) -> None:
        writer = self.receive(path, upload_id, number, checksum)
        try:
            writer.write(content)
            writer.commit()
        finally:
            writer.close()

    def receive(self, path: str, upload_id: str, number: int, checksum: str) -> "PartWriter":
        """Begin to write a part that comes piece by piece.

        Raises:
            UnavailableError: another part of this upload is being written.
        """
        require_checksum(checksum)
        data, notes = self._files(upload_id)
        with explained(path):
            plan, _ = _read(notes)
            length = _length(plan, number)
            file = data.open("r+b")
            try:
                _lock(file, data)
                # Read now: another writer may have noted the part before it let go of the file.
                if (
                    number in _read(notes).checksums
                ):  # what is there is good until the first byte is written over it
                    _note(notes, number, "-")
                file.seek((number - 1) * plan.part_bytes)
            except BaseException:
                file.close()
                raise
        return PartWriter(file, notes, number, length, checksum)

    def complete(self, path: str, upload_id: str, size: int, checksums: Sequence[str]) -> None:
        data, notes = self._files(upload_id)
        with explained(path):
            plan, _ = _read(notes)
            if size != plan.size:
                raise ConflictError(
                    f"The upload was begun for {plan.size} bytes, not {size}. Begin a new one."
                )
            with data.open("r+b") as file:
                _lock(file, data)
                _require_parts(path, _read(notes), checksums)  # nobody replaces one from here on
                if os.fstat(file.fileno()).st_size != plan.size:
                    raise ConflictError(
                        f"The parts of '{path}' do not make {plan.size} bytes. Upload it anew."
                    )
                os.fsync(file.fileno())
                try:
                    self._store.adopt(path, data)
                except OSError as error:
                    if error.errno != errno.EXDEV:
                        raise
                    # A folder of another disk is mounted below the root.
                    self._store.write(path, _pieces(data))
                    data.unlink()
            notes.unlink(missing_ok=True)

    def abort(self, path: str, upload_id: str) -> None:
        with explained(path):
            for file in self._files(upload_id):
                file.unlink(missing_ok=True)

    def _files(self, upload_id: str) -> tuple[Path, Path]:
        if not _ID.fullmatch(upload_id):
            raise _unknown()
        folder = self._store.local_path(FOLDER)
        return folder / f"{PARTIAL}{upload_id}", folder / f"{PARTIAL}{upload_id}.parts"


class PartWriter:
    """A part that is being written. It counts when it was committed."""

    def __init__(self, file: BinaryIO, notes: Path, number: int, length: int, checksum: str) -> None:
        self._file = file
        self._notes = notes
        self._number = number
        self._left = length
        self._checksum = checksum
        self._digest = hashlib.md5(usedforsecurity=False)

    def write(self, data: bytes, /) -> None:
        self._left -= len(data)
        if self._left < 0:
            raise InvalidParameterError(f"Part {self._number} is longer than the others of this upload.")
        self._digest.update(data)
        with explained(self._notes.stem):
            self._file.write(data)

    def commit(self) -> None:
        """Keep the part.

        Raises:
            UnavailableError: it did not arrive as it was sent.
        """
        if self._left or self._digest.hexdigest() != self._checksum:
            raise damaged(self._number)
        with explained(self._notes.stem):
            self._file.flush()
            os.fsync(self._file.fileno())
            _note(self._notes, self._number, self._checksum)

    def close(self) -> None:
        with _full_disk_told_before():
            self._file.close()


def damaged(number: int) -> UnavailableError:
    return UnavailableError(f"Part {number} did not arrive as it was sent. Send it again.")


@contextmanager
def _full_disk_told_before() -> Generator[None]:
    try:
        yield
    except OSError as error:
        # What is still in the buffer of a part that was not committed; `write` or `commit` has told it.
        if error.errno not in (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)):
            raise


def _read(notes: Path) -> _Notes:
    """Read which parts are there. A line that a crash cut off counts for nothing."""
    try:
        first, *lines = notes.read_bytes().split(b"\n")
        plan = msgspec.json.decode(first, type=_Plan)
    except (FileNotFoundError, msgspec.DecodeError) as error:
        raise _unknown() from error
    checksums: dict[int, str] = {}
    for line in lines[:-1]:
        number, _, checksum = line.decode("ascii", "replace").partition(" ")
        if not number.isdigit():
            continue
        if _ID.fullmatch(checksum):
            checksums[int(number)] = checksum
        else:
            checksums.pop(int(number), None)
    return _Notes(plan, checksums)


def _require_parts(path: str, notes: _Notes, checksums: Sequence[str]) -> None:
    """Refuse to complete a file whose parts are not all there, or are others than named."""
    count = require_plan(notes.plan.size, notes.plan.part_bytes)
    wrong = [
        number
        for number in range(1, count + 1)
        if number > len(checksums) or notes.checksums.get(number) != checksums[number - 1]
    ]
    if wrong or len(checksums) != count:
        raise ConflictError(
            f"Of the {count} parts of '{path}' {len(wrong)} are missing or other ones than named, part "
            f"{wrong[0] if wrong else count + 1} for one. Send them again."
        )


def _note(notes: Path, number: int, checksum: str) -> None:
    with notes.open("ab", buffering=0) as file:
        # A line of its own, whatever a crash left of the last one.
        file.write(f"\n{number} {checksum}\n".encode())
        os.fsync(file.fileno())


def _length(plan: _Plan, number: int) -> int:
    count = require_plan(plan.size, plan.part_bytes)
    if not 1 <= number <= count:
        raise InvalidParameterError(f"'number' is {number}; this upload has the parts 1 to {count}.")
    return plan.part_bytes if number < count else plan.size - (count - 1) * plan.part_bytes


def _lock(file: BinaryIO, path: Path) -> None:
    if not lock_file(file.fileno()):
        raise UnavailableError(
            "Another part of this upload is being written. Send this one again in a second."
        )
    # It may have been completed between the opening and the lock; then it is an artifact, and no longer written to.
    if not path.exists() or not os.path.samestat(path.stat(), os.fstat(file.fileno())):
        raise _unknown()


def _pieces(file: Path) -> Iterator[bytes]:
    with file.open("rb") as opened:
        while piece := opened.read(_PIECE_BYTES):
            yield piece


def _unknown() -> NotFoundError:
    return NotFoundError("There is no such upload (any more). Begin a new one.")
