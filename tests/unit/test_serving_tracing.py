"""Traces of the scoring server: what a span holds, and when there are any."""

import builtins
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import ConsoleSpanExporter
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from slipstream.errors import InvalidParameterError, MissingDependencyError
from slipstream.serving.tracing import SpanTracer, make_tracer, traces
from watched_server import CHAT, ROW, Adder, until, watched

SUM = "/models/sum/invocations"
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "TRACES_EXPORTER",
        "EXPORTER_OTLP_ENDPOINT",
        "EXPORTER_OTLP_TRACES_ENDPOINT",
        "SDK_DISABLED",
    ):
        monkeypatch.delenv(f"OTEL_{name}", raising=False)


@pytest.fixture
def exporter() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracer(exporter: InMemorySpanExporter) -> Iterator[SpanTracer]:
    tracer = SpanTracer(exporter, at_once=True)
    yield tracer
    tracer.close()


def spans_of(exporter: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    """Return the spans of one request by name, once it is over."""
    until(lambda: any(span.kind is SpanKind.SERVER for span in exporter.get_finished_spans()))
    spans = exporter.get_finished_spans()
    return {"request" if span.kind is SpanKind.SERVER else span.name: span for span in spans}


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def test_a_request_continues_the_trace_of_its_client(
    tracer: SpanTracer, exporter: InMemorySpanExporter
) -> None:
    with watched(tracer=tracer) as client:
        client.post(SUM, ROW, traceparent=f"00-{TRACE}-{PARENT}-01")
        spans = spans_of(exporter)
    request = spans["request"]
    assert request.name == f"POST {SUM}"
    assert f"{request.get_span_context().trace_id:032x}" == TRACE
    assert request.parent is not None
    assert f"{request.parent.span_id:016x}" == PARENT
    assert request.status.status_code is StatusCode.UNSET
    found = attributes(request)
    assert found.pop("slipstream.prediction.seconds") > 0
    assert found == {
        "http.request.method": "POST",
        "http.route": SUM,
        "http.response.status_code": 200,
        "url.path": SUM,
        "url.scheme": "http",
        "slipstream.protocol": "invocations",
        "slipstream.operation": "invocations",
        "slipstream.model.name": "sum",
        "slipstream.model.version": "1",
        "slipstream.batch.size": 1,
    }
    queue, predict = spans["queue"], spans["predict"]
    for child in (queue, predict):
        assert child.parent is not None
        assert child.parent.span_id == request.get_span_context().span_id
    times = [request.start_time, queue.start_time, queue.end_time, predict.end_time, request.end_time]
    assert times == sorted(times)  # type: ignore[type-var]  # all have ended
    assert queue.end_time == predict.start_time
    assert tracer._provider.resource.attributes["service.name"] == "slipstream-serving"


@pytest.mark.parametrize("stream", [False, True])
def test_tokens_of_a_chat(tracer: SpanTracer, exporter: InMemorySpanExporter, *, stream: bool) -> None:
    with watched(tracer=tracer) as client:
        client.post("/v1/chat/completions", {**CHAT, "stream": stream})
        spans = spans_of(exporter)
    found = attributes(spans["request"])
    assert found["gen_ai.operation.name"] == "chat"
    assert found["gen_ai.request.model"] == "chat"
    assert found["gen_ai.usage.input_tokens"] == 5
    assert found["gen_ai.usage.output_tokens"] == 6
    (event,) = spans["predict"].events
    assert event.name == ("first piece" if stream else "first token")


def test_a_refused_request_has_no_children(tracer: SpanTracer, exporter: InMemorySpanExporter) -> None:
    with watched(tracer=tracer) as client:
        client.post("/v1/chat/completions", {**CHAT, "model": "nobody"})
        spans = spans_of(exporter)
    assert set(spans) == {"request"}
    assert attributes(spans["request"])["http.response.status_code"] == 404
    assert spans["request"].status.status_code is StatusCode.UNSET  # the client's fault


def test_a_failure_of_the_server_is_an_error(tracer: SpanTracer, exporter: InMemorySpanExporter) -> None:
    release = threading.Event()
    slow = Adder(lambda data: release.wait(5) and data.sum(axis=1))
    with watched(tracer=tracer, adder=lambda: slow, timeout_seconds=0.05) as client:
        assert client.post(SUM, ROW).status == 504
        spans = spans_of(exporter)
        release.set()
    assert spans["request"].status.status_code is StatusCode.ERROR
    assert attributes(spans["request"])["error.type"] == "504"


def test_what_fails_in_tracing_fails_no_request(
    tracer: SpanTracer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_args: Any, **_options: Any) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(tracer, "_extract", fail)
    with watched(tracer=tracer) as client:
        assert client.post(SUM, ROW).status == 200
        until(lambda: "could not be traced" in caplog.text)


# -- when ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({}, None),
        ({}, False),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_TRACES_EXPORTER": "none"}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", "OTEL_SDK_DISABLED": "TRUE"}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}, False),
    ],
)
def test_nobody_asks_for_traces(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], wanted: bool | None
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert make_tracer(wanted=wanted) is None


def test_the_console(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console")
    tracer = make_tracer(wanted=None)
    assert tracer is not None
    (processor,) = tracer._provider._active_span_processor._span_processors
    assert isinstance(processor.span_exporter, ConsoleSpanExporter)  # type: ignore[attr-defined]  # the batch's
    tracer.close()


@pytest.mark.parametrize(
    ("name", "value"), [("OTEL_TRACES_EXPORTER", "jaeger"), ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]
)
def test_what_there_is_not_here_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidParameterError, match=f"{name} is '{value}'"):
        make_tracer(wanted=True)


@pytest.mark.parametrize(
    ("name", "value"), [("OTEL_BSP_MAX_QUEUE_SIZE", "-1"), ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "0")]
)
def test_what_opentelemetry_does_not_take_is_one_clear_error(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidParameterError, match=r"environment variables \(OTEL_.*--no-otel"):
        make_tracer(wanted=True)


def test_a_missing_library_is_one_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("opentelemetry"):
            raise ModuleNotFoundError(f"No module named '{name}'")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(MissingDependencyError, match=r"pip install 'slipstream\[otel\]'"):
        make_tracer(wanted=None)
    assert make_tracer(wanted=False) is None


def test_spans_reach_a_collector(monkeypatch: pytest.MonkeyPatch) -> None:
    posts: list[tuple[str, int]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            posts.append((self.path, len(self.rfile.read(int(self.headers["Content-Length"])))))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Collector) as server:
        threading.Thread(target=server.serve_forever).start()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        with traces(wanted=None) as tracer, watched(tracer=tracer) as client:
            assert client.post(SUM, ROW).status == 200
        server.shutdown()
    assert [path for path, _ in posts] == ["/v1/traces"]
    assert posts[0][1] > 100
