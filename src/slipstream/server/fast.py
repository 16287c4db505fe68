"""uvicorn's HTTP protocol with a short way for writes.

Most requests of a training run are small JSON writes. For these, uvicorn's general way (a scope, a task, an
ASGI conversation) costs several times the work itself, so the protocol decodes them as soon as they have
arrived, queues them for the writer, and writes the answer when they are durable. Everything else takes
uvicorn's own way, and so do requests that arrive on a connection while another is being answered.
"""

import asyncio
from collections.abc import Sized
from typing import Any, Protocol, cast

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from slipstream.api.routing import Route
from slipstream.errors import InvalidParameterError, SlipstreamError
from slipstream.server.dispatch import Answer, Dispatcher, check_content_type, error_answer
from slipstream.server.guard import ONLY_ONCE, Guard

JSON_LIMIT = 64 * 1024 * 1024

_JSON = b"content-type: application/json\r\nx-content-type-options: nosniff\r\n"


class ShortWayApp(Protocol):
    """What the protocol needs of the application behind it."""

    short_way: dict[bytes, Route]
    """Writing routes by the exact path in the request line."""
    guard: Guard
    dispatcher: Dispatcher

    def head_of(self, defaults: list[tuple[bytes, bytes]], status: int) -> bytes:
        """Return all of an answer's head that does not depend on its body."""
        ...


class _Pending:
    """Stands in for uvicorn's cycle while a write is under way, so that what follows waits its turn."""

    __slots__ = ("disconnected", "keep_alive", "message_event", "response_complete")

    def __init__(self, *, keep_alive: bool) -> None:
        self.response_complete = False
        self.disconnected = False
        self.keep_alive = keep_alive
        self.message_event = _NOBODY


class _Nobody:
    def set(self) -> None:
        """Wake nobody: no task waits for the body of a short-way request."""


_NOBODY = _Nobody()


class _FlowAfterWaiting(FlowControl):
    """Reads on from a client only when all that it has sent before is under way.

    uvicorn reads on after each answer: a client that pipelines faster than it is answered would fill the memory.
    """

    def __init__(self, transport: asyncio.Transport, waiting: Sized) -> None:
        super().__init__(transport)
        self._waiting = waiting

    def resume_reading(self) -> None:
        if not self._waiting:
            super().resume_reading()


class FastProtocol(HttpToolsProtocol):
    """One connection."""

    _route: Route | None = None
    _chunks: list[bytes]
    _size: int

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.flow = _FlowAfterWaiting(transport, self.pipeline)

    def on_message_begin(self) -> None:
        self._route = None
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        app = cast("ShortWayApp", self.app)
        parser: Any = self.parser
        route = app.short_way.get(self.url)
        if route is None or parser.get_method() != b"POST" or self._busy() or self.expect_100_continue:
            super().on_headers_complete()
            return
        host, origin, authorization, content_type = b"", None, None, None
        seen: list[bytes] = []
        for name, value in self.headers:
            if name in ONLY_ONCE:
                seen.append(name)
                if name == b"host":
                    host = value
                elif name == b"content-type":
                    content_type = value
                elif name == b"origin":
                    origin = value
                else:
                    authorization = value
        if (
            origin is not None
            or len(set(seen)) != len(seen)
            or app.guard.check(True, "", host, origin, authorization) is not None
        ):
            super().on_headers_complete()  # the long way refuses it, or tells the browser that its page may read
            return
        try:
            check_content_type(content_type)
        except SlipstreamError:
            super().on_headers_complete()
            return
        self._route = route
        self._chunks = []
        self._size = 0

    def _busy(self) -> bool:
        cycle: Any = self.cycle  # None before the first request, whatever its annotation says
        # A client that takes no answers waits on the long way, which waits for it.
        return self.flow.write_paused or (cycle is not None and not cycle.response_complete)

    def on_body(self, body: bytes) -> None:
        if self._route is None:
            super().on_body(body)
            return
        self._size += len(body)
        if self._size <= JSON_LIMIT:
            self._chunks.append(body)

    def on_message_complete(self) -> None:
        route = self._route
        if route is None:
            super().on_message_complete()
            return
        self._route = None
        parser: Any = self.parser
        keep_alive = parser.get_http_version() != "1.0" and parser.should_keep_alive()
        pending: Any = _Pending(keep_alive=keep_alive)
        self.cycle = pending
        dispatcher = cast("ShortWayApp", self.app).dispatcher
        try:
            if self._size > JSON_LIMIT:
                raise too_large()  # noqa: TRY301  # answered below like any other fault
            chunks = self._chunks
            request = route.decode(chunks[0] if len(chunks) == 1 else b"".join(chunks), {})
        except Exception as error:  # noqa: BLE001  # whatever it is, the client is told
            self._answer(pending, error_answer(error))
        else:
            dispatcher.submit(route, request, lambda answer: self._answer(pending, answer))

    def _answer(self, pending: Any, answer: Answer) -> None:
        pending.response_complete = True
        if pending.disconnected or self.transport.is_closing():
            return
        status, body = answer
        app = cast("ShortWayApp", self.app)
        head = app.head_of(self.server_state.default_headers, status)
        closing = b"" if pending.keep_alive else b"connection: close\r\n"
        self.transport.write(b"%bcontent-length: %d\r\n%b\r\n%b" % (head, len(body), closing, body))
        if pending.keep_alive:
            self.on_response_complete()
        else:
            self.server_state.total_requests += 1
            self.transport.close()


def head_bytes(defaults: list[tuple[bytes, bytes]], status: int, frame_options: bytes) -> bytes:
    """Return everything of an answer's head that does not depend on its body."""
    lines = b"".join(b"%b: %b\r\n" % pair for pair in defaults)
    framed = b"x-frame-options: %b\r\n" % frame_options if frame_options else b""
    return STATUS_LINE[status] + lines + _JSON + framed


def too_large() -> SlipstreamError:
    return InvalidParameterError(
        f"The request body is larger than {JSON_LIMIT // 2**20} MiB. Send smaller batches, or log it as an artifact."
    )
