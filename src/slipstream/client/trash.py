"""Our manner of deleting and taking back. Behind the public module `slipstream.trash`.

MLflow's functions of the package (`slipstream.delete_run`, ...) behave as MLflow's; these are beside them, and say no
where something would be lost that is needed.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from slipstream.client.connect import connect
from slipstream.client.paging import collect, paged
from slipstream.client.values import require_text, to_text, to_text_map
from slipstream.clock import parse_duration
from slipstream.entities import (
    KeptItem,
    OrphanReport,
    RemovalCounts,
    RemovalPart,
    TrashItem,
    TrashKind,
    TrashSelection,
)
from slipstream.errors import InvalidParameterError
from slipstream.store.base import Store

_PAGE = 1000


class RemovalReport(msgspec.Struct, frozen=True, kw_only=True):
    """What was removed from the trash, or, of a plan, what will be."""

    counts: RemovalCounts
    kept: list[KeptItem]
    """What was asked for and stays, with the reason."""
    items: list[TrashItem]
    """Of a plan: every run, experiment and logged model."""
    before_time: int
    """What was deleted later than this is not part of it."""


def create_experiment(
    name: str, artifact_location: str | None = None, tags: Mapping[str, Any] | None = None
) -> str:
    """Create an experiment and return its id; a deleted experiment of that name is renamed in the trash.

    Raises:
        AlreadyExistsError: an experiment that is not deleted has the name.
    """
    location = None if artifact_location is None else to_text(artifact_location, "artifact_location")
    return _store().create_experiment_anew(require_text(name, "name"), location, to_text_map(tags))


def delete_experiment(experiment_id: str, *, force: bool = False) -> None:
    """Delete an experiment with its runs.

    Raises:
        ConflictError: a version of a registered model was made from one of its runs or models, and `force` is false.
    """
    _store().move_to_trash(TrashKind.EXPERIMENT, to_text(experiment_id, "experiment_id"), force=force)


def delete_run(run_id: str, *, force: bool = False) -> None:
    """Delete a run.

    Raises:
        ConflictError: a version of a registered model was made from it, and `force` is false.
    """
    _store().move_to_trash(TrashKind.RUN, require_text(run_id, "run_id"), force=force)


def delete_logged_model(model_id: str, *, force: bool = False) -> None:
    """Delete a logged model.

    Raises:
        ConflictError: a version of a registered model was made from it, and `force` is false.
    """
    _store().move_to_trash(TrashKind.MODEL, require_text(model_id, "model_id"), force=force)


def restore_experiment(experiment_id: str, new_name: str | None = None) -> None:
    """Restore an experiment, and the runs that were deleted with it, under its old name or another one.

    Raises:
        AlreadyExistsError: the name is taken; give a new one.
    """
    _store().take_from_trash(TrashKind.EXPERIMENT, to_text(experiment_id, "experiment_id"), new_name)


def restore_run(run_id: str) -> None:
    _store().take_from_trash(TrashKind.RUN, require_text(run_id, "run_id"))


def restore_logged_model(model_id: str) -> None:
    _store().take_from_trash(TrashKind.MODEL, require_text(model_id, "model_id"))


def search(max_results: int | None = None) -> list[TrashItem]:
    """Return what is in the trash, the newest first. Runs that were deleted with their experiment are in it."""
    store = _store()
    return collect(lambda size, token: paged(store.search_trash(size, token)), _PAGE, max_results)


def plan_removal(
    older_than: str | None = None,
    *,
    run_ids: Sequence[str] | None = None,
    experiment_ids: Sequence[str] | None = None,
    model_ids: Sequence[str] | None = None,
    force: bool = False,
) -> RemovalReport:
    """Tell what `remove` would remove, and change nothing. Takes what it takes to list the files."""
    selection = select(older_than, run_ids, experiment_ids, model_ids, force=force)
    return work(_store(), selection, dry_run=True)


def remove(
    older_than: str | None = None,
    *,
    run_ids: Sequence[str] | None = None,
    experiment_ids: Sequence[str] | None = None,
    model_ids: Sequence[str] | None = None,
    force: bool = False,
) -> RemovalReport:
    """Remove things from the trash for ever, with their files. Without ids: everything that is deleted.

    A list without ids is refused. May be called again after any failure or kill, and goes on then.

    Args:
        older_than: only what was deleted so long ago, such as `30d` or `1d2h`.
        run_ids: these runs.
        experiment_ids: these experiments, whole.
        model_ids: these logged models.
        force: also what versions of registered models were made from.
    """
    selection = select(older_than, run_ids, experiment_ids, model_ids, force=force)
    return work(_store(), selection, dry_run=False)


def plan_orphans() -> OrphanReport:
    """Find artifacts that belong to no run or logged model, and did not change for a day."""
    return _store().remove_orphans(dry_run=True)


def remove_orphans(*, force: bool = False) -> OrphanReport:
    """Delete artifacts that belong to no run or logged model, and did not change for a day.

    Raises:
        ConflictError: there are more of them than of others, as if another database kept its artifacts there; and `force`
            is false.
    """
    return _store().remove_orphans(force=force)


def select(
    older_than: str | None,
    run_ids: Sequence[str] | None,
    experiment_ids: Sequence[str] | None,
    model_ids: Sequence[str] | None,
    *,
    force: bool,
) -> TrashSelection:
    """Return a selection from what people write; without any ids it is everything that is deleted.

    Raises:
        InvalidParameterError: `older_than` is no duration; or a list of ids is empty, which may mean nothing to its
            sender and must not mean everything here.
    """
    for field, ids in (("run_ids", run_ids), ("experiment_ids", experiment_ids), ("model_ids", model_ids)):
        if isinstance(ids, str):
            raise InvalidParameterError(f"'{field}' must be a list; put the text into one: [text].")
        if ids is not None and not ids:
            raise InvalidParameterError(
                f"The list '{field}' is empty, so nothing is removed. Name at least one id; leave '{field}' out to "
                "remove everything that is deleted."
            )
    try:
        milliseconds = 0 if older_than is None else parse_duration(older_than)
    except ValueError as error:
        raise InvalidParameterError(f"Invalid value for 'older_than': {error}.") from error
    return TrashSelection(
        older_than_ms=milliseconds,
        run_ids=tuple(require_text(each, "run_ids") for each in run_ids or ()),
        experiment_ids=tuple(to_text(each, "experiment_ids") for each in experiment_ids or ()),
        model_ids=tuple(require_text(each, "model_ids") for each in model_ids or ()),
        force=force,
    )


def work(
    store: Store,
    selection: TrashSelection,
    *,
    dry_run: bool,
    tell: Callable[[RemovalPart], object] | None = None,
) -> RemovalReport:
    """Go through a removal or its plan, part by part; `tell` is called after each."""
    counts = RemovalCounts()
    kept: dict[tuple[str, str], KeptItem] = {}
    items: list[TrashItem] = []
    token: str | None = None
    while True:
        part = store.remove_trash(selection, token, dry_run=dry_run)
        counts += part.counts
        kept |= {(each.kind, each.id): each for each in part.kept}
        items += part.items
        # What is deleted meanwhile does not join.
        selection = msgspec.structs.replace(selection, before_time=part.before_time)
        token = part.token
        if tell is not None:
            tell(part)
        if token is None:
            return RemovalReport(
                counts=counts, kept=list(kept.values()), items=items, before_time=part.before_time
            )


def _store() -> Store:
    return connect().store
