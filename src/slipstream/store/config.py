"""What a store has to be told."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from slipstream.entities import FileInfo

if TYPE_CHECKING:
    from slipstream.artifact_store.places import ArtifactPlaces
    from slipstream.store.run_index.index import RunIndex


class StoreConfig(msgspec.Struct, frozen=True, kw_only=True):
    artifact_root: str
    """Where experiments keep their artifacts unless created with a place of their own: a URI or an absolute
    path; an experiment's location is `<artifact_root>/<experiment_id>`."""
    list_files: Callable[[str, str | None], list[FileInfo]] | None = None
    """(artifact URI, path below it) -> the files there; given by a server, which alone may look."""

    run_index: "RunIndex | None" = None
    """Answers searches of runs from memory; given by a server, which searches often enough for it to pay."""

    places: "Callable[[], ArtifactPlaces] | None" = None
    """Where the files of runs and logged models may be deleted when these are removed for ever."""
    trash_retention_ms: int | None = None
    """How long a server keeps what was deleted; `None` keeps it until somebody removes it."""

    def location(self, *parts: str) -> str:
        """Return the artifact root extended by path segments."""
        root = self.artifact_root.rstrip("/")
        return "/".join((root, *parts))
