"""The route of SQL. Slipstream's own, not MLflow's."""

from typing import cast

from slipstream.api.routing import OWN, OWN_AJAX, Permission, Stream, StreamRequest, route
from slipstream.bulk.formats import CONTENT_TYPES, choose_format
from slipstream.bulk.sql import SQL_FORMATS, HasSnapshots, SqlQuery, run_sql
from slipstream.errors import MissingDependencyError, NotImplementedByServerError
from slipstream.store.base import Store
from slipstream.store.filters import ViewFilter
from slipstream.wire.parsing import Int64


class RunSql(StreamRequest, kw_only=True):
    query: str
    run_ids: list[str] | None = None
    experiment_ids: list[str] | None = None
    keys: list[str] | None = None
    max_rows: Int64 | None = None


@route(
    "POST",
    "sql",
    permission=Permission.READ,
    prefixes=(OWN, OWN_AJAX),
    streams=tuple(CONTENT_TYPES[each] for each in SQL_FORMATS),
)
def query_tables(store: Store, req: RunSql) -> Stream:
    """Answer one SELECT over experiments, runs, metrics, models and versions."""
    form = choose_format(req.format, req.accept, SQL_FORMATS)
    query = SqlQuery(
        text=req.query,
        form=form,
        wanted=ViewFilter(
            run_ids=_tuple(req.run_ids), experiment_ids=_tuple(req.experiment_ids), keys=_tuple(req.keys)
        ),
        max_rows=req.max_rows,
    )
    try:
        chunks = run_sql(cast("HasSnapshots", store), query)
    except MissingDependencyError as error:
        raise NotImplementedByServerError(
            "This server runs no SQL: it lacks DuckDB or pyarrow. Install 'slipstream[data]' there."
        ) from error
    return Stream(CONTENT_TYPES[form], chunks, f"answer.{form}")


def _tuple(words: list[str] | None) -> tuple[str, ...] | None:
    return None if words is None else tuple(words)
