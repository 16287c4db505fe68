"""The routes of the trash, in our manner; MLflow's routes beside them behave as MLflow does."""

from typing import Literal

from slipstream.api.experiments import CreateExperiment, CreateExperimentResponse
from slipstream.api.messages import mapping
from slipstream.api.routing import OWN, OWN_AJAX, Empty, Permission, Request, Response, route
from slipstream.entities import OrphanReport, RemovalPart, TrashItem, TrashKind, TrashSelection
from slipstream.errors import InvalidParameterError
from slipstream.store.base import Store
from slipstream.wire.parsing import Int64

_PREFIXES = (OWN, OWN_AJAX)


@route("POST", "experiments/create", permission=Permission.WRITE, prefixes=_PREFIXES)
def create_experiment_anew(store: Store, req: CreateExperiment) -> CreateExperimentResponse:
    """Create an experiment; that a deleted one has the name does not matter."""
    return CreateExperimentResponse(
        experiment_id=store.create_experiment_anew(req.name, req.artifact_location, mapping(req.tags))
    )


class MoveToTrash(Request, kw_only=True):
    kind: TrashKind
    id: str
    force: bool = False


@route("POST", "trash/put", permission=Permission.DELETE, prefixes=_PREFIXES)
def move_to_trash(store: Store, req: MoveToTrash) -> Empty:
    """Delete an experiment, run or logged model, unless a version of a registered model was made from it."""
    store.move_to_trash(req.kind, req.id, force=req.force)
    return Empty()


class TakeFromTrash(Request, kw_only=True):
    kind: TrashKind
    id: str
    new_name: str | None = None


@route("POST", "trash/restore", permission=Permission.WRITE, prefixes=_PREFIXES)
def take_from_trash(store: Store, req: TakeFromTrash) -> Empty:
    """Restore what was deleted."""
    store.take_from_trash(req.kind, req.id, req.new_name)
    return Empty()


class SearchTrash(Request, kw_only=True):
    max_results: Int64 = 100
    page_token: str | None = None


class SearchTrashResponse(Response, kw_only=True):
    items: list[TrashItem] = []
    next_page_token: str | None = None


@route("GET", "trash", permission=Permission.READ, prefixes=_PREFIXES)
def search_trash(store: Store, req: SearchTrash) -> SearchTrashResponse:
    """List what was deleted, the newest first."""
    page = store.search_trash(req.max_results, req.page_token)
    return SearchTrashResponse(items=list(page.items), next_page_token=page.token)


class RemoveTrash(Request, kw_only=True):
    phase: Literal["plan", "execute"]
    older_than_ms: Int64 = 0
    before_time: Int64 | None = None
    run_ids: list[str] | None = None
    experiment_ids: list[str] | None = None
    logged_model_ids: list[str] | None = None
    force: bool = False
    page_token: str | None = None


@route("POST", "gc", permission=Permission.DELETE, aside=True, prefixes=_PREFIXES)
def remove_trash(store: Store, req: RemoveTrash) -> RemovalPart:
    """Say what would be removed from the trash for ever (`plan`), or remove it (`execute`), part by part."""
    for field, ids in (
        ("run_ids", req.run_ids),
        ("experiment_ids", req.experiment_ids),
        ("logged_model_ids", req.logged_model_ids),
    ):
        if ids == []:  # who computed a list and found nothing does not mean everything
            raise InvalidParameterError(
                f"'{field}' is an empty list, which selects nothing. Leave the field out to select all that is deleted."
            )
    selection = TrashSelection(
        older_than_ms=req.older_than_ms,
        before_time=req.before_time,
        run_ids=tuple(req.run_ids or ()),
        experiment_ids=tuple(req.experiment_ids or ()),
        model_ids=tuple(req.logged_model_ids or ()),
        force=req.force,
    )
    return store.remove_trash(selection, req.page_token, dry_run=req.phase == "plan")


class RemoveOrphans(Request, kw_only=True):
    phase: Literal["plan", "execute"]
    force: bool = False


@route("POST", "gc/orphans", permission=Permission.DELETE, aside=True, prefixes=_PREFIXES)
def remove_orphans(store: Store, req: RemoveOrphans) -> OrphanReport:
    """Find (`plan`) or delete (`execute`) artifacts that belong to no run."""
    return store.remove_orphans(dry_run=req.phase == "plan", force=req.force)
