"""The Open Inference Protocol, request by request, without a server."""

import base64
import datetime as dt
import json
import math
import struct
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from slipstream.errors import InternalError, InvalidParameterError, NotFoundError, SlipstreamError
from slipstream.models.schema import Array, ColSpec, Map, ParamSchema, ParamSpec, Schema, TensorSpec
from slipstream.models.signature import ModelSignature
from slipstream.serving.protocols import v2
from slipstream.serving.question import Question
from slipstream.serving.served import ServedModel


class Echo:
    def __init__(self, signature: ModelSignature | None) -> None:
        self.metadata = SimpleNamespace(signature=signature)

    def predict(self, data: Any, params: Any = None) -> Any:
        return data


def served(
    *inputs: ColSpec | TensorSpec,
    outputs: list[ColSpec | TensorSpec] | None = None,
    params: list[ParamSpec] | None = None,
) -> ServedModel:
    if not inputs and not outputs and not params:
        return ServedModel(Echo(None), "m")
    signature = ModelSignature(
        inputs=Schema(list(inputs)) if inputs else None,
        outputs=Schema(outputs) if outputs else None,
        params=ParamSchema(params) if params else None,
    )
    return ServedModel(Echo(signature), "m")


def tensor(data: Any, datatype: str = "FP64", name: str = "x", **more: Any) -> dict[str, Any]:
    given: dict[str, Any] = {"name": name, "shape": [len(data)], "datatype": datatype, "data": data}
    return {**given, **more}


def read(model: ServedModel, *tensors: dict[str, Any], **more: Any) -> Question:
    return v2.read(model, "infer", json.dumps({"inputs": list(tensors), **more}).encode(), None)


def read_raw(model: ServedModel, document: dict[str, Any], *raw: bytes) -> Question:
    head = json.dumps(document).encode()
    return v2.read(model, "infer", head + b"".join(raw), str(len(head)))


def tensor_model(dtype: str = "float64", shape: tuple[int, ...] = (-1, 2), name: str | None = None) -> Any:
    return served(TensorSpec(np.dtype(dtype), shape, name))


# -- datatypes --------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("datatype", "dtype", "values"),
    [
        ("BOOL", "bool", [True, False]),
        ("UINT8", "uint8", [0, 255]),
        ("UINT16", "uint16", [0, 65535]),
        ("UINT32", "uint32", [0, 2**32 - 1]),
        ("UINT64", "uint64", [0, 2**64 - 1]),
        ("INT8", "int8", [-128, 127]),
        ("INT16", "int16", [-(2**15), 2**15 - 1]),
        ("INT32", "int32", [-(2**31), 2**31 - 1]),
        ("INT64", "int64", [-(2**63), 2**63 - 1]),
        ("FP16", "float16", [0.5, -65504.0]),
        ("FP32", "float32", [0.5, 2.0**100]),
        ("FP64", "float64", [0.1, 1e308]),
    ],
)
def test_datatypes_there_and_back(datatype: str, dtype: str, values: list[Any]) -> None:
    expected = np.array(values, dtype=dtype)
    plain = read(served(), tensor(values, datatype))
    assert plain.data.dtype == dtype
    np.testing.assert_array_equal(plain.data, expected)
    raw = expected.tobytes()
    packed = read_raw(
        served(),
        {
            "inputs": [
                {
                    "name": "x",
                    "shape": [2],
                    "datatype": datatype,
                    "parameters": {"binary_data_size": len(raw)},
                }
            ],
            "parameters": {"binary_data_output": True},
        },
        raw,
    )
    np.testing.assert_array_equal(packed.data, expected)
    assert packed.data.flags.writeable
    output = json.loads(plain.finish(expected).body)["outputs"][0]
    assert output == {"name": "output-1", "shape": [2, 1], "datatype": datatype, "data": values}
    answer = packed.finish(expected)
    length = int(dict(answer.headers)[b"inference-header-content-length"])
    assert answer.media_type == "application/octet-stream"
    assert answer.body[length:] == raw
    assert json.loads(answer.body[:length])["outputs"] == [
        {
            "name": "output-1",
            "shape": [2, 1],
            "datatype": datatype,
            "parameters": {"binary_data_size": len(raw)},
        }
    ]


def test_text_and_bytes_there_and_back() -> None:
    raw = b"".join(struct.pack("<I", len(each)) + each for each in ("é".encode(), b""))
    declared = {"name": "x", "shape": [2], "datatype": "BYTES"}
    question = read_raw(
        served(),
        {
            "inputs": [{**declared, "parameters": {"binary_data_size": len(raw)}}],
            "outputs": [{"name": "output-1", "parameters": {"binary_data": True}}],
        },
        raw,
    )
    assert question.data.tolist() == ["é", ""]
    answer = question.finish(question.data)
    assert answer.body.endswith(raw)
    packed = read(served(), tensor(["AP8=", ""], "BYTES", parameters={"content_type": "base64"}))
    assert packed.data.tolist() == [b"\x00\xff", b""]
    output = json.loads(packed.finish(packed.data).body)["outputs"][0]
    assert output["data"] == ["AP8=", ""]
    assert output["parameters"] == {"content_type": "base64"}


def test_missing_numbers() -> None:
    assert math.isnan(read(served(), tensor([None, 1.5])).data[0])
    question = v2.read(
        served(),
        "infer",
        b'{"inputs": [{"name": "x", "shape": [2], "datatype": "FP32", "data": [NaN, -Infinity]}]}',
        None,
    )
    assert np.isnan(question.data[0])
    assert question.data[1] == -np.inf
    assert b'"data":[null,1.0]' in question.finish(np.array([np.nan, 1.0])).body
    assert json.loads(question.finish(np.array([np.inf])).body)["outputs"][0]["data"] == [math.inf]


def test_data_may_be_nested_as_the_shape_says() -> None:
    for data in ([[[1, 2], [3, 4]]], [1, 2, 3, 4]):
        question = read(served(), tensor(data, "INT32", shape=[1, 2, 2]))
        assert question.data.tolist() == [[[1, 2], [3, 4]]]


# -- what the model takes -----------------------------------------------------------------------------
def test_single_tensor_without_a_name() -> None:
    question = read(tensor_model(), tensor([1, 2, 3, 4], "INT64", shape=[2, 2]))
    assert question.data.dtype == "float64"
    assert question.data.tolist() == [[1.0, 2.0], [3.0, 4.0]]
    column = read(tensor_model(shape=(-1,)), tensor([1.0, 2.0], shape=[2, 1]))
    assert column.data.shape == (2,)


def test_named_tensors() -> None:
    model = served(TensorSpec(np.dtype("int64"), (-1,), "a"), TensorSpec(np.dtype("str"), (-1,), "b"))
    question = read(model, tensor([2**63 - 1], "INT64", "a"), tensor(["t"], "BYTES", "b"))
    assert question.data["a"].tolist() == [2**63 - 1]
    assert question.data["b"].dtype.kind == "U"


COLUMNS = (
    ColSpec("long", "i"),
    ColSpec("double", "d"),
    ColSpec("float", "f"),
    ColSpec("string", "s"),
    ColSpec("boolean", "b"),
    ColSpec("binary", "x", required=False),
    ColSpec("datetime", "t", required=False),
)
ROW = (
    tensor([2**53 + 1], "INT64", "i"),
    tensor([0.1], "FP64", "d"),
    tensor([0.1], "FP32", "f", shape=[1, 1]),
    tensor(["text"], "BYTES", "s"),
    tensor([True], "BOOL", "b"),
)


def test_one_input_for_each_column() -> None:
    model = served(*COLUMNS)
    more = (tensor(["Ynl0ZXM="], "BYTES", "x", parameters={"content_type": "base64"}),)
    more += (tensor(["2026-01-31T12:00:00Z"], "BYTES", "t", parameters={"content_type": "datetime"}),)
    table = read(model, *ROW, *more).input()
    assert table.iloc[0].tolist() == [
        2**53 + 1,
        0.1,
        np.float32(0.1),
        "text",
        True,
        b"bytes",
        pd.Timestamp("2026-01-31T12:00:00"),
    ]
    assert table["f"].dtype == "float32"
    assert table["t"].dtype == "datetime64[ns]"


def test_rows_of_tables_can_be_joined() -> None:
    model = served(*COLUMNS[:5])
    first, second = read(model, *ROW), read(model, *ROW)
    assert first.rows is not None
    assert second.rows is not None
    assert first.rows.like == second.rows.like
    table = first.rows.make([*first.rows.rows, *second.rows.rows])
    assert table["i"].tolist() == [2**53 + 1] * 2
    assert table["f"].dtype == "float32"
    large = read(served(ColSpec("double", "a")), tensor([0.5] * 1000, name="a"))
    assert large.rows is None
    assert large.input().shape == (1000, 1)


def test_columns_without_names_go_by_place() -> None:
    model = served(ColSpec("double"), ColSpec("long"))
    whole = read(model, tensor([1, 2, 3, 4], "INT64", shape=[2, 2])).input()
    apart = read(model, tensor([1, 3], "INT64", "p"), tensor([2, 4], "INT64", "q")).input()
    pd.testing.assert_frame_equal(whole, apart)
    assert whole.to_numpy().tolist() == [[1.0, 2.0], [3.0, 4.0]]


def test_lists_in_a_column() -> None:
    model = served(ColSpec(Array("double"), "v"))
    table = read(model, tensor([1.5, 2.5, 3.5, 4.5], name="v", shape=[2, 2])).input()
    assert table["v"].tolist() == [[1.5, 2.5], [3.5, 4.5]]


def test_model_without_a_signature() -> None:
    several = (tensor([1.0], name="a"), tensor([2], "INT8", "b"))
    assert read(served(), *several).data["b"].tolist() == [2]
    table = read(served(), *several, parameters={"content_type": "pd"}).data
    assert table.to_dict(orient="records") == [{"a": 1.0, "b": 2}]
    assert read(served(), *several, parameters={"content_type": "np"}).data.keys() == {"a", "b"}


def test_params_of_the_model_are_parameters_of_the_request() -> None:
    model = served(
        TensorSpec(np.dtype("float64"), (-1,)),
        params=[ParamSpec("top", "long", 1), ParamSpec("b", "long", 2)],
    )
    assert read(model, tensor([1.0]), parameters={"top": 3}).params == {"top": 3}
    assert read(model, tensor([1.0])).params is None


# -- what is refused ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ([], "Expected `object`"),
        ({}, "`inputs`"),
        ({"inputs": 1}, r"\$.inputs"),
        ({"inputs": []}, "'inputs' is empty"),
        ({"inputs": [1]}, r"\$.inputs\[0\]"),
        ({"inputs": [tensor([1.0])], "id": 5}, r"\$.id"),
        ({"inputs": [tensor([1.0])], "parameters": 5}, r"\$.parameters"),
        (
            {"inputs": [tensor([1.0])], "parameters": {"priority": 5}},
            "Unknown parameters of the request: priority",
        ),
        ({"inputs": [tensor([1.0])], "parameters": {"content_type": "xml"}}, "'xml' for 'content_type'"),
        ({"inputs": [tensor([1.0])], "parameters": {"content_type": []}}, "'content_type' of the request"),
        (
            {"inputs": [tensor([1.0])], "parameters": {"binary_data_output": 1}},
            "'1' for 'binary_data_output'",
        ),
        ({"inputs": [tensor([1.0])], "outputs": [{}]}, "`name`"),
        (
            {"inputs": [tensor([1.0])], "outputs": [{"name": "y", "parameters": {"classification": 2}}]},
            "output 'y': classification",
        ),
        (
            {"inputs": [tensor([1.0])], "outputs": [{"name": "y", "parameters": {"binary_data": 2}}]},
            "'binary_data' of output 'y'",
        ),
        ({"inputs": [{**tensor([1.0]), "name": None}]}, r"\$.inputs\[0\].name"),
        ({"inputs": [tensor([1.0], shape=["a"])]}, r"\$.inputs\[0\].shape"),
        ({"inputs": [tensor([1.0], shape=[-1])]}, r"'shape' of input 'x'"),
        ({"inputs": [tensor([1.0], shape=[2])]}, r"shape \[2\], which is 2 values"),
        ({"inputs": [tensor([[1.0], 2.0], shape=[2, 1])]}, r"does not have the shape"),
        ({"inputs": [tensor([[1.0, 2.0], [3.0]], shape=[2, 2])]}, r"does not have the shape"),
        ({"inputs": [tensor([1.0], "FP8")]}, "'FP8' for 'datatype' of input 'x'"),
        ({"inputs": [{**tensor([1.0]), "data": 5}]}, "input 'x' needs 'data'"),
        ({"inputs": [{"name": "x", "shape": [1], "datatype": "FP32"}]}, "input 'x' needs 'data'"),
        ({"inputs": [tensor([1.0]), tensor([1.0])]}, "more than once"),
        (
            {"inputs": [tensor([1.0], parameters={"content_type": "jpg"})]},
            "'jpg' for 'content_type' of input",
        ),
        ({"inputs": [tensor([1.0], parameters={"shared_memory_region": "a"})]}, "shared_memory_region"),
        ({"inputs": [tensor([1.0], parameters={"binary_data_size": 8})]}, "'8' for 'binary_data_size'"),
        ({"inputs": [tensor(["1"])]}, "value 1 of input 'x' cannot be FP64: send numbers"),
        ({"inputs": [tensor([True])]}, "value True of input 'x' cannot be FP64"),
        ({"inputs": [tensor([2**53 + 1])]}, "9007199254740993 of input 'x' cannot be FP64"),
        ({"inputs": [tensor([0.5, 2**70])]}, f"{2**70} of input 'x' cannot be FP64"),
        ({"inputs": [tensor([1e300], "FP32")]}, "1e.300 of input 'x' cannot be FP32: it is out of range"),
        ({"inputs": [tensor([70000.0], "FP16")]}, "70000.0 of input 'x' cannot be FP16"),
        ({"inputs": [tensor([1.5], "INT64")]}, "1.5 of input 'x' cannot be INT64: send whole numbers"),
        ({"inputs": [tensor([None], "INT64")]}, "None of input 'x' cannot be INT64"),
        ({"inputs": [tensor([True], "INT64")]}, "True of input 'x' cannot be INT64"),
        ({"inputs": [tensor([2**63], "INT64")]}, f"{2**63} of input 'x' cannot be INT64"),
        ({"inputs": [tensor([-1], "UINT8")]}, "-1 of input 'x' cannot be UINT8: values are from 0 to 255"),
        ({"inputs": [tensor([2], "BOOL")]}, "2 of input 'x' cannot be BOOL: send true or false"),
        ({"inputs": [tensor([1.0], "BOOL")]}, "1.0 of input 'x' cannot be BOOL"),
        ({"inputs": [tensor([[1]], "BOOL")]}, r"cannot be BOOL|shape"),
        ({"inputs": [tensor([5], "BYTES")]}, "5 of input 'x' cannot be BYTES: send text"),
        (
            {"inputs": [tensor(["~"], "BYTES", parameters={"content_type": "base64"})]},
            "input 'x' is not base64",
        ),
    ],
)
def test_bad_requests(request_: Any, words: str) -> None:
    with pytest.raises(SlipstreamError, match=words) as raised:
        v2.read(served(), "infer", json.dumps(request_).encode(), None)
    assert raised.value.status == 400


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"inputs": \xff}',
        b'{"inputs": "\\ud800"}',
        b'"\xed\xa0\x80"',
    ],
)
def test_bodies_that_are_no_json(body: bytes) -> None:
    with pytest.raises(SlipstreamError, match="The body is no") as raised:
        v2.read(served(), "infer", body, None)
    assert raised.value.status == 400


def raw_request(datatype: str, raw: bytes, shape: list[int], **more: Any) -> tuple[dict[str, Any], bytes]:
    declared = {
        "name": "x",
        "shape": shape,
        "datatype": datatype,
        "parameters": {"binary_data_size": len(raw)},
    }
    return {"inputs": [{**declared, **more}]}, raw


@pytest.mark.parametrize(
    ("datatype", "raw", "shape", "words"),
    [
        ("FP64", b"12345678", [2], "is 8, but 2 values of FP64 .* take 16 bytes"),
        ("BOOL", b"\x02", [1], "2 of input 'x' cannot be BOOL"),
        ("BYTES", b"\x05\x00\x00\x00abc", [1], "are not 1 values of BYTES"),
        ("BYTES", b"\x00\x00", [1], "are not 1 values of BYTES"),
        ("BYTES", b"\x00\x00\x00\x00" * 2, [1], "are not 1 values of BYTES"),
        ("BYTES", b"\x01\x00\x00\x00\xff", [1], "is not UTF-8"),
    ],
)
def test_bad_raw_values(datatype: str, raw: bytes, shape: list[int], words: str) -> None:
    with pytest.raises(SlipstreamError, match=words):
        read_raw(served(), *raw_request(datatype, raw, shape))


def test_raw_values_must_all_belong_somewhere() -> None:
    document, raw = raw_request("FP64", bytes(8), [1])
    with pytest.raises(SlipstreamError, match="1 bytes of raw values belong to no input"):
        read_raw(served(), document, raw, b"x")
    with pytest.raises(SlipstreamError, match="both 'data' and 'binary_data_size'"):
        read_raw(served(), *raw_request("FP64", bytes(8), [1], data=[1.0]))
    body = json.dumps({"inputs": [tensor([1.0])]}).encode()
    for length in ("-1", "x", "", str(len(body) + 1), "9" * 5000, "²"):
        with pytest.raises(SlipstreamError, match="Inference-Header-Content-Length"):
            v2.read(served(), "infer", body, length)


@pytest.mark.parametrize(
    ("model", "tensors", "words"),
    [
        (tensor_model(), [tensor([1.0], name="a"), tensor([1.0], name="b")], "exactly one input, not 2"),
        (
            tensor_model(),
            [tensor(["a"], "BYTES")],
            "has the datatype BYTES, but the model takes float64: send FP64",
        ),
        (tensor_model("int64"), [tensor([0.5])], "value 0.5 of input 'x' .FP64. would change as int64"),
        (tensor_model("int64"), [tensor([2.0**63])], "would change as int64"),
        (tensor_model("int64"), [tensor([2**63], "UINT64")], "would change as int64"),
        (tensor_model("uint8"), [tensor([-1], "INT8")], "value -1 of input 'x' .INT8. would change as uint8"),
        (tensor_model("float64"), [tensor([2**63 - 1], "INT64")], "would change as float64"),
        (
            tensor_model("float32"),
            [tensor([0.1])],
            "value 0.1 of input 'x' .FP64. would change as float32.* FP32",
        ),
        (tensor_model("bool"), [tensor([1], "INT8")], "but the model takes bool: send BOOL"),
        (tensor_model(name="a"), [tensor([1.0])], "no input 'x'. Send one input for each of: 'a'"),
        (served(*COLUMNS), ROW[:4], "inputs 'b' are missing"),
        (served(*COLUMNS), [*ROW, tensor([1.0], name="zz")], "no input 'zz'"),
        (
            served(*COLUMNS),
            [tensor([1, 2], "INT64", "i"), *ROW[1:]],
            "same number of rows; got .*'i': 2, 'd': 1",
        ),
        (served(ColSpec("double", "a")), [tensor([1.0, 2.0], name="a", shape=[1, 2])], r"not \[1, 2\]"),
        (served(ColSpec("double", "a")), [tensor(["1"], "BYTES", "a")], "takes double: send FP64"),
        (served(ColSpec("double", "a")), [tensor([True], "BOOL", "a")], "takes double: send FP64"),
        (served(ColSpec("integer", "a")), [tensor([2**31], "INT64", "a")], "would change as integer"),
        (served(ColSpec("boolean", "a")), [tensor([1], "INT8", "a")], "takes boolean: send BOOL"),
        (served(ColSpec("string", "a")), [tensor([1.0], name="a")], "takes string: send BYTES"),
        (
            served(ColSpec("string", "a")),
            [tensor(["YQ=="], "BYTES", "a", parameters={"content_type": "base64"})],
            "takes text",
        ),
        (served(ColSpec("datetime", "a")), [tensor(["soon"], "BYTES", "a")], "input 'a' is no time"),
        (served(ColSpec(Map("double"), "a")), [tensor([1.0], name="a")], "Use POST /invocations"),
        (served(ColSpec("double"), ColSpec("long")), [tensor([1.0])], r"or one of shape \[rows, 2\]; got 1"),
    ],
)
def test_inputs_that_the_model_does_not_take(model: ServedModel, tensors: list[Any], words: str) -> None:
    with pytest.raises(SlipstreamError, match=words) as raised:
        read(model, *tensors)
    assert raised.value.status == 400


# -- answers ----------------------------------------------------------------------------------------------
def answered(model: ServedModel, result: Any, **request: Any) -> Any:
    return json.loads(read(model, tensor([1.0]), **request).finish(result).body)


def output(name: str, datatype: str, data: list[Any], **more: Any) -> dict[str, Any]:
    return {"name": name, "shape": [len(data), 1], "datatype": datatype, "data": data, **more}


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (np.array([[1.5, 2.5]]), {**output("output-1", "FP64", [1.5, 2.5]), "shape": [1, 2]}),
        (np.float32(0.5), output("output-1", "FP32", [0.5])),
        (3, output("output-1", "INT64", [3])),
        ([1, 2], output("output-1", "INT64", [1, 2])),
        ([[1, 2], [3, 4]], {**output("output-1", "INT64", [1, 2, 3, 4]), "shape": [2, 2]}),
        ([[1], [2, 3]], output("output-1", "BYTES", ["[1]", "[2, 3]"])),
        (["a", "é"], output("output-1", "BYTES", ["a", "é"])),
        ("text", output("output-1", "BYTES", ["text"])),
        ([{"a": 1}], output("output-1", "BYTES", ['{"a": 1}'])),
        (["a", 1], output("output-1", "BYTES", ["a", "1"])),
        (np.array(["a", "b"]), output("output-1", "BYTES", ["a", "b"])),
        (np.array([1, 2], dtype=object), output("output-1", "INT64", [1, 2])),
        (np.array([2**70], dtype=object), output("output-1", "BYTES", [str(2**70)])),
        (np.array([True]), output("output-1", "BOOL", [True])),
        (pd.Series([0.5], name="y"), output("output-1", "FP64", [0.5])),
        (
            np.array(["2026-01-31T12:00:00"], dtype="datetime64[ns]"),
            output("output-1", "BYTES", ["2026-01-31T12:00:00.000000000"]),
        ),
        ([dt.date(2026, 1, 31)], output("output-1", "BYTES", ["2026-01-31"])),
        ([b"\xff"], output("output-1", "BYTES", ["/w=="], parameters={"content_type": "base64"})),
    ],
)
def test_results(result: Any, expected: dict[str, Any]) -> None:
    assert answered(served(), result) == {"model_name": "m", "outputs": [expected]}


def test_results_of_several_outputs() -> None:
    table = pd.DataFrame({"a": [1, 2], "b": ["x", "y"]})
    expected = [output("a", "INT64", [1, 2]), output("b", "BYTES", ["x", "y"])]
    assert answered(served(), table)["outputs"] == expected
    assert answered(served(), {"a": [1, 2], "b": ["x", "y"]})["outputs"] == expected
    chosen = answered(served(), table, id="7", outputs=[{"name": "b"}])
    assert chosen == {"model_name": "m", "id": "7", "outputs": expected[1:]}
    with pytest.raises(SlipstreamError, match="no output nope; its outputs are a, b") as raised:
        answered(served(), table, outputs=[{"name": "nope"}])
    assert raised.value.status == 400
    with pytest.raises(InternalError, match="two columns have one name"):
        answered(served(), pd.DataFrame([[1, 2]], columns=["a", "a"]))
    with pytest.raises(InternalError, match="no JSON form"):
        answered(served(), [object()])


def test_the_only_output_has_the_name_in_the_signature() -> None:
    model = served(outputs=[ColSpec("double", "price")])
    assert answered(model, np.array([1.0]))["outputs"][0]["name"] == "price"
    assert answered(served(outputs=[ColSpec("double")]), np.array([1.0]))["outputs"][0]["name"] == "output-1"


def test_binary_output_may_be_chosen_one_by_one() -> None:
    question = read(
        served(),
        tensor([1.0]),
        parameters={"binary_data_output": True},
        outputs=[{"name": "a", "parameters": {"binary_data": False}}, {"name": "b"}],
    )
    answer = question.finish({"a": [1], "b": [2]})
    length = int(dict(answer.headers)[b"inference-header-content-length"])
    first, second = json.loads(answer.body[:length])["outputs"]
    assert first["data"] == [1]
    assert second["parameters"] == {"binary_data_size": 8}
    assert answer.body[length:] == struct.pack("<q", 2)


def test_refusals() -> None:
    answer = v2.refusal(NotFoundError("No such model"))
    assert (answer.status, answer.body) == (404, b'{"error":"No such model"}')


def test_language_models_have_no_tensors() -> None:
    model = served()
    model.text = object()  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(InvalidParameterError, match="Use POST /v1/chat/completions"):
        read(model, tensor([1.0]))


def test_type_hints_get_plain_values() -> None:
    model = served(ColSpec("string"))
    model.from_type_hint = True
    assert read(model, tensor(["a", "b"], "BYTES")).data == ["a", "b"]


def test_base64_is_that_of_everybody() -> None:
    value = base64.b64encode(bytes(range(256))).decode()
    question = read(
        served(ColSpec("binary", "x")), tensor([value], "BYTES", parameters={"content_type": "base64"})
    )
    assert question.input()["x"].iloc[0] == bytes(range(256))


@pytest.mark.parametrize("shape", [[0, 2**41], [0, 2**40, 2**40], [1] * 33, [2**62] * 300_000, [-1, 0]])
def test_shapes_that_no_array_has_are_refused_at_once(shape: list[int]) -> None:
    with pytest.raises(SlipstreamError, match="for 'shape' of input 'x'"):
        read(served(), tensor([], shape=shape))
