"""Ask a deployed model by the scoring protocol: inputs to a body, an answer to a response or an error."""

import json
from typing import Any, cast

from slipstream import settings
from slipstream.deployments.predictions import PredictionsResponse
from slipstream.errors import (
    BadRequestError,
    ConnectionFailedError,
    ExecutionError,
    InvalidParameterError,
    UnauthenticatedError,
)
from slipstream.serving.encoding import encode

JSON = "application/json"
PROTOCOL_KEYS = frozenset(
    {"dataframe_records", "dataframe_split", "inputs", "instances", "messages", "prompt", "input"}
)
_OK = 200
_SHOWN = 500


def request_body(inputs: Any) -> bytes:
    """Return the JSON of a scoring request.

    Args:
        inputs: a pandas frame, an object of the protocol (such as `{"dataframe_split": ...}`, `{"messages": ...}`),
            or anything else, which goes under the key `inputs`.
    """
    if inputs is None:
        raise InvalidParameterError("inputs must be given: a frame, an array, a list or a dict")
    given = inputs
    if isinstance(inputs, dict) and not PROTOCOL_KEYS.isdisjoint(cast("dict[str, Any]", inputs)):
        return encode(cast("dict[str, Any]", inputs), wrapped=False)
    if type(given).__name__ == "DataFrame" and hasattr(given, "to_dict"):
        split: dict[str, Any] = given.to_dict(orient="split")
        return encode({"dataframe_split": {key: split[key] for key in ("columns", "data")}}, wrapped=False)
    return encode({"inputs": given}, wrapped=False)


def read_answer(status: int, body: bytes, where: str) -> PredictionsResponse:
    """Return the response of a deployed model.

    Raises:
        BadRequestError: it refused the request.
        UnauthenticatedError: it wants a token.
        ExecutionError: it failed.
    """
    if status == _OK:
        return PredictionsResponse.of_any_model(body)
    message = f"{where} answered {status}: {_reason(body)}"
    if status in (401, 403):
        raise UnauthenticatedError(f"{message} Set SLIPSTREAM_SERVER_TOKEN to the server's token.")
    if 400 <= status < 500:
        raise BadRequestError(message)
    raise ExecutionError(message)


def ask(url: str, inputs: Any) -> PredictionsResponse:
    """Ask the scoring server at a URL; SLIPSTREAM_SERVER_TOKEN is sent if it is set."""
    import urllib3

    if not url.startswith(("http://", "https://")):
        raise InvalidParameterError(f"endpoint must be an http:// or https:// address, got '{url}'")
    headers = {"Content-Type": JSON}
    token = settings.SERVER_TOKEN.get()
    if token:
        headers["Authorization"] = f"Bearer {token}"
    address = url.rstrip("/")
    address = address if address.endswith("/invocations") else f"{address}/invocations"
    timeout = urllib3.Timeout(settings.HTTP_REQUEST_TIMEOUT.get())
    with urllib3.PoolManager(timeout=timeout, retries=False) as pool:
        try:
            # Not redirected: the token is meant for this server only.
            answer = pool.request("POST", address, body=request_body(inputs), headers=headers, redirect=False)
        except urllib3.exceptions.HTTPError as error:
            raise ConnectionFailedError(f"The scoring server at {url} does not answer: {error}") from error
    return read_answer(answer.status, answer.data, f"The scoring server at {url}")


def _reason(body: bytes) -> str:
    text = body.decode("utf-8", "replace").strip()
    try:
        message = json.loads(text)["message"]
    except (ValueError, KeyError, TypeError):
        return text[:_SHOWN]
    return str(message)
