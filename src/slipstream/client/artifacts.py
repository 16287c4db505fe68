"""Files of runs and models: list, download, read. Behind the public module `slipstream.artifacts`."""

import atexit
import json
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from slipstream.artifact_store.paths import clean_path
from slipstream.artifact_store.proxy import is_http, split_http_root
from slipstream.client import addresses
from slipstream.client.connect import Connection, connect
from slipstream.client.model_uris import find_version, is_model_uri, parse_model_uri
from slipstream.client.paging import collect, paged
from slipstream.client.scratch import make_scratch_folder
from slipstream.client.transfer import PIECE_BYTES, download, exists, join
from slipstream.client.values import require_text
from slipstream.entities import FileInfo, LoggedModel
from slipstream.errors import BadRequestError, InvalidParameterError, MissingDependencyError, NotFoundError

if TYPE_CHECKING:
    from slipstream.store.base import Store

RUNS_SCHEME = "runs:"
_DEEPEST_REFERENCE = 8
_MODELS_PAGE = 50


@dataclass(frozen=True)
class Location:
    """Where an artifact is stored: a path below the root of an artifact store."""

    root: str
    """A storage URI."""
    path: str
    name: str | None
    """What a download of it is called; `None` for the root of a run or a model, which is only its content."""


# -- addresses --------------------------------------------------------------------------------------


def resolve_uri(uri: str, *, tracking_uri: str | None = None) -> str:
    """Turn `runs:` and `models:` URIs into the storage URI that they mean now; return others as they are.

    `runs:/<run id>/<path>` means the run's file or folder; where it has none, the logged model of that name
    which the run made. For the forms of `models:` see `client.model_uris`.

    Raises:
        NotFoundError: the run, model or version does not exist.
        InvalidParameterError: the URI has not the form of its scheme.
    """
    if not _is_reference(uri):
        return uri
    location = locate(uri, tracking_uri=tracking_uri)
    return join_uri(location.root, location.path)


def locate(uri: str, *, tracking_uri: str | None = None) -> Location:
    """Find where the artifact of any URI is stored; raises what `resolve_uri` raises."""
    connection = connect(tracking_uri)
    registry = connect(tracking_uri or addresses.get_registry_uri()).store
    name: str | None = None
    for depth in range(_DEEPEST_REFERENCE):
        if uri.startswith(RUNS_SCHEME):
            location = _locate_in_run(connection, uri)
        elif is_model_uri(uri):
            target = _locate_in_model(connection.store, registry, uri)
            if _is_reference(target.root):  # a version may be made from a run or another version
                name = target.name if depth == 0 else name
                uri = join_uri(target.root, target.path)
                continue
            location = target
        else:
            location = _locate_in_storage(uri)
        return location if depth == 0 else Location(location.root, location.path, name)
    raise InvalidParameterError(f"URI '{uri}' refers to itself.")


def parse_run_uri(uri: str) -> tuple[str, str]:
    """Split `runs:/<run id>/<path>`; the path may be empty."""
    rest = uri.removeprefix(RUNS_SCHEME)
    run_id, _, path = rest.removeprefix("/").partition("/")
    if not rest.startswith("/") or not run_id:
        raise InvalidParameterError(f"Run URI '{uri}' has not the form runs:/<run id>/<path>.")
    return require_text(run_id, "run_id"), path.strip("/")


def find_model_of_run(store: "Store", run_id: str, name: str) -> LoggedModel | None:
    """Return the model that a run logged under a name; of several that of the highest step, or newest."""
    run = store.get_run(run_id)
    if "'" in name:  # no model can have such a name, and a filter cannot spell it
        return None
    models = collect(
        lambda size, token: paged(
            store.search_logged_models([run.info.experiment_id], f"name = '{name}'", (), size, (), token)
        ),
        _MODELS_PAGE,
        None,
    )
    step = {output.model_id: output.step for output in run.outputs.model_outputs}
    made = [model for model in models if model.source_run_id == run_id or model.model_id in step]
    if not made:  # a copy names the models of the run that it was copied from, wherever they are
        made = [model for model_id in step if (model := _find_named(store, model_id, name)) is not None]
    return max(made, key=lambda m: (step.get(m.model_id, -1), m.creation_timestamp), default=None)


def _find_named(store: "Store", model_id: str, name: str) -> LoggedModel | None:
    try:
        model = store.get_logged_model(model_id)
    except NotFoundError:  # it was deleted
        return None
    return model if model.name == name else None


def join_uri(root: str, path: str) -> str:
    """Append an artifact path to a storage URI, before its query if it has one."""
    if not path:
        return root
    if is_http(root):  # an address, in which odd characters are percent-encoded
        return f"{root.rstrip('/')}/{quote(path)}"
    base, mark, query = root.partition("?") if "://" in root else (root, "", "")
    return f"{base.rstrip('/')}/{path}{mark}{query}"


def _is_reference(uri: str) -> bool:
    return uri.startswith(RUNS_SCHEME) or is_model_uri(uri)


def _locate_in_run(connection: Connection, uri: str) -> Location:
    run_id, path = parse_run_uri(uri)
    root = connection.store.get_run(run_id).info.artifact_uri
    if not path:
        return Location(root, "", None)
    path = clean_path(path)
    name = None if uri.endswith("/") else _last(path)
    if connection.artifacts(root).stat(path) is None:
        model_name, _, below = path.partition("/")
        if (model := find_model_of_run(connection.store, run_id, model_name)) is not None:
            return Location(model.artifact_location, below, name)
    return Location(root, path, name)


def _locate_in_model(store: "Store", registry: "Store", uri: str) -> Location:
    parts = parse_model_uri(uri)
    path = clean_path(parts.path) if parts.path else ""
    name = _last(path) if path else None
    if parts.model_id is not None:
        return Location(store.get_logged_model(parts.model_id).artifact_location, path, name)
    version = find_version(registry, parts)
    return Location(registry.get_model_version_download_uri(version.name, version.version), path, name)


def _locate_in_storage(uri: str) -> Location:
    base, mark, query = uri.partition("?") if "://" in uri else (uri, "", "")
    folder, slash, name = base.rpartition("/")
    if is_http(uri):
        if not split_http_root(uri)[1] or not name:  # the server's own root, or written as a folder
            return Location(uri, "", None)
        return Location(folder, unquote(name), unquote(name))
    # Without a folder above it (or with a host only), or written as a folder, it is itself the root.
    if not slash or not name or not folder or folder.endswith((":", "/")):
        return Location(uri, "", None)
    return Location(folder + mark + query, name, name)


def _last(path: str) -> str:
    return path.rpartition("/")[2]


# -- download and list ------------------------------------------------------------------------------


def download_artifacts(
    artifact_uri: str | None = None,
    run_id: str | None = None,
    artifact_path: str | None = None,
    dst_path: str | os.PathLike[str] | None = None,
    tracking_uri: str | None = None,
    registry_uri: str | None = None,  # MLflow's signature; one registry is known here
) -> str:
    """Return a local path that holds an artifact: a file, or a folder with all below it.

    With `dst_path` it is copied there, under its own name; of a run's or model's root the content is.
    Without, files that are on this machine are returned where they are (do not change them);
    others go into a private temporary folder that is removed when this process ends.

    Raises:
        InvalidParameterError: not exactly one of `artifact_uri` and `run_id` is given.
        NotFoundError: there is no such artifact.
    """
    location = locate(_one_uri(artifact_uri, run_id, artifact_path), tracking_uri=tracking_uri)
    store = connect(tracking_uri).artifacts(location.root)
    if dst_path is None:
        if (local := store.local_path(location.path)) is not None:
            return str(_existing(local))
        dst_path = make_scratch_folder("", download_folder())
    folder = _absolute(dst_path)
    target = folder if location.name is None else folder / location.name
    download(store, location.path, target)
    return str(target)


def _absolute(path: str | os.PathLike[str]) -> Path:
    try:
        return Path(path).absolute()
    except OSError as error:
        raise InvalidParameterError(
            f"'dst_path' '{path}' cannot be made absolute: {error}. Was the working folder deleted? Give an absolute path."
        ) from error


def find_local(
    artifact_uri: str | None = None, run_id: str | None = None, artifact_path: str | None = None
) -> Path | None:
    """Return where an artifact is on this machine without a download, `None` if it needs one.

    Raises:
        NotFoundError: it would be on this machine, but is not there.
    """
    location = locate(_one_uri(artifact_uri, run_id, artifact_path))
    local = connect().artifacts(location.root).local_path(location.path)
    return None if local is None else _existing(local)


def _existing(local: Path) -> Path:
    if not exists(local):
        raise NotFoundError(f"There is no artifact at '{local}'. Check the path.")
    return local


def list_artifacts(
    artifact_uri: str | None = None,
    run_id: str | None = None,
    artifact_path: str | None = None,
    tracking_uri: str | None = None,
) -> list[FileInfo]:
    """List a folder, not what is in its folders. A file, or nothing, has an empty list.

    Paths are relative to the run if `run_id` is given, else to what contains the folder at `artifact_uri`.
    """
    location = locate(_one_uri(artifact_uri, run_id, artifact_path), tracking_uri=tracking_uri)
    store = connect(tracking_uri).artifacts(location.root)
    prefix = (artifact_path or "").strip("/") if run_id is not None else location.name or ""
    above = location.path + "/" if location.path else ""
    return [
        FileInfo(join(prefix, info.path.removeprefix(above)), info.is_dir, info.file_size)
        for info in store.list(location.path)
    ]


def _one_uri(artifact_uri: str | None, run_id: str | None, artifact_path: str | None) -> str:
    if (artifact_uri is None) == (run_id is None):
        raise InvalidParameterError("Exactly one of 'run_id' and 'artifact_uri' must be given.")
    if artifact_uri is not None:
        if artifact_path is not None:
            raise InvalidParameterError(
                "'artifact_path' goes with 'run_id'; leave it out with 'artifact_uri'."
            )
        return str(artifact_uri)
    path = (artifact_path or "").strip("/")
    return f"runs:/{run_id}/{path}" if path else f"runs:/{run_id}"


# -- read -------------------------------------------------------------------------------------------


def load_text(artifact_uri: str) -> str:
    """Return a UTF-8 file's text.

    Raises:
        BadRequestError: it is not UTF-8.
    """
    try:
        return _read(artifact_uri).decode("utf-8")
    except UnicodeDecodeError as error:
        raise BadRequestError(
            f"Artifact '{artifact_uri}' is not UTF-8 text ({error}). Use download_artifacts and open the file "
            "with its encoding."
        ) from error


def load_dict(artifact_uri: str) -> Any:
    """Return what a JSON file holds.

    Raises:
        BadRequestError: it is not JSON.
    """
    try:
        return json.loads(load_text(artifact_uri))
    except ValueError as error:
        raise BadRequestError(f"Artifact '{artifact_uri}' is not JSON: {error}.") from error


def load_image(artifact_uri: str) -> Any:
    """Return a picture as a `PIL.Image.Image`.

    Raises:
        MissingDependencyError: Pillow is not installed.
        BadRequestError: Pillow cannot read it.
    """
    import io

    try:
        from PIL import Image, UnidentifiedImageError
    except ImportError as error:
        raise MissingDependencyError("Images need Pillow: pip install pillow.") from error
    try:
        image = Image.open(io.BytesIO(_read(artifact_uri)))
        image.load()
    except (UnidentifiedImageError, OSError) as error:
        raise BadRequestError(f"Artifact '{artifact_uri}' is no image: {error}") from error
    return image


def _read(artifact_uri: str) -> bytes:
    location = locate(artifact_uri)
    store = connect().artifacts(location.root)
    info = store.stat(location.path)
    if info is None or info.is_dir:
        raise NotFoundError(f"There is no file at '{artifact_uri}'.")
    with store.open(location.path) as file:
        return b"".join(iter(lambda: file.read(PIECE_BYTES), b""))


# -- the folder of downloads ------------------------------------------------------------------------

_folder: tuple[int, str] | None = None
_folder_lock = threading.Lock()


def download_folder() -> str:
    """Return the folder, open to this user only, that keeps this process's downloads."""
    global _folder
    with _folder_lock:
        if _folder is None or _folder[0] != os.getpid():  # a forked child has its own
            _folder = (os.getpid(), make_scratch_folder("slipstream-"))
        return _folder[1]


@atexit.register
def _remove_downloads() -> None:
    if _folder is not None and _folder[0] == os.getpid():
        import shutil

        shutil.rmtree(_folder[1], ignore_errors=True)
