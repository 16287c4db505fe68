"""Worker processes from the edge's side: full queues, deaths, hangs, joined rows, and versions that change under load."""

import errno
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from scoring_server import Client, Registry, serving
from slipstream.errors import ExecutionError, InvalidParameterError, UntrustedModelError
from slipstream.models.schema import Schema, TensorSpec
from slipstream.models.signature import ModelSignature
from slipstream.serving.app import AppLimits, ScoringApp
from slipstream.serving.catalog import Source, names_of
from slipstream.serving.link import start_process
from slipstream.serving.pool import PoolLimits

SCHEMA = Schema([TensorSpec(np.dtype("float64"), (-1, 1))])


class Model:
    def __init__(self, predict: Callable[[Any], Any], *, joins: bool = False) -> None:
        self.metadata = SimpleNamespace(signature=ModelSignature(inputs=SCHEMA))
        self.joins_rows = joins
        self._predict = predict

    def predict(self, data: Any, params: Any = None) -> Any:
        return self._predict(data)


Serve = Callable[..., Client]


@pytest.fixture
def serve() -> Iterator[Serve]:
    with ExitStack() as stack:

        def start(
            models: dict[str, Any],
            uris: dict[str, str] | None = None,
            aliases: dict[str, str] | None = None,
            app: AppLimits | None = None,
            **pool: Any,
        ) -> Client:
            registry = Registry(models, PoolLimits(**pool))
            registry.aliases.update(aliases or {})
            names = uris or {name: name for name in models}
            return stack.enter_context(
                serving(registry, names, lambda catalog: ScoringApp(catalog, limits=app))
            )

        yield start


def score(client: Client, value: float = 1.0, path: str = "/invocations") -> Any:
    return client.post(path, {"inputs": [[value]]})


def until(true: Callable[[], bool]) -> None:
    for _ in range(2000):
        if true():
            return
        time.sleep(0.01)
    pytest.fail("It did not come true within 20 s")


# -- joined rows ------------------------------------------------------------------------------------
def test_what_waits_while_a_worker_predicts_goes_together(serve: Serve) -> None:
    sizes: list[int] = []
    first, release = threading.Event(), threading.Event()

    def predict(data: Any) -> Any:
        sizes.append(len(data))
        first.set()
        release.wait(20)
        return data[:, 0]

    client = serve({"m": lambda _start: Model(predict, joins=True)}, batch_size=4)
    with ThreadPoolExecutor(9) as threads:
        replies = [threads.submit(score, client, 0)]
        assert first.wait(20)
        replies += [threads.submit(score, client, number) for number in range(1, 9)]
        until(lambda: client.registry.pools[0].waiting == 8)
        release.set()
        assert [reply.result().json()["predictions"] for reply in replies] == [[float(n)] for n in range(9)]
    assert sizes == [1, 4, 4]


def test_a_request_waits_for_others_if_told_to(serve: Serve) -> None:
    sizes: list[int] = []

    def predict(data: Any) -> Any:
        sizes.append(len(data))
        return data[:, 0]

    client = serve({"m": lambda _start: Model(predict, joins=True)}, batch_size=2, batch_wait_seconds=5.0)
    with ThreadPoolExecutor(2) as threads:
        replies = list(threads.map(lambda n: score(client, n).json(), range(2)))
    assert replies == [{"predictions": [0.0]}, {"predictions": [1.0]}]
    assert sizes == [2]


# -- workers that die, hang or cannot start -----------------------------------------------------------
def test_a_dead_worker_is_replaced_and_only_its_requests_fail(serve: Serve) -> None:
    running, release = threading.Semaphore(0), threading.Event()

    def predict(data: Any) -> Any:
        if data[0, 0] > 0:
            running.release()
            release.wait(20)
        return data[:, 0]

    client = serve({"m": lambda _start: Model(predict)}, workers=2, threads=1)
    with ThreadPoolExecutor(2) as threads:
        slow = [threads.submit(score, client, 1) for _ in range(2)]
        assert running.acquire(timeout=20)
        assert running.acquire(timeout=20)
        client.registry.handles[0].handle.kill()
        until(lambda: any(reply.done() for reply in slow))
        release.set()
        replies = [reply.result() for reply in slow]
    assert sorted(reply.status for reply in replies) == [200, 500]
    (lost,) = [reply for reply in replies if reply.status == 500]
    assert "worker process that answered this request ended" in lost.json()["message"]
    assert score(client, 0).status == 200
    until(lambda: len(client.registry.handles) == 3)
    until(lambda: len(client.registry.pools[0].worker_pids) == 2)
    assert any("another takes its place" in line for line in client.registry.said)


def test_a_worker_that_hangs_is_replaced(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("slipstream.serving.pool._LEAST_HANG_SECONDS", 0.1)
    release = threading.Event()

    def predict(data: Any) -> Any:
        if data[0, 0] > 0:
            release.wait(30)
        return data[:, 0]

    client = serve({"m": lambda _start: Model(predict, joins=True)}, timeout_seconds=0.2)
    try:
        assert score(client, 1).status == 504
        until(lambda: any("is replaced" in line for line in client.registry.said))
        until(lambda: score(client, 0).status == 200)
    finally:
        release.set()


class Streamer(Model):
    streams = True

    def __init__(self, stream: Callable[[], Iterator[Any]]) -> None:
        super().__init__(lambda data: data[:, 0])
        self._stream = stream

    def predict_stream(self, data: Any, params: Any = None) -> Iterator[Any]:
        return self._stream()


def open_stream(client: Client) -> socket.socket:
    body = b'{"inputs": [[1.0]], "stream": true}'
    connection = socket.create_connection(("127.0.0.1", client.port), 30)
    connection.sendall(
        b"POST /invocations HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n"
        b"\r\n%b" % (len(body), body)
    )
    return connection


def test_a_worker_whose_streams_hang_after_their_clients_have_left_is_replaced(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slipstream.serving.pool._LEAST_HANG_SECONDS", 0.1)
    release = threading.Event()

    def stream() -> Iterator[Any]:
        yield "first"
        release.wait(30)

    client = serve({"m": lambda _start: Streamer(stream)}, threads=1, timeout_seconds=0.5)
    try:
        with open_stream(client) as connection:
            assert b"200 OK" in connection.recv(4096)
        until(lambda: any("is replaced" in line for line in client.registry.said))
        until(lambda: score(client).status == 200)
    finally:
        release.set()


def test_a_client_that_does_not_read_its_stream_costs_bounded_memory(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slipstream.serving.pool._MOST_UNREAD_BYTES", 1 << 20)
    client = serve({"m": lambda _start: Streamer(lambda: iter(["x" * (1 << 20)] * 50))})
    with open_stream(client) as connection:
        until(lambda: client.registry.pools[0].batches == 1 and not client.registry.pools[0].at_work)
        received = b""
        while not received.endswith(b"0\r\n\r\n"):
            received += connection.recv(1 << 20)
    assert b"reads its answer too slowly" in received
    assert len(received) < 40 << 20


def test_a_request_that_nobody_waits_for_keeps_no_place(serve: Serve) -> None:
    running, release = threading.Event(), threading.Event()

    def predict(data: Any) -> Any:
        running.set()
        release.wait(30)
        return data[:, 0]

    client = serve({"m": lambda _start: Model(predict)}, threads=1, queue_size=1, timeout_seconds=0.3)
    try:
        with ThreadPoolExecutor(1) as threads:
            first = threads.submit(score, client)
            assert running.wait(20)
            assert score(client).status == 504  # it waited
            assert score(client).status == 504  # not 503: the one before waits no more
            assert first.result().status == 504
    finally:
        release.set()


def test_without_a_queue_workers_that_are_free_still_answer(serve: Serve) -> None:
    client = serve({"m": lambda _start: Model(lambda data: data[:, 0])}, threads=2, queue_size=0)
    assert score(client).status == 200


def test_a_place_that_cannot_be_filled_for_lack_of_descriptors_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(*_arguments: Any) -> Any:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr("slipstream.serving.link.os.pipe", refuse)
    with pytest.raises(ExecutionError, match="Too many open files"):
        start_process()
    monkeypatch.setattr("slipstream.serving.link.socket.socketpair", refuse)
    with pytest.raises(ExecutionError, match="Too many open files"):
        start_process()


def test_a_place_that_cannot_be_filled_again_is_tried_again(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slipstream.serving.pool._FIRST_PAUSE_SECONDS", 0.3)
    broken = threading.Event()

    def make(_start: Any) -> Model:
        if broken.is_set():
            raise InvalidParameterError("The disk is gone.")
        return Model(lambda data: data[:, 0])

    client = serve({"m": make})
    broken.set()
    client.registry.handles[0].handle.kill()
    until(lambda: any("could not start: The disk is gone." in line for line in client.registry.said))
    refused = score(client)
    assert refused.status == 503
    assert "The disk is gone." in refused.json()["message"]
    assert client.ask("GET", "/health").status == 503
    broken.clear()
    until(lambda: score(client).status == 200)
    assert client.ask("GET", "/health").status == 200


# -- several models -----------------------------------------------------------------------------------
def test_several_models_each_under_its_name(serve: Serve) -> None:
    client = serve(
        {
            "one": lambda _start: Model(lambda data: data[:, 0] + 1),
            "two": lambda _start: Model(lambda data: data[:, 0] + 2),
        }
    )
    assert score(client, 0, "/models/one/invocations").json() == {"predictions": [1.0]}
    assert score(client, 0, "/models/two/invocations").json() == {"predictions": [2.0]}
    unnamed = score(client, 0)
    assert unnamed.status == 400
    assert "one, two" in unnamed.json()["message"]
    assert client.post("/models/three/invocations", {}).status == 404


@pytest.mark.parametrize(
    ("uris", "names"),
    [
        (["models:/churn@champion"], ["churn"]),
        (["models:/churn/3"], ["churn"]),
        (["models:/churn@champion", "models:/churn@challenger"], ["churn@champion", "churn@challenger"]),
        (["models:/churn/3", "models:/churn@b"], ["churn:3", "churn@b"]),
        (["a=models:/churn/3", "b=models:/churn/3"], ["a", "b"]),
        (["runs:/1234/forest", "/some/folder/"], ["forest", "folder"]),
        (["models:/m-0123"], ["m-0123"]),
    ],
)
def test_names_of_models(uris: list[str], names: list[str]) -> None:
    assert [name for name, _ in names_of(uris)] == names


def test_two_models_of_one_name_are_refused() -> None:
    with pytest.raises(InvalidParameterError, match=r"served as 'a'"):
        names_of(["a=models:/x/1", "a=models:/y/1"])


# -- versions that change -----------------------------------------------------------------------------
def version(number: int) -> Callable[[Any], Model]:
    return lambda _start: Model(lambda data: np.full(len(data), float(number)), joins=True)


def test_an_alias_that_moves_under_load_fails_no_request(serve: Serve) -> None:
    uri = "models:/m@champion"
    client = serve(
        {f"{uri}/{number}": version(number) for number in range(1, 7)},
        {"m": uri},
        {uri: "1"},
        AppLimits(refresh_seconds=0.02),
    )
    stop = threading.Event()
    wrong: list[object] = []
    counts: dict[str, int] = {}

    def load() -> None:
        while not stop.is_set():
            reply = score(client)
            number = reply.headers.get("x-slipstream-model-version", "none")
            counts[number] = counts.get(number, 0) + 1
            if reply.status != 200 or reply.json() != {"predictions": [float(number)]}:
                wrong.append(reply)

    with ThreadPoolExecutor(4) as threads:
        for _ in range(4):
            threads.submit(load)
        for number in range(2, 7):
            until(lambda: counts.get(client.registry.aliases[uri], 0) > 5)  # called at once
            client.registry.aliases[uri] = str(number)
        until(lambda: counts.get("6", 0) > 5)
        stop.set()
    assert not wrong
    assert set(counts) == {"1", "2", "3", "4", "5", "6"}
    # Those that left are unloaded.
    until(lambda: sum(bool(pool.worker_pids) for pool in client.registry.pools) == 1)


def test_a_version_that_cannot_be_loaded_is_not_taken(serve: Serve) -> None:
    def refuse(_start: Any) -> Model:
        raise UntrustedModelError("Nobody vouches for it.")

    uri = "models:/m@champion"
    client = serve(
        {f"{uri}/1": version(1), f"{uri}/2": refuse, f"{uri}/3": version(3)},
        {"m": uri},
        {uri: "1"},
        AppLimits(refresh_seconds=0.02),
    )
    client.registry.aliases[uri] = "2"
    until(lambda: any("was not taken: Nobody vouches for it." in line for line in client.registry.said))
    assert score(client).json() == {"predictions": [1.0]}
    time.sleep(0.2)
    assert len([line for line in client.registry.said if "was not taken" in line]) == 1  # tried again later
    client.registry.aliases[uri] = "3"
    until(lambda: score(client).json() == {"predictions": [3.0]})


def test_a_worker_of_a_version_that_leaves_is_replaced_while_requests_wait_for_it(serve: Serve) -> None:
    running, release = threading.Semaphore(0), threading.Event()

    def predict(data: Any) -> Any:
        running.release()
        release.wait(20)
        return data[:, 0]

    uri = "models:/m@champion"
    client = serve(
        {f"{uri}/1": lambda _start: Model(predict), f"{uri}/2": version(2)},
        {"m": uri},
        {uri: "1"},
        AppLimits(refresh_seconds=0.02),
        threads=1,
    )
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(score, client, 1)
        assert running.acquire(timeout=20)
        waiting = threads.submit(score, client, 2)
        until(lambda: client.registry.pools[0].waiting == 1)
        client.registry.aliases[uri] = "2"
        until(lambda: any("leaves" in line for line in client.registry.said))
        client.registry.handles[0].handle.kill()
        assert first.result().status == 500
        release.set()
        assert waiting.result().json() == {"predictions": [2.0]}
    until(lambda: not client.registry.pools[0].worker_pids)


def test_a_version_that_takes_long_holds_up_no_other_model_and_is_let_go_when_the_alias_moves_on(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slipstream.serving.catalog._LOOK_SECONDS", 0.05)
    release = threading.Event()

    def hang(_start: Any) -> Model:
        release.wait(30)
        return version(2)(_start)

    slow, quick = "models:/slow@champion", "models:/quick@champion"
    client = serve(
        {
            f"{slow}/1": version(1),
            f"{slow}/2": hang,
            f"{slow}/3": version(3),
            f"{quick}/1": version(1),
            f"{quick}/2": version(2),
        },
        {"slow": slow, "quick": quick},
        {slow: "1", quick: "1"},
        AppLimits(refresh_seconds=0.02),
    )
    try:
        client.registry.aliases[slow] = "2"
        until(lambda: len(client.registry.pools) == 3)
        client.registry.aliases[quick] = "2"
        until(lambda: score(client, path="/models/quick/invocations").json() == {"predictions": [2.0]})
        client.registry.aliases[slow] = "3"
        until(lambda: score(client, path="/models/slow/invocations").json() == {"predictions": [3.0]})
        assert any(
            "means another version before version 2 was ready" in line for line in client.registry.said
        )
    finally:
        release.set()


def test_a_registry_that_falls_silent_holds_up_no_version_that_is_ready(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slipstream.serving.catalog._LOOK_SECONDS", 0.05)
    load, silent, asked, release = (threading.Event() for _ in range(4))

    def slow(start: Any) -> Model:
        load.wait(30)
        return version(2)(start)

    uri = "models:/m@champion"
    client = serve(
        {f"{uri}/1": version(1), f"{uri}/2": slow}, {"m": uri}, {uri: "1"}, AppLimits(refresh_seconds=0.02)
    )
    find = client.registry.find

    def find_or_wait(uri: str) -> Source:
        if silent.is_set():
            asked.set()
            release.wait(30)
        return find(uri)

    monkeypatch.setattr(client.registry, "find", find_or_wait)
    try:
        client.registry.aliases[uri] = "2"
        until(lambda: len(client.registry.pools) == 2)
        silent.set()
        assert asked.wait(20)
        load.set()
        until(lambda: score(client).json() == {"predictions": [2.0]})
    finally:
        load.set()
        release.set()


def test_files_that_arrive_after_the_alias_has_moved_on_are_removed(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("slipstream.serving.catalog._LOOK_SECONDS", 0.05)
    began, arrive = threading.Event(), threading.Event()
    released: list[Path] = []
    uri = "models:/m@champion"
    client = serve(
        {f"{uri}/1": version(1), f"{uri}/3": version(3)},
        {"m": uri},
        {uri: "1"},
        AppLimits(refresh_seconds=0.02),
    )

    def fetch(source: Source) -> Path:
        if source.version == "2":
            began.set()
            arrive.wait(30)
        return Path(source.uri)

    monkeypatch.setattr(client.registry, "fetch", fetch)
    monkeypatch.setattr(client.registry, "release", released.append)
    try:
        client.registry.aliases[uri] = "2"
        assert began.wait(20)
        client.registry.aliases[uri] = "3"
        until(lambda: score(client).json() == {"predictions": [3.0]})
    finally:
        arrive.set()
    until(lambda: Path(f"{uri}/2") in released)


def test_a_version_that_fails_in_a_way_nobody_thought_of_is_tried_again_later(serve: Serve) -> None:
    uri = "models:/m@champion"
    client = serve({f"{uri}/1": version(1)}, {"m": uri}, {uri: "1"}, AppLimits(refresh_seconds=0.02))
    fetched: list[Source] = []

    def fetch(source: Source) -> Path:
        fetched.append(source)
        raise OSError(errno.ENOSPC, "No space left on device")

    client.registry.fetch = fetch  # type: ignore[method-assign]
    client.registry.aliases[uri] = "2"
    until(lambda: any("No space left on device" in line for line in client.registry.said))
    time.sleep(0.2)
    assert len(fetched) == 1
    assert score(client).json() == {"predictions": [1.0]}


def test_a_registry_that_does_not_answer_changes_nothing(serve: Serve) -> None:
    uri = "models:/m@champion"
    client = serve({f"{uri}/1": version(1)}, {"m": uri}, {uri: "1"}, AppLimits(refresh_seconds=0.02))
    del client.registry.aliases[uri]
    until(lambda: any("cannot be looked up" in line for line in client.registry.said))
    assert score(client).json() == {"predictions": [1.0]}


def test_what_is_under_way_is_finished_when_the_server_ends(serve: Serve) -> None:
    running, release = threading.Event(), threading.Event()

    def predict(data: Any) -> Any:
        running.set()
        release.wait(20)
        return data[:, 0]

    client = serve({"m": lambda _start: Model(predict)})
    with ThreadPoolExecutor(2) as threads:
        reply = threads.submit(score, client)
        assert running.wait(20)
        ending = threads.submit(lambda: (time.sleep(0.2), release.set()))
        assert reply.result().status == 200
        ending.result()
