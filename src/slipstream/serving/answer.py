"""What a protocol answers, before any HTTP: status, body, media type."""

import json
from typing import NamedTuple

from slipstream.errors import BadRequestError, InvalidParameterError, SchemaEnforcementError, SlipstreamError

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"


class Answer(NamedTuple):
    """One finished response."""

    status: int
    body: bytes
    media_type: str = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()


def text_answer(status: int, text: str) -> Answer:
    """Answer in plain text, as MLflow does for what it cannot even begin to read."""
    return Answer(status, text.encode(), TEXT)


def error_answer(error: SlipstreamError, stack_trace: str | None = None) -> Answer:
    """Describe an error in MLflow's JSON shape; `stack_trace` only for failures inside the model."""
    fields = {"error_code": error.code, "message": str(error)}
    if isinstance(error, SchemaEnforcementError):
        fields |= {"sqlstate": "KAM01", "error_class": "SCHEMA_ENFORCEMENT_FAILED"}
    elif isinstance(error, (BadRequestError, InvalidParameterError)):
        fields |= {"sqlstate": "KAM00", "error_class": "INVALID_PARAMETER_VALUE"}
    if stack_trace is not None:
        fields["stack_trace"] = stack_trace
    headers = ((b"retry-after", b"1"),) if error.status in (429, 503) else ()
    return Answer(error.status, json.dumps(fields).encode(), JSON, headers)
