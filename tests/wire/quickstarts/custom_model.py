"""A model made of any Python code, with params and artifacts, logged and loaded as a function."""

import json
from pathlib import Path

import mlflow
import numpy as np
import pandas as pd
from mlflow.models import ModelSignature, infer_signature
from mlflow.pyfunc import PythonModel
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema


class AddN(PythonModel):
    """Add the number from its file, and the one that the caller gives."""

    def load_context(self, context):
        self.n = json.loads(Path(context.artifacts["number"]).read_text())

    def predict(self, context, model_input, params=None):
        return model_input.apply(lambda column: column + self.n + (params or {}).get("more", 0))


Path("number.json").write_text("5")
mlflow.set_experiment("Quickstart: custom model")
example = pd.DataFrame([[1.0, 2.0]], columns=["a", "b"])
signature = infer_signature(example, example, params={"more": 0})
with mlflow.start_run():
    info = mlflow.pyfunc.log_model(
        name="add_n", python_model=AddN(), artifacts={"number": "number.json"}, signature=signature
    )
    function_info = mlflow.pyfunc.log_model(
        name="twice",
        python_model=lambda model_input: model_input * 2,
        pip_requirements=["numpy"],
        input_example=[1.0],
    )
model = mlflow.pyfunc.load_model(info.model_uri)
assert model.predict(example).to_numpy().tolist() == [[6.0, 7.0]]
assert model.predict(example, params={"more": 1}).to_numpy().tolist() == [[7.0, 8.0]]
assert isinstance(model.unwrap_python_model(), AddN)
assert model.metadata.get_input_schema().input_names() == ["a", "b"]
assert list(np.array(mlflow.pyfunc.load_model(function_info.model_uri).predict(np.array([1.0, 2.0])))) == [
    2.0,
    4.0,
]
by_hand = ModelSignature(
    inputs=Schema([ColSpec(DataType.double, "a"), ColSpec("double", "b")]),
    outputs=Schema([ColSpec(DataType.double, "a"), ColSpec(DataType.double, "b")]),
    params=ParamSchema([ParamSpec("more", DataType.long, 0)]),
)
assert by_hand == mlflow.models.get_model_info(info.model_uri).signature
