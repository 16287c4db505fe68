"""The route of runs beside each other: all that each of them logged, column by column. Our own."""

from typing import Annotated

import msgspec

from slipstream.api.routing import Encoded, Permission, Request, Response, route
from slipstream.api.run_tables import PREFIXES, tagged
from slipstream.entities.run_comparison import ComparedDataset, RunComparison
from slipstream.store.base import Store
from slipstream.wire.numbers import exact_to_wire


class CompareRuns(Request, kw_only=True):
    run_ids: Annotated[list[str], msgspec.Meta(description="2 to 100 runs, each named once")] = []


class CompareRunsResponse(Response, kw_only=True):
    cursor: int
    missing: list[str] = []
    run_ids: list[str] = []
    names: list[str] = []
    experiment_ids: list[str] = []
    statuses: list[str] = []
    start_times: list[int] = []
    end_times: list[int | None] = []
    user_ids: list[str] = []
    params: dict[str, list[str | None]] = {}
    metrics: dict[str, list[float | str | None]] = {}
    tags: dict[str, list[str | None]] = {}
    datasets: list[list[ComparedDataset]] = []


@route("POST", "runs/compare", permission=Permission.READ, prefixes=PREFIXES)
def compare_runs(store: Store, req: CompareRuns) -> CompareRunsResponse | Encoded:
    """Return two to a hundred runs of any experiments beside each other, and which of the named ones are not there."""
    found = store.compare_runs(req.run_ids)
    return tagged(
        found.cursor,
        CompareRunsResponse(
            cursor=0,
            missing=found.missing,
            run_ids=found.run_ids,
            names=found.names,
            experiment_ids=found.experiment_ids,
            statuses=found.statuses,
            start_times=found.start_times,
            end_times=found.end_times,
            user_ids=found.user_ids,
            params=found.params,
            metrics={
                key: [None if value is None else exact_to_wire(value) for value in values]
                for key, values in found.metrics.items()
            },
            tags=found.tags,
            datasets=found.datasets,
        ),
    )


def from_wire(answer: CompareRunsResponse) -> RunComparison:
    return RunComparison(
        cursor=answer.cursor,
        missing=answer.missing,
        run_ids=answer.run_ids,
        names=answer.names,
        experiment_ids=answer.experiment_ids,
        statuses=answer.statuses,
        start_times=answer.start_times,
        end_times=answer.end_times,
        user_ids=answer.user_ids,
        params=answer.params,
        metrics={
            key: [None if value is None else float(value) for value in values]
            for key, values in answer.metrics.items()
        },
        tags=answer.tags,
        datasets=answer.datasets,
    )
