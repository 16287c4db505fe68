"""The tracking server as an ASGI application.

A request passes the guard (host, origin, token), then one dict lookup for the JSON API; what is not JSON
(artifact bytes, probes, the start page) is Starlette's. `server/fast.py` short-cuts writes before they get here.
"""

import asyncio
import logging
import os
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route as StarletteRoute

from slipstream import settings
from slipstream.api.routing import Permission, Route
from slipstream.artifact_store.local import LocalArtifactStore
from slipstream.errors import SlipstreamError
from slipstream.httpd.exposition import CONTENT_TYPE
from slipstream.httpd.short_way import head_bytes
from slipstream.server.absent_features import absent_feature_routes
from slipstream.server.artifact_frame import PATH as ARTIFACT_FRAME
from slipstream.server.artifact_frame import artifact_frame
from slipstream.server.artifacts import DeclaredRoute, artifact_routes
from slipstream.server.asked import ID_HEADERS, Asked, given_id
from slipstream.server.context import ServerContext
from slipstream.server.dispatch import Answer, Dispatcher, check_content_type, error_answer
from slipstream.server.events import Events
from slipstream.server.fast import JSON_LIMIT, ShortRoute, too_large
from slipstream.server.fast_files import FastFiles
from slipstream.server.guard import CHANGING, Guard, Refusal, refuse_repeated
from slipstream.server.model_cards import model_card_routes
from slipstream.server.observer import Observer, RouteCounts
from slipstream.server.openapi import openapi_document
from slipstream.server.options import ServerOptions
from slipstream.server.packing import Packed, Packing, may_pack
from slipstream.server.run_watch import RunWatch
from slipstream.server.serving_routes import serving_routes
from slipstream.server.siblings import FOLDER_VARIABLE, Siblings
from slipstream.server.signing import RootSigner
from slipstream.server.streams import Streams
from slipstream.server.trash_retention import TrashRetention
from slipstream.server.uploads import upload_routes
from slipstream.server.web_pages import PAGES, WebPages
from slipstream.server.webhook_deliveries import WebhookDeliveries
from slipstream.store.beats import Beats
from slipstream.store.config import StoreConfig
from slipstream.store.engine import Engine
from slipstream.store.run_index.index import RunIndex
from slipstream.webhooks.secrets import check_key

_logger = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

_CLOSING_SECONDS = 15.0
"""How long a server that ends may take to write what waits, after all requests were answered or given up."""
_LEFT = 499
"""The status of what was not answered, since the client had left."""
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"})
_EXEMPT = frozenset({"/health", "/version"})

_OF_FILES = 0
"""In place of a status: a 200 that has not the headers of JSON."""
_NOT_MODIFIED = 304
_COME_AGAIN = frozenset({429, 503})
_NO_SNIFF = (b"x-content-type-options", b"nosniff")


class TrackingApp:
    """One server process. The database is opened when the event loop starts (ASGI lifespan)."""

    dispatcher: Dispatcher

    def __init__(self, options: ServerOptions) -> None:
        self.options = options
        self.guard = Guard(
            options.allowed_hosts, options.cors_allowed_origins, options.token, enabled=options.security
        )
        self.idle_seconds = settings.SERVER_IDLE_TIMEOUT.get()
        self.observer = Observer(one_of_many=options.workers > 1)
        self.short_way: dict[bytes, ShortRoute] = {}
        self.files: FastFiles | None = None
        self._prefix = options.static_prefix.rstrip("/")
        self.pages = WebPages(self._prefix)
        self._guard_of_pages = Guard(
            options.allowed_hosts, options.cors_allowed_origins, None, enabled=options.security
        )
        frame_options = options.x_frame_options.upper()
        self._frame_options = b"" if frame_options == "NONE" else frame_options.encode("latin-1")
        self._heads: dict[int, bytes] = {}
        self._head_defaults: list[tuple[bytes, bytes]] | None = None
        self._rest: Starlette | None = None
        self._siblings: Siblings | None = None

    # -- life ---------------------------------------------------------------------------------------
    async def open(self) -> None:
        """Open database and artifacts; everything that can be wrong with them is raised here."""
        check_key()
        self.context = ServerContext(self.options)
        beats = Beats()
        config = StoreConfig(
            artifact_root=self.options.artifact_root,
            list_files=self.context.list_files,
            signed_uploads=self.context.signs("s3"),
            signed_downloads=self.context.signs(),
            signer=RootSigner(self.context),
            run_index=RunIndex(),
            places=self.context.places,
            trash_retention_ms=self.options.trash_retention_ms,
            beats=beats,
        )
        engine = Engine(self.context.database(), config)
        self.dispatcher = Dispatcher(engine)
        self.context.engine = engine
        self._streams = Streams(engine)
        self._events = Events(engine)
        self._deliveries = WebhookDeliveries(engine)
        self._run_watch = RunWatch(engine, beats, settings.LOST_AFTER.get())
        self._retention = TrashRetention(engine, self.options.trash_retention_ms or 0)
        if self.options.trash_retention_ms is not None and not self.options.artifacts_only:
            self._retention.start()
        if not self.options.artifacts_only:
            self._deliveries.start()
            self._run_watch.start()
        if not self.options.artifacts_only:
            self.short_way = {
                (self._prefix + path).encode(): ShortRoute(route, self.observer.counts_of(method, path))
                for (method, path), route in self.dispatcher.exact.items()
                if method == "POST" and route.writes
            }
        if isinstance(self.context.destination, LocalArtifactStore):
            self.files = FastFiles(self.context.destination, self._prefix, self.observer)
        self.observer.watch(self.dispatcher)
        folder = os.environ.get(FOLDER_VARIABLE)
        if self.options.workers > 1 and folder is not None:
            self._siblings = Siblings(Path(folder), self.observer.packed)
            await self._siblings.open()
        routes: list[StarletteRoute] = [
            StarletteRoute("/", self.pages.page),
            *(
                StarletteRoute(f"/{name}{rest}", self.pages.page)
                for name in PAGES
                for rest in ("", "/{rest:path}")
            ),
            StarletteRoute("/assets/{name}", self.pages.asset),
            StarletteRoute(ARTIFACT_FRAME, artifact_frame),
            StarletteRoute("/openapi.json", self._openapi),
            StarletteRoute("/version", _version),
            StarletteRoute("/health", _health),
            DeclaredRoute("GET", "/metrics", Permission.READ, self._metrics),
            *artifact_routes(self.context),
            *upload_routes(self.context),
            *serving_routes(self.options),
            *model_card_routes(self.context),
            *absent_feature_routes(),
        ]
        self._templates = {route.endpoint: route.path for route in routes}
        self._rest = Starlette(routes=routes, exception_handlers={404: _no_page, 405: _no_page})
        self._rest.router.redirect_slashes = False

    def end_listening(self) -> None:
        """End the answers that go on as long as the client likes: the server ends."""
        self._events.end()

    def close(self) -> None:
        self._retention.stop()
        self._events.close()
        if self._siblings is not None:
            self._siblings.close()
        self._deliveries.stop()
        self._run_watch.stop()
        self._streams.close()
        if self.files is not None:
            self.files.close()
        self.dispatcher.close()

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        try:
            await self.open()
        except SlipstreamError as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()
        _end_after(_CLOSING_SECONDS)
        await asyncio.get_running_loop().run_in_executor(None, self.close)
        await send({"type": "lifespan.shutdown.complete"})

    # -- requests -----------------------------------------------------------------------------------
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        if scope["type"] != "http":  # no websockets here
            return
        names: dict[bytes, bytes] = {
            name: value for name, value in reversed(scope["headers"]) if name in ID_HEADERS
        }
        answering = _Answering(
            Asked(given_id(names.get(b"x-request-id"), names.get(b"traceparent"))),
            self.observer.no_route,
            send,
        )
        try:
            await self._call(scope, receive, answering)
        finally:
            self.observer.answered(answering.counts, answering.status or _LEFT, answering.asked)

    async def _call(self, scope: Scope, receive: Receive, answering: "_Answering") -> None:
        send: Send = answering.send
        asked = answering.asked
        repeated = refuse_repeated(scope["headers"])
        if repeated is not None:
            await self._refuse(send, repeated)
            return
        headers: dict[bytes, bytes] = dict(reversed(scope["headers"]))
        method: str = scope["method"]
        path: str = scope["path"]
        raw: bytes = scope.get("raw_path") or quote(path).encode()
        origin = headers.get(b"origin")
        if origin is not None and self.guard.may_read(headers.get(b"host", b""), origin):
            if method == "OPTIONS" and b"access-control-request-method" in headers:
                await self._preflight(send, origin, headers)
                return
            send = _telling_the_browser(send, origin)
        changes = method in CHANGING
        plain_path = ""  # outside of the prefix nothing is open
        if path == self._prefix or path.startswith(f"{self._prefix}/"):
            plain_path = path[len(self._prefix) :] or "/"
        guard = self._guard_of_pages if self.pages.is_open(method, plain_path) else self.guard
        refusal = guard.check(
            changes,
            path if path in _EXEMPT else "",
            headers.get(b"host", b""),
            origin,
            headers.get(b"authorization"),
        )
        if refusal is not None:
            await self._refuse(send, refusal)
            return
        if method == "OPTIONS" and origin is None:
            await send({"type": "http.response.start", "status": 204, "headers": [_NO_SNIFF]})
            await send({"type": "http.response.body", "body": b""})
            return
        if self._prefix:
            if not path.startswith(self._prefix + "/") and path != self._prefix and path not in _EXEMPT:
                await self._not_found(send, 404)
                return
            if path.startswith(self._prefix):
                path = path[len(self._prefix) :] or "/"
                prefix = self._prefix.encode()
                raw = (raw[len(prefix) :] or b"/") if raw.startswith(prefix) else quote(path).encode()
                scope = {**scope, "path": path, "raw_path": raw}
        try:
            found = self.dispatcher.find(method, path, raw)
        except LookupError:
            await self._not_found(send, 405)
            return
        if found is None:
            await self._other(scope, receive, send, answering)
            return
        answering.counts = self.observer.counts_of(method, found[0].path)
        if self.options.artifacts_only and found[0].permission is not Permission.PUBLIC:
            await self._send(
                send, 503, b"This server only serves artifacts (--artifacts-only).", b"text/plain"
            )
            return
        answer = await self._answer(*found, scope, headers, receive, send, asked)
        if isinstance(answer, Packed):
            await self._send(send, answer.status, answer.body, b"application/json", answer.headers)
        elif answer is not None:
            status, body = answer
            await self._send(send, status, body, b"application/json", self._hints(status))

    def _hints(self, status: int) -> tuple[tuple[bytes, bytes], ...]:
        """Return the headers that tell a client that was sent away when to come again."""
        if status not in _COME_AGAIN:
            return ()
        return ((b"retry-after", b"%d" % self.dispatcher.retry_after()),)

    async def _answer(
        self,
        route: Route,
        path: Any,
        scope: Scope,
        headers: dict[bytes, bytes],
        receive: Receive,
        send: Send,
        asked: Asked,
    ) -> Answer | Packed | None:
        """Return what to answer, or nothing once a stream was sent."""
        try:
            query: bytes = scope["query_string"]
            if scope["method"] == "GET" and query:
                pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
                request = route.decode_query(pairs, path)
            else:
                body = await _body(receive)
                if scope["method"] in CHANGING and (body or scope["method"] != "DELETE"):
                    check_content_type(headers.get(b"content-type"))
                request = route.decode(body, path)
                asked.size = len(body)
        except Exception as error:  # noqa: BLE001  # whatever it is, the client is told
            return error_answer(error, asked)
        if route.listens:
            extra = [_NO_SNIFF, *self._framed()]
            try:
                return await self._events.answer(
                    route, request, headers.get(b"last-event-id"), extra, receive, send
                )
            finally:
                asked.begin_again()
        if route.streams:
            extra = [_NO_SNIFF, *self._framed()]
            return await self._streams.answer(route, request, headers.get(b"accept"), extra, receive, send)
        if may_pack(route):
            return await self.dispatcher.call_packed(route, request, asked, Packing.of(headers))
        return await self.dispatcher.call(route, request, asked)

    async def _other(self, scope: Scope, receive: Receive, send: Send, answering: "_Answering") -> None:
        assert self._rest is not None
        received = 0
        extra = [(b"x-content-type-options", b"nosniff"), *self._framed()]

        async def receive_counting() -> MutableMapping[str, Any]:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            return message

        async def send_with_headers(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.body":
                if self._is_of_files(scope):  # counted first: who has the answer may ask for the count
                    self.observer.bytes_out += len(message.get("body", b""))
            elif message["type"] == "http.response.start":
                names = {name for name, _ in message["headers"]}
                if (b"content-type", b"application/json") in message[
                    "headers"
                ]:  # our errors, not other texts
                    extra.extend(self._hints(message["status"]))
                message["headers"] = [
                    *message["headers"],
                    *(pair for pair in extra if pair[0] not in names),
                ]
            await send(message)

        try:
            scope["asked"] = answering.asked
            await self._rest(scope, receive_counting, send_with_headers)
        except Exception as error:  # whatever it is, the client is told
            if answering.status:  # its answer has begun, and cannot become another
                raise
            status, body = error_answer(error, answering.asked)
            await self._send(send, status, body, b"application/json", self._hints(status))
        finally:
            template = self._templates.get(scope.get("endpoint") or _no_page)
            if template is not None:
                method = scope["method"] if scope["method"] in _METHODS else ""
                answering.counts = self.observer.counts_of(method, template)
                if self._is_of_files(scope):
                    answering.asked.size = received
                    self.observer.bytes_in += received

    def _is_of_files(self, scope: Scope) -> bool:
        template = self._templates.get(scope.get("endpoint") or _no_page, "")
        return "artifact" in template or "/uploads/" in template

    async def _preflight(self, send: Send, origin: bytes, headers: dict[bytes, bytes]) -> None:
        """Tell a browser that a page may send the request that it asks about."""
        allowed = [
            *_cors_headers(origin),
            (b"access-control-allow-methods", b"GET, HEAD, POST, PUT, PATCH, DELETE"),
            (
                b"access-control-allow-headers",
                headers.get(b"access-control-request-headers", b"content-type"),
            ),
            (b"access-control-max-age", b"600"),
        ]
        await send({"type": "http.response.start", "status": 204, "headers": allowed})
        await send({"type": "http.response.body", "body": b""})

    async def _refuse(self, send: Send, refusal: Refusal) -> None:
        await self._send(
            send, refusal.status, refusal.text.encode(), b"text/plain; charset=utf-8", refusal.headers
        )

    async def _not_found(self, send: Send, status: int) -> None:
        await self._send(send, status, _error_page(status), b"text/html")

    async def _send(
        self,
        send: Send,
        status: int,
        body: bytes,
        content_type: bytes,
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        length = ((b"content-length", str(len(body)).encode()),) if status != _NOT_MODIFIED else ()
        await send(
            {
                "type": "http.response.start",
                "status": status,
                "headers": [
                    (b"content-type", content_type),
                    *length,
                    _NO_SNIFF,
                    *self._framed(),
                    *headers,
                ],
            }
        )
        await send({"type": "http.response.body", "body": body})

    def _framed(self) -> list[tuple[bytes, bytes]]:
        return [(b"x-frame-options", self._frame_options)] if self._frame_options else []

    def head_of(self, defaults: list[tuple[bytes, bytes]], status: int) -> bytes:
        """Return the head of a short-way answer, 0 meaning that of a file; uvicorn replaces `defaults` once a second, for the date."""
        if defaults is not self._head_defaults:
            self._heads.clear()
            self._head_defaults = defaults
        head = self._heads.get(status)
        if head is None:
            if status == _OF_FILES:
                head = self._heads[status] = head_bytes(200, *defaults, *self._framed())
                return head
            common = (*defaults, (b"content-type", b"application/json"), _NO_SNIFF, *self._framed())
            if status in _COME_AGAIN:
                return head_bytes(status, *common, *self._hints(status))
            head = self._heads[status] = head_bytes(status, *common)
        return head

    async def _metrics(self, request: Request) -> Response:
        others = await self._siblings.ask_all() if self._siblings is not None else []
        return Response(self.observer.metrics(others), headers={"content-type": CONTENT_TYPE})

    # -- pages --------------------------------------------------------------------------------------
    async def _openapi(self, request: Request) -> Response:
        return Response(openapi_document(self._prefix), media_type="application/json")


def _end_after(seconds: float) -> None:
    """End this process in so many seconds whatever it does: a database that hangs must not keep it."""

    def end() -> None:
        _logger.error("The database did not let go within %g s; what was not answered is dropped", seconds)
        logging.shutdown()
        os._exit(1)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()


class _Answering:
    """One request on the long way: what its answer was, for those who count and log."""

    __slots__ = ("_send", "asked", "counts", "status")

    def __init__(self, asked: Asked, counts: RouteCounts, send: Send) -> None:
        self.asked = asked
        self.counts = counts
        self.status = 0
        """None was given, as long as it is 0."""
        self._send = send

    async def send(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message["headers"], (b"x-request-id", self.asked.id.encode())]
        await self._send(message)


def _cors_headers(origin: bytes) -> list[tuple[bytes, bytes]]:
    return [(b"access-control-allow-origin", origin), (b"vary", b"origin")]


def _telling_the_browser(send: Send, origin: bytes) -> Send:
    """Return a `send` that lets a page of this origin read the answer."""

    async def send_with_cors(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *_cors_headers(origin)]
        await send(message)

    return send_with_cors


def _error_page(status: int) -> bytes:
    title = "405 Method Not Allowed" if status == 405 else "404 Not Found"
    return (
        f'<!doctype html><html lang="en"><meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><main><h1>{title}</h1></main></html>"
    ).encode()


async def _no_page(request: Request, error: Exception) -> Response:
    status: int = getattr(error, "status_code", 404)
    return HTMLResponse(_error_page(status), status, headers=getattr(error, "headers", None))


async def _health(request: Request) -> Response:
    return PlainTextResponse("OK")


async def _version(request: Request) -> Response:
    from slipstream.wire.compatibility import MLFLOW_VERSION

    return HTMLResponse(MLFLOW_VERSION)


async def _body(receive: Receive) -> bytes:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise SlipstreamError("The client went away before its request was complete")
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > JSON_LIMIT:
            raise too_large()
        chunks.append(chunk)
        if not message.get("more_body"):
            return b"".join(chunks)
