"""What a process printed: kept in files of bounded size, read in chunks, stored as one text."""

import itertools
import os
from pathlib import Path

import pytest

from slipstream.client.console.logs import PlainReader, read_chunks, tail_of, write_log
from slipstream.client.console.segments import SegmentReader, SegmentWriter
from slipstream.client.liveness.folder import PlainLog


def stored(log: object, target: Path, first: int = 0, last: int | None = None) -> bytes:
    write_log(log, first, last, target)  # pyright: ignore[reportArgumentType]
    return target.read_bytes()


def test_what_fits_is_all_there(tmp_path: Path) -> None:
    writer = SegmentWriter(str(tmp_path), segment_bytes=10)
    writer.append(b"hello\n")
    writer.append(b"world, and more\n")
    log = SegmentReader(str(tmp_path))

    assert log.size() == writer.size == 22
    assert stored(log, tmp_path / "t") == b"hello\nworld, and more\n"
    assert stored(log, tmp_path / "t", 6, 11) == b"world"


def test_the_middle_goes_and_is_said(tmp_path: Path) -> None:
    writer = SegmentWriter(str(tmp_path), segment_bytes=10, last_segments=2)
    for number in range(10):
        writer.append(b"line %04d\n" % number)

    text = stored(SegmentReader(str(tmp_path)), tmp_path / "t")

    assert text == b"line 0000\n\n[... 70 bytes are left out ...]\nline 0008\nline 0009\n"
    assert len([each for each in tmp_path.iterdir() if each.name.isdigit()]) == 3


def test_a_disk_that_refuses_costs_only_what_it_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = SegmentWriter(str(tmp_path), segment_bytes=100)
    writer.append(b"before\n")

    def refuse(*arguments: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(os, "write", refuse)
        writer.append(b"lost!!\n")
    assert "No space" in writer.trouble
    writer.append(b"after\n")

    assert (
        stored(SegmentReader(str(tmp_path)), tmp_path / "t")
        == b"before\n\n[... 7 bytes are left out ...]\nafter\n"
    )


def test_no_letter_is_cut_between_two_chunks(tmp_path: Path) -> None:
    writer = SegmentWriter(str(tmp_path), segment_bytes=7, last_segments=100)
    text = "aäß€😀" * 20
    writer.append(text.encode())
    log = SegmentReader(str(tmp_path))

    whole = read_chunks(log, 0, 10**6)

    assert "".join(each.text for each in whole) == text
    assert all(before.next == after.first for before, after in itertools.pairwise(whole))


def test_bytes_that_are_no_text_do_not_stop_it(tmp_path: Path) -> None:
    writer = SegmentWriter(str(tmp_path))
    writer.append(b"\xff\xfe\x80" * 5 + b"end\xe2")
    log = SegmentReader(str(tmp_path))

    chunks = read_chunks(log, 0, 10**6)

    assert chunks[0].text.endswith("end")


def test_progress_bars_are_shown_as_they_ended(tmp_path: Path) -> None:
    writer = SegmentWriter(str(tmp_path))
    writer.append(b"start\r\n" + b"".join(b"\r%3d%%" % n for n in range(101)) + b"\ndone\n50%\r60%")
    log = SegmentReader(str(tmp_path))

    assert stored(log, tmp_path / "t") == b"start\n100%\ndone\n60%"
    assert tail_of(log, 0) == "start\n100%\ndone\n60%"


def test_a_file_of_the_users_own_is_read_from_where_the_process_began(tmp_path: Path) -> None:
    path = tmp_path / "out.log"
    path.write_bytes(b"before\nmine\n")
    status = path.stat()
    log = PlainReader(PlainLog(path=str(path), device=status.st_dev, inode=status.st_ino, first=7))

    assert stored(log, tmp_path / "t") == b"mine\n"
    assert tail_of(log, 0) == "mine"
    path.rename(tmp_path / "rotated")
    path.write_bytes(b"of somebody else, and longer than it was\n")
    assert stored(log, tmp_path / "t") == b""


def test_of_a_large_file_the_middle_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slipstream.client.console.logs.PLAIN_KEPT_BYTES", 20)
    path = tmp_path / "out.log"
    path.write_bytes(b"begins 12\n" + b"x" * 100 + b"\nends 456\n")
    status = path.stat()
    log = PlainReader(PlainLog(path=str(path), device=status.st_dev, inode=status.st_ino, first=0))

    assert stored(log, tmp_path / "t") == b"begins 12\n\n[... 100 bytes are left out ...]\n\nends 456\n"
