"""The short way for writes: most requests of a training run are small JSON writes.

They are decoded as soon as they have arrived and queued for the writer, and answered when they are durable.
"""

from typing import NamedTuple, Protocol, cast

from slipstream.api.routing import Route
from slipstream.errors import InvalidParameterError, SlipstreamError
from slipstream.httpd.short_way import Reply, ShortWayProtocol
from slipstream.server.asked import ID_HEADERS, Asked, given_id
from slipstream.server.dispatch import Answer, Dispatcher, check_content_type, error_answer
from slipstream.server.guard import ONLY_ONCE, Guard
from slipstream.server.observer import Observer, RouteCounts

JSON_LIMIT = 64 * 1024 * 1024


class ShortRoute(NamedTuple):
    """A route that may be asked on the short way, and where its answers are counted."""

    route: Route
    counts: RouteCounts


class Way(NamedTuple):
    """What is known of a request once its head has arrived."""

    short: ShortRoute
    request_id: str | None
    """As it came with the request."""


class ShortWayApp(Protocol):
    """What the protocol needs of the application behind it."""

    short_way: dict[bytes, ShortRoute]
    """Writing routes by the exact path in the request line."""
    observer: Observer
    guard: Guard
    dispatcher: Dispatcher
    idle_seconds: float
    """How long a client may say nothing before its request is complete."""

    def head_of(self, defaults: list[tuple[bytes, bytes]], status: int) -> bytes:
        """Return all of an answer's head that does not depend on its body."""
        ...


class FastProtocol(ShortWayProtocol):
    """One connection."""

    BODY_LIMIT = JSON_LIMIT

    def idle_seconds(self) -> float:
        return cast("ShortWayApp", self.app).idle_seconds

    def choose(self) -> Way | None:
        app = cast("ShortWayApp", self.app)
        short = app.short_way.get(self.url)
        if short is None:
            return None
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
        if (
            origin is not None
            or len(set(seen)) != len(seen)
            or app.guard.check(True, "", host, origin, authorization) is not None
        ):
            return None  # the long way refuses it, or tells the browser that its page may read
        try:
            check_content_type(content_type)
        except SlipstreamError:
            return None
        return Way(short, request_id)

    def begin(self, way: Way, body: bytes, reply: Reply) -> None:
        asked = Asked(way.request_id)
        asked.size = len(body)
        route = way.short.route
        try:
            request = route.decode(body, {})
        except Exception as error:  # noqa: BLE001  # whatever it is, the client is told
            self._tell(way, asked, error_answer(error, asked), reply)
        else:
            dispatcher = cast("ShortWayApp", self.app).dispatcher
            dispatcher.submit(route, request, lambda answer: self._tell(way, asked, answer, reply), asked)

    def refuse_length(self, way: Way, reply: Reply) -> None:
        asked = Asked(way.request_id)
        self._tell(way, asked, error_answer(too_large(), asked), reply)

    def _tell(self, way: Way, asked: Asked, answer: Answer, reply: Reply) -> None:
        app = cast("ShortWayApp", self.app)
        status, body = answer
        head = app.head_of(self.server_state.default_headers, status)
        if status != 200 or asked.given:
            head += b"x-request-id: %b\r\n" % asked.id.encode()
        reply(head, body)
        app.observer.answered(way.short.counts, status, asked)


def too_large() -> SlipstreamError:
    return InvalidParameterError(
        f"The request body is larger than {JSON_LIMIT // 2**20} MiB. Send smaller batches, or log it as an artifact."
    )
