"""`slipstream artifacts ...`."""

import json
import tempfile

import click

from slipstream.cli import out

run_option = click.option("--run-id", "-r", required=True, help="ID of the run.")
folder_option = click.option("--artifact-path", "-a", help="Folder of the run to store it in.")


@click.group()
def artifacts() -> None:
    """List, download and upload files of runs."""


@artifacts.command("list")
@run_option
@click.option("--artifact-path", "-a", help="Folder of the run to list; its root by default.")
def list_files(run_id: str, artifact_path: str | None) -> None:
    """List a folder of a run as JSON."""
    from slipstream.client.artifacts import list_artifacts

    entries: list[dict[str, str | bool | int]] = []
    for info in list_artifacts(run_id=run_id, artifact_path=artifact_path):
        entry: dict[str, str | bool | int] = {"path": info.path, "is_dir": info.is_dir}
        if info.file_size is not None:
            entry["file_size"] = info.file_size
        entries.append(entry)
    # MLflow's layout: a list on one line, of indented objects.
    out.line("[" + ", ".join(json.dumps(entry, indent=2) for entry in entries) + "]")


@artifacts.command()
@click.option("--run-id", "-r", help="ID of the run.")
@click.option("--artifact-path", "-a", help="File or folder of the run; all by default.")
@click.option("--artifact-uri", "-u", help="URI of a file or folder, instead of run and path.")
@click.option(
    "--dst-path",
    "-d",
    help="Folder to download to. Without it, files that are on this machine are named where they are, and "
    "others go to a new folder in the temporary directory.",
)
def download(
    run_id: str | None, artifact_path: str | None, artifact_uri: str | None, dst_path: str | None
) -> None:
    """Download a file or folder and print where it is."""
    from slipstream.client.artifacts import download_artifacts, find_local

    if artifact_uri is None and run_id is None:
        raise click.UsageError("Must specify --run-id or --artifact-uri.")
    if artifact_uri is not None:  # as in MLflow, it makes the others meaningless
        run_id = artifact_path = None
    if dst_path is None and find_local(artifact_uri, run_id, artifact_path) is None:
        # Unlike a download of the SDK it must outlive this process.
        dst_path = tempfile.mkdtemp(prefix="slipstream-")
    out.line("\n" + download_artifacts(artifact_uri, run_id, artifact_path, dst_path))


@artifacts.command("log-artifact")
@click.option("--local-file", "-l", required=True, help="File to store.")
@run_option
@folder_option
def log_artifact(local_file: str, run_id: str, artifact_path: str | None) -> None:
    """Store a local file in a run."""
    from slipstream.client.client import SlipstreamClient

    SlipstreamClient().log_artifact(run_id, local_file, artifact_path)
    out.note(f"Logged artifact from local file {local_file} to artifact_path={artifact_path}")


@artifacts.command("log-artifacts")
@click.option("--local-dir", "-l", required=True, help="Folder whose content to store.")
@run_option
@folder_option
def log_artifacts(local_dir: str, run_id: str, artifact_path: str | None) -> None:
    """Store what is in a local folder in a run."""
    from slipstream.client.client import SlipstreamClient

    SlipstreamClient().log_artifacts(run_id, local_dir, artifact_path)
    out.note(f"Logged artifact from local dir {local_dir} to artifact_path={artifact_path}")
