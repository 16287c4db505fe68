"""The routes that list artifacts. Bytes go another way: `server/artifacts.py`."""

from typing import Protocol

from slipstream import settings
from slipstream.api.routing import Permission, Request, Response, route
from slipstream.api.runs import RunIdentified
from slipstream.artifact_store.base import Signer
from slipstream.artifact_store.paths import clean_path
from slipstream.entities import FileInfo
from slipstream.errors import InvalidParameterError
from slipstream.store.base import Store
from slipstream.wire.parsing import Int64


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


class SignedPlace(Protocol):
    """What a server has told its store of signing."""

    signer: Signer | None


class SigningEngine(Protocol):
    @property
    def config(self) -> SignedPlace: ...


class SigningStore(Store, Protocol):
    """A store, in no transaction, that a server has told how to sign addresses."""

    @property
    def engine(self) -> SigningEngine: ...


class PresignedUpload(Request, kw_only=True):
    path: str
    run_id: str | None = None
    model_id: str | None = None
    expiration: Int64 | None = None


class PresignedUploadResponse(Response, kw_only=True):
    presigned_url: str
    headers: dict[str, str] = {}


@route("POST", "artifacts/presigned-upload-url", permission=Permission.WRITE, aside=True)
def presigned_upload_url(store: SigningStore, req: PresignedUpload) -> PresignedUploadResponse:
    """Sign an address that a file of a run or logged model straight in S3 can be put to."""
    if bool(req.run_id) == bool(req.model_id):
        raise InvalidParameterError("Exactly one of run_id and model_id must be provided.")
    path = clean_path(req.path)
    seconds = _seconds(_UPLOAD_SECONDS if req.expiration is None else req.expiration)
    if req.run_id:
        root = store.get_run(req.run_id).info.artifact_uri
    else:
        root = store.get_logged_model(req.model_id or "").artifact_location
    url, headers = _signer(store, root, "upload").upload(root, path, seconds)
    return PresignedUploadResponse(presigned_url=url, headers=headers)


class PresignedDownload(Request, kw_only=True):
    run_id: str
    path: str
    expiration: Int64 | None = None


class PresignedDownloadResponse(Response, kw_only=True):
    presigned_url: str
    headers: dict[str, str] = {}
    file_size: int | None = None


@route("POST", "artifacts/presigned-download-url", permission=Permission.READ, aside=True)
def presigned_download_url(store: SigningStore, req: PresignedDownload) -> PresignedDownloadResponse:
    """Sign an address that a file of a run straight in an object store can be read at."""
    path = clean_path(req.path)
    given = settings.PRESIGNED_DOWNLOAD_URL_TTL_SECONDS.get() if req.expiration is None else req.expiration
    seconds = _seconds(given)
    root = store.get_run(req.run_id).info.artifact_uri
    url, size = _signer(store, root, "download").download(root, path, seconds)
    return PresignedDownloadResponse(presigned_url=url, file_size=size)


_UPLOAD_SECONDS = 900
_LONGEST_SECONDS = 604_800
"""What object stores allow."""


def _seconds(expiration: int) -> int:
    if not 1 <= expiration <= _LONGEST_SECONDS:
        raise InvalidParameterError(
            f"expiration must be between 1 and {_LONGEST_SECONDS} seconds (got {expiration})."
        )
    return expiration


def _signer(store: SigningStore, root: str, what: str) -> Signer:
    scheme = root.partition(":")[0]
    signer = store.engine.config.signer
    if signer is None or scheme in ("http", "https", "mlflow-artifacts"):
        raise InvalidParameterError(
            f"Presigned {what} is not supported for proxied artifact storage (artifact URI scheme: {scheme}); {what} "
            "through the server, or keep the artifacts straight in S3 (--default-artifact-root s3://bucket/path)."
        )
    return signer
