"""Input enforcement: no value changes, and every refusal names column, row and a way out."""

import datetime as dt
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from slipstream.errors import InvalidParameterError, SchemaEnforcementError
from slipstream.models.enforcement import decode_base64, enforce_params, enforce_schema
from slipstream.models.schema import AnyType, Array, ColSpec, Map, Object, Property, Schema, TensorSpec
from slipstream.models.signature import infer_param_schema, infer_signature


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
        (["no date"], "object", "datetime", r"row 0 \(value 'no date'\).*ISO 8601"),
        (["2026-01-02", "01/02/2026"], "object", "datetime", "row 1 .*ISO 8601"),
        ([1767323045000], "int64", "datetime", "row 0 .*ISO 8601"),
        (["9999-12-31"], "object", "datetime", "no time"),
        ([dt.datetime(2026, 1, 2, tzinfo=dt.UTC)], "object", "datetime", "no time zone"),
        ([2.0**53], "float64", "long", "row 0 .*would change"),  # it may have been 2**53 + 1
        ([2.0**24], "float32", "long", "would change"),
        ([2**53 + 1, None], "object", "double", "row 0 .*no exact float"),
        ([2**53 + 1, 0.5], "object", "double", "row 0 .*no exact float"),
        ([2**24 + 1], "int64", "float", "no exact float"),
        ([Decimal(2**53 + 1)], "object", "double", "no exact float"),
        ([1, "x"], "object", "long", "row 1 .*several types"),
        ([True, 1], "object", "boolean", "row 1 .*several types"),
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


BIG = 2**53 + 1  # the first integer that no float holds


@pytest.mark.parametrize(
    "data",
    [
        pd.DataFrame({"a": pd.Series([BIG, None], dtype=object)}),
        {"a": [BIG, None]},
        [{"a": BIG}, {"a": None}],
        [BIG, None],
    ],
)
def test_a_big_id_beside_null_stays_what_it_is(data):
    schema = Schema([ColSpec("long", "a", required=False)] if not _is_plain(data) else [ColSpec("long")])
    if _is_plain(data):
        with pytest.raises(SchemaEnforcementError, match="row 1 .*a value is missing"):
            enforce_schema(data, schema)
    else:
        assert enforce_schema(data, schema)["a"].tolist() == [BIG, pd.NA]


def _is_plain(data):
    return isinstance(data, list) and not isinstance(data[0], dict)


@pytest.mark.parametrize(
    ("values", "wanted", "expected"),
    [
        ([2**60, None], "double", [2.0**60, None]),
        ([BIG, 1.0], "long", [BIG, 1]),
        ([Decimal("0.5"), Decimal(2)], "double", [0.5, 2.0]),
        ([True, None], "boolean", [True, None]),
        ([dt.date(2026, 1, 2), "2026-01-02T03:04:05.123456789", None], "datetime", None),
    ],
)
def test_objects_are_read_one_by_one(values, wanted, expected):
    column = _column(values, wanted, required=False, dtype="object")
    if expected is None:
        assert column[1] == pd.Timestamp("2026-01-02T03:04:05.123456789")
        assert pd.isna(column[2])
    else:
        assert [None if pd.isna(value) else value for value in column] == expected


def test_times_of_several_forms_and_zones_may_stand_in_one_column():
    column = _column(
        ["2026-01-02", "2026-01-02 03:04:05", "2026-01-02T03:04:05+02:00"], "datetime", dtype="object"
    )
    expected = ["2026-01-02", "2026-01-02T03:04:05", "2026-01-02T01:04:05"]
    assert column.tolist() == [pd.Timestamp(time) for time in expected]


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


@pytest.mark.parametrize(
    ("cell", "wanted", "dtype"),
    [
        (np.array([0.1, 2], dtype="float32"), Array("float"), "float32"),
        (np.array([1, 2], dtype="int32"), Array("long"), "int64"),
        (np.array([1, 2]), Array("double"), "float64"),
        (np.array(["x", "yy"]), Array("string"), "<U2"),
        (np.array(["2026-01-02"], dtype="datetime64[ns]"), Array("datetime"), "datetime64[ns]"),
        (np.ones((2, 2)), Array(Array("double")), "float64"),
        (np.array([], dtype="float32"), Array("float"), "float32"),
        (np.array([{"k": 1}], dtype=object), Array(Object([Property("k", "long")])), "object"),
    ],
)
def test_arrays_inside_cells_stay_arrays_of_the_signatures_type(cell, wanted, dtype):
    result = enforce_schema(pd.DataFrame({"a": [cell]}), Schema([ColSpec(wanted, "a")]))["a"][0]
    assert type(result) is np.ndarray
    assert result.dtype == dtype
    assert result.tolist() == cell.tolist()


@pytest.mark.parametrize(
    ("cell", "wanted", "message"),
    [
        (np.array([0.1]), Array("float"), "column 'a', row 0: can not safely convert float64 to float"),
        (np.array([1.5]), Array("long"), "column 'a', row 0, row 0 .*would change"),
        ([2**24 + 1], Array("float"), "column 'a', row 0, item 0"),
        ([2**53 + 1], Array("double"), "row 0, item 0, got int"),
        ([2.0**31], Array("integer"), "row 0, item 0, got float"),
        (["2026-01-02T03:04:05.123456789"], Array("datetime"), "finer than a microsecond"),
        (["01/02/2026"], Array("datetime"), "ISO 8601"),
        (None, Array("long"), "Expected a list"),
    ],
)
def test_values_inside_lists_that_would_change(cell, wanted, message):
    with pytest.raises(SchemaEnforcementError, match=message):
        enforce_schema(pd.DataFrame({"a": [cell]}), Schema([ColSpec(wanted, "a")]))


@pytest.mark.parametrize(
    ("cell", "wanted", "expected"),
    [
        ([0.1, 2], Array("float"), [0.1, 2.0]),  # a list has no type of its own, and keeps its digits
        ([2**60], Array("double"), [2.0**60]),
        ([np.datetime64("2026-01-02", "ns")], Array("datetime"), [pd.Timestamp("2026-01-02")]),
        (["2026-01-02T03:04:05Z"], Array("datetime"), [dt.datetime(2026, 1, 2, 3, 4, 5)]),  # noqa: DTZ001
        (None, Array(AnyType()), None),
        (None, Map(AnyType()), None),
    ],
)
def test_values_inside_lists(cell, wanted, expected):
    frame = pd.DataFrame({"a": pd.Series([cell], dtype=object)})
    assert enforce_schema(frame, Schema([ColSpec(wanted, "a")]))["a"].tolist() == [expected]


def test_a_dict_of_lists_for_columns_of_any_type_is_rows():
    schema = Schema([ColSpec(AnyType(), "a"), ColSpec("string", "b")])
    assert enforce_schema({"a": [1, [2]], "b": ["x", "y"]}, schema)["a"].tolist() == [1, [2]]
    assert enforce_schema({"a": {"k": 1}, "b": "x"}, schema)["a"].tolist() == [{"k": 1}]


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


@pytest.mark.parametrize(
    ("cells", "dtype", "shape", "message"),
    [
        ([1.5, 2], "int32", (-1,), "1.5 would change"),
        ([2**31], "int32", (-1,), "2147483648 would change"),
        ([[2**53 + 1, 2]], "float64", (-1, 2), "would change"),
        ([[1, None]], "int64", (-1, 2), "null is no integer"),
    ],
)
def test_cells_of_a_table_become_a_tensor_only_if_no_value_changes(cells, dtype, shape, message):
    with pytest.raises(SchemaEnforcementError, match=message):
        enforce_schema(pd.DataFrame({"x": cells}), Schema([TensorSpec(np.dtype(dtype), shape)]))


@pytest.mark.parametrize("layout", ["csr_matrix", "csc_matrix"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_sparse_matrices(layout, dtype):
    sparse = pytest.importorskip("scipy.sparse")
    matrix = getattr(sparse, layout)(np.eye(3, dtype=dtype))
    schema = infer_signature(matrix).inputs
    assert schema.to_dict() == [{"type": "tensor", "tensor-spec": {"dtype": dtype, "shape": (-1, 3)}}]
    assert enforce_schema(matrix[:2], schema).shape == (2, 3)
    assert enforce_schema(np.eye(3, dtype=dtype), schema).shape == (3, 3)
    with pytest.raises(SchemaEnforcementError, match="Shape"):
        enforce_schema(matrix[:, :2], schema)
    with pytest.raises(SchemaEnforcementError, match="dtype .* int8 does not match"):
        enforce_schema(matrix.astype("int8"), schema)


PARAMS = infer_param_schema({"t": 0.5, "stop": ["a"]})


def test_params_get_defaults_and_safe_conversions():
    assert enforce_params({"t": 1}, PARAMS) == {"t": 1.0, "stop": ["a"]}


def test_unknown_params_are_ignored_with_a_warning():
    with pytest.warns(UserWarning, match=r"\['nope'\]"):
        assert enforce_params({"nope": 1}, PARAMS) == {"t": 0.5, "stop": ["a"]}


def test_all_wrong_params_are_named_at_once():
    with pytest.raises(InvalidParameterError, match=r"'hot' of param 't'.*Param 'stop'"):
        enforce_params({"t": "hot", "stop": "a"}, PARAMS)


@pytest.mark.parametrize(
    ("default", "value", "message"),
    [
        (0.5, 2**53 + 1, "Can not safely convert the value 9007199254740993"),
        (dt.date(2026, 1, 2), "01/02/2026", "ISO 8601"),
        (dt.date(2026, 1, 2), "2026-01-02T03:04:05.123456789", "finer than a microsecond"),
    ],
)
def test_params_that_would_change_are_refused(default, value, message):
    with pytest.raises(InvalidParameterError, match=message):
        enforce_params({"p": value}, infer_param_schema({"p": default}))


def test_a_time_with_a_zone_becomes_utc_in_params_as_in_columns():
    schema = infer_param_schema({"p": dt.date(2026, 1, 2)})
    assert enforce_params({"p": "2026-01-02T03:00:00+02:00"}, schema) == {
        "p": dt.datetime(2026, 1, 2, 1)  # noqa: DTZ001
    }


def test_base64():
    assert decode_base64("aGk=", "column 'a'") == b"hi"
    with pytest.raises(SchemaEnforcementError, match="column 'a'"):
        decode_base64("not base64!", "column 'a'")
