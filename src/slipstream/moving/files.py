"""Copy the files of runs and models into the artifact root of the store that takes them.

A source says where files are, and who made it may have lied: only places that belong to the source, or that the user
named, are read. Links are not followed (`artifact_store/local.py`). Each file is read back and compared.
"""

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from slipstream.artifact_store.base import ArtifactStore
from slipstream.artifact_store.local import LocalArtifactStore
from slipstream.artifact_store.uri import is_local, local_folder
from slipstream.entities import FileInfo
from slipstream.errors import InternalError, InvalidParameterError, SlipstreamError
from slipstream.moving.bars import Bar
from slipstream.moving.sifting import Fail
from slipstream.moving.source import FileTree
from slipstream.rules.sources import is_within, scheme_of

_CHUNK = 1 << 20


class Copied(NamedTuple):
    new: int = 0
    new_bytes: int = 0
    known: int = 0
    """Files that were there, with the same content."""


class Files:
    """Copies files from one place to another.

    Args:
        open_there: opens a storage URI of the source.
        places: storage URIs below which files may be read.
        root: where files go; paths are relative to it.
        shown: counts bytes.
        is_dry: count only.
    """

    def __init__(
        self,
        open_there: Callable[[str], ArtifactStore],
        places: Sequence[str],
        root: ArtifactStore,
        shown: Bar,
        *,
        is_dry: bool = False,
    ) -> None:
        self._open_there = open_there
        self._places = places
        self._root = root
        self._shown = shown
        self._is_dry = is_dry

    def copy(
        self, uri: str, found: Path | FileTree | None, path: str, fail: Fail, *, only_missing: bool = False
    ) -> Copied:
        """Copy all files below a storage URI, or of a folder or a tree that is known to have them.

        What is there already is compared and left, or with `only_missing` just left. A file that cannot be copied is told to
        `fail`.

        Raises:
            InvalidParameterError: files may not be read there, or nothing can.
        """
        if found is None and (not uri or _is_absent(uri)):
            return Copied()  # a run that has logged no file
        there = self._open(uri, found) if found is None or isinstance(found, Path) else found
        new = new_bytes = known = 0
        for info in _walk(there, ""):
            try:
                size = self._copy_file(there, info, f"{path}/{info.path}", only_missing=only_missing)
            except SlipstreamError as error:
                fail(f"file '{info.path}'", error)
                continue
            if size is None:
                known += 1
            else:
                new, new_bytes = new + 1, new_bytes + size
        return Copied(new, new_bytes, known)

    def _open(self, uri: str, folder: Path | None) -> FileTree:
        if folder is not None and folder.is_dir() and not folder.is_symlink():
            return LocalArtifactStore(folder)
        if not any(_is_below(uri, place) for place in self._places):
            raise InvalidParameterError(
                f"Files at '{uri}' are not read: the place does not belong to the source. Name it, or one above it, with "
                "--artifacts-from if you trust it."
            )
        return self._open_there(uri)

    def _copy_file(self, there: FileTree, info: FileInfo, path: str, *, only_missing: bool) -> int | None:
        """Copy one file and return its size; `None` if it was there."""
        before = self._root.stat(path)
        if only_missing and before is not None:
            return None
        has_size = before is not None and before.file_size == info.file_size
        if has_size and _digest(there, info.path) == _digest(self._root, path):
            return None
        if self._is_dry:
            return info.file_size or 0
        read = hashlib.sha256()
        size = self._root.write(path, self._chunks(there, info.path, read))
        if _digest(self._root, path) != read.hexdigest():
            raise InternalError("What was stored is not what was read. Check the disk, and import again.")
        return size

    def _chunks(self, there: FileTree, path: str, read: Any) -> Iterator[bytes]:
        with there.open(path) as file:
            while chunk := file.read(_CHUNK):
                read.update(chunk)
                self._shown.add(len(chunk))
                yield chunk


def _digest(store: FileTree, path: str) -> str:
    digest = hashlib.sha256()
    with store.open(path) as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def _walk(store: FileTree, path: str) -> Iterator[FileInfo]:
    for info in store.list(path):
        if info.is_dir:
            yield from _walk(store, info.path)
        else:
            yield info


def _is_absent(uri: str) -> bool:
    """Tell whether a place would be on this machine, and is not."""
    try:
        return is_local(uri) and local_folder(uri).is_absolute() and not local_folder(uri).exists()
    except (InvalidParameterError, OSError, ValueError):  # nothing that could be a path
        return False


def _is_below(uri: str, place: str) -> bool:
    """Tell whether a storage URI is, or lies below, a place."""
    if is_local(uri) != is_local(place):
        return False
    if is_local(uri):
        try:
            folder, root = local_folder(uri), local_folder(place)
        except InvalidParameterError:
            return False
        if not folder.is_absolute():
            return False
        return Path(os.path.realpath(folder)).is_relative_to(os.path.realpath(root))
    if place.endswith(":/"):
        return scheme_of(uri) == scheme_of(place)
    return is_within(uri, place)
