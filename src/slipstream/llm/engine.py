"""Continuous batching: one thread that advances all answers by a token, and takes new ones in between.

A request never waits for another's answer, only for a step: between two steps the engine lets go of answers
that are complete or unwanted and admits waiting ones, a few prompt tokens at a time, so that those under way
go on at nearly their speed.
"""

import logging
import queue
import threading
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from typing import Literal, Protocol, TypeAlias

import msgspec

from slipstream.errors import InternalError, InvalidParameterError, UnavailableError
from slipstream.llm.detokenize import Detokenizer
from slipstream.llm.sampling import Sampling
from slipstream.llm.stops import StopFilter

_logger = logging.getLogger(__name__)

_PROMPT_TOKENS = 64
"""How many tokens of prompts the answers under way wait for, at least one prompt: a long one costs as much as many steps."""

FinishReason: TypeAlias = Literal["stop", "length"]


class TextBackend(Protocol):
    """A loaded model that can advance several sequences together. Called from one thread at a time."""

    context_length: int
    """Tokens of prompt and answer together, at most."""
    end_tokens: frozenset[int]
    batch_size: int
    """How many sequences are worth advancing together."""

    def encode(self, text: str) -> list[int]: ...

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of tokens, special ones left out."""
        ...

    def admit(self, prompt: Sequence[int], sampling: Sampling) -> Hashable:
        """Take in a sequence; the next `step` gives its first token."""
        ...

    def step(self) -> list[tuple[Hashable, int]]:
        """Return the next token of each sequence that is in; if some came since the last step, only their first.

        So a newcomer's first token does not wait for a step of the others.
        """
        ...

    def release(self, sequence: Hashable) -> None:
        """Forget a sequence."""
        ...


class Piece(msgspec.Struct, frozen=True):
    """Some more text of one answer."""

    index: int
    text: str


class Finished(msgspec.Struct, frozen=True):
    """One answer is complete."""

    index: int
    reason: FinishReason
    completion_tokens: int


class Failed(msgspec.Struct, frozen=True):
    """The request ends here with an error."""

    error: Exception


Event: TypeAlias = Piece | Finished | Failed


class Generation:
    """One request under way: `answers` continuations of one prompt. `cancel` may be called from any thread."""

    def __init__(
        self, prompt: Sequence[int], sampling: Sampling, answers: int, notify: Callable[[Event], None]
    ) -> None:
        self.prompt = list(prompt)
        self.sampling = sampling
        self.answers = answers
        self.notify = notify
        self.cancelled = False

    def cancel(self) -> None:
        """Stop generating; nothing more is told."""
        self.cancelled = True


class Events:
    """The events of one request, as they come; `close` cancels it, also before the first."""

    def __init__(self, generation: Generation, events: "queue.SimpleQueue[Event]") -> None:
        self._generation = generation
        self._events = events
        self._left = generation.answers

    def __iter__(self) -> "Events":
        return self

    def __next__(self) -> Event:
        if not self._left:
            raise StopIteration
        event = self._events.get()
        if isinstance(event, Failed):
            self._left = 0
            raise event.error
        self._left -= isinstance(event, Finished)
        return event

    def close(self) -> None:
        self._left = 0
        self._generation.cancel()


class _Answer:
    """One sequence: its text so far and when to end it."""

    def __init__(self, generation: Generation, index: int, limit: int, backend: TextBackend) -> None:
        self.generation = generation
        self.index = index
        self.limit = limit
        self.tokens = 0
        self._end_tokens = backend.end_tokens
        self._detokenizer = Detokenizer(backend.decode)
        self._stops = StopFilter(generation.sampling.stop or ())

    def take(self, token: int) -> bool:
        """Take the next token, tell what it adds, and return whether the answer is complete."""
        self.tokens += 1
        if token in self._end_tokens:
            self._end("stop")
            return True
        self._tell(self._stops.feed(self._detokenizer.feed(token)))
        if self._stops.stopped:
            self._finish("stop")
            return True
        if self.tokens >= self.limit:
            self._end("length")
            return True
        return False

    def _end(self, reason: FinishReason) -> None:
        self._tell(self._stops.feed(self._detokenizer.flush()))
        self._tell(self._stops.flush())
        self._finish("stop" if self._stops.stopped else reason)

    def _tell(self, text: str) -> None:
        if text:
            self.generation.notify(Piece(self.index, text))

    def _finish(self, reason: FinishReason) -> None:
        self.generation.notify(Finished(self.index, reason, self.tokens))


class TextEngine:
    """Generates for many requests at once. Thread-safe.

    Args:
        backend: the model.
        waiting: how many answers may wait for a place before requests are refused.
    """

    def __init__(self, backend: TextBackend, *, waiting: int = 256) -> None:
        self.backend = backend
        self.most_waiting = waiting
        self._arrivals: queue.SimpleQueue[_Answer | None] = queue.SimpleQueue()
        self._waiting: deque[_Answer] = deque()
        self._running: dict[Hashable, _Answer] = {}
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()
        self._closed = False

    # -- for callers --------------------------------------------------------------------------------
    def submit(self, generation: Generation) -> None:
        """Start a request; its `notify` is called on the engine's thread, and must not block.

        Raises:
            InvalidParameterError: the prompt does not fit into the model's context.
            UnavailableError: too many requests wait; try again later.
        """
        limit = self._limit(generation)
        with self._lock:
            if self._closed:
                raise UnavailableError("The model is being unloaded. Try again.")
            if self._arrivals.qsize() + len(self._waiting) + generation.answers > self.most_waiting:
                raise UnavailableError(
                    f"{self.most_waiting} answers wait for this model already. Try again in a second."
                )
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="slipstream-generate", daemon=True)
                self._thread.start()
            for index in range(generation.answers):
                self._arrivals.put(_Answer(generation, index, limit, self.backend))

    def generate(self, prompt: Sequence[int], sampling: Sampling, answers: int = 1) -> "Events":
        """Yield the events of one request until all of its answers are complete; closing it cancels the request.

        Raises:
            InvalidParameterError: the prompt does not fit into the model's context.
            UnavailableError: too many requests wait; try again later.
        """
        events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        generation = Generation(prompt, sampling, answers, events.put)
        self.submit(generation)
        return Events(generation, events)

    def close(self) -> None:
        """Refuse what comes, fail what is under way, and end the thread."""
        with self._lock:
            self._closed = True
            thread = self._thread
        if thread is not None:
            self._arrivals.put(None)
            thread.join()

    def _limit(self, generation: Generation) -> int:
        prompt, context = len(generation.prompt), self.backend.context_length
        if not prompt:
            raise InvalidParameterError("The prompt is empty: it has no tokens.")
        if prompt >= context:
            raise InvalidParameterError(
                f"The prompt is too long: it has {prompt} tokens, and prompt and answer together may have {context}."
            )
        wanted = generation.sampling.max_tokens
        return context - prompt if wanted is None else min(wanted, context - prompt)

    # -- the thread ---------------------------------------------------------------------------------
    def _run(self) -> None:
        while self._receive():
            try:
                self._drop_cancelled()
                newcomers = self._admit()
                self._step()
                if 0 < newcomers < len(self._running):
                    self._step()  # the first was of the newcomers alone; the others must not stand still
            except (
                Exception
            ) as error:  # a model may raise anything; the next request must find the engine alive
                _logger.exception("Generation failed")
                self._fail_running(InternalError(f"The model failed while it generated: {error!r}"))
        for answer in [*self._running.values(), *self._waiting]:
            answer.generation.notify(Failed(UnavailableError("The model is being unloaded. Try again.")))

    def _receive(self) -> bool:
        """Take what has arrived, waiting only when there is nothing else to do; False at the end."""
        idle = not self._running and not self._waiting
        while True:
            try:
                answer = self._arrivals.get(block=idle)
            except queue.Empty:
                return True
            if answer is None:
                return False
            self._waiting.append(answer)
            idle = False

    def _drop_cancelled(self) -> None:
        if any(answer.generation.cancelled for answer in self._waiting):  # they would keep others out
            self._waiting = deque(answer for answer in self._waiting if not answer.generation.cancelled)
        for sequence in [key for key, answer in self._running.items() if answer.generation.cancelled]:
            self._forget(sequence)

    def _admit(self) -> int:
        """Take in a waiting answer, or several as long as their prompts are short; return how many."""
        before = len(self._running)
        read = 0
        while self._waiting and len(self._running) < self.backend.batch_size:
            answer = self._waiting.popleft()
            if answer.generation.cancelled:
                continue
            sampling = answer.generation.sampling
            if sampling.seed is not None and answer.index:
                sampling = msgspec.structs.replace(sampling, seed=sampling.seed + answer.index)
            try:
                sequence = self.backend.admit(answer.generation.prompt, sampling)
            except Exception as error:
                _logger.exception("A prompt could not be processed")
                self._fail(answer.generation, InternalError(f"The model failed on the prompt: {error!r}"))
                continue
            self._running[sequence] = answer
            read += len(answer.generation.prompt)
            if read >= _PROMPT_TOKENS:
                break
        return len(self._running) - before

    def _step(self) -> None:
        if not self._running:
            return
        for sequence, token in self.backend.step():
            if self._running[sequence].take(token):
                self._forget(sequence)

    def _forget(self, sequence: Hashable) -> None:
        del self._running[sequence]
        self.backend.release(sequence)

    def _fail_running(self, error: Exception) -> None:
        generations = {id(answer.generation): answer.generation for answer in self._running.values()}
        for sequence in list(self._running):
            try:
                self._forget(sequence)
            except Exception:
                _logger.exception("A failed sequence could not be let go")
        for generation in generations.values():
            self._fail(generation, error)

    def _fail(self, generation: Generation, error: Exception) -> None:
        if not generation.cancelled:
            generation.cancel()  # its other answers too
            generation.notify(Failed(error))
