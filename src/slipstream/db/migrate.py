"""Bring a database to the current schema, or say why not.

`schema.sql` is for new databases; the files of `migrations/` take an older one forward, in the one transaction that
also records their numbers. `NNNN_what.sql` is SQL as in `schema.sql`; `NNNN_what.py`, for what SQL alone cannot do, has
a function `migrate(tx, dialect)`. Two processes that start together are serialised by the write lock (SQLite) or an
advisory lock (PostgreSQL).
"""

import importlib
import logging
import re
from collections.abc import Callable
from importlib import resources
from typing import LiteralString, TypeVar

import msgspec

from slipstream.clock import now_ms
from slipstream.db.base import Connection, Database, Transaction
from slipstream.errors import InvalidParameterError, SlipstreamError, StorageError, UnavailableError
from slipstream.settings import BACKUP_BEFORE_MIGRATION

INSERT_MIGRATION: LiteralString = """
    INSERT INTO schema_migrations (number, name, applied_time) VALUES (:number, :name, :applied_time)
"""
SELECT_MIGRATIONS: LiteralString = "SELECT number FROM schema_migrations ORDER BY number"
SELECT_TABLES_SQLITE: LiteralString = "SELECT name FROM sqlite_master WHERE type = 'table'"
SELECT_TABLES_POSTGRES: LiteralString = (
    "SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()"
)
LOCK_POSTGRES: LiteralString = "SELECT pg_advisory_xact_lock(7017341)"
# Large tables take long to rewrite.
NO_TIME_LIMIT_POSTGRES: LiteralString = """
    SELECT set_config('statement_timeout', '0', true), set_config('idle_in_transaction_session_timeout', '0', true)
"""
SELECT_ANY_EXPERIMENT: LiteralString = "SELECT 1 FROM experiments LIMIT 1"

Outcome = TypeVar("Outcome")
_logger = logging.getLogger(__name__)


FILE = re.compile(r"(\d{4}_\w+)\.(sql|py)")
"""What the name of a migration's file looks like."""


class Migration(msgspec.Struct, frozen=True):
    """One step from the schema before it to that of its number."""

    number: int
    name: str
    """The file's, without its ending."""
    sql: str | None
    """What it does; None for one that is written in Python."""

    def apply(self, tx: Transaction) -> None:
        """Take the database one step forward, inside the caller's transaction. The number is not recorded here."""
        if self.sql is not None:
            tx.script(self.sql)
            return
        module = importlib.import_module(f"slipstream.db.migrations.{self.name}")
        migrate: Callable[[Transaction, LiteralString], None] = module.migrate
        migrate(tx, tx.dialect)


def migrations() -> list[Migration]:
    """Return every migration, in order."""
    folder = resources.files("slipstream.db") / "migrations"
    found: list[Migration] = []
    for entry in sorted(folder.iterdir(), key=lambda each: each.name):
        match = FILE.fullmatch(entry.name)
        if match is not None:
            sql = entry.read_text("utf-8") if match[2] == "sql" else None
            found.append(Migration(number=int(entry.name[:4]), name=match[1], sql=sql))
    return found


class SchemaState(msgspec.Struct, frozen=True):
    """How far a database has come."""

    number: int
    """Of its schema; 0 where there are no tables yet."""
    newest: int
    """Of the schema that this slipstream writes."""
    pending: list[str]
    """Names of the migrations that `prepare` would apply."""


def schema() -> str:
    """Return the SQL that makes a new database."""
    return (resources.files("slipstream.db") / "schema.sql").read_text("utf-8")


def prepare(database: Database) -> list[str]:
    """Create or upgrade the schema; return the names of the migrations that were applied.

    Safe to call from several processes at once, and again after a crash.

    Raises:
        InvalidParameterError: the database belongs to MLflow, to something else, or to a newer slipstream.
        UnavailableError: another process holds the database, or it cannot be reached.
    """
    return _with_connection(database, _bring_forward)


def look(database: Database) -> SchemaState:
    """Tell how far the schema has come; changes nothing.

    Raises:
        InvalidParameterError: the database belongs to MLflow, to something else, or to a newer slipstream.
        UnavailableError: it cannot be reached.
    """
    return _with_connection(database, _look)


def _with_connection(database: Database, run: Callable[[Database, Connection], Outcome]) -> Outcome:
    try:
        connection = database.connect()
        try:
            return run(database, connection)
        finally:
            connection.close()
    except SlipstreamError:
        raise
    except Exception as error:
        if not database.is_unavailable(error):
            raise
        raise UnavailableError(
            f"Cannot open {database.describe()}: {error}. Another program may hold it, or it cannot be written to; try "
            "again."
        ) from error


def _bring_forward(database: Database, connection: Connection) -> list[str]:
    with connection.write() as tx:
        if database.dialect == "postgres":
            tx.fetch_one(LOCK_POSTGRES)
            tx.fetch_one(NO_TIME_LIMIT_POSTGRES)
        done = _applied(database, tx)
        if done is None:
            return _create(tx)
        pending = [migration for migration in migrations() if migration.number not in done]
        if pending and BACKUP_BEFORE_MIGRATION.get() and tx.fetch_one(SELECT_ANY_EXPERIMENT) is not None:
            _keep_copy(database, max(done))  # nobody writes meanwhile: this transaction has the lock
        for migration in pending:
            migration.apply(tx)
            _record(tx, migration)
        return [migration.name for migration in pending]


def _look(database: Database, connection: Connection) -> SchemaState:
    with connection.read() as tx:
        done = _applied(database, tx) or set()
    known = migrations()
    return SchemaState(
        number=max(done, default=0),
        newest=known[-1].number,
        pending=[migration.name for migration in known if migration.number not in done],
    )


def _applied(database: Database, tx: Transaction) -> set[int] | None:
    """Return the numbers of the migrations that were applied, or None for a database without tables."""
    select = SELECT_TABLES_POSTGRES if database.dialect == "postgres" else SELECT_TABLES_SQLITE
    tables = {row[0] for row in tx.fetch_all(select)}
    if "schema_migrations" not in tables:
        _require_empty(database, tables)
        return None
    done: set[int] = {row[0] for row in tx.fetch_all(SELECT_MIGRATIONS)}
    newest = migrations()[-1].number
    if done and max(done) > newest:
        raise InvalidParameterError(
            f"{database.describe()} was made by a newer slipstream (schema {max(done)}, this one knows "
            f"{newest}). Upgrade slipstream: pip install --upgrade slipstream"
        )
    return done


def _keep_copy(database: Database, schema_number: int) -> None:
    try:
        kept = database.keep_copy(schema_number)
    except StorageError as error:
        raise StorageError(
            f"The tables of {database.describe()} are of an older schema, and before they are changed a copy is kept. "
            f"{error} Or set {BACKUP_BEFORE_MIGRATION.name}=false if there is a copy elsewhere."
        ) from error
    if kept is not None:
        _logger.warning(
            "The tables are brought to a newer schema. A copy of the database before that: %s", kept
        )


def _create(tx: Transaction) -> list[str]:
    tx.script(schema())
    for migration in migrations():
        _record(tx, migration)
    return [migration.name for migration in migrations()]


def _record(tx: Transaction, migration: Migration) -> None:
    tx.execute(INSERT_MIGRATION, number=migration.number, name=migration.name, applied_time=now_ms())


def _require_empty(database: Database, tables: set[str]) -> None:
    if "alembic_version" in tables:
        raise InvalidParameterError(
            f"{database.describe()} holds MLflow's own tables, which slipstream does not write to. "
            "Choose another database, for example --backend-store-uri sqlite:///slipstream.db"
        )
    tables -= {"sqlite_sequence"}
    if tables:
        raise InvalidParameterError(
            f"{database.describe()} is not empty and not slipstream's (it has the table '{min(tables)}'). "
            "Choose an empty database"
        )
