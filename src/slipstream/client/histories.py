"""Histories of many runs and metrics at once, as one table."""

from collections.abc import Iterator, Sequence
from typing import Any

from slipstream.bulk.histories import HistoryColumns, gather
from slipstream.client.client import SlipstreamClient
from slipstream.client.run_functions import experiments_to_search
from slipstream.client.values import require_text
from slipstream.entities import Run, SeriesFilter, SeriesPoints
from slipstream.errors import InvalidParameterError, MissingDependencyError

_PAGE = 1_000


def history(
    runs: Any = None,
    keys: Sequence[str] | str | None = None,
    *,
    experiment_ids: Sequence[str] | None = None,
    experiment_names: Sequence[str] | None = None,
    filter_string: str = "",
    start_step: int | None = None,
    end_step: int | None = None,
    max_points: int | None = None,
) -> Any:
    """Return every logged point of some runs and metrics as a pandas data frame.

    One row a point, by run, key, timestamp, step and value (a sample by step): `run_id` and `key` (categories, so that long
    histories stay small), `step`, `timestamp` (Unix milliseconds), `value`. NaN and infinities are what was logged,
    but for MLflow's servers, whose wire has no infinities.

    Args:
        runs: A run or its id, a list of them, or what `search_runs` returned. Without it, the runs of a search.
        keys: Names of metrics, or patterns such as `"val/*"`; all by default.
        experiment_ids: Where to search; by default the experiment that new runs go to.
        experiment_names: The same by name.
        filter_string: Which runs of the experiments, as in `search_runs`.
        start_step: First step.
        end_step: Last step, itself included.
        max_points: Most points of one metric of one run, up to 65,536: an even sample with the last point.

    Raises:
        NotFoundError: one of the runs does not exist.
    """
    try:
        import numpy
        import pandas
    except ImportError as error:
        raise MissingDependencyError(
            "history() returns a data frame of pandas: pip install pandas. Or use history_arrow()."
        ) from error
    series = read_history(
        runs,
        keys,
        experiment_ids=experiment_ids,
        experiment_names=experiment_names,
        filter_string=filter_string,
        start_step=start_step,
        end_step=end_step,
        max_points=max_points,
    )
    columns = HistoryColumns()
    for each in series:
        columns.add(each)
    return pandas.DataFrame(
        {
            "run_id": _categories(pandas, columns.run_codes, columns.runs),
            "key": _categories(pandas, columns.key_codes, columns.keys),
            "step": numpy.frombuffer(columns.steps, numpy.int64),
            "timestamp": numpy.frombuffer(columns.timestamps, numpy.int64),
            "value": numpy.frombuffer(columns.values, numpy.float64),
        }
    )


def _categories(pandas: Any, codes: Any, words: list[str]) -> Any:
    return pandas.Categorical.from_codes(codes, pandas.Index(words, dtype="str"))


def history_arrow(
    runs: Any = None,
    keys: Sequence[str] | str | None = None,
    *,
    experiment_ids: Sequence[str] | None = None,
    experiment_names: Sequence[str] | None = None,
    filter_string: str = "",
    start_step: int | None = None,
    end_step: int | None = None,
    max_points: int | None = None,
) -> Any:
    """Return the same as `history` as a table of pyarrow, which polars, DuckDB and others read as it is."""
    from slipstream.bulk import arrow

    arrow.load_pyarrow()
    series = read_history(
        runs,
        keys,
        experiment_ids=experiment_ids,
        experiment_names=experiment_names,
        filter_string=filter_string,
        start_step=start_step,
        end_step=end_step,
        max_points=max_points,
    )
    return arrow.history_table(gather(series))


def read_history(
    runs: Any = None,
    keys: Sequence[str] | str | None = None,
    *,
    experiment_ids: Sequence[str] | None = None,
    experiment_names: Sequence[str] | None = None,
    filter_string: str = "",
    start_step: int | None = None,
    end_step: int | None = None,
    max_points: int | None = None,
) -> Iterator[SeriesPoints]:
    """Return the same piece by piece, in constant memory; what is wrong with the request is raised at the call."""
    wanted = SeriesFilter(
        keys=None if keys is None else (keys,) if isinstance(keys, str) else tuple(keys),
        start_step=start_step,
        end_step=end_step,
        max_points=max_points,
    )
    client = SlipstreamClient()
    if runs is not None:
        if experiment_ids or experiment_names or filter_string:
            raise InvalidParameterError(
                "Give either 'runs', or experiments and a filter; search_runs(...) finds runs to give."
            )
        return client.connection.store.read_series(_run_ids(runs), None, wanted)
    experiments = experiments_to_search(experiment_ids, experiment_names, search_all=False)
    client.connection.store.read_series([], None, wanted)  # says what is wrong with it
    return _search(client, experiments, filter_string, wanted)


def _search(
    client: SlipstreamClient, experiments: Sequence[str], filter_string: str, wanted: SeriesFilter
) -> Iterator[SeriesPoints]:
    token: str | None = None
    while experiments:
        page = client.search_runs(experiments, filter_string, max_results=_PAGE, page_token=token)
        yield from client.connection.store.read_series([run.info.run_id for run in page], None, wanted)
        if (token := page.token) is None:
            return


def _run_ids(runs: Any) -> list[str]:
    if isinstance(runs, (str, Run)):
        runs = [runs]
    columns: Any = getattr(runs, "columns", None)
    if columns is not None and "run_id" in columns:  # a data frame of search_runs
        runs = runs["run_id"]
    try:
        return [run.info.run_id if isinstance(run, Run) else require_text(run, "runs") for run in runs]
    except TypeError as error:
        raise InvalidParameterError(
            f"Invalid value of type {type(runs).__name__} for 'runs': give a run, its id, a list of them, or what "
            "search_runs() returned."
        ) from error
