"""PostgreSQL goes away under load, or has no connection left: nothing acknowledged is lost, and servers recover alone."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
import pytest

from postgres_cluster import PostgresCluster
from server_process import ServerProcess
from tracking_client import TrackingClient

MOST_THREADS = 40
"""Of a server process, whatever waits in it."""
SEARCH = "experiments/search?max_results=10"


def threads_of(server: ServerProcess) -> int:
    return len(list(Path(f"/proc/{server.process.pid}/task").iterdir()))


def wait_until(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < until, "nothing happens any more"
        time.sleep(0.02)


class Load:
    """Six that write and four that read, through several servers, noting what was acknowledged."""

    def __init__(self, clients: list[TrackingClient], run: str) -> None:
        self.run = run
        self.clients = clients
        self.over = threading.Event()
        self.acknowledged: list[list[int]] = [[] for _ in range(6)]
        self.reads = [0] * 4

    def write(self, number: int) -> None:
        step = 0
        while not self.over.is_set():
            step += 1
            body = {
                "run_id": self.run,
                "metrics": [{"key": f"m{number}", "value": step, "timestamp": 1, "step": step}],
                "params": [{"key": f"p{number}-{step}", "value": str(step)}],
            }
            if self.clients[number].ask("POST", "runs/log-batch", body).status == 200:
                self.acknowledged[number].append(step)

    def read(self, number: int) -> None:
        while not self.over.is_set():
            if self.clients[6 + number].ask("GET", f"runs/get?run_id={self.run}").status == 200:
                self.reads[number] += 1

    def numbers(self) -> list[int]:
        return [len(each) for each in self.acknowledged] + self.reads

    def wait_until_all_go_on(self) -> None:
        before = self.numbers()
        wait_until(lambda: all(now >= then + 20 for now, then in zip(self.numbers(), before, strict=True)))

    def wait_until_all_are_sent_away(self) -> None:
        before = [client.sent_away for client in self.clients]
        wait_until(
            lambda: all(each.sent_away > then for each, then in zip(self.clients, before, strict=True))
        )


@pytest.mark.slow
def test_a_database_that_goes_away_and_comes_back(
    start_postgres: Callable[..., PostgresCluster], tmp_path: Path
) -> None:
    cluster = start_postgres()
    servers = [ServerProcess(tmp_path, backend=cluster.url()) for _ in range(2)]
    with ExitStack() as stack:
        clients = [stack.enter_context(TrackingClient(servers[number % 2].url)) for number in range(10)]
        run: str = clients[0].post("runs/create", {"experiment_id": "0"})["run"]["info"]["run_id"]
        load = Load(clients, run)
        pool = stack.enter_context(ThreadPoolExecutor(10))
        outcomes = [pool.submit(load.write, number) for number in range(6)]
        outcomes += [pool.submit(load.read, number) for number in range(4)]
        try:
            for _ in range(2):
                load.wait_until_all_go_on()
                cluster.stop("immediate")
                load.wait_until_all_are_sent_away()
                assert max(threads_of(server) for server in servers) < MOST_THREADS
                cluster.start()
            load.wait_until_all_go_on()
        finally:
            load.over.set()
        for outcome in outcomes:
            outcome.result()  # no other answers than 200 and 503 came, and no connection was cut

        for client in clients[:2]:  # one of each server
            params = client.get(f"runs/get?run_id={run}")["run"]["data"]["params"]
            stored = {param["key"] for param in params}
            for number, steps in enumerate(load.acknowledged):
                path = f"metrics/get-history?run_id={run}&metric_key=m{number}&max_results=25000"
                points = {point["step"] for point in client.get(path)["metrics"]}
                assert set(steps) <= points
                # A batch is stored whole or not at all, also one whose answer was lost.
                mine = {key for key in stored if key.startswith(f"p{number}-")}
                assert {f"p{number}-{step}" for step in points} == mine
    assert [server.stop() for server in servers] == [0, 0]


@pytest.fixture
def few_connections(postgres_database: str) -> Iterator[str]:
    """URI of a database as a user that may have three connections."""
    parts = urlsplit(postgres_database)
    name = f"few_{parts.path[-8:]}"
    with psycopg.connect(postgres_database, autocommit=True) as connection:
        connection.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'few' CONNECTION LIMIT 3")
        connection.execute(f"GRANT ALL ON SCHEMA public TO {name}")
    yield f"postgresql://{name}:few@{parts.hostname}:{parts.port}{parts.path}"
    with psycopg.connect(postgres_database, autocommit=True) as connection:
        connection.execute(f"DROP OWNED BY {name} CASCADE")
        connection.execute(f"DROP ROLE {name}")


def test_readers_share_what_connections_there_are(few_connections: str, tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, backend=few_connections)

    def search(_: int) -> set[int]:
        with TrackingClient(server.url) as client:
            return {client.ask("GET", SEARCH).status for _ in range(5)}

    with ThreadPoolExecutor(16) as pool:
        assert set().union(*pool.map(search, range(16))) == {200}
    assert server.stop() == 0


def test_without_a_connection_clients_are_sent_away_until_there_is_one(
    few_connections: str, postgres_database: str, tmp_path: Path
) -> None:
    server = ServerProcess(tmp_path, backend=few_connections)
    user = urlsplit(few_connections).username
    with TrackingClient(server.url) as client:
        client.get(SEARCH)
        with psycopg.connect(postgres_database, autocommit=True) as administrator:
            administrator.execute(f"ALTER ROLE {user} CONNECTION LIMIT 0")
            administrator.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", (user,)
            )
            assert client.ask("GET", SEARCH).status == 503
            assert client.ask("POST", "experiments/create", {"name": "a"}).status == 503
            administrator.execute(f"ALTER ROLE {user} CONNECTION LIMIT 3")
        client.post("experiments/create", {"name": "a"})
        client.get(SEARCH)
    assert server.stop() == 0
