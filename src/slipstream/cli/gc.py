"""`slipstream gc`."""

import sys
from typing import TYPE_CHECKING, Any, Self

import click

from slipstream.cli import out
from slipstream.cli.sizes import show_bytes, show_time

if TYPE_CHECKING:
    from slipstream.client.trash import RemovalReport
    from slipstream.entities import OrphanReport, RemovalCounts, RemovalPart
    from slipstream.store.base import Store

_SHOWN = 20


@click.command("gc")
@click.option(
    "--older-than", metavar="DURATION", help="Only what was deleted so long ago, such as 30d or 1d2h."
)
@click.option("--run-ids", metavar="IDS", help="Only these runs, separated by commas.")
@click.option("--experiment-ids", metavar="IDS", help="Only these experiments, whole, separated by commas.")
@click.option("--logged-model-ids", metavar="IDS", help="Only these logged models, separated by commas.")
@click.option("--force", is_flag=True, help="Also what versions of registered models were made from.")
@click.option("--orphans", is_flag=True, help="Instead: artifacts that belong to nothing and are a day old.")
@click.option("--dry-run", is_flag=True, help="Say what would be removed, and remove nothing.")
@click.option("--yes", "-y", is_flag=True, help="Remove without asking.")
@click.option(
    "--tracking-uri", help="Server that removes, or database. [default: SLIPSTREAM_TRACKING_URI and so on]"
)
@click.option(
    "--backend-store-uri",
    help="Database to work on without a server; files behind mlflow-artifacts:/ go through --tracking-uri then, if given.",
)
@click.option(
    "--artifacts-destination",
    help="With a database: what its server has under this option, where files behind mlflow-artifacts:/ are.",
)
@click.option(
    "--artifact-root",
    multiple=True,
    metavar="URI",
    help="With a database: a further folder or object store where files of runs may be deleted. May be given several times.",
)
def gc(
    older_than: str | None,
    run_ids: str | None,
    experiment_ids: str | None,
    logged_model_ids: str | None,
    force: bool,
    orphans: bool,
    dry_run: bool,
    yes: bool,
    tracking_uri: str | None,
    backend_store_uri: str | None,
    artifacts_destination: str | None,
    artifact_root: tuple[str, ...],
) -> None:
    """Remove for ever what was deleted: experiments, runs, logged models, and their artifacts.

    Says first what that is, and asks. May be interrupted, and goes on when it is called again.
    """
    from slipstream.client.connect import open_for_removal
    from slipstream.client.trash import select, work
    from slipstream.clock import parse_duration
    from slipstream.errors import InvalidParameterError

    chosen = (older_than, run_ids, experiment_ids, logged_model_ids)
    if orphans and any(each is not None for each in chosen):
        raise click.UsageError(
            "--orphans looks at all files of nobody that did not change for a day: leave --older-than and the ids out."
        )
    try:
        parse_duration(older_than or "0s")
    except ValueError as error:
        raise InvalidParameterError(f"Invalid value for '--older-than': {error}.") from error
    connection = open_for_removal(tracking_uri, backend_store_uri, artifacts_destination, artifact_root)
    store = connection.store
    if orphans:
        _remove_orphans(store, dry_run=dry_run, yes=yes, force=force)
        return
    selection = select(older_than, _ids(run_ids), _ids(experiment_ids), _ids(logged_model_ids), force=force)
    plan = work(store, selection, dry_run=True)
    _show_plan(plan)
    if plan.counts.experiments + plan.counts.runs + plan.counts.models == 0:
        out.note("There is nothing to remove.")
        return
    if dry_run or not _agreed(yes=yes):
        return
    import msgspec

    selection = msgspec.structs.replace(selection, before_time=plan.before_time)
    with _Progress(plan.counts) as progress:
        report = work(store, selection, dry_run=False, tell=progress.tell)
    out.line(f"Removed {_counted(report.counts)}.")
    planned = {(each.kind, each.id) for each in plan.kept}
    for kept in report.kept:
        if (kept.kind, kept.id) not in planned:
            out.note(f"The {kept.kind} {kept.id} was not removed: {kept.reason}")
    if connection.uri.startswith("sqlite:"):
        out.note(
            "The file of the database does not shrink: new data takes the room that is free now. VACUUM of SQLite would rewrite it."
        )


def _remove_orphans(store: "Store", *, dry_run: bool, yes: bool, force: bool) -> None:
    found = store.remove_orphans(dry_run=True)
    rows = [
        (each.path, str(each.files), show_bytes(each.artifact_bytes), show_time(each.last_change_time))
        for each in found.folders
    ]
    if rows:
        out.table(rows, ["Folder", "Files", "Size", "Last Change"])
    out.line(f"{_counted_orphans(found)}; {found.known} folders belong to runs and logged models.")
    if not (found.folders or found.unfinished):
        out.note("There is nothing to remove.")
        return
    if dry_run or not _agreed(yes=yes):
        return
    out.line(f"Removed {_counted_orphans(store.remove_orphans(force=force))}.")


def _counted_orphans(report: "OrphanReport") -> str:
    size = sum(each.artifact_bytes for each in report.folders)
    return (
        f"{len(report.folders)} folders that belong to nothing, with {show_bytes(size)}, and {report.unfinished} uploads "
        "that were never finished"
    )


def _show_plan(plan: "RemovalReport") -> None:
    shown = plan.items[:_SHOWN]
    if shown:
        rows = [
            (item.kind.value, item.id, item.name, show_time(item.deleted_time), show_bytes(item.metric_bytes))
            for item in shown
        ]
        out.table(rows, ["Kind", "ID", "Name", "Deleted", "Metrics"])
        if len(plan.items) > len(shown):
            out.line(f"... and {len(plan.items) - len(shown)} more")
    for kept in plan.kept[:_SHOWN]:
        out.line(f"Stays: the {kept.kind} {kept.id}: {kept.reason}")
    if len(plan.kept) > _SHOWN:
        out.line(f"... and {len(plan.kept) - _SHOWN} more stay")
    out.line(f"To be removed for ever: {_counted(plan.counts)}.")


def _counted(counts: "RemovalCounts") -> str:
    return (
        f"{counts.experiments} experiments, {counts.runs} runs, {counts.models} logged models; "
        f"{show_bytes(counts.metric_bytes)} of metrics, {counts.files} files with {show_bytes(counts.artifact_bytes)}"
    )


def _agreed(*, yes: bool) -> bool:
    return yes or click.confirm("Remove it? It cannot be taken back", err=True)


def _ids(text: str | None) -> list[str] | None:
    """Return the ids of an option; `None` if it was not given, and no ids if its text holds none."""
    return None if text is None else [part.strip() for part in text.split(",") if part.strip()]


class _Progress:
    """A bar that counts what was removed, on a terminal."""

    def __init__(self, planned: "RemovalCounts") -> None:
        self._bar: Any = None
        if sys.stderr.isatty():
            from tqdm import tqdm

            total = planned.experiments + planned.runs + planned.models
            self._bar = tqdm(total=total, desc="Removing", unit="", leave=False)

    def tell(self, part: "RemovalPart") -> None:
        if self._bar is not None:
            self._bar.update(part.counts.experiments + part.counts.runs + part.counts.models)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._bar is not None:
            self._bar.close()
