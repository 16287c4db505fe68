"""The suite that every `Store` passes. Subclass it with a fixture `store` to run it on yours.

    class TestMyStore(ExperimentContract, RunContract, MetricContract, SearchContract):
        @pytest.fixture
        def store(self): ...

Names that a test creates are unique, so a store may be shared by all tests.
"""

import math
import secrets

import pytest

from slipstream.entities import LifecycleStage, Metric, Param, RunTag, ViewType
from slipstream.errors import (
    AlreadyExistsError,
    BadRequestError,
    InvalidParameterError,
    InvalidStateError,
    NotFoundError,
)
from slipstream.rules import limits
from slipstream.store.base import Store


def unique(prefix: str = "n") -> str:
    """Return a name that no other test uses."""
    return f"{prefix}-{secrets.token_hex(6)}"


def new_run(store: Store, **kwargs: object) -> str:
    """Make a run in an experiment of its own and return its id."""
    return store.create_run(store.create_experiment(unique()), **kwargs).info.run_id  # pyright: ignore[reportArgumentType]


class ExperimentContract:
    def test_a_new_experiment_is_read_back(self, store: Store) -> None:
        name = unique()
        number = store.create_experiment(name, tags={"team": "a", "empty": ""})
        found = store.get_experiment(number)
        assert (found.name, found.lifecycle_stage) == (name, LifecycleStage.ACTIVE)
        assert found.tags == {"team": "a", "empty": ""}
        assert found.artifact_location.endswith(f"/{number}")
        assert store.find_experiment_by_name(name) == found

    def test_experiment_0_is_there(self, store: Store) -> None:
        assert store.get_experiment("0").name == "Default"

    def test_a_name_is_taken_once_even_by_a_deleted_one(self, store: Store) -> None:
        name = unique()
        number = store.create_experiment(name)
        with pytest.raises(AlreadyExistsError, match=name):
            store.create_experiment(name)
        store.delete_experiment(number)
        with pytest.raises(AlreadyExistsError, match=name):
            store.create_experiment(name)

    def test_delete_and_restore_take_the_runs_along(self, store: Store) -> None:
        number = store.create_experiment(unique())
        run = store.create_run(number).info.run_id
        store.delete_experiment(number)
        assert store.get_experiment(number).lifecycle_stage == LifecycleStage.DELETED
        assert store.get_run(run).info.lifecycle_stage == LifecycleStage.DELETED
        with pytest.raises(InvalidParameterError, match="active"):
            store.create_run(number)
        with pytest.raises(NotFoundError):
            store.delete_experiment(number)
        store.restore_experiment(number)
        assert store.get_run(run).info.lifecycle_stage == LifecycleStage.ACTIVE
        with pytest.raises(NotFoundError):
            store.restore_experiment(number)

    def test_rename(self, store: Store) -> None:
        number, other = store.create_experiment(unique()), unique()
        store.create_experiment(other)
        with pytest.raises(BadRequestError, match=other):
            store.rename_experiment(number, other)
        new = unique()
        store.rename_experiment(number, new)
        assert store.get_experiment(number).name == new
        store.delete_experiment(number)
        with pytest.raises(InvalidStateError):
            store.rename_experiment(number, unique())

    def test_tags(self, store: Store) -> None:
        number = store.create_experiment(unique())
        store.set_experiment_tag(number, "k", "1")
        store.set_experiment_tag(number, "k", "2")
        assert store.get_experiment(number).tags == {"k": "2"}
        store.delete_experiment_tag(number, "k")
        assert store.get_experiment(number).tags == {}
        with pytest.raises(NotFoundError, match="k"):
            store.delete_experiment_tag(number, "k")

    def test_tags_come_by_key(self, store: Store) -> None:
        number = store.create_experiment(unique())
        for key in ("m", "z", "B", "a"):
            store.set_experiment_tag(number, key, "1")
        assert list(store.get_experiment(number).tags) == ["B", "a", "m", "z"]

    @pytest.mark.parametrize("number", ["abc", "1.5", "-1", "", "١"])
    def test_an_id_that_is_no_number_is_refused(self, store: Store, number: str) -> None:
        with pytest.raises(InvalidParameterError, match="experiment_id"):
            store.get_experiment(number)

    def test_unknown_ids(self, store: Store) -> None:
        with pytest.raises(NotFoundError, match="999999999"):
            store.get_experiment("999999999")
        assert store.find_experiment_by_name(unique()) is None

    def test_search_pages_through_all_once(self, store: Store) -> None:
        prefix = unique("p")
        numbers = [store.create_experiment(f"{prefix}-{i}") for i in range(5)]
        seen: list[str] = []
        token = None
        while True:
            page = store.search_experiments(
                ViewType.ACTIVE_ONLY, 2, f"name LIKE '{prefix}-%'", ["name DESC"], token
            )
            seen += [each.experiment_id for each in page.items]
            token = page.token
            if token is None:
                break
        assert seen == numbers[::-1]


class RunContract:
    def test_a_new_run_is_read_back(self, store: Store) -> None:
        number = store.create_experiment(unique())
        run = store.create_run(number, "ann", "first", 1700000000123, [RunTag("a", "1")])
        found = store.get_run(run.info.run_id)
        assert found.info == run.info
        assert (found.info.status, found.info.user_id, found.info.start_time) == (
            "RUNNING",
            "ann",
            1700000000123,
        )
        assert found.data.tags == {"a": "1", "mlflow.runName": "first"}
        assert found.info.artifact_uri.endswith(f"/{number}/{run.info.run_id}/artifacts")

    def test_a_run_without_a_name_gets_one(self, store: Store) -> None:
        found = store.get_run(new_run(store))
        assert found.info.run_name
        assert found.data.tags["mlflow.runName"] == found.info.run_name

    def test_update_changes_only_what_is_given(self, store: Store) -> None:
        run = new_run(store, run_name="one")
        info = store.update_run(run, "FINISHED", 5)
        assert (info.status, info.end_time, info.run_name) == ("FINISHED", 5, "one")
        info = store.update_run(run, run_name="two")
        assert (info.status, info.end_time, info.run_name) == ("FINISHED", 5, "two")
        assert store.get_run(run).data.tags["mlflow.runName"] == "two"
        with pytest.raises(InvalidParameterError, match="BOGUS"):
            store.update_run(run, "BOGUS")

    def test_params_are_written_once(self, store: Store) -> None:
        run = new_run(store)
        store.log_param(run, "lr", "0.1")
        store.log_param(run, "lr", "0.1")
        with pytest.raises(InvalidParameterError, match=r"lr.*0\.1.*0\.2"):
            store.log_param(run, "lr", "0.2")
        assert store.get_run(run).data.params == {"lr": "0.1"}

    def test_what_a_run_has_comes_by_key(self, store: Store) -> None:
        number = store.create_experiment(unique())
        made = store.create_run(number, tags=[RunTag("b", "1"), RunTag("a", "1"), RunTag("z", "1")])
        run = made.info.run_id
        for key in (
            "m",
            "c",
            "Z",
            "\u00e9",
            "x",
            "a",
            "mm",
            "\U0001d400",
            "\ufb01",
        ):  # none but names by code point
            store.log_metric(run, Metric(key, 1.0, 1))
            store.log_param(run, key, "1")
            store.set_tag(run, key, "1")
        store.log_batch(
            run, [Metric(key, 2.0, 2, 1) for key in ("m", "b")], [Param("b", "1")], [RunTag("m", "2")]
        )
        [found] = store.search_runs([number]).items
        for data in (made.data, store.get_run(run).data, found.data):
            keys = [metric.key for metric in data.latest_metrics]
            assert keys == sorted(keys)
            assert list(data.params) == sorted(data.params)
            assert list(data.tags) == sorted(data.tags)
        assert len(store.get_run(run).data.latest_metrics) == len(found.data.params) == 10

    def test_a_batch_is_all_or_nothing(self, store: Store) -> None:
        run = new_run(store)
        store.log_param(run, "p", "1")
        with pytest.raises(InvalidParameterError):
            store.log_batch(
                run, [Metric("m", 1.0, 1)], [Param("q", "1"), Param("p", "2")], [RunTag("t", "1")]
            )
        data = store.get_run(run).data
        assert (data.metrics, data.params, "t" in data.tags) == ({}, {"p": "1"}, False)

    def test_the_name_tag_renames(self, store: Store) -> None:
        run = new_run(store, run_name="one")
        store.set_tag(run, "mlflow.runName", "two")
        assert store.get_run(run).info.run_name == "two"
        store.log_batch(run, tags=[RunTag("mlflow.runName", "three")])
        assert store.get_run(run).info.run_name == "three"

    def test_a_deleted_run_takes_no_writes(self, store: Store) -> None:
        run = new_run(store)
        store.delete_run(run)
        store.delete_run(run)
        for write in (
            lambda: store.log_param(run, "p", "1"),
            lambda: store.set_tag(run, "t", "1"),
            lambda: store.log_metric(run, Metric("m", 1.0, 1)),
            lambda: store.log_batch(run, [Metric("m", 1.0, 1)]),
            lambda: store.update_run(run, "FAILED"),
        ):
            with pytest.raises(InvalidParameterError, match="deleted"):
                write()
        store.restore_run(run)
        store.log_param(run, "p", "1")

    def test_unknown_runs(self, store: Store) -> None:
        for call in (store.get_run, store.delete_run, store.restore_run):
            with pytest.raises(NotFoundError, match="not found"):
                call("0" * 32)
        with pytest.raises(NotFoundError):
            store.log_metric("0" * 32, Metric("m", 1.0, 1))

    @pytest.mark.parametrize("key", ["", "a//b", "../up", "/abs", "a/.", "bad#key", "k" * 251])
    def test_keys_that_break_the_rules(self, store: Store, key: str) -> None:
        run = new_run(store)
        with pytest.raises(InvalidParameterError):
            store.log_param(run, key, "v")
        with pytest.raises(InvalidParameterError):
            store.set_tag(run, key, "v")
        with pytest.raises(InvalidParameterError):
            store.log_metric(run, Metric(key, 1.0, 1))

    def test_unicode_and_quotes_come_back(self, store: Store) -> None:
        run = new_run(store)
        text = "ü'\"\\ %s :name \x01 🚀\n"
        store.log_param(run, "größe", text)
        store.set_tag(run, "größe", text)
        data = store.get_run(run).data
        assert (data.params["größe"], data.tags["größe"]) == (text, text)


class MetricContract:
    def test_latest_is_the_largest_step_timestamp_value(self, store: Store) -> None:
        run = new_run(store)
        for value, timestamp, step in ((1.0, 10, 0), (3.0, 30, 2), (2.0, 20, 1), (9.0, 5, 2), (4.0, 30, 2)):
            store.log_metric(run, Metric("loss", value, timestamp, step))
        (latest,) = store.get_run(run).data.latest_metrics
        assert (latest.value, latest.timestamp, latest.step) == (4.0, 30, 2)
        history = [(p.timestamp, p.step, p.value) for p in store.get_metric_history(run, "loss").items]
        assert history == [(5, 2, 9.0), (10, 0, 1.0), (20, 1, 2.0), (30, 2, 3.0), (30, 2, 4.0)]

    def test_logging_twice_is_harmless(self, store: Store) -> None:
        run = new_run(store)
        points = [Metric("m", float(i), i, i) for i in range(20)]
        store.log_batch(run, points)
        store.log_batch(run, [*points, *points])
        store.log_metric(run, points[3])
        assert len(store.get_metric_history(run, "m").items) == 20

    def test_nan_is_kept_and_counts_as_zero(self, store: Store) -> None:
        run = new_run(store)
        store.log_batch(run, [Metric("m", math.nan, 1, 1), Metric("m", -1.0, 1, 1), Metric("m", 0.0, 1, 1)])
        values = [p.value for p in store.get_metric_history(run, "m").items]
        assert len(values) == 3
        assert values[0] == -1.0
        assert sum(math.isnan(value) for value in values) == 1

    def test_extreme_numbers(self, store: Store) -> None:
        run = new_run(store)
        value, timestamp, step = 5e-324, 2**63 - 1, -(2**63)
        store.log_metric(run, Metric("m", value, timestamp, step))
        (point,) = store.get_metric_history(run, "m").items
        assert (point.value, point.timestamp, point.step) == (value, timestamp, step)

    def test_history_in_pages(self, store: Store) -> None:
        run = new_run(store)
        store.log_batch(run, [Metric("m", float(i % 3), 100 + i // 4, i) for i in range(25)])
        whole = store.get_metric_history(run, "m").items
        pages: list[Metric] = []
        token = None
        while True:
            page = store.get_metric_history(run, "m", 4, token)
            pages += page.items
            token = page.token
            if token is None:
                break
        assert pages == whole
        assert len(whole) == 25
        with pytest.raises(InvalidParameterError, match="page token"):
            store.get_metric_history(run, "m", 4, "rubbish")

    def test_history_tokens_belong_to_one_metric(self, store: Store) -> None:
        run = new_run(store)
        for key in ("a", "b"):
            store.log_batch(run, [Metric(key, float(n), n, n) for n in range(6)])
        token = store.get_metric_history(run, "a", 4).token
        assert token is not None
        assert len(store.get_metric_history(run, "a", 4, token).items) == 2
        with pytest.raises(InvalidParameterError, match="page token"):
            store.get_metric_history(run, "b", 4, token)
        assert len(store.get_metric_history(run, "a", limits.INT64_MAX).items) == 6

    def test_interval_samples_by_position_with_the_last(self, store: Store) -> None:
        run = new_run(store)
        store.log_batch(run, [Metric("m", float(i), 100 + i, i) for i in range(10)])
        steps = [p.step for p in store.get_metric_history_interval([run], "m", max_results=4)]
        assert steps == [0, 3, 6, 9]
        assert [p.step for p in store.get_metric_history_interval([run], "m", max_results=1)] == [9]
        assert [p.step for p in store.get_metric_history_interval([run], "m", 2, 4)] == [2, 3, 4]

    def test_negative_timestamps_are_refused(self, store: Store) -> None:
        run = new_run(store)
        with pytest.raises(InvalidParameterError, match="timestamp"):
            store.log_metric(run, Metric("m", 1.0, -1))
        with pytest.raises(InvalidParameterError, match="timestamp"):
            store.log_batch(run, [Metric("m", 1.0, -1)])

    def test_many_keys_in_one_batch(self, store: Store) -> None:
        run = new_run(store)
        store.log_batch(run, [Metric(f"m{i}", float(i), 1) for i in range(1000)])
        assert store.get_run(run).data.metrics == {f"m{i}": float(i) for i in range(1000)}


class SearchContract:
    @pytest.fixture
    def population(self, store: Store) -> tuple[str, dict[str, str]]:
        """Four runs with overlapping metrics, params and tags; their ids by name."""
        number = store.create_experiment(unique())
        ids: dict[str, str] = {}
        rows: list[tuple[str, int, dict[str, float], dict[str, str], dict[str, str]]] = [
            (
                "r1",
                1000,
                {"acc": 0.9, "loss": 0.1},
                {"lr": "0.1", "opt": "sgd"},
                {"team": "red", "Mixed Key": "one"},
            ),
            ("r2", 3000, {"acc": 0.5}, {"lr": "0.01", "opt": "adam"}, {"team": "blue"}),
            ("r3", 2000, {"acc": math.nan, "loss": 0.3}, {"lr": "0.1"}, {"team": "Red"}),
            ("r4", 2500, {"loss": 0.2}, {"opt": "Adam"}, {"größe": "ÄÖ"}),
        ]
        for name, start, metrics, params, tags in rows:
            run = store.create_run(number, f"u-{name}", name, start).info.run_id
            store.log_batch(
                run,
                [Metric(key, value, 1) for key, value in metrics.items()],
                [Param(key, value) for key, value in params.items()],
                [RunTag(key, value) for key, value in tags.items()],
            )
            ids[name] = run
        store.update_run(ids["r2"], "FINISHED", 5000)
        return number, ids

    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("", "r1 r2 r3 r4"),
            ("metrics.acc > 0.6", "r1"),
            ("metrics.acc != 0.5", "r1 r3"),
            ("metrics.acc <= 1e400", "r1 r2"),
            ("params.lr = '0.1'", "r1 r3"),
            ("params.lr != '0.1'", "r2"),
            ("params.opt LIKE 'a%'", "r2"),
            ("params.opt ILIKE 'ADAM'", "r2 r4"),
            ("tags.team IS NULL", "r4"),
            ("tags.team IS NOT NULL AND metrics.loss < 0.2", "r1"),
            ("tags.`Mixed Key` = 'one'", "r1"),
            ('tags."Mixed Key" = "one"', "r1"),
            ("tags.`größe` ILIKE 'ä_'", "r4"),
            ("tags.team LIKE '%\\%'", ""),
            ("status = 'FINISHED'", "r2"),
            ("start_time >= 2000 AND start_time < 3000", "r3 r4"),
            ("end_time > 1", "r2"),
            ("start_time < 99999999999999999999999", "r1 r2 r3 r4"),
            ("user_id = 'u-r3'", "r3"),
            ("attributes.`Run name` = 'r1'", "r1"),
            ("tags.team = 'red'' OR 1=1 --'", None),
        ],
    )
    def test_filters(
        self, store: Store, population: tuple[str, dict[str, str]], text: str, found: str | None
    ) -> None:
        if found is None:
            with pytest.raises(InvalidParameterError, match="filter"):
                store.search_runs([population[0]], text)
            return
        page = store.search_runs([population[0]], text, order_by=["run_name"])
        assert " ".join(run.info.run_name for run in page.items) == found

    @pytest.mark.parametrize(
        ("order", "names"),
        [
            (["metrics.acc ASC"], "r2 r1 r3 r4"),
            (["metrics.acc DESC"], "r1 r2 r3 r4"),
            (["params.lr", "start_time"], "r2 r1 r3 r4"),
            (["tags.team DESC"], "r1 r2 r3 r4"),
            (["attributes.end_time DESC"], "r2 r4 r3 r1"),
            ([], "r2 r4 r3 r1"),
        ],
    )
    @pytest.mark.parametrize("size", [1, 3, 50])
    def test_orders_in_pages(
        self, store: Store, population: tuple[str, dict[str, str]], order: list[str], names: str, size: int
    ) -> None:
        seen: list[str] = []
        token = None
        while True:
            page = store.search_runs([population[0]], max_results=size, order_by=order, page_token=token)
            seen += [run.info.run_name for run in page.items]
            token = page.token
            if token is None:
                break
        assert " ".join(seen) == names

    def test_views(self, store: Store, population: tuple[str, dict[str, str]]) -> None:
        number, ids = population
        store.delete_run(ids["r3"])

        def names(view: ViewType) -> str:
            page = store.search_runs([number], run_view_type=view, order_by=["run_name"])
            return " ".join(run.info.run_name for run in page.items)

        assert names(ViewType.ACTIVE_ONLY) == "r1 r2 r4"
        assert names(ViewType.DELETED_ONLY) == "r3"
        assert names(ViewType.ALL) == "r1 r2 r3 r4"

    def test_no_experiment_has_no_runs(self, store: Store) -> None:
        assert store.search_runs([]).items == []
        with pytest.raises(InvalidParameterError, match="page token"):
            store.search_runs(["0"], page_token="rubbish")  # noqa: S106
