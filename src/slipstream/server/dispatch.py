"""From a request to the store and back, without HTTP: what the fast protocol and the ASGI app share."""

import asyncio
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar
from urllib.parse import unquote

from slipstream.api.messages import ErrorBody
from slipstream.api.metrics import log_metrics_together
from slipstream.api.routing import AJAX, API, Empty, Route, encode
from slipstream.api.table import ROUTES
from slipstream.errors import (
    EndpointNotFoundError,
    InvalidParameterError,
    SlipstreamError,
    TooManyRequestsError,
)
from slipstream.server.asked import Asked
from slipstream.server.packing import Packed, Packing, pack
from slipstream.store.engine import Bulk, Engine, QueuedStore, Work
from slipstream.store.sql import SqlStore

T = TypeVar("T")

_logger = logging.getLogger(__name__)

Answer = tuple[int, bytes]
"""HTTP status and JSON body."""

_EMPTY = b"{}"
_READERS = 4
_WAITING_READS = 500
"""Reads under way or waiting; more are refused, since whoever waited for them would have given up."""
_HEAVY = 1
_WAITING_HEAVY = 100
"""Requests that go over all runs of an experiment: under way or waiting; more are refused. One is made at a time: each keeps
a processor busy, and threads of Python share one, with the writes of everybody else."""
_SWITCH_SECONDS = 0.001
"""After so long a thread lets another one go on. With Python's 5 ms a write, which goes from thread to thread, waits that long
for each busy reader, several times over."""
_LONGEST_RETRY_SECONDS = 30
_ASIDE = 4
_WAITING_ASIDE = 32
"""Requests that talk to other machines: under way or waiting; more are refused."""
_LISTING = 8
_WAITING_LISTINGS = 500
"""Requests that list files, which may be in an object store: under way or waiting; more are refused."""
# Routes that have a way of doing many requests at once.
_BULKS: dict[str, Bulk] = {prefix + "runs/log-metric": log_metrics_together for prefix in (API, AJAX)}


class Dispatcher:
    """Runs routes on an engine. Made on the event loop that it answers to."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._loop = asyncio.get_running_loop()
        self._readers = _Lane(
            _READERS,
            "slipstream-reader",
            _WAITING_READS,
            f"{_WAITING_READS} requests wait to be read already. Try again in a few seconds.",
        )
        self._aside = _Lane(
            _ASIDE,
            "slipstream-aside",
            _WAITING_ASIDE,
            f"{_WAITING_ASIDE} requests wait for other machines already. Try again in a few seconds.",
        )
        self._listing = _Lane(
            _LISTING,
            "slipstream-listing",
            _WAITING_LISTINGS,
            f"{_WAITING_LISTINGS} requests wait for lists of files already. Try again in a few seconds.",
        )
        self._heavy = _Lane(
            _HEAVY,
            "slipstream-heavy",
            _WAITING_HEAVY,
            f"{_WAITING_HEAVY} requests that look at whole experiments wait already. Try again in a few seconds.",
        )
        sys.setswitchinterval(_SWITCH_SECONDS)
        self._store = QueuedStore(engine)
        self.exact: dict[tuple[str, str], Route] = {}
        self._patterns: list[tuple[str, list[str], Route]] = []
        self._paths: set[str] = set()
        for (method, path), found in ROUTES.items():
            if "{" in path:
                self._patterns.append((method, path.split("/"), found))
            else:
                self.exact[method, path] = found
                self._paths.add(path)
        engine.notify = self._notify
        engine.start()

    def find(self, method: str, path: str, raw: bytes) -> tuple[Route, Mapping[str, str]] | None:
        """Return the route for a path and its path parameters.

        Args:
            method: the HTTP method.
            path: the path, decoded.
            raw: the path as it was sent: a slash inside a parameter is percent-encoded there, and ends none.

        Raises:
            LookupError: the path is known, but not with this method.
        """
        route = self.exact.get((method, path))
        if route is not None:
            return route, {}
        segments = [unquote(segment) for segment in raw.decode("latin-1").split("/")]
        other_method = path in self._paths
        for verb, pattern, candidate in self._patterns:
            values = _match(pattern, segments)
            if values is not None:
                if verb == method:
                    return candidate, values
                other_method = True
        if other_method:
            raise LookupError(path)
        return None

    def submit(self, route: Route, request: Any, done: Callable[[Answer], None], asked: Asked) -> None:
        """Queue a writing route; `done` gets the answer on the loop once it is durable.

        Args:
            route: which.
            request: its message.
            done: takes the answer.
            asked: what is known of the request.
        """

        def finish(work: Work[Any]) -> None:
            done(self.answer_of(route, work, asked))

        bulk = _BULKS.get(route.path)
        try:
            if bulk is not None:
                self.engine.submit(Work(None, finish, bulk, request, asked.size))
            else:
                handler = route.handler
                self.engine.submit(Work(lambda store: handler(store, request), finish, size=asked.size))
        except SlipstreamError as error:
            done(error_answer(error, asked))

    async def call(self, route: Route, request: Any, asked: Asked) -> Answer:
        """Run any route."""
        if route.writes:
            future: asyncio.Future[Answer] = self._loop.create_future()

            def done(answer: Answer) -> None:
                if not future.done():  # cancelled, when the client has gone
                    future.set_result(answer)

            self.submit(route, request, done, asked)
            return await future
        if route.aside:
            return await self._call_outside(self._aside, route, request, asked)
        if route.lists_files is not None and route.lists_files(request):
            return await self._call_outside(self._listing, route, request, asked)
        return await self.read(lambda store: encode(route.handler(store, request)), asked)

    async def _call_outside(self, lane: "_Lane", route: Route, request: Any, asked: Asked) -> Answer:
        """Run a route that waits for other machines, where it keeps no reader and no transaction waiting."""
        return await self._in_lane(lane, lambda: (200, encode(route.handler(self._store, request))), asked)

    async def call_packed(
        self, route: Route, request: Any, asked: Asked, packing: Packing
    ) -> Answer | Packed:
        """Run a route that only reads, and pack what it answers."""

        def run() -> Packed:
            return pack(self.engine.read(lambda store: route.handler(store, request)), packing)

        return await self._in_lane(self._heavy if route.heavy else self._readers, run, asked)

    async def read(self, run: Callable[[SqlStore], bytes], asked: Asked) -> Answer:
        """Run a read in a reader thread and return what it encodes."""
        return await self._in_lane(self._readers, lambda: (200, self.engine.read(run)), asked)

    async def _in_lane(self, lane: "_Lane", run: Callable[[], T], asked: Asked) -> T | Answer:
        if lane.count >= lane.most:
            return error_answer(TooManyRequestsError(lane.refusal))
        lane.count += 1
        try:
            return await self._loop.run_in_executor(lane.threads, run)
        except Exception as error:  # noqa: BLE001  # whatever it is, the client is told
            return error_answer(error, asked)
        finally:
            lane.count -= 1

    @property
    def waiting_reads(self) -> int:
        """How many reads wait or are under way."""
        return self._readers.count

    def retry_after(self) -> int:
        """Return after how many seconds who was sent away may come again: the longer this lasts, the later.

        So that a client that tries a few times gets over an outage of a minute, as it would with pauses of its own.
        """
        return min(max(1, int(self.engine.pulse.failing_seconds())), _LONGEST_RETRY_SECONDS)

    def answer_of(self, route: Route, work: Work[Any], asked: Asked) -> Answer:
        if work.error is not None:
            return error_answer(work.error, asked)
        if type(work.result) is Empty:
            return 200, _EMPTY
        return 200, encode(work.result)

    def _notify(self, finished: list[Work[Any]]) -> None:
        """Tell all callers of a group with one hop to the loop."""
        self._loop.call_soon_threadsafe(_tell, finished)

    def close(self) -> None:
        self._readers.threads.shutdown(wait=False, cancel_futures=True)
        self._heavy.threads.shutdown(wait=False, cancel_futures=True)
        self._aside.threads.shutdown(cancel_futures=True)
        self._listing.threads.shutdown(cancel_futures=True)
        self.engine.close()


class _Lane:
    """Threads for one kind of request, and how many such requests are under way or wait."""

    def __init__(self, threads: int, name: str, most: int, refusal: str) -> None:
        self.threads = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self.most = most
        self.refusal = refusal
        self.count = 0


def _tell(finished: Sequence[Work[Any]]) -> None:
    for work in finished:
        if work.done is not None:
            work.done(work)


def error_answer(error: BaseException, asked: Asked | None = None) -> Answer:
    """Return an error as it goes out; what is not ours is logged, and shown without its insides but with the request's id."""
    if isinstance(error, SlipstreamError):
        return error.status, encode(ErrorBody(error_code=error.code, message=str(error)))
    extra = {} if asked is None else {"request_id": asked.id}
    _logger.error("Unexpected error while answering a request", exc_info=error, extra=extra)
    where = "" if asked is None else f" under the request id {asked.id}"
    message = f"The server failed unexpectedly ({type(error).__name__}); its log has the details{where}."
    return 500, encode(ErrorBody(error_code="INTERNAL_ERROR", message=message))


def check_content_type(value: bytes | None) -> None:
    """Accept what MLflow accepts for JSON bodies; also keeps plain HTML forms of other sites out."""
    if value is None or not value:
        raise InvalidParameterError(
            "Bad Request. Content-Type header is missing; send 'Content-Type: application/json'."
        )
    if value.split(b";", 1)[0].strip().lower() != b"application/json":
        raise InvalidParameterError(
            f"Bad Request. Content-Type must be one of ['application/json'], "
            f"not '{value[:100].decode('latin-1')}'."
        )


def unknown_route(method: str, path: str) -> EndpointNotFoundError:
    return EndpointNotFoundError(f"There is no route {method} {path}")


def _match(pattern: Sequence[str], segments: Sequence[str]) -> dict[str, str] | None:
    if len(pattern) != len(segments):
        return None
    values: dict[str, str] = {}
    for wanted, given in zip(pattern, segments, strict=True):
        if wanted.startswith("{"):
            if not given:
                return None
            values[wanted[1:-1]] = given
        elif wanted != given:
            return None
    return values
