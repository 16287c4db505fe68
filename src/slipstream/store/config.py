"""What a store has to be told."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from slipstream.artifact_store.base import Signer
from slipstream.entities import FileInfo
from slipstream.errors import NotImplementedByServerError
from slipstream.store.beats import Beats

if TYPE_CHECKING:
    from slipstream.artifact_store.places import ArtifactPlaces
    from slipstream.store.run_index.index import RunIndex


class StoreConfig(msgspec.Struct, frozen=True, kw_only=True):
    artifact_root: str
    """Where experiments keep their artifacts unless created with a place of their own: a URI or an absolute
    path; an experiment's location is `<artifact_root>/<experiment_id>`."""
    list_files: Callable[[str, str | None], list[FileInfo]] | None = None
    """(artifact URI, path below it) -> the files there; given by a server, which alone may look."""

    signed_uploads: bool = False
    """Whether clients may put parts of files straight into the object store, by addresses that the server signs."""
    signed_downloads: bool = False
    signer: Signer | None = None
    """Given by a server, which has the credentials."""

    run_index: "RunIndex | None" = None
    """Answers searches of runs from memory; given by a server, which searches often enough for it to pay."""

    beats: Beats | None = None
    """Where signs of life of runs are gathered; given by a server, which writes them down."""

    places: "Callable[[], ArtifactPlaces] | None" = None
    """Where the files of runs and logged models may be deleted when these are removed for ever."""
    trash_retention_ms: int | None = None
    """How long a server keeps what was deleted; `None` keeps it until somebody removes it."""

    def files_below(self, root_uri: str, path: str | None) -> list[FileInfo]:
        """List the files directly below a path of an artifact URI, where a server allows it."""
        if self.list_files is None:
            raise NotImplementedByServerError(
                "This store does not list files; open the artifact store instead."
            )
        return self.list_files(root_uri, path)

    def location(self, *parts: str) -> str:
        """Return the artifact root extended by path segments."""
        root = self.artifact_root.rstrip("/")
        return "/".join((root, *parts))
