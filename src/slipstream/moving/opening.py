"""From the text that names a source to the source."""

from pathlib import Path

from slipstream.db.foreign import open_foreign
from slipstream.db.uri import artifact_folder, is_database_uri
from slipstream.errors import InvalidParameterError
from slipstream.moving.plain_files import MANIFEST, UNFINISHED
from slipstream.moving.report import Report
from slipstream.moving.source import Source
from slipstream.moving.sources.exported import Exported
from slipstream.moving.sources.mlflow_db import DEFAULT_WORKSPACE, MlflowDatabase
from slipstream.moving.sources.mlruns import Mlruns, is_mlruns
from slipstream.moving.sources.slipstream_db import SlipstreamDatabase
from slipstream.moving.sources.tracking_server import TrackingServer

_SQLITE_MAGIC = b"SQLite format 3\x00"


def open_source(
    text: str, report: Report, *, workspace: str = DEFAULT_WORKSPACE, served_from: Path | None = None
) -> Source:
    """Open what an import is from.

    Args:
        text: a folder (`mlruns`, or what `slipstream export` wrote), an SQLite file or URI, a PostgreSQL URI, or the
            address of a server.
        report: what cannot be read is noted there.
        workspace: of which workspace of MLflow's database.
        served_from: the folder behind `mlflow-artifacts:/` of MLflow's database.

    Raises:
        InvalidParameterError: it is none of these.
    """
    if text.startswith(("http://", "https://")):
        return TrackingServer(text.rstrip("/"), report)
    if is_database_uri(text):
        return _open_database(text, report, workspace, served_from)
    path = Path(text).expanduser()
    if path.is_file():
        with path.open("rb") as file:
            if file.read(len(_SQLITE_MAGIC)) != _SQLITE_MAGIC:
                raise InvalidParameterError(f"The file {path} is no SQLite database.")
        return _open_database(sqlite_uri(path), report, workspace, served_from)
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
    raise InvalidParameterError(
        f"'{text}' is nothing to import from. Name a folder mlruns, a file mlflow.db, postgresql://user@host/database, "
        "the http:// address of a server, or a folder that slipstream export wrote."
    )


def sqlite_uri(path: Path) -> str:
    """Return the URI of a database file."""
    text = str(path.absolute())
    return "sqlite:///" + text.replace("%", "%25").replace("?", "%3F").replace("#", "%23")


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
