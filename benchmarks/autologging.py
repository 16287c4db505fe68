"""What autologging costs: a small fit alone, watched and turned off, watched and logged. Under MLflow, too, if it is named.

    python benchmarks/autologging.py [--module mlflow] [--fits 20]

Prints milliseconds of a fit, the median, and microseconds that a watched call costs inside another.
"""

import argparse
import importlib
import json
import os
import statistics
import tempfile
import time
from typing import Any


def median_ms(function: Any, times: int) -> float:
    taken: list[float] = []
    for _ in range(times):
        start = time.perf_counter()
        function()
        taken.append((time.perf_counter() - start) * 1000)
    return round(statistics.median(taken), 3)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--module", default="slipstream")
    parser.add_argument("--fits", type=int, default=20)
    options = parser.parse_args()
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["MPLBACKEND"] = "agg"
    os.chdir(tempfile.mkdtemp(prefix="bench-autologging-"))
    library = importlib.import_module(options.module)
    library.set_tracking_uri("sqlite:///tracking.db")

    import logging
    import warnings

    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    data = np.random.RandomState(0).rand(2000, 20)
    labels = (data[:, 0] > 0.5).astype(int)

    def fit() -> None:
        LogisticRegression().fit(data, labels)

    fit()
    found: dict[str, Any] = {"module": options.module, "alone": median_ms(fit, 50)}
    start = time.perf_counter()
    library.sklearn.autolog(log_models=False, silent=True)
    found["turning on"] = round((time.perf_counter() - start) * 1000, 1)
    fit()
    found["logged, no model"] = median_ms(fit, options.fits)
    library.sklearn.autolog(log_models=False, log_datasets=False, silent=True)
    found["logged, no model, no datasets"] = median_ms(fit, options.fits)
    library.sklearn.autolog(silent=True)
    found["logged with model"] = median_ms(fit, max(3, options.fits // 4))
    library.sklearn.autolog(disable=True)
    found["turned off again"] = median_ms(fit, 50)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
