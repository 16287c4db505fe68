"""statsmodels: `fit` of each model, its params, figures and summary."""

import inspect
import numbers
import sys
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from slipstream.autologging.boosting import arguments_as_params
from slipstream.autologging.integrations import Integration
from slipstream.autologging.patching import Call, Steps
from slipstream.autologging.recording import Recorder, training
from slipstream.autologging.warnings_once import attempt
from slipstream.flavors import statsmodels as flavor

_METRICS = (
    "aic",
    "bic",
    "centered_tss",
    "condition_number",
    "df_model",
    "df_resid",
    "ess",
    "f_pvalue",
    "fvalue",
    "llf",
    "mse_model",
    "mse_resid",
    "mse_total",
    "rsquared",
    "rsquared_adj",
    "scale",
    "ssr",
    "uncentered_tss",
)


def autolog(
    log_models: bool = True,
    log_datasets: bool = True,
    disable: bool = False,
    exclusive: bool = False,
    disable_for_unsupported_versions: bool = False,
    silent: bool = False,
    registered_model_name: str | None = None,
    extra_tags: Mapping[str, str] | None = None,
) -> None:
    """Log each training with statsmodels, from now on; arguments as in `slipstream.sklearn.autolog`.

    As in MLflow, `log_datasets` is accepted and records nothing.
    """
    INTEGRATION.set(locals(), chosen=True)


def _watch_module(module: ModuleType, integration: Integration) -> None:
    base: Any = getattr(sys.modules.get("statsmodels.base.model"), "Model", None)
    if base is None:
        return
    for each in list(vars(module).values()):
        if (
            inspect.isclass(each)
            and each.__module__ == module.__name__
            and issubclass(each, base)
            and "fit" in vars(each)
        ):
            integration.patches.put(each, "fit", training(integration, f"{each.__name__}.fit", _observe_fit))


def _observe_fit(call: Call) -> Steps:
    integration, options = INTEGRATION, dict(INTEGRATION.options)
    recorder = Recorder.of_active_run(integration)
    with attempt(integration.flavor, "reading params"):
        recorder.log_params(arguments_as_params(call, ()))
    yield
    results = call.result
    model_id = None
    if options["log_models"]:
        with attempt(integration.flavor, "logging the model"):
            model_id = flavor.log_model(
                results, name="model", registered_model_name=options["registered_model_name"]
            ).model_id
    if not hasattr(results, "_results"):  # no wrapper of results: an intermediate state
        return
    metrics: dict[str, float] = {}
    for name in _METRICS:
        with attempt(integration.flavor, f"computing {name}"):
            value = getattr(results, name, None)
            if isinstance(value, numbers.Number):
                metrics[name] = float(value)  # pyright: ignore[reportArgumentType]
    recorder.add_metrics(metrics, model_id=model_id)
    recorder.flush()
    with attempt(integration.flavor, "making the summary"):
        recorder.log_text(results.summary().as_text(), "model_summary.txt")


INTEGRATION = Integration(
    "statsmodels",
    ("statsmodels",),
    _watch_module,
    {name: each.default for name, each in inspect.signature(autolog).parameters.items()},
    distribution="statsmodels",
    tested=("0.14", "0.16"),
)
