"""Sends what happens in a worker to the edge; what happens together goes together."""

import logging
import queue
import threading

from slipstream.serving.frames import Channel, Event

_MOST_TOGETHER = 256
_logger = logging.getLogger("slipstream.serving")


class Outbox:
    """A thread behind a queue. `put` never blocks, so that a generating engine never waits for a socket."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._queue: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def put(self, event: Event) -> None:
        """Send an event, soon. Thread-safe."""
        if self._thread is None:
            self._start()
        self._queue.put(event)

    def close(self) -> None:
        """Send what is there, then end."""
        with self._lock:
            thread = self._thread
        if thread is not None:
            self._queue.put(None)
            thread.join()

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        open_ = True
        while open_:
            events: list[Event] = []
            event = self._queue.get()
            while event is not None:
                events.append(event)
                if len(events) >= _MOST_TOGETHER or self._queue.empty():
                    break
                event = self._queue.get()
            else:
                open_ = False
            if not events:
                continue
            try:
                self._channel.send_events(events)
            except OSError:  # the edge is gone; the receiving thread ends the worker
                return
            except Exception:  # nobody would ever be answered again: better that the edge starts a new worker
                _logger.exception("Answers could not be sent; the worker ends")
                self._channel.hang_up()
                return
