"""A table of runs as one file: all found runs, some columns, page by page."""

from collections.abc import Callable, Iterator

from slipstream.bulk.formats import Format
from slipstream.bulk.histories import csv_number, csv_text
from slipstream.bulk.tables import Column, Kind
from slipstream.entities.run_table import CellValue, ColumnKind, RunTablePage

RUN_TABLE_FORMATS = (Format.PARQUET, Format.ARROW, Format.CSV)
_FIXED = (
    Column("run_id", "VARCHAR", "id of the run"),
    Column("name", "VARCHAR", "name"),
    Column("status", "VARCHAR", "status"),
    Column("start_time", "BIGINT", "Unix milliseconds"),
    Column("end_time", "BIGINT", "Unix milliseconds; nothing while it runs"),
)
_KINDS: dict[ColumnKind, Kind] = {"number": "DOUBLE", "text": "VARCHAR", "time": "BIGINT"}

ReadPage = Callable[[int], RunTablePage]
"""Read the page that begins at an offset."""


def run_table_chunks(read: ReadPage, form: Format) -> Iterator[bytes]:
    """Return a table of runs as bytes of a format, piece by piece.

    The first page is read at the call, so that what is wrong with the search is said before anything is sent.

    Raises:
        MissingDependencyError: the format needs pyarrow, which is not here; raised at the call.
    """
    if form is not Format.CSV:
        from slipstream.bulk import arrow

        arrow.load_pyarrow()
    first = read(0)
    columns = [*_FIXED, *(Column(each.key, _KINDS[each.kind], "") for each in first.columns)]
    pages = _rows(first, read)
    if form is Format.CSV:
        return _to_csv(columns, pages)
    from slipstream.bulk import arrow

    write = arrow.to_parquet if form is Format.PARQUET else arrow.to_arrow_stream
    return write(arrow.table_schema(columns), arrow.table_batches(columns, pages, keep_missing=True))


def _rows(first: RunTablePage, read: ReadPage) -> Iterator[list[tuple[CellValue, ...]]]:
    """Return the rows of each page.

    Runs that begin while it goes on push others into the next page; each run is told once.
    """
    page = first
    seen: set[str] = set()
    while page.run_ids:
        fixed = (page.run_ids, page.names, page.statuses, page.start_times, page.end_times)
        lists = (*fixed, *(each.values for each in page.columns))
        rows = [row for row in zip(*lists, strict=True) if row[0] not in seen]
        seen.update(page.run_ids)
        if rows:
            yield rows
        following = page.offset + len(page.run_ids)
        if following >= page.total:
            return
        page = read(following)


def _to_csv(columns: list[Column], pages: Iterator[list[tuple[CellValue, ...]]]) -> Iterator[bytes]:
    yield (",".join(csv_text(column.name) for column in columns) + "\r\n").encode()
    for rows in pages:
        yield ("\r\n".join(",".join(map(_field, row)) for row in rows) + "\r\n").encode("utf-8", "replace")


def _field(cell: CellValue) -> str:
    if cell is None:
        return ""
    return csv_number(cell) if isinstance(cell, float) else csv_text(str(cell))
