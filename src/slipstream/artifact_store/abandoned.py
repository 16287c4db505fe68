"""Unfinished files that killed processes left behind."""

import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

from slipstream.artifact_store.local import PARTIAL, SMALL_PARTIAL, is_being_written

OLD_SECONDS = 24 * 60 * 60
"""How long nothing was written to an unfinished file before it counts as left behind."""

_logger = logging.getLogger(__name__)


def remove_abandoned(root: Path, older_than_seconds: float = OLD_SECONDS, *, dry_run: bool = False) -> int:
    """Delete (or only count) unfinished files below a folder that nobody goes on with, and return how many.

    Those of a running upload stay, however slow it is: its process holds a lock on them. Those of small files
    are not asked for age or lock: whose file goes before it has its name writes it again. What cannot be looked at or
    deleted is logged and left.
    """
    before = time.time() - older_than_seconds
    removed = 0
    for file in _unfinished(root):
        try:
            if file.name.startswith(SMALL_PARTIAL) or (
                file.lstat().st_mtime < before and not is_being_written(file)
            ):
                if not dry_run:
                    file.unlink()
                removed += 1
        except FileNotFoundError:  # finished, or another server was faster
            continue
        except OSError as error:
            _logger.warning("The unfinished file %s cannot be deleted: %s", file, error.strerror or error)
    return removed


def _unfinished(root: Path) -> Iterator[Path]:
    for folder, _, names in os.walk(root, onerror=_tell):
        for name in names:
            if name.startswith(PARTIAL):
                yield Path(folder) / name


def _tell(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        _logger.warning("Unfinished files in %s cannot be looked for: %s", error.filename, error.strerror)
