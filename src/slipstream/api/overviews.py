"""The routes of a first look: experiments with what goes on in them, and what happens now. Our own."""

from typing import Annotated

import msgspec

from slipstream.api.experiments import view_type
from slipstream.api.routing import Encoded, Permission, Request, Response, route
from slipstream.api.run_tables import PREFIXES, tagged
from slipstream.entities.overview import (
    Activity,
    ExperimentOverview,
    ExperimentOverviews,
    ModelInUse,
    OverviewRequest,
    RecentRun,
)
from slipstream.store.base import Store
from slipstream.wire.parsing import Int64


class ExperimentsOverview(Request, kw_only=True):
    search: str | None = None
    view_type: Annotated[str | int, msgspec.Meta(description="ACTIVE_ONLY, DELETED_ONLY or ALL")] = 1
    offset: Int64 = 0
    limit: Int64 = 100


class ExperimentsOverviewResponse(Response, kw_only=True, omit_defaults=False):
    cursor: int
    total: int
    offset: int
    experiments: list[ExperimentOverview]


@route("GET", "experiments/overview", permission=Permission.READ, prefixes=PREFIXES)
def find_experiment_overviews(
    store: Store, req: ExperimentsOverview
) -> ExperimentsOverviewResponse | Encoded:
    """List experiments with the number of their runs, those with the latest activity first."""
    found = store.find_experiment_overviews(
        OverviewRequest(
            search=req.search,
            view_type=view_type(req.view_type, "view_type"),
            offset=req.offset,
            limit=req.limit,
        )
    )
    return tagged(
        found.cursor,
        ExperimentsOverviewResponse(
            cursor=0, total=found.total, offset=found.offset, experiments=found.experiments
        ),
    )


def overviews_from_wire(answer: ExperimentsOverviewResponse) -> ExperimentOverviews:
    return ExperimentOverviews(
        total=answer.total, offset=answer.offset, cursor=answer.cursor, experiments=answer.experiments
    )


class FindActivity(Request, kw_only=True):
    limit: Int64 = 20


class FindActivityResponse(Response, kw_only=True, omit_defaults=False):
    cursor: int
    running: list[RecentRun]
    finished: list[RecentRun]
    failed: list[RecentRun]
    experiments: list[ExperimentOverview]
    models: list[ModelInUse]


@route("GET", "activity", permission=Permission.READ, prefixes=PREFIXES)
def find_activity(store: Store, req: FindActivity) -> FindActivityResponse | Encoded:
    """Tell what runs now, what ended lately and why, and which experiments and models were used lately."""
    found = store.find_activity(req.limit)
    return tagged(
        found.cursor,
        FindActivityResponse(
            cursor=0,
            running=found.running,
            finished=found.finished,
            failed=found.failed,
            experiments=found.experiments,
            models=found.models,
        ),
    )


def activity_from_wire(answer: FindActivityResponse) -> Activity:
    return Activity(
        cursor=answer.cursor,
        running=answer.running,
        finished=answer.finished,
        failed=answer.failed,
        experiments=answer.experiments,
        models=answer.models,
    )
