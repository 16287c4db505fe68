"""`slipstream relay`."""

import click

from slipstream.cli.options import log_format_option, server_token


@click.command()
@click.option(
    "--to",
    required=True,
    metavar="URI",
    envvar="SLIPSTREAM_RELAY_TO",
    help="The tracking server, such as http://server:5000.",
)
@click.option(
    "--port",
    "-p",
    envvar="SLIPSTREAM_RELAY_PORT",
    type=click.IntRange(0, 65535),
    default=5001,
    show_default=True,
    help="Port of 127.0.0.1 to listen on; 0 takes a free one.",
)
@click.option(
    "--auth",
    type=click.Choice(["token", "none"]),
    default="none",
    show_default=True,
    help="token: clients must send the one in SLIPSTREAM_SERVER_TOKEN. none: every program on this machine may log.",
)
@log_format_option()
def relay(to: str, port: int, auth: str, log_format: str) -> None:
    """Take what MLflow clients on this machine log, and pass it on to a server that may be slow or away.

    Point them at it with MLFLOW_TRACKING_URI=http://127.0.0.1:5001. What they log is answered as soon as it is in a file, and
    sent from there.
    """
    from slipstream.relay.run import serve

    token = server_token(auth)
    raise SystemExit(serve(to, port, token=token, log_format="json" if log_format == "json" else "text"))
