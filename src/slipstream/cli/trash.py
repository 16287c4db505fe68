"""`slipstream trash ...`."""

import click

from slipstream.cli import out
from slipstream.cli.sizes import show_bytes, show_time


@click.group()
def trash() -> None:
    """List what was deleted, and take it back; `slipstream gc` removes it for ever."""


@trash.command("list")
@click.option("--max-results", type=click.IntRange(min=1), help="Most things to show; all by default.")
def list_(max_results: int | None) -> None:
    """List what was deleted, the newest first. Runs that were deleted with their experiment are in it."""
    from slipstream.client.trash import search

    rows = [
        (
            item.kind.value,
            item.id,
            item.name,
            show_time(item.deleted_time),
            show_bytes(item.metric_bytes),
            "" if item.removal_time is None else show_time(item.removal_time),
            item.needed_by or "",
        )
        for item in search(max_results)
    ]
    out.table(rows, ["Kind", "ID", "Name", "Deleted", "Metrics", "Removed After", "Needed By"])


@trash.command()
@click.option("--run-id", help="ID of a run.")
@click.option(
    "--experiment-id", "-x", help="ID of an experiment; runs that were deleted with it come back, too."
)
@click.option("--model-id", help="ID of a logged model.")
@click.option("--new-name", help="Name for the experiment, if its old one is taken.")
def restore(
    run_id: str | None, experiment_id: str | None, model_id: str | None, new_name: str | None
) -> None:
    """Take back what was deleted."""
    from slipstream.client import trash as client

    given = [each for each in (run_id, experiment_id, model_id) if each is not None]
    if len(given) != 1:
        raise click.UsageError("Must specify exactly one of --run-id, --experiment-id or --model-id.")
    if new_name is not None and experiment_id is None:
        raise click.UsageError("--new-name goes with --experiment-id only.")
    if run_id is not None:
        client.restore_run(run_id)
        out.line(f"Run with id {run_id} has been restored.")
    elif experiment_id is not None:
        client.restore_experiment(experiment_id, new_name)
        out.line(f"Experiment with id {experiment_id} has been restored.")
    else:
        client.restore_logged_model(str(model_id))
        out.line(f"Logged model with id {model_id} has been restored.")
