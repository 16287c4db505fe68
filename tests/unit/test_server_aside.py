"""Requests that wait for other machines: they hold up nobody else, and there is an end to how many wait."""

import json
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest

from object_servers import ObjectServer
from server_process import ServerProcess
from slipstream.client.rest import RestStore
from slipstream.client.transport import Transport
from slipstream.entities import WebhookEvent
from slipstream.errors import NotFoundError, SlipstreamError, TooManyRequestsError


def test_trials_of_a_silent_receiver_hold_up_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS", "true")
    monkeypatch.setenv("MLFLOW_WEBHOOK_ALLOWED_SCHEMES", "http")
    monkeypatch.setenv("MLFLOW_WEBHOOK_REQUEST_TIMEOUT", "60")
    monkeypatch.setenv("SLIPSTREAM_HTTP_REQUEST_MAX_RETRIES", "0")
    server = ServerProcess(tmp_path)
    transport = Transport(server.url)
    store = RestStore(transport)
    released = threading.Event()
    accepted: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            while True:
                try:
                    peer, _ = listener.accept()
                except OSError:
                    return
                accepted.append(peer)
                if released.is_set():
                    peer.close()

        taker = threading.Thread(target=accept, daemon=True)
        taker.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        hook = store.create_webhook("silent", url, [WebhookEvent("prompt", "created")]).webhook_id
        with ThreadPoolExecutor(40) as pool:
            trials = [pool.submit(store.test_webhook, hook) for _ in range(36)]
            refused = _wait_for(trials, 4)
            # Reads, writes and calls that need no thread aside are answered meanwhile.
            for number in range(20):
                store.create_registered_model(f"m{number}")
                assert store.get_registered_model(f"m{number}").name == f"m{number}"
            assert sum(trial.done() for trial in trials) == 4
            assert all(isinstance(each, TooManyRequestsError) for each in refused)
            # Deleted or not, what hangs ends when the receiver does.
            released.set()
            _hang_up(accepted, trials)
            results = [trial.result() for trial in trials if trial.exception() is None]
        assert len(results) == 32
        assert not any(result.success for result in results)
        listener.close()
    taker.join(10)
    transport.close()
    assert server.stop() == 0


def test_lists_of_files_in_a_silent_object_store_hold_up_no_reader(tmp_path: Path) -> None:
    (tmp_path / "s3").mkdir()
    s3 = ObjectServer("nanio", tmp_path / "s3")
    with s3.using():
        server = ServerProcess(tmp_path, "--artifacts-destination", f"s3://{s3.make_bucket()}/root")
    transport = Transport(server.url)
    store = RestStore(transport)
    run_id = store.create_run("0").info.run_id
    transport.upload(f"/api/2.0/mlflow-artifacts/artifacts/0/{run_id}/artifacts/f", [b"x"])
    query = f'{{mlflowListArtifacts(input: {{runId: "{run_id}"}}) {{files {{path}}}}}}'
    ways = [
        lambda: transport.call("GET", "/api/2.0/mlflow/artifacts/list", query=[("run_id", run_id)]),
        lambda: transport.call("POST", "/graphql", body=json.dumps({"query": query}).encode()),
    ]
    answers = [json.loads(ask()) for ask in ways]
    assert answers[0]["files"] == [{"path": "f", "is_dir": False, "file_size": 1}]
    assert answers[1]["data"]["mlflowListArtifacts"] == {"files": [{"path": "f"}]}
    s3.process.send_signal(signal.SIGSTOP)
    with ThreadPoolExecutor(12) as pool:
        lists = [pool.submit(way) for way in ways * 6]  # there are four readers
        try:
            for _ in range(20):
                assert store.get_run(run_id).info.run_id == run_id
                store.set_tag(run_id, "a", "b")
            assert not any(each.done() for each in lists)
        finally:
            s3.process.send_signal(signal.SIGCONT)
        assert [json.loads(each.result()) for each in lists] == answers * 6
    with pytest.raises(NotFoundError):  # looked for in the database first
        transport.call("GET", "/api/2.0/mlflow/artifacts/list", query=[("run_id", "0" * 32)])
    transport.close()
    assert server.stop() == 0
    s3.stop()


def _wait_for(trials: list, count: int) -> list[BaseException]:
    """Return the errors of so many trials, once they are there."""
    until = time.monotonic() + 30
    while sum(trial.done() for trial in trials) < count:
        assert time.monotonic() < until
        time.sleep(0.02)
    found = [trial.exception() for trial in trials if trial.done()]
    return [error for error in found if isinstance(error, SlipstreamError)]


def _hang_up(accepted: list[socket.socket], trials: list) -> None:
    until = time.monotonic() + 30
    while not all(trial.done() for trial in trials):
        assert time.monotonic() < until
        for peer in list(accepted):
            peer.close()
        wait(trials, timeout=0.05)
