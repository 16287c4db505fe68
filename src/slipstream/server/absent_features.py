"""Answers about what MLflow's pages and clients look for and this server has not: workspaces, and telemetry of pages.

Without them the pages would report errors, and ask again and again.
"""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from slipstream.api.server_info import AJAX3, API3

_NO_WORKSPACES = "This server has no workspaces. Leave MLFLOW_WORKSPACE unset."


def absent_feature_routes() -> list[Route]:
    """Return the routes of this file."""
    routes = [Route(AJAX3 + "ui-telemetry", _telemetry, methods=["GET", "POST"])]
    endpoint: Callable[[Request], Awaitable[Response]] = _workspaces
    for base in (API3, AJAX3):
        routes.append(Route(base + "workspaces", endpoint, methods=["GET", "POST"]))
        routes.append(Route(base + "workspaces/{name}", endpoint, methods=["GET", "PATCH", "DELETE"]))
    return routes


async def _workspaces(request: Request) -> Response:
    return HTMLResponse(_NO_WORKSPACES, 503)


async def _telemetry(request: Request) -> Response:
    """Tell pages to report nothing; whatever they report all the same is dropped unread."""
    if request.method == "POST":
        return JSONResponse({"status": "disabled"})
    return JSONResponse({"disable_ui_events": [], "disable_ui_telemetry": True, "ui_rollout_percentage": 0})
