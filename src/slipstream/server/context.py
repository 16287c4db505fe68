"""What a server process has at hand: its database, its artifact roots, and the rule for what it may open."""

from pathlib import Path
from urllib.parse import urlsplit

from slipstream.artifact_store.base import ArtifactStore
from slipstream.artifact_store.local import LocalArtifactStore
from slipstream.artifact_store.paths import clean_path
from slipstream.artifact_store.uri import is_local, local_folder
from slipstream.db.base import Database
from slipstream.db.uri import open_database
from slipstream.entities import FileInfo
from slipstream.errors import InvalidParameterError
from slipstream.server.options import ServerOptions
from slipstream.store.engine import Engine


class ServerContext:
    """Everything but HTTP. `engine` is set when the server opens."""

    engine: Engine

    def __init__(self, options: ServerOptions) -> None:
        self.options = options
        if not is_local(options.destination):
            raise InvalidParameterError(
                f"--artifacts-destination '{options.destination}' is not a folder; "
                "only folders of this machine are supported so far."
            )
        self._folder = local_folder(options.destination).absolute()
        self.destination: ArtifactStore | None = (
            LocalArtifactStore(self._folder) if options.serve_artifacts or options.artifacts_only else None
        )
        self._roots = [self._folder]
        root = options.artifact_root
        if is_local(root):
            self._roots.append(local_folder(root).absolute())

    def database(self) -> Database:
        return open_database(self.options.backend_store_uri, self.options.durability)

    def open(self, uri: str) -> ArtifactStore:
        """Open the store of a URI that the database holds, if it is the server's to read.

        Raises:
            InvalidParameterError: the URI points outside the server's artifact roots. The server never follows a
                client's URI elsewhere, be it a folder or a host.
        """
        parts = urlsplit(uri)
        if parts.scheme == "mlflow-artifacts":
            return LocalArtifactStore(self._folder / clean_path(parts.path.lstrip("/")), within=self._folder)
        if is_local(uri):
            folder = local_folder(uri)
            for root in self._roots:
                if folder.is_absolute() and folder.is_relative_to(root) and ".." not in folder.parts:
                    return LocalArtifactStore(folder, within=root)
        raise InvalidParameterError(
            f"The artifacts at '{uri[:200]}' are not below this server's artifact root, so it does not open them. "
            "Use a client that can reach that place itself."
        )

    def folders(self) -> list[Path]:
        """Return the folders of this machine that artifacts are in."""
        return list(dict.fromkeys(self._roots))

    def list_files(self, root_uri: str, path: str | None) -> list[FileInfo]:
        """List what is directly below `path`; nothing for a missing folder or for a file."""
        clean = clean_path(path or "")
        return self.open(root_uri).list(clean)

    def run_root(self, run_id: str) -> str:
        return self.engine.read(lambda store: store.get_run(run_id).info.artifact_uri)

    def model_root(self, model_id: str) -> str:
        return self.engine.read(lambda store: store.get_logged_model(model_id).artifact_location)

    def version_root(self, name: str, version: str) -> str:
        return self.engine.read(lambda store: store.get_model_version_download_uri(name, version))

    def facts(self) -> dict[str, str]:
        """Say where everything is, for people."""
        durability = "every answered write survives a power cut"
        if self.options.durability != "full":
            durability = "an answered write survives a crash of the server, not a power cut"
        return {
            "data": self.database().describe(),
            "artifacts": str(self._folder) if self.destination is not None else "not served",
            "durability": durability,
        }
