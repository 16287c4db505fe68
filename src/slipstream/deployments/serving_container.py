"""The container that serves a model on Kubernetes: `slipstream models serve`, without rights that it does not need.

The Kubernetes and the KServe target put the same container into different objects.
"""

from typing import Any
from urllib.parse import urlsplit

from slipstream.client import addresses
from slipstream.deployments.names import (
    require_image,
    require_object_name,
    require_quantity,
    require_variable,
)
from slipstream.deployments.options import Option
from slipstream.errors import InvalidParameterError

PORT = 5000
USER_ID = 1000
TOKEN_KEY = "token"  # noqa: S105  # the name of a Secret's key
DRAIN_SECONDS = 5
GRACE_SECONDS = 60
"""Between SIGTERM and SIGKILL; the server lets running predictions finish for 30."""
_PROBE_SECONDS = 5

OPTIONS = (
    Option("image", "text", "Image with slipstream and the model's libraries; must be given."),
    Option(
        "token_secret",
        "text",
        f"Secret whose key '{TOKEN_KEY}' is what clients must send. This or auth=none must be given.",
    ),
    Option("auth", "text", "'none': everybody who reaches the service may use the model."),
    Option(
        "tracking_uri",
        "text",
        "Where the container finds models:/ and runs:/ (default: the current address, if http).",
    ),
    Option("env", "object", 'More environment variables, such as {"OMP_NUM_THREADS": "2"}.'),
    Option("env_secrets", "names", "Secrets whose keys become environment variables, such as credentials."),
    Option("cpu", "text", "Processors that are reserved (default 500m)."),
    Option("cpu_limit", "text", "Most processors (default: no limit)."),
    Option("memory", "text", "Memory that is reserved (default 1Gi)."),
    Option("memory_limit", "text", "Most memory (default: as reserved)."),
    Option("gpus", "integer", "GPUs (nvidia.com/gpu).", least=1),
    Option("workers", "integer", "Processes in each container (default 1).", least=1),
    Option("port", "integer", f"Port of the container (default {PORT}).", least=1024),
    Option("allowed_hosts", "names", "Names that the server is reached by, beside those in the cluster."),
    Option("startup_seconds", "integer", "Seconds that loading may take (default 600).", least=1),
    Option("trust", "boolean", "Take the model even if it brings code or pickles of unknown origin."),
    Option("service_account", "text", "Service account of the pods."),
    Option("image_pull_secret", "text", "Secret to pull the image with."),
)


def container(
    name: str, model_uri: str, settings: dict[str, Any], *, hosts: list[str], probes_liveness: bool = True
) -> dict[str, Any]:
    """Return the container of a model as Kubernetes describes one.

    Args:
        name: the container's.
        model_uri: what it serves; paths are paths inside the container.
        settings: checked values of `OPTIONS`.
        hosts: names that the service has in the cluster.
        probes_liveness: whether the engine can be told to wait for a slow start, and so may restart a server that
            does not answer.

    Raises:
        InvalidParameterError: something that must be given is not, or has a form that Kubernetes refuses.
    """
    if "image" not in settings:
        raise InvalidParameterError(
            "The setting 'image' must be given: -C image=REGISTRY/NAME:TAG, an image with slipstream and the model's "
            "libraries. docs/how-to/deploy-a-model.md shows how to make one."
        )
    port: int = settings.get("port", PORT)
    built: dict[str, Any] = {
        "name": name,
        "image": require_image(settings["image"], "image"),
        "command": ["slipstream", "models", "serve"],
        "args": [_literal(argument) for argument in _arguments(model_uri, settings, hosts, port)],
        "ports": [{"name": "http1", "containerPort": port, "protocol": "TCP"}],
        "env": _environment(model_uri, settings),
        "resources": _resources(settings),
        "readinessProbe": _probe("/ping", port),
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER_ID,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        # The one place that can be written to: downloads of models, and what Python makes.
        "volumeMounts": [{"name": "scratch", "mountPath": "/tmp"}],  # noqa: S108  # inside the container, its own
    }
    if "env_secrets" in settings:
        built["envFrom"] = [
            {"secretRef": {"name": require_object_name(secret, "env_secrets")}}
            for secret in settings["env_secrets"]
        ]
    if probes_liveness:
        starting = settings.get("startup_seconds", 600)
        attempts = max(1, -(-starting // _PROBE_SECONDS))
        built["startupProbe"] = _probe("/ping", port) | {"failureThreshold": attempts}
        built["livenessProbe"] = _probe("/health", port) | {"failureThreshold": 6}
    return built


def pod_parts(settings: dict[str, Any]) -> dict[str, Any]:
    """Return what stands beside the container in a pod."""
    parts: dict[str, Any] = {
        "automountServiceAccountToken": False,
        "volumes": [{"name": "scratch", "emptyDir": {}}],
    }
    if "service_account" in settings:
        parts["serviceAccountName"] = require_object_name(settings["service_account"], "service_account")
    if "image_pull_secret" in settings:
        name = require_object_name(settings["image_pull_secret"], "image_pull_secret")
        parts["imagePullSecrets"] = [{"name": name}]
    return parts


def _arguments(model_uri: str, settings: dict[str, Any], hosts: list[str], port: int) -> list[str]:
    auth = settings.get("auth")
    if auth not in (None, "none"):
        raise InvalidParameterError(
            f"The setting 'auth' can only be 'none', got '{auth}'; for a token give token_secret=NAME."
        )
    if (auth is None) == ("token_secret" not in settings):
        raise InvalidParameterError(
            "Say how clients authenticate, in one way: -C token_secret=NAME (a Secret with the key 'token': kubectl create "
            "secret generic NAME --from-literal=token=...), or -C auth=none."
        )
    allowed = [*hosts, *settings.get("allowed_hosts", [])]
    arguments = [
        # With `=`, so that no value is taken for an option.
        f"--model-uri={model_uri}",
        "--host=0.0.0.0",
        f"--port={port}",
        f"--auth={'none' if auth == 'none' else 'token'}",
        f"--allowed-hosts={','.join(allowed)}",
        f"--workers={settings.get('workers', 1)}",
    ]
    return [*arguments, "--trust"] if settings.get("trust") else arguments


def _literal(argument: str) -> str:
    # Kubernetes puts variables into arguments where `$(NAME)` stands; `$$` is how a `$` is written.
    return argument.replace("$", "$$")


def _environment(model_uri: str, settings: dict[str, Any]) -> list[dict[str, Any]]:
    variables: dict[str, str] = {"HOME": "/tmp", "SLIPSTREAM_HOME": "/tmp/slipstream"}  # noqa: S108  # as above
    tracking = settings.get("tracking_uri") or _current_tracking_uri()
    if tracking is not None:
        variables["SLIPSTREAM_TRACKING_URI"] = _without_password(tracking)
    elif model_uri.startswith(("models:", "runs:")):
        raise InvalidParameterError(
            f"The container needs a tracking server to find '{model_uri}': give -C tracking_uri=http://..., an address "
            "that it can reach. A database on this machine is none."
        )
    for name, value in settings.get("env", {}).items():
        variables[require_variable(name, "env")] = str(value)
    entries: list[dict[str, Any]] = [
        {"name": name, "value": value.replace("$", "$$")} for name, value in variables.items()
    ]
    if "token_secret" in settings:
        secret = require_object_name(settings["token_secret"], "token_secret")
        reference = {"secretKeyRef": {"name": secret, "key": TOKEN_KEY}}
        entries.append({"name": "SLIPSTREAM_SERVER_TOKEN", "valueFrom": reference})
    return entries


def _current_tracking_uri() -> str | None:
    uri = addresses.get_tracking_uri()
    return uri if uri.startswith(("http://", "https://")) else None


def _without_password(uri: str) -> str:
    parts = urlsplit(uri)
    if parts.username is not None or parts.password is not None:
        raise InvalidParameterError(
            "The tracking address holds a user name or password, which would stand in the manifest. Put them into a Secret "
            "with the keys SLIPSTREAM_TRACKING_USERNAME and SLIPSTREAM_TRACKING_PASSWORD, name it with -C env_secrets=NAME, "
            "and give -C tracking_uri= without them."
        )
    return uri


def _resources(settings: dict[str, Any]) -> dict[str, Any]:
    memory = require_quantity(settings.get("memory", "1Gi"), "memory")
    requests = {"cpu": require_quantity(settings.get("cpu", "500m"), "cpu"), "memory": memory}
    limits: dict[str, str] = {
        "memory": require_quantity(settings.get("memory_limit", memory), "memory_limit")
    }
    if "cpu_limit" in settings:
        limits["cpu"] = require_quantity(settings["cpu_limit"], "cpu_limit")
    if "gpus" in settings:
        limits["nvidia.com/gpu"] = str(settings["gpus"])
    return {"requests": requests, "limits": limits}


def _probe(path: str, port: int) -> dict[str, Any]:
    return {
        "httpGet": {"path": path, "port": port},
        "periodSeconds": _PROBE_SECONDS,
        "timeoutSeconds": _PROBE_SECONDS,
    }


def require_model_uri(model_uri: str) -> str:
    """Return a model's URI that means something inside a container.

    Raises:
        InvalidParameterError: it is a relative path, or not one line.
    """
    if not model_uri.strip() or any(ord(letter) < ord(" ") for letter in model_uri):
        raise InvalidParameterError(f"model_uri must be one line of text, got {model_uri!r}")
    if not urlsplit(model_uri).scheme and not model_uri.startswith("/"):
        raise InvalidParameterError(
            f"model_uri '{model_uri}' is a relative path, which means nothing in a container. Give the path in the image, "
            "such as /models/churn, or models:/NAME@ALIAS."
        )
    return model_uri
