"""Runs that move to another experiment, and copies of runs, in SQL.

A moved run keeps its id and its artifact URI. Logged models that it made go with it, as `runs:/<run>/<name>` finds them in
the run's experiment. Data sets belong to experiments, so links to them are made anew.

A copy is another run, with the tag `COPIED_FROM`. Models that the run made are its outputs, and are kept for it. Its files are its own, copied by the client, or those of the run that it
was copied from; then a row of `shared_files` keeps these as long as the copy is there (`store/removals.py`).
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, LiteralString

from slipstream.clock import now_ms
from slipstream.db.base import Row, Transaction
from slipstream.db.point_blocks import rename_series
from slipstream.entities import RunCopy, RunStatus
from slipstream.errors import AlreadyExistsError, InvalidParameterError
from slipstream.rules import names
from slipstream.store.branches import OFFSET
from slipstream.store.params_tags import PARENT
from slipstream.store.point_blocks import SELECT_CONTENTS, in_groups
from slipstream.store.removals import DELETE_UNUSED_DATASETS
from slipstream.store.runs import SELECT_EXPERIMENT

COPIED_FROM = "slipstream.copied_from"
"""The tag of a copy: the id of the run that it was copied from."""

UPDATE_EXPERIMENT: LiteralString = "UPDATE runs SET experiment = :experiment WHERE id IN :runs__in"
SELECT_EXPERIMENTS: LiteralString = "SELECT DISTINCT experiment FROM runs WHERE id IN :runs__in"
UPDATE_MODELS: LiteralString = """
    UPDATE logged_models SET experiment = :experiment
    WHERE source_run_id IN :run_ids__in AND lifecycle_stage <> 'removing'
"""
SELECT_LINKS: LiteralString = """
    SELECT y.run, d.id, d.name, d.digest, d.source_type, d.source, d.schema, d.profile
    FROM run_datasets y JOIN datasets d ON d.id = y.dataset WHERE y.run IN :runs__in ORDER BY d.id
"""
INSERT_DATASET: LiteralString = """
    INSERT INTO datasets (experiment, name, digest, source_type, source, schema, profile)
    VALUES (:experiment, :name, :digest, :source_type, :source, :schema, :profile)
    ON CONFLICT (experiment, name, digest) DO NOTHING
"""
SELECT_DATASET: LiteralString = (
    "SELECT id FROM datasets WHERE experiment = :experiment AND name = :name AND digest = :digest"
)
INSERT_LINK: LiteralString = "INSERT INTO run_datasets (run, dataset) VALUES (:run, :dataset)"
UPDATE_LINK_TAGS: LiteralString = (
    "UPDATE run_dataset_tags SET dataset = :dataset WHERE run = :run AND dataset = :old"
)
DELETE_LINK: LiteralString = "DELETE FROM run_datasets WHERE run = :run AND dataset = :dataset"
SELECT_STATES: LiteralString = """
    SELECT r.run_id, t.value FROM runs r LEFT JOIN run_tags t ON t.run = r.id AND t.key = :tag WHERE r.run_id = :run_id
"""
INSERT_RUN: LiteralString = """
    INSERT INTO runs
        (run_id, experiment, run_name, user_id, status, start_time, end_time, lifecycle_stage, artifact_uri)
    SELECT :run_id, :experiment, run_name, user_id,
        CASE WHEN status IN ('RUNNING', 'SCHEDULED') THEN :ended ELSE status END,
        start_time,
        CASE WHEN status IN ('RUNNING', 'SCHEDULED') THEN :now ELSE end_time END,
        'active', :artifact_uri
    FROM runs WHERE id = :source
    RETURNING id
"""
SELECT_URI: LiteralString = """
    SELECT r.artifact_uri, s.owner FROM runs r LEFT JOIN shared_files s ON s.run = r.id WHERE r.id = :source
"""
INSERT_SHARED: LiteralString = "INSERT INTO shared_files (run, owner) VALUES (:run, :owner)"
# In this order: later statements need the rows of earlier ones.
COPY_ROWS: tuple[LiteralString, ...] = (
    "INSERT INTO params (run, key, value) SELECT :run, key, value FROM params WHERE run = :source",
    """
    INSERT INTO param_changes (run, key, number, value, replaced_time)
    SELECT :run, key, number, value, replaced_time FROM param_changes WHERE run = :source
    """,
    "INSERT INTO run_tags (run, key, value) SELECT :run, key, value FROM run_tags WHERE run = :source",
    """
    INSERT INTO run_models (run, direction, model_id, step)
    SELECT :run, direction, model_id, step FROM run_models WHERE run = :source
    """,
    # A model may say by itself which run made it.
    """
    INSERT INTO run_models (run, direction, model_id, step)
    SELECT :run, 'output', l.model_id, 0 FROM runs r
    JOIN logged_models l ON l.experiment = r.experiment AND l.source_run_id = r.run_id
    WHERE r.id = :source AND l.lifecycle_stage = 'active' ON CONFLICT DO NOTHING
    """,
    """
    INSERT INTO series (run, key, step, timestamp, value, is_nan)
    SELECT :run, key, step, timestamp, value, is_nan FROM series WHERE run = :source ORDER BY id
    """,
    """
    INSERT INTO run_branches (run, number, from_step, created_time, undone_time)
    SELECT :run, number, from_step, created_time, undone_time FROM run_branches WHERE run = :source ORDER BY id
    """,
    """
    INSERT INTO superseded_series (branch, key, step, timestamp, value, is_nan)
    SELECT n.id, s.key, s.step, s.timestamp, s.value, s.is_nan
    FROM run_branches n JOIN run_branches o ON o.run = :source AND o.number = n.number
    JOIN superseded_series s ON s.branch = o.id
    WHERE n.run = :run ORDER BY s.id
    """,
)
SELECT_SERIES_PAIRS: LiteralString = """
    SELECT o.id, n.id FROM series o JOIN series n ON n.run = :run AND n.key = o.key WHERE o.run = :source
"""
SELECT_SUPERSEDED_PAIRS: LiteralString = """
    SELECT o.id, n.id FROM run_branches ob JOIN superseded_series o ON o.branch = ob.id
    JOIN run_branches nb ON nb.run = :run AND nb.number = ob.number
    JOIN superseded_series n ON n.branch = nb.id AND n.key = o.key
    WHERE ob.run = :source
"""
SELECT_BLOCKS: LiteralString = """
    SELECT id, series, first_time, points, last_time FROM point_blocks
    WHERE id BETWEEN :first AND :last ORDER BY id
"""
INSERT_BLOCK: LiteralString = """
    INSERT INTO point_blocks (id, series, first_series, last_series, first_time, last_time, points, content)
    VALUES (:id, :series, :first_series, :last_series, :first_time, :last_time, :points, :content)
"""
SELECT_LINK_TAGS: LiteralString = """
    SELECT dataset, key, value FROM run_dataset_tags WHERE run = :run ORDER BY dataset, key
"""
INSERT_LINK_TAG: LiteralString = """
    INSERT INTO run_dataset_tags (run, dataset, key, value) VALUES (:run, :dataset, :key, :value)
"""
UPSERT_TAG: LiteralString = """
    INSERT INTO run_tags (run, key, value) VALUES (:run, :key, :value)
    ON CONFLICT (run, key) DO UPDATE SET value = excluded.value
"""
SELECT_TAG: LiteralString = "SELECT value FROM run_tags WHERE run = :run AND key = :key"


class RunMovesPart:
    tx: Transaction
    changed_runs: set[int]
    changed_alone: set[int]

    if TYPE_CHECKING:  # in store/runs.py and store/experiments.py

        def require_run(self, run_id: str, *, active: bool = False) -> tuple[int, int]: ...
        def require_active_experiment(self, number: int) -> None: ...

    def move_runs(self, run_ids: Sequence[str], experiment_id: str) -> list[str]:
        number = self._target(experiment_id)
        moved: dict[int, str] = {}
        for run_id in run_ids:
            names.check_run_id(run_id)
            run, experiment = self.require_run(run_id, active=True)
            if experiment != number:
                moved[run] = run_id
        self.move_to(moved, experiment_id)
        return list(moved.values())

    def move_to(self, moved: Mapping[int, str], experiment_id: str) -> None:
        """Move active runs of other experiments, by their internal ids."""
        number = self._target(experiment_id)
        if not moved:
            return
        links = self.tx.fetch_all(SELECT_LINKS, runs__in=list(moved))
        here = self._datasets_here(links, number)
        for run, old, *_ in links:
            self.tx.execute(INSERT_LINK, run=run, dataset=here[old])
            self.tx.execute(UPDATE_LINK_TAGS, run=run, dataset=here[old], old=old)
            self.tx.execute(DELETE_LINK, run=run, dataset=old)
        if here:
            self.tx.execute(DELETE_UNUSED_DATASETS, ids__in=list(here))
        # Pages that show an experiment which loses runs are told by its number: of the runs the journal knows where they are now.
        left = self.tx.fetch_all(SELECT_EXPERIMENTS, runs__in=list(moved))
        self.changed_alone.update(row[0] for row in left)
        self.tx.execute(UPDATE_EXPERIMENT, experiment=number, runs__in=list(moved))
        self.tx.execute(UPDATE_MODELS, experiment=number, run_ids__in=list(moved.values()))

    def _target(self, experiment_id: str) -> int:
        number = names.experiment_number(experiment_id)
        self.require_active_experiment(number)
        return number

    def _datasets_here(self, links: Sequence[Row], experiment: int) -> dict[int, int]:
        """Find or make data sets of other experiments in one; return its ids by theirs."""
        here: dict[int, int] = {}
        for _, old, name, digest, source_type, source, schema, profile in links:
            if old in here:
                continue
            self.tx.execute(
                INSERT_DATASET,
                experiment=experiment,
                name=name,
                digest=digest,
                source_type=source_type,
                source=source,
                schema=schema,
                profile=profile,
            )
            row = self.tx.fetch_one(SELECT_DATASET, experiment=experiment, name=name, digest=digest)
            assert row is not None, "the dataset was there or has just been inserted"
            here[old] = row[0]
        return here

    def copy_runs(
        self, copies: Sequence[RunCopy], experiment_id: str, *, share_files: bool = False
    ) -> list[str]:
        number = self._target(experiment_id)
        located = self.tx.fetch_one(SELECT_EXPERIMENT, id=number)
        assert located is not None, "the experiment is there"
        new_ids = {each.run_id: each.new_run_id for each in copies}
        if len(new_ids) != len(copies) or len(set(new_ids.values())) != len(copies):
            raise InvalidParameterError(
                "'copies' names a run twice. Each run and each 'new_run_id' may be there once; copy again for more copies."
            )
        for each in copies:
            names.check_run_id(each.run_id)
            names.check_new_run_id(each.new_run_id)
            if self._is_copied(each):
                continue
            source, _ = self.require_run(each.run_id, active=True)
            uri = f"{located[0].rstrip('/')}/{each.new_run_id}/artifacts"
            run = self._insert_copy(each, source, number, None if share_files else uri)
            self._copy_points(source, run)
            self._copy_links(source, run, number)
            tags = [(run, COPIED_FROM, each.run_id)]
            parent = self.tx.fetch_one(SELECT_TAG, run=source, key=PARENT)
            if parent is not None and parent[0] in new_ids:
                tags.append((run, PARENT, new_ids[parent[0]]))
            self.tx.execute_many(UPSERT_TAG, tags)
        return [each.new_run_id for each in copies]

    def _is_copied(self, each: RunCopy) -> bool:
        row = self.tx.fetch_one(SELECT_STATES, tag=COPIED_FROM, run_id=each.new_run_id)
        if row is None:
            return False
        if row[1] != each.run_id:
            raise AlreadyExistsError(
                f"Run with id={each.new_run_id} is there already. Give the copy another id."
            )
        return True

    def _insert_copy(self, each: RunCopy, source: int, experiment: int, uri: str | None) -> int:
        """Make the run of a copy, with all but points and data sets; without a URI it uses the source's files."""
        located = self.tx.fetch_one(SELECT_URI, source=source)
        assert located is not None, "the run is there"
        row = self.tx.fetch_one(
            INSERT_RUN,
            run_id=each.new_run_id,
            experiment=experiment,
            ended=RunStatus.FINISHED.value,
            now=now_ms(),
            artifact_uri=located[0] if uri is None else uri,
            source=source,
        )
        assert row is not None, "INSERT ... RETURNING gives a row"
        run: int = row[0]
        self.changed_runs.add(run)
        if uri is None:
            self.tx.execute(INSERT_SHARED, run=run, owner=located[1] or each.run_id)
        for statement in COPY_ROWS:
            self.tx.execute(statement, run=run, source=source)
        return run

    def _copy_points(self, source: int, run: int) -> None:
        renamed: dict[int, int] = dict(self.tx.fetch_all(SELECT_SERIES_PAIRS, run=run, source=source))
        for old, new in self.tx.fetch_all(SELECT_SUPERSEDED_PAIRS, run=run, source=source):
            renamed[old + OFFSET] = new + OFFSET
        blocks = self.tx.fetch_all(SELECT_BLOCKS, first=source << 32, last=(source + 1 << 32) - 1)
        for group in in_groups(blocks):
            contents = dict(self.tx.fetch_all(SELECT_CONTENTS, ids__in=[row[0] for row in group]))
            self.tx.execute_many(
                INSERT_BLOCK, [_copied_block(row, contents[row[0]], run, renamed) for row in group]
            )

    def _copy_links(self, source: int, run: int, experiment: int) -> None:
        links = self.tx.fetch_all(SELECT_LINKS, runs__in=[source])
        if not links:
            return
        here = self._datasets_here(links, experiment)
        self.tx.execute_many(INSERT_LINK, [(run, here[link[1]]) for link in links])
        tags = self.tx.fetch_all(SELECT_LINK_TAGS, run=source)
        if tags:
            rows = [(run, here[dataset], key, value) for dataset, key, value in tags]
            self.tx.execute_many(INSERT_LINK_TAG, rows)


def _copied_block(row: Row, content: bytes, run: int, renamed: Mapping[int, int]) -> Row:
    identity, kind, first_time, points, last_time = row
    copied, ids = rename_series(content, renamed)
    place = (identity & 0xFFFFFFFF) + (run << 32)
    return (
        place,
        ids[0] if kind > 0 else kind,
        ids[0],
        ids[-1],
        first_time,
        last_time,
        points,
        copied,
    )
