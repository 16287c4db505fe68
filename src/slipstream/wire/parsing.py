"""MLflow's requests as protobuf's JSON parser takes them: two spellings, numbers as texts, `null` as absent."""

import re
from collections.abc import Mapping
from types import UnionType
from typing import Annotated, Any, Union, cast, get_args, get_origin

import msgspec

from slipstream.errors import InvalidParameterError

Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""A 64-bit integer; beyond it neither database could keep the value."""


_DEEPEST = 100
"""Levels of lists and objects, as in protobuf's parser."""


class Fields(msgspec.Struct, frozen=True):
    """What has to be known of a request type to read it in any spelling."""

    names: frozenset[str]
    required: tuple[str, ...]
    lists: frozenset[str]
    snake: dict[str, str]
    """snake_case by camelCase, of this type and all types within."""
    camel_marks: tuple[bytes, ...]
    """The camelCase names as they would stand in a body, quoted; found by a plain search."""


def fields_of(request_type: type[msgspec.Struct]) -> Fields:
    """Describe a request type."""
    own = msgspec.structs.fields(request_type)
    every: set[str] = set()
    _collect(request_type, every, set())
    snake = {_camel(name): name for name in every if _camel(name) != name}
    return Fields(
        names=frozenset(field.name for field in own),
        required=tuple(field.name for field in own if field.required),
        lists=frozenset(field.name for field in own if _is_list(field.type)),
        snake=snake,
        camel_marks=tuple(f'"{name}"'.encode() for name in sorted(snake)),
    )


def check_texts(body: Mapping[str, Any]) -> None:
    r"""Refuse a body that could not be stored, quoted in an answer, or walked through.

    JSON can spell half of a surrogate pair (`"\\ud800"`), which is no character: neither a database takes it,
    nor can an answer repeat it.

    Raises:
        InvalidParameterError: a name or text is not valid Unicode, or the body is nested too deeply.
    """
    waiting: list[tuple[str, object, int]] = [("", body, 0)]
    while waiting:  # a loop: recursion ends earlier than what a client may nest
        path, value, depth = waiting.pop()
        if isinstance(value, str):
            _require_unicode(value, f"The value of '{path}'")
        elif isinstance(value, dict | list):
            if depth > _DEEPEST:
                raise InvalidParameterError(
                    f"'{path[:200]}' is nested more than {_DEEPEST} levels deep. Send it flatter."
                )
            if isinstance(value, list):
                items = cast("list[object]", value)
                waiting += [(f"{path}[{index}]", each, depth + 1) for index, each in enumerate(items)]
                continue
            for name, each in cast("dict[str, object]", value).items():
                _require_unicode(name, f"A name in '{path}'" if path else "A name in the request")
                waiting.append((f"{path}.{name}" if path else name, each, depth + 1))


def _require_unicode(text: str, what: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidParameterError(
            f"{what} is not valid Unicode: the character {text[error.start]!a} at position {error.start} "
            "is half of a surrogate pair. Send the pair or leave it out."
        ) from error


def rename_camel_case(body: Mapping[str, Any], fields: Fields) -> dict[str, Any]:
    """Return the body with snake_case names and without `null`s, at every depth.

    Raises:
        InvalidParameterError: one object holds a field in both spellings.
    """
    renamed: dict[str, Any] = {}
    for name, value in body.items():
        snake = fields.snake.get(name, name)
        if snake in renamed:
            raise InvalidParameterError(f"The field '{snake}' is given twice, as '{snake}' and in camelCase.")
        if value is None and snake in fields.names:
            continue
        renamed[snake] = _rename(value, fields)
    return renamed


def _rename(value: Any, fields: Fields) -> Any:
    if isinstance(value, dict):
        return rename_camel_case(cast("dict[str, Any]", value), fields)
    if isinstance(value, list):
        return [_rename(each, fields) for each in cast("list[Any]", value)]
    return value


def _camel(name: str) -> str:
    return re.sub(r"_(\w)", lambda match: match[1].upper(), name)


def _is_list(annotation: Any) -> bool:
    origin = get_origin(annotation)
    if origin is list:
        return True
    return origin in (Union, UnionType) and any(_is_list(each) for each in get_args(annotation))


def _collect(annotation: Any, names: set[str], seen: set[Any]) -> None:
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        if annotation in seen:
            return
        seen.add(annotation)
        for field in msgspec.structs.fields(annotation):
            names.add(field.name)
            _collect(field.type, names, seen)
    else:
        for each in get_args(annotation):
            _collect(each, names, seen)
