"""The runs of an experiment in one order, kept while they change.

Sorting all of them is done once. Slots that have changed since are noted, left out where they stood, and merged in by
their present values; when there are many, they are put into their places.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from functools import total_ordering
from heapq import merge
from itertools import compress
from typing import Any, NamedTuple, TypeAlias, cast

from slipstream.store.run_index.columns import MISSING, PRESENT, NumberColumn, TextColumn

Key: TypeAlias = tuple[Any, ...]

_MOST_NOTED = 128
_MOVED_ONE_BY_ONE = 8
"""Slots that are looked for one by one; of more, all others are gone through once."""


class OrderedBy(NamedTuple):
    """One field of an order."""

    column: TextColumn | NumberColumn
    descending: bool
    ranked: bool
    """Whether those without a value come last, in either direction."""


@total_ordering
class _Falling:
    """A text that sorts before smaller ones."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def __lt__(self, other: "_Falling") -> bool:
        return self.text > other.text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Falling) and self.text == other.text

    def __hash__(self) -> int:
        return hash(self.text)


class _Behind:
    """Sorts behind everything."""

    def __lt__(self, other: object) -> bool:
        return False

    def __gt__(self, other: object) -> bool:
        return True


BEHIND = _Behind()


class Order:
    """Slots in an order that leaves no two equal."""

    def __init__(self, fields: Sequence[OrderedBy], count: int, base: "Order | None" = None) -> None:
        """Sort the first `count` slots.

        Args:
            fields: what to order by, the most important first.
            count: how many slots there are.
            base: the order by the last of `fields`, if there is one: less has to be sorted then.
        """
        self.fields = fields
        self.noted: set[int] = set()
        """Slots whose place in `slots` is not right any more, or that are not there yet."""
        self.slots: array[int] = array("I")
        self._sort(count, base)

    def _sort(self, count: int, base: "Order | None" = None) -> None:
        if base is None:
            slots, fields = list(range(count)), self.fields
        else:
            base.settle()
            slots, fields = list(base.slots), self.fields[: -len(base.fields)]
        if fields and _tells_apart(fields[0], count):
            fields = fields[:1]
        for field in reversed(fields):
            slots = _sorted(slots, field)
        self.slots = array("I", slots)
        self.noted.clear()

    def note(self, slots: Iterable[int]) -> None:
        """Remember slots whose values have changed, or that are new."""
        self.noted.update(slots)

    def settle(self) -> None:
        """Put all noted slots into their places."""
        noted = self.noted
        if not noted:
            return
        if len(noted) > len(self.slots) // 8:
            self._sort(max(len(self.slots), max(noted) + 1))
            return
        if len(noted) <= _MOVED_ONE_BY_ONE:
            slots = self.slots
            for slot in noted:
                with suppress(ValueError):  # a new one
                    slots.remove(slot)
        else:
            slots = array("I", [slot for slot in self.slots if slot not in noted])
        for slot in noted:
            slots.insert(bisect_left(slots, self.key(slot), key=self.key), slot)
        self.slots = slots
        noted.clear()

    def tidy(self) -> None:
        """Settle when it is time to."""
        if len(self.noted) > _MOST_NOTED:
            self.settle()

    def key(self, slot: int) -> Key:
        """Return what compares as the slot is ordered."""
        return self._directed(self.values(slot))

    def values(self, slot: int) -> list[Any]:
        """Return the keys of ORDER BY, as SQL selects them: what a page token holds."""
        values: list[Any] = []
        for column, _, ranked in self.fields:
            if isinstance(column, TextColumn):
                text = column[slot]
                if ranked:
                    values.append(0 if text is not None else 1)
                values.append(text or "")
                continue
            rank = column.ranks[slot]
            if ranked:
                values.append(_rank(column, rank))
            values.append(column.values[slot] if rank == PRESENT else 0)
        return values

    def place(self, values: Sequence[object]) -> Key:
        """Return the key of a page token's values."""
        return self._directed(values)

    def _directed(self, values: Sequence[Any]) -> Key:
        key: list[Any] = []
        at = 0
        for column, descending, ranked in self.fields:
            if ranked:
                key.append(values[at])
                at += 1
            value = values[at]
            at += 1
            if descending:
                value = _Falling(value) if isinstance(column, TextColumn) else -value
            key.append(value)
        return tuple(key)

    def start(self, after: Key | None) -> int:
        """Return the place in `slots` where those begin that come after a key. Noted ones are somewhere."""
        if after is None:
            return 0
        low, high = 0, len(self.slots)
        while low < high:
            middle = (low + high) // 2
            at = middle
            while at < high and self.slots[at] in self.noted:
                at += 1
            if at == high or self.key(self.slots[at]) > after:
                high = middle
            else:
                low = at + 1
        return low

    def walk(self, start: int, mask: bytearray, after: Key | None) -> Iterator[int]:
        """Go through the slots of a mask in order, from a place on."""
        view = memoryview(self.slots)[start:]
        if not self.noted:
            return compress(view, map(mask.__getitem__, view))
        settled = bytearray(mask)
        for slot in self.noted:
            settled[slot] = 0
        main = compress(view, map(settled.__getitem__, view))
        return merge(main, self.noted_after(after, mask), key=self.key)

    def noted_after(self, after: Key | None, mask: bytearray) -> list[int]:
        """Return the noted slots of a mask that come after a key, in order."""
        keys = [(self.key(slot), slot) for slot in self.noted if mask[slot]]
        return [slot for key, slot in sorted(keys) if after is None or key > after]

    @property
    def size(self) -> int:
        return 4 * len(self.slots) + 64 * len(self.noted)


def _rank(column: NumberColumn, rank: int) -> int:
    # Integers know "there is none" only, and SQL gives it 1 then.
    return 1 if rank == MISSING and column.values.typecode == "q" else rank


def _tells_apart(field: OrderedBy, count: int) -> bool:
    """Tell whether no two slots are equal in a field, so that no other has to be sorted by."""
    column = field.column
    return isinstance(column, NumberColumn) and not field.ranked and len(set(column.values)) == count


def _sorted(slots: list[int], field: OrderedBy) -> list[int]:
    """Sort by one field, equal ones staying as they are."""
    column = field.column
    if isinstance(column, TextColumn):
        codes, values = column.codes, cast("list[str | None]", column.values)
        if len(values) <= len(codes) // 8:  # few different texts: sort them, then compare numbers
            order = sorted(range(len(values)), key=lambda code: values[code] or "")
            places = [0] * len(values)
            place = 0
            for index, code in enumerate(order):
                if index and (values[code] or "") != (values[order[index - 1]] or ""):
                    place += 1
                places[code] = place
            slots.sort(key=lambda slot: places[codes[slot]], reverse=field.descending)
        else:
            texts = [text or "" for text in map(values.__getitem__, codes)]
            slots.sort(key=texts.__getitem__, reverse=field.descending)
        if field.ranked:
            slots.sort(key=lambda slot: codes[slot] == 0)
        return slots
    if not field.ranked:
        slots.sort(key=column.values.__getitem__, reverse=field.descending)
        return slots
    ranks = column.ranks
    present = [slot for slot in slots if ranks[slot] == PRESENT]
    present.sort(key=column.values.__getitem__, reverse=field.descending)
    rest = [slot for slot in slots if ranks[slot] != PRESENT]
    rest.sort(key=ranks.__getitem__)
    return present + rest
