"""Answers of many points, made a slice at a time: the same text as of one object each, in little more room."""

import gc
import math
import tracemalloc
from array import array
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from slipstream.api.many_points import PointsText
from slipstream.api.metrics import (
    GetMetricHistory,
    GetMetricHistoryBulk,
    GetMetricHistoryBulkResponse,
    GetMetricHistoryResponse,
    get_metric_history,
    get_metric_history_bulk,
)
from slipstream.api.routing import ROUTES, Encoded, encode
from slipstream.entities import Metric
from slipstream.store.engine import Engine, open_engine


class Columns(NamedTuple):
    timestamps: list[int]
    steps: range
    values: "array[float]"


class Parts:
    """Has the histories of a test in parts, as the server's store has."""

    def __init__(self, parts: list[list[float]], token: str | None = None) -> None:
        self.parts: list[Columns] = []
        begin = 0
        for part in parts:
            steps = range(begin, begin + len(part))
            self.parts.append(Columns([1_000 + step for step in steps], steps, array("d", part)))
            begin += len(part)
        self.token = token

    def get_history_parts(self, *_: object) -> tuple[list[Columns], str | None]:
        return self.parts, self.token

    def get_history_columns_bulk(self, *_: object) -> list[tuple[str, Columns]]:
        return [(f"r{number}", part) for number, part in enumerate(self.parts)]


def spelled(value: float) -> float | str:
    if math.isnan(value):
        return "NaN"
    return math.copysign(1.7976931348623157e308, value) if math.isinf(value) else value


@given(
    st.lists(st.lists(st.floats(width=64), max_size=4) | st.just([0.25] * 1_024) | st.just([2.5] * 2_049)),
    st.sampled_from(["loss", 'a "quoted" \u00e9 key']),
    st.sampled_from([None, 'token"']),
)
def test_the_text_is_that_of_all_points(parts: list[list[float]], key: str, token: str | None) -> None:
    store: Any = Parts(parts, token)
    values = [value for part in parts for value in part]
    if not values:
        store.token = token = None
    expected = [
        {"key": key, "value": spelled(value), "timestamp": 1_000 + step, "step": step}
        for step, value in enumerate(values)
    ]
    text = encode(get_metric_history(store, GetMetricHistory(run_id="r", metric_key=key)))
    answer = ({"metrics": expected} if expected else {}) | ({"next_page_token": token} if token else {})
    assert text == encode(answer)

    text = encode(get_metric_history_bulk(store, GetMetricHistoryBulk(run_id=["r"], metric_key=key)))
    runs = [f"r{number}" for number, part in enumerate(parts) for _ in part]
    assert text == encode(
        {
            "metrics": [
                {
                    "key": key,
                    "run_id": run,
                    "step": each["step"],
                    "timestamp": each["timestamp"],
                    "value": msgspec.Raw(b"NaN") if each["value"] == "NaN" else each["value"],
                }
                for run, each in zip(runs, expected, strict=True)
            ]
        }
    )


def test_routes_that_may_answer_with_text_have_their_messages_type() -> None:
    types = {route.handler: route.response_type for route in ROUTES.values()}
    assert types[get_metric_history] is GetMetricHistoryResponse
    assert types[get_metric_history_bulk] is GetMetricHistoryBulkResponse


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_engine(f"sqlite:///{tmp_path / 's.db'}", "artifacts", "normal")
    yield engine
    engine.close()


def test_a_long_history_takes_little_more_than_its_text(engine: Engine) -> None:
    run = engine.write(lambda store: store.create_run("0")).info.run_id
    count = 100_000
    for first in range(0, count, 20_000):
        batch = [
            Metric("loss", math.sin(step), 1_700_000_000_000 + 97 * step + step % 5, step)
            for step in range(first, first + 20_000)
        ]
        engine.write(lambda store, batch=batch: store.log_batch(run, batch))
    request: Any = GetMetricHistory(run_id=run, metric_key="loss")

    def ask(store: Any) -> bytes:
        return encode(get_metric_history(store, request))

    text = engine.read(ask)
    assert len(msgspec.json.decode(text)["metrics"]) == count
    gc.collect()
    tracemalloc.start()
    try:
        engine.read(ask)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    # It grows by an eighth at a time. As one list of objects it took three times its size.
    assert peak < 1.4 * len(text), f"{peak / len(text):.2f} times {len(text)} bytes"


def test_fields_that_are_none_are_left_out() -> None:
    text = PointsText("metrics")
    text.add([1, 2])
    answer = text.end(next_page_token="t", other=None)
    assert answer == Encoded(b'{"metrics":[1,2],"next_page_token":"t"}')
