"""The part of the store's contract that is for pages: windows of tables, lines of charts, a first look. See `base.py`."""

from collections.abc import Callable, Sequence
from typing import Protocol

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
    RunTablePage,
    TableRequest,
    ValueCount,
    ValuesRequest,
)


class RunTableStore(Protocol):
    """Runs as pages show them: any window of rows, column by column."""

    def search_run_table(self, request: TableRequest) -> RunTablePage:
        """Return some rows of all runs that a search finds, by their place, with the exact number of all."""
        ...

    def find_envelopes(self, request: EnvelopeRequest) -> EnvelopePage:
        """Return series as charts of some width show them: no point that stands out is lost, whatever their length."""
        ...

    def find_encoded_envelopes(
        self, encode: Callable[[Envelope], bytes], request: EnvelopeRequest
    ) -> EncodedEnvelopes:
        """Find envelopes, and give each as `encode` does; that may be kept for later with the same function."""
        ...

    def find_bands(self, request: BandRequest) -> BandPage:
        """Return a metric of groups of runs, on common columns, over all of their points."""
        ...

    def find_run_values(self, request: ValuesRequest) -> list[ValueCount]:
        """Return which values a column of the found runs has, those of most runs first."""
        ...

    def find_run_groups(self, request: GroupsRequest) -> RunGroupsPage:
        """Group the found runs by columns; say how the last values of metrics spread in each group, exactly."""
        ...

    def change_runs(self, change: RunsChange) -> RunsChanged:
        """Tag, move, delete or restore many runs, all of them or none; return which are another way now, and what they had.

        Done twice, the second time changes nothing, and says so.
        """
        ...

    def find_experiment_overviews(self, request: OverviewRequest) -> ExperimentOverviews:
        """Return some experiments by their place, those with the latest activity first, and what goes on in them."""
        ...

    def find_activity(self, limit: int = 20) -> Activity:
        """Return what runs now and what ended lately, up to so many each, and experiments and models used lately.

        Of runs, the newest 5,000 are looked at, and older ones that give signs of life.
        """
        ...

    def find_run_overview(self, run_id: str, extremes: int = 0) -> RunOverview:
        """Return a run with what its page shows at first.

        Args:
            run_id: which.
            extremes: of how many of its metrics the least and the largest value are wanted, by name.
        """
        ...

    def compare_runs(self, run_ids: Sequence[str]) -> RunComparison:
        """Return 2 to 100 runs of any experiments beside each other, in the order given, and which are not there."""
        ...

    def search_run_columns(self, request: ColumnsRequest) -> RunColumnsPage:
        """Return which columns the runs that a search finds have; those that differ and that most have first."""
        ...
