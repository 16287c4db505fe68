"""The suite that every `Store` passes: runs beside each other."""

import math

import pytest

from slipstream.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag
from slipstream.entities.run_comparison import ComparedDataset
from slipstream.errors import InvalidParameterError
from slipstream.store.base import Store
from slipstream.testing.store_contract import unique

NAME_TAG = "mlflow.runName"


class RunComparisonContract:
    def test_all_that_was_logged_is_beside_each_other(self, store: Store) -> None:
        experiments = [store.create_experiment(unique()) for _ in range(2)]
        one = store.create_run(
            experiments[0], user_id="ada", run_name="one", start_time=5, tags=[RunTag("team", "a")]
        ).info.run_id
        other = store.create_run(experiments[1], run_name="other", start_time=7).info.run_id
        store.log_batch(
            one,
            [Metric("loss", 2.0, 1, 1), Metric("loss", 1.0, 2, 2), Metric("worst", math.inf, 1, 0)],
            [Param("lr", "1e-3"), Param("same", "x")],
        )
        store.log_batch(other, [Metric("loss", math.nan, 1, 1)], [Param("same", "x")])
        store.update_run(other, "FINISHED", 90)

        found = store.compare_runs([other, one])

        assert found.run_ids == [other, one]
        assert found.cursor > 0
        assert found.missing == []
        assert found.names == ["other", "one"]
        assert found.experiment_ids == [experiments[1], experiments[0]]
        assert found.statuses == ["FINISHED", "RUNNING"]
        assert (found.start_times, found.end_times) == ([7, 5], [90, None])
        assert found.user_ids == ["", "ada"]
        assert found.params == {"same": ["x", "x"], "lr": [None, "1e-3"]}
        assert found.metrics["worst"] == [None, math.inf]
        nothing, last = found.metrics["loss"]
        assert nothing is not None
        assert math.isnan(nothing)
        assert last == 1.0
        assert found.tags == {"team": [None, "a"], NAME_TAG: ["other", "one"]}
        assert found.datasets == [[], []]

    def test_data_that_they_used(self, store: Store) -> None:
        runs = [store.create_run("0").info.run_id for _ in range(2)]
        data = Dataset(name="digits", digest="d1", source_type="local", source="{}")
        store.log_inputs(runs[1], [DatasetInput(data, [InputTag("mlflow.data.context", "training")])])

        assert store.compare_runs(runs).datasets == [
            [],
            [ComparedDataset(name="digits", digest="d1", source_type="local", context="training")],
        ]

    def test_those_that_are_not_there_are_named(self, store: Store) -> None:
        kept, trashed = (store.create_run("0").info.run_id for _ in range(2))
        store.delete_run(trashed)
        gone = "0" * 32

        found = store.compare_runs([gone, trashed, kept])

        assert found.run_ids == [trashed, kept]
        assert found.missing == [gone]
        nobody = store.compare_runs([gone, "x' OR 1=1"])
        assert (nobody.run_ids, nobody.params, nobody.missing) == ([], {}, [gone, "x' OR 1=1"])

    def test_from_two_to_a_hundred(self, store: Store) -> None:
        runs = [store.create_run("0").info.run_id for _ in range(101)]

        assert store.compare_runs(runs[:100]).run_ids == runs[:100]
        for wrong in ([], runs[:1], runs):
            with pytest.raises(InvalidParameterError, match="2 to 100 runs"):
                store.compare_runs(wrong)
        with pytest.raises(InvalidParameterError, match="named twice"):
            store.compare_runs([runs[0], runs[0]])
