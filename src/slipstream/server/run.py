"""Start the tracking server: bind the port, open the data, say where things are, serve until told to stop."""

import json
import logging
import os
import socket
import sys
import tempfile
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec
import uvicorn
from uvicorn.supervisors import Multiprocess

from slipstream import settings
from slipstream.artifact_store.abandoned import remove_abandoned
from slipstream.artifact_store.objects import ObjectArtifactStore
from slipstream.artifact_store.s3_uploads import OLD_UPLOAD_SECONDS, remove_abandoned_uploads
from slipstream.errors import InvalidParameterError, NotImplementedByServerError, SlipstreamError
from slipstream.httpd.logs import LogFormatter, set_up_logs
from slipstream.server.app import TrackingApp
from slipstream.server.context import ServerContext
from slipstream.server.fast import FastProtocol
from slipstream.server.options import ServerOptions
from slipstream.server.places import check_places, prepare_database
from slipstream.server.scoring_servers import read_scoring_servers
from slipstream.server.siblings import FOLDER_VARIABLE
from slipstream.webhooks.secrets import check_key
from slipstream.wire.origins import is_loopback

_logger = logging.getLogger(__name__)
_SECRET_VARIABLES = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AZURE_STORAGE_ACCESS_KEY", "PGPASSWORD")
_LOOK_SECONDS = 0.1
_FILES = 65_536
_LEAST = 4
"""Characters of a secret that is looked for; shorter ones would be found everywhere."""
_OPTIONS_VARIABLE = "_SLIPSTREAM_SERVER_OPTIONS"


def check(options: ServerOptions, *, open_to_all: bool = False) -> None:
    """Refuse what would put data at risk.

    Raises:
        InvalidParameterError: the server would be reachable from other machines, and nobody said how
            clients prove who they are; or no client could send its token.
    """
    if options.token is not None and not (options.token.isascii() and options.token.isprintable()):
        raise InvalidParameterError(
            f"{settings.SERVER_TOKEN.name} holds characters that a header cannot carry: only printable ASCII works. Make a token "
            "with: python -c 'import secrets; print(secrets.token_urlsafe(32))'"
        )
    if not is_loopback(options.host) and options.token is None and not open_to_all:
        raise InvalidParameterError(
            f"--host {options.host} can be reached from other machines, and this server would not ask who they "
            "are. Choose: --auth token (clients send the token in SLIPSTREAM_SERVER_TOKEN), --auth proxy (a proxy in "
            "front authenticates), or --auth none (anyone who can reach the port may read and change everything)."
        )
    read_scoring_servers(options.serving_urls)
    if options.static_prefix and (
        not options.static_prefix.startswith("/") or options.static_prefix.endswith("/")
    ):
        raise InvalidParameterError(
            f"--static-prefix '{options.static_prefix}' must begin with a slash and not end with one."
        )


def bind(host: str, port: int) -> socket.socket:
    """Take the port, or say who to ask.

    Raises:
        InvalidParameterError: the port is taken, or the host is not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError as error:
        sock.close()
        raise InvalidParameterError(
            f"Cannot listen on {host}:{port}: {error.strerror or error}. "
            "Another program may be using the port: choose one with --port, or --port 0 for any free one."
        ) from error
    sock.set_inheritable(True)
    return sock


def serve(options: ServerOptions) -> int:
    """Run the server until SIGINT or SIGTERM; return the exit code."""
    _set_up_logs(options)
    # First of all, so that what is wrong with the data is said once, in one line, and before any worker starts.
    check_places(options)
    check_key()
    prepare_database(ServerContext(options).database)
    _raise_file_limit()
    sock = bind(options.host, options.port)
    _clean_up(options)
    port = sock.getsockname()[1]
    common: dict[str, Any] = {
        "http": FastProtocol,
        "loop": "uvloop" if sys.platform != "win32" else "asyncio",
        "ws": "none",
        "interface": "asgi3",
        "lifespan": "on",
        "log_config": None,
        "access_log": False,
        "proxy_headers": False,
        "server_header": False,
        "timeout_graceful_shutdown": settings.SERVER_SHUTDOWN_TIMEOUT.get(),
    }
    if options.workers <= 1:
        app = TrackingApp(options)
        server = ToldServer(uvicorn.Config(app, **common), lambda: announce(options, port))
        server.run(sockets=[sock])
        return 0 if server.started else 1
    os.environ[_OPTIONS_VARIABLE] = json.dumps(msgspec.to_builtins(options))
    config = uvicorn.Config(
        "slipstream.server.run:create_app", factory=True, workers=options.workers, **common
    )
    sock.listen(2048)  # who connects before the first worker is ready waits instead of being refused
    announce(options, port)
    with tempfile.TemporaryDirectory(prefix="slipstream-", ignore_cleanup_errors=True) as folder:
        os.environ[FOLDER_VARIABLE] = folder
        workers = _Workers(config, sockets=[sock])
        workers.run()
    return 1 if workers.killed else 0


def _raise_file_limit() -> None:
    """Allow as many open connections and files as the system lets us; the usual limit of 1,024 is for shells."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _clean_up(options: ServerOptions) -> None:
    """Delete what killed servers left, beside the work: a large store takes long to walk through."""
    context = ServerContext(options)
    for store in context.object_stores():
        threading.Thread(target=_clean_up_uploads, args=(store,), daemon=True).start()
    for folder in context.folders():
        threading.Thread(
            target=remove_abandoned, args=(folder,), name="slipstream-clean-up", daemon=True
        ).start()


def _clean_up_uploads(store: ObjectArtifactStore) -> None:
    try:
        count = remove_abandoned_uploads(store, OLD_UPLOAD_SECONDS)
        _logger.info("Abandoned uploads in %s were looked for: %d aborted", store.where, count)
    except NotImplementedByServerError:  # not S3, or no keys: the bucket's own rule for old uploads has to do
        return
    except SlipstreamError as error:
        _logger.warning("Abandoned uploads in %s cannot be looked for: %s", store.where, error)


class ToldServer(uvicorn.Server):
    """Says where it is when it listens; ends at the first signal when all is answered, at the second at once."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._announce()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self.should_exit:
            self.force_exit = True
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await super().shutdown(sockets)
        if self.force_exit:
            _logger.warning("Told to stop a second time: what was not answered is dropped")
            logging.shutdown()
            os._exit(1)  # threads that still read or write would be waited for
        # uvicorn would raise the signal again and so end with an error what was asked for and went well.
        self._captured_signals.clear()


class _Workers(Multiprocess):
    killed = False

    def join_all(self) -> None:
        """Wait for the workers; told to stop once more, end them at once."""
        for sock in self.sockets:  # or clients would wait at a port that nobody listens at
            sock.close()
        while any(process.process.is_alive() for process in self.processes):
            if self.signal_queue:
                self.signal_queue.clear()
                self.killed = True
                for process in self.processes:
                    process.kill()
            for process in self.processes:
                process.process.join(_LOOK_SECONDS)


def announce(options: ServerOptions, port: int) -> None:
    """Say on stderr where the server and its data are."""
    host = f"[{options.host}]" if ":" in options.host else options.host
    first = f"slipstream server on http://{host}:{port}{options.static_prefix}"
    facts = ServerContext(options).facts()
    if options.log_format == "json":
        record = _logger.makeRecord(_logger.name, logging.INFO, "", 0, first, (), None, extra=facts)
        text = LogFormatter("json").format(record)
    else:
        text = "\n".join(
            [f"{first}  (stop with Ctrl-C)", *(f"  {name}: {value}" for name, value in facts.items())]
        )
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


def _set_up_logs(options: ServerOptions) -> None:
    set_up_logs(options.log_format, settings.LOGGING_LEVEL.get(), _known_secrets(options))


def _known_secrets(options: ServerOptions) -> tuple[str, ...]:
    """Return what no log line may hold, in whatever message of whatever library."""
    found = [options.token, urlsplit(options.backend_store_uri).password]
    found += [
        settings.WEBHOOK_SECRET_ENCRYPTION_KEY.get(),
        settings.TRACKING_PASSWORD.get(),
        settings.TRACKING_TOKEN.get(),
    ]
    found += [settings.SERVING_TOKEN.get()]
    found += [os.environ.get(name) for name in _SECRET_VARIABLES]
    return tuple(
        {text for secret in found if secret for text in (secret, unquote(secret)) if len(text) >= _LEAST}
    )


def create_app() -> TrackingApp:
    """Make the application in a worker process, from what its parent put into the environment."""
    options = msgspec.json.decode(os.environ[_OPTIONS_VARIABLE], type=ServerOptions)
    _set_up_logs(options)
    return TrackingApp(options)
