"""Starts the scoring server: listens, loads the models, says so, and ends cleanly."""

import asyncio
import errno
import gc
import os
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import uvicorn

from slipstream.errors import InvalidParameterError, SlipstreamError
from slipstream.serving.app import AppLimits, ScoringApp
from slipstream.serving.catalog import Catalog, ServedName, names_of
from slipstream.serving.example import curl_command
from slipstream.serving.fast import ScoringProtocol
from slipstream.serving.gate import Gate
from slipstream.serving.loading import ModelLoader
from slipstream.serving.observer import Observer
from slipstream.serving.pool import PoolLimits
from slipstream.serving.tracing import traces

_BACKLOG = 2048


def default_threads() -> int:
    """Return the number of threads that MLflow's server uses: many models wait for others, not for the CPU."""
    return min(32, (os.cpu_count() or 1) + 4)


@dataclass(frozen=True, kw_only=True)
class ServeOptions:
    """All about one scoring server."""

    model_uris: tuple[str, ...]
    """URIs, or `NAME=URI`."""
    host: str = "127.0.0.1"
    port: int = 5000
    """0 takes any free port."""
    pool: PoolLimits = field(default_factory=PoolLimits)
    app: AppLimits = field(default_factory=AppLimits)
    joined: bool | None = None
    """Join the rows of several requests; None where the flavor says that it changes nothing."""
    max_new_tokens: int | None = None
    max_prompt_tokens: int | None = None
    trust: bool | None = None
    """The models may run the code they bring."""
    interpreter: Callable[[str], str] | None = None
    """Returns the Python that the model of a URI or folder is to run in; None: this one."""
    gate: Gate = field(default_factory=Gate)
    traced: bool | None = None
    """Send traces; None as OpenTelemetry's variables say."""


def serve(options: ServeOptions, say: Callable[[str], None]) -> None:
    """Serve models until SIGINT or SIGTERM, then finish what runs and return.

    Args:
        options: what to serve, where and how.
        say: gets each line for the user.

    Raises:
        NotFoundError: there is no such model.
        ExecutionError: a worker process could not start, such as for a model that nobody vouches for.
        InvalidParameterError: the port is taken or the address cannot be listened on.
    """
    names = names_of(options.model_uris)
    with listen(options.host, options.port) as listener, traces(wanted=options.traced) as tracer:
        loader = ModelLoader(
            limits=options.pool,
            trust=options.trust,
            joined=options.joined,
            max_new_tokens=options.max_new_tokens,
            max_prompt_tokens=options.max_prompt_tokens,
            interpreter=options.interpreter,
            say=say,
        )
        catalog = Catalog([ServedName(name, uri, loader, say) for name, uri in names])
        url = _url(options.host, listener)

        def report_ready() -> None:
            for served in catalog:
                version = served.require_live()
                example = curl_command(
                    url,
                    version.folder,
                    variable=options.gate.variable,
                    path=_path_of(served, catalog),
                )
                say(f"Serving {served.uri} at {url}" + (f"  Try: {example}" if example else ""))

        observer = Observer(catalog, tracer, with_keys=options.gate.keys is not None)
        app = ScoringApp(catalog, options.gate, options.app, observer)
        config = uvicorn.Config(
            app,
            http=ScoringProtocol,
            proxy_headers=False,
            loop="uvloop" if sys.platform != "win32" else "asyncio",
            ws="none",
            lifespan="on",
            access_log=False,
            log_level="warning",
            server_header=False,
            timeout_graceful_shutdown=int(options.app.drain_seconds) or 1,
        )
        server = _Server(config, catalog, report_ready)
        try:
            server.run(sockets=[listener])
        finally:
            loader.close()
        if server.failure is not None:
            raise server.failure


def _path_of(served: ServedName, catalog: Catalog) -> str:
    return "/invocations" if len(catalog) == 1 else f"/models/{served.name}/invocations"


def listen(host: str, port: int) -> socket.socket:
    """Open the listening socket, before anything slow is done.

    Raises:
        InvalidParameterError: the port is taken, or the host is not an address of this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise InvalidParameterError(
            f"Host '{host}' is not an address of this machine: {error.strerror}."
        ) from error
    try:
        if os.name == "posix":  # elsewhere this option would let two servers share the port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise InvalidParameterError(
                f"Port {port} on {host} is already in use. Choose another with --port, or 0 for any free one."
            ) from error
        raise InvalidParameterError(f"Cannot listen on {host}, port {port}: {error.strerror}.") from error
    listener.setblocking(False)
    return listener


def _url(host: str, listener: socket.socket) -> str:
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{listener.getsockname()[1]}"


class _Server(uvicorn.Server):
    """Uvicorn's server, which loads the models before it answers, and tells when it has begun."""

    def __init__(self, config: uvicorn.Config, catalog: Catalog, report_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self.failure: SlipstreamError | None = None
        self._catalog = catalog
        self._report_ready = report_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        if not await self._load():
            self.should_exit = True
            self._forget_signals()
            return
        await super().startup(sockets)
        if self.started:
            gc.collect()
            gc.freeze()  # what was imported stays
            self._report_ready()

    async def _load(self) -> bool:
        """Load all models; False if one cannot be, or if a signal came meanwhile."""
        loading = [asyncio.ensure_future(served.load()) for served in self._catalog]
        # A signal only sets a flag.
        while not self.should_exit and not all(each.done() for each in loading):
            await asyncio.wait(loading, timeout=0.05, return_when=asyncio.FIRST_EXCEPTION)
            if any(each.done() and each.exception() is not None for each in loading):
                break
        if not self.should_exit and all(each.done() and each.exception() is None for each in loading):
            return True
        for each in loading:
            each.cancel()
        problems = await asyncio.gather(*loading, return_exceptions=True)
        await asyncio.gather(*(served.close(0) for served in self._catalog))
        for problem in problems:
            if isinstance(problem, SlipstreamError):
                self.failure = problem
            elif isinstance(problem, Exception):
                raise problem
        return False

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        self._forget_signals()

    def _forget_signals(self) -> None:
        # Uvicorn would raise the signal again, and so end with an error what was asked for and went well.
        captured: Any = self._captured_signals
        captured.clear()
