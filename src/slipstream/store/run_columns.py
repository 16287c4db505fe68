"""Which columns a table of runs can have, and what of them varies.

Servers answer from memory where they can (`store/run_index/`), and every other process with the SQL of this file, which
means the same.
"""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any, LiteralString, cast

from slipstream.db.base import Transaction
from slipstream.entities.run_table import (
    CellValue,
    ColumnKind,
    ColumnsRequest,
    RunColumn,
    RunColumnsPage,
    Span,
)
from slipstream.errors import InvalidParameterError
from slipstream.rules.windows import check_window
from slipstream.search.columns import GROUPS, TIMES, name_column
from slipstream.store.config import StoreConfig
from slipstream.store.run_changes import newest_change
from slipstream.store.run_index.columns import NAN, PRESENT
from slipstream.store.run_index.conditions import ColumnName
from slipstream.store.run_index.reading import is_number, read_columns
from slipstream.store.run_index.rows import KeyCounts, join_ranges
from slipstream.store.run_index.windows import range_of_texts
from slipstream.store.selected_runs import Selected

MOST_COLUMNS_LISTED = 1_000
SAMPLED_RUNS = 2_000
SAMPLED_VALUES = 100_000
"""About so many values of the newest runs are looked at to tell which columns vary."""
_SOME = 50
"""Runs whose values are counted to tell how many the others have, where nobody has counted all."""
_EXAMPLES = 3
_EXAMPLE_LENGTH = 100
_DISTINCT = 1_000
KEYED: dict[str, LiteralString] = {"metric": "series", "parameter": "params", "tag": "run_tags"}
_GROUP_OF: dict[str, str] = dict(zip(("attribute", "metric", "parameter", "tag"), GROUPS, strict=True))
_LISTED_ATTRIBUTES = ("run_name", "status", "user_id", "start_time", "end_time")
_ORDER_OF_GROUPS = {"metrics": 0, "params": 1, "attributes": 2, "tags": 3}

SELECT_METRICS: LiteralString = "SELECT key, value, is_nan FROM series WHERE run IN :runs__in"
SELECT_PARAMS: LiteralString = "SELECT key, value FROM params WHERE run IN :runs__in"
SELECT_TAGS: LiteralString = "SELECT key, value FROM run_tags WHERE run IN :runs__in"
_COUNT_VALUES: tuple[LiteralString, ...] = (
    "SELECT COUNT(*) FROM series WHERE run IN :runs__in",
    "SELECT COUNT(*) FROM params WHERE run IN :runs__in",
    "SELECT COUNT(*) FROM run_tags WHERE run IN :runs__in",
)
_TEXTS: dict[str, LiteralString] = {"parameter": SELECT_PARAMS, "tag": SELECT_TAGS}


class RunColumnsPart:
    tx: Transaction
    config: StoreConfig
    changed_runs: set[int]
    changed_experiments: set[int]

    def search_run_columns(self, request: ColumnsRequest) -> RunColumnsPage:
        check_window(request.offset, request.limit, MOST_COLUMNS_LISTED)
        for kind in request.kinds:
            if kind not in GROUPS:
                raise InvalidParameterError(
                    f"Invalid value {kind[:100]!r} for 'kinds': use some of {', '.join(GROUPS)}."
                )
        selected = Selected.of(request.selection)
        groups = () if request.sampled_only else tuple(KEYED)
        counts = self._keys_in_memory(selected, groups) or self._keys_in_database(selected, groups)
        sampled, columns = self._columns_of(counts)
        words = (request.search or "").lower().split()
        wanted = request.kinds or GROUPS
        shown = [
            column
            for column in columns
            if column.key.partition(".")[0] in wanted and _has_words(column.key, words)
        ]
        return RunColumnsPage(
            total=len(shown),
            offset=request.offset,
            cursor=counts.upto,
            runs=counts.runs,
            sampled=sampled,
            columns=shown[request.offset : request.offset + request.limit],
        )

    # -- read once ----------------------------------------------------------------------------------
    def _columns_of(self, counts: KeyCounts) -> tuple[int, list[RunColumn]]:
        """Return how many runs were looked at, and all columns of some runs in order."""
        index = self.config.run_index
        if index is not None and counts.identity is not None:
            known = index.columns(counts.identity)
            if known is not None:
                return cast("tuple[int, list[RunColumn]]", known)
        sample = self._sample(counts)
        found = counts.runs
        listed: list[tuple[str, str, int]] = []
        if counts.keys:
            if found:
                listed += [
                    ("attribute", key, counts.ended if key == "end_time" else found)
                    for key in _LISTED_ATTRIBUTES
                ]
            for group, keys in counts.keys.items():
                listed += [(group, key, runs) for key, runs in keys.items()]
        else:
            found = len(sample.runs)
            listed += [(group, key, runs) for (group, key), runs in sample.counts.items()]
        columns = [self._describe(group, key, runs, found, sample) for group, key, runs in listed]
        columns.sort(key=_rank)
        if index is not None and counts.identity is not None:
            index.keep_columns(counts.identity, (len(sample.runs), columns))
        return len(sample.runs), columns

    def _keys_in_memory(self, selected: Selected, groups: Sequence[str]) -> KeyCounts | None:
        index = self.config.run_index
        if index is None or not selected.experiments or self.changed_runs or self.changed_experiments:
            return None
        return index.count_keys(
            self.tx, selected.experiments, selected.query, selected.stages, groups, SAMPLED_RUNS
        )

    def _keys_in_database(self, selected: Selected, groups: Sequence[str]) -> KeyCounts:
        upto = newest_change(self.tx)
        keys: dict[str, Counter[str]] = {group: Counter() for group in groups}
        if not selected.experiments:
            return KeyCounts(0, keys, 0, [], upto)
        found, query, params = selected.found, selected.query, selected.params
        counted = self.tx.fetch_one(
            f"SELECT COUNT(*), COUNT(end_time) FROM runs WHERE id IN ({found})", **params
        )
        assert counted is not None, "an aggregate has a row"
        for group in groups:
            table = KEYED[group]
            rows = self.tx.fetch_all(
                f"SELECT key, COUNT(*) FROM {table} WHERE run IN ({found}) GROUP BY key", **params
            )
            keys[group].update(dict(rows))  # pyright: ignore[reportArgumentType]
        newest = self.tx.fetch_all(
            f"SELECT r.id, {query.keys} FROM runs r {query.joins} WHERE r.id IN ({found})"
            f" ORDER BY {query.order_by} LIMIT :limit_",
            limit_=SAMPLED_RUNS,
            **params,
        )
        return KeyCounts(counted[0], keys, counted[1], [row[0] for row in newest], upto)

    def _sample(self, counts: KeyCounts) -> "_Sample":
        """Look at the values of the newest runs, of as many as keep it quick."""
        held = sum(sum(keys.values()) for keys in counts.keys.values())
        among = counts.runs
        if not counts.keys:
            some = counts.newest[:_SOME]
            held = sum(self._count_values(some)) if some else 0
            among = len(some)
        each = max(1.0, held / max(1, among))
        runs = counts.newest[: max(2, int(SAMPLED_VALUES / each))]
        sample = _Sample(runs)
        if not runs:
            return sample
        names_ = [("attribute", key) for key in _LISTED_ATTRIBUTES]
        for name, values in read_columns(self.tx, runs, names_).items():
            for value in values.values():
                sample.add(name, value)
        for key, value, is_nan in self.tx.fetch_all(SELECT_METRICS, runs__in=runs):
            sample.add(("metric", key), (value, NAN if is_nan else PRESENT))
        for group, sql in _TEXTS.items():
            for key, value in self.tx.fetch_all(sql, runs__in=runs):
                sample.add((group, key), value)
        return sample

    def _count_values(self, runs: list[int]) -> list[int]:
        counted = [self.tx.fetch_one(sql, runs__in=runs) for sql in _COUNT_VALUES]
        return [row[0] for row in counted if row is not None]

    def _describe(self, group: str, key: str, runs: int, found: int, sample: "_Sample") -> RunColumn:
        name = (group, key)
        held = sample.values.get(name, {})
        distinct = min(_DISTINCT, len(held))
        span: Span | None
        cells: list[CellValue]
        if is_number(name):
            numbers = [value for value, rank in held if rank == PRESENT and math.isfinite(value)]
            span = (min(numbers), max(numbers)) if numbers else None
            cells = [cell_of(each) for each in list(held)[:_EXAMPLES]]
        else:
            span = join_ranges([range_of_texts(held)])
            cells = [each[:_EXAMPLE_LENGTH] for each in list(held)[:_EXAMPLES]]
        return RunColumn(
            key=name_column(_GROUP_OF[group], key),
            kind=kind_of(name),
            runs=runs,
            distinct=distinct,
            varies=distinct > 1 or runs < found,
            range=span,
            examples=cells,
        )


class _Sample:
    """Different values of columns, among some runs."""

    def __init__(self, runs: list[int]) -> None:
        self.runs = runs
        self.values: dict[ColumnName, dict[Any, None]] = {}
        self.counts: Counter[ColumnName] = Counter()

    def add(self, name: ColumnName, value: Any) -> None:
        self.values.setdefault(name, {})[value] = None
        self.counts[name] += 1


def cell_of(value: "tuple[float, int] | None") -> float | None:
    """Return a number of a column."""
    if value is None:
        return None
    number, rank = value
    if rank == PRESENT:
        return number
    return math.nan if rank == NAN else None


def kind_of(name: ColumnName) -> ColumnKind:
    group, key = name
    if group == "metric":
        return "number"
    return "time" if group == "attribute" and key in TIMES else "text"


def _has_words(text: str, words: Sequence[str]) -> bool:
    lowered = text.lower()
    return all(word in lowered for word in words)


def _rank(column: RunColumn) -> tuple[bool, bool, int, int, str]:
    """Order columns: those that vary first, then by how many runs have them; what the tools themselves write last."""
    group, _, key = column.key.partition(".")
    return (
        key.startswith(("mlflow.", "slipstream.", "system/")),
        not column.varies,
        -column.runs,
        _ORDER_OF_GROUPS[group],
        column.key,
    )
