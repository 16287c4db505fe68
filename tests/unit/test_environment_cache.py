"""Listing and removing built environments: none that is in use, and none halfway."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from slipstream.cli.main import main
from slipstream.projects import environment, environment_cache
from slipstream.projects.environment import prepare
from slipstream.projects.environment_cache import cached_environments, hold, prune
from slipstream.projects.environment_spec import EnvironmentSpec

DAY = 24 * 60 * 60


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "environments"
    monkeypatch.setenv("SLIPSTREAM_ENV_ROOT", str(folder))
    monkeypatch.setattr(environment_cache, "_held", {})
    environment_cache.environment_root()
    return folder


def make(root: Path, letter: str, days: float) -> Path:
    folder = root / (letter * 64)
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").write_bytes(b"x" * 500)
    used = folder / ".last-used"
    used.touch()
    then = time.time() - days * DAY
    os.utime(used, (then, then))
    return folder


def let_go() -> None:
    for descriptor in environment_cache.held_files():
        os.close(descriptor)
    environment_cache._held.clear()


def test_they_are_listed_with_size_and_last_use(root: Path) -> None:
    new, old = make(root, "a", 1), make(root, "b", 40)
    (root / "not-an-environment").mkdir()
    found = cached_environments()
    assert [each.folder for each in found] == [old, new]
    assert [each.size for each in found] == [500, 500]
    assert [each.in_use for each in found] == [False, False]
    assert abs(found[1].last_used_time / 1000 - (time.time() - DAY)) < 60


def test_only_those_unused_for_long_are_removed(root: Path) -> None:
    new, old = make(root, "a", 29), make(root, "b", 31)
    lock = root / "locks" / "request.txt"
    lock.touch()
    assert [each.folder for each in prune(30, dry_run=True)] == [old]
    assert old.exists()
    assert [each.folder for each in prune(30)] == [old]
    assert sorted(root.iterdir()) == sorted([new, root / "locks"])
    assert lock.exists(), "it is built again with the same versions"


def test_use_is_recorded_and_what_is_in_use_stays(root: Path) -> None:
    folder = make(root, "a", 100)
    assert hold(folder)
    assert cached_environments()[0].in_use
    assert cached_environments()[0].last_used_time / 1000 > time.time() - 60
    assert prune(0) == []
    assert folder.exists()
    let_go()
    assert [each.folder for each in prune(0)] == [folder]
    assert not hold(folder)


def test_a_process_that_goes_on_with_it_keeps_it(root: Path) -> None:
    folder = make(root, "a", 0)
    assert hold(folder)
    child = subprocess.Popen(
        [sys.executable, "-c", "input()"], stdin=subprocess.PIPE, pass_fds=environment_cache.held_files()
    )
    let_go()
    try:
        assert prune(0) == []
    finally:
        child.communicate(b"\n")
    assert [each.folder for each in prune(0)] == [folder]


def test_an_environment_that_is_taken_up_during_removal_stays(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make(root, "a", 100)
    remove = environment_cache._remove

    def hold_first(each: Path, limit: float) -> bool:
        assert hold(each)
        return remove(each, limit)

    monkeypatch.setattr(environment_cache, "_remove", hold_first)
    assert prune(30) == []
    assert folder.exists()
    let_go()


def test_environments_of_older_versions_count_by_their_folder(root: Path) -> None:
    folder = make(root, "a", 0)
    (folder / ".last-used").unlink()
    os.utime(folder, (1, 1))
    assert cached_environments()[0].last_used_time == 1000
    assert [each.folder for each in prune(30)] == [folder]


def test_leftovers_are_removed_but_no_build_under_way(root: Path) -> None:
    for name in (".building-now", ".building-old", ".removing-x"):
        (root / name / "env").mkdir(parents=True)
    os.utime(root / ".building-old", (1, 1))
    prune(30)
    assert {each.name for each in root.iterdir()} == {".building-now", "locks"}


def test_building_and_reusing_hold_the_environment(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")
    built = prepare(EnvironmentSpec())
    assert cached_environments()[0].in_use
    let_go()
    os.utime(built.folder / ".last-used", (1, 1))
    prepare(EnvironmentSpec())
    assert cached_environments()[0].last_used_time > 1000
    assert prune(0) == []
    let_go()


def test_an_environment_that_vanishes_after_the_build_is_built_again(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")
    build = environment._build
    builds: list[Path] = []

    def build_and_lose(built: environment.Environment, *arguments: object) -> None:
        build(built, *arguments)  # pyright: ignore[reportArgumentType]
        builds.append(built.folder)
        if len(builds) == 1:
            assert [each.folder for each in prune(0)] == [built.folder]

    monkeypatch.setattr(environment, "_build", build_and_lose)
    assert prepare(EnvironmentSpec()).python.exists()
    assert len(builds) == 2
    let_go()


def test_on_the_command_line(root: Path) -> None:
    make(root, "a", 1)
    old = make(root, "b", 40)
    runner = CliRunner()
    listed = runner.invoke(main, ["envs", "list"])
    assert listed.exit_code == 0, listed.output
    assert "aaaaaaaaaaaa" in listed.stdout
    assert f"2 environments with 0.0 MB in {root}" in listed.stderr
    tried = runner.invoke(main, ["envs", "prune", "--older-than", "30", "--dry-run"])
    assert "Would remove 1 environments" in tried.stderr
    assert old.exists()
    pruned = runner.invoke(main, ["envs", "prune", "--older-than", "30"])
    assert pruned.exit_code == 0
    assert "bbbbbbbbbbbb" in pruned.stdout
    assert "aaaaaaaaaaaa" not in pruned.stdout
    assert not old.exists()
    assert runner.invoke(main, ["envs", "prune"]).exit_code == 2
