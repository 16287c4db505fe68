"""What is exported and imported again is the same store; what is not whole is not taken."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from mlflow_museum import VERSIONS, differences, read, unpack
from slipstream.cli.main import main
from slipstream.entities import Metric
from slipstream.errors import InvalidParameterError
from slipstream.moving import plain_files
from slipstream.moving.exporting import ExportOptions, run_export
from slipstream.moving.importing import ImportOptions, run_import
from slipstream.moving.report import Report
from slipstream.store.engine import open_store


def take(source: Path | str, into: Path, **options: Any) -> Report:
    report = Report()
    run_import(ImportOptions(source=str(source), into=f"sqlite:///{into}", **options), report)
    return report


def export(source: Path | str, folder: Path, **options: Any) -> Report:
    report = Report()
    run_export(ExportOptions(source=str(source), folder=folder, **options), report)
    return report


def content(path: Path) -> dict[str, Any]:
    store: Any = open_store(f"sqlite:///{path}", "mlflow-artifacts:/")
    try:
        return read(store)
    finally:
        store.close()


def pristine(one: dict[str, Any]) -> dict[str, Any]:
    """Leave out when the first experiment was made: each store makes its own."""
    for field in ("created", "updated", "location"):
        del one["experiments"]["Default"][field]
    return one


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """A store that has every kind of entity."""
    path = tmp_path / "filled.db"
    report = take(unpack(VERSIONS[-1], "mlflow.db", tmp_path), path)
    assert not report.problems
    return path


@pytest.mark.parametrize("metrics", ["parquet", "csv"])
def test_an_export_comes_back_as_the_same_store(
    metrics: str, filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if metrics == "parquet":
        pytest.importorskip("pyarrow", exc_type=ImportError)
    monkeypatch.setattr(plain_files, "PART_POINTS", 500)
    monkeypatch.setattr(plain_files, "_GROUP_POINTS", 70)
    report = export(filled, tmp_path / "out", metrics=metrics)
    assert report.finished
    assert not report.problems
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["counts"]["runs"] == 13
    assert len([each for each in manifest["files"] if each["path"].startswith("metrics/")]) == 3
    taken = take(tmp_path / "out", tmp_path / "back.db")
    assert taken.taken["metric points"] == manifest["counts"]["metric points"]
    assert not taken.problems
    assert list(differences(pristine(content(filled)), pristine(content(tmp_path / "back.db")))) == []
    again = take(tmp_path / "out", tmp_path / "back.db")
    assert not again.changed
    assert again.there_already["runs"] == 13


def test_a_store_is_imported_straight_from_another(filled: Path, tmp_path: Path) -> None:
    report = take(filled, tmp_path / "back.db")
    assert not report.problems
    assert list(differences(pristine(content(filled)), pristine(content(tmp_path / "back.db")))) == []


def test_one_experiment_is_exported(filled: Path, tmp_path: Path) -> None:
    export(filled, tmp_path / "out", experiments=["vision"], metrics="csv")
    take(tmp_path / "out", tmp_path / "back.db")
    back, whole = content(tmp_path / "back.db"), content(filled)
    assert set(back["experiments"]) == {"Default", "vision"}
    kept = {run_id: run for run_id, run in whole["runs"].items() if run["experiment"] == "vision"}
    assert kept
    assert back["runs"] == kept
    assert back["versions"] == {}
    with pytest.raises(InvalidParameterError, match="no experiment named 'visions'"):
        export(filled, tmp_path / "other", experiments=["visions"])


def test_some_runs_that_are_there_do_not_confuse_the_points_of_others(filled: Path, tmp_path: Path) -> None:
    export(filled, tmp_path / "out", metrics="csv")
    take(tmp_path / "out", tmp_path / "back.db", experiments=["language/müller"])
    report = take(tmp_path / "out", tmp_path / "back.db")
    assert report.there_already["runs"]
    assert report.taken["runs"]
    assert list(differences(pristine(content(filled)), pristine(content(tmp_path / "back.db")))) == []


@pytest.mark.parametrize("name", ["runs.jsonl", "metrics/part-00000.csv.gz"])
def test_a_file_that_was_changed_is_found(name: str, filled: Path, tmp_path: Path) -> None:
    export(filled, tmp_path / "out", metrics="csv")
    path = tmp_path / "out" / name
    whole = path.read_bytes()
    path.write_bytes(whole[:-10] + b"x" + whole[-9:])
    with pytest.raises(InvalidParameterError, match="is not what was exported"):
        take(tmp_path / "out", tmp_path / "back.db")
    assert not (tmp_path / "back.db").exists()
    path.unlink()
    with pytest.raises(InvalidParameterError, match="cannot be read: No such file"):
        take(tmp_path / "out", tmp_path / "back.db")


def test_an_export_that_broke_off_is_none_and_is_begun_again(
    filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def power_cut(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(plain_files.PointParts, "close", power_cut)
        with pytest.raises(KeyboardInterrupt):
            export(filled, tmp_path / "out", metrics="csv")
    assert not (tmp_path / "out" / "manifest.json").exists()
    with pytest.raises(InvalidParameterError, match="has not ended"):
        take(tmp_path / "out", tmp_path / "back.db")
    assert export(filled, tmp_path / "out", metrics="csv").finished
    assert sorted(each.name for each in (tmp_path / "out").iterdir()) == [
        "experiments.jsonl", "logged_models.jsonl", "manifest.json", "metrics", "registered_models.jsonl", "runs.jsonl",
    ]  # fmt: skip
    assert take(tmp_path / "out", tmp_path / "back.db").finished


def test_what_is_in_the_folder_is_not_overwritten(filled: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("unsaved")
    with pytest.raises(InvalidParameterError, match="is not empty"):
        export(filled, tmp_path / "mine")
    export(filled, tmp_path / "out", metrics="csv")
    with pytest.raises(InvalidParameterError, match="holds an export already"):
        export(filled, tmp_path / "out", metrics="csv")


def test_a_manifest_that_names_files_elsewhere_is_refused(filled: Path, tmp_path: Path) -> None:
    export(filled, tmp_path / "out", metrics="csv")
    path = tmp_path / "out" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["files"][0]["path"] = "../filled.db"
    path.write_text(json.dumps(manifest))
    with pytest.raises(InvalidParameterError, match="Invalid path"):
        take(tmp_path / "out", tmp_path / "back.db")


def test_lines_that_cannot_be_taken_are_told_and_hold_up_no_other(
    filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export(filled, tmp_path / "out", metrics="csv")
    path, manifest_path = tmp_path / "out" / "runs.jsonl", tmp_path / "out" / "manifest.json"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    lines[0]["run"]["info"]["experiment_id"] = "77"
    lines[1]["run"]["info"]["run_id"] = "../../x"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    manifest = json.loads(manifest_path.read_text())
    for each in manifest["files"]:
        if each["path"] == "runs.jsonl":
            each["size"] = path.stat().st_size
            each["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()
    manifest_path.write_text(json.dumps(manifest))
    report = take(tmp_path / "out", tmp_path / "back.db")
    assert report.finished
    assert report.taken["runs"] == len(lines) - 2
    runs = [each.name for each in report.problems if each.kind == "run"]
    assert sorted(runs) == sorted(["../../x", lines[0]["run"]["info"]["run_id"]])
    assert any("no experiment 77" in each.reason for each in report.problems)
    monkeypatch.chdir(tmp_path)
    told = CliRunner().invoke(main, ["import", "out", "--into", "sqlite:///other.db"])
    assert told.exit_code == 1
    assert "Not everything was taken" in told.stderr
    again = CliRunner().invoke(main, ["import", "out", "--into", "sqlite:///other.db"])
    assert again.exit_code == 1  # still not


def test_an_export_of_a_newer_format_is_refused(filled: Path, tmp_path: Path) -> None:
    export(filled, tmp_path / "out", metrics="csv")
    path = tmp_path / "out" / "manifest.json"
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps({**manifest, "version": plain_files.VERSION + 1}))
    with pytest.raises(InvalidParameterError, match="Upgrade slipstream"):
        take(tmp_path / "out", tmp_path / "back.db")


def test_artifacts_go_out_and_come_back(tmp_path: Path) -> None:
    store: Any = open_store(f"sqlite:///{tmp_path}/one.db", str(tmp_path / "slipstream-artifacts"))
    run = store.create_run(store.create_experiment("files"), "ada")
    store.log_metric(run.info.run_id, Metric("loss", float("nan"), 1))
    store.close()
    folder = Path(run.info.artifact_uri)
    (folder / "model").mkdir(parents=True)
    (folder / "model" / "weights ü.bin").write_bytes(bytes(range(256)) * 10_000)
    (folder / "empty.txt").write_text("")
    (folder / "secret").symlink_to("/etc/passwd")
    assert not export(tmp_path / "one.db", tmp_path / "out", artifacts=True).problems
    copied = tmp_path / "out" / "artifacts" / run.info.run_id
    assert sorted(each.name for each in copied.iterdir()) == ["empty.txt", "model"]

    (tmp_path / "two").mkdir()
    report = take(tmp_path / "out", tmp_path / "two" / "two.db", copy_artifacts=True)
    assert not report.problems
    assert report.taken["files"] == 2
    store = open_store(f"sqlite:///{tmp_path}/two/two.db", "unused")
    uri = store.get_run(run.info.run_id).info.artifact_uri
    store.close()
    assert uri.startswith(str(tmp_path / "two" / "slipstream-artifacts"))
    assert (Path(uri) / "model" / "weights ü.bin").read_bytes() == bytes(range(256)) * 10_000
