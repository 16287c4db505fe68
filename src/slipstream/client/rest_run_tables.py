"""`RestStore`: runs as tables."""

from collections.abc import Callable, Sequence
from typing import Any

from slipstream.api import envelopes as envelope_api
from slipstream.api import overviews as overview_api
from slipstream.api import run_bulk as bulk_api
from slipstream.api import run_comparisons as comparison_api
from slipstream.api import run_overviews as run_overview_api
from slipstream.api import run_tables as api
from slipstream.client.rest_calls import RestCalls
from slipstream.entities.envelope import (
    BandPage,
    BandRequest,
    EncodedEnvelopes,
    Envelope,
    EnvelopePage,
    EnvelopeRequest,
)
from slipstream.entities.overview import Activity, ExperimentOverviews, OverviewRequest
from slipstream.entities.run_bulk import RunsChange, RunsChanged
from slipstream.entities.run_comparison import RunComparison
from slipstream.entities.run_overview import RunOverview
from slipstream.entities.run_table import (
    ColumnsRequest,
    GroupsRequest,
    RunColumnsPage,
    RunGroupsPage,
    RunSelection,
    RunTablePage,
    TableRequest,
    ValueCount,
    ValuesRequest,
)


class RestRunTables(RestCalls):
    def search_run_table(self, request: TableRequest) -> RunTablePage:
        asked = api.RunTable(
            **_selection(request.selection),
            order_by=list(request.order_by),
            columns=list(request.columns),
            offset=request.offset,
            limit=request.limit,
            parent_run_id=request.parent_run_id,
            roots_only=request.roots_only,
            with_ranges=request.with_ranges,
            with_child_ranges=request.with_child_ranges,
        )
        return api.table_from_wire(self._ask(api.search_run_table, asked))

    def search_run_columns(self, request: ColumnsRequest) -> RunColumnsPage:
        asked = api.RunColumns(
            **_selection(request.selection),
            search=request.search,
            kinds=list(request.kinds),
            offset=request.offset,
            limit=request.limit,
            sampled_only=request.sampled_only,
        )
        return api.columns_from_wire(self._ask(api.search_run_columns, asked))

    def find_run_values(self, request: ValuesRequest) -> list[ValueCount]:
        asked = api.FindRunValues(
            **_selection(request.selection), key=request.key, prefix=request.prefix, limit=request.limit
        )
        return self._ask(api.find_run_values, asked).values

    def find_run_groups(self, request: GroupsRequest) -> RunGroupsPage:
        asked = api.FindRunGroups(
            **_selection(request.selection),
            by=list(request.by),
            metrics=list(request.metrics),
            order_by=request.order_by,
            statistic=request.statistic,
            ascending=request.ascending,
            offset=request.offset,
            limit=request.limit,
        )
        return api.groups_from_wire(self._ask(api.find_run_groups, asked))

    def change_runs(self, change: RunsChange) -> RunsChanged:
        removes = bulk_api.is_removal(change.operation, change.values)
        route = bulk_api.change_or_delete_runs if removes else bulk_api.change_runs
        return bulk_api.from_wire(self._ask(route, bulk_api.to_wire(change)))

    def find_experiment_overviews(self, request: OverviewRequest) -> ExperimentOverviews:
        asked = overview_api.ExperimentsOverview(
            search=request.search,
            view_type=request.view_type.name,
            offset=request.offset,
            limit=request.limit,
        )
        return overview_api.overviews_from_wire(self._ask(overview_api.find_experiment_overviews, asked))

    def find_activity(self, limit: int = 20) -> Activity:
        asked = overview_api.FindActivity(limit=limit)
        return overview_api.activity_from_wire(self._ask(overview_api.find_activity, asked))

    def find_run_overview(self, run_id: str, extremes: int = 0) -> RunOverview:
        asked = run_overview_api.FindRunOverview(run_id=run_id, extremes=extremes)
        return run_overview_api.from_wire(self._ask(run_overview_api.find_run_overview, asked))

    def compare_runs(self, run_ids: Sequence[str]) -> RunComparison:
        asked = comparison_api.CompareRuns(run_ids=list(run_ids))
        return comparison_api.from_wire(self._ask(comparison_api.compare_runs, asked))

    def find_envelopes(self, request: EnvelopeRequest) -> EnvelopePage:
        asked = envelope_api.FindEnvelopes(
            series=list(request.series),
            x=request.x,
            start=request.start,
            end=request.end,
            width=request.width,
            smoothing=request.smoothing,
            own_grid=request.own_grid,
        )
        return envelope_api.from_wire(self._ask(envelope_api.find_envelopes, asked))

    def find_encoded_envelopes(
        self, encode: Callable[[Envelope], bytes], request: EnvelopeRequest
    ) -> EncodedEnvelopes:
        page = self.find_envelopes(request)
        return EncodedEnvelopes(cursor=page.cursor, series=[encode(line) for line in page.series])

    def find_bands(self, request: BandRequest) -> BandPage:
        selected = {} if request.selection is None else _selection(request.selection)
        asked = envelope_api.FindBands(
            **selected,
            key=request.key,
            groups=list(request.groups) if request.selection is None else None,
            by=list(request.by),
            limit=request.limit,
            x=request.x,
            start=request.start,
            end=request.end,
            width=request.width,
            smoothing=request.smoothing,
        )
        return envelope_api.bands_from_wire(self._ask(envelope_api.find_bands, asked))


def _selection(selection: RunSelection) -> dict[str, Any]:
    return {
        "experiment_ids": list(selection.experiment_ids),
        "filter": selection.filter_string,
        "view_type": selection.view_type.name,
    }
