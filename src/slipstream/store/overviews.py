"""Experiments with what goes on in them, and what happens now; each answer in a few queries whose work is bounded."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, LiteralString

from slipstream.db.base import Row, Transaction
from slipstream.entities import LifecycleStage, Page, RegisteredModel
from slipstream.entities.liveness import END_REASON_TAG
from slipstream.entities.overview import (
    Activity,
    ExperimentOverview,
    ExperimentOverviews,
    ModelInUse,
    OverviewRequest,
    RecentRun,
)
from slipstream.rules import limits
from slipstream.rules.windows import check_window
from slipstream.store.experiments import STAGES
from slipstream.store.run_changes import newest_change

# The latest run is found in the index runs_by_start, whatever the number of runs.
SELECT_ALL: LiteralString = """
    SELECT e.id, e.name, e.lifecycle_stage, e.creation_time, e.last_update_time,
        (SELECT MAX(r.start_time) FROM runs r WHERE r.experiment = e.id)
    FROM experiments e WHERE e.lifecycle_stage IN :stages__in
"""
COUNT_RUNS: LiteralString = """
    SELECT experiment, COUNT(*), SUM(CASE WHEN status = 'RUNNING' THEN 1 ELSE 0 END) FROM runs
    WHERE experiment IN :experiments__in AND lifecycle_stage = 'active' GROUP BY experiment
"""
SELECT_TAGS: LiteralString = """
    SELECT experiment, key, value FROM experiment_tags WHERE experiment IN :experiments__in ORDER BY experiment, key
"""
_RECENT: LiteralString = """
    SELECT r.id, r.run_id, r.run_name, r.experiment, e.name, r.status, r.user_id, r.start_time, r.end_time
    FROM runs r JOIN experiments e ON e.id = r.experiment
    WHERE r.lifecycle_stage = 'active'
"""
SELECT_RUNNING: LiteralString = f"""
    {_RECENT} AND r.status = 'RUNNING'
        AND (r.id > (SELECT MAX(id) FROM runs) - :newest OR r.id IN (SELECT run FROM heartbeats WHERE lost = 0))
    ORDER BY r.start_time DESC, r.id DESC LIMIT :limit_
"""
SELECT_ENDED: LiteralString = f"""
    {_RECENT} AND r.status IN :statuses__in AND r.end_time IS NOT NULL
        AND r.id > (SELECT MAX(id) FROM runs) - :newest
    ORDER BY r.end_time DESC, r.id DESC LIMIT :limit_
"""
SELECT_REASONS: LiteralString = "SELECT run, value FROM run_tags WHERE run IN :runs__in AND key = :key"
SELECT_BEATS: LiteralString = "SELECT run, beat_time FROM heartbeats WHERE run IN :runs__in"
SELECT_PROGRESS: LiteralString = (
    "SELECT run, MAX(step), MAX(timestamp) FROM series WHERE run IN :runs__in GROUP BY run"
)

NEWEST = 5_000
"""Runs that are looked at, by their creation; and older ones that give signs of life."""
MOST_LISTED = 1_000
MOST_ACTIVITY = 100


class OverviewsPart:
    tx: Transaction

    if TYPE_CHECKING:  # in store/models.py

        def search_registered_models(
            self,
            filter_string: str | None = None,
            max_results: int = 100,
            order_by: Sequence[str] = (),
            page_token: str | None = None,
        ) -> Page[RegisteredModel]: ...

    def find_experiment_overviews(self, request: OverviewRequest) -> ExperimentOverviews:
        check_window(request.offset, request.limit, MOST_LISTED)
        cursor = newest_change(self.tx)
        words = (request.search or "").lower().split()
        rows = [
            row
            for row in self.tx.fetch_all(SELECT_ALL, stages__in=STAGES[request.view_type])
            if all(word in row[1].lower() for word in words)
        ]
        rows.sort(key=lambda row: (-_latest(row), row[0]))
        shown = rows[request.offset : request.offset + request.limit]
        return ExperimentOverviews(
            total=len(rows), offset=request.offset, cursor=cursor, experiments=self._overviews_of(shown)
        )

    def _overviews_of(self, rows: Sequence[Row]) -> list[ExperimentOverview]:
        numbers = [row[0] for row in rows]
        if not numbers:
            return []
        counts = {row[0]: row for row in self.tx.fetch_all(COUNT_RUNS, experiments__in=numbers)}
        tags: dict[int, dict[str, str]] = {number: {} for number in numbers}
        for number, key, value in self.tx.fetch_all(SELECT_TAGS, experiments__in=numbers):
            tags[number][key] = value
        return [
            ExperimentOverview(
                experiment_id=str(row[0]),
                name=row[1],
                lifecycle_stage=LifecycleStage(row[2]),
                creation_time=row[3],
                last_activity=_latest(row),
                runs=counts[row[0]][1] if row[0] in counts else 0,
                running=int(counts[row[0]][2]) if row[0] in counts else 0,
                tags=tags[row[0]],
            )
            for row in rows
        ]

    def find_activity(self, limit: int = 20) -> Activity:
        limits.check_max_results(limit, MOST_ACTIVITY)
        cursor = newest_change(self.tx)
        return Activity(
            cursor=cursor,
            running=self._recent(
                self.tx.fetch_all(SELECT_RUNNING, newest=NEWEST, limit_=limit), running=True
            ),
            finished=self._ended(["FINISHED"], limit),
            failed=self._ended(["FAILED", "KILLED"], limit),
            experiments=self.find_experiment_overviews(OverviewRequest(limit=limit)).experiments,
            models=[
                _in_use(model)
                for model in self.search_registered_models(
                    None, limit, ["last_updated_timestamp DESC", "name ASC"]
                ).items
            ],
        )

    def _ended(self, statuses: list[str], limit: int) -> list[RecentRun]:
        rows = self.tx.fetch_all(SELECT_ENDED, statuses__in=statuses, newest=NEWEST, limit_=limit)
        return self._recent(rows, running=False)

    def _recent(self, rows: Sequence[Row], *, running: bool) -> list[RecentRun]:
        runs = [row[0] for row in rows]
        if not runs:
            return []
        reasons: dict[int, str] = {}
        beats: dict[int, int] = {}
        progress: dict[int, Row] = {}
        if running:
            beats = dict(self.tx.fetch_all(SELECT_BEATS, runs__in=runs))  # pyright: ignore[reportArgumentType]
            progress = {row[0]: row for row in self.tx.fetch_all(SELECT_PROGRESS, runs__in=runs)}
        else:
            reasons = dict(self.tx.fetch_all(SELECT_REASONS, runs__in=runs, key=END_REASON_TAG))  # pyright: ignore[reportArgumentType]
        return [
            RecentRun(
                run_id=row[1],
                name=row[2],
                experiment_id=str(row[3]),
                experiment_name=row[4],
                status=row[5],
                user_id=row[6],
                start_time=row[7],
                end_time=row[8],
                reason=reasons.get(row[0]),
                beat_time=beats.get(row[0]),
                step=progress[row[0]][1] if row[0] in progress else None,
                logged_time=progress[row[0]][2] if row[0] in progress else None,
            )
            for row in rows
        ]


def _latest(row: Row) -> int:
    return max(row[4], row[5] or 0)


def _in_use(model: RegisteredModel) -> ModelInUse:
    versions = model.latest_versions
    return ModelInUse(
        name=model.name,
        last_updated=model.last_updated_timestamp,
        aliases=dict(model.aliases),
        stages={each.current_stage: each.version for each in versions if each.current_stage != "None"},
        latest_version=max((each.version for each in versions), key=int, default=None),
    )
