"""What has to be true of the rows of a database, whatever was done to it; `slipstream db check` asks.

Most of it the tables' own keys see to. These are the rules that only the code keeps.
"""

import math
from typing import LiteralString

import msgspec

from slipstream.db.base import Transaction
<<<<<<< HEAD
from slipstream.store.block_checks import check_blocks
=======
from slipstream.store.sql import SqlStore
>>>>>>> s4-ops

_LATEST_WAY_OUT = "Log any newer point of them, which sets it right, or restore a backup."
_SERIES_AT_ONCE = 1000
_POINTS_AT_ONCE = 25_000
SHOWN = 3
"""Examples of each problem."""


class Problem(msgspec.Struct, frozen=True):
    """One thing that is wrong, and what to do about it."""

    what: str
    way_out: str


class Invariant(msgspec.Struct, frozen=True):
    """A query that finds the rows that break a rule: their number and an example each, in words."""

    select: LiteralString
    what: str
    """With `{count}`."""
    way_out: str


<<<<<<< HEAD
=======
SELECT_SERIES: LiteralString = """
    SELECT s.id, r.run_id, s.key, s.step, s.timestamp, s.value, s.is_nan FROM series s JOIN runs r ON r.id = s.run
    WHERE s.id > :after ORDER BY s.id LIMIT :most
"""
>>>>>>> s4-ops
SELECT_ALIASES_ASTRAY: LiteralString = """
    SELECT m.name || ' @' || a.alias FROM model_aliases a JOIN registered_models m ON m.id = a.model
    WHERE NOT EXISTS (SELECT 1 FROM model_versions v WHERE v.model = a.model AND v.version = a.version)
    ORDER BY a.model, a.alias
"""
SELECT_MODELS_BEHIND: LiteralString = """
    SELECT m.name FROM registered_models m
    WHERE m.last_version < (SELECT max(v.version) FROM model_versions v WHERE v.model = m.id) ORDER BY m.id
"""
SELECT_STAGES: LiteralString = """
    SELECT run_id FROM runs WHERE lifecycle_stage NOT IN ('active', 'deleted') ORDER BY id
"""
SELECT_STATUSES: LiteralString = """
    SELECT run_id FROM runs WHERE status NOT IN ('RUNNING', 'SCHEDULED', 'FINISHED', 'FAILED', 'KILLED') ORDER BY id
"""
SELECT_TAGS_ASTRAY: LiteralString = """
    SELECT m.name || ' ' || t.version || ' ' || t.key FROM model_version_tags t
    JOIN registered_models m ON m.id = t.model
    WHERE NOT EXISTS (SELECT 1 FROM model_versions v WHERE v.model = t.model AND v.version = t.version)
    ORDER BY t.model, t.version, t.key
"""

INVARIANTS = (
    Invariant(
        SELECT_ALIASES_ASTRAY,
        "{count} aliases name a version that is not there",
        "Set or delete them.",
    ),
    Invariant(
        SELECT_MODELS_BEHIND,
        "{count} registered models would give a new version a number that is taken",
        "Restore a backup; until then no version can be added to them.",
    ),
    Invariant(
        SELECT_TAGS_ASTRAY,
        "{count} tags belong to versions that are not there",
        "They do no harm; delete them.",
    ),
    Invariant(
        SELECT_STAGES,
        "{count} runs are neither active nor deleted",
        "Restore or delete them: slipstream runs restore, slipstream runs delete.",
    ),
    Invariant(SELECT_STATUSES, "{count} runs have a status that there is not", "End them with update_run."),
)


def find_problems(store: SqlStore) -> list[Problem]:
    """Return which rules are broken, each with some examples; reads everything, every point included."""
    tx = store.tx
    if tx.dialect == "postgres":
        tx.fetch_one("SELECT set_config('statement_timeout', '0', true)")  # large tables take long
    found: list[Problem] = []
    for each in INVARIANTS:
<<<<<<< HEAD
        rows = tx.fetch_all(each.select)
        if rows:
            found.append(_problem(each.what, each.way_out, [str(row[0]) for row in rows]))
    faults = check_blocks(tx)
    for names, what, way_out in (
        (faults.damaged, DAMAGED, "Restore a backup; the points of these blocks are lost otherwise."),
        (faults.astray, ASTRAY, "They do no harm, but take room."),
        (faults.without_latest, WITHOUT_LATEST, LOG_AGAIN),
        (faults.behind, BEHIND, LOG_AGAIN),
    ):
        if names:
            found.append(_problem(what, way_out, names))
    return found


DAMAGED = "{count} blocks of metric points cannot be read, or are not what their rows say"
ASTRAY = "{count} runs or metrics have points but do not exist"
WITHOUT_LATEST = "{count} metrics show a latest point that is not in their history"
BEHIND = "{count} metrics have points that are later than the one shown as latest"
LOG_AGAIN = "Log any newer point of them, which sets it right, or restore a backup."


def _problem(what: str, way_out: str, names: list[str]) -> Problem:
    shown = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
    return Problem(f"{what.format(count=len(names))} ({shown})", way_out)
=======
        rows = [str(row[0]) for row in tx.fetch_all(each.select)]
        found += _problem(each.what, each.way_out, rows)
    absent, behind = _compare_latest(store)
    found += _problem(
        "{count} metrics show a latest point that is not in their history", _LATEST_WAY_OUT, absent
    )
    found += _problem(
        "{count} metrics have points that are later than the one shown as latest", _LATEST_WAY_OUT, behind
    )
    return found


def _problem(what: str, way_out: str, names: list[str]) -> list[Problem]:
    if not names:
        return []
    shown = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
    return [Problem(f"{what.format(count=len(names))} ({shown})", way_out)]


def _compare_latest(store: SqlStore) -> tuple[list[str], list[str]]:
    """Return the metrics whose latest point is not in their history, and those that have a later one.

    The history is read as clients read it, so that this holds however points are stored.
    """
    absent: list[str] = []
    behind: list[str] = []
    after = 0
    while rows := store.tx.fetch_all(SELECT_SERIES, after=after, most=_SERIES_AT_ONCE):
        after = rows[-1][0]
        for _, run_id, key, step, timestamp, value, is_nan in rows:
            token: str | None = None
            there = later = False
            while True:
                page = store.get_metric_history(run_id, key, _POINTS_AT_ONCE, token)
                for point in page.items:
                    if point.step == step and point.timestamp == timestamp:
                        there = there or (math.isnan(point.value) if is_nan else point.value == value)
                    elif (point.step, point.timestamp) > (step, timestamp):
                        later = True
                token = page.token
                if token is None:
                    break
            if not there:
                absent.append(f"{run_id} {key}")
            if later:
                behind.append(f"{run_id} {key}")
    return absent, behind
>>>>>>> s4-ops


COUNTS: tuple[tuple[str, LiteralString], ...] = (
    ("experiments", "SELECT count(*) FROM experiments"),
    ("runs", "SELECT count(*) FROM runs"),
    ("metrics", "SELECT count(*) FROM series"),
    ("logged models", "SELECT count(*) FROM logged_models"),
    ("registered models", "SELECT count(*) FROM registered_models"),
    ("model versions", "SELECT count(*) FROM model_versions"),
    ("webhook deliveries waiting", "SELECT count(*) FROM webhook_deliveries"),
)
"""What a database is asked for when somebody wants to know what is in it."""


def count_rows(tx: Transaction) -> dict[str, int]:
    """Return how many there are of each kind of thing."""
    found: dict[str, int] = {}
    for name, select in COUNTS:
        row = tx.fetch_one(select)
        assert row is not None
        found[name] = row[0]
    return found
