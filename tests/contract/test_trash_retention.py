"""What servers remove by themselves: only what is old enough, one server at a time."""

import time
from pathlib import Path

import pytest

from server_process import ServerProcess
from slipstream.client.rest import RestStore
from slipstream.client.transport import Transport
from slipstream.clock import now_ms
from slipstream.entities import TrashKind
from slipstream.errors import NotFoundError
from slipstream.server.trash_retention import TrashRetention
from slipstream.store import queued_trash
from slipstream.store.engine import QueuedStore, open_engine

PATIENCE_SECONDS = 20


def wait_until_gone(store: object, run_id: str) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        try:
            store.get_run(run_id)  # pyright: ignore[reportAttributeAccessIssue]
        except NotFoundError:
            return
        time.sleep(0.02)
    raise AssertionError("it is still there")


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_what_is_old_enough_goes_and_no_more(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    uri = request.getfixturevalue("postgres_database") if kind == "postgres" else f"sqlite:///{tmp_path}/s.db"
    engine = open_engine(uri, str(tmp_path / "artifacts"))
    store = QueuedStore(engine)
    old, young, needed, live = (store.create_run("0").info for _ in range(4))
    hour = 60 * 60 * 1000
    folder = Path(old.artifact_uri)
    folder.mkdir(parents=True)
    (folder / "f").write_text("x")
    store.create_registered_model("churn")
    store.create_model_version("churn", f"runs:/{needed.run_id}/m", needed.run_id)
    for run in (old, young, needed):
        store.delete_run(run.run_id)
    for run in (old, needed):
        engine.write(
            lambda sql, run=run: sql.tx.execute(
                "UPDATE runs SET deleted_time = :time WHERE run_id = :run_id",
                time=now_ms() - 2 * hour,
                run_id=run.run_id,
            )
        )
    retention = TrashRetention(engine, hour, poll_seconds=0.05)
    retention.start()
    wait_until_gone(store, old.run_id)
    assert not folder.exists()
    assert store.get_run(young.run_id).info.lifecycle_stage == "deleted"
    assert store.get_run(needed.run_id).info.lifecycle_stage == "deleted"
    assert store.get_run(live.run_id).info.lifecycle_stage == "active"
    retention.stop()
    store.close()


def test_two_servers_on_one_database_remove_each_thing_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = f"sqlite:///{tmp_path / 's.db'}"
    engines = [open_engine(uri, str(tmp_path / "artifacts")) for _ in range(2)]
    store = QueuedStore(engines[0])
    runs = [store.create_run("0").info.run_id for _ in range(30)]
    for run in runs:
        store.delete_run(run)
    at_work = 0
    most = 0
    delete = queued_trash._Work._delete_files

    def counted(work: object, *arguments: object) -> bool:
        nonlocal at_work, most
        at_work += 1
        most = max(most, at_work)
        time.sleep(0.01)  # room for the other to get in, if it could
        done = delete(work, *arguments)  # pyright: ignore[reportArgumentType]
        at_work -= 1
        return done

    monkeypatch.setattr(queued_trash._Work, "_delete_files", counted)
    workers = [TrashRetention(engine, 0, poll_seconds=0.01) for engine in engines]
    for worker in workers:
        worker.start()
    wait_until_gone(store, runs[-1])
    for worker in workers:
        worker.stop(patience_seconds=PATIENCE_SECONDS)
    assert most == 1
    assert store.search_trash().items == []
    for engine in engines:
        engine.close()


def test_the_option_of_the_server(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, "--trash-retention", "0s")
    transport = Transport(server.url)
    store = RestStore(transport)
    run = store.create_run("0").info.run_id
    store.delete_run(run)
    transport.close()
    assert server.stop() == 0
    server = ServerProcess(tmp_path, "--trash-retention", "0s")  # it looks when it starts, then once a minute
    transport = Transport(server.url)
    wait_until_gone(RestStore(transport), run)
    transport.close()
    assert server.stop() == 0
    assert "Removed from the trash: 0 experiments, 1 runs" in "".join(server.lines)


def test_the_trash_says_when(tmp_path: Path) -> None:
    server = ServerProcess(tmp_path, "--trash-retention", "30d")
    transport = Transport(server.url)
    store = RestStore(transport)
    run = store.create_run("0").info.run_id
    store.move_to_trash(TrashKind.RUN, run)
    (item,) = store.search_trash().items
    assert item.removal_time == item.deleted_time + 30 * 24 * 60 * 60 * 1000
    transport.close()
    assert server.stop() == 0


def test_a_retention_that_is_none(tmp_path: Path) -> None:
    from click.testing import CliRunner

    from slipstream.cli.main import main

    result = CliRunner().invoke(main, ["server", "--trash-retention", "soon"])
    assert result.exit_code == 1
    assert "--trash-retention" in result.stderr
