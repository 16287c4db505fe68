"""Answers of our own routes: compressed for who takes that, and none for who has the content."""

import gzip
import http.client
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from server_process import ServerProcess
from slipstream.api.table import ROUTES
from slipstream.client.rest import RestStore
from slipstream.client.transport import Transport
from slipstream.entities import Metric
from slipstream.server.packing import may_pack, takes_gzip

OWN = "/api/slipstream/v1/"


@pytest.mark.parametrize(
    ("header", "takes"),
    [
        (b"gzip", True),
        (b"deflate, GZIP;q=0.5, br", True),
        (b"gzip;q=0", False),
        (b"gzip; q=0.000, *", False),
        (b"*", True),
        (b"*;q=0", False),
        (b"br", False),
        (b"", False),
        (b"identity;q=1, *;q=0.1", True),
    ],
)
def test_who_takes_gzip(header: bytes, takes: bool) -> None:
    assert takes_gzip(header) == takes


def test_only_our_own_reading_routes_are_packed() -> None:
    packed = {path for (_, path), route in ROUTES.items() if may_pack(route)}
    assert OWN + "runs/table" in packed
    assert OWN + "metrics/envelope" in packed
    assert OWN + "events" not in packed
    assert OWN + "metrics/histories" not in packed
    assert all(path.startswith((OWN, "/ajax-api/slipstream/v1/")) for path in packed)


class Served:
    def __init__(self, folder: Path) -> None:
        self.server = ServerProcess(folder, "--durability", "normal")
        self.store = RestStore(Transport(self.server.url))
        self.runs = [self.store.create_run("0", start_time=number).info.run_id for number in range(50)]
        self.changes = 0
        for run in self.runs:
            self.store.log_batch(run, [Metric("m", step / 7, step, step) for step in range(20)])

    def ask(
        self, method: str, path: str, body: Any = None, **headers: str
    ) -> tuple[http.client.HTTPResponse, bytes]:
        parts = urlsplit(self.server.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if body is not None:
            headers["Content-Type"] = "application/json"
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer, content


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    served = Served(tmp_path_factory.mktemp("packing"))
    yield served
    assert served.server.stop() == 0


ASKED = {
    "runs/table": {"experiment_ids": ["0"], "columns": ["metrics.m"]},
    "runs/columns": {"experiment_ids": ["0"]},
}


@pytest.mark.parametrize("path", ["runs/table", "runs/columns", "metrics/envelope"])
def test_compressed_and_tagged(served: Served, path: str) -> None:
    body = ASKED.get(path, {"run_ids": served.runs, "keys": ["m"]})
    plain, text = served.ask("POST", OWN + path, body)
    assert plain.status == 200
    assert plain.headers["Content-Encoding"] is None
    assert "accept-encoding" in plain.headers["Vary"]
    packed, content = served.ask("POST", OWN + path, body, Accept_Encoding="br, gzip")
    if len(text) > 1_000:
        assert packed.headers["Content-Encoding"] == "gzip"
        assert len(content) < len(text) / 2
        content = gzip.decompress(content)
    assert content == text
    tag = plain.headers["ETag"]
    assert tag == packed.headers["ETag"]
    for known in (tag, tag.removeprefix("W/"), f'"other", {tag}', "*"):
        again, nothing = served.ask("POST", OWN + path, body, If_None_Match=known)
        assert (again.status, nothing) == (304, b"")
        assert again.headers["ETag"] == tag
    served.changes += 1
    served.store.log_metric(served.runs[3], Metric("m", 77.0 + served.changes, 99, 99 + served.changes))
    changed, _ = served.ask("POST", OWN + path, body, If_None_Match=tag)
    assert changed.status == 200
    assert changed.headers["ETag"] != tag


def test_what_changes_elsewhere_keeps_the_tag(served: Served) -> None:
    other = served.store.create_experiment("elsewhere")
    run = served.store.create_run(other).info.run_id
    path = OWN + "runs/table?experiment_ids=0&columns=metrics.m&limit=5"
    before, text = served.ask("GET", path)
    served.store.set_tag(run, "a", "b")
    after, later = served.ask("GET", path)
    assert before.headers["ETag"] == after.headers["ETag"]
    assert json.loads(text)["cursor"] < json.loads(later)["cursor"]
    assert served.ask("GET", path, If_None_Match=before.headers["ETag"])[0].status == 304


def test_a_table_tells_of_its_experiments_where_that_is_asked(served: Served) -> None:
    made = served.store.create_experiment("told of", tags={"a": "1"})
    body = {"experiment_ids": [made], "with_experiments": True}
    answer, text = served.ask("POST", OWN + "runs/table", body)
    (told,) = json.loads(text)["experiments"]
    assert (told["experiment_id"], told["name"], told["tags"]) == (
        made,
        "told of",
        [{"key": "a", "value": "1"}],
    )
    assert json.loads(served.ask("POST", OWN + "runs/table", {})[1])["experiments"] is None
    served.store.set_experiment_tag(made, "a", "2")
    again, _ = served.ask("POST", OWN + "runs/table", body)
    assert again.headers["ETag"] != answer.headers["ETag"]
    many = {"experiment_ids": [str(each) for each in range(101)], "with_experiments": True}
    refused, text = served.ask("POST", OWN + "runs/table", many)
    assert (refused.status, "in parts" in json.loads(text)["message"]) == (400, True)
    gone = {"experiment_ids": ["123456"], "with_experiments": True}
    assert served.ask("POST", OWN + "runs/table", gone)[0].status == 404


def test_errors_and_mlflows_routes_are_as_ever(served: Served) -> None:
    wrong, text = served.ask("POST", OWN + "runs/table", {"limit": 0}, Accept_Encoding="gzip")
    assert wrong.status == 400
    assert json.loads(text)["error_code"] == "INVALID_PARAMETER_VALUE"
    found, text = served.ask(
        "POST", "/api/2.0/mlflow/runs/search", {"experiment_ids": ["0"]}, Accept_Encoding="gzip"
    )
    assert found.headers["Content-Encoding"] is None
    assert found.headers["ETag"] is None
    assert json.loads(text)["runs"]
