"""OpenTelemetry traces: one span for each request, made when it is answered; the only file that knows that library.

The edge notes times as it goes and no more. So nothing is spent where nobody traces, and little where somebody does.
"""

import logging
import os
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from slipstream.errors import InvalidParameterError, MissingDependencyError
from slipstream.llm.signatures import CHAT, COMPLETIONS, EMBEDDINGS
from slipstream.serving.observer import Answered

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

_logger = logging.getLogger("slipstream.serving")
_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_PROTOCOLS = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_GEN_AI_NAMES = {CHAT: "chat", COMPLETIONS: "text_completion", EMBEDDINGS: "embeddings"}


class SpanTracer:
    """Implements `slipstream.serving.observer.Tracer`.

    Args:
        exporter: where spans go.
        at_once: send every span by itself, which waits for the exporter; for tests.
    """

    def __init__(self, exporter: "SpanExporter", *, at_once: bool = False) -> None:
        from opentelemetry import propagate, trace
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor

        # A provider of our own: the process-wide one is for whoever has the process.
        named = {} if "OTEL_SERVICE_NAME" in os.environ else {"service.name": "slipstream-serving"}
        provider = TracerProvider(resource=Resource.create(named), shutdown_on_exit=False)
        provider.add_span_processor(
            SimpleSpanProcessor(exporter) if at_once else BatchSpanProcessor(exporter)
        )
        self._provider = provider
        self._tracer = provider.get_tracer("slipstream.serving")
        self._extract = propagate.extract
        self._in_context = trace.set_span_in_context
        self._server = trace.SpanKind.SERVER
        self._error = trace.Status(trace.StatusCode.ERROR)

    def record(self, answered: Answered) -> None:
        try:
            self._record(answered)
        except Exception:  # what watches must not break what it watches
            _logger.exception("A request could not be traced")

    def _record(self, answered: Answered) -> None:
        # Of `perf_counter` only differences mean anything.
        zero = time.time_ns() - int(time.perf_counter() * 1e9)

        def at(seconds: float) -> int:
            return zero + int(seconds * 1e9)

        method, path = answered.place
        context = self._extract(
            {name.decode("latin-1"): value.decode("latin-1") for name, value in answered.headers.items()}
        )
        span = self._tracer.start_span(
            f"{method} {path}",
            context,
            self._server,
            attributes=_attributes(answered),
            start_time=at(answered.began),
        )
        if answered.status >= 500:
            span.set_status(self._error)
        pending = answered.pending
        if pending is not None and pending.sent_at is not None and span.is_recording():
            inside = self._in_context(span)
            waited = self._tracer.start_span("queue", inside, start_time=at(pending.arrived))
            waited.end(at(pending.sent_at))
            predicted = self._tracer.start_span("predict", inside, start_time=at(pending.sent_at))
            if pending.first_piece_at is not None:
                predicted.add_event("first piece", timestamp=at(pending.first_piece_at))
            elif pending.stats is not None and pending.stats.first_token_seconds is not None:
                predicted.add_event(
                    "first token", timestamp=at(pending.sent_at + pending.stats.first_token_seconds)
                )
            predicted.end(at(answered.ended))
        span.end(at(answered.ended))

    def close(self) -> None:
        """Send what is left."""
        self._provider.shutdown()


def _attributes(answered: Answered) -> Mapping[str, Any]:
    method, path = answered.place
    found: dict[str, Any] = {
        "http.request.method": method,
        "http.route": path,
        "http.response.status_code": answered.status,
        "url.path": path,
        "url.scheme": "http",
        "slipstream.protocol": answered.protocol,
        "slipstream.operation": answered.operation,
    }
    if answered.status >= 500:
        found["error.type"] = str(answered.status)
    agent = answered.headers.get(b"user-agent")
    if agent is not None:
        found["user_agent.original"] = agent.decode("latin-1")
    if answered.version is not None:
        found["slipstream.model.name"] = answered.version.pool.name
        if answered.version.source.version is not None:
            found["slipstream.model.version"] = answered.version.source.version
        task = answered.version.card.task or ""
        if task in _GEN_AI_NAMES:
            found["gen_ai.operation.name"] = _GEN_AI_NAMES[task]
            found["gen_ai.request.model"] = answered.version.pool.name
    stats = None if answered.pending is None else answered.pending.stats
    if stats is not None:
        found["slipstream.batch.size"] = stats.joined
        found["slipstream.prediction.seconds"] = stats.seconds
        if stats.prompt_tokens or stats.completion_tokens:
            found["gen_ai.usage.input_tokens"] = stats.prompt_tokens
            found["gen_ai.usage.output_tokens"] = stats.completion_tokens
    return found


@contextmanager
def traces(*, wanted: bool | None) -> Generator[SpanTracer | None]:
    """Trace during the block, and send what is left at its end; the argument is that of `make_tracer`."""
    tracer = make_tracer(wanted=wanted)
    try:
        yield tracer
    finally:
        if tracer is not None:
            tracer.close()


def make_tracer(*, wanted: bool | None) -> SpanTracer | None:
    """Return what traces requests, as OpenTelemetry's own environment variables say; None for no traces.

    Args:
        wanted: trace, or do not, whatever they say; None: as they say.

    Raises:
        InvalidParameterError: they ask for what there is not here.
        MissingDependencyError: traces are wanted, but the extra `otel` is not installed.
    """
    named = os.environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    if wanted is None:
        asked = bool(named) or any(os.environ.get(name) for name in _ENDPOINTS)
        disabled = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
        wanted = asked and not disabled and named != "none"
    if not wanted:
        return None
    if named not in ("", "otlp", "console", "none"):
        raise InvalidParameterError(
            f"OTEL_TRACES_EXPORTER is '{named}': use otlp, console or none. A collector passes spans on to all others."
        )
    spoken = next((value for name in _PROTOCOLS if (value := os.environ.get(name))), "http/protobuf")
    if named != "console" and spoken != "http/protobuf":
        raise InvalidParameterError(
            f"OTEL_EXPORTER_OTLP_PROTOCOL is '{spoken}': traces are sent as http/protobuf. Use that, and the "
            "collector's port for it, mostly 4318."
        )
    try:
        if named == "console":
            from opentelemetry.sdk.trace.export import ConsoleSpanExporter

            return SpanTracer(ConsoleSpanExporter())
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

        return SpanTracer(OTLPSpanExporter())
    except ImportError as error:
        raise MissingDependencyError(
            "Traces need OpenTelemetry: pip install 'slipstream[otel]', or start with --no-otel."
        ) from error
    except ValueError as error:
        raise InvalidParameterError(
            f"OpenTelemetry does not take one of its environment variables (OTEL_...): {error}. Mend it, or start with "
            "--no-otel."
        ) from error
