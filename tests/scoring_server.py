"""A scoring server in this process, for tests: real sockets and a real event loop, workers as threads."""

import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import uvicorn

from slipstream.errors import NotFoundError, SlipstreamError
from slipstream.serving.app import ScoringApp
from slipstream.serving.catalog import Catalog, ServedName, Source
from slipstream.serving.fast import ScoringProtocol
from slipstream.serving.frames import CannotStart, Channel, Ready, Start, decode_start
from slipstream.serving.link import Process
from slipstream.serving.pool import PoolLimits, WorkerPool
from slipstream.serving.run import listen
from slipstream.serving.served import ServedModel
from slipstream.serving.worker import Worker

Make = Callable[[Start], Any]
"""Returns a loaded model (what `pyfunc.load_model` returns); may raise a SlipstreamError."""


class Died(Exception):  # noqa: N818  # no error of ours: the end of a process
    """What `Make` raises to end its worker without a word, as a signal ends a process."""


class ThreadHandle:
    """Stands in for a worker's process."""

    pid = 0

    def __init__(self, thread: threading.Thread, sock: socket.socket) -> None:
        self._thread = thread
        self._socket = sock
        self._code: int | None = None

    def poll(self) -> int | None:
        if self._code is None and not self._thread.is_alive():
            self._code = 0
        return self._code

    def kill(self) -> None:
        if self.poll() is None:
            self._code = -9
            self._socket.shutdown(socket.SHUT_RDWR)

    terminate = kill


def start_thread(make: Make) -> Process:
    """Start a worker as a thread."""
    ours, theirs = socket.socketpair()
    thread = threading.Thread(target=_work, args=(theirs, make), daemon=True)
    thread.start()
    ours.setblocking(False)
    return Process(ThreadHandle(thread, theirs), ours)


def _work(sock: socket.socket, make: Make) -> None:
    channel = Channel(sock)
    with sock:
        frame = channel.receive()
        if frame is None:
            return
        start = decode_start(frame)
        try:
            worker = Worker(ServedModel(make(start), start.name), channel, start)
        except SlipstreamError as error:
            channel.send(CannotStart(str(error)))
            return
        except Died:
            return
        try:
            channel.send(Ready(worker.card))
            worker.run()
        except OSError:  # it was killed
            return


class Registry:
    """Implements `catalog.Loader`: models by URI, and what each URI means now."""

    def __init__(self, models: Mapping[str, Make], limits: PoolLimits, **start: Any) -> None:
        self.models = dict(models)
        self.aliases: dict[str, str] = {}
        """Version of each URI that moves."""
        self.limits = limits
        self.said: list[str] = []
        self.pools: list[WorkerPool] = []
        self.handles: list[Process] = []
        self._start = start

    def find(self, uri: str) -> Source:
        if uri in self.aliases:
            return Source(self.aliases[uri], f"{uri}/{self.aliases[uri]}")
        if uri not in self.models:
            raise NotFoundError(f"No model '{uri}'")
        return Source(None, uri)

    def fetch(self, source: Source) -> Path:
        return Path(source.uri)

    def release(self, folder: Path) -> None:
        """Nothing was fetched."""

    def pool(self, name: str, source: Source, folder: Path) -> WorkerPool:
        def begin() -> Process:
            process = start_thread(self.models[source.uri])
            self.handles.append(process)
            return process

        pool = WorkerPool(
            Start(folder=str(folder), name=name, threads=self.limits.threads, **self._start),
            begin,
            self.limits,
            self.said.append,
        )
        self.pools.append(pool)
        return pool


class Reply(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    def __init__(self, port: int, registry: Registry, app: ScoringApp) -> None:
        self.port = port
        self.registry = registry
        self.app = app

    def ask(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            return Reply(
                response.status, {key.lower(): value for key, value in response.getheaders()}, response.read()
            )
        finally:
            connection.close()

    def post(self, path: str, document: object, **headers: str) -> Reply:
        return self.ask("POST", path, json.dumps(document), {"Content-Type": "application/json", **headers})


@contextmanager
def serving(
    registry: Registry, uris: Mapping[str, str], make_app: Callable[[Catalog], ScoringApp]
) -> Iterator[Client]:
    """Run a server for the time of the block; `uris` are names and the URIs served under them."""
    catalog = Catalog([ServedName(name, uri, registry, registry.said.append) for name, uri in uris.items()])
    app = make_app(catalog)
    with listen("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        started = threading.Event()

        class Server(uvicorn.Server):
            async def startup(self, sockets: list[socket.socket] | None = None) -> None:
                for served in catalog:
                    await served.load()
                await super().startup(sockets)
                started.set()

        server = Server(
            uvicorn.Config(
                app,
                http=ScoringProtocol,
                proxy_headers=False,
                log_config=None,
                ws="none",
                lifespan="on",
                timeout_graceful_shutdown=5,
            )
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            assert started.wait(30)
            yield Client(port, registry, app)
        finally:
            server.should_exit = True
            thread.join(30)
            assert not thread.is_alive()
