"""SQL over everything that is tracked, in process or at a slipstream server."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, cast

import msgspec

from slipstream.api.routing import OWN
from slipstream.bulk.arrow import has_pyarrow, load_pyarrow
from slipstream.bulk.formats import Format
from slipstream.client.connect import connect
from slipstream.errors import InvalidParameterError, MissingDependencyError, NotImplementedByServerError
from slipstream.store.filters import ViewFilter

_CHUNK = 1 << 20


def sql(
    query: str,
    *,
    run_ids: Sequence[str] | None = None,
    experiment_ids: Sequence[str] | None = None,
    keys: Sequence[str] | None = None,
    max_rows: int | None = None,
) -> Any:
    """Answer one SELECT over experiments, runs, metrics, models and versions as a pandas data frame.

    `slipstream sql --tables` lists tables and columns; DuckDB's dialect. The query reads, and changes nothing.

    Args:
        query: The statement.
        run_ids: Runs whose rows the query sees; all by default.
        experiment_ids: The same for experiments.
        keys: Metrics that it sees, by name or pattern, in `latest_metrics` and `metric_history`.
        max_rows: Most rows of the answer; more is an error.

    Raises:
        InvalidParameterError: the query is wrong, not allowed, or beyond a limit; says which.
        NotImplementedByServerError: the server has no SQL: it is MLflow's, or lacks DuckDB.
    """
    try:
        import pandas
    except ImportError as error:
        raise MissingDependencyError("sql() returns a data frame of pandas: pip install pandas.") from error
    form = Format.ARROW if has_pyarrow() else Format.JSON
    wanted = to_filter(run_ids, experiment_ids, keys)
    body = b"".join(read_sql(query, form, wanted, max_rows))
    if form is Format.ARROW:
        table = load_pyarrow("pyarrow.ipc").open_stream(body).read_all()
        try:
            return table.to_pandas()
        except (ValueError, OverflowError) as error:  # of pyarrow's own, too
            raise InvalidParameterError(
                f"The answer has a value that pandas cannot hold ({error}), such as a time outside of the years 1 to 9999. "
                "Cast it to a text in the query, CAST(... AS VARCHAR), or leave such rows out."
            ) from error
    answer = json.loads(body)
    return pandas.DataFrame(answer["rows"], columns=[column["name"] for column in answer["columns"]])


def to_filter(
    run_ids: Sequence[str] | None, experiment_ids: Sequence[str] | None, keys: Sequence[str] | None
) -> ViewFilter:
    return ViewFilter(run_ids=_words(run_ids), experiment_ids=_words(experiment_ids), keys=_words(keys))


def _words(words: Sequence[str] | None) -> tuple[str, ...] | None:
    if words is None:
        return None
    return (words,) if isinstance(words, str) else tuple(str(word) for word in words)


def read_sql(query: str, form: Format, wanted: ViewFilter, max_rows: int | None) -> Iterator[bytes]:
    """Return a query's answer in a format, in pieces."""
    connection = connect()
    if connection.transport is None:
        from slipstream.bulk.sql import HasSnapshots, SqlQuery, run_sql

        store = cast("HasSnapshots", connection.store)
        return run_sql(store, SqlQuery(text=query, form=form, wanted=wanted, max_rows=max_rows))
    from slipstream.client.rest import RestStore

    if "sql" not in cast("RestStore", connection.store).own_features:
        raise NotImplementedByServerError(
            f"The server {connection.transport.base_url} has no SQL: it is not slipstream's. `slipstream import` brings "
            "its data into one that has."
        )
    request = {
        "query": query,
        "format": form,
        "run_ids": wanted.run_ids,
        "experiment_ids": wanted.experiment_ids,
        "keys": wanted.keys,
        "max_rows": max_rows,
    }
    body = connection.transport.download(f"{OWN}sql", body=msgspec.json.encode(request))

    def pieces() -> Iterator[bytes]:
        with body:
            while chunk := body.read(_CHUNK):
                yield chunk

    return pieces()
