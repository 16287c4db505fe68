"""Folders of this machine that the SDK writes to: temporary ones, and what the system says when it cannot."""

import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from slipstream.artifact_store.local import REFUSALS
from slipstream.errors import StorageError


def make_scratch_folder(prefix: str, parent: str | None = None) -> str:
    """Make a temporary folder, open to this user only, that the caller removes.

    Raises:
        StorageError: there is no place for one.
    """
    try:
        return tempfile.mkdtemp(prefix=prefix, dir=parent)
    except OSError as error:
        raise StorageError(
            f"No temporary folder can be made: {_reason(error)}. Free some space, or set TMPDIR to a folder that this "
            "user may write to."
        ) from error


@contextmanager
def scratch_folder(prefix: str) -> Generator[Path]:
    """Make a temporary folder for a block and remove it afterwards, with what is in it."""
    folder = Path(make_scratch_folder(prefix))
    try:
        with writing_to(folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def writing_to(folder: Path) -> Generator[None]:
    """Turn it into an error of ours when the disk is full, read-only, or not this user's, and let other errors pass."""
    try:
        yield
    except OSError as error:
        if error.errno not in REFUSALS:
            raise
        raise StorageError(
            f"Writing to '{folder}' failed: {_reason(error)}. Free some space, change the rights, or choose another folder."
        ) from error


def _reason(error: OSError) -> str:
    what = error.strerror or str(error)
    return f"{error.filename}: {what}" if error.filename else what
