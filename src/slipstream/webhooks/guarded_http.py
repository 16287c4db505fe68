"""One POST to a host of the public internet, and to no other, whatever its name says meanwhile.

The name is resolved once. Each address it has must be public, and the connection goes to one of those very
addresses, so that a name that points elsewhere a moment later (DNS rebinding) gains nothing. Certificates are still
checked against the name. No proxy is used, no redirect followed, and no answer read beyond its beginning.
"""

import contextlib
import functools
import http.client
import socket
import threading
import time
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import slipstream
from slipstream import settings
from slipstream.errors import ConnectionFailedError, InvalidParameterError
from slipstream.rules.public_addresses import is_public

ANSWER_BYTES = 64 * 1024
_PORTS = {"http": 80, "https": 443}


class Answer(NamedTuple):
    status: int
    body: str
    """Its beginning, as text."""
    retry_after: str | None


def check_destination(url: str) -> None:
    """Refuse a URL whose host is not of the public internet now; may take as long as its name takes to resolve.

    Raises:
        InvalidParameterError: the name has no address, or one that is not public.
    """
    if settings.WEBHOOK_ALLOW_PRIVATE_IPS.get():
        return
    parts = urlsplit(url)
    try:
        _addresses(parts.hostname or "", parts.port or _PORTS[parts.scheme])
    except (OSError, UnicodeError) as error:
        raise InvalidParameterError(
            f"The host '{parts.hostname}' of the webhook's URL has no address: {error}. Correct the name."
        ) from error


def post(url: str, body: bytes, headers: dict[str, str], timeout: float) -> Answer:
    """Send a request and return its answer, whatever its status.

    Args:
        url: checked with `rules.webhooks.check_url`.
        timeout: seconds for all of it, resolving the name apart.

    Raises:
        InvalidParameterError: the host is not of the public internet.
        ConnectionFailedError: there was no answer in time.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        connection = _connection(parts.scheme, host, parts.port, timeout)
        until = time.monotonic() + timeout
        with contextlib.closing(connection):
            connection.connect()
            # A host that sends a byte now and then would never run into the socket's own timeout.
            guard = threading.Timer(max(0.0, until - time.monotonic()), _cut, (connection.sock,))
            guard.daemon = True
            guard.start()
            try:
                return _exchange(connection, parts.path or "/", parts.query, body, _complete(headers, url))
            finally:
                guard.cancel()
    except InvalidParameterError:
        raise
    except (OSError, UnicodeError, ValueError, http.client.HTTPException, _http_error()) as error:
        late = " in time" if isinstance(error, TimeoutError) else ""
        raise ConnectionFailedError(
            f"The host {host} did not answer{late}: {type(error).__name__}: {error}"
        ) from error


def _exchange(connection: Any, path: str, query: str, body: bytes, headers: dict[str, str]) -> Answer:
    connection.request(
        "POST",
        f"{path}?{query}" if query else path,
        body,
        headers,
        preload_content=False,
        decode_content=False,
    )
    answer = connection.getresponse()
    content: bytes = answer.read(ANSWER_BYTES, decode_content=False)
    return Answer(answer.status, content.decode("utf-8", "replace"), answer.headers.get("Retry-After"))


def _complete(headers: dict[str, str], url: str) -> dict[str, str]:
    complete = {
        **headers,
        "User-Agent": f"slipstream/{slipstream.__version__}",
        "Accept-Encoding": "identity",
        "Connection": "close",
    }
    parts = urlsplit(url)
    if parts.username is not None:
        from urllib3.util import make_headers

        credentials = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        complete["Authorization"] = make_headers(basic_auth=credentials)["authorization"]
    return complete


def _connection(scheme: str, host: str, port: int | None, timeout: float) -> Any:
    plain, encrypted = _classes()
    if scheme == "https":
        return encrypted(host, port or _PORTS[scheme], timeout=timeout, ssl_context=_tls())
    return plain(host, port or _PORTS[scheme], timeout=timeout)


@functools.cache
def _classes() -> tuple[Any, Any]:
    """Return urllib3's connections, made to go to checked addresses only."""
    from urllib3.connection import HTTPConnection, HTTPSConnection

    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return _connect(self.host, self.port, self.timeout)

    class Encrypted(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return _connect(self.host, self.port, self.timeout)

    return Plain, Encrypted


@functools.cache
def _tls() -> Any:
    import ssl

    return ssl.create_default_context()


def _http_error() -> type[Exception]:
    from urllib3.exceptions import HTTPError

    return HTTPError


def _connect(host: str, port: int, timeout: Any) -> socket.socket:
    failure: OSError | None = None
    for family, kind, protocol, address in _addresses(host, port):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(timeout)
            sock.connect(address)
        except OSError as error:
            failure = error
            sock.close()
        else:
            return sock
    raise failure or OSError("the name has no address")


def _addresses(host: str, port: int) -> list[tuple[Any, Any, int, Any]]:
    """Resolve a name; all that it may be connected to is returned, or nothing may.

    Raises:
        InvalidParameterError: it has an address that is not public.
        OSError: it has none.
    """
    found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
    if not settings.WEBHOOK_ALLOW_PRIVATE_IPS.get():
        for *_, address in found:
            if not is_public(str(address[0])):
                raise InvalidParameterError(
                    f"The host '{host}' is {address[0]}, which is no address of the public internet, so nothing is sent "
                    f"there. {settings.WEBHOOK_ALLOW_PRIVATE_IPS.name}=true at the server allows it, for all webhooks."
                )
    return [(family, kind, protocol, address) for family, kind, protocol, _, address in found]


def _cut(sock: socket.socket) -> None:
    """End a connection under whoever reads from it. TLS's own way to end would wait for the other side."""
    with contextlib.suppress(OSError):
        socket.socket.shutdown(sock, socket.SHUT_RDWR)
