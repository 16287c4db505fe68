"""The part of the store's contract that is about a first look: experiments, and what happens now."""

from typing import Any

import pytest

from slipstream.clock import now_ms
from slipstream.entities import Metric, RunTag, ViewType
from slipstream.entities.overview import ExperimentOverviews, OverviewRequest
from slipstream.errors import InvalidParameterError
from slipstream.store.base import Store
from slipstream.testing.store_contract import unique


def overviews(store: Store, **wanted: Any) -> ExperimentOverviews:
    return store.find_experiment_overviews(OverviewRequest(**wanted))


class OverviewContract:
    def test_experiments_with_what_goes_on_in_them(self, store: Store) -> None:
        prefix = unique("Over View")
        names = [f"{prefix} {number}" for number in range(4)]
        numbers = [
            store.create_experiment(name, tags={"mlflow.note.content": "what it is"}) for name in names
        ]
        later = now_ms() + 1_000_000
        runs = [store.create_run(numbers[1], start_time=later + number).info.run_id for number in range(3)]
        store.update_run(runs[0], "FINISHED", later + 5)
        store.delete_run(runs[1])
        store.create_run(numbers[3], start_time=later + 50)
        found = overviews(store, search=prefix.upper())
        assert found.total == 4
        assert [each.name for each in found.experiments[:2]] == [names[3], names[1]]
        second = found.experiments[1]
        assert (second.experiment_id, second.runs, second.running) == (numbers[1], 2, 1)
        assert (second.last_activity, second.tags) == (later + 2, {"mlflow.note.content": "what it is"})
        assert {each.runs for each in found.experiments[2:]} == {0}
        window = overviews(store, search=f"{prefix} view", offset=1, limit=1)
        assert (window.total, [each.name for each in window.experiments]) == (4, [names[1]])
        store.delete_experiment(numbers[1])
        assert overviews(store, search=prefix).total == 3
        deleted = overviews(store, search=prefix, view_type=ViewType.DELETED_ONLY)
        assert [each.name for each in deleted.experiments] == [names[1]]
        assert overviews(store, search=prefix, offset=3).experiments == []

    def test_what_happens_now_and_happened_lately(self, store: Store) -> None:
        name = unique()
        experiment = store.create_experiment(name)
        later = now_ms() + 2_000_000
        runs = [
            store.create_run(experiment, "who", f"r{number}", later + number).info.run_id
            for number in range(5)
        ]
        store.log_batch(runs[0], [Metric("a", 1.0, 70, 7), Metric("b", 1.0, 90, 3)], [], [RunTag("t", "v")])
        store.update_run(runs[1], "FINISHED", later + 100)
        store.update_run(runs[2], "FAILED", later + 101)
        store.set_tag(runs[2], "slipstream.end.reason", "out of memory")
        store.update_run(runs[3], "KILLED", later + 102)
        store.delete_run(runs[4])
        model = unique("model")
        store.create_registered_model(model)
        for _ in range(2):
            store.create_model_version(model, f"runs:/{runs[1]}/m", runs[1])
        store.set_registered_model_alias(model, "champion", "1")
        store.transition_model_version_stage(model, "2", "Production")
        found = store.find_activity(3)
        running = next(run for run in found.running if run.run_id == runs[0])
        assert (running.name, running.experiment_name, running.user_id) == ("r0", name, "who")
        assert (running.step, running.logged_time, running.end_time) == (7, 90, None)
        assert runs[4] not in [run.run_id for run in found.running]
        finished = next(run for run in found.finished if run.run_id == runs[1])
        assert (finished.status, finished.end_time) == ("FINISHED", later + 100)
        assert [(run.run_id, run.status, run.reason) for run in found.failed[:2]] == [
            (runs[3], "KILLED", None),
            (runs[2], "FAILED", "out of memory"),
        ]
        assert experiment in [each.experiment_id for each in found.experiments]
        (used,) = [each for each in found.models if each.name == model]
        assert (used.aliases, used.stages, used.latest_version) == (
            {"champion": "1"},
            {"Production": "2"},
            "2",
        )
        assert all(len(part) <= 3 for part in (found.running, found.finished, found.failed, found.models))

    def test_wrong_windows_of_overviews_are_refused(self, store: Store) -> None:
        with pytest.raises(InvalidParameterError, match="limit"):
            overviews(store, limit=0)
        with pytest.raises(InvalidParameterError, match="offset"):
            overviews(store, offset=-1)
        with pytest.raises(InvalidParameterError, match="max_results"):
            store.find_activity(101)
