"""The patch and the new files of a repository that is not as committed."""

import io
import os
import subprocess
import time
import zipfile
from pathlib import Path

import pytest

from slipstream.client.context import changes
from slipstream.client.context.changes import find_changes


def git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, check=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    (tmp_path / "train.py").write_text("lr = 1\n")
    (tmp_path / ".env").write_text("TOKEN=1\n")
    (tmp_path / ".gitignore").write_text("*.ckpt\ndata/\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    return tmp_path


def names(found: changes.Changes) -> list[str]:
    if not found.untracked:
        return []
    return sorted(zipfile.ZipFile(io.BytesIO(found.untracked)).namelist())


def test_what_is_as_committed_has_none(repository: Path) -> None:
    found = find_changes(str(repository))

    assert (found.patch, found.untracked, found.left_out) == ("", b"", [])


def test_the_patch_can_be_applied(repository: Path) -> None:
    (repository / "train.py").write_text("lr = 2\nepochs = 3\n")
    git(repository, "add", "train.py")  # staged or not
    (repository / "train.py").write_text("lr = 2\nepochs = 4\n")

    patch = find_changes(str(repository)).patch

    git(repository, "reset", "-q", "--hard")
    subprocess.run(["git", "apply"], cwd=repository, input=patch, text=True, check=True)
    assert (repository / "train.py").read_text() == "lr = 2\nepochs = 4\n"


def test_secrets_are_not_in_the_patch(repository: Path) -> None:
    (repository / "train.py").write_text('lr = 1\npassword = "hunter2"\n')
    (repository / ".env").write_text("TOKEN=very-secret\n")

    found = find_changes(str(repository))

    assert "hunter2" not in found.patch
    assert "very-secret" not in found.patch
    assert "lr = 1" in found.patch
    assert any(".env" in each for each in found.left_out)


def test_small_new_files_are_kept_and_others_named(repository: Path) -> None:
    (repository / "model.py").write_text("x = 1\n")
    (repository / "with space").mkdir()
    (repository / "with space" / "ä.txt").write_text("y")
    (repository / "secret.yaml").write_text("a: b")
    (repository / "config.yaml").write_text("api_key: abcdefgh1\n")
    (repository / "weights.bin").write_bytes(b"\0" * 10)
    (repository / "large.csv").write_text("1\n" * 200_000)
    (repository / "model.ckpt").write_text("ignored")
    (repository / "link").symlink_to("/etc/hostname")
    os.mkfifo(repository / "pipe")

    found = find_changes(str(repository))

    assert names(found) == ["model.py", "with space/ä.txt"]
    left = "\n".join(found.left_out)
    assert all(each in left for each in ("secret.yaml", "config.yaml", "weights.bin", "large.csv", "link"))
    assert "model.ckpt" not in left


def test_a_patch_of_any_size_is_cut(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(changes, "PATCH_BYTES", 1000)
    (repository / "train.py").write_text("".join(f"a{i} = {i}\n" for i in range(1000)))

    found = find_changes(str(repository))

    assert 0 < len(found.patch) <= 1001
    assert any("the rest of the patch" in each for each in found.left_out)


def test_git_that_hangs_is_not_waited_for(
    repository: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "git").write_text('#!/bin/sh\ncase "$*" in *rev-parse*) pwd;; *) exec sleep 60;; esac\n')
    (programs / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setattr(changes, "SECONDS", 0.2)
    began = time.monotonic()

    found = find_changes(str(repository))

    assert found.patch == ""
    assert time.monotonic() - began < 30


def test_no_repository_and_no_git_have_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find_changes(str(tmp_path)).patch == ""
    monkeypatch.setenv("PATH", "")
    assert find_changes(str(tmp_path)).left_out == []
