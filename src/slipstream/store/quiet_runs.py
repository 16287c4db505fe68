"""Runs of which one cannot tell whether they still run: they give no signs of life, and may have logged nothing for long."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, LiteralString

from slipstream.db.base import Row, Transaction

# Of runs with thousands of metrics a few are looked at: they are logged together.
SELECT_LOGGED: LiteralString = """
    SELECT r.id, (
        SELECT MAX(few.timestamp) FROM (SELECT timestamp FROM series WHERE run = r.id LIMIT 50) few
    ) FROM runs r WHERE r.id IN :runs__in
"""


class QuietRunsPart:
    tx: Transaction

    if TYPE_CHECKING:  # in store/heartbeats.py

        def find_beats(self, run_ids: Sequence[str]) -> dict[str, int]: ...

    def find_quiet(self, rows: Sequence[Row]) -> list[int | None]:
        """Return for rows of runs when those that run and give no signs of life logged last, or began.

        Of others it is `None`; the list is empty where all are.
        """
        running = [row for row in rows if row[5] == "RUNNING"]
        if not running:
            return []
        beats = self.find_beats([row[1] for row in running])
        quiet = [row[0] for row in running if row[1] not in beats]
        if not quiet:
            return []
        logged = dict(self.tx.fetch_all(SELECT_LOGGED, runs__in=quiet))  # pyright: ignore[reportArgumentType]
        return [max(row[6], logged[row[0]] or 0) if row[0] in logged else None for row in rows]
