"""What a server does about runs that fall silent: and above all when it does nothing."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from slipstream.clock import now_ms
from slipstream.db.uri import open_database
from slipstream.entities.liveness import END_BY_TAG, END_REASON_TAG
from slipstream.errors import UnavailableError
from slipstream.server import run_watch
from slipstream.server.run_watch import RunWatch
from slipstream.store.beats import Beats
from slipstream.store.config import StoreConfig
from slipstream.store.engine import Engine, QueuedStore


class Server:
    """A watch whose clock is turned by hand."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.beats = Beats()
        config = StoreConfig(artifact_root=str(folder / "artifacts"), beats=self.beats)
        self.engine = Engine(open_database(f"sqlite:///{folder / 's.db'}", "normal"), config)
        self.store = QueuedStore(self.engine)
        self.now = time.time()
        monkeypatch.setattr(run_watch.time, "time", lambda: self.now)
        monkeypatch.setattr(run_watch, "now_ms", lambda: int(self.now * 1000))
        monkeypatch.setattr("slipstream.store.beats.now_ms", lambda: int(self.now * 1000))
        monkeypatch.setattr("slipstream.store.heartbeats.now_ms", lambda: int(self.now * 1000))
        self.watch = RunWatch(self.engine, self.beats, 40.0)

    def pass_time(self, seconds: float, *alive: str, looks: bool = True) -> None:
        """Let time pass, with a sign of life of some runs every five seconds."""
        until = self.now + seconds
        while self.now < until:
            self.now += 5
            if alive:
                self.store.beat(list(alive))
            if looks:
                self.watch.look()

    def status(self, run_id: str) -> str:
        return self.store.get_run(run_id).info.status

    def new_run(self) -> str:
        return self.store.create_run("0").info.run_id


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    server = Server(tmp_path, monkeypatch)
    yield server
    server.engine.close()


def test_a_run_that_falls_silent_fails_within_a_minute(server: Server) -> None:
    silent, alive, never = server.new_run(), server.new_run(), server.new_run()
    server.pass_time(60, silent, alive)
    at = int(server.now * 1000)

    server.pass_time(35, alive)
    assert server.status(silent) == "RUNNING"
    server.pass_time(20, alive)

    assert [server.status(each) for each in (silent, alive, never)] == ["FAILED", "RUNNING", "RUNNING"]
    run = server.store.get_run(silent)
    assert run.info.end_time == at
    assert run.data.tags[END_BY_TAG] == "server"
    assert "No sign of life" in run.data.tags[END_REASON_TAG]


def test_a_sign_of_life_brings_it_back(server: Server) -> None:
    run_id = server.new_run()
    server.pass_time(50, run_id)
    server.pass_time(60)
    assert server.status(run_id) == "FAILED"

    server.pass_time(5, run_id)

    run = server.store.get_run(run_id)
    assert (run.info.status, run.info.end_time) == ("RUNNING", None)
    assert END_REASON_TAG not in run.data.tags
    server.pass_time(60)
    assert server.status(run_id) == "FAILED"  # it can be lost again


def test_a_run_that_was_ended_stays_so(server: Server) -> None:
    run_id = server.new_run()
    server.pass_time(50, run_id)
    server.store.update_run(run_id, "FINISHED", 3)

    server.pass_time(10, run_id)  # one may be on its way
    server.pass_time(100)

    assert server.status(run_id) == "FINISHED"
    assert server.store.get_run(run_id).info.end_time == 3


def test_the_silence_of_a_server_that_was_down_counts_for_nothing(server: Server) -> None:
    run_id = server.new_run()
    server.pass_time(60, run_id)
    server.now += 3600  # nobody was there to hear
    server.watch = RunWatch(server.engine, server.beats, 40.0)

    server.pass_time(35)
    assert server.status(run_id) == "RUNNING"
    server.pass_time(10, run_id)
    server.pass_time(30)
    assert server.status(run_id) == "RUNNING"
    server.pass_time(30)
    assert server.status(run_id) == "FAILED"


def test_a_machine_that_slept_declares_nothing_dead(server: Server) -> None:
    run_id = server.new_run()
    server.pass_time(60, run_id)

    server.now += 7200
    server.pass_time(35)

    assert server.status(run_id) == "RUNNING"


def test_a_database_that_was_away_declares_nothing_dead(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run_id = server.new_run()
    server.pass_time(60, run_id)

    def refuse(run: object) -> None:
        raise UnavailableError("away")

    with monkeypatch.context() as away:
        away.setattr(server.engine, "write", refuse)
        away.setattr(server.store, "beat", server.beats.note)
        server.pass_time(120, run_id)
    server.pass_time(35)

    assert server.status(run_id) == "RUNNING"
    assert caplog.text.count("cannot be written down") == 1
    server.pass_time(10)
    assert server.status(run_id) == "FAILED"


def test_a_sign_given_before_a_loss_and_written_after_it_revives_nothing(server: Server) -> None:
    run_id = server.new_run()
    server.store.beat([run_id])
    beats = server.beats.take()
    server.now += 1
    server.engine.write(lambda store: store.keep_beats(beats))
    from slipstream.entities.liveness import LostRun

    server.store.report_lost(LostRun(run_id=run_id, status="KILLED", end_time=now_ms()))

    server.engine.write(lambda store: store.keep_beats(beats))

    assert server.status(run_id) == "KILLED"


def test_what_is_not_needed_any_more_is_forgotten(server: Server) -> None:
    run_id = server.new_run()
    server.pass_time(50, run_id)
    server.store.update_run(run_id, "FINISHED", 3)
    server.engine.write(
        lambda store: store.tx.execute(
            "INSERT INTO heartbeats (run, beat_time, lost) SELECT id, 0, 0 FROM runs WHERE run_id = :run_id",
            run_id=run_id,
        )
    )

    server.pass_time(10)

    rows = server.engine.read(lambda store: store.tx.fetch_all("SELECT run FROM heartbeats"))
    assert rows == []


def test_ten_thousand_runs_are_written_in_one_go(server: Server) -> None:
    ids = [server.new_run() for _ in range(300)]
    server.store.beat([*ids, *(f"{n:032x}" for n in range(9_700))])

    server.watch.look()

    rows = server.engine.read(lambda store: store.tx.fetch_all("SELECT count(*) FROM heartbeats"))
    assert rows == [(300,)]
