"""Servers that search in memory see at once what others wrote into their database, whatever it was."""

import itertools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from slipstream.db.uri import open_database
from slipstream.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    LoggedModelOutput,
    Metric,
    Param,
    Run,
    RunCopy,
    RunTag,
    ViewType,
)
from slipstream.store import run_changes
from slipstream.store.config import StoreConfig
from slipstream.store.engine import Engine, QueuedStore
from slipstream.store.run_index import index as index_file
from slipstream.store.run_index.index import RunIndex

MODEL = '{"artifact_path": "m", "flavors": {}, "utc_time_created": "2026-01-01", "run_id": "r"}'


class Opened:
    """A store on the shared database, as another process would open it."""

    def __init__(self, uri: str, index: RunIndex | None = None) -> None:
        self.index = index
        config = StoreConfig(artifact_root="/artifacts", run_index=index)
        self.store: Any = QueuedStore(Engine(open_database(uri, "normal"), config))

    def close(self) -> None:
        self.store.close()


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def uri(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    return (
        f"sqlite:///{tmp_path / 's.db'}"
        if request.param == "sqlite"
        else request.getfixturevalue("postgres_database")
    )


@pytest.fixture
def opening(uri: str) -> Iterator[Callable[..., Opened]]:
    opened: list[Opened] = []

    def open_one(index: RunIndex | None = None) -> Opened:
        opened.append(Opened(uri, index))
        return opened[-1]

    yield open_one
    for each in opened:
        each.close()


def document(run: Run) -> bytes:
    return repr(run).encode()


FILTERS = [
    "",
    "metrics.loss > 0.5",
    "params.lr = '0.1'",
    "tags.team != 'red'",
    "tags.team IS NULL",
    "attributes.status = 'FINISHED'",
    "attributes.run_name LIKE 'new%'",
    "attributes.end_time > 5",
    "dataset.name = 'iris'",
    "dataset.context = 'training'",
]


def answers(store: Any, experiments: list[str]) -> list[Any]:
    found: list[Any] = []
    for view in (ViewType.ACTIVE_ONLY, ViewType.ALL):
        for text in FILTERS:
            page = store.search_encoded_runs(
                document, experiments, text, view, 100, ["metrics.loss DESC", "tags.team"]
            )
            found.append((text, page.items, page.token))
    return found


CHANGES: dict[str, Callable[[Any, str, str, str], object]] = {
    "create_run": lambda store, experiment, run, other: store.create_run(experiment, run_name="new one"),
    "create_run elsewhere": lambda store, experiment, run, other: store.create_run("0", run_name="new two"),
    "update_run": lambda store, experiment, run, other: store.update_run(run, "FINISHED", 10, "newer"),
    "log_metric": lambda store, experiment, run, other: store.log_metric(run, Metric("loss", 0.9, 1, 5)),
    "log_metric NaN": lambda store, experiment, run, other: store.log_metric(other, Metric("loss", float("nan"), 1, 5)),
    "log_points": lambda store, experiment, run, other: store.log_points(
        [(run, Metric("loss", 0.1, 1, 6)), (other, Metric("acc", 0.9, 1, 6))]
    ),
    "log_batch": lambda store, experiment, run, other: store.log_batch(
        run, [Metric("loss", 0.7, 1, 7)], [Param("lr", "0.1")], [RunTag("team", "red")]
    ),
    "log_param": lambda store, experiment, run, other: store.log_param(other, "lr", "0.1"),
    "set_tag": lambda store, experiment, run, other: store.set_tag(other, "team", "blue"),
    "set_tag name": lambda store, experiment, run, other: store.set_tag(other, "mlflow.runName", "new name"),
    "delete_tag": lambda store, experiment, run, other: store.delete_tag(run, "team"),
    "log_inputs": lambda store, experiment, run, other: store.log_inputs(
        run,
        [
            DatasetInput(
                dataset=Dataset(name="iris", digest="d", source_type="local", source="{}"),
                tags=[InputTag("mlflow.data.context", "training")],
            )
        ],
        ["m-1"],
    ),
    "log_outputs": lambda store, experiment, run, other: store.log_outputs(run, [LoggedModelOutput("m-2", 3)]),
    "record_model": lambda store, experiment, run, other: store.record_model(other, MODEL),
    "branch_run": lambda store, experiment, run, other: store.branch_run(run, 7),
    "branch_run of all": lambda store, experiment, run, other: store.branch_run(other, 0),
    "undo_branch": lambda store, experiment, run, other: store.undo_branch(run, 1),
    "undo_branch of all": lambda store, experiment, run, other: store.undo_branch(other, 1),
    "overwrite_params": lambda store, experiment, run, other: store.overwrite_params(run, [Param("lr", "0.2")]),
    "move_runs": lambda store, experiment, run, other: store.move_runs([run], "0"),
    "change it there": lambda store, experiment, run, other: store.set_tag(run, "team", "green"),
    "move_runs back": lambda store, experiment, run, other: store.move_runs([run], experiment),
    "copy_runs": lambda store, experiment, run, other: store.copy_runs(
        [RunCopy(run_id=run, new_run_id="copy-one")], "0"
    ),
    "delete_run": lambda store, experiment, run, other: store.delete_run(run),
    "restore_run": lambda store, experiment, run, other: store.restore_run(run),
    "delete_experiment": lambda store, experiment, run, other: store.delete_experiment(experiment),
    "restore_experiment": lambda store, experiment, run, other: store.restore_experiment(experiment),
    "rename_experiment": lambda store, experiment, run, other: store.rename_experiment(experiment, "renamed"),
}  # fmt: skip


def test_each_change_is_seen_by_others_and_by_oneself(opening: Callable[..., Opened]) -> None:
    plain, one, other = opening(), opening(RunIndex()), opening(RunIndex())
    experiment = plain.store.create_experiment("e")
    runs = [
        plain.store.create_run(experiment, run_name=f"run {number}", start_time=number).info.run_id
        for number in range(4)
    ]
    searched = [experiment, "0"]
    for number, (name, change) in enumerate(CHANGES.items()):
        writer = (plain, one, other)[number % 3]
        change(writer.store, experiment, runs[1], runs[2])
        expected = answers(plain.store, searched)
        assert answers(one.store, searched) == expected, name
        assert answers(other.store, searched) == expected, name
    for each in (one, other):
        assert each.index is not None
        assert each.index.answered == len(CHANGES) * 2 * len(FILTERS)


def test_an_error_in_a_group_does_not_hide_the_changes_of_others(opening: Callable[..., Opened]) -> None:
    indexed = opening(RunIndex())
    engine: Engine = indexed.store.engine
    run = indexed.store.create_run("0", run_name="a").info.run_id
    assert len(indexed.store.search_runs(["0"]).items) == 1
    engine.start()
    threads = [threading.Thread(target=indexed.store.create_run, args=("0",)) for _ in range(8)]
    for thread in threads:
        thread.start()
    with pytest.raises(Exception, match="not found"):
        indexed.store.set_tag("no such run", "k", "v")
    indexed.store.set_tag(run, "k", "v")
    for thread in threads:
        thread.join()
    assert len(indexed.store.search_runs(["0"]).items) == 9
    assert len(indexed.store.search_runs(["0"], "tags.k = 'v'").items) == 1


@pytest.mark.parametrize("merged", [1000, 0])
def test_who_was_long_away_catches_up(
    opening: Callable[..., Opened], monkeypatch: pytest.MonkeyPatch, merged: int
) -> None:
    """By the row of merged changes; or, where that was too long to be kept, by reading all anew."""
    monkeypatch.setattr(run_changes, "KEPT", 3)
    monkeypatch.setattr(run_changes, "MERGE_EVERY", 4)
    monkeypatch.setattr(run_changes, "MERGED_RUNS", merged)
    writer, reader = opening(), opening(RunIndex())
    ids = [writer.store.create_run("0", run_name=f"r{number}").info.run_id for number in range(3)]
    assert len(reader.store.search_runs(["0"]).items) == 3
    for round_ in range(5):
        for step in range(9):
            writer.store.log_metric(ids[step % 2], Metric("m", 10 * round_ + step, 1, 10 * round_ + step))
        expected = answers(writer.store, ["0"])
        assert answers(reader.store, ["0"]) == expected
        found = reader.store.search_runs(["0"], f"metrics.m >= {10 * round_ + 7}").items
        assert {run.info.run_id for run in found} == set(ids[:2])
    rows = writer.store.engine.read(
        lambda store: store.tx.fetch_all("SELECT id, first FROM run_changes ORDER BY id")
    )
    assert len(rows) <= 3 + 4 + 1
    if merged:
        assert rows[0][1] == 1, "the first row tells of all old changes"
    assert all(later[1] == earlier[0] + 1 for earlier, later in itertools.pairwise(rows))


def test_a_snapshot_that_is_older_than_memory_asks_the_database(opening: Callable[..., Opened]) -> None:
    writer, reader = opening(), opening(RunIndex())
    run = writer.store.create_run("0", run_name="a").info.run_id
    assert reader.index is not None

    def search(store: Any) -> int:
        return len(store.search_runs(["0"], "tags.k = 'v'").items)

    def inside(store: Any) -> tuple[int, int]:
        before = search(store)
        writer.store.set_tag(run, "k", "v")
        ahead = reader.store.engine.read(search)  # a younger snapshot, in another connection
        return before, search(store) * 10 + ahead

    assert reader.store.engine.read(inside) == (0, 1)
    assert reader.store.engine.read(search) == 1
    assert reader.index.answered == 3, "all but the second search of the old snapshot"


def test_documents_of_an_old_snapshot_are_not_kept(opening: Callable[..., Opened]) -> None:
    writer, reader = opening(), opening(RunIndex())
    run = writer.store.create_run("0", run_name="a").info.run_id

    def encode(found: Run) -> bytes:
        if not changed:  # while the page is made, the run changes, and somebody else sees it
            changed.append(True)
            writer.store.set_tag(run, "k", "new")
            reader.store.engine.read(lambda store: store.search_encoded_runs(encode, ["0"]))
        return repr(found.data.tags.get("k")).encode()

    changed: list[bool] = []
    assert reader.store.search_encoded_runs(encode, ["0"]).items == [b"None"]
    assert reader.store.search_encoded_runs(encode, ["0"]).items == [b"'new'"]


def test_a_run_that_another_program_deleted_is_missed(
    opening: Callable[..., Opened], caplog: pytest.LogCaptureFixture
) -> None:
    plain, reader = opening(), opening(RunIndex())
    ids = [plain.store.create_run("0", run_name=f"r{number}").info.run_id for number in range(3)]
    assert len(reader.store.search_runs(["0"]).items) == 3

    def delete(store: Any) -> None:
        row = store.tx.fetch_one("SELECT id FROM runs WHERE run_id = :run_id", run_id=ids[0])
        store.tx.execute("DELETE FROM run_tags WHERE run = :run", run=row[0])
        store.tx.execute("DELETE FROM runs WHERE id = :run", run=row[0])

    plain.store.engine.write(delete)
    assert {run.info.run_id for run in reader.store.search_runs(["0"]).items} == set(ids[1:])
    assert "anew" in caplog.text
    assert len(reader.store.search_runs(["0"]).items) == 2


def test_memory_is_bounded(opening: Callable[..., Opened], monkeypatch: pytest.MonkeyPatch) -> None:
    index = RunIndex(memory=60_000, documents=20_000)
    plain, reader = opening(), opening(index)
    experiments = [plain.store.create_experiment(f"e{number}") for number in range(4)]
    for number, experiment in enumerate(experiments):
        for each in range(50):
            run = plain.store.create_run(experiment, run_name=f"r{each}", start_time=each).info.run_id
            metrics = [Metric(f"m{key}", (each * 7 + key) % 50, 1) for key in range(8)]
            plain.store.log_batch(run, metrics, [Param("p", str(each * number))])
    for _ in range(2):
        for experiment in experiments:
            for key in range(8):
                arguments = (
                    [experiment],
                    f"metrics.m{key} > 5",
                    ViewType.ACTIVE_ONLY,
                    10,
                    [f"metrics.m{key}"],
                )
                expected = plain.store.search_encoded_runs(document, *arguments)
                assert reader.store.search_encoded_runs(document, *arguments) == expected
                columns, documents = index.sizes()
                assert columns <= 60_000
                assert documents <= 20_000
    assert index.answered == 64
    tight = opening(RunIndex(memory=50 * 180 - 1))
    assert tight.store.search_runs(experiments[:1]) == plain.store.search_runs(experiments[:1])
    assert tight.index is not None
    assert tight.index.answered == 0, "an experiment that is too large is left to the database"
    monkeypatch.setattr(index_file, "_MOST_EXPERIMENTS", 3)
    assert reader.store.search_runs(experiments) == plain.store.search_runs(experiments)
    assert index.answered == 64, "too many experiments are left to the database"


def test_searching_while_others_write(opening: Callable[..., Opened]) -> None:
    """Every answer holds what was written before it was asked for, in right order, and each run as it was at one moment."""
    writer, reader = opening(), opening(RunIndex())
    ids = [writer.store.create_run("0", run_name=f"r{number}").info.run_id for number in range(20)]
    done = threading.Event()
    written = [0]
    failures: list[str] = []

    def write() -> None:
        for step in range(1, 120):
            run = ids[step * 7 % 20]
            writer.store.log_batch(run, [Metric("m", step, 1, step)], [], [RunTag("step", str(step))])
            written[0] = step
            if step % 10 == 0:
                ids.append(writer.store.create_run("0", run_name=f"late {step}").info.run_id)
        done.set()

    def encode(run: Run) -> bytes:
        return f"{run.data.metrics.get('m', 0):.0f} {run.data.tags.get('step', 0)}".encode()

    def search() -> None:
        while not done.is_set():
            least = written[0]
            page = reader.store.search_encoded_runs(
                encode, ["0"], "metrics.m > 0", order_by=["metrics.m DESC"]
            )
            pairs = [tuple(map(int, each.split())) for each in page.items]
            if pairs != sorted(pairs, reverse=True) or any(one != two for one, two in pairs):
                failures.append(f"torn: {pairs}")
            if least and (not pairs or pairs[0][0] < least):
                failures.append(f"stale: {pairs[:1]} after {least}")

    threads = [threading.Thread(target=write), *(threading.Thread(target=search) for _ in range(4))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert answers(reader.store, ["0"]) == answers(writer.store, ["0"])
    assert reader.index is not None
    assert reader.index.answered > 0


def test_a_run_that_moved_is_shown_as_it_is_now(opening: Callable[..., Opened]) -> None:
    plain, server = opening(), opening(RunIndex())
    one, other = (plain.store.create_experiment(name) for name in ("one", "other"))
    run = plain.store.create_run(one).info.run_id
    later_id = plain.store.create_run(other, start_time=1).info.run_id
    later = document(plain.store.get_run(later_id))

    def shown(experiment: str) -> list[bytes]:
        return server.store.search_encoded_runs(document, [experiment]).items

    assert (len(shown(one)), shown(other)) == (1, [later])  # known in both, with a document of the one
    plain.store.move_runs([run], other)
    # Only the other experiment is looked at: the document that was made for the first is not of use there.
    assert shown(other) == [later, document(plain.store.get_run(run))]
    assert shown(one) == []
    plain.store.move_runs([run], one)
    assert shown(one) == [document(plain.store.get_run(run))]
    assert shown(other) == [later]


def test_a_document_made_before_a_move_is_not_kept_after_it(opening: Callable[..., Opened]) -> None:
    plain, server = opening(), opening(RunIndex())
    one, other = (plain.store.create_experiment(name) for name in ("one", "other"))
    run = plain.store.create_run(one).info.run_id
    plain.store.create_run(other)
    server.store.search_encoded_runs(document, [other])

    def slow(found: Run) -> bytes:
        # While this page is made, the run moves, and somebody else has the memory catch up.
        if found.info.run_id == run and found.info.experiment_id == one:
            plain.store.move_runs([run], other)
            thread = threading.Thread(
                target=server.store.search_runs, args=([other],), kwargs={"max_results": 5_000}
            )
            thread.start()
            thread.join()
        return document(found)

    server.store.search_encoded_runs(slow, [one], max_results=5_000)
    assert document(plain.store.get_run(run)) in server.store.search_encoded_runs(slow, [other]).items
