"""A table of runs as one file: all found runs, some columns, page by page."""

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import chain

from slipstream.bulk.formats import Format
from slipstream.bulk.histories import csv_number, csv_text
from slipstream.bulk.tables import Column, Kind
from slipstream.entities.run_table import CellValue, ColumnKind, RunTablePage, TableColumn

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


def run_table_chunks(
    all_pages: Iterator[RunTablePage], form: Format, *, for_spreadsheets: bool = False
) -> Iterator[bytes]:
    """Return a table of runs as bytes of a format, piece by piece.

    Args:
        all_pages: at least one, which may have no rows, all with the same columns.
        form: the format, which `require_format` has let pass.
        for_spreadsheets: CSV in which no text is taken for a formula; such texts begin with an apostrophe.
    """
    first = next(all_pages)
    columns = [*_FIXED, *(column for each in first.columns for column in _columns_of(each))]
    pages = _rows(chain([first], all_pages))
    if form is Format.CSV:
        return _to_csv(columns, pages, _harmless if for_spreadsheets else csv_text)
    from slipstream.bulk import arrow

    write = arrow.to_parquet if form is Format.PARQUET else arrow.to_arrow_stream
    return write(arrow.table_schema(columns), arrow.table_batches(columns, pages, keep_missing=True))


def _columns_of(shown: TableColumn) -> Iterator[Column]:
    yield Column(shown.key, _KINDS[shown.kind], "")
    if shown.steps is not None:
        yield Column(f"{shown.key} of step", "BIGINT", "of which step that value is, or nothing")


def _values_of(shown: TableColumn) -> Iterator[Sequence[CellValue]]:
    yield shown.values
    if shown.steps is not None:
        yield shown.steps


def _rows(pages: Iterator[RunTablePage]) -> Iterator[list[tuple[CellValue, ...]]]:
    for page in pages:
        if page.run_ids:
            fixed = (page.run_ids, page.names, page.statuses, page.start_times, page.end_times)
            shown = (values for each in page.columns for values in _values_of(each))
            yield list(zip(*fixed, *shown, strict=True))


def _to_csv(
    columns: list[Column], pages: Iterator[list[tuple[CellValue, ...]]], text: Callable[[str], str]
) -> Iterator[bytes]:
    def field(cell: CellValue) -> str:
        if cell is None:
            return ""
        return text(cell) if isinstance(cell, str) else csv_number(cell)

    yield (",".join(text(column.name) for column in columns) + "\r\n").encode("utf-8", "replace")
    for rows in pages:
        yield ("\r\n".join(",".join(map(field, row)) for row in rows) + "\r\n").encode("utf-8", "replace")


_FORMULA = re.compile(r"[=+\-@\t\r\n]")


def _harmless(text: str) -> str:
    """Return a text as one field that a spreadsheet shows as it is. Source: OWASP, CSV injection."""
    return csv_text(f"'{text}" if _FORMULA.match(text) and not _is_number(text) else text)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
