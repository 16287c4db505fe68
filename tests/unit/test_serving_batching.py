"""Rows of several requests in one prediction: the same answers as alone, and nobody pays for another's mistake."""

import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from slipstream.models.enforcement import enforce_schema
from slipstream.models.schema import ColSpec, DataType, Schema, TensorSpec
from slipstream.models.signature import ModelSignature
from slipstream.serving.batching import answer_together
from slipstream.serving.frames import Ask
from slipstream.serving.served import ServedModel

TENSOR = Schema([TensorSpec(np.dtype("float64"), (-1, 2))])
TABLE = Schema([ColSpec(DataType.double, "a"), ColSpec(DataType.long, "b"), ColSpec(DataType.string, "c")])
OPTIONAL = Schema([ColSpec(DataType.double, "a"), ColSpec(DataType.long, "b", required=False)])


class Model:
    """Counts its calls; predicts the sum of each row's numbers."""

    joins_rows = True

    def __init__(self, schema: Schema | None, kind: str = "array") -> None:
        self.metadata = SimpleNamespace(signature=None if schema is None else ModelSignature(inputs=schema))
        self.calls: list[int] = []
        self._kind = kind
        self._schema = schema

    def predict(self, data: Any, params: Any = None) -> Any:
        if self._schema is not None:
            data = enforce_schema(data, self._schema)
        self.calls.append(len(data))
        numbers = data.select_dtypes("number").to_numpy() if isinstance(data, pd.DataFrame) else data
        if np.any(numbers == 13):
            raise ValueError("13 brings bad luck")
        sums = numbers.sum(axis=1)
        match self._kind:
            case "frame":
                return pd.DataFrame({"sum": sums})
            case "series":
                return pd.Series(sums, name="sum")
            case "list":
                return sums.tolist()
            case "one":
                return np.array([sums.sum()])
            case _:
                return sums


def ask(number: int, document: object) -> Ask:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return Ask(number, "invocations", "invocations", "application/json", body)


def answers(model: Model, documents: list[Any]) -> dict[int, tuple[int, Any]]:
    served = ServedModel(model)
    done = answer_together(served, [ask(number, document) for number, document in enumerate(documents)])
    return {one.id: (one.status, json.loads(one.body)) for one in done}


def split(*rows: list[Any]) -> dict[str, Any]:
    return {"dataframe_split": {"columns": ["a", "b", "c"], "data": list(rows)}}


@pytest.mark.parametrize("kind", ["array", "list", "series", "frame"])
@pytest.mark.parametrize(
    ("schema", "documents"),
    [
        (TENSOR, [{"inputs": [[1, 2]]}, {"inputs": [[3, 4], [5, 6]]}, {"instances": [[7, 8]]}]),
        (TABLE, [split([1, 2, "x"]), split([3, 4, "y"], [5, 6, "z"])]),
        (
            TABLE,
            [
                {"dataframe_records": [{"a": 1, "b": 2, "c": "x"}]},
                {"dataframe_records": [{"a": 3, "b": 4, "c": "y"}, {"a": 5, "b": 6, "c": "z"}]},
            ],
        ),
    ],
)
def test_joined_requests_get_what_they_would_get_alone(
    kind: str, schema: Schema, documents: list[Any]
) -> None:
    model = Model(schema, kind)
    together = answers(model, documents)
    assert len(model.calls) == 1
    alone = {number: answers(Model(schema, kind), [document])[0] for number, document in enumerate(documents)}
    assert together == alone
    assert all(status == 200 for status, _ in together.values())


def test_a_model_that_does_not_answer_row_by_row_is_asked_for_each_alone() -> None:
    model = Model(TENSOR, "one")
    assert answers(model, [{"inputs": [[1, 2]]}, {"inputs": [[3, 4]]}]) == {
        0: (200, {"predictions": [3.0]}),
        1: (200, {"predictions": [7.0]}),
    }
    assert model.calls == [2, 1, 1]


@pytest.mark.parametrize(
    "bad",
    [
        {"inputs": [[13, 2]]},
        {"inputs": [[1, 2, 3]]},
        {"inputs": [["x", 2]]},
        {"inputs": [[1]], "instances": [[1]]},
        {"what": 1},
        b"nonsense",
        [1, 2],
    ],
)
def test_one_bad_request_costs_the_others_nothing(bad: Any) -> None:
    got = answers(Model(TENSOR), [{"inputs": [[1, 2]]}, bad, {"inputs": [[3, 4]]}])
    assert got[0] == (200, {"predictions": [3.0]})
    assert got[2] == (200, {"predictions": [7.0]})
    assert got[1][0] == 400
    assert got[1] == answers(Model(TENSOR), [bad])[0] or "stack_trace" in got[1][1]


def test_a_missing_column_is_told_to_who_left_it_out() -> None:
    model = Model(TABLE)
    got = answers(
        model,
        [
            {"dataframe_records": [{"a": 1, "b": 2, "c": "x"}]},
            {"dataframe_records": [{"a": 1, "b": 2}]},
            {"dataframe_records": [{"a": 1, "b": None, "c": "x"}]},
            split([1, 2]),
        ],
    )
    assert [got[number][0] for number in range(4)] == [200, 400, 400, 400]
    assert "['c']" in got[1][1]["message"]


def test_columns_in_another_order_are_not_mixed_up() -> None:
    model = Model(TABLE)
    swapped = {"dataframe_split": {"columns": ["b", "a", "c"], "data": [[20, 1.5, "x"]]}}
    got = answers(model, [split([1.5, 20, "x"]), swapped])
    assert got[0] == got[1] == (200, {"predictions": [21.5]})


def test_requests_that_may_leave_values_out_are_read_each_by_itself() -> None:
    model = Model(OPTIONAL)
    big = 2**53 + 1
    got = answers(
        model,
        [
            {"dataframe_records": [{"a": 1, "b": big}]},
            {"dataframe_records": [{"a": 1.0, "b": 2}]},
        ],
    )
    assert len(model.calls) == 2
    assert [status for status, _ in got.values()] == [200, 200]


def test_params_keep_requests_apart() -> None:
    model = Model(TENSOR)
    got = answers(model, [{"inputs": [[1, 2]], "params": {}}, {"inputs": [[1, 2]]}])
    assert [status for status, _ in got.values()] == [200, 200]


def test_without_a_signature_arrays_of_one_kind_are_joined() -> None:
    model = Model(None)
    got = answers(model, [{"inputs": [[1, 2]]}, {"inputs": [[3, 4]]}, {"inputs": [[0.5, 1]]}])
    assert got == {
        0: (200, {"predictions": [3]}),
        1: (200, {"predictions": [7]}),
        2: (200, {"predictions": [1.5]}),
    }
    assert sorted(model.calls) == [1, 2]  # integers and floats are not mixed: the answers would change


def test_a_model_that_exits_does_not_end_the_worker() -> None:
    model = Model(TENSOR)

    def leave(data: Any, params: Any = None) -> Any:
        raise SystemExit(1)

    model.predict = leave  # type: ignore[method-assign]
    assert answers(model, [{"inputs": [[1, 2]]}])[0][0] == 500


@pytest.mark.parametrize(
    "form",
    [
        b'{"dataframe_split": {"columns": ["c"], "data": [[%s]]}}',
        b'{"dataframe_records": [{"c": %s}]}',
    ],
)
def test_nan_in_a_column_of_text_is_refused_beside_text_as_it_is_alone(form: bytes) -> None:
    schema = Schema([ColSpec(DataType.string, "c")])
    found = answers(Model(schema), [form % b'"x"', form % b"NaN", form % b'"y"'])
    assert [found[number][0] for number in range(3)] == [200, 400, 200]
