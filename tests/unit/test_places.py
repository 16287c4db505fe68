"""Server options that cannot work are refused when it starts, by name."""

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from slipstream.client.connect import connect, normalise
from slipstream.db.migrate import prepare
from slipstream.db.postgres import PostgresDatabase
from slipstream.db.uri import open_database
from slipstream.errors import InvalidParameterError, UnavailableError
from slipstream.server.context import ServerContext
from slipstream.server.options import ServerOptions
from slipstream.server.places import check_places, prepare_database

NOBODY = 65534


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user of this machine reaches; pytest's own are for one user."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder).resolve()


def as_nobody(call: Callable[[], object]) -> None:
    """Call with no more rights than the modes of files give; the superuser has more."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    try:
        call()
    finally:
        os.seteuid(user)


# -- artifacts ------------------------------------------------------------------------------------------


def test_a_destination_that_holds_no_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for place, reason in (
        (tmp_path / "file", "is a file"),
        (tmp_path / "file" / "below", "is a file"),
        ("/proc/slipstream", "/proc: "),
        (tmp_path / ("x" * 300), "too long"),
        ("ftp://host/x", "neither a folder nor an object store"),
        ("s3://bucket:80/x", "s3://bucket/path"),
    ):
        options = ServerOptions(artifacts_destination=str(place))
        with pytest.raises(InvalidParameterError, match="--artifacts-destination") as caught:
            check_places(options)
        assert str(place) in str(caught.value)
        assert reason in str(caught.value)


def test_a_destination_without_rights_is_refused(open_folder: Path) -> None:
    closed = open_folder / "closed"
    closed.mkdir(mode=0o555)
    for place in (closed, closed / "below"):
        options = ServerOptions(artifacts_destination=str(place))
        with pytest.raises(InvalidParameterError, match="--artifacts-destination .* Permission denied"):
            as_nobody(lambda options=options: check_places(options))
        # Nothing is written there by a server that serves no artifacts.
        unserved = ServerOptions(artifacts_destination=str(place), serve_artifacts=False)
        as_nobody(lambda unserved=unserved: check_places(unserved))


def test_the_trial_leaves_nothing(tmp_path: Path) -> None:
    check_places(ServerOptions(artifacts_destination=str(tmp_path / "a" / "b")))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("root", "reason"),
    [
        ("runs:/x", "no artifact store has the scheme 'runs'"),
        ("models:/x", "no artifact store has the scheme 'models'"),
        ("nope://x", "no artifact store has the scheme 'nope'"),
        ("http://host/files", "not the artifact API"),
        ("https://u:geheim@host:1/mlflow-artifacts", "not the artifact API"),
        ("http://host:port/api/2.0/mlflow-artifacts/artifacts", "no address"),
        ("file://host/x", "names a host"),
        ("s3://bucket/../x", "'..'"),
        ("FILE", "is a file"),
    ],
)
def test_a_root_that_no_store_has_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: str, reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("FILE").write_text("x")
    with pytest.raises(InvalidParameterError) as caught:
        check_places(ServerOptions(default_artifact_root=root))
    assert reason in str(caught.value)
    assert root.rpartition("@")[2] in str(caught.value)
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    "root",
    [
        "folder",
        "mlflow-artifacts:/x",
        "mlflow-artifacts://other:5000/x",
        "s3://bucket/x",
        "https://host/base/api/2.0/mlflow-artifacts/artifacts/x",
    ],
)
def test_a_root_that_a_store_has_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, root: str) -> None:
    monkeypatch.chdir(tmp_path)
    check_places(ServerOptions(default_artifact_root=root))


def test_a_root_behind_a_server_that_serves_none_is_refused() -> None:
    options = ServerOptions(default_artifact_root="mlflow-artifacts:/x", serve_artifacts=False)
    with pytest.raises(InvalidParameterError, match="--default-artifact-root .*--no-serve-artifacts"):
        check_places(options)


def test_a_relative_root_is_the_same_for_clients_in_other_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    options = ServerOptions(default_artifact_root="files")
    assert options.artifact_root == str(tmp_path / "files")
    assert ServerContext(options).list_files(options.artifact_root, None) == []
    unserved = ServerOptions(artifacts_destination="files", serve_artifacts=False)
    assert unserved.artifact_root == str(tmp_path / "files")


# -- the database -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("sqlite:///", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite:///file::memory:?cache=shared", "options after the file's name"),
        ("sqlite:///x.db?mode=ro", "options after the file's name"),
        ("sqlite:///x.db?timeout=3", "options after the file's name"),
        ("sqlite:///x.db#y", "options after the file's name"),
    ],
)
def test_an_address_of_no_file_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, uri: str, reason: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for open_it in (open_database, normalise):
        with pytest.raises(InvalidParameterError) as caught:
            open_it(uri)
        assert reason in str(caught.value)
        assert uri in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_an_address_without_a_path_is_refused() -> None:
    with pytest.raises(InvalidParameterError, match="'sqlite://' names no file"):
        open_database("sqlite://")


@pytest.mark.parametrize("name", ["a?b.db", "a#b.db", "100%.db", "a%20b.db"])
def test_odd_names_of_files_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_settings: None, name: str
) -> None:
    (tmp_path / "f%41").mkdir()
    monkeypatch.chdir(tmp_path / "f%41")
    connection = connect(name)
    connection.store.create_experiment("x")
    connection.close()
    assert (tmp_path / "f%41" / name).is_file()


def test_a_folder_is_no_database(tmp_path: Path) -> None:
    with pytest.raises(InvalidParameterError, match=r"--backend-store-uri .*Is it a folder") as caught:
        prepare_database(lambda: open_database(f"sqlite:///{tmp_path}"))
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    ("folder_mode", "file_mode", "reason"),
    [(0o777, 0o444, "read-only"), (0o777, 0o000, "read and write"), (0o555, 0o666, ""), (0o555, None, "")],
)
def test_a_database_without_rights_is_refused(
    open_folder: Path, folder_mode: int, file_mode: int | None, reason: str
) -> None:
    folder = open_folder / "data"
    folder.mkdir()
    file = folder / "s.db"
    if file_mode is not None:
        prepare(open_database(f"sqlite:///{file}"))
        file.chmod(file_mode)
    folder.chmod(folder_mode)
    with pytest.raises(InvalidParameterError, match="--backend-store-uri") as caught:
        as_nobody(lambda: prepare_database(lambda: open_database(f"sqlite:///{file}")))
    assert str(file) in str(caught.value)
    assert reason in str(caught.value)


@pytest.mark.parametrize(
    "uri",
    [
        "postgresql://u:geheim@127.0.0.1:1/db?mode=ro",
        "postgresql://u:geheim%zz@127.0.0.1:1/db",
    ],
)
def test_an_address_that_is_none_of_postgresqls_is_refused(uri: str) -> None:
    with pytest.raises(InvalidParameterError, match="--backend-store-uri .*is not valid") as caught:
        prepare_database(lambda: open_database(uri))
    assert "geheim" not in str(caught.value)


def test_a_port_that_is_no_number_is_told() -> None:
    with pytest.raises(UnavailableError, match="invalid integer value") as caught:
        prepare_database(lambda: open_database("postgresql://u:geheim@127.0.0.1:port/db"))
    assert "geheim" not in str(caught.value)


def test_a_socket_in_a_postgresql_address_is_kept() -> None:
    assert PostgresDatabase("postgres+psycopg2:///db?host=/run")._conninfo == "postgresql:///db?host=/run"
