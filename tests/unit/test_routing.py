"""Reading requests as MLflow's protobuf parser does."""

import math
from typing import Any

import pytest

from slipstream.api.metrics import LogMetric
from slipstream.api.routing import ROUTES, Permission, Route
from slipstream.api.runs import CreateRun, LogBatch
from slipstream.api.table import RESOURCES
from slipstream.errors import InvalidParameterError

API = "/api/2.0/mlflow/"


def route(method: str, path: str) -> Route:
    return ROUTES[method, API + path]


def metric(body: str) -> LogMetric:
    return route("POST", "runs/log-metric").decode(body.encode(), {})


GOOD = '{"run_id":"r","key":"k","value":1.5,"timestamp":7,"step":3}'


def test_numbers_as_texts_and_nan() -> None:
    assert metric(GOOD) == metric('{"run_id":"r","key":"k","value":"1.5","timestamp":"7","step":"3"}')
    for spelling in ('"NaN"', "NaN"):
        assert math.isnan(metric(GOOD.replace("1.5", spelling)).value)
    assert metric(GOOD.replace("1.5", '"-Infinity"')).value == -math.inf


def test_both_spellings_but_not_of_one_field() -> None:
    assert metric(GOOD.replace("run_id", "runId")) == metric(GOOD)
    with pytest.raises(InvalidParameterError, match="run_id"):
        metric(GOOD.replace('"key"', '"runId":"x","key"'))


def test_unknown_fields_and_nulls_are_ignored() -> None:
    assert metric(GOOD.replace('"step":3', '"step":null,"new":[1]')).step == 0


def test_a_body_in_a_string_is_read() -> None:
    decoded = route("POST", "experiments/create").decode(b'"{\\"name\\": \\"x\\"}"', {})
    assert decoded.name == "x"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("", "'run_id'|'key'"),
        ("{not json", "'key'"),
        (GOOD.replace('"k"', '""'), "'key'"),
        (GOOD.replace('"k"', "null"), "'key'"),
        (GOOD.replace('"value":1.5,', ""), "'value'"),
        (GOOD.replace("1.5", '"abc"'), "'value'"),
        (GOOD.replace("1.5", "[]"), "'value'"),
        (GOOD.replace("7", "1.5"), "'timestamp'"),
        (GOOD.replace("7", "99999999999999999999"), "'timestamp'"),
        (GOOD.replace('"k"', "5"), "'key'"),
        ("[1]", "JSON object"),
    ],
)
def test_what_is_refused_names_its_field(body: str, message: str) -> None:
    with pytest.raises(InvalidParameterError, match=message):
        metric(body)


def test_a_fault_deep_in_a_batch_is_located() -> None:
    batch = route("POST", "runs/log-batch")
    with pytest.raises(InvalidParameterError, match=r"metrics\[1\]\.value"):
        batch.decode(
            b'{"run_id":"r","metrics":[{"key":"a","value":1,"timestamp":1},{"key":"a","value":"x","timestamp":1}]}',
            {},
        )
    decoded: LogBatch = batch.decode(
        b'{"runId":"r","metrics":[{"key":"runId","value":1,"timestamp":1,"modelId":"m-1"}]}', {}
    )
    assert (decoded.metrics[0].key, decoded.metrics[0].model_id) == ("runId", "m-1")


def test_queries() -> None:
    search = ROUTES["GET", API + "experiments/search"]
    pairs = [("max_results", "5"), ("order_by", "name"), ("order_by", "experiment_id"), ("other", "x")]
    request: Any = search.decode_query(pairs, {})
    assert (request.max_results, request.order_by) == (5, ["name", "experiment_id"])
    with pytest.raises(InvalidParameterError, match="max_results"):
        search.decode_query([("max_results", "many")], {})


def test_defaults_of_a_run() -> None:
    request: CreateRun = route("POST", "runs/create").decode(b'{"experiment_id":"1"}', {})
    assert (request.user_id, request.start_time, request.tags) == ("", 0, [])


def test_every_route_declares_a_permission_and_its_twin() -> None:
    assert len(RESOURCES) >= 9
    for (method, path), found in ROUTES.items():
        assert isinstance(found.permission, Permission)
        assert found.summary.endswith("."), f"{method} {path} lacks a docstring"
        if path.startswith("/api/"):
            twin = ROUTES[method, path.replace("/api/", "/ajax-api/", 1)]
            assert twin.handler is found.handler


# -- texts and nesting that nobody could store or repeat ----------------------------------------------
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("runs/set-tag", b'{"run_id": "r", "key": "\\ud800", "value": "v"}'),
        ("runs/log-parameter", b'{"run_id": "r", "key": "k", "value": "\\udc80"}'),
        ("runs/log-batch", b'{"run_id": "r", "tags": [{"key": "a", "value": "\\ud800"}]}'),
        ("runs/log-batch", b'{"run_id": "r", "\\ud800": 1}'),
    ],
)
def test_half_a_surrogate_pair_is_refused(path: str, body: bytes) -> None:
    with pytest.raises(InvalidParameterError, match="not valid Unicode") as caught:
        ROUTES["POST", API + path].decode(body, {})
    str(caught.value).encode()  # the answer can be written


@pytest.mark.parametrize("depth", [5_000, 200_000])
def test_deep_nesting_is_refused(depth: int) -> None:
    body = b'{"run_id": "r", "a": ' + b"[" * depth + b"]" * depth + b"}"
    with pytest.raises(InvalidParameterError, match="nested"):
        ROUTES["POST", API + "runs/log-batch"].decode(body, {})


def test_a_whole_pair_and_moderate_nesting_are_taken() -> None:
    request = ROUTES["POST", API + "runs/set-tag"].decode(
        b'{"run_id": "r", "key": "k", "value": "\\ud83d\\ude00"}', {}
    )
    assert request.value == "\U0001f600"


@pytest.mark.parametrize("body", [b"xx", b'{"run_ids":', b"{'run_ids': []}"])
def test_our_own_routes_say_that_a_body_is_no_json(body: bytes) -> None:
    route = ROUTES["POST", "/api/slipstream/v1/gc"]
    with pytest.raises(InvalidParameterError, match="not valid JSON"):
        route.decode(body, {})
