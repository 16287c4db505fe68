"""The suite that every `Store` passes: registered models, their versions, and where these may come from.

Used like `store_contract`; names that a test creates are unique, so a store may be shared by all tests.
"""

import json

import pytest

from slipstream.entities import ModelVersion
from slipstream.errors import AlreadyExistsError, InvalidParameterError, NotFoundError
from slipstream.store.base import Store
from slipstream.testing.store_contract import new_run, unique

REMOTE = "s3://bucket/model"


def new_model(store: Store, versions: int = 0, prefix: str = "m") -> str:
    """Make a registered model with some versions and return its name."""
    name = store.create_registered_model(unique(prefix)).name
    for _ in range(versions):
        store.create_model_version(name, REMOTE)
    return name


def numbers(versions: list[ModelVersion]) -> list[str]:
    return [version.version for version in versions]


class RegisteredModelContract:
    def test_a_new_model_is_read_back(self, store: Store) -> None:
        name = unique()
        made = store.create_registered_model(name, {"team": "a", "empty": ""}, "first")
        assert store.get_registered_model(name) == made
        assert (made.name, made.description) == (name, "first")
        assert made.tags == {"team": "a", "empty": ""}
        assert made.creation_timestamp == made.last_updated_timestamp > 0
        assert (made.latest_versions, made.aliases) == ([], {})

    def test_an_empty_description_is_none(self, store: Store) -> None:
        assert store.create_registered_model(unique(), description="").description is None

    def test_a_name_is_taken_once(self, store: Store) -> None:
        name = new_model(store)
        with pytest.raises(AlreadyExistsError, match=name):
            store.create_registered_model(name)

    @pytest.mark.parametrize("name", ["", "  ", "a/b", "a:b", ".", "..", "n" * 257])
    def test_bad_names_are_refused(self, store: Store, name: str) -> None:
        with pytest.raises(InvalidParameterError, match="name"):
            store.create_registered_model(name)
        with pytest.raises(InvalidParameterError, match="new_name"):
            store.rename_registered_model(new_model(store), name)

    def test_a_description_can_be_changed_and_cleared(self, store: Store) -> None:
        name = new_model(store)
        assert store.update_registered_model(name, "new").description == "new"
        assert store.update_registered_model(name, None).description is None
        assert store.get_registered_model(name).description is None

    def test_rename_takes_versions_tags_and_aliases_along(self, store: Store) -> None:
        name, new = new_model(store, versions=2), unique()
        store.set_registered_model_tag(name, "k", "v")
        store.set_registered_model_alias(name, "best", "1")
        assert store.rename_registered_model(name, new).name == new
        found = store.get_registered_model(new)
        assert (found.tags, found.aliases) == ({"k": "v"}, {"best": "1"})
        assert store.get_model_version(new, "2").name == new
        with pytest.raises(NotFoundError, match=name):
            store.get_registered_model(name)

    def test_rename_to_a_taken_name_is_refused(self, store: Store) -> None:
        name, other = new_model(store), new_model(store)
        with pytest.raises(AlreadyExistsError, match=other):
            store.rename_registered_model(name, other)

    def test_delete_takes_everything_and_frees_the_name(self, store: Store) -> None:
        name = new_model(store, versions=1)
        store.set_registered_model_tag(name, "k", "v")
        store.set_model_version_tag(name, "1", "k", "v")
        store.set_registered_model_alias(name, "best", "1")
        store.delete_registered_model(name)
        with pytest.raises(NotFoundError):
            store.get_model_version(name, "1")
        again = store.create_registered_model(name)
        assert (again.tags, again.aliases, again.latest_versions) == ({}, {}, [])
        assert store.create_model_version(name, REMOTE).version == "1"

    def test_what_is_missing_is_not_found(self, store: Store) -> None:
        name = unique()
        for call in (
            lambda: store.get_registered_model(name),
            lambda: store.update_registered_model(name, "x"),
            lambda: store.rename_registered_model(name, unique()),
            lambda: store.delete_registered_model(name),
            lambda: store.get_latest_versions(name),
            lambda: store.set_registered_model_tag(name, "k", "v"),
            lambda: store.delete_registered_model_tag(name, "k"),
            lambda: store.set_registered_model_alias(name, "a", "1"),
            lambda: store.delete_registered_model_alias(name, "a"),
            lambda: store.get_model_version_by_alias(name, "a"),
            lambda: store.create_model_version(name, REMOTE),
            lambda: store.get_model_version(name, "1"),
        ):
            with pytest.raises(NotFoundError, match=name):
                call()

    def test_tags_are_set_changed_and_deleted(self, store: Store) -> None:
        name = new_model(store)
        store.set_registered_model_tag(name, "a", "1")
        store.set_registered_model_tag(name, "a", "2")
        store.set_registered_model_tag(name, "b", "")
        assert store.get_registered_model(name).tags == {"a": "2", "b": ""}
        store.delete_registered_model_tag(name, "a")
        store.delete_registered_model_tag(name, "a")
        assert store.get_registered_model(name).tags == {"b": ""}

    @pytest.mark.parametrize(
        ("key", "value"), [("k" * 251, "v"), ("a|b", "v"), ("../x", "v"), ("k", "v" * 100_001)]
    )
    def test_bad_tags_are_refused(self, store: Store, key: str, value: str) -> None:
        name = new_model(store, versions=1)
        with pytest.raises(InvalidParameterError):
            store.set_registered_model_tag(name, key, value)
        with pytest.raises(InvalidParameterError):
            store.set_model_version_tag(name, "1", key, value)
        with pytest.raises(InvalidParameterError):
            store.create_registered_model(unique(), {key: value})

    def test_an_alias_moves_and_goes(self, store: Store) -> None:
        name = new_model(store, versions=2)
        store.set_registered_model_alias(name, "champion", "1")
        store.set_registered_model_alias(name, "Über-1", "1")
        assert store.get_model_version_by_alias(name, "champion").version == "1"
        assert store.get_model_version(name, "1").aliases == ["champion", "Über-1"]
        store.set_registered_model_alias(name, "champion", "2")
        assert store.get_registered_model(name).aliases == {"champion": "2", "Über-1": "1"}
        store.delete_registered_model_alias(name, "Über-1")
        store.delete_registered_model_alias(name, "Über-1")
        with pytest.raises(InvalidParameterError, match="Über-1"):
            store.get_model_version_by_alias(name, "Über-1")

    @pytest.mark.parametrize("alias", ["", "latest", "Latest", "v3", "V12", "has space", "a/b", "a" * 256])
    def test_bad_aliases_are_refused(self, store: Store, alias: str) -> None:
        with pytest.raises(InvalidParameterError, match="alias"):
            store.set_registered_model_alias(new_model(store, versions=1), alias, "1")

    def test_an_alias_needs_a_version_that_is_there(self, store: Store) -> None:
        with pytest.raises(NotFoundError):
            store.set_registered_model_alias(new_model(store, versions=1), "best", "2")

    def test_search_orders_names_by_bytes_and_pages(self, store: Store) -> None:
        scope = unique()
        for name in ("ant", "Cat", "bee"):
            store.create_registered_model(f"{scope}-{name}", {"legs": "4"})
        first = store.search_registered_models(f"name LIKE '{scope}-%'", max_results=2)
        assert [model.name for model in first.items] == [f"{scope}-Cat", f"{scope}-ant"]
        assert first.items[0].tags == {"legs": "4"}
        rest = store.search_registered_models(f"name LIKE '{scope}-%'", max_results=2, page_token=first.token)
        assert ([model.name for model in rest.items], rest.token) == ([f"{scope}-bee"], None)
        backwards = store.search_registered_models(f"name ILIKE '{scope}-C%'", order_by=["name DESC"])
        assert [model.name for model in backwards.items] == [f"{scope}-Cat"]

    def test_search_hides_prompts_unless_asked(self, store: Store) -> None:
        scope = unique()
        store.create_registered_model(f"{scope}-model")
        store.create_registered_model(f"{scope}-prompt", {"mlflow.prompt.is_prompt": "true"})
        mine = f"name LIKE '{scope}-%'"
        assert [m.name for m in store.search_registered_models(mine).items] == [f"{scope}-model"]
        asked = store.search_registered_models(f"{mine} AND tags.`mlflow.prompt.is_prompt` = 'true'")
        assert [m.name for m in asked.items] == [f"{scope}-prompt"]

    @pytest.mark.parametrize("max_results", [0, 1001])
    def test_search_pages_have_a_ceiling(self, store: Store, max_results: int) -> None:
        with pytest.raises(InvalidParameterError, match="max_results"):
            store.search_registered_models(max_results=max_results)


class ModelVersionContract:
    def test_versions_count_from_one(self, store: Store) -> None:
        name = new_model(store)
        made = store.create_model_version(name, REMOTE, tags={"k": "v"}, run_link="http://x", description="d")
        assert store.get_model_version(name, "1") == made
        assert (made.version, made.current_stage, made.status) == ("1", "None", "READY")
        assert (made.source, made.run_link, made.description, made.tags) == (
            REMOTE,
            "http://x",
            "d",
            {"k": "v"},
        )
        assert store.create_model_version(name, REMOTE).version == "2"

    def test_a_model_version_without_texts_has_empty_ones(self, store: Store) -> None:
        made = store.create_model_version(new_model(store), REMOTE)
        assert (made.description, made.run_id, made.run_link, made.tags, made.aliases) == ("", "", "", {}, [])

    def test_a_new_version_touches_its_model(self, store: Store) -> None:
        name = new_model(store)
        made = store.create_model_version(name, REMOTE)
        assert store.get_registered_model(name).last_updated_timestamp >= made.creation_timestamp

    def test_the_number_of_a_deleted_version_is_not_used_again(self, store: Store) -> None:
        name = new_model(store, versions=2)
        store.set_registered_model_alias(name, "best", "2")
        store.delete_model_version(name, "2")
        assert store.create_model_version(name, REMOTE).version == "3"
        assert store.get_registered_model(name).aliases == {}
        for call in (
            lambda: store.get_model_version(name, "2"),
            lambda: store.delete_model_version(name, "2"),
            lambda: store.update_model_version(name, "2", "x"),
            lambda: store.transition_model_version_stage(name, "2", "Staging"),
            lambda: store.get_model_version_download_uri(name, "2"),
            lambda: store.set_model_version_tag(name, "2", "k", "v"),
            lambda: store.delete_model_version_tag(name, "2", "k"),
            lambda: store.set_registered_model_alias(name, "best", "2"),
        ):
            with pytest.raises(NotFoundError):
                call()

    @pytest.mark.parametrize("version", ["one", "1.5", "-1"])
    def test_a_version_is_a_whole_number(self, store: Store, version: str) -> None:
        with pytest.raises(InvalidParameterError, match="version"):
            store.get_model_version(new_model(store, versions=1), version)

    def test_a_description_can_be_changed_and_cleared(self, store: Store) -> None:
        name = new_model(store, versions=1)
        assert store.update_model_version(name, "1", "new").description == "new"
        assert store.update_model_version(name, "1", None).description is None

    def test_tags_are_set_and_deleted(self, store: Store) -> None:
        name = new_model(store, versions=2)
        store.set_model_version_tag(name, "1", "a", "1")
        store.set_model_version_tag(name, "1", "a", "2")
        assert store.get_model_version(name, "1").tags == {"a": "2"}
        assert store.get_model_version(name, "2").tags == {}
        store.delete_model_version_tag(name, "1", "a")
        store.delete_model_version_tag(name, "1", "a")
        assert store.get_model_version(name, "1").tags == {}

    def test_a_stage_has_one_spelling(self, store: Store) -> None:
        name = new_model(store, versions=1)
        assert store.transition_model_version_stage(name, "1", "sTAGING").current_stage == "Staging"
        with pytest.raises(InvalidParameterError, match="Nowhere"):
            store.transition_model_version_stage(name, "1", "Nowhere")

    def test_a_transition_archives_only_the_others_of_that_stage(self, store: Store) -> None:
        name = new_model(store, versions=3)
        store.transition_model_version_stage(name, "1", "Staging")
        store.transition_model_version_stage(name, "3", "Production")
        store.transition_model_version_stage(name, "2", "Staging", archive_existing_versions=True)
        assert [store.get_model_version(name, n).current_stage for n in "123"] == [
            "Archived",
            "Staging",
            "Production",
        ]
        with pytest.raises(InvalidParameterError, match="Archived"):
            store.transition_model_version_stage(name, "3", "Archived", archive_existing_versions=True)

    def test_the_latest_versions_are_one_for_each_stage(self, store: Store) -> None:
        name = new_model(store, versions=4)
        for version in ("1", "2"):
            store.transition_model_version_stage(name, version, "Production")
        store.set_registered_model_alias(name, "best", "2")
        assert sorted(numbers(store.get_latest_versions(name))) == ["2", "4"]
        production = store.get_latest_versions(name, ["production", "Staging"])
        assert (numbers(production), production[0].aliases) == (["2"], ["best"])
        assert sorted(numbers(store.get_registered_model(name).latest_versions)) == ["2", "4"]
        with pytest.raises(InvalidParameterError, match="Nowhere"):
            store.get_latest_versions(name, ["Nowhere"])

    def test_search_finds_by_number_tag_and_source(self, store: Store) -> None:
        name = new_model(store, versions=2)
        store.create_model_version(name, "s3://other/x", tags={"k": "v"})
        mine = f"name = '{name}'"
        assert numbers(store.search_model_versions(mine).items) == ["3", "2", "1"]
        assert numbers(store.search_model_versions(f"{mine} AND version_number >= 2").items) == ["3", "2"]
        assert numbers(store.search_model_versions(f"{mine} AND tags.k = 'v'").items) == ["3"]
        assert numbers(store.search_model_versions(f"{mine} AND source_path LIKE 's3://bucket%'").items) == [
            "2",
            "1",
        ]

    def test_search_pages(self, store: Store) -> None:
        name = new_model(store, versions=3)
        first = store.search_model_versions(f"name = '{name}'", 2, ["version_number ASC"])
        assert numbers(first.items) == ["1", "2"]
        rest = store.search_model_versions(f"name = '{name}'", 2, ["version_number ASC"], first.token)
        assert (numbers(rest.items), rest.token) == (["3"], None)

    def test_search_shows_no_deleted_version(self, store: Store) -> None:
        name = new_model(store, versions=2)
        store.delete_model_version(name, "1")
        assert numbers(store.search_model_versions(f"name = '{name}'").items) == ["2"]


class VersionSourceContract:
    """What a version may be made from; each refusal here is a way into somebody else's files."""

    @pytest.mark.parametrize("source", ["s3://b/x", "gs://b/x/y", "dbfs:/models/x"])
    def test_remote_sources_are_taken_as_they_are(self, store: Store, source: str) -> None:
        name = new_model(store)
        assert store.create_model_version(name, source).source == source
        assert store.get_model_version_download_uri(name, "1") == source

    @pytest.mark.parametrize(
        "source",
        [
            "/etc/passwd",
            "etc/passwd",
            "file:///etc",
            "FILE:///etc",
            "file://host/etc",
            "c:/windows",
            "\tfile:///etc",
            "fi\nle:///etc",
            " /etc",
            "s3://b/../x",
            "s3://b/%2e%2e/x",
            "s3://b/%252e%252e/x",
            "s3://b/a/./x",
            "s3://b/x%00",
            "mlflow-artifacts:/0/x",
            "mlflow-artifacts://host/0/x",
            "http://10.0.0.1/latest/meta-data",
            "http://host/api/2.0/mlflow-artifacts/artifacts/0/x",
            "sftp://host/x",
            "runs:/0123456789abcdef0123456789abcdef/model",
            "models:/m-00000000000000000000000000000000",
            "models://host/name/1",
            "models:/a/b/c",
            "models:/",
        ],
    )
    def test_other_places_are_refused(self, store: Store, source: str) -> None:
        name = new_model(store)
        with pytest.raises(InvalidParameterError, match="source"):
            store.create_model_version(name, source)
        with pytest.raises(InvalidParameterError, match="source"):
            store.create_model_version(name, source, run_id=new_run(store))
        assert store.search_model_versions(f"name = '{name}'").items == []

    @pytest.mark.parametrize("value", ["true", "TRUE"])
    def test_no_tag_opens_a_local_path(self, store: Store, value: str) -> None:
        name = new_model(store)
        with pytest.raises(InvalidParameterError, match="source"):
            store.create_model_version(name, "file:///etc", tags={"mlflow.prompt.is_prompt": value})
        made = store.create_model_version(name, "dummy-source", tags={"mlflow.prompt.is_prompt": value})
        assert made.source == "dummy-source"

    def test_a_runs_own_artifacts_are_taken_and_no_others(self, store: Store) -> None:
        run, other = (store.get_run(new_run(store)).info for _ in range(2))
        name = new_model(store)
        made = store.create_model_version(name, f"{run.artifact_uri}/model", run.run_id)
        assert (made.run_id, made.source) == (run.run_id, f"{run.artifact_uri}/model")
        for source in (
            f"{other.artifact_uri}/model",
            f"{run.artifact_uri}x/model",
            f"{run.artifact_uri}/../../x",
            f"{run.artifact_uri}/%2e%2e/%2e%2e/x"
            if ":" in run.artifact_uri
            else f"{run.artifact_uri}/a/../../../x",
        ):
            with pytest.raises(InvalidParameterError, match="source"):
                store.create_model_version(name, source, run.run_id)

    def test_a_runs_uri_names_the_run_of_the_request(self, store: Store) -> None:
        run, other = new_run(store), new_run(store)
        name = new_model(store)
        made = store.create_model_version(name, f"runs:/{run}/model", run)
        assert (made.run_id, made.source) == (run, f"runs:/{run}/model")
        assert store.get_model_version_download_uri(name, "1") == f"runs:/{run}/model"
        with pytest.raises(InvalidParameterError, match="run_id"):
            store.create_model_version(name, f"runs:/{run}/model", other)

    def test_a_logged_model_becomes_a_version(self, store: Store) -> None:
        run = new_run(store)
        model = store.create_logged_model(store.get_run(run).info.experiment_id, "net", run)
        name = new_model(store)
        made = store.create_model_version(name, f"models:/{model.model_id}", model_id=model.model_id)
        assert (made.run_id, made.source) == (run, f"models:/{model.model_id}")
        assert store.get_model_version_download_uri(name, "1") == model.artifact_location
        store.create_model_version(name, f"{model.artifact_location}/sub", model_id=model.model_id)
        noted = store.get_logged_model(model.model_id).tags["mlflow.modelVersions"]
        assert noted == f'[{{"name": "{name}", "version": 1}}, {{"name": "{name}", "version": 2}}]'

    def test_a_logged_models_artifacts_are_its_own(self, store: Store) -> None:
        run = new_run(store)
        experiment = store.get_run(run).info.experiment_id
        model, other = (store.create_logged_model(experiment, "net", run) for _ in range(2))
        for source in (other.artifact_location, f"models:/{other.model_id}", f"runs:/{run}/model"):
            with pytest.raises(InvalidParameterError, match="source"):
                store.create_model_version(new_model(store), source, model_id=model.model_id)

    def test_a_copy_points_to_the_originals_files(self, store: Store) -> None:
        run = store.get_run(new_run(store)).info
        original, copy = new_model(store), new_model(store)
        store.create_model_version(original, f"{run.artifact_uri}/model", run.run_id)
        store.set_registered_model_alias(original, "best", "1")
        for source in (f"models:/{original}/1", f"models:/{original}@best", f"models:/{original}/latest"):
            made = store.create_model_version(copy, source)
            assert (made.source, made.run_id) == (f"models:/{original}/1", run.run_id)
            assert store.get_model_version_download_uri(copy, made.version) == f"{run.artifact_uri}/model"
        again = store.create_model_version(original, f"models:/{copy}/1", run.run_id)
        assert store.get_model_version_download_uri(original, again.version) == f"{run.artifact_uri}/model"
        with pytest.raises(InvalidParameterError, match="run_id"):
            store.create_model_version(copy, f"models:/{original}/1", new_run(store))

    def test_a_copy_needs_its_original(self, store: Store) -> None:
        original = new_model(store)
        for source in (f"models:/{original}/1", f"models:/{original}/latest", f"models:/{unique()}/1"):
            with pytest.raises(NotFoundError):
                store.create_model_version(new_model(store), source)

    def test_a_prompt_cannot_be_copied_as_a_model(self, store: Store) -> None:
        prompt = store.create_registered_model(unique(), {"mlflow.prompt.is_prompt": "true"}).name
        store.create_model_version(prompt, "dummy-source", tags={"mlflow.prompt.is_prompt": "true"})
        with pytest.raises(InvalidParameterError, match="prompt"):
            store.create_model_version(new_model(store), f"models:/{prompt}/1")


class RegistryContract(RegisteredModelContract, ModelVersionContract, VersionSourceContract):
    """All of the registry."""

    def test_a_tag_that_somebody_else_wrote_does_not_stop_registering(self, store: Store) -> None:
        experiment = store.create_experiment(unique())
        model = store.create_logged_model(experiment)
        store.set_logged_model_tags(model.model_id, {"mlflow.modelVersions": "hello"})
        name = new_model(store)
        store.create_model_version(name, f"models:/{model.model_id}", model_id=model.model_id)
        noted = json.loads(store.get_logged_model(model.model_id).tags["mlflow.modelVersions"])
        assert noted == [{"name": name, "version": 1}]
