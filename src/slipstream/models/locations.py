"""Where a model's files are on this machine, and the promise that its paths stay inside its folder."""

from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from slipstream.errors import InvalidParameterError, NotFoundError
from slipstream.models import mlmodel


def local_model_folder(uri: str | Path, dst_path: str | Path | None = None) -> Path:
    """Return the local folder of a model, fetching it first if it lies elsewhere.

    Args:
        uri: a path, or a URI of any kind that `download_artifacts` knows (runs:/, models:/, s3:// ...).
        dst_path: folder to fetch into; a local model is then copied too.

    Raises:
        NotFoundError: the path does not exist or holds no MLmodel file.
    """
    path = _local_path(uri)
    if path is None or dst_path is not None:
        from slipstream.client.artifacts import download_artifacts

        path = Path(
            download_artifacts(artifact_uri=str(uri), dst_path=None if dst_path is None else str(dst_path))
        )
    if not _is_file(path / mlmodel.MLMODEL_FILE):
        raise NotFoundError(
            f"Could not find an '{mlmodel.MLMODEL_FILE}' file at '{uri}'; is it a model folder?"
        )
    return path


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError as error:
        raise InvalidParameterError(
            f"'{path}' cannot be looked at: {error.strerror or error}. Correct the path, or its rights."
        ) from error


def local_model_file(uri: str | Path) -> Path:
    """Return the local MLmodel file, given a model folder, the file itself, or a URI of either."""
    path = _local_path(uri)
    if path is not None:
        return path / mlmodel.MLMODEL_FILE if path.is_dir() else path
    from slipstream.client.artifacts import download_artifacts

    text = str(uri).rstrip("/")
    if not text.endswith("/" + mlmodel.MLMODEL_FILE):
        text += "/" + mlmodel.MLMODEL_FILE
    return Path(download_artifacts(artifact_uri=text))


def is_remote(uri: str | Path) -> bool:
    """Tell whether a model would have to be fetched."""
    return _local_path(uri) is None


def _local_path(uri: str | Path) -> Path | None:
    if isinstance(uri, Path):
        return uri
    parts = urlsplit(uri)
    if parts.scheme == "file":
        if parts.query or parts.fragment or parts.netloc not in ("", "localhost"):
            raise InvalidParameterError(f"'{uri}' is not the URI of a local file")
        return Path(unquote(parts.path))
    # One letter before the colon is a Windows drive.
    return Path(uri).expanduser() if len(parts.scheme) <= 1 else None


def inside(folder: Path, relative: object, *, key: str) -> Path:
    """Return a path that an MLmodel file names, sure to be in the model's folder.

    Raises:
        InvalidParameterError: the path is absolute, climbs out, or a symbolic link leads out.
        NotFoundError: there is nothing there.
    """
    if not isinstance(relative, str) or not relative or "\\" in relative or "\0" in relative:
        raise InvalidParameterError(f"'{key}' in the MLmodel file must be a relative path, got {relative!r}")
    parts = PurePosixPath(relative)
    root = folder.resolve()
    resolved = (root / parts).resolve()
    if parts.is_absolute() or ".." in parts.parts or not resolved.is_relative_to(root):
        raise InvalidParameterError(f"'{key}' in the MLmodel file leaves the model's folder: {relative!r}")
    if not resolved.exists():
        raise NotFoundError(
            f"The model's folder has no '{relative}', which '{key}' in its MLmodel file names"
        )
    return resolved


def files_below(path: Path, *, compiled: bool = True) -> list[Path]:
    """Return a file itself, or every file of a folder, in a fixed order.

    Args:
        path: the file or folder.
        compiled: whether what Python compiled (`__pycache__`) counts; only for those who never use it may it not.

    Raises:
        InvalidParameterError: a symbolic link leads out of the folder, or to a folder.
    """
    if path.is_file():
        return [path]
    root = path.resolve()
    found: list[Path] = []
    for entry in sorted(path.rglob("*")):
        if entry.is_symlink() and entry.is_dir():
            raise InvalidParameterError(f"'{entry.name}' in the model's folder is a link to a folder")
        if not compiled and "__pycache__" in entry.relative_to(path).parts:
            continue
        if not entry.resolve().is_relative_to(root):
            raise InvalidParameterError(f"'{entry.name}' in the model's folder links to a file outside of it")
        if not entry.is_dir():
            found.append(entry)
    return found
