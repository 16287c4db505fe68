"""Search results as data frames, with MLflow's columns."""

import math
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from slipstream.entities import LoggedModel, Run
from slipstream.errors import MissingDependencyError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def runs_to_pandas(runs: Sequence[Run]) -> Any:
    """Return one row a run: info, then `metrics.*`, `params.*`, `tags.*` in order of first appearance.

    Missing metrics are NaN, missing params and tags `None`. Times are UTC timestamps, NaT while a run runs.
    """
    try:
        import pandas
    except ImportError as error:
        raise MissingDependencyError(
            "output_format='pandas' needs pandas: pip install pandas. Or use output_format='list'."
        ) from error
    columns: dict[str, Any] = dict(runs_to_columns(runs, math.nan))
    for name in ("start_time", "end_time"):
        # From datetimes, so that the unit is the default of the pandas installed, as in MLflow's frames;
        # the epoch in front makes it so for columns that hold no time at all.
        columns[name] = pandas.to_datetime([_EPOCH, *columns[name]], utc=True)[1:]
    return pandas.DataFrame(columns)


def runs_to_polars(runs: Sequence[Run]) -> Any:
    """Return the same columns as `runs_to_pandas` as a polars frame; what is missing is null."""
    try:
        import polars
    except ImportError as error:
        raise MissingDependencyError(
            "output_format='polars' needs polars: pip install polars. Or use output_format='list'."
        ) from error
    columns = runs_to_columns(runs, None)
    time = polars.Datetime("ms", "UTC")
    schema: dict[str, Any] = {}
    for name in columns:
        if name in ("start_time", "end_time"):
            schema[name] = time
        elif name.startswith("metrics."):
            schema[name] = polars.Float64
        else:
            schema[name] = polars.String
    return polars.DataFrame(columns, schema=schema)


def runs_to_columns(runs: Sequence[Run], missing_metric: float | None) -> dict[str, list[Any]]:
    """Return values by column; times are datetimes; what is missing is `None` or `missing_metric`."""
    columns: dict[str, list[Any]] = {
        "run_id": [run.info.run_id for run in runs],
        "experiment_id": [run.info.experiment_id for run in runs],
        "status": [run.info.status for run in runs],
        "artifact_uri": [run.info.artifact_uri for run in runs],
        "start_time": [_time(run.info.start_time) for run in runs],
        "end_time": [_time(run.info.end_time) for run in runs],
    }
    groups: tuple[tuple[str, Callable[[Run], dict[str, Any]], Any], ...] = (
        ("metrics", lambda run: run.data.metrics, missing_metric),
        ("params", lambda run: run.data.params, None),
        ("tags", lambda run: run.data.tags, None),
    )
    for prefix, values_of, missing in groups:
        for index, run in enumerate(runs):
            for key, value in values_of(run).items():
                name = f"{prefix}.{key}"
                if name not in columns:
                    columns[name] = [missing] * len(runs)
                columns[name][index] = value
    return columns


def _time(milliseconds: int | None) -> datetime | None:
    if milliseconds is None:
        return None
    try:
        return _EPOCH + timedelta(milliseconds=milliseconds)
    except OverflowError:  # beyond the year 9999; one odd run must not cost the whole table
        return None


def models_to_pandas(models: Sequence[LoggedModel]) -> Any:
    """Return one row a logged model, with MLflow's columns."""
    try:
        import pandas
    except ImportError as error:
        raise MissingDependencyError(
            "output_format='pandas' needs pandas: pip install pandas. Or use output_format='list'."
        ) from error
    return pandas.DataFrame(
        [
            {
                "artifact_location": model.artifact_location,
                "creation_timestamp": model.creation_timestamp,
                "experiment_id": model.experiment_id,
                "last_updated_timestamp": model.last_updated_timestamp,
                "metrics": model.metrics,
                "model_id": model.model_id,
                "model_type": model.model_type,
                "name": model.name,
                "params": model.params,
                "source_run_id": model.source_run_id,
                "status": model.status.value,
                "status_message": None,
                "tags": model.tags,
            }
            for model in models
        ]
    )
