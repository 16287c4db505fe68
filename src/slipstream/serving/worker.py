"""A worker process: one copy of one model, which answers what the edge sends it.

    python -m slipstream.serving.worker SOCKET LIFELINE

The edge starts it, and both arguments are open file descriptors. It ends when the socket is closed and all is
answered, and at once when the lifeline is closed: then the edge is gone.
"""

import gc
import importlib
import logging
import os
import queue
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from slipstream.errors import InternalError, SlipstreamError
from slipstream.serving.answer import Answer
from slipstream.serving.batching import answer_together
from slipstream.serving.events import done, piece
from slipstream.serving.failures import described, explain, failure_answer
from slipstream.serving.frames import (
    Ask,
    Asks,
    CannotStart,
    Card,
    Channel,
    Closed,
    Done,
    Opened,
    Piece,
    Ready,
    Start,
    decode_start,
    decode_to_worker,
)
from slipstream.serving.generation import SSE, TextAnswers
from slipstream.serving.outbox import Outbox
from slipstream.serving.protocols import PROTOCOLS
from slipstream.serving.question import Question, TextQuestion
from slipstream.serving.served import ServedModel

_logger = logging.getLogger("slipstream.serving")
_READ_AT_ONCE_BYTES = 1 << 16
"""Requests of a language model up to this long are read by the thread that receives them."""


class _Job:
    """A request that a thread is to answer, or is answering."""

    def __init__(self, ask: Ask) -> None:
        self.ask = ask
        self.cancelled = False


class Worker:
    """Answers requests with one loaded model, in the manner that suits it.

    Where rows of several requests may be joined, the thread that receives them predicts: nothing else could
    be done meanwhile. A language model's engine takes requests as they come. All else runs in threads, since
    such models often wait for others, and so does the reading of long texts.
    """

    def __init__(self, model: ServedModel, channel: Channel, start: Start) -> None:
        self._model = model
        self._channel = channel
        self._outbox = Outbox(channel)
        self._texts = None
        if model.text is not None:
            self._texts = TextAnswers(model.text, self._outbox, start)
        self._joins = model.joins if start.joined is None else start.joined and model.text is None
        self._threads = start.threads
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._jobs: dict[int, _Job] = {}
        self._started: list[threading.Thread] = []

    @property
    def card(self) -> Card:
        """What the edge should know."""
        return self._model.card(joins=self._joins)

    @property
    def under_way(self) -> int:
        """Requests that wait for a thread or are answered by one."""
        return len(self._jobs)

    def run(self) -> None:
        """Serve until the edge wants no more; then finish what is under way."""
        while (frame := self._channel.receive()) is not None:
            message = decode_to_worker(frame)
            if isinstance(message, Asks):
                if self._joins:
                    self._channel.send_events(list(answer_together(self._model, message.asks)))
                else:
                    for ask in message.asks:
                        self._begin(ask)
            else:
                self._cancel(message.id)
        for _ in self._started:
            self._queue.put(None)
        for thread in self._started:
            thread.join()
        if self._texts is not None:
            self._texts.finish()
        self._outbox.close()

    def _cancel(self, ask_id: int) -> None:
        # What was answered meanwhile, or is answered at once, is in neither place.
        job = self._jobs.get(ask_id)
        if job is not None:
            job.cancelled = True
        if self._texts is not None:
            self._texts.cancel(ask_id)

    def _begin(self, ask: Ask) -> None:
        # A short text is in the engine before a thread would have woken up; a long one must keep nobody waiting.
        if (
            self._texts is not None
            and len(ask.body) <= _READ_AT_ONCE_BYTES
            and self._texts.begin(self._model, ask)
        ):
            return
        if len(self._started) < self._threads:
            thread = threading.Thread(target=self._work, name=f"predict-{len(self._started)}", daemon=True)
            self._started.append(thread)
            thread.start()
        job = self._jobs[ask.id] = _Job(ask)
        self._queue.put(job)

    def _work(self) -> None:
        while (job := self._queue.get()) is not None:
            if job.cancelled:
                self._outbox.put(Done(job.ask.id, 499, b"", "text/plain"))
            elif self._texts is not None and self._texts.begin(self._model, job.ask):
                if job.cancelled:  # while its text was read
                    self._texts.cancel(job.ask.id)
            else:
                self._answer(job)
            del self._jobs[job.ask.id]
            del job  # or a large body would live until the next request

    def _answer(self, job: _Job) -> None:
        ask = job.ask
        protocol = PROTOCOLS[ask.protocol]
        try:
            question = protocol.read(self._model, ask.operation, ask.body, ask.header)
            if isinstance(question, Answer):
                self._outbox.put(done(ask, question))
            elif isinstance(question, TextQuestion):
                raise InternalError("A generated answer came to the wrong place.")  # noqa: TRY301  # answered below
            elif question.stream:
                self._stream(job, question)
            else:
                (event,) = answer_together(self._model, [ask], [question])
                self._outbox.put(event)
        except BaseException as error:  # noqa: BLE001  # sys.exit() in a model must end neither thread nor server
            self._outbox.put(done(ask, failure_answer(protocol.refusal, error)))

    def _stream(self, job: _Job, question: Question) -> None:
        """Answer with what the model yields, each part as soon as it is there."""
        ask = job.ask
        protocol = PROTOCOLS[ask.protocol]
        parts = self._model.predict_stream(question.data, question.params)
        opened = False
        try:
            for part in parts:
                content = piece(ask, protocol.event(part))
                if not opened:
                    opened = True
                    self._outbox.put(Opened(ask.id, 200, SSE))
                if job.cancelled:
                    break
                self._outbox.put(content)
        except BaseException as error:
            if not opened:
                raise
            self._outbox.put(Piece(ask.id, protocol.error_event(explain(error))))
            self._outbox.put(Closed(ask.id))
            return
        finally:
            parts.close()
        if not opened:
            self._outbox.put(Opened(ask.id, 200, SSE))
        self._outbox.put(Piece(ask.id, protocol.LAST_EVENT))
        self._outbox.put(Closed(ask.id))


# -- the process ----------------------------------------------------------------------------------------
def load(start: Start) -> ServedModel:
    """Load the model that the edge named.

    Raises:
        SlipstreamError: there is none, or it may not be loaded.
    """
    pyfunc = importlib.import_module("slipstream.flavors.pyfunc")  # only here: flavors bring much with them
    return ServedModel(pyfunc.load_model(start.folder, trust=start.trust), start.name)


def serve(sock: socket.socket) -> int:
    """Do all of a worker's work; return the exit code."""
    channel = Channel(sock)
    frame = channel.receive()
    if frame is None:  # the edge went away at once
        return 1
    start = decode_start(frame)
    try:
        model = load(start)
        worker = Worker(model, channel, start)
    except SlipstreamError as error:
        channel.send(CannotStart(str(error)))
        return 1
    except Exception as error:
        _logger.exception("The model could not be loaded")
        channel.send(CannotStart(f"loading the model raised {described(error)}"))
        return 1
    warning = warm(model, Path(start.folder))
    # What was loaded stays: no collection need look at these hundreds of thousands of objects again.
    gc.collect()
    gc.freeze()
    channel.send(Ready(worker.card, warning))
    try:
        worker.run()
    except OSError:  # the edge is gone, and with it everybody who waits for an answer
        return 1
    return 0


def warm(model: ServedModel, folder: Path) -> str | None:
    """Answer the model's own example, so that the first client does not wait for what is done only once.

    Returns:
        Why it could not be answered; None if it was, or if there is no example.
    """
    body = model.serving_example(folder)
    if body is None:
        return None
    try:
        problem = model.try_example(body)
    except Exception as error:  # noqa: BLE001  # whatever it is, the user is told
        return described(error)
    return problem


def _end_with_edge(lifeline: int) -> None:
    os.read(lifeline, 1)  # returns when the other end is closed; nothing is ever written
    # Not exit: a library's thread may hang. What the model has started ends, too.
    if os.getpgrp() == os.getpid():
        os.killpg(os.getpid(), signal.SIGKILL)
    os.kill(os.getpid(), signal.SIGKILL)


def _keep_from_children(sock: socket.socket, lifeline: int) -> None:
    """Let the edge see that this process has ended, though processes that the model started go on."""
    sock.set_inheritable(False)
    os.set_inheritable(lifeline, False)

    def close() -> None:
        sock.close()
        os.close(lifeline)

    os.register_at_fork(after_in_child=close)


def main(arguments: Sequence[str]) -> Any:
    """Run as the program that the edge starts."""
    # The edge's signals are the edge's: workers end when it lets them.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sock = socket.socket(fileno=int(arguments[0]))
    lifeline = int(arguments[1])
    _keep_from_children(sock, lifeline)
    threading.Thread(target=_end_with_edge, args=(lifeline,), daemon=True).start()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    code = serve(sock)
    sys.stdout.flush()
    sys.stderr.flush()
    # Not by way of the interpreter's end: daemon threads of libraries crash there, and nothing is left to do.
    os._exit(code)


if __name__ == "__main__":
    main(sys.argv[1:])
