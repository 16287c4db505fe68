"""Values of other programs as they can be kept here: JSON of strangers, nested settings, times."""

import hashlib
import json
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, cast

from slipstream.errors import InvalidParameterError

_DEEPEST = 100
_SPELLED = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_SECONDS_END = 10**11
"""Smaller numbers are seconds (until the year 5138), others milliseconds (from 1973 on)."""


def derived_id(*parts: str) -> str:
    """Return the run id that always comes of the same names, in the form of MLflow's."""
    text = "\0".join(parts)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def read_json(content: str | bytes) -> Any:
    """Return what JSON holds, with the NaN and Infinity that many write.

    Raises:
        InvalidParameterError: it is none, or nested too deep.
    """
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise InvalidParameterError(f"it is not valid JSON: {str(error)[:200]}") from error
    level = [document]
    for _ in range(_DEEPEST):
        level = [below for each in level for below in _below(each)]
        if not level:
            return document
    raise InvalidParameterError(f"its JSON is nested more than {_DEEPEST} deep.")


def _below(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return list(cast("dict[str, Any]", value).values())
    return cast("list[Any]", value) if isinstance(value, list) else []


def leaves(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield the values of nested mappings with their paths, joined by points."""
    if isinstance(value, dict) and value:
        for name, below in cast("dict[str, Any]", value).items():
            yield from leaves(f"{key}.{name}" if key else name, below)
    else:
        yield key, value


def number_of(value: Any, *, spelled: bool = False) -> float | None:
    """Return a number as a double; `None` for what is no number. `spelled` takes the texts NaN and Infinity for some."""
    if isinstance(value, int | float):
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    if spelled and isinstance(value, str):
        return _SPELLED.get(value)
    return None


def text_of(value: Any) -> str:
    """Return a value as a text, spelled as MLflow's client does: `str()`, and JSON for lists and mappings."""
    if isinstance(value, list | dict):
        value = json.dumps(value, ensure_ascii=False)
    return fit_text(str(value))


def fit_text(text: str) -> str:
    """Return a text that every database takes: no half characters, no NUL."""
    return text.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")


def seconds_to_ms(seconds: float) -> int | None:
    """Return a Unix time in milliseconds; `None` for what is none."""
    if not 0 <= seconds < 2**63 / 1000:
        return None
    return round(seconds * 1000)


def time_of(value: Any) -> int | None:
    """Return a time in milliseconds: from seconds, milliseconds, or ISO 8601 (UTC, unless it says otherwise)."""
    if isinstance(value, datetime):
        moment = value if value.tzinfo else value.replace(tzinfo=UTC)
        return round(moment.timestamp() * 1000)
    if isinstance(value, int) and value >= _SECONDS_END:
        return value
    if isinstance(value, int | float):
        number = float(value)
        return seconds_to_ms(number if number < _SECONDS_END else number / 1000)
    text = "" if value is None else str(value).strip()
    try:
        return time_of(int(text) if text.isdigit() and len(text) < 20 else float(text))
    except ValueError:
        pass
    try:
        return time_of(datetime.fromisoformat(text))
    except (ValueError, OverflowError, OSError):
        return None
