"""The route of whole histories: many runs and keys in one stream of columns. Slipstream's own, not MLflow's."""

from collections.abc import Iterator

from slipstream.api.routing import OWN, OWN_AJAX, Permission, Stream, StreamRequest, route
from slipstream.bulk.formats import CONTENT_TYPES, choose_format
from slipstream.bulk.histories import HISTORY_FORMATS, history_chunks
from slipstream.entities import SeriesFilter, SeriesPoints, ViewType
from slipstream.errors import InvalidParameterError, MissingDependencyError, NotImplementedByServerError
from slipstream.store.base import Store
from slipstream.wire.parsing import Int64

_RUNS = 1_000


class ReadHistories(StreamRequest, kw_only=True):
    run_ids: list[str] = []
    experiment_ids: list[str] = []
    filter: str | None = None
    keys: list[str] | None = None
    start_step: Int64 | None = None
    end_step: Int64 | None = None
    max_points: Int64 | None = None


@route(
    "POST",
    "metrics/histories",
    permission=Permission.READ,
    also=("GET",),
    prefixes=(OWN, OWN_AJAX),
    streams=tuple(CONTENT_TYPES[each] for each in HISTORY_FORMATS),
)
def read_histories(store: Store, req: ReadHistories) -> Stream:
    """Return the histories of many runs and keys as one Arrow stream, Parquet file or CSV."""
    form = choose_format(req.format, req.accept, HISTORY_FORMATS)
    wanted = SeriesFilter(
        keys=None if req.keys is None else tuple(req.keys),
        start_step=req.start_step,
        end_step=req.end_step,
        max_points=req.max_points,
    )
    try:
        chunks = history_chunks(_series(store, req, wanted), form)
    except MissingDependencyError as error:
        raise NotImplementedByServerError(
            f"This server cannot write {form}: it lacks pyarrow. Ask for format=csv, or install 'slipstream[data]' at "
            "the server."
        ) from error
    return Stream(CONTENT_TYPES[form], chunks, f"histories.{form}")


def _series(store: Store, req: ReadHistories, wanted: SeriesFilter) -> Iterator[SeriesPoints]:
    if bool(req.run_ids) == bool(req.experiment_ids):
        raise InvalidParameterError(
            "Say which runs: give either 'run_ids', or 'experiment_ids' with or without a 'filter'."
        )
    if req.run_ids:
        if req.filter:
            raise InvalidParameterError(
                "A 'filter' goes with 'experiment_ids'; leave it out beside 'run_ids'."
            )
        return store.read_series(req.run_ids, None, wanted)
    store.read_series([], None, wanted)  # what is wrong with it is said before the search
    return _series_of_found(store, req, wanted)


def _series_of_found(store: Store, req: ReadHistories, wanted: SeriesFilter) -> Iterator[SeriesPoints]:
    token: str | None = None
    while True:
        page = store.search_runs(
            req.experiment_ids, req.filter, ViewType.ACTIVE_ONLY, _RUNS, page_token=token
        )
        if page.items:
            yield from store.read_series([run.info.run_id for run in page.items], None, wanted)
        if (token := page.token) is None:
            return
