"""The fluent API's logging: `log_...` and `set_...` write to the active run, and start one if there is none.

What is logged to a server is written to a file here and sent by a thread (docs/decisions/0013); `synchronous=True` waits for that.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from slipstream.client import connect, frames
from slipstream.client.active_experiment import (
    current_experiment_id,
    get_experiment_by_name,
    search_experiments,
)
from slipstream.client.active_run import active_entry, find_entry, quick_log
from slipstream.client.artifacts import join_uri
from slipstream.client.client import SlipstreamClient
from slipstream.client.connect import shown_uri
from slipstream.client.datasets import to_dataset_input
from slipstream.client.paging import collect
from slipstream.client.values import MILLISECONDS, require_pairs, require_text, to_float, to_int64
from slipstream.clock import now_ms
from slipstream.entities import (
    DatasetInput,
    LoggedModelInput,
    LoggedModelOutput,
    Metric,
    Param,
    Run,
    RunTag,
    ViewType,
)
from slipstream.errors import InvalidParameterError, UnavailableError

_RUNS_PAGE = 10_000
_TEXTS, _FLOATS, _NUMBERS = {str}, {float}, {float, int}
_EXACT = 1 << 53


# -- params, metrics, tags --------------------------------------------------------------------------


def log_param(key: str, value: Any, synchronous: bool | None = None, *, overwrite: bool | None = None) -> Any:
    """Log a param to the active run, as text, and return the value as given.

    Args:
        key: Name of the param.
        value: Anything that has a text.
        synchronous: Wait until the server has it.
        overwrite: Replace another value, which is kept (`param_history`). By default only in a run that `resume` made active.

    Raises:
        InvalidParameterError: the run has this param with another value, which is not to be replaced.
    """
    client, run_id = _target(None)
    logged = client.log_param(run_id, key, value, overwrite=overwrite)
    _settle(client, synchronous)
    return logged


def log_params(
    params: Mapping[str, Any],
    synchronous: bool | None = None,
    run_id: str | None = None,
    *,
    overwrite: bool | None = None,
) -> None:
    """Log several params, all or none; arguments as in `log_param`."""
    pairs = require_pairs(params, "params")
    client, run_id = _target(run_id)
    client.log_batch(run_id, params=[Param(key, value) for key, value in pairs.items()], overwrite=overwrite)
    _settle(client, synchronous)


def log_metric(
    key: str,
    value: Any,
    step: int | None = None,
    synchronous: bool | None = None,
    timestamp: int | None = None,
    run_id: str | None = None,
    model_id: str | None = None,
    dataset: Any = None,
) -> None:
    """Log one point; step 0 and now by default.

    Args:
        key: Name of the metric.
        value: A number, or an array or tensor of one element.
        step: Where in the training it was measured.
        synchronous: Wait until the server has it.
        timestamp: Unix milliseconds.
        run_id: Run to log to, instead of the active one.
        model_id: Logged model that was measured; becomes an input of the run. By default the model
            that the active run logged at this step, if there is one.
        dataset: Dataset that it was measured on; becomes an input of the run.
    """
    if type(value) is float and run_id is None and model_id is None and dataset is None and not synchronous:
        log = quick_log()
        if log is not None and type(key) is str and (step is None or type(step) is int) and timestamp is None:
            log({key: value}, step or 0, None)
            return
    log_metrics({key: value}, step, synchronous, run_id, timestamp, model_id, dataset)


def log_metrics(
    metrics: Mapping[str, Any],
    step: int | None = None,
    synchronous: bool | None = None,
    run_id: str | None = None,
    timestamp: int | None = None,
    model_id: str | None = None,
    dataset: Any = None,
) -> None:
    """Log several points of one step; arguments as in `log_metric`."""
    if run_id is None and model_id is None and dataset is None and timestamp is None and not synchronous:
        log = quick_log()
        if log is not None and (step is None or type(step) is int) and (plain := _plain(metrics)):
            log(plain, step or 0, None)
            return
    pairs = require_pairs(metrics, "metrics")
    client, run_id = _target(run_id)
    model_id = model_id or _active_model_id()
    at = now_ms() if timestamp is None else to_int64(timestamp, "timestamp", MILLISECONDS)
    step = 0 if step is None else to_int64(step, "step")
    models = [model_id] if model_id is not None else _models_of_step(run_id, step) or [None]
    points = [
        Metric(
            key=require_text(key, "key"),
            value=to_float(key, value),
            timestamp=at,
            step=step,
            model_id=model,
            dataset_name=None if dataset is None else dataset.name,
            dataset_digest=None if dataset is None else dataset.digest,
        )
        for key, value in pairs.items()
        for model in models
    ]
    _link(client, run_id, model_id, dataset)  # not before the points proved good: it writes
    if len(points) == 1:
        (point,) = points  # the server has a faster way for one than for a batch
        client.log_metric(
            run_id,
            point.key,
            point.value,
            point.timestamp,
            point.step,
            dataset_name=point.dataset_name,
            dataset_digest=point.dataset_digest,
            model_id=point.model_id,
        )
    elif points:
        client.log_batch(run_id, metrics=points)
    _settle(client, synchronous)


def set_tag(key: str, value: Any, synchronous: bool | None = None) -> None:
    client, run_id = _target(None)
    client.set_tag(run_id, key, value)
    _settle(client, synchronous)


def set_tags(tags: Mapping[str, Any], synchronous: bool | None = None) -> None:
    pairs = require_pairs(tags, "tags")
    client, run_id = _target(None)
    client.log_batch(run_id, tags=[RunTag(key, value) for key, value in pairs.items()])
    _settle(client, synchronous)


def delete_tag(key: str) -> None:
    client, run_id = _target(None)
    client.delete_tag(run_id, key)


def flush(seconds: float | None = None) -> bool:
    """Wait until the server has all that this process logged; tell whether it has.

    Args:
        seconds: how long to wait at most; by default as SLIPSTREAM_DELIVERY_TIMEOUT says. What is not delivered by then stays on
            this machine's disk, and goes on being sent.
    """
    return connect.flush_all(seconds)


def flush_async_logging() -> None:
    """Wait until what was logged is stored, as `flush` does."""
    flush()


def flush_artifact_async_logging() -> None:
    """Do nothing: files that were logged are stored already."""


# -- artifacts --------------------------------------------------------------------------------------


def log_artifact(local_path: str | Path, artifact_path: str | None = None, run_id: str | None = None) -> None:
    """Store a file, or a folder under its own name, in the run's folder `artifact_path`."""
    client, run_id = _target(run_id)
    client.log_artifact(run_id, local_path, artifact_path)


def log_artifacts(local_dir: str | Path, artifact_path: str | None = None, run_id: str | None = None) -> None:
    """Store what is in a folder in the run's folder `artifact_path`."""
    client, run_id = _target(run_id)
    client.log_artifacts(run_id, local_dir, artifact_path)


def log_text(text: str, artifact_file: str, run_id: str | None = None) -> None:
    client, run_id = _target(run_id)
    client.log_text(run_id, text, artifact_file)


def log_dict(dictionary: Any, artifact_file: str, run_id: str | None = None) -> None:
    """Store a dictionary or list as YAML if the name ends so, else as JSON."""
    client, run_id = _target(run_id)
    client.log_dict(run_id, dictionary, artifact_file)


def log_stream(stream: BinaryIO, artifact_file: str, run_id: str | None = None) -> None:
    client, run_id = _target(run_id)
    client.log_stream(run_id, stream, artifact_file)


def log_figure(figure: Any, artifact_file: str, *, save_kwargs: Mapping[str, Any] | None = None) -> None:
    """Store a matplotlib or plotly figure in the format that the name's ending says."""
    client, run_id = _target(None)
    client.log_figure(run_id, figure, artifact_file, save_kwargs=save_kwargs)


def log_image(
    image: Any,
    artifact_file: str | None = None,
    key: str | None = None,
    step: int | None = None,
    timestamp: int | None = None,
    synchronous: bool | None = False,
) -> None:
    """Store a picture as a file of its own, or with `key` as one of a series, with a thumbnail."""
    client, run_id = _target(None)
    client.log_image(run_id, image, artifact_file, key, step, timestamp)


def log_table(data: Any, artifact_file: str, run_id: str | None = None) -> None:
    """Append rows (a dictionary or data frame) to a table, a `.json` or `.parquet` file."""
    client, run_id = _target(run_id)
    client.log_table(run_id, data, artifact_file)


def load_table(
    artifact_file: str, run_ids: Sequence[str] | None = None, extra_columns: Sequence[str] | None = None
) -> Any:
    """Return one data frame of the tables of this name in the current experiment's runs."""
    return SlipstreamClient().load_table(current_experiment_id(), artifact_file, run_ids, extra_columns)


def get_artifact_uri(artifact_path: str | None = None) -> str:
    """Return where the active run's files are stored, or one of them."""
    return join_uri(active_entry().run.info.artifact_uri, (artifact_path or "").strip("/"))


# -- inputs and outputs -----------------------------------------------------------------------------


def log_input(
    dataset: Any = None,
    context: str | None = None,
    tags: dict[str, str] | None = None,
    model: LoggedModelInput | None = None,
) -> None:
    """Record that the active run reads a dataset (`context` such as `"training"`) or a model."""
    datasets = [] if dataset is None else [to_dataset_input(dataset, context, tags)]
    _log_inputs(datasets, [] if model is None else [model])


def log_inputs(
    datasets: Sequence[Any] | None = None,
    contexts: Sequence[str | None] | None = None,
    tags_list: Sequence[dict[str, str] | None] | None = None,
    models: Sequence[LoggedModelInput] | None = None,
) -> None:
    """Record several inputs; the three lists about datasets must be equally long.

    Raises:
        InvalidParameterError: they are not.
    """
    lengths = {len(each or ()) for each in (datasets, contexts, tags_list)}
    if len(lengths) != 1:
        raise InvalidParameterError("`datasets`, `contexts` and `tags_list` must have the same length.")
    made = [
        to_dataset_input(dataset, context, tags)
        for dataset, context, tags in zip(datasets or (), contexts or (), tags_list or (), strict=True)
    ]
    _log_inputs(made, models or ())


def log_outputs(models: Sequence[LoggedModelOutput] | None = None) -> None:
    """Record models that the active run made."""
    entry = active_entry()
    entry.client.log_outputs(entry.run.info.run_id, models or ())
    entry.model_steps.update({output.model_id: output.step for output in models or ()})


def _log_inputs(datasets: Sequence[DatasetInput], models: Sequence[LoggedModelInput]) -> None:
    entry = active_entry()
    entry.client.log_inputs(entry.run.info.run_id, datasets, models)
    entry.linked_datasets.update((each.dataset.name, each.dataset.digest) for each in datasets)
    entry.linked_models.update(each.model_id for each in models)


def _link(client: SlipstreamClient, run_id: str, model_id: str | None, dataset: Any) -> None:
    """Make model and dataset of a metric inputs of its run, once."""
    entry = find_entry(run_id)
    datasets: list[DatasetInput] = []
    models: list[LoggedModelInput] = []
    if dataset is not None and (entry is None or (dataset.name, dataset.digest) not in entry.linked_datasets):
        datasets.append(to_dataset_input(dataset))
    if model_id is not None and (
        entry is None or (model_id not in entry.linked_models and model_id not in entry.model_steps)
    ):
        models.append(LoggedModelInput(model_id))
    if not datasets and not models:
        return
    client.log_inputs(run_id, datasets, models)
    if entry is not None:
        entry.linked_datasets.update((each.dataset.name, each.dataset.digest) for each in datasets)
        entry.linked_models.update(each.model_id for each in models)


def _models_of_step(run_id: str, step: int) -> list[str | None]:
    entry = find_entry(run_id)
    if entry is None:
        return []
    return [model_id for model_id, at in entry.model_steps.items() if at == step]


def _active_model_id() -> str | None:
    from slipstream.client.model_functions import get_active_model_id

    return get_active_model_id()


def _plain(metrics: Mapping[str, Any]) -> dict[str, float] | None:
    """Return metrics whose keys are texts and whose values are plain numbers; `None` for others."""
    if type(metrics) is not dict:
        return None
    values: dict[str, Any] = metrics  # pyright: ignore[reportUnknownVariableType]
    if set(map(type, values)) != _TEXTS:
        return None
    kinds = set(map(type, values.values()))
    if kinds == _FLOATS:
        return values
    if not kinds <= _NUMBERS or any(abs(value) > _EXACT for value in values.values()):
        return None
    return {key: float(value) for key, value in values.items()}


def _settle(client: SlipstreamClient, synchronous: bool | None) -> None:
    """Wait for the delivery of what was logged, where the caller asked for that.

    Raises:
        UnavailableError: it is not delivered in time; it stays on this machine and goes on being sent.
    """
    if synchronous and not client.connection.flush():
        raise UnavailableError(
            f"What was logged is not stored on {shown_uri(client.tracking_uri)} yet, as synchronous=True wants. It is kept here "
            "and sent when the server takes it; do not log it again."
        )


def _target(run_id: str | None) -> tuple[SlipstreamClient, str]:
    """Return where to log: the run given, or else the active run, at the server where it was started."""
    if run_id is None:
        entry = active_entry()
        return entry.client, entry.run.info.run_id
    entry = find_entry(run_id)
    return (SlipstreamClient() if entry is None else entry.client), run_id


# -- reading and deleting ---------------------------------------------------------------------------


def get_run(run_id: str) -> Run:
    return SlipstreamClient().get_run(run_id)


def get_parent_run(run_id: str) -> Run | None:
    """Return the run that a nested run belongs to, `None` for a run that is not nested."""
    return SlipstreamClient().get_parent_run(run_id)


def delete_run(run_id: str) -> None:
    """Mark a run deleted; `restore_run` takes it back."""
    SlipstreamClient().delete_run(run_id)


def restore_run(run_id: str) -> None:
    SlipstreamClient().restore_run(run_id)


def search_runs(
    experiment_ids: Sequence[str] | None = None,
    filter_string: str = "",
    run_view_type: int = ViewType.ACTIVE_ONLY,
    max_results: int = 100_000,
    order_by: Sequence[str] | None = None,
    output_format: str = "pandas",
    search_all_experiments: bool = False,
    experiment_names: Sequence[str] | None = None,
) -> Any:
    """Return runs as a data frame with MLflow's columns (`"pandas"` or `"polars"`) or as a `"list"` of `Run`.

    Without experiments, in the one that new runs go to. Unknown names count for nothing.

    Raises:
        InvalidParameterError: ids and names are given, or the format is none of the three.
    """
    if output_format not in ("pandas", "polars", "list"):
        raise InvalidParameterError(
            f"output_format '{output_format}' is not supported. Use 'pandas', 'polars' or 'list'."
        )
    ids = experiments_to_search(experiment_ids, experiment_names, search_all=search_all_experiments)
    client = SlipstreamClient()
    runs: list[Run] = []
    if ids:
        runs = collect(
            lambda size, token: client.search_runs(ids, filter_string, run_view_type, size, order_by, token),
            _RUNS_PAGE,
            max_results,
        )
    if output_format == "list":
        return runs
    return frames.runs_to_pandas(runs) if output_format == "pandas" else frames.runs_to_polars(runs)


def experiments_to_search(
    ids: Sequence[str] | None, names: Sequence[str] | None, *, search_all: bool
) -> list[str]:
    if ids and names:
        raise InvalidParameterError("Only experiment_ids or experiment_names can be used, but not both.")
    if ids:
        return [str(ids)] if isinstance(ids, (str, int)) else [str(each) for each in ids]
    if names:
        found = [get_experiment_by_name(name) for name in ([names] if isinstance(names, str) else names)]
        return [experiment.experiment_id for experiment in found if experiment is not None]
    if search_all:
        return [experiment.experiment_id for experiment in search_experiments()]
    return [current_experiment_id()]
