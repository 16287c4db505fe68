"""Schemas: MLflow's JSON, byte for byte, and the rules of what makes a schema."""

import json

import numpy as np
import pytest

from slipstream.errors import InvalidParameterError
from slipstream.models.schema import (
    AnyType,
    Array,
    ColSpec,
    DataType,
    IncompatibleTypesError,
    Map,
    Object,
    ParamSchema,
    ParamSpec,
    Property,
    Schema,
    TensorSpec,
    merge_types,
)

# Texts that MLflow 3.17.2 writes.
COLUMNS = (
    '[{"type": "long", "name": "a", "required": true}, '
    '{"type": "array", "items": {"type": "string"}, "name": "b", "required": false}, '
    '{"type": "object", "properties": {"k": {"type": "long", "required": true}, '
    '"l": {"type": "map", "values": {"type": "double"}, "required": false}}, "name": "c", "required": true}, '
    '{"type": "any", "name": "d", "required": false}]'
)
TENSORS = (
    '[{"name": "x", "type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, 3]}}, '
    '{"name": "y", "type": "tensor", "tensor-spec": {"dtype": "str", "shape": [-1]}}]'
)
PARAMS = (
    '[{"name": "t", "default": 0.5, "shape": null, "type": "double"}, '
    '{"name": "stop", "default": ["a"], "shape": [-1], "type": "string"}, '
    '{"name": "o", "default": {"k": 1}, "shape": null, "type": "object", '
    '"properties": {"k": {"type": "long", "required": true}}}]'
)


@pytest.mark.parametrize("text", [COLUMNS, TENSORS, '[{"type": "string", "required": true}]'])
def test_mlflows_json_survives_a_round_trip_byte_for_byte(text):
    assert Schema.from_json(text).to_json() == text


def test_params_json_survives_a_round_trip():
    assert ParamSchema.from_json(PARAMS).to_json() == PARAMS


def test_old_columns_without_required_are_required():
    schema = Schema.from_json('[{"name": "a", "type": "double"}]')
    assert schema.inputs[0].required is True


def test_properties_are_kept_in_the_order_of_their_names():
    schema = Object([Property("z", "long"), Property("a", "string", required=False)])
    assert list(schema.to_dict()["properties"]) == ["a", "z"]


def test_repr_reads_like_a_declaration():
    schema = Schema([ColSpec("double", "a"), ColSpec(Array("string"), "b", required=False)])
    assert repr(schema) == "['a': double (required), 'b': Array(string) (optional)]"
    assert repr(TensorSpec(np.dtype("int64"), (-1, 2), "t")) == "'t': Tensor('int64', (-1, 2))"
    assert repr(Map(AnyType())) == "Map(str -> Any)"


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([], "non-empty list"),
        ([ColSpec("long", "a"), ColSpec("long")], "Name all or none"),
        (
            [ColSpec("long", "a"), TensorSpec(np.dtype("int64"), (-1,), "b")],
            "cannot mix ColSpec and TensorSpec",
        ),
        ([TensorSpec(np.dtype("int64"), (-1,)), TensorSpec(np.dtype("int64"), (-1,))], "needs a name"),
        ([ColSpec("long", required=False)], "cannot be optional"),
    ],
)
def test_impossible_schemas_are_refused(inputs, message):
    with pytest.raises(InvalidParameterError, match=message):
        Schema(inputs)


@pytest.mark.parametrize("text", ["no json", "{}", "[1]", '[{"name": "a"}]', '[{"type": "int"}]'])
def test_a_broken_schema_text_is_a_bad_parameter(text):
    with pytest.raises(InvalidParameterError):
        Schema.from_json(text)


def test_merging_makes_one_sided_properties_optional():
    merged = merge_types(
        Object([Property("a", "long"), Property("b", "string")]),
        Object([Property("a", "long"), Property("c", "double")]),
    )
    assert merged == Object(
        [
            Property("a", "long"),
            Property("b", "string", required=False),
            Property("c", "double", required=False),
        ]
    )


def test_merging_with_any_keeps_the_known_type_whatever_the_order():
    assert merge_types(AnyType(), DataType.long) == merge_types(DataType.long, AnyType()) == DataType.long


def test_types_without_a_common_type_do_not_merge():
    with pytest.raises(IncompatibleTypesError, match="long"):
        merge_types(Array("long"), Array("string"))


def test_numpy_and_pandas_types_of_columns():
    schema = Schema([ColSpec("float", "a"), ColSpec("string", "b")])
    assert schema.numpy_types() == [np.dtype("float32"), np.dtype("str")]
    assert schema.pandas_types() == [np.dtype("float32"), np.dtype(object)]


def test_a_param_default_must_fit_its_type():
    with pytest.raises(InvalidParameterError, match="param 't' from str to double"):
        ParamSpec("t", "double", "warm")


def test_an_integer_default_of_a_double_becomes_a_float():
    default = ParamSpec("t", "double", 1).default
    assert isinstance(default, float)
    assert json.dumps(default) == "1.0"


def test_a_scalar_where_a_list_is_wanted_is_refused_with_the_way_out():
    with pytest.raises(InvalidParameterError, match=r"write \['a'\]"):
        ParamSpec("stop", "string", "a", shape=(-1,))


def test_duplicate_params_are_refused():
    with pytest.raises(InvalidParameterError, match="'t'"):
        ParamSchema([ParamSpec("t", "double", 1.0), ParamSpec("t", "long", 1)])


def test_a_tensor_with_a_text_length_is_refused():
    with pytest.raises(InvalidParameterError, match="no text length"):
        TensorSpec(np.dtype("U5"), (-1,))
