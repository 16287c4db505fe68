"""Several writers on one PostgreSQL database: nothing that was answered is lost, nobody waits for a deadlock."""

import json
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest

from slipstream.entities import RunTag
from slipstream.errors import AlreadyExistsError, BadRequestError, InvalidParameterError
from slipstream.store.engine import Engine, open_engine

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def url(postgres_server: Any) -> str:
    name = f"writers_{uuid.uuid4().hex}"
    with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    return postgres_server.url(name)


@pytest.fixture
def engines(url: str, tmp_path: Path) -> Iterator[list[Engine]]:
    """Two engines, as two server processes have them."""
    opened = [open_engine(url, str(tmp_path)) for _ in range(2)]
    for engine in opened:
        engine.start()
    yield opened
    for engine in opened:
        engine.close()


def in_parallel(engines: list[Engine], jobs: list[Callable[[Any], Any]]) -> list[Any]:
    with ThreadPoolExecutor(8) as threads:
        waiting = [threads.submit(engines[number % 2].write, job) for number, job in enumerate(jobs)]
        return [each.exception() or each.result() for each in waiting]


def test_what_adds_to_a_tag_loses_nothing(engines: list[Engine]) -> None:
    run = engines[0].write(lambda store: store.create_run("0").info.run_id)
    models = [
        json.dumps({"run_id": run, "artifact_path": f"m{n}", "flavors": {"x": {}}, "utc_time_created": "now"})
        for n in range(40)
    ]
    in_parallel(engines, [lambda store, m=m: store.record_model(run, m) for m in models])
    history = engines[0].read(lambda store: store.get_run(run).data.tags["mlflow.log-model.history"])
    assert {entry["artifact_path"] for entry in json.loads(history)} == {f"m{n}" for n in range(40)}


def test_a_rename_and_an_end_at_the_same_time_both_count(engines: list[Engine]) -> None:
    for _ in range(20):
        run = engines[0].write(lambda store: store.create_run("0").info.run_id)
        in_parallel(
            engines,
            [
                lambda store, run=run: store.update_run(run, run_name="new"),
                lambda store, run=run: store.update_run(run, status="KILLED", end_time=5),
            ],
        )
        found = engines[0].read(lambda store, run=run: store.get_run(run))
        assert (found.info.run_name, found.data.tags["mlflow.runName"]) == ("new", "new")
        assert (found.info.status, found.info.end_time) == ("KILLED", 5)


def test_requests_that_touch_the_same_rows_in_any_order_all_succeed(engines: list[Engine]) -> None:
    runs = [engines[0].write(lambda store: store.create_run("0").info.run_id) for _ in range(3)]
    keys = [f"k{n}" for n in range(10)]
    jobs = [
        lambda store, n=n: store.log_batch(
            runs[n % 3], tags=[RunTag(key, str(n)) for key in (keys if n % 2 else keys[::-1])]
        )
        for n in range(120)
    ]
    assert in_parallel(engines, jobs) == [None] * len(jobs)


def test_one_of_two_that_take_the_same_name_is_told_so(engines: list[Engine]) -> None:
    for number in range(10):
        ids = [
            engines[0].write(lambda store, a=a, n=number: store.create_experiment(f"{a}{n}")) for a in "ab"
        ]
        jobs = [lambda store, i=i, n=number: store.rename_experiment(i, f"same{n}") for i in ids]
        outcomes = in_parallel(engines, jobs)
        assert sorted(type(each) for each in outcomes if each) in ([BadRequestError], [AlreadyExistsError])


def test_a_write_after_the_connection_was_cut_goes_through(url: str, tmp_path: Path) -> None:
    engine = open_engine(url, str(tmp_path))
    engine.write(lambda store: store.create_experiment("before the cut"))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    assert engine.write(lambda store: store.create_experiment("after the cut"))
    assert engine.read(lambda store: store.find_experiment_by_name("after the cut")) is not None
    engine.close()


def test_a_nul_character_is_refused_and_harms_nobody(engines: list[Engine]) -> None:
    run = engines[0].write(lambda store: store.create_run("0").info.run_id)
    jobs = [lambda store, n=n: store.log_param(run, f"p{n}", "a\0b" if n == 3 else "good") for n in range(8)]
    outcomes = in_parallel(engines, jobs)
    assert [n for n, each in enumerate(outcomes) if each is not None] == [3]
    assert isinstance(outcomes[3], InvalidParameterError)
    with pytest.raises(InvalidParameterError, match="NUL"):
        engines[0].read(lambda store: store.find_experiment_by_name("a\0b"))
