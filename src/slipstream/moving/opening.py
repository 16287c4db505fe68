"""From the text that names a source to the source."""

from collections.abc import Callable
from pathlib import Path

from slipstream.db.foreign import open_foreign
from slipstream.db.uri import artifact_folder, is_database_uri
from slipstream.errors import InvalidParameterError
from slipstream.moving.foreign_values import fit_text
from slipstream.moving.plain_files import MANIFEST, UNFINISHED
from slipstream.moving.report import Report
from slipstream.moving.source import Source
from slipstream.moving.source_options import SourceOptions
from slipstream.moving.sources.exported import Exported
from slipstream.moving.sources.mlflow_db import MlflowDatabase
from slipstream.moving.sources.mlruns import Mlruns, is_mlruns
from slipstream.moving.sources.neptune import Neptune, is_neptune_export
from slipstream.moving.sources.slipstream_db import SlipstreamDatabase
from slipstream.moving.sources.table_files import CsvFile, ParquetTable
from slipstream.moving.sources.tables import Table
from slipstream.moving.sources.tensorboard import Tensorboard, has_event_files, is_event_file
from slipstream.moving.sources.tracking_server import TrackingServer
from slipstream.moving.sources.trackio import Trackio, is_trackio, is_trackio_database, sqlite_uri
from slipstream.moving.sources.wandb import ENDING as WANDB_ENDING
from slipstream.moving.sources.wandb import Wandb, has_wandb_files

_SQLITE_MAGIC = b"SQLite format 3\x00"
_PARQUET_MAGIC = b"PAR1"

Open = Callable[[Path, Report, SourceOptions], Source]


def _open_csv(path: Path, report: Report, options: SourceOptions) -> Source:
    return Table(path, CsvFile(path), report, options)


def _open_parquet(path: Path, report: Report, options: SourceOptions) -> Source:
    return Table(path, ParquetTable(path), report, options)


KINDS: dict[str, Open] = {
    "tensorboard": Tensorboard,
    "wandb": Wandb,
    "trackio": Trackio,
    "neptune": Neptune,
    "csv": _open_csv,
    "parquet": _open_parquet,
}
"""Sources that can be asked for by name; the others tell what they are."""

_FOLDERS: dict[str, Callable[[Path], bool]] = {
    "wandb": has_wandb_files,
    "neptune": is_neptune_export,
    "trackio": is_trackio,
    "tensorboard": has_event_files,
}
"""How a folder of each kind is known. W&B comes first: its runs may hold event files."""


def open_source(text: str, report: Report, options: SourceOptions | None = None) -> Source:
    """Open what an import is from.

    Args:
        text: a folder, a file, an SQLite or PostgreSQL URI, or the address of a server.
        report: what cannot be read is noted there.
        options: what the user says about it.

    Raises:
        InvalidParameterError: it is none of these.
    """
    options = options or SourceOptions()
    try:
        return _open(text, report, options)
    except (OSError, ValueError) as error:  # a path that no file can have, or what lets nobody read it
        reason = getattr(error, "strerror", None) or error
        raise InvalidParameterError(f"{ascii(text)[1:-1][:300]} cannot be read: {reason}.") from error


def _open(text: str, report: Report, options: SourceOptions) -> Source:
    workspace, served_from = options.workspace, options.served_from
    if options.kind is not None:
        path = Path(text).expanduser()
        if not path.exists():
            raise InvalidParameterError(f"There is no file or folder {path}.")
        return _open_kind(options.kind, path, report, options)
    if text.startswith(("http://", "https://")):
        return TrackingServer(text.rstrip("/"), report)
    if is_database_uri(text):
        return _open_database(text, report, workspace, served_from)
    path = Path(text).expanduser()
    if path.is_file():
        return _open_file(path, report, options)
    if (path / MANIFEST).is_file():
        return Exported(path, report)
    if (path / UNFINISHED).is_file():
        raise InvalidParameterError(f"The export in {path} has not ended, so it is not whole. Export again.")
    if path.is_dir() and is_mlruns(path):
        return Mlruns(path, report, served_from)
    if path.is_dir() and is_mlruns(path / "mlruns"):
        raise InvalidParameterError(
            f"The folder {path} holds no experiments, but {path / 'mlruns'} does. Name that."
        )
    found = [kind for kind, is_one in _FOLDERS.items() if is_one(path)] if path.is_dir() else []
    if found:
        if len(found) > 1:
            report.notes.append(
                f"{fit_text(str(path))} looks like {' and '.join(found)}; it was read as {found[0]}. --kind says otherwise."
            )
        return KINDS[found[0]](path, report, options)
    raise InvalidParameterError(
        f"'{text}' is nothing to import from. Name a folder mlruns, a file mlflow.db, postgresql://user@host/database, "
        "the http:// address of a server, a folder that slipstream export wrote, a folder of TensorBoard, W&B, Trackio or "
        "neptune-exporter, or a table (.csv, .parquet)."
    )


def _open_kind(kind: str, path: Path, report: Report, options: SourceOptions) -> Source:
    try:
        return KINDS[kind](path, report, options)
    except OSError as error:
        raise InvalidParameterError(f"{path} cannot be read as {kind}: {error.strerror}.") from error


def _open_file(path: Path, report: Report, options: SourceOptions) -> Source:
    with path.open("rb") as file:
        start = file.read(len(_SQLITE_MAGIC))
    if start == _SQLITE_MAGIC:
        database = open_foreign(sqlite_uri(path))
        try:
            is_trackios = is_trackio_database(database)
        finally:
            database.close()
        if is_trackios:
            return Trackio(path, report, options)
        return _open_database(sqlite_uri(path), report, options.workspace, options.served_from)
    if path.name.endswith(WANDB_ENDING):
        return Wandb(path, report, options)
    if is_event_file(path.name):
        return Tensorboard(path, report, options)
    if start.startswith(_PARQUET_MAGIC):
        return _open_parquet(path, report, options)
    if path.suffix.lower() in (".csv", ".tsv"):
        return _open_csv(path, report, options)
    raise InvalidParameterError(
        f"The file {path} is no SQLite database, and neither W&B's, TensorBoard's, Parquet nor CSV. --kind says what it is."
    )


def _open_database(uri: str, report: Report, workspace: str, served_from: Path | None) -> Source:
    database = open_foreign(uri)
    try:
        if "schema_migrations" in database.columns:
            return SlipstreamDatabase(database, report, served_from or artifact_folder(uri))
        base = Path(database.where).parent if database.tx.dialect == "sqlite" else None
        return MlflowDatabase(database, report, base, workspace, served_from)
    except BaseException:
        database.close()
        raise
