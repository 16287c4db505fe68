"""A new PostgreSQL database, and one that every migration took there, have the same tables and indexes."""

from typing import Any

from slipstream.db.migrate import migrations, prepare
from slipstream.db.uri import open_database


def shape(uri: str) -> tuple[list[Any], list[Any]]:
    import psycopg

    with psycopg.connect(uri) as connection:
        columns = connection.execute(
            "SELECT table_name, column_name, data_type, is_nullable, collation_name, identity_generation "
            "FROM information_schema.columns WHERE table_schema = 'public' ORDER BY table_name, column_name"
        ).fetchall()
        indexes = connection.execute(
            "SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY tablename, indexdef"
        ).fetchall()
    return columns, indexes


def test_the_schema_equals_all_migrations_applied(postgres_database: str) -> None:
    import psycopg

    database = open_database(postgres_database)
    prepare(database)
    new = shape(postgres_database)
    with psycopg.connect(postgres_database, autocommit=True) as connection:
        connection.execute("DROP SCHEMA public CASCADE")
        connection.execute("CREATE SCHEMA public")
    connection = database.connect()
    with connection.write() as tx:
        for migration in migrations():
            migration.apply(tx)
    connection.close()
    assert shape(postgres_database) == new
    assert {row[0] for row in new[0]} >= {"runs", "webhooks", "webhook_deliveries"}
