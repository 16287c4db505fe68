"""Arrow and Parquet: the one file that knows pyarrow."""

import importlib
import itertools
import math
from array import array
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from slipstream.bulk.histories import HistoryColumns
from slipstream.bulk.sinks import ChunkSink
from slipstream.bulk.tables import Column
from slipstream.entities import SeriesPoints
from slipstream.errors import InternalError, MissingDependencyError

_ROW_GROUP = 4
"""Batches of a Parquet row group."""


def load_pyarrow(module: str = "pyarrow") -> Any:
    """Import pyarrow or a part of it.

    Raises:
        MissingDependencyError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingDependencyError(
            "Arrow and Parquet need the pyarrow library: pip install 'slipstream[data]'. CSV needs nothing."
        ) from error


def has_pyarrow() -> bool:
    try:
        load_pyarrow()
    except MissingDependencyError:
        return False
    return True


def history_schema() -> Any:
    """Return the columns of histories; `timestamp` stays Unix milliseconds, as it was logged."""
    pa = load_pyarrow()
    words = pa.dictionary(pa.int32(), pa.string())
    return pa.schema(
        [
            pa.field("run_id", words, nullable=False),
            pa.field("key", words, nullable=False),
            pa.field("step", pa.int64(), nullable=False),
            pa.field("timestamp", pa.int64(), nullable=False),
            pa.field("value", pa.float64(), nullable=False),
        ]
    )


def history_batches(columns: Iterable[HistoryColumns]) -> Iterator[Any]:
    """Return record batches; each has dictionaries of its own words only, so that none grows."""
    pa = load_pyarrow()
    schema = history_schema()
    for each in columns:
        yield pa.RecordBatch.from_arrays(
            [
                pa.DictionaryArray.from_arrays(_array(pa, pa.int32(), each.run_codes), _texts(pa, each.runs)),
                pa.DictionaryArray.from_arrays(_array(pa, pa.int32(), each.key_codes), _texts(pa, each.keys)),
                _array(pa, pa.int64(), each.steps),
                _array(pa, pa.int64(), each.timestamps),
                _array(pa, pa.float64(), each.values),
            ],
            schema=schema,
        )


def _array(pa: Any, kind: Any, values: "array[Any]") -> Any:
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(values)])


def _texts(pa: Any, values: Sequence[str | None]) -> Any:
    """Return texts as an array. Not by `pyarrow.array`, which imports pandas wherever that is installed."""
    offsets = array("i", [0])
    encoded = [b"" if value is None else value.encode("utf-8", "replace") for value in values]
    offsets.extend(itertools.accumulate(map(len, encoded)))
    buffers = [_validity(pa, values), pa.py_buffer(offsets), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(pa.string(), len(values), buffers)


def _numbers(pa: Any, kind: Any, code: str, values: Sequence[float | None]) -> Any:
    filled = array(code, [0 if value is None else value for value in values])
    return pa.Array.from_buffers(kind, len(values), [_validity(pa, values), pa.py_buffer(filled)])


def _validity(pa: Any, values: Sequence[object]) -> Any:
    if None not in values:
        return None
    bits = bytearray((len(values) + 7) // 8)
    for index, value in enumerate(values):
        if value is not None:
            bits[index >> 3] |= 1 << (index & 7)
    return pa.py_buffer(bytes(bits))


def table_schema(columns: Sequence[Column]) -> Any:
    """Return the Arrow types of a table's columns."""
    pa = load_pyarrow()
    kinds = {"VARCHAR": pa.string(), "BIGINT": pa.int64(), "DOUBLE": pa.float64()}
    return pa.schema([pa.field(column.name, kinds[column.kind]) for column in columns])


def table_batches(
    columns: Sequence[Column], pages: Iterable[Sequence[Sequence[Any]]], *, keep_missing: bool = False
) -> Iterator[Any]:
    """Return rows as record batches, one a page.

    Without `keep_missing` a double that is not there becomes NaN; with it, nothing, so that it differs from a logged NaN.
    """
    pa = load_pyarrow()
    schema = table_schema(columns)
    for rows in pages:
        arrays: list[Any] = []
        for column, values in zip(columns, zip(*rows, strict=True), strict=True):
            if column.kind == "VARCHAR":
                texts = [value if value is None or isinstance(value, str) else str(value) for value in values]
                arrays.append(_texts(pa, texts))
            elif column.kind == "BIGINT":
                arrays.append(_numbers(pa, pa.int64(), "q", values))
            else:
                doubles = (
                    values if keep_missing else [math.nan if value is None else value for value in values]
                )
                arrays.append(_numbers(pa, pa.float64(), "d", doubles))
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def to_arrow_stream(schema: Any, batches: Iterable[Any]) -> Iterator[bytes]:
    """Return an Arrow IPC stream, batch by batch."""
    ipc = load_pyarrow("pyarrow.ipc")
    sink = ChunkSink()
    with ipc.new_stream(sink, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
            yield sink.take()
    yield sink.take()


def to_parquet(schema: Any, batches: Iterable[Any]) -> Iterator[bytes]:
    """Return a Parquet file, some batches a row group."""
    pa = load_pyarrow()
    parquet = load_pyarrow("pyarrow.parquet")
    sink = ChunkSink()
    with parquet.ParquetWriter(sink, schema, compression="zstd") as writer:
        for group in _groups(batches):
            writer.write_table(pa.Table.from_batches(group, schema=schema))
            yield sink.take()
    yield sink.take()


def _groups(batches: Iterable[Any]) -> Iterator[Sequence[Any]]:
    group: list[Any] = []
    for batch in batches:
        group.append(batch)
        if len(group) == _ROW_GROUP:
            yield group
            group = []
    if group:
        yield group


def history_table(columns: Iterable[HistoryColumns]) -> Any:
    """Return all of some histories as one table."""
    pa = load_pyarrow()
    return pa.Table.from_batches(history_batches(columns), schema=history_schema()).unify_dictionaries()


def read_series(body: Any) -> Iterator[SeriesPoints]:
    """Return what `history_chunks` wrote as an Arrow stream; `body` has `read(size)`.

    Raises:
        InternalError: the stream is no whole one. What `read` raises goes through.
    """
    pa, ipc = load_pyarrow(), load_pyarrow("pyarrow.ipc")
    try:
        with ipc.open_stream(body) as reader:
            for batch in reader:
                yield from _split(batch)
    except (pa.ArrowInvalid, OSError) as error:
        raise InternalError(f"The Arrow stream is broken ({error}). Ask for it again.") from error


def _split(batch: Any) -> Iterator[SeriesPoints]:
    """Return the series of a batch, which lie one after the other."""
    compute = load_pyarrow("pyarrow.compute")
    runs, keys, *numbers = batch.columns
    ends: set[int] = set()
    for words in (runs, keys):
        ends.update(compute.run_end_encode(words.indices).run_ends.to_pylist())
    start = 0
    for end in sorted(ends):
        steps, timestamps, values = (
            _buffer(kind, column, start, end) for kind, column in zip("qqd", numbers, strict=True)
        )
        yield SeriesPoints(runs[start].as_py(), keys[start].as_py(), steps, timestamps, values)
        start = end


def _buffer(kind: str, column: Any, start: int, end: int) -> "array[Any]":
    values: array[Any] = array(kind)
    first = column.offset + start
    values.frombytes(memoryview(column.buffers()[1])[first * 8 : (column.offset + end) * 8])
    return values
