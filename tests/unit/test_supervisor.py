"""The supervisor of serving processes: what it does when one dies, and when none can take its place."""

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from slipstream.errors import ExecutionError
from slipstream.serving import supervisor
from slipstream.serving.supervisor import Supervisor

pytestmark = pytest.mark.slow


def serve(ready: Callable[[], None], folder: Path) -> None:
    """Stand in for a server: leave the process id, and fail while there is a file 'broken'."""
    if (folder / "broken").exists():
        raise ExecutionError("the disk is full.")
    (folder / f"{os.getpid()}.pid").touch()
    ready()
    while True:
        time.sleep(600)


def pids(folder: Path) -> list[int]:
    return [int(file.stem) for file in folder.glob("*.pid")]


def kill_one(folder: Path) -> None:
    (folder / "broken").touch()
    os.kill(pids(folder)[0], signal.SIGKILL)


def test_a_failing_replacement_is_tried_again_while_the_others_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "_FIRST_PAUSE_SECONDS", 0.01)
    said: list[str] = []

    def say(text: str) -> None:
        said.append(text)
        if len(said) == 4:  # it died, and three replacements failed
            (tmp_path / "broken").unlink()

    monkeypatch.setattr(supervisor._Process, "receive", stop_at_the_third(tmp_path))
    Supervisor(2, serve, (tmp_path,)).run(lambda: kill_one(tmp_path), say)
    assert len(said) == 4
    assert said[0].startswith("A serving process ended (exit code -9)")
    for text, pause in zip(said[1:4], ("0.01", "0.02", "0.04"), strict=True):
        assert text == (
            "A serving process could not start: the disk is full. 1 of 2 go on; the next attempt is in "
            f"{pause} s."
        )


def stop_at_the_third(folder: Path) -> Callable[[supervisor._Process], str | None]:
    receive = supervisor._Process.receive

    def receive_and_stop(process: supervisor._Process) -> str | None:
        problem = receive(process)
        if problem is None and len(pids(folder)) == 3:  # two at first, and then the replacement
            os.kill(os.getpid(), signal.SIGTERM)
        return problem

    return receive_and_stop


def test_when_none_is_left_the_server_ends(tmp_path: Path) -> None:
    def kill_all() -> None:
        (tmp_path / "broken").touch()
        for pid in pids(tmp_path):
            os.kill(pid, signal.SIGKILL)

    with pytest.raises(ExecutionError, match=r"none is left: the disk is full\."):
        Supervisor(2, serve, (tmp_path,)).run(kill_all, lambda _text: None)


def test_a_process_that_fails_at_first_ends_the_server(tmp_path: Path) -> None:
    (tmp_path / "broken").touch()
    with pytest.raises(ExecutionError, match="could not start: the disk is full"):
        Supervisor(2, serve, (tmp_path,)).run(lambda: None, lambda _text: None)
