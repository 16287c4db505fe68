"""What XGBoost and LightGBM have in common: evaluation results of each iteration, feature importances, estimators."""

import importlib
import importlib.util
import inspect
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from slipstream.autologging import evaluation
from slipstream.autologging.given_data import example_and_signature, sample
from slipstream.autologging.integrations import Integration
from slipstream.autologging.patching import Call, Observer, Steps, as_list
from slipstream.autologging.recording import Recorder
from slipstream.autologging.warnings_once import attempt

EXAMPLE = "_slipstream_example"
"""Attribute of the libraries' own data objects, from which the rows cannot be had back: the first rows."""
NumberedPoints = list[dict[str, float]]


def keep_example(integration: Integration) -> Observer:
    """Observe the making of a data object: keep a copy of the first rows in it."""

    def observe(call: Call) -> Steps:
        made: Any = call.args[0]
        data = call.args[1] if len(call.args) > 1 else call.kwargs.get("data")
        example: Any = None
        if data is not None and integration.options["log_models"]:
            with attempt(integration.flavor, "taking an example of the input"):
                example = sample(data)
        yield
        if example is not None:
            setattr(made, EXAMPLE, example)

    return observe


def arguments_as_params(call: Call, left_out: Sequence[str]) -> dict[str, Any]:
    """Return the arguments of a call, given or by default, without some."""
    bound = inspect.signature(call.original).bind(*call.args, **call.kwargs)
    bound.apply_defaults()
    params: dict[str, Any] = {}
    for name, value in bound.arguments.items():
        kind = inspect.signature(call.original).parameters[name].kind
        if kind is inspect.Parameter.VAR_KEYWORD:
            params.update(value)
        elif kind is not inspect.Parameter.VAR_POSITIONAL:
            params[name] = value
    return {name: value for name, value in params.items() if name not in left_out and name != "self"}


def with_callback(call: Call, callback: Any) -> None:
    """Add a callback to a call's, in a list of its own: the user's list stays as it is."""
    names = list(inspect.signature(call.original).parameters)
    index = names.index("callbacks")
    if len(call.args) > index:
        given = call.args[index]
        call.args = (*call.args[:index], [*as_list(given), callback], *call.args[index + 1 :])
    else:
        call.kwargs = {**call.kwargs, "callbacks": [*as_list(call.kwargs.get("callbacks")), callback]}


def metric_name(name: str) -> str:
    return name.replace("@", "_at_")


def estimator_training(
    integration: Integration, log_model: Callable[[Any, Mapping[str, Any]], Any]
) -> Observer:
    """Observe `fit` of an estimator: its model. All else is logged by `train`, which `fit` calls."""

    def observe(call: Call) -> Steps:
        estimator = call.args[0]
        recorder = Recorder.of_active_run(integration)
        example = None
        with attempt(integration.flavor, "taking an example of the input"):
            example = sample(call.given()["X"])
        yield
        model_id = None
        if integration.options["log_models"]:
            model_id = log(integration, log_model, estimator, example, estimator.predict)
        evaluation.remember_model(
            integration, estimator, recorder.run_id, model_id, recorder.client.tracking_uri
        )

    return observe


def log(
    integration: Integration,
    log_model: Callable[[Any, Mapping[str, Any]], Any],
    model: Any,
    example: Any,
    predict: Callable[[Any], Any],
    model_id: str | None = None,
) -> str | None:
    """Log a model as "model" and return its id; `None` if it could not be logged."""
    example, signature = example_and_signature(integration, example, predict)
    with attempt(integration.flavor, "logging the model"):
        made = log_model(
            model,
            {
                "name": "model",
                "signature": signature,
                "input_example": example,
                "registered_model_name": integration.options["registered_model_name"],
                "model_id": model_id,
            },
        )
        return made.model_id
    return None


def watch_evaluation(integration: Integration, kind: type) -> None:
    """Watch what an estimator predicts and scores after its training, as of scikit-learn's own."""
    for method in evaluation.PREDICTIONS:
        integration.patches.put(
            kind, method, evaluation.prediction_watch(integration, f"{kind.__name__}.{method}")
        )
    integration.patches.put(kind, "score", evaluation.score_watch(integration, f"{kind.__name__}.score"))


# -- feature importances ----------------------------------------------------------------------------------


def log_importances(
    recorder: Recorder, importances: Iterator[tuple[str, Mapping[str, Any]]], indent: int | None
) -> None:
    """Log importances by feature, as JSON and as a picture each."""
    files: list[tuple[str, Callable[[Path], None]]] = []
    with attempt(recorder.flavor, "reading feature importances"):
        for kind, values in importances:
            files.append((f"feature_importance_{kind}.json", _json_writer(values, indent)))
            if values and importlib.util.find_spec("matplotlib") is not None:
                files.append((f"feature_importance_{kind}.png", _plot_writer(kind, values)))
    recorder.log_files(files)


def _json_writer(values: Mapping[str, Any], indent: int | None) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_text(json.dumps(values, indent=indent), encoding="utf-8")

    return write


def _plot_writer(kind: str, values: Mapping[str, Any]) -> Callable[[Path], None]:
    """Draw a bar a feature, and for linear models of several classes a bar a class; on a figure of our own."""

    def write(path: Path) -> None:
        figures: Any = importlib.import_module("matplotlib.figure")
        rows = {name: as_list(value) for name, value in values.items()}
        order = sorted(rows, key=lambda name: sum(abs(each) for each in rows[name]))
        classes = max(len(each) for each in rows.values())
        height = 4.8 + (0.1 * len(order) if len(order) > 10 else 0) + (0.1 * classes if classes > 1 else 0)
        figure = figures.Figure(figsize=(6.4, height), layout="tight")
        axes = figure.add_subplot()
        thickness = 0.5 / classes
        for index in range(classes):
            axes.barh(
                [place + (index - (classes - 1) / 2) * thickness for place in range(len(order))],
                [rows[name][index] for name in order],
                height=thickness,
                label=f"Class {index}",
            )
        axes.set_yticks(range(len(order)), order)
        axes.set_xlabel("Importance")
        axes.set_title(f"Feature Importance ({kind})")
        if classes > 1:
            axes.legend()
        figure.savefig(path, format="png")

    return write
