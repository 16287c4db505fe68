"""Answers searches of runs from memory, as of the snapshot that asks.

A search reads, as the first thing in its snapshot, what has changed since the last one, reads those runs again, and
answers from columns. So it sees all that was committed before it began, by whichever process.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable, Generator, Hashable, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from heapq import merge
from itertools import islice
from typing import Any, TypeAlias

import msgspec

from slipstream.db.base import Transaction
from slipstream.entities import Run
from slipstream.search.ast import Comparison
from slipstream.search.sql import Query
from slipstream.store.run_changes import AheadError, BehindError, newest_change, read_changes
from slipstream.store.run_index.columns import Text
from slipstream.store.run_index.conditions import (
    ColumnName,
    Condition,
    TextCondition,
    UnsureError,
    make_condition,
)
from slipstream.store.run_index.kept import KeptByRun
from slipstream.store.run_index.orders import Key
from slipstream.store.run_index.reading import SELECT_RUN_IDS, STAGE
from slipstream.store.run_index.rows import (
    Cells,
    KeyCounts,
    Window,
    WindowRequest,
    count_keys,
    find_window,
)
from slipstream.store.run_index.table import RUN_BYTES, OutOfStepError, RunTable
from slipstream.store.run_index.watched_lock import WatchedLock

Encode: TypeAlias = Callable[[Run], bytes]

MEMORY = 64 * 2**20
DOCUMENTS = 16 * 2**20
KEPT = 16 * 2**20
"""Bytes of lines of charts."""
_MOST_EXPERIMENTS = 100
_MOST_PENDING = 20_000
_MOST_KEPT = 1_000
"""Runs of a page whose documents are kept; longer pages are exports, and would only push out what is looked at."""
_DOCUMENT_BYTES = 150
_MOST_SUMMARIES = 20_000
_MOST_COLUMN_LISTS = 4


class Found(msgspec.Struct, frozen=True):
    """A page of a search."""

    runs: list[int]
    """Internal ids in order."""
    token: str | None
    documents: dict[int, bytes]
    """Those that are known already."""
    upto: int
    tables: list[tuple[RunTable, list[int]]]


class RunIndex:
    """Columns and encoded runs of the experiments that are searched. Thread-safe; not to be carried over a fork.

    Args:
        memory: how many bytes columns may take. An experiment that needs more is searched with SQL.
        documents: how many bytes encoded runs may take.
    """

    def __init__(self, memory: int = MEMORY, documents: int = DOCUMENTS) -> None:
        self._lock = WatchedLock()
        self._turn = threading.RLock()
        self._memory = memory
        self._most_documents = documents
        self._seen: int | None = None
        self._tables: OrderedDict[int, RunTable] = OrderedDict()
        self._too_large: set[int] = set()
        self._encode: Encode | None = None
        self._documents: OrderedDict[int, bytes] = OrderedDict()
        self._document_bytes = 0
        self._summaries: dict[tuple[int, int], tuple[object, int]] = {}
        """What was found out of series, by run and series, with the change up to which it is true."""
        self._kept = KeptByRun(KEPT)
        self._columns: dict[object, object] = {}
        """Lists of columns, by the identity of the counts of their keys."""
        self.answered = 0
        """How many searches were answered from memory."""

    def turn(self, limit: int) -> AbstractContextManager[object]:
        """Hold while a page is found and read, before anything is read from the database.

        Short pages are made one after the other: threads that take turns at every row, as they do when each reads from
        the database, together need twice the time. Long ones would keep the others waiting.
        """
        return self._turn if limit <= _MOST_KEPT else nullcontext()

    def find(
        self,
        tx: Transaction,
        experiments: Sequence[int],
        query: Query,
        stages: Sequence[str],
        limit: int,
        encode: Encode | None = None,
    ) -> Found | None:
        """Return one page of a search, or `None` when the database has to be asked.

        Args:
            tx: a reading transaction; one that has read nothing yet, or memory may be ahead of it.
            experiments: numbers.
            query: what `compile_runs` returned.
            stages: which runs to show by their lifecycle stage.
            limit: runs on the page.
            encode: what makes documents, if those that are known are wanted.
        """
        numbers = list(dict.fromkeys(experiments))
        if len(numbers) > _MOST_EXPERIMENTS or not self._too_large.isdisjoint(numbers):
            return None
        with self._lock:
            try:
                conditions = _conditions(query.comparisons, stages, ascii_only=tx.dialect != "sqlite")
                upto = self._catch_up(tx)
                found = self._find(tx, numbers, query, conditions, limit, upto)
            except (AheadError, UnsureError, _TooLargeError):
                return None
            self.answered += 1
            if encode is None:
                return found
            if encode is not self._encode:
                self._encode = encode
                self._documents.clear()
                self._document_bytes = 0
            for run in found.runs:
                document = self._documents.get(run)
                if document is not None:
                    self._documents.move_to_end(run)
                    found.documents[run] = document
            return found

    def find_window(
        self,
        tx: Transaction,
        experiments: Sequence[int],
        query: Query,
        stages: Sequence[str],
        wanted: WindowRequest,
    ) -> Window | None:
        """Return any rows of all that a search finds, or `None` when the database has to be asked; see `find`."""
        numbers = list(dict.fromkeys(experiments))
        if len(numbers) > _MOST_EXPERIMENTS or not self._too_large.isdisjoint(numbers):
            return None
        with self._lock:
            try:
                conditions = _conditions(query.comparisons, stages, ascii_only=tx.dialect != "sqlite")
                upto = self._catch_up(tx)
                with self._tables_of(tx, numbers, upto) as tables:
                    window = find_window(tx, tables, query, conditions, wanted, upto, self._lock.others_wait)
            except (AheadError, UnsureError, _TooLargeError):
                return None
            self._make_room()
            self.answered += 1
            return window

    def find_cells(
        self,
        tx: Transaction,
        experiments: Sequence[int],
        query: Query,
        stages: Sequence[str],
        names: Sequence[ColumnName],
    ) -> Cells | None:
        """Return columns of all runs that a search finds, or `None` when the database has to be asked; see `find`."""
        numbers = list(dict.fromkeys(experiments))
        if len(numbers) > _MOST_EXPERIMENTS or not self._too_large.isdisjoint(numbers):
            return None
        found: dict[ColumnName, list[Any]] = {name: [] for name in names}
        count = 0
        with self._lock:
            try:
                conditions = _conditions(query.comparisons, stages, ascii_only=tx.dialect != "sqlite")
                upto = self._catch_up(tx)
                with self._tables_of(tx, numbers, upto) as tables:
                    for table in tables:
                        table.load(tx, [*(condition.column for condition in conditions), *names])
                        mask = table.matches(conditions)
                        count += mask.count
                        for name in names:
                            found[name] += table.cells(mask, name)
            except (AheadError, UnsureError, _TooLargeError):
                return None
            self._make_room()
            self.answered += 1
            return Cells(count, found, upto)

    def count_keys(
        self,
        tx: Transaction,
        experiments: Sequence[int],
        query: Query,
        stages: Sequence[str],
        groups: Sequence[str],
        newest: int,
    ) -> KeyCounts | None:
        """Return which keys the runs that a search finds have, or `None` when the database has to be asked.

        Args:
            tx: as in `find`; so are the next three.
            experiments: numbers.
            query: what `compile_runs` returned, without an order.
            stages: which runs to look at.
            groups: `metric`, `parameter`, `tag`; with none, ended runs are not counted either.
            newest: how many of the newest runs to name.
        """
        numbers = list(dict.fromkeys(experiments))
        if len(numbers) > _MOST_EXPERIMENTS or not self._too_large.isdisjoint(numbers):
            return None
        with self._lock:
            try:
                conditions = _conditions(query.comparisons, stages, ascii_only=tx.dialect != "sqlite")
                upto = self._catch_up(tx)
                with self._tables_of(tx, numbers, upto) as tables:
                    counts = count_keys(tx, tables, query, conditions, groups, newest, upto)
            except (AheadError, UnsureError, _TooLargeError):
                return None
            self._make_room()
            self.answered += 1
            return counts

    @contextmanager
    def _tables_of(self, tx: Transaction, numbers: Sequence[int], upto: int) -> Generator[list[RunTable]]:
        """Have the tables of some experiments; those that an error may have left half changed are dropped."""
        try:
            yield [self._table(tx, number, upto) for number in numbers]
        except (UnsureError, _TooLargeError):
            raise
        except BaseException:
            for number in numbers:
                self._drop(number)
            raise

    def keep(self, found: Found, encode: Encode, documents: Mapping[int, bytes]) -> None:
        """Remember documents that were made for a page, for later ones, unless their runs have changed meanwhile."""
        if len(documents) > _MOST_KEPT:
            return
        with self._lock:
            if encode is not self._encode:
                return
            for table, runs in found.tables:
                if self._tables.get(table.experiment) is not table:
                    continue
                for run in runs:
                    slot = table.slot(run)
                    if run not in documents or slot is None or run in table.pending:
                        continue
                    if table.read_at[slot] <= found.upto:
                        self._forget(run)
                        self._documents[run] = documents[run]
                        self._document_bytes += len(documents[run]) + _DOCUMENT_BYTES
            while self._document_bytes > self._most_documents:
                self._forget(next(iter(self._documents)))

    def summary(self, run: int, series: int, upto: int) -> object | None:
        """Return what was kept of a series, unless its run has changed since; to be asked after `state`.

        Args:
            run: the internal id.
            series: its number.
            upto: the last change that the snapshot of the asking transaction sees.
        """
        with self._lock:
            found = self._summaries.get((run, series))
            # Neither what is later than the snapshot, nor what may have changed before it, unknown to this process.
            if found is None or self._seen is None or not found[1] <= upto <= self._seen:
                return None
            for table in self._tables.values():
                slot = table.slot(run)
                if slot is not None:
                    return found[0] if run not in table.pending and table.read_at[slot] <= found[1] else None
            return None

    def keep_summary(self, run: int, series: int, summary: object, upto: int) -> None:
        """Keep what the points of a series say together, as of a change."""
        with self._lock:
            self._summaries[run, series] = (summary, upto)
            while len(self._summaries) > _MOST_SUMMARIES:
                del self._summaries[next(iter(self._summaries))]

    def state(self, tx: Transaction) -> int | None:
        """Take note of what has changed; return the number of the last change, or `None` if memory is ahead of `tx`."""
        with self._lock:
            try:
                return self._catch_up(tx)
            except AheadError:
                return None

    def kept(self, key: Hashable) -> object | None:
        """Return what was kept of a run, unless that has changed; to be asked after `state`."""
        with self._lock:
            return self._kept.get(key)

    def keep_of_run(self, key: Hashable, run: int, value: object, upto: int, size: int) -> None:
        """Keep something of a run that is true as of a change, until the run changes.

        Args:
            key: what it is.
            run: the internal id.
            value: to keep.
            upto: as `state` returned it, in the snapshot in which the value was found.
            size: how many bytes it takes.
        """
        with self._lock:
            self._kept.keep(key, run, value, upto, size)

    def columns(self, identity: object) -> object | None:
        """Return what was kept of the columns that some counts of keys were made for."""
        with self._lock:
            return self._columns.get(identity)

    def keep_columns(self, identity: object, columns: object) -> None:
        """Keep what was found out of columns, as long as the identity of the counts of their keys is the same."""
        with self._lock:
            self._columns[identity] = columns
            while len(self._columns) > _MOST_COLUMN_LISTS:
                del self._columns[next(iter(self._columns))]

    def drop(self, experiments: Sequence[int]) -> None:
        """Forget experiments, to read them anew when they are searched next."""
        with self._lock:
            for number in experiments:
                self._drop(number)

    def sizes(self) -> tuple[int, int]:
        """Return how many bytes columns and documents take, about."""
        with self._lock:
            return sum(table.size for table in self._tables.values()), self._document_bytes

    # -- with the lock in hand ----------------------------------------------------------------------
    def _catch_up(self, tx: Transaction) -> int:
        """Tell all tables what has changed; return the number of the last change."""
        try:
            if self._seen is None:
                self._seen = newest_change(tx)
                return self._seen
            changes = read_changes(tx, self._seen)
        except BehindError:
            for number in list(self._tables):
                self._drop(number)
            self._seen = newest_change(tx)
            self._kept.clear(self._seen)
            return self._seen
        for number in changes.experiments:
            self._drop(number)
        if changes.runs:
            self._kept.note(changes.runs, changes.upto)
            for run in changes.runs:
                self._forget(run)  # it may be in another experiment now
            for number, table in list(self._tables.items()):
                table.pending |= changes.runs
                if len(table.pending) > _MOST_PENDING:
                    self._drop(number)
        self._seen = changes.upto
        return self._seen

    def _find(
        self,
        tx: Transaction,
        numbers: Sequence[int],
        query: Query,
        conditions: list[Condition],
        limit: int,
        upto: int,
    ) -> Found:
        parts: list[list[tuple[Key, RunTable, int, Any]]] = []
        for number in numbers:
            try:
                table = self._table(tx, number, upto)
                order = table.prepare(tx, conditions, query.fields)
                after = None if query.after is None else order.place(query.after)
                slots = table.find(conditions, order, after, limit + 1)
            except UnsureError:
                raise
            except BaseException:
                self._drop(number)
                raise
            if len(numbers) == 1:
                parts.append([((), table, slot, order) for slot in slots])
            else:
                parts.append([(order.key(slot), table, slot, order) for slot in slots])
        rows = list(islice(merge(*parts, key=lambda row: row[0]), limit + 1))
        shown = rows[:limit]
        token = None
        if len(rows) > limit:
            _, _, slot, order = shown[-1]
            token = query.next_token(order.values(slot))
        runs: list[int] = []
        shares: dict[int, tuple[RunTable, list[int]]] = {}
        for _, table, slot, _ in shown:
            run = table.runs[slot]
            runs.append(run)
            shares.setdefault(table.experiment, (table, []))[1].append(run)
        self._make_room()
        return Found(runs, token, {}, upto, list(shares.values()))

    def _table(self, tx: Transaction, number: int, upto: int) -> RunTable:
        table = self._tables.get(number)
        if table is not None:
            table.cells_read = 0
            try:
                for run in table.catch_up(tx, upto):
                    self._forget(run)
            except OutOfStepError:
                self._drop(number)
                table = None
        if table is None:
            runs = [row[0] for row in tx.fetch_all(SELECT_RUN_IDS, experiment=number)]
            if len(runs) * RUN_BYTES > self._memory:
                self._too_large.add(number)
                raise _TooLargeError
            table = RunTable(tx, number, runs, upto)
            self._tables[number] = table
        self._tables.move_to_end(number)
        return table

    def _make_room(self) -> None:
        """Let go of tables that were not searched for long, then of parts of the last one."""
        total = sum(table.size for table in self._tables.values())
        while total > self._memory and len(self._tables) > 1:
            number, table = next(iter(self._tables.items()))
            total -= table.size
            self._drop(number)
        if total > self._memory:
            next(iter(self._tables.values())).shrink(self._memory)

    def _drop(self, number: int) -> None:
        table = self._tables.pop(number, None)
        if table is not None:
            for run in [run for run in self._documents if table.slot(run) is not None]:
                self._forget(run)

    def _forget(self, run: int) -> None:
        document = self._documents.pop(run, None)
        if document is not None:
            self._document_bytes -= len(document) + _DOCUMENT_BYTES


class _TooLargeError(Exception):
    """An experiment does not fit; never leaves this file."""


def _conditions(
    comparisons: Sequence[Comparison], stages: Sequence[str], *, ascii_only: bool
) -> list[Condition]:
    shown = frozenset(stages)

    def holds(stage: Text) -> bool:
        return stage in shown

    conditions: list[Condition] = [TextCondition(STAGE, "IN", tuple(sorted(shown)), holds)]
    conditions += [make_condition(comparison, ascii_only=ascii_only) for comparison in comparisons]
    return conditions
