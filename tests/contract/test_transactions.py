"""What `db/base.py` promises of a transaction, on both databases."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, LiteralString

import pytest

from slipstream.db.base import Connection
from slipstream.db.uri import open_database
from slipstream.errors import InvalidParameterError

TABLE = """
    -- a comment; with a semicolon
    CREATE TABLE things (
        id BIGINT NOT NULL PRIMARY KEY, small SMALLINT NOT NULL, name TEXT, real DOUBLE PRECISION, content BYTES
    );
    CREATE TABLE other (id BIGINT NOT NULL PRIMARY KEY);
"""
INSERT: LiteralString = (
    "INSERT INTO things (id, small, name, real, content) VALUES (:id, :small, :name, :real, :content)"
)
KEEP: LiteralString = INSERT + " ON CONFLICT DO NOTHING"
CHANGE: LiteralString = INSERT + " ON CONFLICT (id) DO UPDATE SET name = excluded.name"
SELECT: LiteralString = "SELECT id, small, name, real, content FROM things ORDER BY id"


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def connection(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Connection]:
    if request.param == "sqlite":
        uri = f"sqlite:///{tmp_path / 's.db'}"
    else:
        uri = request.getfixturevalue("postgres_database")
    connection = open_database(uri).connect()
    with connection.write() as tx:
        tx.script(TABLE)
    yield connection
    connection.close()


def rows(connection: Connection) -> list[Any]:
    with connection.read() as tx:
        return tx.fetch_all(SELECT)


@pytest.mark.parametrize("count", [1, 2, 300])
def test_many_rows(connection: Connection, count: int) -> None:
    """Every value comes back as it went, whether the rows go one by one or in lists."""
    made = [
        (n - 2**40, n % 7, f'"{n}" {{,}}\\ é NULL', n / 3 - 1e300, bytes((n % 256, 0, 92)))
        for n in range(count)
    ]
    with connection.write() as tx:
        tx.execute_many(INSERT, made)
        tx.execute_many(INSERT, [])
    assert rows(connection) == made


def test_rows_of_several_types(connection: Connection) -> None:
    made = [(1, 1, "a", 1.5, b"x"), (2, 1, None, math.inf, b""), (3, 2, "", -0.0, None)]
    with connection.write() as tx:
        tx.execute_many(INSERT, made)
    assert rows(connection) == made


def test_rows_that_are_there_already(connection: Connection) -> None:
    with connection.write() as tx:
        tx.execute_many(INSERT, [(1, 1, "one", 1.0, b""), (2, 1, "two", 1.0, b"")])
        tx.execute_many(KEEP, [(n, 2, "kept", 2.0, b"") for n in (2, 3, 3)])
        # One row twice: the later one stays, as when they come one by one.
        tx.execute_many(CHANGE, [(n, 3, f"changed {at}", 3.0, b"") for at, n in enumerate((1, 4, 1, 4))])
    assert [(row[0], row[1], row[2]) for row in rows(connection)] == [
        (1, 1, "changed 2"),
        (2, 1, "two"),
        (3, 2, "kept"),
        (4, 3, "changed 3"),
    ]


def test_values_that_are_more_than_parameters(connection: Connection) -> None:
    """Each row sees those before it."""
    after_last: LiteralString = """
        INSERT INTO other (id) VALUES (COALESCE((SELECT MAX(id) FROM other), :first) + 1)
    """
    with connection.write() as tx:
        tx.execute_many(after_last, [(10,), (20,), (30,)])
        assert tx.fetch_all("SELECT id FROM other ORDER BY id") == [(11,), (12,), (13,)]


def test_an_error_is_raised_before_the_savepoint_ends(connection: Connection) -> None:
    with connection.write() as tx:
        tx.execute("INSERT INTO other (id) VALUES (:id)", id=1)
        with pytest.raises(Exception, match=r"(?i)unique") as raised, tx.savepoint():  # noqa: PT012
            tx.execute("INSERT INTO other (id) VALUES (:id)", id=2)
            tx.execute("INSERT INTO other (id) VALUES (:id)", id=1)
        assert connection.is_duplicate(raised.value)
        with pytest.raises(KeyError), tx.savepoint():  # noqa: PT012
            tx.execute("INSERT INTO other (id) VALUES (:id)", id=3)
            raise KeyError
        with tx.savepoint(), tx.savepoint():
            tx.execute("INSERT INTO other (id) VALUES (:id)", id=4)
        tx.execute("INSERT INTO other (id) VALUES (:id)", id=5)
        assert tx.fetch_all("SELECT id FROM other ORDER BY id") == [(1,), (4,), (5,)]
    with connection.read() as tx:
        assert tx.fetch_all("SELECT id FROM other ORDER BY id") == [(1,), (4,), (5,)]


def test_an_error_that_nobody_asked_about_undoes_all(connection: Connection) -> None:
    with pytest.raises(Exception, match=r"(?i)unique") as raised, connection.write() as tx:  # noqa: PT012
        tx.execute("INSERT INTO other (id) VALUES (:id)", id=1)
        tx.execute("INSERT INTO other (id) VALUES (:id)", id=1)
    assert connection.is_duplicate(raised.value)
    assert not connection.is_transient(raised.value)
    with pytest.raises(KeyError), connection.write() as tx:  # noqa: PT012
        tx.execute("INSERT INTO other (id) VALUES (:id)", id=2)
        raise KeyError
    with connection.write() as tx:  # the connection goes on
        tx.execute("INSERT INTO other (id) VALUES (:id)", id=3)
    with connection.read() as tx:
        assert tx.fetch_all("SELECT id FROM other ORDER BY id") == [(3,)]


def test_what_was_changed_is_counted(connection: Connection) -> None:
    with connection.write() as tx:
        before = tx.writes
        assert tx.fetch_all("SELECT id FROM other") == []
        assert tx.writes == before
        tx.execute_many("INSERT INTO other (id) VALUES (:id)", [(1,), (2,), (3,)])
        assert tx.writes > before
        before = tx.writes
        assert tx.count_changed("DELETE FROM other WHERE id > :id", id=1) == 2
        assert tx.writes > before
        assert tx.count_changed("DELETE FROM other WHERE id > :id", id=1) == 0
        before = tx.writes
        assert tx.fetch_one("INSERT INTO other (id) VALUES (:id) RETURNING id", id=9) == (9,)
        assert tx.writes > before


@pytest.mark.postgres
@pytest.mark.parametrize("connection", ["postgres"], indirect=True)
@pytest.mark.parametrize("count", [1, 3])
def test_nul_is_refused_and_the_transaction_goes_on(connection: Connection, count: int) -> None:
    with connection.write() as tx:
        with pytest.raises(InvalidParameterError, match="NUL"), tx.savepoint():
            tx.execute_many(
                INSERT, [(n, 1, "a\0b" if n == count - 1 else "a", 1.0, b"") for n in range(count)]
            )
        tx.execute("INSERT INTO other (id) VALUES (:id)", id=1)
    assert rows(connection) == []


def test_a_read_sees_one_moment(
    connection: Connection, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    sqlite = "sqlite" in request.node.name
    uri = f"sqlite:///{tmp_path / 's.db'}" if sqlite else request.getfixturevalue("postgres_database")
    other = open_database(uri).connect()
    with connection.read():
        pass  # one that asks nothing
    with connection.read() as tx:
        assert tx.fetch_all("SELECT id FROM other") == []
        with other.write() as writing:
            writing.execute("INSERT INTO other (id) VALUES (:id)", id=1)
        assert tx.fetch_all("SELECT id FROM other") == []
    with connection.read() as tx:
        assert tx.fetch_all("SELECT id FROM other") == [(1,)]
    other.close()
