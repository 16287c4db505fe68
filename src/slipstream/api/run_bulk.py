"""The routes that change many runs alike. Our own."""

from typing import Annotated

import msgspec

from slipstream.api.experiments import view_type
from slipstream.api.routing import Permission, Request, Response, route
from slipstream.api.run_tables import PREFIXES
from slipstream.entities.run_bulk import RunsChange, RunsChanged, RunsOperation
from slipstream.errors import InvalidParameterError
from slipstream.store.base import Store
from slipstream.wire.parsing import Int64


class ChangeRuns(Request, kw_only=True):
    operation: RunsOperation
    run_ids: list[str] = []
    experiment_ids: list[str] = []
    filters: Annotated[
        list[str],
        msgspec.Meta(
            description="Each run of `experiment_ids` that one of them finds; an empty one finds all"
        ),
    ] = []
    view_type: Annotated[str | int, msgspec.Meta(description="ACTIVE_ONLY, DELETED_ONLY or ALL")] = 1
    except_run_ids: list[str] = []
    expected: Annotated[
        Int64 | None,
        msgspec.Meta(description="How many runs are meant; if they are not as many, nothing is done (409)"),
    ] = None
    key: str = ""
    value: str | None = None
    values: list[str | None] | None = None


class ChangeRunsResponse(Response, kw_only=True, omit_defaults=False):
    found: int
    changed: int
    run_ids: list[str]
    before: list[str | None] | None = None


@route("POST", "runs/bulk", permission=Permission.WRITE, prefixes=PREFIXES)
def change_runs(store: Store, req: ChangeRuns) -> ChangeRunsResponse:
    """Tag, move or restore many runs, all of them or none; says which are another way now, and what they had before."""
    if is_removal(req.operation, req.values):
        raise InvalidParameterError(
            f"'runs/bulk' removes nothing. Send this '{req.operation}' to 'runs/bulk-delete', which needs the permission to delete."
        )
    return _change(store, req)


@route("POST", "runs/bulk-delete", permission=Permission.DELETE, prefixes=PREFIXES)
def change_or_delete_runs(store: Store, req: ChangeRuns) -> ChangeRunsResponse:
    """Delete many runs, or their tags, all of them or none; takes what `runs/bulk` takes, too."""
    return _change(store, req)


def is_removal(operation: RunsOperation, values: "list[str | None] | tuple[str | None, ...] | None") -> bool:
    """Tell whether something is deleted: runs, or tags."""
    return operation in ("delete", "untag") or (values is not None and None in values)


def _change(store: Store, req: ChangeRuns) -> ChangeRunsResponse:
    done = store.change_runs(
        RunsChange(
            operation=req.operation,
            run_ids=tuple(req.run_ids),
            experiment_ids=tuple(req.experiment_ids),
            filters=tuple(req.filters),
            view_type=view_type(req.view_type, "view_type"),
            except_run_ids=tuple(req.except_run_ids),
            expected=req.expected,
            key=req.key,
            value=req.value,
            values=None if req.values is None else tuple(req.values),
        )
    )
    return ChangeRunsResponse(
        found=done.found, changed=len(done.run_ids), run_ids=done.run_ids, before=done.before
    )


def to_wire(change: RunsChange) -> ChangeRuns:
    return ChangeRuns(
        operation=change.operation,
        run_ids=list(change.run_ids),
        experiment_ids=list(change.experiment_ids),
        filters=list(change.filters),
        view_type=change.view_type.name,
        except_run_ids=list(change.except_run_ids),
        expected=change.expected,
        key=change.key,
        value=change.value,
        values=None if change.values is None else list(change.values),
    )


def from_wire(answer: ChangeRunsResponse) -> RunsChanged:
    return RunsChanged(found=answer.found, run_ids=answer.run_ids, before=answer.before)
