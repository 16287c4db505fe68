"""Bring a database to the current schema, or say why not.

`schema.sql` is for new databases; the files of `migrations/` take an older one forward, in the one transaction that
also records their numbers. `NNNN_what.sql` is SQL as in `schema.sql`; `NNNN_what.py`, for what SQL alone cannot do, has
a function `migrate(tx, dialect)`. Two processes that start together are serialised by the write lock (SQLite) or an
advisory lock (PostgreSQL).
"""

import importlib
import re
from collections.abc import Callable
from importlib import resources
from typing import LiteralString

import msgspec

from slipstream.clock import now_ms
from slipstream.db.base import Connection, Database, Transaction
from slipstream.errors import InvalidParameterError, SlipstreamError, UnavailableError

INSERT_MIGRATION: LiteralString = """
    INSERT INTO schema_migrations (number, name, applied_time) VALUES (:number, :name, :applied_time)
"""
SELECT_MIGRATIONS: LiteralString = "SELECT number FROM schema_migrations ORDER BY number"
SELECT_TABLES_SQLITE: LiteralString = "SELECT name FROM sqlite_master WHERE type = 'table'"
SELECT_TABLES_POSTGRES: LiteralString = (
    "SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()"
)
LOCK_POSTGRES: LiteralString = "SELECT pg_advisory_xact_lock(7017341)"


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
    try:
        connection = database.connect()
        try:
            return _bring_forward(database, connection)
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
            tables = {row[0] for row in tx.fetch_all(SELECT_TABLES_POSTGRES)}
        else:
            tables = {row[0] for row in tx.fetch_all(SELECT_TABLES_SQLITE)}
        if "schema_migrations" not in tables:
            _require_empty(database, tables)
            return _create(tx)
        done = {row[0] for row in tx.fetch_all(SELECT_MIGRATIONS)}
        known = migrations()
        newest = known[-1].number
        if done and max(done) > newest:
            raise InvalidParameterError(
                f"{database.describe()} was made by a newer slipstream (schema {max(done)}, this one knows "
                f"{newest}). Upgrade slipstream: pip install --upgrade slipstream"
            )
        applied: list[str] = []
        for migration in known:
            if migration.number not in done:
                migration.apply(tx)
                _record(tx, migration)
                applied.append(migration.name)
        return applied


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
