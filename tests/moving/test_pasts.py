"""What runs were before goes along: branches and earlier values of params, by export, from database to database, by server."""

import hashlib
import json
import math
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from server_process import ServerProcess
from slipstream.entities import Metric, Param
from slipstream.moving import plain_files, taking
from slipstream.moving.exporting import ExportOptions, run_export
from slipstream.moving.importing import ImportOptions, run_import
from slipstream.moving.report import Report
from slipstream.store.engine import open_engine, open_store
from slipstream.store.invariants import find_problems


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    store: Any = open_store(f"sqlite:///{path}", "mlflow-artifacts:/")
    try:
        yield store
    finally:
        store.close()


def take(source: Path | str, into: Path, **options: Any) -> Report:
    report = Report()
    run_import(ImportOptions(source=str(source), into=f"sqlite:///{into}", **options), report)
    return report


def export(source: Path | str, folder: Path, **options: Any) -> Report:
    report = Report()
    run_export(ExportOptions(source=str(source), folder=folder, **options), report)
    return report


def told(points: Any) -> list[tuple[int, int, str]]:
    return [(each.timestamp, each.step, repr(each.value)) for each in points]


def whole(path: Path) -> dict[str, Any]:
    """Return all that is known of every run, and check the database."""
    found: dict[str, Any] = {}
    with opened(path) as store:
        for run in store.search_runs(["0"], None, 3).items:
            run_id = run.info.run_id
            branches = store.get_run_branches(run_id)
            found[run_id] = {
                "stage": run.info.lifecycle_stage,
                "status": run.info.status,
                "params": [str(each) for each in store.get_param_history(run_id)],
                "tags": run.data.tags,
                "live": {
                    each.key: told(store.get_metric_history(run_id, each.key).items)
                    for each in run.data.latest_metrics
                },
                "latest": sorted((each.key, *told([each])) for each in run.data.latest_metrics),
                "branches": [
                    (
                        each.number,
                        each.from_step,
                        each.created_time,
                        each.undone_time,
                        {
                            point.key: (
                                told([point]),
                                told(store.get_superseded_history(run_id, each.number, point.key).items),
                            )
                            for point in each.latest_metrics
                        },
                    )
                    for each in branches
                ],
            }
    engine = open_engine(f"sqlite:///{path}", "mlflow-artifacts:/", "normal")
    try:
        assert engine.read(lambda store: find_problems(store.tx)) == []
    finally:
        engine.close()
    return found


def lively(store: Any, points: int = 20) -> str:
    """Make a run with branches of every kind and params that changed."""
    run_id = young(store, points)
    grow(store, run_id, points)
    return run_id


def young(store: Any, points: int = 20) -> str:
    run_id: str = store.create_run("0", "ada", "lively").info.run_id
    store.log_batch(
        run_id,
        [
            *(Metric("loss", 1 / (1 + step), 1_000 + step, step) for step in range(points)),
            Metric("odd", math.nan, 5, 3),
            Metric("odd", math.inf, 6, 9),
            Metric("odd", -math.inf, 4, -2),
        ],
        [Param("lr", "0.1"), Param("ä/key", "x" * 6_000)],
    )
    return run_id


def grow(store: Any, run_id: str, points: int = 20) -> None:
    store.branch_run(run_id, points // 2)
    store.overwrite_params(run_id, [Param("lr", "0.2"), Param("ä/key", "y")], 77)
    store.log_batch(
        run_id, [Metric("loss", 2.0 + step, 2_000 + step, step) for step in range(points // 2, points)]
    )
    store.branch_run(run_id, points // 4)
    store.undo_branch(run_id, 2)
    store.branch_run(run_id, points - 2, ["loss"])
    store.overwrite_params(run_id, [Param("lr", "0.1")], 78)
    store.log_metric(run_id, Metric("loss", 9.0, 9_000, points))


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    path = tmp_path / "filled.db"
    with opened(path) as store:
        first = young(store)
    shutil.copy(path, tmp_path / "early.db")
    with opened(path) as store:
        grow(store, first)
        plain = store.create_run("0", "ada", "plain").info.run_id
        store.log_metric(plain, Metric("loss", 1.0, 1, 1))
        deleted = lively(store)
        store.delete_run(deleted)
    return path


@pytest.mark.parametrize("metrics", ["parquet", "csv"])
@pytest.mark.parametrize("group", [3, 20_000])
def test_an_export_brings_back_what_runs_were(
    metrics: str, group: int, filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if metrics == "parquet":
        pytest.importorskip("pyarrow", exc_type=ImportError)
    monkeypatch.setattr(plain_files, "PART_POINTS", 13)
    monkeypatch.setattr(taking, "GROUP_POINTS", group)
    export(filled, tmp_path / "out", metrics=metrics)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["version"] == 2
    assert manifest["counts"]["branches"] == 6
    assert manifest["counts"]["points left behind"] == 2 * (10 + 2 + 0)
    assert manifest["counts"]["earlier values of params"] == 2 * 3
    taken = take(tmp_path / "out", tmp_path / "back.db")
    assert not taken.problems
    for name in ("branches", "points left behind", "earlier values of params", "metric points"):
        assert taken.taken[name] == manifest["counts"][name], name
    assert whole(tmp_path / "back.db") == whole(filled)
    again = take(tmp_path / "out", tmp_path / "back.db", update=True)
    assert not again.changed
    assert whole(tmp_path / "back.db") == whole(filled)


def test_they_come_from_database_to_database(filled: Path, tmp_path: Path) -> None:
    dry = take(filled, tmp_path / "back.db", dry_run=True)
    report = take(filled, tmp_path / "back.db")
    assert not report.problems
    del dry.taken["experiments"]  # each store makes the first one itself
    assert dry.taken == report.taken
    assert whole(tmp_path / "back.db") == whole(filled)


def test_without_a_past_an_older_slipstream_reads_the_export(tmp_path: Path) -> None:
    with opened(tmp_path / "one.db") as store:
        store.log_metric(store.create_run("0").info.run_id, Metric("m", 1.0, 1))
    export(tmp_path / "one.db", tmp_path / "out", metrics="csv")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["version"] == 1
    # as version 1 wrote it
    runs = tmp_path / "out" / "runs.jsonl"
    line = json.loads(runs.read_text())
    del line["earlier_params"], line["branches"]
    text = json.dumps(line) + "\n"
    runs.write_text(text)
    for each in manifest["files"]:
        if each["path"] == "runs.jsonl":
            each |= {"size": len(text), "sha256": hashlib.sha256(text.encode()).hexdigest()}
    (tmp_path / "out" / "manifest.json").write_text(json.dumps(manifest))
    assert not take(tmp_path / "out", tmp_path / "back.db").problems
    assert whole(tmp_path / "back.db") == whole(tmp_path / "one.db")


def test_a_run_that_was_branched_since_is_brought_up_to_date(tmp_path: Path) -> None:
    there, here = tmp_path / "there.db", tmp_path / "here.db"
    with opened(there) as store:
        run_id = store.create_run("0").info.run_id
        store.log_batch(
            run_id,
            [Metric("m", 1.0, step, step) for step in range(10)],
            [Param("lr", "1"), Param("fix", "1")],
        )
    take(there, here)
    with opened(there) as store:
        store.branch_run(run_id, 5)
        store.overwrite_params(run_id, [Param("lr", "2")])
        store.log_batch(run_id, [Metric("m", 2.0, 100 + step, step) for step in range(5, 8)])
        store.branch_run(run_id, 3)
        store.undo_branch(run_id, 1)
        store.branch_run(run_id, 7)
        store.log_batch(run_id, [Metric("m", 3.0, 200 + step, step) for step in range(3, 5)])
        store.update_run(run_id, "FINISHED", 1_000)
    told = take(there, here)
    assert ["branch 1 is not here" in each.reason for each in told.differences] == [True]
    before = whole(here)
    dry = take(there, here, update=True, dry_run=True)
    assert whole(here) == before
    report = take(there, here, update=True)
    assert not report.problems
    assert not report.differences
    assert dry.taken["updated runs"] == report.taken["updated runs"] == 1
    assert whole(here) == whole(there)
    with opened(there) as store:
        store.undo_branch(run_id, 2)
    assert take(there, here, update=True).taken["updated runs"] == 1
    assert whole(here) == whole(there)
    assert not take(there, here, update=True).changed


def test_what_was_left_behind_here_does_not_come_back(tmp_path: Path) -> None:
    there, here = tmp_path / "there.db", tmp_path / "here.db"
    with opened(there) as store:
        run_id = store.create_run("0").info.run_id
        store.log_batch(run_id, [Metric("m", 1.0, step, step) for step in range(10)])
    take(there, here)
    with opened(here) as store:
        store.branch_run(run_id, 5)
    before = whole(here)
    report = take(there, here, update=True)
    assert ["branches are others" in each.reason for each in report.differences] == [True]
    assert whole(here) == before


def test_a_run_that_was_branched_here_too_stays_as_it_is(tmp_path: Path) -> None:
    there, here = tmp_path / "there.db", tmp_path / "here.db"
    with opened(there) as store:
        run_id = store.create_run("0").info.run_id
        store.log_batch(run_id, [Metric("m", 1.0, step, step) for step in range(10)])
    take(there, here)
    with opened(here) as store:
        store.branch_run(run_id, 8)
    with opened(there) as store:
        store.branch_run(run_id, 5)
    before = whole(here)
    report = take(there, here, update=True)
    assert ["branches are others" in each.reason for each in report.differences] == [True]
    assert whole(here) == before


KILLED = """
import os, signal, sys
from slipstream.store.sql import SqlStore
count = [int(sys.argv[3])]
def counted(name):
    real = getattr(SqlStore, name)
    def call(*args, **kwargs):
        count[0] -= 1
        if count[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(*args, **kwargs)
    setattr(SqlStore, name, call)
for name in ("import_branch", "import_superseded_points", "import_points", "import_earlier_params", "finish_run",
             "undo_imported_branch", "update_imported_run"):
    counted(name)
from slipstream.moving import taking
taking.GROUP_POINTS = 4
from slipstream.moving.importing import ImportOptions, run_import
from slipstream.moving.report import Report
run_import(ImportOptions(source=sys.argv[1], into="sqlite:///" + sys.argv[2], update=True), Report())
"""


@pytest.mark.slow
@pytest.mark.parametrize("begun", [False, True], ids=["anew", "update"])
def test_a_killed_import_is_gone_on_with(begun: bool, filled: Path, tmp_path: Path) -> None:
    here = tmp_path / "here.db"
    wanted = whole(filled)
    early = whole(tmp_path / "early.db") if begun else {}
    if begun:
        take(tmp_path / "early.db", here)
    kills = 0
    for after in range(1, 60, 3):
        killed = subprocess.run(
            [sys.executable, "-c", KILLED, str(filled), str(here), str(after)], check=False
        )
        assert killed.returncode in (0, -signal.SIGKILL)
        kills += killed.returncode != 0
        for run_id, run in whole(here).items():  # what is shown is whole
            if run["stage"] == "active" and "slipstream.import.unfinished" not in run["tags"]:
                assert run in (wanted[run_id], early.get(run_id))
        if killed.returncode == 0:
            break
    assert kills > 2
    assert not take(filled, here, update=True).changed
    assert whole(here) == wanted


def test_a_server_tells_them(filled: Path, tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    server = ServerProcess(tmp_path / "server", backend=f"sqlite:///{filled}")
    try:
        report = take(server.url, tmp_path / "back.db")
        assert not report.problems
        assert whole(tmp_path / "back.db") == whole(filled)
        assert not take(server.url, tmp_path / "back.db", update=True).changed
    finally:
        server.stop()


@pytest.mark.postgres
def test_they_go_to_postgres_and_back(filled: Path, tmp_path: Path, postgres_database: str) -> None:
    for source in (tmp_path / "early.db", filled):  # the second brings the first up to date
        report = Report()
        run_import(ImportOptions(source=str(source), into=postgres_database, update=True), report)
        assert not report.problems
        assert not report.differences
    take(postgres_database, tmp_path / "back.db")
    assert whole(tmp_path / "back.db") == whole(filled)
