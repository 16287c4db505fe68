"""Requests to language models: every field is honoured or refused by name."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from slipstream.errors import InvalidParameterError
from slipstream.llm.messages import ChatRequest, CompletionRequest, EmbeddingRequest
from slipstream.llm.model import payloads_of
from slipstream.llm.requests import parse, parse_config, sampling_of
from slipstream.llm.sampling import Sampling

HELLO = [{"role": "user", "content": "Hello"}]


def chat(**fields: Any) -> ChatRequest:
    return parse({"messages": HELLO, **fields}, ChatRequest)


def test_what_a_request_asks_of_generation() -> None:
    request = chat(
        temperature=0.5, max_tokens=7, stop=["a", "b"], top_p=0.9, top_k=3, seed=1, frequency_penalty=1, n=2
    )
    assert sampling_of(request) == Sampling(
        temperature=0.5, max_tokens=7, stop=("a", "b"), top_p=0.9, top_k=3, seed=1, frequency_penalty=1.0
    )
    assert request.n == 2


def test_one_stop_may_be_a_text_and_max_tokens_has_a_newer_name() -> None:
    assert sampling_of(chat(stop="a", max_completion_tokens=3)) == Sampling(stop=("a",), max_tokens=3)


def test_content_may_come_in_parts() -> None:
    parts = [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]
    request = parse({"messages": [{"role": "user", "content": parts}]}, ChatRequest)
    assert request.messages[0].text() == "Hello"


@pytest.mark.parametrize("value", [None, math.nan, pd.NA, np.float64("nan")])
def test_missing_values_are_not_given(value: object) -> None:
    assert chat(max_tokens=value, temperature=value).max_tokens is None


@pytest.mark.parametrize("value", [3, 3.0, np.int64(3), np.float64(3.0)])
def test_whole_numbers_of_frames_and_arrays(value: object) -> None:
    assert chat(max_tokens=value).max_tokens == 3


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"temperatur": 1}, "Unknown field 'temperatur' (value 1). Did you mean 'temperature'?"),
        ({"zzz": [1]}, "Unknown field 'zzz' (value [1]). Known are"),
        ({"tools": [{"type": "function"}]}, "'tools' is not supported"),
        ({"logprobs": True}, "'logprobs' is not supported (value True)"),
        ({"response_format": {"type": "json_object"}}, "'response_format' is not supported"),
        ({"temperature": 2.5}, "Invalid value 2.5 for 'temperature': it goes from 0 to 2"),
        ({"temperature": math.inf}, "'temperature'"),
        ({"temperature": "hot"}, "Invalid value for 'temperature'"),
        ({"top_p": -0.1}, "'top_p'"),
        ({"presence_penalty": 3}, "'presence_penalty'"),
        ({"repetition_penalty": 0}, "'repetition_penalty'"),
        ({"max_tokens": 0}, "Invalid value 0 for 'max_tokens': it is at least 1"),
        ({"max_tokens": 1.5}, "Invalid value for 'max_tokens'"),
        ({"max_tokens": True}, "'max_tokens'"),
        ({"n": 0}, "Invalid value 0 for 'n'"),
        ({"n": 129}, "Invalid value 129 for 'n'"),
        ({"top_k": -1}, "'top_k'"),
        ({"stop": ""}, "'stop'"),
        ({"stop": ["a", ""]}, "'stop'"),
        ({"stop": [str(number) for number in range(17)]}, "'stop'"),
        ({"messages": []}, "Invalid value [] for 'messages': give at least one message"),
        ({"messages": [{"role": "user"}]}, "Invalid value for 'messages[0]'"),
        ({"messages": [{"role": "user", "content": 5}]}, "Invalid value for 'messages[0].content'"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "'messages[0].content[0]"),
        ({"messages": "Hello"}, "Invalid value for 'messages'"),
        ({"messages": None}, "missing required field `messages`"),
    ],
)
def test_refused_by_name(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidParameterError) as caught:
        chat(**fields)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "fields",
    [
        {"logprobs": False},
        {"tools": []},
        {"response_format": {"type": "text"}},
        {"user": "me"},
        {"store": False},
    ],
)
def test_fields_that_ask_for_nothing_are_taken(fields: dict[str, Any]) -> None:
    assert chat(**fields).messages[0].content == "Hello"


def test_completions_and_embeddings() -> None:
    assert parse({"prompt": ["a", "b"], "echo": True}, CompletionRequest).prompt == ["a", "b"]
    assert parse({"input": "a"}, EmbeddingRequest).input == "a"
    with pytest.raises(InvalidParameterError, match="Invalid value '' for 'prompt'"):
        parse({"prompt": ""}, CompletionRequest)
    with pytest.raises(InvalidParameterError, match="Invalid value \\[\\] for 'input'"):
        parse({"input": []}, EmbeddingRequest)
    with pytest.raises(InvalidParameterError, match="Unknown field 'temperature'"):
        parse({"input": "a", "temperature": 1}, EmbeddingRequest)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, Sampling()),
        (
            {"max_new_tokens": 5, "do_sample": False, "temperature": 0.7},
            Sampling(max_tokens=5, temperature=0.0),
        ),
        ({"do_sample": True}, Sampling(temperature=1.0)),
        ({"do_sample": True, "temperature": 0.3, "top_k": 5}, Sampling(temperature=0.3, top_k=5)),
        ({"stop": "x", "max_tokens": 3}, Sampling(stop=("x",), max_tokens=3)),
        ({"stop_strings": ["x", "y"], "seed": None}, Sampling(stop=("x", "y"))),
    ],
)
def test_model_config_in_hugging_faces_words_or_openais(config: dict[str, Any], expected: Sampling) -> None:
    assert parse_config(config) == expected


def test_a_key_of_model_config_that_means_nothing_is_refused() -> None:
    with pytest.raises(InvalidParameterError, match="'num_beams'.*Known are.*max_new_tokens"):
        parse_config({"num_beams": 4})
    with pytest.raises(InvalidParameterError, match="model_config: Invalid value for 'max_tokens'"):
        parse_config({"max_tokens": "many"})


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (HELLO, [{"messages": HELLO}]),
        ({"messages": HELLO, "n": 2}, [{"messages": HELLO, "n": 2}]),
        ([{"messages": HELLO}, {"messages": HELLO}], [{"messages": HELLO}] * 2),
        (
            pd.DataFrame({"messages": [HELLO, HELLO], "n": [1, 2]}),
            [{"messages": HELLO, "n": n} for n in (1, 2)],
        ),
    ],
)
def test_conversations_in_every_form(data: Any, expected: list[dict[str, Any]]) -> None:
    assert payloads_of(data, "messages") == expected


@pytest.mark.parametrize(
    "data", ["a", ["a"], {"prompt": "a"}, pd.DataFrame({"prompt": ["a"]}), pd.DataFrame(["a"])]
)
def test_texts_in_every_form(data: Any) -> None:
    assert payloads_of(data, "prompt") == [{"prompt": "a"}]


@pytest.mark.parametrize("data", [5, [], [5], None, [["a"]]])
def test_data_that_is_no_request(data: object) -> None:
    with pytest.raises(InvalidParameterError, match="takes a dict with 'prompt'"):
        payloads_of(data, "prompt")


def test_settings_of_a_request_win_over_defaults() -> None:
    assert Sampling(temperature=0.0).over(Sampling(temperature=1.0, top_k=5)) == Sampling(
        temperature=0.0, top_k=5
    )
