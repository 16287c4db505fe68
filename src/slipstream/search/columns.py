"""Names of columns of a table of runs: `params.lr`, `metrics.loss:min`, `metrics.loss:step=100`, ``metrics.`odd:min`:max``."""

import re
from collections.abc import Sequence
from typing import Literal, TypeAlias, cast

import msgspec

from slipstream.errors import InvalidParameterError
from slipstream.rules import limits
from slipstream.search.fields import RUNS
from slipstream.search.lexer import shown

Aggregate: TypeAlias = Literal["last", "min", "max", "first", "count", "step"]
AGGREGATES: tuple[Aggregate, ...] = ("last", "min", "max", "first", "count")
_STEP = re.compile(r"step=(-?\d{1,19})", re.ASCII)
_POINTS_ORDER = re.compile(
    r"\s*(?P<column>metrics?\..+:(?:min|max|first|count|step=-?\d{1,19}))(?:\s+(?P<way>asc|desc))?\s*",
    re.ASCII | re.IGNORECASE,
)
GROUPS = ("attributes", "metrics", "params", "tags")
"""What columns can be of, as users write it."""
ATTRIBUTES = ("run_id", "run_name", "status", "user_id", "start_time", "end_time", "artifact_uri")
TIMES = frozenset({"start_time", "end_time"})
MOST_COLUMNS = 500

_PREFIXES = {prefix: group.name for group in RUNS.groups[:4] for prefix in group.prefixes}


class Column(msgspec.Struct, frozen=True):
    """A column that was asked for."""

    text: str
    group: str
    """`attribute`, `metric`, `parameter` or `tag`."""
    key: str
    aggregate: Aggregate = "last"
    step: int = 0
    """Where `step` is wanted: which."""


def parse_columns(texts: "tuple[str, ...] | list[str]") -> list[Column]:
    """Parse names of columns.

    Raises:
        InvalidParameterError: one of them is none, or they are too many.
    """
    if len(texts) > MOST_COLUMNS:
        raise InvalidParameterError(
            f"'columns' has {len(texts)} names; at most {MOST_COLUMNS} are possible at a time."
        )
    return [parse_column(text) for text in texts]


def parse_column(text: str) -> Column:
    """Parse the name of a column.

    A metric's name may be followed by a colon and what is wanted of its points. A name that ends so itself is put into
    backticks.
    """
    prefix, dot, rest = text.partition(".")
    group = _PREFIXES.get(prefix)
    if not dot or group is None or not rest:
        raise InvalidParameterError(
            f"Invalid column {shown(text)}: write attributes.<name>, metrics.<name>, params.<name> or tags.<name>."
        )
    key, aggregate = rest, "last"
    if rest[0] in '`"' and rest.find(rest[0], 1) > 0:
        end = rest.rindex(rest[0])
        key, after = rest[1:end], rest[end + 1 :]
        if after and not (group == "metric" and after[0] == ":" and _is_aggregate(after[1:])):
            raise InvalidParameterError(
                f"Invalid column {shown(text)}: after the quoted name there can be, for metrics, one of "
                f"{', '.join(':' + each for each in (*AGGREGATES, 'step=<number>'))}."
            )
        aggregate = after[1:] or "last"
    elif group == "metric":
        name, colon, last = rest.rpartition(":")
        if colon and name and _is_aggregate(last):
            key, aggregate = name, last
    if group == "attribute" and key not in ATTRIBUTES:
        raise InvalidParameterError(
            f"Invalid column {shown(text)}: attributes of runs are {', '.join(ATTRIBUTES)}."
        )
    if step := _STEP.fullmatch(aggregate):
        number = int(step[1])
        if not limits.INT64_MIN <= number <= limits.INT64_MAX:
            raise InvalidParameterError(
                f"Invalid column {shown(text)}: steps are from -2**63 to 2**63 - 1, which {number} is not."
            )
        return Column(text, group, key, "step", number)
    return Column(text, group, key, cast("Aggregate", aggregate))


def _is_aggregate(text: str) -> bool:
    return text in AGGREGATES or _STEP.fullmatch(text) is not None


def parse_points_order(order_by: Sequence[str]) -> tuple[Column, bool] | None:
    """Return the column of an order that looks at points (`metrics.loss:min DESC`), and whether it descends; else nothing."""
    match = _POINTS_ORDER.fullmatch(order_by[0]) if len(order_by) == 1 else None
    if match is None:
        return None
    return parse_column(match["column"]), (match["way"] or "").upper() == "DESC"


def name_column(group: str, key: str) -> str:
    """Return how a column is written; `group` is one of `GROUPS`."""
    if group == "metrics" and _is_aggregate(key.rpartition(":")[2]) and ":" in key:
        return f"{group}.`{key}`"
    return f"{group}.{key}" if key[:1] not in ("`", '"') else f"{group}.`{key}`"
