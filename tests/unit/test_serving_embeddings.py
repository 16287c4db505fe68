"""`/v1/embeddings` of models of somebody's own making: whatever they answer, and keep."""

import base64
import json
import struct
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from slipstream.errors import InternalError
from slipstream.serving.protocols import openai
from slipstream.serving.question import Question
from slipstream.serving.served import ServedModel


def embed(answer: dict[str, Any], form: str) -> Any:
    """Return what a client gets of a model's answer."""
    metadata = SimpleNamespace(signature=None, metadata={"task": openai.EMBEDDINGS})
    model: Any = SimpleNamespace(metadata=metadata, predict=lambda _data, _params=None: answer)
    body = json.dumps({"input": "a", "encoding_format": form}).encode()
    question = openai.read(ServedModel(model), openai.EMBEDDINGS, body, None)
    assert isinstance(question, Question)
    return json.loads(question.finish(answer).body)["data"]


def of(*values: Any) -> dict[str, Any]:
    return {"object": "list", "data": [{"index": 0, "embedding": list(values)}]}


def test_an_answer_that_the_model_keeps_stays_as_it_is() -> None:
    kept = of(0.25, 0.5)
    packed = base64.b64encode(struct.pack("<2f", 0.25, 0.5)).decode()
    for _ in range(2):
        assert embed(kept, "base64")[0]["embedding"] == packed
        assert embed(kept, "float")[0]["embedding"] == [0.25, 0.5]


def test_an_array_is_packed_too() -> None:
    answer = {"data": [{"index": 0, "embedding": np.array([0.25, 0.5], dtype=np.float32)}]}
    assert embed(answer, "base64") == embed(of(0.25, 0.5), "base64")


@pytest.mark.parametrize("value", [1e300, None, "x"])
def test_what_base64_cannot_have_is_told(value: Any) -> None:
    with pytest.raises(InternalError, match="no base64 form .* encoding_format 'float'"):
        embed(of(value), "base64")


@pytest.mark.parametrize("data", [["x"], 3])
def test_an_answer_of_another_shape_comes_as_it_is(data: Any) -> None:
    assert embed({"data": data}, "base64") == data
