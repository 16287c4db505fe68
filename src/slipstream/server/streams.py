"""Answers in pieces: each is made in a thread when the one before is on its way, and none when the client has gone."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

from slipstream.api.routing import Route, Stream, StreamRequest
from slipstream.bulk.departure import Departure, departure
from slipstream.bulk.sql import end_queries
from slipstream.errors import TooManyRequestsError
from slipstream.server.dispatch import Answer, error_answer
from slipstream.store.engine import Engine, QueuedStore

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

_THREADS = 4
MOST_STREAMS = 16
"""Streams under way; more are refused."""
_STALLED_SECONDS = 60.0
"""How long a client may take none of what is sent, before it counts as gone."""
_SILENT_SECONDS = 10.0
"""How long the head of an answer waits for what comes behind it; longer, and who is in between takes it for lost."""

_logger = logging.getLogger(__name__)


class Streams:
    """Runs the routes that stream. Made on the event loop that it answers to."""

    def __init__(self, engine: Engine) -> None:
        self._store = QueuedStore(engine)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="slipstream-bulk")
        self._under_way = 0

    async def answer(
        self,
        route: Route,
        request: StreamRequest,
        accept: bytes | None,
        headers: Headers,
        receive: Receive,
        send: Send,
    ) -> Answer | None:
        """Send a stream; return an answer instead if it fails before the first byte."""
        if self._under_way >= MOST_STREAMS:
            return error_answer(
                TooManyRequestsError(
                    f"{MOST_STREAMS} downloads are under way already. Try again in a few seconds."
                )
            )
        request.accept = None if accept is None else accept.decode("latin-1")
        self._under_way += 1
        try:
            return await self._answer(route, request, headers, receive, send)
        finally:
            self._under_way -= 1

    async def _answer(
        self, route: Route, request: StreamRequest, headers: Headers, receive: Receive, send: Send
    ) -> Answer | None:
        in_thread = asyncio.get_running_loop().run_in_executor
        client = Departure()
        gone = asyncio.ensure_future(_wait_for_disconnect(receive))
        gone.add_done_callback(lambda _: client.tell())
        try:
            stream = await in_thread(self._threads, _begin, client, route, self._store, request)
            first = await self._first(stream.chunks, gone)
        except Exception as error:  # noqa: BLE001  # whatever it is, the client is told
            gone.cancel()
            return error_answer(error)
        try:
            await send(
                {
                    "type": "http.response.start",
                    "status": 200,
                    "headers": [
                        (b"content-type", stream.content_type.encode()),
                        (b"content-disposition", f'attachment; filename="{stream.file_name}"'.encode()),
                        *headers,
                    ],
                }
            )
            chunk = first
            while chunk is not None:
                if chunk:
                    message = {"type": "http.response.body", "body": chunk, "more_body": True}
                    await asyncio.wait_for(send(message), _STALLED_SECONDS)
                if gone.done():
                    return None
                chunk = await in_thread(self._threads, next, stream.chunks, None)
            await send({"type": "http.response.body", "body": b""})
        except TimeoutError:
            _logger.warning("A client took nothing of %s for %.0f s; given up", route.path, _STALLED_SECONDS)
        except Exception:
            # The head is out: without its end the client knows that the answer is not whole.
            _logger.exception("A stream of %s broke off", route.path)
        finally:
            gone.cancel()
            await in_thread(self._threads, _close, stream.chunks)
        return None

    async def _first(self, chunks: Iterator[bytes], gone: "asyncio.Future[None]") -> bytes | None:
        """Return the first piece that says something: what goes wrong before it is an answer, and after it a broken file."""
        loop = asyncio.get_running_loop()
        until = loop.time() + _SILENT_SECONDS
        while True:
            piece = await loop.run_in_executor(self._threads, next, chunks, None)
            if piece != b"" or gone.done() or loop.time() > until:
                return piece

    def close(self) -> None:
        end_queries()  # which would be waited for
        self._threads.shutdown(cancel_futures=True)


def _begin(client: Departure, route: Route, store: QueuedStore, request: StreamRequest) -> Stream:
    token = departure.set(client)
    try:
        return cast("Stream", route.handler(store, request))
    finally:
        departure.reset(token)


def _close(chunks: Iterator[bytes]) -> None:
    close = getattr(chunks, "close", None)
    if close is not None:
        close()


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
