"""Large files go up in parts, and only those that have not arrived yet: an interrupted upload is gone on with.

What makes it safe: each part that the store says it has is compared with the local file by its checksum, whatever was noted;
the store compares each part that arrives; and a file that changes while it is read is not stored.
"""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, NamedTuple

from slipstream import settings
from slipstream.artifact_store.base import ArtifactStore
from slipstream.artifact_store.objects import ObjectArtifactStore, part_bytes
from slipstream.artifact_store.proxy import ProxyArtifactStore
from slipstream.artifact_store.uploads import MOST_PARTS, Uploads, checksum_of
from slipstream.client.progress import Progress
from slipstream.client.upload_notes import Noted, UploadNotes, open_notes
from slipstream.errors import (
    ConflictError,
    NotFoundError,
    NotImplementedByServerError,
    SlipstreamError,
)

_TRIES = 2


class _File(NamedTuple):
    """A local file that is being uploaded."""

    name: Path
    opened: BinaryIO
    size: int
    part_bytes: int
    path: str
    """Where it goes to, as the store has it."""

    def part(self, number: int) -> bytes:
        begin = (number - 1) * self.part_bytes
        self.opened.seek(begin)
        content = self.opened.read(self.part_bytes)
        if len(content) != min(self.part_bytes, self.size - begin):
            raise self.changed()
        return content

    def changed(self) -> ConflictError:
        return ConflictError(f"'{self.name}' changed while it was uploaded to '{self.path}'. Log it again.")

    @property
    def part_count(self) -> int:
        return -(-self.size // self.part_bytes)


def takes_parts(store: ArtifactStore, size: int) -> bool:
    """Tell whether a file of this size is worth the try to upload it in parts to a store."""
    return (
        isinstance(store, ProxyArtifactStore | ObjectArtifactStore)
        and size >= settings.RESUMABLE_UPLOAD_MINIMUM_FILE_SIZE.get()
    )


def upload_in_parts(store: ArtifactStore, local: Path, path: str, progress: Progress) -> int | None:
    """Store a file, with what is there of an earlier try, and return its size; `None` where the store takes no parts.

    Raises:
        OSError: the file cannot be read.
        ConflictError: it changed meanwhile.
    """
    try:
        uploads, where, full_path = _open_uploads(store, path)
    except NotImplementedByServerError:
        return None
    with local.open("rb") as opened:
        before = os.fstat(opened.fileno())
        size = before.st_size
        part_size = max(part_bytes(), -(-size // MOST_PARTS))
        file = _File(local, opened, size, part_size, path)
        with open_notes(where, size, part_size, checksum_of(file.part(1))) as notes:
            for left in reversed(range(_TRIES)):
                try:
                    if not _upload(uploads, file, full_path, notes, before, progress):
                        return None
                except (ConflictError, NotFoundError):
                    # The upload was thrown away meanwhile, or is not what the notes say: begin again, once.
                    notes.remove()
                    if not left:
                        raise
                    continue
                return size
    raise AssertionError("the last try returns or raises")


def _open_uploads(store: ArtifactStore, path: str) -> tuple[Uploads, str, str]:
    if isinstance(store, ProxyArtifactStore):
        proxy = store.uploads()
        return proxy, proxy.where, proxy.full_path(path)
    from slipstream.artifact_store.s3_uploads import S3Uploads

    assert isinstance(store, ObjectArtifactStore)
    return S3Uploads(store), store.where, path


def _upload(
    uploads: Uploads,
    file: _File,
    full_path: str,
    notes: UploadNotes,
    before: os.stat_result,
    progress: Progress,
) -> bool:
    """Return whether the store takes uploads in parts."""
    noted = notes.read()
    there: dict[int, str] | None = None
    if noted is not None and noted.path in (None, full_path):
        with suppress(NotFoundError):
            there = {part.number: part.checksum for part in uploads.parts(file.path, noted.upload_id)}
    if noted is None or there is None:
        try:
            begun = uploads.begin(file.path, file.size, file.part_bytes)
        except NotImplementedByServerError:
            notes.remove()
            return False
        noted = Noted(begun.upload_id, begun.at_once, full_path if begun.bound else None)
        notes.write(noted)
        there = {}
    checksums = _send_missing(uploads, file, noted, there, progress)
    _require_unchanged(uploads, file, noted, notes, before)
    uploads.complete(file.path, noted.upload_id, file.size, checksums)
    notes.remove()
    return True


def _send_missing(
    uploads: Uploads, file: _File, noted: Noted, there: dict[int, str], progress: Progress
) -> Sequence[str]:
    """Send what has not arrived, and return the checksums of all parts."""
    checksums: list[str] = []

    def send(number: int, content: bytes, checksum: str) -> None:
        uploads.send(file.path, noted.upload_id, number, content, checksum)
        progress.add(len(content))

    def missing() -> Iterator[tuple[int, bytes, str]]:
        for number in range(1, file.part_count + 1):
            content = file.part(number)
            checksum = checksum_of(content)
            checksums.append(checksum)
            if there.get(number) == checksum:
                progress.add(len(content))
            else:
                yield number, content, checksum

    # The next part is read while those before are on their way, and no more are in memory than may be sent.
    with ThreadPoolExecutor(noted.at_once, thread_name_prefix="slipstream-upload") as pool:
        waiting: set[Future[None]] = set()
        for each in missing():
            if len(waiting) >= noted.at_once:
                done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in done:
                    future.result()
            waiting.add(pool.submit(send, *each))
        for future in waiting:
            future.result()
    return checksums


def _require_unchanged(
    uploads: Uploads, file: _File, noted: Noted, notes: UploadNotes, before: os.stat_result
) -> None:
    after = os.fstat(file.opened.fileno())
    if (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns):
        return
    notes.remove()
    with suppress(SlipstreamError):  # what is left of it is thrown away after a while
        uploads.abort(file.path, noted.upload_id)
    raise file.changed()
