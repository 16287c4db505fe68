"""A request as a protocol understood it, before the model is asked."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from slipstream.llm.messages import ChatRequest, CompletionRequest
from slipstream.llm.model import ChatChunks, TextChunks
from slipstream.serving.answer import Answer


class Rows(msgspec.Struct, frozen=True):
    """Rows as they stand in a request, from which `make` builds the model's input."""

    make: Callable[[list[Any]], Any]
    rows: list[Any]
    like: tuple[Any, ...]
    """Only requests that are equal in this may be joined."""


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """What the model is to be asked, and how its answer is told."""

    data: Any
    params: Mapping[str, Any] | None = None
    finish: Callable[[Any], Answer]
    stream: bool = False
    rows: Rows | None = None
    """How the input can be joined with that of others before it is built; `data` is then made of it when needed."""

    def input(self) -> Any:
        """Return what goes to the model."""
        return self.data if self.rows is None else self.rows.make(self.rows.rows)


class TextQuestion(msgspec.Struct, frozen=True, kw_only=True):
    """What a language model is to generate, and how its answer is told."""

    prompts: list[list[int]]
    request: ChatRequest | CompletionRequest
    chunks: ChatChunks | TextChunks | None
    """Set if the answer is streamed."""
    finish: Callable[[list[str], list[str], int, int], Answer]
    """Takes the texts, why each ended, and the numbers of prompt and answer tokens."""
