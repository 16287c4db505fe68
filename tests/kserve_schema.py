"""KServe's objects, checked against the descriptions in its Python package, which is read and never imported.

What lies below a pod's own fields is Kubernetes', and is checked as such.
"""

import ast
import importlib.util
import re
from functools import cache
from pathlib import Path
from typing import Any

import kubernetes_validate

KUBERNETES = "1.37"
_PLAIN = {"str": str, "int": int, "bool": bool, "float": (int, float), "object": object}


@cache
def _models() -> dict[str, dict[str, tuple[str, str]]]:
    """Return, for each class, its fields: JSON name -> (type, Python name)."""
    spec = importlib.util.find_spec("kserve")
    assert spec is not None, "KServe's package is not installed: run make install"
    assert spec.origin is not None
    found: dict[str, dict[str, tuple[str, str]]] = {}
    for path in (Path(spec.origin).parent / "models").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef):
                tables = {
                    statement.targets[0].id: ast.literal_eval(statement.value)
                    for statement in node.body
                    if isinstance(statement, ast.Assign)
                    and isinstance(statement.targets[0], ast.Name)
                    and isinstance(statement.value, ast.Dict)
                }
                if {"openapi_types", "attribute_map"} <= set(tables):
                    found[node.name] = {
                        tables["attribute_map"][name]: (kind, name)
                        for name, kind in tables["openapi_types"].items()
                    }
    return found


def problems(value: Any, kind: str, where: str = "") -> list[str]:
    """Return what of a value does not fit a type of KServe's; fields that it does not know among it."""
    if listed := re.fullmatch(r"list\[(.+)\]", kind):
        if not isinstance(value, list):
            return [f"{where}: no list"]
        return [
            problem for i, item in enumerate(value) for problem in problems(item, listed[1], f"{where}[{i}]")
        ]
    if kind.startswith("dict("):
        return [] if isinstance(value, dict) else [f"{where}: no object"]
    if kind in _PLAIN:
        fits = isinstance(value, _PLAIN[kind]) and (kind == "bool" or not isinstance(value, bool))
        return [] if fits else [f"{where}: {value!r} is no {kind}"]
    fields = _models().get(kind)
    if fields is None:  # one of Kubernetes' own, which the caller checks
        return []
    found = [f"{where}: unknown field {name!r}" for name in value if name not in fields]
    for name, item in value.items():
        if name in fields:
            found += problems(item, fields[name][0], f"{where}.{name}")
    return found


def inference_service_problems(document: dict[str, Any]) -> list[str]:
    """Return what of an InferenceService does not fit; its pod is checked as a pod of Kubernetes."""
    found = problems(document, "V1beta1InferenceService", "InferenceService")
    predictor = document["spec"]["predictor"]
    own = {
        name
        for name, (kind, _) in _models()["V1beta1PredictorSpec"].items()
        if name in _models()["V1beta1ComponentExtensionSpec"] or "V1beta1" in kind
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": document["metadata"],
        "spec": {name: item for name, item in predictor.items() if name not in own},
    }
    try:
        kubernetes_validate.validate(pod, KUBERNETES, strict=True)
    except kubernetes_validate.ValidationError as error:
        found.append(error.message)
    return found
