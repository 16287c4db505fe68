"""Deploy to KServe: an InferenceService (v1beta1) whose container is our server."""

from typing import Any, ClassVar

from slipstream.deployments import manifest_client, serving_container
from slipstream.deployments.base import Config
from slipstream.deployments.manifests import annotations
from slipstream.deployments.names import require_dns_label
from slipstream.deployments.options import Option, describe
from slipstream.deployments.serving_container import container, pod_parts
from slipstream.errors import InvalidParameterError

TARGET = "kserve"
CONTAINER = "kserve-container"
"""The name by which KServe knows the container that predicts."""
_PREDICTOR = "-predictor"
"""What KServe appends to the name of a service's predictor."""
_MODE = "serving.kserve.io/deploymentMode"
_MODES = ("Knative", "Standard", "Serverless", "RawDeployment")
_KNATIVE = ("Knative", "Serverless")
_METRICS = ("concurrency", "rps", "cpu", "memory")

OPTIONS = (
    *serving_container.OPTIONS,
    Option(
        "min_replicas", "integer", "Fewest pods (default 1); 0 lets the service sleep on Knative.", least=0
    ),
    Option("max_replicas", "integer", "Most pods (default: KServe's).", least=1),
    Option("scale_metric", "text", f"What is measured: one of {', '.join(_METRICS)} (default: KServe's)."),
    Option("scale_target", "integer", "How much of it a pod should have.", least=1),
    Option("container_concurrency", "integer", "Requests that one pod takes at once (Knative).", least=1),
    Option(
        "deployment_mode",
        "text",
        "Knative or Standard (before KServe 0.16: Serverless, RawDeployment); default: the cluster's.",
    ),
    *manifest_client.OPTIONS,
)


def target_help() -> str:
    return f"""KServe: an InferenceService (serving.kserve.io/v1beta1) that runs 'slipstream models serve', as one YAML file.

Target URIs:
  kserve                  manifests in ./deployments
  kserve:FOLDER           manifests in another folder, such as kserve:/srv/manifests

'create' writes FOLDER/NAME.yaml and touches no cluster; with -C apply=true kubectl applies it. Names that the service
gets from the cluster's domain must be allowed: -C allowed_hosts='*.example.com'.

Settings (-C name=value):
{describe(OPTIONS)}
"""


def run_local(name: str, model_uri: str, flavor: str | None = None, config: Config | None = None) -> None:
    """Run the server that a pod would run, until Ctrl-C."""
    manifest_client.serve_here(TARGET, OPTIONS, model_uri, config)


class KServeClient(manifest_client.ManifestClient):
    """Manages manifests for KServe; see `target_help` for the settings."""

    target: ClassVar[str] = TARGET
    options: ClassVar[tuple[Option, ...]] = OPTIONS

    def build(self, name: str, model_uri: str, settings: dict[str, Any]) -> list[dict[str, Any]]:
        require_dns_label(f"{name}{_PREDICTOR}", f"name with KServe's '{_PREDICTOR}' behind it")
        mode = _one_of("deployment_mode", settings, _MODES)
        noted = annotations(TARGET, model_uri, settings)
        if mode is not None:
            noted[_MODE] = mode
        metadata: dict[str, Any] = {"name": name}
        if "namespace" in settings:
            metadata["namespace"] = settings["namespace"]
        metadata["labels"] = {"app.kubernetes.io/managed-by": "slipstream"}
        metadata["annotations"] = noted
        # Knative has no startup probe to hold the liveness probe back while a large model is loaded.
        patient = mode is not None and mode not in _KNATIVE
        server = container(
            CONTAINER, model_uri, settings, hosts=_hosts(name, settings), probes_liveness=patient
        )
        predictor: dict[str, Any] = {"minReplicas": settings.get("min_replicas", 1), "containers": [server]}
        if "max_replicas" in settings:
            predictor["maxReplicas"] = settings["max_replicas"]
            if predictor["minReplicas"] > predictor["maxReplicas"]:
                raise InvalidParameterError(
                    f"min_replicas ({predictor['minReplicas']}) must be at most max_replicas ({predictor['maxReplicas']})."
                )
        metric = _one_of("scale_metric", settings, _METRICS)
        if metric is not None:
            predictor["scaleMetric"] = metric
        if "scale_target" in settings:
            predictor["scaleTarget"] = settings["scale_target"]
        if "container_concurrency" in settings:
            predictor["containerConcurrency"] = settings["container_concurrency"]
        predictor |= pod_parts(settings)
        return [
            {
                "apiVersion": "serving.kserve.io/v1beta1",
                "kind": "InferenceService",
                "metadata": metadata,
                "spec": {"predictor": predictor},
            }
        ]

    def waiting(self, name: str, seconds: int) -> list[str]:
        return ["wait", f"inferenceservice/{name}", "--for=condition=Ready", f"--timeout={seconds}s"]


def _hosts(name: str, settings: dict[str, Any]) -> list[str]:
    """Return the names that the service and its predictor have inside the cluster."""
    space = settings.get("namespace", "*")
    services = (name, f"{name}{_PREDICTOR}")
    endings = ("", f".{space}", f".{space}.svc", f".{space}.svc.cluster.local")
    return ["localhost", *(f"{service}{ending}" for service in services for ending in endings)]


def _one_of(setting: str, settings: dict[str, Any], allowed: tuple[str, ...]) -> str | None:
    chosen = settings.get(setting)
    if chosen is not None and chosen not in allowed:
        raise InvalidParameterError(
            f"The setting '{setting}' must be one of {', '.join(allowed)}, got '{chosen}'."
        )
    return chosen
