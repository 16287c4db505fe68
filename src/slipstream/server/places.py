"""Whether a server can work with the places that its options name; asked before anything starts."""

import importlib.metadata
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from slipstream.artifact_store.local import PARTIAL
from slipstream.artifact_store.object_uris import SCHEMES, is_object_store, open_object_store, parse_place
from slipstream.artifact_store.paths import check_no_escape
from slipstream.artifact_store.proxy import split_http_root
from slipstream.artifact_store.uri import PLUGINS, is_local, local_folder
from slipstream.db.base import Database
from slipstream.db.migrate import prepare
from slipstream.errors import InvalidParameterError, SlipstreamError
from slipstream.server.options import ServerOptions

# MLflow's clients bring stores of their own for these; the server itself opens none of them.
_STORES_OF_CLIENTS = frozenset("r2 b2 ftp sftp dbfs hdfs viewfs".split())


def check_places(options: ServerOptions) -> None:
    """Refuse places for artifacts where none could be kept.

    Raises:
        InvalidParameterError: names the option, its value and the reason.
    """
    if options.default_artifact_root:
        _check_root(options, options.default_artifact_root)
    if not options.serve_artifacts and not options.artifacts_only:
        return
    if is_local(options.destination):
        _require_writable("--artifacts-destination", options.destination)
    else:
        _require_reachable("--artifacts-destination", options.destination)


def prepare_database(open_it: Callable[[], Database]) -> None:
    """Create or upgrade the tables; what is wrong with the database is told under its option's name.

    Raises:
        InvalidParameterError: it cannot be used.
    """
    try:
        prepare(open_it())
    except InvalidParameterError as error:
        raise InvalidParameterError(f"--backend-store-uri cannot be used. {error}") from error


def _check_root(options: ServerOptions, uri: str) -> None:
    option = f"--default-artifact-root '{uri}'"
    if is_local(uri):
        folder = local_folder(uri)
        if _nearest(folder, option) == folder.absolute() and not folder.is_dir():
            raise InvalidParameterError(f"{option} is a file; name a folder.")
        return
    try:
        scheme = urlsplit(uri).scheme.lower()
    except ValueError as error:
        raise InvalidParameterError(
            f"{option} is no URI: {error}. Name a folder or a storage URI."
        ) from error
    check_no_escape(uri, "--default-artifact-root")
    if scheme == "mlflow-artifacts":
        if not options.serve_artifacts and not urlsplit(uri).netloc:
            raise InvalidParameterError(
                f"{option} is behind this server, which does not serve artifacts (--no-serve-artifacts). "
                "Leave one of the two options out."
            )
    elif scheme in ("http", "https"):
        split_http_root(uri, "--default-artifact-root")
    elif scheme in SCHEMES:
        try:
            parse_place(uri)
        except InvalidParameterError as error:
            raise InvalidParameterError(f"{option} cannot be used. {error}") from error
    elif scheme not in _STORES_OF_CLIENTS and not importlib.metadata.entry_points(group=PLUGINS, name=scheme):
        raise InvalidParameterError(
            f"{option}: no artifact store has the scheme '{scheme}'. Name a folder, mlflow-artifacts:/path, the "
            f"artifact API of another server, or install a plugin for the scheme (entry point '{PLUGINS}')."
        )


def _require_writable(option: str, uri: str) -> None:
    """Refuse a folder in which, or for which, nothing can be made; nothing is left behind by the trial."""
    folder = local_folder(uri)
    option = f"{option} '{uri}'"
    there = _nearest(folder, option)
    if not there.is_dir():
        raise InvalidParameterError(f"{option}: {there} is a file; name a folder.")
    try:
        # Rights alone do not tell: the disk may be read-only, or of a kind that holds no files.
        Path(tempfile.mkdtemp(prefix=PARTIAL, dir=there)).rmdir()
    except OSError as error:
        raise _unusable(option, there, error) from error


def _require_reachable(option: str, uri: str) -> None:
    """Refuse an object store that does not answer, whose bucket is missing, or that refuses the credentials."""
    if not is_object_store(uri):
        raise no_artifact_root(option, uri)
    check_no_escape(uri, option)
    try:
        open_object_store(uri).check()
    except SlipstreamError as error:
        raise InvalidParameterError(f"{option} '{uri}' cannot be used. {error}") from error


def no_artifact_root(option: str, uri: str) -> InvalidParameterError:
    """Return the error for a URI that the server cannot keep artifacts at."""
    return InvalidParameterError(
        f"{option} '{uri}' is neither a folder nor an object store (s3://bucket/path, gs://bucket/path, "
        "wasbs://container@account.blob.core.windows.net/path)."
    )


def _nearest(folder: Path, option: str) -> Path:
    """Return the folder, or the one above it that is there already."""
    place = folder.absolute()
    while True:
        try:
            os.stat(place)  # noqa: PTH116  # `exists` takes some refusals for absence
        except (FileNotFoundError, NotADirectoryError):
            place = place.parent
        except (OSError, ValueError) as error:
            raise _unusable(option, place, error) from error
        else:
            return place


def _unusable(option: str, place: Path, error: OSError | ValueError) -> InvalidParameterError:
    reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return InvalidParameterError(
        f"{option} cannot be used: {place}: {reason}. Name a folder that this user may write to."
    )
