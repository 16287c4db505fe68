"""What a deployment target's plugin has: one class derived from this, `run_local` and `target_help`.

    class MyClient(BaseDeploymentClient): ...
    def run_local(name, model_uri, flavor=None, config=None): ...
    def target_help() -> str: ...

The names and arguments are MLflow's, so that a plugin written for it needs no change.
"""

import abc
from collections.abc import Iterator, Mapping
from typing import Any

from slipstream.errors import NotImplementedByServerError

Config = Mapping[str, Any]


class BaseDeploymentClient(abc.ABC):
    """Manages the deployments at one target."""

    def __init__(self, target_uri: str) -> None:
        self.target_uri = target_uri

    @abc.abstractmethod
    def create_deployment(
        self,
        name: str,
        model_uri: str,
        flavor: str | None = None,
        config: Config | None = None,
        endpoint: str | None = None,
    ) -> dict[str, Any]:
        """Deploy a model and wait until it answers; the result has at least `name`.

        Raises:
            AlreadyExistsError: there is a deployment of this name.
        """

    @abc.abstractmethod
    def update_deployment(
        self,
        name: str,
        model_uri: str | None = None,
        flavor: str | None = None,
        config: Config | None = None,
        endpoint: str | None = None,
    ) -> dict[str, Any] | None:
        """Change a deployment's model, its settings or both, and wait until the change is in force.

        Raises:
            NotFoundError: there is no deployment of this name.
        """

    @abc.abstractmethod
    def delete_deployment(self, name: str, config: Config | None = None, endpoint: str | None = None) -> None:
        """Remove a deployment; one that is not there is no error, so this can be tried again."""

    @abc.abstractmethod
    def list_deployments(self, endpoint: str | None = None) -> list[dict[str, Any]]:
        """Return all deployments, each with at least `name`."""

    @abc.abstractmethod
    def get_deployment(self, name: str, endpoint: str | None = None) -> dict[str, Any]:
        """Describe a deployment, with at least `name`.

        Raises:
            NotFoundError: there is none of this name.
        """

    @abc.abstractmethod
    def predict(
        self, deployment_name: str | None = None, inputs: Any = None, endpoint: str | None = None
    ) -> Any:
        """Ask a deployment, or an endpoint; the answer is a `PredictionsResponse`."""

    def predict_stream(
        self, deployment_name: str | None = None, inputs: Any = None, endpoint: str | None = None
    ) -> Iterator[dict[str, Any]]:
        """Ask a deployment and yield the pieces of its answer as they come."""
        raise self._refusal("stream predictions")

    def explain(self, deployment_name: str | None = None, df: Any = None, endpoint: str | None = None) -> Any:
        """Explain the model's predictions for a frame."""
        raise self._refusal("explain predictions")

    def create_endpoint(self, name: str, config: Config | None = None) -> dict[str, Any]:
        """Make an endpoint that deployments can be created under."""
        raise self._refusal("create endpoints")

    def update_endpoint(self, endpoint: str, config: Config | None = None) -> None:
        raise self._refusal("update endpoints")

    def delete_endpoint(self, endpoint: str) -> None:
        raise self._refusal("delete endpoints")

    def list_endpoints(self) -> list[dict[str, Any]]:
        raise self._refusal("list endpoints")

    def get_endpoint(self, endpoint: str) -> dict[str, Any]:
        raise self._refusal("describe endpoints")

    def _refusal(self, what: str) -> NotImplementedByServerError:
        return NotImplementedByServerError(
            f"The deployment target '{self.target_uri}' cannot {what}. "
            f"See: slipstream deployments help -t {self.target_uri}"
        )
