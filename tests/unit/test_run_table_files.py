"""The runs table as a file: all found runs, each once, in the formats that other programs read."""

import csv
import io
import json
import math
import threading
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import msgspec
import pyarrow.ipc
import pyarrow.parquet
import pytest

from server_process import ServerProcess
from slipstream.api import run_exports
from slipstream.bulk.formats import Format
from slipstream.bulk.run_tables import run_table_chunks
from slipstream.bulk.spool import made_ahead
from slipstream.client.rest import RestStore
from slipstream.client.transport import Transport
from slipstream.entities import Metric
from slipstream.entities.run_table import RunTablePage, TableColumn
from slipstream.store.base import Store
from slipstream.store.engine import QueuedStore, open_engine

VALUES = [0.1 + 0.2, None, math.nan, math.inf, -5e-324]
TEXTS = ["a,b", None, '=1+"1"', "größe\n", ""]


def page(offset: int, runs: list[int], total: int) -> RunTablePage:
    return RunTablePage(
        total=total,
        offset=offset,
        cursor=1,
        run_ids=[f"{number:032x}" for number in runs],
        names=[f"run {number}" for number in runs],
        statuses=["RUNNING" for _ in runs],
        start_times=[1_790_000_000_000 + number for number in runs],
        end_times=[None for _ in runs],
        experiment_ids=["1" for _ in runs],
        columns=[
            TableColumn(key="metrics.val/loss", kind="number", values=[VALUES[each % 5] for each in runs]),
            TableColumn(key="params.p", kind="text", values=[TEXTS[each % 5] for each in runs]),
            TableColumn(key="attributes.end_time", kind="time", values=[None for _ in runs]),
        ],
    )


def pages_of(runs: int, at_once: int) -> Iterator[RunTablePage]:
    for offset in range(0, max(1, runs), at_once):
        yield page(offset, list(range(offset, min(runs, offset + at_once))), runs)


def test_a_parquet_file_has_all_rows_and_tells_nothing_from_nan() -> None:
    body = b"".join(run_table_chunks(pages_of(25, 4), Format.PARQUET))
    table = pyarrow.parquet.read_table(io.BytesIO(body))

    assert table.num_rows == 25
    assert table.column_names == [
        "run_id",
        "name",
        "status",
        "start_time",
        "end_time",
        "metrics.val/loss",
        "params.p",
        "attributes.end_time",
    ]
    assert table["name"].to_pylist() == [f"run {number}" for number in range(25)]
    found = table["metrics.val/loss"].to_pylist()
    assert str(found) == str([VALUES[each % 5] for each in range(25)])
    assert table["params.p"].to_pylist() == [TEXTS[each % 5] for each in range(25)]
    assert table["end_time"].null_count == 25


def test_arrow_and_csv_say_the_same() -> None:
    body = b"".join(run_table_chunks(pages_of(7, 3), Format.ARROW))
    table = pyarrow.ipc.open_stream(body).read_all()
    text = b"".join(run_table_chunks(pages_of(7, 3), Format.CSV)).decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))

    assert table["run_id"].to_pylist() == [row["run_id"] for row in rows]
    assert [row["params.p"] for row in rows] == [TEXTS[each % 5] or "" for each in range(7)]
    assert [row["metrics.val/loss"] for row in rows][:5] == [
        "0.30000000000000004",
        "",
        "NaN",
        "Infinity",
        "-5e-324",
    ]


def stepped(runs: int) -> RunTablePage:
    whole = page(0, list(range(runs)), runs)
    of_step = TableColumn(
        key="metrics.m:step=5",
        kind="number",
        values=[0.5 if each % 2 else None for each in range(runs)],
        steps=[(1 << 53) + 1 if each % 2 else None for each in range(runs)],
    )
    return msgspec.structs.replace(whole, columns=[of_step, *whole.columns])


def test_a_value_at_a_step_stands_beside_the_step_that_it_is_of() -> None:
    body = b"".join(run_table_chunks(iter([stepped(4)]), Format.PARQUET))
    table = pyarrow.parquet.read_table(io.BytesIO(body))
    text = b"".join(run_table_chunks(iter([stepped(4)]), Format.CSV)).decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))

    assert table.column_names[5:8] == ["metrics.m:step=5", "metrics.m:step=5 of step", "metrics.val/loss"]
    assert table["metrics.m:step=5"].to_pylist() == [None, 0.5, None, 0.5]
    assert table["metrics.m:step=5 of step"].to_pylist() == [None, (1 << 53) + 1, None, (1 << 53) + 1]
    assert [row["metrics.m:step=5 of step"] for row in rows] == ["", "9007199254740993"] * 2
    assert [row["params.p"] for row in rows] == [TEXTS[each] or "" for each in range(4)]


def test_no_text_is_a_formula_where_a_spreadsheet_opens_it() -> None:
    texts = ["=1+1", "+1", "-0.5", "-x", "@SUM(A1)", "\t=1", "a=1", "-1e-3", '=1+"1"', "\n=1", "\r=1"]
    whole = page(0, list(range(len(texts))), len(texts))
    column = TableColumn(key="params.=p", kind="text", values=list(texts))
    pages = msgspec.structs.replace(whole, names=texts, columns=[column])

    text = b"".join(run_table_chunks(iter([pages]), Format.CSV, for_spreadsheets=True)).decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    plain = b"".join(run_table_chunks(iter([pages]), Format.CSV)).decode()

    assert [row["params.=p"] for row in rows] == [
        "'=1+1",
        "+1",
        "-0.5",
        "'-x",
        "'@SUM(A1)",
        "'\t=1",
        "a=1",
        "-1e-3",
        '\'=1+"1"',
        "'\n=1",
        "'\r=1",
    ]
    assert [row["name"] for row in rows] == [row["params.=p"] for row in rows]
    assert [row["name"] for row in csv.DictReader(io.StringIO(plain, newline=""))] == texts


def test_a_table_without_rows_has_its_columns() -> None:
    body = b"".join(run_table_chunks(pages_of(0, 3), Format.PARQUET))
    table = pyarrow.parquet.read_table(io.BytesIO(body))

    assert (table.num_rows, table.num_columns) == (0, 8)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[QueuedStore]:
    if request.param == "sqlite":
        uri = f"sqlite:///{tmp_path}/tracking.db"
    else:
        uri = request.getfixturevalue("postgres_database")
    engine = open_engine(uri, str(tmp_path / "artifacts"), durability="normal")
    yield QueuedStore(engine)
    engine.close()


@pytest.mark.parametrize("order", [[], ["metrics.m ASC"]])
def test_what_is_written_meanwhile_is_not_in_it(
    store: QueuedStore, order: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_exports, "_AT_ONCE", 2)
    experiment = store.create_experiment(f"export {len(order)}")
    runs = [store.create_run(experiment, start_time=1_000 + number).info.run_id for number in range(9)]
    for number, run in enumerate(runs):
        store.log_batch(run, [Metric("m", float(number), 1)])
    written: list[bytes] = []

    def change_everything() -> None:
        # newer than all, so that with places instead of one view each page would begin with rows of the one before
        late = store.create_run(experiment, start_time=5_000).info.run_id
        store.log_batch(late, [Metric("m", -1.0, 1)])
        store.delete_run(runs[0])
        for run in runs[1:]:
            store.log_batch(run, [Metric("m", 100.0, 2)])

    def make(put: Callable[[bytes], None]) -> Callable[[bytes], None]:
        def put_and_change(part: bytes) -> None:
            put(part)
            if len(written) == 1:  # after the head and before the rows of the second page
                change_everything()
            written.append(part)

        return put_and_change

    original = run_exports.made_ahead
    monkeypatch.setattr(run_exports, "made_ahead", lambda made: original(lambda put: made(make(put))))
    request = run_exports.ExportRunTable(
        experiment_ids=[experiment], columns=["metrics.m"], order_by=order, format="csv"
    )
    text = b"".join(run_exports.export_run_table(cast("Store", store), request).chunks).decode()
    found = [(row["run_id"], row["metrics.m"]) for row in csv.DictReader(io.StringIO(text, newline=""))]
    expected = [(run, str(float(number))) for number, run in enumerate(runs)]
    assert len(written) > 4
    assert found == (expected if order else expected[::-1])


def test_a_client_that_goes_ends_its_export(store: QueuedStore) -> None:
    ended = threading.Event()

    def make(put: Callable[[bytes], None]) -> None:
        try:
            while True:
                put(b"x" * 1_000)
        finally:
            ended.set()

    pieces = made_ahead(make)
    assert next(pieces) is not None
    pieces.close()  # type: ignore[attr-defined]
    assert ended.wait(30)


def test_what_goes_wrong_while_it_is_made_is_told() -> None:
    def make(put: Callable[[bytes], None]) -> None:
        put(b"begun")
        raise LookupError("gone")

    with pytest.raises(LookupError, match="gone"):
        list(made_ahead(make))


def test_a_slow_maker_gives_empty_pieces_meanwhile() -> None:
    may_end = threading.Event()

    def make(put: Callable[[bytes], None]) -> None:
        may_end.wait(30)
        put(b"late")

    pieces = made_ahead(make)
    assert next(pieces) == b""
    may_end.set()
    assert b"".join(pieces) == b"late"


def test_a_server_writes_what_a_search_finds(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, "--durability", "normal")
    try:
        store = RestStore(Transport(server.url))
        experiment = store.create_experiment("one")
        for number in range(6):
            run = store.create_run(experiment, run_name=f"r{number}").info.run_id
            store.log_param(run, "kind", "odd" if number % 2 else "even")
            store.log_batch(run, [Metric("m", float(number), 1), Metric("m", number + 0.5, 2)])
        body = {
            "experiment_ids": [experiment],
            "filter": "params.kind = 'odd'",
            "order_by": ["metrics.m DESC"],
            "columns": ["metrics.m", "metrics.m:min", "params.kind"],
            "format": "parquet",
        }
        status, kind, content = _ask(server, body)
        assert (status, kind) == (200, "application/vnd.apache.parquet")
        table = pyarrow.parquet.read_table(io.BytesIO(content))
        assert table["name"].to_pylist() == ["r5", "r3", "r1"]
        assert table["metrics.m"].to_pylist() == [5.5, 3.5, 1.5]
        assert table["metrics.m:min"].to_pylist() == [5.0, 3.0, 1.0]

        status, _, content = _ask(server, {**body, "filter": "params.kind ="})
        assert status == 400
        assert json.loads(content)["error_code"] == "INVALID_PARAMETER_VALUE"
        status, _, content = _ask(server, {**body, "format": "xlsx"})
        assert status == 400
        assert b"parquet, arrow, csv" in content
    finally:
        server.stop()


def _ask(server: ServerProcess, body: dict[str, object]) -> tuple[int, str, bytes]:
    parts = urlsplit(server.url)
    connection = HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    try:
        connection.request(
            "POST",
            "/api/slipstream/v1/runs/export",
            json.dumps(body),
            {"Content-Type": "application/json"},
        )
        answer = connection.getresponse()
        return answer.status, answer.headers["Content-Type"], answer.read()
    finally:
        connection.close()
