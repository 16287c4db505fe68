"""Signed addresses of files of runs and logged models that are straight in an object store."""

from slipstream.artifact_store.object_uris import parse_place
from slipstream.artifact_store.objects import ObjectArtifactStore
from slipstream.artifact_store.s3_addresses import sign_download, sign_upload
from slipstream.errors import NotImplementedByServerError
from slipstream.server.context import ServerContext
from slipstream.server.file_headers import content_type, disposition


class RootSigner:
    """Signs for files below a server's artifact roots, and for no others."""

    def __init__(self, context: ServerContext) -> None:
        self._context = context

    @property
    def signs_uploads(self) -> bool:
        """Some artifacts may be straight in S3."""
        return any(parse_place(store.where).scheme == "s3" for store in self._context.object_stores())

    def upload(self, root_uri: str, path: str, seconds: int) -> tuple[str, dict[str, str]]:
        """Return an address to put a file to, and the headers to send."""
        return sign_upload(self._open(root_uri, "upload"), path, seconds, content_type(path))

    def download(self, root_uri: str, path: str, seconds: int) -> tuple[str, int | None]:
        """Return an address to get a file from, and its size."""
        return sign_download(self._open(root_uri, "download"), path, seconds, disposition(path))

    def _open(self, root_uri: str, what: str) -> ObjectArtifactStore:
        store = self._context.open(root_uri)
        if not isinstance(store, ObjectArtifactStore):
            raise NotImplementedByServerError(
                f"Presigned {what} is not supported for the current artifact repository: '{root_uri[:200]}' is no object "
                "store."
            )
        return store
