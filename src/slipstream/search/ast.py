"""What a filter and an ordering mean once parsed: a list of comparisons, a list of fields.

The tree is flat because the language is: clauses joined by AND, nothing nested.
"""

from typing import TypeAlias

import msgspec


class Identifier(msgspec.Struct, frozen=True):
    """A field as the user named it."""

    entity: str | None
    """What stands before the first dot (`metrics`); `None` when there is no dot."""
    key: str
    position: int
    """Where it begins in the text, counted from 1."""
    text: str
    """Its spelling in the text, for messages."""


class Number(msgspec.Struct, frozen=True):
    """A number as written; how exactly it is read depends on what it is compared with."""

    text: str

    @property
    def is_integer(self) -> bool:
        return self.text.removeprefix("-").isdigit()


Value: TypeAlias = str | Number | tuple[str, ...] | None
"""A quoted text, a number, a list of quoted texts, or nothing (`IS NULL`)."""


class Comparison(msgspec.Struct, frozen=True):
    """One clause of a filter."""

    identifier: Identifier
    comparator: str
    """Upper case, single blanks: `=`, `!=`, `LIKE`, `NOT IN`, `IS NOT NULL`, ..."""
    value: Value
    position: int
    """Where the comparator begins, counted from 1."""
    value_position: int
    value_text: str


class OrderTerm(msgspec.Struct, frozen=True):
    """One item of an `order_by` list."""

    identifier: Identifier
    descending: bool
