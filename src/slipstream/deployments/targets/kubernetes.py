"""Deploy to plain Kubernetes: a Deployment, a Service, and an autoscaler if it is asked for."""

from typing import Any, ClassVar

from slipstream.deployments import manifest_client, serving_container
from slipstream.deployments.base import Config
from slipstream.deployments.manifests import annotations
from slipstream.deployments.options import Option, describe
from slipstream.deployments.serving_container import DRAIN_SECONDS, GRACE_SECONDS, container, pod_parts
from slipstream.errors import InvalidParameterError

TARGET = "kubernetes"
_SERVICE_TYPES = ("ClusterIP", "LoadBalancer", "NodePort")

OPTIONS = (
    *serving_container.OPTIONS,
    Option("replicas", "integer", "Pods (default 1).", least=0),
    Option("max_replicas", "integer", "Most pods: makes a HorizontalPodAutoscaler.", least=1),
    Option("min_replicas", "integer", "Fewest pods of the autoscaler (default 1).", least=1),
    Option(
        "target_cpu",
        "integer",
        "Percent of the reserved processors that it aims at (default 70).",
        least=1,
    ),
    Option("service_type", "text", f"One of {', '.join(_SERVICE_TYPES)} (default ClusterIP)."),
    *manifest_client.OPTIONS,
)


def target_help() -> str:
    return f"""Kubernetes: a Deployment and a Service that run 'slipstream models serve', written as one YAML file.

Target URIs:
  kubernetes              manifests in ./deployments
  kubernetes:FOLDER       manifests in another folder, such as kubernetes:/srv/manifests

'create' writes FOLDER/NAME.yaml and touches no cluster; with -C apply=true kubectl applies it. The pods run as a user
without rights on a file system that is read-only but for /tmp. The Service answers at http://NAME/invocations.

Settings (-C name=value):
{describe(OPTIONS)}
"""


def run_local(name: str, model_uri: str, flavor: str | None = None, config: Config | None = None) -> None:
    """Run the server that a pod would run, until Ctrl-C."""
    manifest_client.serve_here(TARGET, OPTIONS, model_uri, config)


class KubernetesClient(manifest_client.ManifestClient):
    """Manages manifests for plain Kubernetes; see `target_help` for the settings."""

    target: ClassVar[str] = TARGET
    options: ClassVar[tuple[Option, ...]] = OPTIONS

    def build(self, name: str, model_uri: str, settings: dict[str, Any]) -> list[dict[str, Any]]:
        metadata = _metadata(name, settings)
        chosen = {"app.kubernetes.io/instance": name, "app.kubernetes.io/name": "slipstream"}
        port = settings.get("port", serving_container.PORT)
        server = container("model", model_uri, settings, hosts=_hosts(name, settings))
        # An endpoint is taken out of the Service only a moment after the pod was told to end.
        server["lifecycle"] = {"preStop": {"sleep": {"seconds": DRAIN_SECONDS}}}
        pod = {
            "terminationGracePeriodSeconds": GRACE_SECONDS,
            "containers": [server],
            **pod_parts(settings),
        }
        deployment: dict[str, Any] = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata | {"annotations": annotations(TARGET, model_uri, settings)},
            "spec": {
                "selector": {"matchLabels": chosen},
                # A new pod answers before an old one ends.
                "strategy": {
                    "type": "RollingUpdate",
                    "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1},
                },
                "template": {"metadata": {"labels": dict(chosen)}, "spec": pod},
            },
        }
        service = {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": _metadata(name, settings),
            "spec": {
                "type": _service_type(settings),
                "selector": dict(chosen),
                "ports": [{"name": "http", "port": 80, "targetPort": port, "protocol": "TCP"}],
            },
        }
        if "max_replicas" not in settings:
            deployment["spec"]["replicas"] = settings.get("replicas", 1)
            return [deployment, service]
        # Without `replicas`: to apply the manifest again must not undo what the autoscaler chose.
        return [deployment, service, _autoscaler(name, settings)]

    def waiting(self, name: str, seconds: int) -> list[str]:
        return ["rollout", "status", f"deployment/{name}", f"--timeout={seconds}s"]


def _metadata(name: str, settings: dict[str, Any]) -> dict[str, Any]:
    metadata: dict[str, Any] = {"name": name}
    if "namespace" in settings:
        metadata["namespace"] = settings["namespace"]
    metadata["labels"] = {
        "app.kubernetes.io/instance": name,
        "app.kubernetes.io/name": "slipstream",
        "app.kubernetes.io/managed-by": "slipstream",
    }
    return metadata


def _hosts(name: str, settings: dict[str, Any]) -> list[str]:
    """Return the names of the Service; which namespace it comes to is not known unless it was given."""
    space = settings.get("namespace", "*")
    return [
        name,
        "localhost",
        *(f"{name}.{space}{ending}" for ending in ("", ".svc", ".svc.cluster.local")),
    ]


def _service_type(settings: dict[str, Any]) -> str:
    chosen = settings.get("service_type", "ClusterIP")
    if chosen not in _SERVICE_TYPES:
        raise InvalidParameterError(
            f"The setting 'service_type' must be one of {', '.join(_SERVICE_TYPES)}, got '{chosen}'."
        )
    return chosen


def _autoscaler(name: str, settings: dict[str, Any]) -> dict[str, Any]:
    least, most = settings.get("min_replicas", 1), settings["max_replicas"]
    if least > most:
        raise InvalidParameterError(f"min_replicas ({least}) must be at most max_replicas ({most}).")
    target = {"type": "Utilization", "averageUtilization": settings.get("target_cpu", 70)}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": _metadata(name, settings),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicas": least,
            "maxReplicas": most,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
        },
    }
