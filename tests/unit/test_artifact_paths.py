"""The one canonicaliser of artifact paths and storage URIs."""

import os
from pathlib import Path
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifact_corpus import HARMLESS_PATHS, HARMLESS_URIS, HOSTILE_PATHS, HOSTILE_URIS
from slipstream.artifact_store.local import LocalArtifactStore
from slipstream.artifact_store.paths import clean_path, clean_uri
from slipstream.artifact_store.uri import open_store
from slipstream.errors import InvalidParameterError, NotFoundError, StorageError

PIECES = st.sampled_from(
    [
        *"./\\%#?;:~ ab",
        "..",
        "%2e",
        "%2f",
        "%25",
        "%5c",
        "%00",
        "C:",
        "file:",
        "\uff0e",
        "\uff0f",
        "\u2025",
        "\x00",
        "con",
    ]
)
TEXTS = st.one_of(st.lists(PIECES, max_size=12).map("".join), st.text(max_size=40))


@pytest.mark.parametrize("text", HOSTILE_PATHS, ids=ascii)
def test_hostile_paths_are_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidParameterError, match="artifact_file_path"):
        clean_path(text, "artifact_file_path")


@pytest.mark.parametrize(("text", "expected"), HARMLESS_PATHS.items(), ids=ascii)
def test_harmless_paths_are_data(text: str, expected: str) -> None:
    assert clean_path(text) == expected


def test_the_message_shows_the_value_without_obeying_it() -> None:
    with pytest.raises(InvalidParameterError, match=r"Invalid path '\\x1b\[2J' for 'path'"):
        clean_path("\x1b[2J")


@given(TEXTS)
def test_what_is_accepted_stays_inside(text: str) -> None:
    try:
        path = clean_path(text)
    except InvalidParameterError:
        return
    spelling = path
    for _ in range(4):  # also for who decodes again
        joined = os.path.normpath("/base/" + spelling.replace("\\", "/"))
        assert joined == "/base" or joined.startswith("/base/")
        assert not Path(spelling).is_absolute()
        spelling = unquote(spelling)
    assert clean_path(path) == path


@pytest.mark.parametrize("uri", HOSTILE_URIS, ids=ascii)
def test_hostile_uris_are_refused_by_name(uri: str) -> None:
    with pytest.raises(InvalidParameterError, match="artifact_location"):
        clean_uri(uri, "artifact_location")


@pytest.mark.parametrize("uri", HARMLESS_URIS)
def test_what_was_checked_is_what_is_stored(uri: str) -> None:
    assert clean_uri(uri, "artifact_location") == uri


@given(TEXTS)
def test_an_accepted_uri_has_no_way_up(text: str) -> None:
    try:
        uri = clean_uri("s3://bucket/" + text, "source")
    except InvalidParameterError:
        return
    for _ in range(4):
        assert ".." not in uri.split("/")
        uri = unquote(uri)


# -- links: what no spelling shows ------------------------------------------------------------------


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret").write_text("s")
    return folder


@pytest.fixture
def store(tmp_path: Path, outside: Path) -> LocalArtifactStore:
    root = tmp_path / "root"
    (root / "run").mkdir(parents=True)
    (root / "run" / "file").write_text("f")
    (root / "to-root").symlink_to("/")
    (root / "to-outside").symlink_to(outside)
    (root / "run" / "to-secret").symlink_to(outside / "secret")
    (root / "run" / "dangling").symlink_to(outside / "new")
    (root / "run" / "to-file").symlink_to("file")
    return LocalArtifactStore(root)


@pytest.mark.parametrize(
    "path", ["to-root", "to-root/etc", "to-outside", "to-outside/secret", "to-outside/new/x"]
)
def test_links_lead_nowhere(store: LocalArtifactStore, outside: Path, path: str) -> None:
    for verb in (store.list, store.stat, store.open, store.create, store.delete, store.local_path):
        with pytest.raises(InvalidParameterError, match="leads out"):
            verb(path)
    assert [p.name for p in outside.iterdir()] == ["secret"]


@pytest.mark.parametrize("name", ["to-secret", "dangling"])
def test_links_to_files_lead_nowhere(store: LocalArtifactStore, outside: Path, name: str) -> None:
    for verb in (store.stat, store.open, store.create, store.delete):
        with pytest.raises(InvalidParameterError, match="leads out"):
            verb(f"run/{name}")
    assert {p.name: p.read_text() for p in outside.iterdir()} == {"secret": "s"}


def test_links_are_no_artifacts(store: LocalArtifactStore) -> None:
    assert [info.path for info in store.list()] == ["run"]
    assert [info.path for info in store.list("run")] == ["run/file"]
    assert store.stat("run/to-file") is None
    with pytest.raises(InvalidParameterError, match="symbolic link"):
        store.open("run/to-file")


def test_deleting_a_folder_leaves_what_its_links_point_to(store: LocalArtifactStore, outside: Path) -> None:
    store.delete("run")
    assert (outside / "secret").read_text() == "s"
    assert store.stat("run") is None


def test_a_client_cannot_choose_a_link_as_root(store: LocalArtifactStore) -> None:
    below = open_store("mlflow-artifacts:/to-outside", root_for_proxy=store.root)
    for verb in (below.list, below.local_path):
        with pytest.raises(InvalidParameterError, match="leads out"):
            verb("")
    with pytest.raises(InvalidParameterError, match="leads out"):
        below.open("secret")


def test_the_root_itself_may_be_a_link(tmp_path: Path, outside: Path) -> None:
    (tmp_path / "link").symlink_to(outside)
    store = LocalArtifactStore(tmp_path / "link")
    assert [info.path for info in store.list()] == ["secret"]
    info = store.stat("")
    assert info is not None
    assert info.is_dir


def test_a_pipe_is_no_artifact(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    store = LocalArtifactStore(tmp_path)
    assert store.list() == []
    with pytest.raises(InvalidParameterError, match="not a file"):
        store.open("pipe")


def test_modes_follow_the_umask(tmp_path: Path) -> None:
    mask = os.umask(0o027)
    try:
        LocalArtifactStore(tmp_path / "r").write("d/f", [b"x"])
    finally:
        os.umask(mask)
    assert (tmp_path / "r" / "d").stat().st_mode & 0o777 == 0o750
    assert (tmp_path / "r" / "d" / "f").stat().st_mode & 0o777 == 0o640


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    store = LocalArtifactStore(tmp_path)
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="no space left for 'f'"):
        store.write("f", [b"x"])
    assert list(tmp_path.iterdir()) == []


def test_errors_do_not_show_the_servers_folder(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError) as caught:
        LocalArtifactStore(tmp_path).open("a/b")
    assert str(tmp_path) not in str(caught.value)


# -- schemes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("uri", ["sftp://h/x", "hdfs://h/x", "ftp://h/x"])
def test_a_scheme_without_plugin_is_named(uri: str) -> None:
    with pytest.raises(InvalidParameterError, match=f"scheme '{uri.split(':', maxsplit=1)[0]}'.*plugin"):
        open_store(uri)


@pytest.mark.parametrize("uri", ["file:", "file://host/x"])
def test_file_uris_that_name_no_folder_here(uri: str) -> None:
    with pytest.raises(InvalidParameterError):
        open_store(uri)


@pytest.mark.parametrize(
    "path", ["x/" * 2_000 + "y", ".slipstream-partial-abc", "a/.slipstream-partial-abc/b"]
)
def test_places_that_cannot_be_written_to(tmp_path: Path, path: str) -> None:
    with pytest.raises(InvalidParameterError, match="Cannot write"):
        LocalArtifactStore(tmp_path).write(path, [b"x"])
    assert list(tmp_path.iterdir()) == []
