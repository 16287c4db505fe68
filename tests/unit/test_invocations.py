"""The scoring protocol, request by request. What is expected was seen on MLflow 3.17.2 unless a test says so."""

import base64
import datetime as dt
import io
import json
import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from slipstream.errors import BadRequestError, InternalError, InvalidParameterError, SchemaEnforcementError
from slipstream.models.enforcement import enforce_schema
from slipstream.models.schema import (
    AnyType,
    Array,
    ColSpec,
    DataType,
    Object,
    ParamSchema,
    ParamSpec,
    Property,
    Schema,
    TensorSpec,
)
from slipstream.models.signature import ModelSignature
from slipstream.serving.encoding import encode
from slipstream.serving.protocols import invocations
from slipstream.serving.protocols.invocations import UnreadableMediaError, decode, media_type
from slipstream.serving.served import ServedModel

JSON = "application/json"


class Echo:
    """Answers with what it was asked, or does what a test tells it to."""

    def __init__(self, signature: ModelSignature | None = None, predict: Any = None) -> None:
        self.metadata = SimpleNamespace(signature=signature)
        self._predict = predict

    def predict(self, data: Any, params: Any = None) -> Any:
        return data if self._predict is None else self._predict(data)


def served(*columns: ColSpec | TensorSpec, params: list[ParamSpec] | None = None) -> ServedModel:
    schema = Schema(list(columns)) if columns else None
    if schema is None and params is None:
        return ServedModel(Echo())
    return ServedModel(Echo(ModelSignature(inputs=schema, params=ParamSchema(params) if params else None)))


DOUBLES = (ColSpec("double", "a"), ColSpec("double", "b"))
MIXED = (
    ColSpec("long", "i"),
    ColSpec("double", "d"),
    ColSpec("string", "s"),
    ColSpec("binary", "x", required=False),
    ColSpec("datetime", "t", required=False),
    ColSpec("boolean", "f", required=False),
    ColSpec("float", "g", required=False),
)
MATRIX = (TensorSpec(np.dtype("float64"), (-1, 2)),)


def read(model: ServedModel, document: object, media: str = JSON) -> Any:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return decode(model, body, media).data


def same_frame(actual: Any, expected: dict[str, Any], dtypes: dict[str, str] | None = None) -> None:
    wanted = pd.DataFrame(expected)
    pd.testing.assert_frame_equal(actual, wanted.astype(dtypes) if dtypes else wanted)


# -- tables -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("columns", [DOUBLES, ()])
def test_split(columns: tuple[ColSpec, ...]) -> None:
    frame = read(
        served(*columns), {"dataframe_split": {"columns": ["b", "a"], "data": [[1.5, 2.5], [3.5, 4.5]]}}
    )
    same_frame(frame, {"b": [1.5, 3.5], "a": [2.5, 4.5]})


def test_split_keeps_the_index() -> None:
    frame = read(
        served(*DOUBLES), {"dataframe_split": {"columns": ["a", "b"], "index": [7], "data": [[1, 2]]}}
    )
    assert list(frame.index) == [7]
    assert frame.dtypes.tolist() == [np.float64, np.float64]


@pytest.mark.parametrize("form", ["records", "split"])
@pytest.mark.parametrize("value", [1, 1.0, "1", True])
def test_doubles_are_read_from_anything_that_is_one(form: str, value: object) -> None:
    payload: dict[str, Any] = {
        "records": {"dataframe_records": [{"a": value, "b": 2}]},
        "split": {"dataframe_split": {"columns": ["a", "b"], "data": [[value, 2]]}},
    }[form]
    same_frame(read(served(*DOUBLES), payload), {"a": [1.0], "b": [2.0]})


def test_null_in_a_double_column_is_nan() -> None:
    frame = read(served(*DOUBLES), {"dataframe_records": [{"a": None, "b": 2}]})
    assert math.isnan(frame["a"].iloc[0])


def test_records_with_other_columns_keep_them() -> None:
    frame = read(served(), {"dataframe_records": [{"a": 1, "b": "x"}, {"a": 2}]})
    assert list(frame.columns) == ["a", "b"]
    assert frame["b"].isna().tolist() == [False, True]


def test_each_type_of_column() -> None:
    frame = read(
        served(*MIXED),
        {
            "dataframe_records": [
                {
                    "i": 7,
                    "d": 2,
                    "s": "text",
                    "x": "aGVs\nbG8=\n",
                    "t": "2020-01-02T03:04:05",
                    "f": True,
                    "g": 0.1,
                }
            ]
        },
    )
    row = frame.iloc[0]
    assert frame.dtypes[["i", "d", "f", "g"]].tolist() == [np.int64, np.float64, np.bool_, np.float32]
    assert row["x"] == b"hello"
    assert row["s"] == "text"
    assert frame["t"].dtype == np.dtype("datetime64[ns]")
    assert row["t"] == dt.datetime(2020, 1, 2, 3, 4, 5)  # noqa: DTZ001  # a signature's datetime has no zone


def test_datetime_with_a_zone_becomes_utc() -> None:
    frame = read(
        served(ColSpec("datetime", "t")), {"dataframe_records": [{"t": "2020-01-02T03:00:00+02:00"}]}
    )
    assert frame["t"].iloc[0] == pd.Timestamp("2020-01-02T01:00:00")


@pytest.mark.parametrize("value", [5, 5.0, "5"])
def test_whole_numbers_are_integers(value: object) -> None:
    frame = read(served(ColSpec("long", "i")), {"dataframe_records": [{"i": value}]})
    assert frame["i"].tolist() == [5]
    assert frame["i"].dtype == np.int64


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("long", "x"),
        ("long", None),
        ("long", 1.5),  # MLflow cuts it to 1 and predicts with that
        ("integer", 2**31),
        ("double", "abc"),
        ("double", [1]),
        ("binary", 5),
        ("binary", "@@@"),  # MLflow takes it for no bytes at all
        ("datetime", "nope"),
        ("boolean", "no"),  # MLflow takes it for true
        ("boolean", 2),
    ],
)
@pytest.mark.parametrize("form", ["records", "split"])
def test_a_value_of_the_wrong_type_names_the_column(column: str, value: object, form: str) -> None:
    payload: dict[str, Any] = {
        "records": {"dataframe_records": [{"col": value}]},
        "split": {"dataframe_split": {"columns": ["col"], "data": [[value]]}},
    }[form]
    with pytest.raises(BadRequestError, match="column 'col'"):
        read(served(ColSpec(column, "col")), payload)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"dataframe_split": [1]}, "must be an object .* got a list"),
        ({"dataframe_split": 3}, "got a number"),
        ({"dataframe_split": {"columns": ["a"]}}, "needs the key 'data'"),
        ({"dataframe_split": {"data": [[1]], "rows": 1}}, "got .*'rows'"),
        ({"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2, 3]]}}, "does not make a table"),
        ({"dataframe_split": {"columns": ["a", "a"], "data": [[1, 2]]}}, "given more than once"),
        ({"dataframe_records": {"a": [1]}}, "must be a list of objects, got an object"),
        ({"dataframe_records": "x"}, "got a text"),
    ],
)
def test_tables_of_the_wrong_shape(document: object, message: str) -> None:
    with pytest.raises(BadRequestError, match=message):
        read(served(*DOUBLES), document)


def test_table_for_a_tensor_model_takes_the_tensors_type() -> None:
    frame = read(served(*MATRIX), {"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2]]}})
    same_frame(frame, {"a": [1.0], "b": [2.0]})


# -- inputs and instances ---------------------------------------------------------------------------
@pytest.mark.parametrize("form", ["inputs", "instances"])
def test_rows_become_an_array(form: str) -> None:
    array = read(served(*MATRIX), {form: [[1, 2], [3, 4]]})
    np.testing.assert_array_equal(array, np.array([[1.0, 2.0], [3.0, 4.0]]))
    assert array.dtype == np.float64


def test_without_a_signature_lists_become_arrays_and_objects_stay() -> None:
    model = served()
    assert read(model, {"inputs": ["a", "b"]}).tolist() == ["a", "b"]
    assert read(model, {"inputs": 3}).shape == ()
    assert read(model, {"inputs": None}) is None
    data = read(model, {"inputs": {"a": [1, 2.5], "b": {"k": [1]}}})
    assert data["a"].tolist() == [1.0, 2.5]
    assert data["b"] == {"k": [1]}
    assert read(model, {"inputs": [{"a": {"b": 1}}]}) == [{"a": {"b": 1}}]


def test_inputs_by_column() -> None:
    data = read(
        served(*MIXED), {"inputs": {"i": [1], "d": [2], "s": ["x"], "t": ["2020-01-01"], "x": ["ab"]}}
    )
    assert data["i"].dtype == np.int64
    assert data["d"].dtype == np.float64
    assert data["t"].dtype == np.dtype("datetime64[ns]")
    assert data["x"].tolist() == [b"ab"]  # no base64 in this form: so MLflow has it


def test_inputs_as_records_of_known_columns_are_a_table() -> None:
    same_frame(read(served(*DOUBLES), {"inputs": [{"a": 1, "b": 2}]}), {"a": [1.0], "b": [2.0]})


def test_a_list_for_a_model_of_one_column_is_that_column() -> None:
    data = read(served(ColSpec("long", "i")), {"inputs": [1, 2]})
    assert data["i"].tolist() == [1, 2]


def test_nested_columns_stay_json() -> None:
    data = read(served(ColSpec(Array(DataType.string), "tags")), {"inputs": {"tags": [["a"], ["b", "c"]]}})
    assert data == {"tags": [["a"], ["b", "c"]]}


def test_instances_of_objects_become_columns() -> None:
    data = read(served(*DOUBLES), {"instances": [{"a": 1, "b": 2}, {"a": 3, "b": 4}]})
    assert {name: values.tolist() for name, values in data.items()} == {"a": [1.0, 3.0], "b": [2.0, 4.0]}


@pytest.mark.parametrize(
    ("model", "document", "message"),
    [
        (served(*DOUBLES), {"instances": [{"a": 1, "b": 2}, {"a": 3}]}, "must have the same names"),
        (served(), {"instances": {"a": [1, 2], "b": [3]}}, "must have the same names"),
        (served(), {"instances": [{"a": 1}, 5]}, "row 1 is a number"),
        (served(*MATRIX), {"inputs": {"a": [1]}}, "has no input names"),
        (served(*MATRIX), {"inputs": [["x", 1]]}, "not convertible to float64"),
        (served(*MATRIX), {"inputs": [[1], [1, 2]]}, "not convertible to float64"),
        (served(), {"inputs": [[1], [1, 2]]}, "not convertible to array"),
        (served(*DOUBLES), {"inputs": {"a": ["x"], "b": [1]}}, "input 'a' is not convertible to float64"),
        (served(ColSpec("long", "i")), {"inputs": {"i": [1.5]}}, "input 'i' .* 1.5 would change"),
        (served(ColSpec("long", "i")), {"inputs": {"i": ["x"]}}, "input 'i' is not convertible to int64"),
        (served(ColSpec("boolean", "f")), {"inputs": {"f": ["no"]}}, "input 'f' .* true or false"),
        (
            served(ColSpec("datetime", "t")),
            {"inputs": {"t": ["nope"]}},
            "input 't', row 0 .value 'nope'.* ISO 8601",
        ),
    ],
)
def test_inputs_of_the_wrong_shape_or_type(model: ServedModel, document: object, message: str) -> None:
    with pytest.raises(BadRequestError, match=message):
        read(model, document)


# -- each form of a table: no value changes -----------------------------------------------------------
BIG = 2**53 + 1  # the first integer that no double holds
FORMS = ("split", "records", "inputs", "columns", "instances")


def predicted(schema: tuple[ColSpec | TensorSpec, ...], document: object, media: str = JSON) -> Any:
    """Return what the model sees: the request as read, then fitted to the signature."""
    model = served(*schema)
    assert model.schema is not None
    return enforce_schema(read(model, document, media), model.schema)


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


# -- the JSON object --------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "not valid JSON"),
        (b'{"inputs": [1,', "not valid JSON"),
        (b'{"inputs": [1]} x', "not valid JSON"),
        (b'{"inputs": "\xff"}', "not valid JSON"),
        (b'{"inputs": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "not valid JSON"),
        (b"[1, 2]", "got a list"),
        (b"3", "got int"),
        (b"null", "got NoneType"),
        (b"{}", "exactly one of the keys"),
        (b'{"rows": [1]}', r"exactly one of the keys .* got \['rows'\]"),
        (b'{"inputs": [1], "instances": [1]}', r"got \['inputs', 'instances'\]"),
    ],
)
def test_bodies_that_are_no_request(body: bytes, message: str) -> None:
    with pytest.raises(BadRequestError, match=message):
        read(served(), body)


def test_json_as_python_writes_it() -> None:
    assert math.isnan(read(served(), b'{"inputs": [NaN]}')[0])
    assert read(served(), b'{"inputs": [-Infinity, 1e400]}').tolist() == [-math.inf, math.inf]
    assert read(served(), b'\xef\xbb\xbf{"inputs": [1]}').tolist() == [1]
    assert read(served(), b'{"inputs": [123456789012345678901234567890]}').tolist() == [
        123456789012345678901234567890
    ]


def test_params_go_beside_the_data() -> None:
    body = b'{"inputs": [1], "params": {"temp": 0.9}}'
    assert decode(served(), body, JSON).params == {"temp": 0.9}
    assert decode(served(), b'{"inputs": [1]}', JSON).params is None


@pytest.mark.parametrize("key", ["messages", "prompt", "input"])
def test_language_model_form(key: str) -> None:
    model = served(params=[ParamSpec("temp", "double", 0.5)])
    body = json.dumps({key: ["x"], "temp": 1.0, "stream": True}).encode()
    request = decode(model, body, JSON)
    assert request.data == {key: ["x"], "stream": True}
    assert request.params == {"temp": 1.0}
    answer = invocations.answer(model, body, JSON)
    assert json.loads(answer.body) == {key: ["x"], "stream": True}


def test_type_hints_take_plain_json_under_inputs() -> None:
    signature = ModelSignature(inputs=Schema([ColSpec("string")]))
    signature.from_type_hint = True
    model = ServedModel(Echo(signature))
    assert read(model, {"inputs": ["a"]}) == ["a"]
    with pytest.raises(InvalidParameterError, match=r"under the key 'inputs'; got \['instances'\]"):
        read(model, {"instances": ["a"]})


# -- CSV and Parquet --------------------------------------------------------------------------------
def test_csv() -> None:
    same_frame(read(served(*DOUBLES), b"a,b\n1,2.5\n", "text/csv"), {"a": [1.0], "b": [2.5]})


def test_csv_keeps_text_as_text() -> None:
    model = served(ColSpec("string", "zip"), ColSpec("datetime", "t"), ColSpec("long", "n"))
    frame = read(model, b"zip,t,n\n007,2020-01-01,3\n", "text/csv")
    assert frame["zip"].tolist() == ["007"]
    assert frame["t"].tolist() == [pd.Timestamp("2020-01-01")]
    assert frame["n"].tolist() == [3]


@pytest.mark.parametrize(
    ("body", "message"),
    [(b"", "no CSV table"), (b"a\n\xff\n", "not valid UTF-8"), (b"a,b\nx,1\n", "column 'a'")],
)
def test_csv_that_cannot_be_read(body: bytes, message: str) -> None:
    with pytest.raises(BadRequestError, match=message):
        read(served(*DOUBLES), body, "text/csv")


TABLE = (ColSpec("double", "a"), ColSpec("double", "b"))


@pytest.mark.parametrize(
    ("body", "a", "b"),
    [
        ("a,b\n1,2\n", [1.0], [2.0]),
        ("b,a\n1,2\n", [2.0], [1.0]),
        ("a,b\n1\n", [1.0], [None]),  # what is not there is missing, as in MLflow
        ("a,b\n1,2\n3\n", [1.0, 3.0], [2.0, None]),
        ("a,b\n1,\n,2\n", [1.0, None], [None, 2.0]),
        ("a,b\n\n1,2\n\n", [1.0], [2.0]),
        ("a,b\n", [], []),
        ("a,b\ninf,-Infinity\n", [math.inf], [-math.inf]),
    ],
)
def test_csv_rows(body: str, a: list[object], b: list[object]) -> None:
    frame = predicted(TABLE, body.encode(), "text/csv")
    assert [None if pd.isna(value) else value for value in frame["a"]] == a
    assert [None if pd.isna(value) else value for value in frame["b"]] == b


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            "a,b\n1,2,3\n",
            "Expected 2 fields in line 2, saw 3",
        ),  # MLflow moves each value a column to the left
        ("a,b\n1,2,\n3,4,\n", "Expected 2 fields in line 2, saw 3"),
        ("a,b\n1,2\n1,2,3\n", "Expected 2 fields in line 3, saw 3"),
        ("a,b\n1700000000000000001,2\n", "column 'a', row 0 .*1700000000000000001"),
        ("a,b\n0.5,2\n1700000000000000001,2\n", "column 'a', row 1 .*1700000000000000001"),
    ],
)
def test_csv_rows_that_do_not_fit(body: str, message: str) -> None:
    answer = invocations.answer(served(*TABLE), body.encode(), "text/csv")
    assert answer.status == 400
    with pytest.raises(BadRequestError, match=message):
        read(served(*TABLE), body.encode(), "text/csv")


@pytest.mark.parametrize(
    ("column", "cells", "expected"),
    [
        ("long", [str(BIG), ""], [BIG, None]),
        ("long", ["1.0", "NA"], [1, None]),
        ("boolean", ["True", "false"], [True, False]),
        ("boolean", ["1", "0"], [True, False]),
        ("boolean", ["True", ""], [True, None]),
        ("boolean", ["1", ""], [True, None]),
        ("string", ["NA", "null", "", "007"], ["NA", "null", None, "007"]),  # MLflow drops the first two
        ("binary", ["null"], [base64.b64decode("null")]),
        ("datetime", ["2026-01-02", "2026-01-02T03:04:05", ""], None),
        ("double", ["NA", "nan", "1.5"], [None, None, 1.5]),
    ],
)
def test_csv_columns(column: str, cells: list[str], expected: list[object] | None) -> None:
    body = "a,other\n" + "".join(f"{cell},text\n" for cell in cells)
    schema = (ColSpec(column, "a", required=False), ColSpec("string", "other"))
    found = [None if pd.isna(value) else value for value in predicted(schema, body.encode(), "text/csv")["a"]]
    if expected is None:
        expected = [pd.Timestamp("2026-01-02"), pd.Timestamp("2026-01-02T03:04:05"), None]
    assert found == expected


@pytest.mark.parametrize(
    ("column", "cell"),
    [("long", "1.5"), ("long", ""), ("boolean", "yes"), ("boolean", ""), ("datetime", "01/02/2026")],
)
def test_csv_cells_of_the_wrong_type_name_the_column(column: str, cell: str) -> None:
    body = f"a,b\n{cell},1\n".encode()
    with pytest.raises(BadRequestError, match="column 'a', row 0"):
        read(served(ColSpec(column, "a")), body, "text/csv")


def test_csv_without_a_signature_keeps_big_integers() -> None:
    frame = read(served(), f"a,b\n{BIG},1\n,2\n".encode(), "text/csv")
    assert frame["a"].tolist() == [BIG, pd.NA]
    assert frame["b"].tolist() == [1, 2]


def test_parquet() -> None:
    file = io.BytesIO()
    pd.DataFrame({"a": [1.5]}).to_parquet(file)
    same_frame(read(served(), file.getvalue(), invocations.PARQUET), {"a": [1.5]})
    with pytest.raises(BadRequestError, match="no Parquet table"):
        read(served(), b"xx", invocations.PARQUET)


# -- content types ----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("application/json", JSON),
        ("application/json; charset=utf-8", JSON),
        ("application/json;charset=UTF-8", JSON),
        ("text/csv; charset=utf-8", "text/csv"),
        (invocations.PARQUET, invocations.PARQUET),
    ],
)
def test_content_types_that_are_read(header: str, expected: str) -> None:
    assert media_type(header) == expected


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (None, "missing"),
        ("", "is not read here"),
        ("application/xml", "is not read here"),
        ("Application/JSON", "is not read here"),
        ("application/json; charset=latin-1", "Only UTF-8"),
        ('application/json; charset="utf-8"', "Only UTF-8"),
        ("application/json; format=pandas-split", "parameters: format"),
        ("application/json;", "Unknown content type parameters"),
    ],
)
def test_content_types_that_are_not(header: str | None, message: str) -> None:
    with pytest.raises(UnreadableMediaError, match=message):
        media_type(header)
    answer = invocations.answer(served(), b"{}", header)
    assert (answer.status, answer.media_type) == (415, "text/plain; charset=utf-8")


# -- answers ----------------------------------------------------------------------------------------
DAY = dt.date(2020, 1, 2)


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (np.array([0, 2]), b"[0, 2]"),
        (np.array([[1.0, np.nan], [np.inf, -np.inf]]), b"[[1.0, NaN], [Infinity, -Infinity]]"),
        (np.array([0.1, 3], dtype="float32"), b"[0.10000000149011612, 3.0]"),
        (np.array([True, False]), b"[true, false]"),
        (np.array(["a, b", "x:y"]), b'["a, b", "x:y"]'),
        (np.array(["\u00e9"]), b'["\\u00e9"]'),
        (np.array(["2020-01-01"], dtype="datetime64[s]"), b'["2020-01-01T00:00:00"]'),
        (pd.Series([1.0, math.inf], name="s"), b'[{"s": 1.0}, {"s": Infinity}]'),
        (pd.Series([1, 2]), b'[{"0": 1}, {"0": 2}]'),
        (pd.DataFrame({"a": [1, 2]}), b'[{"a": 1}, {"a": 2}]'),
        (
            pd.DataFrame({"a": [1.5, math.nan], "t": [pd.Timestamp(2020, 1, 2), pd.NaT]}),
            b'[{"a": 1.5, "t": "2020-01-02T00:00:00"}, {"a": NaN, "t": "NaT"}]',
        ),
        ([np.float32(0.5), np.int64(3), "\u00e9", True, None], b'[0.5, 3, "\\u00e9", true, null]'),
        ([b"ab"], b'["YWI=\\n"]'),
        ([DAY, dt.time(1, 2), np.datetime64("2020-01-01")], b'["2020-01-02", "01:02:00", "2020-01-01"]'),
        (
            {"a": np.arange(2), 3: "x", "b": {"c": np.array([b"x"])}},
            b'{"a": [0, 1], "3": "x", "b": {"c": ["eA==\\n"]}}',
        ),
        ((1, 2), b"[1, 2]"),
        ("hi", b'"hi"'),
        (None, b"null"),
        ([2**70], b"[1180591620717411303424]"),
        ({"table": pd.DataFrame({"a": [1]}), "gone": pd.NA}, b'{"table": [{"a": 1}], "gone": null}'),
    ],
)
def test_encoding(result: object, expected: bytes) -> None:
    assert encode(result) == b'{"predictions": ' + expected + b"}"
    assert encode(result, wrapped=False) == expected


def test_long_bytes_are_base64_in_lines_as_mlflow_writes_them() -> None:
    data = bytes(range(100))
    assert json.loads(encode([data]))["predictions"] == [base64.encodebytes(data).decode()]


@pytest.mark.parametrize("result", [{1}, (number for number in range(3)), object(), [{(1, 2): 3}]])
def test_results_without_a_json_form(result: object) -> None:
    with pytest.raises(InternalError, match="has no JSON form"):
        encode(result)


# -- whole answers ----------------------------------------------------------------------------------
def test_answer() -> None:
    answer = invocations.answer(served(*MATRIX), b'{"inputs": [[1, 2]]}', JSON)
    assert (answer.status, answer.media_type, answer.body) == (200, JSON, b'{"predictions": [[1.0, 2.0]]}')


def test_bad_request_answer() -> None:
    answer = invocations.answer(served(), b"[]", JSON)
    document = json.loads(answer.body)
    assert answer.status == 400
    assert document.pop("message").startswith("The body must be a JSON object")
    assert document == {
        "error_code": "BAD_REQUEST",
        "sqlstate": "KAM00",
        "error_class": "INVALID_PARAMETER_VALUE",
    }


def test_schema_error_answer_has_no_stack_trace() -> None:
    def refuse(_data: object) -> None:
        raise SchemaEnforcementError("Model is missing inputs ['b'].")

    answer = invocations.answer(ServedModel(Echo(predict=refuse)), b'{"inputs": [1]}', JSON)
    assert answer.status == 400
    assert json.loads(answer.body) == {
        "error_code": "INVALID_PARAMETER_VALUE",
        "message": "Model is missing inputs ['b'].",
        "sqlstate": "KAM01",
        "error_class": "SCHEMA_ENFORCEMENT_FAILED",
    }


def test_failure_in_the_model_has_a_stack_trace() -> None:
    def fail(_data: object) -> None:
        raise ValueError("boom")

    answer = invocations.answer(ServedModel(Echo(predict=fail)), b'{"inputs": [1]}', JSON)
    document = json.loads(answer.body)
    assert answer.status == 400
    assert document["error_code"] == "BAD_REQUEST"
    assert "ValueError: boom" in document["message"]
    assert document["stack_trace"].startswith("Traceback")
    assert "in fail" in document["stack_trace"]


def test_result_that_cannot_be_sent_is_the_servers_failure() -> None:
    answer = invocations.answer(ServedModel(Echo(predict=lambda _data: {1})), b'{"inputs": [1]}', JSON)
    assert answer.status == 500
    assert json.loads(answer.body)["error_code"] == "INTERNAL_ERROR"


def test_half_a_character_in_an_answer_comes_as_mlflow_writes_it() -> None:
    assert encode(np.array(["a\ud83d"])) == b'{"predictions": ["a\\ud83d"]}'
