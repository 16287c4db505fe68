"""What a server process has at hand: its database, its artifact roots, and the rule for what it may open."""

from pathlib import Path
from urllib.parse import urlsplit

from slipstream import settings
from slipstream.artifact_store.local import LocalArtifactStore
from slipstream.artifact_store.object_uris import is_object_store, open_object_store, parse_place
from slipstream.artifact_store.objects import ObjectArtifactStore
from slipstream.artifact_store.paths import clean_path
from slipstream.artifact_store.places import ArtifactPlaces
from slipstream.artifact_store.uri import is_local, local_folder
from slipstream.db.base import Database
from slipstream.db.uri import open_database
from slipstream.entities import FileInfo
from slipstream.errors import InvalidParameterError
from slipstream.server.options import ServerOptions
from slipstream.server.places import no_artifact_root
from slipstream.store.engine import Engine

ServedStore = LocalArtifactStore | ObjectArtifactStore


class ServerContext:
    """Everything but HTTP. `engine` is set when the server opens."""

    engine: Engine

    def __init__(self, options: ServerOptions) -> None:
        self.options = options
        syncs = options.durability == "full"
        self._root = _open_root(options.destination, syncs)
        self.destination: ServedStore | None = (
            self._root if options.serve_artifacts or options.artifacts_only else None
        )
        self._roots = [self._root]
        if options.artifact_root not in ("mlflow-artifacts:/", options.destination):
            root = options.artifact_root
            if is_local(root) or is_object_store(root):
                self._roots.append(_open_root(root, syncs))

    def database(self) -> Database:
        return open_database(self.options.backend_store_uri, self.options.durability)

    def open(self, uri: str) -> ServedStore:
        """Open the store of a URI that the database holds, if it is the server's to read.

        Raises:
            InvalidParameterError: the URI points outside the server's artifact roots. The server never follows a
                client's URI elsewhere, be it a folder or a host.
        """
        parts = urlsplit(uri)
        if parts.scheme == "mlflow-artifacts":
            return self._root.below(clean_path(parts.path.lstrip("/")))
        for root in self._roots:
            below = root.path_of(uri)
            if below is not None:
                return root.below(below)
        raise InvalidParameterError(
            f"The artifacts at '{uri[:200]}' are not below this server's artifact root, so it does not open them. "
            "Use a client that can reach that place itself."
        )

    def places(self) -> ArtifactPlaces:
        """Return where files may be deleted: below this server's roots."""
        return ArtifactPlaces(self._root, self._roots)

    def folders(self) -> list[Path]:
        """Return the folders of this machine that artifacts are in."""
        return list(dict.fromkeys(r.root for r in self._roots if isinstance(r, LocalArtifactStore)))

    def object_stores(self) -> list[ObjectArtifactStore]:
        """Return the object stores that artifacts are in."""
        return [root for root in self._roots if isinstance(root, ObjectArtifactStore)]

    def signs(self, scheme: str | None = None) -> bool:
        """Tell whether clients may exchange files with the object store directly, if it is of a scheme."""
        if not isinstance(self.destination, ObjectArtifactStore) or not settings.SIGNED_TRANSFERS.get():
            return False
        return scheme is None or parse_place(self.destination.where).scheme == scheme

    def list_files(self, root_uri: str, path: str | None) -> list[FileInfo]:
        """List what is directly below `path`; nothing for a missing folder or for a file."""
        clean = clean_path(path or "")
        return self.open(root_uri).list(clean)

    def run_root(self, run_id: str) -> str:
        return self.engine.read(lambda store: store.get_run(run_id).info.artifact_uri)

    def model_root(self, model_id: str) -> str:
        return self.engine.read(lambda store: store.get_logged_model(model_id).artifact_location)

    def open_version(self, name: str, version: str) -> ServedStore:
        """Open where a version's files are; of one that was made from `runs:/ID/PATH`, a folder of that run's files."""
        uri = self.engine.read(lambda store: store.get_model_version_download_uri(name, version))
        if not uri.startswith("runs:"):
            return self.open(uri)
        # few servers ever need it, and none at its start
        from slipstream.client.artifacts import parse_run_uri

        run_id, path = parse_run_uri(uri)
        return self.open(self.run_root(run_id)).below(path)

    def facts(self) -> dict[str, str]:
        """Say where everything is, for people."""
        durability = "every answered write survives a power cut"
        if self.options.durability != "full":
            durability = "an answered write survives a crash of the server, not a power cut"
        return {
            "data": self.database().describe(),
            "artifacts": self._root.where if self.destination is not None else "not served",
            "durability": durability,
        }


def _open_root(uri: str, syncs: bool) -> ServedStore:
    if is_local(uri):
        return LocalArtifactStore(local_folder(uri).absolute(), syncs=syncs)
    if is_object_store(uri):
        return open_object_store(uri)
    raise no_artifact_root("--artifacts-destination", uri)
