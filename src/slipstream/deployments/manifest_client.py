"""What the targets that write manifests have in common: everything but the objects themselves."""

import subprocess
import sys
from abc import abstractmethod
from typing import Any, ClassVar

from slipstream.deployments.base import BaseDeploymentClient, Config
from slipstream.deployments.manifests import DEFAULT_FOLDER, Manifest, ManifestFolder, kubectl
from slipstream.deployments.names import require_dns_label, require_object_name
from slipstream.deployments.options import Option, read_options
from slipstream.deployments.predictions import PredictionsResponse
from slipstream.deployments.registry import target_suffix
from slipstream.deployments.scoring import ask
from slipstream.deployments.serving_container import PORT, require_model_uri
from slipstream.errors import ExecutionError, InvalidParameterError

FLAVOR = "python_function"

OPTIONS = (
    Option("output", "text", f"Folder of the manifests (default ./{DEFAULT_FOLDER}, or that of the target)."),
    Option(
        "apply", "boolean", "Hand the manifest to kubectl, and wait until it is in force (default false)."
    ),
    Option("context", "text", "The context that kubectl uses (default: its current one)."),
    Option("timeout", "integer", "Seconds to wait with apply=true (default 600).", least=1),
    Option("namespace", "text", "Namespace of the objects (default: that of whoever applies them)."),
)
_OF_THE_CALL = frozenset({"output", "apply", "context", "timeout"})


class ManifestClient(BaseDeploymentClient):
    """Writes one manifest a deployment, and applies it where that is asked for."""

    target: ClassVar[str]
    options: ClassVar[tuple[Option, ...]]

    @abstractmethod
    def build(self, name: str, model_uri: str, settings: dict[str, Any]) -> list[dict[str, Any]]:
        """Return the objects of a deployment; the first carries the annotations."""

    @abstractmethod
    def waiting(self, name: str, seconds: int) -> list[str]:
        """Return kubectl's arguments that wait until a deployment is in force."""

    def create_deployment(
        self,
        name: str,
        model_uri: str,
        flavor: str | None = None,
        config: Config | None = None,
        endpoint: str | None = None,
    ) -> dict[str, Any]:
        """Write the manifest, and apply it with `apply=true`.

        Raises:
            AlreadyExistsError: the file is there already.
        """
        self._require_plain(flavor, endpoint)
        require_dns_label(name, "name")
        values = read_options(self.target, self.options, config)
        folder = self._folder(values)
        folder.require_absent(name)
        return self._deploy(folder, name, require_model_uri(model_uri), _lasting(values), values)

    def update_deployment(
        self,
        name: str,
        model_uri: str | None = None,
        flavor: str | None = None,
        config: Config | None = None,
        endpoint: str | None = None,
    ) -> dict[str, Any]:
        """Write the manifest anew; settings that are not given stay as they are."""
        self._require_plain(flavor, endpoint)
        values = read_options(self.target, self.options, config)
        folder = self._folder(values)
        old = folder.read(name)
        uri = require_model_uri(model_uri or old.model_uri)
        return self._deploy(folder, name, uri, self._merged(old, values), values)

    def delete_deployment(self, name: str, config: Config | None = None, endpoint: str | None = None) -> None:
        """Remove the manifest; with `apply=true` first what it describes."""
        self._require_plain(None, endpoint)
        values = read_options(self.target, self.options, config)
        folder = self._folder(values)
        if not folder.path(name).exists():
            return
        manifest = folder.read(name)
        if values.get("apply"):
            kubectl(["delete", "--ignore-not-found", f"--filename={manifest.path}"], values.get("context"))
        folder.remove(name)

    def list_deployments(self, endpoint: str | None = None) -> list[dict[str, Any]]:
        self._require_plain(None, endpoint)
        folder = self._folder({})
        return [_describe(name, folder.read(name)) for name in folder.names()]

    def get_deployment(self, name: str, endpoint: str | None = None) -> dict[str, Any]:
        self._require_plain(None, endpoint)
        manifest = self._folder({}).read(name)
        return _describe(name, manifest) | {"config": manifest.settings, "objects": _kinds(manifest)}

    def predict(
        self, deployment_name: str | None = None, inputs: Any = None, endpoint: str | None = None
    ) -> PredictionsResponse:
        """Ask the service at the address `endpoint`."""
        if endpoint is None:
            raise InvalidParameterError(
                f"Where '{deployment_name}' can be reached from here is not in its manifest. Give the address: --endpoint "
                f"http://..., such as that of 'kubectl port-forward service/{deployment_name} 5000:80'."
            )
        return ask(endpoint, inputs)

    def _deploy(
        self,
        folder: ManifestFolder,
        name: str,
        model_uri: str,
        settings: dict[str, Any],
        values: dict[str, Any],
    ) -> dict[str, Any]:
        if "namespace" in settings:
            require_object_name(settings["namespace"], "namespace")
        path = folder.write(name, self.build(name, model_uri, settings))
        if values.get("apply"):
            context = values.get("context")
            try:
                kubectl(["apply", f"--filename={path}"], context)
                within = [f"--namespace={settings['namespace']}"] if "namespace" in settings else []
                kubectl([*self.waiting(name, values.get("timeout", 600)), *within], context)
            except ExecutionError as error:
                raise ExecutionError(
                    f"The manifest is written to '{path}' but not in force: {error} Mend the reason, then try again "
                    "with 'slipstream deployments update'."
                ) from error
        return _describe(name, folder.read(name))

    def _merged(self, old: Manifest, values: dict[str, Any]) -> dict[str, Any]:
        new = _lasting(values)
        kept = dict(old.settings)
        # One of the two says how clients authenticate; the newer one counts.
        if "token_secret" in new:
            kept.pop("auth", None)
        if "auth" in new:
            kept.pop("token_secret", None)
        return kept | new

    def _folder(self, values: dict[str, Any]) -> ManifestFolder:
        return ManifestFolder(
            values.get("output") or target_suffix(self.target_uri) or DEFAULT_FOLDER, self.target
        )

    def _require_plain(self, flavor: str | None, endpoint: str | None) -> None:
        if flavor not in (None, FLAVOR):
            raise InvalidParameterError(
                f"flavor must be '{FLAVOR}' for the target '{self.target}', got '{flavor}': every model is served as that."
            )
        if endpoint is not None:
            raise InvalidParameterError(f"The target '{self.target}' has no endpoints; leave --endpoint out.")


def serve_here(target: str, options: tuple[Option, ...], model_uri: str, config: Config | None) -> None:
    """Run the server that a container would run, on this machine, until Ctrl-C."""
    values = read_options(target, options, config)
    argv = [sys.executable, "-m", "slipstream", "models", "serve", f"--model-uri={model_uri}"]
    argv += [f"--port={values.get('port', PORT)}", f"--workers={values.get('workers', 1)}"]
    argv += ["--trust"] if values.get("trust") else []
    code = subprocess.run(argv, check=False).returncode
    if code != 0:
        raise ExecutionError(
            f"'slipstream models serve' ended with exit code {code}; its output above says why."
        )


def _lasting(values: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in values.items() if key not in _OF_THE_CALL}


def _kinds(manifest: Manifest) -> list[str]:
    return [f"{document['kind']}/{document['metadata']['name']}" for document in manifest.documents]


def _describe(name: str, manifest: Manifest) -> dict[str, Any]:
    return {
        "name": name,
        "flavor": FLAVOR,
        "model_uri": manifest.model_uri,
        "manifest": str(manifest.path),
    }
