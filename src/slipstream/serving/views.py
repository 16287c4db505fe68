"""What can be asked about the served models without asking a model."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from slipstream.serving import v2_views
from slipstream.serving.answer import Answer
from slipstream.serving.catalog import Catalog, ServedName

_encode = msgspec.json.Encoder().encode
Views = Mapping[tuple[str, str], Callable[[], Answer]]

PROBES: tuple[tuple[str, str], ...] = v2_views.PROBES
"""Views that answer without token and under any host name."""


def of(catalog: Catalog) -> Views:
    """Return the views of a catalogue, by method and path."""
    return {
        ("GET", "/v1/models"): lambda: Answer(
            200, _encode({"object": "list", "data": [_openai_model(served) for served in catalog]})
        ),
        **{("GET", f"/v1/models/{served.name}"): _model_view(served) for served in catalog},
        **v2_views.of(catalog),
    }


def _model_view(served: ServedName) -> Callable[[], Answer]:
    return lambda: Answer(200, _encode(_openai_model(served)))


def _openai_model(served: ServedName) -> dict[str, Any]:
    live = served.live
    return {
        "id": served.name,
        "object": "model",
        "created": 0 if live is None else int(live.loaded_at),
        "owned_by": "slipstream",
        "task": None if live is None else live.card.task,
        "version": None if live is None else live.source.version,
    }
