"""The scoring server as an ASGI application: requests in, answers out, nothing of models or protocols.

One dict of (method, path) decides everything; a framework would cost more than the prediction of a small model.
"""

import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any, TypeAlias

from slipstream.errors import InternalError, SlipstreamError
from slipstream.serving.answer import Answer, error_answer, text_answer
from slipstream.serving.gate import Gate
from slipstream.serving.protocols import invocations
from slipstream.serving.served import ServedModel
from slipstream.serving.worker import Worker
from slipstream.wire.compatibility import MLFLOW_VERSION

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Headers: TypeAlias = Mapping[bytes, bytes]
Handler: TypeAlias = Callable[[Headers, Receive], Awaitable[Answer | None]]
"""Answers one request; None when the client has gone."""

PROTOCOLS = (invocations,)
MAX_BODY_BYTES = 1 << 30

_logger = logging.getLogger("slipstream.serving")
_NOT_FOUND = Answer(404, b'{"detail":"Not Found"}')
_NOT_ALLOWED = Answer(405, b'{"detail":"Method Not Allowed"}')


class ScoringApp:
    """Serves one model; pass it to an ASGI server."""

    def __init__(
        self,
        model: ServedModel,
        worker: Worker,
        gate: Gate | None = None,
        *,
        max_body_bytes: int = MAX_BODY_BYTES,
    ) -> None:
        self._worker = worker
        self._gate = gate or Gate()
        self._max_body_bytes = max_body_bytes
        healthy = _constant(Answer(200, b"\n"))
        # Probes of an orchestrator know neither the server's name nor its token.
        self._open: dict[tuple[str, str], Handler] = {("GET", "/ping"): healthy, ("GET", "/health"): healthy}
        self._routes: dict[tuple[str, str], Handler] = {
            ("GET", "/version"): _constant(Answer(200, MLFLOW_VERSION.encode()))
        }
        for protocol in PROTOCOLS:
            for route, work in protocol.ROUTES.items():
                self._routes[route] = self._scoring(model, work)

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        answer = await self._answer(scope, receive)
        if answer is not None:
            await _send_answer(send, answer, with_body=scope["method"] != "HEAD")

    async def _answer(self, scope: Mapping[str, Any], receive: Receive) -> Answer | None:
        route = (scope["method"], scope["path"])
        headers: Headers = dict(scope["headers"])
        handler = self._open.get(route)
        if handler is None:
            refused = self._gate.refuse(route[0], headers)
            if refused is not None:
                return refused
            handler = self._routes.get(route)
            if handler is None:
                return self._no_route(route[1])
        try:
            return await handler(headers, receive)
        except SlipstreamError as error:
            return error_answer(error)
        except Exception:
            _logger.exception("A request failed")
            return error_answer(InternalError("The server failed on this request; its log tells why."))

    def _scoring(
        self, model: ServedModel, work: Callable[[ServedModel, bytes, str | None], Answer]
    ) -> Handler:
        async def handle(headers: Headers, receive: Receive) -> Answer | None:
            body = await self._read_body(headers, receive)
            if not isinstance(body, bytes):
                return body
            content_type = headers.get(b"content-type")
            text = None if content_type is None else content_type.decode("latin-1")
            return await self._worker.run(work, model, body, text)

        return handle

    async def _read_body(self, headers: Headers, receive: Receive) -> bytes | Answer | None:
        announced = headers.get(b"content-length", b"0")
        if announced.isdigit() and int(announced) > self._max_body_bytes:
            return self._too_large()
        pieces: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                return None
            piece: bytes = message.get("body", b"")
            if not message.get("more_body", False):
                return piece if not pieces else b"".join([*pieces, piece])
            pieces.append(piece)
            size += len(piece)
            if size > self._max_body_bytes:
                return self._too_large()

    def _too_large(self) -> Answer:
        answer = text_answer(413, f"The body is larger than {self._max_body_bytes} bytes; send fewer rows.")
        return answer._replace(headers=((b"connection", b"close"),))

    def _no_route(self, path: str) -> Answer:
        known = [*self._open, *self._routes]
        allowed = ", ".join(method for method, other in known if other == path)
        if allowed:
            return _NOT_ALLOWED._replace(headers=((b"allow", allowed.encode()),))
        bare = path.rstrip("/")
        if bare != path and any(other == bare for _, other in known):
            return Answer(307, b"", headers=((b"location", bare.encode()),))
        return _NOT_FOUND

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self._worker.start()
            else:
                self._worker.close()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return


def _constant(answer: Answer) -> Handler:
    async def handle(_headers: Headers, _receive: Receive) -> Answer:  # a Handler is awaited
        return answer

    return handle


async def _send_answer(send: Send, answer: Answer, *, with_body: bool) -> None:
    headers = [
        (b"content-type", answer.media_type.encode()),
        (b"content-length", str(len(answer.body)).encode()),
        (b"x-content-type-options", b"nosniff"),
        *answer.headers,
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body if with_body else b""})
