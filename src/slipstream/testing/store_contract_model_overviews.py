"""The part of the store's contract that is about registered models as pages list them."""

import math

import pytest

from slipstream.entities import Metric
from slipstream.errors import InvalidParameterError, NotFoundError
from slipstream.store.base import Store
from slipstream.testing.store_contract import new_run, unique

REMOTE = "s3://bucket/model"


class ModelOverviewContract:
    def test_any_window_of_rows(self, store: Store) -> None:
        mark = unique("window")
        names = [store.create_registered_model(f"{mark}-{number}").name for number in range(5)]
        wanted = f"name ILIKE '{mark}%'"
        for offset, limit in ((0, 2), (2, 2), (4, 2), (5, 2)):
            found = store.search_model_overviews(wanted, ["name ASC"], offset, limit)
            assert (found.total, found.offset) == (5, offset)
            assert [model.name for model in found.models] == names[offset : offset + limit]
        backwards = store.search_model_overviews(wanted, ["name DESC"], 0, 2)
        assert [model.name for model in backwards.models] == names[:2:-1]

    def test_a_model_without_versions(self, store: Store) -> None:
        name = store.create_registered_model(unique(), {"team": "a"}, "what it is").name
        (model,) = store.search_model_overviews(f"name = '{name}'").models
        assert (model.versions, model.latest_version, model.leading) == (0, None, None)
        assert (model.tags, model.description, model.aliases) == ({"team": "a"}, "what it is", {})
        assert model.last_updated_timestamp >= model.creation_timestamp > 0

    def test_which_version_stands_for_its_model(self, store: Store) -> None:
        name = store.create_registered_model(unique()).name

        def leading() -> tuple[str, str]:
            (model,) = store.search_model_overviews(f"name = '{name}'").models
            assert model.leading is not None
            return model.leading.version, model.leading.why

        for _ in range(4):
            store.create_model_version(name, REMOTE)
        assert leading() == ("4", "latest")
        store.transition_model_version_stage(name, "3", "Production")
        assert leading() == ("3", "Production")
        store.set_registered_model_alias(name, "production", "2")
        assert leading() == ("2", "production")
        store.set_registered_model_alias(name, "champion", "1")
        assert leading() == ("1", "champion")
        store.delete_model_version(name, "1")  # and its alias
        store.delete_model_version(name, "4")
        (model,) = store.search_model_overviews(f"name = '{name}'").models
        assert (model.versions, model.latest_version) == (2, "3")
        assert model.aliases == {"production": "2"}
        assert leading() == ("2", "production")

    def test_metrics_of_its_run(self, store: Store) -> None:
        run = new_run(store)
        values = {"a": 1.0, "b": math.inf, "c": math.nan, "d": 4.0, "e": 5.0, "system/a": 6.0}
        store.log_batch(run, [Metric(key, value, 1, 0) for key, value in values.items()], [], [])
        name = store.create_registered_model(unique()).name
        store.create_model_version(name, REMOTE, run)
        other = store.create_registered_model(unique()).name
        store.create_model_version(other, REMOTE, new_run(store))

        def metrics(model: str, *keys: str) -> dict[str, float]:
            (found,) = store.search_model_overviews(f"name = '{model}'", metric_keys=keys).models
            assert found.leading is not None
            assert found.leading.run_id
            return found.leading.metrics

        first = metrics(name)
        assert list(first) == ["a", "b", "c", "d"]
        assert (first["a"], first["b"], first["d"]) == (1.0, math.inf, 4.0)
        assert math.isnan(first["c"])
        assert metrics(name, "e", "system/a", "none") == {"e": 5.0, "system/a": 6.0}
        assert metrics(other) == {}

    def test_versions_with_their_runs(self, store: Store) -> None:
        name = store.create_registered_model(unique()).name
        runs = [new_run(store) for _ in range(3)]
        for number, run in enumerate(runs):
            store.log_batch(run, [Metric(f"m{k:02d}", float(number), 1, 0) for k in range(10)], [], [])
            store.create_model_version(name, REMOTE, run, {"k": str(number)})
        store.create_model_version(name, REMOTE)
        store.set_registered_model_alias(name, "best", "2")

        found = store.search_version_overviews(name)
        assert (found.total, found.offset) == (4, 0)
        assert [each.version.version for each in found.versions] == ["4", "3", "2", "1"]
        assert found.versions[0].run is None
        second = found.versions[2]
        assert second.version == store.get_model_version(name, "2")
        assert second.version.aliases == ["best"]
        assert second.run is not None
        info = store.get_run(runs[1]).info
        assert (second.run.run_id, second.run.run_name) == (runs[1], info.run_name)
        assert (second.run.experiment_id, second.run.status) == (info.experiment_id, info.status)
        assert second.run.metrics == {f"m{k:02d}": 1.0 for k in range(8)}

        window = store.search_version_overviews(
            name, order_by=["version_number ASC"], offset=1, limit=2, metric_keys=["m09", "none"]
        )
        assert window.total == 4
        assert [each.version.version for each in window.versions] == ["2", "3"]
        assert [each.run and each.run.metrics for each in window.versions] == [{"m09": 1.0}, {"m09": 2.0}]
        tagged = store.search_version_overviews(name, "tags.k = '2'")
        assert [each.version.version for each in tagged.versions] == ["3"]
        store.delete_model_version(name, "4")
        assert store.search_version_overviews(name).total == 3
        with pytest.raises(NotFoundError):
            store.search_version_overviews(unique())

    @pytest.mark.parametrize(
        ("field", "wanted"),
        [
            ("offset", {"offset": -1}),
            ("limit", {"limit": 0}),
            ("limit", {"limit": 1_001}),
            ("metric_keys", {"metric_keys": ["m"] * 21}),
        ],
    )
    def test_what_is_too_much_is_refused(self, store: Store, field: str, wanted: dict[str, object]) -> None:
        with pytest.raises(InvalidParameterError, match=f"'{field}'"):
            store.search_model_overviews(**wanted)  # pyright: ignore[reportArgumentType]
