"""How a server is started, as one value that can be handed to its worker processes."""

import msgspec

from slipstream.artifact_store.uri import is_local, local_folder
from slipstream.db.uri import artifact_folder
from slipstream.httpd.logs import LogFormat


class ServerOptions(msgspec.Struct, frozen=True, kw_only=True):
    backend_store_uri: str = "sqlite:///slipstream.db"
    artifacts_destination: str | None = None
    """Folder or object store behind `mlflow-artifacts:/`; beside the SQLite file, or in the working folder, when not given."""
    default_artifact_root: str | None = None
    """Where new experiments keep artifacts; `mlflow-artifacts:/` when artifacts are served, else the destination."""
    serve_artifacts: bool = True
    artifacts_only: bool = False
    host: str = "127.0.0.1"
    port: int = 5000
    workers: int = 1
    static_prefix: str = ""
    allowed_hosts: tuple[str, ...] = ()
    cors_allowed_origins: tuple[str, ...] = ()
    security: bool = True
    """Host and origin checks."""
    x_frame_options: str = "SAMEORIGIN"
    durability: str = "full"
    token: str | None = None
    trash_retention_ms: int | None = None
    """How long what was deleted is kept; until somebody removes it when not given."""
    serving_urls: tuple[str, ...] = ()
    """Scoring servers that pages may ask, each NAME=URL."""
    log_format: LogFormat = "text"

    @property
    def artifact_root(self) -> str:
        if not self.default_artifact_root:
            return "mlflow-artifacts:/" if self.serve_artifacts else _absolute(self.destination)
        return _absolute(self.default_artifact_root)

    @property
    def destination(self) -> str:
        return self.artifacts_destination or str(artifact_folder(self.backend_store_uri))


def _absolute(uri: str) -> str:
    """Return a folder so that it is the same one for clients, which work in other folders; other URIs as they are."""
    if not is_local(uri) or local_folder(uri).is_absolute():
        return uri
    return str(local_folder(uri).absolute())
