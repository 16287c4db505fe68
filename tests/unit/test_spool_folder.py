"""Whose file is whose: a file is sent by the process that writes it, or by the next one when that is gone."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from slipstream.artifact_store.local import lock_file
from slipstream.client.spool import folder as spool_folder
from slipstream.client.spool.folder import (
    OwnSpool,
    Sent,
    began_elsewhere,
    folder_of,
    is_let_go,
    left_spools,
    sent_by_others,
)

SERVER = "http://server:5000"


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SLIPSTREAM_SPOOL_FOLDER", str(tmp_path / "spool"))
    return tmp_path / "spool"


LEAVE = """
import os, sys
from slipstream.client.spool.folder import OwnSpool, Sent
spool = OwnSpool(sys.argv[1])
for number in range(10):
    spool.append(b"record %d" % number)
lines = spool.file.read(spool.sent.offset)
spool.note_sent(Sent(4, lines[3].end))
print(spool.file.path, flush=True)
if len(sys.argv) > 2:
    sys.stdin.read()
os._exit(9)
"""


def leave(server: str = SERVER) -> Path:
    done = subprocess.run(
        [sys.executable, "-c", LEAVE, server], stdout=subprocess.PIPE, text=True, check=False
    )
    return Path(done.stdout.strip())


def test_a_file_that_was_left_is_taken_where_it_was_left() -> None:
    path = leave()
    (left,) = left_spools(folder_of(SERVER))
    assert left.path == path
    assert left.head.server == SERVER
    assert left.head.host
    assert left.sent.number == 4
    assert [line.text for line in left.read()] == [b"record %d" % n for n in range(4, 10)]
    assert left.left_bytes == sum(len(line.text) + 10 for line in left.read())
    assert list(left_spools(folder_of(SERVER))) == [], "one process sends it at a time"
    left.close(delivered=False)
    (again,) = left_spools(folder_of(SERVER))
    again.close(delivered=True)
    assert list(path.parent.iterdir()) == []
    assert list(left_spools(folder_of("http://other"))) == []


def test_a_file_whose_process_lives_is_not_taken() -> None:
    command = [sys.executable, "-c", LEAVE, SERVER, "wait"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        process.stdout.readline()
        own = OwnSpool(SERVER)
        own.append(b"mine")
        assert list(left_spools(folder_of(SERVER))) == []
        process.kill()
    (left,) = left_spools(folder_of(SERVER))
    left.close(delivered=True)
    own.close()


def test_a_file_of_another_machine_is_taken_when_it_has_been_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    path = leave()
    monkeypatch.setattr(spool_folder.socket, "gethostname", lambda: "another machine")
    assert list(left_spools(path.parent)) == []
    os.utime(path, (time.time() - 700,) * 2)
    (left,) = left_spools(path.parent)
    left.close(delivered=False)


@pytest.mark.parametrize("damage", [b"", b"garbage", b"00000000 [1, 2]\n"])
def test_without_its_mark_a_file_is_sent_from_its_beginning(damage: bytes) -> None:
    path = leave()
    path.with_suffix(".sent").write_bytes(damage)
    (left,) = left_spools(path.parent)
    assert left.sent.number == 0
    assert left.read()[0].text == b"record 0"
    left.close(delivered=False)


def test_what_is_no_spool_file_is_left_alone(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = folder_of(SERVER)
    folder.mkdir(parents=True)
    new, old, other = folder / "new.spool", folder / "old.spool", folder / "other.spool"
    for path in (new, old):
        path.touch()
    os.utime(old, (time.time() - 1000,) * 2)
    other.write_bytes(b"9bf9ea73 not json\n")
    assert list(left_spools(folder)) == []
    assert new.exists(), "its process may have made it a moment ago"
    assert not old.exists(), "nothing was ever written to it"
    assert other.exists()


def test_a_file_is_renewed_when_all_of_it_is_delivered() -> None:
    own = OwnSpool(SERVER)
    first, writer = own.file.path, own.writer
    own.append(b"a")
    assert not own.renew()
    assert own.file.path == first
    assert own.writer == writer
    line = own.file.read(own.sent.offset)[0]
    own.note_sent(Sent(1, line.end))
    old = own.file
    assert own.renew()
    assert own.writer != writer, "its records are numbered anew"
    assert first is not None
    assert not first.exists()
    assert not old.append(b"b")
    own.append(b"b")
    assert own.sent.number == 0
    assert [line.text for line in own.file.read(own.sent.offset)] == [b"b"]
    own.close()
    assert own.file.path is not None
    assert own.file.path.exists(), "what is not delivered stays"


def test_nothing_is_left_of_what_is_delivered() -> None:
    own = OwnSpool(SERVER)
    own.append(b"a")
    stage = own.new_stage()
    stage.rmdir()
    own.note_sent(Sent(1, own.file.read(own.sent.offset)[0].end))
    own.close()
    assert list(folder_of(SERVER).iterdir()) == []


def test_a_folder_that_cannot_be_written_has_a_substitute(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    root.write_text("a file is in the way")
    monkeypatch.setattr(spool_folder.tempfile, "gettempdir", lambda: str(tmp_path))
    own = OwnSpool(SERVER)
    own.append(b"a")
    assert own.file.path is not None
    assert own.file.path.is_relative_to(tmp_path)
    assert "cannot be written" in caplog.text
    own.close()
    monkeypatch.setattr(spool_folder.tempfile, "gettempdir", lambda: str(root / "no"))
    memory = OwnSpool(SERVER)
    memory.append(b"a")
    assert memory.file.path is None
    assert "in memory" in caplog.text
    with pytest.raises(OSError, match="no folder"):
        memory.new_stage()
    memory.close()


def test_files_are_the_users_own() -> None:
    own = OwnSpool(SERVER)
    assert own.file.path is not None
    assert own.file.path.stat().st_mode & 0o077 == 0
    assert own.file.path.parent.stat().st_mode & 0o077 == 0
    own.close()


def test_what_began_first_is_taken_first() -> None:
    """Whichever was written to last: a script that was started again builds on what it did before."""
    first, second = leave(), leave()
    os.utime(first, (time.time() + 60, time.time() + 60))
    taken = list(left_spools(folder_of(SERVER)))
    assert [left.path for left in taken] == [first, second]
    assert sent_by_others(folder_of(SERVER)), "they are locked, and their processes are gone"
    assert not is_let_go(folder_of(SERVER))
    for left in taken:
        left.close(delivered=False)
    assert not sent_by_others(folder_of(SERVER))
    assert is_let_go(folder_of(SERVER))
    assert not is_let_go(folder_of(SERVER), before=taken[0].head.time - 1)
    with first.open("rb") as file:
        assert lock_file(file.fileno())  # as somebody does who sends it
        assert list(left_spools(folder_of(SERVER))) == [], "the second must not overtake it"
    (older,) = left_spools(folder_of(SERVER), before=taken[1].head.time - 1)
    assert older.path == first
    older.close(delivered=True)


def test_a_run_begins_in_another_file() -> None:
    own, other = OwnSpool(SERVER), OwnSpool(SERVER)
    folder = folder_of(SERVER)
    for each, run in ((own, b"a"), (other, b"b")):
        each.append(b'["point","c","k",1,1]')
        each.append(b'["run","%b","name","",1,{}]' % run)
    assert began_elsewhere(folder, "b", own.path)
    assert not began_elsewhere(folder, "a", own.path)
    assert not began_elsewhere(folder, "c", own.path)
    assert began_elsewhere(folder, "a", None)
    other.note_sent(Sent(2, other.file.size))
    assert not began_elsewhere(folder, "b", own.path), (
        "the server has it: if it is not there now, it was removed"
    )
    own.close()
    other.close()


def test_a_process_made_by_fork_does_not_hold_its_parents_lock() -> None:
    script = f"""
import os, signal, sys
from slipstream.client.spool.folder import OwnSpool
spool = OwnSpool({SERVER!r})
spool.append(b"record")
if os.fork() == 0:
    spool.abandon()
    print("child", flush=True)
    sys.stdin.read()
    os._exit(0)
os.kill(os.getpid(), signal.SIGKILL)
"""
    command = [sys.executable, "-c", script]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "child\n"
        process.wait()
        (left,) = left_spools(folder_of(SERVER))
        left.close(delivered=True)
