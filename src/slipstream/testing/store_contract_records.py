"""The part of the suite about records: each is stored once, in order, and one that is refused costs no other."""

import math
import secrets

import pytest

from slipstream.entities import Experiment, LoggedModelStatus
from slipstream.entities.record import (
    BatchRecord,
    InputsRecord,
    ModelRecord,
    ModelUpdateRecord,
    OutputsRecord,
    PointRecord,
    Record,
    RefusedRecord,
    RunRecord,
    UntagRecord,
    UpdateRecord,
    VersionRecord,
)
from slipstream.errors import InvalidParameterError, NotFoundError
from slipstream.ids import new_model_id, new_run_id
from slipstream.store.base import Store
from slipstream.testing.store_contract import new_run, unique


def writer() -> str:
    """Return the name of a new writer."""
    return secrets.token_hex(16)


def values(store: Store, run_id: str, key: str) -> list[float]:
    """Return what a metric's history holds, in order."""
    return [point.value for point in store.get_metric_history(run_id, key).items]


class RecordContract:
    def test_records_of_every_kind(self, store: Store) -> None:
        run_id = new_run(store)
        model = store.create_logged_model(store.get_run(run_id).info.experiment_id, "m").model_id
        records: list[Record] = [
            PointRecord(run_id, "loss", 0.5, 10, 1),
            PointRecord(run_id, "loss", "NaN", 11, 2),
            PointRecord(run_id, "loss", "-Infinity", 12, 3),
            BatchRecord(
                run_id,
                [("a", 1.0, 5, 0), ("a", "Infinity", 6, 1)],
                {"p": "v", "runId": "x"},
                {"t": "1", "u": "2"},
            ),
            InputsRecord(
                run_id,
                [("d", "1a", "local", "{}", None, '{"rows": 3}', {"mlflow.data.context": "eval"})],
                [model],
            ),
            OutputsRecord(run_id, [(model, 7)]),
            UntagRecord(run_id, "u"),
            UntagRecord(run_id, "never there"),
            UpdateRecord(run_id, "FINISHED", 99, "a new name"),
        ]
        receipt = store.store_records(writer(), 1, records)
        assert (receipt.stored, receipt.refused, receipt.repeated) == (9, [], 0)
        found = values(store, run_id, "loss")
        assert found[0] == 0.5
        assert math.isnan(found[1])
        assert found[2] == -math.inf
        run = store.get_run(run_id)
        assert run.data.params == {"p": "v", "runId": "x"}
        assert {"t": "1"}.items() <= run.data.tags.items()
        assert "u" not in run.data.tags
        assert (run.info.status, run.info.end_time, run.info.run_name) == ("FINISHED", 99, "a new name")
        assert run.data.metrics["a"] == math.inf
        (data_set,) = run.inputs.dataset_inputs
        assert (data_set.dataset.name, data_set.dataset.profile) == ("d", '{"rows": 3}')
        assert [(tag.key, tag.value) for tag in data_set.tags] == [("mlflow.data.context", "eval")]
        assert [each.model_id for each in run.inputs.model_inputs] == [model]
        assert [(each.model_id, each.step) for each in run.outputs.model_outputs] == [(model, 7)]

    def test_models_that_began_elsewhere(self, store: Store) -> None:
        run_id, model_id, lonely = new_run(store), new_model_id(), new_model_id()
        experiment, name = unique(), unique()
        records: list[Record] = [
            ModelRecord(run_id, model_id, "net", "classifier", {"t": "1"}, {"depth": "3"}),
            OutputsRecord(run_id, [(model_id, 7)]),
            ModelUpdateRecord(run_id, model_id, LoggedModelStatus.READY.number, {"u": "2"}, {"width": "4"}),
            VersionRecord(run_id, name, model_id, {"v": "3"}),
            VersionRecord(run_id, name, model_id, {}, True),
            VersionRecord(run_id, name, model_id),
            ModelRecord("", lonely, "alone", experiment_name=experiment),
        ]
        receipt = store.store_records(writer(), 1, records)
        assert (receipt.stored, receipt.refused) == (7, [])
        model = store.get_logged_model(model_id)
        assert (model.name, model.model_type, model.source_run_id) == ("net", "classifier", run_id)
        assert (model.status, model.params) == (LoggedModelStatus.READY, {"depth": "3", "width": "4"})
        assert {"t": "1", "u": "2"}.items() <= model.tags.items()
        assert model.experiment_id == store.get_run(run_id).info.experiment_id
        assert model.artifact_location.endswith(f"/models/{model_id}/artifacts")
        assert store.get_model_version(name, "1").tags == {"v": "3"}
        assert store.get_model_version(name, "2").run_id == run_id
        with pytest.raises(NotFoundError):  # what may be there was there
            store.get_model_version(name, "3")
        found = store.find_experiment_by_name(experiment)
        assert found is not None
        assert store.get_logged_model(lonely).experiment_id == found.experiment_id

    def test_what_is_wrong_with_models_is_refused_alone(self, store: Store) -> None:
        run_id, model_id = new_run(store), new_model_id()
        records: list[Record] = [
            ModelRecord(run_id, "../m", "net"),
            ModelRecord(run_id, model_id, "net"),
            ModelRecord(run_id, model_id, "net"),
            ModelRecord(new_run_id(), new_model_id(), "net"),
            ModelUpdateRecord(run_id, model_id, 77),
            ModelUpdateRecord(run_id, new_model_id(), 1),
            VersionRecord(run_id, unique(), new_model_id()),
            ModelUpdateRecord(run_id, model_id, 2),
        ]
        receipt = store.store_records(writer(), 1, records)
        assert [each.number for each in receipt.refused] == [1, 3, 4, 5, 6, 7]
        assert store.get_logged_model(model_id).status == LoggedModelStatus.READY

    def test_a_store_that_was_set_back_says_so(self, store: Store) -> None:
        run_id, name = new_run(store), writer()
        first, second = PointRecord(run_id, "m", 1.0, 1, 0), PointRecord(run_id, "m", 2.0, 2, 1)
        assert store.store_records(name, 1, [first]).stored == 1
        receipt = store.store_records(name, 8, [second], after=7)
        assert (receipt.stored, receipt.refused) == (1, [])
        assert values(store, run_id, "m") == [1.0], "what comes between goes first"
        assert store.store_records(name, 2, [second], after=1).stored == 2
        assert values(store, run_id, "m") == [1.0, 2.0]

    def test_what_is_delivered_again_is_stored_once(self, store: Store) -> None:
        run_id = new_run(store)
        name = writer()
        tags: list[Record] = [BatchRecord(run_id, [], {}, {"t": str(number)}) for number in range(1, 8)]
        assert store.store_records(name, 1, tags[:4]).stored == 4
        again = store.store_records(name, 1, tags[:4])
        assert (again.stored, again.repeated) == (4, 4)
        store.set_tag(run_id, "t", "of somebody else")
        assert store.store_records(name, 2, tags[1:4]).repeated == 3
        assert store.get_run(run_id).data.tags["t"] == "of somebody else"
        part = store.store_records(name, 3, tags[2:6])
        assert (part.stored, part.repeated) == (6, 2)
        assert store.get_run(run_id).data.tags["t"] == "6"
        assert store.store_records(writer(), 1, tags[:1]).repeated == 0, "each writer has numbers of its own"
        assert store.get_run(run_id).data.tags["t"] == "1"

    def test_a_gap_is_taken(self, store: Store) -> None:
        """Some records are not for the server: files of runs."""
        run_id = new_run(store)
        name = writer()
        store.store_records(name, 1, [PointRecord(run_id, "m", 1.0, 1)])
        assert store.store_records(name, 5, [PointRecord(run_id, "m", 5.0, 5)]).stored == 5
        assert store.store_records(name, 3, [PointRecord(run_id, "m", 3.0, 3)]).repeated == 1
        assert values(store, run_id, "m") == [1.0, 5.0]

    def test_points_that_are_alike_are_kept_once_and_in_order(self, store: Store) -> None:
        run_id = new_run(store)
        records: list[Record] = [PointRecord(run_id, "m", float(n % 3), n % 5, n % 5) for n in range(60)]
        store.store_records(writer(), 1, records)
        expected = sorted({(n % 5, n % 5, float(n % 3)) for n in range(60)})
        found = store.get_metric_history(run_id, "m").items
        assert [(each.timestamp, each.step, each.value) for each in found] == expected

    def test_a_refused_record_costs_no_other(self, store: Store) -> None:
        run_id, other = new_run(store), new_run(store)
        store.log_param(run_id, "p", "before")
        store.delete_run(other)
        records: list[Record] = [
            PointRecord(run_id, "m", 1.0, 1),
            PointRecord("0" * 32, "m", 1.0, 1),
            PointRecord(other, "m", 1.0, 1),
            PointRecord(run_id, "m", 2.0, -1),
            PointRecord(run_id, "/bad", 2.0, 1),
            PointRecord(run_id, "m", "many", 1),
            PointRecord(run_id, "m", 3.0, 3),
            BatchRecord(run_id, [("m", 4.0, 4, 0)], {"new": "1", "p": "after"}, {}),
            BatchRecord(run_id, [("m", 5.0, 5, 0)], {"new": "2"}, {}),
            UpdateRecord(run_id, "DONE"),
            UntagRecord("0" * 32, "t"),
            UpdateRecord(run_id, "FINISHED", 5),
        ]
        receipt = store.store_records(writer(), 1, records)
        assert receipt.stored == 12
        assert [each.number for each in receipt.refused] == [2, 3, 4, 5, 6, 8, 10, 11]
        assert all(each.message and each.error_code for each in receipt.refused)
        assert values(store, run_id, "m") == [1.0, 3.0, 5.0]
        run = store.get_run(run_id)
        assert run.data.params == {"new": "2", "p": "before"}
        assert run.info.status == "FINISHED"

    def test_a_run_that_began_while_the_server_was_away(self, store: Store) -> None:
        experiment = store.create_experiment(unique())
        here, there, gone = new_run_id(), new_run_id(), new_run_id()
        new_name, deleted_name = unique(), unique()
        deleted = store.create_experiment(deleted_name)
        store.delete_experiment(deleted)
        name = writer()
        records: list[Record] = [
            RunRecord(here, "one", "me", 5, {"mlflow.runName": "one", "k": "v"}, experiment),
            RunRecord(there, "two", "me", 6, {}, None, new_name),
            RunRecord(gone, "three", "me", 7, {}, None, deleted_name),
            RunRecord(new_run_id(), "four", "me", 8, {}, "999999"),
            RunRecord(new_run_id(), "five", "me", 8, {}),
            RunRecord("not/an id", "six", "me", 8, {}, experiment),
            PointRecord(there, "m", 1.0, 1),
        ]
        receipt = store.store_records(name, 1, records)
        assert [each.number for each in receipt.refused] == [4, 5, 6]
        run = store.get_run(here)
        assert (run.info.experiment_id, run.info.run_name, run.info.user_id) == (experiment, "one", "me")
        assert (run.info.start_time, run.info.status, run.data.tags["k"]) == (5, "RUNNING", "v")
        assert run.info.artifact_uri.endswith(f"/{here}/artifacts")
        assert self._named(store, new_name).experiment_id == store.get_run(there).info.experiment_id
        assert values(store, there, "m") == [1.0]
        assert self._named(store, deleted_name).experiment_id == store.get_run(gone).info.experiment_id
        assert store.get_run(gone).info.experiment_id != deleted
        assert store.get_experiment(deleted).lifecycle_stage == "deleted"
        assert store.store_records(name, 1, records).repeated == 7

    def _named(self, store: Store, name: str) -> Experiment:
        found = store.find_experiment_by_name(name)
        assert found is not None
        return found

    @pytest.mark.parametrize(("name", "first"), [("", 1), ("x" * 65, 1), ("a\nb", 1), ("w", 0), ("w", -3)])
    def test_wrong_deliveries_are_refused(self, store: Store, name: str, first: int) -> None:
        with pytest.raises(InvalidParameterError, match=r"'writer'|'first'"):
            store.store_records(name, first, [PointRecord(new_run(store), "m", 1.0, 1)])

    def test_one_that_could_not_be_read_is_counted(self, store: Store) -> None:
        run_id = new_run(store)
        name = writer()
        records = [
            PointRecord(run_id, "m", 1.0, 1),
            RefusedRecord(2, "INVALID", "no"),
            PointRecord(run_id, "m", 3.0, 3),
        ]
        receipt = store.store_records(name, 1, records)
        assert receipt.stored == 3
        assert [each.number for each in receipt.refused] == [2]
        assert values(store, run_id, "m") == [1.0, 3.0]
