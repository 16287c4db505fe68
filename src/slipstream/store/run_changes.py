"""The journal of runs that changed: written with the changes, read by search indexes.

Each transaction that touches runs adds one row, at its end. Write transactions follow each other on either database,
so the numbers have no gaps and are in the order of the commits: who has read up to a number and finds the next ones
has missed nothing. Old rows are merged into one, not dropped, so an index that was not asked for long reads what
has changed since, and no more. Only when too many runs have changed is the merged row left out; who is that far
behind starts anew.
"""

from collections.abc import Iterable
from typing import LiteralString

import msgspec

from slipstream.db.base import Transaction

KEPT = 4096
"""How many of the newest transactions keep a row of their own."""
MERGE_EVERY = 1024
MERGED_RUNS = 20_000
"""How many runs the row of the old transactions may name."""

INSERT_CHANGE: LiteralString = """
    INSERT INTO run_changes (id, first, runs, experiments)
    SELECT COALESCE(MAX(id), 0) + 1, COALESCE(MAX(id), 0) + 1, :runs, :experiments FROM run_changes
"""
INSERT_MERGED: LiteralString = """
    INSERT INTO run_changes (id, first, runs, experiments) VALUES (:id, :first, :runs, :experiments)
"""
SELECT_CHANGES: LiteralString = (
    "SELECT id, first, runs, experiments FROM run_changes WHERE id >= :seen ORDER BY id"
)
SELECT_NEWEST: LiteralString = "SELECT MAX(id) FROM run_changes"
SELECT_OLD: LiteralString = (
    "SELECT id, first, runs, experiments FROM run_changes WHERE id <= :newest ORDER BY id"
)
SELECT_NAMES: LiteralString = "SELECT run_id, experiment FROM runs WHERE id IN :runs__in"
DELETE_OLD: LiteralString = "DELETE FROM run_changes WHERE id <= :newest"

_NUMBERS = msgspec.json.Decoder(list[int])


class Changes(msgspec.Struct, frozen=True):
    """What has changed since a number of the journal."""

    upto: int
    runs: set[int]
    experiments: set[int]


class ToldChanges(msgspec.Struct, frozen=True):
    """What has changed since a number of the journal, for who knows the ids of the wire."""

    upto: int
    runs: dict[str, int]
    """Ids of runs, each with the number of its experiment; those that are not there any more are left out."""
    experiments: frozenset[int]
    """Numbers of those in which runs have changed."""
    too_much: bool = False
    """The journal does not tell, or it is more than was asked for: anything may have changed."""


class BehindError(Exception):
    """The journal does not reach back as far as what was asked for; never leaves the store."""


class AheadError(Exception):
    """The snapshot is older than what was asked for; never leaves the store."""


def write_changes(tx: Transaction, runs: Iterable[int], experiments: Iterable[int] = ()) -> None:
    """Note what the open transaction has changed; to be called once, at its end."""
    tx.execute(INSERT_CHANGE, runs=_text(runs), experiments=_text(experiments))


def merge_changes(tx: Transaction) -> None:
    """Make one row of all old ones, or none if it would be too long; to be called every `MERGE_EVERY` transactions."""
    newest = newest_change(tx) - KEPT
    rows = tx.fetch_all(SELECT_OLD, newest=newest)
    if len(rows) < 2:
        return
    runs: set[int] = set()
    experiments: set[int] = set()
    for _, _, run_text, experiment_text in rows:
        runs.update(_NUMBERS.decode(run_text))
        experiments.update(_NUMBERS.decode(experiment_text))
    tx.execute(DELETE_OLD, newest=newest)
    if len(runs) + len(experiments) <= MERGED_RUNS:
        tx.execute(
            INSERT_MERGED,
            id=rows[-1][0],
            first=rows[0][1],
            runs=_text(runs),
            experiments=_text(experiments),
        )


def newest_change(tx: Transaction) -> int:
    """Return the number of the last change; 0 before the first."""
    row = tx.fetch_one(SELECT_NEWEST)
    return 0 if row is None or row[0] is None else row[0]


def read_changes(tx: Transaction, seen: int) -> Changes:
    """Return what has changed after the number `seen`.

    Raises:
        BehindError: the journal does not tell any more.
        AheadError: the snapshot of `tx` does not hold that number yet.
    """
    rows = tx.fetch_all(SELECT_CHANGES, seen=seen)
    if not rows:
        if seen:
            raise AheadError
        return Changes(0, set(), set())
    if rows[0][1] > seen + 1:
        raise BehindError
    runs: set[int] = set()
    experiments: set[int] = set()
    for number, _, run_text, experiment_text in rows:
        if number > seen:
            runs.update(_NUMBERS.decode(run_text))
            if experiment_text != "[]":
                experiments.update(_NUMBERS.decode(experiment_text))
    return Changes(rows[-1][0], runs, experiments)


class RunChangesPart:
    tx: Transaction

    def find_changes(self, seen: int | None, most: int) -> ToldChanges:
        """Return what has changed after a number of the journal; nothing, with the newest number, where there is none.

        Args:
            seen: the number.
            most: how many runs to name; with more, `too_much`.
        """
        newest = newest_change(self.tx)
        if seen is None or newest == seen:
            return ToldChanges(newest, {}, frozenset())
        try:
            changes = read_changes(self.tx, seen)
        except (BehindError, AheadError):
            return ToldChanges(newest, {}, frozenset(), too_much=True)
        if len(changes.runs) > most:
            return ToldChanges(changes.upto, {}, frozenset(), too_much=True)
        rows = self.tx.fetch_all(SELECT_NAMES, runs__in=sorted(changes.runs)) if changes.runs else []
        runs: dict[str, int] = dict(rows)  # pyright: ignore[reportArgumentType]
        return ToldChanges(changes.upto, runs, frozenset({*changes.experiments, *runs.values()}))


def _text(numbers: Iterable[int]) -> str:
    return msgspec.json.encode(sorted(numbers)).decode()
