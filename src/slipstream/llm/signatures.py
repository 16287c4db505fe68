"""The fixed signatures of `llm/v1/chat`, `llm/v1/completions` and `llm/v1/embeddings`.

Names, types and required flags of the first fields are MLflow 2's; the optional ones after them are those of
MLflow 3 and OpenAI that the engine honours.
"""

from slipstream.models.schema import (
    Array,
    ColSpec,
    DataType,
    Object,
    ParamSchema,
    ParamSpec,
    Property,
    Schema,
)
from slipstream.models.signature import ModelSignature

CHAT = "llm/v1/chat"
COMPLETIONS = "llm/v1/completions"
EMBEDDINGS = "llm/v1/embeddings"
TASKS = (CHAT, COMPLETIONS, EMBEDDINGS)

_string, _long, _double, _boolean = DataType.string, DataType.long, DataType.double, DataType.boolean


def _optional(*columns: tuple[str, DataType | Array]) -> list[ColSpec]:
    return [ColSpec(dtype, name, required=False) for name, dtype in columns]


def _message() -> Object:
    return Object(
        [Property("role", _string), Property("content", _string), Property("name", _string, required=False)]
    )


_GENERATION = (
    ("temperature", _double),
    ("max_tokens", _long),
    ("stop", Array(_string)),
    ("n", _long),
    ("stream", _boolean),
)
_NEWER = (
    ("top_p", _double),
    ("top_k", _long),
    ("frequency_penalty", _double),
    ("presence_penalty", _double),
    ("repetition_penalty", _double),
    ("seed", _long),
)
_USAGE = Object([Property(name, _long) for name in ("prompt_tokens", "completion_tokens", "total_tokens")])


def _answer(choice: list[Property]) -> Schema:
    return Schema(
        [
            ColSpec(_string, "id"),
            ColSpec(_string, "object"),
            ColSpec(_long, "created"),
            ColSpec(_string, "model"),
            ColSpec(
                Array(Object([Property("index", _long), Property("finish_reason", _string), *choice])),
                "choices",
            ),
            ColSpec(_USAGE, "usage"),
        ]
    )


def signature_of(task: str) -> ModelSignature:
    """Return a new signature for one of `TASKS`."""
    if task == CHAT:
        inputs = [ColSpec(Array(_message()), "messages"), *_optional(*_GENERATION, *_NEWER)]
        return ModelSignature(Schema(inputs), _answer([Property("message", _message())]))
    if task == COMPLETIONS:
        inputs = [ColSpec(_string, "prompt"), *_optional(*_GENERATION, *_NEWER)]
        return ModelSignature(Schema(inputs), _answer([Property("text", _string)]))
    embedding = Object(
        [Property("object", _string), Property("index", _long), Property("embedding", Array(_double))]
    )
    usage = Object([Property("prompt_tokens", _long), Property("total_tokens", _long)])
    outputs = [
        ColSpec(_string, "object"),
        ColSpec(Array(embedding), "data"),
        ColSpec(usage, "usage"),
        ColSpec(_string, "model", required=False),
    ]
    return ModelSignature(Schema([ColSpec(_string, "input")]), Schema(outputs))


def signature_of_text() -> ModelSignature:
    """Return a new signature of a prompt in and a text out; how it is generated goes into params."""
    given = [("temperature", _double), ("max_tokens", _long), *_NEWER]
    params = [ParamSpec(name, dtype, None) for name, dtype in given]
    params.append(ParamSpec("stop", _string, None, (-1,)))
    return ModelSignature(
        Schema([ColSpec(_string, "prompt")]), Schema([ColSpec(_string)]), ParamSchema(params)
    )
