"""Who may talk to the server: host names, origins, and the token. Asked before anything else, for every route."""

import hmac
from collections.abc import Sequence
from functools import lru_cache

import msgspec

from slipstream.wire.origins import host_allowed, origin_allowed

CHANGING = frozenset({"POST", "PUT", "PATCH", "DELETE"})
OPEN_PATHS = frozenset({"/health"})
ONLY_ONCE = frozenset({b"host", b"origin", b"authorization", b"content-type"})
"""Headers that decide what a request may do. Of two, each reader between client and server may take another."""


class Refusal(msgspec.Struct, frozen=True):
    status: int
    text: str
    headers: tuple[tuple[bytes, bytes], ...] = ()


def refuse_repeated(headers: Sequence[tuple[bytes, bytes]]) -> Refusal | None:
    """Return why a request is refused that says twice who sends it, or what; names are in lower case."""
    names = [name for name, _ in headers if name in ONLY_ONCE]
    for name in names:
        if names.count(name) > 1:
            shown = name.decode().title()
            return Refusal(400, f"The header {shown} was sent {names.count(name)} times. Send it once.")
    return None


class Guard:
    """Checks the headers of a request.

    Args:
        allowed_hosts: names that replace the default of loopback and private addresses; `*` switches it off.
        allowed_origins: further origins whose pages may send requests that change something.
        token: what clients must send as `Authorization: Bearer TOKEN`, or as the password of basic
            authentication; `None` lets everyone in who gets past the other checks.
        enabled: `False` drops the host and origin checks, not the token.
    """

    def __init__(
        self,
        allowed_hosts: tuple[str, ...] = (),
        allowed_origins: tuple[str, ...] = (),
        token: str | None = None,
        *,
        enabled: bool = True,
    ) -> None:
        self._hosts = allowed_hosts
        self._origins = allowed_origins
        self._token = token
        self._enabled = enabled
        # Clients send the same few header values again and again.
        self.check = lru_cache(maxsize=512)(self._check)

    def may_read(self, host: bytes, origin: bytes) -> bool:
        """Tell whether a page of this origin may send requests here and read the answers."""
        return (
            self._enabled and host_allowed(host, self._hosts) and origin_allowed(origin, host, self._origins)
        )

    def _check(
        self, changes: bool, path: str, host: bytes, origin: bytes | None, authorization: bytes | None
    ) -> Refusal | None:
        """Return why a request is refused, or `None`. `path` is only looked at for `/health`."""
        if path in OPEN_PATHS:
            return None
        if self._enabled:
            if not host_allowed(host, self._hosts):
                return Refusal(
                    403,
                    "Invalid Host header: this server is not known by that name. "
                    "Start it with --allowed-hosts to add one.",
                )
            if changes and not origin_allowed(origin, host, self._origins):
                return Refusal(
                    403,
                    "Cross-origin request blocked: pages of that origin may not change anything here. "
                    "Start the server with --cors-allowed-origins to allow it.",
                )
        if self._token is not None and not _token_matches(self._token, authorization):
            return Refusal(
                401,
                "Authentication needed: set MLFLOW_TRACKING_TOKEN to this server's token.",
                ((b"www-authenticate", b"Bearer"),),
            )
        return None


def _token_matches(token: str, authorization: bytes | None) -> bool:
    if not authorization:
        return False
    kind, _, value = authorization.decode("latin-1").partition(" ")
    given = value.strip()
    if kind.lower() == "basic":
        import base64
        import binascii

        try:
            given = base64.b64decode(given).decode("utf-8").partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return False
    elif kind.lower() != "bearer":
        return False
    return hmac.compare_digest(given.encode(), token.encode())
