"""Many runs changed alike in one transaction: tagged, moved, deleted, restored; all of them or none.

Which runs are meant is found by SQL in the transaction itself, so that nobody changes them in between.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, LiteralString

import msgspec

from slipstream.clock import now_ms
from slipstream.db.base import Row, Transaction
from slipstream.entities.run_bulk import RunsChange, RunsChanged
from slipstream.errors import ConflictError, InvalidParameterError, NotFoundError
from slipstream.rules import names
from slipstream.rules.lifecycle import require_active_run
from slipstream.search.sql import compile_runs
from slipstream.store.experiments import STAGES
from slipstream.store.params_tags import PARENT, UPSERT_TAG, check_tag
from slipstream.store.runs import UPDATE_NAME
from slipstream.store.selected_runs import FOUND

MOST_RUNS = 100_000
MOST_FILTERS = 100
MOST_BEFORE = 8 * 2**20
"""Characters of what runs had before that an answer tells."""
_AT_ONCE = 50
"""So many different values are written by a statement for each; more by a row for each run."""
_NAME_TAG = "mlflow.runName"

SELECT_NAMED: LiteralString = """
    SELECT id, run_id, experiment, lifecycle_stage FROM runs
    WHERE run_id IN :run_ids__in AND lifecycle_stage IN :stages__in
"""
SELECT_BY_ID: LiteralString = "SELECT id, run_id, experiment, lifecycle_stage FROM runs WHERE id IN "
SELECT_VALUES: LiteralString = "SELECT run, value FROM run_tags WHERE key = :key AND run IN :runs__in"
UPSERT_TAGS: LiteralString = """
    INSERT INTO run_tags (run, key, value) SELECT id, :key, :value FROM runs WHERE id IN :runs__in
    ON CONFLICT (run, key) DO UPDATE SET value = excluded.value
"""
DELETE_TAGS: LiteralString = "DELETE FROM run_tags WHERE key = :key AND run IN :runs__in"
UPDATE_DELETED: LiteralString = """
    UPDATE runs SET lifecycle_stage = 'deleted', deleted_time = :now
    WHERE id IN :runs__in AND lifecycle_stage = 'active'
"""
# What goes with its experiment, which is being removed, does not come back.
UPDATE_RESTORED: LiteralString = """
    UPDATE runs SET lifecycle_stage = 'active', deleted_time = NULL
    WHERE id IN :runs__in AND lifecycle_stage = 'deleted'
        AND NOT EXISTS (SELECT 1 FROM experiments e WHERE e.id = runs.experiment AND e.lifecycle_stage = 'removing')
    RETURNING id
"""


class _Run(msgspec.Struct, frozen=True, gc=False):
    id: int
    run_id: str
    experiment: int
    stage: str
    wanted: str | None
    """What it is to have."""


def _run(row: Row, wanted: str | None) -> _Run:
    return _Run(row[0], row[1], row[2], row[3], wanted)


class RunBulkPart:
    tx: Transaction
    changed_runs: set[int]

    if TYPE_CHECKING:  # in store/run_moves.py and store/params_tags.py

        def move_to(self, moved: Mapping[int, str], experiment_id: str) -> None: ...
        def note_parents(self, runs: Sequence[int]) -> None: ...

    def change_runs(self, change: RunsChange) -> RunsChanged:
        _check(change)
        runs = self._meant(change)
        if change.expected is not None and change.expected != len(runs):
            raise ConflictError(
                f"{len(runs)} runs are found now, and {change.expected} were expected, so nothing was done. "
                "Look at them again, and repeat it."
            )
        if change.operation in ("tag", "untag"):
            return self._tag_all(change, runs)
        if change.operation == "move":
            return self._move_all(runs)
        if change.operation == "delete":
            changed = [run for run in runs if run.stage == "active"]
            self.tx.execute(UPDATE_DELETED, runs__in=[run.id for run in changed], now=now_ms())
        else:
            ids = [run.id for run in runs if run.stage == "deleted"]
            restored = {row[0] for row in self.tx.fetch_all(UPDATE_RESTORED, runs__in=ids)}
            changed = [run for run in runs if run.id in restored]
        self.changed_runs.update(run.id for run in changed)
        return RunsChanged(found=len(runs), run_ids=[run.run_id for run in changed])

    # -- which runs ---------------------------------------------------------------------------------
    def _meant(self, change: RunsChange) -> list[_Run]:
        found: dict[str, _Run] = {}
        if change.run_ids:
            rows = {row[1]: row for row in self._named(change.run_ids)}
            for place, run_id in enumerate(change.run_ids):
                if run_id not in rows:
                    raise NotFoundError(f"Run with id={run_id} not found")
                wanted = change.value if change.values is None else change.values[place]
                found[run_id] = _run(rows[run_id], wanted)
        left_out = set(change.except_run_ids)
        for filter_string in dict.fromkeys(change.filters):
            for row in self._found(change, filter_string):
                if row[1] not in left_out and row[1] not in found:
                    found[row[1]] = _run(row, change.value)
        if len(found) > MOST_RUNS:
            raise InvalidParameterError(
                f"More than {MOST_RUNS} runs are meant; so many are changed at once. Narrow the filter, and do it in parts."
            )
        return list(found.values())

    def _named(self, run_ids: Sequence[str]) -> list[Row]:
        stages = ["active", "deleted"]
        return self.tx.fetch_all(SELECT_NAMED, run_ids__in=list(run_ids), stages__in=stages)

    def _found(self, change: RunsChange, filter_string: str) -> list[Row]:
        experiments = [names.experiment_number(each, "experiment_ids") for each in change.experiment_ids]
        query = compile_runs(filter_string, (), None)
        found: LiteralString = f"{SELECT_BY_ID}({FOUND}({query.where})) ORDER BY id LIMIT :limit_"
        return self.tx.fetch_all(
            found,
            experiments__in=experiments,
            stages__in=STAGES[change.view_type],
            limit_=MOST_RUNS + len(change.except_run_ids) + 1,
            **query.params,
        )

    # -- what is done -------------------------------------------------------------------------------
    def _tag_all(self, change: RunsChange, runs: Sequence[_Run]) -> RunsChanged:
        key = change.key
        wanted = {
            run.id: None if run.wanted is None else check_tag(key, run.wanted)[1]
            for run in runs
        }  # fmt: skip
        for run in runs:
            require_active_run(run.run_id, run.stage)
        had: dict[int, str] = dict(self.tx.fetch_all(SELECT_VALUES, key=key, runs__in=list(wanted)))
        changed = [run for run in runs if had.get(run.id) != wanted[run.id]]
        if key == PARENT:
            self.note_parents([run.id for run in changed])
        by_value: dict[str | None, list[int]] = defaultdict(list)
        for run in changed:
            by_value[wanted[run.id]].append(run.id)
        if removed := by_value.pop(None, None):
            self.tx.execute(DELETE_TAGS, key=key, runs__in=removed)
        if len(by_value) <= _AT_ONCE:
            for value, ids in by_value.items():
                self.tx.execute(UPSERT_TAGS, key=key, value=value, runs__in=ids)
        else:
            rows = [(run, key, value) for value, ids in by_value.items() for run in ids]
            self.tx.execute_many(UPSERT_TAG, rows)
        if key == _NAME_TAG:
            for value, ids in by_value.items():
                names.check_run_name(value or "")
                for run in ids:
                    self.tx.execute(UPDATE_NAME, run_name=value, id=run)
        self.changed_runs.update(run.id for run in changed)
        return _told(runs, changed, [had.get(run.id) for run in changed])

    def _move_all(self, runs: Sequence[_Run]) -> RunsChanged:
        by_target: dict[str, dict[int, str]] = defaultdict(dict)
        changed: list[_Run] = []
        for run in runs:
            require_active_run(run.run_id, run.stage)
            target = run.wanted or ""
            if str(run.experiment) != target:
                changed.append(run)
            # also of runs that are there already: whether the experiment is, is asked before anything is done
            by_target[target][run.id] = run.run_id
        here = {run.id for run in changed}
        for target, ids in by_target.items():
            self.move_to({id_: run_id for id_, run_id in ids.items() if id_ in here}, target)
        self.changed_runs.update(here)
        return _told(runs, changed, [str(run.experiment) for run in changed])


def _told(
    meant: Sequence[_Run], changed: Sequence[_Run], before: list[str | None] | list[str]
) -> RunsChanged:
    is_short = sum(len(each or "") for each in before) <= MOST_BEFORE
    return RunsChanged(
        found=len(meant),
        run_ids=[run.run_id for run in changed],
        before=list(before) if is_short else None,
    )


def _check(change: RunsChange) -> None:
    """Refuse what cannot be meant, before anything is looked for."""
    operation = change.operation
    for run_id in change.run_ids:
        names.check_run_id(run_id)
    if len(set(change.run_ids)) != len(change.run_ids):
        raise InvalidParameterError("'run_ids' names a run twice; name each once.")
    if len(change.run_ids) > MOST_RUNS:
        raise InvalidParameterError(
            f"'run_ids' names {len(change.run_ids)} runs; name up to {MOST_RUNS}, and the others in another request."
        )
    if not change.run_ids and not change.filters:
        raise InvalidParameterError(
            "No runs are meant: give 'run_ids', or 'filters' with 'experiment_ids' (an empty filter finds all runs)."
        )
    if len(change.filters) > MOST_FILTERS:
        raise InvalidParameterError(
            f"'filters' has {len(change.filters)} filters; give up to {MOST_FILTERS}, and the others in another request."
        )
    if change.filters and not change.experiment_ids:
        raise InvalidParameterError("'filters' need 'experiment_ids': where they search.")
    if operation in ("tag", "untag"):
        names.check_key(change.key, "key")
    if operation not in ("tag", "move") and (change.value is not None or change.values is not None):
        raise InvalidParameterError(
            f"'{operation}' takes neither 'value' nor 'values'; only 'tag' and 'move' give something to runs."
        )
    if operation in ("tag", "move"):
        if (change.value is None) == (change.values is None):
            raise InvalidParameterError(
                f"'{operation}' takes either 'value', which is for all runs, or 'values', one for each of 'run_ids'."
            )
        if change.values is not None and (change.filters or len(change.values) != len(change.run_ids)):
            raise InvalidParameterError(
                f"'values' has {len(change.values)} values; give one for each of 'run_ids' ({len(change.run_ids)}), and "
                "no 'filters'."
            )
