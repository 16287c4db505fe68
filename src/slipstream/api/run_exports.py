"""The route of a table of runs as one file. Slipstream's own, not MLflow's."""

from collections.abc import Callable, Iterator
from typing import Annotated, Protocol, cast

import msgspec

from slipstream.api.experiments import view_type
from slipstream.api.routing import OWN, OWN_AJAX, Permission, Stream, StreamRequest, route
from slipstream.bulk.formats import CONTENT_TYPES, choose_format
from slipstream.bulk.run_tables import RUN_TABLE_FORMATS, require_format, run_table_chunks
from slipstream.bulk.spool import made_ahead
from slipstream.entities.run_table import RunSelection, RunTablePage, TableRequest
from slipstream.errors import MissingDependencyError, NotImplementedByServerError, UnavailableError
from slipstream.store.base import Store

_AT_ONCE = 1_000


class _Snapshot(Protocol):
    """One state of a database, as `SqlStore` reads it."""

    def check_run_table(self, request: TableRequest) -> None: ...
    def read_run_table(self, request: TableRequest, at_once: int) -> Iterator[RunTablePage]: ...


class _HasSnapshots(Protocol):
    def read_snapshot(self, use: Callable[[_Snapshot], None]) -> None: ...


class ExportRunTable(StreamRequest, kw_only=True):
    experiment_ids: list[str] = []
    filter: str | None = None
    view_type: Annotated[str | int, msgspec.Meta(description="ACTIVE_ONLY, DELETED_ONLY or ALL")] = 1
    order_by: list[str] = []
    columns: list[str] = []
    for_spreadsheets: Annotated[
        bool,
        msgspec.Meta(description="CSV in which texts that are no numbers do not begin with =, +, - or @"),
    ] = False


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

    try:
        require_format(form)
    except MissingDependencyError as error:
        raise NotImplementedByServerError(
            f"This server cannot write {form}: it lacks pyarrow. Ask for format=csv, or install 'slipstream[data]' at "
            "the server."
        ) from error
    wanted = TableRequest(selection=selection, order_by=tuple(req.order_by), columns=tuple(req.columns))
    source = cast("_HasSnapshots", store)
    # What is wrong is said before anything is sent.
    source.read_snapshot(lambda snapshot: snapshot.check_run_table(wanted))

    def make(put: Callable[[bytes], None]) -> None:
        # In one transaction, which lasts as long as the database needs, and not as long as the client does.
        begun = False

        def write(snapshot: _Snapshot) -> None:
            nonlocal begun
            if begun:  # the database could not finish it, and some of it may have been sent
                raise UnavailableError("The database broke off while runs were exported. Export them again.")
            begun = True
            pages = snapshot.read_run_table(wanted, _AT_ONCE)
            for chunk in run_table_chunks(pages, form, for_spreadsheets=req.for_spreadsheets):
                put(chunk)

        source.read_snapshot(write)

    return Stream(CONTENT_TYPES[form], made_ahead(make), f"runs.{form}")
