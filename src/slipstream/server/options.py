"""How a server is started, as one value that can be handed to its worker processes."""

import msgspec

from slipstream.db.uri import artifact_folder


class ServerOptions(msgspec.Struct, frozen=True, kw_only=True):
    backend_store_uri: str = "sqlite:///slipstream.db"
    artifacts_destination: str | None = None
    """Folder behind `mlflow-artifacts:/`; beside the SQLite file, or in the working folder, when not given."""
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

    @property
    def artifact_root(self) -> str:
        if self.default_artifact_root:
            return self.default_artifact_root
        return "mlflow-artifacts:/" if self.serve_artifacts else self.destination

    @property
    def destination(self) -> str:
        return self.artifacts_destination or str(artifact_folder(self.backend_store_uri))
