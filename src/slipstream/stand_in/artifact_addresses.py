"""What libraries call in `mlflow.tracking.artifact_utils`: fetch by any URI, and the address of a run's files."""

from slipstream.client.artifacts import download_artifacts, join_uri
from slipstream.client.client import SlipstreamClient


def _download_artifact_from_uri(
    artifact_uri: str, output_path: str | None = None, tracking_uri: str | None = None
) -> str:
    return download_artifacts(artifact_uri, dst_path=output_path, tracking_uri=tracking_uri)


def get_artifact_uri(run_id: str, artifact_path: str | None = None, tracking_uri: str | None = None) -> str:
    root = SlipstreamClient(tracking_uri).get_run(run_id).info.artifact_uri
    return join_uri(root, artifact_path or "")


__all__ = ["_download_artifact_from_uri", "get_artifact_uri"]
