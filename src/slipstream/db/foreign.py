"""Read the database of another program, or of another store, and never change it.

SQLite files are opened read-only, PostgreSQL in a transaction that is READ ONLY. What the driver raises becomes an
error of ours that says which database could not be read.
"""

import functools
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, LiteralString, cast
from urllib.parse import quote, unquote, urlsplit

from slipstream.db.base import Row
from slipstream.db.uri import DATABASE_SCHEMES
from slipstream.errors import InternalError, InvalidParameterError, MissingDependencyError, UnavailableError

if TYPE_CHECKING:
    from slipstream.db.postgres import PostgresTransaction
    from slipstream.db.sqlite import SqliteTransaction

SELECT_COLUMNS_SQLITE: LiteralString = """
    SELECT m.name, c.name FROM sqlite_master m JOIN pragma_table_info(m.name) c WHERE m.type = 'table'
"""
SELECT_COLUMNS_POSTGRES: LiteralString = """
    SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = current_schema()
"""
_BUSY_MILLISECONDS = 20_000
_CHUNK = 10_000


class ForeignDatabase:
    """An open connection that only reads. Not thread-safe."""

    def __init__(
        self,
        connection: Any,
        tx: "SqliteTransaction | PostgresTransaction",
        where: str,
        errors: tuple[type[Exception], ...],
    ) -> None:
        self._connection = connection
        self.tx = tx
        """For SQL of our own, in the spelling of `db/base.py`."""
        self.where = where
        """Where the data is, without secrets."""
        self._errors = errors

    @functools.cached_property
    def columns(self) -> dict[str, frozenset[str]]:
        """The names of the columns of each table, as they were when first asked for."""
        sql = SELECT_COLUMNS_SQLITE if self.tx.dialect == "sqlite" else SELECT_COLUMNS_POSTGRES
        found: dict[str, set[str]] = {}
        for table, column in self.fetch_all(sql):
            found.setdefault(table, set()).add(column)
        return {table: frozenset(names) for table, names in found.items()}

    def fetch_all(self, sql: LiteralString, **params: object) -> list[Row]:
        with self.explained():
            if self.tx.dialect == "sqlite":
                return self.tx.fetch_all(sql, **params)
            # A statement that fails ends the transaction, unless there is a savepoint to go back to.
            with self.tx.savepoint():
                return self.tx.fetch_all(sql, **params)

    def stream(self, sql: LiteralString, **params: object) -> Iterator[Sequence[Row]]:
        """Yield the rows of a query in pieces, of which one at a time is in memory."""
        pieces = self.tx.stream(sql, _CHUNK, **params)
        while True:
            with self.explained():
                piece = next(pieces, None)
            if piece is None:
                return
            yield piece

    def count(self, table: str) -> int:
        """Return how many rows a table has, whatever its name is."""
        name = table.replace('"', '""')
        return self.fetch_all(cast("LiteralString", f'SELECT COUNT(*) FROM "{name}"'))[0][0]

    @contextmanager
    def explained(self) -> Generator[None]:
        """Turn what the driver raises into an error that names the database."""
        try:
            yield
        except self._errors as error:
            raise InternalError(f"{self.where} cannot be read: {error}") from error

    def close(self) -> None:
        self._connection.close()


def open_foreign(uri: str) -> ForeignDatabase:
    """Open a database to read: `sqlite:///file.db`, `postgresql://...`; SQLAlchemy's driver suffixes are dropped.

    Raises:
        InvalidParameterError: there is no such file, it is no database, or the URI has another scheme.
        UnavailableError: it cannot be reached now.
    """
    scheme = uri.split(":", 1)[0].split("+", 1)[0]
    if scheme == "sqlite":
        return _open_sqlite(Path(unquote(urlsplit(uri).path)[1:]).absolute())
    if scheme in DATABASE_SCHEMES:
        return _open_postgres(uri)
    raise InvalidParameterError(f"A database at '{scheme}:' cannot be read; one of SQLite or PostgreSQL can.")


def _open_sqlite(path: Path) -> ForeignDatabase:
    import apsw as apsw_module

    from slipstream.db.sqlite import SqliteTransaction

    apsw: Any = apsw_module  # its own annotations name types that need numpy
    if not path.is_file():
        raise InvalidParameterError(f"There is no database file {path}.")
    uri = f"file:{quote(str(path))}?mode=ro"
    flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    try:
        try:
            connection = _connect(apsw, uri, flags)
        except (apsw.CantOpenError, apsw.ReadOnlyError):
            # In WAL mode even a reader writes beside the file, which it may not do here. Without a log nobody has the
            # file open, so that it can be read as one that does not change.
            log = Path(f"{path}-wal")
            if log.exists() and log.stat().st_size:
                raise
            connection = _connect(apsw, f"{uri}&immutable=1", flags)
        # In WAL mode a long read is in nobody's way, and all of it sees one moment. In other modes it would make the
        # program that writes there wait: each query is a read of its own.
        if connection.execute("PRAGMA journal_mode").fetchall()[0][0] == "wal":
            connection.execute("BEGIN").close()
    except apsw.NotADBError as error:
        raise InvalidParameterError(f"{path} is not an SQLite database.") from error
    except apsw.Error as error:
        raise UnavailableError(f"Cannot read the database {path}: {error}.") from error
    return ForeignDatabase(
        connection, SqliteTransaction(connection), str(path), (apsw.Error, UnicodeDecodeError)
    )


def _connect(apsw: Any, uri: str, flags: int) -> Any:
    connection = apsw.Connection(uri, flags=flags)
    try:
        connection.set_busy_timeout(_BUSY_MILLISECONDS)
        for pragma in ("query_only = ON", "trusted_schema = OFF", "case_sensitive_like = ON"):
            connection.execute(f"PRAGMA {pragma}").close()
        connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchall()  # opens the file
    except BaseException:
        connection.close()
        raise
    return connection


def _open_postgres(uri: str) -> ForeignDatabase:
    from slipstream.db.postgres import PostgresDatabase, PostgresTransaction

    described = PostgresDatabase(uri)
    try:
        import psycopg
    except ImportError as error:
        raise MissingDependencyError(
            "PostgreSQL needs the psycopg library: pip install 'slipstream[postgres]'"
        ) from error
    try:
        connection = psycopg.connect("postgresql:" + uri.partition(":")[2], autocommit=True)
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
    except psycopg.ProgrammingError as error:
        raise InvalidParameterError(f"The URI of the {described.describe()} is not valid.") from error
    except psycopg.Error as error:
        raise UnavailableError(f"Cannot read the {described.describe()}: {error}") from error
    return ForeignDatabase(
        connection,
        PostgresTransaction(connection, begun=True),
        described.describe(),
        (psycopg.Error, UnicodeDecodeError),
    )
