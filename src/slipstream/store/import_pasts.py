"""Write what runs of another store were before: branches, and earlier values of params. See `store/imports.py`.

A run that comes anew gets them while it is hidden. One that is here is brought up to date: what it left behind there since
is taken out of its metrics here, and params that changed there change here.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, LiteralString

from slipstream.db.base import Row, Transaction
from slipstream.db.point_blocks import Point
from slipstream.entities import Metric, ParamVersion, RunBranch
from slipstream.errors import InvalidParameterError
from slipstream.rules import limits, names
from slipstream.store.branches import OFFSET, SELECT_BRANCHES
from slipstream.store.param_changes import UPDATE_PARAM

INSERT_CHANGE: LiteralString = """
    INSERT INTO param_changes (run, key, number, value, replaced_time)
    VALUES (:run, :key, :number, :value, :replaced_time) ON CONFLICT DO NOTHING
"""
INSERT_BRANCH: LiteralString = """
    INSERT INTO run_branches (run, number, from_step, created_time, undone_time)
    VALUES (:run, :number, :from_step, :created_time, :undone_time)
    ON CONFLICT DO NOTHING
"""
INSERT_SUPERSEDED: LiteralString = """
    INSERT INTO superseded_series (branch, key, step, timestamp, value, is_nan)
    VALUES (:branch, :key, :step, :timestamp, :value, :is_nan) ON CONFLICT DO NOTHING
"""
SELECT_SUPERSEDED: LiteralString = (
    "SELECT key, id FROM superseded_series WHERE branch = :branch AND key IN :keys__in"
)
UPDATE_LATEST: LiteralString = """
    UPDATE superseded_series SET step = :step, timestamp = :timestamp, value = :value, is_nan = :is_nan
    WHERE id = :id AND (step, timestamp, value) < (:step, :timestamp, :value)
"""


class ImportPastsPart:
    tx: Transaction
    changed_runs: set[int]

    if TYPE_CHECKING:  # in the other parts

        def require_run(self, run_id: str, *, active: bool = False) -> tuple[int, int]: ...
        def insert_blocks(self, points: dict[int, dict[int, list[Point]]]) -> None: ...
        def put_back(self, run_id: str, run: int, branch: int, now: int) -> None: ...
        def move_points(
            self, run: int, points: Mapping[str, Sequence[Point]], new: Mapping[str, int]
        ) -> None: ...

    def import_earlier_params(
        self, run_id: str, earlier: Sequence[ParamVersion], current: Mapping[str, str] | None = None
    ) -> None:
        """Add the values that params had before, those of each param in their order; what is there stays.

        Params of `current` get the value that counts by now.
        """
        run, _ = self.require_run(run_id)
        rows: list[Row] = []
        counts: dict[str, int] = {}
        for each in earlier:
            names.check_key(each.key, "earlier_params.key")
            names.check_text(each.value, f"earlier_params.{each.key}")
            if each.replaced_time is None:
                raise InvalidParameterError(
                    f"An earlier value of the param '{each.key}' has no 'replaced_time'."
                )
            limits.check_int64(each.replaced_time, "replaced_time")
            counts[each.key] = counts.get(each.key, 0) + 1
            rows.append((run, each.key, counts[each.key], each.value, each.replaced_time))
        if rows:
            self.tx.execute_many(INSERT_CHANGE, rows)
        if current:
            self.changed_runs.add(run)
            self.tx.execute_many(UPDATE_PARAM, [(value, run, key) for key, value in current.items()])

    def import_branch(self, run_id: str, branch: RunBranch) -> None:
        """Add a branch, without points; one of its number that is there stays as it is."""
        for number, field in (
            (branch.number, "number"),
            (branch.from_step, "from_step"),
            (branch.created_time, "created_time"),
            (branch.undone_time or 0, "undone_time"),
        ):
            limits.check_int64(number, f"branches.{field}")
        run, _ = self.require_run(run_id)
        self.tx.execute(
            INSERT_BRANCH,
            run=run,
            number=branch.number,
            from_step=branch.from_step,
            created_time=branch.created_time,
            undone_time=branch.undone_time,
        )

    def undo_imported_branch(self, run_id: str, number: int, undone_time: int) -> None:
        run, _ = self.require_run(run_id)
        self.changed_runs.add(run)
        limits.check_int64(undone_time, "branches.undone_time")
        self.put_back(run_id, run, number, undone_time)

    def import_superseded_points(self, run_id: str, number: int, points: Sequence[Metric]) -> None:
        """Add points to a branch that is there; none to one that is undone, whose points are the run's.

        What the run has of the same points is taken out of its metrics: it was imported before the run was branched.
        """
        run, _ = self.require_run(run_id)
        found = [row for row in self.tx.fetch_all(SELECT_BRANCHES, run=run) if row[1] == number]
        if not points or not found or found[0][4] is not None:
            return
        latest: dict[str, tuple[int, int, float, int]] = {}
        by_key: dict[str, list[Point]] = {}
        for each in points:
            is_nan = each.value != each.value  # only NaN differs from itself
            place = (each.step, each.timestamp, 0.0 if is_nan else each.value, int(is_nan))
            if each.key not in latest or place[:3] > latest[each.key][:3]:
                latest[each.key] = place
            by_key.setdefault(each.key, []).append((each.timestamp, each.step, each.value))
        branch = found[0][0]
        self.tx.execute_many(INSERT_SUPERSEDED, [(branch, key, *place) for key, place in latest.items()])
        ids = dict(self.tx.fetch_all(SELECT_SUPERSEDED, branch=branch, keys__in=list(latest)))
        self.tx.execute_many(UPDATE_LATEST, [(*place, ids[key]) for key, place in latest.items()])
        self.move_points(run, by_key, {key: series + OFFSET for key, series in ids.items()})
        self.insert_blocks({run: {ids[key] + OFFSET: own for key, own in by_key.items()}})
