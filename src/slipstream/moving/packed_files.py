"""Files of a run that are in no one folder: pictures inside of logs, folders of several attempts, texts made up of records."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple, cast

from slipstream.artifact_store.base import Reader
from slipstream.artifact_store.paths import clean_path
from slipstream.entities import FileInfo
from slipstream.errors import InvalidParameterError, NotFoundError
from slipstream.moving.sources.folder_reading import files_below, open_file


class _Entry(NamedTuple):
    size: int | None
    open: Callable[[], Reader]


class PackedFiles:
    """Files by their paths, opened one by one when they are copied."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def add(self, path: str, size: int | None, opened: Callable[[], Reader]) -> None:
        """Add a file under a path; where that is used already, a number comes before its ending.

        Raises:
            InvalidParameterError: the path leaves the root.
        """
        path = clean_path(path)
        stem, dot, ending = path.rpartition(".")
        number = 2
        while path in self._entries:
            path = f"{stem}-{number}.{ending}" if dot and stem else f"{ending}-{number}"
            number += 1
        self._entries[path] = _Entry(size, opened)

    def add_bytes(self, path: str, content: bytes) -> None:
        self.add(path, len(content), lambda: cast("Reader", io.BytesIO(content)))

    def add_file(self, path: str, file: Path) -> None:
        """Add a file of this machine.

        Raises:
            InvalidParameterError: it cannot be read, or is a link.
        """
        with open_file(file) as opened:
            size = opened.seek(0, io.SEEK_END)
        self.add(path, size, lambda: open_file(file))

    def add_folder(self, folder: Path) -> None:
        """Add all files below a folder, without links; of one that is there already the newer stays."""
        for path, file in files_below(folder):
            self._entries.pop(clean_path(path), None)
            self.add_file(path, file)

    def add_lines(self, path: str, lines: Callable[[], Iterator[bytes]]) -> None:
        """Add a text that is put together while it is read."""
        self.add(path, None, lambda: _Lines(lines()))

    def __contains__(self, path: str) -> bool:
        return path in self._entries

    def list(self, path: str = "") -> list[FileInfo]:
        """Return all files, wherever they are below the root; there are no folders in between."""
        if path:
            return []
        return [FileInfo(path, is_dir=False, file_size=each.size) for path, each in self._entries.items()]

    def open(self, path: str) -> Reader:
        entry = self._entries.get(path)
        if entry is None:
            raise NotFoundError(f"There is no file '{path}'.")
        return entry.open()


class _Lines(io.RawIOBase):
    """A file of what an iterator yields."""

    def __init__(self, lines: Iterator[bytes]) -> None:
        super().__init__()
        self._lines = lines
        self._rest = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        if size < 0:
            raise InvalidParameterError("A file of records is read piece by piece.")
        parts: list[bytes] = [self._rest]
        length = len(self._rest)
        while length < size:
            line = next(self._lines, None)
            if line is None:
                break
            parts.append(line)
            length += len(line)
        content = b"".join(parts)
        self._rest = content[size:]
        return content[:size]
