"""Input enforcement: no value changes, and every refusal names column, row and a way out."""

import numpy as np
import pandas as pd
import pytest

from slipstream.errors import InvalidParameterError, SchemaEnforcementError
from slipstream.models.enforcement import decode_base64, enforce_params, enforce_schema
from slipstream.models.schema import AnyType, Array, ColSpec, Map, Object, Property, Schema, TensorSpec
from slipstream.models.signature import infer_param_schema


def _column(values, wanted, *, required=True, dtype=None):
    schema = Schema([ColSpec(wanted, "a", required=required)])
    return enforce_schema(pd.DataFrame({"a": pd.Series(values, dtype=dtype)}), schema)["a"]


def test_extra_columns_are_dropped_with_a_warning_and_order_is_the_signatures():
    schema = Schema([ColSpec("double", "a"), ColSpec("double", "b")])
    with pytest.warns(UserWarning, match=r"\['z'\]"):
        result = enforce_schema(pd.DataFrame({"z": [0.0], "b": [2.0], "a": [1.0]}), schema)
    assert list(result.columns) == ["a", "b"]
    assert result.to_numpy().tolist() == [[1.0, 2.0]]


def test_a_missing_column_is_named():
    schema = Schema([ColSpec("double", "age"), ColSpec("double", "height", required=False)])
    with pytest.raises(
        SchemaEnforcementError, match=r"Model is missing inputs \['age'\].*extra inputs: \['agee'\]"
    ):
        enforce_schema(pd.DataFrame({"agee": [1.0]}), schema)


def test_an_absent_optional_column_stays_absent():
    schema = Schema([ColSpec("double", "a"), ColSpec("double", "b", required=False)])
    assert list(enforce_schema(pd.DataFrame({"a": [1.0]}), schema).columns) == ["a"]


@pytest.mark.parametrize(
    ("dtype", "wanted", "result"),
    [
        ("int32", "long", "int64"),
        ("int16", "integer", "int32"),
        ("uint32", "long", "int64"),
        ("int32", "double", "float64"),
        ("int64", "double", "float64"),
        ("float32", "double", "float64"),
        ("int64", "integer", "int32"),
        ("float64", "long", "int64"),
        ("Int64", "long", "int64"),
        ("boolean", "boolean", "bool"),
    ],
)
def test_conversions_that_change_no_value(dtype, wanted, result):
    converted = _column([1, 0], wanted, dtype=dtype)
    assert str(converted.dtype) == result
    assert converted.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("values", "dtype", "wanted", "message"),
    [
        ([1.0, 2.5], "float64", "long", r"column 'a', row 1 \(value .*2.5.*\).*float64 to long"),
        ([1.0], "float64", "float", "float64 to float"),
        ([2**40], "int64", "integer", "row 0 .*out of range"),
        ([2**53 + 1], "int64", "double", "no exact float"),
        ([2.0**60], "float64", "long", "would change"),
        (["1"], "object", "long", "to long"),
        ([1], "int64", "string", "astype"),
        ([1], "int64", "boolean", "no booleans"),
        ([True], "bool", "long", "no integers"),
        (["no date"], "object", "datetime", "no date"),
    ],
)
def test_conversions_that_would_change_a_value_are_refused(values, dtype, wanted, message):
    with pytest.raises(SchemaEnforcementError, match=message):
        _column(values, wanted, dtype=dtype)


def test_whole_floats_with_a_missing_value_become_nullable_integers_exactly():
    converted = _column([1.0, None, 3.0], "long", required=False)
    assert str(converted.dtype) == "Int64"
    assert converted.tolist() == [1, pd.NA, 3]


def test_nullable_integers_keep_values_that_no_float_holds():
    big = 2**62 + 1
    converted = _column([big, None], "long", required=False, dtype="Int64")
    assert converted.tolist() == [big, pd.NA]


def test_a_missing_value_in_a_required_integer_column_names_column_row_and_fix():
    with pytest.raises(SchemaEnforcementError) as caught:
        _column([1.0, None, 3.0], "long")
    message = str(caught.value)
    assert "column 'a', row 1" in message
    assert "required=False" in message


def test_integer_column_names_work():
    schema = Schema([ColSpec("double", 0), ColSpec("double", 1)])
    assert enforce_schema(np.array([[1.0, 2.0]]), schema).to_numpy().tolist() == [[1.0, 2.0]]


def test_aware_datetimes_are_refused_with_the_way_out():
    with pytest.raises(SchemaEnforcementError, match="tz_localize"):
        _column(pd.to_datetime(["2026-01-01"], utc=True), "datetime")


def test_datetimes_get_nanoseconds_and_text_is_parsed():
    assert str(_column(["2026-01-01"], "datetime", dtype="object").dtype) == "datetime64[ns]"


def test_categories_are_read_as_their_values():
    assert _column(pd.Categorical(["x", "y"]), "string").tolist() == ["x", "y"]


@pytest.mark.parametrize(
    ("data", "schema", "expected"),
    [
        ("text", Schema([ColSpec("string")]), [["text"]]),
        (["a", "b"], Schema([ColSpec("string")]), [["a"], ["b"]]),
        (
            {"a": "x", "b": ["p", "q"]},
            Schema([ColSpec("string", "a"), ColSpec(Array("string"), "b")]),
            [["x", ["p", "q"]]],
        ),
        ({"a": [1.0, 2.0]}, Schema([ColSpec("double", "a")]), [[1.0], [2.0]]),
        ([{"a": 1.0}, {"a": 2.0}], Schema([ColSpec("double", "a")]), [[1.0], [2.0]]),
        ([[1], [2, 3]], Schema([ColSpec(Array("long"))]), [[[1]], [[2, 3]]]),
        ([{"k": 1}], Schema([ColSpec(Object([Property("k", "long")]))]), [[{"k": 1}]]),
    ],
)
def test_plain_python_becomes_a_table(data, schema, expected):
    assert enforce_schema(data, schema).to_numpy().tolist() == expected


CHAT = Schema(
    [
        ColSpec(
            Array(Object([Property("role", "string"), Property("content", "string", required=False)])),
            "messages",
        )
    ]
)


def test_objects_are_checked_recursively():
    ok = [{"role": "user", "content": None}]
    assert enforce_schema({"messages": ok}, CHAT)["messages"][0] == ok


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ([{"content": "x"}], r"Missing required properties: \['role'\].*column 'messages', row 0, item 0"),
        ([{"role": "u", "extra": 1}], r"not defined in the schema found: \['extra'\]"),
        ([{"role": 3}], "Expected string at .*key 'role', got int 3"),
        ("hello", "Expected a list"),
    ],
)
def test_the_path_inside_an_object_is_named(messages, message):
    with pytest.raises(SchemaEnforcementError, match=message):
        enforce_schema({"messages": messages}, CHAT)


def test_maps_and_any():
    schema = Schema([ColSpec(Map("double"), "m"), ColSpec(AnyType(), "x", required=False)])
    result = enforce_schema({"m": {"a": 1}, "x": [1, "b"]}, schema)
    assert result["m"][0] == {"a": 1.0}
    assert result["x"][0] == [1, "b"]


TENSOR = Schema([TensorSpec(np.dtype("float32"), (-1, 2))])


def test_a_tensor_of_the_right_shape_and_type_passes_unchanged():
    data = np.ones((3, 2), dtype="float32")
    assert enforce_schema(data, TENSOR) is data


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            np.ones((3, 3), dtype="float32"),
            r"Shape of the input \(3, 3\) does not match expected shape \(-1, 2\)",
        ),
        (np.ones((3, 2)), r"dtype of the input float64 does not match expected dtype float32; .*astype"),
        ([[1.0, 2.0]], "numpy array"),
    ],
)
def test_tensors_that_do_not_fit(data, message):
    with pytest.raises(SchemaEnforcementError, match=message):
        enforce_schema(data, TENSOR)


def test_named_tensors_from_a_dict_and_from_a_dataframe():
    schema = Schema(
        [TensorSpec(np.dtype("int64"), (-1,), "a"), TensorSpec(np.dtype("float64"), (-1, 2), "b")]
    )
    arrays = {"a": np.array([1, 2]), "b": np.ones((2, 2))}
    assert enforce_schema(arrays, schema)["a"].tolist() == [1, 2]
    frame = pd.DataFrame({"a": [1, 2], "b": [[1.0, 2.0], [3.0, 4.0]]})
    assert enforce_schema(frame, schema)["b"].tolist() == [[1.0, 2.0], [3.0, 4.0]]
    with pytest.raises(SchemaEnforcementError, match=r"missing inputs \['b'\]"):
        enforce_schema({"a": arrays["a"]}, schema)


PARAMS = infer_param_schema({"t": 0.5, "stop": ["a"]})


def test_params_get_defaults_and_safe_conversions():
    assert enforce_params({"t": 1}, PARAMS) == {"t": 1.0, "stop": ["a"]}


def test_unknown_params_are_ignored_with_a_warning():
    with pytest.warns(UserWarning, match=r"\['nope'\]"):
        assert enforce_params({"nope": 1}, PARAMS) == {"t": 0.5, "stop": ["a"]}


def test_all_wrong_params_are_named_at_once():
    with pytest.raises(InvalidParameterError, match=r"'hot' of param 't'.*Param 'stop'"):
        enforce_params({"t": "hot", "stop": "a"}, PARAMS)


def test_base64():
    assert decode_base64("aGk=", "column 'a'") == b"hi"
    with pytest.raises(SchemaEnforcementError, match="column 'a'"):
        decode_base64("not base64!", "column 'a'")
