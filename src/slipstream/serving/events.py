"""Finished answers as a worker sends them, none of them too long for its frame."""

from slipstream.errors import InternalError
from slipstream.serving.answer import Answer
from slipstream.serving.frames import MOST_ANSWER_BYTES, Ask, Done, Piece, Stats
from slipstream.serving.protocols import PROTOCOLS


def done(ask: Ask, answer: Answer, stats: Stats | None = None) -> Done:
    """Return a whole answer as an event; one that is too long becomes an error that says so."""
    if len(answer.body) > MOST_ANSWER_BYTES:
        answer = PROTOCOLS[ask.protocol].refusal(_too_long(len(answer.body)))
    return Done(ask.id, answer.status, answer.body, answer.media_type, answer.headers, stats or Stats())


def piece(ask: Ask, data: bytes) -> Piece:
    """Return a part of an answer as an event.

    Raises:
        InternalError: it is too long.
    """
    if len(data) > MOST_ANSWER_BYTES:
        raise _too_long(len(data))
    return Piece(ask.id, data)


def _too_long(length: int) -> InternalError:
    return InternalError(
        f"The model's answer has {length:,} bytes; the server sends {MOST_ANSWER_BYTES:,} at most in one. "
        "Ask for fewer rows at once."
    )
