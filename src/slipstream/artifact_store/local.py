"""Artifacts in a folder of this machine."""

import errno
import os
import secrets
import shutil
import stat as modes
from collections.abc import Generator, Iterable
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from slipstream.artifact_store.paths import clean_path
from slipstream.entities import FileInfo
from slipstream.errors import (
    InternalError,
    InvalidParameterError,
    NotFoundError,
    SlipstreamError,
    StorageError,
)

PARTIAL = ".slipstream-partial-"
"""How names of unfinished files begin. No artifact has such a name; `abandoned.py` deletes what a crash left."""

SMALL_PARTIAL = f"{PARTIAL}small-"
"""How names of unfinished files begin that may be deleted at any time (`small_writes.py`)."""

REFUSALS = frozenset(
    {
        errno.ENOSPC,
        errno.EFBIG,
        errno.EROFS,
        errno.EACCES,
        errno.EPERM,
        getattr(errno, "EDQUOT", errno.ENOSPC),
    }
)
"""How systems say that a disk is full, or may not be written to or read by this user; trying again is no use."""

DEEPEST = 200
"""Folders that a file may lie below."""
_OPEN_FLAGS = (
    os.O_RDONLY
    # Not following a link in the last place closes the gap between the check and the opening.
    | getattr(os, "O_NOFOLLOW", 0)
    # Opening a pipe that somebody put there must not wait for its other end.
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_BINARY", 0)
)


class LocalArtifactStore:
    """Files below a root folder, which need not exist yet.

    Args:
        root: the folder.
        within: the folder that symbolic links may not lead out of, where that is not the root. A server whose
            clients choose the root names the folder that contains all roots, so that no link above a
            client's root is trusted.
        syncs: whether a file that was written survives a power cut, not only the end of the process.
    """

    def __init__(self, root: str | Path, *, within: str | Path | None = None, syncs: bool = True) -> None:
        self.root = Path(root).absolute()
        self.syncs = syncs
        self._limit = self.root if within is None else Path(within).absolute()
        self.where = str(self.root)

    def below(self, path: str) -> "LocalArtifactStore":
        """Return the store whose root is a folder of this one; links must not lead out of this one."""
        return LocalArtifactStore(self.root / clean_path(path), within=self._limit, syncs=self.syncs)

    def path_of(self, uri: str) -> str | None:
        """Return the path of a storage URI below this store, or `None` if it is elsewhere."""
        from slipstream.artifact_store.uri import is_local, local_folder

        if not is_local(uri):
            return None
        folder = local_folder(uri)
        if not folder.is_absolute() or ".." in folder.parts or not folder.is_relative_to(self.root):
            return None
        return folder.relative_to(self.root).as_posix().removeprefix(".")

    def list(self, path: str = "") -> list[FileInfo]:
        clean = clean_path(path)
        found: list[FileInfo] = []
        with explained(clean):
            try:
                entries = list(os.scandir(self._inside(clean)))
            except (FileNotFoundError, NotADirectoryError):
                return []
            for entry in entries:
                if entry.name.startswith(PARTIAL):
                    continue
                try:
                    status = entry.stat(follow_symlinks=False)
                except FileNotFoundError:  # deleted meanwhile
                    continue
                info = _describe(f"{clean}/{entry.name}" if clean else entry.name, status)
                if info is not None:
                    found.append(info)
        return sorted(found, key=lambda info: info.path)

    def stat(self, path: str) -> FileInfo | None:
        clean = clean_path(path)
        if _is_unfinished(clean):
            return None
        with explained(clean):
            try:
                # The root may be a link: whoever configured it chose that.
                target = self._inside(clean)
                return _describe(clean, target.lstat() if clean else target.stat())
            except (FileNotFoundError, NotADirectoryError):
                return None

    def open(self, path: str) -> BinaryIO:
        clean = clean_path(path)
        if _is_unfinished(clean):
            raise NotFoundError(f"No artifact '{clean}' exists here.")
        with explained(clean):
            handle = os.open(self._inside(clean), _OPEN_FLAGS)
        mode = os.fstat(handle).st_mode
        if not modes.S_ISREG(mode):
            os.close(handle)
            kind = "a folder; list it, or name a file in it" if modes.S_ISDIR(mode) else "not a file"
            raise InvalidParameterError(f"The artifact '{clean}' is {kind}.")
        return os.fdopen(handle, "rb")

    def write(self, path: str, chunks: Iterable[bytes]) -> int:
        with closing(self.create(path)) as writer:
            for chunk in chunks:
                writer.write(chunk)
            return writer.commit()

    def create(self, path: str) -> "LocalWriter":
        clean = clean_path(path)
        target = self.prepare(clean)
        with explained(clean):
            return LocalWriter(target, clean, syncs=self.syncs)

    def prepare(self, path: str) -> Path:
        """Make the folders of a new file, and return where it would be.

        Raises:
            InvalidParameterError: nothing may be written under this path.
        """
        clean = clean_path(path)
        with explained(clean):
            target = self._writable(clean)
            try:
                _make_folders(target.parent, syncs=self.syncs)
            except (FileExistsError, NotADirectoryError) as error:
                raise InvalidParameterError(
                    f"Cannot write '{clean}': a part of its path is a file."
                ) from error
            return self._inside(clean)  # looked at again, now that its folders exist

    def adopt(self, path: str, file: Path) -> None:
        """Put a finished file of the same disk, whose content is on it, in its place.

        Raises:
            OSError: with EXDEV, the place is on another disk.
        """
        with closing(self.create(path)) as writer:  # for its checks and folders
            writer.replace_by(file)

    def require_writable(self, path: str) -> Path:
        """Return where a new file would be.

        Raises:
            InvalidParameterError: nothing may be written under this path.
        """
        return self._writable(clean_path(path))

    def _writable(self, clean: str) -> Path:
        if not clean:
            raise InvalidParameterError("Cannot write to the artifact root itself; name a file.")
        if clean.count("/") > DEEPEST:
            raise InvalidParameterError(
                f"Cannot write '{clean[:200]}...': it lies more than {DEEPEST} folders deep."
            )
        if _is_unfinished(clean):
            raise InvalidParameterError(
                f"Cannot write '{clean}': names that begin with '{PARTIAL}' are those of unfinished files."
            )
        with explained(clean):
            target = self._inside(clean)
            if target.is_dir():
                raise InvalidParameterError(f"Cannot write '{clean}': a folder has this name.")
        return target

    def delete(self, path: str) -> None:
        clean = clean_path(path)
        if not clean:
            raise InvalidParameterError(
                "Refusing to delete the artifact root itself; name a file or folder in it."
            )
        if _is_unfinished(clean):  # nobody's artifact, but what uploads under way have sent
            return
        with explained(clean):
            target = self._inside(clean)
            try:
                if modes.S_ISDIR(target.lstat().st_mode):
                    shutil.rmtree(target)
                else:
                    target.unlink()
            except (FileNotFoundError, NotADirectoryError):
                return

    def local_path(self, path: str = "") -> Path:
        return self._inside(clean_path(path))

    def _inside(self, clean: str) -> Path:
        """Return the place of a path, refusing one that links lead out of the limit."""
        target = self.root / clean if clean else self.root
        if not _is_link_below(str(self._limit), str(target)):
            return target
        limit = os.path.realpath(self._limit)
        real = os.path.realpath(target)
        if real != limit and not real.startswith(limit.rstrip(os.sep) + os.sep):
            raise InvalidParameterError(f"Invalid path '{clean}': a link leads out of the artifact root.")
        return target


def _is_link_below(limit: str, target: str) -> bool:
    """Tell whether a part of the target's path below the limit is a link, or may be one; without, it cannot lead out."""
    if target == limit:
        return False
    start = limit.rstrip(os.sep) + os.sep
    if os.name == "nt" or not target.startswith(start):  # Windows has further kinds of links
        return True
    end = len(start) - 1
    while end < len(target):
        end = target.find(os.sep, end + 1)
        end = len(target) if end < 0 else end
        try:
            if modes.S_ISLNK(os.lstat(target[:end]).st_mode):
                return True
        except FileNotFoundError:  # nor is anything below it
            return False
        except OSError:
            return True
    return False


class LocalWriter:
    """A file that is being written, under a name that nobody looks at until it is complete."""

    def __init__(self, target: Path, clean: str, *, syncs: bool = True) -> None:
        self._target = target
        self._syncs = syncs
        self._clean = clean
        self._partial = target.with_name(PARTIAL + secrets.token_hex(8))
        self._file = self._partial.open("xb")
        lock_file(self._file.fileno())
        self._size = 0

    def write(self, data: bytes, /) -> None:
        with explained(self._clean):
            self._file.write(data)
        self._size += len(data)

    def commit(self) -> int:
        with explained(self._clean):
            self._file.flush()
            if self._syncs:
                os.fsync(self._file.fileno())
            self._file.close()
            self.replace_by(self._partial)
        return self._size

    def replace_by(self, file: Path) -> None:
        """Put a file in this one's place that is finished and on the disk."""
        try:
            file.replace(self._target)
        except IsADirectoryError as error:
            raise InvalidParameterError(f"Cannot write '{self._clean}': a folder has this name.") from error
        if self._syncs:
            _sync_folder(self._target.parent)

    def close(self) -> None:
        with suppress(OSError):  # a full disk is told by write and commit; here the content is thrown away
            self._file.close()
        with explained(self._clean):
            self._partial.unlink(missing_ok=True)


def is_being_written(partial: Path) -> bool:
    """Tell whether a process is at work on an unfinished file. Its lock goes with the process, however that ends."""
    handle = os.open(partial, _OPEN_FLAGS)
    try:
        return not lock_file(handle)
    finally:
        os.close(handle)


def lock_file(handle: int) -> bool:
    """Lock an open file without waiting, and tell whether nobody else has it locked."""
    try:
        import fcntl
    except ImportError:  # Windows, which deletes no file that is open
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a network disk without locks; there the age of a file has to do
        return True
    return True


def _is_unfinished(clean: str) -> bool:
    return any(part.startswith(PARTIAL) for part in clean.split("/"))


def _describe(path: str, status: os.stat_result) -> FileInfo | None:
    """Return the entry for a file or folder; links, pipes and devices are no artifacts."""
    if modes.S_ISDIR(status.st_mode):
        return FileInfo(path, is_dir=True)
    if modes.S_ISREG(status.st_mode):
        return FileInfo(path, is_dir=False, file_size=status.st_size)
    return None


@contextmanager
def explained(clean: str) -> Generator[None]:
    """Turn the system's errors into ours; they name the artifact, not the server's folder."""
    try:
        yield
    except OSError as error:
        raise explain(clean, error) from error


def explain(clean: str, error: OSError) -> SlipstreamError:
    """Return what to say of a system's error with an artifact."""
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return NotFoundError(f"No artifact '{clean}' exists here.")
    if error.errno in (errno.ELOOP, errno.EMLINK):
        return InvalidParameterError(f"The artifact '{clean}' is a symbolic link; links are not followed.")
    if error.errno == errno.ENAMETOOLONG:
        return InvalidParameterError(f"The artifact path '{clean[:200]}...' is too long for this disk.")
    if error.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
        return StorageError(f"There is no space left for '{clean}' where artifacts are kept; free some.")
    if error.errno in REFUSALS:
        return StorageError(
            f"Artifact '{clean}': {error.strerror or error}. Give the user of the process that keeps artifacts the "
            "rights to read and write its folder."
        )
    return InternalError(f"Artifact '{clean}': {error.strerror or error}.")


def _make_folders(folder: Path, *, syncs: bool) -> None:
    """Create a folder and those above it, if need be so that they survive a power cut."""
    missing = [folder]
    while not missing[-1].is_dir() and missing[-1].parent != missing[-1]:
        missing.append(missing[-1].parent)
    there = missing.pop()
    if not missing:
        return
    folder.mkdir(parents=True, exist_ok=True)
    for changed in (there, *reversed(missing[1:])) if syncs else ():
        _sync_folder(changed)


def _sync_folder(folder: Path) -> None:
    """Make a change of names in the folder survive a power cut."""
    if os.name == "nt":  # folders cannot be opened there
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
