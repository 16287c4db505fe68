"""MLflow's uploads in parts: the server begins and ends them, and clients put the parts straight into the object store."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from slipstream.artifact_store.object_uris import parse_place
from slipstream.artifact_store.objects import ObjectArtifactStore
from slipstream.artifact_store.s3_requests import S3Requests
from slipstream.errors import NotImplementedByServerError

MOST_PARTS = 10_000
"""S3's limit."""
OLD_UPLOAD_SECONDS = 7 * 24 * 60 * 60
"""How long after its beginning an upload in parts counts as abandoned."""


def begin_upload(store: ObjectArtifactStore, path: str, count: int) -> dict[str, Any]:
    """Begin an upload; return its id and one signed address a part.

    Raises:
        NotImplementedByServerError: the store is not S3, or its credentials cannot sign; clients then upload through
            the server.
        InvalidParameterError: nothing may be written under this path.
    """
    requests = _requests(store)
    key = store.require_writable(path)
    upload_id = requests.begin(key)
    return {
        "upload_id": upload_id,
        "credentials": [
            {"url": requests.sign_part(key, upload_id, number), "part_number": number, "headers": {}}
            for number in range(1, count + 1)
        ],
    }


def complete_upload(
    store: ObjectArtifactStore, path: str, upload_id: str, parts: Sequence[tuple[int, str]]
) -> None:
    """Put the parts together; only now the file is there."""
    _requests(store).complete(store.require_writable(path), upload_id, parts)


def abort_upload(store: ObjectArtifactStore, path: str, upload_id: str) -> None:
    """Throw away what has arrived."""
    _requests(store).abort(store.require_writable(path), upload_id)


def remove_abandoned_uploads(
    store: ObjectArtifactStore, older_than_seconds: float, *, dry_run: bool = False
) -> int:
    """Abort (or only count) uploads below the store's root that began longer ago, and return how many."""
    requests = _requests(store)
    before = datetime.now(UTC) - timedelta(seconds=older_than_seconds)
    prefix = store.key("")
    old = [each for each in requests.uploads(f"{prefix}/" if prefix else "") if each.begun < before]
    for each in () if dry_run else old:
        requests.abort(each.key, each.upload_id)
    return len(old)


def _requests(store: ObjectArtifactStore) -> S3Requests:
    place = parse_place(store.where)
    if place.scheme != "s3":
        raise NotImplementedByServerError(
            "Multipart upload is not supported for the current artifact repository: only S3's is. "
            "Use PUT of mlflow-artifacts/artifacts/<path>."
        )
    return S3Requests.from_environment(place.bucket)
