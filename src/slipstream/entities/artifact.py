"""Files of a run or a model."""

from slipstream.entities.listed import Listed


class FileInfo(Listed, frozen=True):
    """One entry of an artifact listing; folders have no size."""

    path: str
    is_dir: bool
    file_size: int | None = None
    """Bytes."""
