"""CSV and Parquet files as tables: which rows are whose, and those rows again."""

import csv
import io
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from slipstream.errors import InvalidParameterError, MissingDependencyError
from slipstream.moving.sources.folder_reading import open_file
from slipstream.moving.sources.tables import Row, Stretch

_LONGEST_LINE = 16 << 20
_DELIMITERS = (",", ";", "\t", "|")
_BATCH = 65_536
_MOST_CELLS = 100_000_000
"""Of one row group of Parquet: some 800 MB of numbers. A few bytes may stand for any number of rows."""


class CsvFile:
    """A CSV file with a header: UTF-8; commas, semicolons, tabs or bars, whichever the header has most of.

    Raises:
        InvalidParameterError: it is empty, or no text.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.odd_line: int | None = None
        with open_file(path) as file:
            mark = file.read(3)
            if mark[:2] in (b"\xff\xfe", b"\xfe\xff"):
                raise InvalidParameterError(
                    f"{path} is UTF-16. Save it as UTF-8; Excel calls that 'CSV UTF-8'."
                )
            start = 3 if mark == b"\xef\xbb\xbf" else 0
            file.seek(start)
            line = file.readline(_LONGEST_LINE).decode("utf-8", "replace")
            self._delimiter = max(_DELIMITERS, key=line.count)
            file.seek(start)
            lines = _Lines(file, start, 1, path)
            with _explained(path, lines):
                header: list[str] | None = next(csv.reader(lines, delimiter=self._delimiter), None)
            self.columns = [each.strip() for each in header or ()]
            self._begin, self._first_line = lines.offset, lines.number
            self.odd_line = lines.odd
        if not any(self.columns) or "\0" in "".join(self.columns):
            raise InvalidParameterError(f"{path} begins with no header of a table.")

    def stretches(self, run: int | None, time: int | None) -> Iterator[tuple[str, object, Stretch]]:
        with open_file(self.path) as file:
            file.seek(self._begin)
            lines = _Lines(file, self._begin, self._first_line, self.path)
            reader = csv.reader(lines, delimiter=self._delimiter)
            current: str | None = None
            begin, number, count = lines.offset, lines.number, 0
            last: object = ""
            while True:
                at, line = lines.offset, lines.number
                with _explained(self.path, lines):
                    cells = next(reader, None)
                self.odd_line = self.odd_line or lines.odd
                if cells is None:
                    break
                if not cells:
                    continue
                owner = "" if run is None or run >= len(cells) else cells[run]
                if owner != current:
                    if current is not None:
                        yield current, last, Stretch(begin, count, number)
                    current, begin, number, count = owner, at, line, 0
                count += 1
                if time is not None and time < len(cells):
                    last = cells[time]
            if current is not None:
                yield current, last, Stretch(begin, count, number)

    def rows(self, stretches: Sequence[Stretch]) -> Iterator[Row]:
        with open_file(self.path) as file:
            for begin, count, number in stretches:
                file.seek(begin)
                lines = _Lines(file, begin, number, self.path)
                reader = csv.reader(lines, delimiter=self._delimiter)
                left = count
                while left:
                    line = lines.number
                    with _explained(self.path, lines):
                        cells = next(reader, None)
                    if cells is None:
                        break
                    if cells:
                        left -= 1
                        yield Row(f"line {line:,}", cells)


class _Lines:
    """The lines of a file as texts, with the place and number of the next one."""

    def __init__(self, file: BinaryIO, offset: int, number: int, path: Path) -> None:
        self._file = file
        self._path = path
        self.offset = offset
        self.number = number
        self.odd: int | None = None
        """The number of the first one that is not UTF-8."""

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._file.readline(_LONGEST_LINE)
        if not line:
            raise StopIteration
        if len(line) == _LONGEST_LINE:
            raise InvalidParameterError(
                f"{self._path}, line {self.number:,} has more than {_LONGEST_LINE:,} bytes."
            )
        self.offset += len(line)
        self.number += 1
        try:
            return line.decode()
        except UnicodeDecodeError:
            self.odd = self.odd or self.number - 1
            return line.decode("utf-8", "replace")


@contextmanager
def _explained(path: Path, lines: _Lines) -> Generator[None]:
    try:
        yield
    except csv.Error as error:
        raise InvalidParameterError(f"{path}, line {lines.number:,} is no CSV: {error}.") from error


class ParquetTable:
    """A Parquet file; one row group of it at a time is in memory.

    Raises:
        InvalidParameterError: it is none.
        MissingDependencyError: pyarrow is not here.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with open_file(path) as file:
            self._bytes = file.seek(0, io.SEEK_END)
        self.odd_line: int | None = None
        with self._opened() as file:
            self.columns = [str(each) for each in file.schema_arrow.names]
            for group in range(file.num_row_groups):
                count: int = file.metadata.row_group(group).num_rows
                if count * len(self.columns) > _MOST_CELLS:
                    raise InvalidParameterError(
                        f"{path} has {count:,} rows in row group {group + 1}, which are too many to be read at once. Write it "
                        "again with smaller groups, such as row_group_size=1_000_000 of pyarrow and pandas."
                    )

    @contextmanager
    def _opened(self) -> Generator[Any]:
        with parquet_file(self.path) as file:
            yield file

    def stretches(self, run: int | None, time: int | None) -> Iterator[tuple[str, object, Stretch]]:
        with self._opened() as file:
            for group in range(file.num_row_groups):
                count: int = file.metadata.row_group(group).num_rows
                if not count:
                    continue
                names = [self.columns[each] for each in (run, time) if each is not None]
                read: Any = file.read_row_group(group, columns=names) if names else None
                times: Any = None if time is None else read.column(self.columns[time])
                begin, current = 0, ""
                for at, owner in enumerate(() if run is None else _values(read.column(self.columns[run]))):
                    text = _owner(owner)
                    if text != current and at > 0:
                        last = None if times is None else times[at - 1].as_py()
                        yield current, last, Stretch(begin, at - begin, group)
                        begin = at
                    current = text
                last = None if times is None else times[count - 1].as_py()
                yield current, last, Stretch(begin, count - begin, group)

    def rows(self, stretches: Sequence[Stretch]) -> Iterator[Row]:
        with self._opened() as file:
            table: Any = None
            read = -1
            for begin, count, group in stretches:
                if group != read:
                    table, read = file.read_row_group(group), group
                for at in range(begin, begin + count, _BATCH):
                    piece = table.slice(at, min(_BATCH, begin + count - at))
                    columns: list[list[Any]] = [column.to_pylist() for column in piece.columns]
                    for number, cells in enumerate(zip(*columns, strict=True), at):
                        yield Row(f"row {number + 1:,} of row group {group + 1:,}", cells)


def _values(column: Any) -> Iterator[object]:
    for begin in range(0, len(column), _BATCH):
        yield from column.slice(begin, _BATCH).to_pylist()


def _owner(value: object) -> str:
    return "" if value is None else str(value)


@contextmanager
def parquet_file(path: Path) -> Generator[Any]:
    """Open a Parquet file, and turn what Arrow raises into an error that names it.

    Raises:
        InvalidParameterError: it is broken, or no Parquet.
        MissingDependencyError: pyarrow is not here.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingDependencyError(
            "Parquet needs the pyarrow library: pip install 'slipstream[imports]'"
        ) from error
    arrow: Any = pyarrow
    with open_file(path) as opened:
        try:
            file: Any = pyarrow.parquet.ParquetFile(opened)
            with file:
                yield file
        except (arrow.ArrowException, OSError, UnicodeDecodeError, OverflowError) as error:
            raise InvalidParameterError(f"{path} cannot be read as Parquet: {str(error)[:300]}") from error
