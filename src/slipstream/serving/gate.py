"""Who may ask: the checks that come before any request is read."""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field

from slipstream.errors import InvalidParameterError, UnauthenticatedError
from slipstream.serving.answer import Answer, error_answer, text_answer
from slipstream.wire.origins import host_allowed, is_loopback, origin_allowed

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True)
class Gate:
    """Host, Origin and token checks of one server."""

    allowed_hosts: tuple[str, ...] = ()
    """Host names that replace the default of loopback and private addresses."""
    allowed_origins: tuple[str, ...] = ()
    token: str | None = field(default=None, repr=False)
    """What clients send as `Authorization: Bearer ...`; None lets everybody in."""

    def refuse(self, method: str, headers: Mapping[bytes, bytes]) -> Answer | None:
        """Return the answer to a request that may not be served, or None."""
        host = headers.get(b"host", b"")
        if not host_allowed(host, self.allowed_hosts):
            return text_answer(
                403,
                f"Host '{host.decode('latin-1')}' is not served here. Start the server with --allowed-hosts to "
                "serve under this name.",
            )
        if method not in _SAFE_METHODS and not origin_allowed(
            headers.get(b"origin"), host, self.allowed_origins
        ):
            return text_answer(403, "A page of another origin may not send requests here.")
        if self.token is not None and not _has_token(headers.get(b"authorization", b""), self.token):
            refused = error_answer(
                UnauthenticatedError("Send the server's token: Authorization: Bearer <token>.")
            )
            return refused._replace(headers=((b"www-authenticate", b"Bearer"),))
        return None


def _has_token(header: bytes, token: str) -> bool:
    scheme, _, given = header.partition(b" ")
    # compare_digest: the time taken must not tell how many characters were right.
    return scheme.lower() == b"bearer" and hmac.compare_digest(given.strip(), token.encode())


def choose_token(host: str, auth: str | None, token: str | None) -> str | None:
    """Return the token that clients must send, or None where none is needed.

    Args:
        host: where the server listens. Beyond this machine, how clients authenticate must be said.
        auth: `token`, `none`, or None when nothing was said.
        token: what SLIPSTREAM_SERVER_TOKEN holds.

    Raises:
        InvalidParameterError: it was not said where it must be, or there is no token.
    """
    if auth == "token":
        if not token:
            raise InvalidParameterError(
                "--auth token needs a token in the environment variable SLIPSTREAM_SERVER_TOKEN; make one with "
                "python -c 'import secrets; print(secrets.token_urlsafe(32))'"
            )
        return token
    if auth is None and not is_loopback(host):
        raise InvalidParameterError(
            f"Listening on '{host}' lets other machines in. Say how clients authenticate: --auth token (set "
            "SLIPSTREAM_SERVER_TOKEN), or --auth none if everybody who reaches this port may use the model."
        )
    return None
