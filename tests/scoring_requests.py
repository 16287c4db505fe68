"""Requests of the scoring protocol for tests, and a model that answers with what it was asked."""

import json
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd

from slipstream.models.enforcement import enforce_schema
from slipstream.models.schema import (
    ColSpec,
    ParamSchema,
    ParamSpec,
    Schema,
    TensorSpec,
)
from slipstream.models.signature import ModelSignature
from slipstream.serving.protocols.invocations import decode
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

BIG = 2**53 + 1  # the first integer that no double holds


def read(model: ServedModel, document: object, media: str = JSON) -> Any:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    return decode(model, body, media).data


def same_frame(actual: Any, expected: dict[str, Any], dtypes: dict[str, str] | None = None) -> None:
    wanted = pd.DataFrame(expected)
    pd.testing.assert_frame_equal(actual, wanted.astype(dtypes) if dtypes else wanted)


def predicted(schema: tuple[ColSpec | TensorSpec, ...], document: object, media: str = JSON) -> Any:
    """Return what the model sees: the request as read, then fitted to the signature."""
    model = served(*schema)
    assert model.schema is not None
    return enforce_schema(read(model, document, media), model.schema)
