"""What has to be true of the rows of a database, whatever was done to it; `slipstream db check` asks.

Most of it the tables' own keys see to. These are the rules that only the code keeps.
"""

from typing import LiteralString

import msgspec

from slipstream.db.base import Transaction
from slipstream.store.block_checks import check_blocks

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
    SELECT run_id FROM runs WHERE lifecycle_stage NOT IN ('active', 'deleted', 'removing') ORDER BY id
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


def find_problems(tx: Transaction) -> list[Problem]:
    """Return which rules are broken, each with some examples; reads whole tables."""
    if tx.dialect == "postgres":
        tx.fetch_one("SELECT set_config('statement_timeout', '0', true)")  # large tables take long
    found: list[Problem] = []
    for each in INVARIANTS:
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
