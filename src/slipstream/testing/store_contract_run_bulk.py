"""The part of the store's contract that is about many runs changed by one request."""

import pytest

from slipstream.entities import Param, RunTag, ViewType
from slipstream.entities.run_bulk import RunsChange
from slipstream.errors import ConflictError, InvalidParameterError, NotFoundError
from slipstream.store.base import Store
from slipstream.testing.store_contract import unique


def tags_of(store: Store, runs: list[str], key: str) -> list[str | None]:
    return [store.get_run(each).data.tags.get(key) for each in runs]


class RunBulkContract:
    @pytest.fixture
    def six(self, store: Store) -> tuple[str, list[str]]:
        """An experiment of six runs; every second one has `lr` 1 and the tag `team`."""
        experiment = store.create_experiment(unique())
        runs: list[str] = []
        for number in range(6):
            run = store.create_run(experiment, "someone", f"run {number}", number).info.run_id
            store.log_batch(run, params=[Param("lr", str(number % 2))])
            if number % 2:
                store.log_batch(run, tags=[RunTag("team", "red")])
            runs.append(run)
        return experiment, runs

    def test_found_runs_are_tagged_and_that_is_undone(self, store: Store, six: tuple[str, list[str]]) -> None:
        experiment, runs = six
        everything = RunsChange(
            operation="tag", experiment_ids=(experiment,), filters=("",), key="team", value="blue", expected=6
        )
        done = store.change_runs(everything)
        assert (done.found, sorted(done.run_ids)) == (6, sorted(runs))
        assert tags_of(store, runs, "team") == ["blue"] * 6
        assert done.before is not None
        had = dict(zip(done.run_ids, done.before, strict=True))
        assert [had[run] for run in runs] == [None, "red"] * 3
        again = store.change_runs(everything)
        assert (again.found, again.run_ids, again.before) == (6, [], [])

        undone = store.change_runs(
            RunsChange(operation="tag", run_ids=tuple(done.run_ids), key="team", values=tuple(done.before))
        )
        assert len(undone.run_ids) == 6
        assert tags_of(store, runs, "team") == [None, "red"] * 3

    def test_only_what_a_filter_finds_is_changed(self, store: Store, six: tuple[str, list[str]]) -> None:
        experiment, runs = six
        done = store.change_runs(
            RunsChange(
                operation="tag",
                experiment_ids=(experiment,),
                filters=("params.lr = '1'", "tags.team = 'red'", "attributes.run_name = 'run 0'"),
                except_run_ids=(runs[1],),
                key="seen",
                value="yes",
            )
        )
        assert (done.found, sorted(done.run_ids)) == (3, sorted([runs[0], runs[3], runs[5]]))
        assert tags_of(store, runs, "seen") == ["yes", None, None, "yes", None, "yes"]

        gone = store.change_runs(RunsChange(operation="untag", run_ids=tuple(runs), key="seen"))
        assert (gone.found, sorted(gone.run_ids)) == (6, sorted([runs[0], runs[3], runs[5]]))
        assert gone.before == ["yes"] * 3
        assert tags_of(store, runs, "seen") == [None] * 6

    def test_names_are_tags_too(self, store: Store, six: tuple[str, list[str]]) -> None:
        _, runs = six
        done = store.change_runs(
            RunsChange(operation="tag", run_ids=tuple(runs[:2]), key="mlflow.runName", value="same")
        )
        assert done.before == ["run 0", "run 1"]
        assert [store.get_run(each).info.run_name for each in runs[:3]] == ["same", "same", "run 2"]

    def test_runs_are_deleted_and_restored(self, store: Store, six: tuple[str, list[str]]) -> None:
        experiment, runs = six
        store.delete_run(runs[1])
        half = RunsChange(operation="delete", experiment_ids=(experiment,), filters=("params.lr = '1'",))
        done = store.change_runs(half)
        assert (done.found, sorted(done.run_ids)) == (2, sorted([runs[3], runs[5]]))
        stages = [store.get_run(each).info.lifecycle_stage for each in runs]
        assert stages == ["active", "deleted"] * 3
        named = store.change_runs(RunsChange(operation="delete", run_ids=tuple(runs)))
        assert (named.found, sorted(named.run_ids)) == (6, sorted([runs[0], runs[2], runs[4]]))

        back = store.change_runs(
            RunsChange(
                operation="restore",
                experiment_ids=(experiment,),
                filters=("",),
                view_type=ViewType.DELETED_ONLY,
            )
        )
        assert sorted(back.run_ids) == sorted(runs)
        assert store.change_runs(RunsChange(operation="restore", run_ids=tuple(runs))).run_ids == []

    def test_runs_are_moved_and_come_back(self, store: Store, six: tuple[str, list[str]]) -> None:
        experiment, runs = six
        other, third = store.create_experiment(unique()), store.create_experiment(unique())
        store.move_runs([runs[0]], third)
        done = store.change_runs(RunsChange(operation="move", run_ids=tuple(runs[:4]), value=other))
        assert (done.found, len(done.run_ids)) == (4, 4)
        assert done.before is not None
        assert dict(zip(done.run_ids, done.before, strict=True)) == {
            runs[0]: third,
            **dict.fromkeys(runs[1:4], experiment),
        }
        assert [store.get_run(each).info.experiment_id for each in runs] == [other] * 4 + [experiment] * 2
        undone = store.change_runs(
            RunsChange(operation="move", run_ids=tuple(done.run_ids), values=tuple(done.before))
        )
        assert len(undone.run_ids) == 4
        assert store.get_run(runs[0]).info.experiment_id == third
        assert store.change_runs(
            RunsChange(operation="move", run_ids=(runs[0],), value=third)
        ).run_ids == []  # fmt: skip

    def test_what_is_refused_changes_nothing(self, store: Store, six: tuple[str, list[str]]) -> None:
        experiment, runs = six
        found: dict[str, object] = {"experiment_ids": (experiment,), "filters": ("",)}
        tag: dict[str, object] = {"operation": "tag", "key": "t", "value": "x"}
        store.delete_run(runs[5])
        refused: list[tuple[type[Exception], str, dict[str, object]]] = [
            (ConflictError, "5 runs are found now, and 4", {**tag, **found, "expected": 4}),
            (NotFoundError, "not found", {**tag, "run_ids": (runs[0], "f" * 32)}),
            (InvalidParameterError, "active", {**tag, "run_ids": (runs[0], runs[5])}),
            (InvalidParameterError, "active", {**tag, **found, "view_type": ViewType.ALL}),
            (InvalidParameterError, "No runs are meant", tag),
            (InvalidParameterError, "twice", {**tag, "run_ids": (runs[0], runs[0])}),
            (InvalidParameterError, "experiment_ids", {**tag, "filters": ("",)}),
            (InvalidParameterError, "'key'", {**tag, **found, "key": ""}),
            (InvalidParameterError, "either 'value'", {**tag, **found, "value": None}),
            (InvalidParameterError, "either 'value'", {**tag, "run_ids": (runs[0],), "values": ("a",)}),
            (
                InvalidParameterError,
                "one for each",
                {**tag, "run_ids": (runs[0],), "value": None, "values": ("a", "b")},
            ),
            (InvalidParameterError, "neither", {**tag, **found, "operation": "untag"}),
            (InvalidParameterError, "neither", {"operation": "delete", "run_ids": (runs[0],), "values": ()}),
            (InvalidParameterError, "neither", {"operation": "restore", "run_ids": (runs[0],), "value": "x"}),
            (InvalidParameterError, "filter", {**tag, **found, "filters": ("params.lr ==",)}),
            (NotFoundError, "123456789", {"operation": "move", **found, "value": "123456789"}),
        ]
        for error, said, change in refused:
            with pytest.raises(error, match=said):
                store.change_runs(RunsChange(**change))  # pyright: ignore[reportArgumentType]
        assert tags_of(store, runs, "t") == [None] * 6
        assert {store.get_run(each).info.experiment_id for each in runs} == {experiment}

    def test_changes_are_seen_by_searches(self, store: Store, six: tuple[str, list[str]]) -> None:
        experiment, runs = six
        assert len(store.search_runs([experiment], "tags.k = 'v'").items) == 0
        store.change_runs(
            RunsChange(operation="tag", experiment_ids=(experiment,), filters=("",), key="k", value="v")
        )
        assert {run.info.run_id for run in store.search_runs([experiment], "tags.k = 'v'").items} == set(runs)
        store.change_runs(
            RunsChange(operation="delete", experiment_ids=(experiment,), filters=("tags.k = 'v'",))
        )
        assert store.search_runs([experiment]).items == []
