"""Requests and answers of language models, as OpenAI's API spells them (platform.openai.com/docs/api-reference)."""

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType


# -- requests -----------------------------------------------------------------------------------------
class TextPart(msgspec.Struct, frozen=True, tag="text", tag_field="type"):
    """One piece of a message's content. Pictures and sound are refused by their type's name."""

    text: str


class Message(msgspec.Struct, frozen=True):
    """One turn of a conversation."""

    role: str
    content: str | list[TextPart]
    name: str | None = None

    def text(self) -> str:
        return self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)


class _Generation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What chat and completion requests have in common. `null` means: not given."""

    model: str | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    frequency_penalty: float | None = None
    presence_penalty: float | None = None
    repetition_penalty: float | None = None
    stop: str | list[str] | None = None
    n: int | None = None
    stream: bool | None = None
    stream_options: "StreamOptions | None" = None
    # What clients send for accounting; it changes no answer.
    user: str | None = None
    metadata: dict[str, Any] | None = None


class StreamOptions(msgspec.Struct, frozen=True):
    include_usage: bool = False


class ChatRequest(_Generation, frozen=True, kw_only=True, forbid_unknown_fields=True):
    messages: list[Message]
    max_completion_tokens: int | None = None
    """The newer name of `max_tokens`."""


class CompletionRequest(_Generation, frozen=True, kw_only=True, forbid_unknown_fields=True):
    prompt: str | list[str]
    echo: bool | None = None


class EmbeddingRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    input: str | list[str]
    model: str | None = None
    encoding_format: Literal["float", "base64"] | None = None
    user: str | None = None


# -- answers ------------------------------------------------------------------------------------------
class Usage(msgspec.Struct, frozen=True):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class AnswerMessage(msgspec.Struct, frozen=True):
    role: str
    content: str


class ChatChoice(msgspec.Struct, frozen=True):
    index: int
    message: AnswerMessage
    finish_reason: str


class ChatCompletion(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    object: str = "chat.completion"
    created: int
    model: str
    choices: list[ChatChoice]
    usage: Usage


class TextChoice(msgspec.Struct, frozen=True):
    index: int
    text: str
    finish_reason: str | None


class TextCompletion(msgspec.Struct, frozen=True, kw_only=True):
    """A completion, and also a piece of a streamed one."""

    id: str
    object: str = "text_completion"
    created: int
    model: str
    choices: list[TextChoice]
    usage: Usage | UnsetType = UNSET


class Delta(msgspec.Struct, frozen=True, omit_defaults=True):
    role: str | None = None
    content: str | None = None


class ChunkChoice(msgspec.Struct, frozen=True):
    index: int
    delta: Delta
    finish_reason: str | None = None


class ChatChunk(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    object: str = "chat.completion.chunk"
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: Usage | UnsetType = UNSET


class Embedding(msgspec.Struct, frozen=True, kw_only=True):
    object: str = "embedding"
    index: int
    embedding: list[float] | str


class EmbeddingUsage(msgspec.Struct, frozen=True):
    prompt_tokens: int
    total_tokens: int


class EmbeddingList(msgspec.Struct, frozen=True, kw_only=True):
    object: str = "list"
    data: list[Embedding]
    model: str
    usage: EmbeddingUsage
