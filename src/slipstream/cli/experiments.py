"""`slipstream experiments ...`."""

import csv
import io
import os
from datetime import datetime
from pathlib import Path

import click

from slipstream.cli import out
from slipstream.cli.options import choose_view, force_option, view_option
from slipstream.errors import EndpointNotFoundError, InvalidParameterError, NotFoundError

id_option = click.option("--experiment-id", "-x", required=True, help="ID of the experiment.")


@click.group()
def experiments() -> None:
    """Manage experiments."""


@experiments.command()
@click.option(
    "--experiment-name", "-n", required=True, help="Name, not taken by another that is not deleted."
)
@click.option("--artifact-location", "-l", help="Where files of its runs go; the server decides by default.")
def create(experiment_name: str, artifact_location: str | None) -> None:
    """Create an experiment. A deleted one of that name gets another name in the trash."""
    from slipstream.client import trash
    from slipstream.client.client import SlipstreamClient

    try:
        experiment_id = trash.create_experiment(experiment_name, artifact_location)
    except EndpointNotFoundError:  # a server of MLflow's
        experiment_id = SlipstreamClient().create_experiment(experiment_name, artifact_location)
    out.line(f"Created experiment '{experiment_name}' with id {experiment_id}")


@experiments.command()
@view_option
@click.option("--max-results", type=click.IntRange(min=0), help="Most experiments to show; all by default.")
def search(view: str, max_results: int | None) -> None:
    """List experiments."""
    from slipstream.client.active_experiment import search_experiments

    found = search_experiments(choose_view(view), max_results)
    rows = sorted((each.experiment_id, each.name, _show_location(each.artifact_location)) for each in found)
    out.table(rows, ["Experiment Id", "Name", "Artifact Location"])


def _show_location(location: str) -> str:
    return location if ":" in location else os.path.abspath(location)  # noqa: PTH100  # MLflow's text


@experiments.command()
@click.option("--experiment-id", "-x", help="ID of the experiment.")
@click.option("--experiment-name", "-n", help="Name of the experiment.")
@click.option("--output", type=click.Choice(["json", "table"]), default="table", show_default=True)
def get(experiment_id: str | None, experiment_name: str | None, output: str) -> None:
    """Show one experiment, given by ID or by name."""
    from slipstream.client.client import SlipstreamClient

    if (experiment_id is None) == (experiment_name is None):
        raise click.UsageError("Must specify exactly one of --experiment-id or --experiment-name.")
    client = SlipstreamClient()
    if experiment_id is not None:
        found = client.get_experiment(experiment_id)
    else:
        by_name = client.get_experiment_by_name(str(experiment_name))
        if by_name is None:
            raise NotFoundError(f"Experiment with name '{experiment_name}' does not exist.")
        found = by_name
    if output == "json":
        out.document(
            {
                "artifact_location": found.artifact_location,
                "creation_time": found.creation_time,
                "experiment_id": found.experiment_id,
                "last_update_time": found.last_update_time,
                "lifecycle_stage": found.lifecycle_stage,
                "name": found.name,
                "tags": found.tags,
            }
        )
        return
    out.fields(
        [
            ("Experiment ID", found.experiment_id),
            ("Name", found.name),
            ("Artifact Location", found.artifact_location),
            ("Lifecycle Stage", found.lifecycle_stage),
            ("Creation Time", found.creation_time),
            ("Last Update Time", found.last_update_time),
            ("Tags", ", ".join(f"{key}={value}" for key, value in found.tags.items())),
        ]
    )


@experiments.command()
@id_option
@force_option
def delete(experiment_id: str, force: bool) -> None:
    """Mark an experiment and its runs deleted; `restore` takes it back."""
    from slipstream.client import trash
    from slipstream.client.client import SlipstreamClient

    try:
        trash.delete_experiment(experiment_id, force=force)
    except EndpointNotFoundError:  # a server of MLflow's
        SlipstreamClient().delete_experiment(experiment_id)
    out.line(f"Experiment with ID {experiment_id} has been deleted.")


@experiments.command()
@id_option
def restore(experiment_id: str) -> None:
    """Make a deleted experiment active, and its runs."""
    from slipstream.client.client import SlipstreamClient

    SlipstreamClient().restore_experiment(experiment_id)
    out.line(f"Experiment with id {experiment_id} has been restored.")


@experiments.command()
@id_option
@click.option("--new-name", required=True, help="Name, not taken by another, be it deleted.")
def rename(experiment_id: str, new_name: str) -> None:
    """Rename an active experiment."""
    from slipstream.client.client import SlipstreamClient

    SlipstreamClient().rename_experiment(experiment_id, new_name)
    out.line(f"Experiment with id {experiment_id} has been renamed to '{new_name}'.")


@experiments.command("csv")
@id_option
@click.option("--filename", "-o", type=click.Path(path_type=Path, dir_okay=False), help="File to write.")
def write_csv(experiment_id: str, filename: Path | None) -> None:
    """Write the runs of an experiment as CSV, to a file or to the terminal."""
    from slipstream.client.frames import runs_to_columns
    from slipstream.client.run_functions import search_runs

    columns = runs_to_columns(search_runs([experiment_id], output_format="list"), None)
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(value) for value in row] for row in zip(*columns.values(), strict=True))
    if filename is None:
        out.data(buffer.getvalue().removesuffix("\n"))
        return
    try:
        filename.write_text(buffer.getvalue(), encoding="utf-8")
    except OSError as error:
        raise InvalidParameterError(
            f"'--filename' {filename} cannot be written: {error.strerror}. Name a file in a folder that exists."
        ) from error
    out.line(f"Experiment with ID {experiment_id} has been exported as a CSV to file: {filename}.")


def _cell(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="milliseconds")
    return "" if value is None or value != value else value  # noqa: PLR0124  # NaN is an empty cell
