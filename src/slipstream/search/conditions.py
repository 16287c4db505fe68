"""Compiles the clauses of a filter: each to one SQL condition on the main table's row.

User text never enters the SQL: every function that builds some is typed `LiteralString`, and values go
to `Params`. The SQL means the same on SQLite and PostgreSQL.
"""

import math
from collections.abc import Mapping, Sequence
from typing import LiteralString

from slipstream.errors import InvalidParameterError
from slipstream.search.ast import Comparison, Identifier, Number
from slipstream.search.fields import Accepts, Field, Group, Resource
from slipstream.search.lexer import Source, shown

MAX_PATTERN = 8000
"""SQLite refuses longer LIKE patterns (it counts 50,000 bytes)."""
MAX_MERGED = 6
"""How many subqueries PostgreSQL may merge into the join order that it plans; the time for it grows with
the fourth power (6: milliseconds; 64: seconds; 200: minutes, and all memory)."""
_INT64 = (-(2**63), 2**63 - 1)
OPERATORS: dict[str, LiteralString] = {
    "=": "=", "!=": "<>", ">": ">", ">=": ">=", "<": "<", "<=": "<=", "IN": "IN", "NOT IN": "NOT IN"
}  # fmt: skip
_DIGITS: tuple[LiteralString, ...] = ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")


# -- parameters ---------------------------------------------------------------------------------------------


class Params:
    """Hands out parameter names; the values are the user's, the names never are."""

    def __init__(self) -> None:
        self.values: dict[str, object] = {}
        self._subqueries = 0

    def add(self, value: object) -> LiteralString:
        name: LiteralString = "p" + numeral(len(self.values))
        self.values[name] = value
        return ":" + name

    def add_list(self, values: Sequence[object]) -> LiteralString:
        name: LiteralString = "p" + numeral(len(self.values)) + "__in"
        self.values[name] = list(values)
        return ":" + name

    def end_exists(self) -> LiteralString:
        """Close an `EXISTS (SELECT ...`, from the seventh on so that PostgreSQL runs it as it stands."""
        self._subqueries += 1
        return ")" if self._subqueries <= MAX_MERGED else " LIMIT 1 OFFSET 0)"


def numeral(number: int) -> LiteralString:
    """Write a number; `str` would not be a `LiteralString`."""
    text = _DIGITS[number % 10]
    while number := number // 10:
        text = _DIGITS[number % 10] + text
    return text


# -- conditions ---------------------------------------------------------------------------------------------


def compile_clause(
    resource: Resource,
    comparison: Comparison,
    source: Source,
    params: Params,
    metric_restriction: LiteralString = "",
) -> LiteralString:
    """Compile one clause.

    Args:
        metric_restriction: a further condition on the rows `x` that a clause about a metric looks at.

    Raises:
        InvalidParameterError: the field is unknown, or is not compared so, or not with such a value.
    """
    field = find_field(resource, comparison.identifier, source)
    comparator = comparison.comparator
    if comparator not in field.comparators:
        raise source.error(
            comparison.position,
            f"{comparison.identifier.text} cannot be compared with {comparator}; "
            f"possible are {', '.join(field.comparators)}",
        )
    if not field.rows:
        return _condition(field, comparison, source, params)
    rows: LiteralString = f"EXISTS (SELECT 1 FROM {field.rows}"
    if field.keyed:
        rows = f"{rows} AND x.key = {params.add(comparison.identifier.key)}"
    if comparator == "IS NULL":
        return f"NOT {rows}{params.end_exists()}"
    if comparator == "IS NOT NULL":
        return f"{rows}{params.end_exists()}"
    condition = _condition(field, comparison, source, params)
    if field.is_nan:
        # NaN is unequal to every number, and nothing else is true of it.
        if comparator == "!=":
            condition = f"({field.is_nan} = 1 OR {condition})"
        else:
            condition = f"{field.is_nan} = 0 AND {condition}"
        if metric_restriction:
            condition = f"{condition} AND {metric_restriction}"
    return f"{rows} AND {condition}{params.end_exists()}"


def find_group(resource: Resource, identifier: Identifier, source: Source) -> Group:
    if identifier.entity is None:
        return resource.groups[0]
    for group in resource.groups:
        if identifier.entity in group.prefixes:
            return group
    prefixes = ", ".join(group.prefixes[0] for group in resource.groups)
    raise source.error(
        identifier.position,
        f"unknown entity {shown(identifier.entity)} in a search of {resource.name}; valid are {prefixes}",
    )


def find_field(resource: Resource, identifier: Identifier, source: Source) -> Field:
    """Return the field that an identifier names.

    Raises:
        InvalidParameterError: there is none.
    """
    group = find_group(resource, identifier, source)
    if isinstance(group.fields, Field):
        return group.fields
    if field := group.fields.get(identifier.key):
        return field
    raise unknown_error(resource, group, identifier, source, group.fields, "filter")


def unknown_error(
    resource: Resource,
    group: Group,
    identifier: Identifier,
    source: Source,
    valid: Mapping[str, object],
    verb: str,
) -> InvalidParameterError:
    hint = ""
    others = [f"{other.prefixes[-1]}.<key>" for other in resource.groups if isinstance(other.fields, Field)]
    if identifier.entity is None and verb == "filter" and others:
        hint = f", and with a prefix {', '.join(others)}"
    return source.error(
        identifier.position,
        f"unknown {group.name} {shown(identifier.key)}; {resource.name} can be {verb}ed by {', '.join(valid)}{hint}",
    )


def _condition(field: Field, comparison: Comparison, source: Source, params: Params) -> LiteralString:
    """Compare `field.sql` with the value of `comparison`."""
    match field.accepts:
        case Accepts.TEXT | Accepts.TEXT_OR_NUMBER:
            return _text_condition(field, comparison, source, params)
        case Accepts.MEASURE:
            if not isinstance(comparison.value, Number):
                raise _value_error(field, comparison, source)
            return (
                f"{field.sql} {OPERATORS[comparison.comparator]} {params.add(float(comparison.value.text))}"
            )
        case Accepts.NUMBER | Accepts.INTEGER | Accepts.INTEGER_OR_TEXT | Accepts.QUOTED_INTEGER:
            return _integer_condition(field, comparison, source, params)


def _text_condition(field: Field, comparison: Comparison, source: Source, params: Params) -> LiteralString:
    value = comparison.value
    if isinstance(value, Number) and field.accepts is Accepts.TEXT_OR_NUMBER:
        value = value.text
    if isinstance(value, tuple):
        return f"{field.sql} {OPERATORS[comparison.comparator]} {params.add_list(value)}"
    if not isinstance(value, str):
        raise _value_error(field, comparison, source)
    if comparison.comparator not in ("LIKE", "ILIKE"):
        return f"{field.sql} {OPERATORS[comparison.comparator]} {params.add(value)}"
    if len(value) > MAX_PATTERN:
        raise source.error(
            comparison.value_position,
            f"the pattern has {len(value)} characters, at most {MAX_PATTERN} are possible",
        )
    # The language has no escape character, but PostgreSQL has one unless told otherwise. The control
    # character U+0001 is nobody's; should it occur, doubling keeps its plain meaning.
    pattern = params.add(value.replace("\x01", "\x01\x01"))
    if comparison.comparator == "LIKE":
        return f"{field.sql} LIKE {pattern} ESCAPE '\x01'"
    # On PostgreSQL columns sort by bytes (COLLATE "C"), which knows the case of ASCII letters only.
    # SQLite ignores the collation here; its connection brings a `lower` for all of Unicode.
    return f"LOWER({field.sql} COLLATE \"default\") LIKE LOWER({pattern}) ESCAPE '\x01'"


def _integer_condition(field: Field, comparison: Comparison, source: Source, params: Params) -> LiteralString:
    value = comparison.value
    if isinstance(value, tuple):
        numbers = [_integer(field, text, comparison, source) for text in value]
        stored = [number for number in numbers if _INT64[0] <= number <= _INT64[1]]
        if not stored:
            return "1=0" if comparison.comparator == "IN" else "1=1"
        return f"{field.sql} {OPERATORS[comparison.comparator]} {params.add_list(stored)}"
    number: int | float
    if isinstance(value, Number):
        if field.accepts is Accepts.QUOTED_INTEGER or (
            field.accepts is not Accepts.NUMBER and not value.is_integer
        ):
            raise _value_error(field, comparison, source)
        number = read_number(value)
    elif isinstance(value, str) and field.accepts in (Accepts.INTEGER_OR_TEXT, Accepts.QUOTED_INTEGER):
        number = _integer(field, value, comparison, source)
    else:
        raise _value_error(field, comparison, source)
    bound = integer_bound(comparison.comparator, number)
    if isinstance(bound, bool):
        return f"{field.sql} IS NOT NULL" if bound else "1=0"
    operator, integer = bound
    return f"{field.sql} {operator} {params.add(integer)}"


def _integer(field: Field, text: str, comparison: Comparison, source: Source) -> int:
    trimmed = text.strip()
    digits = trimmed.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        raise _value_error(field, comparison, source)
    significant = digits.lstrip("0") or "0"
    # Python refuses to read thousands of digits; any number beyond what is stored can stand for them.
    number = int(significant) if len(significant) < 40 else 2**64
    return -number if trimmed.startswith("-") else number


def read_number(value: Number) -> int | float:
    """Return a number exactly if it is an integer that can matter."""
    # An integer of many digits is out of every range; as a float it is so cheaply.
    return int(value.text) if value.is_integer and len(value.text) < 40 else float(value.text)


def integer_bound(comparator: str, number: float) -> tuple[LiteralString, int] | bool:
    """Turn a comparison of an integer column with any number into one with a 64-bit integer.

    Databases would round the column, or refuse the number. Returns the answer itself where it is the
    same for every stored integer.
    """
    if comparator in ("=", "!="):
        exact = isinstance(number, int) or (math.isfinite(number) and number.is_integer())
        if not exact or not _INT64[0] <= number <= _INT64[1]:
            return comparator == "!="
        return OPERATORS[comparator], int(number)
    upper = comparator in ("<", "<=")
    if number > _INT64[1]:
        return upper
    if number < _INT64[0]:
        return not upper
    if comparator in (">", "<="):
        return OPERATORS[comparator], math.floor(number)
    return OPERATORS[comparator], math.ceil(number)


def _value_error(field: Field, comparison: Comparison, source: Source) -> InvalidParameterError:
    value = comparison.value
    found = "a list" if isinstance(value, tuple) else shown(comparison.value_text)
    return source.error(
        comparison.value_position,
        f"found {found}, but {comparison.identifier.text} is compared with {field.accepts.value}",
    )


def compile_datasets(params: Params, datasets: Sequence[Mapping[str, object]]) -> LiteralString:
    """Compile a condition on points `x` that holds on one of `datasets`; empty when there are none."""
    conditions: list[LiteralString] = []
    for dataset in datasets:
        name, digest = read_dataset(dataset)
        if not name:
            raise InvalidParameterError("Invalid datasets: each needs a dataset_name")
        condition: LiteralString = f"x.dataset_name = {params.add(name)}"
        if digest:
            condition = f"{condition} AND x.dataset_digest = {params.add(digest)}"
        conditions.append(condition)
    return f"({' OR '.join(conditions)})" if conditions else ""


def read_dataset(item: Mapping[str, object]) -> tuple[str, str]:
    """Return name and digest, each perhaps empty."""
    name, digest = item.get("dataset_name") or "", item.get("dataset_digest") or ""
    for field, value in (("dataset_name", name), ("dataset_digest", digest)):
        if not isinstance(value, str):
            raise InvalidParameterError(f"Invalid {field} {shown(str(value))}: it must be a text")
        if "\0" in value:
            raise InvalidParameterError(
                f"Invalid {field} {shown(value)}: it must not contain the character U+0000"
            )
    return str(name), str(digest)
