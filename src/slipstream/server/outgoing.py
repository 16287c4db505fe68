"""One HTTP request to a scoring server, on the event loop: its answer comes as it is sent, piece by piece.

No redirect is followed, no cookie kept, no proxy used, and nothing of the request that caused it is passed on but what
the caller gives. Memory does not depend on the length of an answer.
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncGenerator
from typing import Any, Self

import httptools

import slipstream
from slipstream.errors import ConnectionFailedError, DeadlineExceededError
from slipstream.server.scoring_servers import ScoringServer

_PIECE = 64 * 1024


class Exchange:
    """One request and its answer, in an `async with` block; leaving it ends the connection, whatever is under way.

    Args:
        server: who is asked.
        token: sent as `Authorization: Bearer`.
        connect_seconds: how long connecting may take.
        silence_seconds: how long the server may say nothing.
    """

    def __init__(
        self, server: ScoringServer, token: str | None, connect_seconds: float, silence_seconds: float
    ) -> None:
        self._server = server
        self._token = token
        self._connect_seconds = connect_seconds
        self._silence_seconds = silence_seconds
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._parser: Any = httptools.HttpResponseParser(self)
        self._pieces: list[bytes] = []
        self._has_head = False
        self._is_whole = False
        self._has_length = False
        self.status = 0
        self.content_type = ""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()
            with contextlib.suppress(Exception):  # it is given up, in whatever state it is
                self._writer.transport.abort()

    async def send(self, method: str, path: str, body: bytes = b"") -> None:
        """Send the request and wait for the head of its answer.

        Raises:
            ConnectionFailedError: the server is not there, or what it says is no HTTP.
            DeadlineExceededError: it says nothing.
        """
        server = self._server
        try:
            async with asyncio.timeout(self._connect_seconds):
                self._reader, self._writer = await asyncio.open_connection(
                    server.host, server.port, ssl=ssl.create_default_context() if server.encrypted else None
                )
        except TimeoutError as error:
            raise DeadlineExceededError(
                f"The scoring server '{server.name}' took no connection within {self._connect_seconds:g} s."
            ) from error
        except (OSError, UnicodeError) as error:
            raise ConnectionFailedError(
                f"The scoring server '{server.name}' cannot be reached: {error}"
            ) from error
        head = [
            f"{method} {server.prefix}{path} HTTP/1.1",
            f"Host: {server.authority}",
            f"User-Agent: slipstream/{slipstream.__version__}",
            "Accept-Encoding: identity",
            "Connection: close",
        ]
        if method == "POST":
            head += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        if self._token is not None:
            head.append(f"Authorization: Bearer {self._token}")
        self._writer.write("\r\n".join([*head, "", ""]).encode("ascii") + body)
        while not self._has_head:
            await self._read()
        self.status = self._parser.get_status_code()

    async def pieces(self) -> AsyncGenerator[bytes]:
        """Return the body as it comes.

        Raises:
            ConnectionFailedError: it broke off.
            DeadlineExceededError: nothing came for too long.
        """
        while True:
            for piece in self._pieces:
                yield piece
            self._pieces.clear()
            if self._is_whole:
                return
            await self._read()

    async def body(self, most: int) -> bytes:
        """Return the whole body, if it is not longer than that.

        Raises:
            ConnectionFailedError: it broke off, or is longer.
        """
        whole = bytearray()
        async for piece in self.pieces():
            whole += piece
            if len(whole) > most:
                raise ConnectionFailedError(
                    f"The scoring server '{self._server.name}' sent more than {most} bytes; that much is not taken in here."
                )
        return bytes(whole)

    async def _read(self) -> None:
        assert self._reader is not None
        name = self._server.name
        try:
            async with asyncio.timeout(self._silence_seconds):
                data = await self._reader.read(_PIECE)
            if data:
                self._parser.feed_data(data)
                return
        except TimeoutError as error:
            raise DeadlineExceededError(
                f"The scoring server '{name}' said nothing for {self._silence_seconds:g} s."
            ) from error
        except OSError as error:
            raise ConnectionFailedError(
                f"The connection to the scoring server '{name}' broke off: {error}"
            ) from error
        except httptools.HttpParserError as error:
            raise ConnectionFailedError(
                f"What the scoring server '{name}' answers is no HTTP/1.1: {error}"
            ) from error
        if not self._has_head or self._has_length:
            raise ConnectionFailedError(
                f"The scoring server '{name}' ended the connection within its answer."
            )
        self._is_whole = True  # an answer without a length ends with its connection

    # -- called by the parser ---------------------------------------------------------------------------

    def on_header(self, name: bytes, value: bytes) -> None:
        lower = name.lower()
        if lower == b"content-type":
            self.content_type = value.decode("latin-1")
        elif lower in (b"content-length", b"transfer-encoding"):
            self._has_length = True

    def on_headers_complete(self) -> None:
        self._has_head = True

    def on_body(self, body: bytes) -> None:
        self._pieces.append(body)

    def on_message_complete(self) -> None:
        self._is_whole = True
