"""The routes that list artifacts. Bytes go another way: `server/artifacts.py`."""

from typing import Protocol

from slipstream.api.routing import Permission, Request, Response, route
from slipstream.api.runs import RunIdentified
from slipstream.entities import FileInfo
from slipstream.errors import InvalidParameterError
from slipstream.store.base import Store


class FileInfoMessage(Response, kw_only=True):
    path: str
    is_dir: bool
    file_size: int | None = None


class ListArtifacts(RunIdentified, kw_only=True):
    path: str | None = None
    page_token: str | None = None


class ListArtifactsResponse(Response, kw_only=True):
    root_uri: str
    files: list[FileInfoMessage] = []


class Listing(Protocol):
    """What lists the files below an artifact URI; the server installs one that stays inside its roots."""

    def __call__(self, root_uri: str, path: str | None) -> list[FileInfo]: ...


class ArtifactAwareStore(Store, Protocol):
    """A store that a server has told how to list files."""

    list_files: Listing


@route("GET", "artifacts/list", permission=Permission.READ, lists_files=lambda _: True)
def list_artifacts(store: ArtifactAwareStore, req: ListArtifacts) -> ListArtifactsResponse:
    """List the files directly below a path of a run's artifacts."""
    root = store.get_run(req.run).info.artifact_uri
    return listing(store, root, req.path)


def listing(store: ArtifactAwareStore, root: str, path: str | None) -> ListArtifactsResponse:
    """Return the answer for one folder below `root`."""
    files = [] if path == "" else store.list_files(root, path)
    return ListArtifactsResponse(
        root_uri=root,
        files=[FileInfoMessage(path=f.path, is_dir=f.is_dir, file_size=f.file_size) for f in files],
    )


class ListModelArtifacts(Request, kw_only=True):
    model_id: str
    artifact_directory_path: str | None = None


@route(
    "GET",
    "logged-models/{model_id}/artifacts/directories",
    permission=Permission.READ,
    lists_files=lambda _: True,
)
def list_model_artifacts(store: ArtifactAwareStore, req: ListModelArtifacts) -> ListArtifactsResponse:
    """List the files directly below a path of a logged model's artifacts."""
    root = store.get_logged_model(req.model_id).artifact_location
    return listing(store, root, req.artifact_directory_path)


class PresignedUpload(Request, kw_only=True):
    path: str
    run_id: str | None = None
    model_id: str | None = None


class PresignedDownload(Request, kw_only=True):
    run_id: str
    path: str


class PresignedResponse(Response, kw_only=True):
    presigned_url: str


@route("POST", "artifacts/presigned-upload-url", permission=Permission.WRITE, writes=False)
def presigned_upload_url(store: Store, req: PresignedUpload) -> PresignedResponse:
    """Refuse: artifacts are proxied, so there is nothing to sign."""
    if bool(req.run_id) == bool(req.model_id):
        raise InvalidParameterError("Give exactly one of 'run_id' and 'model_id'.")
    raise InvalidParameterError(
        "Presigned upload URLs exist only for artifacts kept in cloud storage; upload through the proxy instead."
    )


@route("POST", "artifacts/presigned-download-url", permission=Permission.READ)
def presigned_download_url(store: Store, req: PresignedDownload) -> PresignedResponse:
    """Refuse: artifacts are proxied, so there is nothing to sign."""
    raise InvalidParameterError(
        "Presigned download URLs exist only for artifacts kept in cloud storage; download through the proxy."
    )
