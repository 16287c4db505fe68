"""Programs beside this process: no children of it, and never itself again."""

import os
import sys
from pathlib import Path

import pytest

from slipstream.client.liveness import launch

_ECHO = "import os, sys\nprint(os.getppid(), sys.stdin.readline().strip(), flush=True)"
_FORK = f"import os\nif os.getsid(0) != os.getpid():\n    if os.fork(): os._exit(0)\n    os.setsid()\n{_ECHO}"


@pytest.mark.parametrize("has_setsid", [True, False])
def test_it_is_no_child(has_setsid: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not has_setsid:
        monkeypatch.setattr(launch, "_SETSID", "no-such-program")

    process = launch.start_aside([sys.executable, "-I", "-S", "-c", _FORK])

    with pytest.raises(ChildProcessError):
        os.waitpid(process.pid, os.WNOHANG)
    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdin as stdin, process.stdout as stdout:
        stdin.write(b"hello\n")
        parent, word = stdout.readline().split()
    assert word == b"hello"
    assert int(parent) != os.getpid()


def test_another_setsid_that_does_not_know_how_is_done_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "setsid"
    other.write_text("#!/bin/sh\nexit 1\n")
    other.chmod(0o755)
    monkeypatch.setattr(launch, "_SETSID", str(other))

    process = launch.start_aside([sys.executable, "-I", "-S", "-c", _FORK])

    assert process.stdin is not None
    assert process.stdout is not None
    with process.stdin as stdin, process.stdout as stdout:
        stdin.write(b"again\n")
        assert stdout.readline().endswith(b" again\n")


def test_what_cannot_be_started_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "_SETSID", "no-such-program")

    with pytest.raises(OSError, match="could not go on"):
        launch.start_aside([sys.executable, "-I", "-S", "-c", "raise SystemExit(3)"])


@pytest.mark.parametrize("executable", ["", None, "/usr/bin/uwsgi", "/opt/app/train"])
def test_a_program_with_python_in_it_is_not_started_again(
    executable: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", executable)

    with pytest.raises(FileNotFoundError, match="not known to be"):
        launch.python_program()


def test_a_frozen_program_is_not_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)

    with pytest.raises(FileNotFoundError, match="not known to be"):
        launch.python_program()
