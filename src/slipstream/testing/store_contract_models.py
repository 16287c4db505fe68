"""The suite that every `Store` passes: logged models, datasets, and what runs read and made.

Used like `store_contract`; names that a test creates are unique, so a store may be shared by all tests.
"""

import json
import math

import pytest

from slipstream.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    LoggedModel,
    LoggedModelInput,
    LoggedModelOutput,
    LoggedModelStatus,
    Metric,
)
from slipstream.errors import BadRequestError, InvalidParameterError, NotFoundError
from slipstream.store.base import Store
from slipstream.testing.store_contract import new_run, unique


def new_logged_model(store: Store, name: str | None = None) -> LoggedModel:
    """Make a logged model in an experiment of its own."""
    return store.create_logged_model(store.create_experiment(unique()), name)


def dataset(name: str = "train", digest: str = "d1", **tags: str) -> DatasetInput:
    return DatasetInput(
        dataset=Dataset(name=name, digest=digest, source_type="local", source='{"uri": "x"}', schema="{}"),
        tags=[InputTag(key.replace("_", "."), value) for key, value in tags.items()],
    )


class LoggedModelContract:
    def test_a_new_model_is_read_back(self, store: Store) -> None:
        run = new_run(store)
        experiment = store.get_run(run).info.experiment_id
        made = store.create_logged_model(experiment, "net", run, {"t": "1"}, {"depth": "3"}, "classifier")
        assert store.get_logged_model(made.model_id) == made
        assert made.model_id.startswith("m-")
        assert (made.experiment_id, made.name, made.source_run_id) == (experiment, "net", run)
        assert (made.tags, made.params, made.metrics) == ({"t": "1"}, {"depth": "3"}, [])
        assert (made.model_type, made.status) == ("classifier", LoggedModelStatus.PENDING)
        location = store.get_experiment(experiment).artifact_location
        assert made.artifact_location == f"{location}/models/{made.model_id}/artifacts"

    def test_a_name_is_generated_and_may_repeat(self, store: Store) -> None:
        experiment = store.create_experiment(unique())
        first, second = (store.create_logged_model(experiment, "same") for _ in range(2))
        assert first.model_id != second.model_id
        assert store.create_logged_model(experiment).name

    @pytest.mark.parametrize("name", ["a/b", "a:b", "a.b", "a%b", 'a"b', "a'b"])
    def test_bad_names_are_refused(self, store: Store, name: str) -> None:
        with pytest.raises(InvalidParameterError, match="name"):
            new_logged_model(store, name)

    def test_the_experiment_must_be_there_and_active(self, store: Store) -> None:
        with pytest.raises(NotFoundError):
            store.create_logged_model("999999999")
        experiment = store.create_experiment(unique())
        store.delete_experiment(experiment)
        with pytest.raises(InvalidParameterError, match="active"):
            store.create_logged_model(experiment)

    def test_the_status_can_end_and_change(self, store: Store) -> None:
        model_id = new_logged_model(store).model_id
        for status in (LoggedModelStatus.READY, LoggedModelStatus.FAILED, LoggedModelStatus.READY):
            assert store.finalize_logged_model(model_id, status).status == status
        assert store.get_logged_model(model_id).status == LoggedModelStatus.READY

    def test_tags_are_set_and_deleted(self, store: Store) -> None:
        model_id = new_logged_model(store).model_id
        store.set_logged_model_tags(model_id, {"a": "1", "b": ""})
        store.set_logged_model_tags(model_id, {"a": "2"})
        assert store.get_logged_model(model_id).tags == {"a": "2", "b": ""}
        store.delete_logged_model_tag(model_id, "b")
        with pytest.raises(NotFoundError, match="b"):
            store.delete_logged_model_tag(model_id, "b")

    @pytest.mark.parametrize(
        "key", ["a/b", "/a", "a//b/", "..", ".", "a/../b", "%2F", "100%", "a b?c#d", "ü"]
    )
    def test_a_tag_is_deleted_by_any_key_that_it_can_have(self, store: Store, key: str) -> None:
        model_id = store.create_logged_model("0", "m").model_id
        store.set_logged_model_tags(model_id, {key: "1", "other": "2"})
        store.delete_logged_model_tag(model_id, key)
        assert store.get_logged_model(model_id).tags == {"other": "2"}

    def test_params_are_added_and_do_not_change(self, store: Store) -> None:
        model_id = new_logged_model(store).model_id
        store.log_logged_model_params(model_id, {"lr": "0.1"})
        store.log_logged_model_params(model_id, {"lr": "0.1", "depth": "3"})
        with pytest.raises(InvalidParameterError, match="lr"):
            store.log_logged_model_params(model_id, {"lr": "0.2", "new": "x"})
        assert store.get_logged_model(model_id).params == {"lr": "0.1", "depth": "3"}

    def test_a_deleted_model_is_hidden(self, store: Store) -> None:
        model = new_logged_model(store)
        store.delete_logged_model(model.model_id)
        store.delete_logged_model(model.model_id)
        with pytest.raises(NotFoundError, match=model.model_id):
            store.get_logged_model(model.model_id)
        assert store.search_logged_models([model.experiment_id]).items == []

    def test_what_is_missing_is_not_found(self, store: Store) -> None:
        for call in (
            lambda: store.get_logged_model("m-nope"),
            lambda: store.finalize_logged_model("m-nope", LoggedModelStatus.READY),
            lambda: store.delete_logged_model("m-nope"),
            lambda: store.set_logged_model_tags("m-nope", {"a": "b"}),
            lambda: store.delete_logged_model_tag("m-nope", "a"),
            lambda: store.log_logged_model_params("m-nope", {"a": "b"}),
        ):
            with pytest.raises(NotFoundError, match="m-nope"):
                call()

    def test_points_show_on_the_run_and_on_the_model(self, store: Store) -> None:
        run = new_run(store)
        model_id = new_logged_model(store).model_id
        point = Metric("acc", 0.75, 5, 1, model_id, "d", "g")
        store.log_metric(run, point)
        store.log_metric(run, point)
        store.log_batch(run, [Metric("acc", math.nan, 6, 2, model_id), Metric("other", 1.0, 6)])
        first, second = store.get_logged_model(model_id).metrics
        assert first == Metric("acc", 0.75, 5, 1, model_id, "d", "g", run)
        assert (math.isnan(second.value), second.step, second.dataset_name) == (True, 2, None)
        assert set(store.get_run(run).data.metrics) == {"acc", "other"}

    def test_a_point_for_an_unknown_model_is_refused_whole(self, store: Store) -> None:
        run = new_run(store)
        with pytest.raises(BadRequestError, match="m-nope"):
            store.log_metric(run, Metric("acc", 1.0, 1, model_id="m-nope"))
        with pytest.raises(BadRequestError, match="m-nope"):
            store.log_batch(run, [Metric("acc", 1.0, 1, model_id="m-nope")])
        assert store.get_run(run).data.metrics == {}

    def test_search_filters_orders_and_pages(self, store: Store) -> None:
        run = new_run(store)
        experiment = store.get_run(run).info.experiment_id
        for index, name in enumerate("abc"):
            model = store.create_logged_model(experiment, name, run, {"k": name}, {"p": str(index % 2)})
            store.log_metric(run, Metric("acc", 0.5 + index / 10, 5, model_id=model.model_id))
        by_name = [{"field_name": "name", "ascending": True}]

        def found(text: str) -> str:
            page = store.search_logged_models([experiment], text, order_by=by_name)
            return "".join(model.name for model in page.items)

        assert found("name IN ('a', 'c')") == "ac"
        assert found("params.p = '0'") == "ac"
        assert found("tags.k != 'a'") == "bc"
        assert found("metrics.acc >= 0.6") == "bc"
        assert found(f"source_run_id = '{run}' AND metrics.acc > 0.5 AND params.p = '0'") == "c"
        assert found("status = 1") == "abc"
        best = [{"field_name": "metrics.acc", "ascending": False}]
        first = store.search_logged_models([experiment], max_results=2, order_by=best)
        assert [model.name for model in first.items] == ["c", "b"]
        rest = store.search_logged_models([experiment], max_results=2, order_by=best, page_token=first.token)
        assert ([model.name for model in rest.items], rest.token) == (["a"], None)
        with pytest.raises(InvalidParameterError, match="token"):
            store.search_logged_models([experiment], max_results=2, order_by=by_name, page_token=first.token)

    def test_search_counts_only_points_on_the_datasets_asked_for(self, store: Store) -> None:
        run = new_run(store)
        experiment = store.get_run(run).info.experiment_id
        for name, on in (("a", "train"), ("b", "test")):
            model = store.create_logged_model(experiment, name)
            store.log_metric(run, Metric("acc", 0.9, 5, 0, model.model_id, on, "g"))
        page = store.search_logged_models(
            [experiment], "metrics.acc > 0.5", [{"dataset_name": "test", "dataset_digest": "g"}]
        )
        assert [model.name for model in page.items] == ["b"]


class DatasetContract:
    def test_inputs_are_read_back_with_the_first_tags(self, store: Store) -> None:
        run = new_run(store)
        first = dataset(mlflow_data_context="training")
        store.log_inputs(run, [first])
        store.log_inputs(run, [dataset(mlflow_data_context="again")])
        store.log_inputs(run, [dataset("val", "d2"), dataset("val", "d2", a="late")], ["m-1"])
        inputs = store.get_run(run).inputs
        assert inputs.dataset_inputs == [first, dataset("val", "d2")]
        assert inputs.model_inputs == [LoggedModelInput("m-1")]

    def test_runs_share_a_dataset_but_not_its_tags(self, store: Store) -> None:
        experiment = store.create_experiment(unique())
        one, two = (store.create_run(experiment).info.run_id for _ in range(2))
        store.log_inputs(one, [dataset(mlflow_data_context="training")])
        store.log_inputs(two, [dataset(mlflow_data_context="eval")])
        tags = [store.get_run(run).inputs.dataset_inputs[0].tags for run in (one, two)]
        assert tags == [
            [InputTag("mlflow.data.context", "training")],
            [InputTag("mlflow.data.context", "eval")],
        ]
        summaries = store.search_datasets([experiment])
        assert [(each.name, each.digest, each.context) for each in summaries] == [
            ("train", "d1", "eval"),
            ("train", "d1", "training"),
        ]

    def test_a_summary_without_context_has_none(self, store: Store) -> None:
        run = new_run(store)
        store.log_inputs(run, [dataset()])
        (summary,) = store.search_datasets([store.get_run(run).info.experiment_id])
        assert (summary.name, summary.context) == ("train", None)

    def test_outputs_are_read_back(self, store: Store) -> None:
        run = new_run(store)
        store.log_outputs(run, [LoggedModelOutput("m-b", 1), LoggedModelOutput("m-a", 4)])
        store.log_outputs(run, [LoggedModelOutput("m-b", 1)])
        assert store.get_run(run).outputs.model_outputs == [
            LoggedModelOutput("m-b", 1),
            LoggedModelOutput("m-a", 4),
        ]

    @pytest.mark.parametrize(
        "bad",
        [
            dataset("n" * 501),
            dataset(digest="d" * 37),
            dataset(**{"k" * 256: "v"}),
            dataset(k="v" * 501),
        ],
        ids=["name", "digest", "key", "value"],
    )
    def test_too_long_is_refused_and_nothing_stored(self, store: Store, bad: DatasetInput) -> None:
        run = new_run(store)
        with pytest.raises(InvalidParameterError, match="limit"):
            store.log_inputs(run, [dataset("good"), bad])
        assert store.get_run(run).inputs.dataset_inputs == []

    def test_the_run_must_be_there_and_active(self, store: Store) -> None:
        with pytest.raises(NotFoundError):
            store.log_inputs("0" * 32, [dataset()])
        run = new_run(store)
        store.delete_run(run)
        for call in (
            lambda: store.log_inputs(run, [dataset()]),
            lambda: store.log_outputs(run, [LoggedModelOutput("m-1")]),
            lambda: store.record_model(run, _mlmodel(run)),
        ):
            with pytest.raises(InvalidParameterError, match="active"):
                call()

    def test_recorded_models_pile_up_in_a_tag(self, store: Store) -> None:
        run = new_run(store)
        store.record_model(run, _mlmodel(run))
        store.record_model(run, _mlmodel(run, artifact_path="second"))
        history = json.loads(store.get_run(run).data.tags["mlflow.log-model.history"])
        assert [entry["artifact_path"] for entry in history] == ["model", "second"]
        assert history[0] == {
            "run_id": run,
            "artifact_path": "model",
            "utc_time_created": "2024-01-01 00:00:00.000000",
            "model_uuid": None,
            "flavors": {"python_function": {"loader_module": "x"}},
        }

    @pytest.mark.parametrize("text", ["{", "{}", "[]", "3", '{"artifact_path": "m"}'])
    def test_a_broken_mlmodel_is_refused(self, store: Store, text: str) -> None:
        run = new_run(store)
        with pytest.raises(InvalidParameterError, match="model_json"):
            store.record_model(run, text)

    @pytest.mark.parametrize("count", [0, 21])
    def test_search_takes_1_to_20_experiments(self, store: Store, count: int) -> None:
        with pytest.raises(InvalidParameterError, match="experiment_ids"):
            store.search_datasets(["0"] * count)


def _mlmodel(run: str, artifact_path: str = "model") -> str:
    flavor = {"loader_module": "x", "config": {"secret": 1}}
    return json.dumps(
        {
            "artifact_path": artifact_path,
            "flavors": {"python_function": flavor},
            "utc_time_created": "2024-01-01 00:00:00.000000",
            "run_id": run,
            "extra": "left out",
        }
    )
