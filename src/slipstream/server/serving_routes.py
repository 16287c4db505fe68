"""Routes through which the pages reach scoring servers: what these tell of themselves, and one request to a model.

A page may only ask the server that it came from. So this server asks on its behalf: only those scoring servers that were
named when it was started, at paths that are written here (docs/decisions/0024-scoring-servers-behind-pages.md).
"""

import asyncio
import time
from collections.abc import AsyncGenerator
from typing import Any
from urllib.parse import quote

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from slipstream import settings
from slipstream.api.routing import OWN, OWN_AJAX, Permission
from slipstream.errors import (
    ConnectionFailedError,
    InvalidParameterError,
    SlipstreamError,
    TooManyRequestsError,
)
from slipstream.server.artifacts import DeclaredRoute, small_body
from slipstream.server.dispatch import check_content_type
from slipstream.server.options import ServerOptions
from slipstream.server.outgoing import Exchange
from slipstream.server.scoring_servers import (
    ScoringServer,
    find_scoring_server,
    read_scoring_servers,
)
from slipstream.server.scoring_status import ServerStatus, add_metrics, models_of

MOST_TRIES = 32
"""Requests to models that are under way; more are refused."""
_QUESTION_BYTES = 16 * 1024 * 1024
_ANSWER_BYTES = 32 * 1024 * 1024
_STATUS_BYTES = 4 * 1024 * 1024
_CONNECT_SECONDS = 5.0
_SILENCE_SECONDS = 120.0
"""Of a model that is asked; one that generates may take long to begin."""
_STATUS_SECONDS = 3.0
_FRESH_SECONDS = 2.0
"""How long what a scoring server told is told on, however many pages ask."""
_JSON = "application/json"
_EVENTS = "text/event-stream"
_REFUSED = (401, 403)


class Question(msgspec.Struct, kw_only=True):
    """What a page asks a model."""

    server: str
    """The name of a scoring server, as whoever started this one gave it."""
    request: dict[str, Any]
    """The body for the model."""
    model: str | None = None
    """The name that it is served under; the only one if absent."""
    kind: str = "invocations"
    """`invocations`, or `chat`."""


def serving_routes(options: ServerOptions) -> list[Route]:
    """Return all routes of this file, for the scoring servers of a server's options."""
    routes = _ServingRoutes(read_scoring_servers(options.serving_urls))
    return [
        route
        for base in (OWN, OWN_AJAX)
        for route in (
            DeclaredRoute("GET", f"{base}serving/servers", Permission.READ, routes.servers),
            DeclaredRoute("POST", f"{base}serving/try", Permission.WRITE, routes.ask),
        )
    ]


class _ServingRoutes:
    def __init__(self, servers: tuple[ScoringServer, ...]) -> None:
        self._servers = servers
        self._token = (settings.SERVING_TOKEN.get() or "").strip() or None
        self.under_way = 0
        self._known: tuple[float, list[ServerStatus]] = (0.0, [])
        self._asking = asyncio.Lock()

    async def servers(self, _request: Request) -> Response:
        """Tell which scoring servers there are, and how they are."""
        async with self._asking:  # pages that ask meanwhile get the same answer
            asked_at, statuses = self._known
            if self._servers and time.monotonic() - asked_at > _FRESH_SECONDS:
                statuses = list(await asyncio.gather(*(self._status(server) for server in self._servers)))
                self._known = (time.monotonic(), statuses)
        return Response(msgspec.json.encode({"servers": statuses}), media_type=_JSON)

    async def ask(self, request: Request) -> Response:
        """Send a request to a model, and its answer back; what comes in pieces goes on in pieces."""
        check_content_type(request.headers.get("content-type", "").encode("latin-1"))
        body = await small_body(request, _QUESTION_BYTES)
        if body is None:
            raise InvalidParameterError(
                f"The request is larger than {_QUESTION_BYTES // 2**20} MiB; send it to the scoring server itself."
            )
        try:
            question = msgspec.json.decode(body, type=Question)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise InvalidParameterError(f"The request body is not what this route takes: {error}.") from error
        server = find_scoring_server(self._servers, question.server)
        path, content = _path_and_content(question)
        if self.under_way >= MOST_TRIES:
            raise TooManyRequestsError(
                f"{MOST_TRIES} requests to models are under way already. Try again in a few seconds."
            )
        asked = _Asked(self, Exchange(server, self._token, _CONNECT_SECONDS, _SILENCE_SECONDS))
        try:
            exchange = asked.exchange
            await exchange.send("POST", path, content)
            _check(server, exchange)
            kind = exchange.content_type.split(";", 1)[0].strip()
            if kind == _EVENTS:
                answer = _PassedOn(asked)
                asked = None
                return answer
            body = await exchange.body(_ANSWER_BYTES)
        finally:
            if asked is not None:
                await asked.end()
        if kind != _JSON:  # whatever it is, no page of ours is to take it for one of ours
            body = msgspec.json.encode({"text": body.decode("utf-8", "replace")})
        return Response(body, exchange.status, media_type=_JSON)

    async def _status(self, server: ScoringServer) -> ServerStatus:
        status = ServerStatus(name=server.name, url=server.url)
        began = time.monotonic()
        try:
            # /ping is what every scoring server of MLflow's kind has, too
            health, _ = await self._get(server, "/ping")
            status.answer_seconds = time.monotonic() - began
            status.healthy = health == 200
            if not status.healthy:
                status.error = f"GET /ping answers {health}."
            (listed, models), (counted, metrics) = await asyncio.gather(
                self._get(server, "/v1/models"), self._get(server, "/metrics")
            )
            if listed == 200:
                status.models = models_of(models)
            elif listed in _REFUSED:
                status.error = _refused(server, listed)
            if counted == 200:
                status.has_metrics = await asyncio.to_thread(_read_metrics, status, metrics)
        except SlipstreamError as error:
            status.healthy = False
            status.error = str(error)
        return status

    async def _get(self, server: ScoringServer, path: str) -> tuple[int, bytes]:
        async with Exchange(server, self._token, _STATUS_SECONDS, _STATUS_SECONDS) as exchange:
            await exchange.send("GET", path)
            return exchange.status, await exchange.body(_STATUS_BYTES)


class _Asked:
    """One request to a model, counted until it has ended."""

    def __init__(self, routes: _ServingRoutes, exchange: Exchange) -> None:
        self.exchange = exchange
        self._routes = routes
        routes.under_way += 1

    async def end(self) -> None:
        self._routes.under_way -= 1
        await self.exchange.__aexit__()


class _PassedOn(StreamingResponse):
    """Sends a stream on, and ends it at the scoring server when the page has gone."""

    def __init__(self, asked: _Asked) -> None:
        super().__init__(self._pieces(), asked.exchange.status, {"cache-control": "no-store"}, _EVENTS)
        self._asked = asked

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._asked.end()

    async def _pieces(self) -> AsyncGenerator[bytes]:
        try:
            async for piece in self._asked.exchange.pieces():
                yield piece
        except SlipstreamError as error:
            yield b"data: " + msgspec.json.encode({"error": {"message": str(error)}}) + b"\n\n"


def _read_metrics(status: ServerStatus, metrics: bytes) -> bool:
    try:
        return add_metrics(status.models, metrics.decode("utf-8", "replace"))
    except ValueError as error:
        status.error = f"Its /metrics cannot be read: {error}"
        return False


def _path_and_content(question: Question) -> tuple[str, bytes]:
    model = question.model
    if model is not None and (not model or model.strip(".") == "" or len(model) > 256):
        raise InvalidParameterError(f"'model' is '{model[:100]}', which names no model.")
    if question.kind == "invocations":
        path = "/invocations" if model is None else f"/models/{quote(model, safe='')}/invocations"
        return path, msgspec.json.encode(question.request)
    if question.kind == "chat":
        named = question.request if model is None else {**question.request, "model": model}
        return "/v1/chat/completions", msgspec.json.encode(named)
    raise InvalidParameterError(f"'kind' is '{question.kind[:100]}'; use invocations or chat.")


def _check(server: ScoringServer, exchange: Exchange) -> None:
    """Raise for answers that are none to the page's question."""
    if exchange.status in _REFUSED:  # or the page would take it for this server's own refusal
        raise ConnectionFailedError(_refused(server, exchange.status))
    if 300 <= exchange.status < 400:
        raise ConnectionFailedError(
            f"The scoring server '{server.name}' sends requests elsewhere ({exchange.status}), which is not followed. Give "
            "--serving-url the address that answers."
        )


def _refused(server: ScoringServer, status: int) -> str:
    return (
        f"The scoring server '{server.name}' refuses this server ({status}). Start this server with the token or API key in "
        f"{settings.SERVING_TOKEN.name}, and that one with --allowed-hosts if it does not know its own name."
    )
