"""Metrics after a training with scikit-learn: `score`, and functions of `sklearn.metrics` called on predictions.

A model is known by its identity while it lives, and so is what it predicted; nothing is written onto the user's objects
and nothing is kept alive.
"""

import inspect
import sys
import threading
import weakref
from collections.abc import Callable
from types import FrameType, ModuleType
from typing import Any, NamedTuple

from slipstream.autologging.given_data import describe
from slipstream.autologging.integrations import Integration
from slipstream.autologging.patching import Call, Patches, Steps, Watch
from slipstream.autologging.warnings_once import attempt
from slipstream.client.client import SlipstreamClient
from slipstream.client.datasets import to_dataset_input

PREDICTIONS = ("predict", "predict_proba", "transform", "predict_log_proba")
_NO_METRICS = ("check_scoring", "get_scorer", "make_scorer", "get_scorer_names")
_MOST_DATASETS = 10
"""Datasets of a model's predictions that are described; who predicts row by row has thousands."""
_OURS = "slipstream.autologging"


class _Model:
    """A trained model: where it was logged, which data it was asked about, and which metrics were computed."""

    def __init__(
        self, integration: Integration, run_id: str, model_id: str | None, tracking_uri: str
    ) -> None:
        self.integration = integration
        self.run_id = run_id
        self.model_id = model_id
        self.tracking_uri = tracking_uri
        self.datasets: dict[str, dict[int, int]] = {}
        self.calls: dict[str, list[tuple[str, str]]] = {}
        self.described = 0


class _Prediction(NamedTuple):
    model: _Model
    dataset: str


_lock = threading.RLock()
_models: dict[int, _Model] = {}
_predictions: dict[int, _Prediction] = {}


def remember_model(
    integration: Integration, model: Any, run_id: str, model_id: str | None, tracking_uri: str
) -> None:
    _keep(_models, model, _Model(integration, run_id, model_id, tracking_uri))


def _keep(table: dict[int, Any], thing: Any, value: Any) -> None:
    """Know a thing until it is freed; its number may be another's then. What cannot be referred to weakly is not kept."""
    with _lock:
        is_known = id(thing) in table
        table[id(thing)] = value
    if is_known:
        return
    try:
        weakref.finalize(thing, table.pop, id(thing), None).atexit = False
    except TypeError:
        table.pop(id(thing), None)


# -- watches ----------------------------------------------------------------------------------------------


def _wants_metrics(integration: Integration) -> bool:
    return integration.wants() and bool(integration.options.get("log_post_training_metrics", True))


def _is_on(integration: Integration) -> Callable[[], bool]:
    return lambda: bool(_models) and _wants_metrics(integration)


_metric_patches = Patches()
_sharers: set[str] = set()
"""Whose models may have predicted what a metric is of; the watches are there as long as there is one."""


class _Share:
    """One integration's part in the watches of `sklearn.metrics`."""

    def __init__(self, flavor: str) -> None:
        self._flavor = flavor

    def remove(self) -> None:
        with _lock:
            _sharers.discard(self._flavor)
            if not _sharers:
                _metric_patches.remove()


def watch_metrics(integration: Integration, module: ModuleType) -> None:
    """Watch the functions of `sklearn.metrics` that compute a metric, together with others that do."""
    with _lock:
        _sharers.add(integration.flavor)
        integration.patches.add(_Share(integration.flavor))
        for name in module.__all__:
            if name not in _NO_METRICS and inspect.isfunction(getattr(module, name, None)):
                _metric_patches.put(module, name, _metric_watch(name))


def prediction_watch(integration: Integration, name: str) -> Watch:
    def observe(call: Call) -> Steps:
        model = _models.get(id(call.args[0]))
        if model is None:
            yield
            return
        data = call.args[1] if len(call.args) > 1 else next(iter(call.kwargs.values()), None)
        dataset, is_new = _name_dataset(model, data)
        yield
        _keep(_predictions, call.result, _Prediction(model, dataset))
        if is_new and integration.options["log_datasets"] and model.described < _MOST_DATASETS:
            model.described += 1
            described = describe(integration, data)
            if described is not None:
                with attempt(integration.flavor, "logging a dataset"):
                    SlipstreamClient(model.tracking_uri).log_inputs(
                        model.run_id, [to_dataset_input(described, "eval")]
                    )

    return Watch(integration.flavor, name, observe, wanted=_is_on(integration))


def score_watch(integration: Integration, name: str) -> Watch:
    def observe(call: Call) -> Steps:
        estimator = call.args[0]
        model = _models.get(id(estimator))
        if model is None:
            yield
            return
        data = call.args[1] if len(call.args) > 1 else next(iter(call.kwargs.values()), None)
        dataset, _ = _name_dataset(model, data)
        kind = type(estimator).__name__
        command = _command(f"{kind}.score", call, skip=1)
        yield
        _log_metric(integration, model, f"{kind}_score", dataset, command, call.result)

    return Watch(integration.flavor, name, observe, wanted=_is_on(integration))


def _metric_watch(name: str) -> Watch:
    def observe(call: Call) -> Steps:
        found = next(
            (
                _predictions[id(each)]
                for each in (*call.args, *call.kwargs.values())
                if each is not None and id(each) in _predictions
            ),
            None,
        )
        if found is None or not _wants_metrics(found.model.integration):
            yield
            return
        command = _command(name, call, skip=0)
        yield
        _log_metric(found.model.integration, found.model, name, found.dataset, command, call.result)

    return Watch("sklearn", name, observe, wanted=lambda: bool(_predictions))


def _log_metric(
    integration: Integration, model: _Model, name: str, dataset: str, command: str, value: Any
) -> None:
    numpy: Any = sys.modules["numpy"]
    if isinstance(value, bool) or not isinstance(value, (int, float, numpy.number)):
        return
    with _lock:
        calls = model.calls.setdefault(name, [])
        key = f"{_numbered(name, len(calls))}_{dataset}"
        calls.append((key, command))
        document = dict(sorted(each for all_calls in model.calls.values() for each in all_calls))
    with attempt(integration.flavor, "logging a metric of predictions"):
        client = SlipstreamClient(model.tracking_uri)
        client.log_metric(model.run_id, key, float(value), model_id=model.model_id)
        client.log_dict(model.run_id, document, "metric_info.json")


# -- names, as the user's program has them ----------------------------------------------------------------


def _numbered(name: str, index: int) -> str:
    return name if index == 0 else f"{name}-{index + 1}"


def _name_dataset(model: _Model, data: Any) -> tuple[str, bool]:
    """Return what the user calls some data, with a number if it is not the first of this name; and whether it is new."""
    name = variable_name(data, "unknown_dataset")
    with _lock:
        known = model.datasets.setdefault(name, {})
        is_new = id(data) not in known
        return _numbered(name, known.setdefault(id(data), len(known))), is_new


def variable_name(value: Any, otherwise: str) -> str:
    """Return the name of the variable that holds a value where it was not passed in as an argument."""
    frame: FrameType | None = inspect.currentframe()
    while frame is not None and str(frame.f_globals.get("__name__", "")).startswith(_OURS):
        frame = frame.f_back
    while frame is not None and value is not None:
        found = _find(value, frame)
        if found != _PASSED:
            return found or otherwise
        frame = frame.f_back
    return otherwise


_PASSED = "(argument)"  # no variable can have this name


def _find(value: Any, frame: FrameType) -> str | None:
    """Return the name of the local variable that holds a value, or `_PASSED` if it came as an argument."""
    code = frame.f_code
    count = code.co_argcount + code.co_kwonlyargcount
    has_args, has_more = (
        bool(code.co_flags & inspect.CO_VARARGS),
        bool(code.co_flags & inspect.CO_VARKEYWORDS),
    )
    local = frame.f_locals
    try:
        passed = [local.get(each) for each in code.co_varnames[:count]]
        if has_args:
            passed += list(local.get(code.co_varnames[count], ()))
        if has_more:
            passed += list(local.get(code.co_varnames[count + has_args], {}).values())
        if any(each is value for each in passed):
            return _PASSED
        return next((name for name, each in local.items() if each is value), None)
    finally:
        if sys.version_info < (3, 13) and code.co_flags & inspect.CO_OPTIMIZED:
            # Before Python 3.13 this is a copy, which the frame keeps: what the user deletes would not be freed.
            local.clear()


def _command(name: str, call: Call, *, skip: int) -> str:
    """Return the call as text, with the names of the user's variables."""
    names = list(inspect.signature(call.original).parameters)[skip:]
    given = [*zip(names, call.args[skip:], strict=False), *call.kwargs.items()]
    return f"{name}({', '.join(f'{key}={_text(value)}' for key, value in given)})"


def _text(value: Any) -> str:
    if isinstance(value, str) and len(value) > 32:
        return repr(value[:32] + "...")
    if value is None or isinstance(value, (str, bool, int, float, complex)):
        return repr(value)
    return variable_name(value, f"<{type(value).__name__}>")
