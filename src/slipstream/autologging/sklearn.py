"""scikit-learn: params, training metrics, plots and the model of each `fit`; searches with child runs."""

import copy
import inspect
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from slipstream.autologging import evaluation, search_results, training_metrics
from slipstream.autologging.given_data import describe, example_and_signature, sample
from slipstream.autologging.integrations import Integration
from slipstream.autologging.patching import Call, Steps, Watch
from slipstream.autologging.recording import Recorder, training
from slipstream.autologging.warnings_once import attempt
from slipstream.errors import InvalidParameterError, MissingDependencyError
from slipstream.flavors import sklearn as flavor

_TRAININGS = ("fit", "fit_transform", "fit_predict")
_NO_ALGORITHMS = (
    "sklearn.preprocessing",
    "sklearn.impute",
    "sklearn.feature_extraction",
    "sklearn.feature_selection",
    "sklearn.compose._column_transformer",
)
"""Modules whose estimators prepare data; they are logged as steps of a pipeline only."""
_QUIET = (
    "cross_validate",
    "cross_val_predict",
    "cross_val_score",
    "learning_curve",
    "permutation_test_score",
    "validation_curve",
)
"""Functions of sklearn.model_selection whose many fits are nobody's trainings."""


def autolog(
    log_input_examples: bool = False,
    log_model_signatures: bool = True,
    log_models: bool = True,
    log_datasets: bool = True,
    disable: bool = False,
    exclusive: bool = False,
    disable_for_unsupported_versions: bool = False,
    silent: bool = False,
    max_tuning_runs: int | None = 5,
    log_post_training_metrics: bool = True,
    serialization_format: str = flavor.SERIALIZATION_FORMAT_CLOUDPICKLE,
    registered_model_name: str | None = None,
    pos_label: Any = None,
    extra_tags: Mapping[str, str] | None = None,
) -> None:
    """Log each training with scikit-learn, from now on (docs/how-to/autologging.md).

    Args:
        log_input_examples: Log the first rows with the model.
        log_model_signatures: Log what goes into the model and what comes out.
        log_models: Log the model.
        log_datasets: Record the data as an input of the run.
        disable: Turn it off.
        exclusive: Leave runs alone that were started by hand.
        disable_for_unsupported_versions: Do nothing with versions that this was not tested with.
        silent: Do not warn of what could not be logged.
        max_tuning_runs: Child runs of a search, the best ones; `None` for all.
        log_post_training_metrics: Log `score` and what functions of `sklearn.metrics` say of predictions.
        serialization_format: How models are kept: "cloudpickle", "pickle" or "skops".
        registered_model_name: Register each model under this name.
        pos_label: The class that precision, recall and F1 are of; by default their mean over all classes.
        extra_tags: Tags of the runs that are started.
    """
    if max_tuning_runs is not None and max_tuning_runs < 0:
        raise InvalidParameterError(
            f"max_tuning_runs must not be negative, got {max_tuning_runs}; None is all"
        )
    if serialization_format not in flavor.SUPPORTED_SERIALIZATION_FORMATS:
        raise InvalidParameterError(
            f"Unknown serialization_format '{serialization_format}'; choose one of {flavor.SUPPORTED_SERIALIZATION_FORMATS}"
        )
    INTEGRATION.set(locals(), chosen=True)


# -- where the watches are --------------------------------------------------------------------------------


def _watch_module(module: ModuleType, integration: Integration) -> None:
    name = module.__name__
    put = integration.patches.put
    if name == "sklearn.metrics":
        evaluation.watch_metrics(integration, module)
    elif name == "sklearn.model_selection":
        for each in _QUIET:
            put(module, each, Watch(integration.flavor, each, None))
    elif name == "sklearn.utils.parallel":
        # What scikit-learn does in worker threads belongs to the call that waits for them.
        put(module._FuncWrapper, "__call__", Watch(integration.flavor, "parallel work", None))
    for each in list(vars(module).values()):
        if inspect.isclass(each) and each.__module__ == name and _is_algorithm(each):
            for method in _TRAININGS:
                put(each, method, training(integration, f"{each.__name__}.{method}", _observe_training))
            for method in evaluation.PREDICTIONS:
                put(each, method, evaluation.prediction_watch(integration, f"{each.__name__}.{method}"))
            put(each, "score", evaluation.score_watch(integration, f"{each.__name__}.score"))


def _is_algorithm(kind: type) -> bool:
    base: Any = getattr(sys.modules.get("sklearn.base"), "BaseEstimator", None)
    if base is None or kind is base or not issubclass(kind, base):
        return False
    module = kind.__module__
    return not (
        kind.__name__.startswith("_")
        or inspect.isabstract(kind)
        or module.startswith(_NO_ALGORITHMS)
        or ".tests." in module
    )


# -- a training -------------------------------------------------------------------------------------------


def _observe_training(call: Call) -> Steps:
    integration, options = INTEGRATION, dict(INTEGRATION.options)
    estimator = call.args[0]
    recorder = Recorder.of_active_run(integration)
    data, target, weight = _given(call)
    is_search = search_results.is_search(estimator)
    params: dict[str, Any] = {}
    with attempt(integration.flavor, "reading params"):
        # The params of what a search starts from are not those of what it finds.
        params = estimator.get_params(deep=not is_search)
        recorder.log_params(params)
    kind = estimator.__class__
    recorder.set_tags(
        {"estimator_name": kind.__name__, "estimator_class": f"{kind.__module__}.{kind.__name__}"}
    )
    example = None
    with attempt(integration.flavor, "taking an example of the input"):
        example = sample(data)
    if _may_change_input(params):
        with attempt(integration.flavor, "copying the data that the training may change"):
            data = copy.deepcopy(data)
    dataset = describe(integration, data, target)
    if options["log_datasets"]:
        recorder.log_dataset(dataset, "train")
    yield
    signature: Any = False
    model_id = None
    if is_search:
        search_results.log_best(recorder, estimator, dataset)
    if options["log_models"]:
        example, signature = example_and_signature(
            integration,
            example,
            getattr(estimator, "predict", None) or getattr(estimator, "transform", None) or _none,
        )
        model_id = _log_model(
            integration, estimator, "model", signature, example, options["registered_model_name"]
        )
    training_metrics.log(
        recorder, estimator, data, target, weight, options["pos_label"], model_id=model_id, dataset=dataset
    )
    if is_search:
        best_id = None
        if options["log_models"] and hasattr(estimator, "best_estimator_"):
            best_id = _log_model(
                integration, estimator.best_estimator_, "best_estimator", signature, example, None
            )
        search_results.log_trials(
            recorder, estimator, options["max_tuning_runs"], dataset=dataset, best_model_id=best_id
        )
    recorder.flush()
    if options["log_post_training_metrics"]:
        evaluation.remember_model(
            integration, estimator, recorder.run_id, model_id, recorder.client.tracking_uri
        )


def _given(call: Call) -> tuple[Any, Any, Any]:
    """Return data, labels and sample weights; their names differ between estimators."""
    names = list(inspect.signature(call.original).parameters)[1:]
    given = call.given()
    extra: dict[str, Any] = given.get("fit_params") or given.get("params") or {}
    data = given.get(names[0]) if names else None
    target = given.get(names[1]) if len(names) > 1 and names[1] not in ("fit_params", "params") else None
    return data, target, given.get("sample_weight", extra.get("sample_weight"))


def _may_change_input(params: Mapping[str, Any]) -> bool:
    """Tell whether the estimator was told to work in the user's own arrays; metrics need them as they were."""
    return any(
        value is False and key.rpartition("__")[2].lower() in ("copy", "copy_x")
        for key, value in params.items()
    )


def _none(_: Any) -> Any:
    raise InvalidParameterError("the model has neither 'predict' nor 'transform'")


def _log_model(
    integration: Integration,
    estimator: Any,
    name: str,
    signature: Any,
    example: Any,
    registered_name: str | None,
) -> str | None:
    with attempt(integration.flavor, "logging the model"):
        arguments: dict[str, Any] = {
            "name": name,
            "signature": signature,
            "input_example": example,
            "registered_model_name": registered_name,
        }
        chosen = integration.options["serialization_format"]
        try:
            made = flavor.log_model(estimator, serialization_format=chosen, **arguments)
        except MissingDependencyError:  # cloudpickle, which MLflow has as the default, is not everywhere
            other = flavor.SERIALIZATION_FORMAT_PICKLE
            made = flavor.log_model(estimator, serialization_format=other, **arguments)
        return made.model_id
    return None


INTEGRATION = Integration(
    "sklearn",
    ("sklearn",),
    _watch_module,
    {name: each.default for name, each in inspect.signature(autolog).parameters.items()},
    distribution="scikit-learn",
    tested=("1.4", "1.10"),
)
