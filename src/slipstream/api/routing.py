"""The table of routes: what the server answers and what the SDK may ask, declared once.

A route is a plain function from a store and a request message to a response message. It never sees HTTP.
The server binds the table to HTTP in one place, `client/rest.py` reads paths and types from it,
and `openapi.py` describes it. A route without a permission cannot be declared.

Flow of one call: bytes -> `Route.decode` (typed, forgiving as MLflow's protobuf parser is) -> handler
(store, request) -> response struct -> `encode`.
"""

import enum
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import UnionType
from typing import Any, TypeVar, cast, get_args, get_type_hints

import msgspec

from slipstream.errors import InvalidParameterError
from slipstream.wire.parsing import check_texts, fields_of, rename_camel_case

API = "/api/2.0/mlflow/"
AJAX = "/ajax-api/2.0/mlflow/"
OWN = "/api/slipstream/v1/"
OWN_AJAX = "/ajax-api/slipstream/v1/"

HandlerT = TypeVar("HandlerT", bound=Callable[..., Any])


class Permission(enum.StrEnum):
    """What a caller must be allowed to do. Every route declares one."""

    PUBLIC = "public"
    """Answered without authentication: liveness only."""
    READ = "read"
    WRITE = "write"
    DELETE = "delete"


class Request(msgspec.Struct, kw_only=True):
    """Base of all request messages. Unknown fields are ignored, `null` counts as absent."""


class Response(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Base of all response messages: what is empty or unset is left out, as MLflow does."""


class Empty(Response, kw_only=True):
    """The response `{}`."""


class Encoded(msgspec.Struct, frozen=True):
    """What a handler returns in place of its response message where that would be large: the message as JSON."""

    text: bytes
    etag: str | None = None
    """The same for the same content; a client that has it already is told so, and nothing more."""


class StreamRequest(Request, kw_only=True):
    """Base of requests for a stream, which say the format that it comes in."""

    format: str | None = None
    accept: str | None = None
    """The header of this name, filled in by the server: the format where `format` is absent."""


class Stream(msgspec.Struct, frozen=True):
    """The answer of a route that streams: bytes in pieces, each made when the one before is on its way."""

    content_type: str
    chunks: Iterator[bytes]
    file_name: str


class Subscription(msgspec.Struct, frozen=True):
    """The answer of a route that goes on: what a listener is told of, and from where on."""

    experiments: frozenset[int]
    run_ids: frozenset[str]
    """Runs of these experiments, and these runs."""
    cursor: int | None
    """Where an earlier stream ended."""
    models: bool = False
    """Registered models, all of them."""
    closely: frozenset[str] = frozenset()
    """Runs of which signs of life, what they print and changes of the runs below them are told, too."""

    @property
    def is_everything(self) -> bool:
        """Whether nothing is named: all experiments, runs and registered models are listened to."""
        return not (self.experiments or self.run_ids or self.models or self.closely)


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the table."""

    method: str
    path: str
    """With the prefix; `{name}` marks a path parameter."""
    permission: Permission
    writes: bool
    """Whether the handler runs in a writing transaction."""
    aside: bool
    """Whether the handler runs outside of any transaction, since it talks to other machines; each call of the store
    that it makes is a transaction of its own."""
    lists_files: Callable[[Any], bool] | None
    """Tells whether a request asks what files there are. Then it runs outside of any transaction, too, since files may be
    in an object store."""
    heavy: bool
    """Whether an answer may be made of all runs of an experiment, so that only few are made at a time."""
    streams: tuple[str, ...]
    """The content types of a route that answers with a `Stream`. Each call of the store is a transaction of its own."""
    listens: bool
    """Whether the handler returns a `Subscription`, for an answer that goes on until the client leaves."""
    handler: Callable[[Any, Any], Any]
    request_type: type[Request]
    response_type: Any
    decode: Callable[[bytes, Mapping[str, str]], Any]
    """(body, path parameters) -> request message."""
    decode_query: Callable[[Sequence[tuple[str, str]], Mapping[str, str]], Any]
    """(query pairs, path parameters) -> request message."""

    @property
    def summary(self) -> str:
        return (self.handler.__doc__ or "").strip().split("\n", 1)[0]


ROUTES: dict[tuple[str, str], Route] = {}
"""By method and path, each path under `/api/...` and again under `/ajax-api/...`."""


def route(
    method: str,
    path: str,
    *,
    permission: Permission,
    writes: bool | None = None,
    aside: bool = False,
    lists_files: Callable[[Any], bool] | None = None,
    heavy: bool = False,
    streams: tuple[str, ...] = (),
    listens: bool = False,
    also: Sequence[str] = (),
    prefixes: Sequence[str] = (API, AJAX),
) -> Callable[[HandlerT], HandlerT]:
    """Declare a route.

    Args:
        method: HTTP method.
        path: relative to the prefixes, or absolute when it begins with `/`.
        permission: what the caller must be allowed to do.
        writes: whether the handler needs a writing transaction; by default all but READ do.
        aside: whether the handler must not be inside a transaction, since it waits for other machines.
        lists_files: tells whether a request asks what files there are; it must not be inside a transaction either.
        heavy: whether an answer may be made of all runs of an experiment; see `Route.heavy`.
        streams: the content types that it may answer with, where the handler returns a `Stream`.
        listens: whether the handler returns a `Subscription` instead.
        also: further methods that mean the same.
        prefixes: where it is mounted.
    """

    def register(handler: HandlerT) -> HandlerT:
        hints = get_type_hints(handler)
        request_type: type[Request] = hints["req"]
        decode, decode_query = _decoders(request_type, ours=OWN in prefixes)
        paths = [path] if path.startswith("/") else [prefix + path for prefix in prefixes]
        for full in paths:
            for verb in (method, *also):
                assert (verb, full) not in ROUTES, f"{verb} {full} is declared twice"
                ROUTES[verb, full] = Route(
                    method=verb,
                    path=full,
                    permission=permission,
                    writes=not aside
                    and (
                        permission not in (Permission.READ, Permission.PUBLIC) if writes is None else writes
                    ),
                    aside=aside,
                    lists_files=lists_files,
                    heavy=heavy,
                    streams=streams,
                    listens=listens,
                    handler=handler,
                    request_type=request_type,
                    response_type=_message_of(hints["return"]),
                    decode=decode,
                    decode_query=decode_query,
                )
        return handler

    return register


_ENCODER = msgspec.json.Encoder()


def encode(response: Any) -> bytes:
    """Return a response message as JSON."""
    if type(response) is Encoded:
        return response.text
    return _ENCODER.encode(response)


def _message_of(returned: Any) -> Any:
    """Return the response message of a handler that returns it, or it or `Encoded`."""
    messages = [each for each in get_args(returned) if each is not Encoded]
    return messages[0] if isinstance(returned, UnionType) and len(messages) == 1 else returned


def _decoders(request_type: type[Request], *, ours: bool) -> tuple[Any, Any]:
    fields = fields_of(request_type)
    required = fields.required
    typed = msgspec.json.Decoder(request_type, strict=False).decode

    def check(request: Any) -> Any:
        for name in required:
            if not getattr(request, name) and getattr(request, name) in ("", None):
                raise _missing(name)
        return request

    def from_object(body: Any) -> Any:
        if not isinstance(body, dict):
            raise InvalidParameterError("The request body must be a JSON object.")
        check_texts(cast("dict[str, Any]", body))
        plain = rename_camel_case(cast("dict[str, Any]", body), fields)
        for name in required:
            if plain.get(name) in ("", None):
                raise _missing(name)
        try:
            return msgspec.convert(plain, request_type, strict=False)
        except msgspec.ValidationError as error:
            raise _invalid(error, plain) from error

    def slow(body: bytes, path: Mapping[str, str]) -> Any:
        """Take what the typed decoder refuses: other spellings, and bodies whose fault needs a name."""
        try:
            parsed: Any = json.loads(body) if body else {}
            if isinstance(parsed, str):  # JSON in a JSON string, as some clients send
                parsed = json.loads(parsed)
        except UnicodeDecodeError as error:
            raise InvalidParameterError(
                f"The request body is not valid Unicode at byte {error.start}. Send JSON in UTF-8."
            ) from error
        except ValueError as error:
            if ours:
                raise InvalidParameterError(f"The request body is not valid JSON: {error}.") from error
            parsed = {}  # MLflow reads what it cannot parse as empty, and so names the first missing field
        except RecursionError as error:
            raise InvalidParameterError(
                "The request body is nested too deeply. Send it with less levels of lists and objects."
            ) from error
        if path and isinstance(parsed, dict):
            parsed = _with_path(cast("dict[str, Any]", parsed), path)
        return from_object(parsed)

    def decode(body: bytes, path: Mapping[str, str] = {}) -> Any:  # read only
        if path or any(name in body for name in fields.camel_marks):
            return slow(body, path)
        try:
            return check(typed(body))
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return slow(body, path)

    def decode_query(pairs: Sequence[tuple[str, str]], path: Mapping[str, str] = {}) -> Any:
        values: dict[str, Any] = dict(path)
        for name, value in pairs:
            snake = fields.snake.get(name, name)
            if snake in fields.lists:
                values.setdefault(snake, []).append(value)
            elif snake in fields.names:
                values.setdefault(snake, value)  # of several the first counts, and the path's before all
        return from_object(values)

    return decode, decode_query


def _with_path(body: dict[str, Any], path: Mapping[str, str]) -> dict[str, Any]:
    """Return the body with the path's parameters; one that says something else than the path is refused."""
    for name, value in path.items():
        given = body.get(name)
        if given is not None and given != value:
            raise InvalidParameterError(
                f"The body's '{name}' is not that of the path, {json.dumps(value[:200])}. "
                "Send the same in both, or leave it out of the body."
            )
    return {**body, **path}


def _missing(name: str) -> InvalidParameterError:
    return InvalidParameterError(
        f"Missing value for required parameter '{name}'. "
        "See the API docs for more information about request parameters."
    )


_WHERE = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<path>.*)`)?$", re.DOTALL)


def _invalid(error: msgspec.ValidationError, body: object) -> InvalidParameterError:
    match = _WHERE.match(str(error))
    what, path = (match["what"], match["path"] or "") if match else (str(error), "")
    absent = re.search(r"missing required field `(\w+)`", what)
    if absent:
        return _missing(".".join(filter(None, (path, absent[1]))))
    value: Any = body
    try:
        for part in re.findall(r"\w+", path):
            value = value[int(part) if isinstance(value, list) else part]
        shown = json.dumps(value)
    except (KeyError, IndexError, TypeError, ValueError):
        shown = "?"
    return InvalidParameterError(
        f"Invalid value {shown[:200]} for parameter '{path or 'request'}' supplied: {what[0].lower()}{what[1:]}."
    )
