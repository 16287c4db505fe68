"""Runs that any of several filters finds: each column is read once, and each clause is tested once.

With SQL each filter would go through all runs again, and whoever changes what it finds keeps every other writer waiting meanwhile.
"""

from collections.abc import Sequence
from typing import NamedTuple

from slipstream.db.base import Transaction
from slipstream.errors import InvalidParameterError
from slipstream.search.ast import Comparison
from slipstream.store.run_index.columns import TextColumn
from slipstream.store.run_index.conditions import Column, ColumnName, Condition, UnsureError, make_condition
from slipstream.store.run_index.reading import RUN_ID, SELECT_RUN_IDS, STAGE, read_base, read_column

MOST_CLAUSES = 1_000
"""Different ones of all filters; each takes some milliseconds with 100,000 runs."""
_MOST_RUNS = 500_000
"""Of one experiment. Columns of more would take much memory."""


class FoundRun(NamedTuple):
    id: int
    run_id: str
    experiment: int
    stage: str


def find_any(
    tx: Transaction,
    experiments: Sequence[int],
    filters: Sequence[Sequence[Comparison]],
    stages: Sequence[str],
) -> list[FoundRun] | None:
    """Return runs in the order of their internal ids, or `None` where the database has to be asked.

    Args:
        tx: where to read.
        experiments: numbers.
        filters: the clauses of each; no clauses find all.
        stages: of the runs to find.

    Raises:
        InvalidParameterError: the filters have too many clauses together.
    """
    try:
        wanted = [
            [make_condition(each, ascii_only=tx.dialect != "sqlite") for each in clauses]
            for clauses in filters
        ]
        different = len({each.identity for conditions in wanted for each in conditions})
        if different > MOST_CLAUSES:
            raise InvalidParameterError(
                f"'filters' have {different} different clauses together; at most {MOST_CLAUSES} are possible. Do it in parts."
            )
        found: list[FoundRun] = []
        for experiment in dict.fromkeys(experiments):
            runs = [row[0] for row in tx.fetch_all(SELECT_RUN_IDS, experiment=experiment)]
            if len(runs) > _MOST_RUNS:
                return None
            found += _find_in(tx, experiment, runs, wanted, stages)
    except UnsureError:
        return None
    found.sort()
    return found


def _find_in(
    tx: Transaction,
    experiment: int,
    runs: Sequence[int],
    wanted: Sequence[Sequence[Condition]],
    stages: Sequence[str],
) -> list[FoundRun]:
    columns: dict[ColumnName, Column] = read_base(tx, experiment, runs)
    run_ids, of_runs = columns[RUN_ID], columns[STAGE]
    assert isinstance(run_ids, TextColumn)
    assert isinstance(of_runs, TextColumn)
    masks: dict[object, int] = {}
    there = _number_of(of_runs.mask(lambda stage: stage in stages))
    matched = 0
    for conditions in wanted:
        bits = there
        for condition in conditions:
            mask = masks.get(condition.identity)
            if mask is None:
                if condition.column not in columns:
                    columns[condition.column] = read_column(tx, experiment, runs, condition.column)
                mask = masks[condition.identity] = _number_of(condition.mask(columns[condition.column]))
            bits &= mask
        matched |= bits
    flags = matched.to_bytes(len(runs), "little")
    return [
        FoundRun(run, str(run_ids[slot]), experiment, str(of_runs[slot]))
        for slot, run in enumerate(runs)
        if flags[slot]
    ]


def _number_of(mask: bytes | bytearray) -> int:
    return int.from_bytes(mask, "little")
