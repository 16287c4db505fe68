"""OpenAI's API: chat, completions and embeddings, whole or streamed (platform.openai.com/docs/api-reference).

A model that was logged for one of these tasks answers, whatever it is made of.
"""

import base64
import struct
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

import msgspec

from slipstream.errors import BadRequestError, InternalError, InvalidParameterError, SlipstreamError
from slipstream.llm.messages import ChatRequest, CompletionRequest, EmbeddingRequest
from slipstream.llm.requests import parse
from slipstream.llm.signatures import CHAT, COMPLETIONS, EMBEDDINGS
from slipstream.serving.answer import Answer
from slipstream.serving.encoding import encode
from slipstream.serving.question import Question, TextQuestion
from slipstream.serving.text_questions import chat_question, completion_question

if TYPE_CHECKING:
    from slipstream.serving.served import ServedModel

NAME = "openai"
ROUTES = {
    ("POST", "/v1/chat/completions"): CHAT,
    ("POST", "/v1/completions"): COMPLETIONS,
    ("POST", "/v1/embeddings"): EMBEDDINGS,
}
BODY_HEADER = b"content-type"
LAST_EVENT = b"data: [DONE]\n\n"

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_KINDS: Mapping[int, str] = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}


class _Addressed(msgspec.Struct, frozen=True):
    model: Any = None


_decode_address = msgspec.json.Decoder(_Addressed).decode


def choose(body: bytes) -> str | None:
    """Return the model that a request names.

    Raises:
        BadRequestError: the body is no JSON object, or its `model` is no text.
    """
    try:
        name = _decode_address(body).model
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequestError(f"The body is not a valid JSON object: {error}.") from error
    if name is not None and not isinstance(name, str):
        raise InvalidParameterError(f"Invalid value for 'model': it is a text, not {type(name).__name__}.")
    return name


def read(
    model: "ServedModel", operation: str, body: bytes, _content_type: str | None
) -> Question | TextQuestion | Answer:
    """Understand a request.

    Raises:
        InvalidParameterError: a field is wrong or unknown, or the model's task is another.
    """
    payload = _object(body)
    if model.task != operation:
        does = f"its task is '{model.task}'" if model.task else "it was logged without a task"
        raise InvalidParameterError(
            f"Model '{model.name}' cannot be asked for '{operation}': {does}. Use POST /invocations, or log it with "
            f"task='{operation}'."
        )
    if model.text is not None:
        if operation == CHAT:
            return chat_question(model.text, parse(payload, ChatRequest), model.name)
        return completion_question(model.text, parse(payload, CompletionRequest), model.name)
    if operation == EMBEDDINGS:
        return _embedding_question(model, payload)
    return _foreign_question(model, payload)


def _embedding_question(model: "ServedModel", payload: dict[str, Any]) -> Question:
    request = parse(payload, EmbeddingRequest)
    asked = {"input": request.input}
    packed = request.encoding_format == "base64"

    def finish(result: Any) -> Answer:
        answer = _only(result)
        answer["model"] = model.name
        if packed and isinstance(answer.get("data"), list):
            answer["data"] = [_packed(item) for item in cast("list[Any]", answer["data"])]
        return Answer(200, encode(answer, wrapped=False))

    return Question(data=asked, finish=finish)


def _packed(item: Any) -> Any:
    """Return one embedding as base64, in a copy: the model may keep its answer and give it again."""
    if not isinstance(item, dict):
        return item
    entry = cast("dict[str, Any]", item)
    vector: Any = entry.get("embedding")
    if hasattr(vector, "tolist"):  # an array
        vector = vector.tolist()
    if not isinstance(vector, list):
        return entry
    values = cast("list[float]", vector)
    try:
        octets = struct.pack(f"<{len(values)}f", *values)
    except (struct.error, OverflowError) as error:
        raise InternalError(
            f"The model answered with an embedding that has no base64 form ({error}); ask with encoding_format 'float'."
        ) from error
    return {**entry, "embedding": base64.b64encode(octets).decode()}


def _foreign_question(model: "ServedModel", payload: dict[str, Any]) -> Question:
    """Ask a model of somebody's own making, which takes OpenAI's request as it is."""
    stream = payload.get("stream") is True
    if stream and not model.streams:
        raise InvalidParameterError(
            f"Model '{model.name}' does not stream: it has no predict_stream. Leave out 'stream'."
        )
    asked = {key: value for key, value in payload.items() if key != "model"}

    def finish(result: Any) -> Answer:
        return Answer(200, encode(_only(result), wrapped=False))

    return Question(data=asked, finish=finish, stream=stream)


def refusal(error: SlipstreamError, stack_trace: str | None = None) -> Answer:
    """Tell of an error in OpenAI's shape."""
    headers = ((b"retry-after", b"1"),) if error.status in (429, 503) else ()
    return Answer(error.status, _encode(_describe(error)), headers=headers)


def event(part: Any) -> bytes:
    """Return a part of a streamed answer as a server-sent event."""
    return b"data: %b\n\n" % encode(part, wrapped=False)


def error_event(error: SlipstreamError) -> bytes:
    """Tell of an error in the midst of a stream."""
    return b"data: %b\n\n" % _encode(_describe(error))


def _describe(error: SlipstreamError) -> dict[str, Any]:
    kind = _KINDS.get(error.status, "invalid_request_error" if error.status < 500 else "server_error")
    return {"error": {"message": str(error), "type": kind, "param": None, "code": error.code}}


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = _decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequestError(f"The body is not a valid JSON object: {error}.") from error
    if not isinstance(value, dict):
        raise BadRequestError("The body must be a JSON object.")
    return cast("dict[str, Any]", value)


def _only(result: Any) -> dict[str, Any]:
    """Return the one answer in what a model gave for one request."""
    entries = cast("list[Any]", result) if isinstance(result, list) else []
    one: Any = entries[0] if len(entries) == 1 else cast("Any", result)
    dump: Any = getattr(one, "model_dump", None) or getattr(one, "to_dict", None)
    if not isinstance(one, dict) and callable(dump):
        one = dump()
    if not isinstance(one, dict):
        raise InternalError(
            f"The model answered with {type(one).__name__}; one of this task gives an object in OpenAI's shape."
        )
    return dict(cast("dict[str, Any]", one))
