"""Starts the scoring server: loads the model, listens, says so, and ends cleanly."""

import contextlib
import errno
import importlib
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import uvicorn

from slipstream.errors import InvalidParameterError
from slipstream.models.locations import local_model_folder
from slipstream.serving.app import ScoringApp
from slipstream.serving.example import curl_command
from slipstream.serving.gate import Gate
from slipstream.serving.served import ServedModel
from slipstream.serving.supervisor import Supervisor, exit_on_signals, ignore_signals
from slipstream.serving.worker import Worker, default_threads

_BACKLOG = 2048
_SECONDS_TO_DRAIN = 30


@dataclass(frozen=True)
class ServeOptions:
    """All that a serving process must know; it is sent to worker processes."""

    model_uri: str
    host: str = "127.0.0.1"
    port: int = 5000
    """0 takes any free port."""
    workers: int = 1
    """Processes, each with the whole model."""
    threads: int = field(default_factory=default_threads)
    """Predictions that one process runs at once."""
    queue_size: int = 1024
    """Requests that may wait in one process; more are answered 503."""
    timeout_seconds: float = 60.0
    trust: bool | None = None
    """The model may run the code it brings."""
    gate: Gate = field(default_factory=Gate)


def serve(options: ServeOptions, say: Callable[[str], None]) -> None:
    """Serve a model until SIGINT or SIGTERM, then finish what runs and return.

    Args:
        options: what to serve, where and how.
        say: gets each line for the user.

    Raises:
        NotFoundError: there is no such model.
        UntrustedModelError: loading it would run code that nobody vouches for.
        InvalidParameterError: the port is taken or the address cannot be listened on.
        ExecutionError: a worker process could not start.
    """
    with exit_on_signals(), listen(options.host, options.port) as listener:
        folder = local_model_folder(options.model_uri).absolute()
        url = _url(options.host, listener)

        def report_ready() -> None:
            example = curl_command(url, folder, with_token=options.gate.token is not None)
            say(f"Serving {options.model_uri} at {url}" + (f"  Try: {example}" if example else ""))

        if options.workers == 1:
            _serve_app(build_app(options, folder), listener, report_ready)
        else:
            Supervisor(options.workers, serve_worker, (options, folder, listener)).run(report_ready, say)


def build_app(options: ServeOptions, folder: Path) -> ScoringApp:
    """Load the model and put the application around it."""
    pyfunc = importlib.import_module("slipstream.flavors.pyfunc")  # only here: flavors bring much with them
    model = ServedModel(pyfunc.load_model(str(folder), trust=options.trust))
    worker = Worker(
        threads=options.threads, queue_size=options.queue_size, timeout_seconds=options.timeout_seconds
    )
    return ScoringApp(model, worker, options.gate)


def serve_worker(
    report_ready: Callable[[], None], options: ServeOptions, folder: Path, listener: socket.socket
) -> None:
    """Serve as one of several processes that share a listening socket."""
    _serve_app(build_app(options, folder), listener, report_ready)


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
    listener.set_inheritable(True)
    return listener


def _url(host: str, listener: socket.socket) -> str:
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{listener.getsockname()[1]}"


def _serve_app(app: ScoringApp, listener: socket.socket, report_ready: Callable[[], None]) -> None:
    config = uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="on",
        access_log=False,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=_SECONDS_TO_DRAIN,
    )
    # Uvicorn raises a signal again when it has ended for it; by then there is nothing left to interrupt.
    with ignore_signals(), contextlib.suppress(KeyboardInterrupt):
        _Server(config, report_ready).run(sockets=[listener])


class _Server(uvicorn.Server):
    """Uvicorn's server, which tells when it has begun to answer."""

    def __init__(self, config: uvicorn.Config, report_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._report_ready = report_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._report_ready()
