"""A language model as Python calls it: OpenAI's requests in, OpenAI's answers out."""

import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol, cast

import msgspec
from msgspec import UNSET, UnsetType

from slipstream.errors import InvalidParameterError
from slipstream.llm.engine import Event, Events, Finished, Piece, TextBackend, TextEngine
from slipstream.llm.messages import (
    AnswerMessage,
    ChatChoice,
    ChatChunk,
    ChatCompletion,
    ChatRequest,
    ChunkChoice,
    CompletionRequest,
    Delta,
    Message,
    TextChoice,
    TextCompletion,
    Usage,
)
from slipstream.llm.requests import parse, sampling_of
from slipstream.llm.sampling import Sampling
from slipstream.llm.signatures import CHAT

Payload = Mapping[str, Any]


class ChatBackend(TextBackend, Protocol):
    """A backend whose tokenizer knows how a conversation is written."""

    def encode_chat(self, messages: Sequence[Mapping[str, str]]) -> list[int]:
        """Return the tokens of a conversation, up to where the model's turn begins.

        Raises:
            InvalidParameterError: the template refuses the conversation, or there is none.
        """
        ...


class TextModel:
    """Chat or completion of one loaded model.

    Args:
        backend: the model.
        name: what answers call it.
        defaults: what holds where a request says nothing.
    """

    def __init__(self, backend: ChatBackend, name: str, defaults: Sampling) -> None:
        self.name = name
        self.defaults = defaults
        self.engine = TextEngine(backend)
        self._backend = backend

    # -- chat ---------------------------------------------------------------------------------------
    def chat(self, request: ChatRequest) -> ChatCompletion:
        """Answer a conversation."""
        prompt = self.chat_prompt(request)
        texts, reasons, tokens = self._collect(prompt, request)
        return ChatCompletion(
            id=_new_id("chatcmpl"),
            created=int(time.time()),
            model=self.name,
            choices=[
                ChatChoice(index, AnswerMessage("assistant", text), reason)
                for index, (text, reason) in enumerate(zip(texts, reasons, strict=True))
            ],
            usage=_usage(len(prompt), tokens),
        )

    def stream_chat(self, request: ChatRequest) -> "Stream":
        """Answer a conversation in chunks."""
        prompt = self.chat_prompt(request)
        return Stream(ChatChunks(self.name, len(prompt), request), self._start(prompt, request))

    def chat_prompt(self, request: ChatRequest) -> list[int]:
        """Return the tokens of a conversation."""
        for number, message in enumerate(request.messages):
            for field, text in (("role", message.role), ("content", message.text()), ("name", message.name)):
                _require_text(text or "", f"messages[{number}].{field}")
        return self._backend.encode_chat([_plain_message(message) for message in request.messages])

    # -- completion ---------------------------------------------------------------------------------
    def complete(self, request: CompletionRequest) -> TextCompletion:
        """Continue a text, or each of several."""
        choices: list[TextChoice] = []
        read = written = 0
        prompts = [request.prompt] if isinstance(request.prompt, str) else request.prompt
        # All are under way at once, so that they share the model's steps.
        started = [(text, self._encode(text)) for text in prompts]
        running = [(text, prompt, self._start(prompt, request)) for text, prompt in started]
        for text, prompt, events in running:
            answers, reasons, tokens = _gather(events, request.n or 1)
            read, written = read + len(prompt), written + tokens
            for answer, reason in zip(answers, reasons, strict=True):
                choices.append(TextChoice(len(choices), text + answer if request.echo else answer, reason))
        return TextCompletion(
            id=_new_id("cmpl"),
            created=int(time.time()),
            model=self.name,
            choices=choices,
            usage=_usage(read, written),
        )

    def stream_completion(self, request: CompletionRequest) -> "Stream":
        """Continue one text in chunks."""
        prompt = self.completion_prompt(request)
        return Stream(TextChunks(self.name, len(prompt), request), self._start(prompt, request))

    def completion_prompt(self, request: CompletionRequest) -> list[int]:
        """Return the tokens of the one text that a streamed completion continues."""
        if not isinstance(request.prompt, str):
            raise InvalidParameterError("A streamed completion takes one 'prompt', not a list of them.")
        return self._encode(request.prompt)

    def _encode(self, prompt: str) -> list[int]:
        _require_text(prompt, "prompt")
        return self._backend.encode(prompt)

    def settings_of(self, request: ChatRequest | CompletionRequest) -> Sampling:
        """Return how a request is generated, the model's defaults included."""
        return sampling_of(request).over(self.defaults)

    # -- inside -------------------------------------------------------------------------------------
    def _start(self, prompt: Sequence[int], request: ChatRequest | CompletionRequest) -> Events:
        return self.engine.generate(prompt, self.settings_of(request), request.n or 1)

    def _collect(
        self, prompt: Sequence[int], request: ChatRequest | CompletionRequest
    ) -> tuple[list[str], list[str], int]:
        return _gather(self._start(prompt, request), request.n or 1)

    def close(self) -> None:
        self.engine.close()


class ChatChunks:
    """Turns an engine's events into OpenAI's chunks: a role, pieces, a reason, and usage if asked for."""

    def __init__(self, name: str, prompt_tokens: int, request: ChatRequest) -> None:
        self._identity, self._created, self._name = _new_id("chatcmpl"), int(time.time()), name
        self._request = request
        self._prompt_tokens = prompt_tokens
        self._tokens = 0

    def begin(self) -> list[ChatChunk]:
        role = Delta(role="assistant", content="")
        return [self._chunk([ChunkChoice(index, role)]) for index in range(self._request.n or 1)]

    def take(self, event: Event) -> list[ChatChunk]:
        if isinstance(event, Piece):
            return [self._chunk([ChunkChoice(event.index, Delta(content=event.text))])]
        if isinstance(event, Finished):
            self._tokens += event.completion_tokens
            return [self._chunk([ChunkChoice(event.index, Delta(), event.reason)])]
        return []

    def end(self) -> list[ChatChunk]:
        if not _wants_usage(self._request):
            return []
        return [self._chunk([], _usage(self._prompt_tokens, self._tokens))]

    def _chunk(self, choices: list[ChunkChoice], usage: Usage | UnsetType = UNSET) -> ChatChunk:
        return ChatChunk(
            id=self._identity, created=self._created, model=self._name, choices=choices, usage=usage
        )


class TextChunks:
    """Turns an engine's events into the pieces of a streamed completion."""

    def __init__(self, name: str, prompt_tokens: int, request: CompletionRequest) -> None:
        self._identity, self._created, self._name = _new_id("cmpl"), int(time.time()), name
        self._request = request
        self._prompt_tokens = prompt_tokens
        self._tokens = 0

    def begin(self) -> list[TextCompletion]:
        if not self._request.echo:
            return []
        prompt = cast("str", self._request.prompt)
        return [self._chunk([TextChoice(index, prompt, None)]) for index in range(self._request.n or 1)]

    def take(self, event: Event) -> list[TextCompletion]:
        if isinstance(event, Piece):
            return [self._chunk([TextChoice(event.index, event.text, None)])]
        if isinstance(event, Finished):
            self._tokens += event.completion_tokens
            return [self._chunk([TextChoice(event.index, "", event.reason)])]
        return []

    def end(self) -> list[TextCompletion]:
        if not _wants_usage(self._request):
            return []
        return [self._chunk([], _usage(self._prompt_tokens, self._tokens))]

    def _chunk(self, choices: list[TextChoice], usage: Usage | UnsetType = UNSET) -> TextCompletion:
        return TextCompletion(
            id=self._identity, created=self._created, model=self._name, choices=choices, usage=usage
        )


class Stream:
    """One answer under way: iterate over its chunks; `close` stops the model."""

    def __init__(self, chunks: ChatChunks | TextChunks, events: Events) -> None:
        self._events = events
        self._parts = self._run(chunks)

    def _run(self, chunks: ChatChunks | TextChunks) -> Iterator[ChatChunk | TextCompletion]:
        yield from chunks.begin()
        for event in self._events:
            yield from chunks.take(event)
        yield from chunks.end()

    def __iter__(self) -> "Stream":
        return self

    def __next__(self) -> ChatChunk | TextCompletion:
        return next(self._parts)

    def close(self) -> None:
        cast("Any", self._parts).close()
        self._events.close()

    def __del__(self) -> None:
        self.close()


def _wants_usage(request: ChatRequest | CompletionRequest) -> bool:
    return request.stream_options is not None and request.stream_options.include_usage


def payloads_of(data: Any, field: str) -> list[dict[str, Any]]:
    """Return the requests in what `predict` was given.

    Args:
        data: a request as a dict; a list of requests; a conversation (a list of messages); a text or a list of
            texts; or a DataFrame with a request in each row.
        field: the request's main field: "messages", "prompt" or "input".

    Raises:
        InvalidParameterError: it is none of these.
    """
    if hasattr(data, "to_dict") and hasattr(data, "columns"):
        rows = cast("list[dict[Any, Any]]", data.to_dict(orient="records"))
        if list(data.columns) == [0]:  # a column without a name holds the main field
            return [{field: row[0]} for row in rows]
        return [{str(name): value for name, value in row.items()} for row in rows]
    if hasattr(data, "model_dump"):
        data = data.model_dump(exclude_none=True)
    if isinstance(data, str):
        return [{field: data}]
    if isinstance(data, Mapping):
        return [dict(cast("Mapping[str, Any]", data))]
    if isinstance(data, (list, tuple)):
        items: list[Any] = list(cast("Sequence[Any]", data))
        if items and field == "messages" and all(_is_message(item) for item in items):
            return [{field: items}]
        if items and all(isinstance(item, str) for item in items):
            return [{field: item} for item in items]
        if items and all(isinstance(item, Mapping) for item in items):
            return [dict(item) for item in items]
    raise InvalidParameterError(
        f"The model takes a dict with '{field}', a list of such dicts, or a DataFrame with a column '{field}'; got "
        f"{type(cast('Any', data)).__name__} {repr(cast('Any', data))[:100]}."
    )


def predict_chat(model: TextModel, data: Any) -> list[dict[str, Any]]:
    """Answer every conversation in `data`; all are under way at once."""
    requests = [parse(payload, ChatRequest) for payload in payloads_of(data, "messages")]
    return _together(requests, model.chat)


def predict_completion(model: TextModel, data: Any) -> list[dict[str, Any]]:
    """Continue every text in `data`; all are under way at once."""
    requests = [parse(payload, CompletionRequest) for payload in payloads_of(data, "prompt")]
    return _together(requests, model.complete)


def predict_stream(model: TextModel, task: str, data: Any) -> Iterator[dict[str, Any]]:
    """Yield the chunks of the one answer that `data` asks for."""
    field = "messages" if task == CHAT else "prompt"
    payloads = payloads_of(data, field)
    if len(payloads) != 1:
        raise InvalidParameterError(f"predict_stream takes one request at a time, got {len(payloads)}")
    if task == CHAT:
        stream = model.stream_chat(parse(payloads[0], ChatRequest))
    else:
        stream = model.stream_completion(parse(payloads[0], CompletionRequest))
    return (msgspec.to_builtins(chunk) for chunk in stream)


def _together(requests: Sequence[Any], answer: Callable[[Any], Any]) -> list[dict[str, Any]]:
    if len(requests) == 1:
        return [msgspec.to_builtins(answer(requests[0]))]
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(min(len(requests), 32), thread_name_prefix="slipstream-rows") as threads:
        return [msgspec.to_builtins(each) for each in threads.map(answer, requests)]


def _gather(events: Iterator[Event], answers: int) -> tuple[list[str], list[str], int]:
    texts, reasons, tokens = [""] * answers, [""] * answers, 0
    for event in events:
        if isinstance(event, Piece):
            texts[event.index] += event.text
        elif isinstance(event, Finished):
            reasons[event.index] = event.reason
            tokens += event.completion_tokens
    return texts, reasons, tokens


def _require_text(text: str, field: str) -> None:
    """Refuse half a character, which JSON can spell and no tokenizer can read."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidParameterError(
            f"Invalid value for '{field}': it holds {text[error.start]!r}, which is half a character. Send both halves."
        ) from error


def _plain_message(message: Message) -> dict[str, str]:
    plain = {"role": message.role, "content": message.text()}
    return plain if message.name is None else {**plain, "name": message.name}


def _is_message(item: Any) -> bool:
    return isinstance(item, Mapping) and "role" in item and "messages" not in item


def _usage(prompt: int, completion: int) -> Usage:
    return Usage(prompt, completion, prompt + completion)


def _new_id(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex}"
