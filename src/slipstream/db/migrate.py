"""Bring a database to the current schema, or say why not.

`schema.sql` is for new databases; `migrations/NNNN_what.sql` take an older one forward, each in the one
transaction that also records its number. Two processes that start together are serialised by the write
lock (SQLite) or an advisory lock (PostgreSQL).
"""

from importlib import resources
from typing import LiteralString

from slipstream.clock import now_ms
from slipstream.db.base import Connection, Database
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


def migrations() -> list[tuple[int, str, str]]:
    """Return (number, name, SQL) of every migration, in order."""
    folder = resources.files("slipstream.db") / "migrations"
    files = sorted((entry for entry in folder.iterdir() if entry.name.endswith(".sql")), key=lambda e: e.name)
    return [
        (int(entry.name[:4]), entry.name.removesuffix(".sql"), entry.read_text("utf-8")) for entry in files
    ]


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
            return _create(connection, database)
        done = {row[0] for row in tx.fetch_all(SELECT_MIGRATIONS)}
        known = migrations()
        newest = known[-1][0]
        if done and max(done) > newest:
            raise InvalidParameterError(
                f"{database.describe()} was made by a newer slipstream (schema {max(done)}, this one knows "
                f"{newest}). Upgrade slipstream: pip install --upgrade slipstream"
            )
        applied: list[str] = []
        for number, name, sql in known:
            if number not in done:
                connection.script(sql)
                tx.execute(INSERT_MIGRATION, number=number, name=name, applied_time=now_ms())
                applied.append(name)
        return applied


def _create(connection: Connection, database: Database) -> list[str]:
    """Make all tables, inside the transaction that the caller holds open on `connection`."""
    connection.script(schema())
    script = "INSERT INTO schema_migrations (number, name, applied_time) VALUES "
    rows = [f"({number}, '{name}', {now_ms()})" for number, name, _ in migrations()]
    connection.script(script + ", ".join(rows))
    return [name for _, name, _ in migrations()]


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
