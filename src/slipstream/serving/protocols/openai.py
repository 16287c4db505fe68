"""OpenAI's protocol: chat, completions, embeddings, the list of models; whole or as server-sent events.

Errors have OpenAI's shape, `{"error": {message, type, param, code}}`, which its client turns into exceptions.
"""

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

import msgspec

from slipstream.errors import BadRequestError, InvalidParameterError, NotFoundError, SlipstreamError
from slipstream.llm import model as text_model
from slipstream.llm.engine import Event, Failed, Finished, Generation
from slipstream.llm.messages import ChatRequest, CompletionRequest, EmbeddingRequest
from slipstream.llm.requests import parse
from slipstream.llm.signatures import CHAT, COMPLETIONS, EMBEDDINGS
from slipstream.serving.answer import Answer, EventStream
from slipstream.serving.served import ServedModel

_TYPES = {400: "invalid_request_error", 401: "authentication_error", 403: "permission_error", 404: "not_found_error",
          429: "rate_limit_error"}  # fmt: skip
_DONE = b"data: [DONE]\n\n"

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


def error_answer(error: SlipstreamError) -> Answer:
    """Describe an error in OpenAI's shape."""
    status = error.status
    headers = ((b"retry-after", b"1"),) if status in (429, 503) else ()
    return Answer(status, _encode({"error": _describe(error)}), headers=headers)


def read_object(body: bytes) -> dict[str, Any]:
    """Return the request's JSON object.

    Raises:
        BadRequestError: it is no JSON, or no object.
    """
    try:
        value = _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequestError(f"The body is not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise BadRequestError(f"The body must be a JSON object, got {type(value).__name__}.")
    return value  # pyright: ignore[reportUnknownVariableType]


def models(model: ServedModel) -> Answer:
    """List what is served."""
    entry = {"id": model.name, "object": "model", "created": model.loaded_at, "owned_by": "slipstream"}
    return Answer(200, _encode({"object": "list", "data": [entry]}))


def embeddings(model: ServedModel, payload: dict[str, Any]) -> Answer:
    """Answer `POST /v1/embeddings`."""
    _require_task(model, EMBEDDINGS)
    request = parse(payload, EmbeddingRequest)
    _require_name(model, request.model)
    (result,) = model.predict([payload])
    result["model"] = model.name
    if request.encoding_format == "base64":
        import base64
        import struct

        for each in result["data"]:
            vector = each["embedding"]
            each["embedding"] = base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
    return Answer(200, _encode(result))


def begin_chat(model: ServedModel, payload: dict[str, Any]) -> tuple[ChatRequest, list[int]]:
    """Check a chat request and return it with its prompt's tokens; what costs time before generation."""
    _require_task(model, CHAT)
    request = parse(payload, ChatRequest)
    _require_name(model, request.model)
    assert model.text is not None
    return request, model.text.chat_prompt(request)


def begin_completion(
    model: ServedModel, payload: dict[str, Any]
) -> tuple[CompletionRequest, list[list[int]]]:
    """Check a completion request and return it with its prompts' tokens."""
    _require_task(model, COMPLETIONS)
    request = parse(payload, CompletionRequest)
    _require_name(model, request.model)
    assert model.text is not None
    prompts = [request.prompt] if isinstance(request.prompt, str) else request.prompt
    if request.stream and len(prompts) > 1:
        raise InvalidParameterError("A streamed completion takes one 'prompt', not a list of them.")
    return request, [model.text.encode(prompt) for prompt in prompts]


async def events(
    model: text_model.TextModel, prompt: list[int], request: ChatRequest | CompletionRequest
) -> AsyncGenerator[Event]:
    """Yield the events of one generation on the event loop; closing it stops the model."""
    loop = asyncio.get_running_loop()
    arrived: asyncio.Queue[Event] = asyncio.Queue()

    def notify(event: Event) -> None:
        try:
            loop.call_soon_threadsafe(arrived.put_nowait, event)
        except RuntimeError:  # the loop is closed: the server has ended meanwhile
            generation.cancel()

    generation = Generation(prompt, model.settings_of(request), request.n or 1, notify)
    model.engine.submit(generation)
    left = generation.answers
    try:
        while left:
            event = await arrived.get()
            if isinstance(event, Failed):
                raise event.error
            left -= isinstance(event, Finished)
            yield event
    finally:
        generation.cancel()


def stream(
    model: text_model.TextModel, prompt: list[int], request: ChatRequest | CompletionRequest
) -> EventStream:
    """Return an answer that is sent while it is generated."""
    if isinstance(request, ChatRequest):
        chunks: Any = text_model.ChatChunks(model.name, len(prompt), request)
    else:
        chunks = text_model.TextChunks(model.name, len(prompt), request)
    return EventStream(_server_sent(chunks, events(model, prompt, request)))


async def _server_sent(chunks: Any, source: AsyncGenerator[Event]) -> AsyncGenerator[bytes]:
    try:
        for chunk in chunks.begin():
            yield b"data: %b\n\n" % _encode(chunk)
        async for event in source:
            for chunk in chunks.take(event):
                yield b"data: %b\n\n" % _encode(chunk)
        for chunk in chunks.end():
            yield b"data: %b\n\n" % _encode(chunk)
        yield _DONE
    except SlipstreamError as error:
        # The status is sent already; the client finds the error among the events.
        yield b"data: %b\n\n" % json.dumps({"error": _describe(error)}).encode()
    finally:
        await source.aclose()


def _describe(error: SlipstreamError) -> dict[str, Any]:
    return {
        "message": str(error),
        "type": _TYPES.get(error.status, "server_error"),
        "param": None,
        "code": error.code,
    }


def _require_task(model: ServedModel, task: str) -> None:
    if model.task != task:
        does = f"it does {model.task}" if model.task else "it is no language model; use POST /invocations"
        raise InvalidParameterError(f"The model '{model.name}' does not do {task}: {does}.")


def _require_name(model: ServedModel, name: str | None) -> None:
    if name is not None and name != model.name:
        raise NotFoundError(f"The model '{name}' is not served here; '{model.name}' is.")

