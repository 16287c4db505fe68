"""From what a caller gives to a typed request: every field is honoured or refused by its name, none is ignored."""

import difflib
import math
from collections.abc import Mapping
from typing import Any, TypeVar, cast

import msgspec

from slipstream.errors import InvalidParameterError
from slipstream.llm.messages import ChatRequest, CompletionRequest, EmbeddingRequest
from slipstream.llm.sampling import Sampling

Request = ChatRequest | CompletionRequest | EmbeddingRequest
T = TypeVar("T", bound=Request)

MOST_ANSWERS = 128
MOST_STOPS = 16
_NO_EFFECT: Mapping[str, tuple[object, ...]] = {
    "logprobs": (False, 0),
    "top_logprobs": (0,),
    "logit_bias": ({},),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "functions": ([],),
    "response_format": ({"type": "text"},),
    "best_of": (1,),
    "suffix": ("",),
    "modalities": (["text"],),
    "custom_inputs": ({},),
    "parallel_tool_calls": (True, False),
    "store": (False,),
    "service_tier": ("auto", "default"),
    "dimensions": (),
}
"""Fields of OpenAI's API that are refused, and the values that ask for nothing: these are taken."""

_WHOLE = frozenset({"max_tokens", "max_completion_tokens", "n", "top_k", "seed"})


def parse(payload: Mapping[str, Any], kind: type[T]) -> T:
    """Return a request from JSON-like values.

    Raises:
        InvalidParameterError: a field is missing, unknown, not supported, of a wrong type or out of range; its name
            and value are in the message.
    """
    try:
        fields = {str(name): _plain(value) for name, value in payload.items()}
    except RecursionError as error:
        raise InvalidParameterError(
            "The request is nested too deeply: lists and objects in one another, hundreds of times."
        ) from error
    fields = {name: value for name, value in fields.items() if value is not None}
    for name in _WHOLE & fields.keys():
        # A column of a DataFrame in which one row has no value holds floats.
        if isinstance(fields[name], float) and fields[name].is_integer():
            fields[name] = int(fields[name])
    known = set(kind.__struct_fields__)
    for name in sorted(set(fields) - known):
        if name in _NO_EFFECT:
            if fields[name] not in _NO_EFFECT[name]:
                raise InvalidParameterError(
                    f"The field '{name}' is not supported (value {_shown(fields[name])}). Leave it out."
                )
            del fields[name]
            continue
        close = difflib.get_close_matches(name, known, 1)
        hint = f" Did you mean '{close[0]}'?" if close else f" Known are {', '.join(sorted(known))}."
        raise InvalidParameterError(f"Unknown field '{name}' (value {_shown(fields[name])}).{hint}")
    try:
        request = msgspec.convert(fields, kind)
    except msgspec.ValidationError as error:
        raise InvalidParameterError(_explain(str(error), fields)) from error
    _check(request)
    return request


def sampling_of(request: ChatRequest | CompletionRequest) -> Sampling:
    """Return how a request wants its answer generated."""
    longest = request.max_tokens
    if isinstance(request, ChatRequest) and request.max_completion_tokens is not None:
        longest = request.max_completion_tokens
    stop = request.stop
    return Sampling(
        max_tokens=longest,
        temperature=request.temperature,
        top_p=request.top_p,
        top_k=request.top_k,
        seed=request.seed,
        frequency_penalty=request.frequency_penalty,
        presence_penalty=request.presence_penalty,
        repetition_penalty=request.repetition_penalty,
        stop=None if stop is None else (stop,) if isinstance(stop, str) else tuple(stop),
    )


def parse_config(config: Mapping[str, Any]) -> Sampling:
    """Return the defaults that a model was logged with, from Hugging Face's names or OpenAI's.

    Raises:
        InvalidParameterError: a key means nothing here, or its value is of a wrong type.
    """
    values = {key: value for key, value in config.items() if value is not None}
    for theirs in ("max_new_tokens", "max_completion_tokens"):
        if theirs in values:
            values["max_tokens"] = values.pop(theirs)
    if "stop_strings" in values:
        values["stop"] = values.pop("stop_strings")
    sample = values.pop("do_sample", None)
    if sample is False:
        values["temperature"] = 0.0
    elif sample and not values.get("temperature"):
        values["temperature"] = 1.0
    if isinstance(values.get("stop"), str):
        values["stop"] = [values["stop"]]
    if unknown := sorted(set(values) - set(Sampling.__struct_fields__)):
        raise InvalidParameterError(
            f"model_config has the keys {unknown}, which mean nothing for text generation. Known are "
            f"{', '.join(sorted({*Sampling.__struct_fields__, 'max_new_tokens', 'do_sample', 'stop_strings'}))}."
        )
    try:
        return msgspec.convert(values, Sampling)
    except msgspec.ValidationError as error:
        raise InvalidParameterError(f"model_config: {_explain(str(error), values)}") from error


def _check(request: Request) -> None:
    if isinstance(request, EmbeddingRequest):
        _require(bool(request.input), "input", request.input, "give text, or a list of texts")
        return
    for name, least, most in (
        ("temperature", 0.0, 2.0),
        ("top_p", 0.0, 1.0),
        ("frequency_penalty", -2.0, 2.0),
        ("presence_penalty", -2.0, 2.0),
    ):
        value: float | None = getattr(request, name)
        fits = value is None or (math.isfinite(value) and least <= value <= most)
        _require(fits, name, value, f"it goes from {least:g} to {most:g}")
    for name in ("max_tokens", "max_completion_tokens"):
        value = getattr(request, name, None)
        _require(value is None or value >= 1, name, value, "it is at least 1")
    _require(request.top_k is None or request.top_k >= 0, "top_k", request.top_k, "it is at least 0")
    penalty = request.repetition_penalty
    _require(
        penalty is None or (math.isfinite(penalty) and penalty > 0),
        "repetition_penalty",
        penalty,
        "it is above 0",
    )
    _require(
        request.n is None or 1 <= request.n <= MOST_ANSWERS,
        "n",
        request.n,
        f"it goes from 1 to {MOST_ANSWERS}",
    )
    stops = request.stop if isinstance(request.stop, list) else []
    _require(len(stops) <= MOST_STOPS, "stop", stops, f"it has at most {MOST_STOPS} entries")
    _require(request.stop != "" and "" not in stops, "stop", request.stop, "an empty text would stop at once")
    if isinstance(request, ChatRequest):
        _require(bool(request.messages), "messages", [], "give at least one message")
    else:
        _require(bool(request.prompt), "prompt", request.prompt, "give some text")


def _require(fits: bool, field: str, value: object, rule: str) -> None:
    if not fits:
        raise InvalidParameterError(f"Invalid value {_shown(value)} for '{field}': {rule}.")


def _plain(value: Any) -> Any:
    """Return a value as JSON would have it: what comes out of a DataFrame is numpy's, and a missing one NaN."""
    if type(value).__module__ == "numpy":
        value = value.tolist()
    if isinstance(value, float) and math.isnan(value):
        return None
    if type(value).__name__ in ("NAType", "NaTType"):
        return None
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in cast("Mapping[Any, Any]", value).items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in cast("list[Any]", value)]
    dump: Any = getattr(value, "model_dump", None)  # a message object of the openai library
    return value if dump is None else _plain(dump(exclude_none=True))


def _explain(message: str, fields: Mapping[str, Any]) -> str:
    """Turn msgspec's message, which names a place as `$.messages[0].role`, into one with field and value."""
    text, _, place = message.partition(" - at `$.")
    if not place:
        return f"{text}."
    place = place.rstrip("`")
    name = place.partition(".")[0].partition("[")[0]
    return f"Invalid value for '{place}': {text}; '{name}' is {_shown(fields.get(name))}."


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}..."
