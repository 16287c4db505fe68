"""The scoring protocol, request by request. What is expected was seen on MLflow 3.17.2 unless a test says so."""

import base64
import datetime as dt
import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest

from scoring_requests import DOUBLES, JSON, MATRIX, MIXED, Echo, read, same_frame, served
from slipstream.errors import BadRequestError, InternalError, InvalidParameterError, SchemaEnforcementError
from slipstream.models.schema import (
    Array,
    ColSpec,
    DataType,
    ParamSpec,
    Schema,
)
from slipstream.models.signature import ModelSignature
from slipstream.serving.encoding import encode
from slipstream.serving.protocols import invocations
from slipstream.serving.protocols.invocations import UnreadableMediaError, decode, media_type
from slipstream.serving.served import ServedModel


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
