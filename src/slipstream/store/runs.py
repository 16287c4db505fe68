"""Runs, in SQL."""

import logging
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, LiteralString

import msgspec

from slipstream.clock import now_ms
from slipstream.db.base import Row, Transaction
from slipstream.entities import (
    Metric,
    Page,
    Run,
    RunData,
    RunInfo,
    RunInputs,
    RunOutputs,
    RunStatus,
    RunTag,
    ViewType,
)
from slipstream.errors import InvalidParameterError, NotFoundError
from slipstream.ids import new_run_id, new_run_name
from slipstream.rules import limits, names
from slipstream.rules.lifecycle import require_active_experiment, require_active_run
from slipstream.search.sql import Query, compile_runs
from slipstream.store.config import StoreConfig
from slipstream.store.experiments import STAGES
from slipstream.store.params_tags import UPSERT_TAG, check_tag

if TYPE_CHECKING:
    from slipstream.store.run_index.index import Found

_logger = logging.getLogger(__name__)

RUN_NAME_TAG = "mlflow.runName"
ENDED = ("FINISHED", "FAILED", "KILLED")
"""Statuses of runs that log no more, as a rule."""

_COLUMNS: LiteralString = (
    "r.id, r.run_id, r.experiment, r.run_name, r.user_id, r.status, r.start_time, r.end_time, "
    "r.lifecycle_stage, r.artifact_uri"
)
_WIDTH = 10
SELECT_RUN: LiteralString = f"SELECT {_COLUMNS} FROM runs r WHERE r.run_id = :run_id"
SELECT_RUN_KEY: LiteralString = "SELECT id, experiment, lifecycle_stage FROM runs WHERE run_id = :run_id"
SELECT_EXPERIMENT: LiteralString = "SELECT artifact_location, lifecycle_stage FROM experiments WHERE id = :id"
INSERT_RUN: LiteralString = """
    INSERT INTO runs
        (run_id, experiment, run_name, user_id, status, start_time, lifecycle_stage, artifact_uri)
    VALUES (:run_id, :experiment, :run_name, :user_id, 'RUNNING', :start_time, 'active', :artifact_uri)
    RETURNING id
"""
UPDATE_RUN: LiteralString = """
    UPDATE runs SET status = :status, end_time = :end_time, run_name = :run_name WHERE id = :id
"""
UPDATE_NAME: LiteralString = "UPDATE runs SET run_name = :run_name WHERE id = :id"
UPDATE_DELETED: LiteralString = """
    UPDATE runs SET lifecycle_stage = 'deleted', deleted_time = COALESCE(deleted_time, :now)
    WHERE run_id = :run_id RETURNING id
"""
# What goes with its experiment, which is being removed, does not come back.
UPDATE_RESTORED: LiteralString = """
    UPDATE runs SET lifecycle_stage = 'active', deleted_time = NULL
    WHERE run_id = :run_id
        AND NOT EXISTS (SELECT 1 FROM experiments e WHERE e.id = runs.experiment AND e.lifecycle_stage = 'removing')
    RETURNING id
"""
SELECT_RUNS: LiteralString = f"SELECT {_COLUMNS} FROM runs r WHERE r.id IN :runs__in"
# By key on every database: SQLite finds them so in its indexes, PostgreSQL in whatever order rows lie.
SELECT_PARAMS: LiteralString = "SELECT run, key, value FROM params WHERE run IN :runs__in ORDER BY run, key"
SELECT_TAGS: LiteralString = "SELECT run, key, value FROM run_tags WHERE run IN :runs__in ORDER BY run, key"
SELECT_LATEST: LiteralString = """
    SELECT run, key, value, is_nan, timestamp, step FROM series WHERE run IN :runs__in ORDER BY run, key
"""


class _Search(msgspec.Struct, frozen=True):
    """A search that was found to be valid."""

    experiments: list[int]
    query: Query
    stages: list[str]
    max_results: int

    @staticmethod
    def of(
        experiment_ids: Sequence[str],
        filter_string: str | None,
        run_view_type: ViewType,
        max_results: int,
        order_by: Sequence[str],
        page_token: str | None,
    ) -> "_Search":
        limits.check_max_results(max_results, limits.SEARCH_RUNS)
        return _Search(
            [names.experiment_number(each, "experiment_ids") for each in experiment_ids],
            compile_runs(filter_string, order_by, page_token),
            STAGES[run_view_type],
            max_results,
        )


class RunsPart:
    tx: Transaction
    config: StoreConfig
    changed_runs: set[int]
    changed_experiments: set[int]

    if TYPE_CHECKING:  # in store/datasets.py, store/point_blocks.py and store/heartbeats.py

        def end_blocks(self, run: int) -> None: ...
        def forget_beat(self, run: int) -> None: ...
        def run_inputs_outputs(
            self, run_ids: Sequence[int]
        ) -> tuple[dict[int, RunInputs], dict[int, RunOutputs]]: ...

    def create_run(
        self,
        experiment_id: str,
        user_id: str = "",
        run_name: str | None = None,
        start_time: int = 0,
        tags: Sequence[RunTag] = (),
        run_id: str | None = None,
    ) -> Run:
        limits.check_int64(start_time, "start_time")
        number = names.experiment_number(experiment_id)
        row = self.tx.fetch_one(SELECT_EXPERIMENT, id=number)
        if row is None:
            raise NotFoundError(f"No Experiment with id={experiment_id} exists")
        require_active_experiment(number, row[1])
        if (
            run_name
        ):  # before tags, whose long values are cut, so that a long name is not taken for another one
            names.check_run_name(run_name)
        pairs = dict(check_tag(tag.key, tag.value) for tag in tags)
        named = pairs.get(RUN_NAME_TAG)
        if run_name and named and run_name != named:
            raise InvalidParameterError(
                f"The run has two names: 'run_name' is '{run_name}' and the tag {RUN_NAME_TAG} is '{named}'. "
                "Give one, or both alike."
            )
        name = run_name or named or new_run_name()
        names.check_run_name(name)
        pairs[RUN_NAME_TAG] = name
        pairs = dict(sorted(pairs.items()))  # as they are read later
        run_id = run_id or new_run_id()
        uri = f"{row[0].rstrip('/')}/{run_id}/artifacts"
        inserted = self.tx.fetch_one(
            INSERT_RUN,
            run_id=run_id,
            experiment=number,
            run_name=name,
            user_id=user_id,
            start_time=start_time,
            artifact_uri=uri,
        )
        assert inserted is not None, "INSERT ... RETURNING gives a row"
        self.changed_runs.add(inserted[0])
        self.tx.execute_many(UPSERT_TAG, [(inserted[0], key, value) for key, value in pairs.items()])
        info = RunInfo(
            run_id=run_id,
            experiment_id=str(number),
            run_name=name,
            user_id=user_id,
            status=RunStatus.RUNNING,
            start_time=start_time,
            artifact_uri=uri,
        )
        return Run(info=info, data=RunData(tags=pairs))

    def get_run(self, run_id: str) -> Run:
        return self._runs([self._require_row(run_id)])[0]

    def update_run(
        self, run_id: str, status: str | None = None, end_time: int | None = None, run_name: str | None = None
    ) -> RunInfo:
        if end_time is not None:
            limits.check_int64(end_time, "end_time")
        row = self._require_row(run_id)
        info = _info(row)
        require_active_run(run_id, info.lifecycle_stage)
        if status is not None and status not in RunStatus.__members__:
            raise InvalidParameterError(
                f"Invalid value '{status}' for 'status': use one of {', '.join(RunStatus.__members__)}."
            )
        name = run_name or info.run_name
        names.check_run_name(name)
        self.changed_runs.add(row[0])
        self.tx.execute(
            UPDATE_RUN,
            status=status or info.status,
            end_time=info.end_time if end_time is None else end_time,
            run_name=name,
            id=row[0],
        )
        if run_name:
            self.tx.execute_many(UPSERT_TAG, [(row[0], RUN_NAME_TAG, run_name)])
        if status is not None:
            self.forget_beat(row[0])
        if status in ENDED:
            self.end_blocks(row[0])
        return _info(self._require_row(run_id))

    def delete_run(self, run_id: str) -> None:
        self._note(run_id, self.tx.fetch_one(UPDATE_DELETED, run_id=run_id, now=now_ms()))

    def restore_run(self, run_id: str) -> None:
        self._note(run_id, self.tx.fetch_one(UPDATE_RESTORED, run_id=run_id))

    def _note(self, run_id: str, row: Row | None) -> None:
        if row is None:
            raise _no_such_run(run_id)
        self.changed_runs.add(row[0])

    def search_runs(
        self,
        experiment_ids: Sequence[str],
        filter_string: str | None = None,
        run_view_type: ViewType = ViewType.ACTIVE_ONLY,
        max_results: int = 1000,
        order_by: Sequence[str] = (),
        page_token: str | None = None,
    ) -> Page[Run]:
        search = _Search.of(experiment_ids, filter_string, run_view_type, max_results, order_by, page_token)
        found = self._find_in_memory(search)
        if found is not None:
            rows = self.find_rows(found.runs)
            if len(rows) == len(found.runs):
                return Page(self._runs(rows), found.token)
            self._distrust_memory(search)
        rows, token = self._find_in_database(search)
        return Page(self._runs(rows), token)

    def search_encoded_runs(
        self,
        encode: Callable[[Run], bytes],
        experiment_ids: Sequence[str],
        filter_string: str | None = None,
        run_view_type: ViewType = ViewType.ACTIVE_ONLY,
        max_results: int = 1000,
        order_by: Sequence[str] = (),
        page_token: str | None = None,
    ) -> Page[bytes]:
        search = _Search.of(experiment_ids, filter_string, run_view_type, max_results, order_by, page_token)
        index = self.config.run_index
        with index.turn(max_results) if index is not None else nullcontext():
            return self._search_encoded(search, encode)

    def _search_encoded(self, search: "_Search", encode: Callable[[Run], bytes]) -> Page[bytes]:
        found = self._find_in_memory(search, encode)
        if found is not None:
            missing = [run for run in found.runs if run not in found.documents]
            rows = self.find_rows(missing)
            if len(rows) == len(missing):
                documents = {run: encode(each) for run, each in zip(missing, self._runs(rows), strict=True)}
                if documents and self.config.run_index is not None:
                    self.config.run_index.keep(found, encode, documents)
                documents |= found.documents
                return Page([documents[run] for run in found.runs], found.token)
            self._distrust_memory(search)
        rows, token = self._find_in_database(search)
        return Page([encode(run) for run in self._runs(rows)], token)

    def _find_in_memory(
        self, search: "_Search", encode: Callable[[Run], bytes] | None = None
    ) -> "Found | None":
        index = self.config.run_index
        if index is None or not search.experiments or self.changed_runs or self.changed_experiments:
            return None
        return index.find(
            self.tx, search.experiments, search.query, search.stages, search.max_results, encode
        )

    def _distrust_memory(self, search: "_Search") -> None:
        """Read experiments anew: a run has gone of which no change told."""
        _logger.warning(
            "Runs were deleted by another program than slipstream; searching experiments %s anew.",
            search.experiments,
        )
        assert self.config.run_index is not None
        self.config.run_index.drop(search.experiments)

    def _find_in_database(self, search: "_Search") -> tuple[list[Row], str | None]:
        if not search.experiments:
            return [], None
        query = search.query
        sql: LiteralString = (
            f"SELECT {_COLUMNS}, {query.keys} FROM runs r {query.joins} "
            "WHERE r.experiment IN :experiments__in AND r.lifecycle_stage IN :stages__in "
            f"AND ({query.where}) ORDER BY {query.order_by} LIMIT :limit_"
        )
        rows = self.tx.fetch_all(
            sql,
            experiments__in=search.experiments,
            stages__in=search.stages,
            limit_=search.max_results + 1,
            **query.params,
        )
        shown = rows[: search.max_results]
        return shown, query.next_token(shown[-1][_WIDTH:]) if len(rows) > search.max_results else None

    def find_rows(self, runs: Sequence[int]) -> list[Row]:
        """Return the rows of runs, by internal id, in the order given; those that are not there are left out."""
        if not runs:
            return []
        rows = {row[0]: row for row in self.tx.fetch_all(SELECT_RUNS, runs__in=list(runs))}
        return [rows[run] for run in runs if run in rows]

    def find_runs(self, runs: Sequence[int]) -> list[Run]:
        """Return whole runs, by internal id, in the order given; those that are not there are left out."""
        return self._runs(self.find_rows(runs))

    def require_run(self, run_id: str, *, active: bool = False) -> tuple[int, int]:
        """Return a run's internal id and its experiment's number; one that must be active is taken to be changed.

        Raises:
            NotFoundError: no such run.
            InvalidParameterError: it must be active and is deleted.
        """
        row = self.tx.fetch_one(SELECT_RUN_KEY, run_id=run_id)
        if row is None:
            raise _no_such_run(run_id)
        if active:
            require_active_run(run_id, row[2])
            self.changed_runs.add(row[0])
        return row[0], row[1]

    def rename_run(self, run: int, name: str) -> None:
        """Give a run the name that its tag `mlflow.runName` was set to."""
        names.check_run_name(name)
        self.tx.execute(UPDATE_NAME, run_name=name, id=run)

    def _require_row(self, run_id: str) -> Row:
        row = self.tx.fetch_one(SELECT_RUN, run_id=run_id)
        if row is None:
            raise _no_such_run(run_id)
        return row

    def _runs(self, rows: Sequence[Row]) -> list[Run]:
        """Return whole runs for rows of `runs`, with four queries however many there are."""
        if not rows:
            return []
        ids: list[int] = [row[0] for row in rows]
        params: dict[int, dict[str, str]] = {run: {} for run in ids}
        tags: dict[int, dict[str, str]] = {run: {} for run in ids}
        metrics: dict[int, list[Metric]] = {run: [] for run in ids}
        for run, key, value in self.tx.fetch_all(SELECT_PARAMS, runs__in=ids):
            params[run][key] = value
        for run, key, value in self.tx.fetch_all(SELECT_TAGS, runs__in=ids):
            tags[run][key] = value
        for run, key, value, is_nan, timestamp, step in self.tx.fetch_all(SELECT_LATEST, runs__in=ids):
            metrics[run].append(Metric(key, float("nan") if is_nan else value, timestamp, step))
        inputs, outputs = self.run_inputs_outputs(ids)
        nothing_in, nothing_out = RunInputs(), RunOutputs()
        return [
            Run(
                info=_info(row),
                data=RunData(latest_metrics=metrics[row[0]], params=params[row[0]], tags=tags[row[0]]),
                inputs=inputs.get(row[0], nothing_in),
                outputs=outputs.get(row[0], nothing_out),
            )
            for row in rows
        ]


def _info(row: Row) -> RunInfo:
    return RunInfo(
        run_id=row[1],
        experiment_id=str(row[2]),
        run_name=row[3],
        user_id=row[4],
        status=row[5],
        start_time=row[6],
        end_time=row[7],
        lifecycle_stage=row[8],
        artifact_uri=row[9],
    )


def _no_such_run(run_id: str) -> NotFoundError:
    return NotFoundError(f"Run with id={run_id} not found")
