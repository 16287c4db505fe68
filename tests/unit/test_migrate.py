"""Making, upgrading and refusing databases."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from slipstream.db.migrate import migrations, prepare, schema
from slipstream.db.sqlite import SqliteDatabase
from slipstream.db.uri import open_database
from slipstream.errors import InvalidParameterError


def tables(path: Path) -> dict[str, str]:
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL").fetchall()
    connection.close()
    return dict(rows)


def test_schema_equals_all_migrations_applied(tmp_path: Path) -> None:
    prepare(SqliteDatabase(tmp_path / "new.db"))
    connection = SqliteDatabase(tmp_path / "migrated.db").connect()
    for _, _, sql in migrations():
        connection.script(sql)
    connection.close()
    assert tables(tmp_path / "new.db") == tables(tmp_path / "migrated.db")
    assert "CREATE TABLE runs" in schema()


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
