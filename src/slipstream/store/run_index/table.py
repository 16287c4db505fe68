"""The runs of one experiment in memory: columns, orders and masks, each made when first asked for."""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from heapq import nsmallest
from itertools import compress, islice
from typing import TypeAlias

from slipstream.db.base import Transaction
from slipstream.search.sql import OrderField
from slipstream.store.run_index.columns import PRESENT, both
from slipstream.store.run_index.conditions import Column, ColumnName, Condition, UnsureError
from slipstream.store.run_index.orders import Key, Order, OrderedBy
from slipstream.store.run_index.reading import (
    BASE,
    RUN_ID,
    SELECT_BASE,
    SELECT_RUN_IDS,
    STAGE,
    START_TIME,
    Values,
    new_column,
    read_columns,
    setter,
)

_CHUNK = 5_000
"""Runs to read at a time: what the database hands over takes much more room than what is kept of it."""
_WALKED = 2_000
"""Slots to test one by one before masks are made, which is cheaper for each but done for all."""
_MOST_MASKS = 32
_MOST_ORDERS = 16
RUN_BYTES = 180
"""What a run takes at least, about: its ids, start, stage and place in the first order."""

_DEFAULT = (
    OrderField("attribute", "start_time", descending=True, kind="integer", ranked=False),
    OrderField("attribute", "run_id", descending=False, kind="text", ranked=False),
)

Conditions: TypeAlias = Sequence[Condition]


class OutOfStepError(Exception):
    """The runs that are there cannot have come from the changes that were told; never leaves the store."""


class _Mask:
    """Which slots meet some conditions."""

    __slots__ = ("bits", "conditions", "count")

    def __init__(self, conditions: Conditions, bits: bytearray) -> None:
        self.conditions = conditions
        self.bits = bits
        self.count = bits.count(1)


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
        values: dict[ColumnName, Values] = {name: {} for name in BASE}
        for chunk in _chunks(self.runs):
            for name, part in self._read_base(tx, chunk).items():
                values[name].update(part)
        for name in BASE:
            self._columns[name] = new_column(name, values[name], self.runs)
            values[name].clear()
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
        writers = [(setter(self._columns[name]), values.get(name, {})) for name in self._columns]
        slots: list[int] = []
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
            for write, found in writers:
                write(slot, found.get(run))
            self.read_at[slot] = upto
            slots.append(slot)
        for order in self._orders.values():
            order.note(slots)
        for key in list(self._masks):
            try:
                self._patch(self._masks[key], slots)
            except UnsureError:
                del self._masks[key]
        self.pending = set()
        return changed

    def slot(self, run: int) -> int | None:
        at = bisect_left(self.runs, run)
        return at if at < len(self.runs) and self.runs[at] == run else None

    def _read_base(self, tx: Transaction, runs: Sequence[int]) -> dict[ColumnName, Values]:
        values: dict[ColumnName, Values] = {name: {} for name in BASE}
        for run, run_id, start_time, stage in tx.fetch_all(
            SELECT_BASE, runs__in=list(runs), experiment=self.experiment
        ):
            values[RUN_ID][run] = run_id
            values[START_TIME][run] = (start_time, PRESENT)
            values[STAGE][run] = stage
        return values

    def _patch(self, mask: _Mask, slots: Iterable[int]) -> None:
        bits = mask.bits
        tests = [condition.test(self._columns[condition.column]) for condition in mask.conditions]
        for slot in slots:
            now = all(test(slot) for test in tests)
            if slot == len(bits):
                bits.append(now)
                mask.count += now
            else:
                mask.count += now - bits[slot]
                bits[slot] = now

    # -- searching ----------------------------------------------------------------------------------
    def prepare(self, tx: Transaction, conditions: Conditions, fields: Sequence[OrderField]) -> Order:
        """Load what a search needs, and return its order."""
        wanted = [condition.column for condition in conditions] + [(field.group, field.key) for field in fields]
        missing = [name for name in dict.fromkeys(wanted) if name not in self._columns]
        for name in missing:
            values: Values = {}
            for chunk in _chunks(self.runs):
                values.update(read_columns(tx, chunk, [name])[name])
            self._columns[name] = new_column(name, values, self.runs)
        for name in dict.fromkeys(wanted):  # what was used last comes last
            self._columns[name] = self._columns.pop(name)
        return self._order(tuple(fields))

    def find(self, conditions: Conditions, order: Order, after: Key | None, limit: int) -> list[int]:
        """Return the first slots, in order, that meet all conditions and come after a key.

        Raises:
            UnsureError: only the database knows.
        """
        order.tidy()
        key = frozenset(condition.identity for condition in conditions)
        mask = self._masks.pop(key, None)
        start = order.start(after)
        if mask is None:
            found = self._walk(conditions, order, after, start, limit)
            if found is not None:
                return found
            mask = self._new_mask(conditions)
        self._masks[key] = mask
        while len(self._masks) > _MOST_MASKS:
            del self._masks[next(iter(self._masks))]
        # Going through the order costs a little for each slot, sorting what matches more for each match.
        if mask.count * 30 * mask.count < limit * len(self.runs):
            keys = [(order.key(slot), slot) for slot in _ones(mask)]
            if after is not None:
                keys = [each for each in keys if each[0] > after]
            return [slot for _, slot in nsmallest(limit, keys)]
        return list(islice(order.walk(start, mask.bits, after), limit))

    def _walk(
        self, conditions: Conditions, order: Order, after: Key | None, start: int, limit: int
    ) -> list[int] | None:
        """Test slots in order, the first few only; return `None` if more would be needed."""
        tests = [condition.test(self._columns[condition.column]) for condition in conditions]
        noted = order.noted
        part = order.slots[start : start + _WALKED]
        found: list[int] = []
        for slot in part:
            if slot not in noted and all(test(slot) for test in tests):
                found.append(slot)
                if len(found) == limit:
                    break
        else:
            if start + len(part) < len(order.slots):
                return None
        others = [slot for slot in noted if all(test(slot) for test in tests)]
        if not others:
            return found
        keys = [(order.key(slot), slot) for slot in others]
        if after is not None:
            keys = [each for each in keys if each[0] > after]
        keys += [(order.key(slot), slot) for slot in found]
        return [slot for _, slot in nsmallest(limit, keys)]

    def _new_mask(self, conditions: Conditions) -> _Mask:
        bits: bytearray | None = None
        for condition in conditions:
            column = self._columns[condition.column]
            if bits is None:
                bits = condition.mask(column)
            elif bits.count(1) * 4 < len(bits):  # few are left: test those
                test = condition.test(column)
                for slot in list(compress(range(len(bits)), bits)):
                    bits[slot] = test(slot)
            else:
                bits = both(bits, condition.mask(column))
        assert bits is not None, "there is always the condition of the stage"
        return _Mask(conditions, bits)

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
            del self._orders[next(each for each in self._orders if each != _DEFAULT)]
        return order

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
        )

    def shrink(self, most: int) -> None:
        """Let go of what was used least lately, until no more than `most` bytes are taken, if that can be."""
        while self._masks and self.size > most:
            del self._masks[next(iter(self._masks))]
        for name in [name for name in self._columns if name not in BASE]:
            if self.size <= most:
                return
            self._drop(name)
        if self.size > most:
            self._orders = {_DEFAULT: self._orders[_DEFAULT]}

    def _drop(self, name: ColumnName) -> None:
        del self._columns[name]
        self._sizes.pop(name, None)
        for key, mask in list(self._masks.items()):
            if any(condition.column == name for condition in mask.conditions):
                del self._masks[key]
        for fields in list(self._orders):
            if any((field.group, field.key) == name for field in fields):
                del self._orders[fields]


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


def _chunks(runs: Sequence[int]) -> Iterable[list[int]]:
    for start in range(0, len(runs), _CHUNK):
        yield list(runs[start : start + _CHUNK])
