"""The scoring server as an ASGI application: requests in, answers out, nothing of models.

One dict of (method, path) decides everything; a framework would cost more than the prediction of a small model.
Bodies go to worker processes as they came.
"""

import asyncio
import contextlib
import functools
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeAlias

from slipstream.errors import InternalError, SlipstreamError, UnavailableError
from slipstream.httpd.short_way import Reply, head_bytes
from slipstream.serving import v2_views, views
from slipstream.serving.answer import Answer, error_answer, text_answer
from slipstream.serving.catalog import Catalog, ServedName, Version
from slipstream.serving.frames import Done, Opened
from slipstream.serving.gate import Gate
from slipstream.serving.observer import Observer
from slipstream.serving.pool import Pending
from slipstream.serving.protocols import PROTOCOLS, ScoringProtocol, openai
from slipstream.serving.refresh import keep_fresh
from slipstream.wire.compatibility import MLFLOW_VERSION

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Headers: TypeAlias = Mapping[bytes, bytes]

_logger = logging.getLogger("slipstream.serving")
_NOT_FOUND = Answer(404, b'{"detail":"Not Found"}')
_NOT_ALLOWED = Answer(405, b'{"detail":"Method Not Allowed"}')
_NO_SNIFF = (b"x-content-type-options", b"nosniff")
SHORT_BODY_BYTES = 1 << 18
"""Bodies that take the short way, at most: they are not counted, only the queue is."""


@dataclass(frozen=True, kw_only=True)
class AppLimits:
    """What the edge takes in."""

    body_bytes: int = 100 << 20
    """Of one request."""
    buffered_bytes: int = 1 << 30
    """Of all requests that are being read or answered."""
    drain_seconds: float = 30.0
    """How long requests may take to end when the server is stopped."""
    body_seconds: float = 30.0
    """How long a client may pause within a body."""
    refresh_seconds: float = 5.0
    """How often aliases are looked up; 0 never."""


class _Route(NamedTuple):
    protocol: ScoringProtocol
    operation: str
    served: ServedName | None
    """None: the body says which."""
    method: str
    path: str
    version: str | None = None
    """Only this version may answer; None: whichever is live."""


_ONLY_ONCE = (b"host", b"origin", b"authorization", b"content-type", b"content-length")


def _repeated(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """Return a header that decides something and was sent more than once."""
    names = [name for name, _ in headers]
    return next((name for name in _ONLY_ONCE if names.count(name) > 1), None)


class _Held:
    """How many bytes one request counts for."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


class ShortWay(NamedTuple):
    """How one request on the short way is answered."""

    app: "ScoringApp"
    gate: Gate
    route: _Route
    served: ServedName
    headers: Headers

    def begin(self, body: bytes, defaults: Sequence[tuple[bytes, bytes]], reply: Reply) -> None:
        """Ask the model; `reply` is called with the answer."""
        protocol = self.route.protocol
        began = time.perf_counter()
        version = self.served.live

        def tell(pending: Pending | None, news: Done | Opened | SlipstreamError | Answer) -> None:
            if isinstance(news, Done):
                answer = news.answer()
            elif isinstance(news, Answer):
                answer = news
            elif isinstance(news, SlipstreamError):
                answer = protocol.refusal(news)
            else:
                answer = protocol.refusal(InternalError("A model that joins rows cannot stream."))
            reply(self.app.head_of(defaults, answer, self.served, version), answer.body)
            self.app.report(self.route, self.headers, version, answer.status, began, pending)

        if self.gate.keys is not None:
            refused = self.gate.refuse("POST", self.headers, protocol.refusal, counts=True)
            if refused is not None:
                tell(None, refused)
                return
        header = self.headers.get(protocol.BODY_HEADER)
        try:
            self.served.require_live().pool.submit(
                protocol.NAME,
                self.route.operation,
                None if header is None else header.decode("latin-1"),
                body,
                tell,
            )
        except SlipstreamError as error:
            tell(None, error)


class ScoringApp:
    """Serves models; pass it to an ASGI server."""

    def __init__(
        self,
        catalog: Catalog,
        gate: Gate | None = None,
        limits: AppLimits | None = None,
        observer: Observer | None = None,
    ) -> None:
        self.catalog = catalog
        self.limits = limits or AppLimits()
        self._gate = gate or Gate()
        self.observer = observer or Observer(catalog, with_keys=self._gate.keys is not None)
        self.observer.buffered = lambda: self._buffered
        self._buffered = 0
        self._refreshing: asyncio.Task[None] | None = None
        self._routes: dict[tuple[str, str], _Route] = {}
        self._versioned: dict[tuple[str, str], _Route] = {}
        """Those with `/versions/{version}/` in their path."""
        for protocol in PROTOCOLS.values():
            for (method, path), operation in protocol.ROUTES.items():
                if "{model}" not in path:
                    self._routes[method, path] = _Route(protocol, operation, None, method, path)
                    continue
                for served in catalog:
                    own = path.replace("{model}", served.name)
                    table = self._versioned if "{version}" in own else self._routes
                    table[method, own] = _Route(protocol, operation, served, method, own)
        # Probes of an orchestrator know neither the server's name nor its token.
        self._probes = {("GET", "/ping"), ("GET", "/health"), *views.PROBES}
        self._heads: dict[tuple[Any, ...], bytes] = {}
        self._head_defaults: object = None
        self._views: dict[tuple[str, str], Callable[[], Answer]] = {
            ("GET", "/ping"): self._health,
            ("GET", "/health"): self._health,
            ("GET", "/version"): lambda: Answer(200, MLFLOW_VERSION.encode()),
            ("GET", "/metrics"): self.observer.metrics,
            **views.of(catalog),
        }

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        method, path = scope["method"], scope["path"]
        headers: Headers = dict(scope["headers"])
        if len(headers) != len(scope["headers"]) and (repeated := _repeated(scope["headers"])) is not None:
            await _send(
                send, text_answer(400, f"The header {repeated.decode()} may be sent only once."), method
            )
            return
        route = self._routes.get((method, path)) or self._route_of_version(method, path)
        if (method, path) not in self._probes:
            refusal = openai.refusal if path.startswith("/v1/") else error_answer
            if route is not None:
                refusal = route.protocol.refusal
            refused = self._gate.refuse(method, headers, refusal, counts=route is not None)
            if refused is not None:
                if route is not None:
                    self.report(route, headers, None, refused.status, time.perf_counter(), None)
                await _send(send, refused, method)
                return
        if route is not None:
            await self._score(route, headers, receive, send)
            return
        view = self._views.get((method, path))
        answer = view() if view is not None else v2_views.find(self.catalog, method, path)
        await _send(send, answer or self._no_route(path), method)

    def _route_of_version(self, method: str, path: str) -> _Route | None:
        """Return the route of a path that names a version of a model; None if this path is no such route."""
        pattern, number = _any_version(path)
        route = None if number is None else self._versioned.get((method, pattern))
        return None if route is None else route._replace(version=number)

    # -- the short way ----------------------------------------------------------------------------------
    def short_way(self, path: str, headers: Sequence[tuple[bytes, bytes]]) -> "ShortWay | None":
        """Return how a small request of a model whose rows are joined is answered; None for the long way.

        What is in any way special goes the long way, which has all the answers.
        """
        route = self._routes.get(("POST", path))
        if route is None or (
            route.served is None and route.protocol.NAME == openai.NAME
        ):  # its body says which
            return None
        served = route.served or self.catalog.only
        if served is None or served.live is None or not served.live.card.joins:
            return None
        found = dict(headers)
        if len(found) != len(headers) and _repeated(headers) is not None:
            return None
        length = found.get(b"content-length", b"")
        if not length.isdigit() or int(length) > min(SHORT_BODY_BYTES, self.limits.body_bytes):
            return None
        # Keys are looked at when the request is complete: only then does it count.
        if self._gate.keys is None and self._gate.refuse("POST", found) is not None:
            return None
        return ShortWay(self, self._gate, route, served, found)

    def head_of(
        self,
        defaults: Sequence[tuple[bytes, bytes]],
        answer: Answer,
        served: ServedName,
        version: Version | None,
    ) -> bytes:
        """Return the head of a short-way answer; uvicorn replaces `defaults` once a second, for the date."""
        if defaults is not self._head_defaults:
            self._heads.clear()
            self._head_defaults = defaults
        number = None if version is None else version.source.version
        key = (answer.status, answer.media_type, answer.headers, served.name, number)
        head = self._heads.get(key)
        if head is None:
            own = () if version is None else _version_headers(served, version)
            kind = (b"content-type", answer.media_type.encode())
            head = self._heads[key] = head_bytes(
                answer.status, *defaults, kind, _NO_SNIFF, *own, *answer.headers
            )
        return head

    # -- scoring ----------------------------------------------------------------------------------------
    async def _score(self, route: _Route, headers: Headers, receive: Receive, send: Send) -> None:
        protocol = route.protocol
        began = time.perf_counter()
        announced = headers.get(b"content-length", b"")
        expected = int(announced) if announced.isdigit() else 0
        status, version, pending = 500, None, None
        held = _Held()
        try:
            body = await self._read_body(receive, expected, held)
            if body is None:
                status = 499
                return
            if isinstance(body, Answer):
                status = body.status
                await _send(send, body)
                return
            served = route.served or self.catalog.get(protocol.choose(body))
            version = served.require_live(route.version)
            header = headers.get(protocol.BODY_HEADER)
            head: asyncio.Future[Done | Opened] = asyncio.get_running_loop().create_future()
            pending = version.pool.submit(
                protocol.NAME,
                route.operation,
                None if header is None else header.decode("latin-1"),
                body,
                functools.partial(_settle, head),
            )
            news = await self._news_of(head, pending, version, receive)
            if news is None:
                status = 499
                return
            status = news.status
            if isinstance(news, Done):
                await _send(send, news.answer(), headers=_version_headers(served, version))
            else:
                status = await self._stream(
                    pending, version, served, news.media_type, protocol, receive, send
                )
        except SlipstreamError as error:
            status = error.status
            await _send(send, protocol.refusal(error), headers=_version_headers_of(route.served, version))
        except Exception:
            _logger.exception("A request failed")
            error = InternalError("The server failed on this request; its log tells why.")
            await _send(send, protocol.refusal(error))
        finally:
            self._buffered -= held.count
            self.report(route, headers, version, status, began, pending)

    def report(
        self,
        route: _Route,
        headers: Headers,
        version: Version | None,
        status: int,
        began: float,
        pending: Pending | None,
    ) -> None:
        """Tell the observer of an answer, and count its tokens."""
        key = self._gate.key_of(headers)
        if key is not None and pending is not None:
            stats = pending.stats
            # A stream that its client left has told no numbers; a piece of it is about one token.
            key.spend_tokens(
                pending.piece_count if stats is None else stats.prompt_tokens + stats.completion_tokens
            )
        self.observer.answered(
            route.protocol.NAME,
            route.operation,
            version,
            status,
            began,
            pending,
            headers,
            place=(route.method, route.path),
            key="" if key is None else key.name,
        )

    async def _read_body(self, receive: Receive, expected: int, held: "_Held") -> bytes | Answer | None:
        """Return a request's body, an answer that refuses it, or None if the client has gone.

        Raises:
            UnavailableError: all requests together hold too much.
        """
        if expected > self.limits.body_bytes:
            return self._too_large()
        # What was only announced takes no room from others.
        self._require_room(self._buffered, expected)
        pieces: list[bytes] = []
        size = 0
        while True:
            try:
                # Nobody may hold a place, and what was sent before, by sending nothing more.
                async with asyncio.timeout(self.limits.body_seconds if pieces else None):
                    message = await receive()
            except TimeoutError:
                waited = f"No more of the body came within {self.limits.body_seconds:g} seconds."
                return text_answer(408, waited)._replace(headers=((b"connection", b"close"),))
            if message["type"] == "http.disconnect":
                return None
            piece: bytes = message.get("body", b"")
            size += len(piece)
            if size > self.limits.body_bytes:
                return self._too_large()
            self._hold(held, size)  # what has come, not what was announced: announcing is free
            if not message.get("more_body", False):
                return piece if not pieces else b"".join([*pieces, piece])
            pieces.append(piece)

    def _require_room(self, others: int, count: int) -> None:
        # A body that is alone always has its room: to try again would not help it.
        if others and others + count > self.limits.buffered_bytes:
            raise UnavailableError(
                "The server holds as many bytes of requests as it has room for. Try again in a second."
            )

    def _hold(self, held: "_Held", count: int) -> None:
        """Let a request count for so many bytes."""
        self._require_room(self._buffered - held.count, count)
        self._buffered += count - held.count
        held.count = count

    async def _news_of(
        self, head: "asyncio.Future[Done | Opened]", pending: Pending, version: Version, receive: Receive
    ) -> Done | Opened | None:
        """Wait for the answer or its beginning; None if the client leaves before."""
        if not version.card.generates:
            return await head
        # An answer that takes seconds: worth to know at once that nobody waits for it.
        gone = asyncio.ensure_future(_wait_for_disconnect(receive))
        try:
            await asyncio.wait((head, gone), return_when=asyncio.FIRST_COMPLETED)
            if head.done():
                return head.result()
            head.cancel()
            version.pool.cancel(pending)
            return None
        finally:
            gone.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await gone

    async def _stream(
        self,
        pending: Pending,
        version: Version,
        served: ServedName,
        media_type: str,
        protocol: ScoringProtocol,
        receive: Receive,
        send: Send,
    ) -> int:
        """Send an answer piece by piece; return how it ended, as the status that a whole answer would have."""
        head = [
            (b"content-type", media_type.encode()),
            (b"cache-control", b"no-store"),
            (b"x-accel-buffering", b"no"),
            _NO_SNIFF,
            *_version_headers(served, version),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": head})
        gone = asyncio.ensure_future(_wait_for_disconnect(receive))
        gone.add_done_callback(lambda _task: version.pool.cancel(pending))
        try:
            while pieces := await pending.pieces():
                await send({"type": "http.response.body", "body": b"".join(pieces), "more_body": True})
            if pending.error is not None and not gone.done():
                broken = protocol.error_event(pending.error)
                await send({"type": "http.response.body", "body": broken, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
            if pending.error is None:
                return 200
            return 499 if gone.done() else pending.error.status
        finally:
            gone.cancel()
            version.pool.cancel(pending)

    # -- the rest ---------------------------------------------------------------------------------------
    def _health(self) -> Answer:
        missing = [
            served.name for served in self.catalog if served.live is None or not served.live.pool.ready
        ]
        return (
            text_answer(503, f"No worker is running for: {', '.join(missing)}")
            if missing
            else Answer(200, b"\n")
        )

    def _too_large(self) -> Answer:
        answer = text_answer(
            413, f"The body is larger than {self.limits.body_bytes} bytes (--max-body-mb); send fewer rows."
        )
        return answer._replace(headers=((b"connection", b"close"),))

    def _no_route(self, path: str) -> Answer:
        known = [*self._views, *self._routes, *self._versioned]
        pattern = _any_version(path)[0]
        allowed = ", ".join(method for method, other in known if other == pattern)
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
                if self.limits.refresh_seconds:
                    self._refreshing = asyncio.ensure_future(
                        keep_fresh(self.catalog, self.limits.refresh_seconds)
                    )
            else:
                if self._refreshing is not None:
                    self._refreshing.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await self._refreshing
                await asyncio.gather(*(served.close(self.limits.drain_seconds) for served in self.catalog))
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return


def _settle(
    head: "asyncio.Future[Done | Opened]", _pending: Pending, news: Done | Opened | SlipstreamError
) -> None:
    if head.done():  # the client has gone
        return
    if isinstance(news, SlipstreamError):
        head.set_exception(news)
    else:
        head.set_result(news)


def _any_version(path: str) -> tuple[str, str | None]:
    """Return a path with `{version}` in place of the version that it names, and that version."""
    before, mark, rest = path.partition("/versions/")
    number, slash, after = rest.partition("/")
    return (f"{before}{mark}{{version}}{slash}{after}", number) if mark and number else (path, None)


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _version_headers(served: ServedName, version: Version) -> tuple[tuple[bytes, bytes], ...]:
    name = (b"x-slipstream-model", served.name.encode("latin-1", "replace"))
    number = version.source.version
    return (name,) if number is None else (name, (b"x-slipstream-model-version", number.encode()))


def _version_headers_of(
    served: ServedName | None, version: Version | None
) -> tuple[tuple[bytes, bytes], ...]:
    return () if served is None or version is None else _version_headers(served, version)


async def _send(
    send: Send, answer: Answer, method: str = "", headers: tuple[tuple[bytes, bytes], ...] = ()
) -> None:
    head = [
        (b"content-type", answer.media_type.encode()),
        (b"content-length", b"%d" % len(answer.body)),
        _NO_SNIFF,
        *headers,
        *answer.headers,
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": head})
    await send({"type": "http.response.body", "body": b"" if method == "HEAD" else answer.body})
