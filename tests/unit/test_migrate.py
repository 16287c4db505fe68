"""Making, upgrading and refusing databases."""

import re
import sqlite3
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from slipstream.db.migrate import Migration, migrations, prepare, schema
from slipstream.db.sqlite import SqliteDatabase
from slipstream.db.uri import open_database
from slipstream.errors import InvalidParameterError
from slipstream.store.engine import open_store


def tables(path: Path) -> dict[str, str]:
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    connection.close()
    # SQLite keeps the text of the statement, and adds a column to it in its own way.
    return {name: re.sub(r"\s*([(),])\s*", r"\1 ", " ".join(sql.split())) for name, sql in rows}


def test_schema_equals_all_migrations_applied(tmp_path: Path) -> None:
    prepare(SqliteDatabase(tmp_path / "new.db"))
    connection = SqliteDatabase(tmp_path / "migrated.db").connect()
    with connection.write() as tx:
        for migration in migrations():
            migration.apply(tx)
    connection.close()
    assert tables(tmp_path / "new.db") == tables(tmp_path / "migrated.db")
    assert "CREATE TABLE runs" in schema()


COUNTING = """
from slipstream.errors import InvalidParameterError


def migrate(tx, dialect):
    assert dialect == tx.dialect
    tx.script("CREATE TABLE counts (id IDENTITY, runs BIGINT NOT NULL, dialect TEXT NOT NULL);")
    runs = tx.fetch_one("SELECT count(*) FROM runs")[0]
    tx.execute("INSERT INTO counts (runs, dialect) VALUES (:runs, :dialect)", runs=runs, dialect=dialect)
    if runs > 1:
        raise InvalidParameterError("too many")
"""


@pytest.fixture
def counting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Add a migration that is written in Python, as the newest."""
    import slipstream.db.migrations as package

    (tmp_path / "9001_counts.py").write_text(COUNTING)
    monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
    more = [*migrations(), Migration(number=9001, name="9001_counts", sql=None)]
    monkeypatch.setattr("slipstream.db.migrate.migrations", lambda: more)
    monkeypatch.delitem(sys.modules, "slipstream.db.migrations.9001_counts", raising=False)


def with_runs(path: Path, count: int) -> SqliteDatabase:
    store = open_store(f"sqlite:///{path}", "artifacts")
    for _ in range(count):
        store.create_run("0")
    store.close()  # pyright: ignore[reportAttributeAccessIssue]
    with sqlite3.connect(path) as connection:
        connection.execute("DELETE FROM schema_migrations WHERE number > 9000")
        connection.execute("DROP TABLE IF EXISTS counts")
    connection.close()
    return SqliteDatabase(path)


@pytest.mark.usefixtures("counting")
def test_a_migration_may_be_written_in_python(tmp_path: Path) -> None:
    database = with_runs(tmp_path / "s.db", 1)
    assert prepare(database) == ["9001_counts"]
    assert prepare(database) == []
    with sqlite3.connect(tmp_path / "s.db") as connection:
        assert connection.execute("SELECT * FROM counts").fetchall() == [(1, 1, "sqlite")]
        assert connection.execute("SELECT max(number) FROM schema_migrations").fetchone() == (9001,)
    connection.close()


@pytest.mark.usefixtures("counting")
def test_a_migration_that_fails_leaves_the_database_as_it_was(tmp_path: Path) -> None:
    database = with_runs(tmp_path / "s.db", 2)
    before = tables(tmp_path / "s.db")
    with pytest.raises(InvalidParameterError, match="too many"):
        prepare(database)
    assert tables(tmp_path / "s.db") == before
    with sqlite3.connect(tmp_path / "s.db") as connection:
        assert connection.execute("SELECT max(number) FROM schema_migrations").fetchone() < (9001,)
    connection.close()


def test_preparing_twice_and_at_once_is_harmless(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "s.db")
    with ThreadPoolExecutor(4) as pool:
        applied = list(pool.map(lambda _: prepare(database), range(4)))
    assert sorted(map(len, applied)) == [0, 0, 0, len(migrations())]


@pytest.mark.parametrize(
    ("table", "message"), [("alembic_version", "MLflow's own tables"), ("customers", "'customers'")]
)
def test_foreign_databases_are_left_alone(tmp_path: Path, table: str, message: str) -> None:
    with sqlite3.connect(tmp_path / "s.db") as connection:
        connection.execute(f"CREATE TABLE {table} (x)")
    connection.close()
    with pytest.raises(InvalidParameterError, match=message):
        prepare(SqliteDatabase(tmp_path / "s.db"))
    assert set(tables(tmp_path / "s.db")) == {table}


def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    database = SqliteDatabase(tmp_path / "s.db")
    prepare(database)
    with sqlite3.connect(tmp_path / "s.db") as connection:
        connection.execute("INSERT INTO schema_migrations VALUES (9999, 'future', 0)")
    connection.close()
    with pytest.raises(InvalidParameterError, match="newer slipstream"):
        prepare(database)


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "s.db").write_text("hello, this is no database at all" * 40)
    with pytest.raises(InvalidParameterError, match="not an SQLite database"):
        prepare(SqliteDatabase(tmp_path / "s.db"))


@pytest.mark.parametrize("uri", ["sqlite://", "sqlite:///", "mysql://h/d", "./mlruns", "sqlite://host/x.db"])
def test_uris_that_name_no_database(uri: str) -> None:
    with pytest.raises(InvalidParameterError, match="sqlite:///"):
        open_database(uri)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameterError, match="does not exist"):
        open_database(f"sqlite:///{tmp_path}/no/such/s.db")


def test_durability_is_full_unless_asked(tmp_path: Path) -> None:
    for durability, level in (("full", 2), ("normal", 1)):
        connection = SqliteDatabase(tmp_path / "s.db", durability).connect()
        with connection.read() as tx:
            assert tx.fetch_one("PRAGMA synchronous") == (level,)
            assert tx.fetch_one("PRAGMA journal_mode") == ("wal",)
        connection.close()
    with pytest.raises(InvalidParameterError, match="durability"):
        SqliteDatabase(tmp_path / "s.db", "off")
