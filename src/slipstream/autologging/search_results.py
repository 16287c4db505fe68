"""Searches of scikit-learn: the best params, and child runs of the best trials."""

import importlib
import numbers
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from slipstream.autologging.integrations import AUTOLOGGING_TAG
from slipstream.autologging.recording import Recorder, shorten
from slipstream.autologging.warnings_once import attempt
from slipstream.client.active_run import active_entry
from slipstream.client.context import resolve_tags
from slipstream.client.datasets import to_dataset_input
from slipstream.client.runs import PARENT_RUN_TAG
from slipstream.clock import now_ms
from slipstream.entities import Metric, Param
from slipstream.rules import limits

_LEFT_OUT = ("param", "split")
"""How columns begin that are no metrics of a trial: its params again, and each fold alone."""


def is_search(estimator: Any) -> bool:
    module: Any = sys.modules.get("sklearn.model_selection")
    return module is not None and isinstance(estimator, (module.GridSearchCV, module.RandomizedSearchCV))


def log_best(recorder: Recorder, search: Any, dataset: Any) -> None:
    """Log the best trial's params and its mean score over the folds."""
    recorder.log_params(
        {f"best_{name}": value for name, value in getattr(search, "best_params_", {}).items()}
    )
    if hasattr(search, "best_score_"):
        recorder.add_metrics({"best_cv_score": search.best_score_}, dataset=dataset)


def log_trials(
    recorder: Recorder, search: Any, most: int | None, *, dataset: Any, best_model_id: str | None
) -> None:
    """Log all trials as a table, and the best ones as runs, finished, below the search's run."""
    if not hasattr(search, "cv_results_"):
        return
    pandas: Any = importlib.import_module("pandas")
    table = pandas.DataFrame.from_dict(search.cv_results_)

    def write(path: Path) -> None:
        table.to_csv(path, index=False)

    recorder.log_files([("cv_results.csv", write)])
    rank = next(
        (
            each
            for each in ("rank_test_score", *table.columns)
            if each in table and each.startswith("rank_test_")
        ),
        None,
    )
    if most is not None and rank is not None:
        table = table.nsmallest(most, rank)
    seed = search.estimator
    base: dict[str, Any] = seed.get_params(deep=not is_search(seed))
    best = search.best_estimator_.get_params(deep=True) if hasattr(search, "best_estimator_") else None
    with attempt(recorder.flavor, "creating child runs"):
        parent = active_entry().run.info
        tags = {
            **resolve_tags(),
            AUTOLOGGING_TAG: recorder.flavor,
            PARENT_RUN_TAG: recorder.run_id,
            "estimator_name": type(seed).__name__,
            "estimator_class": f"{type(seed).__module__}.{type(seed).__name__}",
        }
        end = now_ms()
        for _, row in table.iterrows():
            params: dict[str, Any] = row.get("params", {})
            is_best = best is not None and all(
                (key in best and best[key] is value) or best.get(key) == value
                for key, value in params.items()
            )
            _log_trial(
                recorder,
                parent,
                tags,
                end,
                {**base, **params},
                {
                    key: float(cast("Any", value))
                    for key, value in row.items()
                    if not key.startswith(_LEFT_OUT) and isinstance(value, numbers.Number)
                },
                dataset,
                best_model_id if is_best else None,
            )


def _log_trial(
    recorder: Recorder,
    parent: Any,
    tags: Mapping[str, str],
    end: int,
    params: Mapping[str, Any],
    metrics: Mapping[str, float],
    dataset: Any,
    model_id: str | None,
) -> None:
    client = recorder.client
    child = client.create_run(parent.experiment_id, parent.start_time, tags).info.run_id
    name, digest = (None, None) if dataset is None else (dataset.name, dataset.digest)
    client.log_batch(
        child,
        metrics=[
            Metric(key, value, end, model_id=model_id, dataset_name=name, dataset_digest=digest)
            for key, value in metrics.items()
        ],
        params=[
            Param(shorten(key, limits.KEY), shorten(value, limits.PARAM_VALUE))
            for key, value in params.items()
        ],
    )
    if dataset is not None:
        client.log_inputs(child, [to_dataset_input(dataset, "train")])
    client.set_terminated(child, end_time=end)
