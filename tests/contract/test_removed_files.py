"""Files of what is removed for ever: they go, no others do, and a kill or a restore in between leaves nothing half.

It is one file since all of it is tried on the same stores, folders and kills.
"""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from slipstream.artifact_store.local import PARTIAL
from slipstream.entities import Metric, TrashKind, TrashSelection
from slipstream.errors import (
    ConflictError,
    InvalidParameterError,
    NotFoundError,
    SlipstreamError,
    UnavailableError,
)
from slipstream.store import queued_trash
from slipstream.store.engine import QueuedStore, open_store
from slipstream.store.filters import ViewFilter
from slipstream.store.views import VIEWS

NOW = TrashSelection()
DAY_SECONDS = 24 * 60 * 60


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Any]:
    opened = open_store(f"sqlite:///{tmp_path / 's.db'}", str(tmp_path / "artifacts"), durability="normal")
    yield opened
    opened.close()  # pyright: ignore[reportAttributeAccessIssue]


def new_run(store: Any, experiment: str = "0", files: int = 2) -> tuple[str, Path]:
    """Create a run with points and files; return its id and the folder of the files."""
    info = store.create_run(experiment, start_time=1).info
    store.log_batch(info.run_id, [Metric("loss", step / 3, step, step) for step in range(200)])
    return info.run_id, new_files(info.artifact_uri, files)


def new_files(uri: str, count: int = 2) -> Path:
    folder = Path(uri)
    (folder / "deep").mkdir(parents=True)
    for number in range(count):
        (folder / "deep" / f"{number}.bin").write_bytes(b"x" * 100)
    return folder


def remove(store: Any, selection: TrashSelection = NOW) -> Any:
    parts = [store.remove_trash(selection)]
    while parts[-1].token is not None:
        parts.append(store.remove_trash(selection, parts[-1].token))
    return parts


def test_files_go_with_their_run_and_no_others(store: Any, tmp_path: Path) -> None:
    gone, folder = new_run(store)
    _, stays = new_run(store)
    model = store.create_logged_model("0", "m")
    of_model = new_files(model.artifact_location)
    beside = folder.parent.parent / "notes.txt"
    beside.write_text("mine")
    store.delete_run(gone)
    store.delete_logged_model(model.model_id)
    (plan,) = [store.remove_trash(NOW, dry_run=True)]
    assert (plan.counts.runs, plan.counts.models, plan.counts.files, plan.counts.artifact_bytes) == (
        1,
        1,
        4,
        400,
    )
    (part,) = remove(store)
    assert part.counts == plan.counts
    assert not folder.parent.exists()
    assert not of_model.parent.exists()
    assert beside.read_text() == "mine"
    assert len(list(stays.rglob("*.bin"))) == 2


def test_a_folder_that_users_share_keeps_what_the_store_did_not_lay_out(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    (shared / "models").mkdir(parents=True)
    (shared / "models" / "best.bin").write_bytes(b"mine")
    (shared / "data.csv").write_text("mine")
    from slipstream.artifact_store.places import ArtifactPlaces, open_root

    roots = [open_root(str(shared))]
    store: Any = open_store(
        f"sqlite:///{tmp_path / 's.db'}", str(tmp_path / "a"), places=lambda: ArtifactPlaces(None, roots)
    )
    experiment = store.create_experiment("shared", str(shared))
    run, folder = new_run(store, experiment)
    assert folder == shared / run / "artifacts"
    (folder.parent / "mine.txt").write_text("mine")
    store.delete_experiment(experiment)
    remove(store)
    left = {path.relative_to(shared).as_posix() for path in shared.rglob("*") if path.is_file()}
    assert left == {f"{run}/mine.txt", "data.csv", "models/best.bin"}
    store.close()


def test_an_experiment_inside_of_a_run_keeps_the_run(store: Any) -> None:
    run, folder = new_run(store)
    inner = store.create_experiment("inner", str(folder / "inner"))
    other, _ = new_run(store, inner)
    store.delete_run(run)
    (part,) = remove(store)
    assert part.counts.runs == 0
    assert "inside" in part.kept[0].reason
    assert store.get_run(run).info.lifecycle_stage == "deleted"
    assert store.get_run(other).info.lifecycle_stage == "active"


def test_a_link_out_of_the_root_is_not_followed(store: Any, tmp_path: Path) -> None:
    run, folder = new_run(store)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious.txt").write_text("mine")
    shutil.rmtree(folder)
    folder.symlink_to(outside)
    store.delete_run(run)
    remove(store)
    assert (outside / "precious.txt").read_text() == "mine"
    inner, folder = new_run(store)
    (folder / "out").symlink_to(outside)
    store.delete_run(inner)
    remove(store)
    assert not folder.exists()
    assert (outside / "precious.txt").read_text() == "mine"


def test_a_link_to_the_folder_of_another_run_is_not_followed(store: Any, tmp_path: Path) -> None:
    run, folder = new_run(store)
    _, of_other = new_run(store)
    shutil.rmtree(folder.parent)
    folder.parent.symlink_to(of_other.parent)
    store.delete_run(run)
    (part,) = remove(store)
    assert part.counts.runs == 0
    assert "link" in part.kept[0].reason
    assert len(list(of_other.rglob("*.bin"))) == 2


def test_a_folder_that_was_moved_and_linked_is_deleted(store: Any, tmp_path: Path) -> None:
    experiment = store.create_experiment("moved")
    run, folder = new_run(store, experiment)
    place = folder.parent.parent
    place.rename(tmp_path / "artifacts" / "archive")
    place.symlink_to(tmp_path / "artifacts" / "archive")
    store.delete_run(run)
    (part,) = remove(store)
    assert (part.counts.runs, part.counts.files) == (1, 2)
    assert not folder.exists()


def test_an_experiment_inside_of_a_run_keeps_it_under_any_name(tmp_path: Path) -> None:
    """Such as that of the server and that of the folder, or one through a link."""
    from slipstream.artifact_store.places import ArtifactPlaces, open_root

    root = tmp_path / "artifacts"
    root.mkdir()
    for link in ("link", "another"):
        (tmp_path / link).symlink_to(root)
    store: Any = open_store(
        f"sqlite:///{tmp_path / 's.db'}",
        "mlflow-artifacts:/",
        places=lambda: ArtifactPlaces(
            open_root(str(root)), [open_root(str(root)), open_root(str(tmp_path / "link"))]
        ),
    )
    for name in ("artifacts", "link", "another"):
        run = store.create_run("0", start_time=1).info
        assert run.artifact_uri == f"mlflow-artifacts:/0/{run.run_id}/artifacts"
        inner = store.create_experiment(name, str(tmp_path / name / "0" / run.run_id / "artifacts" / "inner"))
        _, folder = new_run(store, inner)
        store.delete_run(run.run_id)
        (part,) = remove(store)
        assert part.counts.runs == 0
        assert "inside" in part.kept[-1].reason
        assert len(list(folder.rglob("*.bin"))) == 2
    store.close()


@pytest.mark.parametrize(
    "uri",
    [
        "{root}/0/../../{id}/artifacts",
        "{root}/0/%2e%2e/{id}/artifacts",
        "{root}/0/{id}/other",
        "{root}/0/artifacts",
        "{root}",
        "/etc/{id}/artifacts",
        "file:///etc/{id}/artifacts",
        "file://host{root}/0/{id}/artifacts",
        "s3://bucket/0/{id}/artifacts",
        "http://127.0.0.1:9/api/2.0/mlflow-artifacts/artifacts/0/{id}/artifacts",
        "mlflow-artifacts://other:80/0/{id}/artifacts",
        "mlflow-artifacts:/0/{id}/artifacts?x=y",
        "mlflow-artifacts:/../0/{id}/artifacts",
        "dbfs:/0/{id}/artifacts",
        "",
    ],
)
def test_hostile_uris_of_rows_delete_nothing(store: Any, tmp_path: Path, uri: str) -> None:
    run, folder = new_run(store)
    store.delete_run(run)
    with sqlite3.connect(tmp_path / "s.db") as connection:
        connection.execute(
            "UPDATE runs SET artifact_uri = ?", [uri.format(root=tmp_path / "artifacts", id=run)]
        )
    connection.close()
    (part,) = remove(store)
    assert part.counts.runs == 0
    assert part.kept[0].id == run
    assert len(list(folder.rglob("*.bin"))) == 2
    assert store.get_run(run).info.lifecycle_stage == "deleted"


def test_files_that_cannot_be_deleted_now_are_found_later(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, folder = new_run(store)
    store.delete_run(run)

    def fail(*_: object) -> None:
        raise PermissionError(13, "no")

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", fail)
        (part,) = remove(store)
    assert "cannot be deleted" in part.kept[0].reason
    assert folder.exists()
    with pytest.raises(NotFoundError):
        store.get_run(run)  # it is being removed
    (part,) = remove(store, TrashSelection(run_ids=("0" * 32,)))  # whatever is asked for: begun is finished
    assert part.counts.runs == 1
    assert not folder.exists()


def test_a_run_of_the_same_id_that_came_since_keeps_its_files(
    store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, folder = new_run(store)
    store.delete_run(run)
    with monkeypatch.context() as patch:
        patch.setattr(queued_trash._Work, "_delete_files", lambda *_: False)
        remove(store)
    other, _ = new_run(store)
    with sqlite3.connect(tmp_path / "s.db") as connection:  # as an import that keeps ids
        connection.execute("UPDATE runs SET run_id = ? WHERE run_id = ?", [run, other])
    connection.close()
    (part,) = remove(store)
    assert part.counts.runs == 1
    assert len(list(folder.rglob("*.bin"))) == 2
    assert len(store.get_metric_history(run, "loss").items) == 200


def test_long_runs_go_in_several_transactions(
    store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slipstream.store.removals.BLOCKS_AT_ONCE", 3)
    runs = [store.create_run("0").info.run_id for _ in range(4)]
    for run in runs:
        for step in range(10):
            store.log_metric(run, Metric("loss", 1.0, step, step))
        store.delete_run(run)
    (part,) = remove(store)
    assert part.counts.runs == 4
    assert part.counts.metric_bytes > 0
    with sqlite3.connect(tmp_path / "s.db") as connection:
        for table in ("runs", "series", "point_blocks", "run_tags"):
            assert connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone() == (0,), table
    connection.close()


def test_nothing_shows_what_is_being_removed(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    experiment = store.create_experiment("going", tags={"secret": "tag"})
    runs = [new_run(store, experiment)[0], new_run(store)[0]]
    stays, _ = new_run(store)
    model = store.create_logged_model(experiment, "m", runs[0], {"a": "b"}, {"c": "d"}).model_id
    store.move_to_trash(TrashKind.RUN, runs[1])
    store.move_to_trash(TrashKind.EXPERIMENT, experiment)
    with monkeypatch.context() as patch:
        patch.setattr(queued_trash._Work, "_delete_files", lambda *_: False)
        remove(store)
    everything = ViewFilter()
    shown = {
        name: [
            row
            for rows in store.engine.read(lambda sql, name=name: list(sql.read_view(name, everything)))
            for row in rows
        ]
        for name in VIEWS
    }
    assert {row[0] for row in shown["runs"]} == {stays}
    assert {row[0] for row in shown["latest_metrics"]} == {stays}
    assert [row[0] for row in shown["experiments"]] == [0]
    assert shown["experiment_tags"] == shown["logged_models"] == shown["logged_model_tags"] == []
    assert not any(each in str(shown) for each in (*runs, model, "removing"))
    assert store.engine.read(lambda sql: list(sql.read_run_ids(everything))) == [[stays]]
    assert store.search_trash().items == []
    remove(store)
    assert store.engine.read(lambda sql: list(sql.read_run_ids(everything))) == [[stays]]


def test_what_is_imported_as_deleted_is_in_the_trash_and_what_is_under_way_is_not(store: Any) -> None:
    run = store.get_run(new_run(store)[0])
    for letter, stage, unfinished in (("a", "deleted", False), ("b", "active", True), ("c", "deleted", True)):
        info = msgspec.structs.replace(run.info, run_id=letter * 32, lifecycle_stage=stage)
        store.import_run(msgspec.structs.replace(run, info=info), unfinished=unfinished)
    assert [item.id for item in store.search_trash().items] == ["a" * 32]
    store.finish_run("b" * 32, "active")
    store.finish_run("c" * 32, "deleted")
    assert {item.id for item in store.search_trash().items} == {"a" * 32, "c" * 32}
    assert store.get_run("b" * 32).info.lifecycle_stage == "active"


# -- restored meanwhile -----------------------------------------------------------------------------------


def test_who_restores_meanwhile_has_it_whole_or_not_at_all(store: Any) -> None:
    runs = dict(new_run(store) for _ in range(120))
    for run in runs:
        store.delete_run(run)
    order = list(runs)[::-1]
    taken: list[str] = []

    def take_back() -> None:
        for run in order:
            try:
                store.restore_run(run)
            except NotFoundError:
                continue
            taken.append(run)

    thread = threading.Thread(target=take_back)
    thread.start()
    remove(store)
    thread.join()
    for run, folder in runs.items():
        if run in taken:
            assert store.get_run(run).info.lifecycle_stage == "active"
            assert len(store.get_metric_history(run, "loss").items) == 200
            assert len(list(folder.rglob("*.bin"))) == 2
        else:
            with pytest.raises(NotFoundError):
                store.get_run(run)
            assert not folder.exists()


def test_between_the_look_and_the_mark(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run, folder = new_run(store)
    store.delete_run(run)
    place = queued_trash._Work._place

    def restore_first(work: Any, *arguments: Any) -> Any:
        store.restore_run(run)
        return place(work, *arguments)

    monkeypatch.setattr(queued_trash._Work, "_place", restore_first)
    (part,) = remove(store)
    assert part.kept[0].reason == "somebody restored it"
    assert store.get_run(run).info.lifecycle_stage == "active"
    assert len(list(folder.rglob("*.bin"))) == 2


def test_one_process_at_a_time(store: QueuedStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queued_trash, "_LEASE_WAIT_SECONDS", 0.1)
    assert store.engine.write(lambda sql: sql.claim_lease(queued_trash.LEASE, "another", 60_000))
    with pytest.raises(UnavailableError, match="Another process"):
        store.remove_trash(NOW)
    store.remove_trash(NOW, dry_run=True)  # who only looks may
    store.engine.write(lambda sql: sql.end_lease(queued_trash.LEASE, "another"))
    store.remove_trash(NOW)


def test_a_claim_of_a_clock_that_was_wrong_does_not_hold_for_years(
    store: QueuedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queued_trash, "_LEASE_WAIT_SECONDS", 0.1)
    year = 365 * DAY_SECONDS * 1000
    assert store.engine.write(lambda sql: sql.claim_lease(queued_trash.LEASE, "another", year))
    store.remove_trash(NOW)


def test_a_logged_model_that_was_deleted_later_than_asked_for_keeps_its_experiment(store: Any) -> None:
    experiment = store.create_experiment("e")
    model = store.create_logged_model(experiment, "m")
    new_files(model.artifact_location)
    store.delete_experiment(experiment)
    store.delete_logged_model(model.model_id)
    store.engine.write(
        lambda sql: sql.tx.execute("UPDATE experiments SET deleted_time = 1000 WHERE name = 'e'")
    )
    (part,) = remove(store, TrashSelection(before_time=2000))
    assert (part.counts.experiments, part.counts.models) == (0, 0)
    assert model.model_id in part.kept[0].reason
    (part,) = remove(store)
    assert (part.counts.experiments, part.counts.models) == (1, 1)


@pytest.mark.parametrize("milliseconds", [-1, -(2**63), 2**63 - 1, 10**30])
def test_ages_that_are_none_are_refused(store: Any, milliseconds: int) -> None:
    with pytest.raises(InvalidParameterError, match="older_than_ms"):
        store.remove_trash(TrashSelection(older_than_ms=milliseconds))


# -- orphans ----------------------------------------------------------------------------------------------


def make_old(folder: Path) -> None:
    old = time.time() - DAY_SECONDS - 60
    for path in [*folder.rglob("*"), folder]:
        os.utime(path, (old, old))


def test_orphans(store: Any, tmp_path: Path) -> None:
    root = tmp_path / "artifacts"
    kept = [new_run(store)[1].parent for _ in range(3)]
    deleted, of_deleted = new_run(store)
    store.delete_run(deleted)
    old = root / "7" / ("a" * 32)
    young = root / "7" / ("b" * 32)
    of_model = root / "0" / "models" / ("m-" + "c" * 32)
    strange = [root / "7" / "data", root / "mine" / ("a" * 32), root / ("a" * 32)]
    for folder in (old, young, of_model, *strange):
        new_files(str(folder / "artifacts"))
    unfinished = root / "0" / f"{PARTIAL}123"
    unfinished.write_bytes(b"half")
    for folder in (old, of_model, *strange, *kept, of_deleted.parent):
        make_old(folder)
    os.utime(unfinished, (1, 1))
    report = store.remove_orphans(dry_run=True)
    assert {each.path for each in report.folders} == {f"7/{'a' * 32}", f"0/models/m-{'c' * 32}"}
    assert (report.known, report.unfinished) == (4, 1)
    assert {(each.files, each.artifact_bytes) for each in report.folders} == {(2, 200)}
    assert old.exists()
    assert store.remove_orphans() == report
    assert not old.exists()
    assert not of_model.exists()
    assert not unfinished.exists()
    assert all(folder.exists() for folder in (young, *strange, *kept, of_deleted))


def test_the_artifacts_of_another_database_are_not_taken_for_orphans(store: Any, tmp_path: Path) -> None:
    for letter in "abc":
        folder = tmp_path / "artifacts" / "0" / (letter * 32)
        new_files(str(folder / "artifacts"))
        make_old(folder)
    with pytest.raises(ConflictError, match="another database"):
        store.remove_orphans()
    assert len(list((tmp_path / "artifacts").rglob("*.bin"))) == 6
    store.remove_orphans(force=True)
    assert list((tmp_path / "artifacts").rglob("*.bin")) == []


def test_what_is_not_only_ours_or_is_needed_is_no_orphan(store: Any, tmp_path: Path) -> None:
    """Such as a run of MLflow's in a folder `mlruns`, and a version whose run did not come with an import."""
    root = tmp_path / "artifacts"
    for _ in range(3):
        new_run(store)
    of_mlflow = root / "7" / ("a" * 32)
    new_files(str(of_mlflow / "artifacts"))
    (of_mlflow / "meta.yaml").write_text("run_id: ...")
    run, folder = new_run(store)
    store.create_registered_model("m")
    store.create_model_version("m", f"runs:/{run}/deep", run)
    other_id = "UPDATE runs SET run_id = 'another' WHERE run_id = :id"
    store.engine.write(lambda sql: sql.tx.execute(other_id, id=run))
    for path in (of_mlflow, folder.parent):
        make_old(path)
    assert store.remove_orphans().folders == []
    assert len(list(folder.rglob("*.bin"))) == len(list(of_mlflow.rglob("*.bin"))) == 2


# -- killed -----------------------------------------------------------------------------------------------

KILLED = """
    import os, signal, sys
    import slipstream.artifact_store.places as places
    from slipstream.entities import TrashSelection
    from slipstream.store import queued_trash
    from slipstream.store.engine import Engine, open_store

    left = int(sys.argv[3])
    queued_trash.LEASE_MS = 1

    def counted(function):
        def call(*arguments, **named):
            global left
            for after in (False, True):
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                if not after:
                    result = function(*arguments, **named)
            return result
        return call

    store = open_store(sys.argv[1], sys.argv[2])
    Engine.write = counted(Engine.write)
    places.delete_own = counted(places.delete_own)
    token = None
    while True:
        part = store.remove_trash(TrashSelection(), token)
        token = part.token
        if token is None:
            break
    store.close()
"""


class Scene:
    """Things to remove, and live ones that must not suffer."""

    def __init__(self, store: Any) -> None:
        self.experiment = store.create_experiment("going")
        self.gone = [new_run(store, self.experiment) for _ in range(3)]
        self.gone += [new_run(store) for _ in range(3)]
        self.live = [new_run(store) for _ in range(3)]
        self.model = store.create_logged_model(self.experiment, "m")
        self.of_model = new_files(self.model.artifact_location)
        for run, _ in self.gone[3:]:
            store.delete_run(run)
        store.move_to_trash(TrashKind.EXPERIMENT, self.experiment)
        self.before = [store.get_run(run) for run, _ in self.live]

    def check_live(self, store: Any) -> None:
        assert [store.get_run(run) for run, _ in self.live] == self.before
        for run, folder in self.live:
            assert len(store.get_metric_history(run, "loss").items) == 200
            assert len(list(folder.rglob("*.bin"))) == 2

    def check_whole_or_gone(self, store: Any) -> None:
        """Whoever looks finds a run with all that belongs to it, or none."""
        for run, folder in self.gone:
            try:
                assert store.get_run(run).info.lifecycle_stage == "deleted"
            except NotFoundError:
                continue
            assert len(store.get_metric_history(run, "loss").items) == 200
            assert len(list(folder.rglob("*.bin"))) == 2

    def check_gone(self, store: Any) -> None:
        for run, folder in self.gone:
            with pytest.raises(NotFoundError):
                store.get_run(run)
            assert not folder.exists()
        assert not self.of_model.exists()
        with pytest.raises(NotFoundError):
            store.get_experiment(self.experiment)
        assert store.search_trash().items == []


def kill_at(uri: str, artifacts: Path, point: int) -> bool:
    """Remove in another process that kills itself at a point; tell whether it came to that."""
    program = textwrap.dedent(KILLED)
    done = subprocess.run([sys.executable, "-c", program, uri, str(artifacts), str(point)], check=False)
    assert done.returncode in (0, -signal.SIGKILL)
    return done.returncode != 0


@pytest.mark.slow
def test_killed_anywhere_and_done_again(tmp_path: Path) -> None:
    points = 0
    for point in range(1, 200, 2):  # each point is one of before and after; every second is two of three
        folder = tmp_path / str(point)
        folder.mkdir()
        uri, artifacts = f"sqlite:///{folder / 's.db'}", folder / "artifacts"
        store: Any = open_store(uri, str(artifacts))
        scene = Scene(store)
        store.close()
        killed = kill_at(uri, artifacts, point)
        store = open_store(uri, str(artifacts))
        scene.check_live(store)
        scene.check_whole_or_gone(store)
        remove(store)
        scene.check_live(store)
        scene.check_gone(store)
        store.close()
        shutil.rmtree(folder)
        points += 1
        if not killed:
            break
    else:
        raise AssertionError("it never came to its end")
    assert points > 10


@pytest.mark.slow
@pytest.mark.parametrize("point", [4, 8, 13, 18])
def test_killed_on_postgres(tmp_path: Path, postgres_database: str, point: int) -> None:
    store: Any = open_store(postgres_database, str(tmp_path))
    scene = Scene(store)
    assert kill_at(postgres_database, tmp_path, point)
    scene.check_live(store)
    scene.check_whole_or_gone(store)
    remove(store)
    scene.check_live(store)
    scene.check_gone(store)
    store.close()


def test_errors_are_ours(store: Any) -> None:
    with pytest.raises(SlipstreamError):
        store.remove_trash(NOW, "nonsense")


@pytest.mark.parametrize(
    "token", ["rows.-1", "runs", "runs.1,2", "runs.1.x", "runs.1.2,", "runs." + "9" * 30, ".1"]
)
def test_tokens_that_are_none(store: Any, token: str) -> None:
    for dry_run in (False, True):
        with pytest.raises(SlipstreamError, match="page_token"):
            store.remove_trash(NOW, token, dry_run=dry_run)


def test_a_plan_in_many_parts_counts_what_is_removed_in_many(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiments = [store.create_experiment(f"e{number}") for number in range(3)]
    runs = [new_run(store, experiment) for experiment in experiments for _ in range(4)]
    models = [store.create_logged_model(experiment, "m") for experiment in experiments]
    for model in models:
        new_files(model.artifact_location)
    for experiment in experiments:
        store.move_to_trash(TrashKind.EXPERIMENT, experiment)
    monkeypatch.setattr(queued_trash, "PART_SECONDS", 0.0)
    named = TrashSelection(experiment_ids=tuple(experiments))
    for dry_run in (True, False):
        parts = [store.remove_trash(named, dry_run=dry_run)]
        while parts[-1].token is not None:
            parts.append(store.remove_trash(named, parts[-1].token, dry_run=dry_run))
        assert len(parts) > 5
        counts = parts[0].counts
        for part in parts[1:]:
            counts += part.counts
        assert (counts.experiments, counts.runs, counts.models, counts.files) == (3, len(runs), 3, 30)


def test_a_run_of_an_experiment_that_is_being_removed_does_not_come_back(
    store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment = store.create_experiment("going")
    run, folder = new_run(store, experiment)
    store.move_to_trash(TrashKind.EXPERIMENT, experiment)
    with monkeypatch.context() as patch:
        patch.setattr(queued_trash._Work, "_remove_some", lambda *_: None)  # killed behind the mark
        remove(store)
    assert store.get_run(run).info.lifecycle_stage == "deleted"
    with pytest.raises(NotFoundError):
        store.restore_run(run)
    with pytest.raises(SlipstreamError):
        store.take_from_trash(TrashKind.RUN, run)
    remove(store)
    with pytest.raises(NotFoundError):
        store.get_run(run)
    assert not folder.exists()


def test_the_number_of_a_removed_run_may_come_again(store: Any) -> None:
    """SQLite gives it to the next run, whose points lie where those of the removed one did."""
    run, _ = new_run(store)
    store.delete_run(run)
    remove(store)
    again = store.create_run("0").info.run_id
    store.log_metric(again, Metric("other", 2.0, 1, 1))
    assert store.get_metric_history(again, "loss").items == []
    assert [point.value for point in store.get_metric_history(again, "other").items] == [2.0]
