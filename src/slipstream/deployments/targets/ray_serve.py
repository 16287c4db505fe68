"""Deploy to Ray Serve: one application a model, on the Ray cluster that runs here or at an address."""

import importlib
import logging
import os
import socket
import time
from typing import Any

from slipstream.client import addresses
from slipstream.client.connect import normalise
from slipstream.deployments.base import BaseDeploymentClient, Config
from slipstream.deployments.model_address import pinned
from slipstream.deployments.names import require_dns_label
from slipstream.deployments.options import Option, describe, read_options
from slipstream.deployments.predictions import PredictionsResponse
from slipstream.deployments.registry import target_suffix
from slipstream.deployments.scoring import ask, read_answer, request_body
from slipstream.deployments.targets.ray_replica import Plan, Replica, Scored, try_loading
from slipstream.errors import (
    AlreadyExistsError,
    ConnectionFailedError,
    ExecutionError,
    InvalidParameterError,
    MissingDependencyError,
    NotFoundError,
)

TARGET = "ray-serve"
FLAVOR = "python_function"
_DEPLOYMENT = "slipstream"
"""The name of the one Serve deployment in each application of ours."""
_POLL_SECONDS = 0.1
_FACTS_SECONDS = 60.0
_HTTP_HOST = "127.0.0.1"
_HTTP_PORT = 8000

OPTIONS = (
    Option("num_replicas", "integer", "Processes with the whole model each (default 1).", least=1),
    Option(
        "ray_actor_options",
        "object",
        'What Ray gives each replica, such as {"num_cpus": 2, "num_gpus": 1}.',
    ),
    Option(
        "max_ongoing_requests", "integer", "Requests that one replica takes at once (default 16).", least=1
    ),
    Option("route_prefix", "text", "Path of the application (default /NAME)."),
    Option("timeout", "number", "Seconds to wait until the deployment answers (default 600).", least=0),
    Option("trust", "boolean", "Take the model even if it brings code or pickles of unknown origin."),
    Option(
        "http_host",
        "text",
        "Where Serve listens, if this command is the first to use it (default 127.0.0.1).",
    ),
    Option(
        "http_port",
        "integer",
        "The port of it (default 8000; for run-local 0 takes any free one).",
        least=0,
    ),
)


def target_help() -> str:
    return f"""Ray Serve: each model becomes an application with replicas on a Ray cluster.

Target URIs:
  ray-serve               the cluster that runs on this machine (ray start --head)
  ray-serve:ADDRESS       the cluster at an address, such as ray-serve:10.0.0.5:6379

The application answers at http://HOST:8000/NAME/invocations with MLflow's scoring protocol, and at /NAME/ping. Serve
has no authentication: let nobody but your proxy reach it. The cluster's machines need slipstream[ray], the model's
libraries, and the tracking server's address must mean the same there.

An alias in the model's URI is resolved once; `update` deploys what it means then. A new version is first loaded in a
process of its own: one that cannot be loaded changes nothing. Then Serve replaces the replicas one after the other.
With one replica, requests wait meanwhile; with two or more, others answer them.

Settings (-C name=value):
{describe(OPTIONS)}
"""


def run_local(
    name: str, model_uri: str, flavor: str | None = None, config: Config | None = None
) -> dict[str, Any]:
    """Start Ray and Serve in the care of this process and deploy a model; both end with the process.

    Meanwhile `get_deploy_client("ray-serve")` of this process manages the deployment like any other.
    """
    given = dict(config or {})
    options = read_options(TARGET, OPTIONS, given)
    ray, _ = _import_ray()
    started = not ray.is_initialized()
    if started:
        _start_ray(ray)
    port = options.get("http_port", _HTTP_PORT) or _free_port()
    try:
        client = RayServeClient(TARGET)
        return client.create_deployment(name, model_uri, flavor, {**given, "http_port": port})
    except BaseException:  # also Ctrl-C: what was started for this goes with it
        if started:
            ray.shutdown()
        raise


class RayServeClient(BaseDeploymentClient):
    """Manages applications of Ray Serve; see `target_help` for the settings."""

    def __init__(self, target_uri: str) -> None:
        super().__init__(target_uri)
        self._address = target_suffix(target_uri).strip("/")

    def create_deployment(
        self,
        name: str,
        model_uri: str,
        flavor: str | None = None,
        config: Config | None = None,
        endpoint: str | None = None,
    ) -> dict[str, Any]:
        """Deploy a model and wait until it answers.

        Raises:
            AlreadyExistsError: there is an application of this name.
            ExecutionError: the model cannot be loaded there, or the deployment did not become healthy in time.
        """
        _require_plain(flavor, endpoint)
        require_dns_label(name, "name")
        options = read_options(TARGET, OPTIONS, config)
        ray, serve = self._connect()
        _start_serve(serve, options)
        if name in serve.status().applications:
            raise AlreadyExistsError(
                f"Ray Serve has an application '{name}' already. Update it, delete it, or choose another name."
            )
        return self._deploy(ray, serve, name, model_uri, options)

    def update_deployment(
        self,
        name: str,
        model_uri: str | None = None,
        flavor: str | None = None,
        config: Config | None = None,
        endpoint: str | None = None,
    ) -> dict[str, Any]:
        """Change the model, the settings or both; settings that are not given stay as they are."""
        _require_plain(flavor, endpoint)
        options = read_options(TARGET, OPTIONS, config)
        ray, serve = self._connect()
        facts = self._facts(serve, name)
        return self._deploy(ray, serve, name, model_uri or facts["model_uri"], facts["config"] | options)

    def delete_deployment(self, name: str, config: Config | None = None, endpoint: str | None = None) -> None:
        _require_plain(None, endpoint)
        read_options(TARGET, OPTIONS, config)
        _, serve = self._connect()
        if name in serve.status().applications:
            self._require_ours(serve, name)
            serve.delete(name)

    def list_deployments(self, endpoint: str | None = None) -> list[dict[str, Any]]:
        _require_plain(None, endpoint)
        _, serve = self._connect()
        applications: dict[str, Any] = serve.status().applications
        return [
            _describe(name, application, None)
            for name, application in sorted(applications.items())
            if _is_ours(application)
        ]

    def get_deployment(self, name: str, endpoint: str | None = None) -> dict[str, Any]:
        _require_plain(None, endpoint)
        _, serve = self._connect()
        facts = self._facts(serve, name)
        return _describe(name, serve.status().applications[name], facts)

    def predict(
        self, deployment_name: str | None = None, inputs: Any = None, endpoint: str | None = None
    ) -> PredictionsResponse:
        """Ask through Ray itself, without HTTP; or over HTTP, if `endpoint` is the application's address."""
        if endpoint is not None:
            return ask(endpoint, inputs)
        name = require_dns_label(deployment_name, "deployment_name")
        _, serve = self._connect()
        self._require_ours(serve, name)
        reply = serve.get_app_handle(name).score.remote(request_body(inputs))
        scored: Scored = reply.result()
        return read_answer(scored.status, scored.body, f"The deployment '{name}'")

    # -- Ray ----------------------------------------------------------------------------------------------

    def _connect(self) -> tuple[Any, Any]:
        ray, serve = _import_ray()
        if not ray.is_initialized():
            try:
                ray.init(
                    address=self._address or "auto",
                    logging_level="warning",
                    log_to_driver=False,
                    namespace="serve",
                )
            except (ConnectionError, RuntimeError, ValueError) as error:
                where = f"at {self._address}" if self._address else "on this machine"
                raise ConnectionFailedError(
                    f"No Ray cluster can be reached {where}: {str(error).rstrip('.')}. Start one with 'ray start --head', or try the model "
                    f"with 'slipstream deployments run-local -t {TARGET} ...'."
                ) from error
        return ray, serve

    def _deploy(
        self, ray: Any, serve: Any, name: str, model_uri: str, options: dict[str, Any]
    ) -> dict[str, Any]:
        prefix = options.get("route_prefix", f"/{name}")
        if not prefix.startswith("/"):
            raise InvalidParameterError(f"The setting 'route_prefix' must begin with '/', got '{prefix}'.")
        facts: dict[str, Any] = {"model_uri": pinned(model_uri), "flavor": FLAVOR, "config": options}
        plan = Plan(
            model_uri=facts["model_uri"],
            tracking_uri=normalise(addresses.get_tracking_uri()),
            registry_uri=normalise(addresses.get_registry_uri()),
            trust=options.get("trust", False),
            facts=facts,
        )
        resources = options.get("ray_actor_options", {})
        try:
            check = ray.remote(max_retries=0)(try_loading).options(**resources)
            deployment = serve.deployment(
                Replica,
                name=_DEPLOYMENT,
                num_replicas=options.get("num_replicas", 1),
                max_ongoing_requests=options.get("max_ongoing_requests", 16),
                ray_actor_options=resources,
            )
            application = deployment.bind(plan)
        except (TypeError, ValueError) as error:
            raise InvalidParameterError(f"Ray refuses the settings of '{name}': {error}") from error
        until = time.monotonic() + options.get("timeout", 600.0)
        self._require_loadable(ray, check.remote(plan), name, plan.model_uri, until)
        try:
            target = serve.RunTarget(target=application, name=name, route_prefix=prefix)
            # Not Serve's own waiting, which has no end.
            serve.run_many([target], wait_for_applications_running=False)
        except Exception as error:  # Serve raises many kinds for what it refuses
            raise ExecutionError(f"Ray Serve refuses to deploy '{name}': {error}") from error
        self._wait(serve, name, until)
        return _describe(name, serve.status().applications[name], facts)

    def _require_loadable(self, ray: Any, check: Any, name: str, model_uri: str, until: float) -> None:
        try:
            problem = ray.get(check, timeout=max(0.0, until - time.monotonic()))
        except ray.exceptions.GetTimeoutError as error:
            ray.cancel(check, force=True)
            raise ExecutionError(
                f"'{name}' was not deployed: loading '{model_uri}' on Ray did not end in time. Has the cluster what "
                "'ray_actor_options' asks for? Give it longer with -C timeout=SECONDS."
            ) from error
        except ray.exceptions.RayError as error:
            raise ExecutionError(
                f"'{name}' was not deployed: the process that loads '{model_uri}' failed: {error}"
            ) from error
        if problem is not None:
            raise ExecutionError(
                f"'{name}' was not deployed: '{model_uri}' cannot be loaded on Ray: {problem}"
            )

    def _wait(self, serve: Any, name: str, until: float) -> None:
        while True:
            application: Any = serve.status().applications.get(name)
            status, message = (
                ("", "") if application is None else (str(application.status.value), application.message)
            )
            if status == "RUNNING":
                return
            if status in ("DEPLOY_FAILED", "UNHEALTHY"):
                raise ExecutionError(f"The deployment '{name}' is {status}: {message}")
            if time.monotonic() > until:
                raise ExecutionError(
                    f"The deployment '{name}' is still {status or 'unknown'}. It goes on starting; look at it with "
                    "'slipstream deployments get', or give it longer with -C timeout=SECONDS."
                )
            time.sleep(_POLL_SECONDS)

    def _facts(self, serve: Any, name: str) -> dict[str, Any]:
        """Ask a replica what its deployment was made with."""
        self._require_ours(serve, name)
        reply = serve.get_app_handle(name).facts.remote()
        try:
            return reply.result(timeout_s=_FACTS_SECONDS)
        except Exception as error:  # Ray raises many kinds for replicas that are not there
            raise ExecutionError(
                f"No replica of the deployment '{name}' answers: {error}. Look at 'serve status'; if it does not "
                "recover, delete the deployment and create it anew."
            ) from error

    def _require_ours(self, serve: Any, name: str) -> None:
        application: Any = serve.status().applications.get(name)
        if application is None:
            raise NotFoundError(f"Ray Serve has no application '{name}'.")
        if not _is_ours(application):
            raise InvalidParameterError(f"The application '{name}' on Ray Serve was not made by slipstream.")


def _describe(name: str, application: Any, facts: dict[str, Any] | None) -> dict[str, Any]:
    described: dict[str, Any] = {"name": name, "flavor": FLAVOR, "status": str(application.status.value)}
    if facts is not None:
        config: dict[str, Any] = facts["config"]
        host, port = config.get("http_host", _HTTP_HOST), config.get("http_port", _HTTP_PORT)
        prefix = config.get("route_prefix", f"/{name}")
        described |= {
            "model_uri": facts["model_uri"],
            "config": config,
            "url": f"http://{host}:{port}{prefix}".rstrip("/"),
        }
    return described


def _start_ray(ray: Any) -> None:
    """Start a Ray of this process alone.

    Raises:
        ExecutionError: it does not start.
    """
    # Serve kills a proxy that is not up after 5 seconds, which a busy machine may well need.
    os.environ.setdefault("RAY_SERVE_PROXY_READY_CHECK_TIMEOUT_S", "60")
    try:
        ray.init(
            address="local",
            include_dashboard=False,
            logging_level="warning",
            log_to_driver=False,
            namespace="serve",
        )
    except Exception as error:  # Ray raises plain ones here, too
        raise ExecutionError(f"Ray does not start on this machine: {error}") from error


def _start_serve(serve: Any, options: dict[str, Any]) -> None:
    """Start Serve on the cluster; where it runs already, that is no change.

    Raises:
        ExecutionError: it does not start, such as when its port is taken.
    """
    http = {"host": options.get("http_host", _HTTP_HOST), "port": options.get("http_port", _HTTP_PORT)}
    try:
        serve.start(http_options=http, logging_config={"log_level": "WARNING"})
    except Exception as error:  # Ray raises many kinds here
        raise ExecutionError(
            f"Ray Serve does not start at {http['host']}:{http['port']}: {error}. Is the port free? Choose another "
            "with -C http_port=PORT."
        ) from error


def _is_ours(application: Any) -> bool:
    return set(application.deployments) <= {_DEPLOYMENT}


def _require_plain(flavor: str | None, endpoint: str | None) -> None:
    if flavor not in (None, FLAVOR):
        raise InvalidParameterError(
            f"flavor must be '{FLAVOR}' for the target '{TARGET}', got '{flavor}': every model is deployed as that."
        )
    if endpoint is not None:
        raise InvalidParameterError(f"The target '{TARGET}' has no endpoints; leave --endpoint out.")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_HTTP_HOST, 0))
        return probe.getsockname()[1]


def _import_ray() -> tuple[Any, Any]:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing is reported to anyone
    try:
        found = importlib.import_module("ray"), importlib.import_module("ray.serve")
    except ImportError as error:
        raise MissingDependencyError(
            f"The deployment target '{TARGET}' needs Ray Serve: pip install 'slipstream[ray]' ({error})"
        ) from error
    # What it says at every step ("Connecting to existing Serve app") is no news to who called a command.
    logging.getLogger("ray.serve").setLevel(logging.WARNING)
    return found
