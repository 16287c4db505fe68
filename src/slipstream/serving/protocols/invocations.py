"""MLflow's scoring protocol: `POST /invocations`.

A request is one JSON object with exactly one of `dataframe_split`, `dataframe_records`, `instances` and
`inputs` (and maybe `params`), or an object for a language model (`messages`, `prompt` or `input`), or a CSV or
Parquet table. The answer is `{"predictions": ...}`, for a language model the result alone.

Everything here is a function of bytes and a model; HTTP is `serving.app`'s, threads are `serving.worker`'s.
"""

import io
import json
from typing import Any, NamedTuple, cast

import msgspec

from slipstream.errors import BadRequestError, InvalidParameterError, MissingDependencyError, SlipstreamError
from slipstream.llm.messages import ChatRequest, CompletionRequest
from slipstream.llm.model import TextModel
from slipstream.llm.requests import parse
from slipstream.llm.signatures import CHAT, COMPLETIONS
from slipstream.serving.answer import Answer, error_answer, text_answer
from slipstream.serving.casting import import_pandas
from slipstream.serving.encoding import encode
from slipstream.serving.failures import failure_answer
from slipstream.serving.question import Question, TextQuestion
from slipstream.serving.served import ServedModel
from slipstream.serving.text_questions import chat_question, completion_question

CSV = "text/csv"
JSON = "application/json"
PARQUET = "application/vnd.apache.parquet"
MEDIA_TYPES = (CSV, JSON, PARQUET)
FORMATS = ("dataframe_records", "dataframe_split", "inputs", "instances")
_LLM_KEYS = frozenset({"messages", "prompt", "input"})
_SHOWN_BYTES = 200

_decode_json = msgspec.json.Decoder().decode


class ModelInput(NamedTuple):
    """What a request asks of the model."""

    data: Any
    params: Any
    """An object, null or absent; whether it fits the signature is checked by the model."""
    wrapped: bool = True
    """The answer goes under the key `predictions`."""


class UnreadableMediaError(Exception):
    """The content type is none that the protocol knows; its text is the answer."""


# -- what every protocol has --------------------------------------------------------------------------
NAME = "invocations"
ROUTES = {
    ("POST", "/invocations"): "invocations",
    ("POST", "/models/{model}/invocations"): "invocations",
}
BODY_HEADER = b"content-type"
LAST_EVENT = b"data: [DONE]\n\n"


def choose(_body: bytes) -> str | None:
    """The body never names a model."""
    return None


def read(
    model: ServedModel, _operation: str, body: bytes, content_type: str | None
) -> Question | TextQuestion | Answer:
    """Understand a request.

    Raises:
        BadRequestError: the body is not of the protocol's form, or a value cannot be of its column's type.
        InvalidParameterError: a field of a language model's request is wrong; it is named.
    """
    try:
        media = media_type(content_type)
        if media != JSON:
            request = decode(model, body, media)
            return Question(data=request.data, finish=_finish_wrapped)
    except UnreadableMediaError as error:
        return text_answer(415, str(error))
    payload = parse_json(body)
    if model.text is not None and not _LLM_KEYS.isdisjoint(payload):
        question = text_question(model.text, model.task, payload, model.name)
        return question if question is not None else _whole_request(payload)
    stream = _take_stream(model, payload)
    rows = None if stream else model.rows.read(payload)
    if rows is not None:
        return Question(data=None, rows=rows, finish=_finish_wrapped)
    request = _decode_object(model, payload)
    return Question(
        data=request.data,
        params=request.params,
        stream=stream,
        finish=_finish_wrapped if request.wrapped else _finish_bare,
    )


def refusal(error: SlipstreamError, stack_trace: str | None = None) -> Answer:
    """Tell of an error in MLflow's shape."""
    return error_answer(error, stack_trace)


def event(part: Any) -> bytes:
    """Return a part of a streamed answer as a server-sent event."""
    return b"data: %b\n\n" % encode(part, wrapped=False)


def error_event(error: SlipstreamError) -> bytes:
    """Tell of an error in the midst of a stream."""
    return b"data: %b\n\n" % error_answer(error).body


def _finish_wrapped(result: Any) -> Answer:
    return Answer(200, encode(result))


def _finish_bare(result: Any) -> Answer:
    return Answer(200, encode(result, wrapped=False))


def _take_stream(model: ServedModel, payload: dict[str, Any]) -> bool:
    """Remove `stream` from a request whose model has no field of that name, and return it."""
    if "stream" not in payload or "stream" in model.field_names:
        return payload.get("stream") is True and model.streams
    stream = payload.pop("stream")
    if stream not in (True, False, None):
        raise BadRequestError(f"Invalid value {stream!r} for 'stream': send true or false.")
    if stream and not model.streams:
        raise BadRequestError("This model does not stream. Leave out 'stream', or send false.")
    return bool(stream)


def _whole_request(payload: dict[str, Any]) -> Question:
    return Question(data=payload, finish=_finish_bare)


def text_question(
    text: TextModel, task: str | None, payload: dict[str, Any], name: str
) -> TextQuestion | None:
    """Return what a language model is to generate for a request; None if its task is another."""
    if task == CHAT:
        return chat_question(text, parse(payload, ChatRequest), name, listed=True)
    if task == COMPLETIONS:
        return completion_question(text, parse(payload, CompletionRequest), name, listed=True)
    return None


def answer(model: ServedModel, body: bytes, content_type: str | None) -> Answer:
    """Answer one request, errors included; never raises for what a client or a model can do wrong."""
    try:
        request = decode(model, body, media_type(content_type))
        result = model.predict(request.data, request.params)
        return Answer(200, encode(result, wrapped=request.wrapped))
    except UnreadableMediaError as error:
        return text_answer(415, str(error))
    except (Exception, SystemExit) as error:  # noqa: BLE001  # logged there, if it is the server's fault
        return failure_answer(refusal, error)


def media_type(content_type: str | None) -> str:
    """Return the media type of a `Content-Type` header.

    Raises:
        UnreadableMediaError: unknown type, unknown parameter, or text that is not UTF-8.
    """
    if content_type == JSON:  # nearly always
        return JSON
    if content_type is None:
        raise UnreadableMediaError(
            f"The header Content-Type is missing. Use one of {', '.join(MEDIA_TYPES)}."
        )
    name, *pairs = [part.strip() for part in content_type.split(";")]
    parameters = {key: value for key, _, value in (pair.partition("=") for pair in pairs)}
    charset = parameters.pop("charset", "utf-8")
    if charset.lower() != "utf-8":
        raise UnreadableMediaError(f"Only UTF-8 is read here, not charset '{charset}'.")
    if parameters:
        raise UnreadableMediaError(
            f"Unknown content type parameters: {', '.join(parameters)}. Only 'charset=utf-8' may follow the type."
        )
    if name not in MEDIA_TYPES:
        raise UnreadableMediaError(
            f"Content type '{content_type}' is not read here. Use one of {', '.join(MEDIA_TYPES)}."
        )
    return name


def decode(model: ServedModel, body: bytes, media: str) -> ModelInput:
    """Turn a request's body into the model's input.

    Raises:
        BadRequestError: the body is not of the protocol's form, or a value cannot be of its column's type.
        InvalidParameterError: a model with type hints was not given `inputs`.
        UnreadableMediaError: the type needs a library that is not installed.
    """
    if media == JSON:
        return _decode_object(model, parse_json(body))
    if media == CSV:
        return ModelInput(_read_csv(model, body), None)
    return ModelInput(_read_parquet(body), None)


def parse_json(body: bytes) -> dict[str, Any]:
    """Parse the body's JSON object; NaN, infinities and a byte order mark are taken as Python takes them.

    Raises:
        BadRequestError: it is no JSON, or no object.
    """
    try:
        value = _decode_json(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        try:
            value = json.loads(body)
        except (ValueError, RecursionError) as error:
            shown = body[:_SHOWN_BYTES].decode("utf-8", "replace")
            raise BadRequestError(f"The body is not valid JSON: {error}. It begins: {shown!r}") from error
    if not isinstance(value, dict):
        kind = "a list" if isinstance(value, list) else type(value).__name__
        raise BadRequestError(
            f"The body must be a JSON object with one of the keys {_FORMAT_LIST}, got {kind}."
        )
    return cast("dict[str, Any]", value)


_FORMAT_LIST = ", ".join(f"'{name}'" for name in FORMATS)


def _decode_object(model: ServedModel, payload: dict[str, Any]) -> ModelInput:
    if not _LLM_KEYS.isdisjoint(payload):
        data = {key: value for key, value in payload.items() if key not in model.param_names}
        params = {key: value for key, value in payload.items() if key in model.param_names}
        return ModelInput(data, params, wrapped=False)
    params = payload.get("params")
    if model.from_type_hint:
        if "inputs" not in payload:
            raise InvalidParameterError(
                f"The model's input is described by type hints and goes under the key 'inputs'; got {sorted(payload)}."
            )
        return ModelInput(payload["inputs"], params)
    given = [name for name in FORMATS if name in payload]
    if len(given) != 1:
        raise BadRequestError(
            f"The JSON object needs exactly one of the keys {_FORMAT_LIST}; got {given or sorted(payload)}. Write for "
            'example {"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2]]}}.'
        )
    read = {
        "dataframe_split": model.caster.split_frame,
        "dataframe_records": model.caster.records_frame,
        "inputs": model.caster.from_inputs,
        "instances": model.caster.from_instances,
    }[given[0]]
    return ModelInput(read(payload[given[0]]), params)


def _read_csv(model: ServedModel, body: bytes) -> Any:
    pandas = import_pandas()
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadRequestError(f"The CSV text is not valid UTF-8: {error}.") from error
    table = io.StringIO(text)
    try:
        # pandas refuses a row that is longer than the one before it, but if that is the header, it takes the first
        # fields for an index, and every value lands in the column beside its own. Without a header it refuses.
        pandas.read_csv(table, header=None, nrows=2, dtype=object)

        def read(**options: Any) -> Any:
            table.seek(0)
            return pandas.read_csv(table, **options)

        frame = model.caster.csv_frame(read)
    except Exception as error:  # pandas raises many kinds here, all about the text
        reason = str(error).strip().rstrip(".")
        raise BadRequestError(f"The body is no CSV table with a header line: {reason}.") from error
    return model.caster.cast_frame(frame)


def _read_parquet(body: bytes) -> Any:
    try:
        pandas = import_pandas()
        return pandas.read_parquet(io.BytesIO(body))
    except (ImportError, MissingDependencyError) as error:
        raise UnreadableMediaError(
            f"Content type '{PARQUET}' needs pyarrow beside the server (pip install pyarrow): {error}"
        ) from error
    except Exception as error:  # pyarrow raises many kinds here, all about the file
        raise BadRequestError(f"The body is no Parquet table: {error}.") from error
