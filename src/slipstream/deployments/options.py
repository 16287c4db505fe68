"""The settings of a target (`-C name=value`): declared once, then read, checked and described from there."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from slipstream.errors import InvalidParameterError

Kind = Literal["text", "integer", "number", "boolean", "object", "names"]
_KINDS = {
    "text": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "object": "a JSON object",
    "names": "names with commas between them",
}
_WORDS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


@dataclass(frozen=True)
class Option:
    """One setting of a target."""

    name: str
    kind: Kind
    description: str
    least: float | None = None


def read_options(target: str, table: Sequence[Option], config: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the settings that were given, each of its kind: from the command line all of them come as text.

    Raises:
        InvalidParameterError: a name is unknown, or a value not of its kind.
    """
    known = {option.name: option for option in table}
    values: dict[str, Any] = {}
    for name, value in (config or {}).items():
        if name not in known:
            raise InvalidParameterError(
                f"The deployment target '{target}' has no setting '{name}'. It has: {', '.join(sorted(known))}."
            )
        values[name] = _read(known[name], value)
    return values


def describe(table: Sequence[Option]) -> str:
    """Write the settings as lines for a target's help."""
    width = max(len(option.name) for option in table) + 2
    return "\n".join(f"  {option.name.ljust(width)}{option.description}" for option in table)


def _read(option: Option, value: object) -> Any:
    found = _convert(option.kind, value)
    if found is None or (option.least is not None and found < option.least):
        least = "" if option.least is None else f", at least {option.least:g}"
        raise InvalidParameterError(
            f"The setting '{option.name}' must be {_KINDS[option.kind]}{least}, got {value!r}."
        )
    return found


def _convert(kind: Kind, value: Any) -> Any:
    """Return a value as its kind, or None if it is not of it."""
    if kind == "text":
        return value if isinstance(value, str) and value else None
    if kind == "boolean":
        return value if isinstance(value, bool) else _WORDS.get(str(value).strip().lower())
    if kind == "names":
        return _names(value)
    if kind == "object":
        return _object(value)
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    try:
        return int(str(value)) if kind == "integer" else float(value)
    except ValueError:
        return None


def _names(value: object) -> list[str] | None:
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",")]
    if not isinstance(value, (list, tuple)):
        return None
    names = cast("Sequence[object]", value)
    return [name for name in names if isinstance(name, str)] if names and all(names) else None


def _object(value: object) -> dict[str, Any] | None:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return None
    return dict(cast("Mapping[str, Any]", value)) if isinstance(value, Mapping) else None
