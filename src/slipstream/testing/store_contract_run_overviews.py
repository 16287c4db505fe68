"""The suite that every `Store` passes: a run with what its page shows at first."""

import math

import pytest

from slipstream.entities import Metric, Param, RunTag
from slipstream.entities.liveness import ConsoleChunk, ConsoleTail
from slipstream.errors import InvalidParameterError, NotFoundError
from slipstream.store.base import Store
from slipstream.testing.store_contract import unique

PARENT = "mlflow.parentRunId"


class RunOverviewContract:
    def test_a_run_with_nothing_beside_it(self, store: Store) -> None:
        name = unique()
        run_id = store.create_run(store.create_experiment(name), run_name="alone").info.run_id

        found = store.find_run_overview(run_id, 10)

        assert found.run == store.get_run(run_id)
        assert found.experiment_name == name
        assert found.cursor > 0
        assert (found.beat_time, found.parent, found.console) == (None, None, None)
        assert (found.children, found.child_count) == ([], 0)
        assert (found.logged_models, found.model_versions) == ([], [])
        assert (found.changed_params, found.branches, found.extremes) == ([], [], {})

    def test_relatives(self, store: Store) -> None:
        experiment = store.create_experiment(unique())
        parent = store.create_run(experiment, run_name="above").info.run_id
        run_id = store.create_run(experiment, tags=[RunTag(PARENT, parent)]).info.run_id
        below = [
            store.create_run(experiment, run_name=f"fold {n}", tags=[RunTag(PARENT, run_id)], start_time=n)
            for n in range(22)
        ]
        store.delete_run(below[0].info.run_id)

        found = store.find_run_overview(run_id)

        assert found.parent is not None
        assert (found.parent.run_id, found.parent.name, found.parent.experiment_id) == (
            parent,
            "above",
            experiment,
        )
        assert found.child_count == 21
        assert [each.name for each in found.children] == [f"fold {n}" for n in range(21, 1, -1)]
        orphan = store.create_run(experiment, tags=[RunTag(PARENT, "0" * 32)]).info.run_id
        assert store.find_run_overview(orphan).parent is None

    def test_models_that_came_out_of_it(self, store: Store) -> None:
        experiment = store.create_experiment(unique())
        run_id, other = (store.create_run(experiment).info.run_id for _ in range(2))
        model = store.create_logged_model(experiment, "net", run_id)
        store.create_logged_model(experiment, "another", other)
        name = unique("model")
        store.create_registered_model(name)
        version = store.create_model_version(name, "s3://bucket/model", run_id)
        store.set_registered_model_alias(name, "champion", version.version)

        found = store.find_run_overview(run_id)

        assert [each.model_id for each in found.logged_models] == [model.model_id]
        assert [(each.name, each.version, list(each.aliases)) for each in found.model_versions] == [
            (name, "1", ["champion"])
        ]

    def test_what_changed(self, store: Store) -> None:
        run_id = store.create_run("0").info.run_id
        store.log_batch(
            run_id,
            [Metric("loss", 3.0, step, step) for step in range(4)],
            [Param("lr", "1"), Param("seed", "7")],
        )
        store.overwrite_params(run_id, [Param("lr", "2")])
        store.branch_run(run_id, 2)

        found = store.find_run_overview(run_id)

        assert [(each.key, each.value) for each in found.changed_params] == [("lr", "1"), ("lr", "2")]
        assert found.branches == store.get_run_branches(run_id)
        assert [each.from_step for each in found.branches] == [2]

    def test_extremes_of_the_first_metrics(self, store: Store) -> None:
        run_id = store.create_run("0").info.run_id
        points = [
            *(Metric("layer 10", value, 1, step) for step, value in enumerate((3.0, -1.0, 2.0))),
            *(Metric("layer 9", value, 1, step) for step, value in enumerate((1.0, math.inf))),
            Metric("zeta", math.nan, 1, 0),
            Metric("system/cpu", 5.0, 1, 0),
        ]
        store.log_batch(run_id, points)

        assert store.find_run_overview(run_id).extremes == {}
        assert store.find_run_overview(run_id, 1).extremes == {"layer 9": (1.0, math.inf)}
        assert store.find_run_overview(run_id, 9).extremes == {
            "layer 9": (1.0, math.inf),
            "layer 10": (-1.0, 3.0),
            "zeta": (None, None),
        }
        with pytest.raises(InvalidParameterError, match="extremes"):
            store.find_run_overview(run_id, 1001)
        with pytest.raises(InvalidParameterError, match="extremes"):
            store.find_run_overview(run_id, -1)

    def test_the_end_of_the_console(self, store: Store) -> None:
        run_id = store.create_run("0").info.run_id
        store.beat([run_id])
        store.append_console(run_id, [ConsoleChunk(first=0, next=6, text="one\ntw")])
        store.append_console(run_id, [ConsoleChunk(first=6, next=8, text="o\n")])

        found = store.find_run_overview(run_id)

        assert found.beat_time is not None
        assert found.console == ConsoleTail(text="one\ntwo\n", is_all=True, next=8)
        long = "x" * 50 + "\n"
        store.append_console(run_id, [ConsoleChunk(first=8, next=8 + 5100, text=long * 100)])
        tail = store.find_run_overview(run_id).console
        assert tail is not None
        assert not tail.is_all
        assert tail.next == 5108
        assert set(tail.text.split("\n")) == {"x" * 50, ""}
        assert 3_900 < len(tail.text) <= 4_000

    def test_the_end_of_the_console_is_kept_when_it_was_stored(self, store: Store) -> None:
        run_id = store.create_run("0").info.run_id
        store.append_console(run_id, [ConsoleChunk(first=0, next=5, text="early")])

        store.end_console(run_id, ConsoleTail(text="early\nlast\0 words\n", is_all=True))

        assert store.find_console(run_id) == []
        assert store.find_run_overview(run_id).console == ConsoleTail(
            text="early\nlast\ufffd words\n", is_all=True
        )
        store.append_console(run_id, [ConsoleChunk(first=0, next=4, text="next")])  # it was resumed
        assert store.find_run_overview(run_id).console == ConsoleTail(text="next", is_all=True, next=4)
        store.end_console(run_id, ConsoleTail(text="y" * 5000, is_all=True))
        assert store.find_run_overview(run_id).console == ConsoleTail(text="y" * 4000, is_all=False)
        store.end_console(run_id)
        assert store.find_run_overview(run_id).console is None

    def test_a_run_that_is_not_there(self, store: Store) -> None:
        with pytest.raises(NotFoundError):
            store.find_run_overview("e" * 32)
