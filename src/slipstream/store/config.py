"""What a store has to be told."""

from collections.abc import Callable

import msgspec

from slipstream.entities import FileInfo


class StoreConfig(msgspec.Struct, frozen=True, kw_only=True):
    artifact_root: str
    """Where experiments keep their artifacts unless created with a place of their own: a URI or an absolute
    path; an experiment's location is `<artifact_root>/<experiment_id>`."""
    list_files: Callable[[str, str | None], list[FileInfo]] | None = None
    """(artifact URI, path below it) -> the files there; given by a server, which alone may look."""

    def location(self, *parts: str) -> str:
        """Return the artifact root extended by path segments."""
        root = self.artifact_root.rstrip("/")
        return "/".join((root, *parts))
