"""One request of the API from its handler's declaration: path, method and types are read from the route."""

import functools
import json
import math
import re
from collections.abc import Callable
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from slipstream.api.routing import OWN, ROUTES, Encoded, Request, Route
from slipstream.client.transport import Transport
from slipstream.entities import Metric
from slipstream.errors import EndpointNotFoundError, InvalidParameterError
from slipstream.wire.numbers import LARGEST

RequestT = TypeVar("RequestT", bound=Request)
ResponseT = TypeVar("ResponseT")

_PATH_PARAMETER = re.compile(r"\{(\w+)\}")
_PUBLIC = "/api/"
_ROUTE_OF_ALL = "/api/2.0/mlflow/experiments/search"


class RestCalls:
    """Asks one server. Thread-safe."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    @functools.cached_property
    def own_features(self) -> frozenset[str]:
        """What the server has beyond MLflow's routes: nothing, if it is MLflow's. Asked for once.

        Raises:
            EndpointNotFoundError: nothing of a tracking server answers, such as a proxy whose server is just being replaced.
        """
        try:
            answer = self._transport.call("GET", f"{OWN}server-info")
        except EndpointNotFoundError:
            self._transport.call("GET", _ROUTE_OF_ALL, query=[("max_results", "1")])
            try:  # it may have come up between the two questions
                answer = self._transport.call("GET", f"{OWN}server-info")
            except EndpointNotFoundError:
                return frozenset()
        try:
            return frozenset(json.loads(answer)["features"])
        except (ValueError, KeyError, TypeError):
            return frozenset()

    def _ask(self, handler: Callable[[Any, RequestT], ResponseT | Encoded], request: RequestT) -> ResponseT:
        """Have the server run a handler, and return what it returns or raise what it raises."""
        route = _route_of(handler)
        query: list[tuple[str, str]] = []
        content: bytes | None = None
        try:
            body: dict[str, Any] = {
                name: value for name, value in msgspec.to_builtins(request).items() if value is not None
            }
            path = _PATH_PARAMETER.sub(lambda match: _quoted(str(body[match[1]])), route.path)
            if route.method == "GET":
                for name in _PATH_PARAMETER.findall(route.path):
                    del body[name]
                query = _to_query(body)
                urlencode(query)
            else:
                content = msgspec.json.encode(_spell_numbers(body))
        except (UnicodeEncodeError, TypeError, OverflowError) as error:
            # What users pass is checked before; this is for what comes in other ways, such as a filter.
            raise _not_storable(request) from error
        answer = self._transport.call(route.method, path, query=query, body=content)
        return _decoder(route).decode(answer or b"{}")


def restore_infinities(points: list[Metric]) -> list[Metric]:
    """Put infinities back in place, and return the list.

    MLflow's wire has no infinity in answers: servers write the largest double. Nobody measures that, so a script
    gets from a server what it gets in process.
    """
    for index, point in enumerate(points):
        if abs(point.value) == LARGEST:
            points[index] = msgspec.structs.replace(point, value=math.copysign(math.inf, point.value))
    return points


def path_of(handler: Callable[[Any, Any], Any]) -> str:
    """Return the path that scripts ask for a handler."""
    return _route_of(handler).path


def _quoted(text: str) -> str:
    """Return a text as one segment of a path, which neither a slash nor dots in it make another path."""
    return text.replace(".", "%2E") if text in (".", "..") else quote(text, safe="")


def _not_storable(request: Request) -> InvalidParameterError:
    for name in request.__struct_fields__:
        value = getattr(request, name)
        try:
            msgspec.json.encode(value)
        except (UnicodeEncodeError, TypeError, OverflowError) as error:
            return InvalidParameterError(
                f"Invalid value {ascii(value)[:100]} for '{name}': it cannot be sent ({error}). Use plain numbers "
                "and valid Unicode texts."
            )
    return InvalidParameterError(f"{type(request).__name__} holds what cannot be sent.")


@functools.cache
def _route_of(handler: Callable[[Any, Any], Any]) -> Route:
    routes = [route for route in ROUTES.values() if route.handler is handler]
    # The one that scripts use; the other prefix is for the web pages, and a few routes have only that.
    return next((route for route in routes if route.path.startswith(_PUBLIC)), routes[0])


@functools.cache
def _decoder(route: Route) -> "msgspec.json.Decoder[Any]":
    return msgspec.json.Decoder(route.response_type, strict=False)


def _to_query(body: dict[str, Any]) -> list[tuple[str, str]]:
    pairs: list[tuple[str, str]] = []
    for name, value in body.items():
        for each in value if isinstance(value, list) else [value]:  # pyright: ignore[reportUnknownVariableType]
            text = str(each).lower() if isinstance(each, bool) else str(each)  # pyright: ignore[reportUnknownArgumentType]
            pairs.append((name, text))
    return pairs


def _spell_numbers(body: dict[str, Any]) -> dict[str, Any]:
    """Write NaN and infinities as texts where requests have them: in metrics; JSON has no token for them."""
    points: list[dict[str, Any]] = [each for each in body.get("metrics", ()) if isinstance(each, dict)]
    for point in (body, *points):
        value = point.get("value")
        if isinstance(value, float) and not math.isfinite(value):
            point["value"] = "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    return body
