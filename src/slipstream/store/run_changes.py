"""The journal of changes: written with them, read by search indexes and by those who tell open pages.

Each transaction that touches runs, experiments or registered models adds one row, at its end. Write transactions follow each other on either database,
so the numbers have no gaps and are in the order of the commits: who has read up to a number and finds the next ones
has missed nothing. Old rows are merged into one, not dropped, so an index that was not asked for long reads what
has changed since, and no more. Only when too many runs have changed is the merged row left out; who is that far
behind starts anew.
"""

from collections.abc import Collection
from typing import LiteralString

import msgspec

from slipstream.db.base import Row, Transaction

KEPT = 4096
"""How many of the newest transactions keep a row of their own."""
MERGE_EVERY = 1024
MERGED_RUNS = 20_000
"""How many runs the row of the old transactions may name."""

INSERT_CHANGE: LiteralString = """
    INSERT INTO run_changes (id, first, runs, experiments, models, experiments_alone, consoles)
    SELECT COALESCE(MAX(id), 0) + 1, COALESCE(MAX(id), 0) + 1, :runs, :experiments, :models, :alone, :consoles
    FROM run_changes
"""
INSERT_MERGED: LiteralString = """
    INSERT INTO run_changes (id, first, runs, experiments, models, experiments_alone, consoles)
    VALUES (:id, :first, :runs, :experiments, :models, :alone, :consoles)
"""
SELECT_CHANGES: LiteralString = """
    SELECT id, first, runs, experiments, models, experiments_alone, consoles FROM run_changes
    WHERE id >= :seen ORDER BY id
"""
SELECT_NEWEST: LiteralString = "SELECT MAX(id) FROM run_changes"
SELECT_OLD: LiteralString = """
    SELECT id, first, runs, experiments, models, experiments_alone, consoles FROM run_changes
    WHERE id <= :newest ORDER BY id
"""
SELECT_NAMES: LiteralString = """
    SELECT r.id, r.run_id, r.experiment, t.value
    FROM runs r LEFT JOIN run_tags t ON t.run = r.id AND t.key = 'mlflow.parentRunId'
    WHERE r.id IN :runs__in
"""
DELETE_OLD: LiteralString = "DELETE FROM run_changes WHERE id <= :newest"

_NONE = "[]"
_NUMBERS = msgspec.json.Decoder(list[int])
_NAMES = msgspec.json.Decoder(list[str])


class Changes(msgspec.Struct):
    """What has changed since a number of the journal, or in the open transaction."""

    upto: int = 0
    runs: set[int] = msgspec.field(default_factory=set[int])
    experiments: set[int] = msgspec.field(default_factory=set[int])
    """Those of which every run has changed."""
    models: set[str] = msgspec.field(default_factory=set[str])
    """Names of registered models; of a renamed one the old and the new."""
    experiments_alone: set[int] = msgspec.field(default_factory=set[int])
    """Those that were made or got another name, stage or tag, with or without their runs."""
    consoles: set[int] = msgspec.field(default_factory=set[int])
    """Runs that printed something; it is nothing that searches see."""

    @property
    def count(self) -> int:
        return (
            len(self.runs)
            + len(self.experiments)
            + len(self.models)
            + len(self.experiments_alone)
            + len(self.consoles)
        )

    def add_row(self, row: Row) -> None:
        """Add what a row of the journal tells."""
        _, _, runs, experiments, models, alone, consoles = row
        for text, known in (
            (runs, self.runs),
            (experiments, self.experiments),
            (alone, self.experiments_alone),
            (consoles, self.consoles),
        ):
            if text != _NONE:
                known.update(_NUMBERS.decode(text))
        if models != _NONE:
            self.models.update(_NAMES.decode(models))


class ToldChanges(msgspec.Struct, frozen=True):
    """What has changed since a number of the journal, for who knows the ids of the wire."""

    upto: int
    runs: dict[str, int]
    """Ids of runs, each with the number of its experiment; those that are not there any more are left out."""
    experiments: frozenset[int]
    """Numbers of those in which runs have changed, or that changed themselves."""
    models: frozenset[str] = frozenset()
    about: frozenset[int] = frozenset()
    """Numbers of experiments that changed themselves: their name, stage or tags."""
    consoles: frozenset[str] = frozenset()
    """Ids of runs that printed something."""
    parents: frozenset[str] = frozenset()
    """Ids of runs below which runs have changed or are new, as these say."""
    too_much: bool = False
    """The journal does not tell, or it is more than was asked for: anything may have changed."""


class BehindError(Exception):
    """The journal does not reach back as far as what was asked for; never leaves the store."""


class AheadError(Exception):
    """The snapshot is older than what was asked for; never leaves the store."""


def write_changes(tx: Transaction, changes: Changes) -> None:
    """Note what the open transaction has changed; to be called once, at its end."""
    tx.execute(INSERT_CHANGE, **_texts(changes))


def merge_changes(tx: Transaction) -> None:
    """Make one row of all old ones, or none if it would be too long; to be called every `MERGE_EVERY` transactions."""
    newest = newest_change(tx) - KEPT
    rows = tx.fetch_all(SELECT_OLD, newest=newest)
    if len(rows) < 2:
        return
    changes = Changes()
    for row in rows:
        changes.add_row(row)
    tx.execute(DELETE_OLD, newest=newest)
    if changes.count <= MERGED_RUNS:
        tx.execute(INSERT_MERGED, id=rows[-1][0], first=rows[0][1], **_texts(changes))


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
        return Changes()
    if rows[0][1] > seen + 1:
        raise BehindError
    changes = Changes(rows[-1][0])
    for row in rows:
        if row[0] > seen:
            changes.add_row(row)
    return changes


class RunChangesPart:
    tx: Transaction

    def find_changes(self, seen: int | None, most: int) -> ToldChanges:
        """Return what has changed after a number of the journal; nothing, with the newest number, where there is none.

        Args:
            seen: the number.
            most: how many runs to name, and models, and runs that printed; with more, `too_much`.
        """
        newest = newest_change(self.tx)
        if seen is None or newest == seen:
            return ToldChanges(newest, {}, frozenset())
        try:
            changes = read_changes(self.tx, seen)
        except (BehindError, AheadError):
            return ToldChanges(newest, {}, frozenset(), too_much=True)
        if max(len(changes.runs), len(changes.models), len(changes.consoles)) > most:
            return ToldChanges(changes.upto, {}, frozenset(), too_much=True)
        numbers = sorted(changes.runs | changes.consoles)
        rows = self.tx.fetch_all(SELECT_NAMES, runs__in=numbers) if numbers else []
        runs = {run_id: experiment for number, run_id, experiment, _ in rows if number in changes.runs}
        return ToldChanges(
            changes.upto,
            runs,
            frozenset({*changes.experiments, *runs.values(), *changes.experiments_alone}),
            models=frozenset(changes.models),
            about=frozenset(changes.experiments_alone | changes.experiments),
            consoles=frozenset(run_id for number, run_id, *_ in rows if number in changes.consoles),
            parents=frozenset(parent for number, *_, parent in rows if parent and number in changes.runs),
        )


def _texts(changes: Changes) -> dict[str, str]:
    return {
        "runs": _text(changes.runs),
        "experiments": _text(changes.experiments),
        "models": _text(changes.models),
        "alone": _text(changes.experiments_alone),
        "consoles": _text(changes.consoles),
    }


def _text(items: Collection[int] | Collection[str]) -> str:
    return msgspec.json.encode(sorted(items)).decode() if items else _NONE
