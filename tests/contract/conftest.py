"""Stores of every kind, each on a database of its own."""

from collections.abc import Iterator

import pytest

from server_process import ServerProcess
from slipstream.client.rest import RestStore
from slipstream.client.transport import Transport
from slipstream.store.base import Store
from slipstream.store.engine import open_store


@pytest.fixture(scope="session")
def sqlite_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    folder = tmp_path_factory.mktemp("sqlite-store")
    # The contract is about meaning; that a commit reaches the disk is test_killed_server's subject.
    store = open_store(f"sqlite:///{folder / 's.db'}", str(folder / "artifacts"), durability="normal")
    yield store
    store.close()  # pyright: ignore[reportAttributeAccessIssue]


@pytest.fixture(scope="session")
def postgres_store(postgres_server: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    import uuid

    import psycopg

    name = f"contract_{uuid.uuid4().hex}"
    with psycopg.connect(postgres_server.url(), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    folder = tmp_path_factory.mktemp("postgres-store")
    store = open_store(postgres_server.url(name), str(folder / "artifacts"))
    yield store
    store.close()  # pyright: ignore[reportAttributeAccessIssue]


@pytest.fixture(scope="session")
def rest_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """A store over HTTP, on a server in a process of its own."""
    server = ServerProcess(tmp_path_factory.mktemp("rest-store"), "--durability", "normal")
    transport = Transport(server.url)
    yield RestStore(transport)
    transport.close()
    assert server.stop() == 0
