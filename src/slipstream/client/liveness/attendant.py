"""What goes on beside the runs of this process: signs of life, what is printed, the context, the notes on disk.

Everything here is done in threads that nobody waits for, and its failures are lines for debugging: a training does not notice.
It is one file since all of it shares the notes of which runs go on.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable

from slipstream.client.connect import Connection, connect, shown_uri
from slipstream.client.console.capture import Capture, flush_streams, make_plan
from slipstream.client.console.logs import Log, open_log, read_chunks
from slipstream.client.context.aside import ContextAside
from slipstream.client.context.wanted import Wanted
from slipstream.client.liveness.folder import FILES, LOG, ContextNote, FileNote, OwnFolder, RunNote
from slipstream.client.liveness.left import open_quietly, store_console, store_file, try_deliver_left
from slipstream.client.liveness.link import Link
from slipstream.entities import Run, RunTag
from slipstream.errors import EndpointNotFoundError, NotFoundError, SlipstreamError

CONSOLE_SECONDS = 3.0
_SYNC_SECONDS = 1.0
_LONG_SYNC_SECONDS = 10.0
_BYE_SECONDS = 2.0
_AWAY_SECONDS = 3.0
"""How long the end of the program waits where the server was away a moment ago."""
_CONTEXT_SECONDS = 3.0
"""How long the end of a program waits for the context, which a very short one has not got yet."""
_SENT_AT_ONCE = 4 * 48 * 1024
_KEPT_BYTES = 256 * 1024
"""What a server keeps of what a run prints."""
_LONGEST_PAUSE = 60.0

_logger = logging.getLogger(__name__)


class Attendant:
    """Attends to the runs of this process at one address."""

    def __init__(self, address: str, asked: Wanted, *, console: bool) -> None:
        self.address = address
        self._wanted = asked
        self._is_server = address.startswith(("http://", "https://"))
        self._folder: OwnFolder | None = None
        try:
            self._folder = OwnFolder(shown_uri(address))
        except OSError as error:
            _logger.debug("No notes are kept of this process: %s", error)
        self._capture: Capture | None = None
        self._link: Link | None = None
        self._lock = threading.Lock()
        self._runs: dict[str, RunNote] = {}
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._worker: threading.Thread | None = None
        self._beater: threading.Thread | None = None
        self._wake = threading.Event()
        self._closing = False
        self._aside: ContextAside | None = None
        self._context: list[ContextNote] = []
        """What is known of it so far."""
        self._context_runs: list[str] = []
        self._sent: dict[str, int] = {}
        self._hears = self._is_server
        """Whether the server takes signs of life and what is printed."""
        self._connection: Connection | None = None
        if self._folder is not None and self._is_server:
            self._start_console(self._folder, console=console)

    def _start_console(self, folder: OwnFolder, *, console: bool) -> None:
        plan = make_plan() if console else None
        taken: Capture | None = None
        try:
            if plan is not None:
                folder.note.log = plan.plain
                taken = Capture(plan)
            if self._wanted.watcher or (taken is not None and taken.needs_companion):
                log = folder.path / LOG if taken is not None and taken.needs_companion else None
                if log is not None:
                    log.mkdir()
                sources = [] if taken is None else taken.sources
                self._link = Link(folder.path, self.address, sources, log, self._companion_gone)
            if taken is not None:
                self._capture = taken
                taken.begin()
        except OSError as error:
            if taken is not None and self._capture is None:
                taken.discard()
            _logger.debug("What is printed is not kept: %s", error)

    # -- runs ---------------------------------------------------------------------------------------
    def begin(self, run: Run, *, outermost: bool) -> None:
        """Attend to a run from now on."""
        run_id = run.info.run_id
        context = outermost and bool(self._wanted.captures)
        note = RunNote(run_id=run_id, console=outermost and self._capture is not None, context=context)
        if note.console:
            flush_streams()
            note.first = self._printed() + self._waiting()
        with self._lock:
            self._runs[run_id] = note
            if self._folder is not None:
                self._folder.note.runs.append(note)
                self._save()
        if context:
            self._want_context(run_id)
        if self._worker is None:
            self._do(lambda: try_deliver_left(self.address))
        if self._is_server and self._hears and self._wanted.heartbeat_seconds and self._beater is None:
            self._beater = threading.Thread(target=self._beat, name="slipstream-heartbeats", daemon=True)
            self._beater.start()
        self._wake.set()

    def _want_context(self, run_id: str) -> None:
        with self._lock:
            self._context_runs.append(run_id)
            known = list(self._context)
        for part in known:
            self._do(lambda part=part: self._store_context(run_id, part))
        if self._aside is None:
            folder = None if self._folder is None else self._folder.path
            try:
                self._aside = ContextAside(folder, self._wanted.captures, self._take_context)
            except OSError as error:
                _logger.debug("The context is not known: %s", error)

    def _take_context(self, part: ContextNote) -> None:
        with self._lock:
            self._context.append(part)
            run_ids = list(self._context_runs)
        for run_id in run_ids:
            self._do(lambda run_id=run_id: self._store_context(run_id, part))

    def end(self, run_id: str) -> None:
        """Attend to a run no more, and have what it printed stored."""
        with self._lock:
            note = self._runs.pop(run_id, None)
        if note is None:
            return
        if note.console:
            flush_streams()
            is_whole = self._sync(_SYNC_SECONDS)
            note.last = self._printed() + (0 if is_whole else self._waiting())
            with self._lock:
                self._save()
            self._do(lambda: self._store_console(note, is_whole=is_whole))
        else:
            self._forget(note)

    def _forget(self, note: RunNote) -> None:
        with self._lock:
            if self._folder is not None and note in self._folder.note.runs:
                self._folder.note.runs.remove(note)
                self._save()

    def _save_locked(self) -> None:
        with self._lock:
            self._save()

    def _save(self) -> None:
        if self._folder is None:
            return
        try:
            self._folder.save()
        except OSError as error:  # a full disk; what is there is older, and good for something
            _logger.debug("The note of this process cannot be written: %s", error)

    def _printed(self) -> int:
        log = self._log()
        return 0 if log is None else log.size()

    def _waiting(self) -> int:
        return 0 if self._capture is None else self._capture.waiting_bytes()

    def _log(self) -> Log | None:
        if self._folder is None or self._capture is None:
            return None
        return open_log(self._folder.path, self._folder.note.log)

    # -- what takes time ----------------------------------------------------------------------------
    def _do(self, job: Callable[[], None]) -> None:
        self._jobs.put(job)
        if self._worker is None:
            self._worker = threading.Thread(target=self._work, name="slipstream-attendant", daemon=True)
            self._worker.start()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except Exception as error:  # a training must not notice
                _logger.debug("Left for later: %s", error, exc_info=not isinstance(error, SlipstreamError))

    def _connect(self) -> Connection:
        if self._connection is None:
            self._connection = open_quietly(self.address)
        return self._connection

    def _store_context(self, run_id: str, context: ContextNote) -> None:
        if context.tags:
            tags = [RunTag(key, value) for key, value in context.tags.items()]
            connect(self.address).store.log_batch(run_id, tags=tags)  # with what else is logged, in its order
        folder = self._folder
        if folder is None:
            return
        notes = context.notes(run_id)
        with self._lock:
            folder.note.files += notes
            self._save()
        self._store_files(notes)

    def _store_files(self, notes: list[FileNote]) -> None:
        folder = self._folder
        if folder is None:
            return
        try:
            for note in notes:
                if note in folder.note.files:
                    store_file(folder.path, note, self._connect())
                    with self._lock:
                        folder.note.files.remove(note)
        finally:
            with self._lock:
                self._save()

    def _sync(self, seconds: float) -> bool:
        """Have all that was printed kept; tell whether it is."""
        if self._link is None or self._capture is None or not self._capture.needs_companion:
            return True
        return self._link.sync(seconds) or not self._link.is_alive

    def _store_console(self, note: RunNote, *, is_whole: bool) -> None:
        folder = self._folder
        if folder is None:
            return
        if not is_whole:  # the program beside has much to do, or has not begun yet
            self._sync(_LONG_SYNC_SECONDS)
        store_console(folder.path, folder.note, note, self._connect(), self._save_locked)
        (folder.path / FILES / f"console-{note.run_id}").unlink(missing_ok=True)
        self._forget(note)

    # -- signs of life ------------------------------------------------------------------------------
    def _beat(self) -> None:
        pause = self._wanted.heartbeat_seconds
        next_beat = 0.0
        wait = 0.0
        while self._hears and not self._closing:
            self._wake.wait(wait)
            self._wake.clear()
            with self._lock:
                notes = list(self._runs.values())
            if self._closing or not notes:
                wait = _LONGEST_PAUSE
                continue
            wait = min(pause, CONSOLE_SECONDS) if any(each.console for each in notes) else pause
            try:
                store = self._connect().store
                fresh = any(each.run_id not in self._sent for each in notes)
                if fresh or time.monotonic() >= next_beat:
                    store.beat([each.run_id for each in notes])
                    next_beat = time.monotonic() + pause - 0.05
                for note in notes:
                    self._sent.setdefault(note.run_id, note.first)
                    if note.console:
                        self._send_console(note)
            except EndpointNotFoundError:  # a server of MLflow's
                self._hears = False
            except NotFoundError as error:  # a run that the server does not know yet
                _logger.debug("No sign of life could be given: %s", error)
            except SlipstreamError as error:
                _logger.debug("No sign of life could be given: %s", error)
            except Exception:
                _logger.debug("No sign of life could be given", exc_info=True)

    def _send_console(self, note: RunNote) -> None:
        log = self._log()
        if log is None:
            return
        after = max(self._sent[note.run_id], note.first)
        after = max(after, log.size() - _KEPT_BYTES)
        chunks = read_chunks(log, after, _SENT_AT_ONCE)
        if chunks:
            own = [
                type(each)(first=each.first - note.first, next=each.next - note.first, text=each.text)
                for each in chunks
            ]
            self._connect().store.append_console(note.run_id, own)
            self._sent[note.run_id] = chunks[-1].next

    # -- the end ------------------------------------------------------------------------------------
    def _companion_gone(self) -> None:
        if self._capture is not None:
            self._capture.abandon()

    @property
    def keeps_console(self) -> bool:
        return self._capture is not None

    def close(self, until: float) -> None:
        """Give the streams back, and wait until then for what is under way; what is left is for the next start."""
        capture, link = self._capture, self._link
        if capture is not None:
            capture.end()
        if link is not None:
            link.say_bye(_BYE_SECONDS if capture is not None else 0.2)
        if capture is not None:
            capture.close(is_read=link is not None and link.is_alive)
        if self._aside is not None:
            self._aside.wait(min(_CONTEXT_SECONDS, until - time.monotonic()))
        self._closing = True
        self._wake.set()
        if self._worker is not None:
            self._jobs.put(None)
            if self._is_away():
                until = min(until, time.monotonic() + _AWAY_SECONDS)
            self._worker.join(max(0.0, until - time.monotonic()))
        folder = self._folder
        if folder is not None:
            with self._lock:
                if not folder.note.runs and not folder.note.files:
                    folder.remove()
        if (
            self._is_server
            and self._connection is not None
            and (self._worker is None or not self._worker.is_alive())
        ):
            self._connection.close()

    def _is_away(self) -> bool:
        """Tell whether the server was found to be away by those who send what is logged."""
        shipper = getattr(connect(self.address).store, "shipper", None) if self._is_server else None
        return shipper is not None and shipper.is_away

    def forget(self) -> None:
        """Let go of what belongs to the process that this one was forked from."""
        if self._link is not None:
            self._link.close()
        if self._aside is not None:
            self._aside.forget()
        if self._folder is not None:
            self._folder.forget()
