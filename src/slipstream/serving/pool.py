"""The worker processes of one model version, and the bounded queue of requests in front of them.

All of this runs on the edge's event loop; nothing here blocks, and nothing here knows a model's library.
"""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from slipstream.errors import (
    DeadlineExceededError,
    ExecutionError,
    InternalError,
    SlipstreamError,
    UnavailableError,
)
from slipstream.serving.frames import (
    Ask,
    Asks,
    Cancel,
    CannotStart,
    Card,
    Closed,
    Done,
    Event,
    Opened,
    Piece,
    Start,
    Stats,
)
from slipstream.serving.link import Link, Process

_logger = logging.getLogger("slipstream.serving")

_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 60.0
_MOST_UNREAD_PIECES = 10_000
_MOST_UNREAD_BYTES = 256 << 20
_LEAST_HANG_SECONDS = 10.0
_LONG_START_SECONDS = 300.0
"""A worker that takes longer to load its model is told of: it may never be ready."""

Starter = Callable[[], Process]
"""Starts one worker process; returns at once."""


@dataclass(frozen=True, kw_only=True)
class PoolLimits:
    """How much one model version takes on."""

    workers: int = 1
    batch_size: int = 64
    """Requests that are predicted together, at most."""
    batch_bytes: int = 1 << 20
    """Bytes of the bodies of these requests; a single larger request goes alone."""
    batch_wait_seconds: float = 0.0
    """How long a request waits for others while a worker is free."""
    queue_size: int = 1024
    """Requests that wait, at most."""
    threads: int = 4
    """Requests that one worker works on at once, where rows are not joined."""
    running: int = 288
    """Requests that one worker of a language model has at once."""
    timeout_seconds: float = 60.0
    """For one answer, waiting included, or from one piece of a streamed answer to the next; 0 means for ever."""


Tell = Callable[["Pending", "Done | Opened | SlipstreamError"], None]
"""Gets an answer, the beginning of one that comes in pieces, or why there is none. Called once, on the loop."""


class Pending:
    """A request on its way, from when it is submitted to its last byte."""

    __slots__ = (
        "_dead",
        "_news",
        "_pieces",
        "_tell",
        "_unread_bytes",
        "arrived",
        "ask",
        "error",
        "first_piece_at",
        "last_piece_at",
        "link",
        "piece_count",
        "sent_at",
        "stats",
        "timer",
    )

    def __init__(self, ask: Ask, tell: "Tell") -> None:
        self.ask = ask
        self.arrived = time.perf_counter()
        self.first_piece_at: float | None = None
        self.last_piece_at: float | None = None
        self.piece_count = 0
        self.sent_at: float | None = None
        """When a worker got it."""
        self.link: Link | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.stats: Stats | None = None
        self.error: SlipstreamError | None = None
        self._tell: Tell | None = tell
        self._pieces: deque[bytes] = deque()
        self._unread_bytes = 0
        self._news: asyncio.Event | None = None
        self._dead = False

    @property
    def dead(self) -> bool:
        """Nobody waits for it any more, or it is over."""
        return self._dead

    # -- what the pool tells --------------------------------------------------------------------------
    def take(self, event: Event) -> bool:
        """Take news of it; return whether it is over."""
        if isinstance(event, Done):
            self.stats = event.stats
            self._over()
            self._tell_once(event)
            return True
        if isinstance(event, Piece):
            self._pieces.append(event.data)
            self._unread_bytes += len(event.data)
            self.last_piece_at = time.perf_counter()
            self.piece_count += 1
            if self.first_piece_at is None:
                self.first_piece_at = self.last_piece_at
        elif isinstance(event, Opened):
            self._news = asyncio.Event()
            self._tell_once(event)
        else:
            self.stats = event.stats
            self._over()
        if self._news is not None:
            self._news.set()
        return self._dead

    @property
    def is_read_too_slowly(self) -> bool:
        """More of it waits for its client than may be kept. One piece may always be kept, whatever its size."""
        count = len(self._pieces)
        return count > _MOST_UNREAD_PIECES or (count > 1 and self._unread_bytes > _MOST_UNREAD_BYTES)

    def drop_unread(self) -> None:
        """Let go of the pieces that its client has not taken."""
        self._pieces.clear()
        self._unread_bytes = 0

    def fail(self, error: SlipstreamError) -> None:
        """End it with an error."""
        if self._dead:
            return
        self._over()
        self.error = error
        self._tell_once(error)
        if self._news is not None:
            self._news.set()

    def _tell_once(self, news: "Done | Opened | SlipstreamError") -> None:
        tell, self._tell = self._tell, None
        if tell is not None:
            tell(self, news)

    def _over(self) -> None:
        self._dead = True
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None

    # -- what the app asks ------------------------------------------------------------------------------
    async def pieces(self) -> list[bytes]:
        """Wait for more of an opened answer; an empty list is its end, or an error that `error` holds."""
        assert self._news is not None, "the answer was opened"
        while not self._pieces and not self._dead:
            self._news.clear()
            await self._news.wait()
        pieces = list(self._pieces)
        self.drop_unread()
        return pieces


class WorkerPool:
    """Serves one version of one model."""

    def __init__(
        self, start: Start, starter: Starter, limits: PoolLimits, say: Callable[[str], None] = _logger.warning
    ) -> None:
        self.limits = limits
        self.card = Card()
        self.batches = 0
        self.restarts = 0
        self._start = start
        self._starter = starter
        self._say = say
        self._links: list[Link] = []
        self._waiting: deque[Pending] = deque()
        self._at_work: dict[int, Pending] = {}
        self._next_id = 0
        self._dispatch_planned = False
        self._batch_timer: asyncio.TimerHandle | None = None
        self._closing = False
        self._starting = 0
        self._failures = 0
        self._problem: str | None = None
        """Why no worker could be started lately."""
        self._replacing: set[asyncio.Task[None]] = set()
        self._idle = asyncio.Event()

    # -- life -------------------------------------------------------------------------------------------
    async def open(self) -> str | None:
        """Start the workers and wait until all are ready.

        Returns:
            What the model's own example ended with, if it could not be answered.

        Raises:
            ExecutionError: a worker could not start; the text is for the user.
        """
        started = [asyncio.ensure_future(self._start_one()) for _ in range(self.limits.workers)]
        try:
            warnings = await asyncio.gather(*started)
        except BaseException:
            for each in started:
                each.cancel()
            await asyncio.gather(*started, return_exceptions=True)
            await self.close(0)
            raise
        return next((warning for warning in warnings if warning), None)

    async def _start_one(self) -> str | None:
        self._starting += 1
        try:
            return await self._begin_one()
        finally:
            self._starting -= 1

    async def _begin_one(self) -> str | None:
        link = Link(self._starter(), self._on_event, self._on_end)
        late = asyncio.get_running_loop().call_later(_LONG_START_SECONDS, self._say_late, link)
        try:
            first = await link.begin(self._start)
        except BaseException:
            link.kill()
            await link.end(0)
            raise
        finally:
            late.cancel()
        if isinstance(first, CannotStart):
            await link.end(5.0)
            raise ExecutionError(first.message)
        self.card = first.card
        self._links.append(link)
        self._problem = None
        self._failures = 0
        self._plan_dispatch()
        return first.warning

    def _say_late(self, link: Link) -> None:
        self._say(
            f"A worker of '{self._start.name}' (process {link.pid}) has been loading its model for "
            f"{_LONG_START_SECONDS:g} seconds and is not ready; {len(self._links)} of {self.limits.workers} are."
        )

    async def close(self, seconds: float) -> None:
        """Let the workers finish what was submitted, for so long, then end them. Nothing may be submitted any more."""
        self._closing = True
        if self._at_work or self._waiting:
            self._idle.clear()
            try:
                await asyncio.wait_for(self._idle.wait(), seconds or 0.001)
            except TimeoutError:
                gone = UnavailableError("The server ended before this request was answered. Try again.")
                for pending in [*self._waiting, *self._at_work.values()]:
                    pending.fail(gone)
        for task in list(self._replacing):
            task.cancel()
        await asyncio.gather(*self._replacing, return_exceptions=True)
        links, self._links = self._links, []
        await asyncio.gather(*(link.end(5.0) for link in links))

    @property
    def name(self) -> str:
        """What the model is served as."""
        return self._start.name

    @property
    def ready(self) -> bool:
        """Some worker is there to answer."""
        return bool(self._links)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def at_work(self) -> int:
        return len(self._at_work)

    @property
    def worker_pids(self) -> list[int]:
        return [link.pid for link in self._links]

    # -- requests ---------------------------------------------------------------------------------------
    def submit(self, protocol: str, operation: str, header: str | None, body: bytes, tell: Tell) -> Pending:
        """Queue a request; `tell` is called later, never from here.

        Raises:
            UnavailableError: too many wait already, or there is no worker and none can be started.
        """
        if len(self._waiting) >= self.limits.queue_size and len(self._waiting) >= (
            # Those that a worker takes at once do not wait.
            self.limits.queue_size + sum(max(0, self._room(link)) for link in self._links)
        ):
            raise UnavailableError(
                f"The server is busy: {len(self._waiting)} requests wait for this model. Try again in a second, or "
                "serve it with more --workers."
            )
        if not self._links and self._problem is not None:
            raise UnavailableError(f"No worker of this model is running: {self._problem}")
        self._next_id += 1
        loop = asyncio.get_running_loop()
        pending = Pending(Ask(self._next_id, protocol, operation, header, body), tell)
        if self.limits.timeout_seconds:
            pending.timer = loop.call_later(self.limits.timeout_seconds, self._expire, pending)
        self._waiting.append(pending)
        if self.card.joins and len(self._waiting) == 1 and not self.limits.batch_wait_seconds:
            self._dispatch()  # if a worker is free; others join while it works
        else:
            self._plan_dispatch()
        return pending

    def cancel(self, pending: Pending) -> None:
        """Forget a request: its client has gone."""
        if pending.dead:
            return
        pending.fail(UnavailableError("The client has gone."))
        self._give_up(pending)

    def _expire(self, pending: Pending) -> None:
        if pending.last_piece_at is not None:
            # What streams may go on for long; it is late only if nothing came for so long.
            left = pending.last_piece_at + self.limits.timeout_seconds - time.perf_counter()
            if left > 0:
                pending.timer = asyncio.get_running_loop().call_later(left, self._expire, pending)
                return
        pending.fail(
            DeadlineExceededError(
                f"The prediction took longer than {self.limits.timeout_seconds:g} seconds. Send fewer rows, or serve the "
                "model with a larger --timeout."
            )
        )
        self._give_up(pending)

    def _give_up(self, pending: Pending) -> None:
        """Have nobody work any more on a request that nobody waits for."""
        link = pending.link
        if link is None:
            # Or it would keep its place from others, and its body in memory.
            with contextlib.suppress(ValueError):
                self._waiting.remove(pending)
            self._plan_dispatch()
            return
        link.send(Cancel(pending.ask.id))
        if self.limits.timeout_seconds:
            # Python can stop neither a thread nor a library: if it goes on and on, its process must go. A language
            # model's worker lets go of a request as soon as it hears of it; one that does not hears nothing at all.
            grace = max(self.limits.timeout_seconds, _LEAST_HANG_SECONDS)
            asyncio.get_running_loop().call_later(grace, self._end_hung, pending.ask.id, link)

    def _end_hung(self, ask_id: int, link: Link) -> None:
        if ask_id in link.asks and link in self._links:
            self._say(
                f"A worker of '{self._start.name}' (process {link.pid}) works on one request for much longer than "
                "--timeout; it is replaced."
            )
            link.kill()

    # -- dispatch ---------------------------------------------------------------------------------------
    def _plan_dispatch(self) -> None:
        # After all requests that can be read in this turn of the loop, so that they go together.
        if not self._dispatch_planned:
            self._dispatch_planned = True
            asyncio.get_running_loop().call_soon(self._dispatch_planned_now)

    def _dispatch_planned_now(self) -> None:
        self._dispatch_planned = False
        self._dispatch()

    def _dispatch(self) -> None:
        waiting = self._waiting
        while waiting and waiting[0].dead:
            waiting.popleft()
        if not waiting:
            self._tell_idle()
            return
        joins = self.card.joins
        for link in (
            sorted(self._links, key=lambda one: len(one.asks)) if len(self._links) > 1 else self._links
        ):
            room = self._room(link)
            if room <= 0 or not waiting:
                continue
            if joins and self._should_wait(room):
                return
            batch = self._take(room)
            if not batch:
                return
            now = time.perf_counter()
            for pending in batch:
                pending.link = link
                pending.sent_at = now
                link.asks.add(pending.ask.id)
                self._at_work[pending.ask.id] = pending
            self.batches += 1
            link.send(Asks([pending.ask for pending in batch]))

    def _room(self, link: Link) -> int:
        if self.card.joins:
            return 0 if link.asks else self.limits.batch_size
        return (self.limits.running if self.card.generates else self.limits.threads) - len(link.asks)

    def _take(self, room: int) -> list[Pending]:
        batch: list[Pending] = []
        size = 0
        waiting = self._waiting
        while waiting and len(batch) < room:
            pending = waiting[0]
            if pending.dead:
                waiting.popleft()
                continue
            size += len(pending.ask.body)
            if batch and size > self.limits.batch_bytes:
                break
            batch.append(waiting.popleft())
        return batch

    def _should_wait(self, room: int) -> bool:
        longest = self.limits.batch_wait_seconds
        if not longest or len(self._waiting) >= room:
            return False
        left = self._waiting[0].arrived + longest - time.perf_counter()
        if left <= 0:
            return False
        if self._batch_timer is None:
            self._batch_timer = asyncio.get_running_loop().call_later(left, self._waited)
        return True

    def _waited(self) -> None:
        self._batch_timer = None
        self._plan_dispatch()

    # -- news of workers --------------------------------------------------------------------------------
    def _on_event(self, link: Link, event: Event) -> None:
        pending = self._at_work.get(event.id)
        over = isinstance(event, (Done, Closed))
        if over:
            link.asks.discard(event.id)
            self._at_work.pop(event.id, None)
            if self._waiting:
                self._plan_dispatch()
            elif self._closing:
                self._tell_idle()
        if pending is None or pending.dead:
            return
        pending.take(event)
        if pending.is_read_too_slowly:
            pending.drop_unread()
            pending.fail(UnavailableError("The client reads its answer too slowly."))
            link.send(Cancel(event.id))

    def _tell_idle(self) -> None:
        if not self._at_work and not any(not pending.dead for pending in self._waiting):
            self._idle.set()

    def _on_end(self, link: Link) -> None:
        """A worker's process has ended, or its socket broke."""
        if link in self._links:
            self._links.remove(link)
        lost = [self._at_work.pop(ask_id, None) for ask_id in link.asks]
        link.asks.clear()
        for pending in lost:
            if pending is not None:
                pending.fail(
                    InternalError(
                        f"The worker process that answered this request ended ({link.how_it_ended()}). It is replaced; "
                        "other requests are not concerned."
                    )
                )
        if self._closing and not self._waiting:
            self._tell_idle()
            return
        self._say(f"A worker of '{self._start.name}' ended ({link.how_it_ended()}); another takes its place.")
        task = asyncio.ensure_future(self._replace())
        self._replacing.add(task)
        task.add_done_callback(self._replacing.discard)

    async def _replace(self) -> None:
        while True:
            self.restarts += 1
            try:
                await self._start_one()
            except Exception as error:  # whatever it is, the place must not stay empty
                if not isinstance(error, SlipstreamError):
                    _logger.exception("Starting a worker of '%s' failed", self._start.name)
                pause = min(_FIRST_PAUSE_SECONDS * 2**self._failures, _LONGEST_PAUSE_SECONDS)
                self._failures += 1
                self._say(
                    f"A worker of '{self._start.name}' could not start: {error} {len(self._links)} of "
                    f"{self.limits.workers} go on; the next attempt is in {pause:g} s."
                )
                if not self._links and not self._starting:
                    self._problem = str(error)
                    for pending in self._waiting:
                        pending.fail(UnavailableError(f"No worker of this model is running: {error}"))
                    self._waiting.clear()
                await asyncio.sleep(pause)
            else:
                return
