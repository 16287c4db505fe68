"""Scoring protocols: one file each, all with the same names inside.

The edge uses `ROUTES`, `BODY_HEADER`, `choose`, `refusal`, `error_event`; worker processes use `read`, `event`, `LAST_EVENT` and
`refusal`. So a protocol's file imports no library of a model but inside of functions.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeAlias, cast

from slipstream.errors import SlipstreamError
from slipstream.serving.answer import Answer
from slipstream.serving.protocols import invocations, openai, v2
from slipstream.serving.question import Question, TextQuestion

if TYPE_CHECKING:
    from slipstream.serving.served import ServedModel


Read: TypeAlias = Question | TextQuestion | Answer


class ScoringProtocol(Protocol):
    """What a module in this package is."""

    NAME: str
    ROUTES: Mapping[tuple[str, str], str]
    """Method and path of each request that a model answers, and what `read` calls it. `{model}` in a path stands for
    the name of a model; without it, `choose` says which is meant. After `/versions/`, `{version}` stands for a
    number: only that version may answer."""
    BODY_HEADER: bytes
    """The header that tells how a request's body is to be read; its value is the last argument of `read`."""
    LAST_EVENT: bytes
    """Ends an answer that comes in pieces."""

    def choose(self, body: bytes) -> str | None:
        """Return the model that a request's body names, or None."""
        ...

    def read(self, model: "ServedModel", operation: str, body: bytes, header: str | None, /) -> Read:
        """Understand a request; an `Answer` is for what need not ask the model.

        Raises:
            SlipstreamError: it cannot be understood.
        """
        ...

    def refusal(self, error: SlipstreamError, stack_trace: str | None = None) -> Answer:
        """Return the answer that tells of an error."""
        ...

    def event(self, part: Any) -> bytes:
        """Return a part of an answer as it is streamed."""
        ...

    def error_event(self, error: SlipstreamError) -> bytes:
        """Return what tells of an error in the midst of a stream."""
        ...


class Route(NamedTuple):
    """One entry of the edge's table."""

    protocol: ScoringProtocol
    operation: str


PROTOCOLS: Mapping[str, ScoringProtocol] = {
    module.NAME: cast("ScoringProtocol", module)
    for module in cast("Sequence[Any]", (invocations, openai, v2))
}
