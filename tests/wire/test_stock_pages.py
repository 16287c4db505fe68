"""MLflow's own pages on our server: what they ask is answered as MLflow answers it.

Their requests were recorded on a real MLflow server (tools/record_stock_calls.py) and are always sent to ours. Where MLFLOW_PYTHON
names an interpreter with mlflow, the pages themselves are walked through in a browser, too.
"""

import http.client
import json
import lzma
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import pytest

import mlflow_server
from server_process import ServerProcess
from stock_pages import BROWSERS, Names, lacking, recorded, shape, walked
from stock_seed import seed

pytestmark = [pytest.mark.slow, pytest.mark.wire]

RECORDED = Path(__file__).with_name("stock_calls.json.xz")
REFUSED = 400
NOT_OURS = {
    "/ajax-api/3.0/mlflow/assistant/providers": "MLflow names the assistants that it could talk to; we have none",
    "/ajax-api/3.0/mlflow/label-schemas/list": "MLflow makes a first schema for reviews of traces; we have no reviews",
    "/ajax-api/3.0/mlflow/review-queues/list": "as above",
    "/ajax-api/3.0/mlflow/server-info": "MLflow names its features, of which we have none: /features_enabled/gateway",
}
"""Answers whose content differs for a reason; that they are successes is asked all the same."""

OFF = ("/gateway/", "/users/", "/review-queues/")
"""Parts of paths of features that MLflow's pages see to be off, and so do not ask about further."""

Call = dict[str, Any]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    server = ServerProcess(tmp_path, "--durability", "normal")
    yield server
    server.stop()


def calls_of_mlflow() -> list[Call]:
    calls: list[Call] = json.loads(lzma.decompress(RECORDED.read_bytes()))
    return calls


def send(url: str, names: Names, call: Call) -> tuple[int, Any]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    query = urlencode([(key, names.show(value)) for key, value in call["query"]])
    path = quote(names.show(call["path"])) + (f"?{query}" if query else "")
    body = None if call["body"] is None else json.dumps(names.show(call["body"]))
    headers = {} if body is None else {"Content-Type": "application/json"}
    try:
        connection.request(call["method"], path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
    finally:
        connection.close()
    is_json = "json" in (answer.headers["content-type"] or "") and not path.split("?")[0].endswith(
        "get-artifact"
    )
    return answer.status, json.loads(content) if is_json and content else None


def request_of(call: Call) -> str:
    return f"{call['method']} {call['path']} {call['query'] or ''} {call['body'] or ''}"


def faults_of(call: Call, status: int, looks: Any) -> list[str]:
    """Return what MLflow answers and we do not."""
    if call["status"] >= REFUSED:
        return [] if status < 500 else [f"answered {status}"]
    if status >= REFUSED:
        return [f"answered {status}"]
    if call["shape"] is None or call["path"] in NOT_OURS:
        return []
    return lacking(call["shape"], looks)


def test_recorded_requests_of_mlflows_pages(server: ServerProcess) -> None:
    calls = calls_of_mlflow()
    assert len(calls) > 100
    names = Names(seed(server.url))
    faults: list[str] = []
    for call in calls:
        status, answer = send(server.url, names, call)
        names.learn(call["path"], answer)
        faults += [
            f"{call['method']} {call['path']} {call['query'] or ''}: {fault}"
            for fault in faults_of(call, status, None if answer is None else shape(answer))
        ]
    assert not faults, "\n".join(faults)


def test_mlflows_pages_in_a_browser(server: ServerProcess) -> None:
    if (reason := mlflow_server.why_not()) is not None:
        pytest.skip(reason)
    if not (os.environ.get("CHROMIUM") or any(map(shutil.which, BROWSERS))):
        pytest.skip("no Chromium on this machine: MLflow's pages are not tried in a browser")
    calls = calls_of_mlflow()
    known = {(call["method"], call["path"]) for call in calls}
    refused_there = [request_of(call) for call in calls if call["status"] >= REFUSED]
    ours = recorded(walked(server.url, seed(server.url)))
    asked = {(call["method"], call["path"]) for call in ours}
    refused = [
        f"{request_of(call)}: answered {call['status']}"
        for call in ours
        if call["status"] >= REFUSED and request_of(call) not in refused_there
    ]
    # A page that lacks something does not get to what it asks next.
    missed = sorted(
        f"{method} {path}" for method, path in known - asked if not any(part in path for part in OFF)
    )
    assert (refused, missed) == ([], [])
