"""A process takes its streams back from a program that read them: nothing is lost, and nothing overtakes."""

import os
import select
import time
from pathlib import Path

import pytest

from slipstream.client.console import capture
from slipstream.client.console.capture import Capture, Plan


@pytest.fixture
def stream(tmp_path: Path) -> int:
    return os.open(tmp_path / "out", os.O_WRONLY | os.O_CREAT | os.O_APPEND)


def started(stream: int) -> Capture:
    plan = Plan()
    plan.piped = [(stream,)]
    taken = Capture(plan)
    taken.begin()
    return taken


def test_a_stream_is_not_taken_back_while_something_is_in_the_pipe(
    tmp_path: Path, stream: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = [b"first\n", b"second\n", b"third\n"]
    waiting = iter(written)
    wait = select.select

    def pause_that_ends_too_early(*files: object) -> object:
        """What the other threads of a busy process do between the end of a pause and what is done about it."""
        text = next(waiting, None)
        if text is None:
            return wait(*files)  # type: ignore[call-overload, arg-type]
        os.write(stream, text)
        return [], [], []

    monkeypatch.setattr(capture.select, "select", pause_that_ends_too_early)
    taken = started(stream)
    taken.abandon()
    until = time.monotonic() + 20
    while (tmp_path / "out").read_bytes().count(b"\n") < 3 and time.monotonic() < until:
        time.sleep(0.01)
    taken.end()
    taken.close(is_read=False)

    assert (tmp_path / "out").read_bytes() == b"".join(written)


def test_what_a_dead_reader_left_is_passed_on_at_the_end(tmp_path: Path, stream: int) -> None:
    taken = started(stream)
    os.write(stream, b"printed after its reader had died, and before anybody noticed\n")

    taken.end()
    os.write(stream, b"printed when nobody reads\n")
    taken.close(is_read=False)

    assert sorted((tmp_path / "out").read_bytes().splitlines()) == [
        b"printed after its reader had died, and before anybody noticed",
        b"printed when nobody reads",
    ]


def test_what_a_living_reader_has_to_read_is_left_to_it(tmp_path: Path, stream: int) -> None:
    taken = started(stream)
    reader = os.dup(taken.sources[0][0])
    os.write(stream, b"for the reader\n")

    taken.end()
    taken.close(is_read=True)

    assert os.read(reader, 100) == b"for the reader\n"
    assert (tmp_path / "out").read_bytes() == b""


def test_what_waits_to_be_read_is_counted(stream: int) -> None:
    taken = started(stream)
    os.write(stream, b"12345")
    assert taken.waiting_bytes() == 5

    os.read(taken.sources[0][0], 3)
    assert taken.waiting_bytes() == 2

    taken.end()
    taken.close(is_read=False)
    assert taken.waiting_bytes() == 0
