"""A table of runs as one file: all found runs, some columns, page by page."""

from collections.abc import Iterator
from itertools import chain

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


def require_format(form: Format) -> None:
    """Refuse a format that cannot be written here.

    Raises:
        MissingDependencyError: it needs pyarrow.
    """
    if form is not Format.CSV:
        from slipstream.bulk import arrow

        arrow.load_pyarrow()


def run_table_chunks(all_pages: Iterator[RunTablePage], form: Format) -> Iterator[bytes]:
    """Return a table of runs as bytes of a format, piece by piece.

    Args:
        all_pages: at least one, which may have no rows, all with the same columns.
        form: the format, which `require_format` has let pass.
    """
    first = next(all_pages)
    columns = [*_FIXED, *(Column(each.key, _KINDS[each.kind], "") for each in first.columns)]
    pages = _rows(chain([first], all_pages))
    if form is Format.CSV:
        return _to_csv(columns, pages)
    from slipstream.bulk import arrow

    write = arrow.to_parquet if form is Format.PARQUET else arrow.to_arrow_stream
    return write(arrow.table_schema(columns), arrow.table_batches(columns, pages, keep_missing=True))


def _rows(pages: Iterator[RunTablePage]) -> Iterator[list[tuple[CellValue, ...]]]:
    for page in pages:
        if page.run_ids:
            fixed = (page.run_ids, page.names, page.statuses, page.start_times, page.end_times)
            yield list(zip(*fixed, *(each.values for each in page.columns), strict=True))


def _to_csv(columns: list[Column], pages: Iterator[list[tuple[CellValue, ...]]]) -> Iterator[bytes]:
    yield (",".join(csv_text(column.name) for column in columns) + "\r\n").encode()
    for rows in pages:
        yield ("\r\n".join(",".join(map(_field, row)) for row in rows) + "\r\n").encode("utf-8", "replace")


def _field(cell: CellValue) -> str:
    if cell is None:
        return ""
    return csv_number(cell) if isinstance(cell, float) else csv_text(str(cell))
