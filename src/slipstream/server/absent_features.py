"""Answers about what MLflow's pages and clients look for and this server has not.

Workspaces and the telemetry of pages; and, for MLflow's own pages, traces, evaluations, reviews, the gateway and the assistant. Without
these answers the pages would show errors, and ask again and again. What is asked for is answered as MLflow answers where there is
nothing; what would make something is not answered, so that nobody believes that it was kept. Clients ask under `/api/`, where all
of it stays unknown: they can tell a server without traces from one that has none yet.
"""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from slipstream.api.routing import AJAX, Permission
from slipstream.api.server_info import AJAX3, API3
from slipstream.errors import InvalidParameterError
from slipstream.server.artifacts import DeclaredRoute, small_body

_NO_WORKSPACES = "This server has no workspaces. Leave MLFLOW_WORKSPACE unset."
_BODY_BYTES = 256 * 1024
_EMPTY: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("GET", AJAX + "traces", {}),
    ("GET", AJAX + "gateway-proxy", {"endpoints": []}),
    ("POST", AJAX3 + "traces/search", {}),
    ("POST", AJAX3 + "traces/batchGetInfos", {}),
    ("POST", AJAX3 + "datasets/search", {}),
    ("POST", AJAX3 + "issues/search", {"next_page_token": ""}),
    ("GET", AJAX3 + "scorers/list", {}),
    ("GET", AJAX3 + "scorers/online-configs", {"configs": []}),
    ("GET", AJAX3 + "review-queues/list", {"review_queues": [], "next_page_token": ""}),
    ("GET", AJAX3 + "review-queues/items/list", {"next_page_token": ""}),
    ("GET", AJAX3 + "label-schemas/list", {"label_schemas": [], "next_page_token": ""}),
    ("GET", AJAX3 + "mcp-servers", {"mcp_servers": [], "next_page_token": None}),
    ("GET", AJAX3 + "assistant/config", {"providers": {}, "projects": {}, "remote_access_allowed": False}),
    ("GET", AJAX3 + "assistant/providers", {"providers": []}),
    (
        "GET",
        AJAX3 + "gateway/secrets/config",
        {"secrets_available": False, "using_default_passphrase": False},
    ),
    ("GET", AJAX3 + "gateway/secrets/list", {}),
    ("GET", AJAX3 + "gateway/endpoints/list", {}),
    ("GET", AJAX3 + "gateway/endpoints/bindings/list", {}),
    ("GET", AJAX3 + "gateway/model-definitions/list", {}),
    ("GET", AJAX3 + "gateway/guardrails/list", {}),
    ("GET", AJAX3 + "gateway/budgets/list", {}),
    ("GET", AJAX3 + "gateway/budgets/windows", {}),
    ("GET", AJAX3 + "gateway/supported-providers", {"providers": []}),
    ("GET", AJAX3 + "gateway/supported-models", {"models": []}),
)
"""What MLflow's pages read, and what MLflow 3.17 answers on a store that has none of it."""


class _Aggregation(msgspec.Struct):
    aggregation_type: str = ""


class _MetricQuery(msgspec.Struct):
    """What a page wants counted of traces; what else it says changes nothing where there are none."""

    metric_name: str = ""
    aggregations: tuple[_Aggregation, ...] = ()
    dimensions: tuple[str, ...] = ()
    time_interval_seconds: int | None = None


class _QueueQuery(msgspec.Struct):
    experiment_id: str = ""
    user: str = ""


_Query = TypeVar("_Query", _MetricQuery, _QueueQuery)


def absent_feature_routes() -> list[Route]:
    """Return the routes of this file."""
    routes = [Route(AJAX3 + "ui-telemetry", _telemetry, methods=["GET", "POST"])]
    endpoint: Callable[[Request], Awaitable[Response]] = _workspaces
    for base in (API3, AJAX3):
        routes.append(Route(base + "workspaces", endpoint, methods=["GET", "POST"]))
        routes.append(Route(base + "workspaces/{name}", endpoint, methods=["GET", "PATCH", "DELETE"]))
    routes += [DeclaredRoute(method, path, Permission.READ, _saying(body)) for method, path, body in _EMPTY]
    routes += [
        DeclaredRoute("POST", AJAX3 + "traces/metrics", Permission.READ, _count_traces),
        DeclaredRoute("POST", AJAX3 + "review-queues/get-or-create-user", Permission.READ, _own_queue),
    ]
    return routes


def _saying(body: dict[str, Any]) -> Callable[[Request], Awaitable[Response]]:
    async def say(_request: Request) -> Response:
        return JSONResponse(body)

    return say


async def _workspaces(request: Request) -> Response:
    return HTMLResponse(_NO_WORKSPACES, 503)


async def _telemetry(request: Request) -> Response:
    """Tell pages to report nothing; whatever they report all the same is dropped unread."""
    if request.method == "POST":
        return JSONResponse({"status": "disabled"})
    return JSONResponse({"disable_ui_events": [], "disable_ui_telemetry": True, "ui_rollout_percentage": 0})


async def _count_traces(request: Request) -> Response:
    """Answer that there are 0 traces, which is one number where the whole is counted, and no number by day or kind."""
    query = await _read(request, _MetricQuery)
    kinds = {each.aggregation_type for each in query.aggregations}
    if kinds != {"COUNT"} or query.dimensions or query.time_interval_seconds:
        return JSONResponse({})
    return JSONResponse({"data_points": [{"metric_name": query.metric_name, "values": {"COUNT": 0.0}}]})


async def _own_queue(request: Request) -> Response:
    """Answer with a person's queue of traces to look at, which is always empty and kept nowhere."""
    query = await _read(request, _QueueQuery)
    queue = {
        "queue_id": f"rq-{query.user}",
        "experiment_id": query.experiment_id,
        "name": query.user,
        "queue_type": "USER",
        "created_by": query.user,
        "creation_time_ms": 0,
        "last_update_time_ms": 0,
        "users": [query.user],
    }
    return JSONResponse({"review_queue": queue})


async def _read(request: Request, kind: type[_Query]) -> _Query:
    body = await small_body(request, _BODY_BYTES)
    if body is None:
        raise InvalidParameterError(f"The request body is larger than {_BODY_BYTES // 1024} KiB.")
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise InvalidParameterError(f"The request body is not what this route takes: {error}.") from error
