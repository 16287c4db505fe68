"""The views that SQL users see, over both databases: every row once, whatever the size of a page."""

import math

import pytest

from slipstream.bulk.formats import Format
from slipstream.bulk.sql import SqlQuery, run_sql
from slipstream.bulk.tables import TABLES
from slipstream.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag
from slipstream.store import views
from slipstream.store.engine import QueuedStore
from slipstream.store.filters import ViewFilter
from slipstream.testing.store_contract import unique


@pytest.fixture(params=["sqlite_store", "postgres_store"])
def store(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> QueuedStore:
    monkeypatch.setattr(views, "_PAGE", 2)
    return request.getfixturevalue(request.param)


def rows(store: QueuedStore, name: str, wanted: ViewFilter) -> list[tuple[object, ...]]:
    pages = store.read_snapshot(lambda snapshot: list(snapshot.read_view(name, wanted)))
    assert all(0 < len(page) <= 2 for page in pages)
    found = [row for page in pages for row in page]
    assert all(len(row) == len(TABLES[name].columns) for row in found)
    return found


@pytest.fixture
def made(store: QueuedStore) -> tuple[str, list[str]]:
    """An experiment of its own, and its runs."""
    experiment = store.create_experiment(unique(), tags={f"t{i}": "x" for i in range(5)})
    runs: list[str] = []
    for number in range(5):
        run = store.create_run(experiment, "ann", f"r{number}", 7, [RunTag("k", "v")]).info.run_id
        points = [Metric(key, float(number), 1, 2) for key in ("a", "b/c")]
        store.log_batch(run, [*points, Metric("odd", math.nan, 1)], [Param("p", str(number))])
        runs.append(run)
    entry = DatasetInput(
        dataset=Dataset(name="d", digest="1", source_type="local", source="{}"),
        tags=[InputTag("mlflow.data.context", "training")],
    )
    store.log_inputs(
        runs[1], [entry, DatasetInput(dataset=Dataset(name="e", digest="2", source_type="s", source=""))]
    )
    model = store.create_logged_model(experiment, "net", runs[0], {"k": "v"}, {"a": "1", "b": "2"}, "kind")
    assert model.model_id
    return experiment, runs


def test_views_of_an_experiment(store: QueuedStore, made: tuple[str, list[str]]) -> None:
    experiment, runs = made
    number = int(experiment)
    wanted = ViewFilter(experiment_ids=(experiment,))
    assert [row[0] for row in rows(store, "experiments", wanted)] == [number]
    assert rows(store, "experiment_tags", wanted) == [(number, f"t{i}", "x") for i in range(5)]
    assert [row[:6] for row in rows(store, "runs", wanted)] == [
        (run, number, f"r{i}", "ann", "RUNNING", 7) for i, run in enumerate(runs)
    ]
    assert rows(store, "params", wanted) == [(run, "p", str(i)) for i, run in enumerate(runs)]
    assert len(rows(store, "tags", wanted)) == 10
    assert rows(store, "latest_metrics", wanted) == [
        row
        for i, run in enumerate(runs)
        for row in ((run, "a", float(i), 1, 2), (run, "b/c", float(i), 1, 2), (run, "odd", None, 1, 0))
    ]
    assert [(row[0], row[1], row[7]) for row in rows(store, "datasets", wanted)] == [
        (runs[1], "d", "training"),
        (runs[1], "e", None),
    ]
    (model,) = rows(store, "logged_models", wanted)
    assert model[1:7] == (number, "net", "kind", runs[0], "PENDING", "active")
    assert rows(store, "logged_model_params", wanted) == [(model[0], "a", "1"), (model[0], "b", "2")]
    assert rows(store, "logged_model_tags", wanted) == [(model[0], "k", "v")]


def test_views_of_some_runs_and_keys(store: QueuedStore, made: tuple[str, list[str]]) -> None:
    experiment, runs = made
    some = (runs[3], runs[1], "f" * 32)
    assert [row[0] for row in rows(store, "runs", ViewFilter(run_ids=some))] == [runs[1], runs[3]]
    assert [row[0] for row in rows(store, "params", ViewFilter(run_ids=some))] == [runs[1], runs[3]]
    both = ViewFilter(run_ids=some, experiment_ids=("0",))
    assert rows(store, "params", both) == []
    keyed = ViewFilter(run_ids=some, keys=("b/c",))
    assert [row[:2] for row in rows(store, "latest_metrics", keyed)] == [(runs[1], "b/c"), (runs[3], "b/c")]
    assert rows(store, "runs", ViewFilter(run_ids=())) == []
    assert rows(store, "runs", ViewFilter(experiment_ids=())) == []

    def ids(wanted: ViewFilter) -> list[str]:
        pages = store.read_snapshot(lambda snapshot: list(snapshot.read_run_ids(wanted)))
        return [run for page in pages for run in page]

    assert ids(ViewFilter(experiment_ids=(experiment,))) == runs
    assert ids(ViewFilter(run_ids=some)) == [runs[1], runs[3]]
    assert set(runs) <= set(ids(ViewFilter()))


def test_views_of_the_registry(store: QueuedStore) -> None:
    name = unique()
    store.create_registered_model(name, {"o": "1", "p": "2", "q": "3"}, "text")
    for number in range(4):
        store.create_model_version(name, f"s3://b/{number}", tags={"a": "1", "b": "2"})
    store.delete_model_version(name, "2")
    for alias, version in (("x", "1"), ("y", "3"), ("z", "4")):
        store.set_registered_model_alias(name, alias, version)

    def of_model(view: str) -> list[tuple[object, ...]]:
        return [row for row in rows(store, view, ViewFilter()) if row[0] == name]

    assert [row[1] for row in of_model("registered_models")] == ["text"]
    assert [row[1:] for row in of_model("registered_model_tags")] == [("o", "1"), ("p", "2"), ("q", "3")]
    assert [(row[1], row[6]) for row in of_model("model_versions")] == [
        (1, "s3://b/0"),
        (3, "s3://b/2"),
        (4, "s3://b/3"),
    ]
    assert {row[1] for row in of_model("model_version_tags")} == {1, 3, 4}
    assert [row[1:] for row in of_model("model_aliases")] == [("x", 1), ("y", 3), ("z", 4)]


def test_every_view_is_read(store: QueuedStore) -> None:
    for name in views.VIEWS:
        rows(store, name, ViewFilter(run_ids=("f" * 32,), experiment_ids=("0",), keys=("x", "y*")))
        rows(store, name, ViewFilter())


def test_sql_on_both_databases(store: QueuedStore, made: tuple[str, list[str]]) -> None:
    experiment, runs = made
    query = SqlQuery(
        text="SELECT r.run_name, h.key, h.value FROM runs r JOIN metric_history h USING (run_id) "
        "WHERE h.key <> 'odd' ORDER BY ALL",
        form=Format.CSV,
        wanted=ViewFilter(experiment_ids=(experiment,)),
    )
    assert b"".join(run_sql(store, query)).decode().split() == [
        "run_name,key,value",
        *(f"r{number},{key},{number}.0" for number in range(len(runs)) for key in ("a", "b/c")),
    ]
