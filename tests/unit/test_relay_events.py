"""A relay tells nothing of what changes, says where to listen instead, passes compressed answers on, and ends well."""

import gzip
import http.client
import json
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from server_process import RelayProcess, ServerProcess
from slipstream.client.rest import RestStore
from slipstream.client.transport import Transport

OWN = "/api/slipstream/v1/"


def test_events_and_packed_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPSTREAM_SPOOL_FOLDER", str(tmp_path / "spool"))
    server = ServerProcess(tmp_path, "--durability", "normal")
    relay = RelayProcess(tmp_path, server.url)
    store = RestStore(Transport(server.url))
    for _ in range(40):
        store.create_run("0")
    parts = urlsplit(relay.url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=20)
    connection.request("GET", OWN + "events")
    answer = connection.getresponse()
    assert answer.status == 501
    assert server.url in json.loads(answer.read())["message"]
    path = OWN + "runs/table?experiment_ids=0"
    connection.request("GET", path, headers={"Accept-Encoding": "gzip"})
    answer = connection.getresponse()
    assert answer.headers["Content-Encoding"] == "gzip"
    assert json.loads(gzip.decompress(answer.read()))["total"] == 40
    connection.request("GET", path, headers={"If-None-Match": answer.headers["ETag"]})
    again = connection.getresponse()
    assert (again.status, again.read()) == (304, b"")
    connection.close()
    assert [relay.stop(), server.stop()] == [0, 0]
    assert not [line for line in relay.lines if "Traceback" in line]
