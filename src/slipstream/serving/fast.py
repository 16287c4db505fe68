"""The short way for small requests of ordinary models, which cost less to predict than to carry about."""

from typing import cast

from slipstream.httpd.short_way import Reply, ShortWayProtocol
from slipstream.serving.app import SHORT_BODY_BYTES, ScoringApp, ShortWay


class ScoringProtocol(ShortWayProtocol):
    """One connection."""

    BODY_LIMIT = SHORT_BODY_BYTES

    def choose(self) -> ShortWay | None:
        try:
            path = self.url.decode("ascii")
        except UnicodeDecodeError:
            return None
        return cast("ScoringApp", self.app).short_way(path, self.headers)

    def begin(self, way: ShortWay, body: bytes, reply: Reply) -> None:
        way.begin(body, self.server_state.default_headers, reply)

    def refuse_length(self, way: ShortWay, reply: Reply) -> None:
        # Its length was announced, and a parser that reads on after it has a new request.
        raise AssertionError("A body is longer than its announced length.")
