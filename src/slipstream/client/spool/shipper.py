"""The thread that sends what this process has logged, and what others left behind.

It sleeps until something is logged, waits a moment for more, and sends. While the server is away it tries again with growing
pauses; nobody else waits for it, unless they ask for a flush.
"""

import enum
import logging
import random
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from slipstream.client.spool.delivery import AT_ONCE, Delivery, describe, may_pass, run_of
from slipstream.client.spool.folder import (
    LeftSpool,
    OwnSpool,
    Sent,
    began_elsewhere,
    folder_of,
    is_let_go,
    keep_refused,
    left_spools,
    sent_by_others,
)
from slipstream.client.spool.renamed import Renamed
from slipstream.client.transport import Transport
from slipstream.clock import now_ms
from slipstream.errors import SlipstreamError, UnavailableError

GATHER_SECONDS = 0.05
"""How long one waits for more before one sends."""
STEADY_GATHER_SECONDS = 0.3
"""The same in a loop that goes on logging: each delivery holds Python's lock for some milliseconds, and the loop waits for it."""
LOOK_SECONDS = 60.0
"""How often a process that logs nothing looks for what others left."""
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
BARRED_PAUSE_SECONDS = 60.0
"""After an answer that will be the same until somebody does something."""
TIMEOUT_SECONDS = 30.0
_OTHERS_SECONDS = 60.0
_OTHERS_AT_EXIT_SECONDS = 10.0
"""For how long a program that ends goes on sending what others left; its own is at the server by then."""
_RENEW_BYTES = 16 << 20
_HELD_WARNING_BYTES = 256 << 20
_REFUSALS_SHOWN = 5
_GLANCE_BYTES = 4096
_chance = random.SystemRandom()  # the one of the module is the user's, who may have seeded it

_logger = logging.getLogger(__name__)


class _Left(enum.Enum):
    """What became of what others left."""

    DONE = 1
    BARRED = 2
    """The server does not take it, until somebody does something."""
    INTERRUPTED = 3
    """This process has something of its own to send."""


class Shipper:
    """Sends one spool to one server. Thread-safe; starts its thread with the first record."""

    def __init__(self, server: str, transport: Callable[[], Transport] | None) -> None:
        """Take the address without its password, and what opens connections that try once; `None` for no server."""
        self.server = server
        self.renamed = Renamed(folder_of(server))
        """What the server calls runs and models that began here under other ids."""
        self._open = transport
        self._spool: OwnSpool | None = None
        self._lock = threading.RLock()
        self._thread: threading.Thread | None = None
        self._something = threading.Event()
        self._hurry = threading.Event()
        """Set while somebody waits for a flush."""
        self._progress = threading.Condition()
        self._stopping = False
        self.trouble: str | None = None
        """Why the last delivery failed; `None` while all is well."""
        self.is_away = transport is None
        """Whether the server did not take the last delivery, or did not answer who asked it."""
        self.refused = 0
        self._delivery: Delivery | None = None
        self._others_until = 0.0
        self._is_its_turn = transport is None
        """Whether what others left before this process began is sent, or cannot be."""
        self._sent_left = False
        self._began = 0
        self._look_again = 0.0
        self.is_known: Callable[[str], bool] = lambda _: False
        """Tells of a run that its server has it, so that nobody has to ask."""
        self.is_made_here: Callable[[str], bool] = lambda _: False
        """Tells of a run that this process began, so that nothing that others left can belong before what is logged to it."""
        self.builds_on_others = False
        """Whether this process logs to runs that others began: what they left belongs before it, and is waited for."""
        self._warned_of_bytes = -1

    # -- logging ------------------------------------------------------------------------------------
    def append(self, text: bytes) -> None:
        """Write a record down, to be sent soon. Never waits for the server."""
        spool = self._spool or self._begin()
        spool.append(text)
        if not self._something.is_set():
            self._something.set()

    def begin(self) -> None:
        """Start sending now, although nothing has been logged: what others left."""
        self._begin()
        self._something.set()

    def _begin(self) -> OwnSpool:
        with self._lock:
            if self._spool is None:
                self._began = now_ms()
                self._spool = OwnSpool(self.server)
            if self._thread is None and self._open is not None:
                # Here, not in the thread: what one imports while another forks can never be imported in the new process.
                transport = self._open()
                transport.prepare()
                self._delivery = Delivery(transport, self._refuse, self.renamed)
                self._delivery.is_known = self.is_known
                thread = threading.Thread(target=self._run, name="slipstream-shipper", daemon=True)
                try:
                    thread.start()
                except (
                    RuntimeError
                ) as error:  # the interpreter is ending; what is logged now is sent by the next program
                    self.trouble = str(error)
                else:
                    self._thread = thread
            return self._spool

    def new_stage(self) -> Path:
        """Make a folder for files that a record will name, to be sent later.

        Raises:
            OSError: there is no room for it.
        """
        return (self._spool or self._begin()).new_stage()

    @property
    def keeps_files(self) -> bool:
        """Whether files wait to be sent; those that are logged now must not come before them."""
        return self._spool is not None and self._spool.keeps_files()

    def begins_in_spool(self, run_id: str) -> bool:
        """Tell whether a run begins in what some program on this machine has logged and not delivered."""
        return began_elsewhere(folder_of(self.server), run_id, None)

    @property
    def is_delivered(self) -> bool:
        """Whether all that was logged is at the server; by programs before this one, too, if it builds on them."""
        return self._spool is None or (self._has_its_turn and self._spool.is_delivered())

    @property
    def _has_its_turn(self) -> bool:
        return self._is_its_turn or not self.builds_on_others

    def flush(self, seconds: float, *, only_while_there: bool = False) -> bool:
        """Wait until all that was logged before is delivered; tell whether it is.

        With `only_while_there` until the server is found to be away, too.

        Does not wait while the server is known to be away, unless `seconds` last longer than its next attempt.
        """
        if self.is_delivered:
            return True
        until = time.monotonic() + seconds
        is_reached = self._goal()
        self._hurry.set()
        self._something.set()
        with self._progress:
            while not is_reached():
                left = until - time.monotonic()
                if left <= 0 or self._thread is None or not self._thread.is_alive():
                    return is_reached()
                if only_while_there and self.is_away:
                    return is_reached()
                self._progress.wait(min(left, 0.5))
                self._hurry.set()
        return True

    def _goal(self) -> Callable[[], bool]:
        """Return what tells whether all that is logged by now is delivered; what others log meanwhile is not waited for."""
        spool = self._spool
        if spool is None or spool.file.held:  # of what the disk does not take, the place is not known
            return lambda: self.is_delivered
        file = spool.file
        size = file.size
        return lambda: self._has_its_turn and (spool.file is not file or spool.sent.offset >= size)

    def await_turn(self, seconds: float) -> bool:
        """Wait until what others left before this process began is sent; tell whether it is, or cannot be."""
        self.begin()
        until = time.monotonic() + seconds
        with self._progress:
            while not self._is_its_turn and not self.is_away and (left := until - time.monotonic()) > 0:
                self._progress.wait(left)
        return self._is_its_turn

    @property
    def held_bytes(self) -> int:
        """What the disk does not take, and so is in memory."""
        return 0 if self._spool is None else self._spool.file.held_bytes

    def waiting(self) -> tuple[int, str]:
        """Return how many bytes are not delivered, and in which file they are."""
        if self._spool is None:
            return 0, ""
        file = self._spool.file
        return max(0, file.size - self._spool.sent.offset) + file.held_bytes, str(file.path or "memory")

    def close(self, seconds: float) -> bool:
        """Flush, and end the thread; tell whether all is delivered.

        What others left is sent too, as far as some seconds go; it stays for the next program otherwise.
        """
        until = time.monotonic() + seconds
        delivered = self.flush(seconds)
        if self._thread is not None and not self.is_away:
            self.await_turn(min(_OTHERS_AT_EXIT_SECONDS, until - time.monotonic()))
        with self._lock:
            self._stopping = True
        self._hurry.set()
        self._something.set()
        thread = self._thread
        if thread is not None:
            thread.join(min(seconds, 1.0) if delivered else 0.1)
        if self._spool is not None and (thread is None or not thread.is_alive()):
            self._spool.close()
        return delivered

    def abandon(self) -> None:
        """Let go of the file without a word, in a process made by fork: the lock on it is the parent's."""
        if self._spool is not None:
            self._spool.abandon()

    # -- sending ------------------------------------------------------------------------------------
    def _run(self) -> None:
        pause = FIRST_PAUSE_SECONDS
        gather = GATHER_SECONDS
        while not self._stopping:
            is_steady = self._something.wait(2 * STEADY_GATHER_SECONDS)
            if not is_steady and not self._something.wait(LOOK_SECONDS):
                self._sent_left = False  # another process may have died meanwhile
            self._something.clear()
            self._hurry.wait(gather if is_steady else GATHER_SECONDS)
            gather = STEADY_GATHER_SECONDS
            try:
                self._send_all()
            except SlipstreamError as error:
                self._failed(error)
                longest = LONGEST_PAUSE_SECONDS if may_pass(error) else BARRED_PAUSE_SECONDS
                self._something.set()  # there is something to send
                self._rest(pause if may_pass(error) else longest)
                pause = min(pause * 2, longest)
            except Exception:
                # A bug must not cost the user's data: they are in the file, for a later version to send.
                _logger.exception("What is logged cannot be sent; it stays in %s", self.waiting()[1])
                self.is_away = True
                self._rest(BARRED_PAUSE_SECONDS)
                self._something.set()
            else:
                pause = FIRST_PAUSE_SECONDS
                self._hurry.clear()

    def _rest(self, seconds: float) -> None:
        """Wait before the next attempt; shorter when somebody waits for a flush, but never without a pause."""
        until = time.monotonic() + seconds * (1 + _chance.random() / 4)
        self._hurry.clear()
        while not self._stopping and (left := until - time.monotonic()) > 0:
            spool = self._spool
            if (
                spool is not None and spool.file.held
            ):  # the disk may have room again before the server is back
                spool.file.write_held()
                left = min(left, FIRST_PAUSE_SECONDS)
            if self._hurry.wait(left):
                time.sleep(min(max(0.0, left), FIRST_PAUSE_SECONDS))
                return

    def _failed(self, error: SlipstreamError) -> None:
        if not self.is_away:
            size, where = self.waiting()
            _logger.warning(
                "%s takes nothing now (%s). What is logged is kept in %s and sent when it does; nothing waits for it. (%d bytes)",
                self.server,
                error,
                where,
                size,
            )
        self.is_away = True
        self.trouble = str(error)
        if self._spool is not None:
            self._spool.file.sync()  # it may have to stay there for long
        with self._progress:
            self._progress.notify_all()

    def gone(self, error: SlipstreamError) -> None:
        """Be told by others that the server did not answer them, so that nobody else tries until it does again."""
        self._begin()
        self._failed(error)
        self._something.set()

    def _arrived(self) -> None:
        if self.is_away:
            _logger.warning("%s takes what is logged again.", self.server)
        self.is_away = False
        self.trouble = None
        with self._progress:
            self._progress.notify_all()

    def _send_all(self) -> None:
        spool = self._spool
        assert spool is not None, "the thread begins with it"
        delivery = self._delivery
        assert delivery is not None, "the thread does not begin without"
        while not self._stopping:
            is_sent = self._send_own(spool, delivery)
            if not self._is_its_turn:
                outcome = self._send_left(delivery, self._began)
                if outcome is _Left.BARRED or (outcome is _Left.DONE and self._await_others()):
                    self._is_its_turn = True
                    with self._progress:
                        self._progress.notify_all()
            elif not is_sent:
                # What it builds on is in a file that says it began later, by a clock that was set back, or was left since.
                outcome = self._send_left(delivery, None)
                if not self._send_own(spool, delivery) and outcome is not _Left.INTERRUPTED:
                    raise UnavailableError(delivery.waits_for)
            elif self._sent_left:
                break
            else:
                outcome = self._send_left(delivery, None)
                self._sent_left = outcome is _Left.DONE
                if outcome is _Left.BARRED:
                    break
        if self.is_away and not self._stopping:
            delivery.probe()
            self._arrived()

    def _send_own(self, spool: OwnSpool, delivery: Delivery) -> bool:
        """Send what this process has logged; tell whether all of it may go, not before what others left."""
        while not self._stopping:
            if spool.file.held and not spool.file.write_held():
                self._warn_of_memory(spool)
            size = spool.file.size
            lines = spool.file.read(spool.sent.offset)
            if not lines and spool.sent.offset < size:  # a line that a full disk cut off
                spool.note_sent(Sent(spool.sent.number, size))
            if lines:
                count = self._count_first([line.text for line in lines])
                if not count or not delivery.send(spool, spool.writer, lines[:count]):
                    return False
                self._arrived()
            elif spool.file.held:
                texts = spool.file.take_held(AT_ONCE)
                texts = texts[: self._count_first(texts)]
                if not texts:
                    return False
                first = spool.sent.number + 1
                delivery.send_texts(spool.writer, first, texts)
                spool.file.drop_held(len(texts))
                spool.note_sent(Sent(first + len(texts) - 1, spool.sent.offset))
                self._arrived()
            else:
                if spool.file.size > _RENEW_BYTES:
                    spool.renew()
                break
        return True

    def _count_first(self, texts: Sequence[bytes]) -> int:
        """Return how many records may be sent before what others left is: those of runs that began in this process."""
        if self._is_its_turn:
            return len(texts)
        return next((place for place, text in enumerate(texts) if not self._may_go_first(text)), len(texts))

    def _may_go_first(self, text: bytes) -> bool:
        run_id = run_of(text)
        return not run_id or self.is_made_here(run_id)

    def _has_own_to_send(self) -> bool:
        """Tell whether there is something of this process that may be sent now; it goes before what others left."""
        spool = self._spool
        if spool is None or spool.is_delivered():
            return False
        if spool.file.held:  # the disk may have room again
            spool.file.write_held()
        if self._is_its_turn:
            return True
        lines = spool.file.read(spool.sent.offset, _GLANCE_BYTES)
        texts = [lines[0].text] if lines else spool.file.take_held(1)
        return bool(texts) and self._may_go_first(texts[0])

    def _send_left(self, delivery: Delivery, before: int | None, *, is_alone: bool = False) -> "_Left":
        """Send what processes left that are gone, one delivery after the other.

        What began before this one is sent first: this one may build on it, as when it resumes a run. What this process
        logs to runs of its own goes between two deliveries, unless it is said that it does not.
        """
        if time.monotonic() < self._look_again:
            return _Left.BARRED
        folder = folder_of(self.server)
        for left in left_spools(folder, before):
            size = left.left_bytes
            passed = 0

            def stop() -> bool:
                nonlocal passed
                passed += 1
                # After one at least, so that those who log without rest send what others left, too.
                return self._stopping or (passed > 1 and not is_alone and self._has_own_to_send())

            try:
                if not send_left(left, delivery, stop):
                    return _Left.INTERRUPTED
            except SlipstreamError as error:
                if may_pass(error):
                    raise
                # Of that file alone, perhaps: it keeps nobody else's waiting.
                self._look_again = time.monotonic() + BARRED_PAUSE_SECONDS
                _logger.warning("%s cannot be sent to %s: %s", left.path, self.server, error)
                return _Left.BARRED
            if size:
                self._arrived()
                _logger.warning(
                    "Sent %d bytes that process %d (%s) on %s had logged and not delivered.",
                    size,
                    left.head.pid,
                    left.head.program,
                    left.head.host,
                )
            if not is_alone and self._has_own_to_send():
                return _Left.INTERRUPTED
        return _Left.DONE

    def _await_others(self) -> bool:
        """Let other processes finish with what they are sending of those that are gone; tell whether they have.

        Not for ever, they may be stopped; and not before what this process has to send of its own. What they let go of
        before its end, since they ended or had something of their own to send, is to be looked for once more.
        """
        folder = folder_of(self.server)
        if not self._others_until:
            self._others_until = time.monotonic() + _OTHERS_SECONDS
        while not self._stopping and not self._has_own_to_send():
            if time.monotonic() > self._others_until:
                return True
            # In this order, and again: a file that is let go of between two looks is seen by the one or the other.
            if not sent_by_others(folder):
                if is_let_go(folder, self._began):
                    return False
                if not sent_by_others(folder):
                    return True
            time.sleep(GATHER_SECONDS)
        return False

    def deliver_left(self) -> bool:
        """Send what programs that have ended left on this machine, in this thread; tell whether all of it is sent.

        Raises:
            SlipstreamError: the server does not take it now.
        """
        if self._open is None:
            return True
        delivery = Delivery(self._open(), self._refuse, self.renamed)
        until = time.monotonic() + _OTHERS_SECONDS
        folder = folder_of(self.server)
        while self._send_left(delivery, None, is_alone=True) is _Left.DONE:
            while time.monotonic() < until and sent_by_others(folder):
                time.sleep(GATHER_SECONDS)
            if self._stopping or time.monotonic() >= until:
                return not self._stopping
            if not is_let_go(folder):  # by others, before its end
                return True
        return False

    def _refuse(self, text: bytes, message: str) -> None:
        self.refused += 1
        where = keep_refused(self.server, text, message)
        if self.refused <= _REFUSALS_SHOWN:
            _logger.warning(
                "%s refused what was logged: %s (%s). It is kept in %s.",
                self.server,
                message,
                describe(text),
                where,
            )
        if self.refused == _REFUSALS_SHOWN:
            _logger.warning("Further refusals are not shown.")

    def _warn_of_memory(self, spool: OwnSpool) -> None:
        if spool.file.trouble is None or self._warned_of_bytes > spool.file.held_bytes:
            return
        self._warned_of_bytes = max(
            2 * spool.file.held_bytes, _HELD_WARNING_BYTES
        )  # again when it is twice as much
        _logger.warning(
            "The disk does not take what is logged (%s). %d bytes are kept in memory until it does or the server has them.",
            spool.file.trouble,
            spool.file.held_bytes,
        )


def send_left(left: LeftSpool, delivery: Delivery, stop: Callable[[], bool]) -> bool:
    """Send all of a file that was left, and remove it; tell whether that was done.

    Raises:
        SlipstreamError: the server does not take it now; the file stays.
    """
    done = False
    try:
        while not stop():
            lines = left.read()
            if not lines:
                done = True
                break
            delivery.send(left, left.head.writer, lines)
    finally:
        left.close(delivered=done)
    return done
