"""Requests of a language model in a worker: into the engine as they come, out of it token by token."""

import threading
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

from slipstream.errors import InternalError, InvalidParameterError, SlipstreamError
from slipstream.llm import engine as llm
from slipstream.serving.answer import Answer
from slipstream.serving.events import done as _done
from slipstream.serving.failures import described, failure_answer
from slipstream.serving.frames import Ask, Closed, Done, Opened, Piece, Start, Stats
from slipstream.serving.outbox import Outbox
from slipstream.serving.protocols import PROTOCOLS
from slipstream.serving.question import TextQuestion

if TYPE_CHECKING:
    from slipstream.llm.model import TextModel
    from slipstream.serving.served import ServedModel

SSE = "text/event-stream; charset=utf-8"
_encode = msgspec.json.Encoder().encode


class TextAnswers:
    """All answers of one language model that are under way."""

    def __init__(self, model: "TextModel", outbox: Outbox, start: Start) -> None:
        self._model = model
        self._outbox = outbox
        self._most_new = start.max_new_tokens
        self._most_prompt = start.max_prompt_tokens
        self._under_way: dict[int, _TextAnswer] = {}
        self._empty = threading.Condition()

    def begin(self, model: "ServedModel", ask: Ask) -> bool:
        """Start to answer a request; False if it is none that the engine answers."""
        protocol = PROTOCOLS[ask.protocol]
        try:
            question = protocol.read(model, ask.operation, ask.body, ask.header)
            if isinstance(question, Answer):
                self._outbox.put(_done(ask, question))
                return True
            if not isinstance(question, TextQuestion):
                return False
            self._check(question)
            _TextAnswer(self, ask, question).start()
        except Exception as error:  # noqa: BLE001  # whatever it is, the others' answers go on
            self._outbox.put(_done(ask, failure_answer(protocol.refusal, error)))
        return True

    def _check(self, question: TextQuestion) -> None:
        wanted, most = len(question.prompts) * (question.request.n or 1), self._model.engine.most_waiting
        if wanted > most:  # it would be told to try again for ever
            raise InvalidParameterError(
                f"The request asks for {wanted} answers ('n' times the number of prompts); this server takes {most} at "
                "most. Send several requests."
            )
        longest = max(map(len, question.prompts))
        if self._most_prompt is not None and longest > self._most_prompt:
            raise InvalidParameterError(
                f"The prompt has {longest} tokens; this server takes {self._most_prompt} at most (--max-prompt-tokens)."
            )
        for name in ("max_tokens", "max_completion_tokens"):
            wanted = getattr(question.request, name, None)
            if self._most_new is not None and wanted is not None and wanted > self._most_new:
                raise InvalidParameterError(
                    f"Invalid value {wanted} for '{name}': this server generates {self._most_new} tokens at most "
                    "(--max-tokens)."
                )

    def cancel(self, ask_id: int) -> bool:
        """Stop generating for a request; False if it is not here."""
        answer = self._under_way.get(ask_id)
        if answer is None:
            return False
        answer.cancel()
        return True

    def finish(self) -> None:
        """Wait until all is answered, then let go of the model."""
        with self._empty:
            self._empty.wait_for(lambda: not self._under_way)
        self._model.close()

    # -- for the answers ----------------------------------------------------------------------------------
    def generate(self, answer: "_TextAnswer") -> None:
        """Hand a request to the engine."""
        question = answer.question
        sampling = self._model.settings_of(question.request)
        if self._most_new is not None and (sampling.max_tokens or self._most_new + 1) > self._most_new:
            sampling = msgspec.structs.replace(sampling, max_tokens=self._most_new)
        answers = question.request.n or 1
        self._under_way[answer.ask.id] = answer
        try:
            for number, prompt in enumerate(question.prompts):
                generation = llm.Generation(prompt, sampling, answers, answer.listener(number * answers))
                answer.generations.append(generation)
                self._model.engine.submit(generation)
        except SlipstreamError:
            answer.drop()
            raise

    def forget(self, answer: "_TextAnswer") -> None:
        with self._empty:
            self._under_way.pop(answer.ask.id, None)
            self._empty.notify_all()

    def put(self, event: Done | Opened | Piece | Closed) -> None:
        self._outbox.put(event)


class _TextAnswer:
    """One request: collects what the engine tells, or passes it on. Called on the engine's thread once it runs."""

    def __init__(self, home: TextAnswers, ask: Ask, question: TextQuestion) -> None:
        self.ask = ask
        self.question = question
        self.generations: list[llm.Generation] = []
        self._home = home
        self._protocol = PROTOCOLS[ask.protocol]
        count = len(question.prompts) * (question.request.n or 1)
        self._texts: list[list[str]] = [[] for _ in range(count)]
        self._reasons = [""] * count
        self._left = count
        self._tokens = 0
        self._began = time.perf_counter()
        self._first: float | None = None
        self._over = False

    def drop(self) -> None:
        """Tell nothing more, and generate nothing more."""
        self._over = True
        for generation in self.generations:
            generation.cancel()
        self._home.forget(self)

    def start(self) -> None:
        # What the engine refuses is answered as a whole: nothing is opened before it has accepted.
        self._home.generate(self)

    def listener(self, offset: int) -> "_Listener":
        return _Listener(self, offset)

    def cancel(self) -> None:
        for generation in self.generations:
            generation.cancel()
        # The engine tells nothing more of it.
        self._end(Done(self.ask.id, 499, b"", "text/plain", stats=self._stats()))

    def take(self, event: llm.Event, offset: int) -> None:
        if self._over:
            return
        if isinstance(event, llm.Failed):
            for generation in self.generations:
                generation.cancel()
            self._fail(event.error)
            return
        if self._first is None:
            self._first = time.perf_counter() - self._began
            if self.question.chunks is not None:
                self._home.put(Opened(self.ask.id, 200, SSE))
                self._send(self.question.chunks.begin())
        if isinstance(event, llm.Piece):
            if self.question.chunks is None:
                self._texts[event.index + offset].append(event.text)
        else:
            self._reasons[event.index + offset] = event.reason
            self._tokens += event.completion_tokens
            self._left -= 1
        if self.question.chunks is not None:
            self._send(self.question.chunks.take(event))
        if not self._left:
            self._finish()

    def _send(self, chunks: Sequence[object]) -> None:
        if chunks:
            self._home.put(Piece(self.ask.id, b"".join(b"data: %b\n\n" % _encode(each) for each in chunks)))

    def _finish(self) -> None:
        chunks = self.question.chunks
        if chunks is not None:
            self._send(chunks.end())
            self._home.put(Piece(self.ask.id, self._protocol.LAST_EVENT))
            self._end(Closed(self.ask.id, self._stats()))
            return
        prompt_tokens = sum(map(len, self.question.prompts))
        try:
            texts = ["".join(pieces) for pieces in self._texts]
            answer = self.question.finish(texts, self._reasons, prompt_tokens, self._tokens)
        except Exception as error:  # noqa: BLE001  # the engine's thread goes on with the other answers
            answer = failure_answer(self._protocol.refusal, error)
        self._end(_done(self.ask, answer, self._stats()))

    def _fail(self, error: Exception) -> None:
        known = (
            error
            if isinstance(error, SlipstreamError)
            else InternalError(f"The model failed: {described(error)}")
        )
        if self.question.chunks is None or self._first is None:
            self._end(_done(self.ask, self._protocol.refusal(known), self._stats()))
            return
        self._home.put(Piece(self.ask.id, self._protocol.error_event(known)))
        self._end(Closed(self.ask.id, self._stats()))

    def _end(self, event: Done | Closed) -> None:
        if self._over:
            return
        self._over = True
        self._home.put(event)
        self._home.forget(self)

    def _stats(self) -> Stats:
        return Stats(
            seconds=time.perf_counter() - self._began,
            prompt_tokens=sum(map(len, self.question.prompts)),
            completion_tokens=self._tokens,
            first_token_seconds=self._first,
        )


class _Listener:
    """What the engine calls for one prompt of a request."""

    def __init__(self, answer: _TextAnswer, offset: int) -> None:
        self._answer = answer
        self._offset = offset

    def __call__(self, event: llm.Event) -> None:
        self._answer.take(event, self._offset)
