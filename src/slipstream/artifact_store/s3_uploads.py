"""Uploads in parts into S3: MLflow's, for which clients put the parts there themselves, and those that can be resumed."""

import hashlib
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from tempfile import TemporaryFile
from typing import Any

from slipstream.artifact_store.local import explained
from slipstream.artifact_store.local_uploads import damaged
from slipstream.artifact_store.object_uris import parse_place
from slipstream.artifact_store.objects import SMALLEST_PART, ObjectArtifactStore
from slipstream.artifact_store.s3_requests import S3Requests
from slipstream.artifact_store.uploads import Begun, Part, require_checksum, require_plan
from slipstream.errors import ConflictError, InvalidParameterError, NotFoundError, NotImplementedByServerError

_AT_ONCE = 4
_ID = re.compile(r"[A-Za-z0-9._~+/=-]{1,1024}")
OLD_UPLOAD_SECONDS = 7 * 24 * 60 * 60
"""How long after its beginning an upload in parts counts as abandoned."""


def begin_upload(store: ObjectArtifactStore, path: str, count: int) -> dict[str, Any]:
    """Begin an upload; return its id and one signed address a part.

    Raises:
        NotImplementedByServerError: the store is not S3, or its credentials cannot sign; clients then upload through
            the server.
        InvalidParameterError: nothing may be written under this path.
    """
    requests = s3_requests(store)
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
    s3_requests(store).complete(store.require_writable(path), upload_id, parts)


def abort_upload(store: ObjectArtifactStore, path: str, upload_id: str) -> None:
    """Throw away what has arrived."""
    s3_requests(store).abort(store.require_writable(path), upload_id)


def remove_abandoned_uploads(
    store: ObjectArtifactStore, older_than_seconds: float, *, dry_run: bool = False
) -> int:
    """Abort (or only count) uploads below the store's root that began longer ago, and return how many."""
    requests = s3_requests(store)
    before = datetime.now(UTC) - timedelta(seconds=older_than_seconds)
    prefix = store.key("")
    old = [each for each in requests.uploads(f"{prefix}/" if prefix else "") if each.begun < before]
    for each in () if dry_run else old:
        requests.abort(each.key, each.upload_id)
    return len(old)


class S3Uploads:
    """Uploads that can be resumed: S3 keeps their parts, and tells which there are.

    Where the bucket encrypts with keys of a key service, S3 does not tell the MD5 of parts; then all are sent again.
    """

    def __init__(self, store: ObjectArtifactStore) -> None:
        self._store = store
        self._requests = s3_requests(store)

    def begin(self, path: str, size: int, part_bytes: int) -> Begun:
        if require_plan(size, part_bytes) > 1 and part_bytes < SMALLEST_PART:
            raise InvalidParameterError(
                f"'part_bytes' is {part_bytes}; object stores take parts of at least {SMALLEST_PART} bytes."
            )
        key = self._store.require_writable(path)
        return Begun(self._requests.begin(key), bound=True, at_once=_AT_ONCE)

    def parts(self, path: str, upload_id: str) -> list[Part]:
        key = self._key(path, upload_id)
        return [
            Part(each.number, each.size, each.etag.strip('"'))
            for each in self._requests.parts(key, upload_id)
        ]

    def send(self, path: str, upload_id: str, number: int, content: bytes, checksum: str) -> None:
        key = self._key(path, upload_id)
        self._requests.put_part(key, upload_id, number, content, require_checksum(checksum))

    def receive(self, path: str, upload_id: str, number: int, checksum: str) -> "SpooledPart":
        """Begin to take a part that comes piece by piece."""
        key = self._key(path, upload_id)
        return SpooledPart(self._requests, key, upload_id, number, require_checksum(checksum))

    def complete(self, path: str, upload_id: str, size: int, checksums: Sequence[str]) -> None:
        key = self._key(path, upload_id)
        listed = {each.number: each for each in self._requests.parts(key, upload_id)}
        wanted = [listed[number] for number in range(1, len(checksums) + 1) if number in listed]
        if len(wanted) != len(checksums) or sum(each.size for each in wanted) != size:
            raise ConflictError(f"Parts of '{path}' are missing, or of another size. Send them again.")
        self._requests.complete(key, upload_id, [(each.number, each.etag) for each in wanted])

    def abort(self, path: str, upload_id: str) -> None:
        self._requests.abort(self._key(path, upload_id), upload_id)

    def sign(self, path: str, upload_id: str, number: int) -> str:
        """Return the address to which everybody who has it can put a part."""
        return self._requests.sign_part(self._key(path, upload_id), upload_id, number)

    def _key(self, path: str, upload_id: str) -> str:
        if not _ID.fullmatch(upload_id) or ".." in upload_id:
            raise NotFoundError("There is no such upload. Begin a new one.")
        return self._store.require_writable(path)


class SpooledPart:
    """A part on its way through this machine. It is on the disk meanwhile: parts of many clients would fill the memory."""

    def __init__(self, requests: S3Requests, key: str, upload_id: str, number: int, checksum: str) -> None:
        self._requests = requests
        self._target = (key, upload_id, number)
        self._checksum = checksum
        self._digest = hashlib.md5(usedforsecurity=False)
        self._file = TemporaryFile()  # noqa: SIM115  # closed by `close`

    def write(self, data: bytes, /) -> None:
        self._digest.update(data)
        with explained(self._target[0]):
            self._file.write(data)

    def commit(self) -> None:
        if self._digest.hexdigest() != self._checksum:
            raise damaged(self._target[2])
        with explained(self._target[0]):
            self._file.flush()
        self._requests.put_part(*self._target, self._file, self._checksum)

    def close(self) -> None:
        self._file.close()


def s3_requests(store: ObjectArtifactStore) -> S3Requests:
    place = parse_place(store.where)
    if place.scheme != "s3":
        raise NotImplementedByServerError(
            "Multipart upload is not supported for the current artifact repository: only S3's is. "
            "Use PUT of mlflow-artifacts/artifacts/<path>."
        )
    return S3Requests.from_environment(place.bucket)
