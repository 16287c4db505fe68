"""XGBoost: `train` and the estimators that call it."""

import importlib
import inspect
from collections.abc import Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

from slipstream.autologging import boosting, evaluation
from slipstream.autologging.given_data import describe
from slipstream.autologging.integrations import Integration
from slipstream.autologging.patching import Call, Observer, Steps, Watch, as_list, classes_of
from slipstream.autologging.recording import Recorder, training
from slipstream.autologging.warnings_once import attempt
from slipstream.flavors import xgboost as flavor

_TRAIN = "xgboost.train"
_NO_PARAMS = (
    "params", "dtrain", "evals", "obj", "feval", "evals_result", "xgb_model", "callbacks", "learning_rates",
)  # fmt: skip


def autolog(
    importance_types: Sequence[str] | None = None,
    log_input_examples: bool = False,
    log_model_signatures: bool = True,
    log_models: bool = True,
    log_datasets: bool = True,
    disable: bool = False,
    exclusive: bool = False,
    disable_for_unsupported_versions: bool = False,
    silent: bool = False,
    registered_model_name: str | None = None,
    model_format: str = "ubj",
    extra_tags: Mapping[str, str] | None = None,
) -> None:
    """Log each training with XGBoost, from now on; arguments as in `slipstream.sklearn.autolog`.

    Args:
        importance_types: Kinds of feature importance to log, `["weight"]` by default.
        log_input_examples: Log the first rows with the model.
        log_model_signatures: Log what goes into the model and what comes out.
        log_models: Log the model.
        log_datasets: Record the data as inputs of the run.
        disable: Turn it off.
        exclusive: Leave runs alone that were started by hand.
        disable_for_unsupported_versions: Do nothing with versions that this was not tested with.
        silent: Do not warn of what could not be logged.
        registered_model_name: Register each model under this name.
        model_format: How models are kept: "ubj" or "json".
        extra_tags: Tags of the runs that are started.
    """
    flavor.require_format(model_format)
    INTEGRATION.set(locals(), chosen=True)


def _watch_module(module: ModuleType, integration: Integration) -> None:
    if module.__name__ == "sklearn.metrics":
        evaluation.watch_metrics(integration, module)
    if module.__name__ != "xgboost":
        return
    put = integration.patches.put
    put(module, "train", training(integration, _TRAIN, _observe_train(is_estimator=False)))
    put(module.DMatrix, "__init__", Watch(integration.flavor, "DMatrix", boosting.keep_example(integration)))
    estimators: Any = getattr(module, "sklearn", None)
    if estimators is None:
        return
    put(estimators, "train", training(integration, _TRAIN, _observe_train(is_estimator=True)))
    observer = boosting.estimator_training(integration, _log_model)
    for each in classes_of(estimators):
        if issubclass(each, estimators.XGBModel) and each is not estimators.XGBModel:
            put(
                each,
                "fit",
                training(integration, f"{each.__name__}.fit", observer, admits=frozenset({_TRAIN})),
            )
            boosting.watch_evaluation(integration, each)


def _log_model(model: Any, arguments: Mapping[str, Any]) -> Any:
    return flavor.log_model(model, model_format=INTEGRATION.options["model_format"], **arguments)


def _observe_train(*, is_estimator: bool) -> Observer:
    def observe(call: Call) -> Steps:
        integration, options = INTEGRATION, dict(INTEGRATION.options)
        recorder = Recorder.of_active_run(integration)
        given = call.given()
        with attempt(integration.flavor, "reading params"):
            recorder.log_params(dict(given.get("params") or {}))  # pairs are taken, too
            recorder.log_params(boosting.arguments_as_params(call, _NO_PARAMS))
        dataset = None
        if options["log_datasets"]:
            dataset = _describe(integration, given.get("dtrain"), None)
            recorder.log_dataset(dataset, "train")
            for data, name in given.get("evals") or ():
                recorder.log_dataset(_describe(integration, data, name), "eval")
        log_models = options["log_models"] and not is_estimator
        model_id = recorder.begin_model() if log_models else None
        results: boosting.NumberedPoints = []
        boosting.with_callback(call, _callback(recorder, results, model_id))
        yield
        booster: Any = call.result
        recorder.flush()
        if log_models:
            library: Any = importlib.import_module("xgboost")
            example = getattr(given.get("dtrain"), boosting.EXAMPLE, None)
            boosting.log(
                integration,
                _log_model,
                booster,
                example,
                lambda rows: booster.predict(library.DMatrix(rows)),
                model_id,
            )
        if given.get("early_stopping_rounds"):
            with attempt(integration.flavor, "logging the best iteration"):
                last = len(results)
                best = booster.best_iteration
                recorder.add_metrics(
                    {"stopped_iteration": last - 1, "best_iteration": best}, 0, model_id, dataset
                )
                recorder.add_metrics(results[int(best)], last, model_id, dataset)
        recorder.flush()
        boosting.log_importances(
            recorder, _importances(booster, options["importance_types"] or ["weight"]), None
        )

    return observe


def _describe(integration: Integration, data: Any, name: str | None) -> Any:
    with attempt(integration.flavor, "describing a dataset"):
        return describe(integration, data.get_data(), name=name)
    return None


def _importances(booster: Any, kinds: Sequence[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for kind in kinds:
        yield kind, booster.get_score(importance_type=kind)


def _callback(recorder: Recorder, results: boosting.NumberedPoints, model_id: str | None) -> Any:
    base: Any = importlib.import_module("xgboost.callback")

    class Callback(base.TrainingCallback):
        """Takes what each iteration's evaluation says."""

        def after_iteration(
            self, model: Any, epoch: int, evals_log: Mapping[str, Mapping[str, Sequence[Any]]]
        ) -> bool:
            with attempt(recorder.flavor, "logging metrics"):
                points = {
                    f"{data}-{boosting.metric_name(name)}": _last(values)
                    for data, metrics in evals_log.items()
                    for name, values in metrics.items()
                }
                results.append(points)
                recorder.add_metrics(points, epoch, model_id)
            return False

    return Callback()


def _last(values: Sequence[Any]) -> Any:
    # Of `xgboost.cv` and its like, a value is a mean and its deviation.
    return as_list(values[-1])[0]


INTEGRATION = Integration(
    "xgboost",
    ("xgboost", "sklearn"),
    _watch_module,
    {name: each.default for name, each in inspect.signature(autolog).parameters.items()},
    distribution="xgboost",
    tested=("2.0", "4"),
)
