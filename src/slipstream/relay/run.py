"""Start the relay on this machine's own address, and serve until told to stop."""

import logging
import math
import os
import sys
from urllib.parse import unquote, urlsplit

import uvicorn

from slipstream import settings
from slipstream.client.connect import shown_uri
from slipstream.client.spool.folder import spool_folder
from slipstream.errors import InvalidParameterError
from slipstream.httpd.logs import LogFormat, set_up_logs
from slipstream.relay.app import RelayApp
from slipstream.relay.store import open_relay_store
from slipstream.server.fast import FastProtocol
from slipstream.server.run import ToldServer, bind

HOST = "127.0.0.1"
_LEAST = 4


def serve(to: str, port: int, *, token: str | None = None, log_format: LogFormat = "text") -> int:
    """Run the relay until SIGINT or SIGTERM; return the exit code.

    Args:
        to: the server's address; user and password in it are for delivery.
        port: where to listen; 0 takes a free one.
        token: what clients must send, if they must; then their credentials are not passed on.
        log_format: of log lines.

    Raises:
        InvalidParameterError: the address is none, or the port is taken.
    """
    set_up_logs(log_format, settings.LOGGING_LEVEL.get(), _secrets(to, token))
    logging.getLogger("urllib3.connectionpool").setLevel(
        logging.ERROR
    )  # it warns of more connections than it keeps
    store, transport = open_relay_store(to)
    address = urlsplit(transport.base_url)
    if address.hostname in (HOST, "localhost") and address.port == port != 0:
        raise InvalidParameterError(
            f"--to {shown_uri(to)} is the relay's own address. Name the server's, or listen elsewhere with --port."
        )
    sock = bind(HOST, port)
    config = uvicorn.Config(
        RelayApp(store, transport, token),
        http=FastProtocol,
        loop="uvloop" if sys.platform != "win32" else "asyncio",
        ws="none",
        interface="asgi3",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=math.ceil(settings.SERVER_SHUTDOWN_TIMEOUT.get()),
    )

    def announce() -> None:
        sys.stderr.write(
            f"slipstream relay on http://{HOST}:{sock.getsockname()[1]}  (stop with Ctrl-C)\n"
            f"  server: {shown_uri(to)}\n  spool: {spool_folder()}\n"
        )
        sys.stderr.flush()

    store.shipper.begin()  # what an earlier relay left is sent before anybody logs
    server = ToldServer(config, announce)
    server.run(sockets=[sock])
    logging.shutdown()
    sys.stderr.flush()
    os._exit(
        0 if server.started else 1
    )  # threads that wait for a server that says nothing would be waited for


def _secrets(to: str, token: str | None) -> tuple[str, ...]:
    found = (urlsplit(to).password, token, settings.TRACKING_PASSWORD.get(), settings.TRACKING_TOKEN.get())
    return tuple({text for each in found if each for text in (each, unquote(each)) if len(text) >= _LEAST})
