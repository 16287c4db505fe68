"""`slipstream sql`: what it answers, in which formats, and what it refuses."""

import contextlib
import http.client
import io
import json
import math
import struct
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pandas
import pyarrow.ipc
import pyarrow.parquet
import pytest
from click.testing import CliRunner

import slipstream
from server_process import ServerProcess
from slipstream.bulk.formats import Format
from slipstream.bulk.sql import SQL_FORMATS
from slipstream.bulk.tables import TABLES
from slipstream.cli.main import main
from slipstream.client.connect import connect
from slipstream.client.sql import read_sql, to_filter
from slipstream.entities import Dataset, DatasetInput, InputTag, Metric
from slipstream.errors import (
    DeadlineExceededError,
    InvalidParameterError,
    MissingDependencyError,
    NotImplementedByServerError,
    SlipstreamError,
    TooManyRequestsError,
)
from slipstream.store.views import VIEWS

VALUES = [0.1 + 0.2, math.nan, math.inf, -math.inf, 5e-324]
SECRET = "hush-hush-webhook"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database that holds a little of everything."""
    folder = tmp_path_factory.mktemp("sql")
    slipstream.set_tracking_uri(f"sqlite:///{folder / 's.db'}")
    client = slipstream.SlipstreamClient()
    experiment = client.create_experiment("e", tags={"team": "a"})
    for number in range(3):
        run = client.create_run(experiment, run_name=f"r{number}").info.run_id
        points = [Metric("loss", number + i / 4, 100 + i, i) for i in range(4)]
        client.log_batch(run, [*points, *(Metric("odd", value, 1, i) for i, value in enumerate(VALUES))])
        client.log_param(run, "lr", number / 10)
    other = client.create_run("0", run_name="other").info.run_id
    client.log_metric(other, "loss", 9.0, 1, 1)
    entry = DatasetInput(
        dataset=Dataset(name="d", digest="1", source_type="local", source="{}"),
        tags=[InputTag("mlflow.data.context", "training")],
    )
    client.log_inputs(other, [entry])
    model = client.create_logged_model("0", "net", params={"depth": "3"}, tags={"k": "v"})
    client.create_registered_model("m", tags={"owner": "ann"}, description=None)
    client.create_model_version("m", "s3://b/x", tags={"ok": "1"})
    client.create_model_version("m", "s3://b/y")
    client.set_registered_model_alias("m", "best", "2")
    client.create_webhook("w", "https://93.184.216.34/x", events=["registered_model.created"], secret=SECRET)
    assert model.model_id
    slipstream.set_tracking_uri("")
    return folder


@pytest.fixture(scope="module")
def server(place: Path) -> Iterator[ServerProcess]:
    server = ServerProcess(place, backend=f"sqlite:///{place / 's.db'}")
    yield server
    assert server.stop() == 0


@pytest.fixture
def local(place: Path) -> Iterator[None]:
    slipstream.set_tracking_uri(f"sqlite:///{place / 's.db'}")
    yield
    slipstream.set_tracking_uri("")


@pytest.fixture
def remote(server: ServerProcess, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    slipstream.set_tracking_uri(server.url)
    monkeypatch.setenv("SLIPSTREAM_HTTP_REQUEST_MAX_RETRIES", "0")
    yield
    slipstream.set_tracking_uri("")


@pytest.fixture(params=["local", "remote"])
def tracked(request: pytest.FixtureRequest) -> str:
    request.getfixturevalue(request.param)
    return request.param


def rows(query: str, **options: object) -> list[tuple[object, ...]]:
    return list(slipstream.sql(query, **options).itertuples(index=False, name=None))


# -- what it answers --------------------------------------------------------------------------------
def test_joins_and_windows_over_runs_and_metrics(tracked: str) -> None:
    found = rows(
        "SELECT r.run_name, p.value, min(h.value), count(*) FROM runs r JOIN params p USING (run_id) "
        "JOIN metric_history h USING (run_id) WHERE p.key = 'lr' AND h.key = 'loss' GROUP BY ALL ORDER BY 1"
    )
    assert found == [("r0", "0.0", 0.0, 4), ("r1", "0.1", 1.0, 4), ("r2", "0.2", 2.0, 4)]


@pytest.mark.parametrize("name", list(TABLES))
def test_every_table_has_its_columns(local: None, name: str) -> None:
    frame = slipstream.sql(f'SELECT * FROM "{name}"')
    assert list(frame.columns) == [column.name for column in TABLES[name].columns]
    types = slipstream.sql(f"SELECT {', '.join(f'typeof({c})' for c in frame.columns)} FROM {name} LIMIT 1")
    assert all(
        kind == column.kind
        for row in types.itertuples(index=False)
        for kind, column in zip(row, TABLES[name].columns, strict=True)
    )
    assert len(frame) > 0


def test_tables_and_views_are_the_same() -> None:
    assert set(TABLES) == {*VIEWS, "metric_history"}


def test_registry(tracked: str) -> None:
    assert rows("SELECT name, version, source FROM model_versions ORDER BY 2") == [
        ("m", 1, "s3://b/x"),
        ("m", 2, "s3://b/y"),
    ]
    assert rows("SELECT * FROM model_aliases") == [("m", "best", 2)]
    assert rows("SELECT * FROM registered_model_tags") == [("m", "owner", "ann")]
    assert rows("SELECT version, key, value FROM model_version_tags") == [(1, "ok", "1")]


def test_values_are_exact(tracked: str) -> None:
    found = rows("SELECT value FROM metric_history WHERE key = 'odd' ORDER BY run_id, step LIMIT 5")
    assert [struct.pack("d", value) for (value,) in found] == [struct.pack("d", value) for value in VALUES]
    assert rows("SELECT count(*) FROM latest_metrics WHERE key = 'odd' AND value = 5e-324") == [(3,)]
    assert rows("SELECT count(*) FROM metric_history WHERE isnan(value)") == [(3,)]


def test_rows_that_a_query_sees(tracked: str) -> None:
    (run,) = rows("SELECT run_id FROM runs WHERE run_name = 'r1'")[0]
    assert rows("SELECT DISTINCT run_id FROM metric_history", run_ids=[run]) == [(run,)]
    assert rows("SELECT run_name FROM runs", run_ids=[run]) == [("r1",)]
    assert rows("SELECT value FROM params", run_ids=[run]) == [("0.1",)]
    assert rows("SELECT max(value) FROM metric_history", experiment_ids=["0"]) == [(9.0,)]
    assert rows("SELECT max(value) FROM latest_metrics", experiment_ids=["0"]) == [(9.0,)]
    assert rows("SELECT name FROM experiments", experiment_ids=["1"]) == [("e",)]
    assert rows("SELECT DISTINCT key FROM metric_history", keys=["lo*"]) == [("loss",)]
    assert rows("SELECT DISTINCT key FROM latest_metrics", keys=["lo*"]) == [("loss",)]
    assert rows("SELECT DISTINCT key FROM latest_metrics", keys=["odd"], run_ids=[run]) == [("odd",)]
    assert rows("SELECT count(*) FROM runs", run_ids=[]) == [(0,)]
    assert rows("SELECT count(*) FROM metric_history", run_ids=[]) == [(0,)]


@pytest.mark.parametrize(
    "query",
    [
        "WITH q AS (SELECT 1 AS a) SELECT a FROM q",
        "VALUES (1)",
        "FROM (SELECT 1)",
        "SELECT 1; ",
        "-- a remark\nSELECT 1 /* another */",
        "SELECT sum(a) FROM (WITH RECURSIVE t(a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM t WHERE a < 1) SELECT a FROM t)",
    ],
)
def test_kinds_of_select(local: None, query: str) -> None:
    assert rows(query) == [(1,)]


def test_explain(local: None) -> None:
    for options in ("(FORMAT json)", "ANALYZE", "( analyze, format json )"):
        assert rows(f"-- so\n/* why */ EXPLAIN {options} SELECT count(*) FROM runs")
    assert "runs" in str(rows("EXPLAIN SELECT * FROM runs"))


def test_tables_and_columns_are_shown(local: None) -> None:
    assert sorted(row[0] for row in rows("SHOW TABLES")) == sorted(TABLES)
    assert [row[:2] for row in rows("DESCRIBE experiment_tags")] == [
        ("experiment_id", "VARCHAR"),
        ("key", "VARCHAR"),
        ("value", "VARCHAR"),
    ]
    assert len(rows("SUMMARIZE runs")) == len(TABLES["runs"].columns)
    assert rows("PIVOT runs ON status IN ('RUNNING') USING count(*) GROUP BY experiment_id ORDER BY 1") == [
        ("0", 1),
        ("1", 3),
    ]


def test_names_of_tables_in_capitals_and_in_depth(local: None) -> None:
    assert rows(
        'SELECT count(*) FROM "Runs" WHERE EXISTS (SELECT 1 FROM PARAMS p WHERE p.run_id = "Runs".run_id)'
    ) == [(3,)]


# -- formats ----------------------------------------------------------------------------------------
ODD = (
    "SELECT * FROM (VALUES (1, 'a,\"b\"', 0.5::DOUBLE, DATE '2020-01-02', NULL, [1, 2]), "
    "(9223372036854775807, 'ü', 'NaN'::DOUBLE, NULL, true, NULL)) AS t(i, s, d, day, yes, list)"
)


def whole(form: Format, query: str = ODD) -> bytes:
    return b"".join(read_sql(query, form, to_filter(None, None, None), None))


def test_json(tracked: str) -> None:
    assert json.loads(whole(Format.JSON)) == {
        "columns": [
            {"name": "i", "type": "BIGINT"},
            {"name": "s", "type": "VARCHAR"},
            {"name": "d", "type": "DOUBLE"},
            {"name": "day", "type": "DATE"},
            {"name": "yes", "type": "BOOLEAN"},
            {"name": "list", "type": "INTEGER[]"},
        ],
        "rows": [
            [1, 'a,"b"', 0.5, "2020-01-02", None, [1, 2]],
            [9223372036854775807, "ü", "NaN", None, True, None],
        ],
    }
    assert json.loads(whole(Format.JSON, "SELECT 1 AS a WHERE false"))["rows"] == []


def test_csv(tracked: str, tmp_path: Path) -> None:
    assert whole(Format.CSV).decode() == (
        'i,s,d,day,yes,list\r\n1,"a,""b""",0.5,2020-01-02,,"[1, 2]"\r\n9223372036854775807,ü,NaN,,true,\r\n'
    )
    assert whole(Format.CSV, "SELECT 1 AS a WHERE false") == b"a\r\n"


def test_arrow_and_parquet(tracked: str) -> None:
    expected = duckdb.sql(ODD).fetchall()
    table = pyarrow.ipc.open_stream(whole(Format.ARROW)).read_all()
    assert str(list(zip(*(c.to_pylist() for c in table.columns), strict=True))) == str(expected)
    table = pyarrow.parquet.read_table(pyarrow.BufferReader(whole(Format.PARQUET)))
    assert str(list(zip(*(c.to_pylist() for c in table.columns), strict=True))) == str(expected)


@pytest.mark.parametrize("form", [Format.JSON, Format.CSV])
@pytest.mark.parametrize("query", ["'infinity'::TIMESTAMP", "'290000-01-01'::DATE", "['290000-01-01'::DATE]"])
def test_times_after_the_last_one_of_json_are_refused(tracked: str, form: Format, query: str) -> None:
    with pytest.raises(InvalidParameterError, match=r"column 'far'.*Cast it to a text"):
        whole(form, f"SELECT 1 AS near, {query} AS far")
    assert b"290000" in whole(form, "SELECT CAST('290000-01-01'::DATE AS VARCHAR)")


@pytest.mark.parametrize("text", ["290000-01-01", "infinity"])
def test_times_that_pandas_cannot_hold_are_refused(tracked: str, text: str) -> None:
    with pytest.raises(InvalidParameterError, match="CAST"):
        slipstream.sql(f"SELECT '{text}'::DATE")


@pytest.mark.parametrize("form", list(SQL_FORMATS))
@pytest.mark.parametrize(
    "value",
    ["340282366920938463463374607431768211455::UHUGEINT", "'12:00:00+02'::TIMETZ", "[1::UHUGEINT]"],
)
def test_values_that_would_arrive_as_others_are_refused(local: None, value: str, form: Format) -> None:
    with pytest.raises(InvalidParameterError, match="CAST"):
        whole(form, f"SELECT {value} AS x")
    assert whole(Format.CSV, f"SELECT CAST(x AS VARCHAR) FROM (SELECT {value} AS x)")


def test_types_without_a_word_in_json(local: None) -> None:
    query = "SELECT 1.50::DECIMAL(5,2), 'ab'::BLOB, TIMESTAMP '2020-01-02 03:04:05', INTERVAL 1 DAY, {'a': 'inf'::DOUBLE}, 1::HUGEINT"
    (row,) = json.loads(whole(Format.JSON, query))["rows"]
    assert row[:3] == ["1.50", "6162", "2020-01-02T03:04:05"]
    assert row[4] == {"a": "Infinity"}
    assert row[5] in (1, "1")


# -- what is refused --------------------------------------------------------------------------------
ATTACKS = [
    # changing
    "INSERT INTO runs VALUES (1)", "UPDATE runs SET run_id = 'x'", "DELETE FROM runs", "DROP TABLE runs",
    "CREATE TABLE x AS SELECT 1", "ALTER TABLE runs RENAME TO y", "CREATE MACRO f() AS 1", "TRUNCATE runs",
    "MERGE INTO runs USING params ON true WHEN MATCHED THEN DELETE", "VACUUM", "CHECKPOINT", "BEGIN", "ANALYZE",
    "SELECT 1; DROP TABLE runs", "", "   ", ";", "-- nothing",
    "WITH x AS (DELETE FROM runs RETURNING *) SELECT * FROM x", "WITH x AS (UPDATE runs SET run_id = 'z') FROM runs",
    "EXPLAIN ANALYZE WITH x AS (DELETE FROM runs RETURNING *) SELECT * FROM x",
    "SELECT 1 WHERE EXISTS (WITH x AS (INSERT INTO runs (run_id) VALUES ('z') RETURNING *) SELECT 1)",
    "SELECT * FROM checkpoint()", "SELECT * FROM query('SELECT 1')",
    "SELECT * FROM json_execute_serialized_sql(json_serialize_sql('SELECT 1'))",
    # files
    "SELECT * FROM read_csv('/etc/passwd')", "SELECT * FROM read_text('/etc/passwd')", "SELECT * FROM '/etc/passwd'",
    "SELECT * FROM read_blob('/etc/passwd')", "SELECT * FROM read_json('/etc/passwd')", "SELECT * FROM glob('/etc/*')",
    "SELECT * FROM read_parquet('/tmp/x.parquet')", "SELECT * FROM parquet_metadata('/etc/passwd')",
    "SELECT * FROM sniff_csv('/etc/passwd')", "COPY (SELECT 1) TO '/tmp/slipstream-attack.csv'",
    "COPY runs FROM '/etc/passwd'", "EXPORT DATABASE '/tmp/slipstream-attack'", "IMPORT DATABASE '/tmp/x'",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '/tmp/slipstream-attack.csv'",
    "EXPLAIN ANALYZE SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM query('SELECT * FROM read_text(''/etc/passwd'')')",
    # other databases, extensions, network
    "ATTACH '/tmp/slipstream-attack.db'", "ATTACH 's.db' (TYPE sqlite)", "DETACH memory", "USE memory",
    "INSTALL httpfs", "LOAD httpfs", "FORCE INSTALL sqlite", "SELECT * FROM sqlite_scan('s.db', 'webhooks')",
    "SELECT * FROM read_csv('http://127.0.0.1:1/x')", "SELECT * FROM 'https://127.0.0.1:1/x.parquet'",
    "SELECT * FROM postgres_scan('host=127.0.0.1', 'public', 'webhooks')", "SELECT * FROM read_csv('s3://b/k')",
    # settings, secrets, environment, Python
    "SET memory_limit = '100GB'", "RESET lock_configuration", "PRAGMA enable_external_access = true",
    "SET enable_external_access = true", "SET GLOBAL lock_configuration = false", "CREATE SECRET s (TYPE s3)",
    "SELECT * FROM duckdb_settings()", "SELECT * FROM pg_catalog.pg_settings", "SELECT * FROM duckdb_logs()",
    "SELECT current_setting('home_directory')", "EXPLAIN ANALYZE SELECT * FROM duckdb_settings()",
    "SELECT getenv('HOME')", "SELECT * FROM duckdb_secrets()", "SELECT * FROM reader", "SELECT * FROM asked",
    "SELECT * FROM incoming", "SELECT * FROM source", "CALL pragma_version()", "PRAGMA version",
    "PREPARE q AS SELECT 1", "EXECUTE q", "SET VARIABLE x = 1",
    # tables that are not for them
    "SELECT * FROM webhooks", "SELECT * FROM webhook_deliveries", "SELECT * FROM schema_migrations",
    "SELECT * FROM sqlite_master WHERE sql LIKE '%secret%' AND 1 = error('seen')",
    "SELECT * FROM main.points", "SELECT * FROM series",
    # wrong
    "SELEC 1", "SELECT no_such_column FROM runs", "SELECT * FROM no_such_table", "SELECT '\ud800'",
]  # fmt: skip


EMPTY = [
    query for query in ATTACKS if "sqlite_master" in query
]  # DuckDB's own, which has nothing of the kind


def outcome(query: str, form: Format = Format.JSON) -> bytes | SlipstreamError:
    try:
        return whole(form, query)
    except SlipstreamError as error:
        return error


@pytest.mark.parametrize("query", ATTACKS)
def test_hostile_statements_are_refused(local: None, query: str) -> None:
    answer = outcome(query)
    if query in EMPTY:
        assert isinstance(answer, bytes)
        assert json.loads(answer)["rows"] == []
    else:
        assert type(answer) is InvalidParameterError
        assert SECRET not in str(answer)
    assert not list(Path("/tmp").glob("slipstream-attack*"))


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM information_schema.tables",
        "SELECT * FROM duckdb_tables()",
        "SELECT * FROM duckdb_databases()",
        "SELECT sql FROM sqlite_master",
        "SELECT * FROM duckdb_columns()",
    ],
)
def test_what_duckdb_tells_of_itself_has_nothing_of_ours(
    local: None, query: str, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLIPSTREAM_SERVER_TOKEN", "t0ken")
    text = whole(Format.JSON, query).decode()
    for secret in (SECRET, "t0ken", str(place), "s.db", "webhook"):
        assert secret not in text


BOMBS = [
    "SELECT sum(a.range * b.range) FROM range(10000000000) a, range(10000000000) b",
    "SELECT list(range) FROM range(1000000000)",
    "SELECT count(*) FROM (SELECT DISTINCT hash(range) FROM range(10000000000))",
    "WITH RECURSIVE t(a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM t) SELECT sum(a) FROM t",
    "WITH RECURSIVE t(a) AS (SELECT 'x' UNION ALL SELECT a || a FROM t) SELECT max(length(a)) FROM t",
    "SELECT repeat('x', 4000000000)",
    "SELECT * FROM range(100000000000)",
    "SELECT " + "(" * 40_000 + "1" + ")" * 40_000,
    "SELECT " + "+".join(["1"] * 45_000),
    "SELECT " + "NOT " * 20_000 + "true",
    "SELECT " + "[" * 30_000 + "]" * 30_000,
    "SELECT " + "CASE WHEN true THEN " * 4_000 + "1" + " END" * 4_000,
    "SELECT * FROM " + "(SELECT * FROM " * 5_000 + "runs" + ")" * 5_000,
    "SELECT regexp_matches(repeat('a', 30000), '(a*)*b')",
    "SELECT 1" + " " * 100_000,
]


@pytest.mark.slow
@pytest.mark.parametrize("query", BOMBS, ids=range(len(BOMBS)))
def test_bombs_end_within_the_limits_and_the_server_lives(
    local: None, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLIPSTREAM_SQL_TIMEOUT", "4")
    monkeypatch.setenv("SLIPSTREAM_SQL_MEMORY_LIMIT_MB", "128")
    answer = outcome(query, Format.ARROW)
    assert isinstance(answer, (bytes, InvalidParameterError, DeadlineExceededError))
    assert len(answer if isinstance(answer, bytes) else str(answer)) < 5_000
    assert rows("SELECT 42") == [(42,)]


HEAVY = (
    "DROP TABLE runs",
    "SELECT * FROM read_text('/etc/passwd')",
    "SELECT * FROM webhooks",
    "SELECT " + "(" * 40_000 + "1" + ")" * 40_000,
    "SELECT list(range) FROM range(1000000000)",
)


@pytest.mark.parametrize("query", HEAVY, ids=range(len(HEAVY)))
def test_a_server_refuses_and_lives(remote: None, server: ServerProcess, query: str) -> None:
    assert type(outcome(query)) is InvalidParameterError
    assert server.process.poll() is None
    assert rows("SELECT count(*) FROM runs") == [(4,)]


def test_a_server_that_stops_ends_its_queries(place: Path) -> None:
    endless = "WITH RECURSIVE t(a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM t) SELECT sum(a) FROM t"
    server = ServerProcess(place, backend=f"sqlite:///{place / 's.db'}")
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children")
    asked = threading.Thread(
        target=lambda: post_and_forget(f"{server.url}/api/slipstream/v1/sql", {"query": endless}), daemon=True
    )
    asked.start()
    while not any(task.read_text().split() for task in children.parent.parent.glob("*/children")):
        assert asked.is_alive()
    assert server.stop() == 0  # it gives requests under way 10 s
    asked.join(5)
    assert not asked.is_alive()


def test_a_client_that_leaves_ends_its_query(place: Path) -> None:
    endless = "WITH RECURSIVE t(a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM t) SELECT sum(a) FROM t"
    server = ServerProcess(place, backend=f"sqlite:///{place / 's.db'}")
    tasks = Path(f"/proc/{server.process.pid}/task")

    def is_asked() -> bool:
        return any(task.read_text().split() for task in tasks.glob("*/children"))

    for _ in range(3):  # more than may run at a time
        parts = urllib.parse.urlsplit(server.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        body = json.dumps({"query": endless})
        connection.request("POST", "/api/slipstream/v1/sql", body, {"Content-Type": "application/json"})
        begun = time.monotonic()
        while not is_asked():
            assert time.monotonic() < begun + 20
        connection.close()
        while is_asked():
            assert time.monotonic() < begun + 20  # it would run for 30 s
    assert server.stop() == 0


def post_and_forget(url: str, body: dict[str, object]) -> None:
    """Ask, and take whatever comes, a broken connection too."""
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with contextlib.suppress(OSError, http.client.HTTPException):
        urllib.request.urlopen(request, timeout=60).read()


def test_limits_say_the_way_out(tracked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(InvalidParameterError, match="more than 2 rows.*LIMIT"):
        slipstream.sql("SELECT * FROM range(3)", max_rows=2)
    assert len(slipstream.sql("SELECT * FROM range(2)", max_rows=2)) == 2
    with pytest.raises(InvalidParameterError, match="max_rows"):
        slipstream.sql("SELECT 1", max_rows=0)
    with pytest.raises(InvalidParameterError, match="100000"):
        slipstream.sql("SELECT 1" + " " * 100_000)


def test_tables_beyond_the_limit_are_refused(local: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPSTREAM_SQL_MAX_INPUT_ROWS", "10")
    with pytest.raises(InvalidParameterError, match="more than 10 rows.*metric_history.*--key"):
        slipstream.sql("SELECT count(*) FROM metric_history")
    assert rows("SELECT count(*) FROM metric_history", experiment_ids=["0"]) == [(1,)]
    assert rows("SELECT count(*) FROM runs") == [(4,)]


def test_a_query_that_takes_too_long(local: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPSTREAM_SQL_TIMEOUT", "1.5")
    with pytest.raises(DeadlineExceededError, match=r"SLIPSTREAM_SQL_TIMEOUT"):
        slipstream.sql("WITH RECURSIVE t(a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM t) SELECT sum(a) FROM t")


def test_more_queries_than_there_may_be(local: None, monkeypatch: pytest.MonkeyPatch) -> None:
    from slipstream.bulk import sql

    for _ in range(sql.MOST_QUERIES):
        assert sql._running.acquire(blocking=False)
    try:
        with pytest.raises(TooManyRequestsError, match="running already"):
            slipstream.sql("SELECT 1")
    finally:
        for _ in range(sql.MOST_QUERIES):
            sql._running.release()
    assert rows("SELECT 1") == [(1,)]


def test_without_duckdb(local: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"slipstream\[data\]"):
        slipstream.sql("SELECT 1")


def test_a_server_that_is_not_ours(remote: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(vars(connect().store), "own_features", frozenset())
    with pytest.raises(NotImplementedByServerError, match="not slipstream's"):
        slipstream.sql("SELECT 1")


# -- the command ------------------------------------------------------------------------------------
def call(*arguments: str, code: int = 0, stdin: str | None = None) -> str:
    result = CliRunner().invoke(main, ["sql", *arguments], input=stdin)
    assert result.exit_code == code, result.output
    return result.stdout if code == 0 else result.stderr


def test_command(tracked: str, tmp_path: Path) -> None:
    assert call("SELECT run_name FROM runs WHERE run_name LIKE 'r%' ORDER BY 1") == "run_name\nr0\nr1\nr2\n"
    assert call("-", stdin="SELECT 1 AS a") == "a\n1\n"
    assert call("SELECT 1 AS a, NULL AS b", "--format", "table").splitlines() == [
        "a     b   ",
        "----  ----",
        "1         ",
    ]
    file = tmp_path / "a.parquet"
    call("SELECT 1 AS a", "--format", "parquet", "-o", str(file))
    assert pandas.read_parquet(file)["a"].tolist() == [1]
    assert call("SELECT count(*) AS n FROM metric_history", "--experiment", "0", "--key", "loss") == "n\n1\n"
    assert "refused" in call("DROP TABLE runs", code=1)
    assert "--tables" in call(code=2)


def test_a_table_shows_no_control_characters(local: None) -> None:
    assert "\\x1b[31m" in call("SELECT chr(27) || '[31m' AS a", "--format", "table")


def test_command_lists_the_tables(local: None) -> None:
    listed = call("--tables")
    for name, table in TABLES.items():
        assert name in listed
        assert all(column.name in listed for column in table.columns)


def test_csv_reads_back_in_pandas(local: None) -> None:
    frame = pandas.read_csv(io.StringIO(call("SELECT * FROM metric_history ORDER BY ALL")))
    assert (
        frame["value"].tolist()[:4]
        == slipstream.sql("SELECT * FROM metric_history ORDER BY ALL")["value"].tolist()[:4]
    )
