"""LightGBM: `train` and the estimators that call it."""

import inspect
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

from slipstream.autologging import boosting, evaluation
from slipstream.autologging.given_data import describe
from slipstream.autologging.integrations import Integration
from slipstream.autologging.patching import Call, Observer, Steps, Watch, as_list, classes_of
from slipstream.autologging.recording import Recorder, training
from slipstream.autologging.warnings_once import attempt
from slipstream.flavors import lightgbm as flavor

_TRAIN = "lightgbm.train"
_NO_PARAMS = (
    "params", "train_set", "valid_sets", "valid_names", "fobj", "feval", "init_model", "learning_rates", "callbacks",
)  # fmt: skip


def autolog(
    log_input_examples: bool = False,
    log_model_signatures: bool = True,
    log_models: bool = True,
    log_datasets: bool = True,
    disable: bool = False,
    exclusive: bool = False,
    disable_for_unsupported_versions: bool = False,
    silent: bool = False,
    registered_model_name: str | None = None,
    extra_tags: Mapping[str, str] | None = None,
) -> None:
    """Log each training with LightGBM, from now on; arguments as in `slipstream.sklearn.autolog`."""
    INTEGRATION.set(locals(), chosen=True)


def _watch_module(module: ModuleType, integration: Integration) -> None:
    if module.__name__ == "sklearn.metrics":
        evaluation.watch_metrics(integration, module)
    if module.__name__ != "lightgbm":
        return
    put = integration.patches.put
    put(module, "train", training(integration, _TRAIN, _observe_train(is_estimator=False)))
    put(module.Dataset, "__init__", Watch(integration.flavor, "Dataset", boosting.keep_example(integration)))
    estimators: Any = getattr(module, "sklearn", None)
    if estimators is None:
        return
    put(estimators, "train", training(integration, _TRAIN, _observe_train(is_estimator=True)))
    observer = boosting.estimator_training(integration, _log_model)
    for each in classes_of(estimators):
        if each.__module__.partition(".")[0] == "lightgbm" and issubclass(each, estimators.LGBMModel):
            put(
                each,
                "fit",
                training(integration, f"{each.__name__}.fit", observer, admits=frozenset({_TRAIN})),
            )
            boosting.watch_evaluation(integration, each)


def _log_model(model: Any, arguments: Mapping[str, Any]) -> Any:
    return flavor.log_model(model, **arguments)


def _observe_train(*, is_estimator: bool) -> Observer:
    def observe(call: Call) -> Steps:
        integration, options = INTEGRATION, dict(INTEGRATION.options)
        recorder = Recorder.of_active_run(integration)
        given = call.given()
        with attempt(integration.flavor, "reading params"):
            recorder.log_params(dict(given.get("params") or {}))  # pairs are taken, too
            recorder.log_params(boosting.arguments_as_params(call, _NO_PARAMS))
        if options["log_datasets"]:
            _log_dataset(recorder, integration, given.get("train_set"), "train", None)
            sets, names = as_list(given.get("valid_sets")), as_list(given.get("valid_names"))
            names = names or [None] * len(sets)
            for data, name in zip(sets, names, strict=False):
                _log_dataset(recorder, integration, data, "eval", name)
        log_models = options["log_models"] and not is_estimator
        model_id = recorder.begin_model() if log_models else None
        results: boosting.NumberedPoints = []
        boosting.with_callback(call, _Callback(recorder, results, model_id))
        yield
        booster: Any = call.result
        recorder.flush()
        if booster.best_iteration > 0:
            with attempt(integration.flavor, "logging the best iteration"):
                last = len(results)
                recorder.add_metrics(
                    {"stopped_iteration": last, "best_iteration": booster.best_iteration}, 0, model_id
                )
                recorder.add_metrics(results[int(booster.best_iteration) - 1], last, model_id)
        recorder.flush()
        boosting.log_importances(recorder, _importances(booster), 2)
        if log_models:
            example = getattr(given.get("train_set"), boosting.EXAMPLE, None)
            boosting.log(integration, _log_model, booster, example, booster.predict, model_id)

    return observe


def _log_dataset(
    recorder: Recorder, integration: Integration, data: Any, context: str, name: str | None
) -> None:
    recorder.log_dataset(
        describe(integration, getattr(data, "data", None), getattr(data, "label", None), name), context
    )


def _importances(booster: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for kind in ("split", "gain"):
        values = booster.feature_importance(importance_type=kind).tolist()
        yield kind, dict(zip(booster.feature_name(), values, strict=True))


class _Callback:
    """Takes what each iteration's evaluation says."""

    order = 0
    before_iteration = False

    def __init__(self, recorder: Recorder, results: boosting.NumberedPoints, model_id: str | None) -> None:
        self._recorder = recorder
        self._results = results
        self._model_id = model_id

    def __call__(self, env: Any) -> None:
        with attempt(self._recorder.flavor, "logging metrics"):
            points = {
                boosting.metric_name(f"{entry[0]}-{entry[1]}"): entry[2]
                for entry in env.evaluation_result_list or ()
            }
            self._results.append(points)
            self._recorder.add_metrics(points, env.iteration, self._model_id)


INTEGRATION = Integration(
    "lightgbm",
    ("lightgbm", "sklearn"),
    _watch_module,
    {name: each.default for name, each in inspect.signature(autolog).parameters.items()},
    distribution="lightgbm",
    tested=("4.0", "5"),
)
