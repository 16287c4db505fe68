"""Metrics in blocks: whatever is merged, and whenever, every reader finds every point once."""

import logging
import math
import os
import random
from collections.abc import Iterator
from typing import Any, LiteralString, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slipstream.entities import Metric
from slipstream.errors import DamagedDatabaseError
from slipstream.store.engine import Engine, open_engine
from slipstream.store.point_blocks import ALIKE
from slipstream.store.sql import SqlStore


@pytest.fixture(scope="module")
def sqlite_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{tmp_path_factory.mktemp('blocks') / 's.db'}", "artifacts", "normal")
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def postgres_engine(postgres_server: Any) -> Iterator[Engine]:
    import psycopg

    name = f"metric_blocks_{os.getpid()}"  # of this worker's own
    with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
        connection.execute(cast("LiteralString", f"CREATE DATABASE {name} TEMPLATE template0"))
    engine = open_engine(postgres_server.url(name), "artifacts")
    yield engine
    engine.close()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def engine(request: pytest.FixtureRequest) -> Engine:
    return request.getfixturevalue(f"{request.param}_engine")


def new_run(engine: Engine) -> tuple[str, int]:
    """Return a run's id, and its internal one."""
    run_id = engine.write(lambda store: store.create_run("0")).info.run_id
    return run_id, engine.read(lambda store: store.require_run(run_id))[0]


def history(engine: Engine, run_id: str, key: str) -> list[tuple[int, int, str]]:
    return shown(engine.read(lambda store: store.get_metric_history(run_id, key)).items)


def shown(metrics: list[Metric]) -> list[tuple[int, int, str]]:
    return [(m.timestamp, m.step, float(m.value + 0.0).hex()) for m in metrics]


def expected(metrics: list[Metric]) -> list[tuple[int, int, str]]:
    """Each point once, by (timestamp, step, value), NaN where 0 would be."""
    ranked = {
        (m.timestamp, m.step, 0.0 if math.isnan(m.value) else m.value, math.isnan(m.value)): m
        for m in metrics
    }
    return shown([ranked[place] for place in sorted(ranked)])


def blocks(engine: Engine, run: int) -> list[tuple[int, int]]:
    """Return (series, points) of every block of a run."""
    return engine.read(
        lambda store: store.tx.fetch_all(
            "SELECT series, points FROM point_blocks WHERE id BETWEEN :first AND :last",
            first=run << 32,
            last=(run + 1 << 32) - 1,
        )
    )


POINT = st.tuples(
    st.sampled_from(["a", "b", "c"]),
    st.integers(0, 30),
    st.integers(-5, 40),
    st.sampled_from([0.0, 1.5, -2.0, math.nan, math.inf, -math.inf]),
)
ACTIONS = st.lists(
    st.one_of(
        st.lists(POINT, min_size=1, max_size=40),
        st.sampled_from(["merge", "end"]),
        st.tuples(st.integers(1, 30)),
    ),
    max_size=12,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(actions=ACTIONS)
def test_readers_find_each_point_once_whatever_is_merged(engine: Engine, actions: list[Any]) -> None:
    run_id, run = new_run(engine)
    logged: dict[str, list[Metric]] = {"a": [], "b": [], "c": []}
    for action in actions:
        if action == "merge":
            engine.write(lambda store: store.compact_run(run))
        elif action == "end":
            while engine.write(lambda store: store.compact_run(run, ended=True)):
                pass
        elif isinstance(action, tuple):  # one by one, as many small blocks
            for number in range(action[0]):
                point = Metric("a", float(number), number, number)
                logged["a"].append(point)
                engine.write(lambda store, point=point: store.log_metric(run_id, point))
        else:
            batch = [Metric(key, value, time, step) for key, time, step, value in action]
            for point in batch:
                logged[point.key].append(point)
            engine.write(lambda store, batch=batch: store.log_batch(run_id, batch))
    for key, metrics in logged.items():
        assert history(engine, run_id, key) == expected(metrics)
        pages: list[Metric] = []
        token = None
        while True:
            page = engine.read(lambda store, key=key, t=token: store.get_metric_history(run_id, key, 7, t))
            pages += page.items
            token = page.token
            assert len(page.items) == 7 or token is None
            if token is None:
                break
        assert shown(pages) == expected(metrics)
    run_data = engine.read(lambda store: store.get_run(run_id)).data
    assert {metric.key for metric in run_data.latest_metrics} == {
        key for key, found in logged.items() if found
    }


def test_a_history_in_parts_is_the_history(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slipstream.store.point_blocks.PART", 5)
    monkeypatch.setattr(
        SqlStore, "compact_run", lambda *_args, **_kwargs: False
    )  # so that there are many blocks
    draw = random.Random(11)
    run_id, _ = new_run(engine)
    metrics: list[Metric] = []
    for number in range(150):
        time = 2_000 + 20 * number - (draw.randrange(100) if number % 9 == 0 else 0)  # some late
        batch = [
            Metric(
                draw.choice("ab"), draw.choice([0.0, math.nan, draw.random()]), time + draw.randrange(9), each
            )
            for each in range(draw.choice([1, 2, 70]))
        ]
        if number % 10 == 9:
            batch += draw.sample(metrics[-60:], 5)  # sent again
        engine.write(lambda store, batch=batch: store.log_batch(run_id, batch))
        metrics += batch
    for key in "ab":
        own = expected([metric for metric in metrics if metric.key == key])
        assert history(engine, run_id, key) == own

        def parts_of(store: SqlStore, key: str = key, token: str | None = None) -> list[int]:
            parts, _ = store.get_history_parts(run_id, key, None, token)
            return [len(part.values) for part in parts]

        lengths = engine.read(parts_of)
        assert len(lengths) > 10
        assert sum(lengths) == len(own)
        token = engine.read(lambda store, key=key: store.get_metric_history(run_id, key, 100)).token
        rest = engine.read(lambda store, key=key, token=token: parts_of(store, key, token))
        assert sum(rest) == len(own) - 100
        last = engine.read(
            lambda store, key=key, token=token: store.get_metric_history(run_id, key, None, token)
        )
        assert shown(last.items) == own[100:]


def test_thousands_of_single_points_become_few_blocks(engine: Engine) -> None:
    run_id, run = new_run(engine)
    metrics = [Metric("loss", 1 / (step + 1), 1000 + step, step) for step in range(5_000)]
    for first in range(0, len(metrics), 2):
        for metric in metrics[first : first + 2]:
            engine.write(lambda store, metric=metric: store.log_metric(run_id, metric))
    assert len(blocks(engine, run)) < 400
    engine.write(lambda store: store.update_run(run_id, "FINISHED"))
    engine.compact_all()
    # Fewer than are worth a merge, of either kind; how many depends on when the writer had time to merge.
    assert len(blocks(engine, run)) < 2 * ALIKE
    assert history(engine, run_id, "loss") == expected(metrics)


def test_a_million_points_of_a_batch_size_are_in_large_blocks(sqlite_engine: Engine) -> None:
    run_id, run = new_run(sqlite_engine)
    keys = [f"k{number}" for number in range(10)]
    for step in range(0, 20_000, 100):
        batch = [Metric(key, step / 3, step, step + more) for more in range(100) for key in keys]
        sqlite_engine.write(lambda store, batch=batch: store.log_batch(run_id, batch))
    sqlite_engine.write(lambda store: store.update_run(run_id, "FINISHED"))
    sqlite_engine.compact_all()
    found = blocks(sqlite_engine, run)
    assert sum(points for _, points in found) == 200_000
    assert len(found) < 150
    page = sqlite_engine.read(lambda store: store.get_metric_history(run_id, "k7", 1_000))
    assert [metric.step for metric in page.items] == list(range(1_000))


def test_twelve_thousand_keys_are_each_found(engine: Engine) -> None:
    run_id, run = new_run(engine)
    keys = [f"metric/{number}" for number in range(12_000)]
    for step in range(10):
        batch = [Metric(key, step + number / 12_000, step, step) for number, key in enumerate(keys)]
        engine.write(lambda store, batch=batch: store.log_batch(run_id, batch))
    engine.write(lambda store: store.update_run(run_id, "FINISHED"))
    engine.compact_all()
    assert all(points <= 65_536 for _, points in blocks(engine, run))
    for number in random.Random(3).sample(range(12_000), 20):
        found = engine.read(lambda store, key=keys[number]: store.get_metric_history(run_id, key)).items
        assert [metric.value for metric in found] == [step + number / 12_000 for step in range(10)]


def test_a_merge_that_fails_harms_no_write(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run_id, _ = new_run(engine)

    def fail(self: SqlStore, run: int, *, ended: bool = False) -> bool:
        self.tx.execute(
            "DELETE FROM point_blocks WHERE id >= :first", first=run << 32
        )  # undone with the rest
        raise DamagedDatabaseError("for the test")

    monkeypatch.setattr(SqlStore, "compact_run", fail)
    metrics = [Metric("loss", float(step), step, step) for step in range(400)]
    with caplog.at_level(logging.WARNING):
        for metric in metrics:
            engine.write(lambda store, metric=metric: store.log_metric(run_id, metric))
    assert history(engine, run_id, "loss") == expected(metrics)
    told = [record for record in caplog.records if "could not be merged" in record.message]
    assert len(told) == 1
