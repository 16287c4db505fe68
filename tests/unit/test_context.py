"""What a new run is told about where it comes from."""

import getpass
import json
import subprocess
import sys
from pathlib import Path

import pytest

from slipstream.client.context import git, registry, source, user
from slipstream.errors import InvalidParameterError

pytestmark = pytest.mark.usefixtures("no_settings")


def run_git(folder: Path, *arguments: str) -> str:
    argv = [
        "git",
        "-c",
        "user.name=t",
        "-c",
        "user.email=t@example.org",
        "-c",
        "commit.gpgsign=false",
        *arguments,
    ]
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    run_git(tmp_path, "init", "-q", "-b", "trunk")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "train.py").write_text("pass\n")
    run_git(tmp_path, "add", ".")
    run_git(tmp_path, "commit", "-q", "-m", "first")
    return tmp_path


def tags_of(folder: Path) -> dict[str, str]:
    git.tags_of_folder.cache_clear()
    return dict(git.tags_of_folder(str(folder)))


def test_git_tags_of_a_folder_in_a_repository(repository: Path) -> None:
    run_git(repository, "remote", "add", "origin", "https://ci:t0ken@git.example.org/team/code.git")

    assert tags_of(repository / "sub") == {
        "mlflow.source.git.commit": run_git(repository, "rev-parse", "HEAD"),
        "mlflow.source.git.branch": "trunk",
        "mlflow.source.git.repoURL": "https://git.example.org/team/code.git",
        "mlflow.source.git.dirty": "false",
    }


def test_changes_make_it_dirty_and_new_files_do_not(repository: Path) -> None:
    (repository / "new.txt").write_text("x")
    assert tags_of(repository)["mlflow.source.git.dirty"] == "false"

    (repository / "sub" / "train.py").write_text("changed\n")
    assert tags_of(repository)["mlflow.source.git.dirty"] == "true"


def test_detached_head_has_no_branch(repository: Path) -> None:
    run_git(repository, "checkout", "-q", "--detach")

    assert "mlflow.source.git.branch" not in tags_of(repository)


def test_empty_repository_and_no_repository_have_no_tags(tmp_path: Path) -> None:
    assert tags_of(tmp_path) == {}
    run_git(tmp_path, "init", "-q")
    assert tags_of(tmp_path) == {}


def test_settings_of_a_repository_start_no_program(repository: Path) -> None:
    run_git(repository, "config", "core.fsmonitor", f"touch {repository}/started; false")

    assert tags_of(repository)["mlflow.source.git.dirty"] == "false"
    assert not (repository / "started").exists()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:pw@host.example/x", "https://host.example/x"),
        ("https://host.example/x", "https://host.example/x"),
        ("git@host.example:team/x.git", "git@host.example:team/x.git"),
        ("ssh://git@host.example/x", "ssh://git@host.example/x"),
        ("ssh://git:pw@host.example/x", "ssh://git@host.example/x"),
        ("git+https://t0ken@host.example/x@v1", "git+https://host.example/x@v1"),
        ("https://user:p@w@host.example/x", "https://host.example/x"),
        ("https://host.example/x@v1", "https://host.example/x@v1"),
        ("unable to access 'https://user:pw@h/x/': no", "unable to access 'https://h/x/': no"),
    ],
)
def test_credentials_are_cut(url: str, shown: str) -> None:
    assert git.without_credentials(url) == shown


def test_user(monkeypatch: pytest.MonkeyPatch) -> None:
    assert user.user_tags() == {"mlflow.user": getpass.getuser()}

    monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "ann")
    assert user.user_tags() == {"mlflow.user": "ann"}


def test_user_without_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise OSError("no name for 1234")

    monkeypatch.setattr(getpass, "getuser", nobody)
    assert user.user_tags() == {"mlflow.user": "unknown"}


@pytest.mark.parametrize(
    ("argv", "name"),
    [(["train.py", "--x"], "train.py"), ([""], "<console>"), ([], "<console>"), (["-c"], "-c")],
)
def test_source(monkeypatch: pytest.MonkeyPatch, argv: list[str], name: str) -> None:
    monkeypatch.setattr(sys, "argv", argv)

    assert source.source_tags() == {"mlflow.source.name": name, "mlflow.source.type": "LOCAL"}


def test_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    class Shell:
        config = {"IPKernelApp": {}}

    class IPython:
        @staticmethod
        def get_ipython() -> Shell:
            return Shell()

    monkeypatch.setitem(sys.modules, "IPython", IPython)  # pyright: ignore[reportArgumentType]
    monkeypatch.setenv("JPY_SESSION_NAME", "/home/ann/study.ipynb")

    assert source.source_tags() == {"mlflow.source.name": "study.ipynb", "mlflow.source.type": "NOTEBOOK"}


def test_order_of_providers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_providers", [lambda: {"a": "first", "b": "first"}])
    registry.register_provider(lambda: {"b": "second", "c": "second", "d": "second"})
    monkeypatch.setenv("MLFLOW_RUN_CONTEXT", json.dumps({"c": "environment", "d": 3}))

    assert registry.resolve_tags({"d": "own"}) == {
        "a": "first",
        "b": "second",
        "c": "environment",
        "d": "own",
    }


def test_provider_that_fails_is_left_out_and_logged(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> dict[str, str]:
        raise RuntimeError("no network")

    monkeypatch.setattr(registry, "_providers", [broken, lambda: {"a": "1"}])

    assert registry.resolve_tags() == {"a": "1"}
    assert "no network" in caplog.text


@pytest.mark.parametrize("text", ["{", "[1]"])
def test_run_context_that_is_no_object(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("SLIPSTREAM_RUN_CONTEXT", text)

    with pytest.raises(InvalidParameterError, match="SLIPSTREAM_RUN_CONTEXT"):
        registry.resolve_tags()


def test_script_whose_name_is_not_utf8_has_a_name_that_can_be_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["train\udc80.py"])

    assert source.source_tags()[source.SOURCE_NAME_TAG] == "train\\udc80.py"
