"""The short way for writes: most requests of a training run are small JSON writes.

They are decoded as soon as they have arrived and queued for the writer, and answered when they are durable.
"""

from typing import Protocol, cast

from slipstream.api.routing import Route
from slipstream.errors import InvalidParameterError, SlipstreamError
from slipstream.httpd.short_way import Reply, ShortWayProtocol
from slipstream.server.dispatch import Answer, Dispatcher, check_content_type, error_answer
from slipstream.server.guard import ONLY_ONCE, Guard

JSON_LIMIT = 64 * 1024 * 1024


class ShortWayApp(Protocol):
    """What the protocol needs of the application behind it."""

    short_way: dict[bytes, Route]
    """Writing routes by the exact path in the request line."""
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

    def choose(self) -> Route | None:
        app = cast("ShortWayApp", self.app)
        route = app.short_way.get(self.url)
        if route is None:
            return None
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
            return None  # the long way refuses it, or tells the browser that its page may read
        try:
            check_content_type(content_type)
        except SlipstreamError:
            return None
        return route

    def begin(self, way: Route, body: bytes, reply: Reply) -> None:
        try:
            request = way.decode(body, {})
        except Exception as error:  # noqa: BLE001  # whatever it is, the client is told
            self._tell(error_answer(error), reply)
        else:
            dispatcher = cast("ShortWayApp", self.app).dispatcher
            dispatcher.submit(way, request, lambda answer: self._tell(answer, reply), len(body))

    def refuse_length(self, way: Route, reply: Reply) -> None:
        self._tell(error_answer(too_large()), reply)

    def _tell(self, answer: Answer, reply: Reply) -> None:
        status, body = answer
        reply(cast("ShortWayApp", self.app).head_of(self.server_state.default_headers, status), body)


def too_large() -> SlipstreamError:
    return InvalidParameterError(
        f"The request body is larger than {JSON_LIMIT // 2**20} MiB. Send smaller batches, or log it as an artifact."
    )
