"""Any window of the runs that a search finds, their tree, and ranges of columns, kept while runs change.

What is kept is dropped when it could be another, and only then: a run that logs a metric touches neither an order by
start time nor the range of another metric.
"""

import math
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import compress
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, cast

from slipstream.search.sql import OrderField
from slipstream.store.run_index.columns import PRESENT, NumberColumn, TextColumn

if TYPE_CHECKING:
    from slipstream.store.run_index.conditions import Column, ColumnName

MaskKey: TypeAlias = frozenset[object]
Span: TypeAlias = tuple[float, float]

PARENT: "ColumnName" = ("tag", "mlflow.parentRunId")
_MOST_LISTINGS = 16
_MOST_RANGES = 1_000
_NOT_NUMBERS = "not numbers"
"""In place of a range: of texts, some of which are no numbers."""


class Tree(NamedTuple):
    """Who is whose child, among the runs that were found."""

    parents: frozenset[str]
    """Ids of runs that were found and have children that were found."""
    children: Counter[str]


class SlotChanges(NamedTuple):
    """What has changed in a table."""

    new: Sequence[int]
    columns: "Mapping[ColumnName, Mapping[int, Any]]"
    """By column and slot: what was there before, as `Column.at` tells it."""
    flips: Mapping[MaskKey, Mapping[int, bool]]
    """By mask and slot: whether the slot was in it before, where that is another now, or the slot is new."""
    orders: set[tuple[OrderField, ...]]
    """Those in which slots have other places now."""


class Windows:
    """What one table keeps for windows of its rows. Not thread-safe."""

    def __init__(self) -> None:
        self.listings: dict[tuple[MaskKey, tuple[OrderField, ...], bool], array[int]] = {}
        """Slots in order, by what they meet, by what they are ordered, and whether they are roots only."""
        self.trees: dict[MaskKey, Tree] = {}
        self.ranges: dict[tuple[MaskKey, ColumnName], Span | str | None] = {}

    def keep_listing(self, key: tuple[MaskKey, tuple[OrderField, ...], bool], slots: "array[int]") -> None:
        self.listings[key] = slots
        while len(self.listings) > _MOST_LISTINGS:
            del self.listings[next(iter(self.listings))]

    def range_of(
        self, key: MaskKey, name: "ColumnName", column: "Column", bits: bytearray
    ) -> Span | str | None:
        """Return the range of a column among some slots, as `find_range` does: who joins several has to know why there is none."""
        place = (key, name)
        if place not in self.ranges:
            if len(self.ranges) >= _MOST_RANGES:
                self.ranges.clear()
            self.ranges[place] = find_range(column, bits)
        return self.ranges[place]

    def change(
        self,
        changes: SlotChanges,
        columns: "Mapping[ColumnName, Column]",
        bits_of: Callable[[MaskKey], bytearray | None],
    ) -> None:
        """Drop what is not right any more, and widen the ranges that have only become wider."""
        for key in list(self.listings):
            mask, fields, roots = key
            if mask in changes.flips or fields in changes.orders or (roots and mask not in self.trees):
                del self.listings[key]
        moved = PARENT in changes.columns
        for mask in list(self.trees):
            if moved or mask in changes.flips:
                del self.trees[mask]
                for key in [each for each in self.listings if each[0] == mask and each[2]]:
                    del self.listings[key]
        for place in list(self.ranges):
            mask, name = place
            flips, cells = changes.flips.get(mask, {}), changes.columns.get(name, {})
            if not flips and not cells and not changes.new:
                continue
            bits, column = bits_of(mask), columns.get(name)
            if bits is None or column is None:
                del self.ranges[place]
                continue
            new = frozenset(changes.new)
            found = self.ranges[place]
            for slot in {*flips, *cells, *new}:
                is_in = bool(bits[slot])
                was_in = flips.get(slot, is_in) if slot not in new else False
                if was_in and _matters(cells.get(slot, column.at(slot)), found):
                    del self.ranges[place]
                    break
                if is_in:
                    found = _widened(found, column.at(slot))
            else:
                self.ranges[place] = found

    def forget_column(self, name: "ColumnName") -> None:
        for place in [each for each in self.ranges if each[1] == name]:
            del self.ranges[place]
        for key in [each for each in self.listings if any((f.group, f.key) == name for f in each[1])]:
            del self.listings[key]
        if name == PARENT:
            self.trees.clear()

    def forget_order(self, fields: tuple[OrderField, ...]) -> None:
        for key in [each for each in self.listings if each[1] == fields]:
            del self.listings[key]

    def forget_mask(self, mask: MaskKey) -> None:
        for key in [each for each in self.listings if each[0] == mask]:
            del self.listings[key]
        for place in [each for each in self.ranges if each[0] == mask]:
            del self.ranges[place]
        self.trees.pop(mask, None)

    @property
    def size(self) -> int:
        return sum(4 * len(slots) for slots in self.listings.values()) + sum(
            300 * len(tree.children) for tree in self.trees.values()
        )


def find_range(column: "Column", bits: bytearray) -> Span | str | None:
    """Return a range; nothing where there is no finite number; or that some texts are no numbers."""
    if isinstance(column, NumberColumn):
        if column.values.typecode == "q":
            present = [
                value for value, rank in zip(compress(column.values, bits), compress(column.ranks, bits), strict=True) if rank == PRESENT
            ]  # fmt: skip
        else:
            present = list(filter(math.isfinite, compress(column.values, bits)))
        return (min(present), max(present)) if present else None
    assert isinstance(column, TextColumn)
    return range_of_texts(column.values[code] for code in set(compress(column.codes, bits)))


def range_of_texts(texts: Iterable[object]) -> Span | str | None:
    found: Span | str | None = None
    for text in texts:
        found = _widened(found, text)
        if isinstance(found, str):
            return found
    return found


def to_number(text: str) -> float | None:
    """Return the number that a text is; letters such as those of `nan` are none, nor are digits of other scripts."""
    if not text or len(text) > 40 or not text.isascii() or "_" in text or text[-1] not in "0123456789.":
        return None
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _number_of(value: Any) -> float | None:
    """Return the finite number that a cell is, as `Column.at` tells it."""
    if isinstance(value, tuple):
        number, rank = cast("tuple[float, int]", value)
        return number if rank == PRESENT and math.isfinite(number) else None
    return to_number(value) if isinstance(value, str) else None


def _matters(value: Any, found: Span | str | None) -> bool:
    """Tell whether a range may be another without a value."""
    if found is None or value is None:
        return False
    number = _number_of(value)
    if isinstance(found, str):
        return number is None
    return number in found


def _widened(found: Span | str | None, value: Any) -> Span | str | None:
    number = _number_of(value)
    if number is None:
        return _NOT_NUMBERS if isinstance(value, str) else found
    if isinstance(found, str):
        return found
    return (number, number) if found is None else (min(found[0], number), max(found[1], number))
