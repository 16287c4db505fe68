"""Params that change, in SQL: the value that counts is where it always was, the earlier ones are kept beside it.

MLflow's calls refuse another value (`store/params_tags.py`); these are our own.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, LiteralString

from slipstream.clock import now_ms
from slipstream.db.base import Transaction
from slipstream.entities import Param, ParamVersion
from slipstream.rules import limits, names
from slipstream.rules.params import check_params
from slipstream.store.params_tags import INSERT_PARAM, SELECT_PARAMS

INSERT_CHANGE: LiteralString = """
    INSERT INTO param_changes (run, key, number, value, replaced_time)
    SELECT p.run, p.key, (SELECT COALESCE(MAX(c.number), 0) + 1 FROM param_changes c WHERE c.run = p.run AND c.key = p.key),
        p.value, :now
    FROM params p WHERE p.run = :run AND p.key = :key
"""
UPDATE_PARAM: LiteralString = "UPDATE params SET value = :value WHERE run = :run AND key = :key"
SELECT_ALL: LiteralString = "SELECT key, value FROM params WHERE run = :run ORDER BY key"
SELECT_CHANGES: LiteralString = """
    SELECT key, value, replaced_time FROM param_changes WHERE run = :run ORDER BY key, number
"""


class ParamChangesPart:
    tx: Transaction

    if TYPE_CHECKING:  # in store/runs.py

        def require_run(self, run_id: str, *, active: bool = False) -> tuple[int, int]: ...

    def overwrite_params(self, run_id: str, params: Sequence[Param], timestamp: int | None = None) -> None:
        names.check_run_id(run_id)
        if timestamp is not None:
            limits.check_int64(timestamp, "timestamp")
        pairs = check_params(params)
        run, _ = self.require_run(run_id, active=True)
        if not pairs:
            return
        known = dict(self.tx.fetch_all(SELECT_PARAMS, run=run, keys__in=list(pairs)))
        now = now_ms() if timestamp is None else timestamp
        changed = {key: value for key, value in pairs.items() if key in known and known[key] != value}
        if changed:
            self.tx.execute_many(INSERT_CHANGE, [(now, run, key) for key in changed])
            self.tx.execute_many(UPDATE_PARAM, [(value, run, key) for key, value in changed.items()])
        new = [(run, key, value) for key, value in pairs.items() if key not in known]
        if new:
            self.tx.execute_many(INSERT_PARAM, new)

    def find_changed_params(self, run_id: str) -> list[ParamVersion]:
        """Return all values of those params that had others before."""
        run, _ = self.require_run(run_id)
        if self.tx.fetch_one(SELECT_CHANGES, run=run) is None:
            return []
        history = self.get_param_history(run_id)
        changed = {each.key for each in history if each.replaced_time is not None}
        return [each for each in history if each.key in changed]

    def get_param_history(self, run_id: str, key: str | None = None) -> list[ParamVersion]:
        run, _ = self.require_run(run_id)
        since: dict[str, int] = {}
        found: dict[str, list[ParamVersion]] = {}
        for name, value, replaced in self.tx.fetch_all(SELECT_CHANGES, run=run):
            version = ParamVersion(key=name, value=value, since_time=since.get(name), replaced_time=replaced)
            found.setdefault(name, []).append(version)
            since[name] = replaced
        for name, value in self.tx.fetch_all(SELECT_ALL, run=run):
            version = ParamVersion(key=name, value=value, since_time=since.get(name))
            found.setdefault(name, []).append(version)
        return [version for name in sorted(found) if key in (None, name) for version in found[name]]
