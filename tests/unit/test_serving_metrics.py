"""What the scoring server counts, as Prometheus reads it."""

import http.client
import time
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from scoring_server import Client
from slipstream.serving.counting import Tally
from slipstream.serving.frames import Stats
from slipstream.serving.gate import Gate
from slipstream.serving.observer import Observer
from watched_server import CHAT, ROW, Adder, Letters, encoded, until, watched

Sample = tuple[str, frozenset[tuple[str, str]]]
SUM = "/models/sum/invocations"


class Numbers:
    """A scrape."""

    def __init__(self, text: str) -> None:
        self._values: dict[Sample, float] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                where = (sample.name, frozenset(sample.labels.items()))
                assert where not in self._values, f"{where} is there twice"
                self._values[where] = sample.value

    def of(self, name: str, **labels: str) -> float:
        """Add up what has this name and at least these labels."""
        return sum(
            value
            for (other, found), value in self._values.items()
            if other == f"slipstream_serving_{name}" and labels.items() <= found
        )

    def labels(self, name: str) -> set[str]:
        return {value for _, found in self._values for label, value in found if label == name}


def scrape(client: Client) -> Numbers:
    reply = client.ask("GET", "/metrics")
    assert reply.status == 200
    assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    return Numbers(reply.body.decode())


def test_requests_are_counted_by_model_version_operation_and_status() -> None:
    with watched() as client:
        for _ in range(3):
            assert client.post(SUM, ROW).status == 200
        assert client.post(SUM, {"inputs": "no"}).status == 400
        assert client.post("/v1/chat/completions", {**CHAT, "model": "nobody"}).status == 404
        assert client.ask("GET", "/some/path?of=a-client").status == 404
        found = scrape(client)
    good = {"model": "sum", "version": "1", "protocol": "invocations", "operation": "invocations"}
    assert found.of("requests_total", status="200", **good) == 3
    assert found.of("requests_total", status="400", **good) == 1
    assert found.of("requests_total", status="404", model="", operation="llm/v1/chat") == 1
    assert found.of("requests_total") == 5  # what is no request to a model is not counted
    assert found.labels("model") == {"sum", "chat", ""}  # and never named
    assert found.labels("key") == set()


def test_histograms() -> None:
    def slow(data: Any) -> Any:
        time.sleep(0.03)
        return data.sum(axis=1)

    with watched(adder=lambda: Adder(slow)) as client:
        client.post(SUM, ROW)
        found = scrape(client)
    for name in ("request_seconds", "prediction_seconds"):
        assert found.of(f"{name}_count", model="sum") == 1
        assert found.of(f"{name}_sum", model="sum") >= 0.03
        assert found.of(f"{name}_bucket", model="sum", le="0.025") == 0
        assert found.of(f"{name}_bucket", model="sum", le="+Inf") == 1
    assert found.of("queue_seconds_count", model="sum") == 1
    assert found.of("batch_size_bucket", model="sum", le="1.0") == 1
    assert found.of("batches_total", model="sum") == 1
    # Nothing was generated, and nothing says so with zeros.
    assert found.of("tokens_per_second_count") == found.of("first_token_seconds_count") == 0


def test_a_bucket_holds_its_bound() -> None:
    tally = Tally((1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 2.0, 3.0):
        tally.add(value)
    assert (tally.counts, tally.total) == ([2, 2, 1], 8.0)


@pytest.mark.parametrize("stream", [False, True])
def test_tokens(*, stream: bool) -> None:
    with watched() as client:
        assert client.post("/v1/chat/completions", {**CHAT, "stream": stream}).status == 200
        until(lambda: scrape(client).of("requests_total", model="chat") == 1)
        found = scrape(client)
    assert found.of("prompt_tokens_total", model="chat") == 5
    assert found.of("completion_tokens_total", model="chat") == 6  # the end is a token, too
    assert found.of("tokens_per_second_count", model="chat") == 1
    assert found.of("first_token_seconds_count", model="chat", operation="llm/v1/chat") == 1
    assert 0 < found.of("first_token_seconds_sum") <= found.of("request_seconds_sum", model="chat")


def test_a_stream_whose_client_leaves_is_499() -> None:
    letters = Letters()
    with watched(letters=letters) as client:
        connection = http.client.HTTPConnection("127.0.0.1", client.port, timeout=10)
        long = {**CHAT, "messages": [{"role": "user", "content": "x" * 50_000}], "stream": True}
        connection.request("POST", "/v1/chat/completions", encoded(long))
        response = connection.getresponse()
        assert response.status == 200
        assert response.read(10)
        letters.go_on.clear()
        response.close()
        connection.close()
        until(lambda: scrape(client).of("requests_total", model="chat") == 1)
        letters.go_on.set()
        assert scrape(client).of("requests_total", model="chat", status="499") == 1


def test_gauges_of_workers_and_queues() -> None:
    letters = Letters()
    letters.go_on.clear()
    with watched(letters=letters, workers=1) as client:
        connection = http.client.HTTPConnection("127.0.0.1", client.port, timeout=10)
        body = encoded(CHAT)
        connection.request("POST", "/v1/chat/completions", body)
        until(lambda: scrape(client).of("at_work", model="chat") == 1)
        found = scrape(client)
        assert found.of("buffered_bytes") == len(body)
        assert found.of("workers_ready", model="chat") == 1
        assert found.of("queue_length", model="sum", version="1") == 0
        letters.go_on.set()
        assert connection.getresponse().status == 200
        connection.close()
        until(lambda: scrape(client).of("at_work") == scrape(client).of("buffered_bytes") == 0)
        client.registry.handles[0].handle.kill()
        until(lambda: scrape(client).of("worker_restarts_total") == 1)
        until(lambda: scrape(client).of("workers_ready") == 2)


def test_swaps_and_versions_that_left() -> None:
    with watched() as client:
        client.post(SUM, ROW)
        client.registry.aliases["models:/sum@live"] = "2"
        until(lambda: scrape(client).of("swaps_total", model="sum") == 1)
        client.post(SUM, ROW)
        found = scrape(client)
        assert found.of("requests_total", version="1") == found.of("requests_total", version="2") == 1
        observer = client.app.observer
        for subject, series in observer.series():
            if subject.version == "1":
                series.last_at -= 1000
        assert scrape(client).of("requests_total", version="1") == 1  # shown for the last time
        assert scrape(client).of("requests_total", version="1") == 0
        assert scrape(client).of("requests_total", version="2") == 1
        client.registry.aliases["models:/sum@live"] = "3"  # which cannot be loaded
        until(lambda: scrape(client).of("failed_swaps_total", model="sum") == 1)


def test_series_do_not_pile_up_when_nobody_scrapes() -> None:
    observer = Observer([])  # type: ignore[arg-type]  # an empty catalogue
    for number in range(1000):
        version: Any = SimpleNamespace(
            source=SimpleNamespace(version=str(number)), pool=SimpleNamespace(name="m")
        )
        observer.answered("p", "o", version, 200, 0.0, None, {})
        for _, series in observer.series():
            series.last_at -= 1000
    assert len(list(observer.series())) <= 201


def test_the_metrics_want_the_token() -> None:
    with watched(gate=Gate(token="secret")) as client:
        assert client.post(SUM, ROW).status == 401
        assert client.ask("GET", "/ping").status == 200
        assert client.ask("GET", "/metrics").status == 401
        reply = client.ask("GET", "/metrics", headers={"Authorization": "Bearer secret"})
        found = Numbers(reply.body.decode())
    assert found.of("requests_total", status="401", model="", operation="invocations") == 1


def test_first_token_of_a_whole_answer_has_the_time_in_the_queue() -> None:
    observer = Observer([])  # type: ignore[arg-type]  # an empty catalogue
    pending: Any = SimpleNamespace(
        arrived=1.0,
        sent_at=3.0,
        first_piece_at=None,
        stats=Stats(seconds=4.0, prompt_tokens=1, completion_tokens=8, first_token_seconds=0.5),
    )
    observer.answered("p", "o", None, 200, 0.0, pending, {})
    ((_, series),) = observer.series()
    assert (series.first_token.total, series.queue.total, series.rate.total) == (2.5, 2.0, 2.0)
