"""`slipstream doctor`: what it finds, its exit code, and that it prints no secret."""

import json
import os
import shutil
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from server_process import ServerProcess
from slipstream.cli import doctor_checks
from slipstream.cli.doctor_checks import EXTRAS
from slipstream.cli.main import main
from slipstream.store.engine import open_store

ROOT = Path(__file__).parents[2]
OLD = ROOT / "tests" / "upgrade" / "museum" / "0001" / "museum.db"
SECRET = "sw0rdfish"


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_settings: None) -> None:
    monkeypatch.chdir(tmp_path)


def examine(*arguments: str, code: int = 0) -> dict[str, list[dict[str, Any]]]:
    """Return the findings by check."""
    result = CliRunner().invoke(main, ["doctor", "--json", *arguments])
    assert result.exit_code == code, result.output
    found: dict[str, list[dict[str, Any]]] = {}
    for each in json.loads(result.stdout):
        found.setdefault(each["check"], []).append(each)
    return found


def states(findings: list[dict[str, Any]]) -> list[str]:
    return [each["state"] for each in findings]


def test_a_sound_place(tmp_path: Path) -> None:
    open_store(f"sqlite:///{tmp_path}/slipstream.db", "artifacts").close()  # pyright: ignore[reportAttributeAccessIssue]
    before = sorted(path.name for path in tmp_path.iterdir())
    found = examine()
    assert "error" not in [state for each in found.values() for state in states(each)]
    assert {"python", "settings", "tracking", "schema", "database", "disk", "durability", "artifacts"} <= set(
        found
    )
    assert "ms" in found["durability"][0]["found"]
    assert (
        sorted(path.name for path in tmp_path.iterdir() if not path.name.endswith(("-wal", "-shm"))) == before
    )


def test_a_line_for_each_finding() -> None:
    result = CliRunner().invoke(main, ["doctor"])
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert all(line.split()[0] in ("ok", "note", "warning", "error") for line in lines)
    assert any(line.startswith("note     tracking") and "is not there yet" in line for line in lines)
    assert not Path("slipstream.db").exists()


def test_settings_that_are_wrong_or_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPSTREAM_HTTP_REQUEST_TIMEOUT", "soon")
    monkeypatch.setenv("SLIPSTREAM_TRACKING_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("MLFLOW_ENABLE_SOMETHING", "1")
    found = examine(code=1)["settings"]
    told = {each["state"]: each for each in found}
    assert "SLIPSTREAM_HTTP_REQUEST_TIMEOUT has the value 'soon'" in told["error"]["found"]
    assert told["warning"]["way_out"] == "Did you mean SLIPSTREAM_TRACKING_URI?"
    assert "MLFLOW_ENABLE_SOMETHING" in told["note"]["found"]
    assert "ok" not in told


def test_a_key_of_webhooks_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPSTREAM_WEBHOOK_SECRET_ENCRYPTION_KEY", "hunter2hunter2")
    (found,) = examine(code=1)["settings"]
    assert found["state"] == "error"
    assert "SLIPSTREAM_WEBHOOK_SECRET_ENCRYPTION_KEY is no key" in found["found"]
    assert "hunter2" not in found["found"]


def test_variables_of_options_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPSTREAM_BACKEND_STORE_URI", "sqlite:///x.db")
    monkeypatch.setenv("MLFLOW_HOST", "127.0.0.1")
    (found,) = examine()["settings"]
    assert (found["state"], found["found"]) == (
        "ok",
        "MLFLOW_HOST, SLIPSTREAM_BACKEND_STORE_URI, SLIPSTREAM_HOME",
    )


def test_an_old_schema() -> None:
    shutil.copyfile(OLD, "slipstream.db")
    (found,) = examine()["schema"]
    assert found["state"] == "note"
    assert "0002_webhooks" in found["found"]


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("http://127.0.0.1:9", "No answer from http://127.0.0.1:9"),
        ("./mlruns", "neither a server nor a database"),
        (
            "postgresql://u:sw0rdfish@127.0.0.1:9/d",
            "Cannot connect to PostgreSQL database 'd' on 127.0.0.1:9",
        ),
    ],
)
def test_a_place_that_is_not_there(uri: str, said: str) -> None:
    found = examine(uri, code=1)["tracking"]
    assert states(found) == ["error"]
    assert said in found[0]["found"]
    if uri.startswith("postgresql"):
        assert "Start it, or correct" in found[0]["found"]


def test_a_foreign_database(tmp_path: Path) -> None:
    Path("notes.db").write_text("no database" * 100)
    assert "not an SQLite database" in examine("notes.db", code=1)["tracking"][0]["found"]


def test_a_full_and_a_slow_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor_checks, "LEAST_FREE", 2**70)
    monkeypatch.setattr(doctor_checks, "_SLOW_SYNC_MS", -1.0)
    found = examine()
    assert states(found["disk"]) == ["warning"]
    assert states(found["durability"]) == ["warning"]


def test_a_folder_that_nobody_may_write_to(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("slipstream.cli.doctor_checks.tempfile.TemporaryFile", refuse)
    found = examine(code=1)
    assert "Permission denied" in found["artifacts"][0]["found"]
    assert states(found["database"]) == ["error"]


def test_extras_are_those_of_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert set(EXTRAS) == set(project["optional-dependencies"])
    monkeypatch.setattr(doctor_checks, "_is_there", lambda module: module != "obstore")
    told = {each["found"].split()[0].strip(":"): each for each in examine()["extra"]}
    assert told["cloud"]["state"] == "note"
    assert told["cloud"]["way_out"] == "pip install 'slipstream[cloud]'"
    assert told["postgres"]["state"] == "ok"


# -- servers ----------------------------------------------------------------------------------------


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ServerProcess]:
    monkeypatch.setenv("SLIPSTREAM_SERVER_TOKEN", SECRET)
    process = ServerProcess(tmp_path, "--auth", "token")
    monkeypatch.delenv("SLIPSTREAM_SERVER_TOKEN")
    yield process
    assert process.stop() == 0


def test_a_server(server: ServerProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    found = examine(server.url, code=1)
    assert states(found["tracking"]) == ["ok"]
    assert states(found["access"]) == ["error"]
    assert "SLIPSTREAM_TRACKING_TOKEN" in found["access"][0]["way_out"]

    monkeypatch.setenv("SLIPSTREAM_TRACKING_TOKEN", SECRET)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.url)
    found = examine()
    for name in ("tracking", "access", "server", "artifacts", "clock"):
        assert states(found[name]) == ["ok"], found[name]


def test_a_clock_that_is_wrong(server: ServerProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLIPSTREAM_TRACKING_TOKEN", SECRET)
    now = time.time
    monkeypatch.setattr("slipstream.cli.doctor_checks.time.time", lambda: now() - 100)
    (found,) = examine(server.url)["clock"]
    assert found["state"] == "warning"
    assert "ahead of this machine's" in found["found"]


def test_postgres(postgres_database: str) -> None:
    open_store(postgres_database, "artifacts").close()  # pyright: ignore[reportAttributeAccessIssue]
    found = examine(postgres_database)
    assert states(found["schema"]) == ["ok"]
    assert states(found["clock"]) == ["ok"]
    assert postgres_database.split(":")[2].split("@", maxsplit=1)[0] not in json.dumps(found)


@pytest.mark.parametrize(
    "uri",
    [
        f"http://user:{SECRET}@127.0.0.1:9",
        f"postgresql://user:{SECRET}@127.0.0.1:9/d?x={SECRET}",
        f"mysql://u:{SECRET}@h/d",
    ],
)
def test_no_secret_is_printed(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SLIPSTREAM_TRACKING_TOKEN", "SLIPSTREAM_TRACKING_PASSWORD", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, SECRET)
    monkeypatch.setenv("MLFLOW_WEBHOOK_SECRET_ENCRYPTION_KEY", SECRET)
    monkeypatch.setenv("SLIPSTREAM_UNKNOWN_TOKEN", SECRET)
    monkeypatch.setenv("SLIPSTREAM_TRACKING_URI", uri)
    for arguments in (["doctor"], ["doctor", "--json"]):
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 1
        assert SECRET not in result.output
        assert os.environ["SLIPSTREAM_TRACKING_TOKEN"] == SECRET
