"""Tell listeners what changes, by server-sent events: one look at the journal for all of them, however many they are.

Whoever changed something, this process or another, wrote it into the journal (`store/run_changes.py`). While
somebody listens, one task reads what is new there a few times a second and notes it for each listener. A listener that
takes its messages slowly gets fewer and larger ones, so that what waits for it stays small.

Signs of life are in no journal, since they come all the time. Those of runs that somebody watches closely are looked up
every few seconds and sent along, so that a page that shows one has nothing to ask for.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec

from slipstream.api.routing import Request, Route, Subscription
from slipstream.errors import InvalidParameterError, SlipstreamError, TooManyRequestsError, UnavailableError
from slipstream.server.dispatch import Answer, error_answer
from slipstream.store.engine import Engine
from slipstream.store.run_changes import ToldChanges
from slipstream.store.sql import SqlStore

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Headers = list[tuple[bytes, bytes]]

LOOK_SECONDS = 0.1
BEAT_SECONDS = 5.0
"""Between looks at the signs of life of runs that are watched closely."""
TROUBLED_SECONDS = 1.0
"""Between looks while the database is away."""
COMMENT_SECONDS = 15.0
"""How long a listener hears nothing, at most: proxies end streams that are silent for long."""
STALLED_SECONDS = 60.0
"""How long a listener may take nothing of what is sent, before it counts as gone."""
MOST_LISTENERS = 5_000
MOST_RUNS = 1_000
"""Runs that one message names; when more have changed, it says `reset`."""
_COMMENT = b":\n\n"
_RETRY = b"retry: 1000\n\n"

_logger = logging.getLogger(__name__)
_encode = msgspec.json.Encoder().encode


class _Message(msgspec.Struct, omit_defaults=True):
    cursor: int
    runs: list[str]
    experiments: list[str]
    models: list[str]
    about: list[str] = []
    """Those of `experiments` that changed themselves, be it their name, their stage or a tag."""
    consoles: list[str] = []
    """Runs that printed something."""
    children: list[str] = []
    """Runs below which runs have changed or are new."""
    beats: dict[str, int] = {}
    """When runs gave their last signs of life."""
    reset: bool = False
    """More may have changed than is told: read again what you show."""


class _Listener:
    """What one listener has not been told yet."""

    def __init__(self, subscription: Subscription) -> None:
        self.wanted = subscription
        self.cursor = 0
        self.has_news = asyncio.Event()
        self.sender: asyncio.Task[Any] | None = None
        """What waits for the listener to take a message."""
        self._runs: dict[str, None] = {}
        self._experiments: set[int] = set()
        self._about: set[int] = set()
        self._models: set[str] = set()
        self._consoles: set[str] = set()
        self._children: set[str] = set()
        self._reset = False
        self._beats: dict[str, int] = {}
        self._known_beats: dict[str, int] = {}

    def note(self, changes: ToldChanges) -> None:
        """Add what concerns this listener."""
        self.cursor = max(self.cursor, changes.upto)
        wanted = self.wanted
        if changes.too_much:
            self._reset = True
        elif wanted.is_everything:
            self._runs.update(dict.fromkeys(changes.runs))
            self._experiments |= changes.experiments
            self._about |= changes.about
            self._models |= changes.models
        else:
            found = [
                run_id
                for run_id, experiment in changes.runs.items()
                if experiment in wanted.experiments or run_id in wanted.run_ids
            ]
            self._runs.update(dict.fromkeys(found))
            self._experiments |= changes.experiments & wanted.experiments
            self._experiments.update(changes.runs[run_id] for run_id in found)
            self._about |= changes.about & wanted.experiments
            self._consoles |= changes.consoles & wanted.closely
            self._children |= changes.parents & wanted.closely
            if wanted.models:
                self._models |= changes.models
        if max(len(self._runs), len(self._models)) > MOST_RUNS:
            self._reset = True
        if self._reset:
            self._clear()
        if any((self._reset, self._runs, self._experiments, self._models, self._consoles, self._children)):
            self.has_news.set()

    def note_beats(self, beats: Mapping[str, int]) -> None:
        """Add the signs of life that it does not know yet, of the runs that it watches closely."""
        for run_id in self.wanted.closely:
            beat = beats.get(run_id)
            if beat is not None and beat != self._known_beats.get(run_id):
                self._known_beats[run_id] = self._beats[run_id] = beat
                self.has_news.set()

    def take(self) -> bytes:
        """Return all of it as one event."""
        message = _Message(
            self.cursor,
            list(self._runs),
            _texts(self._experiments),
            sorted(self._models),
            about=_texts(self._about),
            consoles=sorted(self._consoles),
            children=sorted(self._children),
            beats=self._beats,
            reset=self._reset,
        )
        event = b"id: %d\ndata: %b\n\n" % (message.cursor, _encode(message))
        self._clear()
        self._beats.clear()
        self._reset = False
        self.has_news.clear()
        return event

    def _clear(self) -> None:
        sets = (self._experiments, self._about, self._models, self._consoles, self._children)
        for each in (self._runs, *sets):
            each.clear()


class Events:
    """The listeners of one server process. Made on the event loop that it answers to."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="slipstream-events")
        self._listeners: set[_Listener] = set()
        self._seen: int | None = None
        self._watch: asyncio.Task[None] | None = None
        self._ending = asyncio.Event()
        self._failing = False

    @property
    def listeners(self) -> int:
        """How many there are."""
        return len(self._listeners)

    async def answer(
        self,
        route: Route,
        request: Request,
        last_event_id: bytes | None,
        headers: Headers,
        receive: Receive,
        send: Send,
    ) -> Answer | None:
        """Send events until the client leaves; return an answer instead if it fails before the first one.

        Args:
            route: whose handler tells what is listened to.
            request: its message.
            last_event_id: the header of that name, with which browsers come again.
            headers: to be added.
            receive: of ASGI.
            send: of ASGI.
        """
        if len(self._listeners) >= MOST_LISTENERS:
            return error_answer(
                TooManyRequestsError(f"{MOST_LISTENERS} clients listen already. Try again in a minute.")
            )
        try:
            subscription: Subscription = route.handler(None, request)
            since = subscription.cursor if last_event_id is None else _cursor(last_event_id)
        except SlipstreamError as error:
            return error_answer(error)
        listener = _Listener(subscription)
        self._listeners.add(listener)  # first, so that nothing is missed while what was before is read
        try:
            try:
                listener.note(await self._read(since))
                if subscription.closely:
                    listener.note_beats(await self._read_beats(subscription.closely))
            except Exception as error:  # noqa: BLE001  # whatever it is, the client is told
                return error_answer(error)
            self._begin_watching(listener.cursor)
            await self._send_events(listener, headers, receive, send)
        finally:
            self._listeners.discard(listener)
            if not self._listeners and self._watch is not None:
                self._watch.cancel()
                self._watch = self._seen = None
        return None

    async def _send_events(self, listener: _Listener, headers: Headers, receive: Receive, send: Send) -> None:
        gone = asyncio.ensure_future(_wait_for_disconnect(receive))
        gone.add_done_callback(lambda _: listener.has_news.set())
        task = asyncio.current_task()

        async def push(body: bytes, *, more: bool = True) -> None:
            message = {"type": "http.response.body", "body": body, "more_body": more}
            listener.sender = task
            try:
                await asyncio.wait_for(send(message), STALLED_SECONDS)
            finally:
                listener.sender = None

        try:
            await send(
                {
                    "type": "http.response.start",
                    "status": 200,
                    "headers": [
                        (b"content-type", b"text/event-stream"),
                        (b"cache-control", b"no-store"),
                        (b"x-accel-buffering", b"no"),
                        *headers,
                    ],
                }
            )
            await push(_RETRY + listener.take())
            while not self._ending.is_set() and not gone.done():
                try:
                    await asyncio.wait_for(listener.has_news.wait(), COMMENT_SECONDS)
                except TimeoutError:
                    await push(_COMMENT)
                    continue
                if not self._ending.is_set() and not gone.done():
                    await push(listener.take())
            if not gone.done():
                await push(b"", more=False)
        except TimeoutError:
            _logger.info("A listener took nothing for %.0f s; given up", STALLED_SECONDS)
        except asyncio.CancelledError:
            if not self._ending.is_set():
                raise
        finally:
            gone.cancel()

    # -- watching -----------------------------------------------------------------------------------
    def _begin_watching(self, seen: int) -> None:
        if self._watch is None:
            self._seen = seen
            self._watch = self._loop.create_task(self._look_on())

    async def _look_on(self) -> None:
        beats_due = self._loop.time() + BEAT_SECONDS
        while not self._ending.is_set():
            await asyncio.sleep(TROUBLED_SECONDS if self._failing else LOOK_SECONDS)
            try:
                changes = await self._read(self._seen)
                if self._loop.time() >= beats_due:
                    beats_due = self._loop.time() + BEAT_SECONDS
                    await self._tell_beats()
            except Exception as error:  # noqa: BLE001  # whatever it is, the watch goes on
                self._trouble(error)
                continue
            self._failing = False
            if changes.upto == self._seen and not changes.too_much:
                continue
            self._seen = changes.upto
            for listener in list(self._listeners):
                listener.note(changes)

    async def _read(self, since: int | None) -> ToldChanges:
        def look(store: SqlStore) -> ToldChanges:
            return store.find_changes(since, MOST_RUNS)

        return await self._loop.run_in_executor(self._thread, self._engine.read, look)

    async def _tell_beats(self) -> None:
        closely = frozenset[str]().union(*(listener.wanted.closely for listener in self._listeners))
        if not closely:
            return
        beats = await self._read_beats(closely)
        for listener in list(self._listeners):
            listener.note_beats(beats)

    async def _read_beats(self, run_ids: Collection[str]) -> dict[str, int]:
        def look(store: SqlStore) -> dict[str, int]:
            return store.find_beats(sorted(run_ids))

        return await self._loop.run_in_executor(self._thread, self._engine.read, look)

    def _trouble(self, error: Exception) -> None:
        if not self._failing:  # said once, not every second
            known = isinstance(error, UnavailableError)
            _logger.warning("What changes cannot be read now: %s", error, exc_info=None if known else error)
        self._failing = True

    # -- the end ------------------------------------------------------------------------------------
    def end(self) -> None:
        """End all streams; clients come again, to the server that is there then."""
        if self._ending.is_set():
            return
        self._ending.set()
        for listener in self._listeners:
            listener.has_news.set()
            if listener.sender is not None:  # it takes nothing now; the server does not wait for it
                listener.sender.cancel()

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)


def _texts(numbers: Collection[int]) -> list[str]:
    return [str(number) for number in sorted(numbers)]


def _cursor(last_event_id: bytes) -> int:
    if not last_event_id.isdigit() or len(last_event_id) > 18:
        raise InvalidParameterError(
            f"Invalid header Last-Event-ID {last_event_id[:100]!r}: send the id of an event, or none."
        )
    return int(last_event_id)


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
