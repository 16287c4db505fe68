"""One clause of a filter, as a test of a slot and as a mask of all slots.

They mean what the SQL of `search/conditions.py` means; `tests/unit/test_run_index.py` compares the two.
"""

import math
import operator
import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol, TypeAlias, cast

from slipstream.rules.letters import lower
from slipstream.search.ast import Comparison, Number
from slipstream.search.conditions import find_field, find_group, integer_bound, read_number
from slipstream.search.fields import RUNS, Accepts
from slipstream.search.lexer import Source
from slipstream.store.run_index.columns import NAN, PRESENT, NumberColumn, Text, TextColumn
from slipstream.store.run_index.orders import BEHIND, Key

ColumnName: TypeAlias = tuple[str, str]
"""(group, key), for example `("metric", "loss")`; attributes by the name of their column."""
Column: TypeAlias = TextColumn | NumberColumn

Range: TypeAlias = tuple[Key, Key]
"""From a key to another. Keys of slots go on after the value with what makes them different: `(3,)` sorts before all
slots of value 3, `(3, BEHIND)` behind them."""
_ALL: Range = ((-math.inf,), (math.inf, BEHIND))

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<>": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


class UnsureError(Exception):
    """Memory might not answer as the database would; never leaves the store, which asks the database then."""


class Condition(Protocol):
    column: ColumnName
    identity: tuple[object, ...]
    """Equal for equal conditions."""

    def test(self, column: Column) -> Callable[[int], bool]:
        """Return a function that tells whether a slot meets the condition."""
        ...

    def mask(self, column: Column) -> bytearray: ...

    def is_cheap(self, column: Column) -> bool:
        """Tell whether making the mask costs hardly anything."""
        ...

    def ranges(self) -> list[Range] | None:
        """Return the ranges of the order by the column that hold all slots that meet the condition.

        `None` when there are none that are worth it.
        """
        ...


class TextCondition:
    """A condition on a text that is tested once for each different text."""

    def __init__(
        self, column: ColumnName, comparator: str, value: object, holds: Callable[[Text], bool]
    ) -> None:
        self.column = column
        self.identity: tuple[object, ...] = (column, comparator, value)
        self._comparator = comparator
        self._value = value
        self._holds = holds

    def test(self, column: Column) -> Callable[[int], bool]:
        assert isinstance(column, TextColumn)
        holds, texts = self._holds, column
        return lambda slot: holds(texts[slot])

    def mask(self, column: Column) -> bytearray:
        assert isinstance(column, TextColumn)
        return column.mask(self._holds)

    def is_cheap(self, column: Column) -> bool:
        return isinstance(column, TextColumn) and column.few

    def ranges(self) -> list[Range] | None:
        if self.column[0] == "dataset":
            return None
        if self._comparator == "LIKE":
            return _range_of_prefix(cast("str", self._value))
        values = (
            (self._value,) if self._comparator == "=" else self._value if self._comparator == "IN" else ()
        )
        found = [((value,), (value, BEHIND)) for value in cast("tuple[str, ...]", values)]
        return found or None


class NumberCondition:
    """A comparison with a number, or none (`bound` tells then whether a number is enough)."""

    def __init__(
        self, column: ColumnName, comparator: str, bound: float | bool, ranks: Sequence[int]
    ) -> None:
        self.column = column
        self.identity: tuple[object, ...] = (column, comparator, type(bound).__name__, bound)
        self._comparator = comparator
        self._compare = _COMPARE[comparator]
        self._bound = bound
        self._ranks = tuple(ranks)

    def test(self, column: Column) -> Callable[[int], bool]:
        assert isinstance(column, NumberColumn)
        ranks, allowed = column.ranks, self._ranks
        if isinstance(self._bound, bool):
            return lambda slot: ranks[slot] in allowed
        values, compare, bound = column.values, self._compare, self._bound
        return lambda slot: compare(values[slot], bound) and ranks[slot] in allowed

    def mask(self, column: Column) -> bytearray:
        assert isinstance(column, NumberColumn)
        if isinstance(self._bound, bool):
            return column.mask_ranks(self._ranks)
        return column.mask(self._compare, self._bound, self._ranks)

    def is_cheap(self, column: Column) -> bool:
        return False

    def ranges(self) -> list[Range] | None:
        bound = self._bound
        if isinstance(bound, bool):
            return None
        before, behind = (bound,), (bound, BEHIND)
        match self._comparator:
            case "=":
                return [(before, behind)]
            case ">":
                return [(behind, _ALL[1])]
            case ">=":
                return [(before, _ALL[1])]
            case "<":
                return [(_ALL[0], before)]
            case "<=":
                return [(_ALL[0], behind)]
            case _:
                return None


def make_condition(comparison: Comparison, *, ascii_only: bool) -> Condition:
    """Return the condition that a clause sets; the clause has been compiled to SQL before and so is valid.

    Args:
        comparison: the clause.
        ascii_only: whether the database lowers other letters in a way of its own.
    """
    source = Source("filter", "")
    group = find_group(RUNS, comparison.identifier, source)
    field = find_field(RUNS, comparison.identifier, source)
    key = comparison.identifier.key
    if group.name == "attribute":
        key = field.sql.rpartition(".")[2]
    column = (group.name, key)
    comparator, value = comparison.comparator, comparison.value
    if field.accepts is Accepts.MEASURE:
        assert isinstance(value, Number)
        ranks = (PRESENT, NAN) if comparator == "!=" else (PRESENT,)
        return NumberCondition(column, comparator, float(value.text), ranks)
    if field.accepts is Accepts.NUMBER:
        assert isinstance(value, Number)
        bound = integer_bound(comparator, read_number(value))
        if isinstance(bound, bool):
            return NumberCondition(column, comparator, bound, (PRESENT,) if bound else ())
        return NumberCondition(column, bound[0], bound[1], (PRESENT,))
    holds = _text_test(comparator, value, ascii_only=ascii_only)
    if group.name == "dataset":
        return TextCondition(column, comparator, value, _any(holds))
    return TextCondition(column, comparator, value, holds)


def _any(holds: Callable[[Text], bool]) -> Callable[[Text], bool]:
    return lambda texts: texts is not None and any(map(holds, texts))


def _text_test(comparator: str, value: object, *, ascii_only: bool) -> Callable[[Text], bool]:
    match comparator:
        case "=":
            return lambda text: text == value
        case "!=":
            return lambda text: text is not None and text != value
        case "IS NULL":
            return lambda text: text is None
        case "IS NOT NULL":
            return lambda text: text is not None
        case "IN" | "NOT IN":
            members = frozenset(cast("tuple[str, ...]", value))
            if comparator == "IN":
                return lambda text: text in members
            return lambda text: text is not None and text not in members
        case _:
            assert isinstance(value, str)
            return _like(value, fold=comparator == "ILIKE", ascii_only=ascii_only)


def _like(pattern: str, *, fold: bool, ascii_only: bool) -> Callable[[Text], bool]:
    """Return LIKE: `%` is any run of characters, `_` is one; nothing escapes them.

    Pieces between `%` are looked for from left to right, never twice, so no pattern takes long.
    """
    if fold and ascii_only and not pattern.isascii():
        raise UnsureError
    pieces = (lower(pattern) if fold else pattern).split("%")
    match = _plain_match(pieces) if "_" not in pattern else _match(pieces)

    def holds(text: Text) -> bool:
        if not isinstance(text, str):
            return False
        if fold:
            if ascii_only and not text.isascii():
                raise UnsureError
            text = lower(text)
        if "\0" in text:
            text = text.partition("\0")[0]  # as SQLite, which reads no further
        return match(text)

    return holds


def _range_of_prefix(pattern: str) -> list[Range] | None:
    """Return the range of texts that begin as a pattern of LIKE does."""
    prefix = re.split("[%_]", pattern, maxsplit=1)[0]
    if not prefix or prefix[-1] == "\U0010ffff":
        return None
    return [((prefix,), (prefix[:-1] + chr(ord(prefix[-1]) + 1),))]


def _plain_match(pieces: Sequence[str]) -> Callable[[str], bool]:
    """Match a text with what stands between `%`, where no `_` does."""
    first, last = pieces[0], pieces[-1]
    middle = [piece for piece in pieces[1:-1] if piece]
    if len(pieces) == 1:
        return first.__eq__
    if not first and not last and len(middle) == 1:
        return partial(_contains, middle[0])

    def match(text: str) -> bool:
        if not text.startswith(first):
            return False
        at = len(first)
        for piece in middle:
            found = text.find(piece, at)
            if found < 0:
                return False
            at = found + len(piece)
        return len(text) - len(last) >= at and text.endswith(last)

    return match


def _contains(piece: str, text: str) -> bool:
    return piece in text


def _match(pieces: Sequence[str]) -> Callable[[str], bool]:
    """Match a text with what stands between `%`; `_` is any character."""
    expressions = [re.compile(".".join(map(re.escape, piece.split("_"))), re.DOTALL) for piece in pieces]
    first, last = expressions[0], expressions[-1]
    last_length = len(pieces[-1])

    def match(text: str) -> bool:
        if len(expressions) == 1:
            return first.fullmatch(text) is not None
        found = first.match(text)
        if found is None:
            return False
        at = found.end()
        for expression in expressions[1:-1]:
            found = expression.search(text, at)
            if found is None:
                return False
            at = found.end()
        tail = len(text) - last_length
        return tail >= at and last.fullmatch(text, tail) is not None

    return match
