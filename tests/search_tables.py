"""Small tables to search in, on each database; for the tests of the search language."""

import contextlib
import math
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from slipstream.db.base import Connection, Transaction
from slipstream.db.migrate import prepare
from slipstream.search.sql import (
    Query,
    compile_experiments,
    compile_logged_models,
    compile_model_versions,
    compile_registered_models,
    compile_runs,
)

COMPILERS: dict[str, Callable[..., Query]] = {
    "runs": compile_runs,
    "experiments": compile_experiments,
    "registered models": compile_registered_models,
    "model versions": compile_model_versions,
    "logged models": compile_logged_models,
}
DATABASES = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]
# What the store's SELECTs look like, without its own conditions.
FROM = {
    "runs": ("r.run_id", "runs r"),
    "experiments": ("e.name", "experiments e"),
    "registered models": ("m.name", "registered_models m"),
    "model versions": ("m.name || v.version", "model_versions v JOIN registered_models m ON m.id = v.model"),
    "logged models": ("l.model_id", "logged_models l"),
}


class Point(msgspec.Struct, frozen=True):
    key: str
    value: float
    timestamp: int = 0
    dataset: tuple[str, str] = ("", "")


class Run(msgspec.Struct, frozen=True):
    run_id: str
    start_time: int = 0
    end_time: int | None = None
    name: str = ""
    status: str = "RUNNING"
    user_id: str = ""
    metrics: Mapping[str, float] = {}
    params: Mapping[str, str] = {}
    tags: Mapping[str, str] = {}
    datasets: Mapping[tuple[str, str], str | None] = {}
    """(name, digest) to context."""


class _Undo(Exception):  # noqa: N818 -- no error: it takes back what an example wrote
    pass


@contextlib.contextmanager
def scratch(connection: Connection) -> Iterator[Transaction]:
    """Open a transaction whose writes are taken back at the end."""
    with contextlib.suppress(_Undo), connection.write() as tx:
        yield tx
        raise _Undo


@contextlib.contextmanager
def connection(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Connection]:
    """Open the database that a fixture's parameter, one of `DATABASES`, names."""
    if request.param == "sqlite":
        opened = sqlite_connection(tmp_path_factory.mktemp("search"))
    else:
        opened = postgres_connection(request.getfixturevalue("postgres_server"))
    with opened as opened_connection:
        yield opened_connection


@contextlib.contextmanager
def sqlite_connection(folder: Path) -> Iterator[Connection]:
    from slipstream.db.sqlite import SqliteDatabase

    database = SqliteDatabase(folder / f"{uuid.uuid4().hex}.db", durability="normal")
    prepare(database)
    connection = database.connect()
    yield connection
    connection.close()


@contextlib.contextmanager
def postgres_connection(server: Any) -> Iterator[Connection]:
    import psycopg

    from slipstream.db.postgres import PostgresDatabase

    name = f"search_{uuid.uuid4().hex}"
    with psycopg.connect(server.url(), autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    database = PostgresDatabase(server.url(name))
    prepare(database)
    connection = database.connect()
    yield connection
    connection.close()
    with psycopg.connect(server.url(), autocommit=True) as admin:
        admin.execute(f"DROP DATABASE {name}")


def search(tx: Transaction, query: Query, limit: int = 1000) -> tuple[list[str], str | None]:
    """Fetch one page of names, and the next page's token."""
    name, tables = FROM[query.resource]
    sql: Any = (
        f"SELECT {name}, {query.keys} FROM {tables} {query.joins} WHERE {query.where}"
        f" ORDER BY {query.order_by} LIMIT :limit_"
    )
    rows = tx.fetch_all(sql, limit_=limit + 1, **query.params)
    token = query.next_token(rows[limit - 1][1:]) if len(rows) > limit else None
    return [row[0] for row in rows[:limit]], token


def insert(tx: Transaction, table: str, **values: object) -> None:
    names = ", ".join(values)
    sql: Any = f"INSERT INTO {table} ({names}) VALUES ({', '.join(f':{name}' for name in values)})"
    tx.execute(sql, **values)


def insert_experiment(
    tx: Transaction, number: int, name: str, created: int = 0, tags: Mapping[str, str] | None = None
) -> None:
    insert(
        tx,
        "experiments",
        id=number,
        name=name,
        artifact_location="",
        lifecycle_stage="active",
        creation_time=created,
        last_update_time=created,
    )
    for key, value in (tags or {}).items():
        insert(tx, "experiment_tags", experiment=number, key=key, value=value)


def insert_runs(tx: Transaction, runs: list[Run]) -> None:
    insert_experiment(tx, 1, "experiment")
    numbers: dict[tuple[str, str], int] = {}
    for number, run in enumerate(runs, 1):
        insert(
            tx,
            "runs",
            id=number,
            run_id=run.run_id,
            experiment=1,
            run_name=run.name,
            user_id=run.user_id,
            status=run.status,
            start_time=run.start_time,
            end_time=run.end_time,
            lifecycle_stage="active",
            artifact_uri=f"s3://bucket/{run.run_id}/artifacts",
        )
        for key, value in run.metrics.items():
            nan = math.isnan(value)
            insert(
                tx,
                "series",
                run=number,
                key=key,
                step=0,
                timestamp=0,
                value=0.0 if nan else value,
                is_nan=int(nan),
            )
        for table, pairs in (("params", run.params), ("run_tags", run.tags)):
            for key, value in pairs.items():
                insert(tx, table, run=number, key=key, value=value)
        for (name, digest), context in run.datasets.items():
            if (name, digest) not in numbers:
                numbers[name, digest] = len(numbers) + 1
                insert(
                    tx,
                    "datasets",
                    id=len(numbers),
                    experiment=1,
                    name=name,
                    digest=digest,
                    source_type="",
                    source="",
                )
            dataset = numbers[name, digest]
            insert(tx, "run_datasets", run=number, dataset=dataset)
            if context is not None:
                key = "mlflow.data.context"
                insert(tx, "run_dataset_tags", run=number, dataset=dataset, key=key, value=context)


def insert_model(
    tx: Transaction, number: int, name: str, updated: int = 0, tags: Mapping[str, str] | None = None
) -> None:
    insert(
        tx,
        "registered_models",
        id=number,
        name=name,
        creation_timestamp=0,
        last_updated_timestamp=updated,
        last_version=0,
    )
    for key, value in (tags or {}).items():
        insert(tx, "registered_model_tags", model=number, key=key, value=value)


def insert_version(
    tx: Transaction,
    model: int,
    version: int,
    updated: int = 0,
    run_id: str | None = None,
    source: str = "",
    tags: Mapping[str, str] | None = None,
) -> None:
    insert(
        tx,
        "model_versions",
        model=model,
        version=version,
        creation_timestamp=version,
        last_updated_timestamp=updated,
        current_stage="None",
        source=source,
        storage_location=source,
        run_id=run_id,
        status="READY",
        lifecycle_stage="active",
    )
    for key, value in (tags or {}).items():
        insert(tx, "model_version_tags", model=model, version=version, key=key, value=value)


def insert_logged_model(
    tx: Transaction,
    number: int,
    name: str,
    created: int = 0,
    status: int = 2,
    source_run_id: str | None = None,
    points: tuple[Point, ...] = (),
    params: Mapping[str, str] | None = None,
    tags: Mapping[str, str] | None = None,
) -> None:
    """Insert a model whose id is `m-<name>`; experiment 1 and run 1 must be there."""
    insert(
        tx,
        "logged_models",
        id=number,
        model_id=f"m-{name}",
        experiment=1,
        name=name,
        artifact_location="",
        creation_timestamp=created,
        last_updated_timestamp=created,
        source_run_id=source_run_id,
        status=status,
        lifecycle_stage="active",
    )
    for table, pairs in (("logged_model_params", params), ("logged_model_tags", tags)):
        for key, value in (pairs or {}).items():
            insert(tx, table, model=number, key=key, value=value)
    for point in points:
        nan = math.isnan(point.value)
        insert(
            tx,
            "logged_model_metrics",
            model=number,
            run=1,
            key=point.key,
            step=0,
            timestamp=point.timestamp,
            value=0.0 if nan else point.value,
            is_nan=int(nan),
            dataset_name=point.dataset[0],
            dataset_digest=point.dataset[1],
        )
