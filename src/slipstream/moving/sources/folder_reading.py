"""Read a folder that somebody else made: no link is followed, nothing is too large, and each fault is told."""

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, cast

from slipstream.errors import InvalidParameterError

SMALL = 1 << 20
"""Bytes of a description, such as that of a run."""
VALUE = 64 << 20
"""Bytes of a value, or of the description of a data set, which holds its schema and profile."""
_DEEPEST = 130
"""Folders below each other: no key has more parts."""
_DEEPEST_YAML = 50
_FLAGS = (
    os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
)


def folders_in(folder: Path) -> list[Path]:
    """Return the folders in a folder, without links, sorted; none where it is missing."""
    return [Path(entry.path) for entry in _entries(folder) if entry.is_dir(follow_symlinks=False)]


def files_in(folder: Path) -> list[Path]:
    """Return the files in a folder, without links, sorted; none where it is missing."""
    return [Path(entry.path) for entry in _entries(folder) if entry.is_file(follow_symlinks=False)]


def links_in(folder: Path) -> list[Path]:
    """Return the links in a folder, which nobody follows."""
    return [Path(entry.path) for entry in _entries(folder) if entry.is_symlink()]


def links_below(folder: Path) -> Iterator[Path]:
    """Yield the links in a folder and those below it."""
    yield from links_in(folder)
    for each in folders_in(folder):
        yield from links_below(each)


def files_below(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield (relative path with slashes, file) of the files of a folder and those below it, without links."""
    yield from _files_below(folder, "", 0)


def _files_below(folder: Path, prefix: str, depth: int) -> Iterator[tuple[str, Path]]:
    for entry in _entries(folder):
        if entry.is_dir(follow_symlinks=False):
            if depth < _DEEPEST:
                yield from _files_below(Path(entry.path), f"{prefix}{entry.name}/", depth + 1)
        elif entry.is_file(follow_symlinks=False):
            yield prefix + entry.name, Path(entry.path)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as found:
            return sorted(found, key=lambda entry: entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise InvalidParameterError(f"The folder {folder} cannot be read: {error.strerror}.") from error


def read_text(path: Path, limit: int = VALUE) -> str:
    """Return a file's text.

    Raises:
        InvalidParameterError: it is missing, no file, a link, larger than `limit` bytes, or no UTF-8.
    """
    handle = _open(path)
    with os.fdopen(handle, "rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise InvalidParameterError(f"{path} is larger than {limit:,} bytes.")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise InvalidParameterError(f"{path} is not valid UTF-8.") from error


def read_lines(path: Path, count: int) -> Iterator[Sequence[str]]:
    """Yield the lines of a file in pieces of `count`; bytes that are no UTF-8 become U+FFFD.

    Raises:
        InvalidParameterError: as `read_text`, but of any size; a line of more than a million characters is an end.
    """
    handle = _open(path)
    with os.fdopen(handle, "r", encoding="utf-8", errors="replace", newline="\n") as file:
        lines: list[str] = []
        while line := file.readline(SMALL):
            lines.append(line)
            if len(lines) == count:
                yield lines
                lines = []
        if lines:
            yield lines


def open_file(path: Path) -> BinaryIO:
    """Open a file to read its bytes.

    Raises:
        InvalidParameterError: it is missing, no file, or a link.
    """
    return os.fdopen(_open(path), "rb")


def _open(path: Path) -> int:
    try:
        handle = os.open(path, _FLAGS)
    except OSError as error:
        reason = "it is missing" if isinstance(error, FileNotFoundError) else error.strerror
        raise InvalidParameterError(f"{path} cannot be read: {reason}.") from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise InvalidParameterError(f"{path} is no file.")
    return handle


def read_yaml(path: Path, limit: int = SMALL) -> dict[str, Any]:
    """Return the mapping that a YAML file holds.

    Raises:
        InvalidParameterError: it cannot be read, is no YAML, or holds something else.
    """
    import yaml

    text = read_text(path, limit)
    try:
        # The safe loader, in C where the library has it: several times faster, which a thousand runs notice.
        loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        depth = 0
        for event in yaml.parse(
            text, loader
        ):  # building it recurses in C, without an end but that of the process
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > _DEEPEST_YAML:
                raise InvalidParameterError(f"{path} is nested more than {_DEEPEST_YAML} deep.")
            if isinstance(
                event, yaml.AliasEvent
            ):  # MLflow writes none; a few lines of them make a text without an end
                raise InvalidParameterError(
                    f"{path} repeats a part by its name (*{event.anchor}), which is not read."
                )
        document: object = loader(text).get_single_data()
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise InvalidParameterError(
            f"{path} is not valid YAML: {' '.join(str(error).split())[:300]}"
        ) from error
    if not isinstance(document, dict):
        raise InvalidParameterError(f"{path} holds no mapping.")
    return cast("dict[str, Any]", document)
