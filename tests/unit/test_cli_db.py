"""`slipstream db status|upgrade|check|backup`, and the copy that is kept before a migration."""

import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner

from slipstream.cli.main import main
from slipstream.db.migrate import migrations, prepare
from slipstream.db.sqlite import SqliteDatabase
from slipstream.entities import Metric
from slipstream.errors import StorageError
from slipstream.store.engine import open_store

OLD = Path(__file__).parents[1] / "upgrade" / "museum" / "0001" / "museum.db"
NEWEST = migrations()[-1].number


class _Usage(NamedTuple):
    total: int
    used: int
    free: int


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_settings: None) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[Any]:
    """A store at slipstream.db with a run, a metric and a registered model."""
    store: Any = open_store(f"sqlite:///{tmp_path}/slipstream.db", "artifacts")
    run_id = store.create_run("0").info.run_id
    for step in range(3):
        store.log_metric(run_id, Metric("loss", 0.5, 1, step))
    store.create_registered_model("net")
    store.create_model_version("net", "s3://bucket/m")
    store.set_registered_model_alias("net", "best", "1")
    yield store
    store.close()


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(main, ["db", *arguments])
    assert result.exit_code == code, result.output
    return result.stdout + result.stderr


def change(sql: str, path: str = "slipstream.db") -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(sql)


def copies() -> list[Path]:
    return sorted(Path.cwd().glob("*.backup"))


def test_status_tells_what_is_there(filled: Any) -> None:
    said = dict(line.split(":", 1) for line in run("status").splitlines())
    told = {name.strip(): value.strip() for name, value in said.items()}
    assert told["Schema"] == f"{NEWEST} (this slipstream writes {NEWEST})"
    assert (told["To be applied"], told["Runs"], told["Metrics"]) == ("nothing", "1", "1")


def test_status_of_an_old_database_changes_nothing() -> None:
    shutil.copyfile(OLD, "slipstream.db")
    said = run("status")
    assert "1 (this slipstream" in said
    assert all(migration.name in said for migration in migrations()[1:])
    with closing(sqlite3.connect("slipstream.db")) as connection:
        assert connection.execute("SELECT max(number) FROM schema_migrations").fetchone() == (1,)
    assert copies() == []


@pytest.mark.parametrize("command", [["status"], ["check"], ["backup", "copy.db"]])
def test_a_database_that_is_not_there_is_not_made(command: list[str]) -> None:
    assert "There is no database" in run(*command, code=1)
    assert list(Path.cwd().iterdir()) == []


def test_a_servers_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPSTREAM_TRACKING_URI", "http://127.0.0.1:1")
    assert "not a database" in run("status", code=1)
    assert "no database" in run("status", "sqlite:///other.db", code=1)
    monkeypatch.setenv("MLFLOW_BACKEND_STORE_URI", "sqlite:///third.db")
    assert "third.db" in run("status", code=1)


# -- upgrades ---------------------------------------------------------------------------------------


def test_an_upgrade_keeps_a_copy_of_what_was() -> None:
    shutil.copyfile(OLD, "slipstream.db")
    said = run("upgrade")
    assert all(f"applied {migration.name}" in said for migration in migrations()[1:])
    (copy,) = copies()
    assert copy.name.startswith("slipstream.db.schema-0001.")
    with closing(sqlite3.connect(copy)) as connection, closing(sqlite3.connect(OLD)) as old:
        assert list(connection.iterdump()) == list(old.iterdump())
    assert copy.name in run("status")
    assert "nothing was changed" in run("upgrade")
    assert copies() == [copy]


def test_an_upgrade_makes_a_new_database_without_a_copy() -> None:
    assert f"applied {migrations()[0].name}" in run("upgrade")
    assert copies() == []


def test_without_room_for_a_copy_nothing_is_migrated(monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copyfile(OLD, "slipstream.db")
    monkeypatch.setattr("slipstream.db.copies.shutil.disk_usage", lambda _: _Usage(100, 99, 1))
    with pytest.raises(StorageError, match=r"no room .* SLIPSTREAM_BACKUP_BEFORE_MIGRATION=false"):
        prepare(SqliteDatabase("slipstream.db"))
    assert "1 (this" in run("status")

    monkeypatch.setenv("SLIPSTREAM_BACKUP_BEFORE_MIGRATION", "false")
    assert prepare(SqliteDatabase("slipstream.db"))
    assert copies() == []


# -- copies -----------------------------------------------------------------------------------------


def test_a_copy_is_of_one_moment_while_others_write(filled: Any) -> None:
    run_id = filled.create_run("0").info.run_id
    ended = threading.Event()

    def write() -> None:
        for step in range(100_000):
            if ended.is_set():
                return
            filled.log_batch(run_id, [Metric("a", 1, 1, step), Metric("b", 1, 1, step)], [], [])

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(3):
            assert "Copied" in run("backup", f"copy-{number}.db")
    finally:
        ended.set()
        writer.join()
    for number in range(3):
        copy: Any = open_store(f"sqlite:///copy-{number}.db", "artifacts")
        lengths = {len(copy.get_metric_history(run_id, key, 100_000, None).items) for key in "ab"}
        assert len(lengths) == 1
        copy.close()
        assert "is sound" in run("check", f"sqlite:///copy-{number}.db")
    assert not list(Path.cwd().glob("*.partial"))


def test_a_copy_overwrites_nothing(filled: Any) -> None:
    Path("kept").write_text("mine")
    assert "exists" in run("backup", "kept", code=1)
    assert Path("kept").read_text() == "mine"


def test_a_copy_without_room_leaves_nothing_behind(
    filled: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slipstream.db.copies.shutil.disk_usage", lambda _: _Usage(100, 99, 1))
    assert "no room" in run("backup", "copy.db", code=1)
    assert not Path("copy.db").exists()
    monkeypatch.undo()
    monkeypatch.chdir(tmp_path)
    assert "cannot be written" in run("backup", "no/such/folder/copy.db", code=1)


# -- checks -----------------------------------------------------------------------------------------


def test_a_sound_database(filled: Any) -> None:
    assert "is sound" in run("check")


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        ("UPDATE model_aliases SET version = 7", "1 aliases name a version that is not there (net @best)"),
        ("UPDATE registered_models SET last_version = 0", "a number that is taken (net)"),
        ("UPDATE runs SET lifecycle_stage = 'gone'", "1 runs are neither active nor deleted"),
        ("UPDATE runs SET status = 'LOST'", "1 runs have a status that there is not"),
        ("DELETE FROM runs", "rows of series belong to rows of runs that are not there"),
        ("INSERT INTO model_version_tags VALUES (1, 9, 'k', 'v')", "1 tags belong to versions"),
        ("UPDATE series SET value = 0.25", "1 metrics show a latest point that is not in their history"),
        ("UPDATE series SET step = 1", "1 metrics have points that are later"),
        ("DELETE FROM point_blocks", "1 metrics show a latest point that is not in their history"),
        ("UPDATE point_blocks SET content = x'0100'", "3 blocks of metric points cannot be read"),
        (
            "UPDATE point_blocks SET last_time = 99",
            "3 blocks of metric points cannot be read, or are not what",
        ),
        ("UPDATE point_blocks SET id = id + (7 << 32)", "1 runs or metrics have points but do not exist"),
    ],
)
def test_what_is_wrong_is_said_with_the_way_out(filled: Any, harm: str, said: str) -> None:
    filled.close()
    change(harm)
    assert said in run("check", code=1)


def test_a_damaged_file(filled: Any) -> None:
    filled.close()
    path = Path("slipstream.db")
    change("PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(path.read_bytes())
    with closing(sqlite3.connect(path)) as connection:
        root = connection.execute(
            "SELECT rootpage FROM sqlite_master WHERE name = 'runs_by_start'"
        ).fetchone()[0]
        size = connection.execute("PRAGMA page_size").fetchone()[0]
    start = (root - 1) * size
    content[start + 200 : start + size] = b"\xff" * (size - 200)
    path.write_bytes(content)
    assert "damaged:" in run("check", code=1)


def test_an_old_schema_is_not_checked() -> None:
    shutil.copyfile(OLD, "slipstream.db")
    assert "slipstream db upgrade" in run("check", code=1)


# -- PostgreSQL -------------------------------------------------------------------------------------


def test_postgres(postgres_database: str) -> None:
    import psycopg

    assert f"applied {migrations()[-1].name}" in run("upgrade", postgres_database)
    open_store(postgres_database, "artifacts").close()  # pyright: ignore[reportAttributeAccessIssue]
    assert "Experiments" in run("status", postgres_database)
    assert "is sound" in run("check", postgres_database)
    with psycopg.connect(postgres_database) as connection:
        connection.execute(
            "INSERT INTO registered_models (name, creation_timestamp, last_updated_timestamp, last_version)"
            " VALUES ('net', 0, 0, 0)"
        )
        connection.execute("INSERT INTO model_aliases VALUES (1, 'best', 1)")
    assert "1 aliases name a version" in run("check", postgres_database, code=1)
    said = run("backup", "copy.dump", postgres_database, code=1)
    password = postgres_database.split(":")[2].split("@", maxsplit=1)[0]
    assert "pg_dump --format=custom --file=copy.dump --host=127.0.0.1" in said
    assert password not in said


def test_the_command_of_pg_dump_makes_a_copy(
    postgres_database: str, postgres_programs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shlex
    import subprocess

    run("upgrade", postgres_database)
    said = run("backup", "copy.dump", postgres_database, code=1)
    command = shlex.split(said[said.index("pg_dump") :])
    monkeypatch.setenv("PGPASSWORD", postgres_database.split(":")[2].split("@", maxsplit=1)[0])
    subprocess.run([str(postgres_programs / command[0]), *command[1:]], check=True)
    assert Path("copy.dump").read_bytes().startswith(b"PGDMP")
