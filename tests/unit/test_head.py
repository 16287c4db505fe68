"""Commit, branch and remote from the files of a repository: the same that git says, or nothing."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from slipstream.client.context import git, program, source
from slipstream.client.context.head import Head, read_head

pytestmark = pytest.mark.usefixtures("no_settings")


def run_git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    argv = ["git", *identity, *arguments]
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "code"
    (folder / "sub").mkdir(parents=True)
    run_git(folder, "init", "-q", "-b", "trunk")
    run_git(folder, "commit", "-q", "--allow-empty", "-m", "first")
    return folder


def detach(folder: Path) -> Path:
    run_git(folder, "checkout", "-q", "--detach")
    return folder


def pack(folder: Path) -> Path:
    run_git(folder, "branch", "a/trunk")
    run_git(folder, "pack-refs", "--all")
    assert not (folder / ".git" / "refs" / "heads" / "trunk").exists()
    return folder


def go_on_after_packing(folder: Path) -> Path:
    run_git(pack(folder), "commit", "-q", "--allow-empty", "-m", "second")
    return folder


def second_tree(folder: Path) -> Path:
    run_git(folder, "worktree", "add", "-q", "-b", "team/other", "../other")
    run_git(folder.parent / "other", "commit", "-q", "--allow-empty", "-m", "there")
    return folder.parent / "other"


def submodule(folder: Path) -> Path:
    outer = folder.parent / "outer"
    outer.mkdir()
    run_git(outer, "init", "-q")
    run_git(outer, "-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(folder), "inner")
    return outer / "inner"


def below(folder: Path) -> Path:
    return folder / "sub"


@pytest.mark.parametrize("change", [below, detach, pack, go_on_after_packing, second_tree, submodule])
def test_it_is_what_git_says(repository: Path, change: Callable[[Path], Path]) -> None:
    run_git(repository, "remote", "add", "origin", "https://example.org/team/code.git")
    folder = change(repository)

    branch = run_git(folder, "rev-parse", "--abbrev-ref", "HEAD")
    assert read_head(folder) == Head(
        commit=run_git(folder, "rev-parse", "HEAD"),
        branch="" if branch == "HEAD" else branch,
        url=run_git(folder, "config", "--get", "remote.origin.url"),
    )


@pytest.mark.parametrize(
    "config",
    [
        '[remote "origin"]\n\turl = https://a.example/x # the old one\n\tfetch = y\n[remote "up"]\n\turl = https://b.example\n',
        '[remote "up"]\n\turl = https://b.example\n[Remote "origin"] URL="https://a.example/x;y"\n',
        '[remote "origin"]\nurl = https://a.example/1\n[core]\nurl = no\n[remote "origin"]\nurl = https://a.example/2\n',
        '[remote "origin"]\n\turl = c:\\\\code\\"s\n',
        '[remote "Origin"]\n\turl = https://b.example\n',
        "",
    ],
)
def test_settings_are_read_as_git_reads_them(repository: Path, config: str) -> None:
    place = repository / ".git" / "config"
    place.write_text(f"{place.read_text()}{config}")

    head = read_head(repository)

    argv = ["git", "config", "--get", "remote.origin.url"]
    asked = subprocess.run(argv, cwd=repository, capture_output=True, text=True, check=False)
    assert head is not None
    assert head.url == asked.stdout.strip()


def test_no_repository_and_one_without_commit_have_none(tmp_path: Path) -> None:
    assert read_head(tmp_path) is None
    run_git(tmp_path, "init", "-q")
    assert read_head(tmp_path) is None


@pytest.mark.parametrize(
    "head", ["", "ref: refs/heads/.invalid\n", "ref: ../../secret\n", "ref: refs/../../s\n", "x" * 40]
)
def test_what_cannot_be_read_is_left_to_git(repository: Path, head: str) -> None:
    (repository / ".git" / "HEAD").write_text(head)

    assert read_head(repository) is None


def test_a_reference_that_leads_back_to_itself_ends(repository: Path) -> None:
    (repository / ".git" / "refs" / "heads" / "trunk").write_text("ref: refs/heads/trunk\n")

    assert read_head(repository) is None


def test_no_program_is_started_for_the_tags_of_a_run(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = run_git(repository, "rev-parse", "HEAD")
    run_git(repository, "remote", "add", "origin", "https://ci:t0ken@example.org/code.git")

    def refuse(*arguments: object, **options: object) -> None:
        raise AssertionError("a program was started")

    monkeypatch.setattr(subprocess, "Popen", refuse)
    monkeypatch.setattr(source.sys, "argv", [str(repository / "train.py")])

    assert git.git_tags() == {
        "mlflow.source.git.commit": commit,
        "mlflow.source.git.branch": "trunk",
        "mlflow.source.git.repoURL": "https://example.org/code.git",
    }
    assert program.this_program().has_commit


def test_a_folder_that_has_been_removed_is_no_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    monkeypatch.setattr(source.sys, "argv", ["train.py"])
    monkeypatch.setattr(source.sys, "path", ["", "lib", "/usr/lib"])

    assert git.git_tags() == {}
    assert (program.this_program().folder, program.this_program().path) == ("", ("/usr/lib",))
