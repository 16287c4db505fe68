"""The process that runs one SQL query on DuckDB, and ends. The one file that knows duckdb.

It holds nothing but the rows of the tables that the query names: no address of a database, no setting, no secret, an
empty environment. DuckDB is told to touch no file and no network and to take no further order about that; the process
has limits of memory and processor time and may not write a file of one byte. So a query that breaks DuckDB finds
nothing, and takes nobody with it.
"""

import datetime
import decimal
import json
import math
import os
import re
import sys
import uuid
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, Any, NoReturn, cast

from slipstream import settings
from slipstream.bulk import frames
from slipstream.bulk.arrow import load_pyarrow
from slipstream.bulk.formats import Format
from slipstream.bulk.histories import csv_number, csv_text
from slipstream.bulk.sinks import ChunkSink
from slipstream.bulk.tables import TABLES

_BATCH = 10_000
_MIB = 2**20
_BESIDE = 640 * _MIB
"""Memory of the process besides DuckDB's: the interpreter, its libraries, batches on their way."""
_FILES = 16
_SHOWN = 2_000
_COMMENTS = r"^(?:\s|--[^\n]*\n|/\*.*?\*/)*"
_EXPLAIN = re.compile(
    _COMMENTS + r"EXPLAIN\b(?:\s+ANALYZE\b|\s*\(\s*(?:ANALYZE|FORMAT)\b[^()]*\))?", re.IGNORECASE | re.DOTALL
)
_ABOUT_TABLES = re.compile(_COMMENTS + r"(DESCRIBE|DESC|SHOW)\b", re.IGNORECASE | re.DOTALL)
_READING_NODES = frozenset(("SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"))
_TABLE_FUNCTIONS = frozenset(
    "range generate_series unnest repeat repeat_row summary histogram histogram_values json_each json_tree "
    "duckdb_tables duckdb_columns duckdb_views duckdb_schemas duckdb_databases duckdb_types duckdb_functions "
    "duckdb_keywords duckdb_constraints pragma_table_info".split()
)
"""Others read files, run texts as SQL, or tell of DuckDB's settings."""
_ABOUT_SETTINGS = frozenset(("pg_settings", "duckdb_settings", "duckdb_secrets", "duckdb_logs"))
_ALTERED = re.compile(r"\b(?:UHUGEINT|TIME WITH TIME ZONE|BIGNUM)\b")
"""Types whose values are others in Arrow: beyond its widths, or without their zone."""
_LOCKED = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "allow_unsigned_extensions": "false",
    "temp_directory": "''",
    "max_expression_depth": "250",
    "threads": "2",
    "preserve_insertion_order": "true",
}


class _RefusedError(Exception):
    """What the one who asked is told."""


def main() -> None:
    """Read a query from stdin, answer on stdout."""
    source, answer = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints would spoil the answer
    try:
        _serve(source, answer)
    except _RefusedError as error:
        frames.write_frame(answer, frames.REFUSED, str(error).encode("utf-8", "replace"))
    except (MemoryError, RecursionError) as error:
        why = f"The query needs more than it may ({type(error).__name__})."
        frames.write_frame(answer, frames.REFUSED, why.encode())
    answer.flush()


def _serve(source: IO[bytes], answer: IO[bytes]) -> None:
    import duckdb

    _, data = frames.read_frame(source)
    asked = json.loads(data)
    _limit(asked)
    connection: Any = duckdb.connect(":memory:")
    try:
        statement = _parse(connection, asked["query"])
        wanted = _create(connection, statement)
    except duckdb.Error as error:
        raise _RefusedError(_words(error)) from error
    frames.write_frame(answer, frames.WANTED, json.dumps(wanted).encode())
    answer.flush()
    memory = max(32, asked["memory_mb"])
    connection.execute(f"SET memory_limit = '{memory}MiB'")
    for name, value in _LOCKED.items():
        connection.execute(f"SET {name} = {value}")
    try:
        _load(connection, source)
        _lock(connection)
        connection.execute(statement)
        _write(connection, answer, asked)
    except duckdb.Error as error:
        raise _RefusedError(_words(error)) from error


def _limit(asked: dict[str, Any]) -> None:
    try:
        import resource
    except ImportError:  # Windows; DuckDB's own limits hold
        return
    memory = asked["memory_mb"] * _MIB + _BESIDE
    seconds = math.ceil(asked["seconds"]) * 2 + 1
    for limit, value in (
        (resource.RLIMIT_DATA, memory),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NOFILE, _FILES),
    ):
        resource.setrlimit(limit, (value, value))


def _parse(connection: Any, query: str) -> Any:
    import duckdb

    statements = connection.extract_statements(query)
    if len(statements) != 1:
        raise _RefusedError(f"Send one statement; this is {len(statements)}.")
    (statement,) = statements
    if statement.type not in (duckdb.StatementType.SELECT, duckdb.StatementType.EXPLAIN):
        kind = str(statement.type).rpartition(".")[2]
        raise _RefusedError(
            f"This is a statement of the kind {kind}; only SELECT, WITH, VALUES and EXPLAIN are run here: SQL reads, and "
            "changes nothing."
        )
    return statement


def _create(connection: Any, statement: Any) -> list[str]:
    """Create the tables that a query names, and return them. Others are not there: an empty one would tell lies."""
    text = _EXPLAIN.sub("", statement.query)
    about_tables = _ABOUT_TABLES.match(text) is not None
    named = set[str]() if about_tables else _named(connection, text)
    wanted = [name for name in TABLES if name in named]
    for name in TABLES if about_tables else wanted:
        columns = ", ".join(f'"{column.name}" {column.kind}' for column in TABLES[name].columns)
        connection.execute(f'CREATE TABLE "{name}" ({columns})')
    return wanted


def _named(connection: Any, text: str) -> set[str]:
    """Return the names of tables anywhere in a query, as DuckDB's parser sees them.

    What is a SELECT by its kind may hold parts that change tables, and functions that are not for everybody.
    """
    (row,) = connection.execute("SELECT json_serialize_sql(?::VARCHAR)", [text]).fetchall()
    parsed = json.loads(row[0])
    if parsed.get("error"):
        raise _RefusedError(str(parsed.get("error_message")))
    names: set[str] = set()
    waiting: list[Any] = [parsed]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict):
            names |= _names_in(cast("dict[str, Any]", node))
            waiting += node.values()  # pyright: ignore[reportUnknownArgumentType]
        elif isinstance(node, list):
            waiting += node
    return names


def _names_in(node: dict[str, Any]) -> set[str]:
    """Return the table that a part of a query names itself, if any.

    Raises:
        _RefusedError: the part may not be run.
    """
    kind = str(node.get("type"))
    if "cte_map" in node and kind.endswith("_NODE") and kind not in _READING_NODES:
        raise _RefusedError(f"A part of it is {kind.partition('_')[0]}: SQL reads here, and changes nothing.")
    if kind == "TABLE_FUNCTION":
        name = str(node["function"]["function_name"]).lower()
        if name not in _TABLE_FUNCTIONS:
            raise _RefusedError(
                f"The function '{name[:100]}' is none that gives rows here; these are: {', '.join(sorted(_TABLE_FUNCTIONS))}."
            )
    if kind == "FUNCTION" and str(node.get("function_name")).lower() == "current_setting":
        raise _RefusedError("DuckDB's settings are not told here: leave current_setting out.")
    if kind != "BASE_TABLE":
        return set()
    name = str(node["table_name"]).lower()
    if name in _ABOUT_SETTINGS:
        raise _RefusedError(f"DuckDB's settings are not told here: leave {name} out.")
    return {name}


def _load(connection: Any, source: IO[bytes]) -> None:
    """Take the tables; they are copied into DuckDB's memory, whose limit holds for them."""
    ipc = load_pyarrow("pyarrow.ipc")
    while True:
        kind, data = frames.read_frame(source)
        if kind == frames.RUN:
            return
        name = data.decode()
        body = frames.FrameReader(source)
        with ipc.open_stream(body) as reader:
            connection.register("incoming", reader)
            connection.execute(f'INSERT INTO "{name}" SELECT * FROM incoming')
            connection.unregister("incoming")
        body.drain()


def _lock(connection: Any) -> None:
    import duckdb

    for name in ("python_enable_replacements", "python_enable_replacement_scans"):  # its older name
        try:
            connection.execute(f"SET {name} = false")
            break
        except duckdb.CatalogException:
            continue
    else:
        raise _RefusedError(
            "This DuckDB cannot be kept from Python's variables. Install duckdb 1.1 or newer."
        )
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def _write(connection: Any, answer: IO[bytes], asked: dict[str, Any]) -> None:
    types = [str(column[1]) for column in connection.description]
    for column, kind in zip(connection.description, types, strict=True):
        if _ALTERED.search(kind):
            raise _RefusedError(
                f"The column '{column[0]}' of the answer is of the type {kind[:100]}, which no format here can hold. Cast it, "
                "such as with CAST(... AS VARCHAR)."
            )
    # The name of DuckDB 1.4 and later, and the one before.
    read = getattr(connection, "to_arrow_reader", None) or connection.fetch_record_batch
    reader = read(_BATCH)
    form = Format(asked["format"])
    rows = 0

    def counted() -> Iterator[Any]:
        nonlocal rows
        for batch in reader:
            rows += batch.num_rows
            if rows > asked["max_rows"]:
                raise _RefusedError(
                    f"The answer has more than {asked['max_rows']} rows. Add a LIMIT, or let the query count or "
                    "average more of them."
                )
            yield batch

    for chunk in _encode(form, reader.schema, types, counted()):
        if chunk:
            frames.write_frame(answer, frames.DATA, chunk)
    frames.write_frame(answer, frames.END, json.dumps({"rows": rows}).encode())


def _encode(form: Format, schema: Any, types: Sequence[str], batches: Iterable[Any]) -> Iterator[bytes]:
    if form is Format.CSV:
        yield from _csv(schema, batches)
    elif form is Format.JSON:
        yield from _json(schema, types, batches)
    else:
        yield from _arrow(form, schema, batches)


def _arrow(form: Format, schema: Any, batches: Iterable[Any]) -> Iterator[bytes]:
    arrow: Any = load_pyarrow()
    sink = ChunkSink()
    try:
        writer: Any = (
            load_pyarrow("pyarrow.ipc").new_stream(sink, schema)
            if form is Format.ARROW
            else load_pyarrow("pyarrow.parquet").ParquetWriter(sink, schema, compression="zstd")
        )
        with writer:
            for batch in batches:
                writer.write_batch(batch)
                yield sink.take()
    except (arrow.ArrowNotImplementedError, arrow.ArrowInvalid) as error:
        raise _RefusedError(
            f"The answer cannot be written as {form}: {error}. Cast the columns, or ask for another format."
        ) from error
    yield sink.take()


def _csv(schema: Any, batches: Iterable[Any]) -> Iterator[bytes]:
    lines = [",".join(csv_text(str(name)) for name in schema.names)]
    for batch in batches:
        columns = _columns(schema, batch)
        lines += [",".join(map(_csv_field, row)) for row in zip(*columns, strict=True)]
        yield ("\r\n".join(lines) + "\r\n").encode()
        lines = []
    if lines:
        yield (lines[0] + "\r\n").encode()


def _columns(schema: Any, batch: Any) -> list[list[Any]]:
    """Return the values of each column; Python's times end with the year 9999, and DuckDB's go on."""
    columns: list[list[Any]] = []
    for name, column in zip(schema.names, batch.columns, strict=True):
        try:
            columns.append(column.to_pylist())
        except (OverflowError, ValueError) as error:
            raise _RefusedError(
                f"The column '{name}' of the answer has a value that is none in JSON and CSV ({error}), such as a time "
                "outside of the years 1 to 9999. Cast it to a text, CAST(... AS VARCHAR), or leave such rows out."
            ) from error
    return columns


def _csv_field(value: Any) -> str:
    plain = _plain(value)
    if plain is None:
        return ""
    if isinstance(value, float):
        return csv_number(value)
    if isinstance(plain, str):
        return csv_text(plain)
    return csv_text(json.dumps(plain, ensure_ascii=False))


def _json(schema: Any, types: Sequence[str], batches: Iterable[Any]) -> Iterator[bytes]:
    columns = [{"name": name, "type": kind} for name, kind in zip(schema.names, types, strict=True)]
    yield b'{"columns":' + _dump(columns) + b',"rows":['
    first = True
    for batch in batches:
        rows = zip(*_columns(schema, batch), strict=True)
        text = b",".join(_dump([_plain(value) for value in row]) for row in rows)
        if text:
            yield text if first else b"," + text
            first = False
    yield b"]}"


def _dump(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode(
        "utf-8", "replace"
    )


def _plain(value: Any) -> Any:
    """Return a value as JSON can have it; what it has no word for becomes a text."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else csv_number(value)
        case bytes():
            return value.hex()
        case datetime.date() | datetime.time():
            return value.isoformat()
        case decimal.Decimal() | uuid.UUID() | datetime.timedelta():
            return str(value)
        case dict():
            return {str(name): _plain(each) for name, each in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        case list() | tuple():
            return [_plain(each) for each in value]  # pyright: ignore[reportUnknownVariableType]
        case _:
            return str(value)


def _words(error: Exception) -> str:
    """Return DuckDB's message; its advice about memory is for those who may change its settings."""
    import duckdb

    if isinstance(error, duckdb.OutOfMemoryException):
        return (
            f"it needs more memory than {settings.SQL_MEMORY_LIMIT_MB.name} allows. Let it read or sort less."
        )
    return str(error).strip()[:_SHOWN]


def run() -> NoReturn:
    """Answer one query, and end without the interpreter's cleaning up."""
    main()
    os._exit(0)
