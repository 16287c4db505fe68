"""What the Open Inference Protocol tells about the server and its models: health and metadata."""

import json
from collections.abc import Callable, Mapping
from typing import Any, cast

import msgspec

from slipstream import __version__
from slipstream.errors import NotFoundError, SlipstreamError
from slipstream.serving.answer import Answer
from slipstream.serving.catalog import Catalog, ServedName, Version

_encode = msgspec.json.Encoder().encode

PROBES = (("GET", "/v2/health/live"), ("GET", "/v2/health/ready"))

_DATATYPES: Mapping[str, str] = {
    "boolean": "BOOL",
    "integer": "INT32",
    "long": "INT64",
    "float": "FP32",
    "double": "FP64",
    "bool": "BOOL",
    **{f"{kind}{bits}": f"{kind.upper()}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)},
    **{f"float{bits}": f"FP{bits}" for bits in (16, 32, 64)},
}
"""By the names in a signature, of columns and of tensors; all others are BYTES."""


def of(catalog: Catalog) -> dict[tuple[str, str], Callable[[], Answer]]:
    """Return the views of a catalogue, by method and path."""
    server = {"name": "slipstream", "version": __version__, "extensions": ["binary_tensor_data"]}
    views: dict[tuple[str, str], Callable[[], Answer]] = {
        ("GET", "/v2"): lambda: _answer(server),
        ("GET", "/v2/health/live"): lambda: _answer({"live": True}),
        ("GET", "/v2/health/ready"): lambda: _readiness({}, all(_is_ready(served) for served in catalog)),
    }
    for served in catalog:
        for what in ("", "/ready"):
            views["GET", f"/v2/models/{served.name}{what}"] = _view(served, what)
    return views


def find(catalog: Catalog, method: str, path: str) -> Answer | None:
    """Answer about a model or version that no view is about; None if the path is no such question."""
    name, slash, rest = path.removeprefix("/v2/models/").partition("/")
    if not path.startswith("/v2/models/") or not name:
        return None
    try:
        served = catalog.get(name)
        mark, _, after = rest.partition("/")
        number, more, what = after.partition("/")
        if method != "GET" or not slash or mark != "versions" or not number or what not in ("", "ready"):
            return None
        version = served.require_live(number)
    except SlipstreamError as error:
        return _refusal(error)
    return _about(served, version, f"{more}{what}".rstrip("/"))


def _view(served: ServedName, what: str) -> Callable[[], Answer]:
    def view() -> Answer:
        try:
            return _about(served, served.require_live(), what)
        except NotFoundError as error:
            if what:
                return _readiness({"name": served.name}, ready=False)
            return _refusal(error)

    return view


def _about(served: ServedName, version: Version, what: str) -> Answer:
    if what:
        return _readiness({"name": served.name}, version.pool.ready)
    card = version.card
    number = version.source.version
    flavors = [flavor for flavor in card.flavors if flavor != "python_function"] or card.flavors
    return _answer(
        {
            "name": served.name,
            "versions": [] if number is None else [number],
            "platform": "_".join(["mlflow", *flavors[:1]]),
            "inputs": _tensors(card.signature, "inputs"),
            "outputs": _tensors(card.signature, "outputs"),
        }
    )


def _tensors(signature: Mapping[str, Any] | None, part: str) -> list[dict[str, Any]]:
    text = (signature or {}).get(part)
    specs = cast("list[dict[str, Any]]", json.loads(text)) if text else []
    return [_tensor(spec, f"{part[:-1]}-{number}", part) for number, spec in enumerate(specs, 1)]


def _tensor(spec: dict[str, Any], unnamed: str, part: str) -> dict[str, Any]:
    kind, shape = spec["type"], [-1, 1]
    if kind == "tensor":
        kind, shape = spec["tensor-spec"]["dtype"], list(spec["tensor-spec"]["shape"])
        if part == "outputs" and len(shape) == 1:  # as answers are
            shape.append(1)
    elif kind == "array":
        kind, shape = spec["items"]["type"], [-1, -1]
    name = spec.get("name")
    return {
        "name": unnamed if name is None else str(name),
        "datatype": _DATATYPES.get(kind, "BYTES"),
        "shape": shape,
    }


def _is_ready(served: ServedName) -> bool:
    return served.live is not None and served.live.pool.ready


def _readiness(about: dict[str, Any], ready: bool) -> Answer:
    return _answer({**about, "ready": ready}, 200 if ready else 503)


def _answer(document: dict[str, Any], status: int = 200) -> Answer:
    return Answer(status, _encode(document))


def _refusal(error: SlipstreamError) -> Answer:
    return _answer({"error": str(error)}, error.status)
