"""Our names, parameters and defaults beside those of the mlflow that is installed for the tests.

What is not there, and what differs, is listed here with the reason; a line that is no longer true is a failure, too.
"""

import enum
import importlib
import inspect
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import slipstream

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "python-api.md"

# What this program prints is compared; in a Python of its own, since mlflow changes much where it is imported.
DESCRIBE = """
import enum, importlib, inspect, json, sys, warnings
warnings.simplefilter("ignore")

def plain(value):
    if value is inspect.Parameter.empty:
        return "required"
    if isinstance(value, enum.Enum):
        value = value.value
    return repr(list(value) if isinstance(value, (tuple, list)) else value)

def describe(function):
    return [[p.name, p.kind.name, plain(p.default)] for p in inspect.signature(function).parameters.values()]

found = {}
for name in json.loads(sys.argv[1]):
    module, _, attribute = name.partition(":")
    owner = importlib.import_module(module)
    defined = [n for n, v in vars(owner).items() if str(getattr(v, "__module__", "")).startswith(module)]
    names = getattr(owner, "__all__", defined)
    if attribute:
        owner = getattr(owner, attribute)
        names = dir(owner)
    for each in sorted(set(names)):
        value = getattr(owner, each, None)
        if not each.startswith("_") and (inspect.isfunction(value) or (not attribute and inspect.isclass(value))):
            found[f"{name}.{each}"] = describe(value) if inspect.isfunction(value) else []
print(json.dumps(found))
"""
PLACES = {
    "mlflow": slipstream,
    "mlflow:MlflowClient": slipstream.SlipstreamClient,
    "mlflow.artifacts": slipstream.artifacts,
    "mlflow.config": slipstream.config,
    "mlflow.data": slipstream.data,
    "mlflow.models": slipstream.models,
    "mlflow.projects": slipstream.projects,
    "mlflow.pyfunc:PyFuncModel": slipstream.pyfunc.PyFuncModel,
    "mlflow.tracking": slipstream.tracking,
    "mlflow.types": slipstream.types,
}
"""Where the two are compared, and in which of ours."""

ABSENT: dict[str, tuple[str, ...]] = {
    "tracing": (
        *("add_trace", "context", "delete_assessment", "delete_trace_tag", "flush_trace_async_logging"),
        *("get_active_trace_id", "get_assessment", "get_current_active_span", "get_last_active_trace_id"),
        *("get_trace", "log_assessment", "log_expectation", "log_feedback", "log_issue", "log_trace"),
        *("override_feedback", "search_sessions", "search_traces", "set_trace_tag", "start_span"),
        *("start_span_no_context", "trace", "update_assessment", "update_current_trace"),
        *("MlflowClient.delete_trace_tag", "MlflowClient.delete_traces", "MlflowClient.end_span"),
        *("MlflowClient.end_trace", "MlflowClient.get_trace", "MlflowClient.link_traces_to_run"),
        *("MlflowClient.search_traces", "MlflowClient.set_trace_tag", "MlflowClient.start_span"),
        *("MlflowClient.start_trace", "MlflowClient.unlink_traces_from_run"),
    ),
    "prompts": (
        *("delete_prompt_alias", "load_prompt", "register_prompt", "search_prompts", "set_prompt_alias"),
        *("MlflowClient.create_prompt", "MlflowClient.create_prompt_version", "MlflowClient.delete_prompt"),
        *("MlflowClient.delete_prompt_alias", "MlflowClient.delete_prompt_tag"),
        *("MlflowClient.delete_prompt_version", "MlflowClient.delete_prompt_version_tag"),
        *(
            "MlflowClient.detach_prompt_from_run",
            "MlflowClient.get_prompt",
            "MlflowClient.get_prompt_version",
        ),
        *("MlflowClient.get_prompt_version_by_alias", "MlflowClient.link_prompt_version_to_model"),
        *("MlflowClient.link_prompt_version_to_run", "MlflowClient.link_prompt_versions_to_trace"),
        *("MlflowClient.list_logged_prompts", "MlflowClient.load_prompt", "MlflowClient.parse_prompt_uri"),
        *("MlflowClient.register_prompt", "MlflowClient.search_prompt_versions"),
        *("MlflowClient.search_prompts", "MlflowClient.set_prompt_alias", "MlflowClient.set_prompt_tag"),
        "MlflowClient.set_prompt_version_tag",
    ),
    "evaluation": (
        *("evaluate", "test", "validate_evaluation_results"),
        *("MlflowClient.add_dataset_to_experiments", "MlflowClient.create_dataset"),
        *("MlflowClient.delete_dataset", "MlflowClient.delete_dataset_tag", "MlflowClient.get_dataset"),
        *("MlflowClient.remove_dataset_from_experiments", "MlflowClient.search_datasets"),
        "MlflowClient.set_dataset_tags",
        *("models.evaluate", "models.make_metric", "models.list_evaluators", "models.EvaluationMetric"),
        *("models.EvaluationArtifact", "models.EvaluationResult", "models.MetricThreshold"),
    ),
    "workspaces": (
        *("create_workspace", "delete_workspace", "get_workspace", "list_workspaces", "set_workspace"),
        *("update_workspace", "MlflowClient.create_workspace", "MlflowClient.delete_workspace"),
        *("MlflowClient.get_workspace", "MlflowClient.get_workspace_store_uri"),
        *("MlflowClient.list_workspaces", "MlflowClient.update_workspace"),
    ),
    "registry of MCP servers": (
        *("MlflowClient.create_mcp_access_endpoint", "MlflowClient.create_mcp_server"),
        *("MlflowClient.create_mcp_server_version", "MlflowClient.delete_mcp_access_endpoint"),
        *("MlflowClient.delete_mcp_server", "MlflowClient.delete_mcp_server_alias"),
        *("MlflowClient.delete_mcp_server_tag", "MlflowClient.delete_mcp_server_version"),
        *("MlflowClient.delete_mcp_server_version_tag", "MlflowClient.get_latest_mcp_server_version"),
        *("MlflowClient.get_mcp_access_endpoint", "MlflowClient.get_mcp_server"),
        *("MlflowClient.get_mcp_server_version", "MlflowClient.get_mcp_server_version_by_alias"),
        *("MlflowClient.refresh_mcp_server_version_tools", "MlflowClient.search_mcp_access_endpoints"),
        *("MlflowClient.search_mcp_server_versions", "MlflowClient.search_mcp_servers"),
        *("MlflowClient.set_mcp_server_alias", "MlflowClient.set_mcp_server_tag"),
        *("MlflowClient.set_mcp_server_version_tag", "MlflowClient.update_mcp_access_endpoint"),
        *("MlflowClient.update_mcp_server", "MlflowClient.update_mcp_server_version"),
    ),
    "what works on Databricks or with Spark only": (
        *("login", "data.from_spark", "data.load_delta", "models.set_retriever_schema", "models.Resource"),
        "models.ResourceType",
    ),
    "other libraries' data sets": ("data.from_huggingface", "data.from_tensorflow"),
    "what other means do": (
        *("doctor", "import_checkpoints", "models.FlavorBackend", "models.add_libraries_to_model"),
        *("models.build_docker", "models.infer_pip_requirements", "models.update_model_requirements"),
    ),
}
"""MLflow's names that slipstream has not, by what they belong to; the page of the documentation lists them all."""

BEING_MADE = {"autolog"}
"""Compared as soon as they are there."""


def short(name: str) -> str:
    """Return a name without `mlflow`: `log_metric`, `MlflowClient.log_metric`, `models.predict`."""
    module, _, rest = name.partition(":")
    if rest:
        return rest
    return module.removeprefix("mlflow.")


@pytest.fixture(scope="module")
def theirs() -> dict[str, list[list[str]]]:
    done = subprocess.run(
        [sys.executable, "-c", DESCRIBE, json.dumps(list(PLACES))], capture_output=True, text=True, check=True
    )
    return {short(name): described for name, described in json.loads(done.stdout).items()}


def ours(name: str) -> Any:
    owner, _, attribute = name.rpartition(".")
    where: dict[str, Any] = {short(place): module for place, module in PLACES.items()}
    return getattr(where[owner or "mlflow"], attribute, None)


def plain(value: Any) -> str:
    if value is inspect.Parameter.empty:
        return "required"
    if isinstance(value, enum.Enum):
        value = value.value
    return repr(list(value) if isinstance(value, (tuple, list)) else value)


def describe(function: Callable[..., Any]) -> list[list[str]]:
    """Return our parameters; those that we add, by keyword only, are left out: who writes for MLflow never sees them."""
    parameters = inspect.signature(function).parameters.values()
    return [[each.name, each.kind.name, plain(each.default)] for each in parameters]


def without_additions(mine: list[list[str]], names: set[str]) -> list[list[str]]:
    return [
        each
        for each in mine
        if each[0] in names or (each[1], each[2] == "required") != ("KEYWORD_ONLY", False)
    ]


def test_every_name_is_there_or_listed(theirs: dict[str, list[list[str]]]) -> None:
    missing = {name for name in theirs if ours(name) is None} - BEING_MADE

    assert missing == {name for names in ABSENT.values() for name in names}


def test_parameters_and_defaults_are_mlflows(theirs: dict[str, list[list[str]]]) -> None:
    compared = 0
    different: dict[str, Any] = {}
    for name, described in theirs.items():
        mine = ours(name)
        if mine is None or not described or inspect.isclass(mine):
            continue
        compared += 1
        found = without_additions(describe(mine), {each[0] for each in described})
        if found != described:
            different[name] = {"ours": found, "theirs": described}

    assert different == {}
    assert compared > 130


@pytest.mark.parametrize("name", sorted({name for names in ABSENT.values() for name in names}))
def test_what_is_not_there_is_on_the_page(name: str) -> None:
    listed = name.removeprefix("MlflowClient.").rpartition(".")[2]

    assert f"`{listed}`" in PAGE.read_text("utf-8")


@pytest.mark.parametrize(
    "module",
    [
        *("artifacts", "config", "data", "deployments", "entities", "exceptions", "models", "projects"),
        *("pyfunc", "sklearn", "tracking", "transformers", "types"),
    ],
)
def test_every_public_module_is_one_of_mlflows(module: str) -> None:
    mine = importlib.import_module(f"slipstream.{module}")

    assert all(getattr(mine, name) is not None for name in mine.__all__)
