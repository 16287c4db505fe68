"""A run with all that its page shows at first, in SQL: one snapshot, and one request in place of a dozen."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, LiteralString

from slipstream.db.base import Transaction
from slipstream.entities import LoggedModel, ModelVersion, Page, ParamVersion, Run, RunBranch, ViewType
from slipstream.entities.liveness import ConsoleTail
from slipstream.entities.run_overview import RelatedRun, RunOverview
from slipstream.entities.run_table import RunSelection, RunTablePage, TableRequest
from slipstream.errors import InvalidParameterError
from slipstream.rules import limits
from slipstream.rules.natural_order import natural_key
from slipstream.search.columns import Aggregate
from slipstream.store.run_changes import newest_change

SELECT_EXPERIMENT_NAME: LiteralString = "SELECT name FROM experiments WHERE id = :id"
SELECT_PARENT: LiteralString = """
    SELECT run_id, run_name, status, experiment FROM runs WHERE run_id = :run_id AND lifecycle_stage <> 'removing'
"""

COUNT_POINTS: LiteralString = (
    "SELECT SUM(points) FROM point_blocks WHERE id >= :run * 4294967296 AND id < (:run + 1) * 4294967296"
)

PARENT_TAG = "mlflow.parentRunId"
MOST_CHILDREN = 20
MOST_MODELS = 50
MOST_EXTREMES = 1_000
MOST_POINTS = 1_000_000
"""Extremes of runs with more are not in it: a page is not to wait for them. `runs/table` has them."""
_SYSTEM = "system/"


class RunOverviewsPart:
    tx: Transaction

    if TYPE_CHECKING:  # in the other parts

        def summarize_series(
            self, runs: Sequence[int], wanted: Iterable[tuple[str, Aggregate]], upto: int
        ) -> dict[tuple[int, str, Aggregate], float | int | None]: ...
        def get_run(self, run_id: str) -> Run: ...
        def require_run(self, run_id: str, *, active: bool = False) -> tuple[int, int]: ...
        def find_beat(self, run_id: str) -> int | None: ...
        def find_console_tail(self, run_id: str) -> ConsoleTail | None: ...
        def search_run_table(self, request: TableRequest) -> RunTablePage: ...
        def search_logged_models(
            self,
            experiment_ids: Sequence[str],
            filter_string: str | None = None,
            datasets: Sequence[Mapping[str, str]] = (),
            max_results: int = 50,
            order_by: Sequence[Mapping[str, object]] = (),
            page_token: str | None = None,
        ) -> Page[LoggedModel]: ...
        def search_model_versions(
            self,
            filter_string: str | None = None,
            max_results: int = limits.SEARCH_MODEL_VERSIONS,
            order_by: Sequence[str] = (),
            page_token: str | None = None,
        ) -> Page[ModelVersion]: ...
        def find_changed_params(self, run_id: str) -> list[ParamVersion]: ...
        def get_run_branches(self, run_id: str) -> list[RunBranch]: ...

    def find_run_overview(self, run_id: str, extremes: int = 0) -> RunOverview:
        if not 0 <= extremes <= MOST_EXTREMES:
            raise InvalidParameterError(
                f"Invalid value {extremes} for 'extremes': ask for those of 0 to {MOST_EXTREMES} metrics."
            )
        cursor = newest_change(self.tx)
        number, experiment = self.require_run(run_id)
        run = self.get_run(run_id)
        named = self.tx.fetch_one(SELECT_EXPERIMENT_NAME, id=experiment)
        children = self.search_run_table(
            TableRequest(
                selection=RunSelection(experiment_ids=(str(experiment),), view_type=ViewType.ACTIVE_ONLY),
                limit=MOST_CHILDREN,
                parent_run_id=run_id,
            )
        )
        return RunOverview(
            cursor=cursor,
            run=run,
            experiment_name="" if named is None else named[0],
            beat_time=self.find_beat(run_id),
            parent=self._parent_of(run),
            children=[
                RelatedRun(run_id=child, name=name, status=status, experiment_id=where)
                for child, name, status, where in zip(
                    children.run_ids, children.names, children.statuses, children.experiment_ids, strict=True
                )
            ],
            child_count=children.total,
            logged_models=self.search_logged_models(
                [str(experiment)], f"source_run_id = '{run_id}'", max_results=MOST_MODELS
            ).items,
            model_versions=self.search_model_versions(f"run_id = '{run_id}'", MOST_MODELS).items,
            changed_params=self.find_changed_params(run_id),
            branches=self.get_run_branches(run_id),
            extremes=self._extremes(number, run, extremes, cursor),
            console=self.find_console_tail(run_id),
        )

    def _parent_of(self, run: Run) -> RelatedRun | None:
        parent_id = run.data.tags.get(PARENT_TAG)
        row = self.tx.fetch_one(SELECT_PARENT, run_id=parent_id) if parent_id else None
        if row is None:
            return None
        return RelatedRun(run_id=row[0], name=row[1], status=row[2], experiment_id=str(row[3]))

    def _extremes(
        self, number: int, run: Run, most: int, upto: int
    ) -> dict[str, tuple[float | None, float | None]]:
        own = (key for key in run.data.metrics if not key.startswith(_SYSTEM))
        keys = sorted(own, key=natural_key)[:most]
        points = self.tx.fetch_one(COUNT_POINTS, run=number) if keys else None
        if points is None or (points[0] or 0) > MOST_POINTS:
            return {}
        found = self.summarize_series(
            [number], {(key, each) for key in keys for each in ("min", "max")}, upto
        )
        return {key: (found.get((number, key, "min")), found.get((number, key, "max"))) for key in keys}
