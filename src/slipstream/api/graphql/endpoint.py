"""The route `/graphql`. It answers 200 whatever happens; errors are texts in the answer, as MLflow has them."""

import json
from typing import Any, cast

import msgspec

from slipstream.api.graphql.execution import execute
from slipstream.api.routing import Permission, Request, route
from slipstream.store.base import Store


class GraphQL(Request, kw_only=True):
    """Names as GraphQL clients send them; values of variables stay as they are."""

    query: str = ""
    variables: dict[str, Any] | str | None = None
    operationName: str | None = None  # noqa: N815  # the name on the wire: nothing here has two spellings


class GraphQLResponse(msgspec.Struct, frozen=True):
    data: dict[str, Any] | None
    errors: list[str] | None


def _lists_files(req: GraphQL) -> bool:
    return "mlflowListArtifacts" in req.query


@route("POST", "/graphql", permission=Permission.READ, also=("GET",), lists_files=_lists_files)
def graphql(store: Store, req: GraphQL) -> GraphQLResponse:
    """Answer a GraphQL query: runs, experiments, model versions, metric histories, files, data sets."""
    variables: Any = req.variables or {}
    if isinstance(variables, str):  # in a URL they are JSON in a text
        try:
            variables = json.loads(variables)
        except (ValueError, RecursionError) as error:
            return GraphQLResponse(None, [f"The variables are no JSON: {error}"])
    if not isinstance(variables, dict):
        return GraphQLResponse(None, ["The variables must be a JSON object."])
    data, errors = execute(store, req.query, cast("dict[str, Any]", variables), req.operationName)
    return GraphQLResponse(data, errors or None)
