"""Removing for ever, in SQL: the steps between which `queued_trash.py` deletes files.

A run or logged model goes in three steps, each safe to repeat: its row is marked (`lifecycle_stage = 'removing'`, and the
id gets a prefix, so that no lookup finds it any more: from here on it is gone for everybody and cannot come back); its
files are deleted; its rows are deleted. The marked row keeps the URI of the files, so whoever comes after a kill finds
what is left. An experiment is marked first, then everything in it goes that way, then its own rows.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, LiteralString

import msgspec

from slipstream.clock import now_ms
from slipstream.db.base import Row, Transaction
from slipstream.entities import KeptItem, TrashItem, TrashKind, TrashSelection
from slipstream.ids import new_run_id
from slipstream.rules import names
from slipstream.store.config import StoreConfig

MARK = "removing-"
"""What the id of a marked run or model begins with."""
BLOCKS_AT_ONCE = 512
"""Blocks of points deleted in one transaction; a block is up to some 70 kB, so that this takes some ten milliseconds."""

SELECT_EXPERIMENTS: LiteralString = """
    SELECT e.id, COALESCE(e.deleted_name, e.name), e.deleted_time FROM experiments e
    WHERE e.id > :after AND e.lifecycle_stage = 'deleted' AND COALESCE(e.deleted_time, 0) <= :before
        AND (:all_ = 1 OR e.id IN :experiments__in)
    ORDER BY e.id LIMIT :limit_
"""
# Runs that were deleted with their experiment go with it. (Experiment 0 does not go, so its runs do not wait for it.)
SELECT_RUNS: LiteralString = """
    SELECT r.id, r.run_id, r.run_name, r.experiment, r.deleted_time, r.lifecycle_stage, r.artifact_uri
    FROM runs r JOIN experiments e ON e.id = r.experiment
    WHERE r.deleted_time IS NOT NULL AND r.id > :after AND (
        r.lifecycle_stage = 'removing' OR e.lifecycle_stage = 'removing' OR r.experiment IN :going__in
        OR (
            r.lifecycle_stage = 'deleted' AND r.deleted_time <= :before AND (
                (:all_ = 1 AND (e.id = 0 OR e.lifecycle_stage = 'active' OR e.deleted_time <> r.deleted_time))
                OR r.run_id IN :runs__in
            )
        )
    )
    ORDER BY r.id LIMIT :limit_
"""
SELECT_MODELS: LiteralString = """
    SELECT l.id, l.model_id, l.name, l.experiment, l.deleted_time, l.lifecycle_stage, l.artifact_location
    FROM logged_models l JOIN experiments e ON e.id = l.experiment
    WHERE l.id > :after AND (
        l.lifecycle_stage = 'removing' OR e.lifecycle_stage = 'removing' OR l.experiment IN :going__in
        OR (
            l.lifecycle_stage = 'deleted' AND l.deleted_time <= :before
            AND (:all_ = 1 OR l.model_id IN :models__in)
        )
    )
    ORDER BY l.id LIMIT :limit_
"""
SELECT_EXPERIMENT_STATE: LiteralString = """
    SELECT lifecycle_stage, deleted_time FROM experiments WHERE id = :id AND lifecycle_stage <> 'removing'
"""
SELECT_ACTIVE_RUN: LiteralString = """
    SELECT run_id FROM runs WHERE experiment = :id AND lifecycle_stage = 'active' ORDER BY id LIMIT 1
"""
SELECT_LATER_RUN: LiteralString = """
    SELECT run_id FROM runs WHERE experiment = :id AND lifecycle_stage = 'deleted'
        AND (deleted_time > :before OR deleted_time IS NULL)
    ORDER BY id LIMIT 1
"""
SELECT_LATER_MODEL: LiteralString = """
    SELECT model_id FROM logged_models WHERE experiment = :id AND lifecycle_stage = 'deleted' AND deleted_time > :before
    ORDER BY id LIMIT 1
"""
SELECT_RUN_PLACES: LiteralString = """
    SELECT id, run_id, artifact_uri FROM runs
    WHERE experiment = :id AND lifecycle_stage <> 'removing' AND id > :after ORDER BY id LIMIT 1000
"""
SELECT_MODEL_PLACES: LiteralString = """
    SELECT id, model_id, artifact_location FROM logged_models
    WHERE experiment = :id AND lifecycle_stage <> 'removing' AND id > :after ORDER BY id LIMIT 1000
"""
SELECT_RUN_STATE: LiteralString = "SELECT lifecycle_stage, deleted_time FROM runs WHERE run_id = :id"
SELECT_MODEL_STATE: LiteralString = (
    "SELECT lifecycle_stage, deleted_time FROM logged_models WHERE model_id = :id"
)
SELECT_LOCATIONS: LiteralString = (
    "SELECT artifact_location FROM experiments WHERE lifecycle_stage <> 'removing'"
)
SELECT_LIVE_RUNS: LiteralString = "SELECT run_id FROM runs WHERE run_id IN :ids__in"
SELECT_LIVE_MODELS: LiteralString = "SELECT model_id FROM logged_models WHERE model_id IN :ids__in"
SELECT_KNOWN_EXPERIMENTS: LiteralString = "SELECT id FROM experiments"

MARK_EXPERIMENT: LiteralString = """
    UPDATE experiments SET lifecycle_stage = 'removing', name = :name, deleted_name = COALESCE(deleted_name, name)
    WHERE id = :id AND lifecycle_stage = 'deleted'
"""
MARK_RUN: LiteralString = """
    UPDATE runs SET lifecycle_stage = 'removing', run_id = :mark || run_id
    WHERE id = :number AND lifecycle_stage = 'deleted' AND deleted_time = :deleted_time
"""
MARK_MODEL: LiteralString = """
    UPDATE logged_models SET lifecycle_stage = 'removing', model_id = :mark || model_id
    WHERE id = :number AND lifecycle_stage = :stage AND COALESCE(deleted_time, 0) = :deleted_time
"""

SELECT_BLOCK_IDS: LiteralString = """
    SELECT id, LENGTH(content) FROM point_blocks WHERE id >= :first AND id < :last ORDER BY id LIMIT :limit_
"""
DELETE_BLOCKS: LiteralString = "DELETE FROM point_blocks WHERE id IN :ids__in"
SELECT_DATASETS: LiteralString = "SELECT DISTINCT dataset FROM run_datasets WHERE run IN :runs__in"
DELETE_UNUSED_DATASETS: LiteralString = """
    DELETE FROM datasets WHERE id IN :ids__in
        AND NOT EXISTS (SELECT 1 FROM run_datasets y WHERE y.dataset = datasets.id)
"""
# Copies of runs that use the files of the run that they were copied from. What is on its way out needs none.
SELECT_SHARED: LiteralString = """
    SELECT s.owner, r.run_id, r.experiment FROM shared_files s
    JOIN runs r ON r.id = s.run JOIN experiments e ON e.id = r.experiment
    WHERE s.owner IN :owners__in AND r.lifecycle_stage <> 'removing' AND e.lifecycle_stage <> 'removing'
    ORDER BY r.id DESC
"""
SELECT_SHARED_IN: LiteralString = """
    SELECT o.run_id, r.run_id FROM runs o JOIN shared_files s ON s.owner = o.run_id
    JOIN runs r ON r.id = s.run JOIN experiments e ON e.id = r.experiment
    WHERE o.experiment = :id AND r.experiment <> :id
        AND r.lifecycle_stage <> 'removing' AND e.lifecycle_stage <> 'removing'
    ORDER BY o.id, r.id LIMIT 1
"""
# Copies of runs name the models that the runs made. What is on its way out needs none.
SELECT_COPIED: LiteralString = """
    SELECT l.model_id, r.run_id FROM logged_models l
    JOIN run_models m ON m.model_id = l.model_id AND m.direction = 'output'
    JOIN runs r ON r.id = m.run JOIN experiments e ON e.id = r.experiment
    WHERE l.model_id IN :models__in AND (l.source_run_id <> r.run_id OR l.source_run_id IS NULL AND EXISTS (
            SELECT 1 FROM run_tags t WHERE t.run = r.id AND t.key = 'slipstream.copied_from'))
        AND r.lifecycle_stage <> 'removing' AND e.lifecycle_stage <> 'removing'
    ORDER BY r.id DESC
"""
SELECT_COPIED_IN: LiteralString = """
    SELECT l.model_id, r.run_id FROM logged_models l
    JOIN run_models m ON m.model_id = l.model_id AND m.direction = 'output'
    JOIN runs r ON r.id = m.run JOIN experiments e ON e.id = r.experiment
    WHERE l.experiment = :id AND r.experiment <> :id AND l.lifecycle_stage <> 'removing'
        AND (l.source_run_id <> r.run_id OR l.source_run_id IS NULL AND EXISTS (
            SELECT 1 FROM run_tags t WHERE t.run = r.id AND t.key = 'slipstream.copied_from'))
        AND r.lifecycle_stage <> 'removing' AND e.lifecycle_stage <> 'removing'
    ORDER BY l.id, r.id LIMIT 1
"""
SELECT_SHARING: LiteralString = "SELECT run FROM shared_files WHERE run IN :runs__in"
SELECT_SHARING_IN: LiteralString = """
    SELECT r.run_id FROM shared_files s JOIN runs r ON r.id = s.run WHERE r.experiment = :id
"""
DELETE_OF_RUNS: tuple[LiteralString, ...] = (
    "DELETE FROM params WHERE run IN :runs__in",
    "DELETE FROM param_changes WHERE run IN :runs__in",
    "DELETE FROM shared_files WHERE run IN :runs__in",
    "DELETE FROM superseded_series WHERE branch IN (SELECT id FROM run_branches WHERE run IN :runs__in)",
    "DELETE FROM run_branches WHERE run IN :runs__in",
    "DELETE FROM run_tags WHERE run IN :runs__in",
    "DELETE FROM series WHERE run IN :runs__in",
    "DELETE FROM run_dataset_tags WHERE run IN :runs__in",
    "DELETE FROM run_datasets WHERE run IN :runs__in",
    "DELETE FROM run_models WHERE run IN :runs__in",
    "DELETE FROM logged_model_metrics WHERE run IN :runs__in",
    "DELETE FROM heartbeats WHERE run IN :runs__in",
    "DELETE FROM console_chunks WHERE run IN :runs__in",
    "DELETE FROM console_tails WHERE run IN :runs__in",
    "DELETE FROM runs WHERE id IN :runs__in AND lifecycle_stage = 'removing'",
)
SELECT_MODEL_IDS: LiteralString = "SELECT model_id FROM logged_models WHERE id IN :models__in"
# Not only the run that made it: copies of that run name the model, too.
SELECT_MAKERS: LiteralString = (
    "SELECT run, model_id FROM run_models WHERE direction = 'output' AND model_id IN :model_ids__in"
)
DELETE_OUTPUT: LiteralString = (
    "DELETE FROM run_models WHERE run = :run AND direction = 'output' AND model_id = :model_id"
)
DELETE_OF_MODELS: tuple[LiteralString, ...] = (
    "DELETE FROM logged_model_tags WHERE model IN :models__in",
    "DELETE FROM logged_model_params WHERE model IN :models__in",
    "DELETE FROM logged_model_metrics WHERE model IN :models__in",
    "DELETE FROM logged_models WHERE id IN :models__in AND lifecycle_stage = 'removing'",
)
SELECT_EMPTY_EXPERIMENTS: LiteralString = """
    SELECT e.id, e.deleted_time FROM experiments e WHERE e.lifecycle_stage = 'removing'
        AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.experiment = e.id)
        AND NOT EXISTS (SELECT 1 FROM logged_models l WHERE l.experiment = e.id)
    ORDER BY e.id LIMIT 100
"""
SELECT_NEWEST_EXPERIMENT: LiteralString = "SELECT MAX(id) FROM experiments"
DELETE_EXPERIMENT_TAGS: LiteralString = "DELETE FROM experiment_tags WHERE experiment = :id"
DELETE_DATASETS: LiteralString = "DELETE FROM datasets WHERE experiment = :id"
DELETE_EXPERIMENT: LiteralString = "DELETE FROM experiments WHERE id = :id AND lifecycle_stage = 'removing'"
# SQLite gives the id of the newest row again once that is gone, and ids of experiments are names of folders.
EMPTY_EXPERIMENT: LiteralString = """
    UPDATE experiments SET deleted_name = NULL, deleted_time = NULL, artifact_location = '' WHERE id = :id
"""

SELECT_DUE: LiteralString = """
    SELECT 1 AS due FROM experiments
    WHERE deleted_time IS NOT NULL AND (deleted_time <= :before OR lifecycle_stage = 'removing')
    UNION ALL
    SELECT 1 FROM runs WHERE deleted_time IS NOT NULL AND (deleted_time <= :before OR lifecycle_stage = 'removing')
    UNION ALL
    SELECT 1 FROM logged_models
    WHERE deleted_time IS NOT NULL AND (deleted_time <= :before OR lifecycle_stage = 'removing')
    LIMIT 1
"""
UPSERT_LEASE: LiteralString = """
    INSERT INTO leases (name, holder, until) VALUES (:name, :holder, :until)
    ON CONFLICT (name) DO UPDATE SET holder = excluded.holder, until = excluded.until
    WHERE leases.holder = excluded.holder OR leases.until < :now OR leases.until > :latest
"""
DELETE_LEASE: LiteralString = "DELETE FROM leases WHERE name = :name AND holder = :holder"


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A run or logged model that is to be removed, marked already or not."""

    kind: TrashKind
    number: int
    """The internal id."""
    id: str
    name: str
    experiment: int
    deleted_time: int
    stage: str
    uri: str

    @property
    def is_marked(self) -> bool:
        return self.stage == "removing"


class RemovalsPart:
    tx: Transaction
    config: StoreConfig
    changed_runs: set[int]
    changed_experiments: set[int]

    if TYPE_CHECKING:  # in store/trash.py

        def needed_ids(self) -> dict[str, str]: ...
        def find_needed(self, experiment: int, needed: Mapping[str, str]) -> str | None: ...
        def metric_bytes(self, rows: list[Row]) -> dict[tuple[str, int], int]: ...

    # -- who removes ------------------------------------------------------------------------------------
    def claim_lease(self, name: str, holder: str, milliseconds: int) -> bool:
        """Claim or prolong what one process may have at a time; tell whether that worked.

        One that ends much later than anybody claims is of a clock that was wrong, and would hold for years.
        """
        now = now_ms()
        latest = now + 10 * milliseconds
        return bool(
            self.tx.count_changed(
                UPSERT_LEASE, name=name, holder=holder, until=now + milliseconds, now=now, latest=latest
            )
        )

    def end_lease(self, name: str, holder: str) -> None:
        self.tx.execute(DELETE_LEASE, name=name, holder=holder)

    def find_whether_trash_is_due(self, before_time: int) -> bool:
        """Tell whether there may be something to remove that was deleted before a time, or a removal to go on with."""
        return self.tx.fetch_one(SELECT_DUE, before=before_time) is not None

    # -- what to remove ---------------------------------------------------------------------------------
    def find_refused_names(self, selection: TrashSelection) -> list[KeptItem]:
        """Return why some of the ids that were named are not removed: they are no ids, not deleted, or not long enough."""
        kept: list[KeptItem] = []
        named = [
            *((TrashKind.EXPERIMENT, each) for each in selection.experiment_ids),
            *((TrashKind.RUN, each) for each in selection.run_ids),
            *((TrashKind.MODEL, each) for each in selection.model_ids),
        ]
        for kind, item_id in named:
            if kind is TrashKind.EXPERIMENT:
                row = self.tx.fetch_one(SELECT_EXPERIMENT_STATE, id=names.experiment_number(item_id))
            elif kind is TrashKind.RUN:
                row = self.tx.fetch_one(SELECT_RUN_STATE, id=item_id)
            else:
                row = self.tx.fetch_one(SELECT_MODEL_STATE, id=item_id)
            if row is None:
                kept.append(KeptItem(kind=kind, id=item_id, reason="there is none of this id"))
            elif row[0] != "deleted":
                kept.append(KeptItem(kind=kind, id=item_id, reason="it is not deleted; delete it first"))
            elif (row[1] or 0) > (selection.before_time or 0):
                kept.append(KeptItem(kind=kind, id=item_id, reason="it was deleted later than was asked for"))
        return kept

    def find_going_experiments(
        self, selection: TrashSelection, after: int, limit: int
    ) -> list[tuple[int, str, int]]:
        """Return experiments to be removed whole, as (id, name, deleted_time)."""
        if selection.names_any and not selection.experiment_ids:
            return []
        numbers = [names.experiment_number(each, "experiment_ids") for each in selection.experiment_ids]
        rows = self.tx.fetch_all(
            SELECT_EXPERIMENTS,
            after=after,
            before=selection.before_time,
            all_=0 if selection.names_any else 1,
            experiments__in=numbers or [-1],
            limit_=limit,
        )
        return [(number, name, deleted_time or 0) for number, name, deleted_time in rows]

    def find_reason_to_keep(
        self, experiment: int, selection: TrashSelection, needed: Mapping[str, str]
    ) -> str | None:
        """Return why an experiment is not removed whole, if so."""
        if experiment == 0:
            return "it is the default experiment, which clients expect"
        row = self.tx.fetch_one(SELECT_ACTIVE_RUN, id=experiment)
        if row is not None:
            return f"its run {row[0]} is not deleted"
        row = self.tx.fetch_one(SELECT_LATER_RUN, id=experiment, before=selection.before_time)
        if row is not None:
            return f"its run {row[0]} was deleted later than was asked for, or is being imported"
        row = self.tx.fetch_one(SELECT_LATER_MODEL, id=experiment, before=selection.before_time)
        if row is not None:
            return f"its logged model {row[0]} was deleted later than was asked for"
        shared = self.tx.fetch_one(SELECT_SHARED_IN, id=experiment)
        if shared is not None:
            return f"{_said_shared(shared[1])} {shared[0]}"
        if not selection.force:
            copied = self.tx.fetch_one(SELECT_COPIED_IN, id=experiment)
            if copied is not None:
                return f"{said_copied(copied[1])} its logged model {copied[0]}"
            found = self.find_needed(experiment, needed)
            if found is not None:
                return f"{needed[found]} was made from {found}"
        return None

    def find_member_places(self, experiment: int, kind: TrashKind, after: int) -> list[Row]:
        """Return (internal id, id, URI) of some runs or models of an experiment."""
        sql = SELECT_RUN_PLACES if kind is TrashKind.RUN else SELECT_MODEL_PLACES
        return self.tx.fetch_all(sql, id=experiment, after=after)

    def find_candidates(
        self, kind: TrashKind, selection: TrashSelection, going: Collection[int], after: int, limit: int
    ) -> list[Candidate]:
        """Return runs or models to be removed, those included that somebody has marked before.

        Args:
            kind: which of the two.
            selection: what to remove.
            going: experiments that will go and are not marked, for a plan.
            after: only those behind this internal id.
            limit: how many.
        """
        ids = selection.run_ids if kind is TrashKind.RUN else selection.model_ids
        everything = 0 if selection.names_any else 1
        common = {"after": after, "limit_": limit, "before": selection.before_time, "all_": everything}
        going__in, ids__in = list(going) or [-1], list(ids) or [""]
        if kind is TrashKind.RUN:
            rows = self.tx.fetch_all(SELECT_RUNS, **common, going__in=going__in, runs__in=ids__in)
        else:
            rows = self.tx.fetch_all(SELECT_MODELS, **common, going__in=going__in, models__in=ids__in)
        return [
            Candidate(
                kind=kind,
                number=number,
                id=public.removeprefix(MARK) if stage == "removing" else public,
                name=name,
                experiment=experiment,
                deleted_time=deleted_time or 0,
                stage=stage,
                uri=uri,
            )
            for number, public, name, experiment, deleted_time, stage, uri in rows
        ]

    def find_shared(self, ids: Collection[str]) -> dict[str, str]:
        """Return which of some runs' files copies of them use, each with such a copy. Nothing frees these files."""
        if not ids:
            return {}
        return {row[0]: row[1] for row in self.tx.fetch_all(SELECT_SHARED, owners__in=list(ids))}

    def find_copied(self, ids: Collection[str], going: Collection[str] = ()) -> dict[str, str]:
        """Return which of some logged models copies of their runs name, each with such a copy that is not `going`, too."""
        if not ids:
            return {}
        rows = self.tx.fetch_all(SELECT_COPIED, models__in=list(ids))
        return {model_id: run_id for model_id, run_id in rows if run_id not in going}

    def find_sharing(self, candidates: Sequence[Candidate]) -> set[int]:
        """Return which of some runs use the files of another one, and have none of their own; by internal id."""
        numbers = [each.number for each in candidates if each.kind is TrashKind.RUN]
        if not numbers:
            return set()
        return {row[0] for row in self.tx.fetch_all(SELECT_SHARING, runs__in=numbers)}

    def find_sharing_in(self, experiment: int) -> set[str]:
        """Return the ids of runs of an experiment that use the files of another run."""
        return {row[0] for row in self.tx.fetch_all(SELECT_SHARING_IN, id=experiment)}

    def find_experiment_locations(self) -> list[str]:
        return [row[0] for row in self.tx.fetch_all(SELECT_LOCATIONS)]

    def find_live(self, kind: TrashKind, ids: Collection[str]) -> set[str]:
        """Return which of some ids are those of runs or models that are there, deleted or not."""
        if not ids:
            return set()
        sql = SELECT_LIVE_RUNS if kind is TrashKind.RUN else SELECT_LIVE_MODELS
        return {row[0] for row in self.tx.fetch_all(sql, ids__in=list(ids))}

    def find_owned(self, kind: TrashKind, ids: Collection[str]) -> set[str]:
        """Return which of some ids are known, those of marked rows too."""
        live = self.find_live(kind, ids)
        marked = self.find_live(kind, [MARK + each for each in ids])
        return live | {each.removeprefix(MARK) for each in marked}

    def find_bytes(self, candidates: Sequence[Candidate]) -> dict[int, int]:
        """Return what points of metrics of runs take, by internal id."""
        rows: list[Row] = [("run", each.number) for each in candidates if each.kind is TrashKind.RUN]
        return {number: size for (_, number), size in self.metric_bytes(rows).items()}

    # -- marking ----------------------------------------------------------------------------------------
    def mark_experiment(self, experiment: int, selection: TrashSelection) -> str | None:
        """Begin to remove an experiment, or return why not. It is gone for everybody then."""
        reason = self.find_reason_to_keep(experiment, selection, {} if selection.force else self.needed_ids())
        if reason is not None:
            return reason
        name = f"removing {experiment} {new_run_id()}"
        if not self.tx.count_changed(MARK_EXPERIMENT, id=experiment, name=name):
            return "somebody restored it"
        self.changed_experiments.add(experiment)
        return None

    def mark_candidates(
        self, candidates: Sequence[Candidate], selection: TrashSelection
    ) -> tuple[list[Candidate], list[KeptItem]]:
        """Mark runs and models; return those that are marked now, and why others are not."""
        needed = {} if selection.force or all(each.is_marked for each in candidates) else self.needed_ids()
        shared = self.find_shared([each.id for each in candidates if each.kind is TrashKind.RUN])
        models = [each.id for each in candidates if each.kind is TrashKind.MODEL and not selection.force]
        copied = self.find_copied(models)
        marked: list[Candidate] = []
        kept: list[KeptItem] = []
        for each in candidates:
            if each.is_marked:
                marked.append(each)
                continue
            if each.kind is TrashKind.RUN and each.id in shared:
                kept.append(refuse(each, f"{_said_shared(shared[each.id])} it"))
                continue
            if each.id in copied:
                kept.append(refuse(each, f"{said_copied(copied[each.id])} it"))
                continue
            if each.id in needed:
                kept.append(refuse(each, f"{needed[each.id]} was made from it"))
                continue
            if each.kind is TrashKind.RUN:
                done = self.tx.count_changed(
                    MARK_RUN, mark=MARK, number=each.number, deleted_time=each.deleted_time
                )
                self.changed_runs.add(each.number)
            else:
                done = self.tx.count_changed(
                    MARK_MODEL,
                    mark=MARK,
                    number=each.number,
                    stage=each.stage,
                    deleted_time=each.deleted_time,
                )
            if done:
                marked.append(each)
            else:
                kept.append(refuse(each, "somebody restored it"))
        return marked, kept

    # -- rows -------------------------------------------------------------------------------------------
    def delete_rows(self, kind: TrashKind, numbers: Sequence[int]) -> tuple[int, list[int]]:
        """Delete all rows of marked runs or models whose files are gone.

        One transaction takes a limited number of blocks. Returns the bytes of the blocks that it deleted, and those of
        the runs that are not done: call it again for these.
        """
        if kind is TrashKind.MODEL:
            self._delete_models(numbers)
            return 0, []
        size = 0
        room = BLOCKS_AT_ONCE
        for index, run in enumerate(numbers):
            blocks = self.tx.fetch_all(SELECT_BLOCK_IDS, first=run << 32, last=(run + 1) << 32, limit_=room)
            if blocks:
                self.tx.execute(DELETE_BLOCKS, ids__in=[row[0] for row in blocks])
                size += sum(row[1] for row in blocks)
                room -= len(blocks)
            if room <= 0:
                self._delete_runs(numbers[:index])
                return size, list(numbers[index:])
        self._delete_runs(numbers)
        return size, []

    def _delete_runs(self, runs: Sequence[int]) -> None:
        if not runs:
            return
        datasets = [row[0] for row in self.tx.fetch_all(SELECT_DATASETS, runs__in=list(runs))]
        for statement in DELETE_OF_RUNS:
            self.tx.execute(statement, runs__in=list(runs))
        if datasets:
            self.tx.execute(DELETE_UNUSED_DATASETS, ids__in=datasets)
        self.changed_runs.update(runs)

    def _delete_models(self, models: Sequence[int]) -> None:
        if not models:
            return
        # Which models a run read stays as history; what it made is listed by id, and would lead nowhere.
        rows = self.tx.fetch_all(SELECT_MODEL_IDS, models__in=list(models))
        ids = [row[0].removeprefix(MARK) for row in rows]
        for run, model_id in self.tx.fetch_all(SELECT_MAKERS, model_ids__in=ids or [""]):
            self.tx.execute(DELETE_OUTPUT, run=run, model_id=model_id)
            self.changed_runs.add(run)
        for statement in DELETE_OF_MODELS:
            self.tx.execute(statement, models__in=list(models))

    def delete_empty_experiments(self) -> int:
        """Delete the rows of experiments whose last run and model are gone; return how many."""
        newest = self.tx.fetch_one(SELECT_NEWEST_EXPERIMENT)
        count = 0
        for number, deleted_time in self.tx.fetch_all(SELECT_EMPTY_EXPERIMENTS):
            is_newest = newest is not None and number == newest[0]
            if deleted_time is None:  # emptied before
                if not is_newest:
                    self.tx.execute(DELETE_EXPERIMENT, id=number)
                continue
            self.tx.execute(DELETE_EXPERIMENT_TAGS, id=number)
            self.tx.execute(DELETE_DATASETS, id=number)
            self.tx.execute(EMPTY_EXPERIMENT if is_newest else DELETE_EXPERIMENT, id=number)
            self.changed_experiments.add(number)
            count += 1
        return count


def _said_shared(run_id: str) -> str:
    return f"run {run_id} uses the files of"


def said_copied(run_id: str) -> str:
    return f"run {run_id}, which did not make it, has as an output"


def refuse(candidate: Candidate, reason: str) -> KeptItem:
    return KeptItem(kind=candidate.kind, id=candidate.id, reason=reason)


def shown(candidate: Candidate, metric_bytes: int) -> TrashItem:
    """Return a candidate as people see it."""
    return TrashItem(
        kind=candidate.kind,
        id=candidate.id,
        name=candidate.name,
        experiment_id=str(candidate.experiment),
        deleted_time=candidate.deleted_time,
        metric_bytes=metric_bytes,
    )
