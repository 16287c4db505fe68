"""Several server processes that begin on one empty database at the same moment."""

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from server_process import ServerProcess
from slipstream.db.migrate import migrations
from slipstream.db.uri import open_database

PREPARE = """
import sys
from slipstream.db.migrate import prepare
from slipstream.db.uri import open_database

database = open_database(sys.argv[1])
sys.stdin.readline()
print(len(prepare(database)))
"""


def numbers(uri: str) -> list[int]:
    connection = open_database(uri).connect()
    with connection.read() as tx:
        rows = tx.fetch_all("SELECT number FROM schema_migrations ORDER BY number")
    connection.close()
    return [row[0] for row in rows]


@pytest.fixture(params=["sqlite", "postgres"])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgres":
        return request.getfixturevalue("postgres_database")
    return f"sqlite:///{tmp_path}/server.db"


def test_the_tables_are_made_once(empty: str) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", PREPARE, empty],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(6)
    ]
    for process in processes:  # all are loaded, or soon will be
        assert process.stdin is not None
        process.stdin.write("now\n")
        process.stdin.flush()
    made = [int(process.communicate(timeout=60)[0]) for process in processes]
    assert sorted(made) == [0] * 5 + [len(migrations())]
    assert numbers(empty) == [migration.number for migration in migrations()]


def test_servers_start_at_once_and_each_sees_what_the_others_wrote(empty: str, tmp_path: Path) -> None:
    from slipstream.client.rest import RestStore
    from slipstream.client.transport import Transport

    servers: list[ServerProcess] = []
    begin = threading.Barrier(3)

    def start() -> None:
        begin.wait()
        servers.append(ServerProcess(tmp_path, backend=empty))

    threads = [threading.Thread(target=start) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(servers) == 3
    stores = [RestStore(Transport(server.url)) for server in servers]
    made = {store.create_run("0").info.run_id for store in stores}
    for store in stores:
        assert {run.info.run_id for run in store.search_runs(["0"]).items} == made
    assert [server.stop() for server in servers] == [0, 0, 0]
    assert numbers(empty) == [migration.number for migration in migrations()]
