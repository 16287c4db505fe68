"""Requests to deployed models and their answers."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from slipstream.deployments import PredictionsResponse, get_deploy_client
from slipstream.deployments.scoring import ask, request_body
from slipstream.errors import (
    BadRequestError,
    ConnectionFailedError,
    ExecutionError,
    InvalidParameterError,
    UnauthenticatedError,
)

FRAME = pd.DataFrame({"a": [1, 2], "b": [0.5, float("nan")]})


@pytest.mark.parametrize(
    ("inputs", "body"),
    [
        (FRAME.head(1), {"dataframe_split": {"columns": ["a", "b"], "data": [[1, 0.5]]}}),
        (np.array([[1, 2]]), {"inputs": [[1, 2]]}),
        ([[1]], {"inputs": [[1]]}),
        ({"a": np.array([1])}, {"inputs": {"a": [1]}}),
        ({"instances": [[1]]}, {"instances": [[1]]}),
        ({"messages": [], "n": 1}, {"messages": [], "n": 1}),
    ],
)
def test_request_body(inputs: Any, body: dict[str, Any]) -> None:
    assert json.loads(request_body(inputs)) == body


def test_a_request_needs_inputs() -> None:
    with pytest.raises(InvalidParameterError, match="inputs must be given"):
        request_body(None)


# -- answers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("predictions", "rows"),
    [
        ([1, 2], [[1], [2]]),
        ([{"x": 1, "y": 2}], [[1, 2]]),
        ({"x": 1, "y": "b"}, [[1, "b"]]),
        ({"x": [1, 3], "y": [2, 4]}, [[1, 2], [3, 4]]),
        ("text", [["text"]]),
        (5, [[5]]),
    ],
)
def test_predictions_as_a_frame(predictions: Any, rows: list[list[Any]]) -> None:
    assert PredictionsResponse(predictions=predictions).get_predictions().to_numpy().tolist() == rows


def test_predictions_as_an_array() -> None:
    array = PredictionsResponse(predictions=[1, 2]).get_predictions("ndarray", dtype="float32")
    assert array.dtype == np.float32
    assert array.tolist() == [1.0, 2.0]


def test_other_formats_are_refused() -> None:
    with pytest.raises(InvalidParameterError, match="'dataframe' or 'ndarray', got 'list'"):
        PredictionsResponse(predictions=[1]).get_predictions("list")
    with pytest.raises(InvalidParameterError, match=r"no 'predictions' but the keys \['choices'\]"):
        PredictionsResponse(choices=[]).get_predictions()


def test_json_both_ways(tmp_path: Path) -> None:
    answer = PredictionsResponse.from_json('{"predictions": [1], "more": 2}')
    assert answer == {"predictions": [1], "more": 2}
    assert json.loads(answer.to_json() or "") == answer
    assert answer.to_json(tmp_path / "answer.json") is None
    assert json.loads((tmp_path / "answer.json").read_text()) == answer


@pytest.mark.parametrize("text", ["", "[1]", "{}", '{"prediction": 1}', "nothing"])
def test_what_is_no_answer_is_refused(text: str) -> None:
    with pytest.raises(InvalidParameterError, match="The answer"):
        PredictionsResponse.from_json(text)


# -- over HTTP ------------------------------------------------------------------------------------------------


class Handler(BaseHTTPRequestHandler):
    """Answers what the test put into `reply` and keeps what it was asked."""

    reply: tuple[int, bytes] = (200, b"{}")
    asked: list[tuple[str, Any, bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        type(self).asked.append((self.path, self.headers, body))
        self.send_response(self.reply[0])
        self.send_header("location", "http://127.0.0.1:9/elsewhere")
        self.send_header("content-length", str(len(self.reply[1])))
        self.end_headers()
        self.wfile.write(self.reply[1])

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[tuple[str, type[Handler]]]:
    handler = type("Kept", (Handler,), {"asked": []})
    http = HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=http.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{http.server_port}", handler
    http.shutdown()
    thread.join()
    http.server_close()


def test_predict_at_an_address(server: tuple[str, type[Handler]], monkeypatch: pytest.MonkeyPatch) -> None:
    url, handler = server
    handler.reply = (200, b'{"predictions": [3.0]}')
    monkeypatch.setenv("SLIPSTREAM_SERVER_TOKEN", "s3cret")
    client = get_deploy_client("kubernetes")
    assert client is not None
    for endpoint in (url, f"{url}/churn/", f"{url}/invocations"):
        assert client.predict(inputs=FRAME.head(1), endpoint=endpoint).get_predictions(
            "ndarray"
        ).tolist() == [3.0]
    assert [path for path, _, _ in handler.asked] == ["/invocations", "/churn/invocations", "/invocations"]
    assert {headers["authorization"] for _, headers, _ in handler.asked} == {"Bearer s3cret"}
    assert json.loads(handler.asked[0][2]) == {"dataframe_split": {"columns": ["a", "b"], "data": [[1, 0.5]]}}


@pytest.mark.parametrize(
    ("reply", "kind", "message"),
    [
        (
            (400, b'{"error_code": "BAD_REQUEST", "message": "no column b"}'),
            BadRequestError,
            "400: no column b",
        ),
        ((401, b"{}"), UnauthenticatedError, "Set SLIPSTREAM_SERVER_TOKEN"),
        ((503, b"busy"), ExecutionError, "503: busy"),
        ((307, b""), ExecutionError, "answered 307"),
        ((200, b"<html>"), InvalidParameterError, "not valid JSON"),
    ],
)
def test_refusals(
    server: tuple[str, type[Handler]], reply: tuple[int, bytes], kind: type[Exception], message: str
) -> None:
    url, handler = server
    handler.reply = reply
    with pytest.raises(kind, match=message):
        ask(url, [[1]])
    assert len(handler.asked) == 1  # the token follows no redirection


def test_addresses_that_cannot_be_asked() -> None:
    with pytest.raises(InvalidParameterError, match="must be an http"):
        ask("file:///etc/passwd", [[1]])
    with pytest.raises(ConnectionFailedError, match="does not answer"):
        ask("http://127.0.0.1:9", [[1]])


def test_a_name_alone_has_no_address() -> None:
    client = get_deploy_client("kserve")
    assert client is not None
    with pytest.raises(InvalidParameterError, match="kubectl port-forward service/churn"):
        client.predict("churn", [[1]])
