"""The short way: most requests of a training run are small JSON writes, and many files are small.

Writes are decoded as soon as they have arrived and queued for the writer, and answered when they are durable. For files see
`fast_files.py`.
"""

from typing import Any, NamedTuple, Protocol, cast

from slipstream.api.routing import Route
from slipstream.errors import InvalidParameterError, SlipstreamError
from slipstream.httpd.short_way import Reply, ShortWayProtocol
from slipstream.server.asked import ID_HEADERS, Asked, given_id
from slipstream.server.dispatch import Answer, Dispatcher, check_content_type, error_answer
from slipstream.server.fast_files import SMALL_FILE, FastFiles, SmallFile, Upload
from slipstream.server.guard import ONLY_ONCE, Guard
from slipstream.server.observer import Observer, RouteCounts

JSON_LIMIT = 64 * 1024 * 1024
_DIGITS = 9
_NOTHING = SmallFile(b"", ((b"x-content-type-options", b"nosniff"),))


class ShortRoute(NamedTuple):
    """A route that may be asked on the short way, and where its answers are counted."""

    route: Route
    counts: RouteCounts


class Way(NamedTuple):
    """What is known of a request once its head has arrived."""

    short: ShortRoute
    request_id: str | None
    """As it came with the request."""


class FileWay(NamedTuple):
    """A request for a small file, or one that brings one."""

    what: SmallFile | Upload
    counts: RouteCounts
    request_id: str | None


class _Head(NamedTuple):
    """What a request's headers say of it."""

    refused: bool
    """Or told twice, or from a page: that goes the long way."""
    content_type: bytes | None
    request_id: str | None


class ShortWayApp(Protocol):
    """What the protocol needs of the application behind it."""

    short_way: dict[bytes, ShortRoute]
    """Writing routes by the exact path in the request line."""
    files: FastFiles | None
    """Where small files are, if that is a folder of this machine."""
    observer: Observer
    guard: Guard
    dispatcher: Dispatcher
    idle_seconds: float
    """How long a client may say nothing before its request is complete."""

    def end_listening(self) -> None:
        """End the answers that would go on: the server does."""
        ...

    def head_of(self, defaults: list[tuple[bytes, bytes]], status: int) -> bytes:
        """Return all of an answer's head that does not depend on its body."""
        ...


class FastProtocol(ShortWayProtocol):
    """One connection."""

    BODY_LIMIT = JSON_LIMIT

    def idle_seconds(self) -> float:
        return cast("ShortWayApp", self.app).idle_seconds

    def shutdown(self) -> None:
        cast("ShortWayApp", self.app).end_listening()
        super().shutdown()

    METHODS = frozenset({b"POST", b"GET", b"PUT"})

    def choose(self) -> Way | FileWay | None:
        app = cast("ShortWayApp", self.app)
        parser: Any = self.parser
        if parser.get_method() != b"POST":
            return None if app.files is None else self._choose_file(app, app.files, parser.get_method())
        short = app.short_way.get(self.url)
        if short is None:
            return None
        head = self._look_at_headers(app, changes=True)
        if head.refused:
            return None  # the long way refuses it, or tells the browser that its page may read
        try:
            check_content_type(head.content_type)
        except SlipstreamError:
            return None
        return Way(short, head.request_id)

    def _choose_file(self, app: ShortWayApp, files: FastFiles, method: bytes) -> FileWay | None:
        found = files.find(self.url)
        if found is None:
            return None
        path, gets, puts = found
        length: bytes | None = None
        for name, value in self.headers:
            if name in (b"range", b"if-range", b"transfer-encoding"):
                return None
            if name == b"content-length":
                length = value
        head = self._look_at_headers(app, changes=method == b"PUT")
        if head.refused:
            return None
        if method == b"PUT":
            if length is None or len(length) > _DIGITS or not length.isdigit() or int(length) > SMALL_FILE:
                return None
            return FileWay(Upload(path.clean), puts, head.request_id)
        if length is not None:
            return None
        small = files.read(path)
        return None if small is None else FileWay(small, gets, head.request_id)

    def _look_at_headers(self, app: ShortWayApp, *, changes: bool) -> _Head:
        request_id: str | None = None
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
            elif name in ID_HEADERS and request_id is None:
                request_id = given_id(*((value, None) if name == b"x-request-id" else (None, value)))
        refused = (
            origin is not None
            or len(set(seen)) != len(seen)
            or app.guard.check(changes, "", host, origin, authorization) is not None
        )
        return _Head(refused, content_type, request_id)

    def begin(self, way: Way | FileWay, body: bytes, reply: Reply) -> None:
        asked = Asked(way.request_id)
        asked.size = len(body)
        if isinstance(way, FileWay):
            self._begin_file(way, body, asked, reply)
            return
        route = way.short.route
        try:
            request = route.decode(body, {})
        except Exception as error:  # noqa: BLE001  # whatever it is, the client is told
            self._tell(way, asked, error_answer(error, asked), reply)
        else:
            dispatcher = cast("ShortWayApp", self.app).dispatcher
            dispatcher.submit(route, request, lambda answer: self._tell(way, asked, answer, reply), asked)

    def _begin_file(self, way: FileWay, body: bytes, asked: Asked, reply: Reply) -> None:
        app = cast("ShortWayApp", self.app)
        files = app.files
        assert files is not None
        if isinstance(way.what, SmallFile):
            files.count(sent=len(way.what.content))
            self._send_file(way, way.what, asked, reply)
            return
        files.count(received=len(body))

        def done(answer: Answer | None) -> None:
            if answer is None:
                self._send_file(way, _NOTHING, asked, reply)
            else:
                self._tell(way, asked, answer, reply)

        files.write(way.what.path, body, done)

    def _send_file(self, way: FileWay, file: SmallFile, asked: Asked, reply: Reply) -> None:
        app = cast("ShortWayApp", self.app)
        head = app.head_of(self.server_state.default_headers, 0) + b"".join(
            b"%b: %b\r\n" % pair for pair in file.headers
        )
        reply(head + b"x-request-id: %b\r\n" % asked.id.encode(), file.content)
        app.observer.answered(way.counts, 200, asked)

    def refuse_length(self, way: Way, reply: Reply) -> None:
        asked = Asked(way.request_id)
        self._tell(way, asked, error_answer(too_large(), asked), reply)

    def _tell(self, way: Way | FileWay, asked: Asked, answer: Answer, reply: Reply) -> None:
        app = cast("ShortWayApp", self.app)
        status, body = answer
        counts = way.counts if isinstance(way, FileWay) else way.short.counts
        head = app.head_of(self.server_state.default_headers, status)
        if status != 200 or asked.given:
            head += b"x-request-id: %b\r\n" % asked.id.encode()
        reply(head, body)
        app.observer.answered(counts, status, asked)


def too_large() -> SlipstreamError:
    return InvalidParameterError(
        f"The request body is larger than {JSON_LIMIT // 2**20} MiB. Send smaller batches, or log it as an artifact."
    )
