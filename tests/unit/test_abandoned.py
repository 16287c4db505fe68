"""Unfinished files: nobody sees them, and what a killed process left goes at the next start."""

import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from server_process import ServerProcess
from slipstream.artifact_store import abandoned
from slipstream.artifact_store.abandoned import OLD_SECONDS, remove_abandoned
from slipstream.artifact_store.local import PARTIAL, LocalArtifactStore
from slipstream.errors import NotFoundError


def make_old(file: Path, seconds: float = OLD_SECONDS + 60) -> None:
    then = time.time() - seconds
    os.utime(file, (then, then))


def left_behind(folder: Path, name: str = "killed") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{PARTIAL}{name}"
    file.write_bytes(b"half")
    make_old(file)
    return file


def test_old_ones_go_and_the_rest_stays(tmp_path: Path) -> None:
    store = LocalArtifactStore(tmp_path)
    store.write("d/whole", [b"x"])
    make_old(tmp_path / "d" / "whole")
    gone = [left_behind(tmp_path), left_behind(tmp_path / "d" / "deep")]
    young = left_behind(tmp_path, "young")
    make_old(young, OLD_SECONDS - 60)

    assert remove_abandoned(tmp_path) == 2
    assert [file.exists() for file in (*gone, young)] == [False, False, True]
    assert (tmp_path / "d" / "whole").read_bytes() == b"x"
    assert remove_abandoned(tmp_path / "missing") == 0


def test_a_running_upload_keeps_its_file_however_slow_it_is(tmp_path: Path) -> None:
    writer = LocalArtifactStore(tmp_path).create("a")
    writer.write(b"x" * 100_000)
    (unfinished,) = tmp_path.iterdir()
    make_old(unfinished)
    in_another_process = (
        "import sys; from pathlib import Path; from slipstream.artifact_store.abandoned import remove_abandoned; "
        "print(remove_abandoned(Path(sys.argv[1])))"
    )
    for removed in ("0", "1"):
        done = subprocess.run(
            [sys.executable, "-c", in_another_process, str(tmp_path)],
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == removed
        if removed == "0":
            assert remove_abandoned(tmp_path) == 0
            writer._file.close()  # as the system does for a process that is killed
            make_old(unfinished)


def test_no_verb_shows_them(tmp_path: Path) -> None:
    file = left_behind(tmp_path / "d")
    store = LocalArtifactStore(tmp_path)
    assert store.list("d") == []
    assert store.stat(f"d/{file.name}") is None
    with pytest.raises(NotFoundError):
        store.open(f"d/{file.name}")


def test_what_cannot_be_deleted_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(file: Path) -> bool:
        raise PermissionError(13, "Permission denied")

    file = left_behind(tmp_path)
    monkeypatch.setattr(abandoned, "is_being_written", refuse)
    with caplog.at_level(logging.WARNING):
        assert remove_abandoned(tmp_path) == 0
    assert f"{file} cannot be deleted: Permission denied" in caplog.text


def test_a_server_that_starts_cleans_up(tmp_path: Path) -> None:
    in_destination = left_behind(tmp_path / "artifacts" / "0" / "run")
    in_root = left_behind(tmp_path / "root")
    young = tmp_path / "artifacts" / f"{PARTIAL}young"
    young.write_bytes(b"half")
    server = ServerProcess(tmp_path, "--default-artifact-root", str(tmp_path / "root"))
    try:
        deadline = time.monotonic() + 20
        while (in_destination.exists() or in_root.exists()) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert [in_destination.exists(), in_root.exists(), young.exists()] == [False, False, True]
    finally:
        assert server.stop() == 0
