"""`slipstream import`."""

from pathlib import Path

import click

from slipstream.cli import out


@click.command("import")
@click.argument("source")
@click.option(
    "--into",
    envvar=["SLIPSTREAM_TRACKING_URI", "MLFLOW_TRACKING_URI"],
    default="sqlite:///slipstream.db",
    show_default=True,
    help="Database to import into: sqlite:///file.db or postgresql://user@host/database. A server may be running on it.",
)
@click.option(
    "--experiment",
    "-e",
    "experiments",
    multiple=True,
    help="Name of an experiment to take, with its runs; may be given again. [default: all, and the registry]",
)
@click.option(
    "--workspace", default="default", show_default=True, help="Workspace of MLflow's database to take."
)
@click.option(
    "--update",
    is_flag=True,
    help="Bring up to date what is there already and changed in the source: runs, tags, descriptions, aliases, stages.",
)
@click.option("--dry-run", is_flag=True, help="Read everything, write nothing, and say what would be taken.")
@click.option(
    "--report",
    "report_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File for the whole report, as JSON.",
)
@click.option(
    "--copy-artifacts",
    is_flag=True,
    help="Copy files, too, and compare them. Without it runs keep the artifact URIs that they have.",
)
@click.option(
    "--artifacts-from",
    multiple=True,
    help="Place that files may be copied from, besides the source's own: a folder or s3://bucket; may be given again.",
)
@click.option(
    "--served-from",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder behind mlflow-artifacts:/ of MLflow's database. [default: mlartifacts beside it]",
)
@click.option(
    "--kind",
    type=click.Choice(["tensorboard", "wandb", "trackio", "neptune", "csv", "parquet"]),
    help="What SOURCE is, where that is not seen.",
)
@click.option(
    "--experiment-name",
    help="Name for the experiment of a source that has none: TensorBoard, a table. [default: its folder or file]",
)
@click.option(
    "--step-multiplier",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="What Neptune's steps are multiplied by, so that those with fractions become whole.",
)
@click.option("--run-column", help="Column of a table that says which run. [default: run_id, run, ...]")
@click.option(
    "--key-column", help="Column of a long table with the metric's name. [default: key, metric, ...]"
)
@click.option("--step-column", help="Column of a table with the step. [default: step, _step, epoch, ...]")
@click.option("--time-column", help="Column of a table with the time. [default: timestamp, time, ...]")
@click.option("--value-column", help="Column of a long table with the number. [default: value, ...]")
@click.option(
    "--artifact-root",
    help="Where the store keeps artifacts, as --default-artifact-root of its server. [default: as its first experiment]",
)
@click.option(
    "--artifacts-destination",
    help="Folder or storage URI behind mlflow-artifacts:/ of its server. [default: slipstream-artifacts beside the SQLite file]",
)
def import_(
    source: str,
    into: str,
    experiments: tuple[str, ...],
    workspace: str,
    update: bool,
    dry_run: bool,
    report_file: Path | None,
    copy_artifacts: bool,
    artifacts_from: tuple[str, ...],
    served_from: Path | None,
    kind: str | None,
    experiment_name: str | None,
    step_multiplier: int,
    run_column: str | None,
    key_column: str | None,
    step_column: str | None,
    time_column: str | None,
    value_column: str | None,
    artifact_root: str | None,
    artifacts_destination: str | None,
) -> None:
    """Take experiments, runs, models and the registry from another store.

    SOURCE is MLflow's folder mlruns, its database (mlflow.db, sqlite:///..., postgresql://...), the http:// address of a
    server, another store of slipstream, a folder that slipstream export wrote, a folder of TensorBoard, W&B, Trackio or
    neptune-exporter, or a table of histories (.csv, .parquet). It is only read. Ids, times and histories are kept. Started again, it goes on where it was interrupted; what is there already stays as it is. Exit
    code 1 if something could not be taken.
    """
    from slipstream.moving.importing import ImportOptions, run_import
    from slipstream.moving.report import Report
    from slipstream.moving.source_options import SourceOptions

    report = Report()
    options = ImportOptions(
        source=source,
        into=into,
        experiments=experiments,
        about=SourceOptions(
            kind=kind,
            workspace=workspace,
            served_from=served_from,
            experiment_name=experiment_name,
            step_multiplier=step_multiplier,
            run_column=run_column,
            key_column=key_column,
            step_column=step_column,
            time_column=time_column,
            value_column=value_column,
        ),
        update=update,
        dry_run=dry_run,
        copy_artifacts=copy_artifacts,
        artifacts_from=artifacts_from,
        artifact_root=artifact_root,
        artifacts_destination=artifacts_destination,
    )
    try:
        run_import(options, report)
    finally:
        if report_file is not None:
            report.save(report_file)
        if report.source:
            for line in report.lines():
                out.line(line)
        if not report.finished and report.source:
            out.note("The import did not end. Start it again: it goes on where it was.")
    if report.problems:
        out.error("Not everything was taken: see above. Keep the source.")
        click.get_current_context().exit(1)
