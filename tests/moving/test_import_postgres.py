"""A database of MLflow's on PostgreSQL."""

import re
import sqlite3
from pathlib import Path
from typing import Any

import psycopg
import pytest

from mlflow_museum import VERSIONS, differences, read, unpack
from slipstream.db.foreign import open_foreign
from slipstream.errors import InternalError
from slipstream.moving.importing import ImportOptions, run_import
from slipstream.moving.report import Report
from slipstream.store.engine import open_store

pytestmark = pytest.mark.postgres

TYPES = (
    (re.compile(r"BOOLEAN"), "BOOLEAN"),
    (re.compile(r"BIGINT|INTEGER"), "BIGINT"),
    (re.compile(r"FLOAT"), "DOUBLE PRECISION"),
)
"""What SQLAlchemy makes of MLflow's types on PostgreSQL, as far as they matter to a reader; all else is text."""


def move_to_postgres(path: Path, uri: str) -> None:
    """Make the tables of an SQLite database of MLflow's as they are on PostgreSQL."""
    there = sqlite3.connect(path)
    with psycopg.connect(uri, autocommit=True) as here:
        for (table,) in there.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            columns: dict[str, str] = {}
            for _, name, declared, *_ in there.execute(
                f"SELECT * FROM pragma_table_info('{table}')"
            ).fetchall():
                columns[name] = next((kind for word, kind in TYPES if word.match(declared)), "TEXT")
            described = ", ".join(f'"{name}" {kind}' for name, kind in columns.items())
            here.execute(f'CREATE TABLE "{table}" ({described})')
            rows = there.execute(
                f'SELECT {", ".join(f"{chr(34)}{name}{chr(34)}" for name in columns)} FROM "{table}"'
            )
            kinds = list(columns.values())
            places = ", ".join("%s" for _ in kinds)
            for row in rows.fetchall():
                values = [
                    bool(value) if kind == "BOOLEAN" and value is not None else value
                    for value, kind in zip(row, kinds, strict=True)
                ]
                here.execute(f'INSERT INTO "{table}" VALUES ({places})', values)
    there.close()


def take(source: str, into: Path) -> Report:
    report = Report()
    run_import(ImportOptions(source=source, into=f"sqlite:///{into}"), report)
    return report


def content(path: Path) -> dict[str, Any]:
    store: Any = open_store(f"sqlite:///{path}", "mlflow-artifacts:/")
    try:
        found = read(store)
    finally:
        store.close()
    for field in ("created", "updated", "location"):
        del found["experiments"]["Default"][field]
    return found


@pytest.mark.parametrize("version", VERSIONS)
def test_it_gives_the_same_as_on_sqlite(version: str, tmp_path: Path, postgres_database: str) -> None:
    source = unpack(version, "mlflow.db", tmp_path)
    move_to_postgres(source, postgres_database)
    report = take(postgres_database.replace("postgresql://", "postgresql+psycopg2://"), tmp_path / "here.db")
    assert not report.problems
    assert report.taken["runs"] == 13
    take(str(source), tmp_path / "straight.db")
    kept, found = content(tmp_path / "straight.db"), content(tmp_path / "here.db")
    for run in kept["runs"].values():  # a relative place is taken for one beside the file; here there is none
        run["artifacts"] = run["artifacts"].replace(f"{tmp_path}/mlruns", "./mlruns")
    assert list(differences(kept, found)) == []
    assert not take(postgres_database, tmp_path / "here.db").changed


def test_nothing_can_be_written_through_it(postgres_database: str) -> None:
    with psycopg.connect(postgres_database, autocommit=True) as connection:
        connection.execute("CREATE TABLE t (a INT)")
    database = open_foreign(postgres_database)
    with pytest.raises(InternalError, match="read-only"):
        database.fetch_all("INSERT INTO t VALUES (1)")
    assert database.fetch_all("SELECT COUNT(*) FROM t")[0][0] == 0, "it goes on after an error"
    database.close()


def test_nothing_can_be_written_to_an_sqlite_file(tmp_path: Path) -> None:
    source = unpack(VERSIONS[-1], "mlflow.db", tmp_path)
    database = open_foreign(f"sqlite:///{source}")
    with pytest.raises(InternalError, match=r"(?i)read-?only"):
        database.fetch_all("DELETE FROM runs")
    database.close()


def test_a_store_of_ours_goes_from_one_database_to_the_other(tmp_path: Path, postgres_database: str) -> None:
    take(str(unpack(VERSIONS[-1], "mlflow.db", tmp_path)), tmp_path / "one.db")
    report = Report()
    run_import(ImportOptions(source=str(tmp_path / "one.db"), into=postgres_database), report)
    assert not report.problems
    assert not take(postgres_database, tmp_path / "two.db").problems
    assert list(differences(content(tmp_path / "one.db"), content(tmp_path / "two.db"))) == []
