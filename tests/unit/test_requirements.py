"""Requirements: which objects are looked at, and which distributions their modules belong to."""

import functools
import logging
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from slipstream.models import requirements
from slipstream.models.requirements import distributions, modules_of, modules_of_source

ENCODER = """
from sklearn.base import BaseEstimator, TransformerMixin
class Enc(BaseEstimator, TransformerMixin):
    def fit(self, X, y=None): return self
    def transform(self, X): return X
def double(x, y): return x * y
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A place for packages, with two that share a namespace and one of an encoder."""
    folder = tmp_path / "site-packages"
    install(folder, "category-myenc", {"slipstream_test_enc.py": ENCODER})
    install(folder, "shared-aaa-common", {"slipstream_test_ns/aaa/__init__.py": "A = 1"})
    install(
        folder,
        "shared-zzz",
        {"slipstream_test_ns/zzz/__init__.py": "Z = 1", "slipstream_test_ns/zzz/deep.py": "D = 1"},
    )
    install(folder, "another-both", {"slipstream_test_both/one.py": ""})
    install(folder, "slipstream_test_both", {"slipstream_test_both/two.py": ""})
    monkeypatch.syspath_prepend(str(folder))
    yield folder
    for name in [name for name in sys.modules if name.startswith("slipstream_test_")]:
        del sys.modules[name]


def install(folder: Path, name: str, modules: dict[str, str]) -> None:
    info = folder / f"{name.replace('-', '_')}-1.2.dist-info"
    info.mkdir(parents=True, exist_ok=True)
    for path, text in modules.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.2\n", encoding="utf-8")
    (info / "RECORD").write_text("".join(f"{path},,\n" for path in modules), encoding="utf-8")


def encoder() -> Any:
    return __import__("slipstream_test_enc")


@pytest.mark.usefixtures("site")
def test_steps_deep_inside_a_pipeline_are_found() -> None:
    columns = ColumnTransformer([("e", encoder().Enc(), ["a"])])
    pipeline = Pipeline([("ct", columns), ("lr", LogisticRegression())])
    for model in (
        pipeline,
        GridSearchCV(pipeline, {"lr__C": [1, 2]}),
        Pipeline([("g", GridSearchCV(pipeline, {}))]),
    ):
        assert "category-myenc" in distributions(modules_of(model))


@pytest.mark.usefixtures("site")
def test_partial_functions_are_looked_into() -> None:
    model = Pipeline([("f", FunctionTransformer(functools.partial(encoder().double, y=2)))])
    assert "category-myenc" in distributions(modules_of(model))
    assert "category-myenc" in distributions(modules_of(types.SimpleNamespace(a=[{"b": encoder().Enc}])))


def test_long_chains_and_cycles_have_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    chain: list[Any] = [LogisticRegression()]
    for _ in range(5_000):
        chain = [chain]
    chain.append(chain)
    assert "sklearn.linear_model._logistic" in modules_of(chain)
    monkeypatch.setattr(requirements, "_MAX_OBJECTS", 100)
    assert "sklearn.linear_model._logistic" not in modules_of(chain)


def test_a_logger_does_not_lead_to_everything() -> None:
    logging.getLogger("a").addHandler(handler := types.new_class("H", (logging.Handler,))())
    type(handler).__module__ = "somebody_elses"
    try:
        assert "somebody_elses" not in modules_of([logging.getLogger("b")])
    finally:
        logging.getLogger("a").removeHandler(handler)


@pytest.mark.usefixtures("site")
def test_of_a_namespace_only_the_owner_of_the_module_counts() -> None:
    assert distributions({"slipstream_test_ns.zzz"}) == ["shared-zzz"]
    assert distributions({"slipstream_test_ns", "slipstream_test_ns.zzz.deep.D"}) == ["shared-zzz"]
    assert distributions({"slipstream_test_ns.aaa", "slipstream_test_ns.zzz.deep"}) == [
        "shared-aaa-common",
        "shared-zzz",
    ]
    assert distributions({"slipstream_test_ns"}) == ["shared-aaa-common", "shared-zzz"], "all, if unsure"
    assert distributions({"slipstream_test_both.one"}) == ["another-both"], (
        "a name like the module's proves nothing"
    )


@pytest.mark.usefixtures("site")
def test_imports_name_the_module_inside_a_namespace() -> None:
    def predict() -> object:
        from slipstream_test_ns import zzz

        return zzz

    source = "from slipstream_test_ns import zzz\nfrom slipstream_test_ns.aaa import *\n"
    assert distributions(modules_of(predict)) == ["shared-zzz"]
    assert modules_of_source(source) == {"slipstream_test_ns.zzz", "slipstream_test_ns.aaa"}
