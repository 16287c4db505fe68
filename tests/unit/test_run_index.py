"""Searches in memory find what SQL finds: any runs, filters, orders and pages, while runs come and change."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import search_tables
from random_runs import EXPERIMENT, SEARCHES, Search, change, insert_run, populations, runs
from search_tables import Run
from slipstream.db.base import Connection, Transaction
from slipstream.store.config import StoreConfig
from slipstream.store.run_changes import Changes, write_changes
from slipstream.store.run_index import orders as order_file
from slipstream.store.run_index import table as table_file
from slipstream.store.run_index.index import RunIndex
from slipstream.store.sql import SqlStore


@pytest.fixture(scope="module", params=search_tables.DATABASES)
def connection(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Connection]:
    with search_tables.connection(request, tmp_path_factory) as connection:
        yield connection


def pages(stores: list[SqlStore], search: Search) -> list[tuple[list[str], str | None]]:
    """Return all pages; stores take turns, so that each works with the others' tokens."""
    text, order, view, size = search
    found: list[tuple[list[str], str | None]] = []
    token: str | None = None
    while True:
        page = stores[len(found) % len(stores)].search_runs(
            [str(EXPERIMENT), "2"], text, view, size, order, token
        )
        found.append(([run.info.run_id for run in page.items], page.token))
        token = page.token
        if token is None:
            return found


def check(tx: Transaction, index: RunIndex, search: Search) -> None:
    sql = SqlStore(tx, StoreConfig(artifact_root="/a"))
    memory = SqlStore(tx, StoreConfig(artifact_root="/a", run_index=index))
    expected = pages([sql], search)
    for stores in ([memory], [memory, sql], [sql, memory]):
        found = pages(stores, search)
        assert [names for names, _ in found] == [names for names, _ in expected], search
        assert [token is None for _, token in found] == [token is None for _, token in expected]


# (slots to test, a short range, the price of sorting, noted slots): each way to a page is gone with one of them.
WAYS = st.sampled_from(
    [(4000, 1000, 30, 128), (1, 1, 0, 0), (0, 1000, 10**9, 2), (0, 0, 10**9, 0), (1, 0, 10**9, 128)]
)


@pytest.fixture
def take(monkeypatch: pytest.MonkeyPatch) -> Callable[[tuple[int, int, int, int]], None]:
    def take(way: tuple[int, int, int, int]) -> None:
        for name, value in zip(("_WALKED", "_FEW", "_SORTING"), way, strict=False):
            monkeypatch.setattr(table_file, name, value)
        monkeypatch.setattr(order_file, "_MOST_NOTED", way[3])

    return take


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    population=populations(), searches=st.lists(SEARCHES, min_size=1, max_size=4), way=WAYS, data=st.data()
)
def test_memory_finds_what_sql_finds(
    connection: Connection,
    take: Callable[[tuple[int, int, int, int]], None],
    population: list[Run],
    searches: list[Search],
    way: tuple[int, int, int, int],
    data: Any,
) -> None:
    take(way)
    index = RunIndex()
    with search_tables.scratch(connection) as tx:
        search_tables.insert_runs(tx, population)
        search_tables.insert_experiment(tx, 2, "other")
        count = len(population)
        for search in searches:
            check(tx, index, search)
        for _ in range(3):
            changed = change(tx, data, count)
            if data.draw(st.booleans()):
                count += 1
                insert_run(tx, count, data.draw(runs(count - 1)), data.draw(st.sampled_from([EXPERIMENT, 2])))
                changed.add(count)
            write_changes(tx, Changes(runs=set(changed)))
            for search in searches:
                check(tx, index, search)
        if tx.dialect == "sqlite":  # elsewhere ILIKE on other letters than ASCII's is left to the database
            assert index.answered
