"""What real versions of MLflow kept is here after an import, to the last digit; and importing again changes nothing."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from mlflow_museum import VERSIONS, read, told, unexpected, unpack
from slipstream.moving.importing import ImportOptions, run_import
from slipstream.moving.report import Report
from slipstream.store.engine import open_store

KINDS = ("mlflow.db", "mlruns")


def take(source: Path | str, into: str, **options: Any) -> Report:
    report = Report()
    run_import(ImportOptions(source=str(source), into=into, **options), report)
    return report


def content(into: str) -> dict[str, Any]:
    store: Any = open_store(into, "mlflow-artifacts:/")
    try:
        return read(store)
    finally:
        store.close()


def digests(folder: Path) -> dict[str, str]:
    if folder.is_file():
        return {folder.name: hashlib.sha256(folder.read_bytes()).hexdigest()}
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("version", VERSIONS)
def test_everything_is_taken(version: str, kind: str, tmp_path: Path) -> None:
    source = unpack(version, kind, tmp_path)
    before = digests(source)
    into = f"sqlite:///{tmp_path}/here.db"
    report = take(source, into)
    assert report.finished
    assert not report.problems
    assert report.taken["runs"] == 13
    kept = told(version, kind, tmp_path)
    assert unexpected(kept, content(into)) == []
    assert digests(source) == before

    again = take(source, into)
    assert again.finished
    assert not again.changed
    assert again.there_already["runs"] == 13
    assert not again.differences
    assert "Nothing is new" in "\n".join(again.lines())
    assert unexpected(kept, content(into)) == []


@pytest.mark.postgres
@pytest.mark.parametrize("version", VERSIONS)
def test_everything_is_taken_into_postgresql(version: str, tmp_path: Path, postgres_database: str) -> None:
    source = unpack(version, "mlflow.db", tmp_path)
    assert not take(source, postgres_database).problems
    assert unexpected(told(version, "mlflow.db", tmp_path), content(postgres_database)) == []
    assert not take(source, postgres_database).changed
    store: Any = open_store(postgres_database, "mlflow-artifacts:/")
    numbers = {each.experiment_id for each in store.search_experiments().items}
    assert store.create_experiment("next") not in numbers
    store.close()


def test_a_dry_run_says_the_same_and_writes_nothing(tmp_path: Path) -> None:
    source = unpack(VERSIONS[-1], "mlflow.db", tmp_path)
    into = f"sqlite:///{tmp_path}/here.db"
    dry = take(source, into, dry_run=True)
    assert not (tmp_path / "here.db").exists()
    wet = take(source, into)
    assert dry.taken + dry.there_already == wet.taken + wet.there_already
    before = digests(tmp_path / "here.db")
    again = take(source, into, dry_run=True)
    assert not again.changed
    assert again.there_already == take(source, into).there_already
    assert digests(tmp_path / "here.db") == before
