"""Pass a request on as it is, and its answer back: both in pieces, so that memory does not depend on their size."""

import asyncio
from collections.abc import Iterator, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

from slipstream import settings
from slipstream.client.transport import Transport
from slipstream.errors import ConnectionFailedError
from slipstream.server.app import Receive, Send

PIECE = 1 << 16
_THREADS = 32
_SECONDS_TO_CONNECT = 5.0
_NOT_PASSED_ON = frozenset(
    b"connection keep-alive proxy-connection proxy-authenticate proxy-authorization te trailer transfer-encoding "
    b"upgrade host origin expect".split()
)
"""Headers of one connection; and those that the relay has checked itself, which would be wrong for the server."""

Headers = Sequence[tuple[bytes, bytes]]


class Asking(NamedTuple):
    """A request for the server."""

    method: str
    target: str
    """Path and query as they were sent."""
    headers: Headers
    body: bytes | None = None
    """What was read of it already, which is all; `None` if it is still to come."""


class Answered(NamedTuple):
    """An answer that was read as a whole."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


class ClientLeftError(Exception):
    """The client went away before its request was complete."""


class BrokenAnswerError(Exception):
    """The server's answer broke off after its head had been passed back."""


class Forwarder:
    """Passes requests on to one server. `passes_credentials` says whether those of clients are for the server."""

    def __init__(self, transport: Transport, *, passes_credentials: bool) -> None:
        self._transport = transport
        self._passes_credentials = passes_credentials
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="slipstream-relay")

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def ask(self, asking: Asking) -> Answered:
        """Ask what has a small answer.

        Raises:
            ConnectionFailedError: there is no answer.
        """
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._ask, asking)

    def _ask(self, asking: Asking) -> Answered:
        response = self._open(asking, asking.body)
        try:
            return Answered(response.status, _kept(response), b"".join(_pieces(response)))
        except BrokenAnswerError as error:
            raise ConnectionFailedError(str(error)) from error
        finally:
            response.release_conn()

    async def stream(self, asking: Asking, receive: Receive, send: Send) -> None:
        """Pass a request on and its answer back.

        Raises:
            ConnectionFailedError: there is no answer; nothing has been sent back.
            ClientLeftError: nobody waits for the answer.
            BrokenAnswerError: the answer broke off.
        """
        loop = asyncio.get_running_loop()

        def take() -> MutableMapping[str, Any]:
            return asyncio.run_coroutine_threadsafe(_coroutine(receive()), loop).result()

        def give(message: MutableMapping[str, Any]) -> None:
            asyncio.run_coroutine_threadsafe(_coroutine(send(message)), loop).result()

        def run() -> None:
            body = asking.body if asking.body is not None or not _has_body(asking) else _body(take)
            response = self._open(asking, body)
            complete = False
            try:
                give(
                    {
                        "type": "http.response.start",
                        "status": response.status,
                        "headers": _kept(response),
                    }
                )
                for piece in _pieces(response):
                    give({"type": "http.response.body", "body": piece, "more_body": True})
                complete = True
            finally:
                if not complete:  # what is left of it would be taken for the next answer
                    response.close()
                response.release_conn()
            give({"type": "http.response.body", "body": b"", "more_body": False})

        await loop.run_in_executor(self._threads, run)

    def _open(self, asking: Asking, body: Any) -> Any:
        headers: dict[str, str] = {}
        for name, value in asking.headers:
            if name in _NOT_PASSED_ON or (name == b"authorization" and not self._passes_credentials):
                continue
            if name == b"content-length" and body is None:
                continue
            key, text = name.decode("latin-1"), value.decode("latin-1")
            headers[key] = f"{headers[key]}, {text}" if key in headers else text
        if isinstance(body, bytes):
            headers["content-length"] = str(len(body))
        return self._transport.pass_on(
            asking.method,
            asking.target,
            headers,
            body,
            (_SECONDS_TO_CONNECT, settings.HTTP_REQUEST_TIMEOUT.get()),
        )


async def _coroutine(awaitable: Any) -> Any:
    return await awaitable


def _has_body(asking: Asking) -> bool:
    return any(
        name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
        for name, value in asking.headers
    )


def _body(take: Any) -> Iterator[bytes]:
    while True:
        message = take()
        if message["type"] == "http.disconnect":
            raise ClientLeftError
        if message.get("body"):
            yield message["body"]
        if not message.get("more_body"):
            return


def _pieces(response: Any) -> Iterator[bytes]:
    import urllib3

    try:
        yield from response.stream(PIECE, decode_content=False)
    except urllib3.exceptions.HTTPError as error:
        raise BrokenAnswerError("The server's answer broke off") from error


def _kept(response: Any) -> list[tuple[bytes, bytes]]:
    return [
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in response.headers.iteritems()
        if name.lower().encode("latin-1") not in _NOT_PASSED_ON and name.lower() not in ("server", "date")
    ]
