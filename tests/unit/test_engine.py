"""Group commit: what is shared, what is isolated, what is refused, what is told."""

import signal
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from slipstream.db.base import Transaction
from slipstream.db.sqlite import SqliteDatabase
from slipstream.entities import Metric
from slipstream.errors import InvalidParameterError, NotFoundError, UnavailableError
from slipstream.store.config import StoreConfig
from slipstream.store.engine import Engine, Work
from slipstream.store.sql import SqlStore

CONFIG = StoreConfig(artifact_root="/artifacts")


class CountingDatabase(SqliteDatabase):
    """Counts committed transactions, and holds writers back while `gate` is closed."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "normal")
        self.commits = 0
        self.gate = threading.Event()
        self.gate.set()
        self.failures: list[Exception] = []

    def connect(self) -> Any:
        connection = super().connect()
        write = connection.write

        @contextmanager
        def counted() -> Generator[Transaction]:
            assert self.gate.wait(10)
            if self.failures:
                raise self.failures.pop(0)
            with write() as tx:
                yield tx
            self.commits += 1

        connection.write = counted
        connection.is_transient = lambda error: isinstance(error, ConnectionAbortedError)
        return connection


@pytest.fixture
def database(tmp_path: Path) -> CountingDatabase:
    return CountingDatabase(tmp_path / "s.db")


@pytest.fixture
def engine(database: CountingDatabase) -> Iterator[Engine]:
    engine = Engine(database, CONFIG)
    yield engine
    database.gate.set()
    engine.close()


def collect(engine: Engine, works: list[Work[Any]]) -> None:
    """Submit works and wait until all are done."""
    done = threading.Semaphore(0)
    for work in works:
        work.done = lambda _: done.release()
        engine.submit(work)
    for _ in works:
        assert done.acquire(timeout=10)


def test_what_waits_shares_one_transaction(engine: Engine, database: CountingDatabase) -> None:
    engine.start()
    database.gate.clear()
    first = Work(lambda store: store.create_experiment("first"))
    threading.Timer(0.2, database.gate.set).start()
    before = database.commits
    works = [first, *(Work(lambda store, n=n: store.create_experiment(f"e{n}")) for n in range(50))]
    collect(engine, works)
    assert len({work.result for work in works}) == 51
    assert database.commits - before <= 2  # the one that held the gate, and all that came meanwhile


def test_an_error_undoes_only_its_own_write(engine: Engine, database: CountingDatabase) -> None:
    engine.start()
    database.gate.clear()
    threading.Timer(0.2, database.gate.set).start()

    def half_then_fail(store: SqlStore) -> None:
        store.create_experiment("half")
        raise InvalidParameterError("no")

    good = [Work(lambda store, n=n: store.create_experiment(f"good{n}")) for n in range(5)]
    bad: Work[Any] = Work(half_then_fail)
    collect(engine, [good[0], bad, *good[1:]])
    assert isinstance(bad.error, InvalidParameterError)
    assert all(work.error is None for work in good)
    assert engine.read(lambda store: store.find_experiment_by_name("half")) is None
    assert engine.read(lambda store: store.find_experiment_by_name("good4")) is not None


def test_bulk_writes_tell_each_caller_its_own_outcome(engine: Engine) -> None:
    engine.start()
    run = engine.write(lambda store: store.create_run("0").info.run_id)
    requests = [(run, Metric("m", 1.0, 1)), ("0" * 32, Metric("m", 1.0, 1)), (run, Metric("m#", 1.0, 1))]
    works: list[Work[Any]] = [Work(None, None, SqlStore.log_points, request) for request in requests]
    collect(engine, works)
    assert works[0].error is None
    assert isinstance(works[1].error, NotFoundError)
    assert isinstance(works[2].error, InvalidParameterError)
    assert len(engine.read(lambda store: store.get_metric_history(run, "m")).items) == 1


def test_a_bulk_that_fails_is_done_one_by_one(engine: Engine) -> None:
    """A request that nobody foresaw must not cost the others of its group theirs."""
    engine.start()
    run = engine.write(lambda store: store.create_run("0").info.run_id)

    def bulk(store: SqlStore, requests: Any) -> Any:
        for _, metric in requests:
            if metric.key == "bad":
                raise UnicodeEncodeError("utf-8", "x", 0, 1, "surrogates not allowed")
        return store.log_points(requests)

    works: list[Work[Any]] = [
        Work(None, None, bulk, (run, Metric("bad" if n == 5 else f"m{n}", 1.0, 1))) for n in range(10)
    ]
    collect(engine, works)
    assert [n for n, work in enumerate(works) if work.error is not None] == [5]
    stored = engine.read(lambda store: store.get_run(run).data.metrics)
    assert set(stored) == {f"m{n}" for n in range(10) if n != 5}


def test_a_transient_failure_is_tried_again(engine: Engine, database: CountingDatabase) -> None:
    database.failures = [ConnectionAbortedError("deadlock")]
    assert engine.write(lambda store: store.create_experiment("a"))


def test_a_failing_commit_is_told_to_everyone(engine: Engine, database: CountingDatabase) -> None:
    database.failures = [OSError("disk full")]
    with pytest.raises(UnavailableError, match="disk full"):
        engine.write(lambda store: store.create_experiment("a"))
    assert engine.write(lambda store: store.create_experiment("a"))  # the next one goes through


def test_a_full_queue_refuses(database: CountingDatabase) -> None:
    engine = Engine(database, CONFIG, queue_limit=3)
    engine.start()
    database.gate.clear()
    works: list[Work[Any]] = [Work(lambda store, n=n: store.create_experiment(f"e{n}")) for n in range(10)]
    accepted: list[Work[Any]] = []

    def submit_all() -> None:
        for work in works:
            engine.submit(work)
            accepted.append(work)

    with pytest.raises(UnavailableError, match="waiting"):
        submit_all()
    assert len(accepted) >= 3
    database.gate.set()
    engine.close()
    assert all(work.finished and work.error is None for work in accepted)


def test_closing_finishes_what_waits(database: CountingDatabase, tmp_path: Path) -> None:
    engine = Engine(database, CONFIG)
    engine.start()
    works = [Work(lambda store, n=n: store.create_experiment(f"e{n}")) for n in range(20)]
    for work in works:
        engine.submit(work)
    engine.close()
    again = Engine(SqliteDatabase(tmp_path / "s.db"), CONFIG)
    names = again.read(lambda store: [e.name for e in store.search_experiments().items])
    assert {f"e{n}" for n in range(20)} <= set(names)
    again.close()


def test_many_threads_without_a_writer_thread(engine: Engine) -> None:
    """The embedded SDK: callers lead one another's writes."""
    run = engine.write(lambda store: store.create_run("0").info.run_id)
    failures: list[BaseException] = []

    def log(thread: int) -> None:
        try:
            for step in range(50):
                engine.write(lambda store: store.log_metric(run, Metric(f"m{thread}", 1.0, 1, step)))  # noqa: B023
        except BaseException as error:  # noqa: BLE001  # shown by the assertion
            failures.append(error)

    threads = [threading.Thread(target=log, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    for thread in range(8):
        history = engine.read(lambda store, t=thread: store.get_metric_history(run, f"m{t}"))
        assert len(history.items) == 50


def test_a_read_error_gives_the_connection_back(engine: Engine) -> None:
    for _ in range(3):
        with pytest.raises(NotFoundError):
            engine.read(lambda store: store.get_run("0" * 32))
    assert engine._readers.qsize() == 1  # pyright: ignore[reportPrivateUsage]


def test_a_read_whose_connection_was_lost_takes_another(engine: Engine) -> None:
    engine.read(lambda store: store.find_experiment_by_name("a"))  # leaves a connection in the pool
    failures = [ConnectionAbortedError("the server went away")]

    def read(store: SqlStore) -> str:
        if failures:
            raise failures.pop()
        return store.get_experiment("0").name

    assert engine.read(read) == "Default"


def test_a_read_that_cannot_be_done_now_is_unavailable(engine: Engine) -> None:
    def read(_: SqlStore) -> None:
        raise OSError("no disk")

    with pytest.raises(UnavailableError, match="no disk"):
        engine.read(read)


@pytest.mark.parametrize("started", [False, True])
def test_a_bug_is_not_called_a_failing_database(engine: Engine, started: bool) -> None:
    if started:
        engine.start()

    def buggy(_: SqlStore) -> None:
        raise TypeError("a bug")

    with pytest.raises(TypeError, match="a bug"):
        engine.write(buggy)
    with pytest.raises(TypeError, match="a bug"):
        engine.read(buggy)
    assert engine.write(lambda store: store.create_experiment("a"))


def test_a_full_disk_refuses_the_whole_group_and_stores_none_of_it(tmp_path: Path) -> None:
    engine = Engine(LimitedDatabase(tmp_path / "s.db"), CONFIG)
    run = engine.write(lambda store: store.create_run("0").info.run_id)
    engine.start()
    works = [Work(lambda store, n=n: store.log_param(run, f"p{n}", "x" * 6_000)) for n in range(200)]
    collect(engine, [Work(lambda store: store.find_experiment_by_name("wake up")), *works])
    stored = engine.read(lambda store: store.get_run(run).data.params)

    refused = [work for work in works if work.error is not None]
    assert refused
    assert all(isinstance(work.error, UnavailableError) for work in refused)
    assert len(stored) == len(works) - len(refused)  # what was answered well is there, and nothing else
    engine.close()


def test_a_write_inside_a_write_of_the_same_thread_is_refused(engine: Engine) -> None:
    """What a signal handler does that interrupts a write; it must not wait for ever."""
    refused: list[Exception] = []

    def interrupted(store: SqlStore) -> str:
        try:
            engine.write(lambda inner: inner.create_experiment("inside"))
        except UnavailableError as error:
            refused.append(error)
        return store.create_experiment("outside")

    assert engine.write(interrupted)
    assert "signal handler" in str(refused[0])
    assert engine.write(lambda store: store.create_experiment("inside"))


def test_a_closed_engine_refuses(database: CountingDatabase) -> None:
    engine = Engine(database, CONFIG)
    engine.close()
    with pytest.raises(UnavailableError, match="closed"):
        engine.write(lambda store: store.create_experiment("a"))
    with pytest.raises(UnavailableError, match="closed"):
        engine.read(lambda store: store.get_experiment("0"))
    with pytest.raises(UnavailableError, match="closed"):
        engine.submit(Work(lambda store: store.create_experiment("a")))


def test_a_database_that_another_program_holds_is_unavailable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slipstream.db.sqlite._BUSY_SECONDS", 0.05)
    holder = SqliteDatabase(tmp_path / "s.db").connect()
    with holder.write(), pytest.raises(UnavailableError, match="may hold it"):
        Engine(SqliteDatabase(tmp_path / "s.db"), CONFIG)
    holder.close()


class LimitedDatabase(SqliteDatabase):
    """A database on a disk with little space."""

    def connect(self) -> Any:
        connection = super().connect()
        with connection.write() as tx:
            tx.script("PRAGMA max_page_count = 150")
        return connection


def test_ctrl_c_ends_the_wait_for_another_program(
    engine: Engine, database: CountingDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    # SQLite's own way of waiting is deaf until its time is over, and then this is an UnavailableError.
    waits = threading.Event()
    monkeypatch.setattr("slipstream.db.sqlite._chance.uniform", lambda *_: waits.set() or 0.001)
    other = database.connect()
    press = threading.Thread(
        target=lambda: (
            waits.wait(10) and signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        )
    )
    with other.write():
        press.start()
        with pytest.raises(KeyboardInterrupt):
            engine.write(lambda store: store.create_experiment("waits", None, []))
    press.join()
    other.close()
    assert engine.write(lambda store: store.create_experiment("goes on", None, [])) is not None


def test_a_write_that_fails_half_way_is_undone_and_its_neighbours_are_not(
    engine: Engine, database: CountingDatabase
) -> None:
    engine.start()
    run = engine.write(lambda store: store.create_run("0").info.run_id)
    calls: list[str] = []

    def fail(store: SqlStore) -> None:
        calls.append("fail")
        store.set_tag(run, "half", "way")
        raise error

    def log(key: str) -> Work[Any]:
        return Work(lambda store: store.log_metric(run, Metric(key, 1.0, 1)))

    for error in (NotFoundError("no"), ZeroDivisionError("a bug")):
        calls.clear()
        database.gate.clear()
        works: list[Work[Any]] = [log(f"{type(error).__name__}-{n}") for n in range(6)]
        works.insert(3, Work(fail))
        threading.Timer(0.2, database.gate.set).start()
        collect(engine, works)
        assert [type(work.error) for work in works if work.error is not None] == [type(error)]
        assert works[3].error is error
        assert len(calls) in (1, 2), "together with others it is done once more, apart"
    data = engine.read(lambda store: store.get_run(run).data)
    assert len(data.metrics) == 12
    assert "half" not in data.tags


def test_an_error_before_anything_was_written_costs_no_second_try(
    engine: Engine, database: CountingDatabase
) -> None:
    engine.start()
    run = engine.write(lambda store: store.create_run("0").info.run_id)
    calls: list[int] = []

    def refuse(store: SqlStore) -> None:
        calls.append(1)
        store.set_tag("0" * 32, "k", "v")

    database.gate.clear()
    works: list[Work[Any]] = [Work(lambda store: store.set_tag(run, "k", "v")), Work(refuse), Work(refuse)]
    threading.Timer(0.2, database.gate.set).start()
    collect(engine, works)
    assert [type(work.error) for work in works] == [type(None), NotFoundError, NotFoundError]
    assert len(calls) == 2
