"""What runs inside each replica on Ray Serve: a model, behind the scoring protocol."""

import asyncio
from typing import Any, NamedTuple

from slipstream.client import addresses
from slipstream.flavors.pyfunc import load_model
from slipstream.serving.protocols import invocations
from slipstream.serving.served import ServedModel
from slipstream.wire.compatibility import MLFLOW_VERSION

_JSON = "application/json"


class Plan(NamedTuple):
    """What a replica needs to know; sent to it by Ray."""

    model_uri: str
    tracking_uri: str
    registry_uri: str
    trust: bool
    facts: dict[str, Any]
    """What the deployment was made with, kept for `get_deployment` and for the next update."""


class Scored(NamedTuple):
    """An answer of the protocol."""

    status: int
    body: bytes
    media_type: str


class ScoringModel:
    """The model of a plan. This class alone knows how the scoring protocol is called."""

    def __init__(self, plan: Plan) -> None:
        addresses.set_tracking_uri(plan.tracking_uri)
        addresses.set_registry_uri(plan.registry_uri)
        self._served = ServedModel(load_model(plan.model_uri, trust=plan.trust or None))

    def score(self, body: bytes, content_type: str | None) -> Scored:
        answer = invocations.answer(self._served, body, content_type)
        return Scored(answer.status, answer.body, answer.media_type)


class Replica:
    """The class that Ray Serve runs `num_replicas` times."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._model = ScoringModel(plan)

    async def __call__(self, request: Any) -> Any:
        """Answer an HTTP request, given and returned as Starlette's."""
        from starlette.responses import Response

        # Below the application's route prefix, which Serve puts into root_path.
        path: str = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
        route = (request.method, path.rstrip("/") or "/")
        if route in (("GET", "/ping"), ("GET", "/health")):
            return Response(b"\n", media_type=_JSON)
        if route == ("GET", "/version"):
            return Response(MLFLOW_VERSION, media_type=_JSON)
        if route != ("POST", "/invocations"):
            return Response(b'{"detail":"Not Found"}', status_code=404, media_type=_JSON)
        scored = await self.score(await request.body(), request.headers.get("content-type"))
        headers = {"slipstream-model-uri": self._plan.model_uri.encode("ascii", "replace").decode()}
        return Response(scored.body, status_code=scored.status, media_type=scored.media_type, headers=headers)

    async def score(self, body: bytes, content_type: str | None = _JSON) -> Scored:
        """Answer a request that comes from a handle, without HTTP."""
        # In a thread: a prediction must not keep the replica's other requests and health checks waiting.
        return await asyncio.to_thread(self._model.score, body, content_type)

    async def facts(self) -> dict[str, Any]:
        return self._plan.facts


def try_loading(plan: Plan) -> str | None:
    """Load a model as a replica would; return what went wrong, or None."""
    try:
        ScoringModel(plan)
    except Exception as error:  # noqa: BLE001  # whatever it is, it is told to the one who wants to deploy this model
        return f"{type(error).__name__}: {error}"
    return None
