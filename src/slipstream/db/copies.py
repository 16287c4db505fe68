"""What copies of a database are called, and whether there is room for one."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

from slipstream.errors import StorageError

SPARE_BYTES = 16 * 2**20
"""What a copy leaves free on its disk."""


def copy_name(name: str, schema_number: int, time_ms: int) -> str:
    """Return the name of the copy that is kept before a migration, such as s.db.schema-0002.20260131T235959Z.backup."""
    moment = datetime.fromtimestamp(time_ms / 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
    return f"{name}.schema-{schema_number:04}.{moment}.backup"


def find_copies(path: Path) -> list[Path]:
    """Return the copies that were kept of a database file, oldest schema first."""
    return sorted(path.parent.glob(f"{path.name}.schema-*.backup"))


def check_room(folder: Path, needed: int) -> None:
    """Refuse a folder whose disk has no room for so many bytes.

    Raises:
        StorageError: says how much is missing.
    """
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise StorageError(f"A copy cannot be written to {folder}: {error.strerror or error}.") from error
    if free < needed + SPARE_BYTES:
        raise StorageError(
            f"{folder} has no room for a copy of the database: {needed / 2**20:.0f} MiB are needed and "
            f"{free / 2**20:.0f} MiB are free. Make room there."
        )
