"""Branches of runs: whatever is logged, branched, undone and merged, in whatever order, each point is in one place."""

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, LiteralString, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slipstream.entities import Metric, Param, Run, RunCopy, TrashSelection
from slipstream.ids import new_run_id
from slipstream.store.engine import Engine, QueuedStore, open_engine
from slipstream.store.invariants import find_problems

Place = tuple[int, int, float, bool]


@pytest.fixture(scope="module")
def sqlite_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    folder = tmp_path_factory.mktemp("branches")
    engine = open_engine(f"sqlite:///{folder / 's.db'}", str(folder / "artifacts"), "normal")
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def postgres_engine(postgres_server: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    import psycopg

    name = f"run_branches_{os.getpid()}"  # of this worker's own
    with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
        connection.execute(cast("LiteralString", f"CREATE DATABASE {name} TEMPLATE template0"))
    engine = open_engine(postgres_server.url(name), str(tmp_path_factory.mktemp("artifacts")))
    yield engine
    engine.close()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def engine(request: pytest.FixtureRequest) -> Engine:
    return request.getfixturevalue(f"{request.param}_engine")


def place(point: Metric) -> Place:
    is_nan = math.isnan(point.value)
    return point.timestamp, point.step, 0.0 if is_nan else point.value, is_nan


def rank(point: Place) -> tuple[int, int, float]:
    return point[1], point[0], point[2]


class Model:
    """What a run has to hold, in the simplest way to say it."""

    def __init__(self) -> None:
        self.live: dict[str, set[Place]] = {}
        self.left: list[dict[str, set[Place]]] = []

    def log(self, points: list[Metric]) -> None:
        for point in points:
            self.live.setdefault(point.key, set()).add(place(point))

    def branch(self, from_step: int, keys: list[str] | None) -> bool:
        tail = {
            key: {each for each in points if each[1] >= from_step}
            for key, points in self.live.items()
            if keys is None or key in keys
        }
        tail = {key: points for key, points in tail.items() if points}
        if not tail:
            return False
        self.left.append(tail)
        for key, points in tail.items():
            self.live[key] -= points
        self.live = {key: points for key, points in self.live.items() if points}
        return True

    def undo(self, number: int) -> None:
        for key, points in self.left[number - 1].items():
            self.live.setdefault(key, set()).update(points)
        self.left[number - 1] = {}

    def check(self, store: Any, run_id: str) -> None:
        for key in "abc":
            found = [place(each) for each in store.get_metric_history(run_id, key).items]
            assert found == sorted(self.live.get(key, ()))
            for number, tail in enumerate(self.left, 1):
                found = [place(each) for each in store.get_superseded_history(run_id, number, key).items]
                assert found == sorted(tail.get(key, ()))
        newest = {each.key: rank(place(each)) for each in store.get_run(run_id).data.latest_metrics}
        assert newest == {key: max(map(rank, points)) for key, points in self.live.items()}
        branches = store.get_run_branches(run_id)
        assert [{each.key: rank(place(each)) for each in one.latest_metrics} for one in branches] == [
            {key: max(map(rank, points)) for key, points in tail.items()} for tail in self.left
        ]
        assert [one.number for one in branches] == list(range(1, len(self.left) + 1))


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
        st.tuples(st.just("many"), st.integers(1, 900)),
        st.tuples(st.just("branch"), st.integers(-6, 41), st.sampled_from([None, ["a"], ["b", "c"]])),
        st.tuples(st.just("undo"), st.integers(1, 5)),
    ),
    max_size=14,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(actions=ACTIONS)
def test_each_point_is_in_one_place(engine: Engine, actions: list[Any]) -> None:
    store: Any = QueuedStore(engine)
    run_id: str = store.create_run("0").info.run_id
    run = engine.read(lambda store: store.require_run(run_id))[0]
    model = Model()
    known: set[str] = set()
    for action in actions:
        if action == "merge":
            engine.write(lambda store: store.compact_run(run))
        elif action == "end":
            while engine.write(lambda store: store.compact_run(run, ended=True)):
                pass
        elif action[0] == "branch":
            keys = action[2] if action[2] is None or set(action[2]) <= known else None
            made = model.branch(action[1], keys)
            assert (store.branch_run(run_id, action[1], keys) is not None) or not made
        elif action[0] == "undo":
            if action[1] <= len(model.left):
                model.undo(action[1])
                store.undo_branch(run_id, action[1])
        else:
            if action[0] == "many":  # a block of one metric's own
                points = [Metric("a", float(step), step, step % 41) for step in range(action[1])]
            else:
                points = [Metric(key, value, time, step) for key, time, step, value in action]
            known.update(point.key for point in points)
            model.log(points)
            store.log_batch(run_id, points)
    model.check(store, run_id)
    copy = RunCopy(run_id=run_id, new_run_id=new_run_id())
    store.copy_runs([copy], "0")
    model.check(store, copy.new_run_id)
    assert engine.read(lambda store: find_problems(store.tx)) == []
    for each in (run_id, copy.new_run_id):
        store.delete_run(each)
        assert store.remove_trash(TrashSelection(run_ids=(each,))).counts.runs == 1
    assert engine.read(lambda store: find_problems(store.tx)) == []


def test_blocks_of_one_metric_are_not_decoded(sqlite_engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    store: Any = QueuedStore(sqlite_engine)
    run_id: str = store.create_run("0").info.run_id
    points = [Metric("m", float(step), step, step) for step in range(50_000)]
    store.log_batch(run_id, points)
    split: list[int] = []
    from slipstream.store import branches

    real = branches.each_series

    def counted(columns: Any) -> Any:
        split.append(len(columns.points.values))
        return real(columns)

    monkeypatch.setattr(branches, "each_series", counted)
    store.branch_run(run_id, 30_001)
    assert len(split) == 1, "only the block in which the step is"
    assert split[0] < 10_000
    assert store.get_metric_history(run_id, "m").items == points[:30_001]
    assert store.get_superseded_history(run_id, 1, "m").items == points[30_001:]


def test_an_imported_run_keeps_steps_out_of_order(engine: Engine) -> None:
    store: Any = QueuedStore(engine)
    run: Run = store.create_run("0")
    store.delete_run(run.info.run_id)
    store.remove_trash(TrashSelection(run_ids=(run.info.run_id,)))
    points = [
        Metric("m", 1.0, 10, 7),
        Metric("m", 2.0, 9, 3),
        Metric("m", 3.0, 11, 7),
        Metric("m", 3.0, 11, 2),
    ]
    store.import_run(run, points[:2], unfinished=True)
    store.import_points(run.info.run_id, points[2:])
    store.import_points(run.info.run_id, points[1:])  # again
    store.finish_run(run.info.run_id, "active")
    found = store.get_metric_history(run.info.run_id, "m").items
    assert [(each.timestamp, each.step, each.value) for each in found] == [
        (9, 3, 2.0),
        (10, 7, 1.0),
        (11, 2, 3.0),
        (11, 7, 3.0),
    ]
    store.branch_run(run.info.run_id, 7)
    assert len(store.get_metric_history(run.info.run_id, "m").items) == 2


def test_files_stay_as_long_as_a_copy_uses_them(tmp_path: Path) -> None:
    engine = open_engine(f"sqlite:///{tmp_path / 's.db'}", str(tmp_path / "artifacts"), "normal")
    store: Any = QueuedStore(engine)
    try:
        source = store.create_run("0").info
        file = Path(source.artifact_uri, "model.bin")
        file.parent.mkdir(parents=True)
        file.write_bytes(b"weights")
        copy = RunCopy(run_id=source.run_id, new_run_id=new_run_id())
        store.copy_runs([copy], "0", share_files=True)
        store.delete_run(source.run_id)
        (kept,) = store.remove_trash(TrashSelection(force=True)).kept
        assert kept.id == source.run_id
        assert file.exists()
        store.move_runs([copy.new_run_id], store.create_experiment("other"))
        store.delete_experiment("0")
        store.delete_run(copy.new_run_id)
        part = store.remove_trash(TrashSelection(run_ids=(copy.new_run_id,)))
        assert (part.counts.runs, part.counts.files) == (1, 0)
        assert file.exists()
        part = store.remove_trash(TrashSelection(run_ids=(source.run_id,)))
        assert (part.counts.runs, part.counts.files) == (1, 1)
        assert not file.exists()
    finally:
        engine.close()


def test_a_removed_model_is_no_output_of_copies_any_more(tmp_path: Path) -> None:
    from slipstream.entities import LoggedModelOutput

    engine = open_engine(f"sqlite:///{tmp_path / 's.db'}", str(tmp_path / "artifacts"), "normal")
    store: Any = QueuedStore(engine)
    try:
        run_id = store.create_run("0").info.run_id
        model = store.create_logged_model("0", "m", run_id).model_id
        store.log_outputs(run_id, [LoggedModelOutput(model, 1)])
        store.overwrite_params(run_id, [Param("p", "1")])
        copy = RunCopy(run_id=run_id, new_run_id=new_run_id())
        store.copy_runs([copy], "0")
        assert [each.model_id for each in store.get_run(copy.new_run_id).outputs.model_outputs] == [model]
        store.delete_logged_model(model)
        store.remove_trash(TrashSelection(model_ids=(model,), force=True))
        for each in (run_id, copy.new_run_id):
            assert store.get_run(each).outputs.model_outputs == []
    finally:
        engine.close()
