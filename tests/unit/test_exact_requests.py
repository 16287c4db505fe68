"""Each form of a table in a request: every value reaches the model exactly as it was sent, or is refused by name."""

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from scoring_requests import BIG, JSON, predicted, read, served
from slipstream.errors import BadRequestError
from slipstream.models.schema import (
    AnyType,
    Array,
    ColSpec,
    Object,
    Property,
    TensorSpec,
)
from slipstream.serving.protocols import invocations

FORMS = ("split", "records", "inputs", "columns", "instances")


def of_form(form: str, values: list[object]) -> dict[str, Any]:
    rows = [{"a": value} for value in values]
    return {
        "split": {"dataframe_split": {"columns": ["a"], "data": [[value] for value in values]}},
        "records": {"dataframe_records": rows},
        "inputs": {"inputs": rows},
        "columns": {"inputs": {"a": values}},
        "instances": {"instances": rows},
    }[form]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        ("long", [BIG, None], [BIG, None]),
        ("long", [str(BIG), None], [BIG, None]),
        ("long", [BIG, 1.0], [BIG, 1]),
        ("long", [True, None], [1, None]),
        ("long", [None, None], [None, None]),
        ("integer", [5, None], [5, None]),
        ("double", [2**60, 0.5], [2.0**60, 0.5]),
        ("double", [2**70, None], [2.0**70, None]),
        ("double", ["1.5", 2], [1.5, 2.0]),
        ("float", [None, None], [None, None]),
        ("float", [2**24, 0.5], [2.0**24, 0.5]),
        ("boolean", [True, None], [True, None]),
        ("boolean", [1, 0.0], [True, False]),
        ("boolean", [1, None], [True, None]),
        ("string", ["NA", None], ["NA", None]),
        (
            "datetime",
            ["2026-01-02", "2026-01-02T03:04:05.5", "2026-01-02T03:04:05+02:00", None],
            [
                pd.Timestamp("2026-01-02"),
                pd.Timestamp("2026-01-02T03:04:05.5"),
                pd.Timestamp("2026-01-02T01:04:05"),
                None,
            ],
        ),
    ],
)
def test_values_beside_others(form: str, column: str, values: list[object], expected: list[object]) -> None:
    frame = predicted((ColSpec(column, "a", required=False),), of_form(form, values))
    assert [None if pd.isna(value) else value for value in frame["a"]] == expected


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("double", [1700000000000000001], "1700000000000000001"),
        ("double", [1700000000000000001, "1.5"], "1700000000000000001 would change"),
        ("double", ["1700000000000000001"], "1700000000000000001.* would change"),
        ("double", [BIG, None], "9007199254740993"),
        ("double", [""], "'' is no number|could not convert string to float"),
        ("float", [2**24 + 1], "16777217"),
        ("float", [2**24 + 1, 0.5], "16777217 would change"),
        ("float", [1e39], "would change"),
        ("long", [BIG, None], "required"),
        ("long", [1e18], "would change"),
        ("long", ["1_000"], "is no number"),
        ("integer", [2**31], "2147483648"),
        ("boolean", [True, None], "required"),
        ("boolean", [0.5], "0.5|no booleans"),
        ("datetime", ["01/02/2026"], r"row 0 \(value '01/02/2026'\).*ISO 8601"),
        ("datetime", [1767323045000], r"row 0 \(value 1767323045000\).*ISO 8601"),
        ("datetime", ["today"], "ISO 8601"),
    ],
)
def test_values_that_would_change_are_400(form: str, column: str, values: list[object], message: str) -> None:
    model = served(ColSpec(column, "a"))
    with pytest.raises(BadRequestError, match=f"'a'.*({message})"):
        read(model, of_form(form, values))
    answer = invocations.answer(model, json.dumps(of_form(form, values)).encode(), JSON)
    assert answer.status == 400
    assert json.loads(answer.body)["error_code"] == "BAD_REQUEST"


@pytest.mark.parametrize("form", ["split", "records"])
def test_without_a_signature_big_integers_beside_null_stay_too(form: str) -> None:
    assert read(served(), of_form(form, [BIG, None]))["a"].tolist() == [BIG, pd.NA]
    assert read(served(), of_form(form, [1e20, None]))["a"].dtype == np.float64
    assert read(served(), {"inputs": [BIG, 0.5]}).tolist() == [BIG, 0.5]


@pytest.mark.parametrize("form", ["inputs", "instances"])
@pytest.mark.parametrize(
    ("dtype", "values", "message"),
    [
        ("float64", [BIG, 0.5], "9007199254740993 would change"),
        ("float32", [1e39], "would change"),
        ("int64", [1, None], "null is no integer"),
        ("uint8", [256], "256 would change"),
    ],
)
def test_tensors_that_would_change(form: str, dtype: str, values: list[object], message: str) -> None:
    with pytest.raises(BadRequestError, match=message):
        read(served(TensorSpec(np.dtype(dtype), (-1,))), {form: values})


def test_a_tensor_of_integers_keeps_all_digits_beside_whole_floats() -> None:
    assert read(served(TensorSpec(np.dtype("int64"), (-1,))), {"inputs": [BIG, 1.0]}).tolist() == [BIG, 1]


@pytest.mark.parametrize(
    ("form", "kind"), [("split", list), ("records", list), ("inputs", np.ndarray), ("instances", np.ndarray)]
)
@pytest.mark.parametrize(
    ("items", "values", "dtype"),
    [
        ("float", [0.5, 2], "float32"),
        ("long", [1, BIG], "int64"),
        ("boolean", [True, False], "bool"),
        ("string", ["a", "bb"], "<U2"),
    ],
)
def test_lists_inside_rows(form: str, kind: type, items: str, values: list[object], dtype: str) -> None:
    """Tables keep lists; the other two forms give arrays. MLflow refuses `instances` here."""
    cell = predicted((ColSpec(Array(items), "a"),), of_form(form, [values]))["a"][0]
    assert type(cell) is kind
    assert list(cell) == values
    assert getattr(cell, "dtype", dtype) == dtype


@pytest.mark.parametrize("form", ["records", "inputs", "instances"])
@pytest.mark.parametrize(
    ("column", "values"),
    [
        (ColSpec(Object([Property("k", "long")]), "a"), [{"k": BIG}, {"k": 2}]),
        (ColSpec(AnyType(), "a"), [1, "x", None]),
        (ColSpec(Array("string"), "a", required=False), [["x", None], None]),
    ],
)
def test_rows_of_nested_values(form: str, column: ColSpec, values: list[object]) -> None:
    frame = predicted((column,), of_form(form, values))
    assert frame["a"].tolist() == values
