"""Predict for several requests at once: join their rows, ask the model once, give each its part.

What one request does wrong never reaches another: if anything about a joined prediction fails, each of its
requests is asked alone.
"""

import sys
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, cast

from slipstream.errors import BadRequestError, InternalError
from slipstream.serving.answer import Answer
from slipstream.serving.events import done as _done
from slipstream.serving.failures import failure_answer
from slipstream.serving.frames import Ask, Done, Stats
from slipstream.serving.protocols import PROTOCOLS
from slipstream.serving.question import Question

if TYPE_CHECKING:
    from slipstream.serving.served import ServedModel


def answer_together(
    model: "ServedModel", asks: Sequence[Ask], questions: Sequence[Question] | None = None
) -> list[Done]:
    """Answer every request, errors included; never raises for what a client or a model can do wrong.

    Args:
        model: the model.
        asks: the requests, in any order and of any protocols.
        questions: the same requests, if they were read already.
    """
    done: list[Done] = []
    groups: dict[Any, list[tuple[Ask, Question]]] = {}
    for number, ask in enumerate(asks):
        question = questions[number] if questions is not None else _read(model, ask)
        if not isinstance(question, Question):
            done.append(_done(ask, question))
            continue
        key = ask.id if question.params else _like(question, ask.id)
        groups.setdefault(key, []).append((ask, question))
    for group in groups.values():
        together = _predict_joined(model, group) if len(group) > 1 else None
        done += [_predict_alone(model, *one) for one in group] if together is None else together
    return done


def _read(model: "ServedModel", ask: Ask) -> Question | Answer:
    protocol = PROTOCOLS[ask.protocol]
    try:
        question = protocol.read(model, ask.operation, ask.body, ask.header)
        if isinstance(question, (Question, Answer)):
            if isinstance(question, Question) and question.stream:
                raise BadRequestError("This model does not stream. Leave out 'stream'.")  # noqa: TRY301
            return question
        raise InternalError("A question for a text engine came to a model that has none.")  # noqa: TRY301
    except Exception as error:  # noqa: BLE001  # logged there, if it is the server's fault
        return failure_answer(protocol.refusal, error)


def _like(question: Question, alone: int) -> Any:
    """Return what questions that can be joined have in common."""
    if question.rows is not None:
        return question.rows.like
    numpy: Any = sys.modules.get("numpy")
    data = question.data
    if numpy is not None and isinstance(data, numpy.ndarray) and data.ndim and data.dtype.kind != "O":
        return ("array", data.dtype.str, data.shape[1:])
    return alone


def _predict_joined(model: "ServedModel", group: list[tuple[Ask, Question]]) -> list[Done] | None:
    """Predict for all in one call; None if they must be asked one by one."""
    first = group[0][1]
    try:
        if first.rows is not None:
            parts: list[Any] = [question.rows.rows for _, question in group if question.rows is not None]
            joined = first.rows.make([row for part in parts for row in part])
        else:
            parts = [question.data for _, question in group]
            joined = sys.modules["numpy"].concatenate(parts)
        counts = [len(part) for part in parts]
        began = time.perf_counter()
        result = model.predict(joined, None)
        seconds = time.perf_counter() - began
        cut = _cutter(result, sum(counts))
        if cut is None:
            return None
        done: list[Done] = []
        start = 0
        for (ask, question), count in zip(group, counts, strict=True):
            answer = question.finish(cut(start, start + count))
            done.append(_done(ask, answer, Stats(joined=len(group), seconds=seconds)))
            start += count
        return done
    except Exception:  # noqa: BLE001  # each is asked alone now, and the guilty one is told
        return None


def _cutter(result: Any, rows: int) -> Callable[[int, int], Any] | None:
    """Return how to cut a result into rows; None if it has not one entry for each row."""
    pandas: Any = sys.modules.get("pandas")
    if pandas is not None and isinstance(result, (pandas.DataFrame, pandas.Series)):
        if len(result) != rows:
            return None
        # The index of a part begins at 0, as it does when a request is answered alone.
        return lambda start, end: result.iloc[start:end].reset_index(drop=True)
    numpy: Any = sys.modules.get("numpy")
    is_array = numpy is not None and isinstance(result, numpy.ndarray) and result.ndim
    if is_array or isinstance(result, list):
        entries = cast("Sequence[Any]", result)
        return (lambda start, end: entries[start:end]) if len(entries) == rows else None
    return None


def _predict_alone(model: "ServedModel", ask: Ask, question: Question) -> Done:
    try:
        data = question.input()
        began = time.perf_counter()
        result = model.predict(data, question.params)
        stats = Stats(seconds=time.perf_counter() - began)
        return _done(ask, question.finish(result), stats)
    except BaseException as error:  # noqa: BLE001  # sys.exit() in a model must not end the worker
        return _done(ask, failure_answer(PROTOCOLS[ask.protocol].refusal, error))
