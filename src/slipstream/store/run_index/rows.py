"""Windows of rows, cells and keys, in the tables of the experiments that are searched."""

from collections import Counter
from collections.abc import Callable, Sequence
from heapq import merge
from itertools import islice
from typing import Any

import msgspec

from slipstream.db.base import Transaction
from slipstream.search.sql import Query
from slipstream.store.run_index.conditions import ColumnName, Condition, TextCondition
from slipstream.store.run_index.orders import Key, Order
from slipstream.store.run_index.reading import END_TIME, KEYS, RUN_ID
from slipstream.store.run_index.table import RunTable
from slipstream.store.run_index.windows import PARENT, Span, Tree

_MOST_CELLS = 300_000
"""Cells that one request reads into memory for ranges, some 0.4 s; the others wait for it. The rest is left to later ones."""
_MOST_BESIDE = 100_000
"""The same for a request that had cells to read for its rows too: it is the first, and somebody waits to see rows."""


class Window(msgspec.Struct, frozen=True):
    """Some rows of a table of runs."""

    total: int
    runs: list[int]
    """Internal ids in order."""
    children: list[int] | None
    """How many found runs each has as its parent, where a tree was asked for."""
    values: dict[ColumnName, list[Any]]
    """Of the columns that are in memory: a text, or a number and its rank, a row."""
    ranges: dict[ColumnName, Span | None]
    upto: int
    complete: bool = True
    """Whether all columns whose ranges were asked for are in memory."""


class WindowRequest(msgspec.Struct, frozen=True):
    """Which rows are asked for, and what of them."""

    offset: int
    limit: int
    parent: str | None
    roots: bool
    columns: tuple[ColumnName, ...]
    ranges: bool
    child_ranges: bool = False
    """Whether metrics of the children of each row are looked at afterwards."""


class KeyCounts(msgspec.Struct, frozen=True):
    """Which keys some runs have."""

    runs: int
    keys: dict[str, Counter[str]]
    """By group, how many runs have each key."""
    ended: int
    """How many runs have an end time."""
    newest: list[int]
    """Internal ids of some of them, the newest first."""
    upto: int
    identity: object = None
    """Equal as long as nothing of it has changed, nor any value of those runs; `None` where that is not known."""


class Cells(msgspec.Struct, frozen=True):
    """Columns of some runs: one value a run, in any order, but the same in all of them."""

    runs: int
    values: dict[ColumnName, list[Any]]
    """Texts, or of metrics numbers; NaN where there is none."""
    upto: int


def find_window(
    tx: Transaction,
    tables: Sequence[RunTable],
    query: Query,
    conditions: list[Condition],
    wanted: WindowRequest,
    upto: int,
    others_wait: Callable[[], bool],
) -> Window:
    """Return some rows.

    Args:
        tx: where to read columns that are not in memory yet.
        tables: of the experiments that are searched.
        query: what `compile_runs` returned.
        conditions: what runs have to meet.
        wanted: which rows.
        upto: the number of the last change that `tx` sees.
        others_wait: whether another request waits for this one; then ranges are left to the next one earlier.
    """
    of_parent = [] if wanted.parent is None else [parent_condition(wanted.parent)]
    names = [condition.column for condition in (*conditions, *of_parent)]
    shows_tree = wanted.roots or wanted.parent is not None
    if shows_tree:
        names += [PARENT]
    orders: list[Order] = []
    for table in tables:
        table.load(tx, names)
        orders.append(table.prepare(tx, conditions, query.fields))
    all_found = [table.matches(conditions) for table in tables]
    shown = [table.matches([*conditions, *of_parent]) for table in tables] if of_parent else all_found
    alone = len(tables) == 1
    tree = None
    if shows_tree:
        tree = tables[0].tree(all_found[0]) if alone else _tree_of_several(tables, all_found)
    roots = tree.parents if tree is not None and wanted.roots else None
    listings = [
        table.listing(mask, query.fields, roots, keep=alone)
        for table, mask in zip(tables, shown, strict=True)
    ]
    end = wanted.offset + wanted.limit
    if alone:
        rows = [(0, slot) for slot in listings[0][wanted.offset : end]]
    else:
        parts = [
            [(order.key(slot), at, slot) for slot in listing[:end]]
            for at, (order, listing) in enumerate(zip(orders, listings, strict=True))
        ]
        rows = [
            (at, slot) for _, at, slot in islice(merge(*parts, key=lambda row: row[0]), wanted.offset, end)
        ]
    ranged: list[ColumnName] = []
    if wanted.ranges:
        ranged = list(dict.fromkeys(wanted.columns))
    elif wanted.child_ranges and tree is not None and tree.children:
        ranged = [name for name in dict.fromkeys(wanted.columns) if name[0] == "metric"]
    loaded = _load_some(tx, tables, ranged, others_wait)
    values: dict[ColumnName, list[Any]] = {}
    for name in wanted.columns:
        columns = [table.column(name) for table in tables]
        if None not in columns:
            values[name] = [column.at(slot) for at, slot in rows if (column := columns[at]) is not None]
    children = None
    if tree is not None:
        ids = [table.column(RUN_ID) for table in tables]
        children = [
            tree.children[str(column.at(slot))] for at, slot in rows if (column := ids[at]) is not None
        ]
    ranges: dict[ColumnName, Span | None] = {}
    if wanted.ranges:
        for name in loaded:
            ranges[name] = join_ranges(
                [table.range_of(mask, name) for table, mask in zip(tables, all_found, strict=True)]
            )
    return Window(
        sum(map(len, listings)),
        [tables[at].runs[slot] for at, slot in rows],
        children,
        values,
        ranges,
        upto,
        len(loaded) == len(ranged),
    )


def _load_some(
    tx: Transaction, tables: Sequence[RunTable], names: Sequence[ColumnName], others_wait: Callable[[], bool]
) -> list[ColumnName]:
    """Have columns in memory, as many as one request may read; return those that are there."""
    loaded: list[ColumnName] = []
    read = sum(table.cells_read for table in tables)
    most = _MOST_CELLS if not read else _MOST_BESIDE
    for name in names:
        missing = [table for table in tables if table.column(name) is None]
        cells = sum(len(table.runs) for table in missing)
        # A request that has read nothing yet reads one column at least, so that the last of several has all.
        if read and cells and (read + cells > most or others_wait()):
            continue
        read += cells
        for table in missing:
            table.load(tx, [name])
        loaded.append(name)
    return loaded


def _tree_of_several(tables: Sequence[RunTable], masks: Sequence[Any]) -> Tree:
    named: set[str] = set()
    for table, mask in zip(tables, masks, strict=True):
        named |= table.parents(mask)
    parents: set[str] = set()
    for table, mask in zip(tables, masks, strict=True):
        parents |= table.present(mask, named)
    children: Counter[str] = Counter()
    for table, mask in zip(tables, masks, strict=True):
        children.update(table.count_children(mask, frozenset(parents)))
    return Tree(frozenset(parents), children)


def count_keys(
    tx: Transaction,
    tables: Sequence[RunTable],
    query: Query,
    conditions: list[Condition],
    groups: Sequence[str],
    newest: int,
    upto: int,
) -> KeyCounts:
    names = [(KEYS, group) for group in groups]
    ends = [END_TIME] if groups else []
    keys: dict[str, Counter[str]] = {group: Counter() for group in groups}
    total = ended = 0
    parts: list[list[tuple[Key, int]]] = []
    for table in tables:
        table.load(tx, [condition.column for condition in conditions] + [*names, *ends])
        order = table.prepare(tx, conditions, query.fields)
        mask = table.matches(conditions)
        total += mask.count
        ended += table.count_present(mask, END_TIME) if groups else 0
        for group in groups:
            keys[group].update(table.count_keys(mask, (KEYS, group)))
        slots = table.listing(mask, query.fields, None)[:newest]
        parts.append([(order.key(slot), table.runs[slot]) for slot in slots])
    rows = islice(merge(*parts, key=lambda row: row[0]), newest)
    identity = (
        tuple(table.state for table in tables),
        frozenset(condition.identity for condition in conditions),
        tuple(groups),
    )
    return KeyCounts(total, keys, ended, [run for _, run in rows], upto, identity)


def join_ranges(found: Sequence[Span | str | None]) -> Span | None:
    """Return the range of several parts, each as `find_range` returns it."""
    spans = [span for span in found if not isinstance(span, str) and span is not None]
    if not spans or len(spans) < sum(span is not None for span in found):
        return None
    return min(low for low, _ in spans), max(high for _, high in spans)


def parent_condition(run_id: str) -> TextCondition:
    return TextCondition(PARENT, "=", run_id, lambda text: text == run_id)
