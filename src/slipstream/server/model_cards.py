"""What a model version is, read from its files: signature, flavors, requirements, an example, which files there are.

Pages cannot read an MLmodel file, which is YAML, and no page should load a model's files to show what they are.
"""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, cast

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from slipstream.api.routing import OWN, OWN_AJAX, Permission
from slipstream.errors import InvalidParameterError, NotFoundError
from slipstream.models.mlmodel import Model
from slipstream.server.artifacts import DeclaredRoute
from slipstream.server.context import ServedStore, ServerContext

_MLMODEL_BYTES = 128 * 1024
_TEXT_BYTES = 256 * 1024
_EXAMPLE_BYTES = 64 * 1024
_MOST_FILES = 500
_MOST_FOLDERS = 50
_LONGEST = 2_000

Scalar = str | int | float | bool | None


class ModelFile(msgspec.Struct, frozen=True):
    path: str
    size: int | None


class ModelCard(msgspec.Struct, kw_only=True):
    """What the files of a model say of it."""

    inputs: Any = None
    """The columns or tensors of the signature, as in the MLmodel file; null without any."""
    outputs: Any = None
    params: Any = None
    task: str | None = None
    flavors: dict[str, dict[str, Scalar]] = {}
    """Of each only what is one value."""
    metadata: dict[str, Scalar] = {}
    model_id: str | None = None
    run_id: str | None = None
    created: str | None = None
    mlflow_version: str | None = None
    slipstream_version: str | None = None
    size: int | None = None
    python: str | None = None
    requirements: list[str] = []
    example: Any = None
    """A request to a scoring server, if one was logged with the model."""
    files: list[ModelFile] = []
    has_more_files: bool = False


def model_card_routes(context: ServerContext) -> list[Route]:
    """Return all routes of this file, bound to a server's artifact roots."""

    async def card(request: Request) -> Response:
        values = {name: request.query_params.get(name) for name in ("name", "version")}
        for name, value in values.items():
            if not value:
                raise InvalidParameterError(f"Missing value for required parameter '{name}'.")
        found = await asyncio.to_thread(_read, context, values["name"] or "", values["version"] or "")
        return Response(_encoded(found), media_type="application/json")

    return [
        DeclaredRoute("GET", f"{base}model-versions/card", Permission.READ, card) for base in (OWN, OWN_AJAX)
    ]


def _encoded(card: ModelCard) -> bytes:
    try:
        return msgspec.json.encode(card)
    except UnicodeEncodeError:
        # Half of a pair of UTF-16, which texts may have as an escape and UTF-8 has not.
        text = json.dumps(msgspec.to_builtins(card), ensure_ascii=False).encode("utf-8", "replace")
        return msgspec.json.encode(json.loads(text))


def _read(context: ServerContext, name: str, version: str) -> ModelCard:
    store = context.open_version(name, version)
    text = _text(store, "MLmodel", _MLMODEL_BYTES)
    if text is None:
        raise NotFoundError(f"Version {version} of '{name}' has no MLmodel file that this server can show.")
    document = Model.from_text(text, where=f"{name}, version {version}").to_dict()
    signature = cast("Mapping[str, Any]", document.get("signature") or {})
    metadata = _scalars(document.get("metadata"))
    flavors = {
        str(flavor): _scalars(config)
        for flavor, config in cast("Mapping[str, Any]", document.get("flavors") or {}).items()
    }
    card = ModelCard(
        inputs=_schema(signature.get("inputs")),
        outputs=_schema(signature.get("outputs")),
        params=_schema(signature.get("params")),
        task=_task(metadata, flavors),
        flavors=flavors,
        metadata=metadata,
        model_id=_texts(document.get("model_id")),
        run_id=_texts(document.get("run_id")),
        created=_texts(document.get("utc_time_created")),
        mlflow_version=_texts(document.get("mlflow_version")),
        slipstream_version=_texts(document.get("slipstream_version")),
        size=document.get("model_size_bytes") if isinstance(document.get("model_size_bytes"), int) else None,
        python=_texts(flavors.get("python_function", {}).get("python_version")),
        requirements=[
            line.strip()
            for line in (_text(store, "requirements.txt", _TEXT_BYTES) or "").splitlines()
            if line.strip() and not line.lstrip().startswith("#")
        ],
        example=_json(_text(store, "serving_input_example.json", _EXAMPLE_BYTES)),
    )
    card.files, card.has_more_files = _files(store)
    return card


def _files(store: ServedStore) -> tuple[list[ModelFile], bool]:
    """List the files, nearest first, as far as that takes few questions: an object store is asked for each folder."""
    found: list[ModelFile] = []
    folders = [""]
    for count, folder in enumerate(folders):
        if count >= _MOST_FOLDERS:
            return found, True
        for info in store.list(folder):
            if info.is_dir:
                folders.append(info.path)
            elif len(found) >= _MOST_FILES:
                return found, True
            else:
                found.append(ModelFile(info.path, info.file_size))
    return sorted(found, key=lambda file: file.path), False


def _text(store: ServedStore, path: str, most: int) -> str | None:
    """Return a file's text; None where there is none, or it is larger than such a file is."""
    info = store.stat(path)
    if info is None or info.is_dir or (info.file_size or 0) > most:
        return None
    with store.open(path) as file:
        content = bytearray()
        while piece := file.read(most + 1 - len(content)):
            content += piece
            if len(content) > most:
                return None
    return content.decode("utf-8", "replace")


def _schema(text: object) -> Any:
    """Return a part of a signature, which is JSON in a text."""
    return _json(text) if isinstance(text, str) else None


def _json(text: str | None) -> Any:
    try:
        return None if text is None else json.loads(text)
    except (ValueError, RecursionError):
        return None


def _scalars(mapping: object) -> dict[str, Scalar]:
    """Return what of a mapping is one value: nothing that YAML's references could make large."""
    if not isinstance(mapping, dict):
        return {}
    return {
        str(key)[:_LONGEST]: value[:_LONGEST] if isinstance(value, str) else value
        for key, value in cast("dict[Any, Any]", mapping).items()
        if value is None or isinstance(value, (str, int, float, bool))
    }


def _texts(value: object) -> str | None:
    return value[:_LONGEST] if isinstance(value, str) and value else None


def _task(metadata: Mapping[str, Scalar], flavors: Mapping[str, Mapping[str, Scalar]]) -> str | None:
    for found in (metadata, *flavors.values()):
        task = found.get("task")
        if isinstance(task, str) and task:
            return task
    return None
