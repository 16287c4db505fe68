"""What any of several filters finds with columns is what the SQL of each finds, in a few statements however many they are."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import search_tables
from random_runs import FILTERS, VIEWS, populations
from slipstream.db.base import Connection
from slipstream.entities import ViewType
from slipstream.entities.run_bulk import RunsChange
from slipstream.errors import InvalidParameterError
from slipstream.search.sql import compile_runs
from slipstream.store import run_bulk
from slipstream.store.config import StoreConfig
from slipstream.store.run_index import any_of_filters
from slipstream.store.run_index.any_of_filters import find_any
from slipstream.store.sql import SqlStore


@pytest.fixture(scope="module", params=search_tables.DATABASES)
def connection(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Connection]:
    with search_tables.connection(request, tmp_path_factory) as connection:
        yield connection


@given(populations(), st.lists(FILTERS, min_size=1, max_size=5), VIEWS, st.sets(st.integers(1, 8)))
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_columns_find_what_sql_finds(
    connection: Connection, population: list[Any], filters: list[str], view: ViewType, others: set[int]
) -> None:
    with search_tables.scratch(connection) as tx, pytest.MonkeyPatch.context() as patch:
        search_tables.insert_runs(tx, population)
        search_tables.insert_experiment(tx, 2, "second")
        for number in others:
            tx.execute(
                "UPDATE runs SET experiment = 2, lifecycle_stage = 'deleted' WHERE id = :id", id=number
            )
        store = SqlStore(tx, StoreConfig(artifact_root="/a"))
        change = RunsChange(
            operation="delete", experiment_ids=("1", "2", "1"), filters=tuple(filters), view_type=view
        )
        patch.setattr(run_bulk, "_TOGETHER", 1)
        together = [tuple(row) for row in store._found(change)]
        patch.setattr(run_bulk, "_TOGETHER", 1_000)
        by_sql = {tuple(row) for row in store._found(change)}
        assert set(together) == by_sql
        if tx.dialect == "sqlite":  # PostgreSQL is asked itself for ILIKE with letters beyond ASCII
            assert together == sorted(by_sql)


def test_many_filters_are_read_in_columns(connection: Connection) -> None:
    with search_tables.scratch(connection) as tx:
        search_tables.insert_runs(
            tx,
            [search_tables.Run(run_id=f"r{number}", params={"p": f"g{number % 4}"}) for number in range(9)],
        )
        statements: list[str] = []
        fetch_all = tx.fetch_all

        def counted(sql: Any, **params: Any) -> Any:
            statements.append(sql)
            return fetch_all(sql, **params)

        tx.fetch_all = counted  # type: ignore[method-assign]
        try:
            change = RunsChange(
                operation="delete",
                experiment_ids=("1",),
                filters=tuple(
                    f"params.p = 'g{number}' AND attributes.status != 'x'" for number in range(1, 90)
                ),
            )
            found = list(SqlStore(tx, StoreConfig(artifact_root="/a"))._found(change))
        finally:
            del tx.fetch_all
        assert [row[1] for row in found] == ["r1", "r2", "r3", "r5", "r6", "r7"]
        assert len(statements) <= 4, statements


def test_too_many_clauses_are_refused(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(any_of_filters, "MOST_CLAUSES", 3)
    with search_tables.scratch(connection) as tx:
        same = ["params.p = 'a' AND tags.t = 'b'", "params.p = 'a' AND tags.t = 'c'", "tags.t = 'c'"]
        clauses = [compile_runs(each, (), None).comparisons for each in same]
        assert find_any(tx, [1], clauses, ["active"]) == []
        with pytest.raises(InvalidParameterError, match="4 different clauses together"):
            find_any(tx, [1], [*clauses, compile_runs("tags.t = 'd'", (), None).comparisons], ["active"])
