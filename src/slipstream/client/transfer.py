"""Files between this machine and an artifact store: in parallel, in pieces, whole or not at all."""

import contextlib
import os
import secrets
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar

from slipstream.artifact_store.paths import clean_path
from slipstream.client.progress import Progress
from slipstream.client.resuming import takes_parts, upload_in_parts
from slipstream.errors import (
    ConflictError,
    InternalError,
    InvalidParameterError,
    NotFoundError,
    SlipstreamError,
)

if TYPE_CHECKING:
    from slipstream.artifact_store.base import ArtifactStore
    from slipstream.entities import FileInfo

PIECE_BYTES = 1 << 20
_PARALLEL = 8

T = TypeVar("T")


class FilePieces:
    """A file's content in pieces. Can be iterated again, so that an upload can be tried again."""

    def __init__(self, path: Path, progress: Progress) -> None:
        self._path = path
        self._progress = progress

    def __iter__(self) -> Iterator[bytes]:
        try:
            file = self._path.open("rb")
        except OSError as error:
            raise _unreadable(self._path, error) from error
        with file:
            while piece := self._read(file):
                yield piece
                self._progress.add(len(piece))

    def _read(self, file: BinaryIO) -> bytes:
        try:
            return file.read(PIECE_BYTES)
        except OSError as error:
            raise _unreadable(self._path, error) from error


def upload_file(store: "ArtifactStore", local: Path, path: str) -> None:
    """Store one file under `path`.

    Raises:
        NotFoundError: there is no such local file.
    """
    if is_folder(local):
        raise NotFoundError(f"Local file '{local}' is a folder; use log_artifacts.")
    if not local.is_file():
        raise NotFoundError(f"Local file '{local}' does not exist.")
    _upload(store, [(local, path)])


def upload_folder(store: "ArtifactStore", folder: Path, prefix: str) -> None:
    """Store all files below a folder, hidden ones too, under `prefix`.

    Raises:
        NotFoundError: there is no such local folder, or a link in it leads to nothing.
        InvalidParameterError: a file or folder in it cannot be read.
    """
    if not is_folder(folder):
        raise NotFoundError(f"Local folder '{folder}' does not exist.")
    _upload(
        store,
        [
            (Path(parent) / name, join(prefix, (Path(parent) / name).relative_to(folder).as_posix()))
            for parent, _, names in os.walk(folder, onerror=_raise_unreadable)
            for name in names
        ],
    )


def is_folder(local: Path) -> bool:
    """Tell whether there is a folder at a local path; what the system refuses to tell is an error."""
    try:
        return local.is_dir()
    except OSError as error:
        raise _unreadable(local, error) from error


def exists(local: Path) -> bool:
    """Tell whether there is anything at a local path; what the system refuses to tell is an error."""
    try:
        return local.exists()
    except OSError as error:
        raise _unreadable(local, error) from error


def _raise_unreadable(error: OSError) -> None:
    # Left out silently, a folder would look as if it had been stored.
    raise _unreadable(Path(str(error.filename)), error) from error


def _unreadable(local: Path, error: OSError) -> SlipstreamError:
    reason = error.strerror or str(error)
    if isinstance(error, FileNotFoundError):
        what = "is a symbolic link to nothing" if local.is_symlink() else "does not exist"
        return NotFoundError(f"Local file '{local}' {what}. Remove it, or make what it names.")
    return InvalidParameterError(
        f"Local file '{local}' cannot be read: {reason}. Change its rights, or move it."
    )


def _size(local: Path) -> int:
    try:
        return local.stat().st_size
    except OSError as error:
        raise _unreadable(local, error) from error


def _upload(store: "ArtifactStore", files: Sequence[tuple[Path, str]]) -> None:
    total = sum(_size(local) for local, _ in files)
    with Progress("Uploading", total) as progress:

        def send(file: tuple[Path, str]) -> None:
            local, path = file
            expected = _size(local)
            written: int | None = None
            if takes_parts(store, expected):
                written = _upload_in_parts(store, local, path, progress)
            if written is None:
                written = store.write(path, FilePieces(local, progress))
            if written != expected:
                raise ConflictError(
                    f"Upload of '{local}' to '{path}' stored {written} bytes of {expected}. "
                    "Did the file change meanwhile? Log it again."
                )

        _in_parallel(send, files)


def _upload_in_parts(store: "ArtifactStore", local: Path, path: str, progress: Progress) -> int | None:
    try:
        return upload_in_parts(store, local, path, progress)
    except OSError as error:
        raise _unreadable(local, error) from error


def find_files(store: "ArtifactStore", path: str) -> "tuple[list[FileInfo], bool]":
    """Return the file at `path`, or all files below it, and whether it is a folder.

    Raises:
        NotFoundError: there is nothing at `path`.
    """
    if path and (info := store.stat(path)) is not None and not info.is_dir:
        return [info], False
    files: list[FileInfo] = []
    folders = [path]
    while folders:
        for info in store.list(folders.pop()):
            if info.is_dir:
                folders.append(info.path)
            else:
                files.append(info)
    if path and not files and store.stat(path) is None:
        raise NotFoundError(
            f"There is no artifact at path '{path}'. Check the path; list_artifacts shows what is there."
        )
    return files, True


def download(store: "ArtifactStore", path: str, target: Path) -> None:
    """Bring the file at `path` to `target`, or all that is in the folder at `path` into the folder `target`.

    Each file appears under its name only when it is complete and of the announced size.

    Raises:
        NotFoundError: there is nothing at `path`.
        InternalError: a file came in another size than announced.
        InvalidParameterError: nothing can be written at `target`.
    """
    files, is_folder = find_files(store, path)
    with _writing(target):
        (target if is_folder else target.parent).mkdir(parents=True, exist_ok=True)
    with Progress("Downloading", sum(info.file_size or 0 for info in files)) as progress:

        def fetch(info: "FileInfo") -> None:
            if not is_folder:
                _fetch(store, info, target, progress)
                return
            # The listing may come from a server; its paths must not lead out of the folder.
            below = clean_path(info.path)
            relative = below.removeprefix(path + "/") if path else below
            _fetch(store, info, _inside(target, relative), progress)

        _in_parallel(fetch, files)


@contextmanager
def _writing(target: Path) -> Generator[None]:
    """Turn the system's refusal to write into an error that names the file and the reason."""
    try:
        yield
    except OSError as error:
        raise InvalidParameterError(
            f"The download cannot be written to '{target}': {error.strerror or error}. Choose another 'dst_path'."
        ) from error


def _fetch(store: "ArtifactStore", info: "FileInfo", target: Path, progress: Progress) -> None:
    with _writing(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name[:100]}.{secrets.token_hex(4)}.partial")
    received = 0
    try:
        with store.open(info.path) as source, _writing(target), partial.open("xb") as file:
            while piece := source.read(PIECE_BYTES):
                file.write(piece)
                received += len(piece)
                progress.add(len(piece))
        if info.file_size is not None and received != info.file_size:
            raise InternalError(
                f"Download of '{info.path}' brought {received} bytes of {info.file_size}. Download it again."
            )
        with _writing(target):
            partial.replace(target)
    finally:
        with contextlib.suppress(OSError):  # where nothing could be written there is nothing to remove
            partial.unlink()


def _inside(folder: Path, relative: str) -> Path:
    target = folder / relative
    # `folder` may hold symbolic links of a user's making; only those are followed that stay inside.
    if not target.resolve().is_relative_to(folder.resolve()):
        raise InvalidParameterError(f"Artifact path '{relative}' leads out of the folder '{folder}'.")
    return target


def join(*parts: str) -> str:
    """Join artifact paths; empty parts count for nothing."""
    return "/".join(part.strip("/") for part in parts if part.strip("/"))


def _in_parallel(function: Callable[[T], None], items: Sequence[T]) -> None:
    """Call a function for each item, a few at a time; the first error stops what has not begun."""
    if len(items) <= 1:
        for item in items:
            function(item)
        return
    with ThreadPoolExecutor(min(_PARALLEL, len(items)), thread_name_prefix="slipstream-transfer") as pool:
        futures = [pool.submit(function, item) for item in items]
        try:
            for future in futures:
                future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
