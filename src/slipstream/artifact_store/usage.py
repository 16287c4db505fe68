"""How much is in a folder of an artifact store, and when something in it changed last."""

import os
from typing import NamedTuple

from slipstream.artifact_store.base import ArtifactStore
from slipstream.artifact_store.local import LocalArtifactStore
from slipstream.artifact_store.objects import ObjectArtifactStore


class Usage(NamedTuple):
    files: int
    size: int
    """In bytes."""
    last_change_ms: int | None
    """0 for an empty or missing folder; `None` where the store does not tell times."""


def measure(store: ArtifactStore, path: str) -> Usage:
    """Count the files below a folder, unfinished uploads among them; reads as many listings as the store needs."""
    if isinstance(store, LocalArtifactStore):
        return _measure_folder(store, path)
    if isinstance(store, ObjectArtifactStore):
        return _measure_objects(store, path)
    return _measure_by_listing(store, path)


def _measure_folder(store: LocalArtifactStore, path: str) -> Usage:
    files = size = latest = 0
    for folder, _, names in os.walk(store.local_path(path)):
        # A folder's own time tells of files that were put into it or renamed there.
        for place in (folder, *(f"{folder}/{name}" for name in names)):
            try:
                status = os.lstat(place)
            except FileNotFoundError:  # deleted meanwhile
                continue
            latest = max(latest, status.st_mtime_ns // 1_000_000)
            if place is not folder:
                files += 1
                size += status.st_size
    return Usage(files, size, latest)


def _measure_objects(store: ObjectArtifactStore, path: str) -> Usage:
    files = size = latest = 0
    for found in store.walk(path):
        files += 1
        size += found.size
        latest = max(latest, found.last_change_ms)
    return Usage(files, size, latest)


def _measure_by_listing(store: ArtifactStore, path: str) -> Usage:
    files = size = 0
    folders = [path]
    while folders:
        for info in store.list(folders.pop()):
            if info.is_dir:
                folders.append(info.path)
            else:
                files += 1
                size += info.file_size or 0
    return Usage(files, size, None)
