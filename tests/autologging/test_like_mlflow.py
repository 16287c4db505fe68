"""The same trainings as under a real MLflow, whose recordings are in expected/ (tools/expect_autologging.py made them)."""

import json
from pathlib import Path

import pytest

import slipstream
from autologging import collecting, comparing, scenarios
from autologging.conftest import require_libraries

EXPECTED = Path(__file__).parent / "expected"

ON_PURPOSE = {
    # MLflow gives a function's `**kwargs`, which nobody gave, the value "<class 'inspect._empty'>".
    "statsmodels_ols": ["run 0 params missing: ['kwargs']"],
    "statsmodels_logit": ["run 0 params missing: ['kwargs']"],
    # MLflow describes validation data only where TensorFlow is installed.
    "keras_fit": ["run 0 datasets: ['train'] expected, ['eval', 'train'] found"],
    # Of early stopping, MLflow logs this for Lightning and TensorFlow, and not for Keras 3.
    "keras_steps": [
        "run 0 params not in MLflow: ['baseline', 'min_delta', 'monitor', 'patience', 'restore_best_weights']"
    ],
    # MLflow leaves the run to transformers' own callback, which does not say that it was started by itself.
    "transformers_trainer": ["run 0 tags not in MLflow: ['mlflow.autologging']"],
}
"""Where slipstream logs something else, and why."""


# Warnings are those of the libraries here: what is asked is what was logged.
@pytest.mark.filterwarnings("default")
@pytest.mark.slow
@pytest.mark.parametrize("name", scenarios.SCENARIOS)
def test_the_same_is_logged_as_by_mlflow(name: str, experiment_id: str) -> None:
    train, needed = scenarios.SCENARIOS[name]
    require_libraries(*needed)

    train(slipstream)

    expected = json.loads((EXPECTED / f"{name}.json").read_text("utf-8"))
    found = collecting.collect(slipstream, experiment_id)
    assert comparing.differences(expected, found) == ON_PURPOSE.get(name, [])


def test_every_recording_has_its_training() -> None:
    assert {file.stem for file in EXPECTED.glob("*.json")} == scenarios.SCENARIOS.keys()


def test_a_difference_is_found() -> None:
    expected = json.loads((EXPECTED / "sklearn_regressor.json").read_text("utf-8"))
    found = json.loads((EXPECTED / "sklearn_regressor.json").read_text("utf-8"))
    run = found["runs"][0]
    run["metrics"]["training_score"][0][1] += 0.01
    run["params"]["alpha"] = "2"
    run["artifacts"].remove("estimator.html")
    run["tags"]["more"] = "1"
    run["status"] = "FAILED"

    assert len(comparing.differences(expected, found)) == 5
