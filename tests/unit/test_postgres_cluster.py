"""The fixtures that give tests a PostgreSQL."""

from collections.abc import Callable

import pytest

from postgres_cluster import PostgresCluster

pytestmark = pytest.mark.postgres


def _ask(url: str, sql: str) -> object:
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(sql.encode()).fetchone()
    assert row is not None
    return row[0]


def test_each_test_has_an_empty_database(postgres_database: str, postgres_url: str) -> None:
    assert postgres_database != postgres_url
    assert _ask(postgres_database, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == 0


def test_the_shared_server_does_not_sort_by_bytes(postgres_database: str) -> None:
    """As on real servers; else a forgotten COLLATE would go unnoticed."""
    if (
        _ask(postgres_database, "SELECT datlocprovider FROM pg_database WHERE datname = current_database()")
        != "i"
    ):
        pytest.skip("this PostgreSQL has no ICU, so its test databases sort by bytes")
    assert _ask(postgres_database, "SELECT 'a' < 'B'") is True
    assert _ask(postgres_database, "SELECT 'a' < 'B' COLLATE \"C\"") is False


@pytest.mark.slow
def test_a_commit_survives_a_killed_server(start_postgres: Callable[..., PostgresCluster]) -> None:
    import psycopg

    cluster = start_postgres(fsync=True)
    assert _ask(cluster.url(), "SHOW fsync") == "on"
    with psycopg.connect(cluster.url(), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept (value INT)")
        connection.execute("INSERT INTO kept VALUES (42)")
    cluster.kill()
    cluster.start()
    assert _ask(cluster.url(), "SELECT value FROM kept") == 42
