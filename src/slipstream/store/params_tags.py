"""Params and tags of runs, in SQL."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, LiteralString

from slipstream.db.base import Transaction
from slipstream.entities import Metric, Param, RunTag
from slipstream.errors import InvalidParameterError, NotFoundError
from slipstream.rules import limits, names
from slipstream.rules.params import check_params

INSERT_PARAM: LiteralString = """
    INSERT INTO params (run, key, value) VALUES (:run, :key, :value) ON CONFLICT DO NOTHING
"""
SELECT_PARAMS: LiteralString = "SELECT key, value FROM params WHERE run = :run AND key IN :keys__in"
UPSERT_TAG: LiteralString = """
    INSERT INTO run_tags (run, key, value) VALUES (:run, :key, :value)
    ON CONFLICT (run, key) DO UPDATE SET value = excluded.value
"""
DELETE_TAG: LiteralString = "DELETE FROM run_tags WHERE run = :run AND key = :key"
PARENT = "mlflow.parentRunId"
SELECT_PARENTS: LiteralString = """
    SELECT p.id FROM run_tags t JOIN runs p ON p.run_id = t.value WHERE t.run IN :runs__in AND t.key = :key
"""


class ParamsTagsPart:
    tx: Transaction
    changed_runs: set[int]

    if TYPE_CHECKING:  # in store/runs.py and store/metrics.py

        def require_run(self, run_id: str, *, active: bool = False) -> tuple[int, int]: ...
        def rename_run(self, run: int, name: str) -> None: ...
        def insert_points(self, run: int, metrics: Sequence[Metric]) -> None: ...

    def log_batch(
        self,
        run_id: str,
        metrics: Sequence[Metric] = (),
        params: Sequence[Param] = (),
        tags: Sequence[RunTag] = (),
    ) -> None:
        names.check_run_id(run_id)
        pairs = check_params(params)
        checked_tags = dict(
            check_tag(tag.key, tag.value, f"tags[{index}].key") for index, tag in enumerate(tags)
        )
        checked: set[str] = set()
        for index, metric in enumerate(metrics):
            if type(metric.key) is not str or metric.key not in checked:
                names.check_key(metric.key, f"metrics[{index}].name")
                checked.add(metric.key)
        run, _ = self.require_run(run_id, active=True)
        if pairs:
            self._insert_params(run_id, run, pairs)
        if metrics:
            self.insert_points(run, metrics)
        if checked_tags:
            self._set_tags(run, checked_tags)

    def log_param(self, run_id: str, key: str, value: str) -> None:
        names.check_key(key, "key")
        run, _ = self.require_run(run_id, active=True)
        self._insert_params(run_id, run, {key: limits.cut(value, limits.PARAM_VALUE, "value")})

    def set_tag(self, run_id: str, key: str, value: str) -> None:
        key, value = check_tag(key, value)
        run, _ = self.require_run(run_id, active=True)
        self._set_tags(run, {key: value})

    def delete_tag(self, run_id: str, key: str) -> None:
        run, _ = self.require_run(run_id, active=True)
        if key == PARENT:
            self.note_parents([run])
        if not self.tx.count_changed(DELETE_TAG, run=run, key=key):
            raise NotFoundError(f"Run {run_id} has no tag '{key}'")

    def note_parents(self, runs: Sequence[int]) -> None:
        """Note the parents that some runs still have, before they get others: who looks at such a one is told that they have left it.

        Of the new parents the journal knows by the tags.
        """
        if runs:
            self.changed_runs.update(
                row[0] for row in self.tx.fetch_all(SELECT_PARENTS, runs__in=list(runs), key=PARENT)
            )

    def _set_tags(self, run: int, pairs: dict[str, str]) -> None:
        if PARENT in pairs:
            self.note_parents([run])
        self.tx.execute_many(UPSERT_TAG, [(run, key, value) for key, value in pairs.items()])
        if "mlflow.runName" in pairs:
            self.rename_run(run, pairs["mlflow.runName"])

    def _insert_params(self, run_id: str, run: int, pairs: dict[str, str]) -> None:
        self.tx.execute_many(INSERT_PARAM, [(run, key, value) for key, value in pairs.items()])
        for key, stored in self.tx.fetch_all(SELECT_PARAMS, run=run, keys__in=list(pairs)):
            if stored != pairs[key]:
                raise InvalidParameterError(
                    f"Changing param values is not allowed. Param with key='{key}' was already logged with "
                    f"value='{stored}' for run ID='{run_id}'. Attempted logging new value '{pairs[key]}'. "
                    "Log it under another key, or start a new run."
                )


def check_tag(key: str, value: str, field: str = "key") -> tuple[str, str]:
    """Return a run tag as it will be stored."""
    names.check_key(key, field)
    return key, limits.cut(value, limits.RUN_TAG_VALUE, "value")
