"""The runs of one experiment in memory: columns, orders and masks, each made when first asked for."""

import itertools
from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence
from heapq import nsmallest
from itertools import compress, islice
from typing import Any, TypeAlias

from slipstream.db.base import Transaction
from slipstream.search.sql import OrderField
from slipstream.store.run_index.columns import PRESENT, NumberColumn, TextColumn, both, count
from slipstream.store.run_index.conditions import Column, ColumnName, Condition, UnsureError
from slipstream.store.run_index.orders import Key, Order, OrderedBy
from slipstream.store.run_index.reading import (
    BASE,
    RUN_ID,
    SELECT_BASE,
    STAGE,
    START_TIME,
    Values,
    is_number,
    read_base,
    read_column,
    read_columns,
    setter,
)
from slipstream.store.run_index.windows import PARENT, SlotChanges, Span, Tree, Windows

_WALKED = 4_000
"""Slots to test one by one before all are, which is cheaper for each."""
_FEW = 1_000
"""Slots of a range of numbers that are tested at once, before anything else is tried."""
_SORTING = 30
"""How many times dearer it is to sort a match than to go past a slot."""
_MOST_MASKS = 64
_MOST_ORDERS = 16
RUN_BYTES = 180
"""What a run takes at least, about: its ids, start, stage and place in the first order."""

_RUN_ID = OrderField("attribute", "run_id", descending=False, kind="text", ranked=False)
_DEFAULT = (OrderField("attribute", "start_time", descending=True, kind="integer", ranked=False), _RUN_ID)

Conditions: TypeAlias = Sequence[Condition]

_states = itertools.count(1)


class OutOfStepError(Exception):
    """The runs that are there cannot have come from the changes that were told; never leaves the store."""


class _Mask:
    """Which slots meet some conditions."""

    __slots__ = ("bits", "conditions", "count")

    def __init__(self, conditions: Conditions, bits: bytearray) -> None:
        self.conditions = conditions
        self.bits = bits
        self.count = count(bits)


class RunTable:
    """Not thread-safe. After an exception it must be thrown away, unless that was `UnsureError`."""

    def __init__(self, tx: Transaction, experiment: int, runs: Sequence[int], upto: int) -> None:
        """Read what every table has.

        Args:
            tx: where to read.
            experiment: its number.
            runs: internal ids of all of its runs, in order.
            upto: the number of the last change that `tx` sees.
        """
        self.experiment = experiment
        self.runs = array("q", runs)
        self.read_at = array("q", [upto]) * len(runs)
        """The change up to which each slot is known."""
        self.pending: set[int] = set()
        """Runs, of any experiment, that have changed since."""
        self._columns: dict[ColumnName, Column] = {}
        self._orders: dict[tuple[OrderField, ...], Order] = {}
        self._masks: dict[frozenset[object], _Mask] = {}
        self._sizes: dict[ColumnName, int] = {}
        self._sized = 0
        self.windows = Windows()
        self.state = next(_states)
        """Another one after each change of a run."""
        self.cells_read = len(BASE) * len(runs)
        """Since the request began that is answered now."""
        self._columns |= read_base(tx, experiment, self.runs)
        self._order(_DEFAULT)

    # -- keeping in step ----------------------------------------------------------------------------
    def catch_up(self, tx: Transaction, upto: int) -> set[int]:
        """Read again what has changed; return the internal ids of those runs.

        Raises:
            OutOfStepError: the table has to be made anew.
        """
        changed = self.pending
        if not changed:
            return changed
        runs = sorted(changed)
        values = self._read_base(tx, runs)
        present = values[RUN_ID]
        names = [name for name in self._columns if name not in BASE]
        if names and present:
            values |= read_columns(tx, sorted(present), names)
        writers = [
            (name, column, setter(column), values.get(name, {})) for name, column in self._columns.items()
        ]
        new: list[int] = []
        cells: dict[ColumnName, dict[int, Any]] = {}
        for run in runs:
            slot = self.slot(run)
            if slot is None:
                if run not in present:
                    continue  # of another experiment, or gone before it was seen
                if self.runs and run < self.runs[-1]:
                    raise OutOfStepError
                slot = len(self.runs)
                self.runs.append(run)
                self.read_at.append(upto)
                new.append(slot)
                for _, _, write, found in writers:
                    write(slot, found.get(run))
                continue
            for name, column, write, found in writers:
                before = column.at(slot)
                write(slot, found.get(run))
                if column.at(slot) != before:
                    cells.setdefault(name, {})[slot] = before
            self.read_at[slot] = upto
        self._follow(new, cells)
        self.pending = set()
        self.state = next(_states)
        return changed

    def _follow(self, new: list[int], cells: dict[ColumnName, dict[int, Any]]) -> None:
        """Bring orders, masks and windows in step with the columns.

        Args:
            new: slots that have come, in order.
            cells: by column and slot, what was there before.
        """
        moved: set[tuple[OrderField, ...]] = set()
        for fields, order in self._orders.items():
            slots = {slot for field in fields for slot in cells.get((field.group, field.key), ())}
            if new or slots:
                order.note(new)
                order.note(slots)
                moved.add(fields)
        flips: dict[frozenset[object], dict[int, bool]] = {}
        for key in list(self._masks):
            mask = self._masks[key]
            slots = {slot for condition in mask.conditions for slot in cells.get(condition.column, ())}
            try:
                flipped = self._patch(mask, [*sorted(slots), *new])
            except UnsureError:
                self._forget_mask(key)
            else:
                if flipped:
                    flips[key] = flipped
        self.windows.change(SlotChanges(new, cells, flips, moved), self._columns, self._bits_of)

    def _bits_of(self, key: frozenset[object]) -> bytearray | None:
        mask = self._masks.get(key)
        return None if mask is None else mask.bits

    def _forget_mask(self, key: frozenset[object]) -> None:
        del self._masks[key]
        self.windows.forget_mask(key)

    def slot(self, run: int) -> int | None:
        at = bisect_left(self.runs, run)
        return at if at < len(self.runs) and self.runs[at] == run else None

    def _read_base(self, tx: Transaction, runs: Sequence[int]) -> dict[ColumnName, Values]:
        values: dict[ColumnName, Values] = {name: {} for name in BASE}
        for run, experiment, run_id, start_time, stage in tx.fetch_all(SELECT_BASE, runs__in=list(runs)):
            if experiment != self.experiment:
                continue
            values[RUN_ID][run] = run_id
            values[START_TIME][run] = (start_time, PRESENT)
            values[STAGE][run] = stage
        return values

    def _patch(self, mask: _Mask, slots: Iterable[int]) -> dict[int, bool]:
        """Test some slots again; return those that are in the mask now or were before, but not both, with which."""
        bits = mask.bits
        flipped: dict[int, bool] = {}
        tests = [condition.test(self._columns[condition.column]) for condition in mask.conditions]
        for slot in slots:
            now = all(test(slot) for test in tests)
            if slot == len(bits):
                bits.append(now)
                mask.count += now
                if now:
                    flipped[slot] = False
            elif now != bits[slot]:
                mask.count += now - bits[slot]
                bits[slot] = now
                flipped[slot] = not now
        return flipped

    # -- searching ----------------------------------------------------------------------------------
    def prepare(self, tx: Transaction, conditions: Conditions, fields: Sequence[OrderField]) -> Order:
        """Load what a search needs, and return its order."""
        wanted = [condition.column for condition in conditions] + [
            (field.group, field.key) for field in fields
        ]
        missing = [name for name in dict.fromkeys(wanted) if name not in self._columns]
        for name in missing:
            self._load(tx, name)
        for name in dict.fromkeys(wanted):  # what was used last comes last
            self._columns[name] = self._columns.pop(name)
        return self._order(tuple(fields))

    def _load(self, tx: Transaction, name: ColumnName) -> None:
        self.cells_read += len(self.runs)
        self._columns[name] = read_column(tx, self.experiment, self.runs, name)

    def find(self, conditions: Conditions, order: Order, after: Key | None, limit: int) -> list[int]:
        """Return the first slots, in order, that meet all conditions and come after a key.

        Raises:
            UnsureError: only the database knows.
        """
        order.tidy()
        start = order.start(after)
        key = _key_of(conditions)
        mask = self._masks.pop(key, None)
        if mask is None:
            cheap = [each for each in conditions if each.is_cheap(self._columns[each.column])]
            mask = self._cheap_mask(cheap)
            dear = [each for each in conditions if each not in cheap]
            if dear:
                if self._is_sparse(mask, limit):
                    tests = [each.test(self._columns[each.column]) for each in dear]
                    slots = (slot for slot in _ones(mask) if all(test(slot) for test in tests))
                    return _first(slots, order, after, limit)
                found = self._pick(mask, dear, order, after, limit, _FEW)
                if found is None:
                    found = self._walk(mask, dear, order, after, start, limit)
                if found is None:
                    found = self._pick(mask, dear, order, after, limit, len(self.runs) // 4)
                if found is not None:
                    return found
                mask = self._narrowed(mask, dear)
        self._remember(key, mask)
        if self._is_sparse(mask, limit):
            return _first(_ones(mask), order, after, limit)
        return list(islice(order.walk(start, mask.bits, after), limit))

    def _is_sparse(self, mask: _Mask, limit: int) -> bool:
        """Tell whether sorting what a mask holds is cheaper than going through the order until enough was found."""
        return mask.count * mask.count * _SORTING < limit * len(self.runs)

    def _remember(self, key: frozenset[object], mask: _Mask) -> None:
        self._masks[key] = mask
        while len(self._masks) > _MOST_MASKS:
            self._forget_mask(next(iter(self._masks)))

    def _cheap_mask(self, conditions: Conditions) -> _Mask:
        key = _key_of(conditions)
        mask = self._masks.pop(key, None)
        if mask is None:
            bits = bytearray(b"\1") * len(self.runs)
            for condition in conditions:
                bits = both(bits, condition.mask(self._columns[condition.column]))
            mask = _Mask(conditions, bits)
        self._remember(key, mask)
        return mask

    def _walk(
        self, mask: _Mask, dear: Conditions, order: Order, after: Key | None, start: int, limit: int
    ) -> list[int] | None:
        """Test the slots of a mask in order, the first ones only; return `None` if more would be needed."""
        tests = [condition.test(self._columns[condition.column]) for condition in dear]
        found: list[int] = []
        for tested, slot in enumerate(order.walk(start, mask.bits, after)):
            if tested == _WALKED:
                return None
            if all(test(slot) for test in tests):
                found.append(slot)
                if len(found) == limit:
                    break
        return found

    def _pick(
        self, mask: _Mask, dear: Conditions, order: Order, after: Key | None, limit: int, most: int
    ) -> list[int] | None:
        """Find all matches in the shortest ranges of a sorted column; return `None` if none are short.

        Args:
            mask: where the other conditions are met.
            dear: the conditions to test.
            order: of the result.
            after: the key that the result comes after.
            limit: how many slots to return.
            most: how long the ranges may be. For few, only orders that are there already are looked at.
        """
        slots: list[int] | None = None
        for condition in dear:
            ranges = condition.ranges()
            if ranges is None:
                continue
            fields, prefix = _sorted_by(condition.column)
            if most <= _FEW and fields not in self._orders:
                continue
            by = self._order(fields)
            by.tidy()
            spans = {(by.start(prefix + first), by.start(prefix + last)) for first, last in ranges}
            length = sum(last - first for first, last in spans)
            if length < min(mask.count, most if slots is None else len(slots)):
                slots = [slot for first, last in spans for slot in by.slots[first:last]]
                slots += by.noted.difference(slots)
        if slots is None:
            return None
        bits = mask.bits
        tests = [condition.test(self._columns[condition.column]) for condition in dear]
        return _first(
            (slot for slot in slots if bits[slot] and all(test(slot) for test in tests)), order, after, limit
        )

    def _narrowed(self, mask: _Mask, dear: Conditions) -> _Mask:
        bits, left = bytearray(mask.bits), mask.count
        for condition in dear:
            column = self._columns[condition.column]
            if left * 4 < len(bits):  # few are left: test those
                test = condition.test(column)
                for slot in list(compress(range(len(bits)), bits)):
                    bits[slot] = test(slot)
            else:
                bits = both(bits, condition.mask(column))
            left = count(bits)
        return _Mask([*mask.conditions, *dear], bits)

    def _order(self, fields: tuple[OrderField, ...]) -> Order:
        order = self._orders.pop(fields, None)
        if order is None:
            by = [
                OrderedBy(self._columns[field.group, field.key], field.descending, field.ranked)
                for field in fields
            ]
            base = self._orders.get(_DEFAULT) if fields[-2:] == _DEFAULT else None
            order = Order(by, len(self.runs), base)
        self._orders[fields] = order
        if len(self._orders) > _MOST_ORDERS:
            oldest = next(each for each in self._orders if each != _DEFAULT)
            del self._orders[oldest]
            self.windows.forget_order(oldest)
        return order

    # -- windows ------------------------------------------------------------------------------------
    def load(self, tx: Transaction, names: Iterable[ColumnName]) -> None:
        """Have some columns in memory, and let go of them last."""
        wanted = list(dict.fromkeys(names))
        for name in wanted:
            if name not in self._columns:
                self._load(tx, name)
        for name in wanted:
            self._columns[name] = self._columns.pop(name)

    def matches(self, conditions: Conditions) -> _Mask:
        """Return which slots meet all conditions; their columns are in memory.

        Raises:
            UnsureError: only the database knows.
        """
        key = _key_of(conditions)
        mask = self._masks.pop(key, None)
        if mask is None:
            cheap = [each for each in conditions if each.is_cheap(self._columns[each.column])]
            mask = self._cheap_mask(cheap)
            dear = [each for each in conditions if each not in cheap]
            if dear:
                mask = self._narrowed(mask, dear)
        self._remember(key, mask)
        return mask

    def parents(self, mask: _Mask) -> set[str]:
        """Return the ids of the parents of some slots."""
        column = self._columns[PARENT]
        assert isinstance(column, TextColumn)
        return {str(column.values[code]) for code in set(compress(column.codes, mask.bits)) if code}

    def present(self, mask: _Mask, run_ids: set[str]) -> set[str]:
        """Return which of some runs are among a mask's slots."""
        column = self._columns[RUN_ID]
        assert isinstance(column, TextColumn)
        if not run_ids:
            return set()
        return run_ids.intersection(map(column.values.__getitem__, compress(column.codes, mask.bits)))

    def count_children(self, mask: _Mask, parents: frozenset[str]) -> Counter[str]:
        """Return how many slots of a mask have each of some parents; nobody is his own child."""
        column = self._columns[PARENT]
        assert isinstance(column, TextColumn)
        codes = Counter(compress(column.codes, mask.bits))
        children = Counter(
            {str(column.values[code]): n for code, n in codes.items() if column.values[code] in parents}
        )
        for slot in self._own_parents(mask, parents):
            children[str(column[slot])] -= 1
        return children

    def _own_parents(self, mask: _Mask, parents: frozenset[str]) -> list[int]:
        of, ids = self._columns[PARENT], self._columns[RUN_ID]
        assert isinstance(of, TextColumn)
        assert isinstance(ids, TextColumn)
        wanted = {code for code, text in enumerate(ids.values) if text in parents}
        return [
            slot
            for slot in compress(range(len(mask.bits)), mask.bits)
            if ids.codes[slot] in wanted and of[slot] == ids[slot]
        ] if wanted else []  # fmt: skip

    def tree(self, mask: _Mask) -> Tree:
        """Return who is whose child among the slots of a mask, kept for later."""
        key = _key_of(mask.conditions)
        found = self.windows.trees.get(key)
        if found is None:
            parents = frozenset(self.present(mask, self.parents(mask)))
            found = Tree(parents, self.count_children(mask, parents))
            self.windows.trees[key] = found
        return found

    def root_bits(self, mask: _Mask, parents: frozenset[str]) -> bytearray:
        """Return which slots of a mask have none of some parents."""
        column = self._columns[PARENT]
        assert isinstance(column, TextColumn)
        bits = both(mask.bits, column.mask(lambda text: text not in parents))
        for slot in self._own_parents(mask, parents):
            bits[slot] = 1
        return bits

    def listing(
        self, mask: _Mask, fields: Sequence[OrderField], roots: frozenset[str] | None, *, keep: bool = True
    ) -> "array[int]":
        """Return all slots of a mask in order; those of a tree's roots if its parents are given."""
        key = (_key_of(mask.conditions), tuple(fields), roots is not None)
        found = self.windows.listings.get(key)
        if found is None or not keep:
            order = self._order(tuple(fields))
            order.settle()
            if roots is None and mask.count == len(mask.bits):
                found = order.slots[:]
            else:
                bits = mask.bits if roots is None else self.root_bits(mask, roots)
                found = array("I", list(compress(order.slots, map(bits.__getitem__, order.slots))))
            if keep:
                self.windows.keep_listing(key, found)
        return found

    def count_keys(self, mask: _Mask, name: ColumnName) -> Counter[str]:
        """Return how many slots of a mask have each of the keys that a column of keys names."""
        column = self._columns[name]
        assert isinstance(column, TextColumn)
        counts: Counter[str] = Counter()
        for code, slots in Counter(compress(column.codes, mask.bits)).items():
            text = column.values[code]
            if isinstance(text, str):
                for key in text.split("\n"):
                    counts[key] += slots
        return counts

    def cells(self, mask: _Mask, name: ColumnName) -> list[Any]:
        """Return the texts or numbers of the slots of a mask; NaN where there is no number."""
        column = self._columns[name]
        if isinstance(column, TextColumn):
            return list(map(column.values.__getitem__, compress(column.codes, mask.bits)))
        return list(compress(column.values, mask.bits))

    def count_present(self, mask: _Mask, name: ColumnName) -> int:
        """Return how many slots of a mask have a number."""
        column = self._columns[name]
        assert isinstance(column, NumberColumn)
        return count(both(mask.bits, column.mask_ranks((PRESENT,))))

    def column(self, name: ColumnName) -> Column | None:
        """Return a column, if it is in memory."""
        return self._columns.get(name)

    def range_of(self, mask: _Mask, name: ColumnName) -> Span | str | None:
        """Return the range of a column, which is in memory, among the slots of a mask."""
        return self.windows.range_of(_key_of(mask.conditions), name, self._columns[name], mask.bits)

    # -- room ---------------------------------------------------------------------------------------
    @property
    def size(self) -> int:
        """How many bytes it takes, about."""
        if len(self.runs) > self._sized * 1.1:
            self._sizes.clear()
            self._sized = len(self.runs)
        for name, column in self._columns.items():
            if name not in self._sizes:
                self._sizes[name] = column.size
        return (
            16 * len(self.runs)
            + sum(self._sizes.values())
            + sum(order.size for order in self._orders.values())
            + sum(len(mask.bits) for mask in self._masks.values())
            + self.windows.size
        )

    def shrink(self, most: int) -> None:
        """Let go of what was used least lately, until no more than `most` bytes are taken, if that can be."""
        while self._masks and self.size > most:
            self._forget_mask(next(iter(self._masks)))
        for name in [name for name in self._columns if name not in BASE]:
            if self.size <= most:
                return
            self._drop(name)
        if self.size > most:
            for fields in [each for each in self._orders if each != _DEFAULT]:
                del self._orders[fields]
                self.windows.forget_order(fields)

    def _drop(self, name: ColumnName) -> None:
        del self._columns[name]
        self._sizes.pop(name, None)
        self.windows.forget_column(name)
        for key, mask in list(self._masks.items()):
            if any(condition.column == name for condition in mask.conditions):
                self._forget_mask(key)
        for fields in list(self._orders):
            if any((field.group, field.key) == name for field in fields):
                del self._orders[fields]


def _key_of(conditions: Conditions) -> frozenset[object]:
    return frozenset(condition.identity for condition in conditions)


def _sorted_by(column: ColumnName) -> tuple[tuple[OrderField, ...], Key]:
    """Return the order by a column, and how the keys of those that have a value begin in it."""
    group, key = column
    kind = "number" if group == "metric" else "integer" if is_number(column) else "text"
    ranked = group != "attribute" or key == "end_time"
    ties = tuple(field for field in _DEFAULT if (field.group, field.key) != column)
    if column == RUN_ID:
        ties = ()
    field = OrderField(group, key, descending=False, kind=kind, ranked=ranked)
    return (field, *ties), (PRESENT,) if ranked else ()


def _first(slots: Iterable[int], order: Order, after: Key | None, limit: int) -> list[int]:
    """Return the first slots in order."""
    keys = ((order.key(slot), slot) for slot in slots)
    return [slot for _, slot in nsmallest(limit, (each for each in keys if after is None or each[0] > after))]


def _ones(mask: _Mask) -> Iterable[int]:
    bits = mask.bits
    if mask.count * 16 > len(bits):
        return compress(range(len(bits)), bits)
    found: list[int] = []
    at = bits.find(1)
    while at >= 0:
        found.append(at)
        at = bits.find(1, at + 1)
    return found
