"""Signed addresses of single files in S3, for those who exchange them with the store themselves."""

import json

from slipstream import settings
from slipstream.artifact_store.object_uris import s3_configuration
from slipstream.artifact_store.objects import ObjectArtifactStore
from slipstream.artifact_store.paths import clean_path
from slipstream.artifact_store.s3_uploads import s3_requests
from slipstream.errors import NotFoundError, NotImplementedByServerError

_HEADERS = {
    "ServerSideEncryption": "x-amz-server-side-encryption",
    "SSEKMSKeyId": "x-amz-server-side-encryption-aws-kms-key-id",
    "BucketKeyEnabled": "x-amz-server-side-encryption-bucket-key-enabled",
}
"""How S3 calls what `MLFLOW_S3_UPLOAD_EXTRA_ARGS` names."""


def sign_upload(
    store: ObjectArtifactStore, path: str, seconds: int, content_type: str
) -> tuple[str, dict[str, str]]:
    """Return the address that a file may be put to, and the headers that must be sent with it.

    Raises:
        NotImplementedByServerError: the store is not S3, or its credentials cannot sign.
        InvalidParameterError: nothing may be written under this path.
    """
    headers = {"Content-Type": content_type, **_headers_of_uploads()}
    try:
        requests = s3_requests(store)
    except NotImplementedByServerError as error:
        raise NotImplementedByServerError(
            "Presigned upload is not supported for the current artifact repository: addresses are signed for S3 alone, "
            "with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY of the server's environment."
        ) from error
    return requests.sign("PUT", store.require_writable(path), {}, seconds, headers), headers


def sign_download(
    store: ObjectArtifactStore, path: str, seconds: int, disposition: str
) -> tuple[str, int | None]:
    """Return the address that a file can be read at, and its size.

    Args:
        store: where.
        path: the file.
        seconds: how long the address is good for.
        disposition: what S3 is to tell browsers to do with it; other stores cannot be told.

    Raises:
        NotFoundError: there is no such file.
    """
    try:
        requests = s3_requests(store)
    except NotImplementedByServerError:  # obstore finds other credentials, and signs for other stores
        return store.sign_download(path, seconds)
    info = store.stat(path)
    if info is None or info.is_dir:
        raise NotFoundError(f"No artifact '{path}' exists here.")
    query = {"response-content-disposition": disposition}
    return requests.sign("GET", store.key(clean_path(path)), query, seconds), info.file_size


def _headers_of_uploads() -> dict[str, str]:
    s3_configuration()  # which refuses arguments that cannot be passed on
    args: dict[str, object] = json.loads(settings.S3_UPLOAD_EXTRA_ARGS.get() or "{}")
    return {
        _HEADERS[name]: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in args.items()
    }
