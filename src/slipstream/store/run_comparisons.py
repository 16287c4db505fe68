"""Runs beside each other, in SQL: some ten queries however many there are."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, LiteralString, TypeVar

from slipstream.db.base import Transaction
from slipstream.entities import Run
from slipstream.entities.run_comparison import ComparedDataset, RunComparison
from slipstream.errors import InvalidParameterError
from slipstream.store.run_changes import newest_change

SELECT_IDS: LiteralString = "SELECT id, run_id FROM runs WHERE run_id IN :run_ids__in"

LEAST_RUNS = 2
MOST_RUNS = 100
_CONTEXT = "mlflow.data.context"

_ValueT = TypeVar("_ValueT")


class RunComparisonsPart:
    tx: Transaction

    if TYPE_CHECKING:  # in store/runs.py

        def find_runs(self, runs: Sequence[int]) -> list[Run]: ...

    def compare_runs(self, run_ids: Sequence[str]) -> RunComparison:
        if not LEAST_RUNS <= len(run_ids) <= MOST_RUNS:
            raise InvalidParameterError(
                f"Invalid value of {len(run_ids)} for 'run_ids': name {LEAST_RUNS} to {MOST_RUNS} runs."
            )
        if len(set(run_ids)) < len(run_ids):
            raise InvalidParameterError("Invalid value for 'run_ids': a run is named twice.")
        cursor = newest_change(self.tx)
        numbers = {row[1]: row[0] for row in self.tx.fetch_all(SELECT_IDS, run_ids__in=list(run_ids))}
        runs = self.find_runs([numbers[run_id] for run_id in run_ids if run_id in numbers])
        there = {run.info.run_id for run in runs}
        return RunComparison(
            cursor=cursor,
            missing=[run_id for run_id in run_ids if run_id not in there],
            run_ids=[run.info.run_id for run in runs],
            names=[run.info.run_name for run in runs],
            experiment_ids=[run.info.experiment_id for run in runs],
            statuses=[run.info.status for run in runs],
            start_times=[run.info.start_time for run in runs],
            end_times=[run.info.end_time for run in runs],
            user_ids=[run.info.user_id for run in runs],
            params=_columns(runs, lambda run: run.data.params),
            metrics=_columns(runs, lambda run: run.data.metrics),
            tags=_columns(runs, lambda run: run.data.tags),
            datasets=[_datasets_of(run) for run in runs],
        )


def _columns(
    runs: Sequence[Run], values_of: Callable[[Run], Mapping[str, _ValueT]]
) -> dict[str, list[_ValueT | None]]:
    found: dict[str, list[_ValueT | None]] = {}
    for at, run in enumerate(runs):
        for key, value in values_of(run).items():
            column = found.get(key)
            if column is None:
                column = found[key] = [None] * len(runs)
            column[at] = value
    return found


def _datasets_of(run: Run) -> list[ComparedDataset]:
    return [
        ComparedDataset(
            name=each.dataset.name,
            digest=each.dataset.digest,
            source_type=each.dataset.source_type,
            context=next((tag.value for tag in each.tags if tag.key == _CONTEXT), None),
        )
        for each in run.inputs.dataset_inputs
    ]
