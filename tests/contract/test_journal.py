"""The journal of changes: written with them or not at all, trimmed without losing any, and read on after an upgrade."""

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipstream.client.liveness.left import read_tail
from slipstream.entities.liveness import ConsoleChunk, ConsoleTail
from slipstream.errors import SlipstreamError
from slipstream.store import run_changes
from slipstream.store.engine import Engine, QueuedStore, open_engine
from slipstream.store.run_changes import ToldChanges
from slipstream.store.sql import SqlStore

MUSEUM = Path(__file__).parents[1] / "upgrade" / "museum"


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    if request.param == "postgres":
        uri: str = request.getfixturevalue("postgres_database")
    else:
        uri = f"sqlite:///{tmp_path}/journal.db"
    engine = open_engine(uri, str(tmp_path / "files"))
    yield engine
    engine.close()


def cursor_of(engine: Engine) -> int:
    return engine.read(lambda store: store.find_changes(None, 100)).upto


def since(engine: Engine, cursor: int) -> ToldChanges:
    return engine.read(lambda store: store.find_changes(cursor, 1_000))


def test_a_change_that_is_undone_is_not_in_it(engine: Engine) -> None:
    cursor = cursor_of(engine)

    def fail(store: SqlStore) -> None:
        store.create_registered_model("never")
        store.create_experiment("never")
        raise SlipstreamError("no")

    with pytest.raises(SlipstreamError):
        engine.write(fail)

    assert since(engine, cursor) == ToldChanges(cursor, {}, frozenset())


def test_all_of_one_transaction_is_one_row(engine: Engine) -> None:
    cursor = cursor_of(engine)

    def change(store: SqlStore) -> tuple[str, int]:
        number = int(store.create_experiment("new"))
        run_id = store.create_run(str(number)).info.run_id
        store.append_console(run_id, [ConsoleChunk(first=0, next=1, text="x")])
        store.create_registered_model("a")
        store.create_registered_model("b")
        return run_id, number

    run_id, number = engine.write(change)

    assert since(engine, cursor) == ToldChanges(
        cursor + 1,
        {run_id: number},
        frozenset({number}),
        models=frozenset({"a", "b"}),
        about=frozenset({number}),
        consoles=frozenset({run_id}),
    )


def test_a_model_that_was_logged_is_a_change_of_its_run(engine: Engine) -> None:
    store = QueuedStore(engine)
    run_id: str = store.create_run("0").info.run_id
    cursor = cursor_of(engine)
    model = store.create_logged_model("0", "net", run_id)
    assert since(engine, cursor).runs == {run_id: 0}
    cursor = cursor_of(engine)
    store.set_logged_model_tags(model.model_id, {"a": "b"})
    assert since(engine, cursor).runs == {run_id: 0}
    cursor = cursor_of(engine)
    store.create_registered_model("registered")
    store.create_model_version("registered", "s3://bucket/model", run_id)
    assert since(engine, cursor).runs == {run_id: 0}


@pytest.mark.parametrize("merged", [1_000, 0])
def test_what_is_trimmed_is_told_or_that_it_is_not(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, merged: int
) -> None:
    monkeypatch.setattr(run_changes, "KEPT", 3)
    monkeypatch.setattr(run_changes, "MERGE_EVERY", 4)
    monkeypatch.setattr(run_changes, "MERGED_RUNS", merged)
    store = QueuedStore(engine)
    cursor = cursor_of(engine)
    run_id = store.create_run("0").info.run_id
    for number in range(12):
        store.create_registered_model(f"m{number:02}")
        store.append_console(run_id, [ConsoleChunk(first=number, next=number + 1, text="x")])
    last = store.create_experiment("last")

    rows = engine.read(lambda sql: sql.tx.fetch_all("SELECT id FROM run_changes"))
    found = since(engine, cursor)

    assert len(rows) < 10
    if merged:
        assert found.models == {f"m{number:02}" for number in range(12)}
        assert found.consoles == {run_id}
        assert found.about == {int(last)}
        assert not found.too_much
    else:
        assert found.too_much
    newest = cursor_of(engine)
    store.delete_registered_model("m00")
    assert since(engine, newest).models == {"m00"}


def test_more_models_than_are_named_is_too_much(engine: Engine) -> None:
    cursor = cursor_of(engine)

    def many(store: SqlStore) -> None:
        for number in range(11):
            store.create_registered_model(f"m{number}")

    engine.write(many)

    assert engine.read(lambda store: store.find_changes(cursor, 10)).too_much
    assert not engine.read(lambda store: store.find_changes(cursor, 11)).too_much


def test_who_listened_before_an_upgrade_goes_on_after_it(tmp_path: Path) -> None:
    path = tmp_path / "museum.db"
    shutil.copyfile(MUSEUM / "0008" / "museum.db", path)
    with sqlite3.connect(path) as connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(run_changes)")]
        assert "models" not in columns
        cursor = connection.execute("SELECT MAX(id) FROM run_changes").fetchone()[0]
        run = connection.execute("SELECT id, run_id FROM runs").fetchone()
        # what a server of that schema wrote last
        connection.execute(
            "INSERT INTO run_changes (id, first, runs, experiments) VALUES (?, ?, ?, '[]')",
            (cursor + 1, cursor + 1, f"[{run[0]}]"),
        )
    connection.close()
    engine = open_engine(f"sqlite:///{path}", str(tmp_path / "files"))

    QueuedStore(engine).set_registered_model_alias("museum model", "after", "1")

    found = since(engine, cursor)
    assert set(found.runs) == {run[1]}
    assert found.models == {"museum model"}
    engine.close()


@pytest.mark.parametrize(
    ("content", "tail"),
    [
        (b"", None),
        (b"one\ntwo\n", ConsoleTail(text="one\ntwo\n", is_all=True)),
        (b"x" * 5_000, ConsoleTail(text="x" * 4_000, is_all=False)),
        (b"\xffend", ConsoleTail(text="\ufffdend", is_all=True)),
    ],
)
def test_the_end_of_a_log(tmp_path: Path, content: bytes, tail: ConsoleTail | None) -> None:
    (tmp_path / "log").write_bytes(content)
    assert read_tail(tmp_path / "log") == tail
