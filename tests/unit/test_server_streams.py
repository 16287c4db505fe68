"""The route of histories on a running server: formats, refusals, constant memory, clients that leave."""

import json
import math
import socket
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pyarrow.ipc
import pyarrow.parquet
import pytest

from server_process import ServerProcess
from slipstream.client.rest import RestStore
from slipstream.client.transport import Transport
from slipstream.entities import Metric

PATH = "/api/slipstream/v1/metrics/histories"
JSON = {"Content-Type": "application/json"}
LONG = 200_000


class Served:
    def __init__(self, folder: Path) -> None:
        self.server = ServerProcess(folder, "--durability", "normal")
        self.store = RestStore(Transport(self.server.url))
        self.experiment = self.store.create_experiment("one")
        self.runs = [self.store.create_run(self.experiment).info.run_id for _ in range(3)]
        for number, run in enumerate(self.runs):
            points = [Metric(key, float(i * number), i, i) for key in ("loss", "val/loss") for i in range(20)]
            self.store.log_batch(run, [*points, Metric("odd", math.inf, 1), Metric("odd", math.nan, 2)])
            self.store.log_param(run, "number", str(number))
        self.long = self.store.create_run("0").info.run_id
        for start in range(0, LONG, 1000):
            points = [Metric("m", i / 3, i, i) for i in range(start, start + 1000)]
            self.store.log_batch(self.long, points)

    def ask(
        self, body: dict[str, object] | None = None, query: object = (), accept: str | None = None
    ) -> tuple[int, str, bytes]:
        parts = urlsplit(self.server.url)
        connection = HTTPConnection(parts.hostname or "", parts.port, timeout=30)
        path = PATH + (f"?{urlencode(query, doseq=True)}" if query else "")
        headers = {} if accept is None else {"Accept": accept}
        if body is None:
            connection.request("GET", path, headers=headers)
        else:
            connection.request("POST", path, json.dumps(body), headers={**JSON, **headers})
        answer = connection.getresponse()
        try:
            return answer.status, answer.headers["Content-Type"], answer.read()
        finally:
            connection.close()

    def memory(self) -> int:
        """Return the server's resident bytes."""
        status = Path(f"/proc/{self.server.process.pid}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) * 1024


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    served = Served(tmp_path_factory.mktemp("streams"))
    yield served
    assert served.server.stop() == 0


def table_of(body: bytes) -> pyarrow.Table:
    return pyarrow.ipc.open_stream(body).read_all()


def test_one_arrow_stream_of_runs_and_keys(served: Served) -> None:
    status, kind, body = served.ask({"run_ids": served.runs[:2], "keys": ["*loss"]})
    assert (status, kind) == (200, "application/vnd.apache.arrow.stream")
    table = table_of(body)
    assert table.num_rows == 80
    assert list(dict.fromkeys(table["run_id"].to_pylist())) == served.runs[:2]
    assert set(table["key"].to_pylist()) == {"loss", "val/loss"}


def test_get_with_a_query_and_the_accept_header(served: Served) -> None:
    query = [("run_ids", served.runs[1]), ("run_ids", served.runs[0]), ("keys", "odd")]
    status, kind, body = served.ask(query=query, accept="text/csv")
    assert (status, kind) == (200, "text/csv; charset=utf-8")
    assert body.decode().splitlines() == [
        "run_id,key,step,timestamp,value",
        f"{served.runs[1]},odd,0,1,Infinity",
        f"{served.runs[1]},odd,0,2,NaN",
        f"{served.runs[0]},odd,0,1,Infinity",
        f"{served.runs[0]},odd,0,2,NaN",
    ]


def test_runs_of_a_search_steps_and_samples_as_parquet(served: Served) -> None:
    body: dict[str, object] = {
        "experiment_ids": [served.experiment],
        "filter": "params.number != '0'",
        "keys": ["loss"],
        "start_step": 2,
        "end_step": 11,
        "max_points": 4,
        "format": "parquet",
    }
    status, kind, answer = served.ask(body)
    assert (status, kind) == (200, "application/vnd.apache.parquet")
    table = pyarrow.parquet.read_table(pyarrow.BufferReader(answer))
    assert table["step"].to_pylist() == [2, 5, 8, 11] * 2
    assert set(table["run_id"].to_pylist()) == set(served.runs[1:])


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({}, 400, "Say which runs"),
        ({"run_ids": ["f" * 32]}, 404, "f" * 32),
        ({"run_ids": ["f" * 32], "experiment_ids": ["0"]}, 400, "Say which runs"),
        ({"run_ids": ["f" * 32], "filter": "params.a = '1'"}, 400, "filter"),
        ({"experiment_ids": ["0"], "filter": "rubbish"}, 400, "rubbish"),
        ({"experiment_ids": ["0"], "format": "xlsx"}, 400, "format"),
        ({"experiment_ids": ["0"], "max_points": 0}, 400, "max_points"),
        ({"experiment_ids": ["0"], "format": "csv", "filter": "metrics.x >"}, 400, "filter"),
    ],
)
def test_what_is_refused_before_the_first_byte(
    served: Served, body: dict[str, object], status: int, words: str
) -> None:
    got, kind, answer = served.ask(body)
    assert (got, kind) == (status, "application/json")
    assert words in json.loads(answer)["message"]


def test_a_long_history_is_sent_in_constant_memory(served: Served) -> None:
    served.ask({"run_ids": [served.long], "max_points": 10})
    before = served.memory()
    status, _, body = served.ask({"run_ids": [served.long] * 1, "keys": ["m"]})
    assert status == 200
    table = table_of(body)
    assert table.num_rows == LONG
    assert table["value"].to_pylist() == [i / 3 for i in range(LONG)]
    # Of 200,000 points: as rows 40 MB, as a whole answer 5 MB. A piece is 65,536 points.
    assert served.memory() - before < 40 * 2**20


def test_clients_that_leave_end_the_work(served: Served) -> None:
    parts = urlsplit(served.server.url)
    body = json.dumps({"run_ids": [served.long], "format": "csv"}).encode()
    head = f"POST {PATH} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
    for _ in range(20):  # more than may be under way at one time
        with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=20) as connection:
            connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            assert connection.recv(15) == b"HTTP/1.1 200 OK"
    until = time.monotonic() + 20
    while served.ask({"run_ids": served.runs})[0] != 200:
        assert time.monotonic() < until
    assert served.ask({"run_ids": served.runs})[0] == 200


def test_more_streams_than_there_may_be_are_refused(served: Served) -> None:
    parts = urlsplit(served.server.url)
    body = json.dumps({"run_ids": [served.long], "format": "csv"}).encode()
    head = f"POST {PATH} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n"
    connections: list[socket.socket] = []
    try:
        for _ in range(16):  # none of them reads, so none of them ends
            connection = socket.socket()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect((parts.hostname or "", parts.port or 0))
            connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            assert connection.recv(15) == b"HTTP/1.1 200 OK"
            connections.append(connection)
        status, _, answer = served.ask({"run_ids": served.runs})
        assert status == 429
        assert "under way" in json.loads(answer)["message"]
    finally:
        for connection in connections:
            connection.close()
    until = time.monotonic() + 20
    while served.ask({"run_ids": served.runs})[0] == 429:
        assert time.monotonic() < until


def test_a_server_says_what_it_has(served: Served) -> None:
    assert served.store.own_features == {
        *("branches", "events", "heartbeats", "histories"),
        *("log-batch", "model-records", "records", "sql", "tables"),
    }
