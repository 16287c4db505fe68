"""Train what the journey by keys goes through; run as a program, so that its libraries and settings stay its own.

    python journey_seed.py http://127.0.0.1:5000

In the experiment `prices` each run's model answers with its own multiple of `x`; the nearer to 2 that is, the smaller its error. The
worst of them is version 1 of `prices`, and its champion. One run has no model and claims an even smaller error.
"""

import sys

import numpy as np
import pandas as pd
from sklearn.linear_model import LinearRegression

import slipstream
from slipstream import sklearn
from slipstream.client.client import SlipstreamClient

MULTIPLES = (3.0, 2.0, 1.5)


def main(url: str) -> None:
    slipstream.set_tracking_uri(url)
    slipstream.set_experiment("prices")
    rows = pd.DataFrame({"x": [1.0, 2.0, 3.0]})
    for multiple in MULTIPLES:
        with slipstream.start_run(run_name=f"times-{multiple}"):
            model = LinearRegression(fit_intercept=False).fit(rows, multiple * rows["x"])
            slipstream.log_params({"kind": "linear", "multiple": multiple})
            for step in range(3):
                slipstream.log_metric("rmse", abs(multiple - 2.0) + 0.1 + (2 - step) * 0.01, step=step)
            sklearn.log_model(
                model,
                name="model",
                signature=slipstream.models.infer_signature(rows, np.asarray(model.predict(rows))),
                input_example=rows,
                pip_requirements=["scikit-learn"],
                registered_model_name="prices" if multiple == MULTIPLES[0] else None,
            )
    with slipstream.start_run(run_name="leak"):
        slipstream.log_params({"kind": "leak", "multiple": 0})
        slipstream.log_metric("rmse", 0.001)
    SlipstreamClient(url).set_registered_model_alias("prices", "champion", "1")


if __name__ == "__main__":
    main(sys.argv[1])
