"""How what went wrong with a request is told, by every protocol and wherever the model runs."""

import logging
import traceback
from collections.abc import Callable
from typing import TypeAlias

from slipstream.errors import BadRequestError, InternalError, SlipstreamError
from slipstream.serving.answer import Answer

Refusal: TypeAlias = Callable[[SlipstreamError, str | None], Answer]
"""A protocol's `refusal`: its way to tell of an error, with the stack trace if the model's code failed."""

_logger = logging.getLogger("slipstream.serving")


class ModelFailedError(BadRequestError):
    """The model's own code raised something on a request; most often the input is not what it was made for."""

    def __init__(self, error: Exception) -> None:
        super().__init__(
            f"The model raised {described(error)}. Check that the input is what the model was made for."
        )
        self.stack_trace = "".join(traceback.format_exception(error))


def described(error: BaseException) -> str:
    """Return an exception's type and text; never raises, though the exception's own `__str__` may."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception as second:  # noqa: BLE001  # a model's exception may do anything when asked for its text
        return f"{type(error).__name__} (asked for its text, it raised {type(second).__name__})"


def explain(error: BaseException) -> SlipstreamError:
    """Return what the client is told of an error; what the server's owner should know goes to the log."""
    if isinstance(error, ModelFailedError):
        _logger.error("The model failed on a request", exc_info=error)
        return error
    if isinstance(error, SlipstreamError):
        if error.status >= 500:
            _logger.error("A request failed", exc_info=error)
        return error
    if isinstance(error, Exception):
        _logger.error("A request failed", exc_info=error)
        return InternalError("The server failed on this request; its log tells why.")
    _logger.error("The model tried to end the server", exc_info=error)  # sys.exit() in a model
    return InternalError(f"The model raised {type(error).__name__}.")


def failure_answer(refusal: Refusal, error: BaseException) -> Answer:
    """Return the answer that tells of an error, as `explain` does."""
    told = explain(error)
    return refusal(told, told.stack_trace if isinstance(told, ModelFailedError) else None)
