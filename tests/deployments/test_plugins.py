"""Finding a target's plugin: ours, packages', and those that were written for MLflow."""

import sys
from importlib import metadata
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from slipstream import deployments
from slipstream.deployments import (
    BaseDeploymentClient,
    PredictionsResponse,
    chosen_target,
    manifest_client,
    registry,
)
from slipstream.errors import (
    ExecutionError,
    InvalidParameterError,
    InvalidStateError,
    MissingDependencyError,
    NotFoundError,
    NotImplementedByServerError,
)


class Whole(BaseDeploymentClient):
    """A client with every abstract method."""

    def create_deployment(self, name, model_uri, flavor=None, config=None, endpoint=None):
        return {"name": name, "flavor": flavor}

    def update_deployment(self, name, model_uri=None, flavor=None, config=None, endpoint=None):
        return None

    def delete_deployment(self, name, config=None, endpoint=None):
        return None

    def list_deployments(self, endpoint=None):
        return []

    def get_deployment(self, name, endpoint=None):
        return {"name": name}

    def predict(self, deployment_name=None, inputs=None, endpoint=None):
        return PredictionsResponse(predictions=[1])


def plugin(**parts: Any) -> ModuleType:
    module = ModuleType("acme_plugin")
    defaults = {
        "BaseDeploymentClient": BaseDeploymentClient,
        "Client": Whole,
        "run_local": lambda *arguments: arguments,
        "target_help": lambda: "help of acme",
    }
    for name, part in (defaults | parts).items():
        if part is not None:
            setattr(module, name, part)
    return module


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Install a module as the plugin `acme` of a group."""

    def installed(module: ModuleType | None, group: str = "slipstream.deployments") -> None:
        entry = metadata.EntryPoint("acme", "acme_plugin", group)
        if module is not None:
            monkeypatch.setitem(sys.modules, "acme_plugin", module)

        def entry_points(*, group: str, name: str | None = None) -> metadata.EntryPoints:
            found = [entry] if group == entry.group and name in (None, entry.name) else []
            return metadata.EntryPoints(found)

        monkeypatch.setattr(registry.metadata, "entry_points", entry_points)

    return installed


@pytest.mark.parametrize("group", ["slipstream.deployments", "mlflow.deployments"])
@pytest.mark.parametrize("uri", ["acme", "acme:/suffix", "acme:suffix", "acme://host:1/x"])
def test_a_packages_plugin_is_found(install: Any, group: str, uri: str) -> None:
    install(plugin(), group)
    client = deployments.get_deploy_client(uri)
    assert isinstance(client, Whole)
    assert client.target_uri == uri
    assert deployments.target_help(uri) == "help of acme"
    assert deployments.run_local(uri, "n", "m", "f", {"a": 1}) == ("n", "m", "f", {"a": 1})
    assert "acme" in registry.target_names()


def test_a_client_of_mlflows_own_class_is_one(install: Any) -> None:
    """Known by the name of its base, so that nothing of MLflow is imported."""
    base = type(
        "BaseDeploymentClient", (), {"__init__": Whole.__init__, "__module__": "mlflow.deployments.base"}
    )
    client = type("Theirs", (base,), {})
    install(plugin(BaseDeploymentClient=base, Client=client), "mlflow.deployments")
    assert type(deployments.get_deploy_client("acme")) is client


@pytest.mark.filterwarnings("default")  # what mlflow's own code warns about when it is imported
def test_a_real_plugin_of_mlflow_works() -> None:
    """The one that mlflow itself brings for `http` addresses, found by MLflow's entry point."""
    client = deployments.get_deploy_client("http://127.0.0.1:1")
    assert type(client).__module__.startswith("mlflow.deployments")
    assert client.target_uri == "http://127.0.0.1:1"
    assert deployments.target_help("http://127.0.0.1:1") == ""  # it says nothing


def test_ours_are_there() -> None:
    assert {"kserve", "kubernetes", "ray-serve"} <= set(registry.target_names())
    for target in registry.BUILT_IN:
        client = deployments.get_deploy_client(target)
        assert isinstance(client, BaseDeploymentClient)
        assert "Settings (-C name=value):" in deployments.target_help(target)
        with pytest.raises(NotImplementedByServerError, match=f"'{target}' cannot create endpoints"):
            client.create_endpoint("x")


def test_an_unknown_target_is_named() -> None:
    with pytest.raises(
        NotFoundError, match="deployments to 'sagemaker' is installed. There are: .*kserve, kub"
    ):
        deployments.get_deploy_client("sagemaker")


@pytest.mark.parametrize("uri", ["?", "#x"])
def test_a_uri_without_a_target_is_refused(uri: str) -> None:
    with pytest.raises(InvalidParameterError, match="no deployment target"):
        deployments.get_deploy_client(uri)


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"run_local": None}, "'acme' lacks run_local"),
        ({"target_help": None, "run_local": None}, "lacks run_local and target_help"),
        ({"Client": None}, "exactly one class derived from BaseDeploymentClient, and has: none"),
        ({"Other": type("Other", (Whole,), {})}, "has: Other, Whole"),
        ({"Client": type("Half", (BaseDeploymentClient,), {})}, "has: none"),
    ],
)
def test_a_plugin_that_lacks_a_part_is_refused(install: Any, parts: dict[str, Any], message: str) -> None:
    install(plugin(**parts))
    with pytest.raises(InvalidStateError, match=message):
        deployments.get_deploy_client("acme")


def test_a_plugin_that_cannot_be_imported_is_named(install: Any) -> None:
    install(None)
    with pytest.raises(MissingDependencyError, match=r"'acme' \(acme_plugin\) cannot be loaded: No module"):
        deployments.get_deploy_client("acme")


def test_the_chosen_target(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chosen_target, "_chosen", [])
    assert deployments.get_deploy_client() is None
    with pytest.raises(InvalidParameterError, match="SLIPSTREAM_DEPLOYMENTS_TARGET"):
        deployments.get_deployments_target()
    monkeypatch.setenv("MLFLOW_DEPLOYMENTS_TARGET", "kserve")
    assert deployments.get_deployments_target() == "kserve"
    deployments.set_deployments_target("kubernetes:x")
    client = deployments.get_deploy_client()
    assert client is not None
    assert client.target_uri == "kubernetes:x"
    with pytest.raises(InvalidParameterError):
        deployments.set_deployments_target("")


def test_the_face_has_mlflows_names() -> None:
    for name in deployments.__all__:
        assert getattr(deployments, name) is not None
    with pytest.raises(AttributeError):
        _ = deployments.nonsense


# -- ours, as far as they need no engine ----------------------------------------------------------------------


def test_ray_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    client = deployments.get_deploy_client("ray-serve")
    assert client is not None
    with pytest.raises(MissingDependencyError, match=r"pip install 'slipstream\[ray\]'"):
        client.list_deployments()


@pytest.mark.parametrize("target", ["kubernetes", "kserve"])
def test_run_local_runs_the_pods_server(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []
    codes = iter([0, 3])

    def run(argv: list[str], *, check: bool) -> SimpleNamespace:
        started.append(argv)
        return SimpleNamespace(returncode=next(codes))

    monkeypatch.setattr(manifest_client.subprocess, "run", run)
    deployments.run_local(target, "churn", "models:/churn/1", config={"port": "8080", "trust": "true"})
    serving = ["-m", "slipstream", "models", "serve", "--model-uri=models:/churn/1"]
    assert started == [[sys.executable, *serving, "--port=8080", "--workers=1", "--trust"]]
    with pytest.raises(ExecutionError, match="ended with exit code 3"):
        deployments.run_local(target, "churn", "models:/churn/1")
