"""Histories as columns: many short series in one batch, long ones in several."""

import math
from array import array
from collections.abc import Iterable, Iterator

from slipstream.bulk.formats import Format
from slipstream.entities import SeriesPoints

BATCH = 65_536
"""Points after which a batch is closed; it may hold the rest of the series that it ends with."""
HISTORY_FORMATS = (Format.ARROW, Format.PARQUET, Format.CSV)
HISTORY_COLUMNS = ("run_id", "key", "step", "timestamp", "value")


class HistoryColumns:
    """Points of some series; runs and keys are numbers of the words beside them."""

    def __init__(self) -> None:
        self.runs: list[str] = []
        self.keys: list[str] = []
        self.run_codes = array("i")
        self.key_codes = array("i")
        self.steps = array("q")
        self.timestamps = array("q")
        self.values = array("d")
        self._run_code: dict[str, int] = {}
        self._key_code: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self.steps)

    def add(self, series: SeriesPoints) -> None:
        self.run_codes += array("i", [_code(series.run_id, self._run_code, self.runs)]) * len(series)
        self.key_codes += array("i", [_code(series.key, self._key_code, self.keys)]) * len(series)
        self.steps += series.steps
        self.timestamps += series.timestamps
        self.values += series.values


def _code(word: str, codes: dict[str, int], words: list[str]) -> int:
    code = codes.get(word)
    if code is None:
        code = codes[word] = len(words)
        words.append(word)
    return code


def gather(series: Iterable[SeriesPoints], size: int = BATCH) -> Iterator[HistoryColumns]:
    """Put series together to batches of about `size` points."""
    columns = HistoryColumns()
    for each in series:
        columns.add(each)
        if len(columns) >= size:
            yield columns
            columns = HistoryColumns()
    if len(columns):
        yield columns


def history_chunks(series: Iterable[SeriesPoints], form: Format) -> Iterator[bytes]:
    """Return a history as bytes of a format, piece by piece.

    Raises:
        MissingDependencyError: the format needs pyarrow, which is not here; raised at the call.
    """
    if form is Format.CSV:
        return _to_csv(series)
    from slipstream.bulk import arrow

    schema = arrow.history_schema()
    write = arrow.to_parquet if form is Format.PARQUET else arrow.to_arrow_stream
    return write(schema, arrow.history_batches(gather(series)))


def _to_csv(series: Iterable[SeriesPoints]) -> Iterator[bytes]:
    lines = [
        ",".join(HISTORY_COLUMNS)
    ]  # not sent before the first points: what goes wrong is then still told
    for each in series:
        start = f"{csv_text(each.run_id)},{csv_text(each.key)},"
        lines += [
            f"{start}{step},{timestamp},{csv_number(value)}"
            for step, timestamp, value in zip(each.steps, each.timestamps, each.values, strict=True)
        ]
        if len(lines) >= BATCH:
            yield _join(lines)
            lines = []
    if lines:
        yield _join(lines)


def _join(lines: list[str]) -> bytes:
    return ("\r\n".join(lines) + "\r\n").encode()


def csv_text(text: str) -> str:
    """Return a text as one field of CSV (RFC 4180)."""
    if any(mark in text for mark in ',"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


def csv_number(value: float) -> str:
    """Return a double so that it reads back as the same; NaN and infinities as in requests of ours."""
    if math.isfinite(value):
        return repr(value)
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
