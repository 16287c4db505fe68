"""The command itself: help, version, errors, environment files."""

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

import slipstream
from slipstream.cli import main as cli
from slipstream.errors import NotFoundError


def invoke(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(cli.main, list(arguments))
    return result.exit_code, result.stdout, result.stderr


def test_version() -> None:
    assert invoke("--version") == (0, f"slipstream, version {slipstream.__version__}\n", "")


def test_help_lists_every_command() -> None:
    code, out, _ = invoke("--help")

    assert code == 0
    assert all(f"\n  {name} " in out for name in cli.COMMANDS)


def test_unknown_command_is_a_usage_error() -> None:
    code, _, err = invoke("expariments")

    assert code == 2
    assert "No such command 'expariments'" in err


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """Add the command `fail`, which raises what is put into the list."""
    raised: list[BaseException] = []

    @click.command()
    def fail() -> None:
        raise raised[0]

    monkeypatch.setattr(cli.LazyGroup, "get_command", lambda self, ctx, name: fail)
    return raised


def test_our_errors_are_one_line_and_exit_1(command: list[BaseException]) -> None:
    command.append(NotFoundError("Nothing\nhere."))

    assert invoke("fail") == (1, "", "error: Nothing here.\n")


def test_refusals_of_the_system_are_one_line_and_exit_1(command: list[BaseException], tmp_path: Path) -> None:
    command.append(NotADirectoryError(20, "Not a directory", str(tmp_path / "x")))

    assert invoke("fail") == (1, "", f"error: {tmp_path / 'x'}: Not a directory\n")


def test_working_folder_that_was_deleted(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    code = "import os, sys; os.rmdir(os.getcwd()); from slipstream.cli.main import main; main(sys.argv[1:])"
    for arguments in (["experiments", "search"], ["run", "."]):
        folder.mkdir(exist_ok=True)
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], cwd=folder, capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
        assert done.stderr.startswith("error: ")
        assert "working folder" in done.stderr


def test_interrupt_is_quiet_and_exits_130(command: list[BaseException]) -> None:
    command.append(KeyboardInterrupt())

    assert invoke("fail") == (130, "", "")


def test_bugs_are_not_hidden(command: list[BaseException]) -> None:
    command.append(ZeroDivisionError())

    result = CliRunner().invoke(cli.main, ["fail"])
    assert isinstance(result.exception, ZeroDivisionError)


def test_env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "settings.env"
    file.write_text(
        "# comment\n\nTEST_SLIP_A=plain # note\nexport TEST_SLIP_B = 'quoted # no note'\nTEST_SLIP_C=file\n"
        'TEST_SLIP_D="a=b"\n'
    )
    for name in "ABD":
        monkeypatch.setenv(f"TEST_SLIP_{name}", "x")  # so that monkeypatch takes the new values back
        monkeypatch.delenv(f"TEST_SLIP_{name}")
    monkeypatch.setenv("TEST_SLIP_C", "shell")

    from slipstream.cli.env_file import load_env_file

    load_env_file(file)

    assert [os.environ[f"TEST_SLIP_{name}"] for name in "ABCD"] == [
        "plain",
        "quoted # no note",
        "shell",
        "a=b",
    ]


def test_env_file_that_is_wrong_names_the_line(tmp_path: Path) -> None:
    (tmp_path / "bad.env").write_text("A=1\nno assignment\n")

    code, _, err = invoke("--env-file", str(tmp_path / "bad.env"), "server", "--help")

    assert code == 1
    assert "bad.env, line 2" in err
    assert invoke("--env-file", str(tmp_path / "none.env"), "server", "--help")[0] == 1


def test_installed_command_runs(tmp_path: Path) -> None:
    program = Path(sys.executable).parent / "slipstream"
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True, cwd=tmp_path)

    assert done.stdout == f"slipstream, version {slipstream.__version__}\n"
    assert list(tmp_path.iterdir()) == []
