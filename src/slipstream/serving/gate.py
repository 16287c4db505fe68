"""Who may ask: the checks that come before any request is read."""

import hmac
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from slipstream.errors import InvalidParameterError, SlipstreamError, UnauthenticatedError
from slipstream.serving.answer import Answer, error_answer, text_answer
from slipstream.serving.keys import ApiKey, KeyFile
from slipstream.wire.origins import host_allowed, is_loopback, origin_allowed

Refusal = Callable[[SlipstreamError], Answer]
"""How a protocol tells of an error."""

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True)
class Gate:
    """Host, Origin and token checks of one server."""

    allowed_hosts: tuple[str, ...] = ()
    """Host names that replace the default of loopback and private addresses."""
    allowed_origins: tuple[str, ...] = ()
    token: str | None = field(default=None, repr=False)
    """What clients send as `Authorization: Bearer ...`; None lets everybody in."""
    keys: KeyFile | None = None
    """The keys of which clients send one, in the same header."""

    def refuse(
        self,
        method: str,
        headers: Mapping[bytes, bytes],
        refusal: Refusal = error_answer,
        *,
        counts: bool = False,
    ) -> Answer | None:
        """Return the answer to a request that may not be served, or None.

        Args:
            method: the request's.
            headers: the request's.
            refusal: how its protocol tells of an error.
            counts: it asks a model, which counts against the limits of its key.
        """
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
            return _unauthenticated(refusal, "Send the server's token: Authorization: Bearer <token>.")
        if self.keys is None:
            return None
        key = self.key_of(headers)
        if key is None:
            return _unauthenticated(refusal, "Send a valid API key: Authorization: Bearer <key>.")
        reached = key.admit(time.monotonic()) if counts else None
        if reached is None:
            return None
        return refusal(reached)._replace(headers=((b"retry-after", b"%d" % reached.retry_seconds),))

    @property
    def variable(self) -> str | None:
        """The shell variable in examples that has what clients must send; None if they need nothing."""
        if self.token is not None:
            return "SLIPSTREAM_SERVER_TOKEN"
        return None if self.keys is None else "API_KEY"

    def key_of(self, headers: Mapping[bytes, bytes]) -> ApiKey | None:
        """Return the API key that a request carries; None without keys, or if it is none of them."""
        if self.keys is None:
            return None
        given = _bearer(headers.get(b"authorization", b""))
        return None if given is None else self.keys.find(given)


def _unauthenticated(refusal: Refusal, message: str) -> Answer:
    return refusal(UnauthenticatedError(message))._replace(headers=((b"www-authenticate", b"Bearer"),))


def _bearer(header: bytes) -> bytes | None:
    scheme, _, given = header.partition(b" ")
    return given.strip() if scheme.lower() == b"bearer" else None


def _has_token(header: bytes, token: str) -> bool:
    given = _bearer(header)
    # compare_digest: the time taken must not tell how many characters were right.
    return given is not None and hmac.compare_digest(given, token.encode())


def choose_token(host: str, auth: str | None, token: str | None) -> str | None:
    """Return the token that clients must send, or None where none is needed.

    Args:
        host: where the server listens. Beyond this machine, how clients authenticate must be said.
        auth: `token`, `keys`, `none`, or None when nothing was said.
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
            "SLIPSTREAM_SERVER_TOKEN), --auth keys (with --api-keys), or --auth none if everybody who reaches this port may use the model."
        )
    return None


def choose_keys(auth: str | None, path: Path | None, say: Callable[[str], None]) -> KeyFile | None:
    """Return the API keys of a file, or None where none are in use.

    Args:
        auth: as in `choose_token`.
        path: what --api-keys names.
        say: is told of a changed file that cannot be used.

    Raises:
        InvalidParameterError: one of --auth keys and --api-keys is there without the other, or the file is wrong.
    """
    if auth == "keys":
        if path is None:
            raise InvalidParameterError(
                "--auth keys needs --api-keys FILE; 'slipstream models create-key NAME' prints its lines."
            )
        return KeyFile(path, say)
    if path is not None:
        raise InvalidParameterError("--api-keys is for --auth keys: add that, or leave it out.")
    return None
