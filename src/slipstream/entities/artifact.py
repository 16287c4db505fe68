"""Files of a run or a model."""

import msgspec


class FileInfo(msgspec.Struct, frozen=True):
    """One entry of an artifact listing; folders have no size."""

    path: str
    is_dir: bool
    file_size: int | None = None
    """Bytes."""
