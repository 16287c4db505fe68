"""The routes of runs that live on: branches, params that change, moves and copies. Our own."""

import math

import msgspec

from slipstream.api.messages import KeyValue
from slipstream.api.routing import OWN, OWN_AJAX, Empty, Permission, Request, Response, route
from slipstream.entities import Metric, Param, ParamVersion, RunBranch, RunCopy
from slipstream.store.base import Store
from slipstream.wire.parsing import Int64

_PREFIXES = (OWN, OWN_AJAX)


class ExactPoint(msgspec.Struct, frozen=True, gc=False):
    """A point whose NaN and infinities are texts."""

    key: str
    value: float | str
    timestamp: int
    step: int = 0


class BranchMessage(msgspec.Struct, frozen=True, kw_only=True):
    number: int
    from_step: int
    created_time: int
    undone_time: int | None = None
    latest_metrics: list[ExactPoint] = []


def point_to_wire(point: Metric) -> ExactPoint:
    value: float | str = point.value
    if not math.isfinite(point.value):
        value = "NaN" if math.isnan(point.value) else ("Infinity" if point.value > 0 else "-Infinity")
    return ExactPoint(point.key, value, point.timestamp, point.step)


def point_from_wire(message: ExactPoint) -> Metric:
    return Metric(message.key, float(message.value), message.timestamp, message.step)


def to_wire(branch: RunBranch) -> BranchMessage:
    return BranchMessage(
        number=branch.number,
        from_step=branch.from_step,
        created_time=branch.created_time,
        undone_time=branch.undone_time,
        latest_metrics=[point_to_wire(point) for point in branch.latest_metrics],
    )


def from_wire(message: BranchMessage) -> RunBranch:
    return RunBranch(
        number=message.number,
        from_step=message.from_step,
        created_time=message.created_time,
        undone_time=message.undone_time,
        latest_metrics=[point_from_wire(point) for point in message.latest_metrics],
    )


class BranchRun(Request, kw_only=True):
    run_id: str
    from_step: Int64
    keys: list[str] | None = None


class BranchRunResponse(Response, kw_only=True):
    branch: BranchMessage | None = None


@route("POST", "runs/branch", permission=Permission.WRITE, prefixes=_PREFIXES)
def branch_run(store: Store, req: BranchRun) -> BranchRunResponse:
    """Leave a run's points of a step and later ones behind, so that it goes on from there."""
    branch = store.branch_run(req.run_id, req.from_step, req.keys)
    return BranchRunResponse(branch=None if branch is None else to_wire(branch))


class GetRunBranches(Request, kw_only=True):
    run_id: str


class GetRunBranchesResponse(Response, kw_only=True):
    branches: list[BranchMessage] = []


@route("GET", "runs/branches", permission=Permission.READ, prefixes=_PREFIXES)
def get_run_branches(store: Store, req: GetRunBranches) -> GetRunBranchesResponse:
    """List what a run left behind, with when, from which step, and the latest point of each metric."""
    return GetRunBranchesResponse(branches=[to_wire(each) for each in store.get_run_branches(req.run_id)])


class GetSupersededHistory(Request, kw_only=True):
    run_id: str
    branch: Int64
    metric_key: str
    max_results: Int64 | None = None
    page_token: str | None = None


class GetSupersededHistoryResponse(Response, kw_only=True):
    metrics: list[ExactPoint] = []
    next_page_token: str | None = None


@route("GET", "metrics/superseded-history", permission=Permission.READ, prefixes=_PREFIXES)
def get_superseded_history(store: Store, req: GetSupersededHistory) -> GetSupersededHistoryResponse:
    """Return the points of one metric in a branch, by (timestamp, step, value)."""
    page = store.get_superseded_history(
        req.run_id, req.branch, req.metric_key, req.max_results, req.page_token
    )
    return GetSupersededHistoryResponse(
        metrics=[point_to_wire(point) for point in page.items], next_page_token=page.token
    )


class UndoBranch(Request, kw_only=True):
    run_id: str
    branch: Int64


@route("POST", "runs/undo-branch", permission=Permission.WRITE, prefixes=_PREFIXES)
def undo_branch(store: Store, req: UndoBranch) -> Empty:
    """Put a branch's points back into the run's metrics."""
    store.undo_branch(req.run_id, req.branch)
    return Empty()


class OverwriteParams(Request, kw_only=True):
    run_id: str
    params: list[KeyValue] = []
    timestamp: Int64 | None = None


@route("POST", "runs/overwrite-params", permission=Permission.WRITE, prefixes=_PREFIXES)
def overwrite_params(store: Store, req: OverwriteParams) -> Empty:
    """Log params, over other values if need be; these are kept."""
    store.overwrite_params(req.run_id, [Param(each.key, each.value) for each in req.params], req.timestamp)
    return Empty()


class GetParamHistory(Request, kw_only=True):
    run_id: str
    key: str | None = None


class GetParamHistoryResponse(Response, kw_only=True):
    params: list[ParamVersion] = []


@route("GET", "runs/param-history", permission=Permission.READ, prefixes=_PREFIXES)
def get_param_history(store: Store, req: GetParamHistory) -> GetParamHistoryResponse:
    """Return all values that a run's params have and had."""
    return GetParamHistoryResponse(params=store.get_param_history(req.run_id, req.key))


class MoveRuns(Request, kw_only=True):
    run_ids: list[str]
    experiment_id: str


class MoveRunsResponse(Response, kw_only=True):
    moved: list[str] = []


@route("POST", "runs/move", permission=Permission.WRITE, prefixes=_PREFIXES)
def move_runs(store: Store, req: MoveRuns) -> MoveRunsResponse:
    """Move runs to another experiment, all of them or none."""
    return MoveRunsResponse(moved=store.move_runs(req.run_ids, req.experiment_id))


class CopyRuns(Request, kw_only=True):
    copies: list[RunCopy]
    experiment_id: str
    share_files: bool = False


class CopyRunsResponse(Response, kw_only=True):
    run_ids: list[str] = []


@route("POST", "runs/copy", permission=Permission.WRITE, prefixes=_PREFIXES)
def copy_runs(store: Store, req: CopyRuns) -> CopyRunsResponse:
    """Copy runs into an experiment, all of them or none; files are the caller's task, or shared."""
    copied = store.copy_runs(req.copies, req.experiment_id, share_files=req.share_files)
    return CopyRunsResponse(run_ids=copied)
