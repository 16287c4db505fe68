"""What other trackers wrote (tools/make_foreign_sources.py) is here after an import, point by point.

It is one file since the sources are held to the same promises by the same comparisons.
"""

import json
import math
import os
import shutil
import sqlite3
import struct
import time
import zlib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slipstream.errors import InvalidParameterError
from slipstream.moving import taking
from slipstream.moving.importing import ImportOptions, run_import
from slipstream.moving.opening import open_source
from slipstream.moving.report import Report
from slipstream.moving.source_options import SourceOptions
from slipstream.store.engine import open_store

FOREIGN = Path(__file__).parent / "foreign"
LONG_AGO = 1_700_000_000


def take(source: Path | str, into: Path, about: SourceOptions | None = None, **options: Any) -> Report:
    report = Report()
    about = about or SourceOptions()
    run_import(ImportOptions(source=str(source), into=f"sqlite:///{into}", about=about, **options), report)
    return report


def unpack(name: str, folder: Path) -> Path:
    """Copy a source, as if it had been written long ago."""
    copied = folder / name
    shutil.copytree(FOREIGN / name, copied)
    for each in copied.rglob("*"):
        os.utime(each, (LONG_AGO, LONG_AGO))
    return copied


def truth(name: str) -> Any:
    return json.loads((FOREIGN / f"{name}.json").read_text())


def content(path: Path) -> dict[str, Any]:
    """Return experiments, and the runs of each by name, with all their points."""
    return content_of(f"sqlite:///{path}")


def content_of(uri: str) -> dict[str, Any]:
    store: Any = open_store(uri, "mlflow-artifacts:/")
    found: dict[str, Any] = {}
    try:
        # In an order that is no time's: several may be imported in one millisecond.
        for experiment in sorted(store.search_experiments().items, key=lambda each: each.name):
            runs = found[experiment.name] = {}
            found_runs = store.search_runs([experiment.experiment_id]).items
            for run in sorted(found_runs, key=lambda each: each.info.run_id):
                points = [
                    (each.key, each.step, each.timestamp, each.value)
                    for latest in run.data.latest_metrics
                    for each in store.get_metric_history(run.info.run_id, latest.key).items
                ]
                runs[run.info.run_name] = {
                    "id": run.info.run_id,
                    "status": run.info.status,
                    "times": (run.info.start_time, run.info.end_time),
                    "params": dict(run.data.params),
                    "tags": dict(run.data.tags),
                    "points": sorted(points, key=repr),
                }
    finally:
        store.close()
    found.pop("Default", None)
    return found


def told(points: Any, prefixes: tuple[str, ...] = ()) -> list[Any]:
    """Return key, step and value of points, without those of other keys; NaN and infinities as texts."""
    return sorted(
        ([key, step, value if math.isfinite(value) else repr(value)] for key, step, _, value in points if not key.startswith(prefixes or ("?",))),
        key=repr,
    )  # fmt: skip


def logged(points: Any) -> list[Any]:
    return sorted(
        ([key, step, float(value) if not isinstance(value, str) else value] for key, step, value in points),
        key=repr,
    )


def same_again(source: Path, into: Path, about: SourceOptions | None = None) -> None:
    """Take once more: nothing is new, nothing differs, with and without updates."""
    before = content(into)
    for updates in (False, True):
        report = take(source, into, about, update=updates)
        assert not report.changed, report.lines()
        assert not report.differences
    assert repr(content(into)) == repr(before)


# -- TensorBoard ------------------------------------------------------------------------------------------


def test_tensorboard_is_taken(tmp_path: Path) -> None:
    source = unpack("tensorboard", tmp_path)
    report = take(source, tmp_path / "here.db")
    assert not report.problems
    runs = content(tmp_path / "here.db")["tensorboard"]
    assert sorted(runs) == ["first", "second/train"]
    for name, points in truth("tensorboard").items():
        expected = [
            (tag.replace("(", "_").replace(")", "_"), step, round(wall * 1000), value)
            for tag, step, wall, value in points
        ]
        assert repr(runs[name]["points"]) == repr(sorted(expected, key=repr)), name
    second = runs["second/train"]
    assert second["params"] == {"rate": "0.1", "layers": "3", "act": "relu", "fast": "True"}
    assert second["tags"]["text/note"] == "It **works**."
    assert second["tags"]["tensorboard.hparams_group"]
    assert second["status"] == "FINISHED"
    assert second["times"] == (1_700_000_000_250, 1_700_000_024_250)
    left = {each.kind: each.count for each in report.left_out}
    assert left == {"histograms of TensorBoard": 1, "pictures, sounds and texts of TensorBoard": 5}
    assert any("'loss (train)' is called 'loss _train_' here" in each for each in report.notes)
    same_again(source, tmp_path / "here.db")


def test_tensorboards_pictures_come_as_files(tmp_path: Path) -> None:
    report = take(unpack("tensorboard", tmp_path), tmp_path / "here.db", copy_artifacts=True)
    assert not report.problems
    assert report.taken["files"] == 5
    files = [path for path in (tmp_path / "slipstream-artifacts").rglob("*") if path.is_file()]
    pictures = sorted(path for path in files if path.suffix == ".png")
    assert [path.name for path in pictures] == ["4-1.png", "4-2.png"]
    assert pictures[0].read_bytes().startswith(b"\x89PNG")
    assert {path.read_text() for path in files if path.suffix == ".txt"} == {
        "It **works**.",
        "from 0",
        "from 12",
    }


def test_a_tensorboard_run_has_one_id_wherever_it_lies(tmp_path: Path) -> None:
    source = unpack("tensorboard", tmp_path)
    take(source, tmp_path / "whole.db")
    moved = tmp_path / "elsewhere"
    (source / "second").rename(moved)
    take(moved, tmp_path / "part.db")
    whole, part = content(tmp_path / "whole.db"), content(tmp_path / "part.db")
    assert part["elsewhere"]["train"]["id"] == whole["tensorboard"]["second/train"]["id"]
    shutil.copytree(moved / "train", moved / "twin")
    take(moved, tmp_path / "twins.db")
    assert len({each["id"] for each in content(tmp_path / "twins.db")["elsewhere"].values()}) == 2


def test_a_file_that_is_still_written_gives_what_is_new(tmp_path: Path) -> None:
    source = unpack("tensorboard", tmp_path)
    (file,) = (source / "second" / "train").iterdir()
    whole = file.read_bytes()
    ends = record_ends(whole)
    into = tmp_path / "here.db"
    counts: list[int] = []
    for end in (ends[4], ends[6] + 3, ends[10] - 1, len(whole)):
        file.write_bytes(whole[:end])  # changed now
        report = take(source, into, update=True)
        assert not report.problems
        run = content(into)["tensorboard"]["second/train"]
        counts.append(len(run["points"]))
        assert run["status"] == ("FINISHED" if end == len(whole) else "RUNNING")
    assert counts == [3, 5, 8, 13]
    os.utime(file, (LONG_AGO, LONG_AGO))
    take(source, tmp_path / "at_once.db")
    grown, at_once = content(into), content(tmp_path / "at_once.db")
    assert repr(grown["tensorboard"]["second/train"]) == repr(at_once["tensorboard"]["second/train"])


def test_new_files_come_with_an_update(tmp_path: Path) -> None:
    source = unpack("tensorboard", tmp_path)
    (file,) = (source / "second" / "train").iterdir()
    whole = file.read_bytes()
    ends = record_ends(whole)
    file.write_bytes(whole[: ends[6]])
    assert take(source, tmp_path / "here.db", copy_artifacts=True).taken["files"] == 2
    file.write_bytes(whole)
    os.utime(file, (LONG_AGO, LONG_AGO))
    report = take(source, tmp_path / "here.db", copy_artifacts=True, update=True)
    assert report.taken["files"] == 3
    assert list((tmp_path / "slipstream-artifacts").rglob("4-1.png"))
    again = take(source, tmp_path / "here.db", copy_artifacts=True, update=True)
    assert not again.changed


def record_ends(events: bytes) -> list[int]:
    ends, at = [], 0
    while at < len(events):
        at += struct.unpack_from("<Q", events, at)[0] + 16
        ends.append(at)
    return ends


def test_a_broken_record_costs_no_other(tmp_path: Path) -> None:
    source = unpack("tensorboard", tmp_path)
    (file,) = (source / "second" / "train").iterdir()
    events = bytearray(file.read_bytes())
    ends = record_ends(bytes(events))
    events[ends[4] + 20] ^= 1  # in the data of a record
    file.write_bytes(events)
    report = take(source, tmp_path / "here.db")
    assert [each.reason for each in report.problems] == [
        f"1 records have other checksums than their data, the first at byte {ends[4]:,}."
    ]
    assert len(content(tmp_path / "here.db")["tensorboard"]["second/train"]["points"]) == 12
    events[ends[7]] ^= 1  # a length: nothing after it is found
    file.write_bytes(events)
    report = take(source, tmp_path / "again.db")
    assert "what comes after is not read" in report.problems[0].reason


# -- W&B --------------------------------------------------------------------------------------------------


def test_wandb_is_taken(tmp_path: Path) -> None:
    source = unpack("wandb_runs", tmp_path)
    report = take(source, tmp_path / "here.db")
    assert not report.problems
    found = content(tmp_path / "here.db")
    first, second = found["vision"]["first"], found["language"]["second"]
    for run, name in ((first, "resumed1"), (second, "failed01")):
        assert told(run["points"], ("system/", "best")) == logged(truth("wandb_runs")[name])
        assert all(1_700_000_000_000 < moment < 2_000_000_000_000 for _, _, moment, _ in run["points"])
    assert ("best", 0.25) in {(key, value) for key, _, _, value in first["points"]}
    assert any(key.startswith("system/") for key, *_ in first["points"])
    assert first["params"] == {
        "rate": "0.1",
        "model.depth": "3",
        "model.act": "relu",
        "sizes": "[1, 2]",
        "none": "None",
        "on": "True",
        "late": "5",
    }
    assert second["params"]["long"] == "x" * 100_000
    expected = {
        "mlflow.note.content": "A note.",
        "wandb.tags": "a, b",
        "wandb.group": "g",
        "wandb.job_type": "train",
        "wandb.run_id": "resumed1",
        "wandb.summary.word": "hello",
        "slipstream.import.source": "wandb",
    }
    assert expected.items() <= first["tags"].items()
    assert (first["status"], second["status"]) == ("FINISHED", "FAILED")
    assert first["times"][0] < first["times"][1]
    left = {each.kind: each.count for each in report.left_out}
    assert left["values of W&B's type 'histogram'"] == 1
    assert left["values of W&B's type 'image-file'"] == 1
    same_again(source, tmp_path / "here.db")


def test_wandbs_files_come_along(tmp_path: Path) -> None:
    report = take(unpack("wandb_runs", tmp_path), tmp_path / "here.db", copy_artifacts=True)
    assert not report.problems
    files = {path.name: path for path in (tmp_path / "slipstream-artifacts").rglob("*") if path.is_file()}
    assert "a line of the console" in files["output.log"].read_text()
    assert [path for name, path in files.items() if name.startswith("picture") and name.endswith(".png")]


def test_the_console_is_put_together_from_records(tmp_path: Path) -> None:
    source = unpack("wandb_runs", tmp_path)
    for each in source.rglob("output.log"):
        each.unlink()
    take(source, tmp_path / "here.db", copy_artifacts=True)
    logs = list((tmp_path / "slipstream-artifacts").rglob("output.log"))
    assert any("a line of the console\n" in path.read_text() for path in logs)


def test_a_wandb_run_without_an_end(tmp_path: Path) -> None:
    source = unpack("wandb_runs", tmp_path)
    (file,) = source.rglob("run-failed01.wandb")
    whole = file.read_bytes()
    into = tmp_path / "here.db"
    file.write_bytes(whole[:5_000])
    take(source, into, update=True)
    run = content(into)["language"]["second"]
    assert (run["status"], run["times"][1]) == ("RUNNING", None)
    os.utime(file, (LONG_AGO, LONG_AGO))
    take(source, into, update=True)
    assert content(into)["language"]["second"]["status"] == "KILLED"
    file.write_bytes(whole)
    take(source, into, update=True)
    run = content(into)["language"]["second"]
    assert run["status"] == "FAILED"
    assert told(run["points"], ("system/", "best")) == logged(truth("wandb_runs")["failed01"])


# -- Trackio ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["trackio", "trackio_parquet", "trackio/vision.db"])
def test_trackio_is_taken(name: str, tmp_path: Path) -> None:
    source = unpack(name.partition("/")[0], tmp_path).parent / name
    report = take(source, tmp_path / "here.db", copy_artifacts=name == "trackio")
    assert not report.problems
    runs = content(tmp_path / "here.db")["vision"]
    assert sorted(runs) == ["first", "second"]
    for run, points in truth("trackio").items():
        assert told(runs[run]["points"]) == logged(points)
        assert runs[run]["params"] == {"rate": "0.1", "model.depth": "3"}
        assert runs[run]["tags"]["trackio.word"] == "hello"
        assert len(runs[run]["id"]) == 32
        assert runs[run]["times"][0] > 1_700_000_000_000
    same_again(source, tmp_path / "here.db")
    if name == "trackio":
        assert report.taken["files"] == 1
        assert list((tmp_path / "slipstream-artifacts").rglob("*.png"))


def test_trackios_older_databases_know_runs_by_name(tmp_path: Path) -> None:
    (tmp_path / "trackio").mkdir()
    path = tmp_path / "trackio" / "old.db"
    with sqlite3.connect(path) as connection:
        connection.execute(
            "CREATE TABLE metrics (id INTEGER PRIMARY KEY, timestamp TEXT, run_name TEXT, step INTEGER, metrics TEXT)"
        )
        connection.executemany(
            "INSERT INTO metrics (timestamp, run_name, step, metrics) VALUES (?, ?, ?, ?)",
            [
                ("2025-01-01T00:00:00", "a", 0, '{"loss": 1, "../x": 2}'),
                ("2025-01-01T00:00:01+00:00", "a", 1, b'{"loss": "NaN"}'),
                ("2025-01-01T00:00:02", "b", 0, "[1]"),
            ],
        )
    connection.close()
    os.utime(path, (LONG_AGO, LONG_AGO))
    report = take(tmp_path / "trackio", tmp_path / "here.db")
    assert [each.name for each in report.problems] == ["'b' of old"]
    run = content(tmp_path / "here.db")["old"]["a"]
    assert repr(run["points"]) == repr(
        [("loss", 0, 1735689600000, 1.0), ("loss", 1, 1735689601000, math.nan), ("x", 0, 1735689600000, 2.0)]
    )


def test_trackios_media_stay_in_their_folder(tmp_path: Path) -> None:
    source = unpack("trackio", tmp_path)
    (tmp_path / "secret.png").write_text("secret")
    (source / "media" / "link.png").symlink_to(tmp_path / "secret.png")
    with sqlite3.connect(source / "vision.db") as connection:
        for place in ("../../secret.png", str(tmp_path / "secret.png"), "link.png"):
            content = json.dumps({"p": {"_type": "trackio.image", "file_path": place}})
            connection.execute(
                "INSERT INTO metrics (run_id, timestamp, run_name, step, metrics) SELECT run_id, timestamp, run_name, 99, ? "
                "FROM metrics LIMIT 1",
                (content,),
            )
    connection.close()
    report = take(source, tmp_path / "here.db", copy_artifacts=True)
    assert len([each for each in report.problems if each.kind == "file"]) == 3
    assert report.taken["files"] == 1


# -- neptune-exporter -------------------------------------------------------------------------------------


def write_neptune(folder: Path, rows: list[dict[str, Any]], part: int = 0) -> None:
    """Write rows as neptune-exporter does; it cannot be installed, so this follows its README and schema."""
    import pyarrow
    import pyarrow.parquet

    schema = pyarrow.schema(
        [
            *((name, pyarrow.string()) for name in ("project_id", "run_id", "attribute_path", "attribute_type")),
            ("step", pyarrow.decimal128(18, 6)),
            ("timestamp", pyarrow.timestamp("ms", tz="UTC")),
            ("int_value", pyarrow.int64()),
            ("float_value", pyarrow.float64()),
            ("string_value", pyarrow.string()),
            ("bool_value", pyarrow.bool_()),
            ("datetime_value", pyarrow.timestamp("ms", tz="UTC")),
            ("string_set_value", pyarrow.list_(pyarrow.string())),
            ("file_value", pyarrow.struct([("path", pyarrow.string())])),
            ("histogram_value", pyarrow.struct([("type", pyarrow.string()), ("edges", pyarrow.list_(pyarrow.float64())), ("values", pyarrow.list_(pyarrow.float64()))])),
        ]
    )  # fmt: skip
    project = folder / "data" / "team_vision_0a1b"
    project.mkdir(parents=True, exist_ok=True)
    table = pyarrow.Table.from_pylist([{"project_id": "team/vision", **row} for row in rows], schema=schema)
    pyarrow.parquet.write_table(table, project / f"{rows[0]['run_id']}_part_{part}.parquet")


def neptune_rows(run: str) -> list[dict[str, Any]]:
    from datetime import UTC, datetime
    from decimal import Decimal

    moment = datetime(2025, 1, 1, tzinfo=UTC)

    def row(path: str, kind: str, **more: Any) -> dict[str, Any]:
        return {"run_id": run, "attribute_path": path, "attribute_type": kind, **more}

    return [
        row("sys/name", "string", string_value="first"),
        row("sys/creation_time", "datetime", datetime_value=moment),
        row("sys/owner", "string", string_value="ada"),
        row("sys/tags", "string_set", string_set_value=["b", "a"]),
        row("sys/failed", "bool", bool_value=True),
        row("params/rate", "float", float_value=0.1),
        row("params/layers", "int", int_value=3),
        row("params/missing", "float", float_value=None),
        *(row("metrics/loss", "float_series", step=Decimal(step), timestamp=moment, float_value=1 / (step + 1)) for step in range(5)),
        row("metrics/half", "float_series", step=Decimal("0.5"), timestamp=moment, float_value=2.0),
        row("log", "string_series", step=Decimal(1), timestamp=moment, string_value="a line"),
        row("weights", "histogram_series", step=Decimal(1), timestamp=moment, histogram_value={"type": "COUNTING", "edges": [0.0, 1.0], "values": [1.0]}),
        row("model", "file", file_value={"path": "team_vision_0a1b/first/model.bin"}),
        row("shots", "file_series", step=Decimal(2), timestamp=moment, file_value={"path": "team_vision_0a1b/first/2.png"}),
        row("evil", "file", file_value={"path": "../../secret"}),
    ]  # fmt: skip


def test_neptune_is_taken(tmp_path: Path) -> None:
    source = tmp_path / "exports"
    rows = neptune_rows("RUN-1")
    write_neptune(source, rows[:10])
    write_neptune(source, rows[10:], part=1)
    (tmp_path / "secret").write_text("secret")
    files = source / "files" / "team_vision_0a1b" / "first"
    files.mkdir(parents=True)
    (files / "model.bin").write_text("model")
    (files / "2.png").write_text("picture")
    report = take(source, tmp_path / "here.db", copy_artifacts=True)
    assert sorted((each.kind, each.name) for each in report.problems) == [
        ("file", "evil of RUN-1"),
        ("run", "RUN-1 of team/vision"),
    ]
    (run,) = content(tmp_path / "here.db")["team/vision"].values()
    assert run["params"] == {"params/rate": "0.1", "params/layers": "3"}
    assert told(run["points"]) == logged([["metrics/loss", step, 1 / (step + 1)] for step in range(5)])
    assert run["tags"]["neptune.tags"] == "a, b"
    assert (run["status"], run["tags"]["mlflow.user"]) == ("FAILED", "ada")
    found = {
        path.name: path.read_text()
        for path in (tmp_path / "slipstream-artifacts").rglob("*")
        if path.is_file()
    }
    assert found == {"model.bin": "model", "step_2.png": "picture", "log.txt": "1\ta line\n"}
    assert {each.kind: each.count for each in report.left_out} == {"histogram_series of Neptune": 1}
    halves = take(source / "data", tmp_path / "halves.db", SourceOptions(step_multiplier=2))
    assert not halves.problems
    (run,) = content(tmp_path / "halves.db")["team/vision"].values()
    assert ["metrics/half", 1, 2.0] in told(run["points"])


# -- kinds ------------------------------------------------------------------------------------------------


def test_a_source_can_be_named(tmp_path: Path) -> None:
    source = unpack("tensorboard", tmp_path)
    shutil.copytree(FOREIGN / "wandb_runs", source / "wandb")
    report = take(source, tmp_path / "guessed.db")
    assert report.source.startswith("W&B's folder")
    assert any("looks like wandb and tensorboard" in each for each in report.notes)
    about = SourceOptions(kind="tensorboard", experiment_name="mine")
    assert take(source, tmp_path / "said.db", about).source.startswith("TensorBoard's folder")
    assert sorted(content(tmp_path / "said.db")["mine"]) == ["first", "second/train"]
    with pytest.raises(InvalidParameterError, match="no file or folder"):
        take(tmp_path / "nothing", tmp_path / "no.db", about)


def test_names_that_are_no_letters(tmp_path: Path) -> None:
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/lo\xffgs")
    shutil.copytree(unpack("tensorboard", tmp_path), folder)
    file = next(Path(folder).rglob("events*"))
    file.rename(file.with_name(os.fsdecode(b"events.out.tfevents.\xff")))
    file = next(Path(folder).rglob("events*"))
    file.write_bytes(file.read_bytes()[:-30] + b"x" * 30)
    report = take(folder, tmp_path / "here.db")
    report.save(tmp_path / "report.json")
    assert len(content(tmp_path / "here.db")["lo?gs"]) == 2


def test_links_are_not_followed(tmp_path: Path) -> None:
    source = unpack("tensorboard", tmp_path)
    (source / "second").rename(tmp_path / "second")
    (source / "second").symlink_to(tmp_path / "second")
    report = take(source, tmp_path / "here.db")
    assert [(each.kind, each.name) for each in report.problems] == [("link", "second")]
    assert list(content(tmp_path / "here.db")["tensorboard"]) == ["first"]


@pytest.mark.postgres
@pytest.mark.parametrize("name", ["tensorboard", "wandb_runs", "trackio"])
def test_all_is_taken_into_postgresql(name: str, tmp_path: Path, postgres_database: str) -> None:
    source = unpack(name, tmp_path)
    take(source, tmp_path / "here.db")
    options = ImportOptions(source=str(source), into=postgres_database)
    run_import(options, report := Report())
    assert not report.problems
    assert repr(content_of(postgres_database)) == repr(content(tmp_path / "here.db"))
    run_import(options, again := Report())
    assert not again.changed


@pytest.mark.parametrize("name", ["tensorboard", "wandb_runs", "trackio"])
def test_an_import_that_was_interrupted_goes_on(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = unpack(name, tmp_path)
    take(source, tmp_path / "whole.db")
    monkeypatch.setattr(taking, "GROUP_POINTS", 7)
    import_points = taking.SqlStore.import_points
    left = [4]

    def fail_late(self: Any, run_id: str, points: Any) -> None:
        left[0] -= 1
        if not left[0]:
            raise KeyboardInterrupt
        import_points(self, run_id, points)

    with monkeypatch.context() as patched:
        patched.setattr(taking.SqlStore, "import_points", fail_late)
        with pytest.raises(KeyboardInterrupt):
            take(source, tmp_path / "here.db")
    assert take(source, tmp_path / "here.db").finished
    assert repr(content(tmp_path / "here.db")) == repr(content(tmp_path / "whole.db"))


# -- truncation and flipped bits --------------------------------------------------------------------------

_SAMPLES = {
    "events.out.tfevents.1.x": next((FOREIGN / "tensorboard" / "second" / "train").iterdir()),
    "run-x.wandb": next(FOREIGN.rglob("run-resumed1.wandb")),
}


@pytest.mark.parametrize("name", sorted(_SAMPLES))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_is_broken_is_told_and_nothing_else_happens(
    name: str, data: st.DataObject, tmp_path: Path
) -> None:
    whole = _SAMPLES[name].read_bytes()
    content = bytearray(whole[: data.draw(st.integers(0, len(whole)))])
    for at in data.draw(st.lists(st.integers(0, max(len(content) - 1, 0)), max_size=6)):
        if content:
            content[at] ^= 1 << data.draw(st.integers(0, 7))
    path = tmp_path / name
    path.write_bytes(content)
    read_all(path, fixed=data.draw(st.booleans()))


def read_all(path: Path, *, fixed: bool = False) -> int:
    """Read a source whole; only our own errors may come of it."""
    if fixed:
        fix = events_with_right_sums if "tfevents" in path.name else chunks_with_right_sums
        path.write_bytes(fix(path.read_bytes()))
    report = Report()
    source = open_source(str(path), report, SourceOptions(takes_files=True))
    ids = [each.experiment_id for each in source.experiments()]
    count = 0
    for record in source.runs(ids):
        for piece in record.points():
            count += len(piece)
        if record.files is not None:
            for file in record.files.list():
                with record.files.open(file.path) as opened:
                    opened.read(1 << 20)
    source.note_left_out()
    report.lines()
    return count


def events_with_right_sums(events: bytes) -> bytes:
    """Return event records with sums that fit whatever is in them, so that what is behind the sums is tried, too."""
    from slipstream.moving.checksums import crc32c_by_table, masked

    parts, at = [], 0
    while at + 12 <= len(events):
        (length,) = struct.unpack_from("<Q", events, at)
        if length > len(events):
            break
        data = events[at + 12 : at + 12 + length]
        head = struct.pack("<Q", len(data))
        parts.append(
            head
            + struct.pack("<I", masked(crc32c_by_table(head)))
            + data
            + struct.pack("<I", masked(crc32c_by_table(data)))
        )
        at += length + 16
    return b"".join(parts)


def chunks_with_right_sums(content: bytes) -> bytes:
    """Do the same for W&B's file."""
    fixed = bytearray(content)
    fixed[:7] = b":W&B\xe1\xbe\x00"[: len(fixed)]
    at = 7
    while at + 7 <= len(fixed):
        left = 32_768 - at % 32_768
        if left < 7:
            at += left
            continue
        length = min(int.from_bytes(fixed[at + 4 : at + 6], "little"), left - 7, len(fixed) - at - 7)
        fixed[at + 4 : at + 6] = length.to_bytes(2, "little")
        fixed[at + 6] = fixed[at + 6] % 4 + 1 if not 1 <= fixed[at + 6] <= 4 else fixed[at + 6]
        fixed[at : at + 4] = zlib.crc32(fixed[at + 6 : at + 7 + length]).to_bytes(4, "little")
        at += 7 + length
    return bytes(fixed)


def test_the_checksum_is_castagnolis() -> None:
    from slipstream.moving.checksums import crc32c_by_table, crc32c_function

    assert crc32c_by_table(b"123456789") == 0xE3069283
    assert crc32c_function()(b"123456789") == 0xE3069283


def test_samples_read_whole() -> None:
    """What the fuzz above begins with is right: it would prove nothing of files that no one reads."""
    assert read_all(_SAMPLES["events.out.tfevents.1.x"]) == 13
    assert read_all(_SAMPLES["run-x.wandb"]) > 50
    assert time.time() > LONG_AGO
