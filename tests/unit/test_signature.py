"""Inferring signatures; the expected texts are those of MLflow 3.17.2 for the same data."""

import datetime as dt
import json

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_matrix

from slipstream.errors import InvalidParameterError
from slipstream.models.schema import AnyType, ColSpec, Schema
from slipstream.models.signature import ModelSignature, infer_schema, infer_signature


def _types(data):
    return [(spec.name, repr(spec.type), spec.required) for spec in infer_schema(data)]


def test_dataframe_columns():
    frame = pd.DataFrame(
        {
            "i": [1, 2],
            "f": [1.5, None],
            "s": ["x", "y"],
            "l": [[1], [2, 3]],
            "o": [{"k": 1}, {"k": 2, "m": "z"}],
            "n": pd.array([1, None], dtype="Int64"),
            "t": pd.to_datetime(["2026-01-01", "2026-01-02"]),
            "b": [True, False],
            "y": [b"1", b"2"],
            "c": pd.Categorical(["u", "v"]),
            "small": np.array([1, 2], dtype="int16"),
            "single": np.array([1, 2], dtype="float32"),
        }
    )
    assert _types(frame) == [
        ("i", "long", True),
        ("f", "double", False),
        ("s", "string", True),
        ("l", "Array(long)", True),
        ("o", "{k: long (required), m: string (optional)}", True),
        ("n", "long", False),
        ("t", "datetime", True),
        ("b", "boolean", True),
        ("y", "binary", True),
        ("c", "string", True),
        ("small", "integer", True),
        ("single", "float", True),
    ]


def test_integer_column_names_are_kept():
    assert infer_schema(pd.DataFrame([[1.0, 2.0]])).to_json() == (
        '[{"type": "double", "name": 0, "required": true}, {"type": "double", "name": 1, "required": true}]'
    )


def test_text_with_a_missing_value_is_an_optional_string():
    assert _types(pd.DataFrame({"s": ["a", None]})) == [("s", "string", False)]


def test_arrays_are_tensors_with_a_free_first_axis():
    assert infer_schema(np.zeros((5, 3), dtype="float32")).to_dict() == [
        {"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": (-1, 3)}}
    ]
    assert repr(infer_schema({"a": np.zeros((2, 2)), "b": np.array(["x"])})) == (
        "['a': Tensor('float64', (-1, 2)), 'b': Tensor('str', (-1,))]"
    )
    assert repr(infer_schema(csr_matrix(np.eye(3)))) == "[Tensor('float64', (-1, 3))]"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (pd.Series([1.0, 2.0], name="x"), "['x': double (required)]"),
        (pd.Series([1.0, None]), "[double (required)]"),
        (["a", "b"], "[string (required)]"),
        ("text", "[string (required)]"),
        (1.5, "[double (required)]"),
        (b"raw", "[binary (required)]"),
        (dt.datetime(2026, 1, 1), "[datetime (required)]"),  # noqa: DTZ001
        ([[1, 2], []], "[Array(long) (required)]"),
        ({"x": [1], "y": None}, "['x': Array(long) (required), 'y': Any (optional)]"),
        ([{"q": "a"}, {"q": "b", "n": 1}], "['q': string (required), 'n': long (optional)]"),
        ([], "[string (required)]"),
    ],
)
def test_json_like_data(data, expected):
    assert repr(infer_schema(data)) == expected


def test_mixed_lists_are_described_as_any_and_say_so():
    with pytest.warns(UserWarning, match="different types"):
        signature = infer_signature([1, "a"], [1.0])
    assert signature.inputs == Schema([ColSpec(AnyType())])
    assert repr(signature.outputs) == "[double (required)]"


def test_the_column_at_fault_is_named():
    with pytest.raises(InvalidParameterError, match="Column 'z'"):
        infer_schema(pd.DataFrame({"z": [1 + 2j]}))


def test_params():
    signature = infer_signature("x", params={"t": 0.5, "stop": ["a"], "n": np.int64(3), "o": {"k": 1}})
    assert json.loads(signature.params.to_json()) == [
        {"name": "t", "default": 0.5, "shape": None, "type": "double"},
        {"name": "stop", "default": ["a"], "shape": [-1], "type": "string"},
        {"name": "n", "default": 3, "shape": None, "type": "long"},
        {
            "name": "o",
            "default": {"k": 1},
            "shape": None,
            "type": "object",
            "properties": {"k": {"type": "long", "required": True}},
        },
    ]


def test_a_param_without_a_type_is_named():
    with pytest.raises(InvalidParameterError, match="param 'x'"):
        infer_signature("a", params={"x": None})


def test_a_signature_survives_its_dict():
    signature = infer_signature(pd.DataFrame({"a": [1.0]}), np.zeros(1), {"k": 1})
    assert ModelSignature.from_dict(signature.to_dict()) == signature


def test_an_empty_signature_is_refused():
    with pytest.raises(InvalidParameterError, match="At least one"):
        ModelSignature()
