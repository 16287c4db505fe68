"""The route of a table of runs as one file. Slipstream's own, not MLflow's."""

from typing import Annotated

import msgspec

from slipstream.api.experiments import view_type
from slipstream.api.routing import OWN, OWN_AJAX, Permission, Stream, StreamRequest, route
from slipstream.bulk.formats import CONTENT_TYPES, choose_format
from slipstream.bulk.run_tables import RUN_TABLE_FORMATS, run_table_chunks
from slipstream.entities.run_table import RunSelection, RunTablePage, TableRequest
from slipstream.errors import MissingDependencyError, NotImplementedByServerError
from slipstream.store.base import Store

_AT_ONCE = 1_000


class ExportRunTable(StreamRequest, kw_only=True):
    experiment_ids: list[str] = []
    filter: str | None = None
    view_type: Annotated[str | int, msgspec.Meta(description="ACTIVE_ONLY, DELETED_ONLY or ALL")] = 1
    order_by: list[str] = []
    columns: list[str] = []


@route(
    "POST",
    "runs/export",
    permission=Permission.READ,
    also=("GET",),
    prefixes=(OWN, OWN_AJAX),
    streams=tuple(CONTENT_TYPES[each] for each in RUN_TABLE_FORMATS),
)
def export_run_table(store: Store, req: ExportRunTable) -> Stream:
    """Return all runs that a search finds, with some columns, as one Parquet file, Arrow stream or CSV."""
    form = choose_format(req.format, req.accept, RUN_TABLE_FORMATS)
    selection = RunSelection(
        experiment_ids=tuple(req.experiment_ids),
        filter_string=req.filter,
        view_type=view_type(req.view_type, "view_type"),
    )

    def read(offset: int) -> RunTablePage:
        return store.search_run_table(
            TableRequest(
                selection=selection,
                order_by=tuple(req.order_by),
                columns=tuple(req.columns),
                offset=offset,
                limit=_AT_ONCE,
            )
        )

    try:
        chunks = run_table_chunks(read, form)
    except MissingDependencyError as error:
        raise NotImplementedByServerError(
            f"This server cannot write {form}: it lacks pyarrow. Ask for format=csv, or install 'slipstream[data]' at "
            "the server."
        ) from error
    return Stream(CONTENT_TYPES[form], chunks, f"runs.{form}")
