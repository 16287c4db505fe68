"""The OpenAPI description, made from the table of routes."""

import functools
import json
from collections.abc import Sequence
from typing import Any

import msgspec

import slipstream
from slipstream.api.messages import ErrorBody
from slipstream.api.table import ROUTES


@functools.lru_cache(maxsize=2)
def openapi_document(prefix: str = "") -> bytes:
    """Return the description of the JSON API as JSON (OpenAPI 3.1); `prefix` is the server's static prefix."""
    shown = [route for route in ROUTES.values() if not route.path.startswith("/ajax-api/")]
    types: list[Any] = [ErrorBody]
    for route in shown:
        types += [route.request_type, *(() if route.streams else (route.response_type,))]
    schemas, components = msgspec.json.schema_components(
        list(dict.fromkeys(types)), ref_template="#/components/schemas/{name}"
    )
    by_type = dict(zip(dict.fromkeys(types), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in shown:
        operation: dict[str, Any] = {
            "summary": route.summary,
            "operationId": f"{route.handler.__name__}_{route.method.lower()}",
            "tags": [route.handler.__module__.rsplit(".", 1)[-1]],
            "x-permission": route.permission,
            "responses": {
                "200": _streams(route.streams)
                if route.streams
                else _json("The result.", by_type[route.response_type]),
                "default": _json("What went wrong.", by_type[ErrorBody]),
            },
        }
        in_path = [part[1:-1] for part in route.path.split("/") if part.startswith("{")]
        fields = msgspec.structs.fields(route.request_type)
        parameters: list[dict[str, Any]] = [
            {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in in_path
        ]
        if route.method == "GET":
            properties = components.get(route.request_type.__name__, {}).get("properties", {})
            parameters += [
                {
                    "name": field.name,
                    "in": "query",
                    "required": field.required,
                    "schema": properties.get(field.name, {}),
                }
                for field in fields
                if field.name not in in_path
            ]
        else:
            operation["requestBody"] = {
                "required": True,
                "content": {"application/json": {"schema": by_type[route.request_type]}},
            }
        if parameters:
            operation["parameters"] = parameters
        paths.setdefault(prefix + route.path, {})[route.method.lower()] = operation
    document = {
        "openapi": "3.1.0",
        "info": {
            "title": "slipstream tracking server",
            "version": slipstream.__version__,
            "description": "MLflow's REST API. Every path is also mounted under /ajax-api/.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {"schemas": components},
    }
    return json.dumps(document, indent=1).encode()


def _streams(content_types: Sequence[str]) -> dict[str, Any]:
    binary = {"schema": {"type": "string", "format": "binary"}}
    return {"description": "The result, in pieces.", "content": dict.fromkeys(content_types, binary)}


def _json(description: str, schema: Any) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": schema}}}
