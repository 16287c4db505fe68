"""The suite that every `Store` passes: the trash, and what is removed from it."""

import pytest

from slipstream.entities import (
    Dataset,
    DatasetInput,
    InputTag,
    LoggedModelOutput,
    Metric,
    Param,
    RemovalCounts,
    RunTag,
    TrashItem,
    TrashKind,
    TrashSelection,
    ViewType,
)
from slipstream.errors import (
    AlreadyExistsError,
    ConflictError,
    InvalidParameterError,
    NotFoundError,
    SlipstreamError,
)
from slipstream.store.base import Store
from slipstream.testing.store_contract import unique

EXPERIMENT, RUN, MODEL = TrashKind.EXPERIMENT, TrashKind.RUN, TrashKind.MODEL


def new_experiment(store: Store) -> str:
    return store.create_experiment(unique("trash"))


def new_run(store: Store, experiment_id: str) -> str:
    """Create a run that has a row in every table."""
    run_id = store.create_run(experiment_id, start_time=1).info.run_id
    points = [Metric("loss", step / 7, step, step) for step in range(100)]
    store.log_batch(run_id, points, [Param("p", "1")], [RunTag("t", "1")])
    data = Dataset(name=f"data of {run_id}", digest="d", source_type="local", source="{}")
    store.log_inputs(run_id, [DatasetInput(dataset=data, tags=[InputTag("mlflow.data.context", "x")])])
    return run_id


def new_version(store: Store, run_id: str) -> str:
    """Register a version that was made from a run; return the model's name."""
    name = unique("model")
    store.create_registered_model(name)
    store.create_model_version(name, f"{store.get_run(run_id).info.artifact_uri}/model", run_id)
    return name


def all_trash(store: Store) -> list[TrashItem]:
    items: list[TrashItem] = []
    token: str | None = None
    while True:
        page = store.search_trash(7, token)
        items += page.items
        if page.token is None:
            return items
        token = page.token


def in_trash(store: Store, item_id: str) -> TrashItem | None:
    return next((item for item in all_trash(store) if item.id == item_id), None)


def remove(store: Store, **selection: object) -> tuple[RemovalCounts, dict[str, str]]:
    """Remove it, and return how much, and what was kept for which reason."""
    return _work(store, TrashSelection(**selection), dry_run=False)  # pyright: ignore[reportArgumentType]


def plan(store: Store, **selection: object) -> tuple[RemovalCounts, dict[str, str]]:
    return _work(store, TrashSelection(**selection), dry_run=True)  # pyright: ignore[reportArgumentType]


def _work(store: Store, selection: TrashSelection, *, dry_run: bool) -> tuple[RemovalCounts, dict[str, str]]:
    counts, kept = RemovalCounts(), dict[str, str]()
    token: str | None = None
    while True:
        part = store.remove_trash(selection, token, dry_run=dry_run)
        counts += part.counts
        kept |= {each.id: each.reason for each in part.kept}
        token = part.token
        if token is None:
            return counts, kept


class TrashContract:
    # -- names ------------------------------------------------------------------------------------------
    def test_the_name_of_a_deleted_experiment_is_free_in_our_manner_only(self, store: Store) -> None:
        name = unique("name")
        first = store.create_experiment(name, tags={"a": "b"})
        store.delete_experiment(first)
        with pytest.raises(AlreadyExistsError):
            store.create_experiment(name)  # MLflow's manner
        second = store.create_experiment_anew(name, tags={"c": "d"})
        assert store.get_experiment(second).name == name
        assert store.get_experiment(second).tags == {"c": "d"}
        kept = store.get_experiment(first)
        assert kept.lifecycle_stage == "deleted"
        assert kept.name.startswith(f"{name} (deleted 20")
        item = in_trash(store, first)
        assert item is not None
        assert item.name == name

    def test_an_active_experiment_keeps_its_name(self, store: Store) -> None:
        name = unique("name")
        store.create_experiment(name)
        with pytest.raises(AlreadyExistsError, match=name):
            store.create_experiment_anew(name)

    def test_a_name_can_be_freed_many_times(self, store: Store) -> None:
        name = unique("name")
        made = set[str]()
        for _ in range(4):
            number = store.create_experiment_anew(name)
            store.move_to_trash(EXPERIMENT, number)
            made.add(number)
        assert len(made) == 4
        assert len({store.get_experiment(each).name for each in made}) == 4

    def test_the_longest_name_can_be_freed(self, store: Store) -> None:
        name = unique("n" * 480)[-500:]
        store.delete_experiment(store.create_experiment(name))
        assert store.get_experiment(store.create_experiment_anew(name)).name == name

    def test_restoring_gives_the_name_back(self, store: Store) -> None:
        name = unique("name")
        first = store.create_experiment(name)
        store.move_to_trash(EXPERIMENT, first)
        second = store.create_experiment_anew(name)
        with pytest.raises(AlreadyExistsError, match=rf"experiment {second} has it.*new_name"):
            store.take_from_trash(EXPERIMENT, first)
        assert store.get_experiment(first).lifecycle_stage == "deleted"
        store.rename_experiment(second, unique("other"))
        store.take_from_trash(EXPERIMENT, first)
        assert store.get_experiment(first).name == name
        assert store.get_experiment(first).lifecycle_stage == "active"

    def test_restoring_takes_the_name_from_one_that_is_deleted(self, store: Store) -> None:
        name = unique("name")
        first = store.create_experiment(name)
        store.move_to_trash(EXPERIMENT, first)
        second = store.create_experiment_anew(name)
        store.move_to_trash(EXPERIMENT, second)
        store.take_from_trash(EXPERIMENT, first)
        assert store.get_experiment(first).name == name
        assert store.get_experiment(second).name.startswith(f"{name} (deleted")

    def test_restoring_under_another_name(self, store: Store) -> None:
        name, other = unique("name"), unique("other")
        first = store.create_experiment(name)
        store.move_to_trash(EXPERIMENT, first)
        store.create_experiment_anew(name)
        store.take_from_trash(EXPERIMENT, first, other)
        assert store.get_experiment(first).name == other

    def test_mlflows_restore_gives_the_name_back_if_it_is_free(self, store: Store) -> None:
        name = unique("name")
        first = store.create_experiment(name)
        store.delete_experiment(first)
        second = store.create_experiment_anew(name)
        store.restore_experiment(first)
        assert store.get_experiment(first).name.startswith(f"{name} (deleted")
        store.delete_experiment(first)
        store.rename_experiment(second, unique("other"))
        store.restore_experiment(first)
        assert store.get_experiment(first).name.startswith(f"{name} (deleted")  # it was its name by then

    # -- deleting and taking back -----------------------------------------------------------------------
    def test_our_restore_leaves_what_was_deleted_before(self, store: Store) -> None:
        experiment = new_experiment(store)
        before, together = new_run(store, experiment), new_run(store, experiment)
        store.delete_run(before)
        deleted = in_trash(store, before)
        assert deleted is not None
        while _now(store, experiment) <= deleted.deleted_time:
            pass  # until the clock has gone on
        store.move_to_trash(EXPERIMENT, experiment)
        assert in_trash(store, together) is None, "it is in its experiment"
        store.take_from_trash(EXPERIMENT, experiment)
        assert store.get_run(together).info.lifecycle_stage == "active"
        assert store.get_run(before).info.lifecycle_stage == "deleted"
        assert {run.info.run_id for run in store.search_runs([experiment]).items} == {together}

    def test_a_run_of_a_deleted_experiment_is_not_restored_alone(self, store: Store) -> None:
        experiment = new_experiment(store)
        run = new_run(store, experiment)
        store.move_to_trash(EXPERIMENT, experiment)
        with pytest.raises(InvalidParameterError):
            store.take_from_trash(RUN, run)

    def test_a_model_comes_back(self, store: Store) -> None:
        model = store.create_logged_model("0", unique("m")).model_id
        store.move_to_trash(MODEL, model)
        with pytest.raises(NotFoundError):
            store.get_logged_model(model)
        item = in_trash(store, model)
        assert item is not None
        assert item.kind is MODEL
        store.take_from_trash(MODEL, model)
        assert store.get_logged_model(model).model_id == model
        assert in_trash(store, model) is None

    def test_a_version_needs_the_logged_model_that_it_names_by_its_run(self, store: Store) -> None:
        experiment = new_experiment(store)
        run = new_run(store, experiment)
        model = store.create_logged_model(experiment, "net", source_run_id=run).model_id
        other = store.create_logged_model(experiment, "other", source_run_id=run).model_id
        name = unique("trash")
        store.create_registered_model(name)
        store.create_model_version(name, f"runs:/{run}/net", run)
        store.move_to_trash(MODEL, other)
        with pytest.raises(ConflictError, match=name):
            store.move_to_trash(MODEL, model)
        store.delete_logged_model(model)  # in MLflow's manner, which asks nothing
        counts, kept = remove(store, model_ids=(model, other))
        assert counts.models == 1
        assert name in kept[model]
        store.take_from_trash(MODEL, model)
        store.delete_model_version(name, "1")
        store.move_to_trash(MODEL, model)

    def test_a_logged_model_of_a_deleted_experiment_does_not_come_back_alone(self, store: Store) -> None:
        experiment = new_experiment(store)
        model = store.create_logged_model(experiment, "m").model_id
        store.move_to_trash(MODEL, model)
        store.move_to_trash(EXPERIMENT, experiment)
        with pytest.raises(
            SlipstreamError, match=experiment
        ):  # it would be removed with its experiment all the same
            store.take_from_trash(MODEL, model)
        store.take_from_trash(EXPERIMENT, experiment)
        store.take_from_trash(MODEL, model)
        assert store.get_logged_model(model).model_id == model

    @pytest.mark.parametrize("kind", [RUN, MODEL])
    def test_what_is_not_there(self, store: Store, kind: TrashKind) -> None:
        missing = "0" * 32
        with pytest.raises(NotFoundError):
            store.move_to_trash(kind, missing)
        with pytest.raises(NotFoundError):
            store.take_from_trash(kind, missing)
        with pytest.raises(InvalidParameterError, match="new_name"):
            store.take_from_trash(kind, missing, "name")

    def test_a_foreign_page_token(self, store: Store) -> None:
        with pytest.raises(InvalidParameterError, match="page_token"):
            store.search_trash(10, "x")
        with pytest.raises(InvalidParameterError, match="page_token"):
            store.remove_trash(TrashSelection(run_ids=("x",)), "rows.-1")

    # -- registered models ------------------------------------------------------------------------------
    def test_what_a_registered_model_was_made_from_is_not_deleted(self, store: Store) -> None:
        experiment = new_experiment(store)
        run = new_run(store, experiment)
        name = new_version(store, run)
        for kind, item_id in ((RUN, run), (EXPERIMENT, experiment)):
            with pytest.raises(ConflictError, match=rf"version 1 of the registered model '{name}'.*force"):
                store.move_to_trash(kind, item_id)
        assert store.get_run(run).info.lifecycle_stage == "active"
        store.delete_run(run)  # MLflow's manner asks for nothing
        item = in_trash(store, run)
        assert item is not None
        assert name in (item.needed_by or "")
        counts, kept = remove(store, run_ids=(run,))
        assert counts.runs == 0
        assert name in kept[run]
        counts, kept = remove(store, run_ids=(run,), force=True)
        assert (counts.runs, kept) == (1, {})

    def test_a_run_by_the_source_alone(self, store: Store) -> None:
        run = new_run(store, new_experiment(store))
        name = unique("model")
        store.create_registered_model(name)
        store.create_model_version(name, f"runs:/{run}/model", run)
        with pytest.raises(ConflictError, match=name):
            store.move_to_trash(RUN, run)
        store.delete_model_version(name, "1")
        store.move_to_trash(RUN, run)

    def test_a_logged_model_that_was_registered(self, store: Store) -> None:
        model = store.create_logged_model("0", unique("m")).model_id
        name = unique("model")
        store.create_registered_model(name)
        store.create_model_version(name, f"models:/{model}", model_id=model)
        with pytest.raises(ConflictError, match=name):
            store.move_to_trash(MODEL, model)
        store.move_to_trash(MODEL, model, force=True)
        counts, kept = remove(store, model_ids=(model,))
        assert counts.models == 0
        assert name in kept[model]

    # -- removing ---------------------------------------------------------------------------------------
    def test_a_removed_run_is_gone_and_its_neighbour_is_whole(self, store: Store) -> None:
        experiment = new_experiment(store)
        gone, stays = new_run(store, experiment), new_run(store, experiment)
        before = store.get_run(stays)
        store.delete_run(gone)
        planned, _ = plan(store, run_ids=(gone,))
        assert planned.runs == 1
        assert planned.metric_bytes > 0
        assert store.get_run(gone).info.lifecycle_stage == "deleted", "a plan changes nothing"
        counts, kept = remove(store, run_ids=(gone,))
        assert (counts, kept) == (planned, {})
        for look in (store.get_run, store.restore_run, store.delete_run):
            with pytest.raises(NotFoundError):
                look(gone)
        with pytest.raises(NotFoundError):
            store.take_from_trash(RUN, gone)
        assert not store.get_metric_history(gone, "loss").items
        assert [run.info.run_id for run in store.search_runs([experiment], None, ViewType.ALL).items] == [
            stays
        ]
        assert store.get_run(stays) == before
        assert len(store.get_metric_history(stays, "loss").items) == 100
        assert {each.name for each in store.search_datasets([experiment])} == {f"data of {stays}"}
        assert in_trash(store, gone) is None

    def test_a_dataset_that_another_run_uses_stays(self, store: Store) -> None:
        experiment = new_experiment(store)
        gone, stays = new_run(store, experiment), new_run(store, experiment)
        shared = Dataset(name="shared", digest="d", source_type="local", source="{}")
        for run in (gone, stays):
            store.log_inputs(run, [DatasetInput(dataset=shared)])
        store.delete_run(gone)
        remove(store, run_ids=(gone,))
        assert {each.dataset.name for each in store.get_run(stays).inputs.dataset_inputs} == {
            "shared",
            f"data of {stays}",
        }

    def test_only_what_is_deleted_and_old_enough(self, store: Store) -> None:
        run, active = new_run(store, new_experiment(store)), new_run(store, new_experiment(store))
        store.delete_run(run)
        counts, kept = remove(store, run_ids=(run, active, "f" * 32), older_than_ms=3_600_000)
        assert counts.runs == 0
        assert "later" in kept[run]
        assert "not deleted" in kept[active]
        assert "none" in kept["f" * 32]
        assert store.get_run(run).info.lifecycle_stage == "deleted"

    def test_an_experiment_goes_with_all_that_is_in_it(self, store: Store) -> None:
        experiment = new_experiment(store)
        runs = [new_run(store, experiment) for _ in range(60)]
        model = store.create_logged_model(experiment, "m", runs[0], params={"a": "b"}).model_id
        store.log_outputs(runs[0], [LoggedModelOutput(model, 1)])
        store.log_metric(runs[0], Metric("acc", 1.0, 1, 1, model))
        store.set_experiment_tag(experiment, "k", "v")
        name = store.get_experiment(experiment).name
        store.move_to_trash(EXPERIMENT, experiment)
        planned, kept = plan(store, experiment_ids=(experiment,))
        assert (planned.experiments, planned.runs, planned.models, kept) == (1, 60, 1, {})
        counts, kept = remove(store, experiment_ids=(experiment,))
        assert (counts, kept) == (planned, {})
        for look in (store.get_experiment, store.restore_experiment, store.delete_experiment):
            with pytest.raises(NotFoundError):
                look(experiment)
        with pytest.raises(NotFoundError):
            store.take_from_trash(EXPERIMENT, experiment)
        for run in runs:
            with pytest.raises(NotFoundError):
                store.get_run(run)
        with pytest.raises(NotFoundError):
            store.get_logged_model(model, allow_deleted=True)
        assert store.find_experiment_by_name(name) is None
        assert store.search_runs([experiment], None, ViewType.ALL).items == []
        again = store.create_experiment(name)  # in MLflow's manner, too
        assert again != experiment, "files of the old one may still be in a folder of its number"

    def test_an_experiment_with_something_that_stays_is_left_whole(self, store: Store) -> None:
        experiment = new_experiment(store)
        needed, other = new_run(store, experiment), new_run(store, experiment)
        name = new_version(store, needed)
        store.delete_experiment(experiment)
        counts, kept = remove(store, experiment_ids=(experiment,))
        assert counts == RemovalCounts()
        assert name in kept[experiment]
        store.restore_run(other)
        _, kept = remove(store, experiment_ids=(experiment,), force=True)
        assert f"its run {other} is not deleted" in kept[experiment]
        store.restore_experiment(experiment)
        assert {run.info.run_id for run in store.search_runs([experiment]).items} == {needed, other}

    def test_the_default_experiment_stays(self, store: Store) -> None:
        store.delete_experiment("0")
        try:
            _, kept = remove(store, experiment_ids=("0",))
        finally:
            store.restore_experiment("0")
        assert "default" in kept["0"]

    def test_a_removed_model_leaves_no_output_behind(self, store: Store) -> None:
        experiment = new_experiment(store)
        run = new_run(store, experiment)
        model = store.create_logged_model(experiment, "m", run).model_id
        store.log_outputs(run, [LoggedModelOutput(model, 1)])
        store.delete_logged_model(model)
        counts, kept = remove(store, model_ids=(model,))
        assert (counts.models, kept) == (1, {})
        assert store.get_run(run).outputs.model_outputs == []

    def test_files_outside_of_the_roots_stay_and_so_do_their_rows(self, store: Store) -> None:
        for place in (
            "s3://somebody/else",
            "http://127.0.0.1:9/api/2.0/mlflow-artifacts/artifacts/x",
            "/etc/x",
        ):
            experiment = store.create_experiment(unique("elsewhere"), place)
            run = new_run(store, experiment)
            store.delete_run(run)
            counts, kept = remove(store, run_ids=(run,))
            assert counts == RemovalCounts()
            assert place in kept[run]
            assert store.get_run(run).info.lifecycle_stage == "deleted"
            store.delete_experiment(experiment)
            _, kept = remove(store, experiment_ids=(experiment,))
            assert place in kept[experiment]


def _now(store: Store, experiment: str) -> int:
    """Return the time at the store, by a change that costs nothing."""
    model = store.create_logged_model(experiment, "clock")
    return model.creation_timestamp
