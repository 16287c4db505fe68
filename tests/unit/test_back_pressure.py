"""A server that cannot take more says so, and when to come again."""

import asyncio
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from slipstream.db.sqlite import SqliteDatabase
from slipstream.errors import UnavailableError
from slipstream.server.app import TrackingApp
from slipstream.server.asked import Asked
from slipstream.server.dispatch import Dispatcher
from slipstream.server.options import ServerOptions
from slipstream.server.packing import Packing
from slipstream.store.config import StoreConfig
from slipstream.store.engine import Engine, Work
from slipstream.store.pulse import Pulse

CONFIG = StoreConfig(artifact_root="artifacts")


@pytest.fixture
def app(tmp_path: Path) -> TrackingApp:
    return TrackingApp(
        ServerOptions(
            backend_store_uri=f"sqlite:///{tmp_path}/s.db", artifacts_destination=str(tmp_path / "a")
        )
    )


def test_reads_wait_in_a_line_that_has_an_end(app: TrackingApp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slipstream.server.dispatch._WAITING_READS", 6)

    async def run() -> list[tuple[int, bytes]]:
        await app.open()
        go_on = threading.Event()

        def read(_: Any) -> bytes:
            assert go_on.wait(20)
            return b"{}"

        asked = [asyncio.ensure_future(app.dispatcher.read(read, Asked())) for _ in range(10)]
        refused: set[Any] = set()
        while len(refused) < 4:
            refused |= (await asyncio.wait(set(asked) - refused, return_when=asyncio.FIRST_COMPLETED))[0]
        go_on.set()
        answers = await asyncio.gather(*asked)
        answers.append(await app.dispatcher.read(read, Asked()))
        app.close()
        return answers

    statuses = [status for status, _ in asyncio.run(run())]
    assert sorted(statuses) == [200] * 7 + [429] * 4
    assert statuses[-1] == 200


def test_what_looks_at_whole_experiments_is_made_one_at_a_time(
    app: TrackingApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slipstream.server.dispatch._WAITING_HEAVY", 3)
    go_on = threading.Event()
    at_once: list[int] = []
    under_way = 0

    def handler(_store: Any, _request: Any) -> dict[str, str]:
        nonlocal under_way
        under_way += 1
        at_once.append(under_way)
        assert go_on.wait(20)
        under_way -= 1
        return {}

    async def run() -> list[Any]:
        await app.open()
        groups = app.dispatcher.exact["POST", "/api/slipstream/v1/runs/groups"]
        table = app.dispatcher.exact["POST", "/api/slipstream/v1/runs/table"]
        assert (groups.heavy, table.heavy) == (True, False)
        route = msgspec.structs.replace(groups, handler=handler)
        packing = Packing(False, frozenset())
        asked = [
            asyncio.ensure_future(app.dispatcher.call_packed(route, None, Asked(), packing)) for _ in range(5)
        ]
        refused: set[Any] = set()
        while len(refused) < 2:
            refused |= (await asyncio.wait(set(asked) - refused, return_when=asyncio.FIRST_COMPLETED))[0]
        # others read meanwhile
        assert (await app.dispatcher.read(lambda _: b"{}", Asked()))[0] == 200
        go_on.set()
        answers = await asyncio.gather(*asked)
        app.close()
        return answers

    answers = asyncio.run(run())
    assert sorted(answer[0] for answer in answers) == [200] * 3 + [429] * 2
    assert b"whole experiments" in next(answer[1] for answer in answers if answer[0] == 429)
    assert at_once == [1, 1, 1]


def test_writes_wait_only_up_to_so_many_bytes(tmp_path: Path) -> None:
    engine = Engine(SqliteDatabase(tmp_path / "s.db"), CONFIG, queue_bytes=1000)
    engine.start()
    go_on, done = threading.Event(), threading.Semaphore(0)

    def work(size: int) -> Work[Any]:
        return Work(lambda _: go_on.wait(20), lambda _: done.release(), size=size)

    engine.submit(work(600))
    engine.submit(work(600))
    with pytest.raises(UnavailableError, match="writes waiting"):
        engine.submit(work(1))
    go_on.set()
    assert all(done.acquire(timeout=20) for _ in range(2))
    engine.submit(work(600))
    assert done.acquire(timeout=20)
    engine.close()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    now = [1000.0]
    monkeypatch.setattr("slipstream.store.pulse.time.monotonic", lambda: now[0])
    return lambda seconds: now.__setitem__(0, now[0] + seconds)


def test_the_longer_an_outage_the_later_clients_come_again(clock: Callable[[float], None]) -> None:
    pulse = Pulse()
    told: list[int] = []

    class Answering:
        engine = type("Engine", (), {"pulse": pulse})

    def ask() -> None:
        told.append(Dispatcher.retry_after(Answering()))  # pyright: ignore[reportArgumentType]

    ask()
    pulse.wrote(1, 0.1, UnavailableError("away"))
    ask()
    for seconds in (1, 2, 4, 8):
        clock(seconds)
        pulse.wrote(1, 0.1, UnavailableError("away"))
        ask()
    clock(100)
    ask()
    pulse.wrote(1, 0.1)
    ask()
    pulse.reads()
    pulse.read(0.1, UnavailableError("away"))
    clock(5)
    ask()
    assert told == [1, 1, 1, 3, 7, 15, 30, 1, 5]


@pytest.mark.parametrize("way", ["short", "long", "artifacts"])
def test_who_is_sent_away_is_told_when_to_come_again(
    app: TrackingApp, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> dict[str, str]:
        await app.open()

        def refuse(*_: object, **__: object) -> None:
            raise UnavailableError("no")

        monkeypatch.setattr(app.dispatcher.engine, "read", refuse)
        if way == "short":
            head = app.head_of([], 503).decode()
            app.close()
            return dict(line.split(": ") for line in head.split("\r\n")[1:] if line)
        path = "/api/2.0/mlflow/experiments/get" if way == "long" else "/get-artifact"
        sent: list[Any] = []

        async def send(message: Any) -> None:
            sent.append(message)

        async def receive() -> Any:
            return {"type": "http.request", "body": b""}

        await app(
            {
                "type": "http",
                "method": "GET",
                "path": path,
                "raw_path": path.encode(),
                "query_string": b"experiment_id=0&run_id="
                + b"0" * 32
                + b"&run_uuid="
                + b"0" * 32
                + b"&path=x",
                "headers": [(b"host", b"localhost")],
            },
            receive,
            send,
        )
        app.close()
        assert sent[0]["status"] == 503
        assert json.loads(sent[1]["body"])["error_code"] == "TEMPORARILY_UNAVAILABLE"
        return {name.decode(): value.decode() for name, value in sent[0]["headers"]}

    assert asyncio.run(run())["retry-after"] == "1"


def test_a_statement_that_takes_too_long_is_ended(
    postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from slipstream.db.uri import open_database

    monkeypatch.setattr("slipstream.db.postgres.SESSION", "SET jit = off; SET statement_timeout = '50ms'")
    engine = Engine(open_database(postgres_database), CONFIG)
    began = time.monotonic()
    with pytest.raises(UnavailableError, match="statement timeout"):
        engine.read(lambda store: store.tx.fetch_one("SELECT pg_sleep(60)"))
    assert time.monotonic() - began < 30
    assert engine.read(lambda store: store.get_experiment("0")).name == "Default"
    engine.close()


def test_a_writer_that_was_stopped_half_way_gives_the_lock_back(
    postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from slipstream.db import postgres
    from slipstream.db.uri import open_database

    monkeypatch.setattr(postgres, "WRITE_LOCK", postgres.WRITE_LOCK.replace("60s", "100ms"))
    database = open_database(postgres_database)
    engine = Engine(database, CONFIG)
    stopped = database.connect()
    writing = stopped.write()
    writing.__enter__()
    assert engine.write(lambda store: store.create_experiment("after")) == "1"
    engine.close()
    stopped.close()
