"""Events of what changes: from any process, within a moment, to any number of listeners; slow ones, ends, outages."""

import http.client
import json
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from event_listener import PATH, Listener
from postgres_cluster import PostgresCluster
from server_process import ServerProcess
from slipstream.client.rest import RestStore
from slipstream.client.transport import Transport
from slipstream.entities import Metric, RunTag
from slipstream.entities.liveness import ConsoleChunk
from slipstream.entities.run_bulk import RunsChange
from slipstream.errors import SlipstreamError
from slipstream.store.engine import open_store


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def backend(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("events")
    if request.param == "postgres":
        import uuid

        import psycopg

        server = request.getfixturevalue("postgres_server")
        name = f"events_{uuid.uuid4().hex}"
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        yield server.url(name), folder
    else:
        yield f"sqlite:///{folder}/events.db", folder


@pytest.fixture(scope="module")
def servers(backend: tuple[str, Path]) -> Iterator[list[ServerProcess]]:
    uri, folder = backend
    servers = [ServerProcess(folder, backend=uri) for _ in range(2)]
    yield servers
    assert [server.stop() for server in servers] == [0, 0]


def store_of(server: ServerProcess) -> RestStore:
    return RestStore(Transport(server.url))


def until(listener: Listener, run_id: str) -> dict[str, object]:
    """Return the first event that names a run."""
    while True:
        event = listener.next()
        if run_id in event["runs"]:
            return event


def test_the_cursor_comes_at_once(servers: list[ServerProcess]) -> None:
    store = store_of(servers[0])
    run = store.create_run("0").info.run_id
    with Listener(servers[0].url) as listener:
        assert listener.answer.status == 200
        assert listener.answer.headers["Content-Type"] == "text/event-stream"
        first = listener.next()
        assert (first["runs"], first["experiments"], first["models"]) == ([], [], [])
        assert "reset" not in first
        store.log_metric(run, Metric("m", 1.0, 1))
        event = listener.next()
        assert (event["runs"], event["experiments"]) == ([run], ["0"])
        assert event["cursor"] > first["cursor"]


def test_changes_of_any_process_are_told_within_a_moment(
    servers: list[ServerProcess], backend: tuple[str, Path]
) -> None:
    embedded = open_store(backend[0], str(backend[1] / "a"))
    stores = [store_of(servers[0]), store_of(servers[1]), embedded]
    run = stores[0].create_run("0").info.run_id
    delays: list[float] = []
    with Listener(servers[0].url) as listener:
        listener.next()
        for number in range(30):
            begin = time.perf_counter()
            stores[number % 3].log_metric(run, Metric("m", float(number), 1, number))
            until(listener, run)
            delays.append(time.perf_counter() - begin)
    assert statistics.median(delays) < 0.3, delays
    embedded.close()  # pyright: ignore[reportAttributeAccessIssue]


def test_only_what_was_asked_for_is_told(servers: list[ServerProcess]) -> None:
    store = store_of(servers[0])
    mine, other = (store.create_experiment(f"e{time.monotonic_ns()}") for _ in range(2))
    run, stranger, named = (store.create_run(each).info.run_id for each in (mine, other, other))
    with (
        Listener(servers[0].url, experiment_ids=[mine]) as of_experiment,
        Listener(servers[0].url, run_ids=[named], experiment_ids=[mine]) as of_both,
    ):
        of_experiment.next()
        of_both.next()
        store.set_tag(stranger, "a", "b")
        store.set_tag(named, "a", "b")
        assert until(of_both, named)["experiments"] == [other]
        store.set_tag(run, "a", "b")
        event = of_experiment.next()
        assert (event["runs"], event["experiments"]) == ([run], [mine])
        event = of_both.next()
        assert (event["runs"], event["experiments"]) == ([run], [mine])
        store.delete_experiment(mine)
        assert of_experiment.next()["experiments"] == [mine]


REGISTRY: tuple[tuple[str, Callable[[RestStore, str], object]], ...] = (
    ("created", lambda store, name: store.create_registered_model(name, {"a": "b"})),
    ("described", lambda store, name: store.update_registered_model(name, "what it is")),
    ("tag set", lambda store, name: store.set_registered_model_tag(name, "a", "c")),
    ("tag deleted", lambda store, name: store.delete_registered_model_tag(name, "a")),
    ("version created", lambda store, name: store.create_model_version(name, "s3://bucket/model")),
    ("version described", lambda store, name: store.update_model_version(name, "1", "the first")),
    ("version tag set", lambda store, name: store.set_model_version_tag(name, "1", "a", "b")),
    ("version tag deleted", lambda store, name: store.delete_model_version_tag(name, "1", "a")),
    ("stage", lambda store, name: store.transition_model_version_stage(name, "1", "Production")),
    ("alias set", lambda store, name: store.set_registered_model_alias(name, "champion", "1")),
    ("alias deleted", lambda store, name: store.delete_registered_model_alias(name, "champion")),
    ("version deleted", lambda store, name: store.delete_model_version(name, "1")),
    ("deleted", lambda store, name: store.delete_registered_model(name)),
)


def test_every_change_of_a_registered_model_is_told(servers: list[ServerProcess]) -> None:
    store = store_of(servers[1])
    name = f"model {time.monotonic_ns()}"
    with Listener(servers[0].url, models=True) as listener, Listener(servers[0].url) as everything:
        listener.next()
        everything.next()
        for what, change in REGISTRY:
            change(store, name)
            event = listener.next()
            assert (event["models"], event["runs"], event["experiments"]) == ([name], [], []), what
            assert name in everything.next()["models"], what


def test_a_renamed_model_is_told_by_both_names(servers: list[ServerProcess]) -> None:
    store = store_of(servers[0])
    name = f"model {time.monotonic_ns()}"
    store.create_registered_model(name)
    with Listener(servers[1].url, models=True) as listener:
        listener.next()
        store.rename_registered_model(name, f"{name} b")
        assert listener.next()["models"] == [name, f"{name} b"]


def test_who_asks_for_runs_hears_nothing_of_models(servers: list[ServerProcess]) -> None:
    store = store_of(servers[0])
    run = store.create_run("0").info.run_id
    name = f"model {time.monotonic_ns()}"
    with (
        Listener(servers[0].url, run_ids=[run]) as of_run,
        Listener(servers[0].url, run_ids=[run], models=True) as of_both,
    ):
        of_run.next()
        of_both.next()
        store.create_registered_model(name)
        assert (event := of_both.next())["models"] == [name]
        assert event["runs"] == []
        store.set_tag(run, "a", "b")
        assert (event := of_run.next())["models"] == []
        assert event["runs"] == [run]


EXPERIMENTS: tuple[tuple[str, Callable[[RestStore, str], object]], ...] = (
    ("tag set", lambda store, number: store.set_experiment_tag(number, "a", "b")),
    ("tag deleted", lambda store, number: store.delete_experiment_tag(number, "a")),
    ("renamed", lambda store, number: store.rename_experiment(number, f"other {time.monotonic_ns()}")),
    ("deleted", lambda store, number: store.delete_experiment(number)),
    ("restored", lambda store, number: store.restore_experiment(number)),
)


def test_every_change_of_an_experiment_is_told(servers: list[ServerProcess]) -> None:
    store = store_of(servers[1])
    with Listener(servers[0].url) as everything:
        everything.next()
        number = store.create_experiment(f"e{time.monotonic_ns()}")
        assert (event := everything.next())["experiments"] == event["about"] == [number]
        with Listener(servers[0].url, experiment_ids=[number]) as listener:
            listener.next()
            for what, change in EXPERIMENTS:
                change(store, number)
                event = listener.next()
                assert (event["experiments"], event["about"]) == ([number], [number]), what
            run = store.create_run(number).info.run_id
            assert "about" not in until(listener, run)


def test_an_experiment_is_told_that_runs_have_left_it(servers: list[ServerProcess]) -> None:
    store = store_of(servers[1])
    here, there = (store.create_experiment(f"e{time.monotonic_ns()}") for _ in range(2))
    runs = [store.create_run(here).info.run_id for _ in range(3)]
    with Listener(servers[0].url, experiment_ids=[here]) as left:
        left.next()
        leaving: list[Callable[[], object]] = [
            lambda: store.move_runs(runs[:1], there),
            lambda: store.change_runs(RunsChange(operation="move", run_ids=tuple(runs[:2]), value=there)),
        ]
        for number, leave in enumerate(leaving):
            leave()
            store.set_tag(runs[2], "a", str(number))  # which is told in any case, perhaps in the same event
            event = left.next()
            assert event.get("about") == [here]
            if not event["runs"]:
                until(left, runs[2])


def test_a_cursor_misses_nothing_of_models_and_experiments(servers: list[ServerProcess]) -> None:
    store = store_of(servers[0])
    name = f"model {time.monotonic_ns()}"
    with Listener(servers[0].url) as listener:
        cursor = listener.next()["cursor"]
    store.create_registered_model(name)
    number = store.create_experiment(f"e{time.monotonic_ns()}")
    with Listener(servers[1].url, cursor=cursor) as listener:
        event = listener.next()
        assert event["models"] == [name]
        assert event["about"] == [number]
    with Listener(servers[1].url, experiment_ids=["0"], cursor=cursor) as listener:
        event = listener.next()
        assert (event["models"], event["experiments"]) == ([], [])


def test_what_is_refused_is_not_told(servers: list[ServerProcess]) -> None:
    store = store_of(servers[0])
    name = f"model {time.monotonic_ns()}"
    store.create_registered_model(name)
    with Listener(servers[0].url, models=True) as listener:
        listener.next()
        with pytest.raises(SlipstreamError):
            store.create_registered_model(name)
        with pytest.raises(SlipstreamError):
            store.set_registered_model_alias(name, "champion", "7")
        store.create_registered_model(f"{name} b")
        assert listener.next()["models"] == [f"{name} b"]


def test_signs_of_life_and_prints_are_told_to_who_watches_closely(servers: list[ServerProcess]) -> None:
    store = store_of(servers[0])
    run = store.create_run("0").info.run_id
    store.beat([run])
    with (
        Listener(servers[0].url, closely=[run]) as near,
        Listener(servers[1].url, closely=[run], timeout=30) as other,
        Listener(servers[0].url, run_ids=[run]) as far,
    ):
        beat = near.next()["beats"][run]
        assert abs(beat / 1000 - time.time()) < 60
        other.next()  # which may not know of it yet
        assert "beats" not in far.next()
        store.append_console(run, [ConsoleChunk(first=0, next=3, text="abc")])
        while (event := near.next()).get("consoles") != [run]:
            assert event["runs"] == []
        assert event["runs"] == []
        store.beat([run])
        assert near.next()["beats"][run] > beat
        # it is written down by the other server, and found in the database
        while (event := other.next()).get("beats", {}).get(run, 0) <= beat:
            assert event["runs"] == []
        store.set_tag(run, "a", "b")
        assert (event := far.next())["runs"] == [run]
        assert "consoles" not in event


def test_runs_below_a_run_are_told_to_who_watches_it_closely(servers: list[ServerProcess]) -> None:
    store = store_of(servers[0])
    parent, other = (store.create_run("0").info.run_id for _ in range(2))
    with (
        Listener(servers[1].url, closely=[parent]) as near,
        Listener(servers[1].url, run_ids=[parent, other]) as far,
    ):
        near.next()
        far.next()
        child = store.create_run("0", tags=[RunTag("mlflow.parentRunId", parent)]).info.run_id
        event = near.next()
        assert event["children"] == [parent]
        assert event["runs"] == []
        store.update_run(child, status="FINISHED")
        assert near.next()["children"] == [parent]
        store.create_run("0", tags=[RunTag("mlflow.parentRunId", other)])
        store.set_tag(parent, "a", "b")
        event = near.next()
        assert event["runs"] == [parent]  # and nothing of the other one's
        assert "children" not in event
        assert (event := far.next())["runs"] == [parent]
        assert "children" not in event


def test_a_parent_is_told_that_a_run_has_left_it(servers: list[ServerProcess]) -> None:
    store = store_of(servers[0])
    first, second = (store.create_run("0").info.run_id for _ in range(2))
    child = store.create_run("0", tags=[RunTag("mlflow.parentRunId", first)]).info.run_id
    leaving: list[Callable[[], object]] = [
        lambda: store.set_tag(child, "mlflow.parentRunId", second),
        lambda: store.delete_tag(child, "mlflow.parentRunId"),
        lambda: store.change_runs(RunsChange(operation="untag", run_ids=(child,), key="mlflow.parentRunId")),
    ]
    for leave in leaving:
        store.set_tag(child, "mlflow.parentRunId", first)
        with Listener(servers[1].url, closely=[first]) as near:
            near.next()
            leave()
            store.create_run("0", tags=[RunTag("mlflow.parentRunId", first)])  # which is told in any case
            assert near.next()["runs"] == [first]


def test_a_stream_goes_on_where_another_ended(servers: list[ServerProcess]) -> None:
    store = store_of(servers[0])
    run = store.create_run("0").info.run_id
    with Listener(servers[0].url) as listener:
        cursor = listener.next()["cursor"]
    store.set_tag(run, "while", "away")
    with Listener(servers[1].url, cursor=cursor) as listener:
        assert run in listener.next()["runs"]
    with Listener(servers[1].url, last_event_id=str(cursor)) as listener:
        assert run in listener.next()["runs"]
    with Listener(servers[1].url, cursor=10**15) as listener:  # of another database
        event = listener.next()
        assert event["reset"] is True
        assert event["cursor"] < 10**15
        store.set_tag(run, "and", "on")
        assert listener.next()["runs"] == [run]


def test_more_than_a_message_names_is_a_reset(servers: list[ServerProcess]) -> None:
    store = store_of(servers[0])
    experiment = store.create_experiment(f"e{time.monotonic_ns()}")
    with Listener(servers[0].url, experiment_ids=[experiment]) as listener:
        cursor = listener.next()["cursor"]
    for _ in range(1_001):
        store.create_run(experiment)
    with Listener(servers[0].url, experiment_ids=[experiment], cursor=cursor) as listener:
        event = listener.next()
        assert (event["runs"], event["reset"]) == ([], True)


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("experiment_ids=x", "experiment_ids"),
        ("cursor=abc", "cursor"),
        ("run_ids=a/b", "run_id"),
        ("closely=a/b", "run_id"),
        ("&".join(["closely=" + "a" * 32] * 101), "closely"),
        ("models=perhaps", "models"),
    ],
)
def test_what_is_wrong_is_said(servers: list[ServerProcess], query: str, named: str) -> None:
    parts = urlsplit(servers[0].url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
    connection.request("GET", f"{PATH}?{query}")
    answer = connection.getresponse()
    assert answer.status == 400
    assert named in json.loads(answer.read())["message"]
    connection.request("GET", PATH, headers={"Last-Event-ID": "x"})
    answer = connection.getresponse()
    assert answer.status == 400
    assert "Last-Event-ID" in json.loads(answer.read())["message"]
    connection.close()


def threads_of(server: ServerProcess) -> int:
    return len(list(Path(f"/proc/{server.process.pid}/task").iterdir()))


def cpu_of(server: ServerProcess) -> float:
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def test_many_listeners_cost_little_and_leave_nothing(servers: list[ServerProcess]) -> None:
    store = store_of(servers[0])
    run = store.create_run("0").info.run_id
    with Listener(servers[0].url) as first:
        first.next()
        threads = threads_of(servers[0])
        listeners = [Listener(servers[0].url) for _ in range(300)]
        for listener in listeners:
            listener.next()
        assert threads_of(servers[0]) <= threads + 2
        before = cpu_of(servers[0])
        time.sleep(2)  # the time over which it is measured, while nothing happens
        assert cpu_of(servers[0]) - before < 0.4
        store.set_tag(run, "a", "b")
        for listener in listeners:
            assert listener.next()["runs"] == [run]
            listener.close()
    wait_until(lambda: connections_of(servers[0]) < 20)


def connections_of(server: ServerProcess) -> int:
    count = 0
    for each in Path(f"/proc/{server.process.pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed since it was listed
            count += "socket:" in str(each.readlink())
    return count


def wait_until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until, "nothing happens any more"
        time.sleep(0.02)


def test_a_listener_that_takes_nothing_keeps_nobody_waiting_nor_the_server(
    backend: tuple[str, Path], tmp_path: Path
) -> None:
    server = ServerProcess(tmp_path, backend=backend[0])
    store = store_of(server)
    experiment = store.create_experiment(f"e{time.monotonic_ns()}")
    runs = [store.create_run(experiment).info.run_id for _ in range(200)]
    parts = urlsplit(server.url)
    with socket.socket() as slow, Listener(server.url, experiment_ids=[experiment]) as quick:
        slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        slow.connect((parts.hostname, parts.port))
        slow.sendall(f"GET {PATH} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
        quick.next()
        over = threading.Event()

        def write() -> None:
            while not over.is_set():
                for run in runs:
                    store.set_tag(run, "n", str(time.monotonic_ns()))

        writer = threading.Thread(target=write)
        writer.start()
        told = 0
        try:
            for _ in range(40):
                told += len(quick.next()["runs"])
        finally:
            over.set()
            writer.join()
        assert told > 100
        begin = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - begin < 15


def test_streams_end_with_the_server(backend: tuple[str, Path], tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, backend=backend[0])
    listeners = [Listener(server.url) for _ in range(20)]
    for listener in listeners:
        listener.next()
    begin = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - begin < 5
    for listener in listeners:
        with pytest.raises(EOFError):  # the stream is whole: it has its end
            listener.next()
        listener.close()
    assert not [line for line in server.lines if "rror" in line or "took long" in line]


def test_streams_of_workers_end_with_the_server(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, "--workers", "2")
    store = store_of(server)
    run = store.create_run("0").info.run_id
    listeners = [Listener(server.url) for _ in range(8)]
    for listener in listeners:
        listener.next()
    store.set_tag(run, "a", "b")
    for listener in listeners:
        assert listener.next()["runs"] == [run]
    assert server.stop() == 0
    for listener in listeners:
        with pytest.raises(EOFError):
            listener.next()
        listener.close()


def test_streams_outlive_an_outage_of_the_database(
    start_postgres: Callable[..., PostgresCluster], tmp_path: Path
) -> None:
    cluster = start_postgres()
    server = ServerProcess(tmp_path, backend=cluster.url())
    store = store_of(server)
    run = store.create_run("0").info.run_id
    with Listener(server.url, timeout=60) as listener:
        listener.next()
        cluster.stop()
        time.sleep(1)  # a few looks that fail
        cluster.start()
        store.set_tag(run, "a", "b")
        until(listener, run)
    assert server.stop() == 0
    assert sum("cannot be read now" in line for line in server.lines) == 1
