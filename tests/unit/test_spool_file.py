"""A spool file: whatever happens while a line is written, all lines before it and after it are read."""

import errno
import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from slipstream.client.spool.file import SpoolFile, read_lines

TEXTS = [b'["point","r","loss",0.5,1,%d]' % n for n in range(50)] + ['["é\\n"]'.encode(), b"[]", b"x" * 5000]


def written(path: Path, texts: list[bytes] = TEXTS) -> SpoolFile:
    file = SpoolFile(path)
    for text in texts:
        assert file.append(text)
    return file


def read(path: Path, most: int = 1 << 20) -> list[bytes]:
    handle = os.open(path, os.O_RDONLY)
    try:
        found: list[bytes] = []
        offset = 0
        while lines := read_lines(handle, offset, most):
            found += [line.text for line in lines]
            offset = lines[-1].end
        return found
    finally:
        os.close(handle)


@pytest.mark.parametrize("most", [1, 100, 1 << 20])
def test_what_was_written_is_read(tmp_path: Path, most: int) -> None:
    file = written(tmp_path / "a")
    assert read(tmp_path / "a", most) == TEXTS
    assert file.size == (tmp_path / "a").stat().st_size
    file.close()
    assert not file.append(b"later")
    assert read(tmp_path / "a") == TEXTS


def test_a_file_that_is_cut_off_anywhere_holds_all_whole_lines(tmp_path: Path) -> None:
    written(tmp_path / "a", TEXTS[:8]).close()
    whole = (tmp_path / "a").read_bytes()
    for length in range(len(whole) + 1):
        (tmp_path / "b").write_bytes(whole[:length])
        assert read(tmp_path / "b") == TEXTS[: whole[:length].count(b"\n")]


def test_a_damaged_line_is_left_out_and_no_other(tmp_path: Path) -> None:
    written(tmp_path / "a", TEXTS[:6]).close()
    whole = (tmp_path / "a").read_bytes()
    generator = random.Random(5)
    for _ in range(300):
        place = generator.randrange(len(whole))
        damaged = bytearray(whole)
        damaged[place] ^= 1 << generator.randrange(8)
        (tmp_path / "b").write_bytes(damaged)
        found = read(tmp_path / "b")
        line = whole[:place].count(b"\n")
        # A damaged line end joins two lines; nothing that was not written is read.
        assert set(found) <= set(TEXTS[:6])
        assert set(TEXTS[:6]) - set(found) <= set(TEXTS[line : line + 2])


def test_a_long_damage_hides_nothing_behind_it(tmp_path: Path) -> None:
    written(tmp_path / "a").close()
    whole = (tmp_path / "a").read_bytes()
    (tmp_path / "b").write_bytes(b"garbage\n" * 5000 + whole)
    assert read(tmp_path / "b", 100) == TEXTS


class Disk:
    """Takes so many bytes, and then parts of lines or nothing."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
        self.room = room
        self._write = os.write
        monkeypatch.setattr(os, "write", self.write)

    def write(self, handle: int, data: bytes) -> int:
        if self.room <= 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        done = self._write(handle, data[: self.room])
        self.room -= done
        return done


@pytest.mark.parametrize("room", [0, 1, 30, 77, 400])
def test_a_full_disk_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    file = SpoolFile(tmp_path / "a")
    disk = Disk(monkeypatch, room)
    for text in TEXTS:
        assert file.append(text)
    assert file.trouble is not None or file.held
    on_disk = read(tmp_path / "a")
    assert on_disk + file.take_held(1000) == TEXTS
    assert file.held_bytes == sum(map(len, file.held))
    disk.room = 100
    assert not file.write_held()
    assert file.trouble is not None
    assert read(tmp_path / "a") + file.take_held(1000) == TEXTS
    disk.room = 1 << 30
    assert file.write_held()
    assert file.trouble is None
    assert file.held_bytes == 0
    assert file.append(b"after")
    assert read(tmp_path / "a") == [*TEXTS, b"after"]
    assert file.size == (tmp_path / "a").stat().st_size


def test_what_is_in_memory_can_be_sent_from_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = SpoolFile(tmp_path / "a")
    disk = Disk(monkeypatch, 0)
    for text in TEXTS[:10]:
        file.append(text)
    assert file.take_held(4) == TEXTS[:4]
    file.drop_held(4)
    disk.room = 1 << 30
    assert file.write_held()
    assert read(tmp_path / "a") == TEXTS[4:10]


def test_without_a_disk_all_is_in_memory() -> None:
    file = SpoolFile(None)
    file.append(b"a")
    assert file.read(0) == []
    assert not file.write_held()
    assert file.take_held(5) == [b"a"]
    file.close()


def test_threads_and_signals_write_whole_lines(tmp_path: Path) -> None:
    file = SpoolFile(tmp_path / "a")
    interrupts = [0]

    def interrupt(*_: Any) -> None:
        interrupts[0] += 1
        file.append(b"signal %d" % interrupts[0])

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:

        def log(thread: int) -> None:
            for number in range(2000):
                file.append(b"%d %d" % (thread, number))

        threads = [threading.Thread(target=log, args=(thread,)) for thread in range(4)]
        for thread in threads:
            thread.start()
        log(4)
        for thread in threads:
            thread.join()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    found = read(tmp_path / "a")
    assert interrupts[0] > 0
    assert sorted(found) == sorted(
        [b"%d %d" % (t, n) for t in range(5) for n in range(2000)]
        + [b"signal %d" % n for n in range(1, interrupts[0] + 1)]
    )
    for thread in range(5):  # each in its order
        own = [text for text in found if text.startswith(b"%d " % thread)]
        assert own == [b"%d %d" % (thread, n) for n in range(2000)]


WRITER = """
import sys
from pathlib import Path
from slipstream.client.spool.file import SpoolFile
file = SpoolFile(Path(sys.argv[1]))
number = 0
while True:
    number += 1
    file.append(b"record %d" % number)
    if number % 50 == 0:
        print(number, flush=True)
"""


@pytest.mark.parametrize("attempt", range(5))
def test_a_killed_process_has_written_what_it_was_told(tmp_path: Path, attempt: int) -> None:
    path = tmp_path / "a"
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        told = 0
        for _ in range(10 + 37 * attempt):
            told = int(process.stdout.readline())
        process.kill()
        rest = process.stdout.read().split()
    told = int(rest[-1]) if rest else told
    found = read(path)
    assert len(found) >= told
    assert found == [b"record %d" % (n + 1) for n in range(len(found))]
