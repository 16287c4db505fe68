"""Files that clients upload while their server is away: kept beside the spool, and sent with what was logged."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

from slipstream.artifact_store.local import LocalArtifactStore
from slipstream.client.spool.shipper import Shipper
from slipstream.entities.record import FilesRecord, encode_record
from slipstream.errors import StorageError, UnavailableError

_GATHERED = 1 << 20


async def keep_file(shipper: Shipper, record: FilesRecord, path: str, pieces: AsyncIterator[bytes]) -> None:
    """Write an upload down, and a record of it.

    Args:
        shipper: who sends it.
        record: what it is of; its folder is filled in here.
        path: its path below the place that the record names; clean.
        pieces: the content.

    Raises:
        UnavailableError: the disk does not take it.
    """
    try:
        folder = await asyncio.to_thread(shipper.new_stage)
    except OSError as error:
        raise _no_room(shipper, error) from error
    try:
        await _write(folder, path, pieces)
    except StorageError as error:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        raise _no_room(shipper, error) from error
    except BaseException:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
        raise
    shipper.append(encode_record(FilesRecord(record.run_id, folder.name, record.place)))


async def _write(folder: Path, path: str, pieces: AsyncIterator[bytes]) -> None:
    writer = await asyncio.to_thread(LocalArtifactStore(folder).create, path)
    try:
        gathered: list[bytes] = []
        size = 0
        async for piece in pieces:
            gathered.append(piece)
            size += len(piece)
            if size >= _GATHERED:
                await asyncio.to_thread(writer.write, b"".join(gathered))
                gathered, size = [], 0
        await asyncio.to_thread(writer.write, b"".join(gathered))
        await asyncio.to_thread(writer.commit)
    finally:
        writer.close()


def _no_room(shipper: Shipper, error: Exception) -> UnavailableError:
    return UnavailableError(
        f"{shipper.server} is away, and the file cannot be kept here until it is back: {error}. Make room on the relay's disk."
    )
