"""Register what pages of models are tried on; run as a program, so that its libraries and settings stay its own.

    python models_seed.py http://127.0.0.1:5000

`house-prices` has three versions: 1 is the champion, 3 takes one more column; `tensor-sum` takes a tensor, `talker` is a
chat model (of which only the files are looked at), `empty` has no version.
"""

import sys
from typing import Any

import numpy as np
import pandas as pd

import slipstream
from slipstream import pyfunc
from slipstream.client.client import SlipstreamClient
from slipstream.models import infer_signature

HOSTILE = "<img src=x onerror=alert(1)>"


class Times(pyfunc.PythonModel):
    """Answers column `a`, times the param `k`."""

    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        if (model_input["b"] == "fail").any():
            raise ValueError("b must not be fail")
        return model_input["a"] * (params or {}).get("k", 2)


class Sum(pyfunc.PythonModel):
    def predict(self, context: Any, model_input: Any, params: Any = None) -> Any:
        return np.asarray(model_input).sum(axis=1)


def main(url: str) -> None:
    slipstream.set_tracking_uri(url)
    slipstream.set_experiment("houses")
    few = pd.DataFrame({"a": [1.5, 2.0], "b": ["x", "y"], "n": [1, 2], "ok": [True, False]})
    for number in range(3):
        rows = few if number < 2 else few.assign(c=[0.5, 0.25])
        with slipstream.start_run(run_name=f"fit-{number}"):
            slipstream.log_params({"lr": 0.1 * (number + 1), "depth": 6})
            slipstream.log_metrics({"rmse": 0.9 - 0.1 * number, "r2": 0.7 + 0.05 * number})
            pyfunc.log_model(
                name="model",
                python_model=Times(),
                signature=infer_signature(rows, rows["a"], params={"k": 2, "mode": "plain"}),
                input_example=rows,
                pip_requirements=["pandas>=2", f"six==1.{number + 15}"],
                registered_model_name="house-prices",
            )
    tensor = np.zeros((2, 3), dtype="float32")
    with slipstream.start_run(run_name="tensor"):
        pyfunc.log_model(
            name="model",
            python_model=Sum(),
            signature=infer_signature(tensor, np.zeros(2)),
            pip_requirements=["numpy"],
            registered_model_name="tensor-sum",
        )
    with slipstream.start_run(run_name="talk"):
        pyfunc.log_model(
            name="model",
            python_model=Sum(),
            metadata={"task": "llm/v1/chat"},
            pip_requirements=["numpy"],
            registered_model_name="talker",
        )
    client = SlipstreamClient(url)
    client.set_registered_model_alias("house-prices", "champion", "1")
    client.set_registered_model_tag("house-prices", "team", "pricing")
    client.set_registered_model_tag("house-prices", "hostile", HOSTILE)
    client.create_registered_model("empty", tags={"team": "search"}, description="nothing yet")


if __name__ == "__main__":
    main(sys.argv[1])
