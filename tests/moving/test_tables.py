"""Histories in CSV and Parquet files: ours come back exactly, others by guess or by name, faults with their places."""

import csv
import io
import math
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from slipstream.bulk.formats import Format
from slipstream.bulk.histories import history_chunks
from slipstream.entities import Metric
from slipstream.errors import InvalidParameterError
from slipstream.moving.importing import ImportOptions, run_import
from slipstream.moving.opening import open_source
from slipstream.moving.report import Report
from slipstream.moving.source_options import SourceOptions
from slipstream.store.engine import open_store

RUN = "0123456789abcdef0123456789abcdef"


def take(source: Path, into: Path, about: SourceOptions | None = None, **options: Any) -> Report:
    report = Report()
    about = about or SourceOptions()
    run_import(ImportOptions(source=str(source), into=f"sqlite:///{into}", about=about, **options), report)
    return report


def read(
    path: Path, about: SourceOptions | None = None
) -> tuple[dict[str, list[tuple[str, int, int, float]]], list[str]]:
    """Return the points of each run by its name, and what could not be read."""
    report = Report()
    source = open_source(str(path), report, about)
    (experiment,) = source.experiments()
    found = {
        record.run.info.run_name: [
            (each.key, each.step, each.timestamp, each.value) for piece in record.points() for each in piece
        ]
        for record in source.runs([experiment.experiment_id])
    }
    list(source.logged_models([]))
    return found, [f"{each.name}: {each.reason}" for each in report.problems]


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8", newline="")
    return path


# -- our own ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", [Format.CSV, Format.PARQUET])
def test_our_own_histories_come_back_exactly(form: Format, tmp_path: Path) -> None:
    values = [0.1, -0.0, 1e-300, 5e-324, 1.7976931348623157e308, math.inf, -math.inf, math.nan, 1 / 3]
    store: Any = open_store(f"sqlite:///{tmp_path}/there.db", "mlflow-artifacts:/")
    experiment = store.create_experiment("vision")
    ids: list[str] = []
    for number in range(3):
        run = store.create_run(experiment, run_name=f"run {number}")
        ids.append(run.info.run_id)
        for key in ("loss", "val/acc: 2", "größe"):
            store.log_batch(
                run.info.run_id,
                metrics=[
                    Metric(key, value, 1_700_000_000_123 + at, at - 3) for at, value in enumerate(values)
                ],
            )

    def chunks(from_store: Any) -> bytes:
        return b"".join(history_chunks(from_store.read_series(ids), form))

    path = tmp_path / f"history.{form.value}"
    before = chunks(store)
    path.write_bytes(before)
    store.close()
    report = take(path, tmp_path / "here.db")
    assert not report.problems
    assert report.taken["metric points"] == 3 * 3 * len(values)
    here: Any = open_store(f"sqlite:///{tmp_path}/here.db", "mlflow-artifacts:/")
    try:
        if form is Format.CSV:
            assert chunks(here) == before
        else:
            import pyarrow.parquet

            tables = [
                pyarrow.parquet.read_table(io.BytesIO(each)).to_pylist() for each in (before, chunks(here))
            ]
            assert repr(tables[0]) == repr(tables[1])
        assert {
            each.info.run_id
            for each in here.search_runs([here.find_experiment_by_name("history").experiment_id]).items
        } == set(ids)
    finally:
        here.close()
    assert not take(path, tmp_path / "here.db").changed
    assert not take(path, tmp_path / "here.db", update=True).changed

    # Into the store that they are from: nothing is new, and what is known of the runs stays.
    again = take(path, tmp_path / "there.db", update=True)
    assert not again.differences
    assert again.taken["runs"] == again.taken["updated runs"] == 0
    store = open_store(f"sqlite:///{tmp_path}/there.db", "mlflow-artifacts:/")
    assert [store.get_run(each).info.run_name for each in ids] == ["run 0", "run 1", "run 2"]
    assert {store.get_run(each).info.status for each in ids} == {"RUNNING"}
    store.close()


def test_a_table_that_grew_gives_what_is_new(tmp_path: Path) -> None:
    head = "run_id,key,step,timestamp,value\r\n"
    rows = [f"{RUN},loss,{step},{1_700_000_000_000 + step},0.5\r\n" for step in range(4)]
    path = written(tmp_path / "h.csv", head + "".join(rows[:2]))
    assert take(path, tmp_path / "here.db").taken["metric points"] == 2
    written(path, head + "".join(rows))
    assert not take(path, tmp_path / "here.db").changed
    assert take(path, tmp_path / "here.db", update=True).taken["updated runs"] == 1
    store: Any = open_store(f"sqlite:///{tmp_path}/here.db", "mlflow-artifacts:/")
    assert [each.step for each in store.get_metric_history(RUN, "loss").items] == [0, 1, 2, 3]
    store.close()


# -- others' ----------------------------------------------------------------------------------------------


def test_wide_tables(tmp_path: Path) -> None:
    path = written(
        tmp_path / "w.csv",
        "\ufeffRun;Epoch;Time;loss;val acc\nfirst;0;1700000000;0.5;\nsecond;0;1700000000.5;nan;1e3\nfirst;1;1700000001;-inf;True\n",
    )
    assert read(path)[1] == []
    assert repr(read(path)[0]) == repr(
        {
            "first": [
                ("loss", 0, 1_700_000_000_000, 0.5),
                ("loss", 1, 1_700_000_001_000, -math.inf),
                ("val acc", 1, 1_700_000_001_000, 1.0),
            ],
            "second": [("loss", 0, 1_700_000_000_500, math.nan), ("val acc", 0, 1_700_000_000_500, 1000.0)],
        }
    )


def test_tables_without_run_step_or_time(tmp_path: Path) -> None:
    path = written(tmp_path / "loss.csv", "a,b\n1,2\n3,\n")
    found, problems = read(path)
    assert (found, problems) == (
        {f"{tmp_path.name}/loss": [("a", 0, 0, 1.0), ("b", 0, 0, 2.0), ("a", 1, 0, 3.0)]},
        [],
    )
    report = take(path, tmp_path / "here.db", SourceOptions(experiment_name="mine"))
    assert any("has no column of times" in each for each in report.notes)
    # What TensorBoard's page hands out for one metric.
    path = written(tmp_path / "run_train.csv", "Wall time,Step,Value\n1700000000.5,7,0.25\n")
    assert read(path)[0] == {f"{tmp_path.name}/run_train": [("run_train", 7, 1_700_000_000_500, 0.25)]}


def test_columns_that_are_named(tmp_path: Path) -> None:
    path = written(tmp_path / "n.csv", 'who,what,n,when,x\na,"l,o""s\ns",3,2023-11-14T22:13:20Z,0.5\n')
    about = SourceOptions(
        run_column="who", key_column="what", step_column="n", time_column="when", value_column="x"
    )
    assert read(path, about) == ({"a": [("l_o_s_s", 3, 1_700_000_000_000, 0.5)]}, [])
    with pytest.raises(
        InvalidParameterError, match=r"no column 'nope', as --step-column says\. It has who, what"
    ):
        read(path, SourceOptions(step_column="nope"))


def test_parquet_tables(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    rows = [
        {"run": name, "step": step, "loss": step / 2, "empty": None}
        for step in range(3)
        for name in ("a", "b")
    ]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "t.parquet", row_group_size=2)
    expected = [("loss", step, 0, step / 2) for step in range(3)]
    assert read(tmp_path / "t.parquet") == ({"a": expected, "b": expected}, [])
    (tmp_path / "t.parquet").write_bytes((tmp_path / "t.parquet").read_bytes()[:-20])
    with pytest.raises(InvalidParameterError, match="cannot be read as Parquet"):
        read(tmp_path / "t.parquet")


def test_files_of_one_name_are_runs_of_their_own(tmp_path: Path) -> None:
    """As Lightning's CSVLogger keeps them: a folder for each run, and more columns when there are more metrics."""
    for number in (0, 1):
        (tmp_path / f"version_{number}").mkdir()
        path = written(tmp_path / f"version_{number}" / "metrics.csv", f"epoch,step,loss\n0,0,{number}.5\n")
        assert take(path, tmp_path / "here.db").taken["runs"] == 1
    written(path, "epoch,step,loss,acc\n0,0,1.5,\n0,1,1.25,0.5\n")
    moved = path.rename(tmp_path / "metrics.csv")
    report = take(moved, tmp_path / "here.db", update=True)
    assert (report.taken["runs"], report.taken["updated runs"]) == (0, 1)
    store: Any = open_store(f"sqlite:///{tmp_path}/here.db", "mlflow-artifacts:/")
    runs = store.search_runs([store.find_experiment_by_name("metrics").experiment_id]).items
    assert {each.info.run_name for each in runs} == {"version_0/metrics", "version_1/metrics"}
    assert sorted(len(each.data.latest_metrics) for each in runs) == [2, 3]
    store.close()


# -- faults -----------------------------------------------------------------------------------------------


def test_faults_are_told_with_their_places(tmp_path: Path) -> None:
    path = written(
        tmp_path / "f.csv",
        "run,key,step,time,value\n"
        'a,"two\nlines",0,1700000000,1\n'
        "a,loss,one,1700000000,1\n"
        "a,loss,2.5,1700000000,1\n"
        "a,loss,3,yesterday,1\n"
        "a,loss,4,1700000000,'x'\n"
        "a,loss,5,1700000000\n"
        "\n"
        "a,loss,6,1700000000,0x10\n"
        "a,loss,7.0,1700000000,1\n",
    )
    found, problems = read(path)
    assert [each[:2] for each in found["a"]] == [("two_lines", 0), ("loss", 7)]
    assert problems == [
        f"{path}, line 4, column 'step': 'one' is no whole number.",
        f"{path}, line 5, column 'step': '2.5' is no whole number.",
        f"{path}, line 6, column 'time': 'yesterday' is no time: seconds, milliseconds, or like 2026-01-31T12:00:00.",
        f"{path}, line 7, column 'value': \"'x'\" is no number.",
        f"{path}, line 8: it has 4 fields, not 5",
        f"{path}, line 10, column 'value': '0x10' is no number.",
    ]


def test_many_faults_are_told_in_short(tmp_path: Path) -> None:
    path = written(tmp_path / "f.csv", "step,loss\n" + "1,x\n" * 5_000)
    assert len(read(path)[1]) == 101


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "begins with no header"),
        ("run,step\na,1\n", "no column of values among run, step"),
        ("a,b,a\n1,2,3\n", "two columns 'a'"),
        ("a,b\n" + '"' + "x" * 200_000, "is no CSV: field larger than"),
        ("a" * (17 << 20), "more than 16,777,216 bytes"),
    ],
)
def test_what_is_no_table_is_refused(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidParameterError, match=message):
        read(written(tmp_path / "x.csv", text))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.binary(max_size=300)
    | st.text(alphabet='ab,;"\n\r0159.-eE\0 run_idkeystepvalue', max_size=300).map(str.encode)
)
def test_any_bytes_are_read_or_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    with suppress(InvalidParameterError):  # any other error is a failure
        read(path)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from([RUN, "f" * 32, "0" * 32]),
            st.sampled_from(["loss", "a b", "x/y"]),
            st.integers(-(2**63), 2**63 - 1),
            st.integers(0, 2**63 - 1),
            st.floats(),
        ),
        min_size=1,
        max_size=30,
    )
)
def test_every_long_table_is_read_as_written(rows: list[Any], tmp_path: Path) -> None:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["run_id", "key", "step", "timestamp", "value"])
    writer.writerows([*row[:4], repr(row[4])] for row in rows)
    found, problems = read(written(tmp_path / "x.csv", text.getvalue()))
    assert not problems
    for run in {row[0] for row in rows}:
        assert repr(found[run]) == repr([row[1:] for row in rows if row[0] == run])


def test_other_encodings_are_told(tmp_path: Path) -> None:
    path = tmp_path / "old.csv"
    path.write_bytes("run;step;loss\na;1;0.5\nmüller;2;0.4\n".encode("cp1252"))
    found, problems = read(path)
    assert [len(points) for points in found.values()] == [1, 1]
    assert problems == [
        f"{path}, line 3: it is not UTF-8, so letters are lost here, and maybe below. Save the table as UTF-8 and import that."
    ]
    path.write_bytes("run,step,loss\na,1,0.5\n".encode("utf-16"))
    with pytest.raises(InvalidParameterError, match="is UTF-16. Save it as UTF-8"):
        read(path)


def test_bars_part_columns(tmp_path: Path) -> None:
    found, problems = read(written(tmp_path / "bars.csv", "run|step|loss\na|1|0.5\n"))
    assert (found, problems) == ({"a": [("loss", 1, 0, 0.5)]}, [])


def test_a_parquet_file_that_stands_for_any_number_of_rows_is_refused(tmp_path: Path) -> None:
    pyarrow: Any = pytest.importorskip("pyarrow", exc_type=ImportError)
    parquet: Any = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "bomb.parquet"
    zeros = pyarrow.array(memoryview(bytes(60_000_000)).cast("B"), pyarrow.uint8())
    parquet.write_table(pyarrow.table({"step": zeros, "loss": zeros}), path, row_group_size=60_000_000)
    assert path.stat().st_size < 1_000_000
    with pytest.raises(InvalidParameterError, match=r"60,000,000 rows in row group 1.*row_group_size"):
        read(path)


@pytest.mark.parametrize("name", ["x" * 5_000, "a\0b", "/proc/self/mem"])
def test_names_that_no_file_can_have(name: str) -> None:
    with pytest.raises(InvalidParameterError, match="cannot be read|nothing to import"):
        open_source(name, Report())
