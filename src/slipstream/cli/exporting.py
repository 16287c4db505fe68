"""`slipstream export`."""

from pathlib import Path

import click

from slipstream.cli import out


@click.command("export")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--from",
    "source",
    envvar=["SLIPSTREAM_TRACKING_URI", "MLFLOW_TRACKING_URI"],
    default="slipstream.db",
    show_default=True,
    help="What to export: a database, a server's address, or anything else that can be imported.",
)
@click.option(
    "--experiment",
    "-e",
    "experiments",
    multiple=True,
    help="Name of an experiment to export, with its runs; may be given again. [default: all, and the registry]",
)
@click.option("--artifacts", is_flag=True, help="Export the files of runs and logged models, too.")
@click.option(
    "--artifacts-from",
    multiple=True,
    help="Place that files may be copied from, besides the source's own: a folder or s3://bucket; may be given again.",
)
@click.option(
    "--metrics",
    type=click.Choice(["parquet", "csv"]),
    default=None,
    help="Format of metric histories. [default: parquet if pyarrow is installed]",
)
def export(
    folder: Path,
    source: str,
    experiments: tuple[str, ...],
    artifacts: bool,
    artifacts_from: tuple[str, ...],
    metrics: str | None,
) -> None:
    """Write a store into plain files: JSON lines, Parquet or CSV, and a manifest with checksums.

    FOLDER is made, or must be empty. `slipstream import FOLDER` reads it back.
    """
    from slipstream.moving.exporting import ExportOptions, run_export
    from slipstream.moving.report import Report

    report = Report(verb="written")
    options = ExportOptions(
        source=source,
        folder=folder,
        experiments=experiments,
        artifacts=artifacts,
        artifacts_from=artifacts_from,
        metrics=metrics,
    )
    run_export(options, report)
    for line in report.lines():
        out.line(line)
