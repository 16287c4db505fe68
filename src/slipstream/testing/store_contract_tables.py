"""The part of the store's contract that is about tables of runs."""

import math
from typing import Any

import pytest

from slipstream.entities import Metric, Param, RunTag, ViewType
from slipstream.entities.run_table import (
    ColumnsRequest,
    GroupsRequest,
    RunSelection,
    RunTablePage,
    TableRequest,
    ValuesRequest,
)
from slipstream.errors import InvalidParameterError
from slipstream.store.base import Store
from slipstream.testing.store_contract import unique


def table(store: Store, experiment: str, **wanted: object) -> RunTablePage:
    selection = RunSelection(
        experiment_ids=(experiment,),
        filter_string=wanted.pop("filter", None),  # pyright: ignore[reportArgumentType]
        view_type=wanted.pop("view", ViewType.ACTIVE_ONLY),  # pyright: ignore[reportArgumentType]
    )
    return store.search_run_table(TableRequest(selection=selection, **wanted))  # pyright: ignore[reportArgumentType]


def values(page: RunTablePage) -> dict[str, list[object]]:
    return {column.key: list(column.values) for column in page.columns}


class RunTableContract:
    @pytest.fixture
    def ten(self, store: Store) -> tuple[str, list[str]]:
        """An experiment of ten runs; the newest is the last."""
        experiment = store.create_experiment(unique())
        runs: list[str] = []
        for number in range(10):
            run = store.create_run(
                experiment, "someone", f"run {number}", start_time=1_000 + number
            ).info.run_id
            store.log_batch(
                run,
                [Metric("loss", 10.0 - number - step, 5, step) for step in range(3)],
                [Param("lr", str(number / 10)), Param("model", "a" if number % 2 else "b")],
                [RunTag("team", "red")],
            )
            runs.append(run)
        return experiment, runs

    def test_any_window_of_rows(self, store: Store, ten: tuple[str, list[str]]) -> None:
        experiment, runs = ten
        newest_first = runs[::-1]
        for offset, limit in ((0, 3), (3, 3), (9, 5), (10, 5), (500, 1)):
            page = table(store, experiment, offset=offset, limit=limit)
            assert (page.total, page.offset) == (10, offset)
            assert page.run_ids == newest_first[offset : offset + limit]
            assert page.names == [f"run {runs.index(run)}" for run in page.run_ids]
            assert page.start_times == [1_000 + runs.index(run) for run in page.run_ids]
            assert page.statuses == ["RUNNING"] * len(page.run_ids)
            assert page.end_times == [None] * len(page.run_ids)
            assert page.experiment_ids == [experiment] * len(page.run_ids)
            assert page.children is None

    def test_filter_order_and_columns(self, store: Store, ten: tuple[str, list[str]]) -> None:
        experiment, runs = ten
        page = table(
            store,
            experiment,
            filter="params.model = 'a'",
            order_by=("metrics.loss ASC",),
            columns=(
                "metrics.loss",
                "params.lr",
                "tags.team",
                "params.absent",
                "attributes.start_time",
                "metrics.none",
            ),
            with_ranges=True,
            limit=2,
        )
        assert page.total == 5
        assert page.run_ids == [runs[9], runs[7]]
        assert values(page) == {
            "metrics.loss": [-1.0, 1.0],
            "params.lr": ["0.9", "0.7"],
            "tags.team": ["red", "red"],
            "params.absent": [None, None],
            "attributes.start_time": [1_009, 1_007],
            "metrics.none": [None, None],
        }
        kinds = {column.key: column.kind for column in page.columns}
        assert kinds == {
            "metrics.loss": "number",
            "params.lr": "text",
            "tags.team": "text",
            "params.absent": "text",
            "attributes.start_time": "time",
            "metrics.none": "number",
        }
        ranges = {column.key: column.range for column in page.columns}
        assert ranges == {  # of all five, not of the two that are shown
            "metrics.loss": (-1.0, 7.0),
            "params.lr": (0.1, 0.9),
            "tags.team": None,
            "params.absent": None,
            "attributes.start_time": (1_001, 1_009),
            "metrics.none": None,
        }

    def test_what_all_points_of_a_metric_say(self, store: Store, ten: tuple[str, list[str]]) -> None:
        experiment, runs = ten
        store.log_batch(
            runs[9], [Metric("odd", math.nan, 3, 3), Metric("odd", 4.0, 2, 2), Metric("odd", 2.0, 9, 1)]
        )
        store.log_batch(runs[8], [Metric("odd", math.nan, 3, 3)])
        wanted = tuple(f"metrics.odd{end}" for end in ("", ":last", ":min", ":max", ":first", ":count"))
        page = table(store, experiment, columns=(*wanted, "metrics.loss:min", "metrics.loss:max"), limit=3)
        shown = values(page)
        assert math.isnan(shown["metrics.odd"][0])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        assert math.isnan(shown["metrics.odd:last"][0])  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        assert [shown[f"metrics.odd:{what}"][0] for what in ("min", "max", "first", "count")] == [
            2.0,
            4.0,
            2.0,
            3,
        ]
        assert [shown[f"metrics.odd:{what}"][1] for what in ("min", "max", "count")] == [None, None, 1]
        assert [shown[f"metrics.odd:{what}"][2] for what in ("min", "count")] == [None, None]
        assert (shown["metrics.loss:min"], shown["metrics.loss:max"]) == ([-1.0, 0.0, 1.0], [1.0, 2.0, 3.0])
        store.log_metric(runs[9], Metric("loss", -50.0, 1, 0))
        page = table(store, experiment, columns=("metrics.loss:min", "metrics.loss:count"), limit=2)
        assert values(page) == {"metrics.loss:min": [-50.0, 0.0], "metrics.loss:count": [4, 3]}

    def test_an_order_by_points_follows_what_is_logged(
        self, store: Store, ten: tuple[str, list[str]]
    ) -> None:
        experiment, runs = ten
        newest = runs[::-1]
        table(store, experiment, columns=("metrics.loss",))  # memory knows the runs from now on
        for order, first in (("ASC", newest[0]), ("DESC", runs[0])):
            page = table(store, experiment, order_by=(f"metrics.loss:min {order}",), limit=1)
            assert page.run_ids == [first]
        store.log_metric(runs[4], Metric("loss", -50.0, 6, 3))
        for order, by, first in (("ASC", "min", runs[4]), ("DESC", "count", runs[4])):
            page = table(
                store,
                experiment,
                columns=("metrics.loss:min", "metrics.loss:count"),
                order_by=(f"metrics.loss:{by} {order}",),
                limit=1,
            )
            assert page.run_ids == [first], by
            assert values(page) == {"metrics.loss:min": [-50.0], "metrics.loss:count": [4]}

    def test_a_tree_of_runs(self, store: Store, ten: tuple[str, list[str]]) -> None:
        experiment, runs = ten
        for number in (1, 2, 3):
            store.set_tag(runs[number], "mlflow.parentRunId", runs[0])
        store.set_tag(runs[4], "mlflow.parentRunId", runs[3])
        store.set_tag(runs[5], "mlflow.parentRunId", "0" * 32)  # which there is not
        store.set_tag(runs[6], "mlflow.parentRunId", runs[6])
        roots = table(store, experiment, roots_only=True)
        assert roots.total == 6
        assert roots.run_ids == [runs[number] for number in (9, 8, 7, 6, 5, 0)]
        assert roots.children == [0, 0, 0, 0, 0, 3]
        below = table(store, experiment, parent_run_id=runs[0])
        assert (below.total, below.run_ids) == (3, [runs[3], runs[2], runs[1]])
        assert below.children == [1, 0, 0]
        # What a filter takes away leaves its children as roots: each run that was found has its place.
        some = table(store, experiment, filter="params.model = 'a'", roots_only=True)
        assert some.run_ids == [runs[number] for number in (9, 7, 5, 3, 1)]
        assert some.children == [0, 0, 0, 0, 0]
        store.delete_run(runs[0])
        assert table(store, experiment, roots_only=True).run_ids == [
            runs[number] for number in (9, 8, 7, 6, 5, 3, 2, 1)
        ]

    def test_a_tree_tells_between_what_numbers_children_lie(
        self, store: Store, ten: tuple[str, list[str]]
    ) -> None:
        experiment, runs = ten
        for number in (1, 2, 3):
            store.set_tag(runs[number], "mlflow.parentRunId", runs[0])
        store.set_tag(runs[4], "mlflow.parentRunId", runs[3])
        store.set_tag(runs[6], "mlflow.parentRunId", runs[6])
        store.log_metric(runs[1], Metric("loss", math.nan, 9, 9))
        store.log_metric(runs[2], Metric("odd", math.inf, 9, 9))
        wanted: dict[str, object] = {
            "columns": ("metrics.loss", "params.lr", "metrics.odd", "metrics.loss:min"),
            "with_child_ranges": True,
        }
        page = table(store, experiment, roots_only=True, **wanted)
        assert page.run_ids == [runs[number] for number in (9, 8, 7, 6, 5, 0)]
        assert [column.child_ranges for column in page.columns] == [
            [None, None, None, None, None, (5.0, 6.0)],
            None,
            [None] * 6,
            None,
        ]
        below = table(store, experiment, parent_run_id=runs[0], **wanted)
        assert below.run_ids == [runs[3], runs[2], runs[1]]
        assert below.columns[0].child_ranges == [(4.0, 4.0), None, None]
        store.log_metric(runs[4], Metric("loss", -3.5, 9, 9))
        below = table(store, experiment, parent_run_id=runs[0], **wanted)
        assert below.columns[0].child_ranges == [(-3.5, -3.5), None, None]
        # only what was found counts
        some = table(store, experiment, filter="params.lr != '0.3'", roots_only=True, **wanted)
        assert some.columns[0].child_ranges == [None] * 6 + [(6.0, 6.0)]
        assert table(store, experiment, **wanted).columns[0].child_ranges is None

    def test_a_table_shows_what_was_just_written(self, store: Store, ten: tuple[str, list[str]]) -> None:
        experiment, runs = ten
        wanted = {
            "columns": ("metrics.loss",),
            "with_ranges": True,
            "limit": 1,
            "order_by": ("metrics.loss DESC",),
        }
        assert table(store, experiment, **wanted).columns[0].range == (-1.0, 8.0)
        store.log_metric(runs[4], Metric("loss", 99.0, 9, 9))
        page = table(store, experiment, **wanted)
        assert (page.run_ids, page.columns[0].range) == ([runs[4]], (-1.0, 99.0))
        store.delete_run(runs[4])
        page = table(store, experiment, **wanted)
        assert (page.total, page.run_ids, page.columns[0].range) == (9, [runs[0]], (-1.0, 8.0))
        store.delete_run(runs[9])
        assert table(store, experiment, **wanted).columns[0].range == (0.0, 8.0)
        store.restore_run(runs[4])
        assert table(store, experiment, **wanted).columns[0].range == (0.0, 99.0)
        deleted = table(store, experiment, view=ViewType.DELETED_ONLY)
        assert deleted.run_ids == [runs[9]]

    def test_running_runs_without_signs_of_life_say_since_when_they_log_nothing(self, store: Store) -> None:
        experiment = store.create_experiment(unique())
        ended, alive, logging, silent = (
            store.create_run(experiment, start_time=start).info.run_id
            for start in (4_000, 3_000, 2_000, 1_000)
        )
        store.update_run(ended, "FINISHED", 5_000)
        assert table(store, experiment).quiet_since == [None, 3_000, 2_000, 1_000]
        store.beat([alive])
        store.log_metric(logging, Metric("loss", 1.0, 9_000, 1))
        store.log_metric(logging, Metric("loss", 1.0, 9_500, 2))
        page = table(store, experiment)
        assert page.run_ids == [ended, alive, logging, silent]
        assert page.quiet_since == [None, None, 9_500, 1_000]
        for run in (logging, silent):
            store.update_run(run, "FINISHED", 9_999)
        assert table(store, experiment).quiet_since == []

    def test_the_cursor_grows_with_what_is_written(self, store: Store, ten: tuple[str, list[str]]) -> None:
        experiment, runs = ten
        before = table(store, experiment).cursor
        store.set_tag(runs[0], "t", "v")
        assert table(store, experiment).cursor > before

    def test_several_experiments_are_one_table(self, store: Store, ten: tuple[str, list[str]]) -> None:
        experiment, runs = ten
        other = store.create_experiment(unique())
        added = store.create_run(other, start_time=1_005, run_name="between").info.run_id
        request = TableRequest(
            selection=RunSelection(experiment_ids=(experiment, other)),
            order_by=("start_time ASC", "run_name"),
            offset=4,
            limit=4,
        )
        page = store.search_run_table(request)
        assert page.total == 11
        assert page.run_ids == [runs[4], added, runs[5], runs[6]]
        assert page.experiment_ids == [experiment, other, experiment, experiment]
        assert store.search_run_table(TableRequest(selection=RunSelection())).total == 0

    @pytest.mark.parametrize(
        ("wanted", "named"),
        [
            ({"limit": 0}, "limit"),
            ({"limit": 1_001}, "limit"),
            ({"offset": -1}, "offset"),
            ({"columns": ("loss",)}, "column"),
            ({"order_by": ("loss",)}, "order_by"),
            ({"filter": "params.x >"}, "filter"),
        ],
    )
    def test_what_is_wrong_is_named(self, store: Store, wanted: dict[str, object], named: str) -> None:
        with pytest.raises(InvalidParameterError, match=named):
            table(store, "0", **wanted)

    # -- columns ------------------------------------------------------------------------------------
    def test_columns_that_differ_come_first(self, store: Store, ten: tuple[str, list[str]]) -> None:
        experiment, runs = ten
        store.log_param(runs[0], "rare", "x")
        page = store.search_run_columns(ColumnsRequest(selection=RunSelection(experiment_ids=(experiment,))))
        assert (page.runs, page.sampled) == (10, 10)
        assert page.total == len(page.columns)
        by_key = {column.key: column for column in page.columns}
        assert [column.key for column in page.columns][:3] == ["metrics.loss", "params.lr", "params.model"]
        assert [key for key in by_key if key in ("params.rare", "tags.team")] == ["params.rare", "tags.team"]
        assert [column.key for column in page.columns][-1].startswith("tags.mlflow.")
        loss, model, rare, team = (
            by_key[key] for key in ("metrics.loss", "params.model", "params.rare", "tags.team")
        )
        assert (loss.kind, loss.runs, loss.distinct, loss.varies, loss.range) == (
            "number",
            10,
            10,
            True,
            (-1.0, 8.0),
        )
        assert (model.kind, model.runs, model.distinct, model.varies, model.range) == (
            "text",
            10,
            2,
            True,
            None,
        )
        assert sorted(map(str, model.examples)) == ["a", "b"]
        assert (rare.runs, rare.distinct, rare.varies) == (1, 1, True)
        assert (team.runs, team.distinct, team.varies) == (10, 1, False)
        assert by_key["params.lr"].range == (0.0, 0.9)
        assert "attributes.end_time" in by_key
        assert by_key["attributes.end_time"].runs == 0

    def test_columns_of_the_newest_runs_alone(self, store: Store, ten: tuple[str, list[str]]) -> None:
        experiment, runs = ten
        store.log_param(runs[0], "rare", "x")
        selection = RunSelection(experiment_ids=(experiment,))
        # Ten runs are their own sample, so what is told of them is the same.
        all_, some = (
            store.search_run_columns(
                ColumnsRequest(selection=selection, kinds=kinds, sampled_only=sampled_only)
            )
            for kinds, sampled_only in (
                (("metrics", "params", "tags"), False),
                (("metrics", "params", "tags"), True),
            )
        )
        assert (some.runs, some.sampled, some.columns) == (10, 10, all_.columns)

    def test_columns_are_searched_and_paged(self, store: Store, ten: tuple[str, list[str]]) -> None:
        experiment, _ = ten
        selection = RunSelection(experiment_ids=(experiment,), filter_string="params.model = 'a'")

        def keys(**wanted: object) -> list[str]:
            page = store.search_run_columns(ColumnsRequest(selection=selection, **wanted))  # pyright: ignore[reportArgumentType]
            assert page.runs == 5
            return [column.key for column in page.columns]

        assert keys(search="LOSS") == ["metrics.loss"]
        assert keys(search="params l") == ["params.lr", "params.model"]
        assert keys(kinds=("params",)) == ["params.lr", "params.model"]
        assert keys(kinds=("params",), limit=1, offset=1) == ["params.model"]
        assert keys(kinds=("metrics", "attributes"), search="zzz") == []
        with pytest.raises(InvalidParameterError, match="kinds"):
            keys(kinds=("datasets",))

    # -- values and groups --------------------------------------------------------------------------
    def test_values_for_completion(self, store: Store, ten: tuple[str, list[str]]) -> None:
        experiment, runs = ten
        for number, value in ((0, "Adam"), (1, "adamw"), (2, "SGD"), (3, "adamw")):
            store.log_param(runs[number], "optimizer", value)
        selection = RunSelection(experiment_ids=(experiment,))

        def values(key: str, **wanted: Any) -> list[tuple[str, int]]:
            found = store.find_run_values(ValuesRequest(selection=selection, key=key, **wanted))
            return [(each.value, each.runs) for each in found]

        assert values("params.optimizer") == [("adamw", 2), ("Adam", 1), ("SGD", 1)]
        assert values("params.optimizer", prefix="AD") == [("adamw", 2), ("Adam", 1)]
        assert values("params.optimizer", limit=1) == [("adamw", 2)]
        assert values("tags.team") == [("red", 10)]
        assert values("attributes.status", prefix="r") == [("RUNNING", 10)]
        assert values("params.absent") == []
        for key in ("metrics.loss", "attributes.start_time", "optimizer"):
            with pytest.raises(InvalidParameterError, match="column"):
                values(key)

    def test_groups_with_the_spread_of_metrics(self, store: Store, ten: tuple[str, list[str]]) -> None:
        experiment, runs = ten
        store.log_metric(runs[1], Metric("odd", math.nan, 1))
        store.log_metric(runs[3], Metric("odd", 5.0, 1))
        store.log_param(runs[9], "extra", "x")
        store.delete_run(runs[8])
        selection = RunSelection(experiment_ids=(experiment,))
        page = store.find_run_groups(
            GroupsRequest(selection=selection, by=("params.model",), metrics=("metrics.loss", "metrics.odd"))
        )
        assert (page.total, page.runs, [(group.keys, group.runs) for group in page.groups]) == (
            2,
            9,
            [(["a"], 5), (["b"], 4)],
        )
        loss, odd = page.groups[0].metrics  # of runs 1, 3, 5, 7, 9: 7, 5, 3, 1, -1
        assert (loss.count, loss.mean, loss.median, loss.min, loss.max) == (5, 3.0, 3.0, -1.0, 7.0)
        assert loss.std == pytest.approx(math.sqrt(10))
        assert (odd.count, odd.mean, odd.std) == (1, 5.0, None)
        assert page.groups[1].metrics[1].count == 0
        assert page.groups[1].metrics[0].median == 5.0  # of 8, 6, 4, 2
        two = store.find_run_groups(
            GroupsRequest(selection=selection, by=("params.extra", "tags.team"), offset=1, limit=5)
        )
        assert (two.total, [(group.keys, group.runs) for group in two.groups]) == (2, [(["x", "red"], 1)])
        with pytest.raises(InvalidParameterError, match="by"):
            store.find_run_groups(GroupsRequest(selection=selection, by=()))
        with pytest.raises(InvalidParameterError, match="metrics"):
            store.find_run_groups(
                GroupsRequest(selection=selection, by=("params.model",), metrics=("metrics.loss:min",))
            )

    def test_groups_in_the_order_of_a_column(self, store: Store, ten: tuple[str, list[str]]) -> None:
        experiment, runs = ten
        store.log_param(runs[9], "depth", "10")
        store.log_param(runs[0], "depth", "9")
        selection = RunSelection(experiment_ids=(experiment,))

        def groups(by: str, order_by: str, **how: Any) -> list[str | None]:
            request = GroupsRequest(
                selection=selection, by=(by,), metrics=("metrics.loss",), order_by=order_by, **how
            )
            return [group.keys[0] for group in store.find_run_groups(request).groups]

        # Last losses of the runs 0 to 9: 8 down to -1.
        assert groups("params.model", "metrics.loss") == ["b", "a"]
        assert groups("params.model", "metrics.loss", ascending=True) == ["a", "b"]
        assert groups("params.model", "metrics.loss", ascending=True, offset=1) == ["b"]
        assert groups("params.model", "params.model", ascending=True) == ["a", "b"]
        assert groups("params.model", "params.model") == ["b", "a"]
        assert groups("params.depth", "metrics.loss", statistic="max") == ["9", None, "10"]
        assert groups("params.depth", "metrics.loss", statistic="std") == [None, "10", "9"]
        assert groups("params.depth", "params.depth") == ["10", "9", None]  # by number
        assert groups("params.depth", "params.depth", ascending=True) == ["9", "10", None]
        with pytest.raises(InvalidParameterError, match="order_by"):
            groups("params.model", "metrics.odd")

    def test_metrics_at_a_step(self, store: Store) -> None:
        experiment = store.create_experiment(unique())
        runs: list[str] = []
        for number, steps in enumerate(([0, 10, 20], [7, 3, 30, 7], [25], [])):
            run = store.create_run(experiment, start_time=number).info.run_id
            points = [
                Metric("m", float(100 * number + step + at / 10), at, step) for at, step in enumerate(steps)
            ]
            store.log_batch(run, points)
            runs.append(run)
        store.log_batch(runs[3], [Metric("m", math.nan, 1, 5)])

        columns = ("metrics.m:step=10", "metrics.m:step=24", "metrics.`m`:step=-1")
        page = table(store, experiment, columns=columns)
        assert page.run_ids == runs[::-1]
        ten, more, none = page.columns
        assert (ten.kind, ten.steps) == ("number", [5, None, 7, 10])
        assert math.isnan(ten.values[0])  # pyright: ignore[reportArgumentType]
        assert ten.values[1:] == [None, 107.3, 10.1]
        assert (more.values[1:], more.steps) == ([None, 107.3, 20.2], [5, None, 7, 20])
        assert (none.values, none.steps) == ([None] * 4, [None] * 4)
        for wrong in ("metrics.`m`:step=x", "params.`m`:step=1", f"metrics.m:step={2**63}"):
            with pytest.raises(InvalidParameterError, match="Invalid column"):
                table(store, experiment, columns=(wrong,))

        def ordered(order: str) -> list[str]:
            return table(store, experiment, order_by=(order,), offset=0, limit=4).run_ids

        assert ordered("metrics.m:step=24 DESC") == [runs[1], runs[0], runs[3], runs[2]]
        assert ordered("metrics.m:step=24") == [runs[0], runs[1], runs[3], runs[2]]
        assert ordered("metrics.`m`:min asc") == [runs[0], runs[1], runs[2], runs[3]]
        assert ordered("metrics.m:count DESC") == [runs[1], runs[0], runs[3], runs[2]]
        window = table(store, experiment, order_by=("metrics.m:max DESC",), offset=1, limit=2)
        assert (window.total, window.run_ids) == (4, [runs[1], runs[0]])
        with pytest.raises(InvalidParameterError, match="of a tree"):
            table(store, experiment, order_by=("metrics.m:max",), roots_only=True)
