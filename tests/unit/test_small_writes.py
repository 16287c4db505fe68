"""Small files that are written in groups keep the promises of `LocalArtifactStore.write`."""

import errno
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from slipstream.artifact_store import many_syncs, small_writes
from slipstream.artifact_store.abandoned import remove_abandoned
from slipstream.artifact_store.local import PARTIAL, SMALL_PARTIAL, LocalArtifactStore
from slipstream.artifact_store.many_syncs import ManySyncs
from slipstream.artifact_store.small_writes import GROUP, SmallWrite, SmallWrites, Written
from slipstream.server.context import ServerContext
from slipstream.server.options import ServerOptions


@pytest.fixture(params=[False, True], ids=["in two waits", "in one wait"])
def keeps_order(request: pytest.FixtureRequest) -> bool:
    return request.param


def write_all(
    store: LocalArtifactStore, files: Sequence[tuple[str, bytes]], *, keeps_order: bool = False
) -> list[Exception | None]:
    """Write files as one group, or several where they are too many, and return what was told of each."""
    told: list[Written] = []
    writes = SmallWrites(store, told.extend, keeps_order=keeps_order)
    for number, (path, content) in enumerate(files):
        writes.submit(SmallWrite(path, content, number))
    writes.close()
    assert sorted(one.tag for one in told) == list(range(len(files)))
    return [one.error for one in sorted(told, key=lambda one: one.tag)]


def unfinished(root: Path) -> list[Path]:
    return [file for file in root.rglob("*") if file.name.startswith(PARTIAL)]


def test_all_are_there_and_whole(tmp_path: Path, keeps_order: bool) -> None:
    files = [
        (f"run{number % 3}/deep/f{number}", os.urandom(number * 37 % 5000)) for number in range(3 * GROUP)
    ]
    assert write_all(LocalArtifactStore(tmp_path), files, keeps_order=keeps_order) == [None] * len(files)
    assert {path: (tmp_path / path).read_bytes() for path, _ in files} == dict(files)
    assert unfinished(tmp_path) == []


def test_the_last_of_one_name_stays(tmp_path: Path, keeps_order: bool) -> None:
    store = LocalArtifactStore(tmp_path)
    store.write("f", [b"before"])
    files = [("f", b"%d" % number) for number in range(5)] + [("new", b"%d" % number) for number in range(5)]
    assert write_all(store, files, keeps_order=keeps_order) == [None] * 10
    assert [(tmp_path / name).read_bytes() for name in ("f", "new")] == [b"4", b"4"]
    assert unfinished(tmp_path) == []


def test_each_is_told_its_own_error_and_the_same_as_alone(tmp_path: Path, keeps_order: bool) -> None:
    root = tmp_path / "root"
    store = LocalArtifactStore(root)
    store.write("file", [b"x"])
    (root / "folder").mkdir()
    (root / "leads_out").symlink_to(tmp_path)
    (root / "link").symlink_to(tmp_path / "secret")
    (root / "near").symlink_to(root / "folder")
    wrong = ["folder", "file/below", "leads_out/f", "link", "a/" * 201 + "f", "n" * 256, f"{PARTIAL}f"]
    good = ["good", "folder/f", "near/g", "new/f"]
    told = write_all(store, [(path, b"y") for path in wrong + good], keeps_order=keeps_order)
    for path, error in zip(wrong, told, strict=False):
        with pytest.raises(type(error)) as alone:
            store.write(path, [b"y"])
        assert str(alone.value) == str(error)
    assert told[len(wrong) :] == [None] * len(good)
    assert [(root / path).read_bytes() for path in good] == [b"y"] * len(good)
    assert not (tmp_path / "f").exists()
    assert not (tmp_path / "secret").exists()
    assert unfinished(tmp_path) == []


class Journal:
    """Notes what is done to the disk, in order: syncs of contents and of folders, and names as they appear."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.root = root
        self.steps: list[tuple[set[str], set[str], set[str]]] = []
        """Of each sync: what files it was about, which folders, and the contents that had their names then."""
        self.failing: set[bytes] = set()
        self.folders_fail = False
        run = ManySyncs.run

        def noted(syncs: ManySyncs, files: Sequence[int], folders: Sequence[int]) -> list[OSError | None]:
            contents = [Path(f"/proc/self/fd/{handle}").read_bytes() for handle in files]
            self.steps.append(
                (
                    {content.decode() for content in contents},
                    {Path(f"/proc/self/fd/{handle}").readlink().name for handle in folders},
                    self.visible(),
                )
            )
            broken: list[OSError | None] = [
                OSError(errno.EIO, "Broken") if content in self.failing else None for content in contents
            ]
            of_folders = [OSError(errno.EIO, "Broken") if self.folders_fail else None for _ in folders]
            done = run(syncs, files, folders)
            return [one or other for one, other in zip(done, broken + of_folders, strict=True)]

        monkeypatch.setattr(ManySyncs, "run", noted)

    def visible(self) -> set[str]:
        files = (
            file for file in self.root.rglob("*") if file.is_file() and not file.name.startswith(PARTIAL)
        )
        return {file.read_text() for file in files}


def write_as_one_group(
    store: LocalArtifactStore, files: Sequence[tuple[str, bytes]], *, keeps_order: bool
) -> list[Exception | None]:
    """Hold the thread back with a first file until all others wait."""
    told: list[Written] = []
    begun, go = threading.Event(), threading.Event()

    def tell(written: list[Written]) -> None:
        if written[0].tag < 0:
            begun.set()
            assert go.wait(20)
        else:
            told.extend(written)

    writes = SmallWrites(store, tell, keeps_order=keeps_order)
    writes.submit(SmallWrite("first", b"first", -1))
    assert begun.wait(20)
    for number, (path, content) in enumerate(files):
        writes.submit(SmallWrite(path, content, number))
    go.set()
    writes.close()
    return [one.error for one in sorted(told, key=lambda one: one.tag)]


def test_contents_come_onto_the_disk_before_names_that_matter(
    tmp_path: Path, keeps_order: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LocalArtifactStore(tmp_path)
    for folder in ("a", "b"):
        store.write(f"{folder}/old", [b"old"])
    files = [("a/old", b"a-second"), ("a/new", b"a-new"), ("b/new", b"b-new"), ("b/new2", b"b-new2")]
    journal = Journal(tmp_path, monkeypatch)
    assert write_as_one_group(store, files, keeps_order=keeps_order) == [None] * 4
    steps = journal.steps[2 - keeps_order :]  # after those of the first file
    news = {"a-new", "b-new", "b-new2"}
    if keeps_order:
        assert steps == [
            ({"a-second", *news}, {"a", "b"}, {"first", "old", *news}),
            (set(), {"a"}, {"first", "old", "a-second", *news}),
        ]
    else:
        assert steps == [
            ({"a-second", *news}, set(), {"first", "old"}),
            (set(), {"a", "b"}, {"first", "old", "a-second", *news}),
        ]


def test_what_the_disk_did_not_take_is_told_and_not_there(
    tmp_path: Path, keeps_order: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LocalArtifactStore(tmp_path)
    store.write("old", [b"old"])
    journal = Journal(tmp_path, monkeypatch)
    journal.failing = {b"bad", b"bad-too"}
    files = [("old", b"bad"), ("new", b"bad-too"), ("good", b"good")]
    told = write_as_one_group(store, files, keeps_order=keeps_order)
    assert [str(error) for error in told] == ["Artifact 'old': Broken.", "Artifact 'new': Broken.", "None"]
    assert journal.visible() == {"first", "old", "good"}
    assert unfinished(tmp_path) == []


def test_a_folder_that_cannot_be_synced_is_told(
    tmp_path: Path, keeps_order: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path, monkeypatch)
    journal.folders_fail = True
    told = write_all(LocalArtifactStore(tmp_path), [("f", b"1")], keeps_order=keeps_order)
    assert [str(error) for error in told] == ["Artifact 'f': Broken."]


def test_what_nobody_foresaw_is_told_to_all_of_the_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(*_: object) -> None:
        raise MemoryError("no more")

    monkeypatch.setattr(ManySyncs, "run", break_down)
    told = write_all(LocalArtifactStore(tmp_path), [("f", b"1"), ("g", b"2")])
    assert [type(error) for error in told] == [MemoryError, MemoryError]
    assert list(tmp_path.iterdir()) == []


def test_without_durability_nothing_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError

    for name in ("fsync", "fdatasync"):
        monkeypatch.setattr(os, name, refuse)
    monkeypatch.setattr(ManySyncs, "run", refuse)
    store = LocalArtifactStore(tmp_path, syncs=False)
    files = [(f"new/folder/f{number}", b"x") for number in range(5)]
    assert write_all(store, files) == [None] * 5
    store.below("run").write("f/g", [b"alone"])
    assert (tmp_path / "run" / "f" / "g").read_bytes() == b"alone"
    with pytest.raises(AssertionError):
        LocalArtifactStore(tmp_path).write("f", [b"x"])


@pytest.mark.parametrize(("durability", "syncs"), [("full", True), ("normal", False)])
def test_a_server_is_as_sure_of_files_as_of_its_database(
    durability: str, syncs: bool, tmp_path: Path
) -> None:
    options = ServerOptions(
        backend_store_uri=f"sqlite:///{tmp_path / 'db'}",
        artifacts_destination=str(tmp_path / "files"),
        default_artifact_root=str(tmp_path / "root"),
        durability=durability,
    )
    context = ServerContext(options)
    for place in ("mlflow-artifacts:/run", str(tmp_path / "root" / "run")):
        store = context.open(place)
        assert isinstance(store, LocalArtifactStore)
        assert store.syncs is syncs


def test_a_file_whose_beginning_goes_is_written_again(
    tmp_path: Path, keeps_order: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that starts deletes what it takes for the leavings of a killed one."""
    complete = SmallWrites._complete
    removed: list[int] = []

    def remove_first(writes: SmallWrites, begun: Sequence[small_writes._Begun], syncs: ManySyncs) -> None:
        removed.append(remove_abandoned(tmp_path))
        complete(writes, begun, syncs)

    monkeypatch.setattr(SmallWrites, "_complete", remove_first)
    assert write_all(LocalArtifactStore(tmp_path), [("d/f", b"1")], keeps_order=keeps_order) == [None]
    assert removed == [1]
    assert (tmp_path / "d" / "f").read_bytes() == b"1"


def test_folders_may_go_while_files_are_put_into_them(tmp_path: Path, keeps_order: bool) -> None:
    """Every answer is one of the two that there are, and no thread ends over it."""
    store = LocalArtifactStore(tmp_path)
    stop = threading.Event()

    def delete() -> None:
        while not stop.is_set():
            store.delete("d")

    with ThreadPoolExecutor(1) as pool:
        deleting = pool.submit(delete)
        told = write_all(store, [(f"d/e/f{number}", b"x") for number in range(500)], keeps_order=keeps_order)
        stop.set()
    assert len(told) == 500
    assert deleting.done()
    assert write_all(store, [("d/e/last", b"x")], keeps_order=keeps_order) == [None]


def test_beginnings_of_small_files_need_not_be_old_to_go(tmp_path: Path) -> None:
    for name in (f"{SMALL_PARTIAL}1", f"{PARTIAL}1"):
        (tmp_path / name).write_bytes(b"half")
    assert remove_abandoned(tmp_path, dry_run=True) == 1
    assert remove_abandoned(tmp_path) == 1
    assert [file.name for file in tmp_path.iterdir()] == [f"{PARTIAL}1"]


def no_kernel(at_once: int) -> None:
    return None


@pytest.mark.parametrize("way", ["kernel", "threads"])
def test_syncs_say_what_became_of_each(way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if way == "threads":
        monkeypatch.setattr(many_syncs._Kernel, "open", no_kernel)
    syncs = ManySyncs(8)
    handles = [os.open(tmp_path / str(number), os.O_CREAT | os.O_WRONLY) for number in range(3)]
    folder = os.open(tmp_path, os.O_RDONLY)
    closed = os.dup(folder)
    os.close(closed)
    calls: list[Callable[[], list[OSError | None]]] = [
        lambda: syncs.run(handles, [folder]),
        lambda: syncs.run([handles[0], closed, handles[1]], [folder]),
        lambda: syncs.run([closed], []),
        lambda: syncs.run(handles * 2, [folder, folder]),  # as many as there may be
        lambda: syncs.run([], []),
    ]
    found = [[error and error.errno for error in call()] for call in calls]
    assert found == [[None] * 4, [None, errno.EBADF, None, None], [errno.EBADF], [None] * 8, []]
    syncs.close()
    for handle in (*handles, folder):
        os.close(handle)
