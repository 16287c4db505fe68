"""The public names: each is there, and the tables agree with what type checkers see."""

import ast
import importlib
import tomllib
from pathlib import Path

import pytest

import slipstream
from slipstream.client import fluent

MODULES = (
    "artifacts",
    "data",
    "deployments",
    "entities",
    "exceptions",
    "models",
    "projects",
    "pyfunc",
    "sklearn",
    "tracking",
    "transformers",
)


def names_for_type_checkers() -> set[str]:
    tree = ast.parse(Path(str(slipstream.__file__)).read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If))
    return {
        alias.asname or alias.name
        for node in ast.walk(block)
        if isinstance(node, ast.ImportFrom) and node.module != "typing"
        for alias in node.names
    }


def test_type_checkers_see_exactly_the_public_names() -> None:
    assert names_for_type_checkers() == set(slipstream.__all__) - {"__version__"}


@pytest.mark.parametrize("name", sorted(set(slipstream.__all__) - set(MODULES)))
def test_every_name_resolves(name: str) -> None:
    assert getattr(slipstream, name) is not None


@pytest.mark.parametrize("name", ["artifacts", "data", "deployments", "entities", "exceptions", "tracking"])
def test_every_module_resolves(name: str) -> None:
    assert getattr(slipstream, name) is importlib.import_module(f"slipstream.{name}")


def test_fluent_has_the_same_objects() -> None:
    assert set(fluent.__all__) <= set(slipstream.__all__)
    assert all(getattr(fluent, name) is getattr(slipstream, name) for name in fluent.__all__)


def test_client_has_mlflows_name() -> None:
    assert slipstream.MlflowClient is slipstream.SlipstreamClient
    assert slipstream.tracking.MlflowClient is slipstream.SlipstreamClient
    assert slipstream.exceptions.MlflowException is slipstream.exceptions.SlipstreamError


def test_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'log_metrik'"):
        _ = slipstream.log_metrik


def test_dir_lists_the_public_names() -> None:
    assert set(slipstream.__all__) <= set(dir(slipstream))


def test_version_is_that_of_the_package() -> None:
    pyproject = Path(__file__).parents[2] / "pyproject.toml"

    assert slipstream.__version__ == tomllib.loads(pyproject.read_text())["project"]["version"]
