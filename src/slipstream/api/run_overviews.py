"""The route of a run's page: what it shows at first, in one answer. Our own."""

from slipstream.api import branches, logged_models, model_versions, runs
from slipstream.api.branches import BranchMessage
from slipstream.api.logged_models import LoggedModelMessage
from slipstream.api.model_versions import ModelVersionMessage
from slipstream.api.routing import Encoded, Permission, Request, Response, route
from slipstream.api.run_tables import PREFIXES, tagged
from slipstream.api.runs import RunMessage
from slipstream.entities import ParamVersion
from slipstream.entities.liveness import ConsoleTail
from slipstream.entities.run_overview import RelatedRun, RunOverview
from slipstream.store.base import Store
from slipstream.wire.numbers import exact_to_wire
from slipstream.wire.parsing import Int64


class FindRunOverview(Request, kw_only=True):
    run_id: str
    extremes: Int64 = 0
    """Of how many metrics the least and the largest value are wanted, by name; those of the system are left out."""


class RunOverviewResponse(Response, kw_only=True):
    cursor: int
    run: RunMessage
    experiment_name: str
    beat_time: int | None = None
    parent: RelatedRun | None = None
    children: list[RelatedRun] = []
    child_count: int = 0
    logged_models: list[LoggedModelMessage] = []
    model_versions: list[ModelVersionMessage] = []
    changed_params: list[ParamVersion] = []
    branches: list[BranchMessage] = []
    extremes: dict[str, tuple[float | str | None, float | str | None]] = {}
    console: ConsoleTail | None = None


@route("GET", "runs/overview", permission=Permission.READ, prefixes=PREFIXES)
def find_run_overview(store: Store, req: FindRunOverview) -> RunOverviewResponse | Encoded:
    """Return a run with what its page shows at first: relatives, models, what changed, the end of the console."""
    found = store.find_run_overview(req.run_id, req.extremes)
    return tagged(
        found.cursor,
        RunOverviewResponse(
            cursor=0,
            run=runs.to_wire(found.run),
            experiment_name=found.experiment_name,
            beat_time=found.beat_time,
            parent=found.parent,
            children=found.children,
            child_count=found.child_count,
            logged_models=[logged_models.to_wire(each) for each in found.logged_models],
            model_versions=[model_versions.to_wire(each) for each in found.model_versions],
            changed_params=found.changed_params,
            branches=[branches.to_wire(each) for each in found.branches],
            extremes={
                key: (_to_wire(least), _to_wire(most)) for key, (least, most) in found.extremes.items()
            },
            console=found.console,
        ),
    )


def from_wire(answer: RunOverviewResponse) -> RunOverview:
    return RunOverview(
        cursor=answer.cursor,
        run=runs.from_wire(answer.run),
        experiment_name=answer.experiment_name,
        beat_time=answer.beat_time,
        parent=answer.parent,
        children=answer.children,
        child_count=answer.child_count,
        logged_models=[logged_models.from_wire(each) for each in answer.logged_models],
        model_versions=[model_versions.from_wire(each) for each in answer.model_versions],
        changed_params=answer.changed_params,
        branches=[branches.from_wire(each) for each in answer.branches],
        extremes={
            key: (_from_wire(least), _from_wire(most)) for key, (least, most) in answer.extremes.items()
        },
        console=answer.console,
    )


def _to_wire(value: float | None) -> float | str | None:
    return None if value is None else exact_to_wire(value)


def _from_wire(value: float | str | None) -> float | None:
    return None if value is None else float(value)
