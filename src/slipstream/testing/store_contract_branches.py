"""The part of the suite about runs that live on: branches, params that change, moves and copies."""

import math
import random
from collections.abc import Callable
from contextlib import suppress

import pytest

from slipstream.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    LoggedModelOutput,
    Metric,
    Param,
    Run,
    RunCopy,
    RunTag,
    TrashKind,
    TrashSelection,
)
from slipstream.entities.record import BatchRecord, ParamsRecord, PointRecord
from slipstream.errors import AlreadyExistsError, InvalidParameterError, NotFoundError
from slipstream.ids import new_run_id
from slipstream.store.base import Store
from slipstream.testing.store_contract import new_run, unique
from slipstream.testing.store_contract_records import writer

Facts = tuple[int, int, str]


def facts(points: list[Metric]) -> list[Facts]:
    """Return points as what can be compared: NaN is not equal to itself."""
    return [(point.timestamp, point.step, repr(point.value)) for point in points]


def history(store: Store, run_id: str, key: str) -> list[Facts]:
    """Return what counts of a metric."""
    return facts(list(store.get_metric_history(run_id, key).items))


def left(store: Store, run_id: str, branch: int, key: str) -> list[Facts]:
    """Return what a branch has of a metric."""
    return facts(list(store.get_superseded_history(run_id, branch, key).items))


def latest(run: Run) -> dict[str, tuple[int, int, str]]:
    """Return the latest points of a run."""
    return {each.key: (each.step, each.timestamp, repr(each.value)) for each in run.data.latest_metrics}


def by_place(points: list[Metric]) -> list[Facts]:
    """Return points, each once, in the order of histories, in which NaN is where 0 would be, after a real 0."""

    def place(point: Metric) -> tuple[int, int, float, bool]:
        is_nan = math.isnan(point.value)
        return point.timestamp, point.step, 0.0 if is_nan else point.value, is_nan

    return list(dict.fromkeys(facts(sorted(points, key=place))))


WAYS: dict[str, Callable[[Store, str, list[Metric]], object]] = {
    "log_metric": lambda store, run_id, points: [store.log_metric(run_id, point) for point in points],
    "log_batch": lambda store, run_id, points: store.log_batch(run_id, points),
    "point records": lambda store, run_id, points: store.store_records(
        writer(), 1, [PointRecord(run_id, p.key, p.value, p.timestamp, p.step) for p in points]
    ),
    "batch records": lambda store, run_id, points: store.store_records(
        writer(), 1, [BatchRecord(run_id, [(p.key, p.value, p.timestamp, p.step) for p in points])]
    ),
}


class BranchContract:
    @pytest.mark.parametrize("way", WAYS)
    def test_steps_out_of_order_and_repeated_ones_are_kept(self, store: Store, way: str) -> None:
        run_id = new_run(store)
        points = [
            Metric("loss", 0.5, 100, 7),
            Metric("loss", 0.4, 90, 3),  # an earlier step and time, later
            Metric("loss", 0.3, 110, 7),  # the same step again
            Metric("loss", 0.3, 110, 2),
            Metric("loss", 0.2, 110, 7),  # the same step and time with another value
            Metric("loss", 0.9, 95, -4),
        ]
        WAYS[way](store, run_id, points)
        assert history(store, run_id, "loss") == by_place(points)
        assert latest(store.get_run(run_id)) == {"loss": (7, 110, "0.3")}

    def test_a_run_goes_on_from_a_step(self, store: Store) -> None:
        run_id = new_run(store)
        points = [Metric("loss", 1 / (1 + step), 1000 + step, step) for step in range(20)]
        store.log_batch(run_id, [*points, Metric("acc", 0.5, 1, 4), Metric("late", 1.0, 1, 12)])
        branch = store.branch_run(run_id, 10)
        assert branch is not None
        assert (branch.number, branch.from_step, branch.undone_time) == (1, 10, None)
        assert branch.created_time > 0
        assert [(each.key, each.step) for each in branch.latest_metrics] == [("late", 12), ("loss", 19)]
        assert store.get_run_branches(run_id) == [branch]
        assert latest(store.get_run(run_id)) == {
            "acc": (4, 1, "0.5"),
            "loss": (9, 1009, repr(points[9].value)),
        }
        assert history(store, run_id, "loss") == facts(points[:10])
        assert history(store, run_id, "late") == []
        assert left(store, run_id, 1, "loss") == facts(points[10:])
        assert left(store, run_id, 1, "acc") == []
        store.log_metric(run_id, Metric("loss", 7.0, 5000, 10))
        assert latest(store.get_run(run_id))["loss"] == (10, 5000, "7.0")
        assert history(store, run_id, "loss") == [*facts(points[:10]), (5000, 10, "7.0")]
        assert left(store, run_id, 1, "loss") == facts(points[10:])

    def test_asked_again_it_is_the_same_branch(self, store: Store) -> None:
        run_id = new_run(store)
        store.log_batch(run_id, [Metric("m", float(step), step, step) for step in range(4)])
        assert store.branch_run(run_id, 9) is None
        assert store.get_run_branches(run_id) == []
        first = store.branch_run(run_id, 2)
        assert first is not None
        assert store.branch_run(run_id, 2) == first
        assert store.branch_run(run_id, 3) is None
        assert store.get_run_branches(run_id) == [first]

    def test_only_some_metrics(self, store: Store) -> None:
        run_id = new_run(store)
        store.log_batch(run_id, [Metric(key, 1.0, step, step) for key in ("a", "b") for step in range(4)])
        with pytest.raises(NotFoundError, match="'c'"):
            store.branch_run(run_id, 2, ["a", "c"])
        branch = store.branch_run(run_id, 2, ["a"])
        assert branch is not None
        assert [each.key for each in branch.latest_metrics] == ["a"]
        assert [len(history(store, run_id, key)) for key in ("a", "b")] == [2, 4]
        assert store.branch_run(run_id, 2, ["a"]) == branch
        assert store.branch_run(run_id, 0, []) is None

    def test_branches_of_branches_and_undoing_them(self, store: Store) -> None:
        run_id = new_run(store)
        first = [Metric("m", float(step), step, step) for step in range(10)]
        second = [Metric("m", 10.0 + step, 100 + step, step) for step in range(5, 10)]
        store.log_batch(run_id, first)
        store.branch_run(run_id, 5)
        store.log_batch(run_id, second)
        store.branch_run(run_id, 3)
        assert history(store, run_id, "m") == facts(first[:3])
        assert left(store, run_id, 1, "m") == facts(first[5:])
        assert left(store, run_id, 2, "m") == facts(first[3:5] + second)
        store.undo_branch(run_id, 2)
        store.undo_branch(run_id, 2)
        assert history(store, run_id, "m") == facts(first[:5] + second)
        store.undo_branch(run_id, 1)
        assert history(store, run_id, "m") == by_place(first + second)
        assert latest(store.get_run(run_id)) == {"m": (9, 109, "19.0")}
        found = store.get_run_branches(run_id)
        assert [(each.number, each.from_step, each.latest_metrics) for each in found] == [
            (1, 5, []),
            (2, 3, []),
        ]
        assert all(each.undone_time for each in found)
        again = store.branch_run(run_id, 0)
        assert again is not None
        assert again.number == 3
        assert latest(store.get_run(run_id)) == {}
        store.undo_branch(run_id, 3)
        assert history(store, run_id, "m") == by_place(first + second)

    def test_points_of_every_kind_come_back_exactly(self, store: Store) -> None:
        run_id = new_run(store)
        points = [
            Metric("m", math.nan, 5, 3),
            Metric("m", 0.0, 5, 3),
            Metric("m", math.inf, 6, 4),
            Metric("m", -math.inf, 7, -(1 << 63)),
            Metric("m", 5e-324, (1 << 63) - 1, (1 << 63) - 1),
        ]
        store.log_batch(run_id, points)
        store.branch_run(run_id, -(1 << 63))
        assert history(store, run_id, "m") == []
        assert left(store, run_id, 1, "m") == by_place(points)
        store.undo_branch(run_id, 1)
        assert history(store, run_id, "m") == by_place(points)

    def test_a_branch_is_read_page_by_page(self, store: Store) -> None:
        run_id = new_run(store)
        store.log_batch(run_id, [Metric("m", float(step), step, step) for step in range(25)])
        store.branch_run(run_id, 5)
        seen: list[Metric] = []
        token: str | None = None
        while True:
            page = store.get_superseded_history(run_id, 1, "m", 7, token)
            seen += page.items
            if (token := page.token) is None:
                break
        assert [point.step for point in seen] == list(range(5, 25))
        with pytest.raises(InvalidParameterError, match="token"):
            store.get_superseded_history(run_id, 1, "m", 7, "nonsense")

    def test_large_histories_of_many_metrics(self, store: Store) -> None:
        dice = random.Random(5)
        run_id = new_run(store)
        all_points: dict[str, list[Metric]] = {}
        time = 0
        for round_ in range(12):
            batch: list[Metric] = []
            for key in ("long", "short", "jumping"):
                for index in range({"long": 700, "short": 3, "jumping": 90}[key]):
                    time += 1
                    step = round_ * 700 + index if key != "jumping" else dice.randrange(9000)
                    batch.append(Metric(key, dice.random(), time, step))
            store.log_batch(run_id, batch)
            for point in batch:
                all_points.setdefault(point.key, []).append(point)
        store.update_run(run_id, "FINISHED", 5)
        counting = {key: list(points) for key, points in all_points.items()}
        tails: dict[tuple[int, str], list[Metric]] = {}
        for number, step in enumerate((6000, 2345, 5), 1):
            assert store.branch_run(run_id, step) is not None
            for key, points in counting.items():
                tails[number, key] = [point for point in points if point.step >= step]
                counting[key] = [point for point in points if point.step < step]
        for key, points in counting.items():
            assert history(store, run_id, key) == by_place(points)
        for (number, key), points in tails.items():
            assert left(store, run_id, number, key) == by_place(points)
        for number in (2, 1, 3):
            store.undo_branch(run_id, number)
        for key, points in all_points.items():
            assert history(store, run_id, key) == by_place(points)
            newest = max(points, key=lambda p: (p.step, p.timestamp, p.value))
            assert latest(store.get_run(run_id))[key] == (newest.step, newest.timestamp, repr(newest.value))

    def test_search_goes_by_what_counts(self, store: Store) -> None:
        run_id = new_run(store)
        experiment = store.get_run(run_id).info.experiment_id
        store.log_batch(run_id, [Metric("m", float(step), step, step) for step in range(10)])

        def found(text: str) -> bool:
            return bool(store.search_runs([experiment], text).items)

        assert found("metrics.m = 9")
        store.branch_run(run_id, 5)
        assert found("metrics.m = 4")
        assert not found("metrics.m = 9")
        store.branch_run(run_id, 0)
        assert not found("metrics.m < 100")
        store.undo_branch(run_id, 1)
        assert found("metrics.m = 9")

    def test_what_is_not_there_or_deleted(self, store: Store) -> None:
        run_id = new_run(store)
        for call in (
            lambda: store.branch_run(new_run_id(), 1),
            lambda: store.get_run_branches(new_run_id()),
            lambda: store.get_superseded_history(run_id, 1, "m"),
            lambda: store.undo_branch(run_id, 4),
            lambda: store.get_param_history(new_run_id()),
            lambda: store.move_runs([new_run_id()], "0"),
            lambda: store.move_runs([run_id], "999999999"),
            lambda: store.copy_runs([RunCopy(run_id=new_run_id(), new_run_id=new_run_id())], "0"),
        ):
            with pytest.raises(NotFoundError):
                call()
        store.delete_run(run_id)
        for call in (
            lambda: store.branch_run(run_id, 1),
            lambda: store.overwrite_params(run_id, [Param("a", "b")]),
            lambda: store.move_runs([run_id], "0"),
            lambda: store.copy_runs([RunCopy(run_id=run_id, new_run_id=new_run_id())], "0"),
        ):
            with pytest.raises(InvalidParameterError, match="deleted"):
                call()

    # -- params -------------------------------------------------------------------------------------
    def test_params_change_with_history(self, store: Store) -> None:
        run_id = new_run(store)
        store.log_param(run_id, "lr", "0.1")
        store.overwrite_params(run_id, [Param("lr", "0.2"), Param("new", "1")], 1000)
        store.overwrite_params(run_id, [Param("lr", "0.2")], 1500)  # no change
        store.overwrite_params(run_id, [Param("lr", "0.1")], 2000)
        assert store.get_run(run_id).data.params == {"lr": "0.1", "new": "1"}
        versions = [(v.key, v.value, v.since_time, v.replaced_time) for v in store.get_param_history(run_id)]
        assert versions == [
            ("lr", "0.1", None, 1000),
            ("lr", "0.2", 1000, 2000),
            ("lr", "0.1", 2000, None),
            ("new", "1", None, None),
        ]
        assert [v.value for v in store.get_param_history(run_id, "new")] == ["1"]
        assert store.get_param_history(run_id, "none") == []
        with pytest.raises(InvalidParameterError, match=r"lr.*0\.1"):  # as MLflow
            store.log_param(run_id, "lr", "0.2")
        experiment = store.get_run(run_id).info.experiment_id
        assert store.search_runs([experiment], "params.lr = '0.1'").items
        assert not store.search_runs([experiment], "params.lr = '0.2'").items

    def test_params_change_by_records(self, store: Store) -> None:
        run_id = new_run(store)
        receipt = store.store_records(
            writer(),
            1,
            [
                BatchRecord(run_id, [], {"lr": "1"}),
                ParamsRecord(run_id, {"lr": "2"}, 77),
                BatchRecord(run_id, [], {"lr": "3"}),
                ParamsRecord(new_run_id(), {"lr": "2"}, 77),
            ],
        )
        assert [each.number for each in receipt.refused] == [3, 4]
        versions = [(each.value, each.replaced_time) for each in store.get_param_history(run_id)]
        assert versions == [("1", 77), ("2", None)]

    # -- moves and copies ---------------------------------------------------------------------------
    def test_runs_move(self, store: Store) -> None:
        source, target = store.create_experiment(unique()), store.create_experiment(unique())
        first, second = _full_run(store, source), store.create_run(source).info.run_id
        model = store.create_logged_model(source, "made", first)
        store.log_outputs(first, [LoggedModelOutput(model.model_id, 3)])
        before = store.get_run(first)
        assert set(store.move_runs([first, second, first], target)) == {first, second}
        assert store.move_runs([first], target) == []
        after = store.get_run(first)
        assert after.info.experiment_id == target
        assert after.info.artifact_uri == before.info.artifact_uri
        assert (after.data, after.inputs, after.outputs) == (before.data, before.inputs, before.outputs)
        assert history(store, first, "m") == [(1, 1, "1.0"), (2, 2, "2.0")]
        assert {run.info.run_id for run in store.search_runs([target]).items} == {first, second}
        assert store.search_runs([source]).items == []
        assert [run.info.run_id for run in store.search_runs([target], "dataset.name = 'iris'").items] == [
            first
        ]
        assert store.search_datasets([source]) == []
        assert [each.name for each in store.search_datasets([target])] == ["iris"]
        moved = store.get_logged_model(model.model_id)
        assert (moved.experiment_id, moved.artifact_location) == (target, model.artifact_location)
        assert store.move_runs([first], source) == [first]
        assert [each.name for each in store.search_datasets([source])] == ["iris"]

    def test_a_move_is_all_or_nothing(self, store: Store) -> None:
        source, target = store.create_experiment(unique()), store.create_experiment(unique())
        run_id = store.create_run(source).info.run_id
        with pytest.raises(NotFoundError):
            store.move_runs([run_id, new_run_id()], target)
        assert store.get_run(run_id).info.experiment_id == source
        store.delete_experiment(target)
        with pytest.raises(InvalidParameterError, match="active"):
            store.move_runs([run_id], target)

    def test_a_version_of_a_moved_run_stays_valid(self, store: Store) -> None:
        source, target = store.create_experiment(unique()), store.create_experiment(unique())
        run_id = store.create_run(source).info.run_id
        uri = store.get_run(run_id).info.artifact_uri
        name = unique()
        store.create_registered_model(name)
        store.create_model_version(name, f"{uri}/model", run_id)
        store.move_runs([run_id], target)
        assert store.get_model_version(name, "1").run_id == run_id
        assert store.get_model_version_download_uri(name, "1") == f"{uri}/model"
        store.delete_experiment(source)
        store.remove_trash(TrashSelection(experiment_ids=(source,)))
        assert store.get_run(run_id).info.artifact_uri == uri

    def test_runs_are_copied(self, store: Store) -> None:
        source, target = store.create_experiment(unique()), store.create_experiment(unique())
        parent, child = _full_run(store, source), store.create_run(source).info.run_id
        store.set_tag(child, "mlflow.parentRunId", parent)
        store.overwrite_params(parent, [Param("p", "2")], 5)
        store.branch_run(parent, 2)
        store.log_outputs(parent, [LoggedModelOutput("m-1", 3)])
        store.update_run(parent, "FAILED", 99)
        copies = [RunCopy(run_id=each, new_run_id=new_run_id()) for each in (child, parent)]
        assert store.copy_runs(copies, target) == [each.new_run_id for each in copies]
        assert store.copy_runs(copies, target) == [each.new_run_id for each in copies]  # a retry
        original, copy = store.get_run(parent), store.get_run(copies[1].new_run_id)
        assert copy.info.experiment_id == target
        assert copy.info.artifact_uri == original.info.artifact_uri.replace(
            f"{source}/{parent}/", f"{target}/{copy.info.run_id}/"
        )
        assert copy.data.tags == original.data.tags | {"slipstream.copied_from": parent}
        assert copy.data.params == original.data.params
        assert latest(copy) == latest(original) == {"m": (1, 1, "1.0")}
        assert (copy.inputs, copy.outputs) == (original.inputs, original.outputs)
        assert (copy.info.status, copy.info.end_time, copy.info.run_name) == (
            "FAILED",
            99,
            original.info.run_name,
        )
        assert left(store, copy.info.run_id, 1, "m") == left(store, parent, 1, "m") == [(2, 2, "2.0")]
        assert store.get_param_history(copy.info.run_id) == store.get_param_history(parent)
        copied_child = store.get_run(copies[0].new_run_id)
        assert copied_child.data.tags["mlflow.parentRunId"] == copy.info.run_id
        assert copied_child.info.status == "FINISHED"  # nobody goes on with it
        assert len(store.search_runs([target]).items) == 2
        store.log_metric(copy.info.run_id, Metric("m", 5.0, 3, 3))
        store.undo_branch(copy.info.run_id, 1)
        assert history(store, copy.info.run_id, "m") == [(1, 1, "1.0"), (2, 2, "2.0"), (3, 3, "5.0")]
        assert history(store, parent, "m") == [(1, 1, "1.0")]

    def test_an_id_that_is_taken_is_refused(self, store: Store) -> None:
        one, other = new_run(store), new_run(store)
        with pytest.raises(AlreadyExistsError, match=other):
            store.copy_runs([RunCopy(run_id=one, new_run_id=other)], "0")
        for wrong in ("removing-" + one, "a/b", "", "x" * 300):
            with pytest.raises(InvalidParameterError, match=r"run_id|new run"):
                store.copy_runs([RunCopy(run_id=one, new_run_id=wrong)], "0")
        again = RunCopy(run_id=one, new_run_id=new_run_id())
        with pytest.raises(InvalidParameterError, match="twice"):
            store.copy_runs([again, again], "0")

    def test_a_long_run_is_copied(self, store: Store) -> None:
        run_id = new_run(store)
        for first in range(0, 3000, 1000):
            points = [
                Metric(key, float(step), step, step)
                for key in ("a", "b", *(f"k{number}" for number in range(30)))
                for step in range(first, first + (1000 if key in "ab" else 3))
            ]
            store.log_batch(run_id, points)
        store.branch_run(run_id, 1500)
        copy = RunCopy(run_id=run_id, new_run_id=new_run_id())
        store.copy_runs([copy], "0")
        for key in ("a", "b", "k0", "k29"):
            assert history(store, copy.new_run_id, key) == history(store, run_id, key)
            assert left(store, copy.new_run_id, 1, key) == left(store, run_id, 1, key) != []

    def test_files_that_copies_use_are_not_freed(self, store: Store) -> None:
        experiment, other = store.create_experiment(unique()), store.create_experiment(unique())
        run_id = store.create_run(experiment).info.run_id
        uri = store.get_run(run_id).info.artifact_uri
        first, second = (RunCopy(run_id=each, new_run_id=new_run_id()) for each in (run_id, run_id))
        store.copy_runs([first], other, share_files=True)
        copy_of_copy = RunCopy(run_id=first.new_run_id, new_run_id=second.new_run_id)
        store.copy_runs([copy_of_copy], other, share_files=True)
        assert store.get_run(second.new_run_id).info.artifact_uri == uri
        store.delete_experiment(experiment)
        for dry_run in (True, False):
            kept = _removed(store, TrashSelection(experiment_ids=(experiment,), force=True), dry_run=dry_run)
            assert any(f"uses the files of {run_id}" in reason for reason in kept)
        store.restore_experiment(experiment)
        store.delete_run(run_id)
        for dry_run in (True, False):
            kept = _removed(store, TrashSelection(run_ids=(run_id,), force=True), dry_run=dry_run)
            assert any("uses the files of it" in reason for reason in kept)
        assert store.get_run(run_id).info.artifact_uri == uri
        for copy in (first, second):
            store.move_to_trash(TrashKind.RUN, copy.new_run_id)
            assert _removed(store, TrashSelection(run_ids=(copy.new_run_id,)), dry_run=False) == []
            with pytest.raises(NotFoundError):
                store.get_run(copy.new_run_id)
        assert not [
            r for r in _removed(store, TrashSelection(run_ids=(run_id,)), dry_run=False) if "uses" in r
        ]

    def test_models_that_copies_name_are_not_removed(self, store: Store) -> None:
        experiment, other = store.create_experiment(unique()), store.create_experiment(unique())
        run_id = store.create_run(experiment).info.run_id
        model_id, forced = (
            store.create_logged_model(experiment, "net", source_run_id=run_id).model_id for _ in range(2)
        )
        store.log_outputs(run_id, [LoggedModelOutput(model_id, 0), LoggedModelOutput(forced, 1)])
        copy = RunCopy(run_id=run_id, new_run_id=new_run_id())
        store.copy_runs([copy], other)
        store.delete_experiment(experiment)
        for dry_run in (True, False):
            kept = _removed(store, TrashSelection(experiment_ids=(experiment,)), dry_run=dry_run)
            assert any(f"has as an output its logged model {model_id}" in reason for reason in kept), kept
        store.restore_experiment(experiment)
        for each in (model_id, forced):
            store.delete_logged_model(each)
        for dry_run in (True, False):
            kept = _removed(store, TrashSelection(model_ids=(model_id,)), dry_run=dry_run)
            assert any(copy.new_run_id in reason and "has as an output it" in reason for reason in kept)
        kept = _removed(store, TrashSelection(model_ids=(forced,), force=True), dry_run=False)
        if not kept:  # else its files may not be deleted here
            outputs = [each.model_id for each in store.get_run(copy.new_run_id).outputs.model_outputs]
            assert outputs == [model_id], "what leads nowhere is not named"
        store.delete_run(copy.new_run_id)
        _removed(store, TrashSelection(run_ids=(copy.new_run_id,)), dry_run=False)
        with suppress(NotFoundError):
            assert store.get_run(copy.new_run_id).info.lifecycle_stage == "deleted"
            return  # where its files may not be deleted it stays
        kept = _removed(store, TrashSelection(model_ids=(model_id,)), dry_run=False)
        assert not [reason for reason in kept if "as an output" in reason]

    def test_what_a_removed_run_left_behind_goes_with_it(self, store: Store) -> None:
        run_id = new_run(store)
        store.log_batch(run_id, [Metric("m", 1.0, 1, 1)], [Param("p", "1")])
        store.branch_run(run_id, 0)
        store.overwrite_params(run_id, [Param("p", "2")])
        store.delete_run(run_id)
        _removed(store, TrashSelection(run_ids=(run_id,)), dry_run=False)
        with suppress(NotFoundError):  # where its files may not be deleted it stays
            assert store.get_run(run_id).info.lifecycle_stage == "deleted"


def _removed(store: Store, selection: TrashSelection, *, dry_run: bool) -> list[str]:
    """Remove from the trash, and return why something was kept."""
    reasons: list[str] = []
    token: str | None = None
    while True:
        part = store.remove_trash(selection, token, dry_run=dry_run)
        reasons += [each.reason for each in part.kept]
        if (token := part.token) is None:
            return reasons


def _full_run(store: Store, experiment: str) -> str:
    run_id = store.create_run(experiment, "ann", "full", 7).info.run_id
    store.log_batch(
        run_id, [Metric("m", 1.0, 1, 1), Metric("m", 2.0, 2, 2)], [Param("p", "1")], [RunTag("t", "1")]
    )
    dataset = Dataset(name="iris", digest="d1", source_type="local", source="{}")
    tags = [InputTag("mlflow.data.context", "training")]
    store.log_inputs(run_id, [DatasetInput(dataset=dataset, tags=tags)], ["m-in"])
    return run_id
