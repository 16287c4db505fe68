"""uvicorn's HTTP protocol with a short way for small requests.

For a small JSON request, uvicorn's general way (a scope, a task, an ASGI conversation, two writes) costs several
times the work itself. On the short way a request is handed on as soon as it has arrived, and its answer is
written when it is there. Everything else takes uvicorn's own way, and so do requests that arrive on a connection
while another is being answered.
"""

import asyncio
import re
from collections.abc import Callable, Sized
from typing import Any, TypeAlias

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

Reply: TypeAlias = Callable[[bytes, bytes], None]
"""Takes an answer's head without `content-length`, as `head_bytes` makes it, and its body."""


class _Pending:
    """Stands in for uvicorn's cycle while a request is under way, so that what follows waits its turn."""

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


_UPGRADE = re.compile(rb"\r\nupgrade:", re.IGNORECASE)


def _without_upgrade(data: bytes) -> bytes:
    """Rename the header `Upgrade` in the head that begins here.

    A server may go on in HTTP/1.1 as if nobody had offered it HTTP/2 or WebSocket, and clients that offer it
    with every first request, as Java's does, count on that. The parser would skip the request's body.
    """
    head, end, rest = data.partition(b"\r\n\r\n")
    return _UPGRADE.sub(b"\r\nX-Upgrade:", head) + end + rest


class ShortWayProtocol(HttpToolsProtocol):
    """One connection. Subclasses say which requests take the short way, and where it leads."""

    METHODS = frozenset({b"POST"})
    """Those of requests that may take the short way."""
    BODY_LIMIT: int
    """Bytes of a body; what is longer is not kept."""
    HEAD_LIMIT = 1 << 16
    """Bytes of a request that are not of its body, such as its head, after those that came with its first."""
    IDLE_SECONDS = 60.0
    """How long a client may say nothing before its request is complete, and how long a head may take in all."""
    FAREWELL_SECONDS = 1.0
    """How long a server that ends listens to a client between two requests: the next one may be on its way."""
    _is_leaving = False
    _way: Any = None
    _chunks: list[bytes]
    _size: int
    _is_arriving = False
    """A request has begun, and is not complete."""
    _is_head = False
    """The part of it that has arrived is its head."""
    _beside_body = 0
    _heard_at = 0.0
    _began_at = 0.0
    _watch: asyncio.TimerHandle | None = None

    def choose(self) -> Any:
        """Return what answers the request whose head has arrived, or None for the long way."""
        raise NotImplementedError

    def begin(self, way: Any, body: bytes, reply: Reply) -> None:
        """Answer a request, now or later, by one call of `reply` on this thread; must not raise."""
        raise NotImplementedError

    def refuse_length(self, way: Any, reply: Reply) -> None:
        """Answer a request whose body is longer than `BODY_LIMIT`."""
        raise NotImplementedError

    # -- uvicorn's calls --------------------------------------------------------------------------------
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.flow = _FlowAfterWaiting(transport, self.pipeline)
        self._watch_silence()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if not self._is_arriving and (b"pgrade:" in data or b"PGRADE:" in data):
            data = _without_upgrade(data)
        self._beside_body += len(data)
        super().data_received(data)
        if not self._is_arriving:
            # Empty lines are no request, and have ended uvicorn's wait for one.
            if self._watch is None and self._waits_unwatched():
                self._watch_silence()
            return
        if self.transport.is_closing():
            return
        if self._beside_body > self.HEAD_LIMIT:
            self._refuse(431, "The head of the request is too large.")
        elif self._watch is None:
            self._watch_silence()
        else:
            self._heard_at = self.loop.time()

    # -- the server's end -------------------------------------------------------------------------------
    def shutdown(self) -> None:
        """Answer what has been asked, tell the client that this was the last answer, and close."""
        self._is_leaving = True
        cycle: Any = self.cycle  # None before the first request, whatever its annotation says
        if cycle is not None and not cycle.response_complete:
            cycle.keep_alive = False  # the last one that waits, where several do
        elif not self._is_arriving:
            self.loop.call_later(self.FAREWELL_SECONDS, self._leave)

    def _leave(self) -> None:
        cycle: Any = self.cycle
        if not self._is_arriving and (cycle is None or cycle.response_complete):
            self.transport.close()

    # -- clients that never come to an end ----------------------------------------------------------------
    def idle_seconds(self) -> float:
        return self.IDLE_SECONDS

    def _watch_silence(self) -> None:
        self._heard_at = self._began_at = self.loop.time()
        self._watch = self.loop.call_later(self.idle_seconds(), self._look)

    def _waits_unwatched(self) -> bool:
        cycle: Any = self.cycle  # None before the first request, whatever its annotation says
        return (
            (cycle is None or cycle.response_complete)
            and not self.pipeline
            and self.timeout_keep_alive_task is None
            and not self.transport.is_closing()
        )

    def _look(self) -> None:
        self._watch = None
        if self.transport.is_closing() or not (self._is_arriving or self._waits_unwatched()):
            return
        # A head has so long in all: one that comes letter by letter would be heard of again and again.
        since = self._began_at if self._is_head else self._heard_at
        left = since + self.idle_seconds() - self.loop.time()
        # It may say more than is read, or wait for the answer to what it has asked before.
        if left > 0 or self.flow.read_paused or self._is_answering():
            self._watch = self.loop.call_later(max(left, min(1.0, self.idle_seconds())), self._look)
        elif self._is_arriving:
            self._refuse(408, "The request did not come to its end.")
        else:
            self.transport.close()

    def _is_answering(self) -> bool:
        cycle: Any = self.cycle
        under_way = cycle is not None and not cycle.response_complete
        return bool(self.pipeline) or (under_way and not getattr(cycle, "more_body", False))

    def _refuse(self, status: int, message: str) -> None:
        """Answer a request that is not complete, unless its answer has begun, and close the connection."""
        cycle: Any = self.cycle
        if not self.pipeline and (
            cycle is None or cycle.response_complete or not getattr(cycle, "response_started", True)
        ):
            text = message.encode()
            head = head_bytes(
                status,
                *self.server_state.default_headers,
                (b"content-type", b"text/plain; charset=utf-8"),
                (b"content-length", b"%d" % len(text)),
                (b"connection", b"close"),
            )
            self.transport.write(head + b"\r\n" + text)
        self.transport.close()

    # -- the parser's calls -------------------------------------------------------------------------------
    def on_message_begin(self) -> None:
        self._is_arriving = self._is_head = True
        self._began_at = self.loop.time()
        self._beside_body = 0
        self._way = None
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._is_head = False
        parser: Any = self.parser
        if parser.get_method() in self.METHODS and not self._busy() and not self.expect_100_continue:
            self._way = self.choose()
            if self._way is not None:
                self._chunks = []
                self._size = 0
                return
        super().on_headers_complete()
        if self._is_leaving:
            self.cycle.keep_alive = False

    def _busy(self) -> bool:
        cycle: Any = self.cycle  # None before the first request, whatever its annotation says
        # A client that takes no answers waits on the long way, which waits for it.
        return self.flow.write_paused or (cycle is not None and not cycle.response_complete)

    def on_body(self, body: bytes) -> None:
        self._beside_body = 0
        if self._way is None:
            super().on_body(body)
            return
        self._size += len(body)
        if self._size <= self.BODY_LIMIT:
            self._chunks.append(body)

    def on_message_complete(self) -> None:
        self._is_arriving = False
        way = self._way
        if way is None:
            super().on_message_complete()
            return
        self._way = None
        parser: Any = self.parser
        keep_alive = (
            not self._is_leaving and parser.get_http_version() != "1.0" and parser.should_keep_alive()
        )
        pending: Any = _Pending(keep_alive=keep_alive)
        self.cycle = pending

        def reply(head: bytes, body: bytes) -> None:
            self._answer(pending, head, body)

        if self._size > self.BODY_LIMIT:
            self.refuse_length(way, reply)
            return
        chunks, self._chunks = self._chunks, []
        self.begin(way, chunks[0] if len(chunks) == 1 else b"".join(chunks), reply)

    def _answer(self, pending: Any, head: bytes, body: bytes) -> None:
        pending.response_complete = True
        if pending.disconnected or self.transport.is_closing():
            return
        closing = b"" if pending.keep_alive else b"connection: close\r\n"
        self.transport.write(b"%bcontent-length: %d\r\n%b\r\n%b" % (head, len(body), closing, body))
        if pending.keep_alive:
            self.on_response_complete()
        else:
            self.server_state.total_requests += 1
            self.transport.close()


def head_bytes(status: int, *headers: tuple[bytes, bytes]) -> bytes:
    """Return everything of an answer's head that does not depend on its body."""
    return STATUS_LINE[status] + b"".join(b"%b: %b\r\n" % pair for pair in headers)
