"""Imports that meet trouble: stores that are not empty, power cuts, broken sources and hostile ones.

It is one file since each trouble is tried on the same source and target.
"""

import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from mlflow_museum import VERSIONS, differences, read, unpack
from slipstream.artifact_store.local import LocalArtifactStore
from slipstream.errors import InvalidParameterError, StorageError
from slipstream.moving import taking
from slipstream.moving.importing import ImportOptions, run_import
from slipstream.moving.report import Report
from slipstream.moving.sources import folder_reading
from slipstream.store.engine import open_store
from slipstream.store.imports import UNFINISHED_TAG

NEWEST = VERSIONS[-1]


def take(source: Path | str, into: Path, **options: Any) -> Report:
    report = Report()
    run_import(ImportOptions(source=str(source), into=f"sqlite:///{into}", **options), report)
    return report


def opened(path: Path) -> Any:
    return open_store(f"sqlite:///{path}", "mlflow-artifacts:/")


def content(path: Path) -> dict[str, Any]:
    store = opened(path)
    try:
        return read(store)
    finally:
        store.close()


def same(one: Path, other: Path) -> list[str]:
    """Return what differs between two stores, but for when each made its first experiment."""
    contents = [content(one), content(other)]
    for each in contents:
        for field in ("created", "updated", "location"):
            del each["experiments"]["Default"][field]
    return list(differences(*contents))


def problems(report: Report) -> dict[str, str]:
    return {f"{each.kind} {each.name}": each.reason for each in report.problems}


# -- stores that are not empty ----------------------------------------------------------------------------


def test_what_is_there_stays_and_the_rest_comes_beside_it(tmp_path: Path) -> None:
    store = opened(tmp_path / "here.db")
    mine = store.create_experiment("mine")  # has the id that 'vision' has there
    assert mine == "1"
    theirs = store.create_experiment("language/müller", tags={"team": "ours"})
    run = store.create_run(mine, "eve")
    store.set_experiment_tag(mine, "team", "ours")
    store.create_registered_model("digits model", {"owner": "eve"})
    store.create_model_version("digits model", "s3://mine/1")
    store.set_registered_model_alias("digits model", "champion", "1")
    store.close()

    report = take(unpack(NEWEST, "mlflow.db", tmp_path), tmp_path / "here.db")
    assert report.taken["runs"] == 13
    assert [(each.name, each.there) for each in report.experiment_ids] == [
        ("vision", "1"),
    ]
    assert problems(report) == {
        "model version 'digits model' 1": "here it is another one, with the source 's3://mine/1'"
    }
    told = [each.reason for each in report.differences]
    assert told == [
        "its description is another one",
        "tag 'owner' is 'eve' here and 'ada' there",
        "alias 'champion' is '1' here and '2' there",
    ]

    store = opened(tmp_path / "here.db")
    vision = store.find_experiment_by_name("vision")
    assert vision is not None
    assert vision.experiment_id == report.experiment_ids[0].here not in ("0", mine, theirs)
    assert store.get_run(run.info.run_id).info.user_id == "eve"
    assert store.get_model_version("digits model", "1").source == "s3://mine/1"
    assert store.get_model_version("digits model", "2").source == "s3://bucket/models/1"
    assert store.get_model_version_by_alias("digits model", "champion").version == "1"
    assert store.get_model_version_by_alias("digits model", "challenger").version == "3"
    assert store.create_model_version("digits model", "s3://mine/5").version == "5", (
        "4 was given there, and deleted"
    )
    assert store.search_runs([theirs]).items, "experiments are matched by their names"
    store.close()
    assert not take(tmp_path / "mlflow.db", tmp_path / "here.db").changed


def test_a_run_that_changed_meanwhile_is_told(tmp_path: Path) -> None:
    source = unpack(NEWEST, "mlflow.db", tmp_path)
    take(source, tmp_path / "here.db")
    with sqlite3.connect(source) as connection:
        run_id = connection.execute("SELECT run_uuid FROM runs WHERE name = 'run 3'").fetchone()[0]
        connection.execute("UPDATE runs SET status = 'FINISHED' WHERE run_uuid = ?", (run_id,))
        connection.execute(
            "UPDATE tags SET value = 'eve' WHERE run_uuid = ? AND key = 'mlflow.user'", (run_id,)
        )
    connection.close()
    report = take(source, tmp_path / "here.db")
    assert not report.changed
    assert [(each.name, each.reason) for each in report.differences] == [
        (run_id, "status is 'RUNNING' here and 'FINISHED' there; tag 'mlflow.user'")
    ]


def test_a_run_that_went_on_is_brought_up_to_date(tmp_path: Path) -> None:
    source = unpack(NEWEST, "mlflow.db", tmp_path)
    take(source, tmp_path / "here.db")
    with sqlite3.connect(source) as connection:
        runs = dict(connection.execute("SELECT name, run_uuid FROM runs").fetchall())
        ended, going = runs["run 3"], runs["run 7"]
        connection.execute("UPDATE runs SET status = 'FINISHED', end_time = 5 WHERE run_uuid = ?", (ended,))
        connection.execute(
            "UPDATE tags SET value = 'eve' WHERE run_uuid = ? AND key = 'mlflow.user'", (ended,)
        )
        connection.execute("INSERT INTO params (run_uuid, key, value) VALUES (?, 'late', '1')", (ended,))
        for run_id in (ended, going):
            connection.execute(
                "INSERT INTO metrics (run_uuid, key, value, timestamp, step, is_nan) VALUES (?, 'loss', 0.25, 9, 99, 0)",
                (run_id,),
            )
    connection.close()
    told = take(source, tmp_path / "here.db")
    assert not told.changed
    assert any("--update adds what they have logged since" in each for each in told.notes)
    dry = take(source, tmp_path / "here.db", update=True, dry_run=True)
    assert dict(dry.taken)["updated runs"] == 2
    report = take(source, tmp_path / "here.db", update=True)
    assert report.taken["updated runs"] == 2
    assert not report.differences
    assert not take(source, tmp_path / "here.db", update=True).changed
    take(source, tmp_path / "anew.db")
    assert same(tmp_path / "anew.db", tmp_path / "here.db") == []

    # What is only here is no difference, and a param does not become another one.
    store = opened(tmp_path / "here.db")
    store.set_tag(going, "only here", "yes")
    store.close()
    with sqlite3.connect(source) as connection:
        connection.execute("UPDATE params SET value = '2' WHERE run_uuid = ? AND key = 'late'", (ended,))
    connection.close()
    for _ in range(2):
        report = take(source, tmp_path / "here.db", update=True)
        assert not report.changed
        assert [(each.name, each.reason) for each in report.differences] == [(ended, "param 'late'")]


def test_experiments_and_models_that_changed_are_told_and_brought_up_to_date(tmp_path: Path) -> None:
    source = unpack(NEWEST, "mlflow.db", tmp_path)
    take(source, tmp_path / "here.db")
    before = content(tmp_path / "here.db")
    model, version = next(name for name in before["versions"] if before["versions"][name]["aliases"]).rsplit(
        " ", 1
    )
    alias = before["versions"][f"{model} {version}"]["aliases"][0]
    other = next(
        name.rsplit(" ", 1)[1]
        for name in before["versions"]
        if name.startswith(f"{model} ") and name != f"{model} {version}"
    )
    tag, logged = next(
        (next(iter(each["tags"])), model_id)
        for model_id, each in before["logged models"].items()
        if each["tags"]
    )
    with sqlite3.connect(source) as connection:
        for sql, values in (
            ("UPDATE experiment_tags SET value = 'new there'", ()),
            ("UPDATE registered_models SET description = 'new there' WHERE name = ?", (model,)),
            ("INSERT INTO registered_model_tags (name, key, value) VALUES (?, 'added', '1')", (model,)),
            (
                "UPDATE registered_model_aliases SET version = ? WHERE name = ? AND alias = ?",
                (int(other), model, alias),
            ),
            (
                """
                UPDATE model_versions SET description = 'new there', current_stage = 'Archived'
                WHERE name = ? AND version = ?
                """,
                (model, int(version)),
            ),
            (
                "INSERT INTO model_version_tags (name, version, key, value) VALUES (?, ?, 'added', '1')",
                (model, int(version)),
            ),
            (
                "UPDATE logged_model_tags SET tag_value = 'new there' WHERE model_id = ? AND tag_key = ?",
                (logged, tag),
            ),
        ):
            assert connection.execute(sql, values).rowcount >= 1, sql
    connection.close()
    told = take(source, tmp_path / "here.db")
    reasons = {(each.kind, each.name): each.reason for each in told.differences}
    assert reasons["model version", f"'{model}' {version}"].startswith(
        "its description is another one; its stage is "
    )
    assert reasons["logged model", logged] == f"tag '{tag}'"
    assert any(kind == "experiment" for kind, _ in reasons)
    models = [each.reason for each in told.differences if each.kind == "registered model"]
    assert models == [
        "its description is another one",
        f"alias '{alias}' is '{version}' here and '{other}' there",
    ]

    store = opened(tmp_path / "here.db")
    store.set_registered_model_tag(model, "only here", "yes")
    store.close()
    dry = take(source, tmp_path / "here.db", update=True, dry_run=True)
    report = take(source, tmp_path / "here.db", update=True)
    for kind in ("experiments", "registered models", "model versions", "logged models"):
        assert report.taken[f"updated {kind}"] == dry.taken[f"updated {kind}"] >= 1, kind
    assert report.taken["updated registered models"] == report.taken["updated model versions"] == 1
    assert not report.differences
    assert not take(source, tmp_path / "here.db", update=True).changed

    store = opened(tmp_path / "here.db")
    assert store.get_registered_model(model).tags["only here"] == "yes"
    store.delete_registered_model_tag(model, "only here")
    store.close()
    take(source, tmp_path / "anew.db")
    assert same(tmp_path / "anew.db", tmp_path / "here.db") == []


def test_what_is_another_version_here_is_not_brought_up_to_date(tmp_path: Path) -> None:
    source = unpack(NEWEST, "mlflow.db", tmp_path)
    store = opened(tmp_path / "here.db")
    store.create_registered_model("digits model", description="ours")
    for number in range(1, 4):
        store.create_model_version("digits model", f"s3://mine/{number}")
        store.set_registered_model_alias("digits model", f"mine-{number}", str(number))
    store.close()
    take(source, tmp_path / "here.db", update=True)
    store = opened(tmp_path / "here.db")
    for number in range(1, 4):
        found = store.get_model_version("digits model", str(number))
        assert (found.source, found.description or "") == (f"s3://mine/{number}", "")
    assert store.get_registered_model("digits model").aliases["mine-1"] == "1"
    store.close()
    assert not take(source, tmp_path / "here.db", update=True).changed


def test_a_store_is_not_imported_into_itself_nor_into_a_server(tmp_path: Path) -> None:
    opened(tmp_path / "here.db").close()
    with pytest.raises(InvalidParameterError, match="into itself"):
        take(tmp_path / "here.db", tmp_path / "here.db")
    options = ImportOptions(source=str(tmp_path / "here.db"), into="http://ada:secret@127.0.0.1:5000")
    with pytest.raises(InvalidParameterError, match="beside the server's database") as caught:
        run_import(options, Report())
    assert "secret" not in str(caught.value)


def test_mlflows_own_database_is_no_target(tmp_path: Path) -> None:
    source = unpack(NEWEST, "mlflow.db", tmp_path)
    before = source.read_bytes()
    with pytest.raises(InvalidParameterError, match="MLflow's own tables"):
        take(source, source)
    assert source.read_bytes() == before


# -- power cuts -------------------------------------------------------------------------------------------

KILLED = """
import os, signal, sys
from slipstream.moving import taking
from slipstream.moving.importing import ImportOptions, run_import
from slipstream.moving.report import Report
from slipstream.store.engine import Engine

source, into, when = sys.argv[1], sys.argv[2], int(sys.argv[3])
taking.GROUP_POINTS, taking.GROUP_RUNS = 300, 3
write, count = Engine.write, 0

def counted(self, run):
    def then_die(store):
        result = run(store)
        if count == when:
            os.kill(os.getpid(), signal.SIGKILL)  # after its last statement, before the commit
        return result
    global count
    count += 1
    return write(self, then_die)

Engine.write = counted
run_import(ImportOptions(source=source, into=into), Report())
print(count)
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["mlflow.db", "mlruns"])
def test_a_killed_import_goes_on_where_it_was(kind: str, tmp_path: Path) -> None:
    source = unpack(NEWEST, kind, tmp_path)
    take(source, tmp_path / "whole.db")
    into = tmp_path / "here.db"

    def run(when: int) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-c", KILLED, str(source), f"sqlite:///{into}", str(when)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)

    seen: list[int] = []
    for when in (1, 3, 7, 9, 12, 7, 7, 7):
        done = run(when)
        if done.returncode == 0:
            break
        assert done.returncode == -9, done.stderr
        store = opened(into)
        runs = store.search_runs([each.experiment_id for each in store.search_experiments().items]).items
        assert not [each for each in runs if UNFINISHED_TAG in each.data.tags], (
            "what is not whole is not shown"
        )
        store.close()
        seen.append(len(runs))
    assert len(set(seen)) > 2, "each try came further"
    report = take(source, into)
    assert report.finished
    assert not report.problems
    assert same(tmp_path / "whole.db", into) == []
    assert not take(source, into).changed


def places_of_versions(folder: Path) -> dict[str, str]:
    store = opened(folder / "here.db")
    try:
        found = {
            f"{version.name} {version.version}": store.get_model_version_download_uri(
                version.name, version.version
            )
            for version in store.search_model_versions().items
        }
    finally:
        store.close()
    return {name: uri.replace(str(folder), "HERE") for name, uri in found.items()}


@pytest.mark.parametrize("version", VERSIONS[1:])
def test_an_import_that_broke_off_before_the_registry_finds_the_files_that_it_copied(
    version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = unpack(version, "mlruns", tmp_path)
    run = run_folders(source)[0]
    (run / "artifacts" / "model").mkdir(parents=True)
    (run / "artifacts" / "model" / "MLmodel").write_text("flavors: {}")
    meta = yaml.safe_load((run / "meta.yaml").read_text())
    for path in source.glob("models/*/version-*/meta.yaml"):
        model = yaml.safe_load(path.read_text())
        path.write_text(yaml.safe_dump(model | {"storage_location": f"{meta['artifact_uri']}/model"}))
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    first = take(source, whole / "here.db", copy_artifacts=True)

    def leave(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(taking.Taking, "_take_registered_model", leave)
        with pytest.raises(KeyboardInterrupt):
            take(source, broken / "here.db", copy_artifacts=True)
    report = take(source, broken / "here.db", copy_artifacts=True)
    assert first.taken["files"] > 0
    assert report.there_already["files"] == first.taken["files"]
    assert report.taken["files"] == 0
    assert any("HERE" in place for place in places_of_versions(whole).values())
    assert places_of_versions(broken) == places_of_versions(whole)


def test_files_that_could_not_be_copied_come_with_the_next_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = unpack(NEWEST, "mlruns", tmp_path)
    run = next(each for each in run_folders(source) if (each / "artifacts").is_dir())
    (run / "artifacts" / "a.txt").write_text("one")
    (run / "artifacts" / "b.txt").write_text("two")
    write = LocalArtifactStore.write

    def full(store: LocalArtifactStore, path: str, chunks: Any) -> int:
        if path.endswith("b.txt"):
            raise StorageError("There is no space left.")
        return write(store, path, chunks)

    with monkeypatch.context() as patch:
        patch.setattr(LocalArtifactStore, "write", full)
        report = take(source, tmp_path / "here.db", copy_artifacts=True)
    assert "no space" in problems(report)[f"run {run.name}, file 'b.txt'"]
    (copied,) = (tmp_path / "slipstream-artifacts").rglob(f"{run.name}/artifacts")
    assert (copied / "a.txt").read_text() == "one"
    (copied / "a.txt").write_text("changed here")
    report = take(source, tmp_path / "here.db", copy_artifacts=True)
    assert report.taken["files"] == 1
    assert (copied / "b.txt").read_text() == "two"
    assert (copied / "a.txt").read_text() == "changed here"


def test_a_large_run_is_hidden_until_it_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = unpack(NEWEST, "mlflow.db", tmp_path)
    take(source, tmp_path / "whole.db")
    monkeypatch.setattr(taking, "GROUP_POINTS", 500)
    stored: list[int] = []
    import_points = taking.SqlStore.import_points

    def fail_late(self: Any, run_id: str, points: Any) -> None:
        stored.append(len(points))
        if len(stored) == 3:
            raise KeyboardInterrupt
        import_points(self, run_id, points)

    with monkeypatch.context() as patched:
        patched.setattr(taking.SqlStore, "import_points", fail_late)
        with pytest.raises(KeyboardInterrupt):
            take(source, tmp_path / "here.db")
    store = opened(tmp_path / "here.db")
    with sqlite3.connect(tmp_path / "here.db") as connection:
        found = connection.execute(
            "SELECT run_id, lifecycle_stage FROM runs WHERE run_name = 'run 0'"
        ).fetchall()
    connection.close()
    assert [stage for _, stage in found] == ["deleted"]
    assert UNFINISHED_TAG in store.get_run(found[0][0]).data.tags
    store.close()
    assert take(source, tmp_path / "here.db").taken["runs"] >= 1
    assert same(tmp_path / "whole.db", tmp_path / "here.db") == []


# -- broken sources ---------------------------------------------------------------------------------------


def test_broken_rows_are_told_and_the_rest_is_taken(tmp_path: Path) -> None:
    source = unpack(NEWEST, "mlflow.db", tmp_path)
    with sqlite3.connect(source) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        runs = dict(connection.execute("SELECT name, run_uuid FROM runs").fetchall())
        broken = {
            name: runs[f"run {number}"]
            for number, name in enumerate(("value", "status", "text", "time", "tag"))
        }
        connection.execute(
            "UPDATE metrics SET value = 'garbage' WHERE run_uuid = ? AND key = 'loss' AND step = 2",
            (broken["value"],),
        )
        connection.execute(
            "UPDATE metrics SET timestamp = -5 WHERE run_uuid = ? AND key = 'loss' AND step = 3",
            (broken["value"],),
        )
        connection.execute("UPDATE runs SET status = 'DANCING' WHERE run_uuid = ?", (broken["status"],))
        connection.execute(
            "UPDATE params SET value = CAST(x'ff00' AS TEXT) WHERE run_uuid = ? AND key = 'rate'",
            (broken["text"],),
        )
        connection.execute("UPDATE runs SET start_time = 'noon' WHERE run_uuid = ?", (broken["time"],))
        connection.execute(
            "UPDATE tags SET key = '../../x' WHERE run_uuid = ? AND key = 'note'", (broken["tag"],)
        )
        connection.execute("UPDATE model_versions SET current_stage = 'Nowhere' WHERE version = 3")
    connection.close()
    report = take(source, tmp_path / "here.db")
    found = problems(report)
    assert "garbage" in " ".join(
        each.reason for each in report.problems if each.name == f"{broken['value']}, metric 'loss'"
    )
    assert "-5" in " ".join(each.reason for each in report.problems)
    assert "DANCING" in found[f"run {broken['status']}"]
    assert "cannot be read" in found[f"run {broken['text']}"]
    assert "noon" in found[f"run {broken['time']}"]
    assert found[f"run {broken['tag']}, tag '../../x'"]
    assert "Nowhere" in found["registered model 'digits model'"]
    assert report.finished
    assert report.taken["runs"] == 10
    assert report.taken["registered models"] == 1
    store = opened(tmp_path / "here.db")
    steps = [point.step for point in store.get_metric_history(broken["value"], "loss").items]
    store.close()
    assert sorted(steps) == [0, 1, 4, 5, 6, 7, 8, 9]


def run_folders(mlruns: Path) -> list[Path]:
    return sorted(
        path.parent
        for path in mlruns.glob("[0-9]*/*/meta.yaml")
        if (path.parent / "metrics").is_dir() and (path.parent / "params" / "rate").exists()
    )


def test_broken_files_are_told_and_the_rest_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = unpack(NEWEST, "mlruns", tmp_path)
    monkeypatch.setattr(folder_reading, "SMALL", 20_000)
    monkeypatch.setattr(folder_reading.read_yaml, "__defaults__", (20_000,))
    no_yaml, huge, deep, no_meta, liar, garbage, no_text, date = run_folders(source)[:8]
    (no_yaml / "meta.yaml").write_text("run_id: [unclosed")
    (huge / "meta.yaml").write_text("a: " + "x" * 30_000)
    (deep / "meta.yaml").write_text("[" * 9_000 + "]" * 9_000)
    (no_meta / "meta.yaml").unlink()
    (liar / "meta.yaml").write_text((garbage / "meta.yaml").read_text())
    with (garbage / "metrics" / "loss").open("a") as file:
        file.write("yesterday 1.0 2\n17 nothing 3\n\n-5 1.0 77\n1700000009000 0.5 99\n")
    (no_text / "params" / "rate").write_bytes(b"\xff\xfe\x00")
    (date / "meta.yaml").write_text(
        (date / "meta.yaml").read_text().replace("start_time: ", "start_time: noon # ")
    )
    (source / "models" / "empty model" / "meta.yaml").write_bytes(b"\x00\x01")
    before = {path: path.read_bytes() for path in source.rglob("*") if path.is_file()}

    report = take(source, tmp_path / "here.db")
    found = problems(report)
    assert "no valid YAML" in found[f"run {no_yaml.name}"] or "not valid YAML" in found[f"run {no_yaml.name}"]
    assert "larger than" in found[f"run {huge.name}"]
    assert "nested more than 50 deep" in found[f"run {deep.name}"]
    assert "missing" in found[f"run {no_meta.name}"]
    assert garbage.name in found[f"run {liar.name}"] or "belongs to" in found[f"run {liar.name}"]
    assert len([each for each in report.problems if each.name == f"{garbage.name}, metric 'loss'"]) == 4
    assert "UTF-8" in found[f"run {no_text.name}, param 'rate'"]
    assert "noon" in found[f"run {date.name}"] or "start_time" in found[f"run {date.name}"]
    assert "registered model empty model" in found
    assert report.finished
    assert report.taken["runs"] == 13 - 6
    store = opened(tmp_path / "here.db")
    points = store.get_metric_history(garbage.name, "loss").items
    assert (0.5, 1700000009000, 99) in [(point.value, point.timestamp, point.step) for point in points]
    assert len(points) == 11
    store.close()
    assert {path: path.read_bytes() for path in source.rglob("*") if path.is_file()} == before


def test_values_of_any_type_are_told_and_the_rest_is_taken(tmp_path: Path) -> None:
    source = unpack(NEWEST, "mlruns", tmp_path)
    bad_list, bad_map, address = run_folders(source)[:3]
    for run, line in (
        (bad_list, "status: [1]"),
        (bad_map, "status: {a: 1}"),
        (address, "artifact_uri: 'http://[::1'"),
    ):
        meta = run / "meta.yaml"
        field = line.partition(":")[0]
        others = [each for each in meta.read_text().splitlines() if not each.startswith(f"{field}:")]
        meta.write_text("\n".join([*others, line, ""]))
    model = next(source.glob("[0-9]*/models/m-*/meta.yaml"))
    lines = [each for each in model.read_text().splitlines() if not each.startswith("status:")]
    model.write_text("\n".join([*lines, "status: [2]", ""]))
    version = next(source.glob("models/*/version-1/meta.yaml"))
    lines = [each for each in version.read_text().splitlines() if not each.startswith("storage_location:")]
    version.write_text("\n".join([*lines, "storage_location: [x]", ""]))
    report = take(source, tmp_path / "here.db")
    found = problems(report)
    assert "status" in found[f"run {bad_list.name}"]
    assert "status" in found[f"run {bad_map.name}"]
    assert "not kept" in found[f"run {address.name}"]
    assert "status" in found[f"logged model {model.parent.name}"]
    assert any(
        "storage_location" in reason for name, reason in found.items() if name.startswith("model version")
    )
    assert report.finished
    assert report.taken["runs"] == 13 - 2


def test_odd_types_in_a_database_are_told_and_the_rest_is_taken(tmp_path: Path) -> None:
    source = unpack(NEWEST, "mlflow.db", tmp_path)
    with sqlite3.connect(source) as connection:
        connection.execute("UPDATE experiments SET artifact_location = x'00ff' WHERE experiment_id = 0")
        connection.execute("UPDATE model_versions SET version = 'two' WHERE version = 2")
    connection.close()
    report = take(source, tmp_path / "here.db")
    found = problems(report)
    assert "no text" in found["experiment 'Default'"]
    assert any("'two'" in reason for name, reason in found.items() if name.startswith("model version"))
    assert report.finished


def test_yaml_that_names_its_parts_is_refused(tmp_path: Path) -> None:
    """Ten lines of it make a text of gigabytes."""
    lines = ["a0: &a0 [x, x]", *(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12))]
    (tmp_path / "meta.yaml").write_text("\n".join([*lines, "status: *a11"]))
    with pytest.raises(InvalidParameterError, match="by its name"):
        folder_reading.read_yaml(tmp_path / "meta.yaml")


@pytest.mark.parametrize("opening", ["[", "{a: ", "- ", "? "])
def test_yaml_that_would_end_the_process_is_refused(opening: str, tmp_path: Path) -> None:
    (tmp_path / "meta.yaml").write_text((opening * 400_000)[: folder_reading.SMALL - 10])
    with pytest.raises(InvalidParameterError, match=r"nested more than 50 deep|not valid YAML"):
        folder_reading.read_yaml(tmp_path / "meta.yaml")


def test_yaml_runs_no_code(tmp_path: Path) -> None:
    (tmp_path / "meta.yaml").write_text("a: !!python/object/apply:os.system ['touch made']")
    with pytest.raises(InvalidParameterError, match="not valid YAML"):
        folder_reading.read_yaml(tmp_path / "meta.yaml")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: path.write_bytes(b"SQLite format 3\x00" + b"\x00" * 2000), "not an SQLite database"),
        (lambda path: path.write_bytes(b"PK\x03\x04"), "is no SQLite database"),
        (
            lambda path: sqlite3.connect(path).execute("CREATE TABLE t (a)").connection.close(),
            "none of MLflow's tables",
        ),
        (lambda path: path.mkdir(), "nothing to import from"),
        (lambda path: None, "nothing to import from"),
    ],
)
def test_what_is_no_source_is_refused(make: Callable[[Path], object], message: str, tmp_path: Path) -> None:
    make(tmp_path / "source.db")
    with pytest.raises(InvalidParameterError, match=message):
        take(tmp_path / "source.db", tmp_path / "here.db")
    assert not (tmp_path / "here.db").exists()


def test_a_folder_above_mlruns_is_pointed_at(tmp_path: Path) -> None:
    unpack(NEWEST, "mlruns", tmp_path)
    with pytest.raises(InvalidParameterError, match="mlruns does. Name that"):
        take(tmp_path, tmp_path / "here.db")


# -- hostile sources --------------------------------------------------------------------------------------


def test_links_in_a_folder_are_not_followed(tmp_path: Path) -> None:
    source = unpack(NEWEST, "mlruns", tmp_path)
    secret = tmp_path / "secret"
    secret.write_text("1700000000000 42.5 7\n")
    run = run_folders(source)[0]
    (run / "params" / "stolen").symlink_to(secret)
    (run / "metrics" / "stolen").symlink_to(secret)
    (run / "tags" / "up").symlink_to(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    run.with_name(run_folders(source)[1].name).rename(elsewhere)
    run.with_name("f" * 32).symlink_to(elsewhere)
    (source / "models" / "linked").symlink_to(tmp_path)
    report = take(source, tmp_path / "here.db")
    links = {each.name for each in report.problems if each.kind == "link"}
    assert {Path(each).name for each in links} == {"stolen", "up", "f" * 32, "linked"}
    store = opened(tmp_path / "here.db")
    taken = store.get_run(run.name)
    store.close()
    assert "stolen" not in taken.data.params
    assert "stolen" not in taken.data.metrics
    assert report.taken["runs"] == 12


def test_files_are_read_only_where_the_source_may_have_them(tmp_path: Path) -> None:
    source = unpack(NEWEST, "mlflow.db", tmp_path)
    secret = tmp_path / "private"
    secret.mkdir()
    (secret / "key").write_text("secret")
    own = tmp_path / "mlruns" / "1" / "files"
    own.mkdir(parents=True)
    (own / "weights.bin").write_bytes(b"w" * 100)
    (own / "link").symlink_to(secret / "key")
    (tmp_path / "mlruns" / "out").symlink_to(secret)
    places = [
        *(str(secret), f"file://{secret}", "s3://bucket/else", str(own), f"{tmp_path}/mlruns/../private"),
        *(
            f"{tmp_path}/mlruns/%2e%2e/private",
            f"{tmp_path}/mlruns/out",
            "/",
            "http://127.0.0.1:1/api/2.0/mlflow-artifacts/artifacts/x",
        ),
    ]
    with sqlite3.connect(source) as connection:
        runs = [
            row[0] for row in connection.execute("SELECT run_uuid FROM runs ORDER BY run_uuid").fetchall()
        ]
        connection.executemany("UPDATE runs SET artifact_uri = ?", [("s3://bucket/x",)])
        connection.executemany(
            "UPDATE runs SET artifact_uri = ? WHERE run_uuid = ?", list(zip(places, runs, strict=False))
        )
    connection.close()
    report = take(source, tmp_path / "here.db", copy_artifacts=True)
    assert report.taken["files"] == 1
    copied = [path for path in (tmp_path / "slipstream-artifacts").rglob("*") if path.is_file()]
    assert [path.name for path in copied] == ["weights.bin"]
    refused = [each for each in report.problems if "does not belong to the source" in each.reason]
    assert len(refused) >= 5

    # Named by the user, a place is read.
    (tmp_path / "again").mkdir()
    again = take(source, tmp_path / "again" / "again.db", copy_artifacts=True, artifacts_from=[str(secret)])
    assert again.taken["files"] >= 2
    assert list((tmp_path / "again").rglob("key"))


def test_relative_places_are_found_beside_the_database(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = unpack("2.0.1", "mlflow.db", tmp_path)
    with sqlite3.connect(source) as connection:
        uri = connection.execute(
            "SELECT artifact_uri FROM runs WHERE artifact_uri LIKE './mlruns/%'"
        ).fetchone()[0]
        connection.execute("UPDATE model_versions SET source = ? WHERE version = 1", (f"{uri}/model",))
    connection.close()
    (tmp_path / uri / "model").mkdir(parents=True)
    (tmp_path / uri / "model" / "MLmodel").write_text("flavors: {}")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    report = take(source, tmp_path / "here.db", copy_artifacts=True)
    assert report.taken["files"] == 1
    store = opened(tmp_path / "here.db")
    place = Path(store.get_model_version("digits model", "1").source)
    store.close()
    assert place.is_relative_to(tmp_path / "slipstream-artifacts")
    assert (place / "MLmodel").read_text() == "flavors: {}"


def test_artifact_uris_that_climb_are_not_kept(tmp_path: Path) -> None:
    source = unpack(NEWEST, "mlflow.db", tmp_path)
    with sqlite3.connect(source) as connection:
        run_id = connection.execute("SELECT run_uuid FROM runs LIMIT 1").fetchone()[0]
        connection.execute(
            "UPDATE runs SET artifact_uri = 's3://bucket/a/../../other' WHERE run_uuid = ?", (run_id,)
        )
    connection.close()
    report = take(source, tmp_path / "here.db")
    assert "its artifact URI is not kept" in problems(report)[f"run {run_id}"]
    store = opened(tmp_path / "here.db")
    assert store.get_run(run_id).info.artifact_uri.endswith(f"/{run_id}/artifacts")
    store.close()


def test_tables_of_a_hostile_name_are_counted_and_nothing_else(tmp_path: Path) -> None:
    source = unpack(NEWEST, "mlflow.db", tmp_path)
    with sqlite3.connect(source) as connection:
        connection.execute('CREATE TABLE "x""; DROP TABLE runs; --" (a)')
        connection.execute('INSERT INTO "x""; DROP TABLE runs; --" VALUES (1)')
        connection.execute(
            "INSERT INTO trace_info (request_id, experiment_id, timestamp_ms, status) VALUES ('t1', 1, 1, 'OK'), "
            "('t2', 1, 1, 'OK')"
        )
        connection.execute(
            "INSERT INTO webhooks (webhook_id, name, url) VALUES ('w', 'hook', 'https://1.1.1.1')"
        )
    connection.close()
    report = take(source, tmp_path / "here.db")
    assert {each.kind: each.count for each in report.left_out} == {
        "rows of the table 'x\"; DROP TABLE runs; --'": 1,
        "traces": 2,
        "webhooks": 1,
    }
    assert report.taken["runs"] == 13
    assert "traces: 2 (slipstream keeps no traces yet)" in "\n".join(report.lines())


def test_traces_in_a_folder_are_counted(tmp_path: Path) -> None:
    source = unpack(NEWEST, "mlruns", tmp_path)
    experiment = run_folders(source)[0].parent
    for name in ("tr-1", "tr-2"):
        (experiment / "traces" / name / "assessments").mkdir(parents=True)
        (experiment / "traces" / name / "trace_info.yaml").write_text("request_id: x")
    (experiment / "traces" / "tr-2" / "assessments" / "a.yaml").write_text("a: 1")
    report = take(source, tmp_path / "here.db")
    assert {each.kind: each.count for each in report.left_out} == {"traces": 2, "assessments of traces": 1}
    assert report.taken["runs"] == 13


def test_a_database_that_may_not_be_written_beside_is_read(tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir()
    source = unpack(NEWEST, "mlflow.db", folder)
    with sqlite3.connect(source) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
    source.chmod(0o444)
    folder.chmod(0o555)
    try:
        assert take(source, tmp_path / "here.db").taken["runs"] == 13
        if os.geteuid() != 0:  # whom rights do not hold
            assert [path.name for path in folder.iterdir()] == ["mlflow.db"]
    finally:
        folder.chmod(0o755)


# -- the command ------------------------------------------------------------------------------------------


def test_the_command_prints_and_saves_its_report(tmp_path: Path) -> None:
    source = unpack(NEWEST, "mlflow.db", tmp_path)
    command = [
        *(sys.executable, "-m", "slipstream", "import", str(source), "--into", "here.db"),
        *("--report", "report.json"),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert "runs: 13 taken" in done.stdout
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["finished"]
    assert report["taken"]["runs"] == 13
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert "Nothing is new: all of it was there already." in done.stdout
    export = [sys.executable, "-m", "slipstream", "export", "out", "--from", "here.db", "--metrics", "csv"]
    done = subprocess.run(export, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert "runs: 13 written" in done.stdout, done.stderr
    nothing = [sys.executable, "-m", "slipstream", "import", "nothing"]
    done = subprocess.run(nothing, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "nothing to import from" in done.stderr
