"""Histories as Arrow, Parquet and CSV: read back by the libraries that people use."""

import io
import math
import struct
from array import array
from collections.abc import Iterator

import duckdb
import pandas
import polars
import pyarrow
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet
import pytest

from slipstream.bulk import arrow
from slipstream.bulk.formats import Format, choose_format
from slipstream.bulk.histories import gather, history_chunks
from slipstream.entities import SeriesPoints
from slipstream.errors import InternalError, InvalidParameterError, MissingDependencyError

RUNS = ("a" * 32, "b" * 32, "c" * 32)
VALUES = (0.1 + 0.2, -0.0, math.nan, math.inf, -math.inf, 5e-324, 1.7976931348623157e308)


def series(count: int = 3) -> Iterator[SeriesPoints]:
    for run in RUNS:
        for number in range(count):
            size = len(VALUES)
            yield SeriesPoints(
                run,
                f"größe/{number}",
                array("q", range(-(2**63), -(2**63) + size)),
                array("q", range(2**63 - size, 2**63)),
                array("d", VALUES),
            )


def rows() -> list[tuple[str, str, int, int, bytes]]:
    return [
        (each.run_id, each.key, step, at, struct.pack("d", value))
        for each in series()
        for step, at, value in zip(each.steps, each.timestamps, each.values, strict=True)
    ]


def exact(found: list[tuple[str, str, int, int, float]]) -> list[tuple[str, str, int, int, bytes]]:
    return [(run, key, step, at, struct.pack("d", value)) for run, key, step, at, value in found]


def whole(form: Format) -> bytes:
    return b"".join(history_chunks(series(), form))


def of_table(table: pyarrow.Table) -> list[tuple[str, str, int, int, bytes]]:
    return exact(list(zip(*(column.to_pylist() for column in table.columns), strict=True)))


def test_an_arrow_stream_is_read_back_exactly() -> None:
    table = pyarrow.ipc.open_stream(whole(Format.ARROW)).read_all()
    assert table.schema.names == ["run_id", "key", "step", "timestamp", "value"]
    assert pyarrow.types.is_dictionary(table.schema.field("run_id").type)
    assert of_table(table) == rows()
    assert table.to_pandas()["key"].unique().tolist() == ["größe/0", "größe/1", "größe/2"]
    assert exact(duckdb.from_arrow(table).fetchall()) == rows()
    assert exact(polars.read_ipc_stream(io.BytesIO(whole(Format.ARROW))).rows()) == rows()


def test_a_parquet_file_is_read_back_exactly(tmp_path) -> None:
    file = tmp_path / "h.parquet"
    file.write_bytes(whole(Format.PARQUET))
    assert of_table(pyarrow.parquet.read_table(file)) == rows()
    assert exact(list(pandas.read_parquet(file).itertuples(index=False, name=None))) == rows()
    assert exact(duckdb.sql(f"SELECT * FROM '{file}'").fetchall()) == rows()


def test_csv_is_read_back_exactly(tmp_path) -> None:
    file = tmp_path / "h.csv"
    file.write_bytes(whole(Format.CSV))
    frame = pandas.read_csv(file)
    assert exact(list(frame.itertuples(index=False, name=None))) == rows()
    options = pyarrow.csv.ConvertOptions(null_values=[])
    assert of_table(pyarrow.csv.read_csv(file, convert_options=options)) == rows()
    assert exact(duckdb.sql(f"SELECT * FROM '{file}'").fetchall()) == rows()


def test_texts_that_csv_has_to_quote(tmp_path) -> None:
    one = SeriesPoints('r,"1"', "k\nx", array("q", [1]), array("q", [2]), array("d", [3.0]))
    file = tmp_path / "h.csv"
    file.write_bytes(b"".join(history_chunks(iter([one]), Format.CSV)))
    assert duckdb.sql(f"SELECT * FROM '{file}'").fetchall() == [('r,"1"', "k\nx", 1, 2, 3.0)]


@pytest.mark.parametrize("form", [Format.ARROW, Format.PARQUET, Format.CSV])
def test_no_points_are_a_table_without_rows(form: Format) -> None:
    body = b"".join(history_chunks(iter(()), form))
    if form is Format.CSV:
        assert body == b"run_id,key,step,timestamp,value\r\n"
    elif form is Format.ARROW:
        assert pyarrow.ipc.open_stream(body).read_all().num_rows == 0
    else:
        assert pyarrow.parquet.read_table(io.BytesIO(body)).num_rows == 0


def test_short_series_share_a_batch_and_long_ones_close_it() -> None:
    sizes = [len(batch) for batch in gather(series(), size=3 * len(VALUES))]
    assert sizes == [3 * len(VALUES)] * 3
    assert [len(batch) for batch in gather(series(1), size=2)] == [len(VALUES)] * 3


def test_series_are_split_as_they_were_put_together() -> None:
    body = io.BytesIO(whole(Format.ARROW))
    found = [(each.run_id, each.key, len(each)) for each in arrow.read_series(body)]
    assert found == [(each.run_id, each.key, len(each)) for each in series()]


def test_a_stream_that_broke_off_is_an_error() -> None:
    body = whole(Format.ARROW)
    with pytest.raises(InternalError, match="broken"):
        list(arrow.read_series(io.BytesIO(body[: len(body) // 2])))


def test_what_lacks_pyarrow_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    assert not arrow.has_pyarrow()
    with pytest.raises(MissingDependencyError, match=r"slipstream\[data\]"):
        history_chunks(series(), Format.PARQUET)
    assert whole(Format.CSV).startswith(b"run_id,")


@pytest.mark.parametrize(
    ("name", "accept", "expected"),
    [
        (None, None, Format.ARROW),
        (None, "*/*", Format.ARROW),
        ("CSV", "application/vnd.apache.parquet", Format.CSV),
        (None, "text/html, text/csv;q=0.9", Format.CSV),
        (None, "application/vnd.apache.parquet", Format.PARQUET),
    ],
)
def test_which_format_a_request_means(name: str | None, accept: str | None, expected: Format) -> None:
    assert choose_format(name, accept, (Format.ARROW, Format.PARQUET, Format.CSV)) is expected


def test_a_format_that_there_is_not() -> None:
    with pytest.raises(InvalidParameterError, match="xlsx.*arrow, csv"):
        choose_format("xlsx", None, (Format.ARROW, Format.CSV))
