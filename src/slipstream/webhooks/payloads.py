"""What a delivery says, in MLflow's shape, and an example of each event."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime

from slipstream.entities import WebhookEvent


def body(event: WebhookEvent, data: Mapping[str, object]) -> str:
    """Return the body of a delivery; its time is now."""
    return json.dumps(
        {
            "entity": event.entity,
            "action": event.action,
            "timestamp": datetime.now(UTC).isoformat(),
            "data": data,
        }
    )


_TAG = {"key": "example_key", "value": "example_value"}
_TAGS = {"example_key": "example_value"}
_MODEL = {"name": "example_model"}
_PROMPT = {"name": "example_prompt"}
_FIRST = {"version": "1"}
_ALIAS = {"alias": "example_alias"}
_KEY = {"key": "example_key"}

EXAMPLES: dict[tuple[str, str], Mapping[str, object]] = {
    ("registered_model", "created"): {**_MODEL, "tags": _TAGS, "description": "Sent by a test of a webhook"},
    ("model_version", "created"): {
        **_MODEL,
        **_FIRST,
        "source": "models:/m-0123456789abcdef0123456789abcdef",
        "run_id": "0123456789abcdef0123456789abcdef",
        "tags": _TAGS,
        "description": "Sent by a test of a webhook",
    },
    ("model_version_tag", "set"): {**_MODEL, **_FIRST, **_TAG},
    ("model_version_tag", "deleted"): {**_MODEL, **_FIRST, **_KEY},
    ("model_version_alias", "created"): {**_MODEL, **_ALIAS, **_FIRST},
    ("model_version_alias", "deleted"): {**_MODEL, **_ALIAS},
    ("prompt", "created"): {**_PROMPT, "tags": _TAGS, "description": "Sent by a test of a webhook"},
    ("prompt_version", "created"): {
        **_PROMPT,
        **_FIRST,
        "template": "Greet {{name}}.",
        "tags": _TAGS,
        "description": "Sent by a test of a webhook",
    },
    ("prompt_tag", "set"): {**_PROMPT, **_TAG},
    ("prompt_tag", "deleted"): {**_PROMPT, **_KEY},
    ("prompt_version_tag", "set"): {**_PROMPT, **_FIRST, **_TAG},
    ("prompt_version_tag", "deleted"): {**_PROMPT, **_FIRST, **_KEY},
    ("prompt_alias", "created"): {**_PROMPT, **_ALIAS, **_FIRST},
    ("prompt_alias", "deleted"): {**_PROMPT, **_ALIAS},
    ("budget_policy", "exceeded"): {
        "budget_policy_id": "example_policy",
        "budget_unit": "USD",
        "budget_amount": 100.0,
        "current_spend": 105.5,
        "duration_unit": "MONTHS",
        "duration_value": 1,
        "target_scope": "WORKSPACE",
        "workspace": "default",
        "target_value": None,
        "window_start": 1704067200000,
    },
}
