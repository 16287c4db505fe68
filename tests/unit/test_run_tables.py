"""Tables of runs in memory are those of SQL: any runs, filters, orders, windows, trees and ranges, while runs change."""

import math
import statistics
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import search_tables
from random_runs import FILTERS, ORDERS, VIEWS, change, insert_run, populations, runs
from search_tables import Run
from slipstream.db.base import Connection, Transaction
from slipstream.entities import ViewType
from slipstream.entities.run_table import (
    ColumnsRequest,
    GroupsRequest,
    RunSelection,
    TableRequest,
    ValuesRequest,
)
from slipstream.errors import InvalidParameterError
from slipstream.rules.groups import spread_of
from slipstream.search.columns import name_column, parse_column
from slipstream.store.config import StoreConfig
from slipstream.store.run_changes import Changes, write_changes
from slipstream.store.run_index import reading
from slipstream.store.run_index import rows as rows_file
from slipstream.store.run_index.index import RunIndex
from slipstream.store.sql import SqlStore

COLUMNS = [
    "metrics.m",
    "metrics.n o",
    "params.p",
    "params.q",
    "tags.t",
    "tags.mlflow.parentRunId",
    "attributes.end_time",
]
COLUMNS += [
    "attributes.start_time",
    "attributes.status",
    "attributes.run_name",
    "attributes.run_id",
    "metrics.absent",
]
PARENT = "mlflow.parentRunId"


@pytest.fixture(scope="module", params=search_tables.DATABASES)
def connection(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Connection]:
    with search_tables.connection(request, tmp_path_factory) as connection:
        yield connection


@st.composite
def tables(draw: st.DrawFn) -> TableRequest:
    experiments = draw(st.sampled_from([("1",), ("1", "2"), ("2",), ("1", "1"), ("2", "1")]))
    selection = RunSelection(experiment_ids=experiments, filter_string=draw(FILTERS), view_type=draw(VIEWS))
    return TableRequest(
        selection=selection,
        order_by=tuple(draw(ORDERS)),
        columns=tuple(draw(st.lists(st.sampled_from(COLUMNS), max_size=5))),
        offset=draw(st.integers(0, 4)),
        limit=draw(st.integers(1, 9)),
        parent_run_id=draw(st.none() | st.sampled_from(["r00", "r01", "other"])),
        roots_only=draw(st.booleans()),
        with_ranges=draw(st.booleans()),
        with_child_ranges=draw(st.booleans()),
    )


def plain(page: Any) -> Any:
    """Return what compares with NaN in it; a range's zeros have no sign."""
    text = msgspec.json.encode(msgspec.structs.replace(page, cursor=0)).replace(b"-0.0", b"0.0")
    return msgspec.json.decode(text)


def set_parents(tx: Transaction, draw: Any, count: int) -> set[int]:
    changed: set[int] = set()
    for number in range(1, count + 1):
        parent = draw.draw(st.none() | st.sampled_from(["r00", "r01", "r02", "other", "r03"]))
        tx.execute("DELETE FROM run_tags WHERE run = :run AND key = :key", run=number, key=PARENT)
        if parent is not None:
            search_tables.insert(tx, "run_tags", run=number, key=PARENT, value=parent)
        changed.add(number)
    return changed


@given(st.data(), populations(), st.lists(tables(), min_size=1, max_size=4))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_windows_in_memory_are_those_of_sql(
    connection: Connection, draw: Any, population: list[Any], requests: list[TableRequest]
) -> None:
    with search_tables.scratch(connection) as tx:
        search_tables.insert_runs(tx, population)
        search_tables.insert_experiment(tx, 2, "second")
        set_parents(tx, draw, len(population))
        if population and draw.draw(st.booleans()):
            tx.execute("UPDATE runs SET experiment = 2 WHERE id = :id", id=len(population))
        write_changes(tx, Changes())
        index, count = RunIndex(), len(population)
        sql = SqlStore(tx, StoreConfig(artifact_root="/a"))
        memory = SqlStore(tx, StoreConfig(artifact_root="/a", run_index=index))
        for _ in range(3):
            for request in requests:
                assert plain(memory.search_run_table(request)) == plain(sql.search_run_table(request)), (
                    request
                )
            changed = change(tx, draw, count)
            if draw.draw(st.booleans()):
                count += 1
                insert_run(tx, count, draw.draw(runs(count - 1)), draw.draw(st.sampled_from([1, 2])))
                changed.add(count)
            if draw.draw(st.booleans()):
                changed |= set_parents(tx, draw, count)
            write_changes(tx, Changes(runs=set(changed)))
        if tx.dialect == "sqlite":
            assert index.answered


@st.composite
def column_requests(draw: st.DrawFn) -> ColumnsRequest:
    return ColumnsRequest(
        selection=RunSelection(
            experiment_ids=draw(st.sampled_from([("1",), ("1", "2")])),
            filter_string=draw(FILTERS),
            view_type=draw(VIEWS),
        ),
        search=draw(st.none() | st.sampled_from(["m", "params", "N O", "t zz", ""])),
        kinds=tuple(
            draw(st.lists(st.sampled_from(["metrics", "params", "tags", "attributes"]), unique=True))
        ),
        offset=draw(st.integers(0, 2)),
        limit=draw(st.integers(1, 20)),
        sampled_only=draw(st.booleans()),
    )


@given(st.data(), populations(), st.lists(column_requests(), min_size=1, max_size=3))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_columns_in_memory_are_those_of_sql(
    connection: Connection, draw: Any, population: list[Any], requests: list[ColumnsRequest]
) -> None:
    with search_tables.scratch(connection) as tx:
        search_tables.insert_runs(tx, population)
        search_tables.insert_experiment(tx, 2, "second")
        write_changes(tx, Changes())
        sql = SqlStore(tx, StoreConfig(artifact_root="/a"))
        memory = SqlStore(tx, StoreConfig(artifact_root="/a", run_index=RunIndex()))
        for _ in range(3):
            for request in requests:
                assert plain(memory.search_run_columns(request)) == plain(sql.search_run_columns(request))
            write_changes(tx, Changes(runs=set(change(tx, draw, len(population)))))


@pytest.mark.parametrize(
    ("text", "group", "key", "aggregate"),
    [
        ("metrics.loss", "metric", "loss", "last"),
        ("metric.loss:min", "metric", "loss", "min"),
        ("metrics.val:loss", "metric", "val:loss", "last"),
        ("metrics.`loss:min`", "metric", "loss:min", "last"),
        ("metrics.`loss:min`:max", "metric", "loss:min", "max"),
        ("metrics.a.b:count", "metric", "a.b", "count"),
        ("params.lr:min", "parameter", "lr:min", "last"),
        ("tags.mlflow.user", "tag", "mlflow.user", "last"),
        ("attributes.start_time", "attribute", "start_time", "last"),
    ],
)
def test_names_of_columns(text: str, group: str, key: str, aggregate: str) -> None:
    column = parse_column(text)
    assert (column.group, column.key, column.aggregate) == (group, key, aggregate)


@pytest.mark.parametrize(
    "text", ["loss", "metrics.", "datasets.name", "attributes.lr", "metrics.`a`:mean", ""]
)
def test_names_that_are_no_columns(text: str) -> None:
    with pytest.raises(InvalidParameterError, match="Invalid column"):
        parse_column(text)


@given(st.sampled_from(["metrics", "params", "tags"]), st.text("ab:.min `", min_size=1))
def test_a_name_that_is_written_is_read_again(group: str, key: str) -> None:
    key = key.strip("`") or "a"
    column = parse_column(name_column(group, key))
    assert (column.key, column.aggregate) == (key, "last")


def test_ranges_of_many_columns_come_in_several_answers(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rows_file, "_MOST_CELLS", 5)
    monkeypatch.setattr(rows_file, "_MOST_BESIDE", 3)
    with search_tables.scratch(connection) as tx:
        search_tables.insert_runs(tx, [Run(run_id=f"r{i}", metrics={"m": i, "n o": -i}) for i in range(4)])
        write_changes(tx, Changes())
        store = SqlStore(tx, StoreConfig(artifact_root="/a", run_index=RunIndex()))
        request = TableRequest(
            selection=RunSelection(experiment_ids=("1",)),
            columns=("metrics.m", "metrics.n o", "metrics.x"),
            with_ranges=True,
        )
        answers = [store.search_run_table(request) for _ in range(5)]
        assert [answer.complete for answer in answers] == [False, False, False, True, True]
        assert [answer.columns[1].range for answer in answers] == [None, None, *[(-3.0, 0.0)] * 3]
        assert [column.values for column in answers[0].columns] == [
            column.values for column in answers[4].columns
        ]


def test_texts_of_one_experiment_leave_no_range_of_two(connection: Connection) -> None:
    with search_tables.scratch(connection) as tx:
        search_tables.insert_runs(
            tx, [Run(run_id="r0", params={"p": "1"}), Run(run_id="r1", params={"p": "adam"})]
        )
        search_tables.insert_experiment(tx, 2, "second")
        tx.execute("UPDATE runs SET experiment = 2 WHERE id = 2")
        write_changes(tx, Changes())
        sql = SqlStore(tx, StoreConfig(artifact_root="/a"))
        memory = SqlStore(tx, StoreConfig(artifact_root="/a", run_index=RunIndex()))
        for experiments, expected in ((("1",), (1.0, 1.0)), (("1", "2"), None)):
            request = TableRequest(
                selection=RunSelection(experiment_ids=experiments), columns=("params.p",), with_ranges=True
            )
            for store in (sql, memory):
                assert store.search_run_table(request).columns[0].range == expected


def test_ranges_are_left_to_later_when_another_request_waits(connection: Connection) -> None:
    with search_tables.scratch(connection) as tx:
        search_tables.insert_runs(tx, [Run(run_id=f"r{i}", metrics={"m": i, "n o": -i}) for i in range(4)])
        write_changes(tx, Changes())
        index = RunIndex()
        store = SqlStore(tx, StoreConfig(artifact_root="/a", run_index=index))
        request = TableRequest(
            selection=RunSelection(experiment_ids=("1",)),
            columns=("metrics.m", "metrics.n o"),
            with_ranges=True,
        )
        index._lock.others_wait = lambda: True  # type: ignore[method-assign]
        answers = [store.search_run_table(request) for _ in range(3)]
        assert [answer.complete for answer in answers] == [False, False, True]


@given(populations(), st.integers(1, 3), st.sampled_from([1, 2, 100]))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_column_read_in_pieces_is_that_read_run_by_run(
    connection: Connection, population: list[Any], size: int, scattered: int
) -> None:
    names = [
        *reading.BASE,
        *[("attribute", key) for key in ("run_name", "user_id", "status", "artifact_uri", "end_time")],
        *[("metric", "m"), ("parameter", "p"), ("tag", "t"), ("keys", "metric"), ("dataset", "name")],
    ]
    with search_tables.scratch(connection) as tx, pytest.MonkeyPatch.context() as patch:
        search_tables.insert_runs(tx, population)
        search_tables.insert_experiment(tx, 2, "second")
        for number in range(2, len(population) + 1, 2):  # every other one belongs to somebody else
            tx.execute("UPDATE runs SET experiment = 2 WHERE id = :id", id=number)
        tx.execute("DELETE FROM series WHERE run = 1")
        patch.setattr(reading, "_PIECE", size)
        patch.setattr(reading, "_SCATTERED", scattered)
        ids = [row[0] for row in tx.fetch_all(reading.SELECT_RUN_IDS, experiment=1)]
        base = reading.read_base(tx, 1, ids)
        by_run = reading.read_columns(tx, ids, names) if ids else {}
        for name in names:
            column = reading.read_column(tx, 1, ids, name)
            expected = [by_run[name].get(run) for run in ids]
            if reading.is_number(name):
                expected = [(0, 2) if each is None else each for each in expected]
            for each in (column, base.get(name, column)):
                found: list[Any] = [each.at(slot) for slot in range(len(ids))]
                if reading.is_number(name):  # of those that are not there only that counts
                    found = [
                        (0, 2) if rank == 2 else (0, 1) if rank == 1 else (value, rank)
                        for value, rank in found
                    ]
                assert found == expected, name


@given(
    st.data(),
    populations(),
    FILTERS,
    VIEWS,
    st.lists(st.sampled_from(["params.p", "tags.t", "attributes.status"]), min_size=1, max_size=3),
)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_values_and_groups_in_memory_are_those_of_sql(
    connection: Connection, draw: Any, population: list[Any], text: str, view: ViewType, by: list[str]
) -> None:
    with search_tables.scratch(connection) as tx:
        search_tables.insert_runs(tx, population)
        search_tables.insert_experiment(tx, 2, "second")
        write_changes(tx, Changes())
        sql = SqlStore(tx, StoreConfig(artifact_root="/a"))
        memory = SqlStore(tx, StoreConfig(artifact_root="/a", run_index=RunIndex()))
        selection = RunSelection(experiment_ids=("1", "2"), filter_string=text, view_type=view)
        for _ in range(2):
            values = ValuesRequest(
                selection=selection, key=by[0], prefix=draw.draw(st.sampled_from(["", "a", "Ä"]))
            )
            assert memory.find_run_values(values) == sql.find_run_values(values)
            groups = GroupsRequest(selection=selection, by=tuple(by), metrics=("metrics.m", "metrics.n o"))
            found, expected = memory.find_run_groups(groups), sql.find_run_groups(groups)
            assert plain(found) == plain(expected)
            assert sum(group.runs for group in found.groups) == found.runs
            write_changes(tx, Changes(runs=set(change(tx, draw, len(population)))))


@given(st.lists(st.floats(-1e9, 1e9) | st.sampled_from([math.nan, math.inf]), max_size=20))
def test_the_spread_of_numbers(values: list[float]) -> None:
    numbers = [value for value in values if math.isfinite(value)]
    found = spread_of(values)
    assert found.count == len(numbers)
    if numbers:
        assert found.mean == pytest.approx(statistics.fmean(numbers), abs=1e-6)
        assert found.median == pytest.approx(statistics.median(numbers), abs=1e-6)
        assert (found.min, found.max) == (min(numbers), max(numbers))
    if len(numbers) > 1:
        assert found.std == pytest.approx(statistics.stdev(numbers), abs=1e-5, rel=1e-9)


def test_the_spread_of_numbers_whose_sum_is_none() -> None:
    found = spread_of([1.7e308, 1.7e308, 1.5e308])
    assert found.mean == pytest.approx(1.6333e308, rel=1e-3)
    assert (found.median, found.std) == (1.7e308, None)
