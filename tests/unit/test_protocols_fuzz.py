"""Whatever a client sends, reading it ends in a question, an answer or an error of ours."""

import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slipstream.errors import SlipstreamError
from slipstream.llm.signatures import CHAT, EMBEDDINGS
from slipstream.models.schema import Array, ColSpec, Schema, TensorSpec
from slipstream.models.signature import ModelSignature
from slipstream.serving.protocols import PROTOCOLS
from slipstream.serving.question import Question
from slipstream.serving.served import ServedModel


class Model:
    def __init__(self, schema: Schema | None, task: str | None = None) -> None:
        signature = None if schema is None else ModelSignature(inputs=schema)
        self.metadata = SimpleNamespace(signature=signature, metadata={"task": task})

    def predict(self, data: Any, params: Any = None) -> Any:
        return data


EXAMPLES = 80  # 2,500 were tried for each protocol when this was written

MODELS = {
    "none": ServedModel(Model(None)),
    "chat": ServedModel(Model(None, CHAT)),
    "embeddings": ServedModel(Model(None, EMBEDDINGS)),
    "tensor": ServedModel(Model(Schema([TensorSpec(np.dtype("int64"), (-1, 2))]))),
    "tensors": ServedModel(
        Model(Schema([TensorSpec(np.dtype("float32"), (-1,), "a"), TensorSpec(np.dtype("str"), (-1,), "b")]))
    ),
    "doubles": ServedModel(Model(Schema([ColSpec("double", "a"), ColSpec("double", "b")]))),
    "columns": ServedModel(
        Model(
            Schema(
                [
                    ColSpec("long", "a"),
                    ColSpec("string", "b"),
                    ColSpec("float", "x", required=False),
                    ColSpec("boolean", "c", required=False),
                    ColSpec("binary", "d", required=False),
                    ColSpec("datetime", "e", required=False),
                    ColSpec(Array("double"), "f", required=False),
                    ColSpec("integer", "g", required=False),
                ]
            )
        )
    ),
    "nameless": ServedModel(Model(Schema([ColSpec("double"), ColSpec("datetime")]))),
}
NAMES = st.sampled_from(["a", "b", "c", "d", "e", "f", "g", "x", "", "é"])
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 300),
    st.sampled_from([2**31, 2**53 + 1, -(2**63), 2**63, 2**64, 10**400]),
    st.floats(),
    st.sampled_from(["", "1", "true", "AP8=", "2026-01-31T12:00:00Z", "99999-01-01", "\ud800", "nan"]),
    st.text(max_size=3),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(NAMES, inner, max_size=3)),
    max_leaves=8,
)


def often(likely: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Mostly what should be there, so that the fault is somewhere deeper."""
    return st.one_of(likely, likely, likely, VALUES)


def form(required: dict[str, Any], optional: dict[str, Any]) -> st.SearchStrategy[Any]:
    return st.fixed_dictionaries(required, optional=optional)


ROWS = st.lists(often(st.lists(SCALARS, min_size=2, max_size=2)), max_size=3)
MLFLOW = st.one_of(
    form(
        {
            "dataframe_split": often(
                form({"data": often(ROWS)}, {"columns": often(st.lists(NAMES)), "index": VALUES})
            )
        },
        {"params": VALUES},
    ),
    form({"dataframe_records": often(st.lists(st.dictionaries(NAMES, VALUES, max_size=3), max_size=3))}, {}),
    form({"inputs": often(st.dictionaries(NAMES, often(st.lists(SCALARS, max_size=3)), max_size=3))}, {}),
    form({"instances": often(st.lists(often(st.dictionaries(NAMES, SCALARS, max_size=3)), max_size=3))}, {}),
    form({}, {"inputs": VALUES, "instances": VALUES, "prompt": VALUES, "stream": VALUES}),
)
OPENAI = form(
    {},
    {
        "model": often(st.just("m")),
        "messages": often(
            st.lists(st.dictionaries(st.sampled_from(["role", "content"]), VALUES), max_size=2)
        ),
        "input": VALUES,
        "encoding_format": often(st.just("base64")),
        "stream": VALUES,
        "temperature": VALUES,
    },
)
DATATYPES = st.sampled_from(
    ["BOOL", "UINT8", "UINT64", "INT8", "INT32", "INT64", "FP16", "FP32", "FP64", "BYTES"]
)
CONTENT = st.sampled_from(["np", "pd", "str", "base64", "datetime"])
TENSORS = form(
    {
        "name": often(NAMES),
        "shape": often(st.lists(st.integers(-1, 3), max_size=3)),
        "datatype": often(DATATYPES),
        "data": often(st.lists(SCALARS, max_size=3)),
    },
    {"parameters": often(form({}, {"content_type": often(CONTENT), "binary_data_size": VALUES}))},
)
V2 = form(
    {"inputs": often(st.lists(often(TENSORS), max_size=3))},
    {
        "id": often(st.just("1")),
        "parameters": often(
            form({}, {"binary_data_output": often(st.booleans()), "content_type": often(CONTENT)})
        ),
        "outputs": often(st.lists(form({"name": often(NAMES)}, {"parameters": VALUES}), max_size=2)),
    },
)
SHAPES = {"invocations": MLFLOW, "openai": OPENAI, "v2": V2}


def check(name: str, model: str, operation: str, body: bytes, header: str | None) -> None:
    protocol = PROTOCOLS[name]
    refused = None
    try:
        question = protocol.read(MODELS[model], operation, body, header)
        if isinstance(question, Question):
            question.input()
    except SlipstreamError as error:
        refused = protocol.refusal(error)
    if refused is not None:
        assert 400 <= refused.status < 500, refused.body
        assert isinstance(json.loads(refused.body), dict)


@pytest.mark.filterwarnings("ignore::UserWarning")  # pandas, of dates in several formats
@pytest.mark.parametrize("name", SHAPES)
def test_reading_never_fails_in_another_way(name: str) -> None:
    header = {"invocations": st.just("application/json"), "openai": st.none()}.get(
        name, st.sampled_from([None, None, "0", "1", "20", "-1", "x"])
    )
    operations = st.sampled_from(sorted(PROTOCOLS[name].ROUTES.values()))

    @settings(
        derandomize=True,
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.sampled_from(sorted(MODELS)), operations, often(SHAPES[name]), header, st.binary(max_size=9))
    def run(model: str, operation: str, document: Any, header: str | None, more: bytes) -> None:
        body = json.dumps(document).encode()
        if name == "v2" and header is not None and header.isdigit():
            header, body = str(len(body) - int(header) // 20), body + more
        check(name, model, operation, body, header)

    run()


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize(
    "body", [b"", b"\xef\xbb\xbf", b"\x00", b"[" * 200_000, b'{"a":' * 200_000, b'"\xff"', b"1e999"]
)
def test_reading_garbage(name: str, body: bytes) -> None:
    header = "application/json" if name == "invocations" else None
    for operation in set(PROTOCOLS[name].ROUTES.values()):
        for model in ("none", "chat", "tensor", "columns"):
            check(name, model, operation, body, header)
