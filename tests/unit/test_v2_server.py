"""The Open Inference Protocol behind a real server: routes, versions, health, metadata, and a foreign client."""

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any, TypeVar

import msgspec
import numpy as np
import pytest

from scoring_server import Client, Registry, serving
from slipstream import __version__
from slipstream.models.schema import Array, ColSpec, ParamSchema, ParamSpec, Schema, TensorSpec
from slipstream.models.signature import ModelSignature
from slipstream.serving.app import ScoringApp
from slipstream.serving.gate import Gate
from slipstream.serving.pool import PoolLimits

T = TypeVar("T")


# -- the protocol's own shapes, written from its specification ---------------------------------------------
class ServerMetadata(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    version: str
    extensions: list[str]


class MetadataTensor(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    datatype: str
    shape: list[int]


class ModelMetadata(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    versions: list[str]
    platform: str
    inputs: list[MetadataTensor]
    outputs: list[MetadataTensor]


class Live(msgspec.Struct, forbid_unknown_fields=True):
    live: bool


class Ready(msgspec.Struct, forbid_unknown_fields=True):
    ready: bool


class ModelReady(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    ready: bool


class Output(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    shape: list[int]
    datatype: str
    data: list[Any]
    parameters: dict[str, Any] | None = None


class InferenceAnswer(msgspec.Struct, forbid_unknown_fields=True):
    model_name: str
    outputs: list[Output]
    model_version: str | None = None
    id: str | None = None
    parameters: dict[str, Any] | None = None


class Failure(msgspec.Struct, forbid_unknown_fields=True):
    error: str


# -- the server -------------------------------------------------------------------------------------------
class Model:
    def __init__(
        self, predict: Callable[[Any], Any], signature: ModelSignature | None, *, joins: bool
    ) -> None:
        self.metadata = SimpleNamespace(signature=signature, flavors={"python_function": {}, "sklearn": {}})
        self.joins_rows = joins
        self._predict = predict

    def predict(self, data: Any, params: Any = None) -> Any:
        return self._predict(data)


ARRAY = ModelSignature(
    inputs=Schema([TensorSpec(np.dtype("float64"), (-1, 2))]),
    outputs=Schema([TensorSpec(np.dtype("float64"), (-1,))]),
)
TABLE = ModelSignature(
    inputs=Schema(
        [
            ColSpec("double", "a"),
            ColSpec("string", "s"),
            ColSpec("datetime", "t", required=False),
            ColSpec(Array("float"), "v", required=False),
        ]
    ),
    outputs=Schema([ColSpec("long", "n")]),
    params=ParamSchema([ParamSpec("p", "long", 1)]),
)


def total(data: Any) -> Any:
    return data.sum(axis=1)


@pytest.fixture
def serve() -> Iterator[Callable[..., Client]]:
    with ExitStack() as stack:

        def start(
            predict: Callable[[Any], Any] = total,
            *,
            signature: ModelSignature | None = ARRAY,
            joins: bool = False,
            gate: Gate | None = None,
            **limits: Any,
        ) -> Client:
            make = lambda _start: Model(predict, signature, joins=joins)  # noqa: E731  # used twice
            registry = Registry({"plain": make, "models:/m@champion/3": make}, PoolLimits(**limits))
            registry.aliases["models:/m@champion"] = "3"
            uris = {"m": "models:/m@champion", "plain": "plain"}
            return stack.enter_context(serving(registry, uris, lambda catalog: ScoringApp(catalog, gate)))

        yield start


def get(client: Client, path: str, shape: type[T], status: int = 200) -> T:
    reply = client.ask("GET", path)
    assert (reply.status, reply.headers["content-type"]) == (status, "application/json")
    return msgspec.json.decode(reply.body, type=shape)


def two(*data: float) -> dict[str, Any]:
    return {"inputs": [{"name": "x", "shape": [len(data) // 2, 2], "datatype": "FP64", "data": list(data)}]}


def infer(client: Client, document: object, path: str = "/v2/models/m/infer") -> InferenceAnswer:
    reply = client.post(path, document)
    assert reply.status == 200, reply.body
    return msgspec.json.decode(reply.body, type=InferenceAnswer)


def test_infer(serve: Callable[..., Client]) -> None:
    client = serve()
    answer = infer(client, {**two(1, 2, 3, 4.5), "id": "one"})
    assert answer == InferenceAnswer("m", [Output("output-1", [2, 1], "FP64", [3.0, 7.5])], id="one")
    assert infer(client, two(1, 2), "/v2/models/plain/infer").model_name == "plain"


def test_versions(serve: Callable[..., Client]) -> None:
    client = serve()
    reply = client.post("/v2/models/m/versions/3/infer", two(1, 2))
    assert reply.status == 200
    assert reply.headers["x-slipstream-model-version"] == "3"
    for path, words in (
        ("/v2/models/m/versions/2/infer", "Version '2' of model 'm' is not served: here is version 3"),
        ("/v2/models/m/versions/{version}/infer", "Version '{version}'"),
        ("/v2/models/plain/versions/1/infer", "it has no versions"),
        ("/v2/models/nope/infer", "There is no model 'nope' here; served are m, plain"),
        ("/v2/models/nope/versions/1/infer", "There is no model 'nope'"),
    ):
        reply = client.post(path, two(1, 2))
        assert reply.status == 404
        assert words in msgspec.json.decode(reply.body, type=Failure).error
    assert client.ask("GET", "/v2/models/m/versions/3/infer").status == 405
    assert client.ask("GET", "/v2/models/m/infer").status == 405


def test_health(serve: Callable[..., Client]) -> None:
    client = serve(gate=Gate(token="secret"))
    assert get(client, "/v2/health/live", Live).live
    assert get(client, "/v2/health/ready", Ready).ready
    assert client.ask("GET", "/v2/models/m/ready").status == 401
    assert client.post("/v2/models/m/infer", two(1, 2)).status == 401


def test_readiness_of_models(serve: Callable[..., Client]) -> None:
    client = serve()
    assert get(client, "/v2/models/m/ready", ModelReady) == ModelReady("m", ready=True)
    assert get(client, "/v2/models/m/versions/3/ready", ModelReady).ready
    assert get(client, "/v2/models/m/versions/2/ready", Failure, 404)
    assert get(client, "/v2/models/nope/ready", Failure, 404)
    served = client.app.catalog.get("m")
    live, served.live = served.live, None
    try:
        assert not get(client, "/v2/health/ready", Ready, 503).ready
        assert not get(client, "/v2/models/m/ready", ModelReady, 503).ready
        assert get(client, "/v2/health/live", Live).live
        assert get(client, "/v2/models/m", Failure, 404)
    finally:
        served.live = live


def test_metadata(serve: Callable[..., Client]) -> None:
    client = serve()
    server = get(client, "/v2", ServerMetadata)
    assert server == ServerMetadata("slipstream", __version__, ["binary_tensor_data"])
    for path in ("/v2/models/m", "/v2/models/m/versions/3"):
        assert get(client, path, ModelMetadata) == ModelMetadata(
            "m",
            ["3"],
            "mlflow_sklearn",
            [MetadataTensor("input-1", "FP64", [-1, 2])],
            [MetadataTensor("output-1", "FP64", [-1, 1])],
        )
    assert get(client, "/v2/models/m/versions/4", Failure, 404)
    assert get(client, "/v2/models/plain", ModelMetadata).versions == []


def test_metadata_of_tables_and_of_nothing(serve: Callable[..., Client]) -> None:
    table = get(serve(signature=TABLE), "/v2/models/m", ModelMetadata)
    assert table.inputs == [
        MetadataTensor("a", "FP64", [-1, 1]),
        MetadataTensor("s", "BYTES", [-1, 1]),
        MetadataTensor("t", "BYTES", [-1, 1]),
        MetadataTensor("v", "FP32", [-1, -1]),
    ]
    assert table.outputs == [MetadataTensor("n", "INT64", [-1, 1])]
    bare = get(serve(signature=None), "/v2/models/m", ModelMetadata)
    assert bare.inputs == bare.outputs == []


def test_what_is_wrong_is_told_as_the_protocol_does(serve: Callable[..., Client]) -> None:
    def fail(_data: object) -> None:
        raise ValueError("boom")

    client = serve(fail)
    for document, words in (
        ({"inputs": []}, "'inputs' is empty"),
        (two(1, 2), "The model raised ValueError: boom"),
        ([], "The body is no inference request"),
    ):
        reply = client.post("/v2/models/m/infer", document)
        assert reply.status == 400
        assert words in msgspec.json.decode(reply.body, type=Failure).error


def test_raw_tensors_cross_the_server(serve: Callable[..., Client]) -> None:
    client = serve()
    raw = np.array([[1.0, 2.0]]).tobytes()
    parameters = {"binary_data_size": len(raw)}
    head = json.dumps(
        {
            "inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP64", "parameters": parameters}],
            "parameters": {"binary_data_output": True},
        }
    ).encode()
    headers = {"Inference-Header-Content-Length": str(len(head))}
    reply = client.ask("POST", "/v2/models/m/infer", head + raw, headers)
    assert reply.status == 200
    assert reply.headers["content-type"] == "application/octet-stream"
    length = int(reply.headers["inference-header-content-length"])
    assert np.frombuffer(reply.body[length:]).tolist() == [3.0]


@pytest.mark.parametrize("kind", ["array", "table"])
def test_requests_are_joined(serve: Callable[..., Client], kind: str) -> None:
    sizes: list[int] = []

    def predict(data: Any) -> Any:
        sizes.append(len(data))
        return data.to_numpy()[:, 0] * 2 if kind == "table" else data[:, 0] * 2

    columns = ModelSignature(inputs=Schema([ColSpec("double", "a"), ColSpec("double", "b")]))
    client = serve(
        predict,
        signature=columns if kind == "table" else ARRAY,
        joins=True,
        batch_size=8,
        batch_wait_seconds=5,
    )

    def ask(number: int) -> float:
        if kind == "array":
            return infer(client, two(number, 0)).outputs[0].data[0]
        inputs = [{"name": name, "shape": [1, 1], "datatype": "FP64", "data": [number]} for name in "ab"]
        return infer(client, {"inputs": inputs}).outputs[0].data[0]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(8))) == [2.0 * number for number in range(8)]
    assert sizes == [8]


def test_with_the_client_of_triton(serve: Callable[..., Client]) -> None:
    http = pytest.importorskip(
        "tritonclient.http", reason="the client of Triton is not installed: pip install 'tritonclient[http]'"
    )
    client = serve()
    triton = http.InferenceServerClient(f"127.0.0.1:{client.port}")
    try:
        assert triton.is_server_live()
        assert triton.is_server_ready()
        assert triton.is_model_ready("m")
        assert triton.is_model_ready("m", "3")
        assert not triton.is_model_ready("m", "4")
        assert triton.get_server_metadata()["name"] == "slipstream"
        assert triton.get_model_metadata("m")["inputs"][0]["datatype"] == "FP64"
        data = np.array([[1.0, 2.0], [3.0, 4.5]])
        for binary in (True, False):
            tensor = http.InferInput("x", [2, 2], "FP64")
            tensor.set_data_from_numpy(data, binary_data=binary)
            for wanted in (None, [http.InferRequestedOutput("output-1", binary_data=binary)]):
                result = triton.infer("m", [tensor], "3", outputs=wanted, request_id="7")
                assert result.as_numpy("output-1").tolist() == [[3.0], [7.5]]
                assert result.get_response()["id"] == "7"
        with pytest.raises(Exception, match="no output nope"):
            triton.infer("m", [tensor], outputs=[http.InferRequestedOutput("nope")])
    finally:
        triton.close()


def test_a_length_of_thousands_of_digits_is_refused(serve: Callable[..., Client]) -> None:
    client = serve()
    reply = client.post(
        "/v2/models/m/infer", {"inputs": []}, **{"Inference-Header-Content-Length": "0" * 5000}
    )
    assert reply.status == 400
    assert "Inference-Header-Content-Length" in reply.json()["error"]


def test_columns_of_different_lengths_are_refused_without_a_signature(serve: Callable[..., Client]) -> None:
    inputs = [
        {"name": "a", "shape": [2], "datatype": "INT64", "data": [1, 2]},
        {"name": "b", "shape": [1], "datatype": "INT64", "data": [1]},
    ]
    client = serve(signature=None)
    reply = client.post("/v2/models/m/infer", {"inputs": inputs, "parameters": {"content_type": "pd"}})
    assert reply.status == 400
    assert "same number of rows" in reply.json()["error"]
