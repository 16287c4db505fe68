"""Run SQL over everything that is tracked: the side that has the data.

A query runs in a process of its own (`sql_worker.py`). That says which tables the query names, gets their rows in
batches from one snapshot of the database, and answers. The answer is kept here until it is whole, so that a query
that runs into a limit is refused instead of cut off.
"""

import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Protocol, TypeVar, cast

import msgspec

from slipstream import settings
from slipstream.bulk import arrow, frames
from slipstream.bulk.departure import departure
from slipstream.bulk.formats import Format
from slipstream.bulk.histories import gather
from slipstream.bulk.tables import HISTORY, TABLES
from slipstream.entities import SeriesFilter, SeriesPoints
from slipstream.errors import (
    DeadlineExceededError,
    InternalError,
    InvalidParameterError,
    MissingDependencyError,
    SlipstreamError,
    TooManyRequestsError,
    UnavailableError,
)
from slipstream.rules.series import is_wanted
from slipstream.store.filters import ViewFilter

T = TypeVar("T")

SQL_FORMATS = (Format.JSON, Format.CSV, Format.ARROW, Format.PARQUET)
QUERY_CHARACTERS = 100_000
MOST_QUERIES = 2
"""Queries of one process at a time."""
_ANSWER_BYTES = 512 * 2**20
_IN_MEMORY = 4 * 2**20
_CHUNK = 1 << 20
_START = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from slipstream.bulk.sql_worker import run; run()"
_PASSED_ON = ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "SYSTEMROOT")

_BUG = 1
"""Exit code of an interpreter that an exception ended."""
_SHOWN = 20_000

_logger = logging.getLogger(__name__)
_running = threading.BoundedSemaphore(MOST_QUERIES)
_processes: "set[subprocess.Popen[bytes]]" = set()


class Snapshot(Protocol):
    """One state of a database, as `SqlStore` reads it."""

    def read_view(self, name: str, wanted: ViewFilter) -> Iterator[list[tuple[Any, ...]]]: ...
    def read_run_ids(self, wanted: ViewFilter) -> Iterator[list[str]]: ...
    def read_series(
        self, run_ids: Sequence[str], keys: Sequence[str] | None = None, wanted: SeriesFilter | None = None
    ) -> Iterator[SeriesPoints]: ...


class HasSnapshots(Protocol):
    """A store that can be queried: one that has its database at hand."""

    def read_snapshot(self, use: Callable[[Snapshot], T]) -> T: ...


class SqlQuery(msgspec.Struct, frozen=True, kw_only=True):
    text: str
    form: Format
    wanted: ViewFilter = ViewFilter()
    """Rows that the tables have at most; the query sees no others."""
    max_rows: int | None = None


def run_sql(store: HasSnapshots, query: SqlQuery) -> Iterator[bytes]:
    """Return a query's answer in pieces, once it is whole.

    Raises:
        InvalidParameterError: the query is wrong, not allowed, or beyond a limit; says which.
        DeadlineExceededError: it took too long.
        TooManyRequestsError: others are running.
        UnavailableError: the client has gone (`departure.py`).
        MissingDependencyError: duckdb or pyarrow is not installed.
    """
    _check(query)
    if not _running.acquire(blocking=False):
        raise TooManyRequestsError(
            f"{MOST_QUERIES} queries are running already. Try again when one of them has ended."
        )
    try:
        answer = _Run(store, query).answer()
    finally:
        _running.release()
    return _pieces(answer)


def end_queries() -> None:
    """End the queries that run in this process, which is about to end itself; they count as refused."""
    for process in list(_processes):
        process.kill()


def _pieces(answer: IO[bytes]) -> Iterator[bytes]:
    with answer:
        while chunk := answer.read(_CHUNK):
            yield chunk


def _check(query: SqlQuery) -> None:
    if not query.text.strip():
        raise InvalidParameterError("Missing value for required parameter 'query'.")
    try:
        query.text.encode()
    except UnicodeEncodeError as error:
        raise InvalidParameterError(f"The query is not valid Unicode at character {error.start}.") from error
    if len(query.text) > QUERY_CHARACTERS:
        raise InvalidParameterError(
            f"The query is {len(query.text)} characters long; the limit is {QUERY_CHARACTERS}."
        )
    if query.max_rows is not None and query.max_rows < 1:
        raise InvalidParameterError(f"Invalid value {query.max_rows} for 'max_rows': give at least 1.")
    arrow.load_pyarrow()
    from importlib.util import find_spec

    if find_spec("duckdb") is None:
        raise MissingDependencyError("SQL needs DuckDB: pip install 'slipstream[data]'.")


class _Run:
    """One query and its process."""

    def __init__(self, store: HasSnapshots, query: SqlQuery) -> None:
        self._store = store
        self._query = query
        self._seconds = settings.SQL_TIMEOUT.get()
        self._most_rows = settings.SQL_MAX_ROWS.get()
        if query.max_rows is not None:
            self._most_rows = min(self._most_rows, query.max_rows)
        self._room = self._most_input = settings.SQL_MAX_INPUT_ROWS.get()
        self._late = threading.Event()
        self._departure = departure.get()
        self._fed = False

    def answer(self) -> IO[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-IB", "-c", _START, json.dumps([path for path in sys.path if path])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=Path(sys.executable).anchor,
            env={
                "ARROW_DEFAULT_MEMORY_POOL": "system",
                **{name: os.environ[name] for name in _PASSED_ON if name in os.environ},
            },
        )
        timer = threading.Timer(self._seconds, self._stop, (process,))
        timer.daemon = True
        _processes.add(process)
        timer.start()
        try:
            with self._departure.ending(process.kill):
                return self._talk(process)
        except (EOFError, OSError) as error:  # it has gone
            process.wait()
            self._require_asker()
            if self._late.is_set():
                raise DeadlineExceededError(
                    f"The query took longer than {self._seconds:g} s and was ended. Let it read less, or raise "
                    f"{settings.SQL_TIMEOUT.name} where it runs."
                ) from error
            if process.returncode == _BUG:
                said = cast("IO[bytes]", process.stderr).read(_SHOWN).decode("utf-8", "replace")
                _logger.exception("The process that runs SQL failed:\n%s", said)
                raise InternalError(
                    "The process that runs SQL failed unexpectedly; the log has the details."
                ) from error
            raise InvalidParameterError(
                f"The query ended the process that ran it (status {process.returncode}): it needs more memory than "
                f"{settings.SQL_MEMORY_LIMIT_MB.name} allows, or is nested too deeply."
            ) from error
        finally:
            timer.cancel()
            _processes.discard(process)
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout, process.stderr):
                try:
                    cast("IO[bytes]", pipe).close()
                except OSError:  # what was still to be written has no reader any more
                    continue

    def _require_asker(self) -> None:
        if self._departure.is_gone:
            raise UnavailableError("The client has gone, so its query was ended.")

    def _stop(self, process: "subprocess.Popen[bytes]") -> None:
        self._late.set()
        process.kill()

    def _talk(self, process: "subprocess.Popen[bytes]") -> IO[bytes]:
        to, source = cast("IO[bytes]", process.stdin), cast("IO[bytes]", process.stdout)
        query = self._query
        asked = {
            "query": query.text,
            "format": query.form,
            "max_rows": self._most_rows,
            "memory_mb": settings.SQL_MEMORY_LIMIT_MB.get(),
            "seconds": self._seconds,
        }
        frames.write_frame(to, frames.QUERY, json.dumps(asked).encode())
        to.flush()
        kind, data = frames.read_frame(source)
        if kind == frames.REFUSED:
            raise _refused(data)
        names: list[str] = json.loads(data)
        gone: OSError | None = self._store.read_snapshot(lambda snapshot: self._feed(snapshot, to, names))
        if gone is not None and (self._late.is_set() or self._departure.is_gone):
            raise gone
        return self._take(source)

    def _take(self, source: IO[bytes]) -> IO[bytes]:
        # Not `with`: it is handed on, to be closed by the one who reads it.
        answer = cast("IO[bytes]", tempfile.SpooledTemporaryFile(_IN_MEMORY))  # noqa: SIM115
        try:
            self._copy(source, answer)
        except BaseException:
            answer.close()
            raise
        answer.seek(0)
        return answer

    def _copy(self, source: IO[bytes], answer: IO[bytes]) -> None:
        size = 0
        while True:
            kind, data = frames.read_frame(source)
            if kind == frames.REFUSED:
                raise _refused(data)
            if kind == frames.END:
                return
            size += len(data)
            if size > _ANSWER_BYTES:
                raise InvalidParameterError(
                    f"The answer is larger than {_ANSWER_BYTES // 2**20} MiB. Select less of it."
                )
            answer.write(data)

    def _feed(self, snapshot: Snapshot, to: IO[bytes], names: Sequence[str]) -> OSError | None:
        """Send the tables; return what happened if the process takes no more: it says itself why."""
        if self._fed:
            raise UnavailableError("The database could not be read in one go. Try the query again.")
        self._fed = True
        try:
            for name in names:
                frames.write_frame(to, frames.TABLE, name.encode())
                for chunk in self._table(snapshot, name):
                    frames.write_frame(to, frames.DATA, chunk)
                frames.write_frame(to, frames.END)
            frames.write_frame(to, frames.RUN)
            to.flush()
        except OSError as error:
            return error
        return None

    def _table(self, snapshot: Snapshot, name: str) -> Iterator[bytes]:
        wanted = self._query.wanted
        if name == HISTORY:
            columns = gather(self._counted_series(snapshot))
            return arrow.to_arrow_stream(arrow.history_schema(), arrow.history_batches(columns))
        pages: Iterable[list[tuple[Any, ...]]] = self._counted_rows(snapshot.read_view(name, wanted), name)
        if name == "latest_metrics" and wanted.keys is not None:
            pages = ([row for row in page if is_wanted(row[1], wanted.keys)] for page in pages)
        kinds = TABLES[name].columns
        return arrow.to_arrow_stream(
            arrow.table_schema(kinds), arrow.table_batches(kinds, (page for page in pages if page))
        )

    def _counted_rows(
        self, pages: Iterable[list[tuple[Any, ...]]], name: str
    ) -> Iterator[list[tuple[Any, ...]]]:
        for page in pages:
            self._count(len(page), name)
            yield page

    def _counted_series(self, snapshot: Snapshot) -> Iterator[SeriesPoints]:
        wanted = self._query.wanted
        for run_ids in snapshot.read_run_ids(wanted):
            for series in snapshot.read_series(run_ids, wanted.keys):
                self._count(len(series), HISTORY)
                yield series

    def _count(self, rows: int, name: str) -> None:
        self._room -= rows
        if self._room < 0:
            raise InvalidParameterError(
                f"The tables of this query have more than {self._most_input} rows, which was reached in '{name}'. Name "
                "the rows that it needs: runs or experiments, for metrics also keys (--run, --experiment, --key; "
                f"run_ids, experiment_ids, keys). Or raise {settings.SQL_MAX_INPUT_ROWS.name} where it runs."
            )
        self._require_asker()
        if self._late.is_set():
            raise DeadlineExceededError(
                f"Reading the rows of '{name}' took longer than {self._seconds:g} s. Name the runs or experiments that "
                "the query needs."
            )


def _refused(data: bytes) -> SlipstreamError:
    return InvalidParameterError(f"The query was refused: {data.decode('utf-8', 'replace')}")
